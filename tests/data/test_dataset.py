import hashlib
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualbound.data import Dataset
from dualbound.errors import InvalidInput

NAMES = ("a", "b", "c", "d")


def dataset(counts=(5, 3, 4), *, seed=0, dtype=np.uint8):
    """So many inputs of each class, mixed, each of which can be told from all others."""
    labels = np.random.RandomState(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    inputs = np.arange(len(labels) * 6, dtype=dtype).reshape(len(labels), 1, 2, 3)
    return Dataset("own", "train", inputs, labels, NAMES[: len(counts)])


def members(data):
    """Inputs and labels as a set of pairs."""
    return {(one.tobytes(), int(y)) for one, y in zip(data.inputs, data.labels, strict=True)}


COUNTS = st.lists(st.integers(1, 9), min_size=2, max_size=4).map(tuple)


# Values


def test_a_byte_k_stands_for_k_over_255():
    inputs = np.arange(256, dtype=np.uint8).reshape(256, 1)
    data = Dataset("all", "test", inputs, np.arange(256) % 2, ("even", "odd"))
    values = data.values()
    assert values.dtype == np.float32
    assert np.array_equal(values[:, 0], (np.arange(256) / 255).astype(np.float32))


def test_reals_are_taken_as_they_are():
    data = dataset(dtype=np.float32)
    assert np.array_equal(data.values(), data.inputs)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_values_are_the_callers_own(dtype):
    data = dataset(dtype=dtype)
    before = data.sha256
    data.values()[:] = 7
    data.values(slice(0, 2))[:] = 7
    assert dataset(dtype=dtype).sha256 == before == data.sha256
    assert (data.inputs != 7).sum() == data.inputs.size - 1


@pytest.mark.parametrize(
    "which",
    [None, slice(2, 5), slice(None, None, -1), [3, 0, 3], np.array([-1]), np.arange(12) % 3 == 0],
    ids=["all", "slice", "backwards", "positions", "from-the-end", "mask"],
)
def test_values_and_subset_choose_alike(which):
    data = dataset()
    part = data.subset(which)
    rows = np.arange(12)[slice(None) if which is None else which]
    assert np.array_equal(part.values(), data.values(which))
    assert np.array_equal(part.labels, data.labels[rows])
    assert (part.name, part.split, part.classes) == (data.name, data.split, data.classes)


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ([12], r"has 12 inputs, found positions from 12 to 12\. They go from 0 to 11"),
        ([0, -13], "found positions from -13 to 0"),
        (np.zeros((1, 1), dtype=int), r"found int64 of shape \(1, 1\)"),
        (np.array([0.5]), "found float64"),
        (np.array([True, False]), r"found bool of shape \(2,\)"),
    ],
    ids=["behind-the-end", "before-the-start", "two-axes", "reals", "short-mask"],
)
def test_a_choice_outside_the_set_is_refused(which, message):
    with pytest.raises(InvalidInput, match=message):
        dataset().values(which)


def test_nothing_is_no_subset():
    with pytest.raises(InvalidInput, match="expected one or more inputs"):
        dataset().subset(slice(0, 0))


# What it holds


