"""Random tiny networks that branch: convolutions, residual sums, pools, concatenations.

Each is written down twice: as a `Network`, and as plain matrices that were filled place by place,
with nothing of dualbound. The truth about it is found as in `brute_force`: every activation pattern
that some input has, a linear program each.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import highspy
import numpy as np
from scipy.optimize import linprog

from dualbound.network.elementwise import Relu
from dualbound.network.graph import Network
from dualbound.network.linear import Convolution, LinearMap, linear_map
from dualbound.network.nodes import Affine, Input, Node


@dataclass
class TinyGraph:
    """Values one after another: the input, affine sums of earlier ones, rectified ones.

    Attributes:
        nodes: of the `Network`.
        steps: of the truth: for each value but the input, the earlier values that it reads with
            their matrices, and a bias; or one earlier value that is rectified.
    """

    inputs: int
    nodes: list[Node] = field(default_factory=list)
    steps: list[tuple[list[tuple[int, np.ndarray]], np.ndarray] | int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes.append(Node("v0", Input(), (), self.inputs))

    @property
    def last(self) -> int:
        return len(self.nodes) - 1

    def affine(self, parts: list[tuple[int, LinearMap, np.ndarray]], bias: np.ndarray) -> int:
        name = f"v{len(self.nodes)}"
        reads = tuple(f"v{k}" for k, _, _ in parts)
        maps = tuple(one for _, one, _ in parts)
        self.nodes.append(Node(name, Affine(maps, bias), reads, len(bias)))
        self.steps.append(([(k, matrix) for k, _, matrix in parts], bias))
        return self.last

    def relu(self, k: int) -> int:
        self.nodes.append(Node(f"v{len(self.nodes)}", Relu(), (f"v{k}",), self.nodes[k].size))
        self.steps.append(k)
        return self.last

    @property
    def network(self) -> Network:
        return Network(tuple(self.nodes), (self.inputs,), self.nodes[-1].name)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        values = [x]
        for step in self.steps:
            if isinstance(step, int):
                values.append(np.where(values[step] > 0, values[step], 0.0))
            else:
                parts, bias = step
                values.append(bias + sum(matrix @ values[k] for k, matrix in parts))
        return values[-1]


def convolution_matrix(one: Convolution) -> np.ndarray:
    """Place by place: output (f, y) is the sum over channels and window of kernel times input."""
    f, c, *window = one.kernel.shape
    out, per_group = one.out_space, f // one.groups
    matrix = np.zeros(one.shape)
    for filter_, place in itertools.product(range(f), np.ndindex(*out)):
        row = np.ravel_multi_index((filter_, *place), (f, *out))
        for channel, at in itertools.product(range(c), np.ndindex(*window)):
            where = [
                p * s + a * d - pad[0]
                for p, s, a, d, pad in zip(
                    place, one.strides, at, one.dilations, one.pads, strict=True
                )
            ]
            if all(0 <= w < size for w, size in zip(where, one.space, strict=True)):
                read = (filter_ // per_group) * c + channel
                column = np.ravel_multi_index((read, *where), (one.channels, *one.space))
                matrix[row, column] += one.kernel[(filter_, channel, *at)]
    return matrix


def random_convolution(
    rng: np.random.Generator, channels: int, space: tuple[int, ...]
) -> Convolution:
    """One that makes at least one value of a tensor of this shape."""
    while True:
        groups = int(rng.choice([g for g in (1, 2) if channels % g == 0]))
        rank = len(space)
        try:
            return Convolution(
                rng.normal(size=(groups, channels // groups, *rng.integers(1, 3, rank))).round(1),
                space,
                tuple(int(s) for s in rng.integers(1, 3, rank)),
                tuple(int(d) for d in rng.integers(1, 3, rank)),
                tuple((int(a), int(b)) for a, b in rng.integers(0, 2, (rank, 2))),
                groups,
            )
        except ValueError:
            continue


def random_graph(rng: np.random.Generator) -> TinyGraph:
    """A convolution first, then two or three of: residual block, pool, concatenation, dense."""
    space = ((2, 2), (3,), (4,))[int(rng.integers(3))]
    graph = TinyGraph(int(np.prod(space)))

    def dense(k: int, size: int) -> int:
        matrix = rng.normal(size=(size, graph.nodes[k].size)).round(1)
        return graph.affine([(k, linear_map(matrix), matrix)], rng.normal(size=size).round(1))

    conv = random_convolution(rng, 1, space)
    if conv.shape[0] <= 6:
        bias = rng.normal(size=conv.shape[0]).round(1)
        here = graph.affine([(0, conv, convolution_matrix(conv))], bias)
    else:
        here = dense(0, 3)
    here = graph.relu(here)
    for _ in range(int(rng.integers(1, 3))):
        size = graph.nodes[here].size
        match rng.choice(["residual", "largest", "mean", "concatenation", "dense"]):
            case "residual":
                inner = graph.relu(dense(here, 2))
                matrix, eye = rng.normal(size=(size, 2)).round(1), np.eye(size)
                total = graph.affine(
                    [(inner, linear_map(matrix), matrix), (here, linear_map(eye), eye)],
                    rng.normal(size=size).round(1),
                )
                here = graph.relu(total)
            case "largest" if size > 1:
                # max(a, b) = a + max(b - a, 0) of neighbours
                first, second = np.eye(size)[:-1], np.eye(size)[1:]
                away = second - first
                apart = graph.affine([(here, linear_map(away), away)], np.zeros(size - 1))
                risen, eye = graph.relu(apart), np.eye(size - 1)
                here = graph.affine(
                    [(here, linear_map(first), first), (risen, linear_map(eye), eye)],
                    np.zeros(size - 1),
                )
            case "mean":
                mean = np.full((1, size), 1 / size)
                here = graph.affine([(here, linear_map(mean), mean)], np.zeros(1))
            case "concatenation":
                other = graph.relu(dense(0, 2))
                top, low = np.eye(size + 2)[:, :size], np.eye(size + 2)[:, size:]
                here = graph.affine(
                    [(here, linear_map(top), top), (other, linear_map(low), low)],
                    np.zeros(size + 2),
                )
            case _:
                here = graph.relu(dense(here, 3))
    dense(here, int(rng.integers(2, 4)))
    return graph


SMALL = 1e-9
"""Values that pass 0 by no more than this have one sign."""


@dataclass
class Around:
    """Inputs in a box, and within an L1 distance of a centre if it is finite."""

    lower: np.ndarray
    upper: np.ndarray
    center: np.ndarray
    radius: float = np.inf


class Polytope:
    """Inputs, some of them cut off, and the linear programs over what is left."""

    def __init__(self, around: Around) -> None:
        self.n = n = len(around.lower)
        self.highs = highspy.Highs()
        self.highs.setOptionValue("output_flag", False)
        self.highs.setOptionValue("presolve", "off")
        for which in ("primal", "dual"):
            self.highs.setOptionValue(f"{which}_feasibility_tolerance", 1e-10)
        self.highs.addVars(n, around.lower, around.upper)
        self.rows: list[tuple[np.ndarray, float]] = []
        if np.isfinite(around.radius):
            self.highs.addVars(n, np.zeros(n), np.full(n, np.inf))
            for sign, i in itertools.product((1.0, -1.0), range(n)):
                self.highs.addRow(-np.inf, sign * around.center[i], 2, [i, n + i], [sign, -1.0])
            self.highs.addRow(-np.inf, around.radius, n, np.arange(n, 2 * n), np.ones(n))

    @property
    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows, and their sides."""
        left = [row for row, _ in self.rows]
        return np.array(left).reshape(-1, self.n), np.array([side for _, side in self.rows])

    @contextmanager
    def below(self, row: np.ndarray, side: float) -> Iterator[None]:
        """For a while only the part where ``row · x <= side``."""
        self.rows.append((row, side))
        self.highs.addRow(-np.inf, side, self.n, np.arange(self.n), row)
        yield
        self.rows.pop()
        self.highs.deleteRows(1, [self.highs.getNumRow() - 1])

    def greatest(self, row: np.ndarray) -> float:
        """The largest value of ``row · x``; minus infinity where nothing is left."""
        self.highs.changeColsCost(self.n, np.arange(self.n), -row)
        self.highs.run()
        match self.highs.getModelStatus():
            case highspy.HighsModelStatus.kOptimal:
                return -self.highs.getInfo().objective_function_value
            case highspy.HighsModelStatus.kInfeasible:
                return -np.inf
            case status:
                raise RuntimeError(f"The linear program was not solved: {status}")


