"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of the full data sets; a test that asks for it is skipped without one."""
    root = os.environ.get("DUALBOUND_DATA")
    if not root:
        pytest.skip("needs the full data sets: set DUALBOUND_DATA to the folder with mnist/")
    if not Path(root).is_dir():
        pytest.skip(f"needs the full data sets: DUALBOUND_DATA={root} is not a folder")
    return Path(root)
