"""Scores against exhaustive search, planted neurons, and every way of asking."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from dualbound import Limits, Network
from dualbound.errors import InvalidInput, SolverFailed, SoundnessError
from dualbound.network.torch_chain import chain
from dualbound.prune import importance
from dualbound.prune.score_program import LOSSES, ScoreProgram
from dualbound.prune.scored import lowered, scored, shifts_to_zero
from dualbound.prune.units import layers_of
from dualbound.prune.worst_inputs import box_around
from dualbound.solvers import Highs


def random_network(seed: int, sizes: tuple[int, ...] = (3, 4, 3, 3)) -> Network:
    generator = np.random.default_rng(seed)
    pairs = list(itertools.pairwise(sizes))
    weights = [generator.normal(size=(b, a)) * 1.5 for a, b in pairs]
    biases = [generator.normal(size=b) * 0.5 for _, b in pairs]
    network = Network.dense(weights, biases)
    biases[-1] = biases[-1] - network(generator.random((50, sizes[0]))).mean(axis=0)  # all labels
    return Network.dense(weights, biases)


def batch(network: Network, seed: int, count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed + 100).random((count, network.input_size))
    return x, np.argmax(network(x), axis=1)


def program_of(
    network: Network, x: np.ndarray, y: np.ndarray, loss: str, weight: float
) -> ScoreProgram:
    seen = scored(network, layers_of(chain(network)), x)
    return ScoreProgram(seen, y, LOSSES[loss], weight, True, np.full(len(seen.most), np.nan))


@pytest.mark.parametrize("loss", ["hinge", "softmax"])
@pytest.mark.parametrize("seed", range(8))
def test_whole_scores_are_those_of_exhaustive_search(seed: int, loss: str) -> None:
    network = random_network(seed)
    x, y = batch(network, seed)
    found = importance(network, x, y, loss=loss, weight=2.0, whole=True)
    program = program_of(network, x, y, loss, 2.0)
    best = min(
        program.value(np.where(program.scored.most > 0, np.array(one, dtype=float), 0.0))
        for one in itertools.product([0, 1], repeat=7)
    )
    assert found.finished
    assert found.value == pytest.approx(best, abs=1e-6)
    assert found.bound <= best + 1e-6
    assert all(set(np.unique(one)) <= {0.0, 1.0} for one in found.scores.values())


@pytest.mark.parametrize("seed", range(6))
def test_removed_sets_mean_what_scores_of_zero_mean(seed: int) -> None:
    """The scored network at scores of 0 and 1 is the network with those units at 0."""
    network = random_network(seed)
    x, _ = batch(network, seed)
    layers = layers_of(chain(network))
    seen = scored(network, layers, x)
    scores = np.random.default_rng(seed).integers(0, 2, len(seen.most)).astype(float)
    outputs = seen.outputs(seen.shifts(scores))
    value, ends = x, np.cumsum([0, *(layer.units for layer in layers)])
    for k, name in enumerate(("affine1", "affine2")):
        op = network[name].op
        value = np.maximum(op.maps[0].apply(value) + op.bias, 0)
        value = value * scores[ends[k] : ends[k + 1]]
    op = network["affine3"].op
    assert np.allclose(outputs, op.maps[0].apply(value) + op.bias, atol=1e-9)
    assert np.allclose(lowered(network, layers, seen.shifts(scores))(x), outputs, atol=1e-9)


@pytest.mark.parametrize("loss", ["hinge", "softmax"])
@pytest.mark.parametrize("seed", range(4))
def test_no_scores_at_random_are_better(seed: int, loss: str) -> None:
    network = random_network(seed, (2, 3, 2, 2))
    x, y = batch(network, seed)
    found = importance(network, x, y, loss=loss, weight=1.0)
    program = program_of(network, x, y, loss, 1.0)
    generator = np.random.default_rng(seed)
    tried = [program.value(generator.random(5) ** generator.choice([0, 1, 4])) for _ in range(500)]
    assert found.finished
    assert found.bound - 1e-7 <= min(tried)
    assert found.value == pytest.approx(program.value(np.concatenate(list(found.scores.values()))))
    assert found.value - found.bound <= 1e-4 * max(1, abs(found.value)) + 1e-9


def planted() -> Network:
    """Five neurons: needed, dead, needed, the double of the first (of no consequence), idle."""
    weight = np.array([[1.0, 0.0], [-1.0, -1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    bias = np.array([0.0, -0.5, 0.0, 0.0, 0.0])
    out = np.array([[5.0, 3.0, 0.0, 0.01, 0.0], [0.0, 3.0, 5.0, 0.01, 0.0]])
    return Network.dense([weight, out], [bias, np.zeros(2)])


@pytest.mark.parametrize("loss", ["hinge", "softmax"])
def test_planted_neurons(loss: str) -> None:
    x = np.array([[1.0, 0.2], [0.1, 0.9], [0.8, 0.0], [0.3, 1.0]])
    found = importance(planted(), x, np.array([0, 1, 0, 1]), loss=loss, weight=20.0)
    keep = found.keep()["relu1"]
    assert keep.tolist() == [True, False, True, False, False]


def test_relaxed_scores_come_with_a_bound_of_the_relaxation() -> None:
    network = random_network(3)
    x, y = batch(network, 3)
    relaxed = importance(network, x, y, weight=2.0, relaxed=True)
    exact = importance(network, x, y, weight=2.0)
    assert relaxed.relaxed
    assert relaxed.finished
    assert relaxed.bound <= exact.value + 1e-7
    assert relaxed.value >= exact.bound - 1e-7


def test_class_by_class_is_the_mean_over_classes() -> None:
    network = random_network(5)
    x, y = batch(network, 5, 6)
    classes = np.unique(y)
    assert len(classes) > 1
    alone = [importance(network, x[y == k], y[y == k], weight=2.0) for k in classes]
    both = importance(network, x, y, weight=2.0, by="class")
    for name, scores in both.scores.items():
        assert np.allclose(scores, np.mean([one.scores[name] for one in alone], axis=0))


@pytest.mark.parametrize("seed", range(4))
def test_class_by_class_bounds_all_scores_whatever_the_counts(seed: int) -> None:
    network = random_network(seed)
    x, y = batch(network, seed, 40)
    first = np.flatnonzero(y == y[0])
    few = np.concatenate([first[:4], np.flatnonzero(y != y[0])[:2]])
    found = importance(network, x[few], y[few], loss="hinge", weight=2.0, by="class")
    program = program_of(network, x[few], y[few], "hinge", 2.0)
    every = np.concatenate([*found.scores.values()])
    assert found.value == pytest.approx(program.value(every))
    generator = np.random.default_rng(seed)
    for scores in [*generator.random((200, 7)), *generator.integers(0, 2, (100, 7))]:
        there = program.value(np.where(program.scored.most > 0, scores, 0.0))
        assert found.bound <= there + 1e-7


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("residue", [0.0, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-10])
def test_a_unit_at_its_kink_but_for_a_rounding_error_spoils_no_bound(
    residue: float, whole: bool
) -> None:
    weights = [
        [[0.13, -0.13], [0.64, 0.1], [-0.54, 0.36]],
        [[-2.33, -0.22, -1.25], [-0.73, -0.54, -0.32]],
    ]
    x = np.array([[0.61, 0.73]])
    kink = -(0.64 * 0.61 + 0.1 * 0.73) + residue
    network = Network.dense(weights, [[-0.21, kink, -0.19], [0.12, 0.31]])
    found = importance(network, x, np.array([0]), loss="hinge", weight=0.11, whole=whole)
    assert found.finished
    assert found.bound <= found.value + 1e-9
    assert found.value == pytest.approx(-1.8691, abs=1e-4)


def test_scores_are_kept_where_a_solver_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise SolverFailed("numbers too large.")

    monkeypatch.setattr(Highs, "solve", refuse)
    network = random_network(1)
    found = importance(network, *batch(network, 1), weight=2.0)
    assert not found.finished
    assert found.bound == program_of(network, *batch(network, 1), "softmax", 2.0).least
    assert found.note.endswith("numbers too large")
    assert found.value <= program_of(network, *batch(network, 1), "softmax", 2.0).value(np.ones(7))


def test_a_bound_above_what_was_reached_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    solve = Highs.solve

    def boast(*given: object, **options: object) -> object:
        return replace(solve(*given, **options), bound=10.0)

    monkeypatch.setattr(Highs, "solve", boast)
    network = random_network(1)
    with pytest.raises(SoundnessError, match="highs claims that no scores"):
        importance(network, *batch(network, 1), weight=2.0)


def test_layer_by_layer_ends_in_scores_of_every_layer() -> None:
    network = random_network(1)
    x, y = batch(network, 1)
    found = importance(network, x, y, weight=2.0, by="layer")
    at_once = importance(network, x, y, weight=2.0)
    assert set(found.scores) == {"relu1", "relu2"}
    assert found.value >= at_once.bound - 1e-7
    assert found.bound == program_of(network, x, y, "softmax", 2.0).least <= at_once.bound


@pytest.mark.parametrize("seed", range(3))
def test_robust_scores_hold_at_every_input_near(seed: int) -> None:
    network = random_network(seed, (2, 3, 2))
    x, y = batch(network, seed)
    eps = 0.05
    found = importance(network, x, y, loss="hinge", weight=1.0, eps=eps)
    assert found.finished
    layers = layers_of(chain(network))
    most = shifts_to_zero(network, layers, [box_around(row, eps) for row in x])
    scores = np.concatenate(list(found.scores.values()))
    net = lowered(network, layers, (1 - scores) * most)
    generator = np.random.default_rng(seed)
    moved = np.clip(x[None] + generator.uniform(-eps, eps, (300, *x.shape)), 0, 1)
    losses = np.stack([LOSSES["hinge"](net(points), y) for points in moved])
    program = program_of(network, x, y, "hinge", 1.0)
    assert program.sparsity(scores) + losses.max(axis=0).mean() <= found.value + 1e-6
    assert importance(network, x, y, loss="hinge", weight=1.0).bound <= found.value + 1e-6


@pytest.mark.parametrize("by", ["all", "layer", "class"])
@pytest.mark.parametrize("seed", range(6))
def test_the_order_has_every_unit_once(seed: int, by: str) -> None:
    network = random_network(seed, (2, 3, 2))
    x, y = batch(network, seed)
    for eps in (0.0, 0.05):
        found = importance(
            network, x, y, loss="hinge", weight=1.0, eps=eps, by=by, limits=Limits(5)
        )
        assert sorted(found.order) == list(range(sum(layer.units for layer in found.layers)))


@pytest.mark.slow
def test_a_convolution_has_a_score_for_each_channel() -> None:
    import torch

    from dualbound.network import read_torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(12, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2),
    ).eval()  # fmt: skip
    network = read_torch(module, (1, 6, 6))
    x = np.random.default_rng(0).random((3, 36))
    y = np.argmax(network(x), axis=1)
    found = importance(network, x, y, weight=0.5, limits=Limits(60))
    assert [len(one) for one in found.scores.values()] == [3, 4]
    assert found.bound <= found.value
    # A removed channel is one whose whole map is 0.
    seen = scored(network, layers_of(chain(network)), x)
    outputs = seen.outputs(seen.shifts(np.array([0.0, 1, 1, 1, 1, 1, 1])))
    with torch.no_grad():
        value = module[:3](torch.from_numpy(x.reshape(3, 1, 6, 6)).float())
        value[:, 0] = 0
        there = module[3:](value).numpy()
    assert np.allclose(outputs, there, atol=1e-5)


def test_what_cannot_be_asked() -> None:
    network, x, y = random_network(0), np.zeros((2, 3)), np.array([0, 1])
    with pytest.raises(InvalidInput, match="no inputs"):
        importance(network, np.zeros((0, 3)), y[:0])
    with pytest.raises(InvalidInput, match="from -1 to 0; within a radius"):
        importance(network, x - [[1.0], [0.0]], y, loss="hinge", eps=0.1)
    with pytest.raises(InvalidInput, match="one whole number for each"):
        importance(network, x, y[:1])
    with pytest.raises(InvalidInput, match="Labels from 0 to 7"):
        importance(network, x, np.array([0, 7]))
    with pytest.raises(InvalidInput, match="weight of the loss must be positive"):
        importance(network, x, y, weight=0.0)
    with pytest.raises(InvalidInput, match="use the loss 'hinge'"):
        importance(network, x, y, eps=0.1)
    with pytest.raises(InvalidInput, match="Unknown loss 'huber'"):
        importance(network, x, y, loss="huber")
    with pytest.raises(InvalidInput, match="all, layer or class"):
        importance(network, x, y, by="neuron")
    with pytest.raises(InvalidInput, match="no rectified layer"):
        importance(Network.dense([np.eye(3)], [np.zeros(3)]), x, y)


def test_weights_that_remove_nothing_or_everything_are_told() -> None:
    network = Network.dense([np.eye(2), np.eye(2)], [np.zeros(2), np.zeros(2)])
    x, y = np.array([[0.2, 0.6], [0.5, 0.3]]), np.array([1, 0])
    assert "no unit has a score below" in importance(network, x, y, weight=1e6).note
    assert "weighs too little" in importance(network, x, y, weight=1e-6).note
    assert "have the label" in importance(network, x[:1], y[:1]).note


def test_thresholds() -> None:
    network = random_network(2)
    found = importance(network, *batch(network, 2), weight=2.0)
    assert all(one.all() for one in found.keep(0.0).values())
    for name, kept in found.keep("mean").items():
        assert (kept == (found.scores[name] >= found.scores[name].mean())).all()
    with pytest.raises(InvalidInput, match="from 0 to 1, or 'mean'"):
        found.keep("median")


def test_a_limit_keeps_the_best_scores_so_far() -> None:
    network = random_network(0, (8, 20, 20, 4))
    x, y = batch(network, 0, 20)
    found = importance(network, x, y, limits=Limits(1e-3))
    assert not found.finished
    assert found.value >= found.bound
