"""Data IDs in a user's words: record fields and names instead of keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from armillary._words import did_you_mean
from armillary.errors import DataIdValueError, DimensionValueError

if TYPE_CHECKING:
    from armillary._core import DatasetType, Dimension
    from armillary.butler.butler import Butler

__all__ = ["TEMPORAL", "rewrite_data_id"]

TEMPORAL = ("exposure", "visit")
"""Dimensions that say when a calibration must be valid, the first one first."""


def rewrite_data_id(butler: Any, dataset_type: DatasetType, data_id: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Turn record fields of a data ID into keys, by looking up the records that have them.

    `{"detector.full_name": "S00"}`, `raft="R00", name_in_raft="S00"`, and `detector="S00"` (text for a number is taken
    as an alternate name) all find one detector.

    Raises
    ------
    DimensionValueError
        If a key is unknown, or several records match.
    DataIdValueError
        If no record matches.
    """
    given = {**(dict(getattr(data_id, "mapping", data_id) or {})), **kwargs}
    plain = {key: value for key, value in butler._defaults.data_id.items() if key in butler.dimensions.dimensions.names}
    fields: dict[str, dict[str, Any]] = {}
    for key, value in given.items():
        if key in butler.dimensions.dimensions.names:
            element = butler.dimensions.dimensions[key]
            if isinstance(value, str) and element.primaryKey.type == "int" and not value.strip().lstrip("+-").isdigit():
                fields.setdefault(key, {})[_alternate_name(element, value)] = value
            else:
                plain[key] = value
        else:
            owner, field = _owner_of(dataset_type, key, given)
            fields.setdefault(owner, {})[field] = value
    for name, wanted in fields.items():
        plain[name] = _find_key(butler, name, wanted, plain)
    return plain


def _alternate_name(element: Dimension, value: str) -> str:
    names = [key.name for key in element.alternate_keys]
    if not names:
        raise DimensionValueError(f"`{value}` cannot be a value of dimension `{element.name}`, which takes an integer")
    return names[0]


def _owner_of(dataset_type: DatasetType, key: str, given: Mapping[str, Any]) -> tuple[str, str]:
    """Find the dimension that a record field belongs to."""
    universe = dataset_type.dimensions.universe
    elements = {name: universe[name] for name in dataset_type.dimensions.elements}
    if dataset_type.isCalibration():
        elements |= {name: universe[name] for name in TEMPORAL if name in universe.elements.names}
    if "." in key:
        name, _, field = key.partition(".")
        if name in elements and field in elements[name].schema.names:
            return name, field
    else:
        owners = [name for name, element in elements.items() if key in element.schema.names and name not in given]
        own = [name for name in owners if name in dataset_type.dimensions.names]
        owners = own or [name for name in owners if name in TEMPORAL][:1]
        if len(owners) == 1:
            return owners[0], key
        if len(owners) > 1:
            raise DimensionValueError(
                f"`{key}` is a field of {' and '.join(f'`{name}`' for name in owners)}; "
                f"say which, e.g. `{owners[0]}.{key}`"
            )
    known = [
        *dataset_type.dimensions.names,
        *(field for element in elements.values() for field in element.schema.names),
    ]
    raise DimensionValueError(
        f"`{key}` is neither a dimension of `{dataset_type.name}` nor a field of one{did_you_mean(key, known)}"
    )


def _find_key(butler: Butler, name: str, wanted: Mapping[str, Any], plain: Mapping[str, Any]) -> Any:
    constraint = {key: plain[key] for key in butler.dimensions.conform([name]).names if key != name and key in plain}
    where = " AND ".join(f"{name}.{field} = :value_{i}" for i, field in enumerate(wanted))
    bind = {f"value_{i}": value for i, value in enumerate(wanted.values())}
    found = butler.query_dimension_records(name, where=where, bind=bind, data_id=constraint, limit=3, explain=False)
    words = ", ".join(f"{field}={value!r}" for field, value in wanted.items())
    if not found:
        raise DataIdValueError(f"no `{name}` has {words}")
    if len(found) > 1:
        raise DimensionValueError(
            f"{words} does not say which `{name}`: there are several, e.g. {found[0].dataId} and {found[1].dataId}"
        )
    return found[0].dataId[name]
