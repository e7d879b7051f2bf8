"""``.nnet`` files: raw units in, raw units out, and what is said of files that are none."""

from __future__ import annotations

import gzip
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualbound.errors import InvalidModel
from dualbound.network import Affine, Relu, load, read_nnet, read_onnx, replay

TINY = """// A network written by hand.
// It has two layers.
2,2,2,3,
2,3,2,
0,
-1.0,0.0,
1.0,100.0,
0.5,50.0,7.0,
2.0,100.0,10.0,
1.0,-1.0,
0.0,2.0,
-1.0,1.0,
0.25,
-0.5,
0.0,
1.0,1.0,0.0,
0.0,-1.0,3.0,
0.125,
-0.25,
"""
"""x = 0.5 + 2 u and 50 + 100 v; hidden u - v + 1/4, 2 v - 1/2, v - u; outputs 7 + 10 y."""


def test_by_hand():
    network = read_nnet(TINY.encode())
    x = [1.5, 100.0]  # u = v = 1/2: hidden 1/4, 1/2, 0; y = 7/8, -3/4
    np.testing.assert_allclose(network(x), [7 + 8.75, 7 - 7.5], rtol=1e-14)
    assert network.input_shape == (2,)
    assert [type(node.op) for node in network.nodes[1:]] == [Affine, Relu, Affine]


def test_the_file_that_is_replayed_is_the_network():
    network = read_nnet(TINY.encode())
    for x in np.random.default_rng(0).uniform([-1, 0], [1, 100], size=(5, 2)):
        np.testing.assert_allclose(replay(network, x).outputs, network(x), rtol=1e-12)
        np.testing.assert_allclose(read_onnx(network.source.model)(x), network(x), rtol=1e-12)


def test_the_note_says_what_the_units_are():
    (note,) = read_nnet(TINY.encode()).source.notes
    assert "raw units" in note
    assert "from [-1, 0] to [1, 100]" in note
    assert "not clipped" in note


@pytest.mark.parametrize("name", ["tiny.nnet", "TINY.NNET", "tiny.nnet.gz"])
def test_from_a_file(tmp_path, name):
    data = TINY.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    network = load(tmp_path / name)
    assert network.source.path == tmp_path / name
    assert repr(network) == "Network(2-3-2, 3 ReLU)"


def written(sizes, weights, biases, mean, spread):
    """The text of a file."""
    rows = [[len(sizes) - 1, sizes[0], sizes[-1], max(sizes)], sizes, [0]]
    rows += [[-1] * sizes[0], [1] * sizes[0], mean, spread]
    for weight, bias in zip(weights, biases, strict=True):
        rows += [*weight, *([b] for b in bias)]
    return "".join(",".join(map(repr, map(float, row))) + ",\n" for row in rows)


@given(sizes=st.lists(st.integers(1, 4), min_size=2, max_size=5), seed=st.integers(0, 2**32))
def test_is_what_the_format_says(sizes, seed):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(m, n)) for n, m in pairwise(sizes)]
    biases = [rng.normal(size=m) for m in sizes[1:]]
    mean = rng.normal(size=sizes[0] + 1) * 100
    spread = rng.uniform(0.1, 1000, size=sizes[0] + 1)
    network = read_nnet(written(sizes, weights, biases, mean, spread).encode())
    x = mean[:-1] + spread[:-1] * rng.normal(size=sizes[0])
    value = (x - mean[:-1]) / spread[:-1]
    for k, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        value = weight @ (np.maximum(value, 0) if k else value) + bias
    expected = value * spread[-1] + mean[-1]
    np.testing.assert_allclose(network(x), expected, rtol=1e-9, atol=1e-9 * spread[-1])


def edited(number, line):
    """The file with another text in one of its lines, or without it."""
    lines = TINY.splitlines()
    lines[number - 1 : number] = [] if line is None else [line]
    return "\n".join(lines).encode()


MALFORMED = [
    (b"", r"it ends before the header\. It is not a \.nnet file"),
    (b"\xff\xfe\x00\x01", "these 4 bytes are not text"),
    (b"hello", "line 1: the header would be 4 numbers; found 1"),
    (b"a,b,c,d", "line 1: the header would be 4 numbers"),
    (TINY.encode()[:60], "it ends before the layers' sizes"),
    (TINY.encode()[:-10], "it ends before a bias of layer 2"),
    (TINY.encode() + b"1.0,\n", "line 20: there is more in the file than its header says"),
    (edited(3, "0,2,2,3,"), "line 3: the header would be 4 positive whole numbers"),
    (edited(3, "2,2.5,2,3,"), "line 3: the header would be 4 positive whole numbers"),
    (edited(3, "1000000000,2,2,3,"), "line 3: it names 1000000000 layers"),
    (edited(3, "3,2,2,3,"), "line 4: the layers' sizes would be 4 numbers; found 3"),
    (edited(4, "2,3,4,"), r"line 4: the layers' sizes \(2, 3, 4\) do not begin with 2 inputs"),
    (edited(4, "2,-3,2,"), "line 4: the layers' sizes would be 3 positive whole numbers"),
    (edited(6, "-1.0,"), "line 6: the smallest inputs would be 2 numbers; found 1"),
    (edited(8, "0.5,50.0,"), "line 8: the means would be 3 numbers; found 2"),
    (edited(9, "2.0,0.0,10.0,"), r"line 9: the ranges \[2, 0, 10\] are not all positive"),
    (edited(11, "0.0,two,"), "line 11: weights of layer 1 would be 2 numbers .*'two'"),
    (edited(11, "0.0,nan,"), "line 11: weights of layer 1 hold NaN or infinity"),
    (edited(11, None), "line 12: weights of layer 1 would be 2 numbers; found 1"),
    (edited(18, "1e999,"), "line 18: a bias of layer 2 hold NaN or infinity"),
]


@pytest.mark.parametrize(("data", "message"), MALFORMED, ids=range(len(MALFORMED)))
def test_malformed(data, message):
    with pytest.raises(InvalidModel, match=message):
        read_nnet(data)


def test_the_file_is_named(tmp_path):
    path = tmp_path / "broken.nnet"
    path.write_bytes(b"")
    with pytest.raises(InvalidModel, match=r"broken\.nnet: it ends before"):
        load(path)


def test_numbers_too_large_to_multiply():
    data = edited(9, "2.0,100.0,1e308,").replace(b"0.0,-1.0,3.0,", b"0.0,-1e300,3.0,")
    with pytest.raises(InvalidModel, match="not finite"):
        read_nnet(data)
