"""What every butler can do with datasets that are already found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from armillary.butler.deferred import DeferredDatasetHandle
from armillary.butler.metrics import ButlerMetrics

if TYPE_CHECKING:
    from armillary._core import DatasetRef, DimensionUniverse, FileRecord

__all__ = ["DatasetRefURIs", "LimitedButler"]


class DatasetRefURIs(NamedTuple):
    """Where a dataset is: one file, or one for each component."""

    primaryURI: Any
    """URI of the whole dataset, or None if it is stored in components."""

    componentURIs: dict[str, Any]
    """URI of each component."""

    @classmethod
    def of(cls, datastore: Any, records: Sequence[FileRecord]) -> DatasetRefURIs:
        """Give the places of the files that records name."""
        records = datastore.one_copy(records)
        if len(records) == 1 and records[0].component is None:
            return cls(datastore.uri(records[0]), {})
        return cls(None, {record.component or "": datastore.uri(record) for record in records})


class LimitedButler(ABC):
    """A butler that reads and writes datasets by reference, without searching for them."""

    _metrics: ButlerMetrics

    @property
    @abstractmethod
    def dimensions(self) -> DimensionUniverse:
        """All dimensions of the repository."""

    @abstractmethod
    def isWriteable(self) -> bool:
        """Whether datasets can be written."""

    @abstractmethod
    def get(self, ref: Any, /, *, parameters: Mapping[str, Any] | None = None, storageClass: Any = None) -> Any:
        """Read a dataset."""

    @abstractmethod
    def put(self, obj: Any, ref: Any, /, *, provenance: Any = None) -> DatasetRef:
        """Write a dataset."""

    @abstractmethod
    def stored_many(self, refs: Iterable[DatasetRef]) -> dict[DatasetRef, bool]:
        """Whether the files of datasets are there."""

    @abstractmethod
    def get_datastore_names(self) -> tuple[str, ...]:
        """Names of the datastores."""

    @abstractmethod
    def get_datastore_roots(self) -> dict[str, Any]:
        """Where each datastore keeps its files, by its name; None for datastores in memory."""

    @abstractmethod
    def pruneDatasets(
        self,
        refs: Iterable[DatasetRef],
        *,
        disassociate: bool = True,
        unstore: bool = False,
        tags: Iterable[str] = (),
        purge: bool = False,
    ) -> None:
        """Take datasets out of collections, remove their files, or remove them altogether."""

    @abstractmethod
    def getURIs(self, ref: Any, /, *, predict: bool = False) -> DatasetRefURIs:
        """Where the files of a dataset are, or would be written."""

    def getDeferred(
        self, ref: Any, /, *, parameters: Mapping[str, Any] | None = None, storageClass: Any = None
    ) -> DeferredDatasetHandle:
        """Give a handle that reads a dataset later."""
        return DeferredDatasetHandle(self, ref, parameters, storageClass)

    def stored(self, ref: DatasetRef) -> bool:
        """Whether the file of a dataset is there."""
        return self.stored_many([ref])[ref]

    def getURI(self, ref: Any, /, *, predict: bool = False) -> Any:
        """Where the one file of a dataset is.

        Raises
        ------
        RuntimeError
            If it is stored in components.
        """
        uris = self.getURIs(ref, predict=predict)
        if uris.primaryURI is None:
            raise RuntimeError(f"the dataset {ref} is stored in components; ask for their places with `getURIs`")
        return uris.primaryURI

    def get_many_uris(
        self, refs: Iterable[DatasetRef], predict: bool = False, allow_missing: bool = False
    ) -> dict[DatasetRef, DatasetRefURIs]:
        """Where the files of many datasets are."""
        result = {}
        for ref in refs:
            try:
                result[ref] = self.getURIs(ref, predict=predict)
            except FileNotFoundError:
                if not allow_missing:
                    raise
        return result

    def markInputUnused(self, ref: DatasetRef) -> None:
        """Say that a task did not use an input after all."""

    @contextmanager
    def record_metrics(self, metrics: ButlerMetrics | None = None) -> Iterator[ButlerMetrics]:
        """Count what happens in the block.

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository(run="u/me") as butler, butler.record_metrics() as metrics:
        ...     ref = butler.put({"a": 1}, "summary", instrument="Cam")
        >>> metrics.n_put
        1
        """
        previous = self._metrics
        self._metrics = metrics if metrics is not None else ButlerMetrics()
        try:
            yield self._metrics
        finally:
            self._metrics = previous

    def close(self) -> None:
        """Give back what the butler holds open."""
