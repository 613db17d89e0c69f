"""Put files aside that no record names, within their datastore; nothing is ever deleted."""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING

from armillary.storage.file_listing import PRIVATE_FOLDER

if TYPE_CHECKING:
    from armillary.storage.file_datastore import FileDatastore
    from armillary.storage.remote_writing import RemoteRoot

__all__ = ["LOST_FOLDER", "put_aside"]

LOST_FOLDER = os.path.join(PRIVATE_FOLDER, "lost")
"""Where files are put that no record names, below the root of their datastore."""


def put_aside(store: FileDatastore, path: str, older_than: float) -> str | None:
    """Move a file into the folder of lost files, under its own path or one with a number behind it.

    On another machine it is copied there, and goes when its copy has been read and is the same.

    Parameters
    ----------
    store
        Its datastore.
    path
        Its path below the root.
    older_than
        Seconds for which it must not have been changed.

    Returns
    -------
    moved
        Where it is now, below the root; None if it is gone, or was changed later.

    Raises
    ------
    OSError
        If it cannot be moved, or its copy is another; it is where it was.
    """
    if store.is_remote:
        return _put_aside_there(store.remote_root, path, older_than)
    source = os.path.join(store.root, path)
    try:
        if time.time() - os.lstat(source).st_mtime < older_than:
            return None
    except FileNotFoundError:
        return None
    for moved in _names(path):
        target = os.path.join(store.root, moved)
        if not os.path.lexists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.rename(source, target)
            return moved
    raise AssertionError("there is always another number")


def _put_aside_there(root: RemoteRoot, path: str, older_than: float) -> str | None:
    changed = root.files.changed(root.key(path))
    if changed is None or time.time() - changed < older_than:
        return None
    for moved in _names(path):
        try:
            root.files.copy(root.key(path), root.key(moved))
        except FileExistsError:
            continue
        break
    if root.files.checksum(root.key(path)) != root.files.checksum(root.key(moved)):
        raise OSError(f"the copy of `{path}` to `{moved}` is not the same, so both are left where they are")
    root.remove([path])
    return moved


def _names(path: str) -> itertools.chain[str]:
    """Names for a lost file: an earlier one of the same name is kept, too."""
    first = os.path.join(LOST_FOLDER, path)
    return itertools.chain([first], (f"{first}.{number}" for number in itertools.count(1)))
