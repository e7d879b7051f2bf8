"""Inputs as small pictures inside the page: a pixel of the input is a pixel of the file."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image as Pillow

from dualbound.report.picture import as_image, signed_change

BAR_HEIGHT = 40
"""Pixels of a picture of inputs that are no image: a bar for each."""


@dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Attributes:
        uri: its bytes, as a ``data:`` address.
        words: what it shows, for whoever does not see it.
        width, height: in pixels.
    """

    uri: str = field(repr=False)
    words: str
    width: int
    height: int


def grey(
    x: Float[np.ndarray, "..."], words: str, limits: tuple[float, float] = (0.0, 1.0)
) -> Picture:
    """An input as an image, the lower limit black and the upper one white; or as bars."""
    low, high = limits
    scaled = ((np.asarray(x, dtype=float) - low) / ((high - low) or 1.0)).clip(0, 1)
    pixels = as_image(scaled)
    if pixels is None:
        return _bars(scaled.reshape(-1), np.zeros(scaled.size), words)
    return _picture(np.rint(pixels * 255).astype(np.uint8), words)


def change(
    before: Float[np.ndarray, "..."],
    after: Float[np.ndarray, "..."],
    changed: Bool[np.ndarray, "..."],
    words: str,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Picture:
    """What became more (red) and less (blue) over a faint original; full colour at the largest.

    Args:
        before: the original.
        after: of the same shape.
        changed: which inputs count as changed.
        words: see `Picture`.
        limits: of the inputs.
    """
    import matplotlib

    low, high = limits
    x = ((np.asarray(before, dtype=float) - low) / ((high - low) or 1.0)).clip(0, 1)
    pixels, moved = as_image(before), as_image(after)
    shown = as_image(changed.astype(float))
    if pixels is None or moved is None or shown is None:
        return _bars(x.reshape(-1), (after - before).reshape(-1), words)
    signed = signed_change(pixels, moved)
    most = float(np.abs(signed).max()) or 1.0
    faint = as_image(x)
    faint = x if faint is None else faint
    faint = faint if faint.ndim == 2 else faint.mean(axis=2)
    shown = shown if shown.ndim == 2 else shown.max(axis=2)
    paper = np.repeat((255 * (1 - 0.14 * faint))[..., None], 3, axis=2)
    colours = matplotlib.colormaps["RdBu_r"](0.5 + 0.5 * signed / most)[..., :3] * 255
    drawn = np.where(shown[..., None] > 0, colours, paper)
    return _picture(np.rint(drawn).astype(np.uint8), words)


def _bars(values: Float[np.ndarray, " n"], changes: Float[np.ndarray, " n"], words: str) -> Picture:
    """A column for each value, at most `_COLUMNS` of them; red and blue where it changed."""
    if len(values) > _COLUMNS:
        kept = np.linspace(0, len(values) - 1, _COLUMNS).round().astype(int)
        values, changes = values[kept], changes[kept]
    drawn = np.full((BAR_HEIGHT, 3 * len(values), 3), 255, dtype=np.uint8)
    for k, (value, moved) in enumerate(zip(values, changes, strict=True)):
        top = BAR_HEIGHT - max(1, round(float(value) * (BAR_HEIGHT - 2)))
        colour = _UP if moved > 0 else _DOWN if moved < 0 else _PLAIN
        drawn[top:, 3 * k : 3 * k + 2] = colour
    return _picture(drawn, words)


_COLUMNS = 120
_UP, _DOWN, _PLAIN = (178, 24, 43), (33, 102, 172), (107, 114, 128)


def _picture(pixels: UInt8[np.ndarray, "..."], words: str) -> Picture:
    held = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(pixels)).save(held, format="PNG", optimize=True)
    uri = "data:image/png;base64," + base64.b64encode(held.getvalue()).decode()
    return Picture(uri, words, int(pixels.shape[1]), int(pixels.shape[0]))
