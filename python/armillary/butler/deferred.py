"""Datasets that are read when they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary._core import DataCoordinate, DatasetRef
    from armillary.butler.limited import LimitedButler

__all__ = ["DeferredDatasetHandle"]


class DeferredDatasetHandle:
    """A dataset that is known to exist and is read by `get`.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository(run="u/me") as butler:
    ...     ref = butler.put({"a": 1}, "summary", instrument="Cam")
    ...     butler.getDeferred(ref).get()
    {'a': 1}
    """

    def __init__(
        self, butler: LimitedButler, ref: DatasetRef, parameters: Mapping[str, Any] | None, storageClass: Any = None
    ):
        self.butler = butler
        self.ref = ref
        self.parameters = dict(parameters) if parameters else None
        self.storageClass = storageClass

    @property
    def dataId(self) -> DataCoordinate:
        """The data ID of the dataset."""
        return self.ref.dataId

    def get(
        self, *, component: str | None = None, parameters: Mapping[str, Any] | None = None, storageClass: Any = None
    ) -> Any:
        """Read the dataset, or a component of it.

        Parameters
        ----------
        component
            Name of a component to read instead of the whole.
        parameters
            Added to the parameters given when the handle was made.
        storageClass
            Storage class, or its name, to convert the result to.
        """
        merged = {**(self.parameters or {}), **(parameters or {})}
        ref = self.ref.makeComponentRef(component) if component else self.ref
        if storageClass is None and component is None:
            storageClass = self.storageClass
        return self.butler.get(ref, parameters=merged or None, storageClass=storageClass)

    def __repr__(self) -> str:
        return f"DeferredDatasetHandle({self.ref})"
