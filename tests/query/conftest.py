"""One repository with everything a query can meet, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import armillary.butler
from armillary._core import QueryEngine, Registry
from armillary.butler import Butler
from query import two_instruments


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("two-instruments"))
    Butler.makeRepo(path)
    with Butler(path, writeable=True) as butler:
        two_instruments.fill(butler, armillary.butler)
    return path


@pytest.fixture
def butler(root: str) -> Iterator[Butler]:
    with Butler(root) as butler:
        yield butler


@pytest.fixture
def engine(root: str) -> QueryEngine:
    return QueryEngine(Registry.open(f"{root}/gen3.sqlite3", writeable=False))
