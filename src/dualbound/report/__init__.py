"""Figures, drawn from answers."""

from dualbound.report.picture import SUFFIXES, as_image, save_picture

__all__ = ["SUFFIXES", "as_image", "save_picture"]
