"""The header of a table is what astropy writes, letter for letter."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Column, MaskedColumn, Table, meta
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.storage.formatters.table_header import header_text

WORDS = [
    "yes",
    "No",
    "null",
    "LSST.BUTLER.ID",
    "LSST BUTLER RUN",
    "a  b",
    "b ",
    "a: b",
    "a #b",
    "2020-01-01",
    "1_0",
    "~",
]
TEXTS = st.one_of(
    st.sampled_from(WORDS),
    st.uuids().map(str),
    st.text("abcXYZ019 _./-:#,'{}", max_size=12),
    st.text(max_size=5),
    st.text("ab ", min_size=100, max_size=180),
)
VALUES = st.one_of(TEXTS, st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers(), max_size=3))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=6))
def test_meta_data(entries):
    table = Table({"a": [1.5]}, meta=entries)
    assert header_text(table).split("\n") == meta.get_yaml_from_table(table)


def variants():
    for description in (None, "a text"):
        for unit in (None, "m / s", "adu"):
            for format in (None, "%.3f", "{:d}".format):
                yield Column([1.0, 2.0], name="a", unit=unit, description=description, format=format)
    yield MaskedColumn([1, 2], name="a", mask=[True, False])
    yield Column(["a", "bcd"], name="a")
    yield Column(["a", "bcdef"], name="a")
    yield Column([b"a", b"b"], name="a")
    yield Column(np.zeros((2, 3)), name="a")
    yield Column(np.zeros((2, 3, 4), dtype=">f4"), name="a")
    yield Column([[1], [1, 2]], name="a", dtype=object)
    yield Column([{"x": 1}, None], name="a", dtype=object)
    yield Column([1, 2], name="a", meta={"x": [1]})
    yield Column([True, False], name="b")


@pytest.mark.parametrize("_", range(2))
def test_columns_also_when_they_come_again(_):
    for column in variants():
        table = Table([column])
        if callable(column.format):  # astropy cannot write this one either
            continue
        assert header_text(table).split("\n") == meta.get_yaml_from_table(table)


@pytest.mark.parametrize("name", ["a", "yes", "1.5", "two words", "x" * 120, "~", "a: b"])
def test_numbers(name):
    for kind in ("f8", "f4", "f2", "i8", "u1", ">f8", "<i4", "?"):
        table = Table({name: np.zeros(2, dtype=kind)})
        assert header_text(table).split("\n") == meta.get_yaml_from_table(table)


def test_more_sorts_of_tables_than_are_kept():
    for i in range(150):
        table = Table({f"column{i}": [1]})
        assert header_text(table).split("\n") == meta.get_yaml_from_table(table)


def test_no_columns():
    assert header_text(Table(meta={"a": 1})).split("\n") == meta.get_yaml_from_table(Table(meta={"a": 1}))
