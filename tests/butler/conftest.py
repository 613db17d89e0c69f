"""A small repository for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.butler import Butler
from armillary.testing import small_repository


@pytest.fixture
def butler(seed):
    with small_repository(run="u/me", seed=seed) as opened:
        yield opened


@pytest.fixture
def files_of():
    """The files of datasets in a repository."""

    def found(butler: Butler) -> set[str]:
        root = Path(butler._datastore.root)
        return {
            str(path.relative_to(root))
            for path in root.rglob("*")
            if path.is_file()
            and path.name not in ("butler.yaml", "gen3.sqlite3", "gen3.sqlite3-journal")
            and ".armillary" not in path.parts
        }

    return found
