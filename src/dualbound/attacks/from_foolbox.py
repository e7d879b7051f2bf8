"""Attacks of foolbox, called as ours are.

Rauber, Zimmermann, Bethge, Brendel, *Foolbox Native: fast adversarial attacks to benchmark the
robustness of machine learning models in PyTorch, TensorFlow, and JAX*, 2020.
"""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from dualbound.attacks.loss import answered, check_labels, lead, of_label
from dualbound.attacks.threat import Allowed, Threat, distance
from dualbound.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor, nn

PREFIX = "foolbox:"
"""Before the names of these attacks, where all attacks have a name."""

CLASSES: dict[str, dict[str, str]] = {
    "brendel-bethge": {
        "l0": "L0BrendelBethgeAttack",
        "l1": "L1BrendelBethgeAttack",
        "l2": "L2BrendelBethgeAttack",
        "linf": "LinfinityBrendelBethgeAttack",
    },
    "carlini-wagner": {"l2": "L2CarliniWagnerAttack"},
    "ddn": {"l2": "DDNAttack"},
    "deepfool": {"l2": "L2DeepFoolAttack", "linf": "LinfDeepFoolAttack"},
    "ead": {"l1": "EADAttack"},
    "fgsm": {
        "l1": "L1FastGradientAttack",
        "l2": "L2FastGradientAttack",
        "linf": "LinfFastGradientAttack",
    },
    "fmn": {"l0": "L0FMNAttack", "l1": "L1FMNAttack", "l2": "L2FMNAttack", "linf": "LInfFMNAttack"},
    "pgd": {
        "l1": "L1ProjectedGradientDescentAttack",
        "l2": "L2ProjectedGradientDescentAttack",
        "linf": "LinfProjectedGradientDescentAttack",
    },
}
"""Name of each attack, and its class for each norm."""

WITHIN = ("fgsm", "pgd")
"""Those that use a given radius; the others look for the nearest adversary."""

MARGIN = 1e-5
"""Of another output above the label's, relative to the largest: as `deepfool` has it."""

PUSHES = (1e-5, 1e-4, 1e-3)
"""Parts of its distance by which a point on the border is moved on, one after another."""


