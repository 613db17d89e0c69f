"""Results of queries that mix data IDs, fields of records and properties of datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from armillary import _core
from armillary._words import did_you_mean
from armillary.butler.query_expressions import DATASET_FIELDS
from armillary.butler.query_results import QueryResults
from armillary.butler.query_spec import QueryContext, QuerySpec, type_name
from armillary.errors import InvalidQueryError

if TYPE_CHECKING:
    from armillary._core import DataCoordinate, DatasetRef, DatasetType, DimensionGroup

__all__ = ["GeneralQueryResults", "GeneralResultTuple", "general_results"]


class GeneralResultTuple(NamedTuple):
    """One row: its data ID, the references of the dataset types asked for, and all columns."""

    data_id: DataCoordinate
    refs: list[DatasetRef]
    raw_row: dict[str, Any]


def _columns(
    names: Sequence[str],
    dimension_fields: Mapping[str, Any] | None,
    dataset_fields: Mapping[str, Any] | None,
    context: QueryContext,
) -> list[str]:
    """Give all columns by name, in the order in which they were asked for."""
    columns = list(names)
    for element, fields in (dimension_fields or {}).items():
        known = context.universe[element].schema.names
        for field in sorted(fields):
            if field not in known:
                raise InvalidQueryError(f"`{element}` has no field `{field}`{did_you_mean(field, known)}")
            columns.append(f"{element}.{field}")
    for name, fields in (dataset_fields or {}).items():
        for field in ("dataset_id", "run") if fields is ... else sorted(fields):
            if field not in DATASET_FIELDS:
                raise InvalidQueryError(f"datasets have no field `{field}`{did_you_mean(field, DATASET_FIELDS)}")
            columns.append(f"{name}.{field}")
    return columns


def general_results(
    context: QueryContext,
    spec: QuerySpec,
    dimensions: list[str],
    names: Sequence[str],
    dimension_fields: Mapping[str, Any] | None,
    dataset_fields: Mapping[str, Any] | None,
    find_first: bool | None,
) -> GeneralQueryResults:
    """Check what is asked for, and give the results."""
    columns = _columns(names, dimension_fields, dataset_fields, context)
    joined = dict(spec.joins)
    elements = {element.name for element in context.universe.elements}
    owners = {column.partition(".")[0]: column for column in columns if "." in column}
    # A field alone is that of a dataset if only datasets have it.
    if joined:
        owners.update((name, column) for column in columns if column in DATASET_FIELDS for name in joined)
    for owner, column in owners.items():
        if owner not in joined and owner not in elements and owner != "timespan":
            context.registry.dataset_type(owner)  # says at once if there is no such type
            raise InvalidQueryError(f"`{column}` asks for datasets that are not searched for; join their search first")
    types = [owner for owner in owners if owner in joined]
    if types and find_first is None:
        raise InvalidQueryError(
            f"say with `find_first` whether all `{types[0]}` datasets of a data ID are wanted, or the first only"
        )
    if find_first:
        if len(types) != 1:
            raise InvalidQueryError(
                f"`find_first=True` needs columns of exactly one dataset type, not of {len(types)}: "
                f"{', '.join(f'`{name}`' for name in types) or 'none'}"
            )
        of_search = [
            column for column in columns if column.endswith((".timespan", ".collection")) and types[0] in column
        ]
        if of_search:
            raise InvalidQueryError(f"`{of_search[0]}` differs from collection to collection; give `find_first=False`")
    return GeneralQueryResults(context, spec, dimensions, columns, types[0] if find_first else None)


class GeneralQueryResults(QueryResults[dict[str, Any]]):
    """Rows of columns that a query finds, each a dictionary: dimensions, then the columns asked for.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository() as butler, butler.query() as query:
    ...     list(query.where(instrument="Cam").general("detector", "detector.full_name").limit(1))
    [{'instrument': 'Cam', 'detector': 1, 'detector.full_name': 'S00'}]
    """

    _what = "rows"

    def __init__(
        self, context: QueryContext, spec: QuerySpec, dimensions: list[str], columns: list[str], find_first: str | None
    ):
        super().__init__(context, spec)
        self._dimensions, self._wanted, self._find_first = dimensions, columns, find_first

    def _ask(self, mode: str) -> Any:
        return self._context.engine.general(
            self._dimensions, self._wanted, find_first=self._find_first, mode=mode, **self._arguments()
        )

    @property
    def dimensions(self) -> DimensionGroup:
        """The dimensions of the rows' data IDs."""
        answer: Any = self._copy(limit=0)._fetch()
        return self._context.universe.conform([name for name in answer.names if "." not in name])

    def iter_tuples(self, *dataset_types: DatasetType | str) -> Iterator[GeneralResultTuple]:
        """Give each row as a data ID, the references of some dataset types, and the row itself.

        Raises
        ------
        InvalidQueryError
            If the columns do not hold the id and run of one of the types.
        """
        found = [self._context.registry.dataset_type(type_name(one)) for one in dataset_types]
        answer: Any = self._fetch()
        columns = set(answer.names)
        for one in found:
            if not {f"{one.name}.dataset_id", f"{one.name}.run"} <= columns:
                raise InvalidQueryError(
                    f"the rows do not hold `{one.name}.dataset_id` and `{one.name}.run`, "
                    f"which a reference is made of; ask for them with `dataset_fields={{'{one.name}': ...}}`"
                )
        for data_id, row in zip(answer.data_ids, answer, strict=True):
            refs = [
                _core.DatasetRef(
                    one, data_id.subset(one.dimensions), row[f"{one.name}.run"], id=row[f"{one.name}.dataset_id"]
                )
                for one in found
            ]
            yield GeneralResultTuple(data_id, refs, row)
