"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
from hypothesis import settings

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--part``."""
    parser.addoption(
        "--part",
        choices=("quick", "rest"),
        help="quick: the first case of every test that is not marked slow; rest: all others; "
        "without it: all of them",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the part that is asked for."""
    part = config.getoption("--part")
    if part is None:
        return
    seen: set[str] = set()
    parts: dict[str, list[pytest.Item]] = {"quick": [], "rest": []}
    for item in items:
        of = item.nodeid.partition("[")[0]
        is_quick = of not in seen and item.get_closest_marker("slow") is None
        seen.add(of)
        parts["quick" if is_quick else "rest"].append(item)
    items[:] = parts.pop(part)
    config.hook.pytest_deselected(items=[item for others in parts.values() for item in others])


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of the full data sets; a test that asks for it is skipped without one."""
    root = os.environ.get("DUALBOUND_DATA")
    if not root:
        pytest.skip("needs the full data sets: set DUALBOUND_DATA to the folder with mnist/")
    if not Path(root).is_dir():
        pytest.skip(f"needs the full data sets: DUALBOUND_DATA={root} is not a folder")
    return Path(root)


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """The shape checker takes four fifths of the time of a tiny query."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def shapes_checked_now_and_then(request: pytest.FixtureRequest) -> Iterator[None]:
    """The shape checker looks at one seed in ten, and at every test that has none."""
    seed = request.node.callspec.params.get("seed", 0) if hasattr(request.node, "callspec") else 0
    jaxtyping.config.update("jaxtyping_disable", bool(seed % 10))
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
