"""The short forms of queries on `Butler`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from armillary.butler.call_options import refuse_options
from armillary.butler.query import check_element
from armillary.butler.query_results import (
    DataCoordinateQueryResults,
    DatasetRefQueryResults,
    DimensionRecordQueryResults,
    QueryResults,
)
from armillary.butler.query_spec import QuerySpec, dimension_names, order_terms, searched_type
from armillary.butler.query_tables import ResultList
from armillary.butler.reading import ReadingMixin
from armillary.errors import EmptyQueryResultError, MissingDatasetTypeError

if TYPE_CHECKING:
    from armillary._core import DataCoordinate, DatasetRef, DatasetType, DimensionGroup, DimensionRecord

__all__ = ["SearchingMixin"]

_LOG = logging.getLogger("lsst.daf.butler")


def run_query(results: QueryResults[Any], order_by: Any, limit: int | None, explain: bool) -> ResultList:
    """Run a query; a negative limit cuts the results and warns, and no results raise when `explain` is set.

    Raises
    ------
    EmptyQueryResultError
        If there are no results and `explain` is set.
    """
    if order_by is not None:
        results = results.order_by(*order_terms([order_by] if isinstance(order_by, str) else order_by))
    most = None if limit is None else abs(limit)
    warn = limit is not None and limit < 0
    if most is not None:
        results = results.limit(most + 1 if warn else most)
    answer = results._fetch()
    if warn and most is not None and len(answer) > most:
        tell_cut(most)
    if not len(answer) and explain and limit != 0:
        raise EmptyQueryResultError(results.limit(None).explain_no_results())
    items = answer if most is None or len(answer) <= most else islice(answer, most)
    return ResultList(items, results._tables(answer))


def tell_cut(most: int) -> None:
    """Say that results were left out."""
    _LOG.warning("more than %d results were found and the rest is left out; give `limit=None` for all", most)


class SearchingMixin(ReadingMixin):
    """`query_*` methods of `Butler`."""

    def query_datasets(
        self,
        dataset_type: str | DatasetType,
        collections: str | Iterable[str] | None = None,
        *,
        find_first: bool = True,
        data_id: Any = None,
        where: str = "",
        bind: Mapping[str, Any] | None = None,
        with_dimension_records: bool = False,
        order_by: Iterable[str] | str | None = None,
        limit: int | None = -20000,
        explain: bool = True,
        **kwargs: Any,
    ) -> list[DatasetRef]:
        """Find datasets of one type.

        Parameters
        ----------
        dataset_type
            Dataset type or its name.
        collections
            Where to search, by default the default collections; globs only with `find_first=False`.
        find_first
            Give each data ID once, from the first collection that has it.
        data_id, **kwargs
            Values that dimensions must have.
        where
            Expression that must hold, e.g. `"visit > 100 AND band = :band"`.
        bind
            Values of names in `where`.
        with_dimension_records
            Attach dimension records to the data IDs.
        order_by
            Dimensions or fields to sort by; `-name` sorts downwards.
        limit
            Most results; if negative, more results are cut with a warning; None for all.
        explain
            Raise if there are no results, with the reasons.

        Raises
        ------
        EmptyQueryResultError, InvalidQueryError, MissingCollectionError, MissingDatasetTypeError

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository(run="u/me") as butler:
        ...     ref = butler.put({"a": 1}, "summary", instrument="Cam")
        ...     [found.dataId for found in butler.query_datasets("summary", "u/me")]
        [{instrument: 'Cam'}]
        """
        refuse_options(self.query_datasets, kwargs, self.dimensions)
        context = self._query_context
        name = searched_type(self._core_registry, dataset_type)
        path = context.search_path(collections, globs_allowed=not find_first)
        spec = QuerySpec(with_records=with_dimension_records).filtered([where, data_id], bind, kwargs)
        results = DatasetRefQueryResults(context, spec, name, path, find_first)
        return run_query(results, order_by, limit, explain)

    def query_data_ids(
        self,
        dimensions: DimensionGroup | Iterable[str] | str,
        *,
        data_id: Any = None,
        where: str = "",
        bind: Mapping[str, Any] | None = None,
        with_dimension_records: bool = False,
        order_by: Iterable[str] | str | None = None,
        limit: int | None = -20000,
        explain: bool = True,
        **kwargs: Any,
    ) -> list[DataCoordinate]:
        """Find data IDs for dimensions; the parameters are those of `query_datasets`.

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository() as butler:
        ...     butler.query_data_ids("detector", where="detector > 1", instrument="Cam")
        [{instrument: 'Cam', detector: 2}]
        """
        refuse_options(self.query_data_ids, kwargs, self.dimensions)
        names = dimension_names(dimensions)
        self._query_context.universe.conform(names)
        spec = QuerySpec(with_records=with_dimension_records).filtered([where, data_id], bind, kwargs)
        return run_query(DataCoordinateQueryResults(self._query_context, spec, names), order_by, limit, explain)

    def query_dimension_records(
        self,
        element: str,
        *,
        data_id: Any = None,
        where: str = "",
        bind: Mapping[str, Any] | None = None,
        order_by: Iterable[str] | str | None = None,
        limit: int | None = -20000,
        explain: bool = True,
        **kwargs: Any,
    ) -> list[DimensionRecord]:
        """Find records of a dimension element; the parameters are those of `query_datasets`.

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository() as butler:
        ...     [record.full_name for record in butler.query_dimension_records("detector", instrument="Cam")]
        ['S00', 'S01']
        """
        refuse_options(self.query_dimension_records, kwargs, self.dimensions)
        check_element(self._query_context.universe, element)
        spec = QuerySpec().filtered([where, data_id], bind, kwargs)
        return run_query(DimensionRecordQueryResults(self._query_context, spec, element), order_by, limit, explain)

    def query_all_datasets(
        self,
        collections: str | Iterable[str] | None = None,
        *,
        name: str | Iterable[str] = "*",
        find_first: bool = True,
        data_id: Any = None,
        where: str = "",
        bind: Mapping[str, Any] | None = None,
        limit: int | None = -20000,
        **kwargs: Any,
    ) -> list[DatasetRef]:
        """Find datasets of all types whose names match names or globs."""
        from armillary.butler.collections import dataset_type_patterns, is_glob

        refuse_options(self.query_all_datasets, kwargs, self.dimensions)
        context = self._query_context
        path = context.search_path(collections, globs_allowed=not find_first)
        held = set(self._core_registry.collection_summary(*path)[0])
        spec = QuerySpec().filtered([where, data_id], bind, kwargs)
        most = None if limit is None else abs(limit)
        enough = limit if limit is None or limit >= 0 else abs(limit) + 1  # one more tells that there are more
        found: list[DatasetRef] = []
        tables: list[Any] = []
        patterns = dataset_type_patterns(name)
        types = self._core_registry.query_dataset_types(patterns)
        for wanted in patterns or ():
            if not is_glob(wanted):
                self._core_registry.dataset_type(wanted)  # says at once if it is unknown
        if not types:
            raise MissingDatasetTypeError(
                "no dataset type matches " + " or ".join(f"`{glob}`" for glob in patterns or ["*"])
            )
        for dataset_type in sorted(types, key=lambda found: found.name):
            if dataset_type.name not in held:
                continue
            results = DatasetRefQueryResults(context, spec, dataset_type.name, path, find_first)
            answer = (results if enough is None else results.limit(enough - len(found)))._fetch()
            found.extend(answer)
            tables.extend(results._tables(answer))
            if most is not None and enough is not None and len(found) >= enough:
                if enough > most:
                    tell_cut(most)
                del found[most:]
                break
        return ResultList(found, tables)
