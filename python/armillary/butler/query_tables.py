"""Results of queries as tables of other packages, made from the columns of an answer without an object for each row.

In Arrow: text is dictionary-encoded, an id is 16 bytes, a region its encoded bytes (`lsst.sphgeom.Region.decode`), a
time a timestamp in nanoseconds TAI, and a timespan a struct of two of those, `begin` and `end`; one that is open
begins in 1970 or ends in 2100, as it is stored. The metadata of a field has the kind of its values under `kind`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import astropy.table
    import polars
    import pyarrow as pa

__all__ = ["ResultList", "Tabular", "arrow_table", "concatenated"]

# Kind, number of values, bitmap of known values, and the buffers of `column_buffers.rs`, each an array of numpy.
Buffers = tuple[str, int, Any, list[Any]]
# Number of rows; name and buffers of each column; for each element with records its name, which record belongs to each
# row, and of each field its name, whether it is a key, and its buffers.
AnswerBuffers = tuple[int, list[tuple[str, Buffers]], list[tuple[str, Buffers, list[tuple[str, bool, Buffers]]]]]

_HTML_ROWS = 10


def _array(buffers: Buffers) -> pa.Array:
    """Wrap the buffers of a column."""
    import pyarrow as pa

    kind, length, known, parts = buffers
    valid = None if known is None else pa.py_buffer(known)
    data = [pa.py_buffer(part) for part in parts]
    if kind == "text":
        words = pa.Array.from_buffers(pa.large_utf8(), len(parts[1]) - 1, [None, *data[1:]]).cast(pa.utf8())
        return pa.DictionaryArray.from_arrays(pa.Array.from_buffers(pa.int32(), length, [valid, data[0]]), words)
    if kind == "timespan":
        bounds = [pa.Array.from_buffers(pa.timestamp("ns"), length, [None, part]) for part in data]
        return pa.Array.from_buffers(
            pa.struct({"begin": pa.timestamp("ns"), "end": pa.timestamp("ns")}), length, [valid], children=bounds
        )
    plain = {
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "uuid": pa.binary(16),
        "time": pa.timestamp("ns"),
        "bytes": pa.large_binary(),
        "region": pa.large_binary(),
    }
    return pa.Array.from_buffers(plain[kind], length, [valid, *data])


def _constant(text: str, length: int) -> pa.Array:
    """Give the same text in every row."""
    import numpy as np
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(np.zeros(length, dtype=np.int32), pa.array([text]))


def arrow_table(columns: Iterable[tuple[str, Any, str]]) -> pa.Table:
    """Make a table of columns given by name, array and kind."""
    import pyarrow as pa

    columns = list(columns)
    fields = [pa.field(name, array.type, metadata={"kind": kind}) for name, array, kind in columns]
    return pa.Table.from_arrays([array for _, array, _ in columns], schema=pa.schema(fields))


def columns_of(answer: AnswerBuffers, dataset_type: str | None = None) -> Iterator[tuple[str, Any, str]]:
    """Give name, array and kind of each column of an answer of the engine, fields of records last."""
    length, columns, records = answer
    if dataset_type is not None:
        yield "dataset_type", _constant(dataset_type, length), "text"
    for name, buffers in columns:
        yield name, _array(buffers), buffers[0]
    for element, positions, fields in records:
        rows = _array(positions)
        for name, is_key, buffers in fields:
            if not is_key:
                yield f"{element}.{name}", _array(buffers).take(rows), buffers[0]


def record_columns(answer: AnswerBuffers) -> Iterator[tuple[str, Any, str]]:
    """Give name, array and kind of each field of records."""
    for _, positions, fields in answer[2]:
        rows = _array(positions)
        for name, _, buffers in fields:
            yield name, _array(buffers).take(rows), buffers[0]


def concatenated(tables: Sequence[pa.Table]) -> pa.Table:
    """Put tables of different columns one after the other; what a table does not have is unknown."""
    import pyarrow as pa

    return pa.concat_tables(tables, promote_options="default").unify_dictionaries() if tables else pa.table({})


def _id_texts(array: pa.Array) -> Any:
    """Give ids as text of 36 characters, in an array of numpy."""
    import numpy as np

    digits = np.frombuffer(b"".join(array.to_pylist()).hex().encode(), dtype="S1").reshape(len(array), 32)
    dash = np.full((len(array), 1), b"-", dtype="S1")
    groups = np.split(digits, [8, 12, 16, 20], axis=1)
    pieces = [piece for group in groups for piece in (dash, group)][1:]
    return np.ascontiguousarray(np.hstack(pieces)).view("S36").ravel().astype("U36")


def _times(array: pa.Array) -> Any:
    """Give timestamps as one `astropy.time.Time`."""
    import numpy as np
    from astropy.time import Time

    days, rest = np.divmod(array.cast("int64").fill_null(0).to_numpy(zero_copy_only=False), 86_400_000_000_000)
    # 1970-01-01T00:00:00 is Julian date 2440587.5.
    times = Time(2440587.5 + days, rest / 86_400e9, format="jd", scale="tai")
    times.format = "isot"
    if array.null_count:
        times[~np.asarray(array.is_valid())] = np.ma.masked
    return times


def _numpy_column(array: pa.Array, kind: str) -> Any:
    """Give values as a column of an astropy table."""
    import numpy as np
    from astropy.table import MaskedColumn

    missing = ~np.asarray(array.is_valid()) if array.null_count else None
    if kind == "uuid":
        return _id_texts(array)
    if kind == "region":
        from lsst.sphgeom import Region

        column = np.empty(len(array), dtype=object)
        column[:] = [None if value is None else Region.decode(value) for value in array.to_pylist()]
        return column
    if kind == "bytes":
        column = np.empty(len(array), dtype=object)
        column[:] = array.to_pylist()
        return column
    if kind == "text":
        words = np.array([*array.dictionary.to_pylist(), ""], dtype=str)
        values = words[array.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)]
    else:
        values = array.fill_null(False if kind == "bool" else 0).to_numpy(zero_copy_only=False)
    return values if missing is None else MaskedColumn(values, mask=missing)


def astropy_table(table: pa.Table) -> astropy.table.Table:
    """Make an astropy table; a timespan becomes two columns of times, `.begin` and `.end`, and an id text."""
    from astropy.table import Table

    columns: dict[str, Any] = {}
    for field, chunked in zip(table.schema, table.columns, strict=True):
        kind = field.metadata[b"kind"].decode()
        array = chunked.combine_chunks() if chunked.num_chunks != 1 else chunked.chunk(0)
        if kind == "timespan":
            for bound in ("begin", "end"):
                import pyarrow.compute

                columns[f"{field.name}.{bound}"] = _times(pyarrow.compute.struct_field(array, bound))
        elif kind == "time":
            columns[field.name] = _times(array)
        else:
            columns[field.name] = _numpy_column(array, kind)
    return Table(columns)


def polars_frame(table: pa.Table) -> polars.DataFrame:
    """Make a polars data frame; an id becomes text.

    Raises
    ------
    ModuleNotFoundError
        If polars is not installed.
    """
    try:
        import polars
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "polars is not installed: `pip install polars`, or take the table from `to_arrow()` or `to_table()`",
            name="polars",
        ) from error
    import pyarrow as pa

    for position, field in enumerate(table.schema):
        if pa.types.is_fixed_size_binary(field.type):
            column = table.column(position).combine_chunks()
            table = table.set_column(position, field.name, pa.array(_id_texts(column)))
    frame = polars.from_arrow(table)
    assert isinstance(frame, polars.DataFrame)
    return frame


def _cell(value: Any) -> str:
    """Show a value in a few words."""
    return type(value).__name__ if hasattr(value, "getBoundingCircle") else str(value)


def _row(item: Any) -> dict[str, Any]:
    """Give what a result shows in a table, by column."""
    if hasattr(item, "datasetType"):
        return {"dataset_type": item.datasetType.name, **item.dataId.mapping, "run": item.run, "dataset_id": item.id}
    if hasattr(item, "toDict"):
        return dict(item.toDict())
    return dict(item) if isinstance(item, dict) else dict(item.mapping)


def html_table(items: Sequence[Any], count: int, what: str) -> str:
    """Show the first results as HTML, with their number."""
    from html import escape

    rows = [_row(item) for item in items[:_HTML_ROWS]]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    cells = [[escape(_cell(row.get(name, ""))) for name in columns] for row in rows]
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in cells)
    more = f"; the first {len(rows)} are shown" if count > len(rows) else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if rows else ""
    return f"<div><p>{count} {escape(what)}{more}</p>{table}</div>"


class Tabular:
    """What results of every kind can become."""

    def to_arrow(self) -> pa.Table:
        """Give the results as an Arrow table, a column for each dimension and field.

        Text is dictionary-encoded, an id is 16 bytes, a region its encoded bytes, a time a timestamp in nanoseconds
        TAI, and a timespan a struct of two of those; an open one begins in 1970 or ends in 2100, as it is stored.

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository() as butler, butler.query() as query:
        ...     query.where(instrument="Cam").data_ids("detector").to_arrow().to_pylist()
        [{'instrument': 'Cam', 'detector': 1}, {'instrument': 'Cam', 'detector': 2}]
        """
        raise NotImplementedError

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand the results to any package that reads Arrow."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_table(self) -> astropy.table.Table:
        """Give the results as an astropy table.

        A timespan becomes two columns of times, `.begin` and `.end`; a region its `lsst.sphgeom` object; an id text.

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository() as butler, butler.query() as query:
        ...     print(query.where(instrument="Cam").data_ids("detector").to_table())
        instrument detector
        ---------- --------
               Cam        1
               Cam        2
        """
        return astropy_table(self.to_arrow())

    def to_polars(self) -> polars.DataFrame:
        """Give the results as a polars data frame, as `to_arrow` but with ids as text.

        Raises
        ------
        ModuleNotFoundError
            If polars is not installed.

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository() as butler, butler.query() as query:  # doctest: +SKIP
        ...     query.where(instrument="Cam").data_ids("detector").to_polars().columns
        ['instrument', 'detector']
        """
        return polars_frame(self.to_arrow())


class ResultList(list[Any], Tabular):
    """The list that a `query_*` method gives: a list like any other that can also become a table.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository() as butler:
    ...     butler.query_data_ids("detector", instrument="Cam").to_arrow().column_names
    ['instrument', 'detector']
    """

    def __init__(self, items: Iterable[Any] = (), tables: Sequence[pa.Table] | Any = ()):
        super().__init__(items)
        # The columns come from the answers; what became of the list since then is found by comparing with a copy.
        self._as_found = list(self)
        self._tables = tables

    def to_arrow(self) -> pa.Table:
        """Give the results as an Arrow table; a list that was changed gives those results that are still in it."""
        # An answer may have one row more, which told that the limit cuts.
        whole = concatenated([make() for make in self._tables]).slice(0, len(self._as_found))
        if self == self._as_found:
            return whole
        rows = {id(item): row for row, item in enumerate(self._as_found)}
        try:
            return whole.take([rows[id(item)] for item in self])
        except KeyError:
            raise ValueError("the list has items that the query did not find, so its columns are not known") from None

    def __reduce__(self) -> tuple[Any, ...]:
        return (list, (list(self),))

    def _repr_html_(self) -> str:
        return html_table(self, len(self), "result" if len(self) == 1 else "results")
