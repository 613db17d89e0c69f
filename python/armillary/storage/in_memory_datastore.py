"""A datastore that keeps datasets in memory, for tests and for data that need not stay."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from armillary.storage.datastore_config import Constraints
from armillary.storage.storage_class import StorageClass, find_storage_class

__all__ = ["InMemoryDatastore"]


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
        self.name = f"{type(self).__name__}@{time.time()}"
        self.writeable = writeable
        self.constraints = Constraints((config or {}).get("constraints"), universe)
        self._lock = threading.Lock()
        self._datasets: dict[Any, tuple[StorageClass, Any]] = {}

    def accepts(self, dataset_type: Any) -> bool:
        """Tell whether this datastore takes datasets of a type."""
        return self.constraints.accepts(dataset_type)

    def needs_records(self, dataset_type: Any) -> bool:
        """Nothing is named here, so no records are needed."""
        return False

    def put(self, obj: Any, ref: Any) -> None:
        """Keep an object. Raises `TypeError` if it cannot be made one of the dataset's storage class."""
        storage_class = find_storage_class(str(ref.datasetType.storageClass_name))
        value = storage_class.coerce_type(obj)
        with self._lock:
            self._datasets[ref.id] = (storage_class, value)

    def get(
        self,
        ref: Any,
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

    def exists(self, ref: Any) -> bool:
        """Tell whether a dataset is here."""
        with self._lock:
            return ref.id in self._datasets

    def remove(self, refs: Iterable[Any]) -> None:
        """Forget datasets."""
        with self._lock:
            for ref in refs:
                self._datasets.pop(ref.id, None)

    def __repr__(self) -> str:
        return f"InMemoryDatastore({len(self._datasets)} datasets)"
