"""How this room's functions are compiled, and kept between processes.

numba keeps machine code beside the source and forgets it when the file of a function changes; but
what a function calls, perhaps from another file, is part of its code too. So all of it is forgotten
when any source of this room changes: a proof must not come from a bound that was mended since.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

STAMP = "dualbound-phases.stamp"


def compiled(function: Callable[..., Any]) -> Any:
    """Compile for proofs: sums in the order that is written."""
    return _compile(function)


def compiled_loosely(function: Callable[..., Any]) -> Any:
    """Compile for search: sums in any order, because no proof is made of them."""
    return _compile(function, fastmath={"reassoc", "contract", "nsz", "arcp"})


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    bare = inspect.unwrap(function)  # of a checker of shapes, which could not be compiled
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy", **options)(bare)
    except RuntimeError:  # no folder to keep machine code in
        return numba.njit(nogil=True, error_model="numpy", **options)(bare)


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
