"""Contact sheets: where the tiles are, what greys they have, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dualbound.errors import InvalidInput, OutputError
from dualbound.report import Tile, save_sheet
from dualbound.report.sheet import columns_for


def flat(grey: float, shape: tuple[int, ...] = (1, 8, 8)) -> Tile:
    return Tile(f"neuron {grey:g}", np.full(shape, grey), "1.00 proved", True)


def greys(path: Path) -> np.ndarray:
    with Image.open(path) as drawn:
        return np.asarray(drawn.convert("L"), dtype=int)


def test_all_tiles_have_the_same_greys(tmp_path: Path) -> None:
    save_sheet(tmp_path / "a.png", [flat(-1.0), flat(0.0), flat(1.0)], title="t", limits=(-1, 1))
    pixels = greys(tmp_path / "a.png")
    for grey in (0, 127):
        assert (np.abs(pixels - grey) <= 1).sum() > 10_000
    assert np.isin(pixels, (255,)).mean() > 0.5


def test_a_grid_has_room_for_every_tile() -> None:
    for count in range(1, 200):
        across = columns_for(count)
        assert 1 <= across <= count
        assert across <= 20


@pytest.mark.parametrize("count", [1, 2, 5, 7, 20])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (5,)])
def test_any_number_of_inputs_of_any_shape(
    tmp_path: Path, count: int, shape: tuple[int, ...]
) -> None:
    tiles = [*(flat(0.5, shape) for _ in range(count - 1)), Tile("none", None, "none ≤ 3", False)]
    save_sheet(tmp_path / "a.png", tiles, title="title", subtitle="subtitle")
    assert greys(tmp_path / "a.png").std() > 3


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="at least one input"):
        save_sheet(tmp_path / "a.png", [], title="t")
    with pytest.raises(OutputError, match=r"written as .png or .pdf or .svg, found 'a.gif'"):
        save_sheet(tmp_path / "a.gif", [flat(0.0)], title="t")
