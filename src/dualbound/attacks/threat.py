"""What an attack may do: how far it may move an input, in which norm, between which values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Required, TypedDict

from dualbound.attacks.moves import furthest
from dualbound.errors import InvalidInput

if TYPE_CHECKING:
    import torch
    from torch import Tensor

NORMS = ("linf", "l2", "l1")
"""In which a threat is measured."""

SPARSE = 200
"""Of so many inputs one moves at a step in L1."""

HALVINGS = 30
"""Of the threshold of a projection in L1; what is left of its error is scaled away."""


class Allowed(TypedDict, total=False):
    """What every attack is told by the same keywords; see `Threat`."""

    eps: Required[float | Tensor]
    norm: str
    lower: float | Tensor
    upper: float | Tensor
    mask: Tensor | None


@dataclass(frozen=True, eq=False)
class Threat:
    """Where the adversaries of a batch of inputs may lie: balls around them, cut with a box.

    No point that it gives leaves the region, in exact numbers: distances as computed in float64 are
    at most ``eps``, rounding goes towards the input, and an input that may not change keeps its
    bits.

    Attributes:
        x: the inputs, ``(b, *shape)``.
        norm: ``linf``, ``l2`` or ``l1``.
        low, high: the smallest box around each region, ``(b, *shape)``.
        radius: of each ball, finite, in float64, ``(b,)``.

    >>> import torch
    >>> threat = Threat.around(torch.tensor([[0.5, 0.9]]), eps=0.25)
    >>> threat.project(torch.tensor([[0.0, 2.0]])), threat.contains(torch.tensor([[0.3, 1.1]]))
    (tensor([[0.2500, 1.0000]]), tensor([False]))
    """

    x: Tensor
    norm: str
    low: Tensor
    high: Tensor
    radius: Tensor

    @classmethod
    def around(
        cls,
        x: Tensor,
        *,
        eps: float | Tensor,
        norm: str = "linf",
        lower: float | Tensor = 0.0,
        upper: float | Tensor = 1.0,
        mask: Tensor | None = None,
    ) -> Threat:
        """The regions around inputs.

        Args:
            x: the inputs, ``(b, *shape)``, of any floating type, on any device that knows float64.
            eps: radius in the units of the inputs, one for all or one for each, ``(b,)``; ``inf``
                for any distance.
            norm: ``linf``, ``l2`` or ``l1``.
            lower: of every value; a number, or a tensor that fits ``x``.
            upper: likewise.
            mask: true where an input may change, ``(b, *shape)`` or what broadcasts to it; all may
                when not given.

        Raises:
            InvalidInput: a shape, a type, a radius or bounds that make no sense; an input that is
                not finite or outside of its bounds; no bound at all.
        """
        import torch

        x = x.detach()
        _check_inputs(x)
        if norm not in NORMS:
            raise InvalidInput(f"The norm is {norm!r}; expected one of {', '.join(NORMS)}.")
        exact = x.double()
        least, most = (_fitting(x, bound, torch.float64) for bound in (lower, upper))
        _check_bounds(exact, least, most)
        radius = _radii(x, eps)
        far = radius.reshape(-1, *[1] * (x.ndim - 1))
        sides = []
        for wanted in (torch.maximum(least, exact - far), torch.minimum(most, exact + far)):
            side = wanted.to(x.dtype)
            out = (side.double() < least) | (side.double() > most)
            out |= (side.double() - exact).abs() > far
            sides.append(torch.where(out, torch.nextafter(side, x), side))
        if mask is not None:
            free = _fitting(x, mask, torch.bool)
            sides = [torch.where(free, side, x) for side in sides]
        low, high = sides
        if not bool((torch.isfinite(low) & torch.isfinite(high)).all()):
            raise InvalidInput("eps is infinite, and so are the bounds: give one of them.")
        reach = torch.maximum(high.double() - exact, exact - low.double()).flatten(1)
        return cls(x, norm, low, high, torch.minimum(radius, 2 * _length(reach, norm)))

    def rows(self, which: Tensor) -> Threat:
        """The same for some of the inputs.

        Args:
            which: true and false, ``(b,)``, or positions.
        """
        return replace(
            self,
            x=self.x[which],
            low=self.low[which],
            high=self.high[which],
            radius=self.radius[which],
        )

    def contains(self, points: Tensor) -> Tensor:
        """Whether points lie in their regions, without tolerance, ``(b,)``."""
        inside = (points >= self.low) & (points <= self.high)
        return inside.flatten(1).all(1) & (distance(points, self.x, self.norm) <= self.radius)

    def project(self, points: Tensor) -> Tensor:
        """The nearest points (Euclidean) of the regions, up to rounding, ``(b, *shape)``."""
        import torch

        if self.norm == "linf":
            return self.clamped(points)
        move = (points.double() - self.x.double()).flatten(1)
        size, room = move.abs(), self._room(move)
        inside = torch.minimum(size, room)
        over = _length(inside, self.norm) > self._target
        if not bool(over.any()):
            return self._at(move.sign() * inside)
        if self.norm == "l2":
            shrunk = furthest(size, room, self._target, "l2")
        else:
            shrunk = _thresholded(size, room, self._target)
        return self._at(move.sign() * torch.where(over[:, None], shrunk.minimum(size), inside))

    def furthest(self, gradient: Tensor) -> Tensor:
        """The points of the regions that are furthest along a gradient, ``(b, *shape)``."""
        import torch

        if self.norm == "linf":
            towards = torch.where(gradient < 0, self.low, self.x)
            return torch.where(gradient > 0, self.high, towards)
        slope = gradient.double().flatten(1)
        moves = furthest(slope.abs(), self._room(slope), self._target, self.norm)
        return self._at(slope.sign() * moves)

    def steepest(self, gradient: Tensor, points: Tensor) -> Tensor:
        """Directions of length 1 in which a function climbs fastest from some points.

        In L∞ the signs of the gradient, in L2 the gradient itself; in L1 the signs of its largest
        entries, as one entry alone makes slow work (Tramèr, Boneh, *Adversarial training and
        robustness for multiple perturbations*, 2019, section 4); there, what has no room counts
        not.
        """
        import torch

        if self.norm == "linf":
            return gradient.sign()
        slope = gradient.flatten(1)
        slope = slope / slope.abs().amax(1, keepdim=True).clamp(min=torch.finfo(slope.dtype).tiny)
        if self.norm == "l2":
            length = slope.norm(dim=1, keepdim=True).clamp(min=torch.finfo(slope.dtype).tiny)
            return (slope / length).reshape(gradient.shape)
        open_ = torch.where(gradient > 0, points < self.high, points > self.low).flatten(1)
        slope = torch.where(open_, slope, 0.0)
        kept = slope.abs().topk(max(1, slope.shape[1] // SPARSE), dim=1).indices
        sparse = torch.zeros_like(slope).scatter(1, kept, slope.gather(1, kept).sign())
        return (sparse / sparse.abs().sum(1, keepdim=True).clamp(min=1)).reshape(gradient.shape)

    def random(self, generator: torch.Generator) -> Tensor:
        """Random points of the regions, ``(b, *shape)``; the same on every device.

        In L∞ even over the box, otherwise even over the ball and then moved into the box.
        """
        import torch

        shape, n = self.x.shape, self.x[0].numel()
        if self.norm == "linf":
            share = torch.rand(shape, generator=generator, dtype=torch.float64).to(self.x)
            return self.clamped(self.low + share * (self.high - self.low))
        share = torch.rand(shape[0], generator=generator, dtype=torch.float64) ** (1 / n)
        if self.norm == "l2":
            ray = torch.randn(shape, generator=generator, dtype=torch.float64).flatten(1)
        else:
            sizes, signs = torch.rand(2, *shape, generator=generator, dtype=torch.float64)
            ray = (-(1 - sizes).log() * torch.where(signs < 0.5, -1.0, 1.0)).flatten(1)
        ray = ray * (share / _length(ray, self.norm).clamp(min=1e-300))[:, None]
        moves = ray.to(self.x.device) * self._target[:, None]
        return self._at(moves.sign() * torch.minimum(moves.abs(), self._room(moves)))

    @property
    def _target(self) -> Tensor:
        """The radius, less what sums of as many squares may lose in float64, in any order."""
        return self.radius * (1 - (self.x[0].numel() + 8) * 2.0**-52)

    def _room(self, moves: Tensor) -> Tensor:
        """How far each input can move towards the sign of ``moves``, ``(b, n)``."""
        import torch

        x = self.x.double()
        up, down = self.high.double() - x, x - self.low.double()
        return torch.where(moves.reshape(x.shape) > 0, up, down).flatten(1)

    def _at(self, moves: Tensor) -> Tensor:
        """The inputs with moves ``(b, n)``, none rounded to be longer, nor all of them together."""
        import torch

        length = _length(moves, self.norm)
        scale = torch.where(length > self._target, self._target / length, 1.0)
        moves = (moves * scale[:, None]).reshape(self.x.shape)
        x = self.x.double()
        points = (x + moves).to(self.x.dtype)
        longer = (points.double() - x).abs() > moves.abs()
        points = torch.where(longer, torch.nextafter(points, self.x), points)
        return self.clamped(points)

    def clamped(self, points: Tensor) -> Tensor:
        """Points moved into the smallest boxes around the regions; frozen ones keep their bits."""
        import torch

        return torch.where(self.low == self.high, self.x, points.clamp(self.low, self.high))


def distance(points: Tensor, x: Tensor, norm: str) -> Tensor:
    """How far points are from inputs, in float64.

    Args:
        points: ``(b, *shape)``.
        x: likewise.
        norm: ``linf``, ``l2``, ``l1``, or ``l0`` for how many values differ.

    >>> import torch
    >>> x, points = torch.zeros(1, 3), torch.tensor([[3.0, 0.0, -4.0]])
    >>> [float(distance(points, x, norm)) for norm in ("l0", "l1", "l2", "linf")]
    [2.0, 7.0, 5.0, 4.0]
    """
    return _length((points.double() - x.double()).flatten(1), norm)


def _length(moves: Tensor, norm: str) -> Tensor:
    if norm == "l0":
        return (moves != 0).sum(-1).double()
    if norm == "l1":
        return moves.abs().sum(-1)
    return moves.square().sum(-1).sqrt() if norm == "l2" else moves.abs().amax(-1)


def _thresholded(size: Tensor, room: Tensor, radius: Tensor) -> Tensor:
    """Moves ``clip(size - t, 0, room)`` with the smallest ``t`` that fits into an L1 ball."""
    import torch

    low, high = torch.zeros_like(radius), size.amax(1)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        over = torch.minimum((size - middle[:, None]).clamp(min=0), room).sum(1) > radius
        low, high = torch.where(over, middle, low), torch.where(over, high, middle)
    return torch.minimum((size - low[:, None]).clamp(min=0), room)


def _check_inputs(x: Tensor) -> None:
    import torch

    if not x.dtype.is_floating_point or x.ndim < 2 or x.numel() == 0:
        raise InvalidInput(
            f"The inputs are {tuple(x.shape)} of {x.dtype}; expected a batch (b, *shape) of one or "
            "more inputs of a floating type."
        )
    if not bool(torch.isfinite(x).all()):
        bad = torch.nonzero(~torch.isfinite(x))[0].tolist()
        raise InvalidInput(f"The inputs are not finite: value {float(x[tuple(bad)])} at {bad}.")


def _fitting(x: Tensor, value: object, dtype: torch.dtype) -> Tensor:
    """A number for all values of the inputs, or one for each, as one for each."""
    import torch

    found = torch.as_tensor(value, dtype=None if dtype == torch.bool else dtype, device=x.device)
    if dtype == torch.bool and found.dtype != torch.bool:
        raise InvalidInput(
            f"The mask is of {found.dtype}; expected true where an input may change."
        )
    try:
        return found.broadcast_to(x.shape)
    except RuntimeError as error:
        raise InvalidInput(
            f"A bound or mask of shape {tuple(found.shape)} does not fit the inputs' "
            f"{tuple(x.shape)}."
        ) from error


def _check_bounds(x: Tensor, lower: Tensor, upper: Tensor) -> None:
    if not bool((lower <= upper).all()):
        raise InvalidInput("A lower bound is above its upper bound, or not a number.")
    if not bool(((lower <= x) & (x <= upper)).all()):
        raise InvalidInput(
            f"The inputs have values from {float(x.min()):g} to {float(x.max()):g}, outside of "
            f"their bounds, {float(lower.min()):g} to {float(upper.max()):g}. Divide 8-bit pixels "
            "by 255, or say between which values inputs lie: lower= and upper=, on the command "
            "line --range LOW HIGH."
        )


def _radii(x: Tensor, eps: float | Tensor) -> Tensor:
    """One for each input, ``(b,)``, in float64."""
    import torch

    radius = torch.as_tensor(eps, dtype=torch.float64, device=x.device)
    if radius.shape not in ((), (len(x),)):
        raise InvalidInput(
            f"eps has shape {tuple(radius.shape)}; expected one number, or one for each of "
            f"{len(x)} inputs."
        )
    if not bool((radius >= 0).all()):
        raise InvalidInput(f"eps is {eps}; expected a radius of 0 or more.")
    return radius.expand(len(x))
