"""Replay: the network's file, exactly as given, evaluated by onnxruntime.

No part of the reader is trusted here but the choice of the output: what an input does to the file
is asked of the runtime that users deploy, in the file's own precision.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
from jaxtyping import Float

from dualbound.errors import InvalidModel
from dualbound.network.graph import Network
from dualbound.network.onnx_file import OnnxFile, first_line, open_onnx
from dualbound.network.onnx_writer import write_onnx

if TYPE_CHECKING:
    import onnxruntime


@dataclass(frozen=True, eq=False)
class Replay:
    """What a file answers.

    Attributes:
        outputs: the file's answer; probabilities if it ends in a softmax.
        logits: whether these are the network's logits, no softmax having been stripped.
        before_softmax: the logits in either case, comparable with the network's own outputs.
    """

    outputs: Float[np.ndarray, "*batch m"]
    logits: bool
    before_softmax: Float[np.ndarray, "*batch m"]


def replay(network: Network, x: np.ndarray | list[float]) -> Replay:
    """Run the network's file on one input or on a batch of them, one at a time.

    A network without a file is run as `write_onnx` writes it in float32. Inputs are rounded to
    the file's precision. The runtime's sessions live as long as the network.

    Args:
        network: whose file is run.
        x: of any shape that the network accepts.

    Returns:
        The answers as float64, in the batch shape of ``x``.

    Raises:
        InvalidInput: ``x`` does not fit the network.
        InvalidModel: onnxruntime cannot run the file.

    >>> net = Network.dense([[[1.0, -1.0]], [[2.0], [-2.0]]], [[0.5], [0.0, 1.0]])
    >>> replay(net, [3.0, 1.0]).outputs
    array([ 5., -4.])
    """
    rows = network.flatten(x)
    if network not in _replayers:
        _replayers[network] = Replayer(network)
    answer = _replayers[network](rows)
    if np.shape(x) not in ((network.input_size,), network.input_shape):
        return answer
    return Replay(answer.outputs[0], answer.logits, answer.before_softmax[0])


class Replayer:
    """The sessions of one network's file: the file itself, and the logits where they differ."""

    def __init__(self, network: Network) -> None:
        model = network.source.model if network.source else write_onnx(network)
        self._file = open_onnx(model)
        self._size = network.output_size
        self._answer = _session(self._file.model)
        self._logits: onnxruntime.InferenceSession | None = None
        if self._file.softmax is not None:
            self._logits = _session(_with_output(self._file, self._file.softmax.input[0]))

    def __call__(self, rows: Float[np.ndarray, "batch n"]) -> Replay:
        """The file's answers to inputs given as rows."""
        outputs = self._run(self._answer, self._file.output, rows)
        if self._logits is None or self._file.softmax is None:
            return Replay(outputs, True, outputs)
        return Replay(outputs, False, self._run(self._logits, self._file.softmax.input[0], rows))

    def _run(
        self,
        session: onnxruntime.InferenceSession,
        tensor: str,
        rows: Float[np.ndarray, "batch n"],
    ) -> Float[np.ndarray, "batch m"]:
        answers = np.empty((len(rows), self._size))
        for row, answer in zip(rows, answers, strict=True):
            try:
                with np.errstate(over="ignore"):  # what float32 cannot hold is infinite there
                    fed = row.reshape(self._file.shape).astype(self._file.dtype)
                [value] = session.run([tensor], {self._file.input: fed})
            except Exception as error:
                raise InvalidModel(
                    f"onnxruntime cannot run the model: {first_line(error)}"
                ) from error
            if value.size != self._size:
                raise InvalidModel(
                    f"onnxruntime finds {value.size} outputs where the network has {self._size}; "
                    "the network is not the one in its source file."
                )
            answer[:] = value.reshape(-1)
        return answers


_replayers: weakref.WeakKeyDictionary[Network, Replayer] = weakref.WeakKeyDictionary()


def _session(model: bytes) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise InvalidModel(f"onnxruntime cannot load the model: {first_line(error)}") from error


def _with_output(file: OnnxFile, tensor: str) -> bytes:
    """A copy of the file in which one more tensor is an output."""
    copy = onnx.ModelProto()
    copy.CopyFrom(file.proto)
    if all(output.name != tensor for output in copy.graph.output):
        copy.graph.output.append(onnx.ValueInfoProto(name=tensor))
    return copy.SerializeToString()
