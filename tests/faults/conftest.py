"""Repositories to be hurt."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether every fault is tried, not a sample."""
    return bool(request.config.getoption("--faults-full"))


@pytest.fixture
def memory_folder():
    """A folder in memory, where a thousand copies cost little."""
    base = "/dev/shm" if os.path.isdir("/dev/shm") else None
    folder = tempfile.mkdtemp(prefix="armillary-faults-", dir=base)
    yield Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
