"""Queries: what is asked, kept as an immutable value, and the results that run it when they are looked at."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from armillary._words import did_you_mean
from armillary.butler.collections import as_patterns, is_glob, without_regular_expressions
from armillary.errors import InvalidQueryError, NoDefaultCollectionError, QueryTypeError

if TYPE_CHECKING:
    from armillary._core import (
        DataCoordinate,
        DatasetRef,
        DatasetType,
        DimensionElement,
        DimensionGroup,
        DimensionRecord,  # noqa: F401  (named as text in a base class)
        DimensionUniverse,
        QueryEngine,
        Registry,
    )

__all__ = [
    "ChainedDatasetQueryResults",
    "DataCoordinateQueryResults",
    "DatasetRefQueryResults",
    "DimensionRecordQueryResults",
    "Query",
    "QueryContext",
    "QuerySpec",
]


Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class QueryContext:
    """What every query of one butler shares."""

    registry: Registry
    engine: QueryEngine
    universe: DimensionUniverse
    default_collections: tuple[str, ...]
    default_data_id: Mapping[str, Any]

    def search_path(self, collections: Any, *, globs_allowed: bool) -> list[str]:
        """Give the names of the collections to search, in order."""
        if collections is None:
            if not self.default_collections:
                raise NoDefaultCollectionError(
                    "no collections to search: give `collections=`, or open the butler with default collections"
                )
            return list(self.default_collections)
        patterns = as_patterns(without_regular_expressions(self.registry, collections))
        if patterns is not None and not any(map(is_glob, patterns)):
            return patterns
        if not globs_allowed:
            shown = collections if patterns is None else next(name for name in patterns if is_glob(name))
            raise InvalidQueryError(
                f"`{shown}` is a wildcard, which gives no order to search in; "
                "name the collections, or use `find_first=False`"
            )
        return self.registry.query_collections(patterns)


@dataclasses.dataclass(frozen=True)
class QuerySpec:
    """Everything a query asks, but for the kind of its results."""

    where: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    data_ids: tuple[Mapping[str, Any], ...] = ()
    joins: tuple[tuple[str, tuple[str, ...]], ...] = ()
    dimensions: tuple[str, ...] = ()
    order_by: tuple[str, ...] = ()
    limit: int | None = None
    offset: int = 0
    with_records: bool = False

    def filtered(self, args: Iterable[Any], bind: Mapping[str, Any] | None, kwargs: Mapping[str, Any]) -> QuerySpec:
        """Give the same query with more conditions, all of which must hold.

        Within one call a keyword replaces the value of the same dimension in a data ID.
        """
        where = list(self.where)
        data_id: dict[str, Any] = {}
        for arg in args:
            if arg is None:
                continue
            if isinstance(arg, str):
                if arg.strip():
                    where.append((arg, dict(bind or {})))
            elif isinstance(arg, Mapping):
                data_id.update(arg)
            elif hasattr(arg, "mapping"):
                data_id.update(arg.mapping)
            else:
                raise QueryTypeError(f"`{arg!r}` is neither an expression nor a data ID")
        data_id.update(kwargs)
        data_ids = (*self.data_ids, data_id) if data_id else self.data_ids
        return dataclasses.replace(self, where=tuple(where), data_ids=data_ids)

    def arguments(self, context: QueryContext) -> dict[str, Any]:
        """Give the arguments that all requests to the engine share."""
        return {
            "data_id": list(self.data_ids),
            "where": list(self.where),
            "joins": [(name, list(collections)) for name, collections in self.joins],
            "order_by": list(self.order_by),
            "limit": self.limit,
            "offset": self.offset,
            "with_records": self.with_records,
            "defaults": dict(context.default_data_id),
        }


def dimension_names(dimensions: DimensionGroup | Iterable[str] | str) -> list[str]:
    """Give the names in a group, an iterable, or one name (or several with commas)."""
    if isinstance(dimensions, str):
        return [part.strip() for part in dimensions.split(",") if part.strip()]
    return list(getattr(dimensions, "names", dimensions))


def order_terms(terms: Iterable[Any]) -> tuple[str, ...]:
    """Flatten the arguments of `order_by`."""
    flat: list[str] = []
    for term in terms:
        flat.extend(term if isinstance(term, (list, tuple)) else [term])
    return tuple(str(term) for term in flat)


class QueryResults(Generic[Item]):
    """Results of a query, fetched when they are looked at; each look asks again."""

    def __init__(self, context: QueryContext, spec: QuerySpec):
        self._context = context
        self._spec = spec

    def _copy(self, **changes: Any) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._spec = dataclasses.replace(self._spec, **changes)
        return other

    def _ask(self, method: str, **extra: Any) -> Any:
        raise NotImplementedError

    def _fetch(self) -> Sequence[Item]:
        result: Sequence[Item] = self._ask("fetch")
        return result

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

    @contextmanager
    def materialize(self) -> Iterator[Self]:
        """Give results that can be used again within the block."""
        yield self

    def __repr__(self) -> str:
        from itertools import islice

        first = self._copy(limit=4 if self._spec.limit is None else min(4, self._spec.limit))._fetch()
        shown = ", ".join(str(item) for item in islice(first, 3)) + (", ..." if len(first) > 3 else "")
        return f"<{type(self).__name__}: {shown or 'no results'}>"


class DataCoordinateQueryResults(QueryResults["DataCoordinate"]):
    """Data IDs that a query finds."""

    def __init__(self, context: QueryContext, spec: QuerySpec, dimensions: list[str]):
        super().__init__(context, spec)
        self._dimensions = dimensions

    def _ask(self, method: str, **extra: Any) -> Any:
        engine = self._context.engine
        arguments = {**self._spec.arguments(self._context), **extra}
        call = {
            "fetch": engine.data_ids,
            "count": engine.count_data_ids,
            "any": engine.any_data_ids,
            "explain": engine.explain_data_ids,
        }
        return call[method](self._dimensions, dimensions_joined=list(self._spec.dimensions), **arguments)

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

    def findDatasets(
        self, datasetType: DatasetType | str, collections: Any, *, findFirst: bool = True
    ) -> DatasetRefQueryResults:
        """Find the datasets of a type with these data IDs."""
        spec = dataclasses.replace(
            self._spec, dimensions=(*self._spec.dimensions, *self._dimensions), order_by=(), limit=None, offset=0
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
        joined = dataclasses.replace(self._spec, joins=(*self._spec.joins, (found.name, tuple(path))))
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

    def toSet(self) -> set[DataCoordinate]:
        """Fetch them as a set."""
        return set(self)

    def toSequence(self) -> list[DataCoordinate]:
        """Fetch them as a list."""
        return list(self)


class DatasetRefQueryResults(QueryResults["DatasetRef"]):
    """Datasets of one type that a query finds."""

    def __init__(
        self, context: QueryContext, spec: QuerySpec, dataset_type: str, collections: list[str], find_first: bool
    ):
        super().__init__(context, spec)
        self._dataset_type = dataset_type
        self._collections = collections
        self._find_first = find_first

    def _ask(self, method: str, **extra: Any) -> Any:
        engine = self._context.engine
        arguments = {**self._spec.arguments(self._context), **extra}
        call = {
            "fetch": engine.datasets,
            "count": engine.count_datasets,
            "any": engine.any_datasets,
            "explain": engine.explain_datasets,
        }
        return call[method](
            self._dataset_type,
            self._collections,
            find_first=self._find_first,
            dimensions_joined=list(self._spec.dimensions),
            **arguments,
        )

    @property
    def dataset_type(self) -> DatasetType:
        """The dataset type."""
        return self._context.registry.dataset_type(self._dataset_type)

    @property
    def data_ids(self) -> DataCoordinateQueryResults:
        """The data IDs of the datasets."""
        spec = dataclasses.replace(
            self._spec, joins=(*self._spec.joins, (self._dataset_type, tuple(self._collections)))
        )
        return DataCoordinateQueryResults(self._context, spec, list(self.dataset_type.dimensions.names))

    def byParentDatasetType(self) -> Iterator[DatasetRefQueryResults]:
        """Give the results type by type."""
        yield self


class ChainedDatasetQueryResults:
    """Datasets of several types, one type after the other."""

    def __init__(self, parts: list[DatasetRefQueryResults], reasons: list[str] | None = None):
        self._parts = parts
        self._reasons = reasons or []

    def __iter__(self) -> Iterator[DatasetRef]:
        for part in self._parts:
            yield from part

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

    def __init__(self, context: QueryContext, spec: QuerySpec, element: str):
        super().__init__(context, spec)
        self._element = element

    def _ask(self, method: str, **extra: Any) -> Any:
        engine = self._context.engine
        arguments = {**self._spec.arguments(self._context), **extra}
        call = {
            "fetch": engine.records,
            "count": engine.count_records,
            "any": engine.any_records,
            "explain": engine.explain_records,
        }
        return call[method](self._element, dimensions_joined=list(self._spec.dimensions), **arguments)

    @property
    def element(self) -> DimensionElement:
        """The dimension element."""
        return self._context.universe[self._element]

    def run(self) -> DimensionRecordQueryResults:
        """Give these results; they are fetched when looked at."""
        return self


def type_name(dataset_type: DatasetType | str) -> str:
    """Give the name of a dataset type."""
    return dataset_type if isinstance(dataset_type, str) else dataset_type.name


class Query:
    """A query that is built step by step; every step gives a new query.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository() as butler, butler.query() as query:
    ...     list(query.where("detector < 2", instrument="Cam").data_ids("detector"))
    [{instrument: 'Cam', detector: 1}]
    """

    def __init__(self, context: QueryContext, spec: QuerySpec | None = None):
        self._context = context
        self._spec = spec or QuerySpec()

    def __repr__(self) -> str:
        where = " AND ".join(text for text, _ in self._spec.where)
        return f"<Query: where {where or 'anything'}, data IDs {list(self._spec.data_ids)}>"

    def where(self, *args: Any, bind: Mapping[str, Any] | None = None, **kwargs: Any) -> Query:
        """Keep only what meets expressions, data IDs, or keyword values."""
        return Query(self._context, self._spec.filtered(args, bind, kwargs))

    def join_dimensions(self, dimensions: DimensionGroup | Iterable[str] | str) -> Query:
        """Relate the results to more dimensions."""
        names = (*self._spec.dimensions, *dimension_names(dimensions))
        return Query(self._context, dataclasses.replace(self._spec, dimensions=names))

    def join_dataset_search(self, dataset_type: DatasetType | str, collections: Any = None) -> Query:
        """Keep only data IDs for which a dataset exists."""
        name = self._context.registry.dataset_type(type_name(dataset_type)).name
        path = self._search_path(name, collections, globs_allowed=True)
        joins = dict(self._spec.joins) | {name: tuple(path)}
        return Query(self._context, dataclasses.replace(self._spec, joins=tuple(joins.items())))

    def _search_path(self, name: str, collections: Any, *, globs_allowed: bool) -> list[str]:
        """Give the collections to search for a dataset type, which one query searches in one way only."""
        joined = dict(self._spec.joins).get(name)
        if joined is not None and collections is None:
            return list(joined)
        path = self._context.search_path(collections, globs_allowed=globs_allowed)
        if joined is not None and tuple(path) != joined:
            raise InvalidQueryError(
                f"`{name}` is searched for in {', '.join(f'`{found}`' for found in joined)} already, "
                f"so this query cannot search {', '.join(f'`{found}`' for found in path) or 'nowhere'} for it"
            )
        return path

    def data_ids(self, dimensions: DimensionGroup | Iterable[str] | str | None = None) -> DataCoordinateQueryResults:
        """Find data IDs, by default those of all dimensions in the conditions so far."""
        names = dimension_names(dimensions) if dimensions is not None else list(self.constraint_dimensions.names)
        self._context.universe.conform(names)  # says at once if a name is wrong
        return DataCoordinateQueryResults(self._context, self._spec, names)

    def datasets(
        self, dataset_type: DatasetType | str, collections: Any = None, *, find_first: bool = True
    ) -> DatasetRefQueryResults:
        """Find datasets of one type."""
        name = self._context.registry.dataset_type(type_name(dataset_type)).name
        path = self._search_path(name, collections, globs_allowed=not find_first)
        return DatasetRefQueryResults(self._context, self._spec, name, path, find_first)

    def dimension_records(self, element: str) -> DimensionRecordQueryResults:
        """Find records of a dimension element."""
        check_element(self._context.universe, element)
        return DimensionRecordQueryResults(self._context, self._spec, element)

    @property
    def constraint_dimensions(self) -> DimensionGroup:
        """Dimensions that were joined or constrained so far."""
        arguments = self._spec.arguments(self._context)
        engine = self._context.engine
        return self._context.universe.conform(
            engine.all_dimensions([], dimensions_joined=list(self._spec.dimensions), **arguments)
        )

    @property
    def constraint_dataset_types(self) -> set[str]:
        """Dataset types that were joined so far."""
        return {name for name, _ in self._spec.joins}

    def any(self, *, execute: bool = True, exact: bool = True) -> bool:
        """Whether anything meets the conditions so far."""
        return self.data_ids(self._spec.dimensions).any()

    def explain_no_results(self, execute: bool = True) -> list[str]:
        """Say why nothing meets the conditions so far."""
        return self.data_ids(self._spec.dimensions).explain_no_results()

    def materialize(self, *, dimensions: Any = None, datasets: Any = None) -> Query:
        """Give a query with the same conditions."""
        return self


def check_element(universe: DimensionUniverse, element: str) -> None:
    """Raise `DimensionNameError` unless there is such an element."""
    from armillary.errors import DimensionNameError

    known = [item.name for item in universe.elements]
    if element not in known:
        raise DimensionNameError(
            f"no dimension element is called `{element}`{did_you_mean(element, known)} "
            f"(known: {', '.join(name for name in known if not name.startswith(('htm', 'healpix')))})"
        )
