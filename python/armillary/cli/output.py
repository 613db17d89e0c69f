"""What queries found, on standard output: as a table for people, or as JSON, CSV, Arrow or Parquet for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

__all__ = ["FORMATS", "Table", "format_option", "print_table", "write_tables"]

FORMATS = ("table", "json", "csv", "arrow", "parquet")

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass
class Table:
    """Rows below names of columns. `records` are the rows as programs get them, where they differ from `rows`.

    `to_arrow` gives them as columns with types of their own; without it, types are those of the values.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]] = ()
    records: list[dict[str, Any]] | None = None
    to_arrow: Callable[[], Any] | None = None

    def to_records(self) -> list[dict[str, Any]]:
        """Give a mapping for each row: names in lower case without blanks, values of plain types."""
        if self.records is not None:
            return self.records
        names = [name.removesuffix(" (TAI)").lower().replace(" ", "_") for name in self.columns]
        return [record(zip(names, row, strict=True)) for row in self.rows]


def format_option(function: Function) -> Function:
    """`--format`: how rows are written."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How to write rows; `arrow` (a stream) and `parquet` are binary: send them to a file or a program.",
    )(function)


def record(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Give values as plain types; a timespan becomes two, `NAME_begin` and `NAME_end`, ISO times of scale TAI.

    >>> import uuid
    >>> record([("id", uuid.UUID(int=1)), ("detector", 2)])
    {'id': '00000000-0000-0000-0000-000000000001', 'detector': 2}
    """
    made: dict[str, Any] = {}
    for name, value in items:
        if name == "timespan":
            begin, end = _bounds(value)
            made |= {"timespan_begin": begin, "timespan_end": end}
        else:
            made[name] = plain(value)
    return made


def plain(value: Any) -> Any:
    """Give a value as JSON has it; a region is its stored bytes in hexadecimal digits."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "encode"):
        return value.encode().hex()
    return str(value)


def _bounds(timespan: Any) -> tuple[str | None, str | None]:
    if timespan is None:
        return None, None
    return tuple(None if bound is None else bound.tai.isot for bound in (timespan.begin, timespan.end))  # type: ignore[return-value]  # two bounds


def write_tables(tables: Iterable[Table], form: str = "table") -> int:
    """Write tables, in the binary forms and in CSV as one with the columns of all; give the number of rows.

    Raises
    ------
    click.UsageError
        If a binary form would go to a terminal.
    """
    found = list(tables)
    if form == "table":
        for position, table in enumerate(found):
            if position:
                click.echo()
            print_table(table.columns, table.rows)
    elif form in ("arrow", "parquet"):
        _write_arrow(found, form)
    else:
        records = [item for table in found for item in table.to_records()]
        names = list(dict.fromkeys(name for item in records for name in item))
        if form == "json":
            _write_json(records)
        else:
            _write_csv(names or [name for table in found for name in table.columns], records)
    return sum(len(table.rows) for table in found)


def _write_json(records: list[dict[str, Any]]) -> None:
    import json

    lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in records)
    click.echo(f"[\n{lines}\n]" if records else "[]")


def _write_csv(names: list[str], records: list[dict[str, Any]]) -> None:
    import csv
    import io

    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for item in records:
        writer.writerow({k: " ".join(map(str, v)) if isinstance(v, list) else v for k, v in item.items()})
    click.echo(text.getvalue(), nl=False)


def _write_arrow(tables: list[Table], form: str) -> None:
    if sys.stdout.isatty():
        raise click.UsageError(f"`--format {form}` is binary: send it to a file, as in `... --format {form} > FILE`")
    import io

    import pyarrow as pa

    made = [_as_arrow(table) for table in tables]
    table = pa.concat_tables(made, promote_options="permissive") if made else pa.table({})
    buffer = io.BytesIO()
    if form == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, buffer)
    else:
        with pa.ipc.new_stream(buffer, table.schema) as stream:
            stream.write_table(table)
    sys.stdout.buffer.write(buffer.getvalue())


def _as_arrow(table: Table) -> Any:
    import pyarrow as pa

    if table.to_arrow is not None:
        return table.to_arrow()
    records = table.to_records()
    names = list(dict.fromkeys(name for item in records for name in item))
    return pa.table({name: pa.array([item.get(name) for item in records]) for name in names})


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows below aligned column names; numbers stand to the right. A terminal gets lines that fit its width."""
    values = [tuple(row) for row in rows]
    cells = [["" if value is None else str(value) for value in row] for row in values]
    numeric = [bool(values) and all(isinstance(row[i], int | float) for row in values) for i in range(len(columns))]
    if sys.stdout.isatty():
        _print_for_people(columns, cells, numeric)
        return
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


def _print_for_people(columns: Sequence[str], cells: list[list[str]], numeric: list[bool]) -> None:
    """A table that breaks long values where the terminal ends; the programs' tables are never broken."""
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for name, right in zip(columns, numeric, strict=True):
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    Console(file=sys.stdout, highlight=False).print(table)