def test_inputs_and_labels_are_read_only_and_the_callers_arrays_are_not():
    inputs, labels = np.zeros((2, 3), dtype=np.uint8), np.array([0, 1], dtype=np.uint8)
    data = Dataset("own", "train", inputs, labels, ("a", "b"))
    for array in (data.inputs, data.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    inputs[0] = labels[0] = 1
    assert data.labels.dtype == np.int64
    assert data.shape == (3,)
    assert len(data) == 2


def test_its_words_are_short():
    assert repr(dataset()) == "Dataset(name='own', split='train', classes=('a', 'b', 'c'))"


def test_the_hash_is_of_inputs_labels_and_shape():
    inputs, labels = np.arange(12, dtype=np.uint8).reshape(2, 6), np.array([0, 1])
    one = Dataset("own", "train", inputs, labels, ("a", "b"))
    text = b"uint8 (2, 6)" + inputs.tobytes() + labels.astype("<i8").tobytes()
    assert one.sha256 == hashlib.sha256(text).hexdigest()
    others = [
        Dataset("own", "train", inputs.reshape(2, 2, 3), labels, ("a", "b")),
        Dataset("own", "train", inputs, labels[::-1], ("a", "b")),
        Dataset("own", "train", inputs[::-1], labels, ("a", "b")),
        Dataset("own", "train", inputs.astype(np.float32), labels, ("a", "b")),
    ]
    assert len({one.sha256, *(other.sha256 for other in others)}) == 5
    same = Dataset("other", "test", inputs.copy(order="F"), labels.astype(np.uint8), ("c", "d"))
    assert same.sha256 == one.sha256


def test_it_travels_to_another_process():
    data = dataset()
    assert pickle.loads(pickle.dumps(data)).sha256 == data.sha256


FLOATS = np.zeros((3, 2), dtype=np.float32)
NAN = FLOATS.copy()
NAN[1, 1] = np.nan


@pytest.mark.parametrize(
    ("inputs", "labels", "classes", "message"),
    [
        (FLOATS.astype(float), [0, 1, 0], "ab", "inputs of type float64, expected uint8 or"),
        (FLOATS[:, 0], [0, 1, 0], "ab", r"inputs of shape \(3,\), expected one or more"),
        (FLOATS[:0], [], "ab", r"inputs of shape \(0, 2\), expected one or more"),
        (NAN, [0, 1, 0], "ab", r"1 of 6 values .* the first is nan at \(1, 1\)"),
        (FLOATS, [0.0, 1.0, 0.0], "ab", "labels of type float64, expected whole numbers"),
        (FLOATS, [0, 1], "ab", r"3 inputs but labels of shape \(2,\)"),
        (FLOATS, [[0], [1], [0]], "ab", r"3 inputs but labels of shape \(3, 1\)"),
        (FLOATS, [0, 0, 0], "a", "the classes 'a', expected two or more"),
        (FLOATS, [0, 0, 0], "", "the classes none, expected two or more"),
        (FLOATS, [0, 1, 0], "aa", "the classes 'a', 'a', expected .* a name of its own"),
        (FLOATS, [0, 2, 3], "ab", r"2 labels out of range; the first is 2, of input 1 .* 0 to 1"),
        (FLOATS, [0, -1, 0], "ab", "1 labels out of range; the first is -1"),
    ],
    ids=lambda one: None if isinstance(one, (list, np.ndarray)) else str(one)[:20],
)
def test_what_is_no_labelled_set_is_refused(inputs, labels, classes, message):
    labels = np.array(labels, dtype=None if labels else int)
    with pytest.raises(InvalidInput, match=f"own has .*{message}"):
        Dataset("own", "train", inputs, labels, tuple(classes))


# Parts


@given(counts=COUNTS, seed=st.integers(0, 99), data=st.data())
def test_a_balanced_part_has_as_many_of_every_class(counts, seed, data):
    whole = dataset(counts)
    each = data.draw(st.integers(1, min(counts)))
    part = whole.balanced(each, seed)
    assert np.bincount(part.labels).tolist() == [each] * len(counts)
    assert members(part) <= members(whole)
    assert len(members(part)) == len(part)
    assert part.sha256 == whole.balanced(each, seed).sha256


def test_another_seed_chooses_others():
    whole = dataset((50, 50))
    assert whole.balanced(5, 0).sha256 != whole.balanced(5, 1).sha256
    assert whole.held_out(0.2, 0)[1].sha256 != whole.held_out(0.2, 1)[1].sha256


@pytest.mark.parametrize(
    ("each", "message"),
    [
        (
            4,
            r"own \(train\) has 3 inputs of the class 'b', expected at least 4\. Ask for at most 3",
        ),
        (0, "At least 1 input of every class must be asked for, found 0"),
    ],
)
def test_more_than_there_are_and_none_are_refused(each, message):
    with pytest.raises(InvalidInput, match=message):
        dataset((5, 3, 4)).balanced(each, 0)


@given(counts=COUNTS, seed=st.integers(0, 99), share=st.floats(0.01, 0.99))
def test_the_held_out_part_has_its_share_of_every_class_and_the_rest_is_the_rest(
    counts, seed, share
):
    whole = dataset(counts)
    if max(counts) == 1:
        with pytest.raises(InvalidInput, match="a single input of every class"):
            whole.held_out(share, seed)
        return
    rest, held = whole.held_out(share, seed)
    assert members(rest) | members(held) == members(whole)
    assert len(rest) + len(held) == len(whole)
    for label, n in enumerate(counts):
        k = int((held.labels == label).sum())
        assert k == 0 if n == 1 else 1 <= k <= n - 1
        assert n == 1 or abs(k - share * n) <= 1
    again = whole.held_out(share, seed)
    assert (again[0].sha256, again[1].sha256) == (rest.sha256, held.sha256)


@pytest.mark.parametrize("share", [0, 1, -0.5, float("nan")])
def test_a_share_is_between_0_and_1(share):
    with pytest.raises(InvalidInput, match="must be between 0 and 1"):
        dataset().held_out(share, 0)


def test_the_parts_are_those_that_they_always_were():
    """A study's held-out inputs must not change with a version of numpy."""
    assert dataset().held_out(0.3, 5)[1].inputs[:, 0, 0, 0].tolist() == [12, 42, 48, 60]


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(InvalidInput, match=f"from 0 to 4294967295, found {seed}"):
        dataset().balanced(1, seed)
