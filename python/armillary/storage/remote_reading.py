"""Read datasets on other machines: parts of a file by requests for these parts, whole files by way of the cache."""

from __future__ import annotations

import importlib.util
import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from armillary.errors import FileIntegrityError, FormatterNotImplementedError
from armillary.storage.remote import RemoteFiles, remote_files
from armillary.storage.remote_writing import local_copy

if TYPE_CHECKING:
    from armillary.storage.formatter import FormatterV2
    from armillary.storage.read_cache import ReadCache

__all__ = ["read_remote"]

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
    uri = descriptor.location.uri_text
    files, key = remote_files(uri)
    extension = (
        os.path.splitext(key)[1] if not descriptor.location.getExtension() else descriptor.location.getExtension()
    )
    part = descriptor.component if component is None else None
    keep = cache is not None and cache.should_be_cached(formatter.dataset_ref)
    here = keep and cache is not None and cache.knows(formatter.dataset_ref, part, extension)
    whole = component is None and not descriptor.parameters
    if not here and not (whole and keep):
        found = _read_in_place(formatter, files, key, uri, component, expected_size)
        if found is not NotImplemented:
            return found
    held: AbstractContextManager[str]
    if keep and cache is not None:
        held = cache.use(formatter.dataset_ref, part, extension, expected_size, lambda target: files.fetch(key, target))
    else:
        held = local_copy(uri)
    with held as local:
        return formatter.read_local(local, component, expected_size)


def _read_in_place(
    formatter: FormatterV2, files: RemoteFiles, key: str, uri: str, component: str | None, expected_size: int
) -> Any:
    scheme = uri.partition("://")[0]
    package = _URI_PACKAGES.get(scheme)
    if formatter.can_read_from_uri and (package is None or importlib.util.find_spec(package.partition(".")[0])):
        found = _attempt(formatter.read_from_uri, formatter.file_descriptor.location.uri, component, expected_size)
        if found is not NotImplemented:
            return found
    if not formatter.can_read_from_stream:
        return NotImplemented
    with files.open(key) as reader:
        if 0 <= expected_size != reader.size:
            raise FileIntegrityError(
                f"`{uri}` holds {reader.size} bytes and its record says {expected_size}: "
                "the file was changed or cut short"
            )
        with reader.buffered() as stream:
            return _attempt(formatter.read_from_stream, stream, component, expected_size)


def _attempt(read: Any, source: Any, component: str | None, expected_size: int) -> Any:
    try:
        return read(source, component, expected_size)
    except FormatterNotImplementedError:
        return NotImplemented
