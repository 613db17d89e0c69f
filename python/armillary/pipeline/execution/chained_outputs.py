"""What quanta wrote, for the other datastores of a chain: quanta write to the first datastore of files only."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from armillary.errors import CommitUnknownError
from armillary.storage.file_record import FileRecord

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef

__all__ = ["ChainedOutputs"]


class ChainedOutputs:
    """Registers datasets that are in the first datastore of files, and gives them to all others that take them.

    The files of the others are announced and written before the one transaction that enters all rows; when that fails
    they are removed.

    Parameters
    ----------
    butler
        Writes to the repository.

    Examples
    --------
    `ChainedOutputs(butler).register(refs, records)`.
    """

    def __init__(self, butler: Butler) -> None:
        self._registry: Any = butler._core_registry
        self._chain: Any = butler._datastore
        self._main: Any = self._chain.file_datastore
        self._others = [store for store in self._chain.file_stores if store is not self._main]

    def register(self, refs: Sequence[DatasetRef], records: Sequence[FileRecord], intent: int | None = None) -> None:
        """Enter datasets, and where their files are, in one transaction; the announcement `intent` goes with it."""
        copies = self._copy(refs, records)
        main, registry = self._main, self._registry
        if not copies:
            registry.finish_write(intent, main.name, refs, records, register=True, table=main.records_table)
            return
        try:
            registry.begin()
            try:
                registry.finish_write(intent, main.name, refs, records, register=True, table=main.records_table)
                for copy in copies:
                    copy.enter()
            except BaseException:
                registry.rollback()
                raise
            registry.commit()
        except BaseException as error:
            if not isinstance(error, CommitUnknownError):
                for copy in copies:
                    copy.undo()
            raise

    def _copy(self, refs: Sequence[DatasetRef], records: Sequence[FileRecord]) -> list[_Copy]:
        if not self._others or not refs:
            return []
        by_id: dict[uuid.UUID, list[FileRecord]] = {}
        for record in records:
            by_id.setdefault(record.dataset_id, []).append(record)
        copies: list[_Copy] = []
        try:
            for store in self._others:
                own = [ref for ref in refs if store in self._chain.takers(ref)]
                if own:
                    copies.append(_Copy(self._registry, store, own))
                    copies[-1].write(self._main, by_id)
        except BaseException:
            for copy in copies:
                copy.undo()
            raise
        return copies


class _Copy:
    """The files of datasets in one other datastore."""

    def __init__(self, registry: Any, store: Any, refs: list[DatasetRef]) -> None:
        self._registry = registry
        self._store = store
        self._refs = refs
        self._items: list[Any] = []
        self._records: list[FileRecord] = []
        self._intent: int | None = None

    def write(self, main: Any, by_id: dict[uuid.UUID, list[FileRecord]]) -> None:
        """Announce the files and write them."""
        for ref in self._refs:
            self._items.extend(self._prepared(main, ref, by_id.get(ref.id, [])))
        paths = [path for item in self._items for path in item.paths]
        self._intent = self._registry.begin_write(self._store.name, paths)
        self._records = self._store.write_many(self._items)

    def _prepared(self, main: Any, ref: DatasetRef, records: list[FileRecord]) -> list[Any]:
        """A copy of each file under the name that this datastore gives it; written anew where the format is another."""
        there = {record.component: record for record in records}
        wanted = self._store.predict_records(ref)
        formats = {record.component: record.formatter for record in wanted}
        if formats != {component: record.formatter for component, record in there.items()}:
            return [self._store.prepare(main.get(ref, records), ref)]
        files = []
        for record in wanted:
            source = there[record.component]
            files.append((main.local_path(source), [(self._named(main, source, record.path), ref)]))
        return list(self._store.prepare_transfer(files, "copy"))

    def _named(self, main: Any, record: FileRecord, path: str) -> FileRecord:
        """The record of the copy, with a checksum if this datastore has them."""
        checksum = record.checksum if self._store.checksums else None
        if self._store.checksums and checksum is None:
            with main.open_file(record) as stream:
                checksum = hashlib.file_digest(stream, "blake2b").hexdigest()
        size = record.file_size
        return FileRecord(
            record.dataset_id, path, record.formatter, record.storage_class, record.component, checksum, size
        )

    def enter(self) -> None:
        """Enter where the files are, in the transaction that is open."""
        name, table = self._store.name, self._store.records_table
        self._registry.finish_write(self._intent, name, self._refs, self._records, register=False, table=table)

    def undo(self) -> None:
        """Remove the files; what cannot be removed stays announced."""
        self._store.undo(self._items)
        if self._intent is not None:
            self._registry.abandon_write(self._intent)
