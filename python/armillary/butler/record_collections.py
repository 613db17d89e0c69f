"""Sets and tables of records of one dimension element."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet, Sequence
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import pyarrow as pa

    from armillary._core import DataCoordinate, DimensionElement, DimensionRecord, DimensionUniverse

__all__ = ["DimensionRecordSet", "DimensionRecordTable"]


def _element(
    element: DimensionElement | str | None,
    records: Sequence[DimensionRecord],
    universe: DimensionUniverse | None,
) -> DimensionElement:
    if element is None:
        if not records:
            raise TypeError("give `element`: without records, nothing else tells it")
        return records[0].definition
    if not isinstance(element, str):
        return element
    if universe is None:
        raise TypeError("give `universe`, or `element` as a `DimensionElement`")
    return universe[element]


class DimensionRecordSet(MutableSet["DimensionRecord"]):
    """Records of one element, each data ID once, in the order in which they came.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository() as butler, butler.query() as query:
    ...     pages = list(query.where(instrument="Cam").dimension_records("detector").iter_set_pages())
    ...     [len(page) for page in pages], pages[0].find(butler.registry.expandDataId(instrument="Cam", detector=2)).id
    ([2], 2)
    """

    def __init__(
        self,
        element: DimensionElement | str | None,
        records: Iterable[DimensionRecord] = (),
        universe: DimensionUniverse | None = None,
    ) -> None:
        records = list(records)
        self._element = _element(element, records, universe)
        self._records: dict[tuple[Any, ...], DimensionRecord] = {}
        self.update(records)

    @property
    def element(self) -> DimensionElement:
        """The element."""
        return self._element

    def _from_iterable(self, it: Iterable[Any]) -> DimensionRecordSet:  # type: ignore[override]
        return DimensionRecordSet(self._element, it)

    def _key(self, item: Any) -> tuple[Any, ...]:
        return tuple(getattr(item, "dataId", item).required_values)

    def __contains__(self, item: object) -> bool:
        return hasattr(item, "definition") and item.definition == self._element and self._key(item) in self._records

    def __iter__(self) -> Iterator[DimensionRecord]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DimensionRecordSet):
            return NotImplemented
        return self._element == other._element and self._records.keys() == other._records.keys()

    __hash__ = None  # type: ignore[assignment]

    def add(self, value: DimensionRecord, replace: bool = True) -> None:
        """Add a record; of a data ID that is there already it takes the place, unless `replace` is false."""
        if value.definition != self._element:
            raise ValueError(f"a record of `{value.definition.name}` is none of `{self._element.name}`")
        if replace:
            self._records[self._key(value)] = value
        else:
            self._records.setdefault(self._key(value), value)

    def discard(self, value: Any) -> None:
        """Take out a record, or the record of a data ID, if it is there."""
        self._records.pop(self._key(value), None)

    def update(self, values: Iterable[DimensionRecord], replace: bool = True) -> None:
        """Add records."""
        for value in values:
            self.add(value, replace)

    def find(self, data_id: DataCoordinate) -> DimensionRecord:
        """Give the record of a data ID.

        Raises
        ------
        LookupError
            If there is none.
        """
        try:
            return self._records[self._key(data_id.subset(self._element.minimal_group))]
        except KeyError:
            raise LookupError(f"no record of `{self._element.name}` has the data ID {data_id}") from None

    def issubset(self, other: DimensionRecordSet) -> bool:
        """Tell whether every record is in `other`."""
        return self._records.keys() <= other._records.keys()

    def issuperset(self, other: DimensionRecordSet) -> bool:
        """Tell whether every record of `other` is here."""
        return self._records.keys() >= other._records.keys()

    def union(self, other: DimensionRecordSet) -> DimensionRecordSet:
        """Keep records that are in either."""
        return self._from_iterable([*other, *self])

    def intersection(self, other: DimensionRecordSet) -> DimensionRecordSet:
        """Keep records that are in both."""
        return self._from_iterable(record for record in self if record in other)

    def difference(self, other: DimensionRecordSet) -> DimensionRecordSet:
        """Keep records that are not in `other`."""
        return self._from_iterable(record for record in self if record not in other)

    def __repr__(self) -> str:
        return f"DimensionRecordSet({self._element.name}, {len(self)} records)"


class DimensionRecordTable(Sequence["DimensionRecord"]):
    """Records of one element in columns; each becomes an object when it is touched.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository() as butler, butler.query() as query:
    ...     page = next(query.where(instrument="Cam").dimension_records("detector").iter_table_pages())
    ...     page.column("full_name").to_pylist(), page[0].id
    (['S00', 'S01'], 1)
    """

    def __init__(self, element: DimensionElement, records: Sequence[DimensionRecord], table: pa.Table) -> None:
        self._element, self._records, self._table = element, records, table

    @property
    def element(self) -> DimensionElement:
        """The element."""
        return self._element

    def column(self, name: str) -> pa.ChunkedArray:
        """Give one field of all records."""
        return self._table[name]

    def to_arrow(self) -> pa.Table:
        """Give all fields of all records."""
        return self._table

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> DimensionRecord: ...
    @overload
    def __getitem__(self, index: slice) -> DimensionRecordTable: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            rows = range(len(self))[index]
            return DimensionRecordTable(self._element, self._records[index], self._table.take(list(rows)))
        return self._records[index]

    def __repr__(self) -> str:
        return f"DimensionRecordTable({self._element.name}, {len(self)} records)"
