"""Pictures: what is drawn of which input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dualbound.criterion import Class, Criterion, OneOf, Targeted, Untargeted
from dualbound.errors import InvalidInput, OutputError
from dualbound.queries import Answer, Stats, Status, Witness
from dualbound.report import save_picture
from dualbound.report.picture import as_image, signed_change


def answered(after: np.ndarray | None, criterion: Criterion | None = None) -> Answer:
    witness = None
    if after is not None:
        witness = Witness(after, np.array([0.0, 1.0]), 1, 1.0, 0.5, ())
    return Answer(
        Status.FEASIBLE if witness else Status.UNKNOWN,
        "linf",
        0.5 if witness else None,
        0.25,
        0.5 if witness else None,
        witness,
        0,
        criterion=criterion or Untargeted(present=0),
        stats=Stats(1.0, {}, 0, None, "milp margin", "highs"),
    )


@pytest.mark.parametrize(
    "shape", [(1, 28, 28), (28, 28), (784,), (3, 8, 12), (1, 3, 8, 8), (5,), (200,), (2, 3, 4, 5)]
)
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_any_shape_is_drawn(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    before = np.random.default_rng(0).random(shape)
    after = before.copy()
    after.reshape(-1)[:4] = 1 - after.reshape(-1)[:4]
    save_picture(tmp_path / f"a{suffix}", before, answered(after), model="net")
    assert (tmp_path / f"a{suffix}").stat().st_size > 1000


@pytest.mark.parametrize(
    ("criterion", "words"),
    [
        (Targeted(1), ("adversary", "the best adversary of net so far", "reaches label 1")),
        (Untargeted(present=0), ("adversary", "the best adversary", "reaches any other label")),
        (OneOf((1, 2)), ("adversary", "the best adversary", "reaches label 1 or 2")),
        (Class(1), ("repaired", "the best repair for net so far", "reaches the right label 1")),
    ],
)
def test_captions_say_what_was_asked(
    tmp_path: Path, criterion: Criterion, words: tuple[str, ...]
) -> None:
    answer = answered(np.ones((4, 4)), criterion)
    save_picture(tmp_path / "a.svg", np.zeros((4, 4)), answer, model="net")
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")
    for word in words:
        assert word in drawn


def test_nothing_changed_is_drawn_too(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", np.zeros((4, 4)), answered(np.zeros((4, 4))))


def test_a_flat_image_stays_in_step_with_its_shape() -> None:
    flat = np.arange(16.0)
    assert np.array_equal(as_image(flat), flat.reshape(4, 4))


def test_the_change_of_a_colour_is_that_of_its_most_changed_channel() -> None:
    before, after = np.zeros((1, 1, 3)), np.array([[[0.1, -0.6, 0.2]]])
    assert signed_change(before, after)[0, 0] == -0.6


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no witness"):
        save_picture(tmp_path / "a.png", np.zeros(4), answered(None))
    with pytest.raises(OutputError, match="written as"):
        save_picture(tmp_path / "a.doc", np.zeros(4), answered(np.ones(4)))
    with pytest.raises(OutputError, match="cannot be written"):
        save_picture(tmp_path / "no" / "a.png", np.zeros(4), answered(np.ones(4)))


def test_a_count_is_drawn_as_a_count(tmp_path: Path) -> None:
    answer = replace(answered(np.ones((4, 4))), norm="l0", value=3.0, bound=2.0)
    save_picture(tmp_path / "a.svg", np.zeros((4, 4)), answer)
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "L0 distance 3 " in drawn
    assert "no change of fewer than 2 inputs reaches" in drawn
    weighted = replace(answer, weighted=True, bound=2.55556)
    save_picture(tmp_path / "a.svg", np.zeros((4, 4)), weighted)
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "weighted L0 distance 3.0000" in drawn
    assert "nothing closer than 2.5555 reaches" in drawn
