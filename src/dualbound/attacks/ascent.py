r"""Ascent by gradient over any region towards any criterion, in torch or, if small, in numpy.

For searches: what climbs is the criterion's own slack, the smallest ``A·o - b`` of its best
alternative, as Madry et al., *Towards deep learning models resistant to adversarial attacks*, 2018,
climb the loss of a label. Attacks on a batch of labelled inputs are `pgd` and its kin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from dualbound.criterion import Criterion
from dualbound.limits import Clock
from dualbound.network.gradients import pulled_back
from dualbound.network.graph import Network
from dualbound.network.torch_twin import twin
from dualbound.region import L1Ball, L2Ball, Region

if TYPE_CHECKING:
    import torch


SMALL = 10_000
"""Networks of fewer values than this are evaluated in numpy: torch takes longer to load."""


class SlackGradient:
    """The criterion's slack and the gradient of its soft minimum at a batch of inputs.

    Args:
        network: any.
        criterion: what to reach.
        device: where torch computes; small networks are left to numpy on ``cpu``.
        dtype: a torch dtype, which asks for torch; float32 when not given.
    """

    def __init__(
        self,
        network: Network,
        criterion: Criterion,
        *,
        device: str = "cpu",
        dtype: torch.dtype | None = None,
    ) -> None:
        self._network = network
        size = sum(node.size for node in network.nodes)
        self._in_numpy = device == "cpu" and dtype is None and size < SMALL
        self._rows = [
            one.rows(network.output_size) for one in criterion.alternatives(network.output_size)
        ]
        if self._in_numpy:
            return
        import torch

        self._dtype = dtype or torch.float32
        self._device = device
        self._module = twin(network, dtype=self._dtype, device=device)
        self._sizes = [len(b) for _, b in self._rows]
        self._a, self._b = (
            torch.as_tensor(np.concatenate(part), dtype=self._dtype, device=device)
            for part in zip(*self._rows, strict=True)
        )

    def __call__(
        self, x: Float[np.ndarray, "batch n"]
    ) -> tuple[Float[np.ndarray, " batch"], Float[np.ndarray, "batch n"]]:
        """Slack and gradient, both in float64 arrays."""
        # A soft minimum ascends on all rows that are nearly worst; the minimum alone zigzags.
        return self._by_numpy(x) if self._in_numpy else self._by_torch(x)

    def _by_numpy(
        self, x: Float[np.ndarray, "batch n"]
    ) -> tuple[Float[np.ndarray, " batch"], Float[np.ndarray, "batch n"]]:
        values = self._network.values(x)
        outputs = values[self._network.output]
        soft, hard = np.full(len(x), -np.inf), np.full(len(x), -np.inf)
        slope = np.zeros(outputs.shape)
        for a, b in self._rows:
            slacks = outputs @ a.T - b
            least = slacks.min(axis=1)
            shares = np.exp(least[:, None] - slacks)
            total = shares.sum(axis=1)
            better = least - np.log(total) > soft
            soft[better] = (least - np.log(total))[better]
            slope[better] = ((shares / total[:, None]) @ a)[better]
            hard = np.maximum(hard, least)
        return hard, pulled_back(self._network, values, slope)

    def _by_torch(
        self, x: Float[np.ndarray, "batch n"]
    ) -> tuple[Float[np.ndarray, " batch"], Float[np.ndarray, "batch n"]]:
        import torch

        points = torch.as_tensor(x, dtype=self._dtype, device=self._device).requires_grad_()
        slacks = self._module(points) @ self._a.T - self._b
        alternatives = slacks.split(self._sizes, dim=1)
        soft = torch.stack([-torch.logsumexp(-one, dim=1) for one in alternatives])
        (gradient,) = torch.autograd.grad(soft.max(dim=0).values.sum(), points)
        hard = torch.stack([one.min(dim=1).values for one in alternatives])
        return (
            hard.max(dim=0).values.detach().cpu().numpy().astype(float),
            gradient.cpu().numpy().astype(float),
        )


def ascend(
    network: Network,
    region: Region,
    criterion: Criterion,
    starts: Float[np.ndarray, "batch n"],
    *,
    steps: int = 40,
    step: float = 0.1,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    clock: Clock | None = None,
) -> Float[np.ndarray, "batch n"]:
    """Projected gradient ascent on the slack, every start a run of its own.

    A step goes along the steepest direction of the region's geometry: in a box the sign of the
    gradient times each input's width, in an L1 ball its largest entries only, in an L2 ball itself.

    Args:
        network: any.
        region: where the answers must lie.
        criterion: what to reach.
        starts: of the region.
        steps: how many gradients.
        step: length of the first step relative to the region's size; it decays to a tenth.
        device: where torch computes.
        dtype: a torch dtype, which asks for torch; see `SlackGradient`.
        clock: when to stop early.

    Returns:
        The best point of each run; all in the region.
    """
    gradient_at = SlackGradient(network, criterion, device=device, dtype=dtype)
    x = region.project(starts)
    best, best_slack = x.copy(), np.full(len(x), -np.inf)
    for k in range(steps + 1):
        slack, gradient = gradient_at(x)
        better = slack > best_slack
        best[better], best_slack[better] = x[better], slack[better]
        if clock is not None and clock.expired:
            break
        if k < steps and not np.all(best_slack > 0):
            length = step * 0.1 ** (k / steps)
            x = region.project(x + length * _steepest(region, gradient))
    return best


def _steepest(
    region: Region, gradient: Float[np.ndarray, "batch n"]
) -> Float[np.ndarray, "batch n"]:
    """A step across the region along the gradient, in the region's own geometry."""
    if isinstance(region, L2Ball):
        length = np.sqrt((gradient**2).sum(axis=1, keepdims=True))
        return gradient * 2 * region.radius / np.maximum(length, 1e-12)
    if not isinstance(region, L1Ball):
        return np.sign(gradient) * (region.upper - region.lower)
    kept = max(1, gradient.shape[1] // 20)
    size = np.abs(gradient)
    threshold = np.partition(size, -kept, axis=1)[:, -kept:].min(axis=1, keepdims=True)
    sparse = np.sign(gradient) * ((size >= threshold) & (size > 0))
    count = np.abs(sparse).sum(axis=1, keepdims=True)
    return sparse * 2 * region.radius / np.maximum(count, 1)
