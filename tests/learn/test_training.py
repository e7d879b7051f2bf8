"""Training: the same weights from the same seed, whatever happens on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dualbound.errors import DataError, InvalidInput, OutputError
from dualbound.learn import (
    Method,
    Moment,
    Plain,
    Recipe,
    Step,
    Trained,
    evaluate,
    fresh,
    train,
    training,
)
from dualbound.learn.checkpoint import FILE
from dualbound.learn.methods import method_named
from dualbound.limits import Limits
from learn.toys import EVERYTHING, Watched, as_floats, rows, same, stripes

RECIPE = Recipe(epochs=3, batch=16, rate=0.05)
STEPS = 4
"""Of an epoch: sixty pictures, sixteen at a time."""


@pytest.fixture(autouse=True)
def _ctrl_c_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualbound.limits.ONE_WISH", 60.0)


def trained(folder: Path | None = None, **options: object) -> Trained:
    defaults = {"recipe": RECIPE, "method": Watched(), "network": EVERYTHING}
    chosen = {**defaults, **options}
    return train(chosen.pop("network"), stripes(), folder=folder, **chosen)


def at_step(step: int, act: Callable[[], object]) -> Watched:
    """A method that acts before it learns from the batch of this number, from 1."""
    return Watched(lambda at, _: act() if at == step else None)


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class TestSeeds:
    def test_decide_the_weights(self) -> None:
        one, again = trained(), trained()
        other = trained(recipe=replace(RECIPE, seed=1))
        assert same(one.module, again.module)
        assert not same(one.module, other.module)
        records = [[(e.loss, e.accuracy) for e in each.history] for each in (one, again, other)]
        assert records[0] == records[1] != records[2]

    def test_leave_the_random_numbers_of_others_alone(self) -> None:
        torch.manual_seed(5)
        before = torch.get_rng_state()
        here = trained()
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(6)
        assert same(trained().module, here.module)

    def test_decide_the_order_in_which_each_epoch_sees_everything_once(self) -> None:
        seen: list[list[float]] = []
        trained(method=Watched(lambda at, step: seen.append(step.x.sum(dim=(1, 2, 3)).tolist())))
        epochs = [
            [value for batch in seen[k : k + STEPS] for value in batch]
            for k in range(0, len(seen), STEPS)
        ]
        every = Counter(torch.from_numpy(stripes().values()).sum(dim=(1, 2, 3)).tolist())
        assert [len(batch) for batch in seen] == [16, 16, 16, 12] * 3
        assert [Counter(epoch) for epoch in epochs] == [every] * 3
        assert epochs[0] != epochs[1] != epochs[2]

    def test_of_steps_differ(self) -> None:
        steps: list[Step] = []
        trained(method=Watched(lambda at, step: steps.append(step)))
        assert len({step.seed for step in steps}) == 3 * STEPS
        assert [step.epoch for step in steps] == [k / STEPS for k in range(3 * STEPS)]


class TestStopping:
    @pytest.mark.parametrize("step", [1, 3, 4, 5, 11, 12])
    def test_by_ctrl_c_and_going_on_ends_in_the_same_weights(
        self, tmp_path: Path, step: int
    ) -> None:
        stopped = trained(tmp_path, method=at_step(step, ctrl_c))
        assert stopped.finished is (step == 12)
        assert len(stopped.history) == step // STEPS
        assert not stopped.module.training
        on = trained(tmp_path)
        assert on.finished
        assert same(on.module, trained().module)
        assert [e.loss for e in on.history] == [e.loss for e in trained().history]

    def test_at_every_step_ends_in_the_same_weights(self, tmp_path: Path) -> None:
        for _ in range(3 * STEPS - 1):
            assert not trained(tmp_path, method=at_step(1, ctrl_c)).finished
        assert same(trained(tmp_path).module, trained().module)

    @pytest.mark.parametrize(
        "options",
        [
            {"optimiser": "adam"},
            {"optimiser": "rmsprop"},
            {"momentum": 0.1, "dampening": 0.1},
            {"nesterov": True, "warmup": 1.5, "decay": 0.01, "loss": "squared"},
        ],
        ids=["adam", "rmsprop", "dampened", "nesterov"],
    )
    def test_goes_on_with_what_any_optimiser_remembers(
        self, tmp_path: Path, options: dict[str, object]
    ) -> None:
        recipe = replace(RECIPE, rate=0.01, **options)
        trained(tmp_path, recipe=recipe, method=at_step(6, ctrl_c))
        on = trained(tmp_path, recipe=recipe)
        assert same(on.module, trained(recipe=recipe).module)

    @pytest.mark.parametrize("name", ["fgsm", "pgd", "fast", "virtual", "interval"])
    @pytest.mark.parametrize("at", [2, 6, 9])
    def test_goes_on_in_any_method(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, at: int
    ) -> None:
        how = {"network": "4c3-m2-8-3", "method": method_named(name, eps=0.1)}
        kind, steps = type(how["method"]), [0]
        loss = kind.loss

        def stopping(method: Method, step: Step) -> object:
            steps[0] += 1
            if steps[0] == at:
                ctrl_c()
            return loss(method, step)

        with monkeypatch.context() as changed:
            changed.setattr(kind, "loss", stopping)
            assert not trained(tmp_path, **how).finished
        on = trained(tmp_path, **how)
        assert on.finished
        assert same(on.module, trained(**how).module)

    def test_by_a_time_limit_and_going_on_ends_in_the_same_weights(self, tmp_path: Path) -> None:
        slow = at_step(6, lambda: time.sleep(1.0))
        stopped = trained(tmp_path, method=slow, limits=Limits(0.9))
        assert not stopped.finished
        assert same(trained(tmp_path).module, trained().module)

    def test_without_a_folder_keeps_what_was_learned_in_memory_only(self) -> None:
        stopped = trained(method=at_step(6, ctrl_c))
        assert (stopped.finished, len(stopped.history)) == (False, 1)
        assert not same(stopped.module, trained().module)

    def test_a_training_that_is_done_has_nothing_left_to_do(self, tmp_path: Path) -> None:
        here = trained(tmp_path)
        again = trained(tmp_path, method=at_step(1, lambda: pytest.fail("learned more")))
        assert again.finished
        assert same(again.module, here.module)
        assert again.history == here.history

    def test_outside_the_main_thread_nothing_catches_ctrl_c(self) -> None:
        found: list[Trained] = []
        thread = threading.Thread(target=lambda: found.append(trained()))
        thread.start()
        thread.join()
        assert same(found[0].module, trained().module)

    @pytest.mark.parametrize("when", ["learning", "writing"])
    @pytest.mark.slow
    def test_by_a_kill_and_going_on_ends_in_the_same_weights(
        self, tmp_path: Path, when: str
    ) -> None:
        program = f"""
            import os, signal, sys
            sys.path.insert(0, {str(Path(__file__).parents[1])!r})
            from learn.toys import EVERYTHING, Watched, stripes
            from dualbound.learn import Recipe, train, training
            from pathlib import Path
            def die(*_):
                os.kill(os.getpid(), signal.SIGKILL)
            def act(at, step):
                if at == 7:
                    if {when!r} == "learning":
                        die()
                    os.replace = die
            training.SAVE_EVERY = 0.0
            train(EVERYTHING, stripes(), {RECIPE!r}, method=Watched(act), folder=Path(sys.argv[1]))
        """
        command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
        ended = subprocess.run(command, capture_output=True, text=True)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        moments: list[Moment] = []
        on = trained(tmp_path, on_progress=moments.append)
        assert (moments[0].epoch, moments[0].step) == (1, 3)  # six steps were kept
        assert same(on.module, trained().module)
        assert [e.accuracy for e in on.history] == [e.accuracy for e in trained().history]


class TestCheckpoints:
    def test_are_written_now_and_then_within_an_epoch(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[int] = []
        save = training.checkpoint.save
        monkeypatch.setattr(
            training.checkpoint, "save", lambda *a: (written.append(a[4].step), save(*a))
        )
        trained(tmp_path)
        assert written == [1, 0, 0, 0]  # the first step, and every epoch
        written.clear()
        monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
        trained(tmp_path / "other")
        assert written == [1, 2, 3, 4, 0] * 3

    @pytest.mark.parametrize(
        "options",
        [
            {"recipe": replace(RECIPE, epochs=4)},
            {"recipe": replace(RECIPE, seed=1)},
            {"method": Plain()},
            {"network": "4c3-m2-8-3"},
        ],
        ids=["epochs", "seed", "method", "layers"],
    )
    def test_of_another_training_are_refused(
        self, tmp_path: Path, options: dict[str, object]
    ) -> None:
        trained(tmp_path, method=at_step(6, ctrl_c))
        before = (tmp_path / FILE).read_bytes()
        with pytest.raises(InvalidInput, match=f"{FILE} is of another training"):
            trained(tmp_path, **options)
        assert (tmp_path / FILE).read_bytes() == before

    def test_of_other_data_are_refused(self, tmp_path: Path) -> None:
        train("4c3-3", stripes(), RECIPE, folder=tmp_path)
        with pytest.raises(InvalidInput, match="of another training"):
            train("4c3-3", stripes(seed=1), RECIPE, folder=tmp_path)

    def test_that_are_damaged_never_give_other_weights(self, tmp_path: Path) -> None:
        here = trained(tmp_path)
        whole = (tmp_path / FILE).read_bytes()
        damages = [b"", b"a letter", whole[: len(whole) // 2], whole[:-1]]
        for at in np.linspace(0, len(whole) - 1, 40).astype(int):
            damages.append(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        refused = 0
        for damage in damages:
            (tmp_path / FILE).write_bytes(damage)
            try:
                assert same(trained(tmp_path).module, here.module)
            except DataError:
                refused += 1
        assert refused >= 24

    @pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
    def test_that_are_cut_off_are_named(self, tmp_path: Path, share: float) -> None:
        trained(tmp_path)
        whole = (tmp_path / FILE).read_bytes()
        (tmp_path / FILE).write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match=rf"{FILE} is damaged .* delete it to begin anew"):
            trained(tmp_path)

    def test_with_parts_missing_are_damaged(self, tmp_path: Path) -> None:
        trained(tmp_path)
        content = torch.load(tmp_path / FILE, weights_only=True)
        for key in content:
            torch.save({k: v for k, v in content.items() if k != key}, tmp_path / FILE)
            with pytest.raises(DataError, match=r"damaged \(KeyError\)"):
                trained(tmp_path)

    def test_survive_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        trained(tmp_path, method=at_step(6, ctrl_c))
        before = (tmp_path / FILE).read_bytes()
        write = Path.write_bytes

        def full(self: Path, data: bytes) -> int:
            write(self, data[:100])
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", full)
            with pytest.raises(OutputError, match=rf"{FILE} cannot be written: No space left"):
                trained(tmp_path)
        assert os.listdir(tmp_path) == [FILE]
        assert (tmp_path / FILE).read_bytes() == before
        assert same(trained(tmp_path).module, trained().module)

    def test_need_a_folder_that_can_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        for folder in (tmp_path / "file", tmp_path / "file" / "below"):
            with pytest.raises(OutputError, match=r"file.* cannot be used"):
                trained(folder)


class TestDivergence:
    def test_is_a_sentence(self) -> None:
        recipe = replace(RECIPE, epochs=30, rate=1e6, loss="squared")
        with pytest.raises(InvalidInput, match=r"diverged\. Try a rate below 1e\+06, or a warmup"):
            train("36-8-3", stripes(), recipe)

    def test_of_weights_that_are_no_numbers(self) -> None:
        module = nn.Linear(4, 3)
        nn.init.constant_(module.weight, torch.nan)
        with pytest.raises(InvalidInput, match="loss is nan in epoch 1"):
            train(module, rows(), RECIPE)

    def test_leaves_the_last_checkpoint(self, tmp_path: Path) -> None:
        trained(tmp_path, method=at_step(6, ctrl_c))
        before = (tmp_path / FILE).read_bytes()
        poison = Watched(lambda at, step: step.module[0].weight.data.fill_(torch.nan))
        with pytest.raises(InvalidInput, match="diverged"):
            trained(tmp_path, method=poison)
        assert (tmp_path / FILE).read_bytes() == before

    def test_on_the_test_set_is_told_too(self) -> None:
        huge = replace(rows(split="test"), inputs=np.full((30, 4), 3e38, dtype=np.float32))
        with pytest.raises(InvalidInput, match="diverged"):
            train("4-8-3", rows(), RECIPE, test=huge)


class TestBatches:
    def test_a_last_batch_of_one_is_left_out(self) -> None:
        seen: list[int] = []
        watched = Watched(lambda at, step: seen.append(len(step.x)))
        data = stripes(17)
        found = train("36-8-bn-3", data, replace(RECIPE, epochs=2), method=watched)
        assert seen == [16, 16]
        for one in found.history:  # of those that were seen
            assert one.accuracy * 16 == round(one.accuracy * 16)

    def test_of_one_are_learned_from(self) -> None:
        seen: list[int] = []
        watched = Watched(lambda at, step: seen.append(len(step.x)))
        found = train("36-8-3", stripes(5), Recipe(epochs=2, batch=1), method=watched)
        assert seen == [1] * 10
        assert not same(found.module, fresh("36-8-3", stripes(5)))
        assert train("36-8-3", stripes(1), Recipe(epochs=2)).finished

    @pytest.mark.parametrize(("count", "batch"), [(1, 16), (5, 1)])
    def test_of_one_are_too_small_for_batch_norm(self, count: int, batch: int) -> None:
        with pytest.raises(InvalidInput, match="one input is not enough for batch norm"):
            train("36-8-bn-3", stripes(count), Recipe(batch=batch))

    def test_larger_than_the_data_are_all_of_them(self) -> None:
        seen: list[int] = []
        watched = Watched(lambda at, step: seen.append(len(step.x)))
        train("36-3", stripes(5), Recipe(epochs=2, batch=1000), method=watched)
        assert seen == [5, 5]


class TestNetworks:
    def test_of_the_user_are_trained_in_place_from_their_weights(self) -> None:
        one, other = fresh("36-8-3", stripes(), seed=3), fresh("36-8-3", stripes(), seed=4)
        with torch.no_grad():
            for a, b in zip(one.parameters(), other.parameters(), strict=True):
                b.copy_(a)
        found = train(one, stripes(), RECIPE)
        assert found.module is one
        train(other, stripes(), RECIPE)
        assert same(one, other)
        untouched = fresh("36-8-3", stripes(), seed=3)
        assert not same(one, untouched)
        assert same(train(untouched, stripes(), Recipe(epochs=0)).module, fresh_of(3))

    def test_of_the_user_keep_what_is_frozen(self) -> None:
        module = fresh("36-8-3", stripes())
        module[1].weight.requires_grad_(False)
        before = module[1].weight.clone()
        train(module, stripes(), RECIPE)
        assert torch.equal(module[1].weight, before)

    @pytest.mark.parametrize(
        ("module", "message"),
        [
            (lambda: nn.Linear(35, 3), r"cannot take inputs of the shape \(1, 6, 6\).*stripes"),
            (lambda: nn.BatchNorm1d(36), r"cannot take inputs of the shape \(1, 6, 6\)"),
            (lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 4)), r"shape \(4,\), expected \(3"),
            (lambda: nn.Conv2d(1, 3, 3), r"outputs of the shape \(3, 4, 4\), expected \(3,\)"),
        ],
        ids=["inputs", "rank", "classes", "images"],
    )
    def test_that_do_not_fit_are_refused(
        self, module: Callable[[], nn.Module], message: str
    ) -> None:
        with pytest.raises(InvalidInput, match=message):
            train(module(), stripes(), RECIPE)

    def test_in_text_that_do_not_fit_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="begin it with 36"):
            train("784-8-3", stripes(), RECIPE)
        with pytest.raises(InvalidInput, match="end it with 3"):
            train("36-8-10", stripes(), RECIPE)

    def test_are_put_where_there_is_a_device(self) -> None:
        with pytest.raises(InvalidInput, match=r"device 'tpu' .*Use one of cpu"):
            train("36-3", stripes(), RECIPE, device="tpu")


def fresh_of(seed: int) -> nn.Module:
    return fresh("36-8-3", stripes(), seed)


class TestData:
    def test_as_bytes_and_as_floats_are_the_same(self) -> None:
        one, other = (train("4c3-3", data, RECIPE) for data in (stripes(), as_floats(stripes())))
        assert same(one.module, other.module)

    def test_to_test_on_must_be_alike(self) -> None:
        with pytest.raises(InvalidInput, match=r"\(1, 6, 6\), those to test on \(4,\)"):
            train("36-3", stripes(), RECIPE, test=rows())


class TestRecords:
    def test_say_how_every_epoch_went(self) -> None:
        test = stripes(30, seed=1, split="test")
        found = train("36-16-3", stripes(), Recipe(epochs=30, rate=0.2), test=test)
        last = found.history[-1]
        assert [one.epoch for one in found.history] == list(range(1, 31))
        assert last.rate == 0
        assert last.added == 0
        score = evaluate(found.module, test)
        assert (last.test_loss, last.test_accuracy) == (score.loss, score.accuracy)
        assert score.accuracy > 0.9
        assert found.history[0].loss > last.loss
        assert last.accuracy > 0.9
        assert all(one.seconds > 0 for one in found.history)

    def test_have_no_test_figures_without_a_test_set(self) -> None:
        [one] = train("36-3", stripes(), Recipe(epochs=1)).history
        assert one.test_loss is None
        assert one.test_accuracy is None

    def test_are_told_on_the_way(self) -> None:
        moments: list[Moment] = []
        trained(on_progress=moments.append)
        first, last = moments[0], moments[-1]
        assert (first.epoch, first.epochs, first.step, first.steps) == (0, 3, 1, STEPS)
        assert (last.epoch, last.step, len(last.history)) == (2, STEPS, 2)
        where = [(one.epoch, one.step) for one in moments]
        assert where == sorted(where)
        assert {(0, STEPS), (1, STEPS), (2, STEPS)} <= set(where)
        assert all(0 <= one.accuracy <= 1 and one.loss > 0 for one in moments)


class TestScores:
    def test_count_what_is_answered_alone(self) -> None:
        """A slow twin, one input at a time, of which every third ties with another label."""
        module = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
        data = stripes(31)
        with torch.no_grad():
            module[1].weight[2] = module[1].weight[1]
            module[1].bias[2] = module[1].bias[1]
        score = evaluate(module, data, batch=7)
        right, losses = 0, []
        for x, label in zip(data.values(), data.labels, strict=True):
            outputs = module(torch.from_numpy(x)[None])[0].detach().double().numpy()
            others = np.delete(outputs, label)
            right += bool(outputs[label] > others.max() + 1e-7)
            losses.append(np.log(np.exp(outputs).sum()) - outputs[label])
        assert score.accuracy == right / 31
        assert score.loss == pytest.approx(np.mean(losses), rel=1e-5)

    def test_are_those_of_evaluation_and_leave_every_mode_as_it_was(self) -> None:
        module = fresh("36-8-bn-d0.5-3", stripes())
        module.train()
        module[2].eval()
        modes = [part.training for part in module.modules()]
        before = [value.clone() for value in module.state_dict().values()]
        assert evaluate(module, stripes()) == evaluate(module, stripes())
        assert [part.training for part in module.modules()] == modes
        after = module.state_dict().values()
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_what_is_random_goes_on_too(tmp_path: Path) -> None:
    seen: dict[str, list[torch.Tensor]] = {"whole": [], "parts": []}

    def drops(name: str, stop: int = 0) -> Watched:
        def act(at: int, step: Step) -> None:
            seen[name].append(nn.functional.dropout(torch.ones_like(step.x)).cpu())
            if at == stop:
                ctrl_c()

        return Watched(act)

    trained(method=drops("whole"), device="cuda")
    trained(tmp_path, method=drops("parts", 6), device="cuda")
    trained(tmp_path, method=drops("parts"), device="cuda")
    pairs = zip(seen["whole"], seen["parts"], strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
