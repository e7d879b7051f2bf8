"""The truth about tiny networks: every activation pattern in turn, a linear program each.

Nothing of dualbound is used here, so that an error there cannot hide itself. On one pattern the
network is affine, and the points that have the pattern are a polytope (closed: on a common face two
patterns agree about every value). What holds on all polytopes that are not empty holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, pairwise, product
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog, minimize, nnls

TOLERANCE = 1e-10
"""Feasibility tolerance of the linear programs, the smallest that HiGHS accepts."""


@dataclass(frozen=True)
class Tiny:
    """A chain of affine maps with a rectifier after each but the last, or after each."""

    weights: Sequence[np.ndarray]
    biases: Sequence[np.ndarray]
    final_relu: bool = False

    @property
    def inputs(self) -> int:
        return self.weights[0].shape[1]

    @property
    def outputs(self) -> int:
        return len(self.biases[-1])

    def rectified(self, layer: int) -> bool:
        return self.final_relu or layer < len(self.weights) - 1

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = weight @ x + bias
            if self.rectified(layer):
                x = np.where(x > 0, x, 0.0)
        return x


@dataclass(frozen=True)
class Allowed:
    """Inputs in a box, and within an L1 distance of a centre if one is given."""

    lower: np.ndarray
    upper: np.ndarray
    center: np.ndarray | None = None
    radius: float = np.inf


class Wish(NamedTuple):
    """Outputs at which label ``target`` wins by a ratio (with a floor) or by a margin."""

    target: int
    ratio: float | None = None
    margin: float | None = None
    floor: float = 1e-3

    def rows(self, outputs: int) -> tuple[np.ndarray, np.ndarray]:
        """``G`` and ``h`` such that the wish is ``G·o <= h``."""
        left, right = [], []
        for j in range(outputs):
            row = np.zeros(outputs)
            row[self.target] = -1.0
            if j == self.target:
                if self.ratio is None:
                    continue
                right.append(-self.floor)
            else:
                row[j] = 1.0 if self.ratio is None else self.ratio
                right.append(0.0 if self.margin is None else -self.margin)
            left.append(row)
        return np.array(left), np.array(right)


class Lift:
    """Columns ``x, d, t`` with ``|x - center| <= d <= t`` beside the box and the ball."""

    def __init__(self, allowed: Allowed) -> None:
        n = len(allowed.lower)
        self.n = n
        self.bounds = [*zip(allowed.lower, allowed.upper, strict=True)]
        center = allowed.center
        if center is None:
            self.columns, self.left, self.right = n, np.zeros((0, n)), np.zeros(0)
            return
        self.columns = 2 * n + 1
        self.bounds += [(0.0, None)] * (n + 1)
        eye, zero = np.eye(n), np.zeros((n, 1))
        parts = [
            np.hstack([eye, -eye, zero]),
            np.hstack([-eye, -eye, zero]),
            np.hstack([np.zeros((n, n)), eye, zero - 1]),
        ]
        right = [center, -center, np.zeros(n)]
        if np.isfinite(allowed.radius):
            parts.append(np.concatenate([np.zeros(n), np.ones(n), [0.0]])[None])
            right.append(np.array([allowed.radius]))
        self.left, self.right = np.vstack(parts), np.concatenate(right)

    def minimum(self, cost: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
        """The least ``cost · columns`` with ``left · x <= right``; infinity if there is none."""
        return self._solved(cost, left, right)[0]

    def a_point(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The columns of some point with ``left · x <= right``."""
        return self._solved(np.zeros(0), left, right)[1]

    def _solved(
        self, cost: np.ndarray, left: np.ndarray, right: np.ndarray
    ) -> tuple[float, np.ndarray]:
        wide = np.zeros((len(left), self.columns))
        wide[:, : self.n] = left
        full = np.zeros(self.columns)
        full[: len(cost)] = cost
        solved = linprog(
            full,
            A_ub=np.vstack([self.left, wide]),
            b_ub=np.concatenate([self.right, right]),
            bounds=self.bounds,
            method="highs",
            options={
                "primal_feasibility_tolerance": TOLERANCE,
                "dual_feasibility_tolerance": TOLERANCE,
                "presolve": False,
            },
        )
        if solved.status == 2:
            return np.inf, np.zeros(0)
        if solved.status != 0:
            raise RuntimeError(f"The linear program was not solved: {solved.message}")
        return float(solved.fun), solved.x


