"""Parquet files, and the names repositories use for what converts their tables."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from armillary.storage.formatter import FormatterV2
from armillary.storage.formatters.arrow_numbers import read_numbers
from armillary.storage.formatters.arrow_schemas import (
    ArrowAstropySchema,
    ArrowNumpySchema,
    DataFrameSchema,
    arrow_schema_to_column_list,
    arrow_schema_to_pandas_index,
)
from armillary.storage.formatters.arrow_tables import (
    ASTROPY_PANDAS_INDEX_KEY,
    ROW_COUNT_KEY,
    TABLE_META_KEY,
    arrow_to_astropy,
    arrow_to_numpy,
    arrow_to_numpy_dict,
    arrow_to_pandas,
    astropy_to_arrow,
    astropy_to_pandas,
    numpy_dict_to_arrow,
    numpy_dict_to_numpy,
    numpy_to_arrow,
    numpy_to_astropy,
    pandas_to_arrow,
    pandas_to_astropy,
    pandas_to_numpy,
)

__all__ = [
    "ASTROPY_PANDAS_INDEX_KEY",
    "ArrowAstropySchema",
    "ArrowNumpySchema",
    "DataFrameSchema",
    "ParquetFormatter",
    "arrow_schema_to_column_list",
    "arrow_schema_to_pandas_index",
    "arrow_to_astropy",
    "arrow_to_numpy",
    "arrow_to_numpy_dict",
    "arrow_to_pandas",
    "astropy_to_arrow",
    "astropy_to_pandas",
    "compute_row_group_size",
    "numpy_dict_to_arrow",
    "numpy_to_arrow",
    "numpy_to_astropy",
    "pandas_to_arrow",
    "pandas_to_astropy",
    "pandas_to_numpy",
]

TARGET_ROW_GROUP_BYTES = 1_000_000_000
MAX_PROVENANCE_INPUTS = 2_000
SMALL_FILE = 1 << 20  # bytes: threads take longer to begin than such a file to be read, and dictionaries to be made

# Converters that repositories name with an underscore.
_numpy_dict_to_numpy = numpy_dict_to_numpy


def _astropy_to_numpy_dict(table: Any) -> dict[str, np.ndarray[Any, Any]]:
    return arrow_to_numpy_dict(astropy_to_arrow(table))


def _numpy_to_numpy_dict(array: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    return {name: array[name] for name in array.dtype.names or ()}


def _pandas_to_numpy_dict(frame: Any) -> dict[str, np.ndarray[Any, Any]]:
    return arrow_to_numpy_dict(pandas_to_arrow(frame))


def compute_row_group_size(schema: pa.Schema, target_size: int = TARGET_ROW_GROUP_BYTES) -> int:
    """How many rows of these columns take about `target_size` bytes."""
    bits = 0
    for field in schema:
        kind, count = field.type, 1
        if pa.types.is_fixed_size_list(kind):
            kind, count = kind.value_type, kind.list_size
        try:
            bits += count * kind.bit_width
        except ValueError:  # strings and lists have no width; 64 bytes is a guess
            bits += count * 64 * 8
    return max(1, target_size * 8 // max(bits, 1))


def _is_pandas(value: Any) -> bool:
    return any(
        base.__module__.partition(".")[0] == "pandas" and base.__name__ == "DataFrame" for base in type(value).__mro__
    )


def _is_astropy(value: Any) -> bool:
    return any(base.__module__ == "astropy.table.table" and base.__name__ == "Table" for base in type(value).__mro__)


def _with_own_meta(table: Any) -> Any:
    """A table with the same columns, and meta data that can be changed; its own copy makes every column anew."""
    other = object.__new__(type(table))
    other.__dict__.update(table.__dict__)
    other.columns = table.TableColumns(table.columns)
    other.meta = copy.deepcopy(table.meta)
    return other


def to_arrow(value: Any) -> pa.Table | pa.Schema | None:
    """Any table or schema this module knows as Arrow, or None for other objects."""
    if isinstance(value, pa.Table | pa.Schema):
        return value
    if isinstance(value, ArrowAstropySchema | ArrowNumpySchema | DataFrameSchema):
        return value.to_arrow_schema()
    if _is_astropy(value):
        return astropy_to_arrow(value)
    if isinstance(value, np.ndarray):
        return numpy_to_arrow(value)
    if _is_pandas(value):
        return pandas_to_arrow(value)
    if isinstance(value, Mapping) and all(isinstance(column, np.ndarray) for column in value.values()):
        return numpy_dict_to_arrow(value)
    return None


def _is_small(value: Any) -> bool:
    """Whether a table is known to take little memory."""
    if _is_astropy(value):
        return sum(getattr(column, "nbytes", SMALL_FILE) for column in value.itercols()) < SMALL_FILE
    return isinstance(value, np.ndarray | pa.Table) and value.nbytes < SMALL_FILE


class ParquetFormatter(FormatterV2):
    """Write tables of Arrow, astropy, numpy and pandas as Parquet; read all of it or some columns.

    A table of any of these kinds is written as it is, whatever kind the storage class has.
    """

    default_extension = ".parq"
    can_read_from_local_file = True
    can_read_from_stream = True

    def can_accept(self, in_memory_dataset: Any) -> bool:
        """Accept tables of all kinds."""
        if isinstance(in_memory_dataset, np.ndarray):
            return in_memory_dataset.dtype.names is not None
        if isinstance(in_memory_dataset, Mapping):
            return bool(in_memory_dataset) and all(isinstance(one, np.ndarray) for one in in_memory_dataset.values())
        return (
            isinstance(in_memory_dataset, pa.Table | pa.Schema)
            or _is_astropy(in_memory_dataset)
            or _is_pandas(in_memory_dataset)
        )

    def add_provenance(self, in_memory_dataset: Any, /, *, provenance: Any | None = None) -> Any:
        """Put where it comes from into the meta data of a copy of an astropy table."""
        if not _is_astropy(in_memory_dataset):
            return in_memory_dataset
        from armillary.storage.provenance import DatasetProvenance

        noted = _with_own_meta(in_memory_dataset)
        DatasetProvenance.strip_provenance_from_flat_dict(noted.meta)
        noted.meta.update(
            (provenance or DatasetProvenance()).to_flat_dict(
                self.dataset_ref, prefix="LSST.BUTLER", simple_types=True, max_inputs=MAX_PROVENANCE_INPUTS
            )
        )
        return noted

    def _is_made_in_memory(self, in_memory_dataset: Any) -> bool:
        """Small tables are; of large ones memory shall not hold a second copy."""
        return _is_small(in_memory_dataset)

    def to_bytes(self, in_memory_dataset: Any) -> bytes:
        """Write one table. Raises `ValueError` for objects that are no table."""
        found = to_arrow(in_memory_dataset)
        if found is None:
            raise ValueError(f"a `{type(in_memory_dataset).__name__}` cannot be stored as a table")
        sink = pa.BufferOutputStream()
        self._write(found, sink)
        return bytes(sink.getvalue().to_pybytes())

    def write_path(self, in_memory_dataset: Any, path: str) -> None:
        """Write one table to a local path."""
        found = to_arrow(in_memory_dataset)
        if found is None:
            raise ValueError(f"a `{type(in_memory_dataset).__name__}` cannot be stored as a table")
        with pa.OSFile(path, "wb") as sink:
            self._write(found, sink)

    @staticmethod
    def _write(found: pa.Table | pa.Schema, sink: Any) -> None:
        if isinstance(found, pa.Schema):
            pq.write_metadata(found, sink)
        else:
            if not found.schema.metadata:  # the peer cannot read a table without any
                found = found.replace_schema_metadata({ROW_COUNT_KEY: str(found.num_rows)})
            pq.write_table(
                found,
                sink,
                row_group_size=compute_row_group_size(found.schema),
                # A dictionary of each column takes longer than it saves, and of one page statistics spare nothing.
                use_dictionary=found.nbytes > SMALL_FILE,
                write_statistics=found.nbytes > SMALL_FILE,
            )

    def read_from_local_file(self, path: str, component: str | None = None, expected_size: int = -1) -> Any:
        """Read the columns asked for, or one component: `columns`, `rowcount` or `schema`."""
        if not 0 <= expected_size <= SMALL_FILE:
            return self._read(path, component)
        with open(path, "rb", buffering=0) as stream:
            content = stream.read()
        if component is None and not self.file_descriptor.parameters:
            found = read_numbers(content, self.file_descriptor.readStorageClass)
            if found is not None:
                return found
        return self._read(pa.BufferReader(content), component, threads=False)

    def read_from_stream(self, stream: BinaryIO, component: str | None = None, expected_size: int = -1) -> Any:
        """Read a part of a file elsewhere: only the columns needed are transferred."""
        if component is None and not self.file_descriptor.parameters:
            return NotImplemented
        return self._read(stream, component)

    def _read(self, source: str | BinaryIO | pa.BufferReader, component: str | None, *, threads: bool = True) -> Any:
        wanted = self.file_descriptor.readStorageClass
        with pq.ParquetFile(source) as file:
            schema = file.schema_arrow
            if component == "rowcount":
                return wanted.coerce_type(_row_count(file))
            if component in ("columns", "schema") or wanted.name == "ArrowSchema":
                return wanted.coerce_type(schema)
            if component is not None:
                raise ValueError(f"a table has no component `{component}`")
            parameters, _ = self.segregate_parameters()
            unknown = sorted(parameters.keys() - {"columns", "strip_astropy_meta_yaml"})
            if unknown:
                raise ValueError(f"Unsupported parameters {unknown}: tables are read by `columns` only")
            names = None
            if parameters.get("columns") is not None:
                names = select_columns(parameters["columns"], schema)
            table = file.read(columns=names, use_pandas_metadata=names is not None, use_threads=threads)
            if names is not None:
                table = _in_order(table, names)
        return wanted.coerce_type(_without_table_meta(table, parameters.get("strip_astropy_meta_yaml", True)))


def _row_count(file: pq.ParquetFile) -> int:
    stored = (file.schema_arrow.metadata or {}).get(ROW_COUNT_KEY.encode())
    return int(file.metadata.num_rows) or int(stored or 0)


def _without_table_meta(table: pa.Table, strip: bool) -> pa.Table:
    """Leave the astropy header out unless it is asked for, or columns cannot be put together without it."""
    metadata = dict(table.schema.metadata or {})
    header = metadata.get(TABLE_META_KEY.encode())
    if header is None or not strip or b"__serialized_columns__" in header:
        return table
    del metadata[TABLE_META_KEY.encode()]
    return table.replace_schema_metadata(metadata)


def _in_order(table: pa.Table, names: list[str]) -> pa.Table:
    """The columns in the order asked for, index columns of pandas last."""
    return table.select([*names, *(name for name in table.column_names if name not in names)])


def select_columns(asked: Any, schema: pa.Schema) -> list[str]:
    """The columns that names, globs or (for columns of several levels) tuples and mappings ask for, each once.

    Raises `ValueError` naming what matches no column.
    """
    known = list(schema.names)
    levels = len(schema.pandas_metadata["column_indexes"]) if schema.pandas_metadata else 1
    if isinstance(asked, Mapping):
        return _select_levels(asked, schema, known)
    if isinstance(asked, str | tuple) and (isinstance(asked, str) or levels > 1):
        asked = [asked]
    chosen: dict[str, None] = {}
    for pattern in asked if isinstance(asked, Iterable) else [asked]:
        text = str(pattern)
        found = [text] if text in known else [name for name in known if fnmatchcase(name, text)]
        if not found:
            raise ValueError(f"Column `{text}` specified in parameters not available in parquet file")
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def _select_levels(asked: Mapping[str, Any], schema: pa.Schema, known: list[str]) -> list[str]:
    """Columns of several levels by a mapping of level name to values; a level not named takes all."""
    import ast

    stored = schema.pandas_metadata
    if not stored:
        raise ValueError("columns can be asked for by level only in a table with columns of several levels")
    levels = [str(level["name"]) for level in stored["column_indexes"]]
    unknown = sorted(asked.keys() - set(levels))
    if unknown:
        raise ValueError(f"the columns have the levels {levels}, not {unknown}")
    chosen = []
    for name in known:
        try:
            parts = ast.literal_eval(name)
        except (ValueError, SyntaxError):
            continue
        if not isinstance(parts, tuple) or len(parts) != len(levels):
            continue
        wanted = [asked.get(level) for level in levels]
        if all(
            values is None or str(part) in ([values] if isinstance(values, str) else [str(one) for one in values])
            for part, values in zip(parts, wanted, strict=True)
        ):
            chosen.append(name)
    if not chosen:
        raise ValueError(f"no column matches {dict(asked)}")
    return chosen
