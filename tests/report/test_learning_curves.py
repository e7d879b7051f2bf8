"""The picture of a training, by what is drawn in it."""

from __future__ import annotations

from pathlib import Path

import matplotlib.figure
import pytest

from dualbound.errors import OutputError
from dualbound.learn import Epoch
from dualbound.report import learning, save_learning_curves


def epochs(count: int, *, tested: bool = True) -> list[Epoch]:
    return [
        Epoch(k, 0.1, 1 / k, 1 - 1 / (k + 1), *((2 / k, 0.5) if tested else (None, None)), 1.0)
        for k in range(1, count + 1)
    ]


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch) -> list[matplotlib.figure.Figure]:
    """The figures that are drawn."""
    drawn: list[matplotlib.figure.Figure] = []
    new = learning.new_figure

    def noted(width: float, height: float) -> matplotlib.figure.Figure:
        drawn.append(new(width, height))
        return drawn[-1]

    monkeypatch.setattr(learning, "new_figure", noted)
    return drawn


def test_each_curve_is_that_of_the_record(
    tmp_path: Path, figure: list[matplotlib.figure.Figure]
) -> None:
    history = epochs(5)
    save_learning_curves(tmp_path / "curves.png", history, "dnn1 on mnist")
    loss, accuracy = figure[0].axes
    lines = [[list(line.get_xydata()[:, 1]) for line in axes.lines] for axes in (loss, accuracy)]
    assert lines == [
        [[one.loss for one in history], [one.test_loss for one in history]],
        [[one.accuracy for one in history], [one.test_accuracy for one in history]],
    ]
    assert [list(line.get_xydata()[:, 0]) for line in loss.lines] == [[1, 2, 3, 4, 5]] * 2
    assert loss.get_ylim()[0] == 0
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == [
        "training, while it ran",
        "test",
    ]
    assert figure[0].get_suptitle() == "dnn1 on mnist"
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_test_set_there_is_one_curve(
    tmp_path: Path, figure: list[matplotlib.figure.Figure]
) -> None:
    save_learning_curves(tmp_path / "curves.svg", epochs(3, tested=False), "")
    assert [len(axes.lines) for axes in figure[0].axes] == [1, 1]


def test_a_single_epoch_is_a_point_that_can_be_seen(
    tmp_path: Path, figure: list[matplotlib.figure.Figure]
) -> None:
    save_learning_curves(tmp_path / "curves.pdf", epochs(1), "")
    assert all(line.get_marker() == "o" for axes in figure[0].axes for line in axes.lines)


def test_no_epoch_at_all_is_an_empty_picture(tmp_path: Path) -> None:
    save_learning_curves(tmp_path / "curves.png", [], "nothing yet")
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_a_title_may_be_any_path(tmp_path: Path) -> None:
    save_learning_curves(tmp_path / "curves.png", epochs(2), r"dnn1 on a$b\c$_x.npz")
    assert (tmp_path / "curves.png").exists()


def test_another_kind_of_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"written as \.png or \.pdf or \.svg"):
        save_learning_curves(tmp_path / "curves.jpg", epochs(2), "")
