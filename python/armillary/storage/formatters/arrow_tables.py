"""Tables of astropy, numpy and pandas to Arrow and back, nothing lost.

Arrow has no fixed string widths, no arrays of more than one dimension in a cell and no units; these are kept in the
meta data of the schema, by the keys repositories hold.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = [
    "ASTROPY_PANDAS_INDEX_KEY",
    "arrow_to_astropy",
    "arrow_to_numpy",
    "arrow_to_numpy_dict",
    "arrow_to_pandas",
    "astropy_to_arrow",
    "astropy_to_pandas",
    "columns_to_astropy",
    "numpy_dict_to_arrow",
    "numpy_to_arrow",
    "numpy_to_astropy",
    "pandas_to_arrow",
    "pandas_to_astropy",
    "pandas_to_numpy",
]

ASTROPY_PANDAS_INDEX_KEY = "lsst::arrow::astropy_pandas_index"
ROW_COUNT_KEY = "lsst::arrow::rowcount"
TABLE_META_KEY = "table_meta_yaml"
_WIDTH_KEYS = ("lsst::arrow::len::", "table::len::")
_SHAPE_KEY = "lsst::arrow::shape::"


def _to_arrow_array(column: np.ndarray[Any, Any]) -> pa.Array:
    """One column; masked entries become null."""
    mask = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
    if mask is not None and not mask.any():
        mask = None
    data = np.ma.getdata(column)
    if data.dtype.byteorder not in "=|" and not data.dtype.isnative:  # FITS tables are big-endian
        data = data.astype(data.dtype.newbyteorder("="))
    if data.ndim == 1 and mask is None and data.dtype.kind in "iuf":
        # As `pa.array`, which imports pandas to see whether this is a series.
        values = np.ascontiguousarray(data)
        return pa.Array.from_buffers(pa.from_numpy_dtype(data.dtype), len(data), [None, pa.py_buffer(values)])
    if data.ndim == 1:
        return pa.array(np.ascontiguousarray(data), mask=mask)
    flat = pa.array(np.ascontiguousarray(data).reshape(-1), mask=None if mask is None else mask.reshape(-1))
    size = int(np.prod(data.shape[1:]))
    return pa.FixedSizeListArray.from_arrays(flat, size)


def _width_and_shape(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> dict[str, str]:
    """What Arrow cannot say about a column; `shape` is that of one cell."""
    found: dict[str, str] = {}
    if dtype.kind in "US":
        width = str(dtype.itemsize // (4 if dtype.kind == "U" else 1))
        found.update({key + name: width for key in _WIDTH_KEYS})
    if len(shape) > 1:
        found[_SHAPE_KEY + name] = str(tuple(int(size) for size in shape))
    return found


def numpy_dict_to_arrow(numpy_dict: Mapping[str, Any]) -> pa.Table:
    """Columns by name to Arrow. Raises `ValueError` if they differ in length or are not arrays."""
    columns = {
        str(name): value if isinstance(value, np.ndarray) else np.asarray(value) for name, value in numpy_dict.items()
    }
    for name, column in columns.items():
        if column.ndim == 0 or (column.dtype.kind in "OV" and not _is_plain_objects(column)):
            raise ValueError(f"column `{name}` of type `{column.dtype}` cannot be stored in a table")
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        sizes = {name: len(column) for name, column in columns.items()}
        raise ValueError(f"the columns of a table must have one length, not {sizes}")
    metadata = {ROW_COUNT_KEY: str(lengths.pop() if lengths else 0)}
    for name, column in columns.items():
        metadata.update(_width_and_shape(name, column.dtype, column.shape[1:]))
    arrays = [_to_arrow_array(column) for column in columns.values()]
    fields = [pa.field(name, array.type) for name, array in zip(columns, arrays, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))


def _is_plain_objects(column: np.ndarray[Any, Any]) -> bool:
    """Whether Arrow finds a type for a column of Python objects (strings, numbers, lists of numbers)."""
    if column.dtype.kind != "O":
        return False
    try:
        pa.array(np.ma.getdata(column))
    except (pa.ArrowException, TypeError):
        return False
    return True


def numpy_to_arrow(np_array: np.ndarray[Any, Any]) -> pa.Table:
    """A structured array to Arrow."""
    if np_array.dtype.names is None:
        raise ValueError(
            f"an array of type `{np_array.dtype}` has no named columns; store it with storage class `NumpyArray`"
        )
    return numpy_dict_to_arrow({name: np_array[name] for name in np_array.dtype.names})


def astropy_to_arrow(astropy_table: Any) -> pa.Table:
    """An astropy table to Arrow, with units, descriptions and meta data; quantities and times become plain columns."""
    from astropy.table import Column, serialize

    from armillary.storage.formatters.table_header import header_text

    table = astropy_table
    if any(not isinstance(column, Column) for column in table.itercols()):
        table = serialize.represent_mixins_as_columns(table)
    plain = numpy_dict_to_arrow({name: _astropy_values(table[name]) for name in table.colnames})
    fields = []
    for field, column in zip(plain.schema, table.itercols(), strict=True):
        notes = {}
        if column.description:
            notes["description"] = column.description
        if column.unit is not None:
            notes["unit"] = str(column.unit)
        fields.append(field.with_metadata(notes))
    metadata = dict(plain.schema.metadata)
    metadata[ROW_COUNT_KEY.encode()] = str(len(table)).encode()
    metadata[TABLE_META_KEY.encode()] = header_text(table).encode()
    return pa.Table.from_arrays(plain.columns, schema=pa.schema(fields, metadata=metadata))


def _astropy_values(column: Any) -> np.ndarray[Any, Any]:
    if isinstance(column, np.ma.MaskedArray):
        return np.ma.MaskedArray(column.data.view(np.ndarray), mask=column.mask)
    return np.asarray(column)


def pandas_to_arrow(dataframe: Any) -> pa.Table:
    """A data frame to Arrow, index included."""
    table = pa.Table.from_pandas(dataframe)
    metadata = {**(table.schema.metadata or {}), ROW_COUNT_KEY.encode(): str(table.num_rows).encode()}
    return table.replace_schema_metadata(metadata)


def _metadata(schema: pa.Schema) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}


def _cell_shape(field: pa.Field, metadata: Mapping[str, str]) -> tuple[int, ...]:
    size = field.type.list_size
    text = metadata.get(_SHAPE_KEY + field.name)
    if text is None:
        return (size,)
    shape = ast.literal_eval(text)
    if not isinstance(shape, tuple) or int(np.prod(shape)) != size:
        raise ValueError(f"the shape `{text}` of column `{field.name}` does not fit its {size} values")
    return shape


def _known_width(name: str, metadata: Mapping[str, str]) -> int | None:
    for key in _WIDTH_KEYS:
        text = metadata.get(key + name, "")
        if text.isdigit():
            return int(text)
    return None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def field_dtype(field: pa.Field, metadata: Mapping[str, str]) -> tuple[Any, ...]:
    """The numpy description of a column: (name, type) or (name, type, shape)."""
    kind = field.type
    if pa.types.is_fixed_size_list(kind):
        return field.name, np.dtype(kind.value_type.to_pandas_dtype()).str, _cell_shape(field, metadata)
    if _is_text(kind):
        return field.name, f"<U{_known_width(field.name, metadata) or 1}"
    if _is_bytes(kind):
        return field.name, f"|S{_known_width(field.name, metadata) or 1}"
    if pa.types.is_timestamp(kind):
        return field.name, f"<M8[{kind.unit}]"
    if pa.types.is_nested(kind) or pa.types.is_dictionary(kind):
        return field.name, "|O"
    return field.name, np.dtype(kind.to_pandas_dtype()).str


def schema_dtype(schema: pa.Schema) -> np.dtype[Any]:
    """The numpy type of one row. String columns without a stored width are one character wide."""
    metadata = _metadata(schema)
    return np.dtype([field_dtype(field, metadata) for field in schema])


def _to_numpy_column(column: pa.ChunkedArray, field: pa.Field, metadata: Mapping[str, str]) -> np.ndarray[Any, Any]:
    """One column; it is masked if it has nulls."""
    if column.num_chunks == 1 and column.null_count == 0 and (numbers := _number_dtype(field.type)) is not None:
        return _numbers(column.chunk(0), numbers)
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # older releases of pyarrow return one chunk, newer an array
        array = array.chunk(0) if array.num_chunks else pa.array([], field.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_fixed_size_list(kind):
        inner = _to_numpy_column(pa.chunked_array([array.flatten()]), pa.field(field.name, kind.value_type), {})
        if array.null_count:
            raise ValueError(f"column `{field.name}` has empty cells, which an array column cannot have")
        return inner.reshape((len(array), *_cell_shape(field, metadata)))
    mask = np.asarray(array.is_null()) if array.null_count else None
    values = _plain_values(array, kind, _known_width(field.name, metadata))
    return values if mask is None else np.ma.MaskedArray(values, mask=mask)


def _plain_values(array: pa.Array, kind: pa.DataType, width: int | None) -> np.ndarray[Any, Any]:
    if _is_text(kind) or _is_bytes(kind):
        code, empty = ("U", "") if _is_text(kind) else ("S", b"")
        filled = array.fill_null(empty) if array.null_count else array
        objects = filled.to_numpy(zero_copy_only=False)
        longest = max((len(value) for value in objects), default=1) or 1
        text: np.ndarray[Any, Any] = objects.astype(f"{code}{max(width or 1, longest)}")
        return text
    if array.null_count and pa.types.is_boolean(kind):
        array = array.fill_null(False)
    elif array.null_count and pa.types.is_floating(kind):
        array = array.fill_null(float("nan"))  # for those who look below the mask
    elif array.null_count and pa.types.is_integer(kind):
        array = array.fill_null(0)
    numbers = _number_dtype(kind)
    if numbers is not None:
        return _numbers(array, numbers)
    values: np.ndarray[Any, Any] = array.to_numpy(zero_copy_only=False)
    return values


@lru_cache(maxsize=64)
def _number_dtype(kind: pa.DataType) -> np.dtype[Any] | None:
    """The numpy type of a column of numbers, otherwise None."""
    return np.dtype(kind.to_pandas_dtype()) if pa.types.is_integer(kind) or pa.types.is_floating(kind) else None


def _numbers(array: pa.Array, numbers: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """As `to_numpy`, which imports pandas."""
    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        return np.empty(0, numbers)
    found = np.frombuffer(buffer, numbers, len(array), array.offset * numbers.itemsize)
    found.flags.writeable = False  # others may have the same Arrow table
    return found


def arrow_to_numpy_dict(arrow_table: pa.Table) -> dict[str, np.ndarray[Any, Any]]:
    """Arrow to columns by name; a column with nulls is masked."""
    metadata = _metadata(arrow_table.schema)
    return {
        field.name: _to_numpy_column(arrow_table.column(position), field, metadata)
        for position, field in enumerate(arrow_table.schema)
    }


def numpy_dict_to_numpy(numpy_dict: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """Columns by name to a structured array; masked if a column is."""
    columns = {
        name: value if isinstance(value, np.ndarray) else np.asarray(value) for name, value in numpy_dict.items()
    }
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise ValueError("the columns of an array must have one length")
    dtype = np.dtype([(name, column.dtype, column.shape[1:]) for name, column in columns.items()])
    masked = any(isinstance(column, np.ma.MaskedArray) for column in columns.values())
    length = lengths.pop() if lengths else 0
    made = np.ma.zeros(length, dtype=dtype) if masked else np.zeros(length, dtype=dtype)
    for name, column in columns.items():
        made[name] = column
    return made if masked else made.view(np.recarray)


def arrow_to_numpy(arrow_table: pa.Table) -> np.ndarray[Any, Any]:
    """Arrow to a structured array; masked if there are nulls."""
    return numpy_dict_to_numpy(arrow_to_numpy_dict(arrow_table))


def arrow_to_astropy(arrow_table: pa.Table) -> Any:
    """Arrow to an astropy table, with units, descriptions and, if they are stored, meta data."""
    return _with_table_meta(_plain_table(arrow_table), arrow_table.schema)


def _plain_table(arrow_table: pa.Table) -> Any:
    """The columns of an Arrow table, with units and descriptions."""
    from astropy.table import Table

    values = {  # a table can be sorted and changed, and others may have the same Arrow table
        name: one if one.flags.writeable else one.copy() for name, one in arrow_to_numpy_dict(arrow_table).items()
    }
    plain = all(type(one) is np.ndarray and one.dtype.kind in "biufUSM" for one in values.values())
    if not plain or len(values) < arrow_table.num_columns:
        table = Table(values, copy=False)
        for field in arrow_table.schema:
            unit, description = _notes(field)
            if unit:
                table[field.name].unit = unit
            if description:
                table[field.name].description = description
        return table
    return columns_to_astropy(arrow_table.schema, list(values.values()))


def columns_to_astropy(schema: pa.Schema, columns: Sequence[np.ndarray[Any, Any]]) -> Any:
    """Arrays of plain values, which nobody else has, to an astropy table with units and descriptions of a schema."""
    from astropy.table import Column, Table

    table = Table()
    for field, one in zip(schema, columns, strict=True):
        # As `Table(values)`, which sets the same attributes of every column one by one, several times over.
        name = field.name
        made = np.ndarray.__new__(Column, one.shape, one.dtype, one)
        fixed, own = _column_attributes(name, *_notes(field))
        made.__dict__.update(fixed)
        for key, value in own:
            made.__dict__[key] = value.copy()
        made.parent_table = table
        table.columns[name] = made
    return table


def _notes(field: pa.Field) -> tuple[str | None, str | None]:
    """Unit and description of a column."""
    notes = field.metadata
    if not notes:
        return None, None
    unit, description = notes.get(b"unit", b""), notes.get(b"description", b"")
    return unit.decode() or None, description.decode() or None


@lru_cache(maxsize=4096)
def _column_attributes(
    name: str, unit: str | None, description: str | None
) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """What astropy sets in a column that it makes itself, and what of it each column has for itself."""
    from astropy.table import Column

    found = Column([0.0], name=name, unit=unit, description=description).__dict__
    own = [(key, value) for key, value in found.items() if isinstance(value, list | dict)]
    return dict(found), own


def _with_table_meta(table: Any, schema: pa.Schema) -> Any:
    """Put stored meta data and quantities back; columns not stored are ignored."""
    text = (schema.metadata or {}).get(TABLE_META_KEY.encode())
    if text is None:
        return table
    from astropy.table import meta, serialize

    header = meta.get_header_from_yaml(text.decode().split("\n"))
    stored = dict(header.get("meta") or {})
    mixins = stored.get("__serialized_columns__")
    table.meta.update(stored)
    if mixins is None:
        return table
    if set(table.colnames) != {column["name"] for column in header["datatype"]}:
        del table.meta["__serialized_columns__"]  # a part of the columns cannot be put together again
        return table
    return serialize._construct_mixins_from_columns(table)


def arrow_to_pandas(arrow_table: pa.Table) -> Any:
    """Arrow to a data frame; cells of several values become objects."""
    index = (arrow_table.schema.metadata or {}).get(ASTROPY_PANDAS_INDEX_KEY.encode())
    frame = arrow_table.to_pandas(integer_object_nulls=True)
    return frame.set_index(index.decode()) if index is not None and index.decode() in frame.columns else frame


def numpy_to_astropy(np_array: np.ndarray[Any, Any]) -> Any:
    """A structured array to an astropy table."""
    from astropy.table import Table

    return Table(data=np_array, copy=False)


def astropy_to_pandas(astropy_table: Any, index: str | None = None) -> Any:
    """An astropy table to a data frame."""
    return astropy_table.to_pandas(index=index)


def pandas_to_astropy(dataframe: Any) -> Any:
    """A data frame to an astropy table, named index included."""
    return arrow_to_astropy(pandas_to_arrow(dataframe))


def pandas_to_numpy(dataframe: Any) -> np.ndarray[Any, Any]:
    """A data frame to a structured array, named index included."""
    return arrow_to_numpy(pandas_to_arrow(dataframe))
