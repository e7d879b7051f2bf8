"""The engine columns beside what else there is, on the papers' five networks.

For each network the first twenty correctly classified sample images, target (label + 5) mod 10,
ratio 1.2, L1, limit 300 s. *Ours* is the default engine, with gap 1e-4 and with 1e-2. *Plain* is
the papers' form on HiGHS: one program over the box, bounds by interval arithmetic, no witness to
start with. *Margin* is our own margin form on HiGHS, with our bounds and our witnesses.

All are interleaved as in ``nearest.py``: ours looks at nodes with as many threads as there are
cores; HiGHS's branch and bound has one, and is asked as many questions side by side. Every answer
is appended to a CSV file as soon as it is known; a second run goes on after it. (Gurobi's licence,
as it comes with its pip package, forbids publishing benchmark results: it is not among them.)
"""

from __future__ import annotations

from dualbound import Milp
from nearest import RIVAL, Way, run

WAYS = {
    "ours": Way(),
    "ours, 1 %": Way(gap=0.01),
    "plain": Way(RIVAL),
    "margin": Way(Milp()),
}

if __name__ == "__main__":
    run(__doc__ or "", WAYS, 20, "benchmarks/engine.csv")
