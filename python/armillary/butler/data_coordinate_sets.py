"""Sets and sequences of data IDs of the same dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Self, overload

from armillary._core import DataCoordinate, DimensionGroup, DimensionUniverse

__all__ = ["DataCoordinateIterable", "DataCoordinateSequence", "DataCoordinateSet"]


class DataCoordinateIterable(Iterable[DataCoordinate]):
    """Data IDs of the same dimensions; the base of `DataCoordinateSet` and `DataCoordinateSequence`."""

    def __init__(
        self,
        dataIds: Iterable[DataCoordinate],
        *,
        dimensions: Iterable[str] | DimensionGroup | None = None,
        hasFull: bool | None = None,
        hasRecords: bool | None = None,
        check: bool = True,
        universe: DimensionUniverse | None = None,
    ) -> None:
        self._data_ids = self._collect(dataIds)
        self._dimensions = _common_dimensions(self._data_ids, dimensions, universe)
        self._has_full = hasFull
        self._has_records = hasRecords
        if check:
            for data_id in self._data_ids:
                if data_id.dimensions != self._dimensions:
                    raise ValueError(f"data ID {data_id} has dimensions {data_id.dimensions}, not {self._dimensions}")

    @staticmethod
    def _collect(data_ids: Iterable[DataCoordinate]) -> AbstractSet[DataCoordinate] | Sequence[DataCoordinate]:
        return tuple(data_ids)

    @staticmethod
    def fromScalar(dataId: DataCoordinate) -> DataCoordinateIterable:
        """Hold one data ID."""
        return DataCoordinateSequence([dataId], dimensions=dataId.dimensions)

    @property
    def dimensions(self) -> DimensionGroup:
        """The dimensions of every data ID here."""
        return self._dimensions

    @property
    def universe(self) -> DimensionUniverse:
        """The universe of the dimensions."""
        return self._dimensions.universe

    def hasFull(self) -> bool:
        """Tell whether every data ID knows its implied values."""
        if self._has_full is None:
            self._has_full = all(data_id.hasFull() for data_id in self._data_ids)
        return self._has_full

    def hasRecords(self) -> bool:
        """Tell whether every data ID is expanded."""
        if self._has_records is None:
            self._has_records = all(data_id.hasRecords() for data_id in self._data_ids)
        return self._has_records

    def toSet(self) -> DataCoordinateSet:
        """Keep each data ID once."""
        return DataCoordinateSet(self._data_ids, dimensions=self._dimensions, check=False)

    def toSequence(self) -> DataCoordinateSequence:
        """Keep all data IDs in order."""
        return DataCoordinateSequence(self._data_ids, dimensions=self._dimensions, check=False)

    def subset(self, dimensions: DimensionGroup | Iterable[str]) -> Self:
        """Project every data ID on fewer dimensions."""
        group = self.universe.conform(dimensions)
        if group == self._dimensions:
            return self
        return type(self)((data_id.subset(group) for data_id in self._data_ids), dimensions=group, check=False)

    def __iter__(self) -> Iterator[DataCoordinate]:
        return iter(self._data_ids)

    def __len__(self) -> int:
        return len(self._data_ids)

    def __contains__(self, data_id: object) -> bool:
        return data_id in self._data_ids

    def __str__(self) -> str:
        return str(self._data_ids)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._data_ids}, {self._dimensions!r})"


def _common_dimensions(
    data_ids: Iterable[DataCoordinate],
    dimensions: Iterable[str] | DimensionGroup | None,
    universe: DimensionUniverse | None,
) -> DimensionGroup:
    if isinstance(dimensions, DimensionGroup):
        return dimensions
    first = next(iter(data_ids), None)
    if dimensions is None:
        if first is None:
            raise TypeError("give `dimensions`: without data IDs, nothing else tells them")
        return first.dimensions
    universe = universe or (first.universe if first is not None else None)
    if universe is None:
        raise TypeError("give `universe`, or `dimensions` as a `DimensionGroup`")
    return universe.conform(dimensions)


class DataCoordinateSet(DataCoordinateIterable):
    """A set of data IDs of the same dimensions, iterated in the order in which they came.

    >>> universe = DimensionUniverse()
    >>> ids = [DataCoordinate.standardize(instrument="HSC", detector=n, universe=universe) for n in (1, 2, 1)]
    >>> DataCoordinateSet(ids)
    DataCoordinateSet({{instrument: 'HSC', detector: 1}, {instrument: 'HSC', detector: 2}}, \
DimensionGroup({instrument, detector}))
    """

    _data_ids: AbstractSet[DataCoordinate]

    @staticmethod
    def _collect(data_ids: Iterable[DataCoordinate]) -> AbstractSet[DataCoordinate]:
        # The keys of a dict are a set that keeps its order: equal inputs iterate alike.
        return dict.fromkeys(data_ids).keys()

    def toSet(self) -> DataCoordinateSet:
        """Return itself."""
        return self

    def _with(self, data_ids: AbstractSet[DataCoordinate]) -> DataCoordinateSet:
        return DataCoordinateSet(data_ids, dimensions=self._dimensions, check=False)

    def _other(self, other: DataCoordinateIterable) -> AbstractSet[DataCoordinate]:
        if other.dimensions != self._dimensions:
            raise ValueError(
                f"sets of data IDs need the same dimensions, not {self._dimensions} and {other.dimensions}"
            )
        return other.toSet()._data_ids

    def union(self, other: DataCoordinateIterable) -> DataCoordinateSet:
        """Keep data IDs that are in either."""
        return self._with(dict.fromkeys([*self._data_ids, *self._other(other)]).keys())

    def intersection(self, other: DataCoordinateIterable) -> DataCoordinateSet:
        """Keep data IDs that are in both."""
        wanted = self._other(other)
        return self._with(dict.fromkeys(one for one in self._data_ids if one in wanted).keys())

    def difference(self, other: DataCoordinateIterable) -> DataCoordinateSet:
        """Keep data IDs that are not in `other`."""
        unwanted = self._other(other)
        return self._with(dict.fromkeys(one for one in self._data_ids if one not in unwanted).keys())

    def symmetric_difference(self, other: DataCoordinateIterable) -> DataCoordinateSet:
        """Keep data IDs that are in one only."""
        return self.difference(other).union(other.toSet().difference(self))

    def isdisjoint(self, other: DataCoordinateIterable) -> bool:
        """Tell whether no data ID is in both."""
        return self._data_ids.isdisjoint(self._other(other))

    def issubset(self, other: DataCoordinateIterable) -> bool:
        """Tell whether every data ID is in `other`."""
        return self._data_ids <= self._other(other)

    def issuperset(self, other: DataCoordinateIterable) -> bool:
        """Tell whether every data ID of `other` is here."""
        return self._data_ids >= self._other(other)

    def __or__(self, other: DataCoordinateSet) -> DataCoordinateSet:
        return self.union(other)

    def __and__(self, other: DataCoordinateSet) -> DataCoordinateSet:
        return self.intersection(other)

    def __sub__(self, other: DataCoordinateSet) -> DataCoordinateSet:
        return self.difference(other)

    def __xor__(self, other: DataCoordinateSet) -> DataCoordinateSet:
        return self.symmetric_difference(other)

    def __le__(self, other: DataCoordinateSet) -> bool:
        return self.issubset(other)

    def __lt__(self, other: DataCoordinateSet) -> bool:
        return self._data_ids < self._other(other)

    def __ge__(self, other: DataCoordinateSet) -> bool:
        return self.issuperset(other)

    def __gt__(self, other: DataCoordinateSet) -> bool:
        return self._data_ids > self._other(other)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DataCoordinateSet):
            return NotImplemented
        return self._dimensions == other._dimensions and self._data_ids == other._data_ids

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"{{{', '.join(map(str, self._data_ids))}}}"

    def __repr__(self) -> str:
        return f"DataCoordinateSet({self}, {self._dimensions!r})"


class DataCoordinateSequence(DataCoordinateIterable, Sequence[DataCoordinate]):
    """A sequence of data IDs of the same dimensions."""

    _data_ids: tuple[DataCoordinate, ...]

    def toSequence(self) -> DataCoordinateSequence:
        """Return itself."""
        return self

    @overload
    def __getitem__(self, index: int) -> DataCoordinate: ...
    @overload
    def __getitem__(self, index: slice) -> DataCoordinateSequence: ...
    def __getitem__(self, index: int | slice) -> Any:
        found = self._data_ids[index]
        if isinstance(index, slice):
            return DataCoordinateSequence(found, dimensions=self._dimensions, check=False)
        return found

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DataCoordinateSequence):
            return NotImplemented
        return self._dimensions == other._dimensions and self._data_ids == other._data_ids

    __hash__ = None  # type: ignore[assignment]
