"""Queries that are built step by step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from armillary._words import did_you_mean
from armillary.butler.general_results import GeneralQueryResults, GeneralResultTuple, general_results
from armillary.butler.query_expressions import ExpressionFactory
from armillary.butler.query_results import (
    ChainedDatasetQueryResults,
    DataCoordinateQueryResults,
    DatasetRefQueryResults,
    DimensionRecordQueryResults,
    upload_of,
)
from armillary.butler.query_spec import QueryContext, QuerySpec, dimension_names, searched_type, type_name
from armillary.errors import DimensionNameError, InvalidQueryError

if TYPE_CHECKING:
    import astropy.table

    from armillary._core import DataCoordinate, DatasetType, DimensionGroup, DimensionUniverse

__all__ = [
    "ChainedDatasetQueryResults",
    "DataCoordinateQueryResults",
    "DatasetRefQueryResults",
    "DimensionRecordQueryResults",
    "GeneralQueryResults",
    "GeneralResultTuple",
    "Query",
]


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
        where = " AND ".join(text for text, *_ in self._spec.where)
        return f"<Query: where {where or 'anything'}, data IDs {list(self._spec.data_ids)}>"

    def where(self, *args: Any, bind: Mapping[str, Any] | None = None, **kwargs: Any) -> Query:
        """Keep only what meets expressions, data IDs, or keyword values.

        A field of a record needs no dimension before it where only one of those joined so far, or of the whole query,
        has it.
        """
        types = [self._context.registry.dataset_type(name) for name, _ in self._spec.joins]
        joined = [name for dataset_type in types for name in dataset_type.dimensions.names]
        then = (*self._spec.dimensions, *joined), tuple(dataset_type.name for dataset_type in types)
        return Query(self._context, self._spec.filtered(args, bind, kwargs, then))

    def join_dimensions(self, dimensions: DimensionGroup | Iterable[str] | str) -> Query:
        """Relate the results to more dimensions."""
        names = (*self._spec.dimensions, *dimension_names(dimensions))
        return Query(self._context, dataclasses.replace(self._spec, dimensions=names))

    def join_dataset_search(self, dataset_type: DatasetType | str, collections: Any = None) -> Query:
        """Keep only data IDs for which a dataset exists."""
        name = searched_type(self._context.registry, dataset_type)
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
        name = searched_type(self._context.registry, dataset_type)
        path = self._search_path(name, collections, globs_allowed=not find_first)
        return DatasetRefQueryResults(self._context, self._spec, name, path, find_first)

    def dimension_records(self, element: str) -> DimensionRecordQueryResults:
        """Find records of a dimension element."""
        check_element(self._context.universe, element)
        return DimensionRecordQueryResults(self._context, self._spec, element)

    def general(
        self,
        dimensions: DimensionGroup | Iterable[str] | str,
        *names: str,
        dimension_fields: Mapping[str, Any] | None = None,
        dataset_fields: Mapping[str, Any] | None = None,
        find_first: bool | None = None,
    ) -> GeneralQueryResults:
        """Find data IDs with chosen columns beside them.

        Parameters
        ----------
        dimensions
            Dimensions of the rows; those of the columns are added.
        *names
            Columns, as in an expression: `visit.exposure_time`, `raw.ingest_date`.
        dimension_fields
            More columns: sets of fields by element.
        dataset_fields
            More columns: sets of `dataset_id`, `run`, `collection`, `ingest_date` and `timespan` by dataset type, or
            `...` for what a reference is made of. The search for the type must be joined before.
        find_first
            Whether only the first dataset of a data ID is wanted; needed if there are columns of datasets.

        Raises
        ------
        InvalidQueryError
            If there is no such column, or the columns do not go together.

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository(run="u/me") as butler:
        ...     ref = butler.put({"a": 1}, "summary", instrument="Cam")
        ...     with butler.query() as query:
        ...         rows = query.join_dataset_search("summary").general("instrument", "summary.run", find_first=True)
        ...         list(rows)
        [{'instrument': 'Cam', 'summary.run': 'u/me'}]
        """
        wanted = dimension_names(dimensions)
        self._context.universe.conform(wanted)
        return general_results(self._context, self._spec, wanted, names, dimension_fields, dataset_fields, find_first)

    @property
    def expression_factory(self) -> ExpressionFactory:
        """What makes expression objects: `x.visit.exposure_time > 30`."""
        return ExpressionFactory(self._context.universe)

    def _values_of(self, column: str) -> list[Any]:
        """Give the values that a column has in the results, each once."""
        rows = general_results(self._context, self._spec, [], [column], None, None, False)._ask("rows")
        values = dict(rows.columns()).get(column, [])
        return list(dict.fromkeys(value for value in values if value is not None))

    def join_data_coordinates(self, iterable: Iterable[DataCoordinate]) -> Query:
        """Keep only what goes with one of these data IDs, which all have the same dimensions.

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository() as butler, butler.query() as query:
        ...     second = butler.query_data_ids("detector", instrument="Cam", detector=2)
        ...     [record.full_name for record in query.join_data_coordinates(second).dimension_records("detector")]
        ['S01']
        """
        from armillary._core import DataCoordinate

        data_ids = list(iterable)
        if not data_ids:
            raise InvalidQueryError("there are no data IDs to join, so nothing tells their dimensions")
        for one in data_ids:
            if not isinstance(one, DataCoordinate):
                raise InvalidQueryError(f"`{one!r}` is no `DataCoordinate`; make one with `DataCoordinate.standardize`")
            if one.dimensions != data_ids[0].dimensions:
                raise InvalidQueryError(
                    f"data IDs to join need the same dimensions, not {data_ids[0].dimensions} and {one.dimensions}"
                )
        return self._uploading(upload_of(data_ids, data_ids[0].dimensions))

    def join_data_coordinate_table(self, table: astropy.table.Table) -> Query:
        """Keep only what goes with a row of a table whose columns are dimensions.

        Columns that no dimension is called after raise `DimensionNameError`; a governor that has no column comes from
        the defaults or the rest of the query.
        """
        names = tuple(table.colnames)
        for name in names:
            self._context.universe.conform([name])  # says at once if there is no such dimension
        rows = zip(*(table[name].tolist() for name in names), strict=True)
        return self._uploading((names, tuple(dict.fromkeys(rows))))

    def _uploading(self, upload: tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]) -> Query:
        spec = dataclasses.replace(
            self._spec,
            uploads=(*self._spec.uploads, upload),
            dimensions=(*self._spec.dimensions, *upload[0]),
        )
        return Query(self._context, spec)

    @property
    def constraint_dimensions(self) -> DimensionGroup:
        """Dimensions that were joined or constrained so far."""
        return self._context.universe.conform(self._whole()._ask("dimensions"))

    @property
    def constraint_dataset_types(self) -> set[str]:
        """Dataset types that were joined so far."""
        return {name for name, _ in self._spec.joins}

    def _whole(self) -> DataCoordinateQueryResults:
        return DataCoordinateQueryResults(self._context, self._spec, list(self._spec.dimensions))

    def any(self, *, execute: bool = True, exact: bool = True) -> bool:
        """Whether anything meets the conditions so far."""
        return self._whole().any()

    def explain_no_results(self, execute: bool = True) -> list[str]:
        """Say why nothing meets the conditions so far."""
        return self._whole().explain_no_results()

    def materialize(self, *, dimensions: Any = None, datasets: Iterable[str] | None = None) -> Query:
        """Run the query so far, and give one that starts from the data IDs it found.

        Parameters
        ----------
        dimensions
            The dimensions to keep, by default all that were joined or constrained.
        datasets
            The dataset types to keep, by default all that were joined.

        Raises
        ------
        InvalidQueryError
            If a type was not joined, or has dimensions that are not kept.
        """
        group = self.constraint_dimensions
        if dimensions is not None:
            group = self._context.universe.conform(dimension_names(dimensions))
        joined = dict(self._spec.joins)
        kept = list(joined) if datasets is None else [type_name(one) for one in datasets]
        for name in kept:
            if name not in joined:
                raise InvalidQueryError(f"`{name}` is not searched for in this query{did_you_mean(name, joined)}")
            needed = self._context.registry.dataset_type(name).dimensions
            if not needed <= group:
                raise InvalidQueryError(
                    f"`{name}` has dimensions {needed}, which are not all among those to keep, {group}; "
                    "keep more with `dimensions`, or leave the type out of `datasets`"
                )
        found = DataCoordinateQueryResults(self._context, self._spec, list(group.names))._fetch()
        upload = upload_of(found, group)
        spec = QuerySpec(
            uploads=(upload,), dimensions=tuple(group.names), joins=tuple((name, joined[name]) for name in kept)
        )
        return Query(self._context, spec)


def check_element(universe: DimensionUniverse, element: str) -> None:
    """Raise `DimensionNameError` unless there is such an element."""
    known = [item.name for item in universe.elements]
    if element not in known:
        raise DimensionNameError(
            f"no dimension element is called `{element}`{did_you_mean(element, known)} "
            f"(known: {', '.join(name for name in known if not name.startswith(('htm', 'healpix')))})"
        )
