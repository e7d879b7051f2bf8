"""Data sets, image files, the embedded sample and the embedded networks."""

from dualbound.data.dataset import Dataset
from dualbound.data.loading import load_dataset

__all__ = ["Dataset", "load_dataset"]
