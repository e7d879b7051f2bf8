"""Write the embedded sample: the first 300 images of the MNIST test set, with labels and index.

python scripts/make_sample.py

The archive is written by hand because `numpy.savez` stamps it with the time of day: the same
images give the same bytes.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np

from dualbound.data.mnist import mnist
from dualbound.errors import DataError

FILE = Path(__file__).parents[1] / "src" / "dualbound" / "data" / "sample" / "mnist.npz"
COUNT = 300


def main() -> None:
    test = mnist("test")
    arrays = {
        "images": test.inputs[:COUNT, 0],
        "labels": test.labels[:COUNT].astype(np.uint8),
        "index": np.arange(COUNT, dtype=np.uint16),
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(FILE, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue(), compresslevel=9)
    print(f"{FILE.name}: {COUNT} images, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    try:
        main()
    except DataError as error:
        sys.exit(str(error))
