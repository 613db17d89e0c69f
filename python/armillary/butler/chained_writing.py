"""Writing into a chain of datastores: files and rows of all of them appear together or not at all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from armillary.butler.writing import WriteSession

if TYPE_CHECKING:
    from armillary._core import DatasetRef
    from armillary.storage.chained_datastore import ChainedIngest, ChainedWrite
    from armillary.storage.file_datastore import FileDatastore

__all__ = ["ChainedWriteSession"]


class ChainedWriteSession(WriteSession):
    """Announces and writes the files of each datastore in turn, then enters the rows of all in one transaction.

    Objects are kept in memory last, when nothing can fail any more.
    """

    def write(self, refs: list[DatasetRef], prepared: list[ChainedWrite]) -> None:
        """Write prepared datasets; on any error nothing stays."""
        parts: dict[int, tuple[FileDatastore, list[Any], list[DatasetRef]]] = {}
        for item in prepared:
            for child, part in item.parts:
                _, own, own_refs = parts.setdefault(id(child), (child, [], []))
                own.append(part)
                own_refs.append(item.ref)
        self._write_parts(refs, list(parts.values()))
        for item in prepared:
            for memory in item.in_memory:
                memory.put(item.value, item.ref)
                self._undo.append(partial(memory.remove, [item.ref.id]))

    def ingest(self, refs: list[DatasetRef], prepared: ChainedIngest) -> None:
        """Take prepared files in; on any error nothing stays, and files to be moved are where they were."""
        from armillary.storage.file_ingest import finish_ingest

        self._finish.extend(partial(finish_ingest, part) for _, part in prepared.parts)
        self._write_parts(refs, [(child, list(part), part.refs) for child, part in prepared.parts])

    def _write_parts(
        self, refs: list[DatasetRef], parts: list[tuple[FileDatastore, list[Any], list[DatasetRef]]]
    ) -> None:
        registry = self._registry
        intents: list[int] = []
        try:
            records = []
            for child, items, _ in parts:
                paths = [path for item in items for path in item.paths]
                intents.append(registry.begin_write(child.name, paths))
                self._intents.append(intents[-1])
                self._undo.append(partial(child.undo, items))
                records.append(child.write_many(items))
            registry.begin()
            try:
                registry.import_datasets(refs)
                for (child, _, own), intent, found in zip(parts, intents, records, strict=True):
                    registry.finish_write(intent, child.name, own, found, register=False, table=child.records_table)
            except BaseException:
                registry.rollback()
                raise
            registry.commit()
        except BaseException as error:
            self.fail(error)
            raise
