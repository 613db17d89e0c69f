"""Tables on standard output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click

__all__ = ["print_table"]


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows below aligned column names; numbers stand to the right."""
    values = [tuple(row) for row in rows]
    cells = [["" if value is None else str(value) for value in row] for row in values]
    numeric = [bool(values) and all(isinstance(row[i], int | float) for row in values) for i in range(len(columns))]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(columns)]

    def line(values: Sequence[str]) -> str:
        parts = [
            value.rjust(w) if right else value.ljust(w) for value, w, right in zip(values, widths, numeric, strict=True)
        ]
        return " ".join(parts).rstrip()

    click.echo(line(columns))
    click.echo(" ".join("-" * width for width in widths))
    for row in cells:
        click.echo(line(row))
