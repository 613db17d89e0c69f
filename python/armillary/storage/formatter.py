"""What turns objects into files and back.

Subclass `FormatterV2`, say which ways of reading and writing it has, and name the class in the configuration.
`Formatter` is the older base class; both work.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from armillary._files import finish_temporary, make_folder, publish, temporary_path, unlink_all
from armillary.errors import FileIntegrityError, FormatterNotImplementedError
from armillary.storage.location import FileDescriptor, Location, resource_path
from armillary.storage.named_objects import dotted_name
from armillary.storage.peer_names import to_peer_name
from armillary.storage.remote import is_remote

if TYPE_CHECKING:
    from lsst.resources import ResourcePath

__all__ = ["BytesFormatter", "Formatter", "FormatterV1inV2", "FormatterV2", "check_size"]


def check_size(path: str, expected_size: int) -> None:
    """Raise `FileIntegrityError` if a file does not have the size its record gives; a negative size is not checked."""
    if expected_size < 0:
        return
    size = os.stat(path).st_size
    if size != expected_size:
        raise FileIntegrityError(
            f"`{path}` holds {size} bytes and its record says {expected_size}: the file was changed or cut short"
        )


class FormatterV2:
    """Read and write the files of one format.

    Parameters
    ----------
    file_descriptor
        The place of the file, its storage class, and the component and parameters asked for.
    ref
        The dataset.
    write_parameters, write_recipes
        What the configuration says about writing.

    Examples
    --------
    >>> class TextFormatter(FormatterV2):
    ...     default_extension = ".txt"
    ...     can_read_from_local_file = True
    ...
    ...     def read_from_local_file(self, path, component=None, expected_size=-1):
    ...         return open(path).read()
    ...
    ...     def to_bytes(self, in_memory_dataset):
    ...         return in_memory_dataset.encode()

    """

    unsupported_parameters: ClassVar[frozenset[str] | set[str] | None] = frozenset()
    """Read parameters left to the delegate; None leaves all of them."""
    supported_write_parameters: ClassVar[frozenset[str] | set[str] | None] = None
    default_extension: ClassVar[str | None] = None
    supported_extensions: ClassVar[frozenset[str] | set[str]] = frozenset()
    can_read_from_uri: bool = False
    can_read_from_stream: bool = False
    can_read_from_local_file: bool = False

    def __init__(
        self,
        file_descriptor: FileDescriptor,
        *,
        ref: Any,
        write_parameters: Mapping[str, Any] | None = None,
        write_recipes: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if write_parameters and self.supported_write_parameters is not None:
            unknown = sorted(set(write_parameters) - self.supported_write_parameters)
            if unknown:
                raise ValueError(f"formatter `{self.name()}` has no write parameters {unknown}")
        self._file_descriptor = file_descriptor
        self._dataset_ref = ref
        self._write_parameters = dict(write_parameters or {})
        self._write_recipes = self.validate_write_recipes(write_recipes)

    @classmethod
    def name(cls) -> str:
        """The dotted name repositories hold."""
        return to_peer_name(dotted_name(cls))

    @property
    def file_descriptor(self) -> FileDescriptor:
        """The file and what is asked of it."""
        return self._file_descriptor

    @property
    def dataset_ref(self) -> Any:
        """The dataset in the file."""
        return self._dataset_ref

    @property
    def data_id(self) -> Any:
        """The data ID of the dataset."""
        return self._dataset_ref.dataId

    @property
    def write_parameters(self) -> Mapping[str, Any]:
        """What the configuration says about writing."""
        return self._write_parameters

    @property
    def write_recipes(self) -> Mapping[str, Any]:
        """Named sets of write options."""
        return self._write_recipes or {}

    @classmethod
    def validate_write_recipes(cls, recipes: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Check named sets of write options; none are understood here, and they are passed on."""
        return recipes

    def get_write_extension(self) -> str:
        """The extension of the files written."""
        if self.default_extension is None:
            raise FormatterNotImplementedError(f"formatter `{self.name()}` does not say what its files are called")
        return self.default_extension

    @classmethod
    def validate_extension(cls, location: Location) -> None:
        """Raise `ValueError` if a file has an extension that is not one of this format."""
        supported = {*cls.supported_extensions, *((cls.default_extension,) if cls.default_extension else ())}
        if not supported:
            return
        extension = location.getExtension()
        if extension not in supported and os.path.splitext(location.pathInStore)[1] not in supported:
            raise ValueError(
                f"`{location.pathInStore}` ends in `{extension}`; formatter `{cls.name()}` reads {sorted(supported)}"
            )

    def make_updated_location(self, location: Location) -> Location:
        """The location with the extension of the files written."""
        made = location.clone()
        made._path += self.get_write_extension()
        return made

    def predict_path(self) -> str:
        """The path of the file that would be written, below the root."""
        return self.make_updated_location(self.file_descriptor.location).pathInStore

    def segregate_parameters(self, parameters: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Divide read parameters into those handled while reading and those left to the delegate."""
        given = parameters if parameters is not None else self.file_descriptor.parameters
        if not given:
            return {}, {}
        if self.unsupported_parameters is None:
            return {}, dict(given)
        left = {name: value for name, value in given.items() if name in self.unsupported_parameters}
        return {name: value for name, value in given.items() if name not in left}, left

    def can_accept(self, in_memory_dataset: Any) -> bool:
        """Tell whether an object can be written although it is not of the storage class's Python type."""
        return False

    def add_provenance(self, in_memory_dataset: Any, /, *, provenance: Any | None = None) -> Any:
        """Note in an object where it comes from, before it is written; here nothing is noted."""
        return in_memory_dataset

    # Reading

    def read(self, component: str | None = None, expected_size: int = -1, cache_manager: Any = None) -> Any:
        """Read the dataset, or one component of it.

        Ways of reading are tried in the order URI, stream, local file; one that returns `NotImplemented` or raises
        `FormatterNotImplementedError` passes to the next. A file on another machine is read in place if only a part of
        it is asked for, or is not to be kept in the cache. Raises `FileIntegrityError` if the file is not of
        `expected_size` bytes.
        """
        location = self.file_descriptor.location
        if location.is_remote:
            from armillary.storage.remote_reading import read_remote

            return read_remote(self, component, expected_size, cache_manager)
        return self.read_local(location.path, component, expected_size)

    def read_local(self, path: str, component: str | None = None, expected_size: int = -1) -> Any:
        """Read from a local file, by whichever way this formatter has."""
        check_size(path, expected_size)
        if self.can_read_from_uri:
            with suppress(FormatterNotImplementedError):
                found = self.read_from_uri(resource_path(path), component, expected_size)
                if found is not NotImplemented:
                    return found
        if self.can_read_from_stream:
            with suppress(FormatterNotImplementedError), open(path, "rb") as stream:
                found = self.read_from_stream(stream, component, expected_size)
                if found is not NotImplemented:
                    return found
        if self.can_read_from_local_file:
            found = self.read_from_local_file(path, component, expected_size)
            if found is not NotImplemented:
                return found
        raise FormatterNotImplementedError(f"formatter `{self.name()}` cannot read files")

    def read_from_uri(self, uri: ResourcePath, component: str | None = None, expected_size: int = -1) -> Any:
        """Read from a URI. For subclasses that set `can_read_from_uri`."""
        raise FormatterNotImplementedError(f"formatter `{self.name()}` cannot read from a URI")

    def read_from_stream(self, stream: BinaryIO, component: str | None = None, expected_size: int = -1) -> Any:
        """Read from an open file. For subclasses that set `can_read_from_stream`."""
        raise FormatterNotImplementedError(f"formatter `{self.name()}` cannot read from a stream")

    def read_from_local_file(self, path: str, component: str | None = None, expected_size: int = -1) -> Any:
        """Read from a local file. For subclasses that set `can_read_from_local_file`."""
        raise FormatterNotImplementedError(f"formatter `{self.name()}` cannot read local files")

    # The three ways by name, for formatters that call them.

    def read_directly_from_possibly_cached_uri(
        self, component: str | None = None, expected_size: int = -1, *, cache_manager: Any = None
    ) -> Any:
        """Read from the URI, if the formatter can."""
        if not self.can_read_from_uri:
            return NotImplemented
        return self.read_from_uri(self.file_descriptor.location.uri, component, expected_size)

    def read_from_possibly_cached_stream(
        self, component: str | None = None, expected_size: int = -1, *, cache_manager: Any = None
    ) -> Any:
        """Read from the file as a stream, if the formatter can."""
        if not self.can_read_from_stream:
            return NotImplemented
        location = self.file_descriptor.location
        if location.is_remote:
            from armillary.storage.remote import remote_files

            files, key = remote_files(location.uri_text)
            with files.open(key).buffered() as stream:
                return self.read_from_stream(stream, component, expected_size)
        check_size(location.path, expected_size)
        with open(location.path, "rb") as stream:
            return self.read_from_stream(stream, component, expected_size)

    def read_from_possibly_cached_local_file(
        self, component: str | None = None, expected_size: int = -1, *, cache_manager: Any = None
    ) -> Any:
        """Read from a local file, which is a copy if the file is on another machine."""
        if not self.can_read_from_local_file:
            return NotImplemented
        location = self.file_descriptor.location
        if location.is_remote:
            from armillary.storage.remote_writing import local_copy

            with local_copy(location.uri_text) as path:
                check_size(path, expected_size)
                return self.read_from_local_file(path, component, expected_size)
        check_size(location.path, expected_size)
        return self.read_from_local_file(location.path, component, expected_size)

    # Writing

    def write(self, in_memory_dataset: Any, /, *, cache_manager: Any = None, provenance: Any | None = None) -> None:
        """Write an object to the file of the descriptor; a file that is there is replaced when the new one is whole."""
        value = self.add_provenance(in_memory_dataset, provenance=provenance)
        uri = self.file_descriptor.location.uri
        if not self.write_direct(value, uri, cache_manager):
            self.write_locally_then_move(value, uri, cache_manager)

    def write_direct(self, in_memory_dataset: Any, uri: ResourcePath, cache_manager: Any = None) -> bool:
        """Write bytes to a file on another machine; false if the file is local or the formatter gives no bytes."""
        if not is_remote(str(uri)):
            return False
        from armillary.storage.remote import remote_files

        try:
            content = self.to_bytes(in_memory_dataset)
        except FormatterNotImplementedError:
            return False
        files, key = remote_files(str(uri))
        files.put(key, content, overwrite=True)
        return True

    def write_locally_then_move(self, in_memory_dataset: Any, uri: ResourcePath, cache_manager: Any = None) -> None:
        """Write to a temporary file and give it its place when it is whole."""
        import tempfile

        if is_remote(str(uri)):
            from armillary.storage.remote import remote_files

            files, key = remote_files(str(uri))
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, f"file{self.get_write_extension()}")
                self.write_path(in_memory_dataset, path)
                files.put(key, path, overwrite=True)
            return
        target = str(uri.ospath)
        make_folder(os.path.dirname(target), durable=True)
        temporary = temporary_path(target, self.get_write_extension())
        try:
            self.write_path(in_memory_dataset, temporary)
            finish_temporary(temporary, durable=True)
            publish(temporary, target, overwrite=True)
        finally:
            unlink_all([temporary])

    def _is_made_in_memory(self, in_memory_dataset: Any) -> bool:
        """Whether a datastore should ask for the content of a file and write it, if this formatter gives it."""
        return type(self).write_path is FormatterV2.write_path

    def to_bytes(self, in_memory_dataset: Any) -> bytes:
        """Turn an object into the content of a file. Subclasses have this or `write_local_file`."""
        raise FormatterNotImplementedError(f"formatter `{self.name()}` cannot write to memory")

    def write_local_file(self, in_memory_dataset: Any, uri: ResourcePath) -> None:
        """Write an object to the local file of a URI."""
        with open(uri.ospath, "wb") as stream:
            stream.write(self.to_bytes(in_memory_dataset))

    def write_path(self, in_memory_dataset: Any, path: str) -> None:
        """Write an object to a local path; the datastore calls this with a temporary file."""
        if type(self).write_local_file is not FormatterV2.write_local_file:
            self.write_local_file(in_memory_dataset, resource_path(path))
            return
        content = self.to_bytes(in_memory_dataset)
        with open(path, "wb", buffering=0) as stream:
            stream.write(content)


