"""Files and rows that appear together or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary._core import DatasetRef, Registry

__all__ = ["WriteSession"]


class WriteSession:
    """Writes datasets so that a crash at any moment leaves neither a file without rows nor rows without a file.

    The order is: an intent is committed, files are written and made durable, then one transaction adds all rows and
    takes the intent away. What a killed process leaves is undone by the next butler that opens the repository for
    writing.
    """

    def __init__(self, registry: Registry, datastore: Any):
        self._registry = registry
        self._datastore = datastore
        self._written: list[Any] = []

    def write(self, refs: list[DatasetRef], prepared: list[Any], *, register: bool = True) -> None:
        """Write prepared files, which hold the datasets `refs`; on any error nothing stays."""
        paths = [path for item in prepared for path in item.paths]
        intent = self._registry.begin_write(self._datastore.name, paths)
        try:
            records = []
            for item in prepared:
                # Only what this call wrote may be undone, so it is noted after the write succeeded.
                records.extend(self._datastore.write(item))
                self._written.append(item)
            self._registry.finish_write(intent, self._datastore.name, refs, records, register=register)
        except BaseException:
            self.undo()
            self._registry.abandon_write(intent)
            raise

    def adopt(self, other: WriteSession) -> None:
        """Take over what another session wrote, to be undone with this one."""
        self._written.extend(other._written)

    def undo(self) -> None:
        """Remove the files that were written."""
        while self._written:
            self._datastore.undo(self._written.pop())
