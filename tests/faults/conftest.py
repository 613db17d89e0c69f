"""Repositories to be hurt."""

from __future__ import annotations

import os

import pytest

from faults.power import PowerDisk, why_not


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether every fault is tried, not a sample."""
    return bool(request.config.getoption("--faults-full"))


@pytest.fixture
def disk(memory_folder):
    """A disk whose power can be cut."""
    reason = why_not()
    if reason is not None:
        assert "CI" not in os.environ, reason
        pytest.skip(reason)
    disk = PowerDisk(memory_folder)
    yield disk
    disk.close()
