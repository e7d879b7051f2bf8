"""``query = "nearest"``: the nearest input that reaches a criterion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from jaxtyping import Float

from dualbound.bounds import Bounds
from dualbound.criterion import Class, Criterion, OneOf, RunnerUp, Targeted, Untargeted
from dualbound.errors import InvalidCriterion, InvalidInput
from dualbound.limits import Limits, check_gap
from dualbound.network import Network
from dualbound.queries import nearest
from dualbound.queries.nearest import DEFAULT_GAP, nearest_problem
from dualbound.region import NORMS, Box, Grid
from dualbound.search import Columns, Engine, automatic, engine_named
from dualbound.studies.asks.ask import Ask, Tell, needed
from dualbound.studies.asks.known import SEARCHED, check_bounds, known_bounds
from dualbound.studies.row import Row, row_of_answer

_TARGET = re.compile(r"any|runner-up|repair|\+[0-9]{1,9}")


@dataclass(frozen=True)
class Nearest(Ask):
    """See `dualbound.nearest`.

    Attributes:
        target: a label; ``"+5"``, the label so many after the image's; ``"any"`` other than the
            present one; ``"runner-up"``, the one whose output is second; ``"repair"``, the true one
            of an image that is misread; or a list, the target of each true label in turn. Any
            other label if neither this nor ``targets`` is given.
        targets: one of these labels, in place of ``target``.
        ratio, margin: how clearly; see `dualbound.Targeted`.
        norm, then, cap, levels, gap: see `dualbound.nearest`.
        range: what every input lies between.
        engine: ``auto``, ``bab``, ``columns`` or ``milp``; on one thread.
        attack: whether to look for a first witness by linear programs.
        strategy, solver, formulation: of the engine `dualbound.Milp`.
        bounds: of the engine `dualbound.Milp`: ``interval``, ``crown``, or ``lp``, ``milp`` and
            ``exact``, which each worker finds once for a network, before the first question that
            needs them and not counted in its seconds.
        seconds_per_neuron: limit for each extreme of such bounds.
        seconds: limit for each question.
    """

    target: int | str | tuple[int, ...] | None = None
    targets: tuple[int, ...] | None = None
    ratio: float | None = None
    margin: float | None = None
    norm: str = "l1"
    then: str | None = None
    cap: float | None = None
    levels: int | None = None
    range: tuple[float, float] = (0.0, 1.0)
    gap: float = DEFAULT_GAP
    engine: str = "auto"
    strategy: str | None = None
    solver: str | None = None
    formulation: str | None = None
    bounds: str | None = None
    seconds_per_neuron: float | None = None
    attack: bool = True
    seconds: float | None = None

    query: ClassVar[str] = "nearest"
    of_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.target, str) and not _TARGET.fullmatch(self.target):
            raise InvalidInput(
                'target takes a label, "+N", "any", "runner-up", "repair", or a list with a target '
                f"for each label; found {self.target!r}."
            )
        if self.target not in (None, "repair") and self.targets is not None:
            raise InvalidInput("target and targets ask different questions: give one of them.")
        check_gap(self.gap)
        if self.cap is not None and not self.cap >= 0:
            raise InvalidInput(f"A cap is how far an input may move: at least 0, found {self.cap}.")
        if self.levels is not None:
            Grid(self.levels)
        if self.then is not None and (self.norm != "linf" or self.then not in ("l0", "l1", "l2")):
            raise InvalidInput('then takes l0, l1 or l2, after norm = "linf".')
        if self.norm not in NORMS:
            raise InvalidInput(f"Unknown norm {self.norm!r}; known are {', '.join(NORMS)}.")
        check_bounds(self.bounds, self.seconds_per_neuron)
        self._named(None if self.bounds is None else "crown")
        Limits(self.seconds)
        Box(*self.range)
        Untargeted(ratio=self.ratio, margin=self.margin)

    def resolved(
        self, network: Network, x: Float[np.ndarray, "..."] | None, label: int | None
    ) -> Iterator[Self]:
        """See `Ask.resolved`: with a label in place of what names it by the image."""
        target, outputs = self.target, network(needed(x))
        present = int(np.argmax(outputs))
        if isinstance(target, str) and target.startswith("+"):
            base = present if label is None else label
            target = (base + int(target[1:])) % network.output_size
        elif isinstance(target, tuple):
            if label is None:
                raise InvalidInput("a target for each label needs images whose label is known.")
            if label >= len(target):
                raise InvalidInput(f"there is no target for label {label} among {len(target)}.")
            target = target[label]
        elif target == "repair":
            if self.targets is not None:
                raise InvalidInput("repair has one target, the true label: leave targets out.")
            if label is None:
                raise InvalidInput("repair needs images whose label is known.")
            if present == label:
                raise InvalidCriterion(f"the network answers {label} already: nothing to repair.")
        ask = replace(self, target=target)
        if target == "repair" and label is not None:
            ask = replace(ask, targets=(label,))
        ask._criterion().at(outputs)
        yield ask

    def answer(
        self, network: Network, x: Float[np.ndarray, "..."] | None, tell: Tell | None
    ) -> Row:
        """See `Ask.answer`."""
        x, criterion = needed(x), self._criterion()
        answer = nearest(
            network,
            x,
            criterion,
            norm=self.norm,
            region=Box(*self.range),
            cap=self.cap,
            levels=self.levels,
            then=self.then,
            gap=self.gap,
            engine=self._engine(network, x, criterion),
            limits=Limits(self.seconds),
            on_progress=tell,
        )
        target = self.target if isinstance(self.target, int) else None
        row = row_of_answer(answer, x, target)
        row.detail["outputs_before"] = [float(v) for v in network(x)]
        return row

    def _criterion(self) -> Criterion:
        ratio, margin = self.ratio, self.margin
        if self.target == "repair" and self.targets is not None:
            return Class(self.targets[0], ratio=ratio, margin=margin)
        if self.targets is not None:
            return OneOf(self.targets, ratio=ratio, margin=margin)
        if isinstance(self.target, int):
            return Targeted(self.target, ratio=ratio, margin=margin)
        if self.target == "runner-up":
            return RunnerUp(ratio=ratio, margin=margin)
        return Untargeted(ratio=ratio, margin=margin)

    def _engine(
        self, network: Network, x: Float[np.ndarray, "..."], criterion: Criterion
    ) -> Engine:
        bounds: str | Bounds | None = self.bounds
        if self.bounds in SEARCHED:
            bounds = known_bounds(network, self.bounds, self.seconds_per_neuron, self.range)
        engine = self._named(bounds)
        if engine is None:
            problem = nearest_problem(
                network, x, criterion, norm=self.norm, region=Box(*self.range), cap=self.cap,
                levels=self.levels,
            )  # fmt: skip
            chosen = automatic(problem)
            engine = replace(chosen, threads=1) if isinstance(chosen, Columns) else chosen
        return engine if self.attack else engine.without_attack()

    def _named(self, bounds: str | Bounds | None) -> Engine | None:
        return engine_named(
            self.engine,
            threads=1,
            strategy=self.strategy,
            solver=self.solver,
            formulation=self.formulation,
            bounds=bounds,
        )
