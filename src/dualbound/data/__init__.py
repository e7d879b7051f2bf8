"""Data sets, image files, the embedded sample and the embedded networks."""
