"""Helpers for tests that need a repository; the names are those of `lsst.daf.butler.tests`."""

from __future__ import annotations

from armillary.butler.tests.repository import (
    DatasetTestHelper,
    addDataIdValue,
    addDatasetType,
    expandUniqueId,
    makeTestCollection,
    makeTestRepo,
)

__all__ = [
    "DatasetTestHelper",
    "addDataIdValue",
    "addDatasetType",
    "expandUniqueId",
    "makeTestCollection",
    "makeTestRepo",
]
