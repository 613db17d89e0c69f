"""The columns of a stored table as astropy, numpy and pandas describe them."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pyarrow as pa

from armillary.storage.formatters.arrow_tables import (
    _with_table_meta,
    astropy_to_arrow,
    pandas_to_arrow,
    schema_dtype,
)

__all__ = [
    "ArrowAstropySchema",
    "ArrowNumpySchema",
    "DataFrameSchema",
    "arrow_schema_to_column_list",
    "arrow_schema_to_pandas_index",
]


def _empty_table(schema: pa.Schema) -> Any:
    """An astropy table without rows, its string columns as wide as stored."""
    from astropy.table import Table

    table = Table(np.zeros(0, dtype=schema_dtype(schema)))
    for field in schema:
        notes = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        if notes.get("unit"):
            table[field.name].unit = notes["unit"]
        if notes.get("description"):
            table[field.name].description = notes["description"]
    return table


class ArrowAstropySchema:
    """Columns as an astropy table without rows, `schema`."""

    def __init__(self, astropy_table: Any) -> None:
        self._schema = astropy_table[:0]

    @property
    def schema(self) -> Any:
        """A table without rows."""
        return self._schema

    @classmethod
    def from_arrow(cls, schema: pa.Schema) -> Self:
        """Read an Arrow schema."""
        return cls(_with_table_meta(_empty_table(schema), schema))

    def to_arrow_schema(self) -> pa.Schema:
        """The Arrow schema of these columns."""
        return astropy_to_arrow(self._schema).schema

    def to_dataframe_schema(self) -> DataFrameSchema:
        """The same for pandas."""
        return DataFrameSchema.from_arrow(self.to_arrow_schema())

    def to_arrow_numpy_schema(self) -> ArrowNumpySchema:
        """The same for numpy."""
        return ArrowNumpySchema(self._schema.dtype)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArrowAstropySchema) or self._schema.dtype != other._schema.dtype:
            return False
        pairs = ((self._schema[name], other._schema[name]) for name in self._schema.colnames)
        return all((a.unit, a.description, a.format) == (b.unit, b.description, b.format) for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._schema)


class ArrowNumpySchema:
    """Columns as the numpy type of one row, `schema`."""

    def __init__(self, numpy_dtype: np.dtype[Any]) -> None:
        self._dtype = numpy_dtype

    @property
    def schema(self) -> np.dtype[Any]:
        """The type of one row."""
        return self._dtype

    @classmethod
    def from_arrow(cls, schema: pa.Schema) -> Self:
        """Read an Arrow schema."""
        return cls(schema_dtype(schema))

    def to_arrow_schema(self) -> pa.Schema:
        """The Arrow schema of these columns."""
        from armillary.storage.formatters.arrow_tables import numpy_to_arrow

        return numpy_to_arrow(np.zeros(0, dtype=self._dtype)).schema

    def to_dataframe_schema(self) -> DataFrameSchema:
        """The same for pandas."""
        return DataFrameSchema.from_arrow(self.to_arrow_schema())

    def to_arrow_astropy_schema(self) -> ArrowAstropySchema:
        """The same for astropy."""
        return ArrowAstropySchema(_empty_table(self.to_arrow_schema()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArrowNumpySchema) and self._dtype == other._dtype

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._dtype)


class DataFrameSchema:
    """Columns as a data frame without rows, `schema`."""

    def __init__(self, dataframe: Any) -> None:
        self._schema = dataframe.loc[[False] * len(dataframe)]

    @property
    def schema(self) -> Any:
        """A data frame without rows."""
        return self._schema

    @classmethod
    def from_arrow(cls, schema: pa.Schema) -> Self:
        """Read an Arrow schema."""
        return cls(schema.empty_table().to_pandas())

    def to_arrow_schema(self) -> pa.Schema:
        """The Arrow schema of these columns."""
        return pandas_to_arrow(self._schema).schema

    def to_arrow_numpy_schema(self) -> ArrowNumpySchema:
        """The same for numpy."""
        return ArrowNumpySchema.from_arrow(self.to_arrow_schema())

    def to_arrow_astropy_schema(self) -> ArrowAstropySchema:
        """The same for astropy."""
        return ArrowAstropySchema.from_arrow(self.to_arrow_schema())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataFrameSchema) and bool(self._schema.equals(other._schema))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._schema)


def arrow_schema_to_column_list(schema: pa.Schema) -> list[str]:
    """Names of the columns."""
    return list(schema.names)


def arrow_schema_to_pandas_index(schema: pa.Schema) -> Any:
    """Names of the columns as pandas has them: an index, of several levels if the columns have several."""
    import pandas as pd

    names = schema.pandas_metadata["column_indexes"] if schema.pandas_metadata else []
    if len(names) <= 1:
        return pd.Index(schema.names)
    return schema.empty_table().to_pandas().columns
