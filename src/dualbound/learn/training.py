"""Training: the same weights from the same seed, whether or not it was stopped on its way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dualbound.attacks import device_named
from dualbound.data import Dataset
from dualbound.errors import InvalidInput, OutputError
from dualbound.learn import checkpoint
from dualbound.learn.architecture import Architecture
from dualbound.learn.checkpoint import Epoch, State
from dualbound.learn.evaluation import Batches, evaluate, is_right
from dualbound.learn.method import Method, Plain, Step
from dualbound.learn.recipe import Recipe
from dualbound.limits import Clock, Limits

if TYPE_CHECKING:
    import torch
    from torch import nn

SAVE_EVERY = 30.0
"""Seconds between two checkpoints within an epoch."""


@dataclass(frozen=True)
class Moment:
    """How a training is going.

    Attributes:
        epoch: how many epochs are done.
        epochs: how many there will be.
        step: batches of the present one that are done.
        steps: batches of an epoch.
        loss: mean of the present epoch so far.
        accuracy: of the present epoch so far.
        history: of the epochs that are done.
        seconds: since this call began.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    history: tuple[Epoch, ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training has come to.

    Attributes:
        module: in evaluation mode.
        history: what is known after every epoch.
        finished: whether all epochs are done; else the same call with the same folder goes on.
    """

    module: nn.Module
    history: tuple[Epoch, ...]
    finished: bool


def train(
    network: Architecture | nn.Module | str,
    data: Dataset,
    recipe: Recipe | None = None,
    *,
    method: Method | None = None,
    test: Dataset | None = None,
    folder: Path | None = None,
    device: str = "cpu",
    limits: Limits | None = None,
    on_progress: Callable[[Moment], None] | None = None,
) -> Trained:
    """Train a network on a data set, or go on with it.

    Order, dropout and attacks follow from the recipe's seed and the number of the epoch, so a
    training that was stopped and goes on ends in the weights of one that was not, on the same
    machine with the same number of threads. Torch's own random numbers are afterwards as before.

    Args:
        network: what to train: an architecture or its text, whose weights follow from the seed, or
            a module, which is trained from the weights it has, in place.
        data: inputs and labels.
        recipe: optimiser, loss, epochs.
        method: what a step minimises; the loss at the inputs when not given.
        test: data to evaluate on after each epoch.
        folder: for checkpoints, twice a minute and after each epoch; what is found there goes on.
        device: where: ``cpu``, ``cuda``.
        limits: when to stop; Ctrl-C stops too.
        on_progress: called a few times a second.

    Raises:
        InvalidInput: data and network do not fit, or the folder is of another training.
        DataError: the checkpoint is damaged.
        OutputError: it cannot be written.

    >>> from dualbound.data import load_dataset
    >>> sample = load_dataset("sample", "test")
    >>> trained = train("784-16-10", sample, Recipe(epochs=20, rate=0.1))
    >>> trained.finished, evaluate(trained.module, sample).accuracy > 0.9
    (True, True)
    """
    import torch

    recipe, method = recipe or Recipe(), method or Plain()
    place = device_named(device)
    with torch.random.fork_rng(), Clock(limits).catching_ctrl_c() as clock:
        module = _module(network, data, recipe).to(place)
        run = _Run(module, data, recipe, method, test, folder, place, clock, on_progress)
        run.check()
        return run.to_the_end()


def fresh(architecture: Architecture | str, data: Dataset, seed: int = 0) -> nn.Sequential:
    """A module for a data set, with the weights that training begins with.

    Args:
        architecture: or its text.
        data: whose inputs and classes it is for.
        seed: of the weights.

    Raises:
        InvalidInput: the layers do not fit the data.
    """
    import torch

    if isinstance(architecture, str):
        architecture = Architecture.of(architecture)
    with torch.random.fork_rng():
        torch.manual_seed(_mixed(seed, 0))
        return architecture.build(data.shape, classes=len(data.classes))


def _module(network: Architecture | nn.Module | str, data: Dataset, recipe: Recipe) -> nn.Module:
    if isinstance(network, str | Architecture):
        return fresh(network, data, recipe.seed)
    return network


def _mixed(*numbers: int) -> int:
    """A seed of seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


class _Run:
    """One training, from where it stands to its end."""

    def __init__(
        self,
        module: nn.Module,
        data: Dataset,
        recipe: Recipe,
        method: Method,
        test: Dataset | None,
        folder: Path | None,
        device: torch.device,
        clock: Clock,
        on_progress: Callable[[Moment], None] | None,
    ) -> None:
        self.module, self.data, self.test = module, data, test
        self.recipe, self.method, self.device = recipe, method, device
        self.folder, self.clock, self.tell = folder, clock, on_progress
        self.optimiser = recipe.optimiser_of(module)
        self.state = State()
        self.told = self.saved = -np.inf

    def check(self) -> None:
        """See that data and network fit, and take up a checkpoint.

        Raises:
            InvalidInput: they do not.
        """
        import torch

        if not len(self.data):
            raise InvalidInput(f"{self.data.name} has no inputs to train on.")
        if self.test is not None and self.test.shape != self.data.shape:
            raise InvalidInput(
                f"Inputs to train on have the shape {self.data.shape}, those to test on "
                f"{self.test.shape}: they must be alike."
            )
        self.method.check(self.data)
        self.module.eval()
        x, _ = Batches(self.data, np.arange(1), 1, self.device)[0]
        try:
            with torch.no_grad():
                outputs = self.module(x)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise InvalidInput(
                f"The network cannot take inputs of the shape {self.data.shape}, which those of "
                f"{self.data.name} have: {str(error).splitlines()[0]}."
            ) from error
        classes = len(self.data.classes)
        if outputs.shape != (1, classes):
            raise InvalidInput(
                f"The network has outputs of the shape {tuple(outputs.shape[1:])}, expected "
                f"({classes},): one for each class of {self.data.name}."
            )
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.folder} cannot be used: {error.strerror}.") from error
        self.identity = checkpoint.fingerprint(self.module, self.data, self.recipe, self.method)
        found = checkpoint.restore(self.folder, self.identity, self.module, self.optimiser)
        self.state = found or self.state

    def to_the_end(self) -> Trained:
        """Every epoch that is left, or as many as there is time for."""
        while self.state.epoch < self.recipe.epochs and not self.clock.expired:
            if not self._epoch():
                break
        self.module.eval()
        history = tuple(self.state.history)
        return Trained(self.module, history, self.state.epoch >= self.recipe.epochs)

    def _epoch(self) -> bool:
        """One epoch, or what is left of it; whether it came to its end."""
        import torch

        state, began = self.state, time.perf_counter()
        before = state.seconds
        if not state.step:
            torch.manual_seed(_mixed(self.recipe.seed, 1, state.epoch))
            state.added = self._added()
        data = _with(self.data, state.added)
        order = np.random.default_rng(_mixed(self.recipe.seed, 2, state.epoch))
        batches = Batches(data, order.permutation(len(data)), self.recipe.batch, self.device)
        self.module.train()
        while state.step < len(batches):
            if self.clock.expired:
                self._save()
                return False
            self._step(*batches[state.step], len(batches))
            state.step += 1
            state.seconds = before + time.perf_counter() - began
            self._say(len(batches))
            if time.perf_counter() - self.saved > SAVE_EVERY:
                self._save()
        self._close(len(data), before, began)
        return True

    def _added(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        import torch

        self.module.eval()
        found = self.method.added(self.module, self.data, self.state.epoch, self.clock)
        return None if found is None else (torch.from_numpy(found[0]), torch.from_numpy(found[1]))

    def _step(self, x: torch.Tensor, y: torch.Tensor, steps: int) -> None:
        state = self.state
        if len(x) == 1 < self.recipe.batch and steps > 1:  # batch norm has no spread of one
            return
        epoch = state.epoch + state.step / steps
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate_at(epoch)
        seed = _mixed(self.recipe.seed, 3, state.epoch, state.step)
        step = Step(self.module, x, y, self.recipe, epoch, seed)
        try:
            loss, outputs = self.method.loss(step)
        except ValueError as error:
            if len(x) > 1 or isinstance(error, InvalidInput):
                raise
            raise InvalidInput(
                "A batch of one input is not enough for batch norm: give more inputs, or a larger "
                "batch."
            ) from error
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        value = self._finite(float(loss.detach()))
        state.loss += value * len(x)
        state.seen += len(x)
        state.right += int(is_right(outputs.detach(), y).sum())

    def _finite(self, loss: float) -> float:
        if not np.isfinite(loss):
            raise InvalidInput(
                f"The loss is {loss} in epoch {self.state.epoch + 1}: the training has diverged. "
                f"Try a rate below {self.recipe.rate:g}, or a warmup."
            )
        return loss

    def _say(self, steps: int) -> None:
        now = time.perf_counter()
        if self.tell is None or (now - self.told < 0.2 and self.state.step < steps):
            return
        self.told, state = now, self.state
        self.tell(
            Moment(
                state.epoch,
                self.recipe.epochs,
                state.step,
                steps,
                state.loss / max(state.seen, 1),
                state.right / max(state.seen, 1),
                tuple(state.history),
                self.clock.seconds,
            )
        )

    def _close(self, inputs: int, before: float, began: float) -> None:
        """The epoch's record, and a new one."""
        state = self.state
        score = None if self.test is None else evaluate(self.module, self.test, self.recipe)
        state.history.append(
            Epoch(
                epoch=state.epoch + 1,
                rate=self.recipe.rate_at(state.epoch + 1),
                loss=state.loss / max(state.seen, 1),
                accuracy=state.right / max(state.seen, 1),
                test_loss=None if score is None else self._finite(score.loss),
                test_accuracy=None if score is None else score.accuracy,
                seconds=before + time.perf_counter() - began,
                added=inputs - len(self.data),
            )
        )
        self.state = State(epoch=state.epoch + 1, history=state.history)
        self._save()

    def _save(self) -> None:
        if self.folder is not None:
            checkpoint.save(self.folder, self.identity, self.module, self.optimiser, self.state)
        self.saved = time.perf_counter()


def _with(data: Dataset, added: tuple[torch.Tensor, torch.Tensor] | None) -> Dataset:
    """The data, and more of them as floats."""
    if added is None or not len(added[0]):
        return data
    x, y = (part.numpy() for part in added)
    inputs = np.concatenate([data.values(), x.reshape(-1, *data.shape).astype(np.float32)])
    return replace(data, inputs=inputs, labels=np.concatenate([data.labels, y]))
