"""Random questions about tiny networks against the truth, for as long as asked: ``make fuzz``.

Each seed is a question in some norm, perhaps with weights, caps, masks or levels; the truth comes
from `brute_force`. A failure is printed with its seed, which asks the same again::

    PYTHONPATH=tests python tests/queries/fuzz.py --seconds 3600
    PYTHONPATH=tests python tests/queries/fuzz.py --seed 123456 --seconds 1
"""

from __future__ import annotations

import argparse
import time
import traceback

import test_nearest_brute_force as chains
import test_questions_brute_force as questions

from brute_force import random_case, random_question
from dualbound import Columns


def check(seed: int) -> None:
    """One question of each kind.

    Raises:
        AssertionError: an answer is not the truth.
    """
    engine = Columns(threads=1 + seed % 2)
    case = random_case(seed)
    chains.assert_true(case, case.distance(), chains.asked(case, engine))
    question = random_question(seed)
    questions.assert_true(question, question.distance(), questions.asked(question, engine))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long")
    parser.add_argument("--seed", type=int, help="of the first question; by the clock if not given")
    chosen = parser.parse_args()
    first = int(time.time()) * 1000 if chosen.seed is None else chosen.seed
    end, told, failed, seed = time.monotonic() + chosen.seconds, time.monotonic(), [], first
    while seed == first or time.monotonic() < end:
        try:
            check(seed)
        except Exception:  # noqa: BLE001  # whatever it is, the seed is what counts
            failed.append(seed)
            print(f"Seed {seed}:\n{traceback.format_exc()}", flush=True)
        seed += 1
        if time.monotonic() > told + 10:
            told = time.monotonic()
            print(f"{seed - first} seeds from {first}, {len(failed)} failed", flush=True)
    print(f"{seed - first} seeds from {first}, {len(failed)} failed: {failed}")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
