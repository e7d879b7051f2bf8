"""A pruned network in pictures and words: what is left of each layer, what it no longer sees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dualbound.errors import InvalidInput
from dualbound.prune import Pruned
from dualbound.prune.removal import parameters
from dualbound.prune.scores import THRESHOLD
from dualbound.prune.units import Layer, Weighted
from dualbound.report.picture import drawable, new_figure, save_figure
from dualbound.studies.protocols.protocol import Comparison, number

_KEPT, _GONE = "#2166ac", "#d5d9e0"
_SHARP = 160


def save_layers(path: Path | str, found: Pruned, *, title: str) -> None:
    """Draw how many units of each layer are left, with their scores where there are some.

    Args:
        path: ``.png``, ``.pdf`` or ``.svg``.
        found: what was pruned.
        title: above it.

    Raises:
        OutputError: another suffix, or the file cannot be written.
    """
    path = drawable(path)
    scored = found.scores is not None
    figure = new_figure(9.0 if scored else 5.5, 0.9 + 0.8 * len(found.layers))
    left, *right = figure.subplots(1, 2 if scored else 1, squeeze=False)[0]
    names = [name_of(layer, found) for layer in found.layers]
    kept = [int(found.keep[layer.name].sum()) for layer in found.layers]
    total = [layer.units for layer in found.layers]
    left.barh(names, total, color=_GONE, height=0.5)
    left.barh(names, kept, color=_KEPT, height=0.5)
    for k, (now, before) in enumerate(zip(kept, total, strict=True)):
        left.text(before, k, f"  {now} of {before}", va="center")
    left.set_xlim(0, 1.35 * max(total))
    left.set_xlabel("units")
    if found.scores is not None:
        for k, layer in enumerate(found.layers):
            scores = np.sort(found.scores.scores[layer.name])
            at = k - 0.2 + 0.4 * np.arange(len(scores)) / max(len(scores) - 1, 1)
            colours = np.where(scores < THRESHOLD, "#9ca3af", _KEPT)
            right[0].scatter(scores, at, c=colours, s=9)
        right[0].set_yticks(range(len(names)), names)
        right[0].set_ylim(*left.get_ylim())
        right[0].set_xlabel("score")
        right[0].invert_yaxis()
    left.invert_yaxis()
    for axes in (left, *right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold", parse_math=False)
    figure.tight_layout()
    save_figure(path, figure, _SHARP)


def save_pixels(path: Path | str, found: Pruned, *, title: str) -> None:
    """Draw at which pixels the units of the first layer look: those that stay, those that went.

    What is drawn is the mean magnitude of the weights from each pixel.

    Args:
        path: ``.png``, ``.pdf`` or ``.svg``.
        found: what was pruned; its first layer is dense, on images.
        title: above it.

    Raises:
        InvalidInput: another kind of first layer or input, or all its units are still there.
        OutputError: another suffix, or the file cannot be written.
    """
    path = drawable(path)
    first = found.layers[0]
    own = found.before.module[first.own]
    assert isinstance(own, Weighted)  # noqa: S101  # that is what it was chosen for
    weights = own.weight.detach().numpy()
    if weights.ndim != 2 or not looks_at_images(found):
        raise InvalidInput("The first layer is not one of neurons that look at a whole image.")
    keep = found.keep[first.name]
    if keep.all():
        raise InvalidInput("No unit of the first layer was removed.")
    sides = [("stay", weights[keep]), ("removed", weights[~keep])]
    figure = new_figure(6.0, 3.4)
    panels = figure.subplots(1, 2)
    images = [np.abs(part).mean(axis=0).reshape(_image(found)).mean(axis=0) for _, part in sides]
    most = max(float(image.max()) for image in images)
    for axes, (name, part), image in zip(panels, sides, images, strict=True):
        axes.imshow(image, cmap="magma", vmin=0, vmax=most)
        axes.set_title(f"{len(part)} that {name}" if name == "stay" else f"{len(part)} {name}")
        axes.set_axis_off()
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold", parse_math=False)
    figure.tight_layout()
    save_figure(path, figure, _SHARP)


def looks_at_images(found: Pruned) -> bool:
    """Whether inputs are images, or as many numbers as a square one."""
    return _image(found) is not None


def _image(found: Pruned) -> tuple[int, int, int] | None:
    shape = found.before.shape
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    side = round(float(np.prod(shape)) ** 0.5)
    if len(shape) == 2:
        return 1, shape[0], shape[1]
    return (1, side, side) if side > 1 and side * side == shape[0] else None


def name_of(layer: Layer, found: Pruned) -> str:
    """Of a layer: its place and its kind."""
    place = found.layers.index(layer) + 1
    return f"layer {place}, {'channels' if layer.is_convolved else 'neurons'}"


def tables(
    found: Pruned, accuracies: Mapping[str, float], bytes_: Mapping[str, int]
) -> list[Comparison]:
    """Sizes and accuracies before and after, and every layer."""
    parts: list[tuple[object, ...]] = []
    named = [("before", found.before), ("cut", found.cut)]
    if found.after is not found.cut:
        named.append(("after", found.after))
    for name, chain in named:
        parts.append(
            (
                {"before": "as it was", "cut": "cut", "after": "cut and trained on"}[name],
                found.units[0] if name == "before" else found.units[1],
                parameters(chain.module),
                bytes_[name],
                number(100 * accuracies[name]),
            )
        )
    layers: list[tuple[object, ...]] = []
    for layer in found.layers:
        keep = found.keep[layer.name]
        mean = None if found.scores is None else float(found.scores.scores[layer.name].mean())
        layers.append(
            (
                name_of(layer, found),
                layer.units,
                int(keep.sum()),
                number(100 * (1 - float(keep.mean()))),
                mean if mean is None else number(mean),
            )
        )
    note = ""
    if found.scores is not None:
        scores = found.scores
        note = (
            f"Scores with the value {scores.value:.4f}; proved: none are below {scores.bound:.4f} "
            f"(gap {100 * scores.gap:.2g} %). Mean loss {scores.loss:.4g} with them, "
            f"{scores.loss_before:.4g} without."
        )
        note += f" Note: {scores.note}." if scores.note else ""
    return [
        Comparison(
            "The network",
            ("network", "units", "parameters", "bytes", "test accuracy, %"),
            parts,
        ),
        Comparison(
            "Its layers", ("layer", "units", "stay", "removed, %", "mean score"), layers, note
        ),
    ]
