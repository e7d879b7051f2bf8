"""``attack``: how many inputs of a data set an attack turns, and how far it moves them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from dualbound.attacks import method_named
from dualbound.data import Dataset
from dualbound.errors import InvalidInput
from dualbound.limits import Clock, Limits
from dualbound.network import Network
from dualbound.queries.attack_run import AttackRun
from dualbound.queries.attacked import Attacked, Attacking
from dualbound.region import Box


def attack(
    network: Network,
    data: Dataset,
    *,
    method: str = "pgd",
    eps: float | Sequence[float] | Float[np.ndarray, " k"] = (0.1, 0.2, 0.3),
    norm: str = "linf",
    region: Box | None = None,
    mask: ArrayLike | None = None,
    count: int | None = None,
    batch: int = 256,
    seed: int = 0,
    device: str = "cpu",
    limits: Limits | None = None,
    on_progress: Callable[[Attacking], None] | None = None,
    **options: object,
) -> Attacked:
    """Attack a network on a data set, within each of some radii.

    Only inputs with the right answer are attacked. What the attack takes for an adversary counts if
    the network, in float64, has another output above the label's, at the exact numbers returned;
    where the network has a file, 64 of each radius are run by onnxruntime too, and those that it
    answers by their label do not count either.

    Args:
        network: any.
        data: inputs in the network's units, and their labels.
        method: ``fgsm``, ``pgd``, ``momentum``, ``deepfool``, ``virtual``, or ``foolbox:NAME``.
        eps: one radius or several, in the units of the inputs. An attack that looks for the nearest
            adversary runs once, and what it found is counted within each.
        norm: ``linf``, ``l2`` or ``l1``; with some of foolbox's attacks also ``l0``.
        region: of all inputs; [0, 1] for each when not given.
        mask: true where an input may change, in the network's input shape or flat.
        count: how many inputs, the first of the data; all when not given.
        batch: inputs at a time.
        seed: of everything random; the answer is the same for the same seed, batch and device.
        device: where torch computes, such as ``cuda``.
        limits: when to stop.
        on_progress: told of every batch.
        **options: of the attack, such as ``steps`` and ``restarts``; see `dualbound.attacks`.

    Returns:
        What the attack does. A limit or Ctrl-C is no error: the answer is of the inputs finished.

    Raises:
        InvalidInput: the data do not fit the network or the region, or an option makes no sense.

    >>> from dualbound import load
    >>> from dualbound.data import load_dataset
    >>> data = load_dataset("sample", "test")
    >>> found = attack(load("dnn1"), data, method="fgsm", eps=0.05, count=50)
    >>> found.clean, found.at[0].accuracy
    (0.92, 0.26)
    """
    radii = _radii(eps)
    chosen = method_named(method, norm, **options)
    if count is not None and count < 1:
        raise InvalidInput(f"count is {count}; expected how many inputs, 1 or more.")
    if not 0 <= seed < 2**63:
        raise InvalidInput(f"seed is {seed}; expected a whole number from 0, below 2^63.")
    if batch < 1:
        raise InvalidInput(f"batch is {batch}; expected how many inputs at a time, 1 or more.")
    data = data if count is None or count >= len(data) else data.subset(slice(count))
    _check_fit(network, data)
    box = Box.of_inputs(region, network.input_size)
    free = None if mask is None else _free(network, data, mask)
    run = AttackRun(network, data, chosen, norm, radii, box, free, device)
    clock = Clock(limits)
    with clock.catching_ctrl_c():
        for start in range(0, len(data), batch):
            if clock.expired or not run.batch(start, min(start + batch, len(data)), seed, clock):
                break
            if on_progress is not None:
                on_progress(run.progress())
    return run.answer(clock)


def _radii(eps: float | Sequence[float] | Float[np.ndarray, " k"]) -> tuple[float, ...]:
    radii = tuple(float(one) for one in np.atleast_1d(np.asarray(eps, dtype=float)))
    if not radii or not all(0 <= one < np.inf for one in radii):
        raise InvalidInput(
            f"eps is {eps!r}; expected one radius or several, finite and at least 0."
        )
    if len(set(radii)) < len(radii):
        raise InvalidInput(f"eps names a radius twice: {', '.join(f'{one:g}' for one in radii)}.")
    return radii


def _check_fit(network: Network, data: Dataset) -> None:
    """Refuse data of another shape, or with labels that the network does not have.

    Axes of length 1 do not count, and where one of the two is flat the sizes decide.
    """
    shape, wanted = (
        tuple(size for size in one if size != 1) for one in (data.shape, network.input_shape)
    )
    flat = len(shape) <= 1 or len(wanted) <= 1
    if np.prod(shape) != np.prod(wanted) or not (flat or shape == wanted):
        raise InvalidInput(
            f"The inputs of {data.name} have the shape {data.shape}; the network reads "
            f"{network.input_shape}."
        )
    most = int(data.labels.max())
    if network.output_size < 2 or most >= network.output_size:
        raise InvalidInput(
            f"{data.name} has labels up to {most}; the network has {network.output_size} "
            f"output{'s' * (network.output_size != 1)}. A classifier needs two or more, and one "
            "for every label."
        )


def _free(network: Network, data: Dataset, mask: ArrayLike) -> Bool[np.ndarray, "*shape"]:
    free = np.asarray(mask)
    if free.dtype != bool or free.size != network.input_size:
        raise InvalidInput(
            f"The mask has {free.size} values of {free.dtype}; expected true where an input may "
            f"change, for each of {network.input_size}."
        )
    return free.reshape(data.shape)
