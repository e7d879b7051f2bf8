"""What every test may use."""

from __future__ import annotations

import os
import signal
import zlib
from collections.abc import Generator
from pathlib import Path

import jaxtyping
import pytest
from hypothesis import is_hypothesis_test, settings

FEW = 15
"""Examples of a property in the quick part."""

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--part`` and ``--share``."""
    parser.addoption(
        "--part",
        choices=("quick", "rest"),
        help="quick: the first case of every test that is not marked slow, and few examples of a "
        "property; rest: all others, and all examples; without it: all of them",
    )
    parser.addoption(
        "--share",
        metavar="K/N",
        type=_share,
        default=(0, 1),
        help="of the N shares that the tests are dealt into by their names, only number K, from 0",
    )


def _share(written: str) -> tuple[int, int]:
    """The share's number and how many there are."""
    number, _, count = written.partition("/")
    if not (number.isdigit() and count.isdigit() and int(number) < int(count)):
        raise pytest.UsageError(f"--share is written K/N with K from 0 to N - 1, not {written!r}.")
    return int(number), int(count)


def pytest_configure(config: pytest.Config) -> None:
    """Few examples in the quick part; and Ctrl-C, which a shell's background jobs ignore."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # processes that are started inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--part") == "quick":
        settings.register_profile("quick", settings.default, max_examples=FEW)
        settings.load_profile("quick")


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None]:
    """Make no other cases where only the first is wanted; making them takes half a minute."""
    yield
    if metafunc.config.getoption("--part") == "quick":
        del metafunc._calls[1:]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the part and the share that are asked for."""
    number, count = config.getoption("--share")
    kept = [
        item
        for item in _part(items, config.getoption("--part"))
        if zlib.crc32(item.nodeid.encode()) % count == number
    ]
    those = set(kept)
    config.hook.pytest_deselected(items=[item for item in items if item not in those])
    items[:] = kept


def _part(items: list[pytest.Item], part: str | None) -> list[pytest.Item]:
    """The quick tests, the rest, or all."""
    if part is None:
        return items
    seen: set[str] = set()
    parts: dict[str, list[pytest.Item]] = {"quick": [], "rest": []}
    for item in items:
        of = item.nodeid.partition("[")[0]
        is_quick = of not in seen and item.get_closest_marker("slow") is None
        seen.add(of)
        if is_quick:
            parts["quick"].append(item)
        if not is_quick or is_hypothesis_test(getattr(item, "obj", None)):
            parts["rest"].append(item)
    return parts[part]


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of the full data sets; a test that asks for it is skipped without one."""
    root = os.environ.get("DUALBOUND_DATA")
    if not root:
        pytest.skip("needs the full data sets: set DUALBOUND_DATA to the folder with mnist/")
    if not Path(root).is_dir():
        pytest.skip(f"needs the full data sets: DUALBOUND_DATA={root} is not a folder")
    return Path(root)


WHOLE = {"cli", "report", "studies"}
"""Folders whose tests ask whole questions. What these are made of is checked where it is tested."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The shape checker takes up to four fifths of the time of a question: not of all of them.

    It is off in the folders above, in tests marked `unchecked_shapes`, and for nine seeds in ten.
    """
    seed = item.callspec.params.get("seed", 0) if hasattr(item, "callspec") else 0
    jaxtyping.config.update(
        "jaxtyping_disable",
        item.path.parent.name in WHOLE
        or item.get_closest_marker("unchecked_shapes") is not None
        or seed % 10 > 0,
    )
