"""Parts of tables in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.storage.delegate import StorageClassDelegate

__all__ = ["ArrowTableDelegate"]


class ArrowTableDelegate(StorageClassDelegate):
    """Columns, row count and schema of tables of every kind, and reading some of their columns."""

    def can_accept(self, inMemoryDataset: Any) -> bool:
        """Accept tables of all kinds."""
        from armillary.storage.formatters.parquet import to_arrow

        try:
            return to_arrow(inMemoryDataset) is not None
        except ValueError:
            return False

    def getComponent(self, composite: Any, componentName: str) -> Any:
        """Get `columns`, `rowcount` or `schema`."""
        import pyarrow as pa

        from armillary.storage.formatters.parquet import to_arrow

        found = to_arrow(composite)
        if found is None:
            raise AttributeError(f"a `{type(composite).__name__}` is no table and has no component `{componentName}`")
        if componentName == "rowcount":
            return 0 if isinstance(found, pa.Schema) else found.num_rows
        if componentName not in ("columns", "schema"):
            raise AttributeError(f"a table has no component `{componentName}`")
        schema = found if isinstance(found, pa.Schema) else found.schema
        return self.storageClass.component(componentName).coerce_type(schema)

    def handleParameters(self, inMemoryDataset: Any, parameters: Mapping[str, Any] | None = None) -> Any:
        """Keep some columns, by names or globs."""
        from armillary.storage.formatters.parquet import select_columns, to_arrow

        asked = {name: value for name, value in (parameters or {}).items() if name != "strip_astropy_meta_yaml"}
        if "columns" not in asked:
            return super().handleParameters(inMemoryDataset, asked)
        columns = asked.pop("columns")
        super().handleParameters(inMemoryDataset, asked)
        found = to_arrow(inMemoryDataset)
        if found is None:
            raise ValueError(f"a `{type(inMemoryDataset).__name__}` has no columns")
        return self.storageClass.coerce_type(found.select(select_columns(columns, found.schema)))
