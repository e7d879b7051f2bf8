"""Figures, drawn from answers."""

from dualbound.report.counterexample import save_counterexample
from dualbound.report.learning import save_learning_curves
from dualbound.report.lines import save_lines
from dualbound.report.picture import SUFFIXES, as_image, save_picture
from dualbound.report.rows import save_rows
from dualbound.report.sheet import Tile, save_sheet, tile_of

__all__ = [
    "SUFFIXES",
    "Tile",
    "as_image",
    "save_counterexample",
    "save_learning_curves",
    "save_lines",
    "save_picture",
    "save_rows",
    "save_sheet",
    "tile_of",
]
