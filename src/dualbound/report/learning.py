"""Pictures of a training: loss and accuracy, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dualbound.learn import Epoch
from dualbound.report.picture import drawable, new_figure, save_figure

_TRAIN, _TEST = "#6b7280", "#2166ac"
_WIDTH, _HEIGHT, _SHARP = 9.0, 3.4, 160


def save_learning_curves(path: Path | str, history: Sequence[Epoch], title: str) -> None:
    """Draw loss and accuracy against the epochs, of what was trained on and of the test set.

    Args:
        path: ``.png``, ``.pdf`` or ``.svg``.
        history: of a training.
        title: above them.

    Raises:
        OutputError: another suffix, or the file cannot be written.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    path = drawable(path)
    figure = new_figure(_WIDTH, _HEIGHT)
    loss, accuracy = figure.subplots(1, 2)
    epochs = [one.epoch for one in history]
    for axes, trained, tested in (
        (loss, [one.loss for one in history], [one.test_loss for one in history]),
        (accuracy, [one.accuracy for one in history], [one.test_accuracy for one in history]),
    ):
        marker = "o" if len(epochs) < 3 else ""
        axes.plot(epochs, trained, color=_TRAIN, marker=marker, label="training, while it ran")
        if all(value is not None for value in tested):
            axes.plot(epochs, tested, color=_TEST, marker=marker, label="test")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    loss.set_title("loss", loc="left")
    loss.set_ylim(bottom=0)
    accuracy.set_title("accuracy", loc="left")
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    accuracy.legend(frameon=False, loc="lower right")
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold", parse_math=False)
    figure.tight_layout()
    save_figure(path, figure, _SHARP)