def highest(graph: TinyGraph, around: Around, rows: np.ndarray) -> np.ndarray:
    """The largest value of each row times the outputs, of all inputs."""
    best, polytope = np.full(len(rows), -np.inf), Polytope(around)
    for weight, bias in _pieces(graph, polytope):
        best = np.maximum(best, [row @ bias + polytope.greatest(row @ weight) for row in rows])
    return best


def depth(graph: TinyGraph, around: Around, a: np.ndarray, b: np.ndarray) -> float:
    """The largest ``min(A o - b)`` of all inputs; minus infinity of none."""
    best = -np.inf
    polytope = Polytope(around)
    for weight, bias in _pieces(graph, polytope):
        left, right = polytope.table
        found, _ = _program(around, left, right, goal=(a @ weight, b - a @ bias), objective="depth")
        best = max(best, found)
    return best


def distance(graph: TinyGraph, around: Around, a: np.ndarray, b: np.ndarray, norm: str) -> float:
    """The least distance from the centre of an input with ``A o >= b``; infinity of none."""
    best = np.inf
    polytope = Polytope(around)
    for weight, bias in _pieces(graph, polytope):
        left, right = polytope.table
        found, _ = _program(around, left, right, goal=(a @ weight, b - a @ bias), objective=norm)
        best = min(best, found)
    return best


