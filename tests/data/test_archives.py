import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualbound.data import load_dataset
from dualbound.errors import DataError, InvalidInput


def archive(folder, **arrays):
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", ">f4", "int64", "bool"])
def test_bytes_stay_bytes_and_every_other_number_becomes_float32(tmp_path, dtype):
    x = (np.arange(24).reshape(12, 2) % 2).astype(dtype)
    found = load_dataset(archive(tmp_path, x=x, y=np.arange(12) % 2))
    assert found.inputs.dtype == ("uint8" if dtype == "uint8" else "float32")
    assert np.array_equal(found.inputs, np.tile([0, 1], (10, 1)))


@given(n=st.integers(4, 40), seed=st.integers(0, 99))
def test_without_a_test_part_a_sixth_of_every_class_is_one(tmp_path_factory, n, seed):
    y = np.random.default_rng(seed).permutation(np.arange(n) % 2)
    x = np.arange(n, dtype=np.float32)[:, np.newaxis]
    path = archive(tmp_path_factory.mktemp("npz"), x=x, y=y)
    train, test = load_dataset(path, "train"), load_dataset(path, "test")
    assert sorted([*train.inputs[:, 0], *test.inputs[:, 0]]) == list(range(n))
    for part in (train, test):
        assert np.array_equal(y[part.inputs[:, 0].astype(int)], part.labels)
    assert (train.split, test.split) == ("train", "test")
    assert abs(len(test) - n / 6) <= 2


def test_a_test_part_that_is_there_is_taken(tmp_path):
    path = archive(
        tmp_path,
        x_train=np.zeros((3, 2)),
        y_train=np.array([[0], [1], [0]]),
        x_test=np.ones((2, 2)),
        y_test=np.array([2, 0], dtype=np.uint8),
    )
    train, test = load_dataset(path, "train"), load_dataset(path, "test")
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1, 0], [2, 0])
    assert train.classes == test.classes == ("0", "1", "2")
    assert test.values().tolist() == [[1, 1], [1, 1]]


def test_classes_may_have_names(tmp_path):
    path = archive(tmp_path, x=np.zeros((4, 2)), y=[0, 1, 0, 1], classes=["dark", "bright", "red"])
    assert load_dataset(path).classes == ("dark", "bright", "red")
    path = archive(tmp_path, x=np.zeros((4, 2)), y=[0, 1, 0, 2], classes=["dark", "bright"])
    with pytest.raises(InvalidInput, match="1 labels out of range; the first is 2"):
        load_dataset(path)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((5, 7), (1, 5, 7)),
        ((5, 7, 3), (3, 5, 7)),
        ((5, 7, 1), (1, 5, 7)),
        ((3, 5, 7), (3, 5, 7)),
        ((1, 5, 3), (1, 5, 3)),
        ((4,), (4,)),
        ((2, 3, 4, 5), (2, 3, 4, 5)),
    ],
)
def test_pictures_get_their_channels_first(tmp_path, shape, wanted):
    x = np.random.default_rng(0).integers(0, 256, (4, *shape), dtype=np.uint8)
    path = archive(tmp_path, x_train=x, y_train=[0, 1, 0, 1], x_test=x, y_test=[0, 1, 0, 1])
    found = load_dataset(path)
    assert found.shape == wanted
    moved = found.inputs.transpose(0, 2, 3, 1) if wanted != shape and len(shape) == 3 else x
    assert np.array_equal(moved.reshape(x.shape), x)


X, Y = np.zeros((4, 2)), np.array([0, 1, 0, 1])
NAN = np.array([[0, 0], [0, np.nan], [0, 0], [0, 0]])


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"x": X}, DataError, r"has the arrays x\. Expected arrays x and y, or x_train"),
        ({}, DataError, "has the arrays none"),
        ({"x_train": X, "x_test": X}, DataError, "has the arrays x_test, x_train. Expected"),
        (
            {"x_test": X, "y_test": Y},
            DataError,
            "has no split 'train', only test: it lacks x_train",
        ),
        ({"x": X, "y": Y / 2}, DataError, "y holds labels of type float64, expected whole"),
        ({"x": X, "y": ["a", "b", "a", "b"]}, DataError, "y holds labels of type <U1"),
        ({"x": X.astype(complex), "y": Y}, DataError, "x holds values of type complex128"),
        ({"x": X, "y": Y * 4}, DataError, "has a label 4 but only 4 inputs"),
        ({"x": X, "y": Y - [0, 0, 1, 0]}, InvalidInput, "1 labels out of range; the first is -1"),
        ({"x": X, "y": Y * 0}, InvalidInput, "has the classes '0', expected two or more"),
        ({"x": X, "y": Y[:3]}, InvalidInput, r"4 inputs but labels of shape \(3,\)"),
        ({"x": X[0], "y": Y[:2]}, InvalidInput, r"has inputs of shape \(2,\)"),
        ({"x": X[:0], "y": Y[:0]}, DataError, "has no inputs"),
        ({"x": NAN, "y": Y}, InvalidInput, r"1 of 8 values .* the first is nan at \(1, 1\)"),
        ({"x": X + 1e39, "y": Y}, InvalidInput, "8 of 8 values that are not finite"),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:, :1], "y_test": Y},
            DataError,
            r"training inputs of shape \(2,\) but test inputs of shape \(1,\)",
        ),
    ],
    ids=lambda one: "-".join(one) if isinstance(one, dict) else None,
)
def test_arrays_that_are_no_data_set_are_refused(tmp_path, arrays, error, message):
    with pytest.raises(error, match=rf"a\.npz.*{message}"):
        load_dataset(archive(tmp_path, **arrays))


def test_objects_are_never_unpickled(tmp_path):
    path = archive(tmp_path, x=np.array([print, 1], dtype=object), y=np.array([0, 1]))
    with pytest.raises(DataError, match=r"a\.npz is not a complete \.npz file of numbers"):
        load_dataset(path)


def test_a_single_array_is_no_archive(tmp_path):
    np.save(tmp_path / "a.npy", X)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(
        DataError, match=r"not a complete \.npz file of numbers: it is a single array"
    ):
        load_dataset(tmp_path / "a.npz")


WHOLE = 550  # bytes: less than the file has


@given(length=st.integers(0, WHOLE))
def test_every_shortened_file_is_refused(tmp_path_factory, length):
    path = archive(tmp_path_factory.mktemp("npz"), x=X, y=Y)
    assert path.stat().st_size > WHOLE
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match=r"not a complete \.npz file"):
        load_dataset(path)
