"""The header of astropy tables as YAML, the text that `astropy.table.meta` writes, without writing it anew each time.

Tables of one sort have the same columns again and again, and meta data that are mostly short words and numbers: the
lines of columns are kept, those of words and numbers are written here, all else is left to astropy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["header_text"]

_MOST_KEPT = 64
_LONGEST_LINE = 110  # astropy breaks lines of more than 130 characters
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Text that stands without quotes between braces and is no number or date; and the words that are values.
_PLAIN = re.compile(rf"[A-Za-z_][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./]+)*|{_UUID}")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off"})
_columns: dict[Any, list[str]] = {}


def header_text(table: Any) -> str:
    """The header of a table whose columns are all plain ones.

    >>> from astropy.table import Table
    >>> print(header_text(Table({"a": [1.5]}, meta={"night": 3})))
    datatype:
    - {name: a, datatype: float64}
    meta: !!omap
    - {night: 3}
    """
    return "\n".join([*_column_lines(table), *_meta_lines(table.meta)])


def _column_lines(table: Any) -> list[str]:
    key = _structure(table)
    lines = None if key is None else _columns.get(key)
    if lines is None:
        if key and all(map(_is_number_column, key)):
            lines = ["datatype:", *(f"- {{name: {name}, datatype: {np.dtype(kind).name}}}" for name, kind, *_ in key)]
        else:
            lines = _written({"cols": list(table.columns.values())})
        if key is not None:
            if len(_columns) >= _MOST_KEPT:
                _columns.clear()
            _columns[key] = lines
    return lines


def _structure(table: Any) -> tuple[Any, ...] | None:
    """All that the lines of columns say; None if it is more than texts, or depends on the values."""
    found = []
    for column in table.itercols():
        format, description = column.format, column.description
        plain = isinstance(format, str | None) and isinstance(description, str | None)
        if not plain or column.dtype.kind in "OV" or column.meta:
            return None
        unit = None if column.unit is None else str(column.unit)
        found.append((column.name, column.dtype.str, column.shape[1:], unit, format, description))
    return tuple(found)


def _is_number_column(structure: tuple[Any, ...]) -> bool:
    """Whether a column has numbers, a plain name and nothing else, so that its line is written here.

    Asking astropy for it imports its coordinates, which takes longer than hundreds of tables.
    """
    name, kind, shape, *notes = structure
    is_number = np.dtype(kind).kind in "iuf" and shape == () and notes == [None, None, None]
    return is_number and _is_plain(name) and len(name) < _LONGEST_LINE - 40


def _meta_lines(meta: Mapping[Any, Any]) -> list[str]:
    if not meta:
        return []
    if not all(isinstance(value, str | int | float | None) for value in meta.values()):
        return _written({"cols": [], "meta": dict(meta)})[1:]
    return ["meta: !!omap", *(line for entry in meta.items() for line in _entry_lines(*entry))]


def _entry_lines(key: Any, value: Any) -> list[str]:
    if _is_plain(key) and (type(value) is int or _is_plain(value)):
        line = f"- {{{key}: {value}}}"
        if len(line) < _LONGEST_LINE:
            return [line]
    return _written({"cols": [], "meta": {key: value}})[2:]


def _is_plain(value: Any) -> bool:
    return type(value) is str and _PLAIN.fullmatch(value) is not None and value.lower() not in _WORDS


def _written(header: dict[str, Any]) -> list[str]:
    from collections import OrderedDict

    from astropy.table import meta

    if "meta" in header:
        header["meta"] = OrderedDict(header["meta"])
    return list(meta.get_yaml_from_header(header))
