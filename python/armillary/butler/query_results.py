"""Results of queries: they run the query when they are looked at."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from armillary.butler.data_coordinate_sets import DataCoordinateSequence, DataCoordinateSet
from armillary.butler.query_spec import QueryContext, QuerySpec, dimension_names, order_terms, type_name
from armillary.butler.query_tables import (
    AnswerBuffers,
    Tabular,
    arrow_table,
    columns_of,
    concatenated,
    html_table,
    record_columns,
)
from armillary.butler.record_collections import DimensionRecordSet, DimensionRecordTable

if TYPE_CHECKING:
    import pyarrow as pa

    from armillary._core import (
        DataCoordinate,
        DatasetRef,
        DatasetType,
        DimensionElement,
        DimensionGroup,
        DimensionRecord,
        DimensionUniverse,
    )

__all__ = [
    "ChainedDatasetQueryResults",
    "DataCoordinateQueryResults",
    "DatasetRefQueryResults",
    "DimensionRecordQueryResults",
    "QueryResults",
    "upload_of",
]

Item = TypeVar("Item")

_SHOWN_ROWS = 10
_PAGE_ROWS = 10_000


def upload_of(
    data_ids: Iterable[DataCoordinate], dimensions: DimensionGroup
) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
    """Give the names and rows of required values that stand for data IDs in a query."""
    return tuple(dimensions.required), tuple(dict.fromkeys(tuple(one.required_values) for one in data_ids))


class QueryResults(Tabular, Generic[Item]):
    """Results of a query, fetched when they are looked at; each look asks again."""

    def __init__(self, context: QueryContext, spec: QuerySpec):
        self._context = context
        self._spec = spec

    def _copy(self, **changes: Any) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.__dict__.pop("_kept", None)
        other._spec = dataclasses.replace(self._spec, **changes)
        return other

    #: What the results are called when they are counted.
    _what = "results"

    def _ask(self, mode: str) -> Any:
        """Run the query; `mode` is what is wanted of it, as the engine calls it."""
        raise NotImplementedError

    def _arguments(self) -> dict[str, Any]:
        return {"dimensions_joined": list(self._spec.dimensions), **self._spec.arguments(self._context)}

    def _fetch(self) -> Sequence[Item]:
        kept: Sequence[Item] | None = self.__dict__.get("_kept")
        result: Sequence[Item] = self._ask("rows") if kept is None else kept
        return result

    def _columns(self, answer: AnswerBuffers) -> Iterator[tuple[str, Any, str]]:
        """Give name, array and kind of each column of an answer."""
        return columns_of(answer)

    def _tables(self, answer: Any) -> list[Any]:
        """Give functions that make the tables of an answer."""
        return [lambda: arrow_table(self._columns(answer.buffers()))]

    def to_arrow(self) -> pa.Table:  # noqa: D102  (documented in the base class)
        kept = self.__dict__.get("_kept")
        return arrow_table(self._columns(self._ask("columns") if kept is None else kept.buffers()))

    def _repr_html_(self) -> str:
        first = self.limit(_SHOWN_ROWS if self._spec.limit is None else min(self._spec.limit, _SHOWN_ROWS))
        return html_table(list(first), self.count(), self._what)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._fetch())

    def where(self, *args: Any, bind: Mapping[str, Any] | None = None, **kwargs: Any) -> Self:
        """Keep only what meets an expression or a data ID."""
        other = self._copy()
        other._spec = self._spec.filtered(args, bind, kwargs)
        return other

    def order_by(self, *args: Any) -> Self:
        """Sort by dimensions or fields; `-name` sorts downwards."""
        return self._copy(order_by=order_terms(args))

    def limit(self, limit: int | None = None, offset: int | None = 0) -> Self:
        """Give at most so many results; None or a negative number for all."""
        return self._copy(limit=None if limit is None or limit < 0 else limit, offset=offset or 0)

    def with_dimension_records(self) -> Self:
        """Attach dimension records to the data IDs."""
        return self._copy(with_records=True)

    expanded = with_dimension_records

    @property
    def has_dimension_records(self) -> bool:
        """Whether dimension records are attached."""
        return self._spec.with_records

    def hasRecords(self) -> bool:
        """Whether dimension records are attached."""
        return self._spec.with_records

    def hasFull(self) -> bool:
        """Whether the values of implied dimensions are known: always."""
        return True

    def count(self, *, exact: bool = True, discard: bool = False) -> int:
        """Count the results."""
        return int(self._ask("count"))

    def any(self, *, execute: bool = True, exact: bool = True) -> bool:
        """Whether there are results."""
        return bool(self._ask("any"))

    def explain_no_results(self, execute: bool = True) -> list[str]:
        """Say why there are no results: a sentence for each reason found."""
        return list(self._ask("explain"))

    def explain(self) -> list[tuple[str, int]]:
        """Say what each condition and each search for datasets leaves: numbers of data IDs, and at last of results.

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository(run="u/me") as butler:
        ...     results = butler.registry.queryDatasets("summary", where="instrument = 'Cam'", collections="u/me")
        ...     for text, count in results.explain():
        ...         print(count, text)
        1 all data IDs of instrument
        1 `instrument = 'Cam'`
        0 a `summary` in `u/me`
        0 datasets
        """
        found: list[tuple[str, int]] = self._ask("funnel")
        return found

    @contextmanager
    def materialize(self) -> Iterator[Self]:
        """Fetch the results now, and give them for use as often as wanted within the block."""
        other = self._copy()
        other.__dict__["_kept"] = self._fetch()
        yield other

    def _short(self, item: Any) -> str:
        return str(item)

    def __repr__(self) -> str:
        first = self._copy(limit=4 if self._spec.limit is None else min(4, self._spec.limit))._fetch()
        shown = ", ".join(map(self._short, islice(first, 3))) + (", ..." if len(first) > 3 else "")
        return f"<{type(self).__name__}: {shown or 'no results'}>"


class DataCoordinateQueryResults(QueryResults["DataCoordinate"]):
    """Data IDs that a query finds."""

    _what = "data IDs"

    def __init__(self, context: QueryContext, spec: QuerySpec, dimensions: list[str]):
        super().__init__(context, spec)
        self._dimensions = dimensions

    def _ask(self, mode: str) -> Any:
        return self._context.engine.data_ids(self._dimensions, mode=mode, **self._arguments())

    @property
    def dimensions(self) -> DimensionGroup:
        """The dimensions of the data IDs."""
        return self._context.universe.conform(self._dimensions)

    @property
    def universe(self) -> DimensionUniverse:
        """All dimensions of the repository."""
        return self._context.universe

    def subset(
        self, dimensions: DimensionGroup | Iterable[str] | str | None = None, *, unique: bool = False
    ) -> DataCoordinateQueryResults:
        """Give the data IDs projected on fewer dimensions, each once."""
        if dimensions is None:
            return self
        spec = dataclasses.replace(self._spec, dimensions=(*self._spec.dimensions, *self._dimensions))
        return DataCoordinateQueryResults(self._context, spec, dimension_names(dimensions))

    def _settled_spec(self) -> QuerySpec:
        """Give the query with conditions that mean the same whatever is joined after them."""
        then = (*self._spec.dimensions, *self._dimensions), tuple(name for name, _ in self._spec.joins)
        where = tuple((text, bind, known or then) for text, bind, known in self._spec.where)
        return dataclasses.replace(self._spec, where=where)

    def findDatasets(
        self, datasetType: DatasetType | str, collections: Any, *, findFirst: bool = True
    ) -> DatasetRefQueryResults:
        """Find the datasets of a type with these data IDs."""
        spec = self._settled_spec()
        spec = dataclasses.replace(
            spec, dimensions=(*spec.dimensions, *self._dimensions), order_by=(), limit=None, offset=0
        )
        path = self._context.search_path(collections, globs_allowed=not findFirst)
        return DatasetRefQueryResults(self._context, spec, type_name(datasetType), path, findFirst)

    def findRelatedDatasets(
        self, datasetType: DatasetType | str, collections: Any, *, findFirst: bool = True, dimensions: Any = None
    ) -> list[tuple[DataCoordinate, DatasetRef]]:
        """Find pairs of a data ID here and a dataset related to it."""
        names = dimension_names(dimensions) if dimensions is not None else self._dimensions
        path = self._context.search_path(collections, globs_allowed=not findFirst)
        found = self._context.registry.dataset_type(type_name(datasetType))
        group = self._context.universe.conform(names)
        spec = self._settled_spec()
        joined = dataclasses.replace(spec, joins=(*spec.joins, (found.name, tuple(path))))
        whole = DataCoordinateQueryResults(self._context, joined, self._dimensions).subset(
            group.union(found.dimensions)
        )
        refs = {ref.dataId: ref for ref in self.findDatasets(datasetType, path, findFirst=findFirst)}
        pairs = []
        for data_id in whole:
            ref = refs.get(data_id.subset(found.dimensions))
            if ref is not None:
                pairs.append((data_id.subset(group), ref))
        return pairs

    def toSet(self) -> DataCoordinateSet:
        """Fetch them as a set, in the order of the results."""
        return DataCoordinateSet(self, dimensions=self.dimensions, check=False)

    def toSequence(self) -> DataCoordinateSequence:
        """Fetch them as a sequence."""
        return DataCoordinateSequence(self, dimensions=self.dimensions, check=False)

    @contextmanager
    def materialize(self) -> Iterator[DataCoordinateQueryResults]:
        """Fetch the data IDs now, and give a query of those and no others for use within the block."""
        spec = QuerySpec(uploads=(upload_of(self._fetch(), self.dimensions),), with_records=self._spec.with_records)
        yield DataCoordinateQueryResults(self._context, spec, self._dimensions)


class DatasetRefQueryResults(QueryResults["DatasetRef"]):
    """Datasets of one type that a query finds."""

    _what = "datasets"

    def __init__(
        self, context: QueryContext, spec: QuerySpec, dataset_type: str, collections: list[str], find_first: bool
    ):
        super().__init__(context, spec)
        self._dataset_type = dataset_type
        self._collections = collections
        self._find_first = find_first

    def _ask(self, mode: str) -> Any:
        return self._context.engine.datasets(
            self._dataset_type, self._collections, find_first=self._find_first, mode=mode, **self._arguments()
        )

    def _columns(self, answer: AnswerBuffers) -> Iterator[tuple[str, Any, str]]:
        return columns_of(answer, self._dataset_type)

    @property
    def dataset_type(self) -> DatasetType:
        """The dataset type."""
        return self._context.registry.dataset_type(self._dataset_type)

    @property
    def dimensions(self) -> DimensionGroup:
        """The dimensions of the datasets."""
        return self.dataset_type.dimensions

    @property
    def data_ids(self) -> DataCoordinateQueryResults:
        """The data IDs of the datasets."""
        spec = dataclasses.replace(
            self._spec, joins=(*self._spec.joins, (self._dataset_type, tuple(self._collections)))
        )
        return DataCoordinateQueryResults(self._context, spec, list(self.dataset_type.dimensions.names))

    @property
    def parentDatasetType(self) -> DatasetType:
        """The dataset type, as results for several types call it."""
        return self.dataset_type

    def byParentDatasetType(self) -> Iterator[DatasetRefQueryResults]:
        """Give the results type by type."""
        yield self


class ChainedDatasetQueryResults(Tabular):
    """Datasets of several types, one type after the other."""

    def __init__(self, parts: list[DatasetRefQueryResults], reasons: list[str] | None = None):
        self._parts = parts
        self._reasons = reasons or []

    def __iter__(self) -> Iterator[DatasetRef]:
        for part in self._parts:
            yield from part

    def explain(self) -> list[tuple[str, int]]:
        """Say what each condition and each search leaves, type by type."""
        return [step for part in self._parts for step in part.explain()]

    def to_arrow(self) -> pa.Table:  # noqa: D102  (documented in the base class)
        return concatenated([part.to_arrow() for part in self._parts])

    def __repr__(self) -> str:
        names = ", ".join(part._dataset_type for part in self._parts)
        return f"<ChainedDatasetQueryResults: datasets of {names or 'no dataset type'}>"

    def _repr_html_(self) -> str:
        return html_table(list(islice(self, _SHOWN_ROWS)), self.count(), "datasets")

    @contextmanager
    def materialize(self) -> Iterator[ChainedDatasetQueryResults]:
        """Fetch the results now, and give them for use as often as wanted within the block."""
        with ExitStack() as stack:
            parts = [stack.enter_context(part.materialize()) for part in self._parts]
            yield ChainedDatasetQueryResults(parts, self._reasons)

    def expanded(self) -> ChainedDatasetQueryResults:
        """Attach dimension records to the data IDs."""
        return ChainedDatasetQueryResults([part.expanded() for part in self._parts], self._reasons)

    def count(self, *, exact: bool = True, discard: bool = False) -> int:
        """Count the results."""
        return sum(part.count(exact=exact) for part in self._parts)

    def any(self, *, execute: bool = True, exact: bool = True) -> bool:
        """Whether there are results."""
        return any(part.any(execute=execute, exact=exact) for part in self._parts)

    def byParentDatasetType(self) -> Iterator[DatasetRefQueryResults]:
        """Give the results type by type."""
        return iter(self._parts)

    def explain_no_results(self, execute: bool = True) -> list[str]:
        """Say why there are no results."""
        return self._reasons + [reason for part in self._parts for reason in part.explain_no_results(execute)]


class DimensionRecordQueryResults(QueryResults["DimensionRecord"]):
    """Records of one dimension element that a query finds."""

    _what = "records"

    def __init__(self, context: QueryContext, spec: QuerySpec, element: str):
        super().__init__(context, spec)
        self._element = element

    def _ask(self, mode: str) -> Any:
        return self._context.engine.records(self._element, mode=mode, **self._arguments())

    def _columns(self, answer: AnswerBuffers) -> Iterator[tuple[str, Any, str]]:
        return record_columns(answer)

    def _short(self, item: Any) -> str:
        return str(item.dataId)

    @property
    def element(self) -> DimensionElement:
        """The dimension element."""
        return self._context.universe[self._element]

    @property
    def dimensions(self) -> DimensionGroup:
        """The dimensions of the records."""
        return self.element.minimal_group

    def iter_set_pages(self) -> Iterator[DimensionRecordSet]:
        """Give the records in sets."""
        for page in self._pages():
            yield DimensionRecordSet(self.element, page)

    def iter_table_pages(self) -> Iterator[DimensionRecordTable]:
        """Give the records in tables of columns."""
        answer: Any = self._fetch()
        if len(answer):
            yield DimensionRecordTable(self.element, answer, arrow_table(record_columns(answer.buffers())))

    def _pages(self) -> Iterator[Sequence[DimensionRecord]]:
        answer = self._fetch()
        for start in range(0, len(answer), _PAGE_ROWS):
            yield answer[start : start + _PAGE_ROWS]

    def run(self) -> DimensionRecordQueryResults:
        """Give these results; they are fetched when looked at."""
        return self
