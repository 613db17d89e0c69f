"""Files and pairs that options about quantum graphs name, read and checked before anything is built."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["anchor_of", "tables_of"]


def tables_of(paths: Iterable[str]) -> list[Table]:
    """Read tables of data IDs, in any format that astropy tells from the name or the content."""
    tables = []
    for path in paths:
        if not os.path.isfile(path):
            raise click.BadParameter(f"there is no file `{path}`", param_hint="--data-id-table")
        from astropy.table import Table

        try:
            table = Table.read(path)
        except Exception as error:  # every format of astropy fails in a way of its own
            raise click.BadParameter(
                f"`{path}` cannot be read as a table: {error}", param_hint="--data-id-table"
            ) from None
        table.meta["filename"] = path
        tables.append(table)
    return tables


def anchor_of(text: str | None) -> tuple[str, str] | None:
    """Take the two labels of `SOURCE:ANCHOR` apart.

    >>> anchor_of("isr:coadd")
    ('isr', 'coadd')
    """
    if text is None:
        return None
    source, colon, anchor = text.partition(":")
    if not (source and colon and anchor) or ":" in anchor:
        raise click.BadParameter(f"`{text}` is not SOURCE:ANCHOR", param_hint="--prune-unanchored-quanta")
    return source, anchor
