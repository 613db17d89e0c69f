"""Options of calls that also take values of a data ID: one that is misspelt is not taken for a dimension."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from armillary._words import did_you_mean, nearest
from armillary.errors import DimensionNameError, DimensionValueError

if TYPE_CHECKING:
    from armillary._core import DimensionUniverse

__all__ = ["refuse_options"]

_DATASET_FIELDS = ("collection", "dataset_id", "ingest_date", "run", "timespan")
"""What queries know of a dataset besides its data ID."""


@lru_cache(maxsize=8)
def _names_of_values(universe: DimensionUniverse) -> frozenset[str]:
    """Dimensions and fields of their records, which a keyword may give the value of."""
    fields = (name for element in universe.elements for name in element.schema.names)
    return frozenset((*universe.elements.names, *universe.skypix_dimensions.names, *fields))


def refuse_options(
    call: Callable[..., Any],
    given: Iterable[str],
    universe: DimensionUniverse,
    *,
    is_query: bool = True,
) -> None:
    """Raise an error if a keyword is no dimension and no field, and most like an option of the call.

    Other names that nothing has are left to the search itself, which names the nearest dimension.

    Raises
    ------
    DimensionNameError
        If the call is a query, which takes `run` and other properties of datasets, too.
    DimensionValueError
        Else.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository() as butler:
    ...     refuse_options(butler.query_datasets, ["findFirst"], butler.dimensions)
    Traceback (most recent call last):
    armillary.errors.DimensionNameError: `query_datasets` has no option `findFirst`; did you mean `find_first`?
    """
    known = _names_of_values(universe)
    for name in given:
        if name in known or "." in name or (is_query and name in _DATASET_FIELDS):
            continue
        import inspect  # 10 ms to import, needed only when something went wrong

        parameters = inspect.signature(call).parameters.values()
        options = [one.name for one in parameters if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)]
        if nearest(name, (*options, *known)) in options:
            message = f"`{call.__name__}` has no option `{name}`{did_you_mean(name, options)}"
            raise DimensionNameError(message) if is_query else DimensionValueError(message)