def _pieces(graph: TinyGraph, polytope: Polytope) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each activation pattern that some input has: the outputs as an affine map there, while the
    polytope is cut down to its inputs. A value that nowhere passes 0 has one sign only."""

    def further(maps: list[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, ...]]:
        if len(maps) == len(graph.nodes):
            yield maps[-1]
            return
        step = graph.steps[len(maps) - 1]
        if isinstance(step, int):
            for rectified in phases(*maps[step], 0):
                yield from further([*maps, rectified])
            return
        parts, bias = step
        weight = sum(matrix @ maps[k][0] for k, matrix in parts)
        offset = bias + sum(matrix @ maps[k][1] for k, matrix in parts)
        yield from further([*maps, (weight, offset)])

    def phases(
        weight: np.ndarray, offset: np.ndarray, j: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if j == len(offset):
            yield weight, offset
            return
        off = np.arange(len(offset)) != j
        inactive = weight * off[:, None], offset * off
        row, constant = weight[j], offset[j]
        if constant - polytope.greatest(-row) >= -SMALL:
            yield from phases(weight, offset, j + 1)
        elif constant + polytope.greatest(row) <= SMALL:
            yield from phases(*inactive, j + 1)
        else:
            with polytope.below(-row, constant):
                yield from phases(weight, offset, j + 1)
            with polytope.below(row, -constant):
                yield from phases(*inactive, j + 1)

    yield from further([(np.eye(graph.inputs), np.zeros(graph.inputs))])


def _program(
    around: Around,
    left: np.ndarray,
    right: np.ndarray,
    *,
    goal: tuple[np.ndarray, np.ndarray],
    objective: str,
) -> tuple[float, np.ndarray]:
    """A linear program over ``x, d, t`` with ``|x - center| <= d``, and ``t`` what is asked."""
    n = left.shape[1]
    eye, zero = np.eye(n), np.zeros((n, n))
    rows = [
        np.hstack([left, np.zeros((len(left), n + 1))]),
        np.hstack([eye, -eye, np.zeros((n, 1))]),
        np.hstack([-eye, -eye, np.zeros((n, 1))]),
    ]
    sides = [right, around.center, -around.center]
    if np.isfinite(around.radius):
        rows.append(np.concatenate([np.zeros(n), np.ones(n), [0.0]])[None])
        sides.append(np.array([around.radius]))
    cost = np.zeros(2 * n + 1)
    ends = [*zip(around.lower, around.upper, strict=True), *[(0.0, None)] * n, (None, None)]
    matrix, least = goal
    t = np.full((len(least), 1), 1.0 if objective == "depth" else 0.0)
    rows.append(np.hstack([-matrix, np.zeros((len(least), n)), t]))
    sides.append(-least)
    match objective:
        case "depth":
            cost[-1] = -1.0
        case "l1":
            cost[n:-1] = 1.0
            ends[-1] = (0.0, 0.0)
        case "linf":
            cost[-1] = 1.0
            rows.append(np.hstack([zero, eye, -np.ones((n, 1))]))
            sides.append(np.zeros(n))
    solved = linprog(
        cost, A_ub=np.vstack(rows), b_ub=np.concatenate(sides), bounds=ends, method="highs"
    )
    if solved.status == 2:
        return (-np.inf if objective == "depth" else np.inf), np.zeros(0)
    if solved.status != 0:
        raise RuntimeError(f"The linear program was not solved: {solved.message}")
    value = -float(solved.fun) if objective == "depth" else float(solved.fun)
    return value, solved.x
