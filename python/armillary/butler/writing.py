"""Files and rows that appear together or not at all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from armillary.errors import CommitUnknownError

if TYPE_CHECKING:
    from armillary._core import DatasetRef, Registry

__all__ = ["OpenSessions", "WriteSession"]

_LOG = logging.getLogger(__name__)


class WriteSession:
    """Writes datasets so that a crash at any moment leaves neither a file without rows nor rows without a file.

    The order is: the files are announced, they are written and made durable, then one transaction adds all rows, and
    the announcement is taken back. What a killed process leaves is undone by the next butler that opens the repository
    for writing.
    """

    def __init__(self, registry: Registry, datastore: Any):
        self._registry = registry
        self._datastore = datastore
        self._undo: list[Callable[[], None]] = []
        self._finish: list[Callable[[], None]] = []
        self._intents: list[int] = []
        self._unsynced: list[tuple[Any, list[str]]] = []
        self.syncs_later = False
        """Whether files are made durable by `sync` only, which is then due before the commit."""

    def write(self, refs: list[DatasetRef], prepared: list[Any]) -> None:
        """Write prepared datasets; on any error nothing stays."""
        paths = [path for item in prepared for path in item.paths]
        self._undo.append(partial(self._datastore.undo, prepared))
        self._do(refs, paths, prepared)

    def ingest(self, refs: list[DatasetRef], prepared: Any) -> None:
        """Take prepared files in; on any error nothing stays, and files to be moved are where they were."""
        from armillary.storage.file_ingest import finish_ingest

        self._undo.append(partial(self._datastore.undo, prepared))
        self._finish.append(partial(finish_ingest, prepared))
        self._do(refs, prepared.paths, prepared)

    def _do(self, refs: list[DatasetRef], paths: list[str], prepared: Any) -> None:
        store = self._datastore.without_sync() if self.syncs_later else self._datastore
        intent = None
        try:
            at_once = store.write_announced(self._registry, prepared)
            if at_once is not None:
                intent, records = at_once
                self._intents.append(intent)
            else:
                if paths:  # files that stay where they are need no announcement
                    intent = self._registry.begin_write(self._datastore.name, paths)
                    self._intents.append(intent)
                records = store.write_many(prepared)
            if self.syncs_later:
                self._unsynced.append((self._datastore, paths))
            self._registry.finish_write(
                intent, self._datastore.name, refs, records, register=True, table=self._datastore.records_table
            )
        except BaseException as error:
            self.fail(error)
            raise

    def wait(self, finish: Callable[[], None], give_up: Callable[[], None]) -> None:
        """Do something when everything is committed, and something else if that does not happen."""
        self._finish.append(finish)
        self._undo.append(give_up)

    def adopt(self, other: WriteSession) -> None:
        """Take over what another session wrote, to be finished or undone with this one."""
        self._undo.extend(other._undo)
        self._finish.extend(other._finish)
        self._intents.extend(other._intents)
        self._unsynced.extend(other._unsynced)

    def sync(self) -> None:
        """Make files durable where that was left for later; each datastore's together."""
        by_store: dict[int, tuple[Any, list[str]]] = {}
        for store, paths in self._unsynced:
            by_store.setdefault(id(store), (store, []))[1].extend(paths)
        for store, paths in by_store.values():
            store.sync(paths)
        self._unsynced.clear()

    def fail(self, error: BaseException) -> None:
        """Undo, unless it is not known whether the rows were kept: then the files stay, and recovery decides."""
        if not isinstance(error, CommitUnknownError):
            self.undo()

    def undo(self) -> None:
        """Remove the files that were written; none of them has rows.

        What cannot be removed now stays announced, so that the next writer does it.
        """
        failures: list[OSError] = []
        while self._undo:
            try:
                self._undo.pop()()
            except OSError as error:  # the others can go nevertheless
                failures.append(error)
        if failures:
            _LOG.warning(
                "files of what was undone are left until the repository is next opened for writing; the first: %s",
                failures[0],
            )
        else:
            for intent in self._intents:
                self._registry.abandon_write(intent)
        self._intents.clear()

    def finish(self) -> None:
        """Do what has to wait for the commit: the originals of moved files go."""
        for finish in self._finish:
            finish()


class OpenSessions(threading.local):
    """The session of each thread's open transaction, for a butler and its clones: they share the transaction, too."""

    current: WriteSession | None = None
