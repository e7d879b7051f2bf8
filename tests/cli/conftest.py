from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dualbound.cli import run
from dualbound.network import Network, write_onnx


@dataclass(frozen=True)
class Outcome:
    """What a command line did."""

    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command line in this process; no traceback may ever be seen."""

    def command(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Outcome(code, out, err)

    return command


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three inputs, four rectifiers, two labels; the image beside it is answered 0."""
    folder = tmp_path_factory.mktemp("tiny")
    network = Network.dense(
        [[[1, -1, 0.5], [-1, 1, 0], [0.5, 0.5, -1], [1, 0, 0]], [[1, 0, 1, 0], [0, 1, 0, 0.5]]],
        [[0, 0, 0, 0], [0.1, 0]],
    )
    (folder / "tiny.onnx").write_bytes(write_onnx(network))
    (folder / "point.csv").write_text("0.8,0.2,0.4\n")
    return folder
