"""How a datastore of files reads: whole datasets, components, and datasets whose parts are in files of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import unquote

from armillary._files import file_checksum
from armillary.errors import FileIntegrityError, UnknownComponentError, tells_all
from armillary.storage.datastore_config import make_formatter
from armillary.storage.file_integrity import check_checksum
from armillary.storage.file_record import ZIP_MARK, FileRecord
from armillary.storage.file_template import safe_relative_path
from armillary.storage.formatter import FormatterV2, check_size
from armillary.storage.location import FileDescriptor, Location
from armillary.storage.remote import remote_files
from armillary.storage.storage_class import StorageClass, find_storage_class

if TYPE_CHECKING:
    from armillary.storage.read_cache import ReadCache

__all__ = ["FileReading"]


class FileReading:
    """The methods of `FileDatastore` that read."""

    name: str
    root: str
    verifies_checksums: bool

    @property
    def cache(self) -> ReadCache:
        """Local copies of files on other machines."""
        raise NotImplementedError

    def get(
        self,
        ref: Any,
        records: Sequence[FileRecord],
        *,
        component: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        storage_class: StorageClass | str | None = None,
    ) -> Any:
        """Read a dataset, or one component of it.

        Parameters
        ----------
        ref
            The dataset; if its type is a component's, that component is read.
        records
            The records of its files.
        component
            The component to read instead of the whole.
        parameters
            Read parameters of the storage class, such as `bbox` or `columns`.
        storage_class
            What to return instead of the dataset type's storage class.

        Raises
        ------
        FileNotFoundError
            There are no records, or the file is gone.
        FileIntegrityError
            A file has another size than its record says, or another checksum where that is asked for.

        """
        dataset_type = ref.datasetType
        own_component = dataset_type.name.partition(".")[2]
        component = component or own_component or None
        if not records:
            raise FileNotFoundError(f"Could not retrieve dataset {ref}: no file of it is in datastore `{self.name}`")
        if isinstance(storage_class, str):
            storage_class = find_storage_class(storage_class)
        wanted = self._read_class(dataset_type, records, component, own_component, storage_class)
        if parameters:
            asked = set(parameters)
            if component is not None and len(records) == 1:  # the reader of the whole file gets them, too
                asked -= find_storage_class(records[0].storage_class).knownParameters()
            wanted.validateParameters(asked)
        if len(records) == 1 and not records[0].component:
            return self._read(ref, records[0], component, wanted, parameters)
        return self._read_parts(ref, records, component, wanted, parameters)

    @staticmethod
    def _read_class(
        dataset_type: Any,
        records: Sequence[FileRecord],
        component: str | None,
        own_component: str,
        override: StorageClass | None,
    ) -> StorageClass:
        """The storage class of what is returned."""
        if override is not None:
            return override
        declared = find_storage_class(str(dataset_type.storageClass_name))
        if component is None or own_component:
            return declared
        return declared.component(component)

    def _read_parts(
        self,
        ref: Any,
        records: Sequence[FileRecord],
        component: str | None,
        wanted: StorageClass,
        parameters: Mapping[str, Any] | None,
    ) -> Any:
        """Read a dataset whose components are in files of their own."""
        by_component = {record.component or "": record for record in records}
        if component is not None and component in by_component:
            return self._read(ref, by_component[component], None, wanted, parameters)
        composite = self._composite_class(ref, component, wanted)
        delegate = composite.delegate()
        if component is not None:
            if component not in composite.allComponents():
                raise UnknownComponentError(f"{ref} has no component `{component}`")
            source = delegate.selectResponsibleComponent(component, set(by_component))
            record = by_component[source]
            return self._read(ref, record, component, wanted, parameters)
        parts = {}
        for name, record in by_component.items():
            part_class = composite.component(name)
            part_parameters = part_class.filterParameters(parameters)
            parts[name] = self._read(ref, record, None, part_class, part_parameters)
        made = delegate.assemble(parts)
        left = {key: value for key, value in (parameters or {}).items() if not _handled_by_parts(key, composite, parts)}
        if left:
            made = delegate.handleParameters(made, left)
        return wanted.coerce_type(made)

    @staticmethod
    def _composite_class(ref: Any, component: str | None, wanted: StorageClass) -> StorageClass:
        dataset_type = ref.datasetType
        if "." in dataset_type.name and dataset_type.parentStorageClass is not None:
            parent = dataset_type.parentStorageClass
            return parent if isinstance(parent, StorageClass) else find_storage_class(str(parent))
        return find_storage_class(str(dataset_type.storageClass_name))

    def _read(
        self,
        ref: Any,
        record: FileRecord,
        component: str | None,
        wanted: StorageClass,
        parameters: Mapping[str, Any] | None,
    ) -> Any:
        """Read one file."""
        written = wanted if wanted.name == record.storage_class else find_storage_class(record.storage_class)
        path, _, member = record.path.partition(ZIP_MARK)
        descriptor = FileDescriptor(self._location(path), written, wanted, component, parameters)
        formatter = make_formatter(record.formatter, descriptor, ref)
        try:
            if member:
                found = self._read_member(formatter, record, component)
            else:
                found = self._read_file(formatter, record, component)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"Could not retrieve dataset {ref}: its file `{path}` is not in datastore `{self.name}` ({error})"
            ) from error
        except FileIntegrityError as error:
            raise FileIntegrityError(f"{error} (dataset {ref})") from error
        except Exception as error:
            if tells_all(error) and (not isinstance(error, OSError) or error.errno):
                raise
            reason = " ".join(str(error).split())
            raise ValueError(
                f"`{self._location(path).path}` cannot be read as `{written.name}`: {type(error).__name__}: {reason} "
                f"(dataset {ref.datasetType.name}@{ref.dataId})"
            ) from error
        if component is None and written is not wanted:
            found = wanted.coerce_type(found)
        if parameters:
            _, left = formatter.segregate_parameters()
            if left:
                found = wanted.delegate().handleParameters(found, wanted.filterParameters(left))
        return wanted.coerce_type(found)

    def _read_file(self, formatter: FormatterV2, record: FileRecord, component: str | None) -> Any:
        location = formatter.file_descriptor.location
        verified = self.verifies_checksums and bool(record.checksum)
        if not location.is_remote:
            if verified:
                check_size(location.path, record.file_size)
                check_checksum(location.path, record, location.path)
            return formatter.read(component, record.file_size)
        if verified:
            from armillary.storage.remote_reading import read_verified

            return read_verified(formatter, record, component, self.cache)
        return formatter.read(component, record.file_size, self.cache)

    def _location(self, path: str) -> Location:
        if "://" not in path:
            return Location(self.root, safe_relative_path(path))
        if path.startswith("file://"):
            return Location(None, unquote(path[len("file://") :]))
        return Location(None, path)

    def checksum(self, record: FileRecord) -> str:
        """The BLAKE2b checksum of a file as it is now, in hexadecimal digits."""
        location = self._location(record.path)
        if location.is_remote:
            files, key = remote_files(location.uri_text)
            return files.checksum(key)
        return file_checksum(location.path)

    @contextmanager
    def open_file(self, record: FileRecord) -> Iterator[BinaryIO]:
        """Open a dataset's file for reading, also one inside a zip file."""
        path, _, member = record.path.partition(ZIP_MARK)
        location = self._location(path)
        with ExitStack() as stack:
            stream: BinaryIO
            if location.is_remote:
                files, key = remote_files(location.uri_text)
                stream = stack.enter_context(files.open(key).buffered())
            else:
                stream = stack.enter_context(open(location.path, "rb"))
            if not member:
                yield stream
                return
            import zipfile

            archive = stack.enter_context(zipfile.ZipFile(stream))
            names = archive.namelist()
            yield cast("BinaryIO", stack.enter_context(archive.open(member if member in names else unquote(member))))

    def _read_member(self, formatter: FormatterV2, record: FileRecord, component: str | None) -> Any:
        """Read a file inside a zip file, by way of a temporary file."""
        import shutil
        import tempfile

        with self.open_file(record) as source, tempfile.TemporaryDirectory() as folder:
            copy = os.path.join(folder, "member" + os.path.splitext(record.path)[1])
            with open(copy, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            if self.verifies_checksums:
                check_size(copy, record.file_size)
                path, mark, member = record.path.partition(ZIP_MARK)
                check_checksum(copy, record, f"{self._location(path)}{mark}{member}")
            return formatter.read_local(copy, component, record.file_size)


def _handled_by_parts(parameter: str, composite: StorageClass, parts: Mapping[str, Any]) -> bool:
    return any(parameter in composite.component(name).knownParameters() for name in parts)
