"""Files and rows that appear together or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary._core import DatasetRef, FileRecord, Registry

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
        self._undo: list[Callable[[], None]] = []

    def write(self, refs: list[DatasetRef], prepared: list[Any]) -> None:
        """Write prepared datasets; on any error nothing stays."""
        paths = [path for item in prepared for path in item.paths]
        undo = [partial(self._datastore.undo, item) for item in prepared]
        self._do(refs, paths, partial(self._datastore.write_many, prepared), undo)

    def ingest(self, refs: list[DatasetRef], prepared: Any) -> None:
        """Take prepared files in; on any error nothing stays, and moved files are back where they were."""
        from armillary.storage.file_ingest import undo_ingest

        self._do(
            refs,
            prepared.paths,
            partial(self._datastore.ingest, prepared),
            [partial(undo_ingest, self._datastore, prepared)],
        )

    def _do(
        self,
        refs: list[DatasetRef],
        paths: list[str],
        write: Callable[[], list[FileRecord]],
        undo: Sequence[Callable[[], None]],
    ) -> None:
        intent = self._registry.begin_write(self._datastore.name, paths)
        try:
            records = write()  # undoes itself when it fails
            self._undo.extend(undo)
            self._registry.finish_write(
                intent, self._datastore.name, refs, records, register=True, table=self._datastore.records_table
            )
        except BaseException:
            self.undo()
            self._registry.abandon_write(intent)
            raise

    def adopt(self, other: WriteSession) -> None:
        """Take over what another session wrote, to be undone with this one."""
        self._undo.extend(other._undo)

    def undo(self) -> None:
        """Remove the files that were written."""
        while self._undo:
            self._undo.pop()()
