"""Recipes: their schedules, their losses, and optimisers beside plain twins in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dualbound.errors import InvalidInput
from dualbound.learn import Recipe, train
from dualbound.learn.recipe import SCHEDULES
from learn.toys import rows

EPOCHS = 6


def after_full_batches(recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Weights of one affine layer after full batches of `rows`, by torch and by `twin`."""
    data = rows(12)
    module = nn.Linear(4, 3, bias=False)
    start = module.weight.detach().double().numpy()
    trained = train(module, data, recipe)
    assert trained.finished
    wanted = np.eye(3)[data.labels]
    return module.weight.detach().numpy(), twin(recipe, start, data.values(), wanted)


def twin(recipe: Recipe, w: np.ndarray, x: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The textbook's steps: one for each epoch, since the batch is all there is."""
    v, squares, m = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for k in range(recipe.epochs):
        rate = recipe.rate_at(k)
        g = 2 * (x @ w.T - wanted).T @ x / len(x) + recipe.decay * w
        if recipe.optimiser == "adam":
            m, squares = 0.9 * m + 0.1 * g, 0.999 * squares + 0.001 * g**2
            mean, spread = m / (1 - 0.9 ** (k + 1)), squares / (1 - 0.999 ** (k + 1))
            w = w - rate * mean / (np.sqrt(spread) + 1e-8)
        elif recipe.optimiser == "rmsprop":
            squares = 0.99 * squares + 0.01 * g**2
            v = recipe.momentum * v + g / (np.sqrt(squares) + 1e-8)
            w = w - rate * v
        else:
            v = g if k == 0 else recipe.momentum * v + (1 - recipe.dampening) * g
            w = w - rate * (g + recipe.momentum * v if recipe.nesterov else v)
    return w


OPTIMISERS = {
    "plain": {"momentum": 0.0},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "decay": {"momentum": 0.5, "decay": 0.1},
    "dampened": {"momentum": 0.1, "dampening": 0.1},
    "warmup": {"momentum": 0.9, "schedule": "cosine", "warmup": 2.5},
    "linear": {"momentum": 0.0, "schedule": "linear"},
    "adam": {"optimiser": "adam", "decay": 0.01},
    "rmsprop": {"optimiser": "rmsprop", "momentum": 0.2},
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_step_is_that_of_the_textbook(name: str) -> None:
    settings = {"schedule": "constant", **OPTIMISERS[name]}
    recipe = Recipe(epochs=EPOCHS, batch=12, rate=0.1, loss="squared", **settings)
    found, expected = after_full_batches(recipe)
    assert found == pytest.approx(expected, abs=2e-6)


def test_momentum_and_dampening_of_a_tenth_are_schoenfelds_but_for_the_first_step() -> None:
    recipe = Recipe(epochs=EPOCHS, momentum=0.1, dampening=0.1, rate=0.5, schedule="constant")
    w = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    module = nn.Module()
    module.w = w
    optimiser = recipe.optimiser_of(module)
    v, moved = 0.0, []
    gradients = [1.0, -2.0, 0.5, 3.0]
    for k, g in enumerate(gradients):
        before = w.item()
        w.grad = torch.full((1,), g, dtype=torch.float64)
        optimiser.step()
        v = g if k == 0 else 0.1 * v + 0.9 * g
        moved.append(w.item() - before)
        assert moved[-1] == pytest.approx(-0.5 * v)
    assert moved[0] == pytest.approx(-0.5)  # the gradient itself, not nine tenths of it


class TestSchedules:
    @pytest.mark.parametrize(
        ("schedule", "rates"),
        [
            ("constant", [1, 1, 1, 1, 1]),
            ("linear", [1, 0.75, 0.5, 0.25, 0]),
            ("cosine", [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0]),
            ("steps", [1, 1, 0.1, 0.01, 0.001]),
        ],
    )
    def test_fall_as_they_say(self, schedule: str, rates: list[float]) -> None:
        recipe = Recipe(epochs=12, rate=2.0, schedule=schedule)
        found = [recipe.rate_at(epoch) for epoch in (0, 3, 6, 9, 12)]
        assert found == pytest.approx([2 * rate for rate in rates], abs=1e-12)

    @given(
        st.sampled_from(sorted(SCHEDULES)),
        st.integers(1, 50),
        st.floats(0, 60),
        st.lists(st.floats(0, 50), min_size=2),
    )
    def test_grow_to_the_rate_and_never_beyond_and_fall_from_there(
        self, schedule: str, epochs: int, warmup: float, at: list[float]
    ) -> None:
        recipe = Recipe(epochs=epochs, rate=0.3, schedule=schedule, warmup=warmup)
        rates = [(epoch, recipe.rate_at(epoch)) for epoch in sorted(at) if epoch <= epochs]
        assert all(0 <= rate <= 0.3 * (1 + 1e-12) for _, rate in rates)
        rising = [rate for epoch, rate in rates if epoch < warmup]
        falling = [rate for epoch, rate in rates if epoch >= warmup]
        assert rising == sorted(rising)
        assert falling == sorted(falling, reverse=True)


class TestLosses:
    def test_are_those_of_the_textbook(self) -> None:
        outputs, labels = torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([1, 1])
        squared = Recipe(loss="squared").losses(outputs, labels)
        assert squared.tolist() == [2.0, 4.0]
        entropy = Recipe().losses(outputs, labels)
        expected = [math.log(1 + math.exp(-1)), math.log(1 + math.e)]
        assert entropy.tolist() == pytest.approx(expected)


REFUSED = {
    "epochs": ({"epochs": -1}, "epochs is -1; expected 0 or more"),
    "batch": ({"batch": 0}, "batch is 0; expected 1 or more"),
    "seed": ({"seed": -1}, "seed is -1; expected 0 or more"),
    "rate": ({"rate": 0.0}, "learning rate is 0.0; expected more than 0"),
    "rate not a number": ({"rate": math.nan}, "learning rate is nan"),
    "rate without end": ({"rate": math.inf}, "learning rate is inf"),
    "momentum": ({"momentum": 1.0}, "momentum is 1.0; expected 0 to below 1"),
    "dampening": ({"dampening": -0.1}, "dampening is -0.1"),
    "decay": ({"decay": -1.0}, "decay is -1.0; expected 0 or more"),
    "warmup": ({"warmup": math.inf}, "warmup is inf"),
    "optimiser": ({"optimiser": "lion"}, "optimiser is 'lion'; expected sgd, adam, rmsprop"),
    "schedule": ({"schedule": "sine"}, "schedule is 'sine'; expected constant, cosine"),
    "loss": ({"loss": "l1"}, "loss is 'l1'; expected cross-entropy, squared"),
    "nesterov of adam": ({"nesterov": True, "optimiser": "adam"}, "SGD with momentum"),
    "nesterov without momentum": ({"nesterov": True, "momentum": 0.0}, "SGD with momentum"),
    "nesterov dampened": ({"nesterov": True, "dampening": 0.1}, "without dampening"),
}


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Recipe(**settings)


def test_a_network_without_weights_has_nothing_to_train() -> None:
    frozen = nn.Linear(4, 3).requires_grad_(False)
    for module in (nn.ReLU(), frozen):
        with pytest.raises(InvalidInput, match="no weights to train"):
            Recipe().optimiser_of(module)
