"""``.nnet`` files, the text format of the ACAS Xu networks, become networks.

After comments (``//``) come, one a line, with commas between: the number of layers, inputs, outputs
and the largest layer; the sizes of all layers; a flag that means nothing; the smallest and the
largest inputs; means and ranges of the inputs and of the outputs; and for each layer its rows of
weights and its biases. See https://github.com/sisl/NNet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dualbound.errors import InvalidModel
from dualbound.network.elementwise import Relu
from dualbound.network.graph import Network, Source
from dualbound.network.nodes import Affine, Input, Node
from dualbound.network.onnx_writer import write_onnx

_AGAIN = "Fetch the file again."
_MOST_SIZES = 2**12


def read_nnet(data: bytes, path: Path | None = None) -> Network:
    r"""Read a network from the bytes of a ``.nnet`` file.

    Inputs and outputs are those that a user speaks of: ``(x - mean) / range`` is the first affine
    map, ``y * range + mean`` the last, folded into those beside them. Inputs beyond the smallest
    and the largest that the file names are not clipped. Replays run on the network as
    `write_onnx` writes it in float64.

    Args:
        data: the file's bytes.
        path: where they came from, kept for the record.

    Raises:
        InvalidModel: not such a file, or only part of one, or one that contradicts itself.

    >>> text = "1,2,1,2,\n2,1,\n0,\n0,0,\n9,9,\n1,1,0,\n2,4,10,\n1.0,-1.0,\n0.5,\n"
    >>> net = read_nnet(text.encode())
    >>> net([3.0, 5.0]), net.source.notes[0][:23]
    (array([5.]), 'Inputs are in raw units')
    """
    name = str(path) if path else "The model"
    try:
        lines = _Lines(data)
        network, smallest, largest = _network(lines)
        lines.end()
        note = (
            "Inputs are in raw units, normalised by the means and ranges of the file; it names "
            f"inputs from {_listed(smallest)} to {_listed(largest)}, beyond which they are not "
            "clipped. Outputs are in raw units too."
        )
        source = Source(write_onnx(network, dtype="float64"), path, (note,))
    except InvalidModel as error:
        raise InvalidModel(f"{name}: {error}") from error.__cause__
    return replace(network, source=source)


def _network(
    lines: _Lines,
) -> tuple[Network, Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The network, and the smallest and the largest inputs that the file names."""
    sizes = _sizes(lines)
    inputs, outputs = sizes[0], sizes[-1]
    lines.numbers("a flag", 1)
    smallest, largest = (lines.numbers(f"the {k} inputs", inputs) for k in ("smallest", "largest"))
    mean = lines.numbers("the means", inputs + 1)
    spread = lines.numbers("the ranges", inputs + 1)
    if not np.all(spread > 0):
        raise lines.finding(f"the ranges {_listed(spread)} are not all positive")
    normalise = Affine(np.diag(1 / spread[:-1]), -mean[:-1] / spread[:-1])
    nodes = [Node("x", Input(), (), inputs), Node("normalised", normalise, ("x",), inputs)]
    for k, (n, m) in enumerate(pairwise(sizes), start=1):
        weight = np.array([lines.numbers(f"weights of layer {k}", n) for _ in range(m)])
        bias = np.concatenate([lines.numbers(f"a bias of layer {k}", 1) for _ in range(m)])
        if k > 1:
            nodes.append(Node(f"relu{k - 1}", Relu(), (nodes[-1].name,), n))
        nodes.append(Node(f"affine{k}", Affine(weight, bias), (nodes[-1].name,), m))
    raw = Affine(spread[-1] * np.eye(outputs), np.full(outputs, mean[-1]))
    nodes.append(Node("y", raw, (nodes[-1].name,), outputs))
    return Network(tuple(nodes), (inputs,), "y"), smallest, largest


def _sizes(lines: _Lines) -> tuple[int, ...]:
    """Of the layers, inputs and outputs included."""
    layers, inputs, outputs, _ = lines.sizes("the header", 4)
    sizes = lines.sizes("the layers' sizes", layers + 1)
    if (sizes[0], sizes[-1]) != (inputs, outputs):
        raise lines.finding(
            f"the layers' sizes {sizes} do not begin with {inputs} inputs and end with {outputs} "
            "outputs as the header says"
        )
    return sizes


class _Lines:
    """The lines of a file that hold numbers, one after the other."""

    def __init__(self, data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise InvalidModel(
                f"these {len(data)} bytes are not text, as a .nnet file is. {_AGAIN}"
            ) from error
        self._lines = self._numbered(text)
        self._at = 0

    @staticmethod
    def _numbered(text: str) -> Iterator[tuple[int, str]]:
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip() and not line.lstrip().startswith("//"):
                yield number, line.strip()

    def finding(self, what: str) -> InvalidModel:
        """What is wrong with the present line."""
        return InvalidModel(f"line {self._at}: {what}. {_AGAIN}")

    def numbers(self, what: str, count: int) -> Float[np.ndarray, " count"]:
        """The next line, which holds so many numbers."""
        found = next(self._lines, None)
        if found is None:
            raise InvalidModel(f"it ends before {what}. It is not a .nnet file, or part of one.")
        self._at, line = found
        cells = [cell.strip() for cell in line.removesuffix(",").split(",")]
        if len(cells) != count:
            raise self.finding(f"{what} would be {count} numbers; found {len(cells)}")
        try:
            values = np.array([float(cell) for cell in cells])
        except ValueError as error:
            raise self.finding(f"{what} would be {count} numbers ({error})") from error
        if not np.all(np.isfinite(values)):
            raise self.finding(f"{what} hold NaN or infinity")
        return values

    def sizes(self, what: str, count: int) -> tuple[int, ...]:
        """The next line, which holds so many positive whole numbers."""
        if count > _MOST_SIZES:
            raise self.finding(f"it names {count - 1} layers; at most {_MOST_SIZES} are read")
        values = self.numbers(what, count)
        if np.any(values < 1) or np.any(values % 1):
            raise self.finding(f"{what} would be {count} positive whole numbers; found {values}")
        return tuple(int(value) for value in values)

    def end(self) -> None:
        """Nothing is left."""
        found = next(self._lines, None)
        if found is not None:
            self._at = found[0]
            raise self.finding("there is more in the file than its header says")


def _listed(values: Float[np.ndarray, " n"]) -> str:
    return f"[{', '.join(f'{value:g}' for value in values)}]"
