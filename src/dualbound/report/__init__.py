"""Figures, drawn from answers."""

from dualbound.report.picture import CHANGED, SUFFIXES, save_picture

__all__ = ["CHANGED", "SUFFIXES", "save_picture"]
