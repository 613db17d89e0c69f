"""Write, take in and remove files of a datastore whose root is on another machine.

The order is that of local files: names are announced, files appear whole under names nobody else has, then rows are
entered; what a killed writer left is removed by the next one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from armillary._files import file_checksum, is_abandoned
from armillary.errors import FormatterNotImplementedError
from armillary.storage.file_record import FileRecord
from armillary.storage.formatter import FormatterV2
from armillary.storage.location import path_extension
from armillary.storage.remote import RemoteFiles, in_parallel, is_remote, remote_files

if TYPE_CHECKING:
    from armillary.storage.file_ingest import PreparedFile

__all__ = ["RemoteRoot", "local_copy", "remote_size"]

_COPYING = ("copy", "auto", "move")


@contextmanager
def local_copy(uri: str) -> Iterator[str]:
    """Give a temporary local copy of a file on another machine."""
    files, key = remote_files(uri)
    with tempfile.TemporaryDirectory(dir=os.environ.get("LSST_RESOURCES_TMPDIR")) as folder:
        copy = os.path.join(folder, f"copy{path_extension(key)}")
        files.fetch(key, copy)
        yield copy


def remote_size(uri: str) -> int | None:
    """The size of a file on another machine in bytes; None if there is none."""
    files, key = remote_files(uri)
    return files.size(key)


class RemoteRoot:
    """The root of a datastore on another machine.

    Parameters
    ----------
    root
        Its URI.
    checksums
        Whether checksums of written files are recorded.
    """

    def __init__(self, root: str, *, checksums: bool) -> None:
        self._files, prefix = remote_files(root)
        self._prefix = prefix.strip("/")
        self._checksums = checksums

    def key(self, path: str) -> str:
        """The key of a stored path."""
        return f"{self._prefix}/{path}" if self._prefix else path

    def path_below(self, uri: str) -> str | None:
        """The stored path of a URI below the root, or None if it is elsewhere."""
        if not is_remote(uri):
            return None
        files, key = remote_files(uri)
        beginning = f"{self._prefix}/" if self._prefix else ""
        inside = key[len(beginning) :]
        if files is not self._files or not key.startswith(beginning) or ".." in inside.split("/"):
            return None
        return inside

    def exists(self, path: str) -> bool:
        """Tell whether there is a file under a stored path."""
        return self._files.size(self.key(path)) is not None

    def walk(self, without: str) -> Iterator[tuple[str, int]]:
        """Stored paths and sizes of all files but those in the folder `without`."""
        beginning = f"{self._prefix}/" if self._prefix else ""
        for key, size in self._files.walk(self._prefix):
            path = key.removeprefix(beginning)
            if key.startswith(beginning) and path and not path.startswith(f"{without}/"):
                yield path, size

    def write_part(self, part: Any, prepared: Any) -> FileRecord:
        """Write one file of a dataset, as `FileDatastore` does locally."""
        key = self.key(part.path)
        try:
            content = part.formatter.to_bytes(part.value) if _writes_bytes(part.formatter) else None
        except FormatterNotImplementedError:
            content = None
        if content is not None:
            self._files.put(key, content, overwrite=prepared.overwrite)
            size, checksum = len(content), _checksum(content) if self._checksums else None
        else:
            with tempfile.TemporaryDirectory(dir=os.environ.get("LSST_RESOURCES_TMPDIR")) as folder:
                local = os.path.join(folder, f"file{part.formatter.get_write_extension()}")
                part.formatter.write_path(part.value, local)
                self._files.put(key, local, overwrite=prepared.overwrite)
                size, checksum = os.path.getsize(local), file_checksum(local) if self._checksums else None
        prepared.written.append(part.path)
        return FileRecord(
            prepared.ref.id, part.path, part.formatter_name, part.storage_class, part.component, checksum, size
        )

    def take_in(self, item: PreparedFile) -> tuple[int, str | None]:
        """Bring a file here; returns its size, and its checksum if these are recorded.

        Raises `ValueError` for a mode that leaves a link.
        """
        if item.mode not in _COPYING:
            raise ValueError(
                f"`{item.source}` is taken in by `copy`, `move` or `direct`, not by `{item.mode}`: an object store has "
                "no links"
            )
        if is_remote(item.source):
            with local_copy(item.source) as local:
                return self._upload(local, item)
        return self._upload(item.source, item)

    def _upload(self, local: str, item: PreparedFile) -> tuple[int, str | None]:
        self._files.put(self.key(item.stored), local)
        item.made.append(item.stored)
        if not item.with_size:
            return -1, None
        return os.path.getsize(local), file_checksum(local) if self._checksums else None

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files by stored path; those already gone are no error."""
        keys = [self.key(path) for path in paths]
        if self._files.takes_many:
            in_parallel(lambda key: self._files.delete([key]), keys)
        else:
            self._files.delete(keys)

    def recover(self, paths: Iterable[str]) -> None:
        """Remove what a killed writer left: files by stored path, and half-written ones beside them."""
        paths = list(paths)
        self.remove(paths)
        for folder in dict.fromkeys(self.key(path).rpartition("/")[0] for path in paths):
            left = self._files.temporary_files(folder)
            self._files.delete(key for key in left if is_abandoned(key.rpartition("/")[2]))

    @property
    def files(self) -> RemoteFiles:
        """The store it is in."""
        return self._files


def _writes_bytes(formatter: FormatterV2) -> bool:
    return type(formatter).write_path is FormatterV2.write_path


def _checksum(content: bytes) -> str:
    import hashlib

    return hashlib.blake2b(content).hexdigest()
