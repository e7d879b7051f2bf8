"""Protocols that train: their cells on small data, and the tables that they make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dualbound.data import Dataset, load_dataset
from dualbound.data.sample import sample
from dualbound.errors import OutputError
from dualbound.report import save_lines
from dualbound.studies.experiment import Cell, Kept, measured
from dualbound.studies.protocols import (
    PROTOCOLS,
    TrainingProtocol,
    cnn,
    cnn_adversarial,
    koot_retraining,
    pruned_networks,
    pruning,
    pruning_critical,
    pruning_curves,
    schoenfeld_retraining,
    trained,
)

TRAINING = {key: one for key, one in PROTOCOLS.items() if isinstance(one, TrainingProtocol)}
ON_MNIST = [key for key in TRAINING if "cifar" not in key]


@pytest.fixture(autouse=True)
def small_data(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The embedded images in the place of MNIST, few of each class, and short limits."""

    def loaded(name: str, split: str) -> Dataset:
        assert name == "mnist"
        return replace(sample(), name=name, split=split)

    monkeypatch.setattr(trained, "load_dataset", loaded)
    monkeypatch.setattr(cnn, "QUICK_EACH", 5)
    monkeypatch.setattr(cnn_adversarial, "QUICK_IMAGES", 6)
    monkeypatch.setattr(cnn_adversarial, "PGD_STEPS", 3)
    monkeypatch.setattr(schoenfeld_retraining, "SECONDS", 0.01)
    monkeypatch.setattr(koot_retraining, "QUICK_EACH", 10)
    monkeypatch.setattr(koot_retraining, "SECONDS", 0.2)
    monkeypatch.setattr(koot_retraining, "JUDGED_SECONDS", 0.2)
    monkeypatch.setattr(pruned_networks, "QUICK_EACH", 10)
    monkeypatch.setattr(pruned_networks, "QUICK_SECONDS", 0.5)
    monkeypatch.setattr(pruning_critical, "QUICK_SECONDS", 0.5)
    monkeypatch.setattr(pruning_curves, "CURVE_SECONDS", 0.5)
    monkeypatch.setattr(pruning_curves, "CURVE_QUESTION", 0.5)
    monkeypatch.setattr(pruning, "QUESTION_SECONDS", 1.0)
    caches = trained.data_of, schoenfeld_retraining.parts
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.mark.parametrize("key", ON_MNIST)
@pytest.mark.slow
def test_runs_quickly_and_goes_on(key: str, tmp_path: Path) -> None:
    protocol = TRAINING[key]
    tally = protocol.run(tmp_path, quick=True, executor="serial")
    assert not tally.failed
    assert tally.done == tally.total == len(protocol.cells(True))
    kept = measured(protocol.cells(True), tmp_path)
    tables = protocol.compare(kept)
    page = protocol.page(kept, tally.total, tables)
    assert tables
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
    assert page.startswith(f"# {protocol.title}\n")
    for picture in protocol.draw(kept):
        save_lines(tmp_path / f"{picture.name}.png", picture)
        assert (tmp_path / f"{picture.name}.png").stat().st_size > 1000

    def fails(*_: object, **__: object) -> None:
        raise AssertionError("measured again")

    again = [replace(cell, measure=fails) for cell in protocol.cells(True)]
    assert len(measured(again, tmp_path)) == tally.total


@pytest.mark.parametrize("key", TRAINING)
def test_names_of_cells_are_unlike_and_what_they_need_is_there(key: str) -> None:
    for quick in (True, False):
        cells = TRAINING[key].cells(quick)
        names = [cell.name for cell in cells]
        assert len(set(names)) == len(names)
        assert len({cell.path(Path("x")) for cell in cells}) == len(names)
        before: set[str] = set()
        for cell in cells:
            assert set(cell.needs) <= before
            before.add(cell.name)


@pytest.mark.slow
def test_a_quick_folder_is_not_that_of_the_whole(tmp_path: Path) -> None:
    protocol = TRAINING["cnn-mnist"]
    protocol.run(tmp_path, quick=True)
    with pytest.raises(OutputError, match="another experiment"):
        protocol.run(tmp_path, quick=False)


def test_schoenfeld_trains_on_ten_of_each_digit_and_tests_on_all_others() -> None:
    training, test = schoenfeld_retraining.parts(3)
    assert len(training) == 100
    assert len(training) + len(test) == 2 * len(load_dataset("sample", "test"))


def test_the_vote_is_said_to_be_of_the_row_that_it_is_nearest_to() -> None:
    rows = {
        "clean": {"attacked": None, "others": 0.98, "vote": 0.99, "mean": 0.99},
        "one": {"attacked": 0.84, "others": 0.88, "vote": 0.91, "mean": 0.91},
        "each": {"attacked": 0.84, "others": 0.88, "vote": 0.93, "mean": 0.92},
        "all": {"attacked": None, "others": 0.85, "vote": 0.86, "mean": 0.84},
    }
    result = {"images": 1000, "members": 5, "fgsm": rows, "pgd": rows}
    kept = {"mnist vote": Kept(Cell("mnist vote", dict), result, 1.0, 0.0, "", {})}
    [fgsm, pgd] = TRAINING["cnn-voting"].compare(kept)
    assert "'the first member' (0.910)" in fgsm.note
    assert "0.860, so the published one is no figure of that" in fgsm.note
    assert "PGD" in pgd.title


def test_means_have_standard_errors() -> None:
    assert trained.plus_minus([0.5]) == "0.50 ± 0.00"
    assert trained.mean_and_error([1, 1, 1, 1]) == (1.0, 0.0)
