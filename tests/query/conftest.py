"""One repository with everything a query can meet, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import armillary.butler
from armillary._core import QueryEngine
from armillary.butler import Butler
from conftest import DATABASES
from query import two_instruments


@pytest.fixture(scope="session", params=DATABASES)
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("two-instruments"))
    seed = None
    if request.param == "postgresql":
        cluster = request.getfixturevalue("cluster")
        seed = cluster.seed(cluster.new_namespace())
    Butler.makeRepo(path, config=seed)
    with Butler(path, writeable=True) as butler:
        two_instruments.fill(butler, armillary.butler)
    return path


@pytest.fixture
def butler(root: str) -> Iterator[Butler]:
    with Butler(root) as butler:
        yield butler


@pytest.fixture
def engine(root: str) -> QueryEngine:
    with Butler(root) as butler:
        return QueryEngine(butler._core_registry)
