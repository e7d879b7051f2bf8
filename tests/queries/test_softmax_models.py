"""Models that end in a softmax: what would be asked of the logits unnoticed is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import dualbound
from dualbound.errors import InvalidCriterion, InvalidInput, InvalidProperty
from dualbound.network import Network
from dualbound.network.onnx_reader import read_onnx


@pytest.fixture
def network() -> Network:
    """Logits (x - 5, 3 x - 6), both negative over [0, 1], and a softmax."""
    weights = numpy_helper.from_array(np.array([[1.0, 3.0]], np.float32), "w")
    bias = numpy_helper.from_array(np.array([-5.0, -6.0], np.float32), "b")
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "w", "b"], ["z"]),
            helper.make_node("Softmax", ["z"], ["y"], axis=1),
        ],
        "softmax",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [weights, bias],
    )
    opset = [helper.make_opsetid("", 17)]
    return read_onnx(
        helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    )


def test_it_is_known_to_lack_its_softmax(network: Network) -> None:
    assert network.lacks_softmax
    assert not dualbound.load("dnn1").lacks_softmax


@pytest.mark.parametrize(
    "criterion",
    [
        dualbound.Targeted(1, ratio=1.5),
        dualbound.Untargeted(ratio=1.5),
        dualbound.OneOf((1,), ratio=1.5),
        dualbound.RunnerUp(ratio=1.5),
    ],
    ids=["targeted", "untargeted", "one of", "runner-up"],
)
def test_a_ratio_is_refused_and_the_margin_that_means_it_is_named(
    network: Network, criterion: dualbound.Criterion
) -> None:
    with pytest.raises(InvalidCriterion, match=r"margin of 0\.405465"):
        dualbound.nearest(network, [0.1], criterion)


def test_that_margin_is_the_ratio_of_two_probabilities(network: Network) -> None:
    criterion = dualbound.Targeted(1, margin=float(np.log(1.5)))
    answer = dualbound.nearest(network, [0.1], criterion, norm="linf")
    assert answer.status is dualbound.Status.OPTIMAL
    logits = network(answer.witness.x)
    shares = np.exp(logits) / np.exp(logits).sum()
    assert shares[1] / shares[0] == pytest.approx(1.5, rel=1e-3)


def test_no_perfect_input_of_probabilities(network: Network) -> None:
    with pytest.raises(InvalidInput, match="ends in a softmax"):
        dualbound.perfect(network, 1)


def test_a_files_property_of_probabilities_is_refused_by_verify_itself(
    network: Network, tmp_path: Path
) -> None:
    """The first probability is at most 0.5; the first logit is far below."""
    text = """
    (declare-const X_0 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)
    (assert (>= X_0 0.0)) (assert (<= X_0 1.0))
    (assert {})
    """
    file = tmp_path / "asked.vnnlib"
    file.write_text(text.format("(>= Y_0 0.3)"))
    asked = dualbound.read_vnnlib(file, inputs=1, outputs=2)
    with pytest.raises(InvalidProperty, match="The model ends in a softmax"):
        dualbound.verify(network, asked)
    file.write_text(text.format("(<= Y_0 Y_1)"))
    compared = dualbound.read_vnnlib(file, inputs=1, outputs=2)
    assert dualbound.verify(network, compared).outcome is dualbound.Outcome.VIOLATED
    margin = dualbound.Targeted(0, margin=2.0)
    asked = dualbound.robustness(network, [1.0], 0.1, criterion=margin)
    assert dualbound.verify(network, asked).outcome is dualbound.Outcome.HOLDS
