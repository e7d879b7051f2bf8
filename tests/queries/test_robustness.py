"""What robustness claims, what is tried first, and properties of models that end in a softmax."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import dualbound
from dualbound import Bab, Network, Targeted, Untargeted, robustness, verify
from dualbound.errors import InvalidInput, InvalidProperty
from dualbound.network import write_onnx
from dualbound.queries import Outcome, property_for

PLAIN = Network.dense([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]], [[0.0, 0.0, 0.0]])
POINT = [0.7, 0.2, 0.4]


class TestClaims:
    @pytest.mark.parametrize("label", [1, 2])
    def test_without_a_margin_a_tie_is_an_answer(self, label: int) -> None:
        gap = POINT[0] - POINT[label]
        asked = robustness(PLAIN, POINT, gap / 2 + 1e-6, criterion=Targeted(label))
        close = robustness(PLAIN, POINT, gap / 2 - 1e-6, criterion=Targeted(label))
        wide = robustness(PLAIN, POINT, gap / 2 + 1e-6, criterion=Targeted(label, margin=1e-4))
        outcomes = [verify(PLAIN, one).outcome for one in (asked, close, wide)]
        assert outcomes == [Outcome.VIOLATED, Outcome.HOLDS, Outcome.HOLDS]

    def test_every_other_label_by_a_margin_is_a_union(self) -> None:
        asked = robustness(PLAIN, POINT, 0.1, criterion=Untargeted(margin=0.5))
        assert len(asked.cases[0].criterion.polyhedra) == 2
        assert all(np.all(one.b == 0.5) for one in asked.cases[0].criterion.polyhedra)

    def test_it_is_violated_where_another_label_is_level(self) -> None:
        level = robustness(PLAIN, [0.5, 0.5, 0.0], 0.0, label=0)
        assert verify(PLAIN, level, hints=[[0.5, 0.5, 0.0]]).outcome is Outcome.VIOLATED


class TestHints:
    def test_a_counterexample_that_is_known_ends_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Bab, "decide", lambda *a: pytest.fail("searched"))
        found = verify(PLAIN, robustness(PLAIN, POINT, 0.3), hints=[POINT, [0.4, 0.5, 0.4]])
        assert found.outcome is Outcome.VIOLATED
        assert found.witness is not None
        np.testing.assert_allclose(found.witness.x, [0.4, 0.5, 0.4], atol=1e-7)
        assert (found.bound, found.nodes) == (np.inf, 0)

    def test_others_change_nothing(self) -> None:
        asked = robustness(PLAIN, POINT, 0.05)
        assert verify(PLAIN, asked, hints=[POINT]).outcome is Outcome.HOLDS

    def test_must_fit(self) -> None:
        with pytest.raises(InvalidInput):
            verify(PLAIN, robustness(PLAIN, POINT, 0.05), hints=[[0.5, 0.5]])


@pytest.mark.parametrize("branching", ["luck", "inputs"])
def test_branching_that_there_is_not(branching: str) -> None:
    asked = robustness(PLAIN, POINT, 0.05, norm="l2")
    with pytest.raises(InvalidInput, match=r"known are auto|Only boxes are halved"):
        verify(PLAIN, asked, engine=Bab(branching=branching))


class TestSoftmax:
    @pytest.fixture
    def model(self, tmp_path: Path) -> Network:
        proto = onnx.load_from_string(write_onnx(PLAIN))
        [last] = [node for node in proto.graph.node if proto.graph.output[0].name in node.output]
        name = last.output[0]
        last.output[0] = "logits"
        proto.graph.node.append(onnx.helper.make_node("Softmax", ["logits"], [name], axis=-1))
        onnx.save(proto, tmp_path / "softmax.onnx")
        return dualbound.load(tmp_path / "softmax.onnx")

    def asked(self, folder: Path, assertion: str) -> Path:
        lines = [f"(declare-const X_{i} Real)(declare-const Y_{i} Real)" for i in range(3)]
        lines += [f"(assert (>= X_{i} 0))(assert (<= X_{i} 1))" for i in range(3)]
        (folder / "p.vnnlib").write_text("\n".join([*lines, f"(assert {assertion})"]))
        return folder / "p.vnnlib"

    @pytest.mark.parametrize(
        "assertion", ["(>= Y_0 0.5)", "(<= (+ Y_0 Y_1) Y_2)", "(<= Y_0 (* 2 Y_1))"]
    )
    def test_values_of_probabilities_are_refused(
        self, model: Network, tmp_path: Path, assertion: str
    ) -> None:
        with pytest.raises(InvalidProperty, match="ends in a softmax"):
            property_for(model, self.asked(tmp_path, assertion))

    @pytest.mark.parametrize("assertion", ["(<= Y_0 Y_2)", "(and (<= Y_0 Y_2) (>= Y_1 Y_0))"])
    def test_comparisons_of_them_are_not(
        self, model: Network, tmp_path: Path, assertion: str
    ) -> None:
        found = verify(model, property_for(model, self.asked(tmp_path, assertion)))
        assert found.outcome is Outcome.VIOLATED

    def test_without_one_anything_may_be_asked(self, tmp_path: Path) -> None:
        assert property_for(PLAIN, self.asked(tmp_path, "(>= Y_0 0.5)")).outputs == 3