class BytesFormatter(FormatterV2):
    """A format read and written as a whole: subclasses give `from_bytes` and `to_bytes`."""

    can_read_from_local_file = True
    can_read_from_stream = False
    unsupported_parameters = None

    def from_bytes(self, content: bytes) -> Any:
        """Turn the content of a file into an object."""
        raise FormatterNotImplementedError(f"formatter `{self.name()}` cannot read files")

    def read_from_local_file(self, path: str, component: str | None = None, expected_size: int = -1) -> Any:
        """Read the file as a whole, then take the component from it."""
        with open(path, "rb", buffering=0) as stream:
            content = stream.readall()
        return self.finish(self.from_bytes(content), component)

    def finish(self, found: Any, component: str | None) -> Any:
        """Turn what was read into the storage class of the file and take the component asked for."""
        storage_class = self.file_descriptor.storageClass
        found = storage_class.coerce_type(found)
        if component is None:
            return found
        return storage_class.delegate().getComponent(found, component)


class Formatter:
    """The older base class: subclasses give `read` and `write`, or `toBytes` and `fromBytes`."""

    unsupportedParameters: ClassVar[frozenset[str] | set[str] | None] = frozenset()
    supportedWriteParameters: ClassVar[frozenset[str] | set[str] | None] = None
    supportedExtensions: ClassVar[frozenset[str] | set[str]] = frozenset()
    extension: Any = None

    def __init__(
        self,
        fileDescriptor: FileDescriptor,
        *,
        dataId: Any = None,
        writeParameters: Mapping[str, Any] | None = None,
        writeRecipes: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if writeParameters and self.supportedWriteParameters is not None:
            unknown = sorted(set(writeParameters) - self.supportedWriteParameters)
            if unknown:
                raise ValueError(f"formatter `{self.name()}` has no write parameters {unknown}")
        self.fileDescriptor = fileDescriptor
        self.dataId = dataId
        self.writeParameters = dict(writeParameters or {})
        self.writeRecipes = self.validateWriteRecipes(writeRecipes) or {}

    @classmethod
    def name(cls) -> str:
        """The dotted name repositories hold."""
        return to_peer_name(dotted_name(cls))

    @property
    def file_descriptor(self) -> FileDescriptor:
        """The file and what is asked of it."""
        return self.fileDescriptor

    @property
    def data_id(self) -> Any:
        """The data ID of the dataset."""
        return self.dataId

    @classmethod
    def validateWriteRecipes(cls, recipes: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Check named sets of write options; none are understood here, and they are passed on."""
        return recipes

    @classmethod
    def validateExtension(cls, location: Location) -> None:
        """Raise `ValueError` if a file has an extension that is not one of this format."""
        own = cls.extension if isinstance(cls.extension, str) else None
        supported = {*cls.supportedExtensions, *((own,) if own else ())}
        if supported and location.getExtension() not in supported:
            raise ValueError(f"`{location.pathInStore}` does not end in one of {sorted(supported)}")

    def can_accept(self, in_memory_dataset: Any) -> bool:
        """Tell whether an object can be written although it is not of the storage class's Python type."""
        return False

    def segregateParameters(self, parameters: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Divide read parameters into those handled while reading and those left to the delegate."""
        given = parameters if parameters is not None else self.fileDescriptor.parameters
        if not given:
            return {}, {}
        if self.unsupportedParameters is None:
            return {}, dict(given)
        left = {name: value for name, value in given.items() if name in self.unsupportedParameters}
        return {name: value for name, value in given.items() if name not in left}, left

    def makeUpdatedLocation(self, location: Location) -> Location:
        """The location with the extension of the files written."""
        made = location.clone()
        made._path += self.extension or ""
        return made

    def predictPath(self) -> str:
        """The path of the file that would be written, below the root."""
        return self.makeUpdatedLocation(self.fileDescriptor.location).pathInStore

    def read(self, component: str | None = None) -> Any:
        """Read the dataset, or one component of it."""
        raise FormatterNotImplementedError(f"formatter `{self.name()}` cannot read")

    def write(self, inMemoryDataset: Any) -> None:
        """Write the dataset to the file of the descriptor."""
        raise FormatterNotImplementedError(f"formatter `{self.name()}` cannot write")

    # The same under the names of the newer base class.

    @property
    def write_parameters(self) -> Mapping[str, Any]:
        """What the configuration says about writing."""
        return self.writeParameters

    @property
    def write_recipes(self) -> Mapping[str, Any]:
        """Named sets of write options."""
        return self.writeRecipes

    @classmethod
    def validate_write_recipes(cls, recipes: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Check named sets of write options."""
        return cls.validateWriteRecipes(recipes)

    @classmethod
    def validate_extension(cls, location: Location) -> None:
        """Raise `ValueError` if a file has an extension that is not one of this format."""
        cls.validateExtension(location)

    @classmethod
    def can_read_bytes(cls) -> bool:
        """Tell whether it can read from memory."""
        return cls.fromBytes is not Formatter.fromBytes

    def segregate_parameters(self, parameters: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Divide read parameters into those handled while reading and those left to the delegate."""
        return self.segregateParameters(parameters)

    def make_updated_location(self, location: Location) -> Location:
        """The location with the extension of the files written."""
        return self.makeUpdatedLocation(location)

    def predict_path(self) -> str:
        """The path of the file that would be written, below the root."""
        return self.predictPath()

    def fromBytes(self, serializedDataset: bytes, component: str | None = None) -> object:
        """Turn the content of a file into an object."""
        raise FormatterNotImplementedError(f"formatter `{self.name()}` cannot read from memory")

    def toBytes(self, inMemoryDataset: Any) -> bytes:
        """Turn an object into the content of a file."""
        raise FormatterNotImplementedError(f"formatter `{self.name()}` cannot write to memory")


class FormatterV1inV2(FormatterV2):
    """A `Formatter` seen as a `FormatterV2`."""

    can_read_from_local_file = True

    def __init__(self, file_descriptor: FileDescriptor, *, ref: Any, formatter: type[Formatter], **kwargs: Any) -> None:
        super().__init__(file_descriptor, ref=ref)
        self._class = formatter
        self._options = {
            "dataId": getattr(ref, "dataId", None),
            "writeParameters": kwargs.get("write_parameters"),
            "writeRecipes": kwargs.get("write_recipes"),
        }
        self._inner = formatter(file_descriptor, **self._options)

    def get_write_extension(self) -> str:
        """The extension of the files written."""
        return self._inner.extension or ""

    def segregate_parameters(self, parameters: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Divide read parameters as the older formatter does."""
        return self._inner.segregateParameters(parameters)

    def can_accept(self, in_memory_dataset: Any) -> bool:
        """Ask the older formatter."""
        return self._inner.can_accept(in_memory_dataset)

    def _at(self, path: str) -> Formatter:
        own = self.file_descriptor
        moved = FileDescriptor(
            Location(None, path), own.storageClass, own.readStorageClass, own.component, own.parameters
        )
        return self._class(moved, **self._options)

    def read_from_local_file(self, path: str, component: str | None = None, expected_size: int = -1) -> Any:
        """Read by the older formatter's `read`, or from bytes where it has only that."""
        inner = self._at(path)
        if type(inner).read is not Formatter.read:
            return inner.read(component)
        with open(path, "rb") as stream:
            return inner.fromBytes(stream.read(), component)

    def write_local_file(self, in_memory_dataset: Any, uri: ResourcePath) -> None:
        """Write by the older formatter's `write`, or to bytes where it has only that."""
        inner = self._at(uri.ospath)
        if type(inner).write is not Formatter.write:
            inner.write(in_memory_dataset)
            return
        with open(uri.ospath, "wb") as stream:
            stream.write(inner.toBytes(in_memory_dataset))
