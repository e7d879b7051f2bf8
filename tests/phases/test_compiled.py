"""Machine code is kept no longer than the sources that it was made from."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from dualbound.phases.compiled import compiling, forget_stale_code


def test_code_is_forgotten_when_any_source_changes_and_only_then(tmp_path: Path) -> None:
    sources, kept = tmp_path / "room", tmp_path / "cache"
    sources.mkdir()
    kept.mkdir()
    (sources / "caller.py").write_text("1")
    (sources / "callee.py").write_text("1")
    ours, other = kept / "caller.f-1.py311.nbi", kept / "other.f-1.py311.nbi"
    ours.touch()
    other.touch()
    assert forget_stale_code(kept, sources)
    assert not ours.exists()
    assert other.exists()
    ours.touch()
    assert not forget_stale_code(kept, sources)
    assert ours.exists()
    (sources / "callee.py").write_text("2")
    assert forget_stale_code(kept, sources)
    assert not ours.exists()


def test_a_folder_that_cannot_be_written_is_left(tmp_path: Path) -> None:
    sources = tmp_path / "room"
    sources.mkdir()
    (tmp_path / "file").touch()
    assert forget_stale_code(tmp_path / "file" / "below", sources)


def swallow() -> None:
    """As a callback of the compiler does with an interrupt."""
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def compile_badly() -> None:
    swallow()
    raise RuntimeError("no compiled object yet")


@pytest.mark.parametrize("compile_something", [swallow, compile_badly])
def test_an_interrupt_ends_as_one_whatever_the_compiler_made_of_it(
    compile_something: Callable[[], None],
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), compiling():
        compile_something()
    assert signal.getsignal(signal.SIGINT) is before


def test_other_errors_of_a_compiler_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="as it is"), compiling():
        raise RuntimeError("as it is")
