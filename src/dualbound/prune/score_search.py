"""The search for scores: which programs are solved, of which inputs, one after another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dualbound.limits import Clock
from dualbound.network import Network
from dualbound.prune.score_program import ScoreProgram
from dualbound.prune.score_run import Asked, Found, ScoreRun
from dualbound.prune.scored import lowered, scored, shifts_to_zero
from dualbound.prune.scores import THRESHOLD, Importance, closed
from dualbound.prune.units import Layer
from dualbound.prune.worst_inputs import bad_input, box_around, worst_input

QUICK_ROUNDS = 30
"""How often bad inputs join that are found quickly, at most."""


@dataclass
class ScoreSearch:
    """The programs of one question."""

    network: Network
    layers: tuple[Layer, ...]
    eps: float
    asked: Asked

    @property
    def units(self) -> int:
        """How many units are scored."""
        return sum(layer.units for layer in self.layers)

    def at_once(self, x: np.ndarray, labels: np.ndarray, fixed: np.ndarray, part: str) -> Found:
        """One program; with a radius, one after another until no input is worse.

        Which inputs are the worst depends on the scores: first those that are found quickly join
        while units are let go, then those that are proved to be the worst, and programs begin.
        """
        boxes = [box_around(row, self.eps) for row in x]
        most = shifts_to_zero(self.network, self.layers, boxes)
        rows, owners = x, np.arange(len(x))

        def run(clock: Clock, start: np.ndarray) -> ScoreRun:
            seen = scored(self.network, self.layers, rows, most)
            return ScoreRun(self.asked, clock, seen, labels[owners], fixed, owners, start)

        ones = np.ones(self.units)
        if self.eps == 0:
            return run(self.asked.clock, ones).to_the_end(part)
        quickly = _part(self.asked.clock)
        found = run(quickly, ones).by_hand()
        for _ in range(QUICK_ROUNDS):
            more = self._bad(x, labels, most, found.scores)
            new = _not_among(rows, more)
            if not len(new) or quickly.expired:
                break
            rows, owners = np.concatenate([rows, more[new]]), np.concatenate([owners, new])
            found = run(quickly, ones).by_hand()
        best, order = Found(ones, math.inf, -math.inf, False), found.order
        while True:
            worst, losses = self._worst(x, labels, most, found.scores)
            program = run(self.asked.clock, found.scores).program
            value = program.sparsity(found.scores) + self.asked.weight * float(losses.mean())
            bound = max(best.bound, found.bound)
            if value < best.value:
                best = replace(found, value=value)
            best = replace(best, bound=bound, finished=closed(best.value, bound, self.asked.gap))
            self.asked.say(part, best.scores, best.value, bound)
            new = _not_among(rows, worst)
            if best.finished or self.asked.clock.expired or (bound > -math.inf and not len(new)):
                return best
            rows, owners = np.concatenate([rows, worst[new]]), np.concatenate([owners, new])
            found = run(_part(self.asked.clock), best.scores).to_the_end(part)
            found = replace(found, order=order)  # it began where many units were gone already

    def _bad(
        self, x: np.ndarray, labels: np.ndarray, most: np.ndarray, scores: np.ndarray
    ) -> np.ndarray:
        """For each input a bad one near it, by climbing."""
        net = lowered(self.network, self.layers, (1 - scores) * most)
        return np.array(
            [
                bad_input(net, row, int(label), self.eps)
                for row, label in zip(x, labels, strict=True)
            ]
        )

    def _worst(
        self, x: np.ndarray, labels: np.ndarray, most: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """For each input the worst one near it, and a proved upper bound of the loss there."""
        net = lowered(self.network, self.layers, (1 - scores) * most)
        worst, losses = x.copy(), np.zeros(len(x))
        for k, (row, label) in enumerate(zip(x, labels, strict=True)):
            worst[k], losses[k] = worst_input(net, row, int(label), self.eps, self.asked.clock)
        return worst, losses

    def class_by_class(self, x: np.ndarray, labels: np.ndarray) -> Found:
        """The mean of the scores of each class, and what the objective of all inputs is there.

        That objective is the mean of those of the classes, weighted by how many inputs they have:
        so is its bound.
        """
        classes, counts = np.unique(labels, return_counts=True)
        found = [
            self.at_once(
                x[labels == label], labels[labels == label], np.full(self.units, np.nan),
                f"class {label}",
            )
            for label in classes
        ]  # fmt: skip
        scores = np.mean([one.scores for one in found], axis=0)
        value = self.value_at(scores, x, labels)
        bound = float(np.average([one.bound for one in found], weights=counts))
        order = _by_mean_place([one.order for one in found])
        return Found(scores, value, bound, closed(value, bound, self.asked.gap), order)

    def value_at(self, scores: np.ndarray, x: np.ndarray, labels: np.ndarray) -> float:
        """Of the objective; with a radius a proved upper bound of it."""
        program, most = self.program_of(x, labels)
        if self.eps == 0:
            return program.value(scores)
        _, losses = self._worst(x, labels, most, scores)
        return program.sparsity(scores) + self.asked.weight * float(losses.mean())

    def program_of(self, x: np.ndarray, labels: np.ndarray) -> tuple[ScoreProgram, np.ndarray]:
        """That of some inputs, and the shifts at which units are 0."""
        most = shifts_to_zero(self.network, self.layers, [box_around(row, self.eps) for row in x])
        seen = scored(self.network, self.layers, x, most)
        every, asked = np.full(self.units, np.nan), self.asked
        return ScoreProgram(seen, labels, asked.loss, asked.weight, asked.whole, every), most

    def layer_by_layer(self, x: np.ndarray, labels: np.ndarray) -> Found:
        """The last layer, then the one before it with those scores, and so on."""
        fixed, ends = np.ones(self.units), np.cumsum([0, *(one.units for one in self.layers)])
        finished = True
        order: tuple[int, ...] = ()
        for k in reversed(range(len(self.layers))):
            fixed[ends[k] : ends[k + 1]] = np.nan
            found = self.at_once(x, labels, fixed.copy(), self.layers[k].name)
            fixed, finished = found.scores, finished and found.finished
            order += tuple(one for one in found.order if one not in order)
        return replace(found, bound=-math.inf, finished=finished, order=order)

    def told(self, found: Found, x: np.ndarray, labels: np.ndarray) -> Importance:
        """The answer."""
        asked, (program, _) = self.asked, self.program_of(x, labels)
        ends = np.cumsum([0, *(one.units for one in self.layers)])
        scores = {
            layer.name: found.scores[ends[k] : ends[k + 1]] for k, layer in enumerate(self.layers)
        }
        sparsity = program.sparsity(found.scores)
        return Importance(
            layers=self.layers,
            scores=scores,
            value=found.value,
            bound=max(found.bound, program.least),
            sparsity=sparsity,
            loss=program.mean_loss(found.scores),
            loss_before=float(program.loss(self.network(x), labels).mean()),
            order=found.order,
            relaxed=asked.relaxed,
            finished=found.finished,
            interrupted=asked.clock.interrupted,
            note="; ".join([*_notes(scores, labels, asked.clock), *filter(None, [asked.refused])]),
            seconds=asked.clock.seconds,
            programs=asked.programs,
        )


def _notes(scores: Mapping[str, np.ndarray], labels: np.ndarray, clock: Clock) -> list[str]:
    notes = []
    gone = {name: int((one < THRESHOLD).sum()) for name, one in scores.items()}
    if not any(gone.values()):
        notes.append("no unit has a score below 0.001: a smaller weight of the loss removes more")
    emptied = [name for name, count in gone.items() if count == len(scores[name])]
    if emptied:
        notes.append(
            f"all units of {' and '.join(emptied)} have scores below 0.001: the loss weighs too "
            "little against them, give it a larger weight"
        )
    if len(np.unique(labels)) == 1:
        notes.append(
            f"all inputs have the label {labels[0]}: what other labels need was not looked at"
        )
    if clock.interrupted:
        notes.append("interrupted")
    return notes


def _by_mean_place(orders: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """One order of several: by the mean of the places."""
    places = np.mean([np.argsort(order) for order in orders], axis=0)
    return tuple(int(k) for k in np.argsort(places, kind="stable"))


def _part(clock: Clock) -> Clock:
    """Half of the time that is left: the worst inputs take time as well."""
    return clock if clock.remaining == math.inf else clock.within(clock.remaining / 2)


def _not_among(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of the others are none of some rows."""
    return np.flatnonzero([not (rows == other).all(axis=1).any() for other in others])