class Cell(NamedTuple):
    """A polytope ``left·x <= right`` on which everything up to a layer is ``weight·x + bias``."""

    left: np.ndarray
    right: np.ndarray
    weight: np.ndarray
    bias: np.ndarray


def cells(tiny: Tiny, lift: Lift) -> Iterator[tuple[int, Cell]]:
    """Every layer's pre-activations on every pattern before it, and last the outputs.

    Layers count from 0; the outputs come with the number of layers.
    """
    n = tiny.inputs
    start = Cell(np.zeros((0, n)), np.zeros(0), np.eye(n), np.zeros(n))
    yield from _from_layer(tiny, lift, 0, start)


def _from_layer(tiny: Tiny, lift: Lift, layer: int, cell: Cell) -> Iterator[tuple[int, Cell]]:
    if layer == len(tiny.weights):
        yield layer, cell
        return
    weight = tiny.weights[layer] @ cell.weight
    bias = tiny.weights[layer] @ cell.bias + tiny.biases[layer]
    cell = Cell(cell.left, cell.right, weight, bias)
    yield layer, cell
    if not tiny.rectified(layer):
        yield from _from_layer(tiny, lift, layer + 1, cell)
        return
    for left, right, active in _signs(lift, cell, 0):
        rectified = Cell(left, right, weight * active[:, None], bias * active)
        yield from _from_layer(tiny, lift, layer + 1, rectified)


