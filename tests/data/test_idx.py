import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualbound.data.idx import read_idx
from dualbound.errors import DataError


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images-idx3-ubyte.gz"])
def test_reads_what_was_written(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(idx(IMAGES), mtime=0) if name.endswith(".gz") else idx(IMAGES))
    assert np.array_equal(read_idx(path, dimensions=3), IMAGES)


def test_values_are_read_only(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(idx(IMAGES))
    assert not read_idx(path, dimensions=3).flags.writeable


@given(length=st.integers(0, len(idx(IMAGES)) - 1))
def test_every_shortened_file_is_refused(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("idx") / "images"
    path.write_bytes(idx(IMAGES)[:length])
    with pytest.raises(DataError, match=r"truncated|not an IDX file"):
        read_idx(path, dimensions=3)


@given(length=st.integers(2, len(gzip.compress(idx(IMAGES), mtime=0)) - 1))
def test_every_shortened_gzip_file_is_refused(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("idx") / "images.gz"
    path.write_bytes(gzip.compress(idx(IMAGES), mtime=0)[:length])
    with pytest.raises(DataError, match="truncated or damaged"):
        read_idx(path, dimensions=3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.gz", b"<html>404</html>", "not a gzip file: it starts with '3c 68 74 6d'"),
        ("a.gz", b"", "not a gzip file"),
        ("a.gz", b"\x1f\x8bnonsense", "truncated or damaged"),
        ("a", b"\x89PNG\r\n", "not an IDX file of unsigned bytes: it starts with '89 50 4e 47'"),
        ("a", b"\0\0\x0d" + idx(IMAGES)[3:], "starts with '00 00 0d 03', expected '00 00 08 03'"),
        ("a", idx(IMAGES[0]), "has 2 dimensions, expected 3"),
        ("a", idx(IMAGES) + b"x", r"too long: its header promises 24 values \(2, 3, 4\), found 25"),
        ("a", idx(IMAGES)[:-1], "truncated: its header promises 24 values"),
    ],
)
def test_a_wrong_file_is_refused_with_what_was_found(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(path, dimensions=3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere cannot be read: No such file"):
        read_idx(tmp_path / "nowhere", dimensions=1)
