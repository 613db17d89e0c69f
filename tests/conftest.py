"""What every test may use: the shared inputs."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from databases import running_cluster
from faults.power import PowerDisk, why_not

REPOSITORY_ROOT = Path(__file__).resolve().parents[1]


def shared_path(*parts: str) -> Path:
    """A shared input; a missing one fails the test, it never skips it."""
    root = Path(os.environ.get("ARMILLARY_SHARED", REPOSITORY_ROOT.parent / "shared"))
    path = root.joinpath(*parts)
    if not path.exists():
        raise AssertionError(f"the shared input `{path}` is missing; set ARMILLARY_SHARED to the folder that holds it")
    return path


@pytest.fixture(name="shared_path", scope="session")
def shared_path_fixture():
    return shared_path


@pytest.fixture(name="cluster", scope="session")
def cluster_fixture():
    """A private PostgreSQL server; without one the test fails where every part must be there, and skips elsewhere."""
    with running_cluster() as cluster:
        if cluster is None:
            missing = "PostgreSQL is not installed (Debian's package `postgresql`)"
            if os.environ.get("CI"):
                pytest.fail(missing)
            pytest.skip(missing)
        yield cluster


@pytest.fixture
def memory_folder():
    """A folder in memory, where a thousand copies cost little."""
    base = "/dev/shm" if os.path.isdir("/dev/shm") else None
    folder = tempfile.mkdtemp(prefix="armillary-faults-", dir=base)
    yield Path(folder)
    shutil.rmtree(folder, ignore_errors=True)


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


DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database a test runs on: once on each."""
    return request.param


@pytest.fixture
def seed(database: str, request: pytest.FixtureRequest):
    """The configuration from which a repository on that kind of database is made."""
    if database == "sqlite":
        return None
    cluster = request.getfixturevalue("cluster")
    return cluster.seed(cluster.new_namespace())


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("comparison with the peer")
    group.addoption("--seed", type=int, default=1, help="seed of random queries and moments")
    faults = parser.getgroup("faults")
    faults.addoption("--faults-full", action="store_true", help="kill and cut power everywhere, not in a sample")
    faults.addoption("--kills", type=int, default=4, help="how many runs to kill at random moments on each database")
    faults.addoption("--writer-kills", type=int, default=1, help="how often to kill each operation in each place")
    faults.addoption("--power-cuts", type=int, default=4, help="how often the peer judges a disk that lost its power")
    servers = parser.getgroup("servers of files")
    servers.addoption("--all-servers", action="store_true", help="test SeaweedFS and WebDAV, too, not only moto")
    engines = parser.getgroup("engines")
    engines.addoption("--slurm", action="store_true", help="start a Slurm cluster of two nodes on this machine")
    group.addoption("--pairs", type=int, default=100_000, help="how many pairs of regions to compare")
    group.addoption("--queries", type=int, default=2000, help="how many random queries to ask")
    group.addoption("--steps", type=int, default=200, help="how many steps two actors take on one repository")
    group.addoption("--all-graphs", action="store_true", help="run every graph of the matrix, not a sample")
    group.addoption("--programs", type=int, default=3, help="how often two actors begin anew")