def _signs(
    lift: Lift, cell: Cell, neuron: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Every way to choose the signs of a layer's neurons from one on that leaves a point."""
    if neuron == len(cell.bias):
        yield cell.left, cell.right, np.zeros(0)
        return
    row, constant = cell.weight[neuron], cell.bias[neuron]
    low, high = np.array(lift.bounds[: lift.n], dtype=float).T
    least = np.minimum(row * low, row * high).sum() + constant
    most = np.maximum(row * low, row * high).sum() + constant
    for active in (True, False):
        if active and least > 0:
            chosen = cell  # The whole box has this sign: no row needed.
        elif (active and most < 0) or (not active and least > 0):
            continue
        elif not active and most < 0:
            chosen = cell
        else:
            sign = 1.0 if active else -1.0
            left = np.vstack([cell.left, -sign * row])
            right = np.append(cell.right, sign * constant)
            if lift.minimum(np.zeros(lift.n), left, right) == np.inf:
                continue
            chosen = cell._replace(left=left, right=right)
        for left, right, others in _signs(lift, chosen, neuron + 1):
            yield left, right, np.concatenate([[float(active)], others])


class Piece(NamedTuple):
    """A polytope ``left·x <= right`` on which a whole chain is affine, and its pattern.

    Attributes:
        maps: weight and bias of every layer's pre-activations.
        active: of every layer's rectifiers, ones and zeros; ones where there are none.
    """

    left: np.ndarray
    right: np.ndarray
    maps: list[tuple[np.ndarray, np.ndarray]]
    active: list[np.ndarray]

    def outputs(self) -> tuple[np.ndarray, np.ndarray]:
        weight, bias = self.maps[-1]
        return weight * self.active[-1][:, None], bias * self.active[-1]


def pieces(tiny: Tiny, lift: Lift) -> Iterator[Piece]:
    """Every pattern of the whole chain that has a point."""

    def further(piece: Piece) -> Iterator[Piece]:
        layer = len(piece.maps)
        if layer == len(tiny.weights):
            yield piece
            return
        n = tiny.inputs
        before = piece.outputs() if layer else (np.eye(n), np.zeros(n))
        weight = tiny.weights[layer] @ before[0]
        bias = tiny.weights[layer] @ before[1] + tiny.biases[layer]
        maps = [*piece.maps, (weight, bias)]
        if not tiny.rectified(layer):
            yield from further(Piece(piece.left, piece.right, maps, [*piece.active, bias * 0 + 1]))
            return
        for left, right, active in _signs(lift, Cell(piece.left, piece.right, weight, bias), 0):
            yield from further(Piece(left, right, maps, [*piece.active, active]))

    yield from further(Piece(np.zeros((0, tiny.inputs)), np.zeros(0), [], []))


@dataclass(frozen=True)
class Combination:
    """Coefficients of all that a chain computes; lists have an array for each layer.

    Attributes:
        inputs: of the inputs.
        pre: of the values before a rectifier; of the last layer's, where it has none.
        post: of those after it.
        phases: of ones where a rectifier is inactive; a value of 0 is on both sides.
        slacks: of ``max(-pre, 0)``.
    """

    inputs: np.ndarray
    pre: list[np.ndarray]
    post: list[np.ndarray]
    phases: list[np.ndarray]
    slacks: list[np.ndarray]

    def on(self, piece: Piece) -> tuple[np.ndarray, float]:
        """Its slope and constant on one pattern."""
        slope, constant = self.inputs.astype(float), 0.0
        for k, ((weight, bias), active) in enumerate(zip(piece.maps, piece.active, strict=True)):
            row = self.pre[k] + self.post[k] * active - self.slacks[k] * (1 - active)
            slope = slope + row @ weight
            constant += float(row @ bias + self.phases[k] @ (1 - active))
        return slope, constant

    def greatest(self, tiny: Tiny, allowed: Allowed) -> float:
        """Over all allowed inputs."""
        lift = Lift(allowed)
        best = -np.inf
        for piece in pieces(tiny, lift):
            slope, constant = self.on(piece)
            best = max(best, constant - lift.minimum(-slope, piece.left, piece.right))
        return best


def least_l1_loss(tiny: Tiny, label: int, allowed: Allowed) -> float:
    """The least ``sum |outputs - one-hot|`` over all allowed inputs."""
    lift, goal, best = Lift(allowed), np.eye(tiny.outputs)[label], np.inf
    for piece in pieces(tiny, lift):
        weight, bias = piece.outputs()
        for signs in product((1.0, -1.0), repeat=tiny.outputs):
            sign = np.array(signs)  # where the differences have these signs, the sum is linear
            left = np.vstack([piece.left, -sign[:, None] * weight])
            right = np.concatenate([piece.right, sign * (bias - goal)])
            least = lift.minimum(sign @ weight, left, right) + sign @ (bias - goal)
            best = min(best, float(least))
    return best


def least_squared_loss(
    tiny: Tiny, label: int, allowed: Allowed, one: float = 1.0
) -> tuple[float, float]:
    """The same of ``sum (outputs - one-hot)^2``: a value that is reached, and one that is not.

    On a polytope the loss is convex: where a general method ends, its tangent plane bounds it.

    Args:
        tiny: the network.
        label: whose output is to be ``one``.
        allowed: inputs.
        one: what the others are 0 to.
    """
    lift, goal = Lift(allowed), one * np.eye(tiny.outputs)[label]
    value = bound = np.inf
    for piece in pieces(tiny, lift):
        weight, bias = piece.outputs()
        offset, n = bias - goal, lift.n

        def loss(v: np.ndarray, weight: np.ndarray = weight, offset: np.ndarray = offset) -> float:
            return float(((weight @ v[: len(weight[0])] + offset) ** 2).sum())

        def slope(v: np.ndarray, weight: np.ndarray = weight, offset: np.ndarray = offset):
            found = np.zeros(len(v))
            found[: len(weight[0])] = 2 * (weight @ v[: len(weight[0])] + offset) @ weight
            return found

        wide = np.zeros((len(piece.left), lift.columns))
        wide[:, :n] = piece.left
        left = np.vstack([lift.left, wide])
        right = np.concatenate([lift.right, piece.right])
        solved = minimize(
            loss,
            lift.a_point(piece.left, piece.right),
            jac=slope,
            bounds=lift.bounds,
            constraints={
                "type": "ineq",
                "fun": lambda v, left=left, right=right: right - left @ v,
                "jac": lambda v, left=left: -left,
            },
            method="SLSQP",
            options={"ftol": 1e-13, "maxiter": 300},
        )
        at, gradient = loss(solved.x), slope(solved.x)
        tangent = lift.minimum(gradient, piece.left, piece.right) - gradient @ solved.x
        value, bound = min(value, at), min(bound, at + float(tangent))
    return value, bound


def nearest_distance(
    tiny: Tiny,
    center: np.ndarray,
    wish: Wish,
    norm: str,
    lower: np.ndarray,
    upper: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """The distance of the nearest input of the box that gets its wish; infinity if none does."""
    plain = Lift(Allowed(lower, upper))
    prices = np.ones(tiny.inputs) if weights is None else weights
    within = {"l0": _within_l0, "l1": _within_l1, "l2": _within_l2, "linf": _within_linf}[norm]
    wanted, limit = wish.rows(tiny.outputs)
    best = np.inf
    for layer, cell in cells(tiny, plain):
        if layer == len(tiny.weights):
            left = np.vstack([cell.left, wanted @ cell.weight])
            right = np.concatenate([cell.right, limit - wanted @ cell.bias])
            best = min(best, within(center, left, right, lower, upper, prices))
    return best


class CellDistance(NamedTuple):
    """A pattern and its nearest input.

    Attributes:
        pattern: of all rectifiers, ones and zeros; zero where a neuron is zero on the whole cell.
        distance: of the nearest input of the closed cell that gets its wish; infinity if none does.
        depth: how far inside the cell and the wish an input can be, all rows that are not constant
            scaled to a largest coefficient of 1.
    """

    pattern: tuple[int, ...]
    distance: float
    depth: float


def nearest_of_each_cell(
    tiny: Tiny,
    center: np.ndarray,
    wish: Wish,
    norm: str,
    lower: np.ndarray,
    upper: np.ndarray,
    weights: np.ndarray | None = None,
) -> list[CellDistance]:
    """Every pattern on which some input gets its wish, the nearest first."""
    plain = Lift(Allowed(lower, upper))
    prices = np.ones(tiny.inputs) if weights is None else weights
    within = {"l1": _within_l1, "l2": _within_l2, "linf": _within_linf}[norm]
    wanted, limit = wish.rows(tiny.outputs)
    found: dict[tuple[int, ...], CellDistance] = {}
    for piece in pieces(tiny, plain):
        name: list[int] = []
        rows, sides = [], []
        for layer, ((weight, bias), active) in enumerate(
            zip(piece.maps, piece.active, strict=True)
        ):
            for row, constant, on in zip(weight, bias, active, strict=True):
                if not tiny.rectified(layer):
                    continue
                sign = 1.0 if on else -1.0
                rows.append(-sign * row)
                sides.append(sign * constant)
                fixed = np.all(np.abs(row[lower < upper]) <= 1e-12)
                name.append(int(on and not (fixed and abs(constant + row @ lower) <= 1e-12)))
        weight, bias = piece.outputs()
        left = np.vstack([*rows, wanted @ weight])
        right = np.concatenate([sides, limit - wanted @ bias])
        if tuple(name) in found:
            continue
        distance = within(center, left, right, lower, upper, prices)
        if distance < np.inf:
            depth = _depth(left, right, lower, upper)
            found[tuple(name)] = CellDistance(tuple(name), distance, depth)
    return sorted(found.values(), key=lambda cell: cell.distance)


def _depth(left: np.ndarray, right: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    """The largest ``t`` with ``left·x + t <= right`` in a box, constant rows without ``t``."""
    size = np.abs(left[:, lower < upper]).max(axis=1, initial=0.0)
    moves = size > 1e-12
    scale = np.where(moves, size, 1.0)
    solved = linprog(
        np.append(np.zeros(len(lower)), -1.0),
        A_ub=np.hstack([left / scale[:, None], moves[:, None].astype(float)]),
        b_ub=right / scale,
        bounds=[*zip(lower, upper, strict=True), (None, 1e3)],
        method="highs",
    )
    return -np.inf if solved.status == 2 else -float(solved.fun)


def _within_l1(
    center: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    prices: np.ndarray,
) -> float:
    """The nearest point of a polytope in a box."""
    n = len(center)
    measured = Lift(Allowed(lower, upper, center))
    return measured.minimum(np.concatenate([np.zeros(n), prices, [0.0]]), left, right)


def _within_linf(
    center: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    prices: np.ndarray,
) -> float:
    """In inputs that are stretched by their prices, all prices are 1."""
    n = len(center)
    measured = Lift(Allowed(lower * prices, upper * prices, center * prices))
    return measured.minimum(np.append(np.zeros(2 * n), 1.0), left / prices, right)


def _within_l2(
    center: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    prices: np.ndarray,
) -> float:
    """Least distance programming by non-negative least squares (Lawson and Hanson, chapter 23)."""
    if Lift(Allowed(lower, upper)).minimum(np.zeros(len(center)), left, right) == np.inf:
        return np.inf
    stretch = np.sqrt(prices)
    eye = np.eye(len(center))
    above = np.vstack([-left, eye, -eye])
    least = np.concatenate([-right, lower, -upper]) - above @ center
    size = np.abs(above).max(axis=1)
    above, least = (
        (above / stretch)[size > 0] / size[size > 0, None],
        (least / np.where(size > 0, size, 1))[size > 0],
    )
    matrix = np.vstack([above.T, least])
    wanted = np.append(np.zeros(len(center)), 1.0)
    found, _ = nnls(matrix, wanted, maxiter=1000)
    rest = matrix @ found - wanted
    return float(np.sqrt((rest[:-1] ** 2).sum()) / -rest[-1])


def _within_l0(
    center: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    prices: np.ndarray,
) -> float:
    """Every set of inputs that may change, in turn."""
    n = len(center)
    best = np.inf
    for chosen in chain.from_iterable(combinations(range(n), k) for k in range(n + 1)):
        moves = np.isin(np.arange(n), chosen)
        cost = float(prices[moves].sum())
        if cost < best:
            low, high = np.where(moves, lower, center), np.where(moves, upper, center)
            if Lift(Allowed(low, high)).minimum(np.zeros(n), left, right) < np.inf:
                best = cost
    return best


def distance_between(
    x: np.ndarray, center: np.ndarray, norm: str, weights: np.ndarray | None = None
) -> float:
    """How far apart two inputs are."""
    prices = np.ones(len(center)) if weights is None else weights
    away = np.abs(x - center)
    if norm == "l0":
        return float(prices[away > 0].sum())
    if norm == "l2":
        return float(np.sqrt((prices * away**2).sum()))
    return float((prices * away).sum() if norm == "l1" else (prices * away).max())


def nearest_on_grid(
    tiny: Tiny,
    center: np.ndarray,
    wish: Wish,
    norm: str,
    lower: np.ndarray,
    upper: np.ndarray,
    grid: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """The same, of the inputs on a grid: each of them in turn."""
    wanted, limit = wish.rows(tiny.outputs)
    best = np.inf
    each = [
        marks[(marks >= a) & (marks <= b)] for marks, a, b in zip(grid.T, lower, upper, strict=True)
    ]
    for point in product(*each):
        x = np.array(point)
        far = distance_between(x, center, norm, weights)
        if far < best and np.all(wanted @ tiny(x) <= limit):
            best = far
    return best


def exact_bounds(tiny: Tiny, allowed: Allowed) -> list[tuple[np.ndarray, np.ndarray]]:
    """The least and the greatest pre-activation of every neuron of every layer."""
    lift = Lift(allowed)
    found = [(np.full(len(b), np.inf), np.full(len(b), -np.inf)) for b in tiny.biases]
    for layer, cell in cells(tiny, lift):
        if layer < len(found):
            low, high = found[layer]
            for j, (row, constant) in enumerate(zip(cell.weight, cell.bias, strict=True)):
                low[j] = min(low[j], lift.minimum(row, cell.left, cell.right) + constant)
                high[j] = max(high[j], constant - lift.minimum(-row, cell.left, cell.right))
    return found


def random_tiny(rng: np.random.Generator, outputs: int | None = None) -> Tiny:
    """2-4 inputs, 1-3 hidden layers of 1-4 neurons, 2-3 outputs, and now and then a nasty trait.

    Traits: a final rectifier, a dead neuron, a duplicated neuron, a neuron of zeros, and small
    integers and halves for weights, which make ties.
    """
    hidden = rng.integers(1, 4)
    width = 5 - hidden  # At most 4, 6 or 6 neurons: the patterns are all enumerated.
    sizes = [rng.integers(2, 5), *rng.integers(1, width + 1, hidden), rng.integers(2, 4)]
    if outputs is not None:
        sizes[-1] = outputs
    if rng.random() < 0.1:
        sizes[1:-1] = rng.integers(3, 5, min(hidden, 2)).tolist()
    if rng.random() < 0.25:
        weights = [rng.integers(-4, 5, (m, n)) / 2 for n, m in _pairs(sizes)]
        biases = [rng.integers(-2, 3, m) / 2 for m in sizes[1:]]
    else:
        weights = [rng.normal(size=(m, n)) * 1.5 for n, m in _pairs(sizes)]
        biases = [rng.normal(size=m) * 0.5 for m in sizes[1:]]
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        at, trait = rng.integers(len(bias)), rng.random()
        if trait < 0.1:
            bias[at] = -20.0
        elif trait < 0.2:
            weight[at], bias[at] = weight[0], bias[0]
        elif trait < 0.3:
            weight[at] = 0.0
    return Tiny(weights, biases, final_relu=bool(rng.random() < 0.2))


def _pairs(sizes: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise(sizes))


@dataclass(frozen=True)
class Case:
    """A nearest question about a tiny network, in plain arrays."""

    tiny: Tiny
    lower: np.ndarray
    upper: np.ndarray
    center: np.ndarray
    cap: float | np.ndarray | None
    mask: np.ndarray | None
    wish: Wish
    norm: str
    weights: np.ndarray | None = None
    levels: int | None = None

    @property
    def grid(self) -> np.ndarray:
        """The values that each input may take, one column an input."""
        part = (np.arange(self.levels + 1) / self.levels)[:, None]
        inner = self.lower + (self.upper - self.lower) * part
        return np.where(part == 1, self.upper, inner)

    @property
    def room(self) -> tuple[np.ndarray, np.ndarray]:
        """The box with cap and mask applied."""
        allowed = np.full(len(self.center), np.inf if self.cap is None else self.cap)
        if self.mask is not None:
            allowed = np.where(self.mask, allowed, 0.0)
        return (
            np.maximum(self.lower, self.center - allowed),
            np.minimum(self.upper, self.center + allowed),
        )

    def distance(self) -> float:
        """Of the nearest input that gets the wish; infinity if none does."""
        asked = (self.tiny, self.center, self.wish, self.norm, *self.room)
        if self.levels is not None:
            return nearest_on_grid(*asked, self.grid, self.weights)
        return nearest_distance(*asked, self.weights)

    def distance_to_any(self, targets: Sequence[int]) -> float:
        """Of the nearest input that gets the wish for one of some targets."""
        wishes = [self.wish._replace(target=target) for target in targets]
        return min(replace(self, wish=wish).distance() for wish in wishes)


def random_question(seed: int, outputs: int | None = None) -> Case:
    """A `random_case` in any norm, now and then with weights or on a grid, with its centre."""
    rng = np.random.default_rng((seed, 1))
    case = random_case(seed, outputs)
    n = len(case.center)
    norm = str(rng.choice(["l0", "l1", "l2", "linf"]))
    weights = rng.uniform(0.3, 3.0, n) if rng.random() < 0.3 else None
    if rng.random() < 0.35:
        levels = int(rng.integers(2, 6))
        case = replace(case, levels=levels)
        nearest = np.abs(case.grid - case.center).argmin(axis=0)
        center = case.grid[nearest, np.arange(n)]
        others = np.delete(np.arange(case.tiny.outputs), np.argmax(case.tiny(center)))
        wish = case.wish._replace(target=int(rng.choice(others)))
        return replace(case, center=center, wish=wish, norm=norm, weights=weights)
    return replace(case, norm=norm, weights=weights)


def random_case(seed: int, outputs: int | None = None) -> Case:
    """Four in five have an answer: others are drawn until a random point gets its wish."""
    rng = np.random.default_rng(seed)
    norm = str(rng.choice(["l1", "linf"]))
    by_ratio, hopeful = rng.random() < 0.5, rng.random() < 0.8
    ratio = float(rng.choice([1.05, 1.2, 2.0])) if by_ratio else None
    margin = None if by_ratio else float(rng.choice([1e-4, 0.01, 0.3]))
    for _ in range(60):
        tiny = random_tiny(rng, outputs)
        n = tiny.inputs
        lower, upper = np.zeros(n), np.ones(n)
        if rng.random() < 0.3:
            lower = rng.uniform(-2, 0, n)
            upper = lower + rng.uniform(0.5, 3, n)
        center = rng.uniform(lower, upper)
        if rng.random() < 0.4:
            bound = np.where(rng.random(n) < 0.5, lower, upper)
            center = np.where(rng.random(n) < 0.5, bound, center)
        cap = None
        if rng.random() < 0.25:
            cap = float(rng.uniform(0.1, 0.8)) if rng.random() < 0.5 else rng.uniform(0, 1, n)
        mask = rng.random(n) < 0.6 if rng.random() < 0.2 else None
        others = np.delete(np.arange(tiny.outputs), np.argmax(tiny(center)))
        wish = Wish(int(rng.choice(others)), ratio, margin)
        case = Case(tiny, lower, upper, center, cap, mask, wish, norm)
        wanted, limit = wish.rows(tiny.outputs)
        points = rng.uniform(*case.room, (20, n))
        if not hopeful or any(np.all(wanted @ tiny(point) <= limit) for point in points):
            break
    return case


def greatest_output(tiny: Tiny, direction: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """The largest value of a linear function of the outputs over a box."""
    none = [np.zeros(len(bias)) for bias in tiny.biases]
    last = [*none[:-1], direction]
    pre, post = (none, last) if tiny.final_relu else (last, none)
    wanted = Combination(np.zeros(tiny.inputs), pre, post, none, none)
    return wanted.greatest(tiny, Allowed(low, high))
