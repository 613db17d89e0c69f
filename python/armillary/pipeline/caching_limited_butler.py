"""A butler that reads what many quanta read only once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING, Any

from armillary.butler.limited import DatasetRefURIs, LimitedButler
from armillary.storage.storage_class import StorageClass, find_storage_class

if TYPE_CHECKING:
    from armillary._core import DatasetRef, DimensionUniverse
    from armillary.butler.deferred import DeferredDatasetHandle
    from armillary.butler.metrics import ButlerMetrics

__all__ = ["CachingLimitedButler"]


class CachingLimitedButler(LimitedButler):
    """Keeps in memory the last dataset of each of some types, for what is read again and again.

    Handles for reading later (`getDeferred`) read from the wrapped butler.

    Parameters
    ----------
    wrapped
        The butler that reads and writes.
    cache_on_put
        Names of the dataset types to keep when they are put.
    cache_on_get
        Names of the dataset types to keep when they are read.
    no_copy_on_cache
        Names of the dataset types of which all readers get the same object, which they must not change; others get
        a copy each.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository(run="u/me") as wrapped:
    ...     ref = wrapped.put({"a": 1}, "summary", instrument="Cam")
    ...     butler = CachingLimitedButler(wrapped, cache_on_get={"summary"})
    ...     with wrapped.record_metrics() as metrics:
    ...         read = [butler.get(ref), butler.get(ref)]
    >>> read, metrics.n_get
    ([{'a': 1}, {'a': 1}], 1)
    """

    def __init__(
        self,
        wrapped: LimitedButler,
        cache_on_put: Set[str] = frozenset(),
        cache_on_get: Set[str] = frozenset(),
        no_copy_on_cache: Set[str] = frozenset(),
    ) -> None:
        self._wrapped = wrapped
        self._cache_on_put = frozenset(cache_on_put)
        self._cache_on_get = frozenset(cache_on_get)
        self._no_copy_on_cache = frozenset(no_copy_on_cache)
        self._kept: dict[str, tuple[uuid.UUID, StorageClass, Any]] = {}

    @property
    def _metrics(self) -> ButlerMetrics:
        return self._wrapped._metrics

    @_metrics.setter
    def _metrics(self, metrics: ButlerMetrics) -> None:
        self._wrapped._metrics = metrics

    @property
    def dimensions(self) -> DimensionUniverse:
        """All dimensions of the repository."""
        return self._wrapped.dimensions

    def isWriteable(self) -> bool:
        """Whether datasets can be written."""
        return self._wrapped.isWriteable()

    def get(self, ref: Any, /, *, parameters: Mapping[str, Any] | None = None, storageClass: Any = None) -> Any:
        """Give a dataset, from memory if it is kept.

        Raises
        ------
        FileNotFoundError
            It is not stored.
        KeyError
            The storage class has no such parameter.
        TypeError
            It does not convert to the storage class asked for.
        """
        name = ref.datasetType.name
        kept = self._kept.get(name)
        if kept is None or kept[0] != ref.id:
            if name not in self._cache_on_get:
                return self._wrapped.get(ref, parameters=parameters, storageClass=storageClass)
            own = find_storage_class(str(ref.datasetType.storageClass_name))
            kept = ref.id, own, self._wrapped.get(ref, storageClass=own)
            self._kept[name] = kept
        return self._part(kept, ref, parameters, storageClass)

    def _part(
        self,
        kept: tuple[uuid.UUID, StorageClass, Any],
        ref: Any,
        parameters: Mapping[str, Any] | None,
        storage_class: StorageClass | str | None,
    ) -> Any:
        """Give what was asked for of a dataset that is kept."""
        _, own, value = kept
        if ref.datasetType.name not in self._no_copy_on_cache:
            value = own.delegate().copy(value)
        if parameters:
            own.validateParameters(parameters)
            value = own.delegate().handleParameters(value, parameters)
        wanted = str(ref.datasetType.storageClass_name) if storage_class is None else storage_class
        return (find_storage_class(wanted) if isinstance(wanted, str) else wanted).coerce_type(value)

    def getDeferred(
        self, ref: Any, /, *, parameters: Mapping[str, Any] | None = None, storageClass: Any = None
    ) -> DeferredDatasetHandle:
        """Give a handle that reads a dataset later, from the wrapped butler."""
        return self._wrapped.getDeferred(ref, parameters=parameters, storageClass=storageClass)

    def put(self, obj: Any, ref: Any, /, *, provenance: Any = None) -> DatasetRef:
        """Write a dataset, and keep a copy of it if its type is among those to keep.

        Raises
        ------
        ConflictingDefinitionError
            It was put before.
        TypeError
            The object cannot be made one of its storage class.
        """
        made = self._wrapped.put(obj, ref, provenance=provenance)
        name = ref.datasetType.name
        if name in self._cache_on_put:
            own = find_storage_class(str(ref.datasetType.storageClass_name))
            value = own.coerce_type(obj)
            # a copy: whoever puts may go on with the object
            self._kept[name] = ref.id, own, value if name in self._no_copy_on_cache else own.delegate().copy(value)
        return made

    def stored_many(self, refs: Iterable[DatasetRef]) -> dict[DatasetRef, bool]:
        """Tell which datasets the wrapped butler has."""
        return self._wrapped.stored_many(refs)

    def pruneDatasets(
        self,
        refs: Iterable[DatasetRef],
        *,
        disassociate: bool = True,
        unstore: bool = False,
        tags: Iterable[str] = (),
        purge: bool = False,
    ) -> None:
        """Take datasets out of collections, remove their files, or remove them altogether; they are kept no longer."""
        refs = list(refs)
        ids = {ref.id for ref in refs}
        self._kept = {name: kept for name, kept in self._kept.items() if kept[0] not in ids}
        self._wrapped.pruneDatasets(refs, disassociate=disassociate, unstore=unstore, tags=tags, purge=purge)

    def getURIs(self, ref: Any, /, *, predict: bool = False) -> DatasetRefURIs:
        """Where the files of a dataset are, or would be written."""
        return self._wrapped.getURIs(ref, predict=predict)

    def get_datastore_names(self) -> tuple[str, ...]:
        """Names of the datastores."""
        return self._wrapped.get_datastore_names()

    def get_datastore_roots(self) -> dict[str, Any]:
        """Where each datastore keeps its files, by its name."""
        return self._wrapped.get_datastore_roots()

    def markInputUnused(self, ref: DatasetRef) -> None:
        """Say that a task did not use an input after all."""
        self._wrapped.markInputUnused(ref)

    def close(self) -> None:
        """Forget what is kept, and close the wrapped butler."""
        self._kept.clear()
        self._wrapped.close()
