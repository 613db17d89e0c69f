"""Read datasets on other machines: parts of a file by requests for these parts, whole files by way of the cache."""

from __future__ import annotations

import importlib.util
import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from armillary.errors import FileIntegrityError, FormatterNotImplementedError
from armillary.storage.file_integrity import check_checksum
from armillary.storage.formatter import check_size
from armillary.storage.remote import remote_files
from armillary.storage.remote_writing import local_copy

if TYPE_CHECKING:
    from armillary.storage.file_record import FileRecord
    from armillary.storage.formatter import FormatterV2
    from armillary.storage.read_cache import ReadCache

__all__ = ["read_remote", "read_verified"]

# What `lsst.resources` needs to read such a URI, which it does for formatters that read from URIs.
_URI_PACKAGES = {"s3": "boto3", "gs": "google.cloud.storage"}


def read_remote(
    formatter: FormatterV2,
    component: str | None = None,
    expected_size: int = -1,
    cache: ReadCache | None = None,
) -> Any:
    """Read what a formatter's descriptor asks for.

    A part of a file that is not in the cache is read from the URI or as a stream, if the formatter can; all else from
    a local copy, which is kept if the dataset is to be cached.

    Raises
    ------
    FileNotFoundError
        If the file is gone.
    FileIntegrityError
        If it has another size than its record says.

    """
    descriptor = formatter.file_descriptor
    copy = _Copy(formatter, component, expected_size, cache)
    whole = component is None and not descriptor.parameters
    if not copy.is_here and not (whole and copy.is_kept):
        found = _read_in_place(formatter, copy, component, expected_size)
        if found is not NotImplemented:
            return found
    with copy.held() as local:
        return formatter.read_local(local, component, expected_size)


def read_verified(formatter: FormatterV2, record: FileRecord, component: str | None, cache: ReadCache | None) -> Any:
    """Read a local copy of a file that has the checksum in its record; a kept copy that has not is made again.

    Raises as `read_remote` does, and `FileIntegrityError` if the file has another checksum.
    """
    copy = _Copy(formatter, component, record.file_size, cache)
    with copy.held(record.checksum) as local:
        check_size(local, record.file_size)
        check_checksum(local, record, copy.uri)
        return formatter.read_local(local, component, record.file_size)


class _Copy:
    """A local copy of the file that a formatter reads, made when it is held."""

    def __init__(
        self, formatter: FormatterV2, component: str | None, expected_size: int, cache: ReadCache | None
    ) -> None:
        location = formatter.file_descriptor.location
        self.uri = location.uri_text
        self.files, self.key = remote_files(self.uri)
        self._ref, self._size, self._cache = formatter.dataset_ref, expected_size, cache
        self._extension = location.getExtension() or os.path.splitext(self.key)[1]
        self._part = formatter.file_descriptor.component if component is None else None
        self.is_kept = cache is not None and cache.should_be_cached(self._ref)

    @property
    def is_here(self) -> bool:
        """Whether it is in the cache."""
        return self.is_kept and self._cache is not None and self._cache.knows(self._ref, self._part, self._extension)

    def held(self, checksum: str | None = None) -> AbstractContextManager[str]:
        """Give the path of the copy while the block runs; with `checksum` one that has another is made again."""
        if not self.is_kept or self._cache is None:
            return local_copy(self.uri)

        def fetch(target: str) -> int:
            return self.files.fetch(self.key, target)

        return self._cache.use(self._ref, self._part, self._extension, self._size, fetch, checksum)


def _read_in_place(formatter: FormatterV2, copy: _Copy, component: str | None, expected_size: int) -> Any:
    scheme = copy.uri.partition("://")[0]
    package = _URI_PACKAGES.get(scheme)
    if formatter.can_read_from_uri and (package is None or importlib.util.find_spec(package.partition(".")[0])):
        _compare_sizes(copy.uri, copy.files.size(copy.key), expected_size)
        found = _attempt(formatter.read_from_uri, formatter.file_descriptor.location.uri, component, expected_size)
        if found is not NotImplemented:
            return found
    if not formatter.can_read_from_stream:
        return NotImplemented
    with copy.files.open(copy.key) as reader:
        _compare_sizes(copy.uri, reader.size, expected_size)
        with reader.buffered() as stream:
            return _attempt(formatter.read_from_stream, stream, component, expected_size)


def _compare_sizes(uri: str, size: int | None, expected_size: int) -> None:
    if size is not None and 0 <= expected_size != size:
        raise FileIntegrityError(
            f"`{uri}` holds {size} bytes and its record says {expected_size}: the file was changed or cut short"
        )


def _attempt(read: Any, source: Any, component: str | None, expected_size: int) -> Any:
    try:
        return read(source, component, expected_size)
    except FormatterNotImplementedError:
        return NotImplemented
