"""A datastore of files below one directory."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from armillary._files import (
    abandoned_files,
    file_checksum,
    finish_temporary,
    make_folder,
    publish,
    sync_directory,
    sync_files,
    temporary_path,
    unlink_all,
    unlink_for_good,
    write_temporary,
)
from armillary.durability import choose_durability
from armillary.errors import (
    DatasetTypeNotSupportedError,
    FileTemplateValidationError,
    FormatterNotImplementedError,
)
from armillary.repository_config import datastore_root
from armillary.storage.datastore_config import Composites, Constraints, Formatters, make_formatter
from armillary.storage.file_integrity import verifies_checksums
from armillary.storage.file_reading import FileReading
from armillary.storage.file_record import DEFAULT_RECORDS_TABLE, ZIP_MARK, FileRecord
from armillary.storage.file_template import FileTemplates, safe_relative_path
from armillary.storage.location import FileDescriptor, Location, directory_path, resource_path
from armillary.storage.prepared_write import Part, PreparedWrite, not_serialised
from armillary.storage.remote import is_remote
from armillary.storage.storage_class import StorageClass, find_storage_class

if TYPE_CHECKING:
    from lsst.resources import ResourcePath

    from armillary._core import Registry
    from armillary.storage.file_dataset import FileDataset
    from armillary.storage.file_ingest import PreparedFile, PreparedIngest
    from armillary.storage.formatter import FormatterV2
    from armillary.storage.read_cache import ReadCache
    from armillary.storage.remote_writing import RemoteRoot
    from armillary.storage.zip_files import ZipIndex

__all__ = ["FileDatastore", "PreparedWrite"]


class FileDatastore(FileReading):
    """Datasets in files, one or more for each.

    Parameters
    ----------
    config
        The datastore's configuration with all defaults, or a repository's whole configuration.
    butler_root
        What `<butlerRoot>` stands for; None only if the configured root does not name it.
    universe
        The dimensions of the repository.
    writeable
        If false, nothing is ever made on disk.

    """

    is_chain = False

    def __init__(self, config: Mapping[str, Any], butler_root: str | None, *, universe: Any, writeable: bool) -> None:
        content: Mapping[str, Any] = config.get("datastore", config)
        own = content.toDict() if hasattr(content, "toDict") else dict(content)
        template = str(own.get("root", "<butlerRoot>"))
        self.name: str = str(own.get("name") or f"{type(self).__name__}@{template}")
        self.root: str = datastore_root(template, butler_root)
        self.writeable = writeable
        self.records_table: str = str((own.get("records") or {}).get("table", DEFAULT_RECORDS_TABLE))
        self.checksums = bool(own.get("checksum", False))
        self.verifies_checksums = verifies_checksums(own)
        self.trusts_requests = bool(own.get("trust_get_request", False))
        self.templates = FileTemplates(own.get("templates") or {}, universe=universe)
        self.formatterFactory = Formatters(own.get("formatters") or {}, universe)
        self.constraints = Constraints(own.get("constraints"), universe)
        self.composites = Composites(own.get("composites"), universe)
        self.set_durability(choose_durability())
        self._settled: set[str] = set()
        self._names_late = True  # until a file system turns out to make no files without a name
        self._needs_records: dict[Any, bool] = {}
        self.is_remote = is_remote(self.root)
        self._folder = os.path.join(self.root, "")
        self._cache_config = own.get("cached"), universe

    def __repr__(self) -> str:
        return f"FileDatastore({self.root!r})"

    __str__ = __repr__

    @property
    def names(self) -> tuple[str, ...]:
        """Its name."""
        return (self.name,)

    @property
    def roots(self) -> dict[str, ResourcePath | None]:
        """Its root, by its name."""
        return {self.name: directory_path(self.root)}

    @property
    def file_stores(self) -> list[FileDatastore]:
        """Itself: a chain has several."""
        return [self]

    @property
    def file_datastore(self) -> FileDatastore:
        """Itself: in a chain it is the first datastore of files."""
        return self

    @cached_property
    def remote_root(self) -> RemoteRoot:
        """The root of a datastore on another machine."""
        from armillary.storage.remote_writing import RemoteRoot

        return RemoteRoot(self.root, checksums=self.checksums)

    @cached_property
    def cache(self) -> ReadCache:
        """Local copies of files on other machines."""
        from armillary.storage.read_cache import ReadCache

        return ReadCache(*self._cache_config)

    # Records

    def records(self, registry: Registry, ids: Sequence[Any]) -> list[FileRecord]:
        """What the database knows of the files of datasets."""
        return registry.records(ids, table=self.records_table)

    file_records = records
    worker_records = records  # as another process can read them, whose only datastore this is

    def find_records(
        self, registry: Registry, name: str, data_id: Any, collections: Sequence[str], timespan: Any
    ) -> tuple[Any, list[FileRecord]] | None:
        """Find the first dataset in collections, and the records of its files."""
        return registry.find_records(name, data_id, collections, timespan=timespan, table=self.records_table)

    @staticmethod
    def one_copy(records: Sequence[FileRecord]) -> Sequence[FileRecord]:
        """The records themselves: a chain has a dataset in several places."""
        return records

    def store_of(self, record: FileRecord) -> FileDatastore:
        """Itself: a chain has a datastore for each record."""
        return self

    def trusted_records(self, ref: Any) -> list[FileRecord]:
        """Records of files that are there although the database does not know them; see `trust_get_request`."""
        if not self.trusts_requests:
            return []
        predicted = self.predict_records(ref)
        return predicted if self.exists(predicted) else []

    def forget(self, ids: Iterable[Any] | bytes) -> None:
        """Nothing is kept in memory here."""

    # Names of files

    def accepts(self, dataset_type: Any, instrument: str | None = None) -> bool:
        """Tell whether this datastore takes datasets of a type."""
        return self.constraints.accepts(dataset_type, instrument)

    def problems(self, dataset_type: Any) -> list[str]:
        """Why datasets of a type could not be stored, if so: no formatter, or files that could not be told apart."""
        found = []
        storage_class = find_storage_class(str(dataset_type.storageClass_name))
        names: list[str | None] = [None]
        if storage_class.isComposite() and self.composites.splits(dataset_type):
            names = list(storage_class.components)
        for name in names:
            try:
                self.templates.getTemplate(dataset_type, name)
                own = storage_class if name is None else storage_class.component(name)
                self.formatterFactory.find_for_type(dataset_type, name, own.name)
            except (FileTemplateValidationError, DatasetTypeNotSupportedError, KeyError) as error:
                found.append(str(error.args[0]) if error.args else str(error))
        return found

    def needs_records(self, dataset_type: Any) -> bool:
        """Tell whether naming the files of a dataset type takes expanded data IDs."""
        known = self._needs_records.get(dataset_type)
        if known is None:
            template = self.templates.getTemplate(dataset_type)
            known = self._needs_records[dataset_type] = template.needs_records(dataset_type.dimensions)
        return known

    def path_for(self, ref: Any, component: str | None = None) -> str:
        """The path the file of a dataset, or of one component, would get, below the root.

        `ref.dataId` must be expanded if `needs_records` says so. Raises `DatasetTypeNotSupportedError` if no formatter
        writes it, `UnsafePathError` if no file can be named so.
        """
        dataset_type = ref.datasetType
        storage_class = find_storage_class(str(dataset_type.storageClass_name))
        if component is not None:
            storage_class = storage_class.component(component)
        entry = self.formatterFactory.find(ref, component, storage_class.name)
        descriptor = FileDescriptor(Location(self.root, ""), storage_class, component=component)
        formatter = make_formatter(
            entry.name, descriptor, ref, write_parameters=entry.write_parameters, write_recipes=entry.write_recipes
        )
        return self._path(ref, component, formatter)

    def predict_records(self, ref: Any) -> list[FileRecord]:
        """The records a dataset would get if it were written now; sizes are not known (-1)."""
        storage_class = find_storage_class(str(ref.datasetType.storageClass_name))
        names: list[str | None] = [None]
        if storage_class.isComposite() and self.composites.splits(ref.datasetType, ref.dataId.get("instrument")):
            names = list(storage_class.components)
        records = []
        for name in names:
            own = storage_class if name is None else storage_class.component(name)
            entry = self.formatterFactory.find(ref, name, own.name)
            records.append(FileRecord(ref.id, self.path_for(ref, name), entry.name, own.name, name, None, -1))
        return records

    def predict_uri(self, ref: Any) -> ResourcePath:
        """The URI the file of a dataset would get; it ends in `#predicted`."""
        return resource_path(str(self.uri(self.path_for(ref))) + "#predicted")

    def _path(self, ref: Any, component: str | None, formatter: FormatterV2) -> str:
        template = self.templates.getTemplate(ref, component)
        return template.format(ref, component) + formatter.get_write_extension()

    # Writing

    def prepare(self, obj: Any, ref: Any, *, provenance: Any = None, overwrite: bool = False) -> PreparedWrite:
        """Check and convert an object and choose formatters and paths; nothing is written.

        With `overwrite` a file of the same name is replaced: for writers whose paths were predicted, where an earlier
        attempt may have left one. Otherwise a name that is taken is never used again.

        Raises `TypeError` if the object is not of the dataset's storage class and cannot be converted,
        `DatasetTypeNotSupportedError` if this datastore does not take it.
        """
        dataset_type = ref.datasetType
        if not self.constraints.accepts(dataset_type, ref.dataId.get("instrument")):
            raise DatasetTypeNotSupportedError(
                f"datastore `{self.name}` is configured not to take dataset type `{dataset_type.name}`"
            )
        storage_class = find_storage_class(str(dataset_type.storageClass_name))
        if storage_class.isComposite() and self.composites.splits(dataset_type, ref.dataId.get("instrument")):
            whole = storage_class.coerce_type(obj)
            pieces = storage_class.delegate().disassemble(whole)
            parts = [
                self._part(one.component, ref, one.storageClass, name, provenance, overwrite)
                for name, one in pieces.items()
            ]
            if not parts:
                raise DatasetTypeNotSupportedError(f"the object for {ref} has no components to store")
            return PreparedWrite(ref, parts, overwrite)
        return PreparedWrite(ref, [self._part(obj, ref, storage_class, None, provenance, overwrite)], overwrite)

    def _part(
        self,
        obj: Any,
        ref: Any,
        storage_class: StorageClass,
        component: str | None,
        provenance: Any,
        overwrite: bool,
    ) -> Part:
        entry = self.formatterFactory.find(ref, component, storage_class.name)
        descriptor = FileDescriptor(Location(self.root, ""), storage_class, component=component)
        formatter = make_formatter(
            entry.name, descriptor, ref, write_parameters=entry.write_parameters, write_recipes=entry.write_recipes
        )
        if not formatter.can_accept(obj):
            obj = storage_class.coerce_type(obj)
        path = self._path(ref, component, formatter)
        if not overwrite and self.is_taken(path):
            # Two data IDs can have one file name once their values are made fit for it; the second gets its id.
            extension = formatter.get_write_extension()
            stem = path[: len(path) - len(extension)]
            path = f"{stem}_{ref.id}{extension}"
        descriptor.location = Location(self.root, path)
        value = formatter.add_provenance(obj, provenance=provenance)
        return Part(value, component, storage_class.name, formatter, entry.name, path)

    def is_taken(self, path: str) -> bool:
        """Tell whether there is something under a stored path."""
        if self.is_remote:
            return self.remote_root.exists(path)
        return os.path.lexists(self._folder + path)

    def write(self, prepared: PreparedWrite | PreparedFile) -> list[FileRecord]:
        """Write the files of one dataset, or transfer an ingested one; they are whole and will stay on return.

        Raises `RuntimeError` naming dataset and formatter if the object cannot be written; nothing is left then.
        """
        return self.write_many([prepared])

    def write_announced(
        self, registry: Registry, batch: Sequence[PreparedWrite | PreparedFile]
    ) -> tuple[int, list[FileRecord]] | None:
        """Announce and write one new file in one go; return the number of the announcement, and the record.

        None, and nothing is done, for anything but a dataset whose one file is made in memory and replaces none. On
        failure nothing is left, or what is left stays announced.
        """
        prepared = batch[0] if len(batch) == 1 else None
        if not isinstance(prepared, PreparedWrite) or prepared.overwrite or len(prepared.parts) != 1:
            return None
        if self.is_remote or not self._names_late:
            return None
        self._check_writeable()
        part = prepared.parts[0]
        content = self._content(part, prepared)
        if content is None:
            return None
        target = os.path.join(self.root, part.path)
        try:
            intent = registry.write_announced(self.name, self.root, part.path, content, durable=self.durable)
        except (FileNotFoundError, NotADirectoryError):
            make_folder(os.path.dirname(target), durable=self.durable)
            intent = registry.write_announced(self.name, self.root, part.path, content, durable=self.durable)
        if intent is None:
            self._names_late = False
            return None
        prepared.written.append(target)
        checksum = hashlib.blake2b(content).hexdigest() if self.checksums else None
        return intent, [
            FileRecord(
                prepared.ref.id,
                part.path,
                part.formatter_name,
                part.storage_class,
                part.component,
                checksum,
                len(content),
            )
        ]

    def _content(self, part: Part, prepared: PreparedWrite) -> bytes | None:
        """What is to be in a file; None if its formatter writes the file itself."""
        if not part.formatter._is_made_in_memory(part.value):
            return None
        try:
            content = part.formatter.to_bytes(part.value)
            return content if type(content) is bytes else bytes(content)
        except FormatterNotImplementedError:
            return None
        except (OSError, MemoryError):
            raise
        except Exception as error:
            raise not_serialised(part, prepared, error) from error

    def write_many(self, batch: Sequence[PreparedWrite | PreparedFile]) -> list[FileRecord]:
        """Write the files of several datasets; folders are made to stay once for all of them."""
        from armillary.storage.file_ingest import copy_together, write_file

        def write_one(prepared: PreparedWrite | PreparedFile) -> list[FileRecord]:
            if isinstance(prepared, PreparedWrite):
                return [self._write_part(part, prepared) for part in prepared.parts]
            return write_file(self, prepared)

        self._check_writeable()
        records: list[FileRecord] = []
        try:
            if self.is_remote:
                from armillary.storage.remote import in_parallel

                many = self.remote_root.files.takes_many
                for written in in_parallel(write_one, batch) if many else map(write_one, batch):
                    records.extend(written)
                return records
            copies = [one for one in batch if not isinstance(one, PreparedWrite) and one.mode == "copy"]
            if copies:
                copy_together(self, copies)
            for prepared in batch:
                records.extend(write_one(prepared))
            if self.durable:
                left = [one for one in batch if isinstance(one, PreparedWrite) or not one.stays]
                for folder in {path.rpartition("/")[0]: None for prepared in left for path in prepared.paths}:
                    sync_directory(os.path.join(self.root, folder))
        except BaseException:
            with suppress(OSError):  # what failed before is told; the caller undoes again what is left
                self.undo(batch)
            raise
        return records

    def _write_part(self, part: Part, prepared: PreparedWrite) -> FileRecord:
        if self.is_remote:
            with self._serialising(part, prepared):
                return self.remote_root.write_part(part, prepared)
        target = os.path.join(self.root, part.path)
        temporary = temporary_path(target, part.formatter.get_write_extension())
        try:
            with self._serialising(part, prepared):
                size = self._write_temporary(part, temporary)
            checksum = file_checksum(temporary) if self.checksums else None
            publish(temporary, target, overwrite=prepared.overwrite)
        except OSError as error:
            unlink_all([temporary])
            if error.errno and error.filename in (None, temporary):
                error.filename = target  # the name people know
            raise
        except BaseException:
            unlink_all([temporary])
            raise
        prepared.written.append(target)
        return FileRecord(
            prepared.ref.id, part.path, part.formatter_name, part.storage_class, part.component, checksum, size
        )

    @contextmanager
    def _serialising(self, part: Part, prepared: PreparedWrite) -> Iterator[None]:
        """Say in errors that are the formatter's which dataset and formatter they are about."""
        try:
            yield
        except (OSError, MemoryError):
            raise
        except Exception as error:
            raise not_serialised(part, prepared, error) from error

    def _write_temporary(self, part: Part, temporary: str) -> int:
        formatter = part.formatter
        if formatter._is_made_in_memory(part.value):
            try:
                content = formatter.to_bytes(part.value)
            except FormatterNotImplementedError:
                pass
            else:
                write_temporary(temporary, content, durable=self.durable)
                return len(content)
        folder = os.path.dirname(temporary)
        if not os.path.isdir(folder):
            make_folder(folder, durable=self.durable)
        formatter.write_path(part.value, temporary)
        return finish_temporary(temporary, durable=self.durable)

    def set_durability(self, durability: str) -> None:
        """Choose what a power cut may undo; see `armillary.durability`."""
        self.durability = durability
        self.durable = durability != "none"

    def without_sync(self) -> FileDatastore:
        """Return a datastore for the same files that leaves it to `sync` to make them stay."""
        other = copy.copy(self)
        other.durable = False
        return other

    def sync(self, paths: Iterable[str]) -> None:
        """Make files stay that were written without it, by stored path."""
        if self.durable and not self.is_remote:
            root = os.path.abspath(self.root)
            sync_files([os.path.join(root, path) for path in _own_files(paths)], root, self._settled)

    def undo(self, batch: Sequence[PreparedWrite | PreparedFile]) -> None:
        """Remove what `write_many` made, each folder synced once; the sources of ingested files were not touched."""
        made = [one.written if isinstance(one, PreparedWrite) else one.made for one in batch]
        paths = [path for own in made for path in own]
        if self.is_remote:
            self.remote_root.remove(paths)
        else:
            unlink_for_good(paths, durable=self.durable)
        for own in made:
            own.clear()

    def _check_writeable(self) -> None:
        if not self.writeable:
            raise TypeError("Butler is read-only.")

    # Files

    def local_path(self, record: FileRecord) -> str:
        """Where a file is: its path on this machine, otherwise its URI."""
        return self._local_path(record.path) or self._location(record.path.partition(ZIP_MARK)[0]).uri_text

    def _local_path(self, record_path: str) -> str | None:
        """The operating system path of a stored path, without a zip member; None on another machine."""
        if not self.is_remote and "://" not in record_path:  # most files, and quickly
            return self._folder + safe_relative_path(record_path.partition(ZIP_MARK)[0])
        location = self._location(record_path.partition(ZIP_MARK)[0])
        return None if location.is_remote else location.path

    def exists(self, records: Iterable[FileRecord]) -> bool:
        """Tell whether all files of a dataset are there; False without records."""
        records = list(records)
        return bool(records) and all(self._exists(record.path) for record in records)

    def _exists(self, record_path: str) -> bool:
        local = self._local_path(record_path)
        if local is None:
            from armillary.storage.remote_writing import remote_size

            return remote_size(self._location(record_path.partition(ZIP_MARK)[0]).uri_text) is not None
        return os.path.exists(local)

    def uri(self, record: FileRecord | str) -> ResourcePath:
        """The URI of a file."""
        path = record if isinstance(record, str) else record.path
        path, mark, member = path.partition(ZIP_MARK)
        found = self._location(path).uri
        return resource_path(str(found) + mark + member) if mark else found

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files by stored path; those given as absolute URIs are somebody else's and stay."""
        self._check_writeable()
        own = _own_files(paths)
        if self.is_remote:
            self.remote_root.remove(own)
        else:
            folder = os.path.join(self.root, "")
            # They stay away before anybody forgets that they were to be removed.
            unlink_for_good((folder + path for path in own), durable=self.durable)

    def recover(self, orphans: Iterable[str]) -> None:
        """Remove what a killed writer left: files without rows, by stored path, and half-written ones beside them."""
        self._check_writeable()
        own = _own_files(orphans)
        if self.is_remote:
            self.remote_root.recover(own)
            return
        paths = [os.path.join(self.root, path) for path in own]
        for folder in dict.fromkeys(map(os.path.dirname, paths)):
            paths.extend(abandoned_files(folder))
        unlink_for_good(paths, durable=self.durable)

    # Ingest

    def prepare_ingest(
        self, files: Iterable[FileDataset], transfer: str | None = "auto", record_validation_info: bool = True
    ) -> PreparedIngest:
        """Check files and choose where they go; nothing is moved. `write` and `undo` take each item of the list.

        See `armillary.storage.file_ingest.prepare_ingest` for the transfer modes and errors.
        """
        from armillary.storage.file_ingest import prepare_ingest

        self._check_writeable()
        return prepare_ingest(self, files, transfer, record_validation_info=record_validation_info)

    def prepare_transfer(
        self, files: Iterable[tuple[str, list[tuple[FileRecord, Any]]]], transfer: str | None
    ) -> PreparedIngest:
        """Choose the places of files of another datastore; see `armillary.storage.file_ingest.prepare_transfer`."""
        from armillary.storage.file_ingest import prepare_transfer

        self._check_writeable()
        return prepare_transfer(self, files, transfer)

    def prepare_zip(self, path: str, index: ZipIndex, transfer: str | None) -> PreparedIngest:
        """Prepare a zip file of datasets for ingest; see `armillary.storage.zip_files.prepare_zip`."""
        from armillary.storage.zip_files import prepare_zip

        self._check_writeable()
        return prepare_zip(self, path, index, transfer)

    def ingest(self, prepared: PreparedIngest) -> list[FileRecord]:
        """Transfer prepared files and return their records; on failure, what was made is removed."""
        return self.write_many(prepared)


def _own_files(paths: Iterable[str]) -> list[str]:
    """The files below the root that stored paths name, each once: those given as absolute URIs are somebody else's."""
    files = dict.fromkeys([path.partition(ZIP_MARK)[0] if "#" in path else path for path in paths if "://" not in path])
    return list(map(safe_relative_path, files))
