"""Which files a datastore has below its root, kept on disk while they are compared with records."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from armillary.storage.file_datastore import FileDatastore

__all__ = ["PRIVATE_FOLDER", "FileListing", "walk_files"]

PRIVATE_FOLDER = ".armillary"
"""The folder below a root whose files are armillary's own."""

_VARIABLES = 500


def walk_files(store: FileDatastore, failed: Callable[[OSError], object] | None = None) -> Iterator[tuple[str, int]]:
    """Find the files below a root: paths relative to it and sizes in bytes, without those in `PRIVATE_FOLDER`.

    Of a link that is the size of the link. Files that come or go meanwhile may be found or not. Raises `OSError` if a
    server does not let its files be listed; of a folder of this machine that is told to `failed`.
    """
    if store.is_remote:
        return store.remote_root.walk(PRIVATE_FOLDER)
    return _walk_folder(store.root, failed)


def _walk_folder(root: str, failed: Callable[[OSError], object] | None) -> Iterator[tuple[str, int]]:
    for folder, folders, names in os.walk(root, onerror=failed):
        if folder == root and PRIVATE_FOLDER in folders:
            folders.remove(PRIVATE_FOLDER)
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*names, *links):
            path = os.path.join(folder, name)
            try:
                yield os.path.relpath(path, root), os.lstat(path).st_size
            except FileNotFoundError:
                continue  # removed while we look


class FileListing:
    """Paths and sizes of files, and which of them a record names.

    They are in a temporary file that has no name, of which SQLite keeps a part in memory.

    >>> with FileListing() as listing:
    ...     listing.add([("run/a.yaml", 5), ("run/b.yaml", 7)])
    ...     listing.name(["run/a.yaml", "run/c.yaml"])
    ...     list(listing.unnamed())
    {'run/a.yaml': 5}
    [('run/b.yaml', 7)]
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(
            "CREATE TABLE file (path BLOB PRIMARY KEY, size INTEGER NOT NULL, named INTEGER NOT NULL DEFAULT 0) "
            "WITHOUT ROWID"
        )
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._database.close()

    def add(self, files: Iterable[tuple[str, int]]) -> None:
        """Add files, each a path and a size in bytes."""
        # Names of files need not be text: they go as the bytes they are.
        rows = ((os.fsencode(path), size) for path, size in files)
        self._database.executemany("INSERT OR REPLACE INTO file (path, size) VALUES (?, ?)", rows)

    def clear(self) -> None:
        """Forget all files."""
        self._database.execute("DELETE FROM file")

    def name(self, paths: Sequence[str]) -> dict[str, int]:
        """Note that records name these files; returns the sizes of those that are there."""
        found: dict[str, int] = {}
        for start in range(0, len(paths), _VARIABLES):
            values = [os.fsencode(path) for path in paths[start : start + _VARIABLES]]
            which = f"WHERE path IN ({', '.join('?' * len(values))})"
            self._database.execute(f"UPDATE file SET named = 1 {which}", values)
            rows = self._database.execute(f"SELECT path, size FROM file {which}", values)
            found.update((os.fsdecode(path), size) for path, size in rows)
        return found

    def total(self) -> tuple[int, int]:
        """How many files there are, and how many bytes in them."""
        n_files, n_bytes = self._database.execute("SELECT count(*), total(size) FROM file").fetchone()
        return int(n_files), int(n_bytes)

    def unnamed(self) -> Iterator[tuple[str, int]]:
        """The files that no record names, in order of their paths."""
        with closing(self._database.execute("SELECT path, size FROM file WHERE NOT named ORDER BY path")) as rows:
            for path, size in rows:
                yield os.fsdecode(path), size
