"""Where one file of a datastore is, and what is in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from armillary.storage.remote import is_remote

if TYPE_CHECKING:
    from lsst.resources import ResourcePath

    from armillary.storage.storage_class import StorageClass

__all__ = ["FileDescriptor", "Location", "directory_path", "path_extension", "resource_path"]

_COMPRESSED = (".gz", ".bz2", ".xz", ".fz")


def path_extension(path: str) -> str:
    """The extension of a file name; that of compressed files is double.

    >>> path_extension("a/b.c/raw.fits.gz"), path_extension("a.b/c")
    ('.fits.gz', '')
    """
    name = path.rpartition("/")[2]
    stem, extension = os.path.splitext(name)
    if extension in _COMPRESSED:
        inner = os.path.splitext(stem)[1]
        return inner + extension
    return extension


def resource_path(path: str) -> ResourcePath:
    """A URI object for an absolute local path, whatever characters it holds, or for a URI."""
    from lsst.resources import ResourcePath

    if path.startswith("/"):
        return ResourcePath("file://" + quote(path), forceAbsolute=True, forceDirectory=False)
    return ResourcePath(path, forceDirectory=False)


def directory_path(path: str) -> ResourcePath:
    """A URI object for an absolute local directory, or for one given as URI; it ends in a slash."""
    from lsst.resources import ResourcePath

    if path.startswith("/"):
        return ResourcePath("file://" + quote(path), forceAbsolute=True, forceDirectory=True)
    return ResourcePath(path, forceDirectory=True)


class Location:
    """A file by the root of its datastore and its path in it, or by an absolute URI.

    >>> place = Location("/repo", "run/a b#1.json")
    >>> place.path, place.pathInStore, place.getExtension()
    ('/repo/run/a b#1.json', 'run/a b#1.json', '.json')
    """

    __slots__ = ("_path", "_root")

    def __init__(self, datastoreRootUri: Any, path: Any, *, trusted_path: bool = False) -> None:
        self._root = None if datastoreRootUri is None else str(datastoreRootUri)
        self._path = str(path)

    @property
    def uri(self) -> ResourcePath:
        """The place as a URI object."""
        if self._root is None or "://" in self._path or self._path.startswith("/"):
            return resource_path(self._path)
        if "://" in self._root:
            return resource_path(self._root.rstrip("/") + "/" + quote(self._path))
        return resource_path(os.path.join(self._root, self._path))

    @property
    def is_remote(self) -> bool:
        """Whether the file is on another machine."""
        return is_remote(self._path) or (
            self._root is not None and is_remote(self._root) and not self._path.startswith(("/", "file://"))
        )

    @property
    def uri_text(self) -> str:
        """The URI of a file on another machine."""
        if "://" in self._path or self._root is None:
            return self._path
        return self._root.rstrip("/") + "/" + quote(self._path)

    @property
    def path(self) -> str:
        """The operating system path of a local file."""
        if self._root is None or self._path.startswith("/"):
            return self._path
        if "://" in self._path or "://" in self._root:
            return str(self.uri.ospath)
        return os.path.join(self._root, self._path)

    @property
    def pathInStore(self) -> str:
        """The path below the root, as records hold it."""
        return self._path

    @property
    def relativeToPathRoot(self) -> str:
        """The path below the root of the file system."""
        return self.path.lstrip("/")

    @property
    def netloc(self) -> str:
        """The machine or bucket; empty for a local file."""
        return str(self.uri.netloc)

    def getExtension(self) -> str:
        """The extension of the file, double for compressed ones."""
        return path_extension(self._path)

    def updateExtension(self, ext: str | None) -> None:
        """Replace the extension; None leaves it, an empty one removes it."""
        if ext is None:
            return
        old = self.getExtension()
        self._path = self._path[: len(self._path) - len(old)] + (ext if not ext or ext.startswith(".") else "." + ext)

    def clone(self) -> Self:
        """Make an independent copy."""
        return type(self)(self._root, self._path)

    def toAbsolute(self) -> Location:
        """The same file without a root."""
        return Location(None, str(self.uri))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Location) and (self._root, self._path) == (other._root, other._path)

    def __hash__(self) -> int:
        return hash((self._root, self._path))

    def __str__(self) -> str:
        return self.path if self._root is None or "://" not in self._root else str(self.uri)

    def __repr__(self) -> str:
        return f"Location({self._root!r}, {self._path!r})"


class FileDescriptor:
    """One file to read or write: its place, its storage class, and what is asked of it."""

    __slots__ = ("_readStorageClass", "component", "location", "parameters", "storageClass")

    def __init__(
        self,
        location: Location,
        storageClass: StorageClass,
        readStorageClass: StorageClass | None = None,
        component: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self.location = location
        self.storageClass = storageClass
        self._readStorageClass = readStorageClass
        self.component = component
        self.parameters = dict(parameters) if parameters is not None else None

    @property
    def readStorageClass(self) -> StorageClass:
        """What the reader wants: the storage class of the file unless another was asked for."""
        return self._readStorageClass if self._readStorageClass is not None else self.storageClass
