"""Small Parquet files of numbers: read as pyarrow reads them, or left to it."""

from __future__ import annotations

import io
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from armillary._core import plain_parquet
from armillary.storage.formatters.arrow_numbers import read_numbers
from armillary.storage.formatters.parquet import astropy_to_arrow
from armillary.storage.storage_class import find_storage_class

ARROW = find_storage_class("ArrowTable")
ASTROPY = find_storage_class("ArrowAstropy")


def written(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **{"use_dictionary": False, **options})
    return sink.getvalue()


def numbers(n_rows=100, n_columns=10):
    generator = np.random.default_rng(n_rows)
    kinds = [np.float64, np.int64, np.float32, np.int32]
    columns = {f"c{i}": generator.normal(size=n_rows).astype(kinds[i % 4]) for i in range(n_columns)}
    return pa.table(columns).replace_schema_metadata({"night": "3"})


@pytest.mark.parametrize("n_rows", [1, 7, 8, 9, 100, 1000, 20_000])
@pytest.mark.parametrize("compression", ["none", "snappy"])
@pytest.mark.parametrize("write_statistics", [True, False])
def test_numbers_are_those_of_pyarrow(n_rows, compression, write_statistics):
    content = written(numbers(n_rows), compression=compression, write_statistics=write_statistics)
    found = read_numbers(content, ARROW)
    assert found is not None
    found.validate(full=True)
    assert found.equals(pq.read_table(io.BytesIO(content)), check_metadata=True)


def test_required_columns_have_no_levels():
    fields = [pa.field("a", pa.int64(), nullable=False), pa.field("b", pa.float32())]
    table = pa.table({"a": np.arange(50), "b": np.arange(50, dtype=np.float32)}, schema=pa.schema(fields))
    content = written(table)
    assert read_numbers(content, ARROW).equals(pq.read_table(io.BytesIO(content)), check_metadata=True)


def test_an_astropy_table_has_units_and_descriptions_and_can_be_changed():
    table = Table({"ra": np.arange(5.0), "n": np.arange(5)}, units={"ra": "deg"}, descriptions={"n": "how many"})
    content = written(astropy_to_arrow(table))
    found = read_numbers(content, ASTROPY)
    assert (found["ra"].unit, found["n"].description) == (table["ra"].unit, "how many")
    assert type(found["ra"]) is type(table["ra"])
    assert found.meta == {}
    found["ra"][0] = -1.0
    found.add_row([1.0, 2])
    found.sort("ra")
    found["ra"].meta["a"] = 1
    again = read_numbers(content, ASTROPY)
    assert list(again["ra"]) == list(table["ra"])
    assert again["ra"].meta == {}


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"a": pa.array([1, None, 3])}),
        pa.table({"a": pa.array([None, None], pa.float64())}),
        pa.table({"a": ["x", "y"]}),
        pa.table({"a": [True, False]}),
        pa.table({"a": pa.array([1, 2], pa.int16())}),
        pa.table({"a": pa.array([1, 2], pa.uint64())}),
        pa.table({"a": pa.array([1, 2], pa.timestamp("us"))}),
        pa.table({"a": pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2))}),
        pa.table({"a": pa.array([{"b": 1}, {"b": 2}])}),
        pa.table({"a": pa.array([], pa.int64())}),
        pa.table({"a": [1], "b": ["x"]}),
    ],
)
def test_other_tables_are_left_to_pyarrow(table):
    assert read_numbers(written(table), ARROW) is None


@pytest.mark.parametrize(
    "options",
    [
        {"use_dictionary": True},
        {"data_page_size": 100, "write_batch_size": 10},
        {"data_page_version": "2.0"},
        {"column_encoding": {"c0": "DELTA_BINARY_PACKED"}},
        {"column_encoding": {"c0": "BYTE_STREAM_SPLIT"}},
        {"write_page_checksum": True},
        {"version": "1.0"},
    ],
)
def test_other_ways_to_write_numbers_are_read(options):
    table = pa.table({"c0": np.arange(100) % 7})
    content = written(table, **options)
    found = read_numbers(content, ARROW)
    assert found.equals(pq.read_table(io.BytesIO(content)), check_metadata=True)


@pytest.mark.parametrize(
    "options",
    [{"row_group_size": 10}, {"compression": "zstd"}, {"compression": "gzip"}, {"store_schema": False}],
)
def test_other_ways_to_write_are_left_to_pyarrow(options):
    table = pa.table({"c0": np.arange(100)})
    content = written(table, **options)
    assert read_numbers(content, ARROW) is None
    assert pq.read_table(io.BytesIO(content)).num_rows == 100


def test_a_file_that_stands_for_much_more_than_its_length_is_left_to_pyarrow():
    content = written(pa.table({"c0": np.zeros(200_000)}), use_dictionary=True)
    assert len(content) < 2000
    assert read_numbers(content, ARROW) is None


def test_a_part_of_a_file_and_what_is_no_file_are_left_to_pyarrow():
    content = written(numbers(30, 3))
    for length in range(len(content)):
        assert plain_parquet(content[:length]) is None, length
    for other in (b"", b"PAR1", b"PAR1PAR1", b"PAR1" + b"\xff" * 4 + b"PAR1", b"PAR1" + bytes(100) + b"PAR1"):
        assert plain_parquet(other) is None


def test_changed_bytes_give_a_table_or_are_left_to_pyarrow():
    content = written(numbers(30, 3))
    chance = random.Random(5)
    n_read = 0
    for _ in range(20_000):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        found = read_numbers(bytes(damaged), ARROW)
        if found is not None:
            found.validate(full=True)
            n_read += 1
    assert 0 < n_read < 20_000
