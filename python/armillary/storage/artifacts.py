"""Copies of a datastore's files: for people, and for exports."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from armillary._files import new_file
from armillary.config import local_place
from armillary.errors import ValidationError
from armillary.storage.file_dataset import FileDataset
from armillary.storage.file_record import ZIP_MARK, FileRecord
from armillary.storage.location import path_extension, resource_path
from armillary.storage.remote import remote_files

if TYPE_CHECKING:
    from lsst.resources import ResourcePath

    from armillary.storage.file_datastore import FileDatastore

__all__ = ["export_files", "retrieve"]


def retrieve(
    datastore: FileDatastore,
    records: Iterable[FileRecord],
    destination: Any,
    *,
    transfer: str = "auto",
    preserve_path: bool = True,
    overwrite: bool = False,
) -> list[ResourcePath]:
    """Copy files to a directory, which is made if it is missing; returns where the copies are.

    `transfer` is `copy` (also meant by `auto`), `hardlink`, `link`, `symlink` or `relsymlink`. With `preserve_path`
    the folders of the datastore are kept. A file of several datasets is copied once; out of a zip file only the
    members that are asked for are taken, always as copies. Raises `FileExistsError` if a copy would replace a file and
    `overwrite` is false, and `ValueError` for a directory on another machine.
    """
    destination = local_place(destination, "the directory for copies")
    os.makedirs(destination, exist_ok=True)
    if not os.path.isdir(destination):
        raise NotADirectoryError(f"`{destination}` is not a directory")
    copies: dict[tuple[str, str], str] = {}
    for record in records:
        store = datastore.store_of(record)
        if (store.name, record.path) in copies:
            continue
        stored, _, member = record.path.partition(ZIP_MARK)
        inside = stored if preserve_path and "://" not in stored else stored.rpartition("/")[2]
        if member:
            inside = _beside(inside, unquote(member))
        target = os.path.join(destination, inside)
        if target in copies.values():
            raise FileExistsError(f"two of the files are called `{inside}`; keep their folders with `preserve_path`")
        if member:
            _unpack_file(datastore, record, target, overwrite=overwrite)
        else:
            place_file(store, stored, target, transfer, overwrite=overwrite)
        copies[store.name, record.path] = target
    return [resource_path(os.path.abspath(target)) for target in copies.values()]


def _beside(archive: str, member: str) -> str:
    """The path of a zip file's member in the folder of the zip file."""
    name = member.rpartition("/")[2]
    if name in ("", ".", ".."):  # what a zip file calls its members is not ours to choose
        raise ValidationError(f"`{member}` in `{archive}` is no name for a file")
    return os.path.join(os.path.dirname(archive), name)


def _unpack_file(datastore: Any, record: FileRecord, target: str, *, overwrite: bool) -> None:
    """Write one member of a zip file to a file of its own."""
    with (
        _placed(target, overwrite=overwrite) as temporary,
        datastore.open_file(record) as source,
        open(temporary, "wb") as sink,
    ):
        shutil.copyfileobj(source, sink, 1 << 20)


@contextmanager
def _placed(target: str, *, overwrite: bool, made_of: str | None = None) -> Iterator[str]:
    """Give the name of a temporary file in a folder that is made if it is missing; see `new_file`."""
    if os.path.lexists(target) and not overwrite:
        raise FileExistsError(f"`{target}` already exists")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with new_file(target, path_extension(target), overwrite=True, made_of=made_of) as temporary:
        yield temporary


def place_file(datastore: FileDatastore, stored: str, target: str, transfer: str, *, overwrite: bool) -> None:
    """Put a copy of, or a link to, one file of a datastore somewhere else."""
    source = datastore._local_path(stored)
    if source is None:
        transfer = "copy"
    elif not os.path.exists(source):
        raise FileNotFoundError(f"`{stored}` is not in datastore `{datastore.name}`")
    with _placed(target, overwrite=overwrite, made_of=source) as temporary:
        _make(datastore, stored, source, temporary, transfer)


def _make(datastore: FileDatastore, stored: str, source: str | None, temporary: str, transfer: str) -> None:
    if source is None:
        files, key = remote_files(datastore._location(stored).uri_text)
        files.fetch(key, temporary)
    elif transfer in ("auto", "copy"):
        shutil.copyfile(source, temporary)
    elif transfer in ("hardlink", "link"):
        try:
            os.link(os.path.realpath(source), temporary)
        except OSError:
            if transfer == "hardlink":
                raise
            os.symlink(source, temporary)
    elif transfer == "symlink":
        os.symlink(source, temporary)
    elif transfer == "relsymlink":
        os.symlink(os.path.relpath(source, os.path.dirname(temporary)), temporary)
    else:
        raise ValueError(f"files are not taken out of a datastore by `{transfer}`; use `copy` or a kind of link")


def export_files(
    datastore: FileDatastore,
    refs: Iterable[Any],
    records: Iterable[FileRecord],
    directory: str | None,
    transfer: str | None,
    made: list[str] | None = None,
) -> list[tuple[Any, FileDataset]]:
    """Describe the files of datasets for an export.

    With a directory and a transfer mode other than `direct`, files are copied below the directory under their stored
    paths, and where they are is added to `made`; otherwise paths stay as records have them. Datasets without a file are
    left out. Raises `NotImplementedError` for a dataset in several files or in a zip file.
    """
    by_id: dict[Any, list[FileRecord]] = {}
    for record in records:
        by_id.setdefault(record.dataset_id, []).append(record)
    made = [] if made is None else made
    placed: dict[str, str] = {}
    exported = []
    for ref in refs:
        own = by_id.get(ref.id)
        if not own:
            continue
        if len(own) > 1 or own[0].component or ZIP_MARK in own[0].path:
            raise NotImplementedError(f"{ref} is in several files or in a zip file, which an export cannot describe")
        stored = own[0].path
        if stored not in placed:
            placed[stored] = _export_file(datastore.store_of(own[0]), ref, stored, directory, transfer, made)
        exported.append((ref, FileDataset(placed[stored], [ref], formatter=own[0].formatter)))
    return exported


def _export_file(
    datastore: FileDatastore, ref: Any, stored: str, directory: str | None, transfer: str | None, made: list[str]
) -> str:
    if directory is None or transfer is None:
        return stored
    if transfer == "direct":
        return str(datastore.uri(stored))
    inside = stored
    if "://" in stored:  # a file outside the datastore gets the path it would have in it
        inside = datastore.templates.getTemplate(ref).format(ref) + path_extension(stored)
    target = os.path.join(directory, inside)
    place_file(datastore, stored, target, transfer, overwrite=False)
    made.append(target)
    return inside
