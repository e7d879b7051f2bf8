"""What a method is not for is refused before anything is trained."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dualbound.data import Dataset
from dualbound.errors import InvalidInput
from dualbound.learn import Architecture, Method, Recipe, train
from dualbound.learn.adversarial import Adversarial, Virtual
from dualbound.learn.interval import Interval

METHODS = (Adversarial("fgsm", 0.1), Adversarial("pgd", 0.1), Virtual(0.1), Interval(0.1))
NAMES = ("fgsm", "pgd", "virtual", "interval")


def data(most: float) -> Dataset:
    x = np.linspace(0, most, 24, dtype=np.float32).reshape(6, 4)
    return Dataset("numbers", "train", x, np.arange(6) % 2, ("even", "odd"))


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_inputs_outside_the_range_are_refused(method: Method) -> None:
    with pytest.raises(InvalidInput, match=r"values from 0 to 3; .* between 0 and 1"):
        train("4-3-2", data(3.0), Recipe(epochs=1), method=method)


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_a_wider_range_takes_them(method: Method) -> None:
    wider = dataclasses.replace(method, upper=3.0)  # type: ignore[type-var]
    assert train("4-3-2", data(3.0), Recipe(epochs=1), method=wider).finished
    assert train("4-3-2", data(1.0), Recipe(epochs=1), method=method).finished


def test_a_divergence_is_not_rewarded() -> None:
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidInput, match="divergence's weight"):
            Virtual(0.1, weight=weight)
    with pytest.raises(InvalidInput, match="xi is 0"):
        Virtual(0.1, xi=0.0)


def test_figures_that_no_float_holds_are_refused() -> None:
    with pytest.raises(InvalidInput, match="learning rate is 1e"):
        Recipe(rate=1e300)
    with pytest.raises(InvalidInput, match="decay is 1e"):
        Recipe(decay=1e300)


def test_a_layer_that_no_memory_holds_is_refused_before_it_is_made() -> None:
    with pytest.raises(InvalidInput, match=r"need [\d,]{13,} numbers"):
        Architecture.of("4-999999999-3").build((4,))
