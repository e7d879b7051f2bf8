"""Where the time of the engine columns goes: processor seconds of its parts, one thread.

Two of the papers' questions by default: target label + 5, ratio 1.2, L1, gap 1e-4. A part's seconds
are its own, without those of the parts that it calls.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import dualbound
from dualbound import Columns, Limits, Targeted
from dualbound.phases.relaxation import Relaxation
from dualbound.phases.tree import PhaseTree, prepare
from dualbound.search.engine import NearestRun
from dualbound.search.shrinking_ball import ShrinkingBall
from nearest import instances

PARTS: dict[str, tuple[tuple[type, str], ...]] = {
    "tightening the bounds of open neurons": ((Relaxation, "tighten"),),
    "dives": ((Relaxation, "dive"),),
    "looking ahead": ((Relaxation, "ahead"),),
    "children: inherited bounds and CROWN": ((PhaseTree, "_children"),),
    "relaxations of nodes and children": ((Relaxation, "compose"), (Relaxation, "solve")),
    "points of nodes, tried as witnesses and polished": ((ShrinkingBall, "_is_better"),),
    "the attack, and bounds before it": ((NearestRun, "start"),),
}


class Stopwatch:
    """Processor seconds of functions, each without those of the others that it calls."""

    def __init__(self) -> None:
        self.own: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def over(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*given: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            began = time.process_time()
            try:
                return function(*given, **named)
            finally:
                spent = time.process_time() - began
                self.own[part] += spent - self._inner.pop()
                self._inner[-1] += spent

        return timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("questions", nargs="*", default=["dnn4:3", "dnn5:11"])
    chosen = parser.parse_args()
    prepare()
    watch = Stopwatch()
    for part, methods in PARTS.items():
        for owner, name in methods:
            setattr(owner, name, watch.over(part, getattr(owner, name)))
    for question in chosen.questions:
        name, image = question.split(":")
        network = dualbound.load(name)
        x, target = next((x, t) for i, x, t in instances(network, 100) if i == int(image))
        watch.own.clear()
        began = time.process_time()
        answer = dualbound.nearest(
            network, x, Targeted(target, ratio=1.2), engine=Columns(threads=1), limits=Limits(600)
        )
        total, stats = time.process_time() - began, answer.stats
        print(f"{question}: {answer.status}, {stats.nodes} nodes, {stats.programs} programs")
        for part in PARTS:
            print(f"  {watch.own[part]:7.2f} s {watch.own[part] / total:4.0%}  {part}")
        rest = total - sum(watch.own.values())
        print(f"  {rest:7.2f} s {rest / total:4.0%}  what is left, most of it in Python")
        print(f"  {total:7.2f} s in all")


if __name__ == "__main__":
    main()
