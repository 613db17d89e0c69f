"""Kinds of collections and other small vocabularies of the butler."""

from __future__ import annotations

import enum
from collections.abc import Iterable

__all__ = ["CollectionType", "DatasetExistence", "DatasetIdGenEnum"]


class CollectionType(enum.IntEnum):
    """The kinds of collections.

    Examples
    --------
    >>> CollectionType.from_name("tagged").name
    'TAGGED'
    """

    RUN = 1
    """Holds the datasets that were written into it; every dataset is in exactly one."""

    TAGGED = 2
    """Holds any datasets, one per dataset type and data ID."""

    CHAINED = 3
    """Holds other collections, searched in order."""

    CALIBRATION = 4
    """Holds datasets with the timespans for which they are valid."""

    @classmethod
    def all(cls) -> frozenset[CollectionType]:
        """All kinds."""
        return frozenset(cls)

    @classmethod
    def from_name(cls, name: str) -> CollectionType:
        """Give the kind with a name, in any case.

        Raises
        ------
        KeyError
            If there is no such kind.
        """
        try:
            return cls[name.upper()]
        except KeyError:
            known = ", ".join(kind.name for kind in cls)
            raise KeyError(f"no collection type is called `{name}`; known are {known}") from None

    @classmethod
    def from_names(cls, names: Iterable[str] | None) -> frozenset[CollectionType]:
        """Give the kinds with these names; all kinds if there are none."""
        return frozenset(map(cls.from_name, names)) if names else cls.all()


class DatasetIdGenEnum(enum.IntEnum):
    """How the id of a new dataset is made."""

    UNIQUE = 0
    """A new id that never occurs again."""

    DATAID_TYPE = 1
    """The same for the same dataset type and data ID."""

    DATAID_TYPE_RUN = 2
    """The same for the same dataset type, data ID and run."""


class DatasetExistence(enum.Flag):
    """What is known of a dataset's existence; true when its data can be read as far as checked.

    Examples
    --------
    >>> bool(DatasetExistence.RECORDED), bool(DatasetExistence.VERIFIED)
    (False, True)
    """

    UNRECOGNIZED = 0
    """Nobody knows it."""

    RECORDED = 1
    """The registry knows it."""

    DATASTORE = 2
    """The datastore has a record of it."""

    _ARTIFACT = 4
    """Its file is there."""

    _ASSUMED = 8
    """The file was not looked for."""

    KNOWN = RECORDED | DATASTORE | _ASSUMED
    """Registry and datastore know it; the file was not looked for."""

    VERIFIED = RECORDED | DATASTORE | _ARTIFACT
    """Registry and datastore know it and its file is there."""

    def __bool__(self) -> bool:
        both = DatasetExistence.RECORDED | DatasetExistence.DATASTORE
        return both in self and self not in (both, DatasetExistence.UNRECOGNIZED)
