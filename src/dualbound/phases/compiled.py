"""How this room's functions are compiled, and kept between processes.

numba keeps machine code beside the source and forgets it when the file of a function changes; but
what a function calls, perhaps from another file, is part of its code too. So all of it is forgotten
when any source of this room changes: a proof must not come from a bound that was mended since.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np

STAMP = "dualbound-phases.stamp"

NONE: Any = np.int64(-1)
"""In place of an index. A bare -1 is a type of its own to the compiler: what it is handed to would
be compiled once more for it, and so would a bare number of pivots."""


def compiled(function: Callable[..., Any]) -> Any:
    """Compile for proofs: sums in the order that is written."""
    return _compile(function)


def compiled_loosely(function: Callable[..., Any]) -> Any:
    """Compile for search: sums in any order, because no proof is made of them."""
    return _compile(function, fastmath={"reassoc", "contract", "nsz", "arcp"})


def inlined(function: Callable[..., Any]) -> Any:
    """Make part of its one caller: compiled once, not by itself and then within that again.

    It is compiled as its caller is: what belongs to a proof may only have a caller that is
    `compiled`.
    """
    return _compile(function, inline="always")


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    bare = inspect.unwrap(function)  # of a checker of shapes, which could not be compiled
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy", **options)(bare)
    except RuntimeError:  # no folder to keep machine code in
        return numba.njit(nogil=True, error_model="numpy", **options)(bare)


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Let an interrupt end as one, whatever the compiler makes of it.

    It may come in a callback of the compiler, which prints it and goes on without what it needed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = False
    handler, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook

    def interrupt(number: int, frame: Any) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    def report(unraisable: Any) -> None:
        if not pressed:
            hook(unraisable)

    if callable(handler):  # otherwise interrupts are ignored, or not Python's
        signal.signal(signal.SIGINT, interrupt)
    sys.unraisablehook = report
    try:
        yield
    except Exception:
        if not pressed:
            raise
    finally:
        sys.unraisablehook = hook
        if callable(handler):
            signal.signal(signal.SIGINT, handler)
    if pressed:
        raise KeyboardInterrupt


def forget_stale_code(folder: Path, sources: Path) -> bool:
    """Delete the machine code kept in a folder if it was made from other sources.

    Returns:
        Whether it was. A folder that cannot be written is left as it is.
    """
    contents = b"".join(path.read_bytes() for path in sorted(sources.glob("*.py")))
    digest, stamp = hashlib.sha256(contents).hexdigest(), folder / STAMP
    with contextlib.suppress(OSError):
        if stamp.is_file() and stamp.read_text() == digest:
            return False
        for path in folder.glob("*.nb[ic]"):
            if (sources / path.name.split(".")[0]).with_suffix(".py").is_file():
                path.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        stamp.write_text(digest)
    return True


def is_kept(name: str = "solving.tighten") -> bool:
    """Whether machine code of a function, ``module.function``, was kept by an earlier process."""
    return _folder is not None and any(_folder.glob(f"{name}-*.nbi"))


@compiled
def _here() -> None:
    """Only to ask where machine code is kept."""


_folder = Path(_here.stats.cache_path) if _here.stats.cache_path else None
if _folder is not None:
    forget_stale_code(_folder, Path(__file__).parent)
