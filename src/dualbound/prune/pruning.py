"""``prune``: units that are not needed go, the rest is trained a little more."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dualbound.data import Dataset
from dualbound.data.dataset import check_seed
from dualbound.errors import InvalidInput, SoundnessError
from dualbound.learn import Recipe, evaluate, train
from dualbound.learn.saving import to_onnx
from dualbound.learn.training import Moment as TrainingMoment
from dualbound.limits import Limits
from dualbound.network import Network
from dualbound.network.torch_chain import TorchChain, chain
from dualbound.prune import kept
from dualbound.prune.importance import importance
from dualbound.prune.ranking import (
    RANKINGS,
    gradient_order,
    importance_order,
    magnitude_order,
    random_order,
    without_first,
)
from dualbound.prune.removal import parameters, removed
from dualbound.prune.scores import THRESHOLD, Importance, Moment, check_threshold
from dualbound.prune.units import Keep, Layer, layers_of, masked

FINE_TUNING = Recipe(epochs=5, rate=0.01, warmup=0.5)
"""What a network is trained by after it was cut, unless told otherwise."""

_SAME = 1e-4


@dataclass(frozen=True, eq=False)
class Pruned:
    """A network without some of its units.

    Attributes:
        before: as it was.
        cut: without the units, its weights otherwise the same.
        after: after fine-tuning; the cut one where there was none.
        layers: whose units could go.
        keep: which units stayed.
        ranking: what they were chosen by.
        scores: of all units, where they were chosen by importance.
        finished: whether the fine-tuning came to its end.
    """

    before: TorchChain
    cut: TorchChain
    after: TorchChain
    layers: tuple[Layer, ...]
    keep: Keep
    ranking: str
    scores: Importance | None
    finished: bool

    @property
    def parameters(self) -> tuple[int, int]:
        """Of how many numbers the network is made, before and after."""
        return parameters(self.before.module), parameters(self.after.module)

    @property
    def units(self) -> tuple[int, int]:
        """How many units there were, and are."""
        kept = sum(int(mask.sum()) for mask in self.keep.values())
        return sum(layer.units for layer in self.layers), kept

    def models(self) -> dict[str, bytes]:
        """The networks as ONNX files: before, cut and after."""
        return {
            name: to_onnx(one.module, one.shape)
            for name, one in (("before", self.before), ("cut", self.cut), ("after", self.after))
        }

    def accuracies(self, data: Dataset) -> dict[str, float]:
        """Of the three networks."""
        return {
            name: evaluate(one.module, data).accuracy
            for name, one in (("before", self.before), ("cut", self.cut), ("after", self.after))
        }


def prune(
    network: Network,
    data: Dataset,
    *,
    each: int = 20,
    ranking: str = "importance",
    threshold: float | str = THRESHOLD,
    remove: float | None = None,
    loss: str = "softmax",
    weight: float = 5.0,
    eps: float = 0.0,
    relaxed: bool = False,
    by: str = "all",
    solver: str = "highs",
    seed: int = 0,
    recipe: Recipe | None = FINE_TUNING,
    test: Dataset | None = None,
    folder: Path | None = None,
    limits: Limits | None = None,
    on_score: Callable[[Moment], None] | None = None,
    on_training: Callable[[TrainingMoment], None] | None = None,
) -> Pruned:
    """Remove the units that a network does not need, physically, and fine-tune what is left.

    Args:
        network: a chain of layers with a file, see `dualbound.network.torch_chain`.
        data: to choose units on, and to train on.
        each: inputs of each class to choose units on, drawn by the seed.
        ranking: ``importance``, see `dualbound.prune.importance`; or, to compare with, ``random``,
            ``magnitude`` of the weights or ``gradient`` of the loss, which need ``remove``.
        threshold: units with a lower score go; ``mean``: lower than the mean of their layer.
        remove: the share of all units that go, in place of a threshold; one of every layer stays.
        loss: see `importance`, as for those that follow.
        weight: of the loss.
        eps: the radius in which the network is to stay right.
        relaxed: linear programs alone.
        by: ``all``, ``layer`` or ``class``.
        solver: of the programs.
        seed: of all draws.
        recipe: of the fine-tuning; None leaves it out.
        test: to evaluate on after each epoch.
        folder: for the scores, which the same question with no longer limit takes up, and for
            checkpoints of the fine-tuning, in a folder inside that is named after what is trained,
            and how: no other cut, network or recipe takes them up.
        limits: of the search for scores.
        on_score: told of the search for scores.
        on_training: told of the training.

    Raises:
        InvalidInput: a layer would lose all its units, a layer whose units cannot be removed, or an
            option that makes no sense. All but the first before scores are sought.
        UnsupportedOperator: the network is no chain of layers.
        SoundnessError: the smaller network does not compute what the larger one does with the
            removed units at 0.
    """
    size = int(np.prod(data.shape))
    if (network.input_size, network.output_size) != (size, len(data.classes)):
        raise InvalidInput(
            f"The network reads {network.input_size} numbers and has {network.output_size} "
            f"outputs; {data.name} has inputs of {size} numbers and {len(data.classes)} classes."
        )
    made = chain(network)
    layers = layers_of(made)
    most = sum(layer.units - 1 for layer in layers)
    removed(made, without_first(layers, magnitude_order(made), most))  # or say why not, at once
    scores = None
    if ranking not in RANKINGS:
        raise InvalidInput(f"Units are ranked by {', '.join(RANKINGS)}; found {ranking!r}.")
    if remove is not None and not 0 <= remove <= 1:
        raise InvalidInput(f"The share of units to remove is from 0 to 1, found {remove}.")
    if ranking != "importance" and remove is None:
        raise InvalidInput(
            f"Ranked by {ranking}, units have no score that a threshold could be compared with: "
            "say what share of them to remove."
        )
    check_threshold(threshold)
    check_seed(seed)
    drawn = data.subset(slice(1))
    if ranking in ("importance", "gradient"):
        drawn = data.balanced(each, seed)
    x, labels = drawn.values(), np.asarray(drawn.labels, dtype=int)
    if ranking == "importance":
        how = {
            "loss": loss, "weight": float(weight), "eps": float(eps), "relaxed": bool(relaxed),
            "by": by, "solver": solver,
        }  # fmt: skip
        scores = _scores(network, layers, x, labels, how, folder, limits, on_score)
    if remove is None:
        assert scores is not None  # noqa: S101  # other rankings are refused without a share
        keep = scores.keep(threshold)
        _check_left(keep, scores, threshold)
    else:
        order = {
            "importance": lambda: importance_order(scores) if scores else (),
            "random": lambda: random_order(made, seed),
            "magnitude": lambda: magnitude_order(made),
            "gradient": lambda: gradient_order(made, x, labels),
        }[ranking]()
        total = sum(layer.units for layer in layers)
        count = min(round(remove * total), total - len(layers))
        keep = without_first(layers, order, count)
    cut = removed(made, keep)
    _check(made, cut, keep, x)
    after, finished = cut, True
    if recipe is not None:
        after = removed(made, keep)
        recipe = replace(recipe, seed=seed)
        finished = train(
            after.module, data, recipe, test=test,
            folder=None if folder is None else folder / f"training-{_digest(cut, recipe)}",
            on_progress=on_training,
        ).finished  # fmt: skip
    return Pruned(made, cut, after, layers, keep, ranking, scores, finished)


def _scores(
    network: Network,
    layers: tuple[Layer, ...],
    x: np.ndarray,
    labels: np.ndarray,
    how: dict[str, Any],
    folder: Path | None,
    limits: Limits | None,
    on_score: Callable[[Moment], None] | None,
) -> Importance:
    """Sought, or taken from the folder."""
    limit = None if limits is None else limits.seconds
    asked = kept.identity(network, x, labels, how)
    found = None if folder is None else kept.restore(folder, asked, limit, layers)
    if found is None:
        found = importance(network, x, labels, **how, limits=limits, on_progress=on_score)
        if folder is not None:
            kept.save(folder, asked, limit, found)
    return found


def _check_left(keep: Keep, scores: Importance, threshold: float | str) -> None:
    """Say what to do where a layer would lose all its units."""
    for name, stay in keep.items():
        if not stay.any():
            highest = float(scores.scores[name].max())
            raise InvalidInput(
                f"All {len(stay)} units of layer {name!r} have scores below {threshold}, at most "
                f"{highest:.3g}: the loss weighs too little against them. Give it a larger weight, "
                "or say what share of units to remove: one of every layer stays then."
            )


def _digest(cut: TorchChain, recipe: Recipe) -> str:
    """Of what is trained, and how."""
    held = hashlib.sha256(repr(recipe).encode())
    held.update(str(cut.module).encode())
    for name, value in cut.module.state_dict().items():
        held.update(name.encode())
        held.update(value.numpy().tobytes())
    return held.hexdigest()[:12]


def _check(before: TorchChain, cut: TorchChain, keep: Keep, x: np.ndarray) -> None:
    """The cut network is the old one with the removed units at 0."""
    import torch

    rows = torch.from_numpy(np.array(x, dtype=np.float32)).reshape(-1, *before.shape)
    with torch.no_grad():
        there, here = masked(before, keep)(rows), cut.module(rows)
    off = float((there - here).abs().max())
    if off > _SAME * (1 + float(there.abs().max())):
        raise SoundnessError(
            f"The pruned network's outputs are {off:.3g} off those of the network with the "
            "removed units at 0: this is a fault of dualbound."
        )