@dataclass(frozen=True)
class Foolbox:
    """An attack of foolbox by its name.

    Attributes:
        name: one of `CLASSES`.

    Raises:
        InvalidInput: there is none of this name, or foolbox is not installed.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in CLASSES:
            raise InvalidInput(
                f"{PREFIX}{self.name} is not known; known are "
                f"{', '.join(PREFIX + name for name in CLASSES)}."
            )
        _foolbox()

    @property
    def norms(self) -> tuple[str, ...]:
        """In which it measures."""
        return tuple(CLASSES[self.name])

    def options(self, norm: str) -> dict[str, object]:
        """The options that it takes in a norm, as foolbox names them, and their defaults."""
        made = inspect.signature(self._class(norm)).parameters
        return {name: one.default for name, one in made.items()}

    def _class(self, norm: str) -> Any:
        if norm not in CLASSES[self.name]:
            raise InvalidInput(
                f"{PREFIX}{self.name} measures in {' or '.join(self.norms)}, not in {norm}."
            )
        return getattr(_foolbox().attacks, CLASSES[self.name][norm])

    def __call__(
        self,
        net: nn.Module,
        x: Tensor,
        y: Tensor,
        *,
        seed: int = 0,
        options: dict[str, Any] | None = None,
        **allowed: Unpack[Allowed],
    ) -> Tensor:
        """Run it.

        Args:
            net: from inputs ``(b, *shape)`` to logits ``(b, m)``.
            x: the inputs, ``(b, *shape)``.
            y: their labels, ``(b,)``.
            seed: of torch while it runs.
            options: by foolbox's names.
            **allowed: ``eps``, ``norm``, ``lower`` and ``upper``, one number each; no mask.
                ``norm`` may be ``l0``. See `Threat.around`.

        Returns:
            Adversaries ``(b, *shape)``: misread and in their regions. An input that is misread as
            it is, or for which none was found, comes back unchanged.

        Raises:
            InvalidInput: inputs, labels, the threat or an option make no sense.
        """
        import torch

        norm, eps, bounds = self._asked(allowed)
        attack = self._made(norm, options or {})
        box = Threat.around(x, eps=float("inf"), lower=bounds[0], upper=bounds[1])
        check_labels(y, box.x)
        logits = answered(net, box.x)
        of_label(y)(logits)
        rows = torch.nonzero(lead(logits, y) <= 0)[:, 0]
        points = box.x.clone()
        if len(rows) == 0:
            return points
        foolbox = _foolbox()
        within = self.name in WITHIN
        devices = [x.device] if x.device.type == "cuda" else []
        with warnings.catch_warnings(), torch.random.fork_rng(devices), torch.enable_grad():
            warnings.simplefilter("ignore")
            torch.manual_seed(seed)
            model = foolbox.PyTorchModel(_seen(net), bounds=bounds, device=x.device)
            wrong = foolbox.criteria.Misclassification(y[rows])
            _, found, _ = attack(model, box.x[rows], wrong, epsilons=eps if within else None)
        part = box.rows(rows)
        found = part.clamped(found.detach().to(x.dtype).nan_to_num(bounds[0]))
        if not within:
            found = _pushed(net, part, y[rows], found)
        if within and norm != "l0":
            threat = Threat.around(part.x, eps=eps, norm=norm, lower=bounds[0], upper=bounds[1])
            found = threat.project(found)  # what foolbox may exceed by rounding
        good = (lead(answered(net, found), y[rows]) > 0) & (distance(found, part.x, norm) <= eps)
        points[rows[good]] = found[good]
        return points

    def _asked(self, allowed: Allowed) -> tuple[str, float, tuple[float, float]]:
        """Norm, radius and bounds, as foolbox can have them."""
        norm = allowed.get("norm", "linf")
        if allowed.get("mask") is not None:
            raise InvalidInput("foolbox's attacks know no mask: use another, or leave it out.")
        eps, lower, upper = allowed["eps"], allowed.get("lower", 0.0), allowed.get("upper", 1.0)
        if not all(isinstance(one, float | int) for one in (eps, lower, upper)):
            raise InvalidInput("foolbox's attacks take one eps and one range for all inputs.")
        if not float(eps) >= 0:
            raise InvalidInput(f"eps is {eps}; expected a radius of 0 or more.")
        if self.name in WITHIN and float(eps) == float("inf"):
            raise InvalidInput(f"{PREFIX}{self.name} needs a finite eps.")
        return norm, float(eps), (float(lower), float(upper))

    def _made(self, norm: str, options: dict[str, Any]) -> Any:
        known = self.options(norm)
        for name in options:
            if name not in known:
                raise InvalidInput(
                    f"{PREFIX}{self.name} has no option {name!r}; it takes {', '.join(known)}."
                )
        return self._class(norm)(**options)


def _pushed(net: nn.Module, part: Threat, y: Tensor, found: Tensor) -> Tensor:
    """Points that are misread by a hair, a little further from their inputs.

    Attacks for the nearest adversary end on the border, where evaluations disagree.
    """
    import torch

    for further in PUSHES:
        logits = answered(net, found)
        clear = lead(logits, y) > MARGIN * logits.abs().amax(1)
        pushed = part.clamped(part.x + (1 + further) * (found - part.x))
        found = torch.where(clear.reshape(-1, *[1] * (found.ndim - 1)), found, pushed)
    return found


def _seen(net: nn.Module) -> nn.Module:
    """The same function as a module that is not in training, of which foolbox would warn."""
    import torch

    module = torch.nn.Module().eval()
    module.forward = lambda points: net(points)
    return module


def _foolbox() -> Any:
    """The package.

    Raises:
        InvalidInput: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it imports by old names
            import foolbox
    except ImportError as error:
        raise InvalidInput(
            f'Attacks of foolbox need its package ({error}): pip install "dualbound[foolbox]".'
        ) from error
    return foolbox
