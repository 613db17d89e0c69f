"""A dataset in memory that behaves as one that is read later."""

from __future__ import annotations

import copy as copying
from collections.abc import Mapping
from typing import Any

__all__ = ["InMemoryDatasetHandle"]


class InMemoryDatasetHandle:
    """Stands in for a deferred dataset when a task is called without a repository.

    Parameters
    ----------
    inMemoryDataset
        The dataset.
    storageClass
        Its storage class, or the name of one; needed for components, parameters and conversions.
    parameters
        Parameters applied by every `get`.
    dataId
        Its data ID.
    copy
        Whether every `get` gives a copy.
    **kwargs
        More of the data ID.

    Examples
    --------
    >>> from armillary.pipeline import InMemoryDatasetHandle
    >>> handle = InMemoryDatasetHandle({"a": 1}, visit=3)
    >>> handle.get(), handle.dataId["visit"]
    ({'a': 1}, 3)
    """

    def __init__(
        self,
        inMemoryDataset: Any,
        *,
        storageClass: Any = None,
        parameters: Mapping[str, Any] | None = None,
        dataId: Any = None,
        copy: bool = False,
        **kwargs: Any,
    ) -> None:
        self.inMemoryDataset = inMemoryDataset
        self.storageClass = storageClass
        self.parameters = None if parameters is None else dict(parameters)
        self.copy = copy
        self.dataId: Any = _data_id(dataId, kwargs)

    def get(
        self,
        *,
        component: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        storageClass: Any = None,
    ) -> Any:
        """Give the dataset, a component of it, or a part by parameters.

        Raises
        ------
        KeyError
            The storage class has no such component or parameter.
        TypeError
            The dataset does not convert to the storage class asked for.
        """
        value = copying.deepcopy(self.inMemoryDataset) if self.copy else self.inMemoryDataset
        merged = {**(self.parameters or {}), **(parameters or {})}
        if component is None and not merged and storageClass is None:
            return value
        kind = self._storage_class(value)
        if component is not None:
            if component not in kind.allComponents():
                from armillary._words import did_you_mean

                near = did_you_mean(component, kind.allComponents())
                raise KeyError(f"storage class `{kind.name}` has no component `{component}`{near}")
            value = kind.delegate().getComponent(value, component)
            kind = kind.allComponents()[component]
        if merged:
            kind.validateParameters(merged)
            value = kind.delegate().handleParameters(value, merged)
        return value if storageClass is None else _find(storageClass).coerce_type(value)

    def _storage_class(self, value: Any) -> Any:
        if self.storageClass is not None:
            return _find(self.storageClass)
        from armillary.storage import storage_class_factory

        return storage_class_factory().findStorageClass(type(value))

    def __repr__(self) -> str:
        return f"InMemoryDatasetHandle({self.inMemoryDataset!r}, storageClass={self.storageClass!r})"


def _find(storage_class: Any) -> Any:
    if not isinstance(storage_class, str):
        return storage_class
    from armillary.storage import storage_class_factory

    return storage_class_factory().getStorageClass(storage_class)


def _data_id(data_id: Any, more: Mapping[str, Any]) -> Any:
    if data_id is None or isinstance(data_id, Mapping):
        return {**(data_id or {}), **more}
    if more:
        from armillary.butler import DataCoordinate

        return DataCoordinate.standardize(data_id, universe=data_id.universe, **more)
    return data_id
