"""What a query asks, kept as an immutable value."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from armillary.butler.collections import as_patterns, is_glob, without_regular_expressions
from armillary.butler.query_expressions import ExpressionProxy, OrderExpression, Predicate
from armillary.errors import InvalidQueryError, MissingDatasetTypeError, NoDefaultCollectionError, QueryTypeError

if TYPE_CHECKING:
    from armillary._core import DatasetType, DimensionGroup, DimensionUniverse, QueryEngine, Registry

__all__ = ["QueryContext", "QuerySpec", "dimension_names", "order_terms", "searched_type", "type_name"]


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


Then = tuple[tuple[str, ...], tuple[str, ...]]
"""The dimensions that a query had when a condition was added, and the dataset types that were joined."""

Condition = tuple[str, Mapping[str, Any], Then | None]
"""A text, the values of the names in it, and where a name is looked up first."""


@dataclasses.dataclass(frozen=True)
class QuerySpec:
    """Everything a query asks, but for the kind of its results."""

    where: tuple[Condition, ...] = ()
    data_ids: tuple[Mapping[str, Any], ...] = ()
    joins: tuple[tuple[str, tuple[str, ...]], ...] = ()
    uploads: tuple[tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]], ...] = ()
    dimensions: tuple[str, ...] = ()
    order_by: tuple[str, ...] = ()
    limit: int | None = None
    offset: int = 0
    with_records: bool = False

    def filtered(
        self,
        args: Iterable[Any],
        bind: Mapping[str, Any] | None,
        kwargs: Mapping[str, Any],
        then: Then | None = None,
    ) -> QuerySpec:
        """Give the same query with more conditions, all of which must hold.

        Within one call a keyword replaces the value of the same dimension in a data ID. Names are looked up
        in what there was `then`, and in the whole query if that does not tell what they are.
        """
        where = list(self.where)
        data_id: dict[str, Any] = {}
        for arg in args:
            if arg is None:
                continue
            if isinstance(arg, str):
                if arg.strip():
                    where.append((arg, dict(bind or {}), then))
            elif isinstance(arg, Predicate):
                where.append((*arg.compiled(), None))
            elif isinstance(arg, Mapping):
                data_id.update(arg)
            elif hasattr(arg, "mapping"):
                data_id.update(arg.mapping)
            else:
                hint = "; compare it with something, or use `.as_boolean()`" if isinstance(arg, ExpressionProxy) else ""
                raise QueryTypeError(f"`{arg!r}` is neither an expression nor a data ID{hint}")
        data_id.update(kwargs)
        data_ids = (*self.data_ids, data_id) if data_id else self.data_ids
        return dataclasses.replace(self, where=tuple(where), data_ids=data_ids)

    def arguments(self, context: QueryContext) -> dict[str, Any]:
        """Give the arguments that all requests to the engine share."""
        return {
            "data_id": list(self.data_ids),
            "where": list(self.where),
            "joins": [(name, list(collections)) for name, collections in self.joins],
            "uploads": list(self.uploads),
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
    return tuple(term._term() if isinstance(term, (ExpressionProxy, OrderExpression)) else str(term) for term in flat)


def searched_type(registry: Registry, dataset_type: DatasetType | str) -> str:
    """Give the name of a registered dataset type that a query can search for; no component is one."""
    name = type_name(dataset_type)
    parent, _, component = name.partition(".")
    found = registry.dataset_type(parent, recent=True).name  # the query looks it up again
    if component:
        raise MissingDatasetTypeError(
            f"`{name}` is a component, which no query searches for; "
            f"search for `{parent}`, and read the component with `butler.get('{name}', ...)`"
        )
    return found


def type_name(dataset_type: DatasetType | str) -> str:
    """Give the name of a dataset type."""
    name = dataset_type if isinstance(dataset_type, str) else getattr(dataset_type, "name", None)
    if not isinstance(name, str):
        raise TypeError(f"`{dataset_type}` is neither one dataset type nor the name of one")
    return name
