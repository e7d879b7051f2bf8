"""A study of 200 questions: killed five times, spread over a Dask cluster, and left alone.

The three must give the same values, bounds, labels and witnesses. Prints what was compared, and the
seconds of each, which say something of each other only.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from dualbound import Study
from dualbound.errors import DualboundError

TEXT = """\
title = "Two hundred questions"
networks = ["dnn1", "dnn2"]
images = ["sample:0-299"]
keep = "correct"
count = {count}

[[questions]]
query = "nearest"
target = "any"
ratio = 1.2
"""

RUN = [sys.executable, "-m", "dualbound", "study", "run"]
FIGURES = ["network", "image", "status", "value", "bound", "label_after", "nodes"]


def study(folder: Path, count: int) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(TEXT.format(count=count))
    return folder


def answered(folder: Path) -> int:
    try:
        counts = Study.open(folder).counts()
    except DualboundError:
        return 0
    return sum(n for status, n in counts.items() if status != "open")


def killed(folder: Path, total: int, seed: int) -> None:
    rng = random.Random(seed)
    for moment in sorted(rng.sample(range(1, total - 5), 5)):
        process = subprocess.Popen([*RUN, str(folder)], stderr=subprocess.DEVNULL)
        while answered(folder) < moment and process.poll() is None:
            time.sleep(0.05)
        time.sleep(rng.random())
        process.send_signal(signal.SIGKILL)
        process.wait()
        print(f"  killed with {answered(folder)} answers (SIGKILL at {moment} or soon after)")
    subprocess.run([*RUN, str(folder)], check=True, stderr=subprocess.DEVNULL)


def spread(folder: Path, total: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    at = f"tcp://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    module = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    one = dict(os.environ, OMP_NUM_THREADS="1")
    processes = [subprocess.Popen([*module, "--host", "127.0.0.1", "--port", str(port)], **quiet)]
    module = [sys.executable, "-m", "distributed.cli.dask_worker", at, "--no-dashboard"]
    for _ in range(2):
        command = [*module, "--nthreads", "1", "--no-nanny"]
        processes.append(subprocess.Popen(command, env=one, **quiet))
    try:
        command = [*RUN, str(folder), "--executor", at.replace("tcp", "dask")]
        run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while answered(folder) < total // 2 and run.poll() is None:
            time.sleep(0.2)
        processes[1].kill()
        print(f"  one of two workers killed with {answered(folder)} answers")
        command = [*module, "--nthreads", "1", "--no-nanny"]
        processes.append(subprocess.Popen(command, env=one, **quiet))
        run.wait()
    finally:
        for process in processes:
            process.kill()
            process.wait()


def same(one: Path, other: Path) -> None:
    a, b = Study.open(one).frame(), Study.open(other).frame()
    rows = a[FIGURES].values.tolist() == b[FIGURES].values.tolist()
    pairs = zip(a.index, b.index, strict=True)
    witnesses = all(
        np.array_equal(Study.open(one).witness(int(i)), Study.open(other).witness(int(j)))
        for i, j in pairs
    )
    distinct = len(set(zip(b["network"], b["image"], strict=True)))
    print(
        f"{other.name}: {len(b)} rows, {distinct} of them distinct; {', '.join(FIGURES)} equal: "
        f"{rows}; witnesses equal: {witnesses}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="images for each of two networks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out/studies"))
    chosen = parser.parse_args()
    total = 2 * chosen.count
    plain = study(chosen.out / "plain", chosen.count)
    started = time.perf_counter()
    subprocess.run([*RUN, str(plain)], check=True, stderr=subprocess.DEVNULL)
    print(f"  left alone: {time.perf_counter() - started:.0f} s", flush=True)
    for name, work in (
        ("killed", lambda folder: killed(folder, total, chosen.seed)),
        ("dask", lambda folder: spread(folder, total)),
    ):
        folder = study(chosen.out / name, chosen.count)
        started = time.perf_counter()
        work(folder)
        print(f"  {name}: {time.perf_counter() - started:.0f} s", flush=True)
        same(plain, folder)


if __name__ == "__main__":
    main()
