"""A repository with made-up records, for tests to which it does not matter what they are."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from armillary._core import DataCoordinate, DatasetRef, DatasetType
from armillary._words import did_you_mean
from armillary.butler.butler import Butler
from armillary.errors import ConflictingDefinitionError

if TYPE_CHECKING:
    import uuid

    from armillary._core import Dimension, DimensionGroup
    from armillary.storage.storage_class import StorageClass

__all__ = [
    "DatasetTestHelper",
    "addDataIdValue",
    "addDatasetType",
    "expandUniqueId",
    "makeTestCollection",
    "makeTestRepo",
]


def makeTestRepo(
    root: str, dataIds: Mapping[str, Iterable[str | int]] | None = None, *, config: Any = None, **kwargs: Any
) -> Butler:
    """Make a repository, with data IDs if wanted, and open it for writing.

    Parameters
    ----------
    root
        Its directory.
    dataIds
        Values by dimension; how they relate is made up. See `addDataIdValue`, which says it value by value.
    config, **kwargs
        Arguments of `Butler.makeRepo`.

    Raises
    ------
    KeyError
        A name is no dimension.

    Examples
    --------
    >>> import tempfile
    >>> values = {"instrument": ["Cam"], "detector": [1]}
    >>> with tempfile.TemporaryDirectory() as root, makeTestRepo(root, values) as repo:
    ...     _ = addDatasetType(repo, "summary", {"instrument", "detector"}, "StructuredDataDict")
    ...     butler = makeTestCollection(repo, uniqueId="one")
    ...     _ = butler.put({"a": 1}, "summary", instrument="Cam", detector=1)
    ...     butler.get("summary", detector=1, instrument="Cam"), butler.run
    ({'a': 1}, 'test_one')
    """
    Butler.makeRepo(root, config=config, **kwargs)
    butler = Butler(root, writeable=True)
    given = {name: list(values) for name, values in (dataIds or {}).items()}
    for name in given:
        _dimension(butler, name)
    for name in butler.dimensions.dimensions.names:  # which come after what they depend on
        for value in given.get(name, ()):
            related = {"band": given["band"][0]} if name == "physical_filter" and given.get("band") else {}
            addDataIdValue(butler, name, value, **related)
    return butler


def makeTestCollection(repo: Butler, uniqueId: str | None = None) -> Butler:
    """Return a butler that writes to a run of its own.

    Parameters
    ----------
    repo
        The repository.
    uniqueId
        What tells the run from others; drawn at random if not given.
    """
    run = f"test_{random.randrange(1_000_000_000) if uniqueId is None else uniqueId}"
    repo.collections.register(run)
    return repo.clone(run=run, collections=[run])


def addDatasetType(butler: Butler, name: str, dimensions: Iterable[str], storageClass: str) -> DatasetType:
    """Register a dataset type.

    Raises
    ------
    ConflictingDefinitionError
        There is another one of this name.
    ValueError
        A dimension or the storage class does not exist.
    """
    from armillary.storage.storage_class import find_storage_class

    known = butler.dimensions.dimensions.names
    for one in dimensions:
        if one not in known:
            raise ValueError(f"there is no dimension `{one}`{did_you_mean(one, known)}")
    try:
        find_storage_class(storageClass)
        dataset_type = DatasetType(name, dimensions, storageClass, universe=butler.dimensions)
    except (KeyError, ValueError) as error:
        raise ValueError(str(error.args[0] if error.args else error)) from error
    butler.registry.registerDatasetType(dataset_type)
    return dataset_type


def expandUniqueId(butler: Butler, partialId: Mapping[str, Any]) -> DataCoordinate:
    """Return the one data ID that has some values.

    Raises
    ------
    KeyError
        A name is no dimension.
    ValueError
        There are none, or several.
    """
    for name in partialId:
        _dimension(butler, name)
    dimensions = butler.dimensions.conform(list(partialId))
    # all, and then chosen from: a query would ask for the instrument of a bare detector
    every = butler.registry.queryDataIds(dimensions, check=False).expanded()
    found = [one for one in every if all(one[name] == value for name, value in partialId.items())]
    if len(found) != 1:
        raise ValueError(f"{len(found)} data IDs match `{dict(partialId)}`, and one was expected")
    return found[0]


def addDataIdValue(butler: Butler, dimension: str, value: str | int, **related: str | int) -> None:
    """Add the record of a data ID, with made-up records that it refers to.

    Parameters
    ----------
    butler
        The repository.
    dimension
        What gets a value.
    value
        The value.
    **related
        Values of other dimensions that belong with it, which exist. Of others that it depends on, one that exists is
        taken, or made up.

    Raises
    ------
    ConflictingDefinitionError
        There is such a record with other relations.
    RuntimeError
        A related value does not exist.
    ValueError
        A name is no dimension, or the value is not of the dimension's type.
    """
    try:
        element = _dimension(butler, dimension)
        for name in related:
            _dimension(butler, name)
    except KeyError as error:
        raise ValueError(error.args[0]) from error
    if not element.has_own_table:  # its values need not be added
        return
    record = _record(butler, element, value, dict(related))
    try:
        butler.registry.syncDimensionData(dimension, record)
    except ConflictingDefinitionError:
        raise
    except Exception as error:
        raise RuntimeError(
            f"`{dimension}` {value!r} cannot be added; say which values it belongs with, such as `instrument=...`, "
            f"and add those first: {error}"
        ) from error


def _record(butler: Butler, element: Dimension, value: str | int, related: dict[str, str | int]) -> dict[str, Any]:
    """Fill the record of a value: what it depends on, and the columns that must have a value."""
    record: dict[str, Any] = {element.primary_key.name: _typed(element.primary_key.type, value)}
    linked = [name for name in (*element.required.names, *element.implied.names) if name != element.name]
    for name in linked:
        if name not in related:
            related[name] = _any_value(butler, name, related)
        record[name] = related[name]
    for unique in element.alternate_keys:
        record[unique.name] = _typed(unique.type, value)
    return record


def _any_value(butler: Butler, name: str, related: Mapping[str, str | int]) -> str | int:
    """Return a value of a dimension that goes with others: one that exists, or a new one."""
    element = butler.dimensions.dimensions[name]
    if not element.has_own_table:  # as `band`, which is known from what implies it
        users = [found for found in butler.dimensions.elements if name in found.implied.names]
        values = (getattr(one, name) for user in users for one in butler.registry.queryDimensionRecords(user.name))
        return next((value for value in values if value is not None), "any")
    parents = {one: related[one] for one in element.required.names if one in related and one != name}
    where = " AND ".join(f"{one} = :value_{one}" for one in parents)
    bind = {f"value_{one}": value for one, value in parents.items()}
    for record in butler.registry.queryDimensionRecords(name, where=where, bind=bind, check=False):
        found: str | int = record.dataId[name]
        return found
    made: str | int = _typed(element.primary_key.type, 1)
    addDataIdValue(butler, name, made, **parents)
    return made


_TYPES: dict[str, Any] = {"int": int, "float": float, "string": str, "hash": lambda value: str(value).encode()}
"""How a value of a column is made; others may be missing in all records."""


def _typed(kind: str, value: str | int) -> Any:
    """Make a value of the type of a column."""
    try:
        return _TYPES[kind](value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{value}` is no value of type {kind}") from error


def _dimension(butler: Butler, name: str) -> Dimension:
    known = butler.dimensions.dimensions.names
    if name not in known:
        raise KeyError(f"there is no dimension `{name}`{did_you_mean(name, known)}")
    return butler.dimensions.dimensions[name]


class DatasetTestHelper:
    """For test cases: references without a repository."""

    def makeDatasetRef(
        self,
        datasetTypeName: str,
        dimensions: DimensionGroup | Iterable[str],
        storageClass: StorageClass | str,
        dataId: DataCoordinate | Mapping[str, Any],
        *,
        id: uuid.UUID | None = None,
        run: str | None = None,
        conform: bool = True,
    ) -> DatasetRef:
        """Make a reference with a dataset type of its own.

        Parameters
        ----------
        datasetTypeName, dimensions, storageClass
            The dataset type.
        dataId
            The data ID.
        id, run
            Made up if not given.
        conform
            Whether the data ID may have more than the dimensions.

        Examples
        --------
        >>> DatasetTestHelper().makeDatasetRef("a", ["instrument"], "StructuredDataDict", {"instrument": "Cam"}).run
        'dummy'
        """
        from armillary._core import DimensionUniverse

        universe = getattr(dimensions, "universe", None) or getattr(dataId, "universe", None) or DimensionUniverse()
        dataset_type = DatasetType(datasetTypeName, dimensions, storageClass, universe=universe)
        if not isinstance(dataId, DataCoordinate):
            dataId = DataCoordinate.standardize(dataId, dimensions=dataset_type.dimensions, universe=universe)
        options: dict[str, Any] = {} if id is None else {"id": id}
        return DatasetRef(dataset_type, dataId, run="dummy" if run is None else run, conform=conform, **options)
