"""Small helpers for tests; the names are those of `lsst.daf.butler.tests.utils`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from armillary.butler.tests.repository import addDatasetType

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = [
    "ButlerTestHelper",
    "addDatasetType",
    "makeTestTempDir",
    "mock_env",
    "readTable",
    "removeTestTempDir",
    "safeTestTempDir",
]


def makeTestTempDir(default_base: str) -> str:
    """Make a folder for a test, in `DAF_BUTLER_TEST_TMP` if that is set.

    Parameters
    ----------
    default_base
        Where it is made otherwise.
    """
    return tempfile.mkdtemp(dir=os.environ.get("DAF_BUTLER_TEST_TMP", default_base))


def removeTestTempDir(root: str | None) -> None:
    """Remove a folder, if it is one and as far as that can be done."""
    if root is not None and os.path.exists(root):
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def safeTestTempDir(default_base: str) -> Iterator[str]:
    """Make a folder that goes away at the end of the block.

    Examples
    --------
    >>> with safeTestTempDir(tempfile.gettempdir()) as folder:
    ...     os.path.isdir(folder)
    True
    """
    root = makeTestTempDir(default_base)
    try:
        yield root
    finally:
        removeTestTempDir(root)


@contextmanager
def mock_env(new_environment: Mapping[str, str]) -> Iterator[None]:
    """Replace the whole environment during the block.

    Examples
    --------
    >>> with mock_env({"COLOUR": "red"}):
    ...     dict(os.environ)
    {'COLOUR': 'red'}
    """
    with mock.patch.dict(os.environ, new_environment, clear=True):
        yield


def readTable(textTable: str) -> Table:
    r"""Read a table from text with columns of fixed width, as commands print it; `--` stands for no value.

    Examples
    --------
    >>> readTable("name number\n---- ------\n   a      1\n   b      2").colnames
    ['name', 'number']
    """
    from astropy.table import Table

    return Table.read(textTable, format="ascii", data_start=2, delimiter=" ", fill_values=[("", 0, "")])


class ButlerTestHelper:
    """For test cases: comparing tables."""

    def assertAstropyTablesEqual(
        self,
        tables: Table | Sequence[Table],
        expectedTables: Table | Sequence[Table],
        filterColumns: bool = False,
        unorderedRows: bool = False,
    ) -> None:
        """Check that tables have the same columns and values.

        Parameters
        ----------
        tables, expectedTables
            One table or several, in order.
        filterColumns
            Whether columns that are not expected do not matter.
        unorderedRows
            Whether the order of the rows does not matter.

        Raises
        ------
        AssertionError
            They differ.
        """
        from astropy.table import Table

        found: list[Any] = [tables] if isinstance(tables, Table) else list(tables)
        expected: list[Any] = [expectedTables] if isinstance(expectedTables, Table) else list(expectedTables)
        if len(found) != len(expected):
            raise AssertionError(f"there are {len(found)} tables, and {len(expected)} were expected")
        for one, wanted in zip(found, expected, strict=True):
            if filterColumns:
                one = one[[name for name in one.colnames if name in wanted.colnames]]
            rows, wanted_rows = ([[str(value) for value in row] for row in table] for table in (one, wanted))
            if unorderedRows:
                rows.sort()
                wanted_rows.sort()
            if one.colnames != wanted.colnames or rows != wanted_rows:
                raise AssertionError(
                    f"a table differs from what was expected:\n{chr(10).join(one.pformat())}\n"
                    f"expected:\n{chr(10).join(wanted.pformat())}"
                )
