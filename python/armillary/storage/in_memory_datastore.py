"""A datastore that keeps datasets in memory, for tests and for data that need not stay."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from armillary.errors import DatasetTypeNotSupportedError
from armillary.storage.datastore_config import Constraints
from armillary.storage.storage_class import StorageClass, find_storage_class

if TYPE_CHECKING:
    from lsst.resources import ResourcePath

    from armillary._core import Registry

__all__ = ["InMemoryDatastore", "MemoryRecord"]


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """What there is to say of a dataset in memory, in the words of file records."""

    dataset_id: Any
    path: str
    storage_class: str
    formatter: str = ""
    component: str | None = None
    checksum: str | None = None
    file_size: int = -1


class InMemoryDatastore:
    """Datasets by their id. It leaves no trace in the database and is gone with the process."""

    def __init__(
        self,
        config: Mapping[str, Any] | None = None,
        butler_root: str | None = None,
        *,
        universe: Any = None,
        writeable: bool = True,
    ) -> None:
        self.name = str((config or {}).get("name") or f"{type(self).__name__}@{time.time()}")
        self.writeable = writeable
        self.constraints = Constraints((config or {}).get("constraints"), universe)
        self._lock = threading.Lock()
        self._datasets: dict[Any, tuple[StorageClass, Any]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Its name."""
        return (self.name,)

    @property
    def roots(self) -> dict[str, ResourcePath | None]:
        """It has no root."""
        return {self.name: None}

    def accepts(self, dataset_type: Any, instrument: str | None = None) -> bool:
        """Tell whether this datastore takes datasets of a type."""
        return self.constraints.accepts(dataset_type, instrument)

    def needs_records(self, dataset_type: Any) -> bool:
        """Nothing is named here, so no records are needed."""
        return False

    def problems(self, dataset_type: Any) -> list[str]:
        """Nothing keeps an object from staying in memory."""
        return []

    def check(self, obj: Any, ref: Any) -> Any:
        """Make an object one of the dataset's storage class. Raises `TypeError` if that cannot be."""
        if not self.accepts(ref.datasetType, ref.dataId.get("instrument")):
            raise DatasetTypeNotSupportedError(
                f"datastore `{self.name}` is configured not to take dataset type `{ref.datasetType.name}`"
            )
        return find_storage_class(str(ref.datasetType.storageClass_name)).coerce_type(obj)

    def put(self, obj: Any, ref: Any) -> None:
        """Keep an object. Raises `TypeError` if it cannot be made one of the dataset's storage class."""
        value = self.check(obj, ref)
        with self._lock:
            self._datasets[ref.id] = (find_storage_class(str(ref.datasetType.storageClass_name)), value)

    def records(self, registry: Registry | None, ids: Sequence[Any]) -> list[MemoryRecord]:
        """Records of the datasets that are here; the database knows nothing of them."""
        with self._lock:
            return [
                MemoryRecord(one, f"mem://{one}", self._datasets[one][0].name) for one in ids if one in self._datasets
            ]

    def uri(self, record: MemoryRecord) -> ResourcePath:
        """A URI that names the dataset; nothing can be read from it."""
        from armillary.storage.location import resource_path

        return resource_path(record.path)

    def get(
        self,
        ref: Any,
        records: Sequence[Any] = (),
        *,
        component: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        storage_class: StorageClass | str | None = None,
    ) -> Any:
        """Give a copy of an object, or of one component of it. Raises `FileNotFoundError` if it is not here."""
        with self._lock:
            kept = self._datasets.get(ref.id)
        if kept is None:
            raise FileNotFoundError(f"Could not retrieve dataset {ref}: it is not in memory")
        own, value = kept
        wanted = find_storage_class(storage_class) if isinstance(storage_class, str) else storage_class
        delegate = own.delegate()
        value = delegate.copy(value)
        component = component or ref.datasetType.name.partition(".")[2] or None
        if component is not None:
            value = delegate.getComponent(value, component)
            own = own.component(component)
        wanted = wanted or own
        if parameters:
            wanted.validateParameters(parameters)
            value = wanted.delegate().handleParameters(value, parameters)
        return wanted.coerce_type(value)

    def exists(self, records: Iterable[Any]) -> bool:
        """Tell whether datasets are here, given their records; False without records."""
        records = list(records)
        with self._lock:
            return bool(records) and all(record.dataset_id in self._datasets for record in records)

    def remove(self, ids: Iterable[Any]) -> None:
        """Forget datasets."""
        with self._lock:
            for one in ids:
                self._datasets.pop(one, None)

    def __repr__(self) -> str:
        return f"InMemoryDatastore({len(self._datasets)} datasets)"
