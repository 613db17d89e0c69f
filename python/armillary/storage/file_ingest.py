"""Take files that exist already into a datastore."""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from armillary._core import copy_files
from armillary._files import (
    OPEN_AT_ONCE,
    NewFiles,
    copy_to_temporary,
    file_checksum,
    finish_temporary,
    make_folder,
    publish,
    temporary_path,
    unlink_all,
)
from armillary.config import to_local_path
from armillary.errors import DatasetTypeNotSupportedError, UntrustedContentError
from armillary.storage.datastore_config import formatter_class
from armillary.storage.file_dataset import FormatterName
from armillary.storage.file_record import ZIP_MARK, FileRecord
from armillary.storage.formatter import FormatterV2
from armillary.storage.location import Location, path_extension
from armillary.storage.peer_names import to_peer_name
from armillary.storage.remote import is_remote, remote_files
from armillary.storage.remote_writing import remote_size

if TYPE_CHECKING:
    from armillary.storage.file_dataset import FileDataset
    from armillary.storage.file_datastore import FileDatastore

__all__ = [
    "TRANSFER_MODES",
    "PreparedFile",
    "PreparedIngest",
    "copy_together",
    "finish_ingest",
    "prepare_ingest",
    "prepare_transfer",
    "write_file",
]

_LOG = logging.getLogger(__name__)

TRANSFER_MODES = ("auto", "copy", "move", "link", "hardlink", "symlink", "relsymlink", "direct", "split")


@dataclass(slots=True)
class PreparedFile:
    """One file that is checked and has its new name, but was not touched yet.

    `source` is a local path or a URI, `stored` what records will say, `mode` how it gets there (None: it stays).
    `known_records` are the records of a file that holds several datasets and says so itself, `size` is that of a file
    which stays where it is or was copied. `stays` tells that the file that was made, and its name, need no more syncs.
    """

    source: str
    stored: str
    mode: str | None
    formatter: str
    refs: list[Any]
    with_size: bool
    known_records: list[FileRecord] | None = None
    size: int | None = None
    made: list[str] = field(default_factory=list)
    stays: bool = False

    @property
    def paths(self) -> list[str]:
        """Paths of the files that will be made below the root; that of an archive ends in `ZIP_MARK`."""
        if self.mode is None:
            return []
        holds_members = any(ZIP_MARK in record.path for record in self.known_records or ())
        return [self.stored + ZIP_MARK if holds_members else self.stored]


class PreparedIngest(list[PreparedFile]):
    """All files of one call."""

    @property
    def paths(self) -> list[str]:
        """Paths of the files that will be made below the root."""
        return [path for item in self for path in item.paths]

    @property
    def refs(self) -> list[Any]:
        """All datasets, in the order of the records."""
        return [ref for item in self for ref in item.refs]


class _Inside:
    """Tells what is below a root. Where a folder really is is asked once: many files share one."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._real_folders: dict[str, str] = {}

    def _real(self, path: str) -> str:
        if os.path.islink(path):
            return os.path.realpath(path)
        folder, name = os.path.split(path)
        real = self._real_folders.get(folder)
        if real is None:
            real = self._real_folders[folder] = os.path.realpath(folder)
        return os.path.join(real, name)

    def path_below(self, path: str) -> str | None:
        """The path below the root, or None if it is elsewhere. Links are followed, so that a name cannot lead out."""
        real = self._real(path)
        if real.startswith(self._real_root + os.sep):
            if path.startswith(self._root + os.sep):
                return path[len(self._root) + 1 :]
            return real[len(self._real_root) + 1 :]
        # A link inside the root to a file outside is in the datastore: that is what `symlink` made.
        if path.startswith(self._root + os.sep) and os.path.islink(path):
            return path[len(self._root) + 1 :]
        return None


def prepare_ingest(
    datastore: FileDatastore, files: Iterable[FileDataset], transfer: str | None, *, record_validation_info: bool = True
) -> PreparedIngest:
    """Check files and choose their new names.

    Relative paths are below the root of the datastore. `transfer` is None (files are below the root already), or

    - `copy`, `move`, `hardlink`, `symlink`, `relsymlink`, `link` (hard link, or symbolic where that fails);
    - `direct`: files stay where they are and are known by URI; `split`: so are those outside the root;
    - `auto`: None if all are inside, `split` if some are, else `link`.

    Raises `FileNotFoundError` for a missing file, `ValueError` for an unknown mode or a name the formatter does not
    read, `RuntimeError` for a file outside the root with transfer None.
    """
    if transfer is not None and transfer not in TRANSFER_MODES:
        raise ValueError(f"`{transfer}` is not a transfer mode; use None or one of {', '.join(TRANSFER_MODES)}")
    sources = [(*_source(datastore, one.path), one) for one in files]
    below = datastore.remote_root.path_below if datastore.is_remote else _Inside(datastore.root).path_below
    inside: list[str | None] = [
        # A file that stays where it is is known by URI, wherever that is.
        None if transfer == "direct" or ("://" in source and not datastore.is_remote) else below(source)
        for source, _, _ in sources
    ]
    if transfer == "auto":
        transfer = _automatic(inside, copy=datastore.is_remote or any("://" in source for source, _, _ in sources))
    readers = _Readers(datastore)
    items = [
        _prepare(datastore, source, size if record_validation_info else None, one, within, transfer, readers)
        for (source, size, one), within in zip(sources, inside, strict=True)
    ]
    taken: dict[str, str] = {}
    for item in items:
        if item.mode is not None and taken.setdefault(item.stored, item.source) != item.source:
            item.stored = _with_id(item.stored, item.refs[0])
    return PreparedIngest(items)


def prepare_transfer(
    datastore: FileDatastore, files: Iterable[tuple[str, list[tuple[FileRecord, Any]]]], transfer: str | None
) -> PreparedIngest:
    """Choose the places of files that another datastore has; they keep their paths below the root, and their records.

    `files` are places (local paths or URIs) with the records and datasets that each holds: several for a zip file, or
    one component. Raises `ValueError` for a mode that leaves files where they are, `DatasetTypeNotSupportedError` for
    a dataset that this datastore does not take.
    """
    if transfer in ("direct", "split") or (transfer is not None and transfer not in TRANSFER_MODES):
        raise ValueError(f"datasets do not go from one repository to another by `{transfer}`; use `copy` or a link")
    prepared = PreparedIngest()
    for source, held in files:
        first, ref = held[0]
        for _, other in held:
            if not datastore.accepts(other.datasetType, other.dataId.get("instrument")):
                raise DatasetTypeNotSupportedError(
                    f"datastore `{datastore.name}` is configured not to take dataset type `{other.datasetType.name}`"
                )
        kept = stored = first.path.partition(ZIP_MARK)[0]
        if "://" in stored:  # outside its datastore; here it gets the place it would have been written to
            template = datastore.templates.getTemplate(ref, first.component)
            stored = template.format(ref, first.component) + path_extension(stored)
        mode = transfer
        if mode == "auto":
            mode = "copy" if datastore.is_remote or "://" in source else "link"
        if mode is not None and datastore.is_taken(stored):
            stored = _with_id(stored, ref)
        records = [record for record, _ in held]
        if stored != kept:
            records = [_moved(record, stored) for record in records]
        refs = [ref] if len(held) == 1 else list({other.id: other for _, other in held}.values())
        prepared.append(PreparedFile(source, stored, mode, first.formatter, refs, False, records))
    return prepared


def _moved(record: FileRecord, stored: str) -> FileRecord:
    """A record of the same file under another stored path."""
    return FileRecord(
        record.dataset_id,
        stored + "".join(record.path.partition(ZIP_MARK)[1:]),
        record.formatter,
        record.storage_class,
        record.component,
        record.checksum,
        record.file_size,
    )


def _automatic(inside: list[str | None], *, copy: bool) -> str | None:
    if all(one is not None for one in inside):
        return None
    if any(one is not None for one in inside):
        return "split"
    return "copy" if copy else "link"


def _source(datastore: FileDatastore, path: Any) -> tuple[str, int]:
    """The local path or URI of a file, and its size."""
    if type(path) is str and path.startswith("/") and not _UNUSUAL.search(path):
        try:
            return path, _file_size(path)
        except (FileNotFoundError, NotADirectoryError):
            pass  # names of variables may stand for something
    local = to_local_path(path if not hasattr(path, "geturl") else path.geturl())
    if local is None:
        size = remote_size(str(path))
        if size is None:
            raise FileNotFoundError(f"Resource `{path}` does not exist, so it cannot be ingested")
        return str(path), size
    if datastore.is_remote and not os.path.isabs(local):
        raise ValueError(
            f"`{local}` is relative to the root of the datastore, `{datastore.root}`; give an absolute path or a URI"
        )
    source = os.path.normpath(os.path.join(datastore.root, local))
    try:
        return source, _file_size(source)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"Resource `{source}` does not exist, so it cannot be ingested") from None


# What is in URIs, and in paths that can be written shorter.
_UNUSUAL = re.compile(r"//|/\.|/$")


def _file_size(path: str) -> int:
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"`{path}` is a directory; files are ingested one by one")
    return status.st_size


def _prepare(
    datastore: FileDatastore,
    source: str,
    size: int | None,
    one: FileDataset,
    within: str | None,
    transfer: str | None,
    readers: _Readers,
) -> PreparedFile:
    if not one.refs:
        raise ValueError(f"`{source}` comes without datasets")
    ref = one.refs[0]
    with_size = size is not None
    for other in one.refs:
        if not datastore.accepts(other.datasetType):
            raise DatasetTypeNotSupportedError(
                f"datastore `{datastore.name}` is configured not to take dataset type `{other.datasetType.name}`"
            )
    formatter = readers.name_for(one, source)
    if transfer == "direct" or (transfer == "split" and within is None):
        stored = source if "://" in source else _file_uri(source)
        return PreparedFile(source, stored, None, formatter, one.refs, with_size, size=size)
    if transfer in (None, "split"):
        if within is None:
            raise RuntimeError(
                f"`{source}` is not inside `{datastore.root}`; give a transfer mode such as `copy` or `direct`"
            )
        return PreparedFile(source, within, None, formatter, one.refs, with_size)
    if transfer == "move" and "://" not in source and not os.access(os.path.dirname(source), os.W_OK):
        raise PermissionError(errno.EACCES, "the file cannot be moved away from its folder; use `copy`", source)
    stored = datastore.templates.getTemplate(ref).format(ref) + path_extension(source)
    if datastore.is_taken(stored):
        if within == stored:
            return PreparedFile(source, stored, None, formatter, one.refs, with_size)
        stored = _with_id(stored, ref)
    return PreparedFile(source, stored, transfer, formatter, one.refs, with_size)


_MEANS_ITSELF = re.compile(r"[A-Za-z0-9_./~-]*")


def _file_uri(path: str) -> str:
    return "file://" + (path if _MEANS_ITSELF.fullmatch(path) else quote(path))


_CHECKS_EXTENSION = getattr(FormatterV2.validate_extension, "__func__", None)


class _Readers:
    """Names of the formatters of files. Files of one sort are many, and asked about once."""

    def __init__(self, datastore: FileDatastore) -> None:
        self._datastore = datastore
        self._known: dict[tuple[Any, str], str] = {}

    def name_for(self, one: FileDataset, source: str) -> str:
        """The name records hold of what reads a file. Raises `ValueError` if it does not read files of such a name."""
        given = self._datastore.formatterFactory.find(one.refs[0]).name if one.formatter is None else one.formatter
        key = (given, path_extension(source)) if isinstance(given, str | type) else None
        known = None if key is None else self._known.get(key)
        return self._ask(given, source, key) if known is None else known

    def _ask(self, given: Any, source: str, key: tuple[Any, str] | None) -> str:
        try:
            cls = formatter_class(given if not isinstance(given, FormatterName) else str(given))
        except (ImportError, UntrustedContentError):
            if isinstance(given, FormatterName):
                return to_peer_name(given)
            raise
        check = cls.validate_extension if issubclass(cls, FormatterV2) else cls.validateExtension
        check(Location(None, source))
        name = cls.name()
        if key is not None and getattr(check, "__func__", None) is _CHECKS_EXTENSION:
            self._known[key] = name  # what other classes check may be more than the extension
        return name


def _with_id(stored: str, ref: Any) -> str:
    """Two data IDs can have one file name after their values are made fit for file names; the second gets its id."""
    extension = path_extension(stored)
    return f"{stored[: len(stored) - len(extension)]}_{ref.id}{extension}"


def write_file(datastore: FileDatastore, item: PreparedFile) -> list[FileRecord]:
    """Transfer a prepared file; a record for each of its datasets comes back."""
    if item.made and item.known_records is not None:
        return item.known_records
    if item.mode is not None and datastore.is_remote:
        size, checksum = datastore.remote_root.take_in(item)
    else:
        local = item.source
        if item.mode is not None:
            local = os.path.join(datastore.root, item.stored)
            if not item.made:
                _transfer(item, local, datastore.durable)
        size, checksum = (-1, None) if item.known_records is not None else _facts(datastore, local, item)
    if item.known_records is not None:
        return item.known_records
    return [
        FileRecord(ref.id, item.stored, item.formatter, ref.datasetType.storageClass_name, None, checksum, size)
        for ref in item.refs
    ]


def copy_together(datastore: FileDatastore, items: Sequence[PreparedFile]) -> None:
    """Copy files, of which none gets its name before it is whole.

    They are synced together: then one commit of the file system's journal does for most.
    """
    root = os.path.join(datastore.root, "")
    local = [item for item in items if "://" not in item.source]
    pairs = [(item.source, root + item.stored) for item in local]
    sizes, failure = copy_files(pairs, durable=datastore.durable)
    for item, (_, target), size in zip(local, pairs, sizes, strict=False):  # the first ones
        item.made.append(target)
        item.size = size
        item.stays = True
    if failure is not None:
        raise failure
    _copy_by_names(datastore, root, [item for item in items if not item.stays])


def _copy_by_names(datastore: FileDatastore, root: str, items: Sequence[PreparedFile]) -> None:
    """Copy files, of which none gets its name before it is durable, by way of temporary names."""
    for first in range(0, len(items), OPEN_AT_ONCE):
        with NewFiles(durable=datastore.durable) as files:
            copies: list[tuple[str, str, PreparedFile]] = []
            for item in items[first : first + OPEN_AT_ONCE]:
                target = root + item.stored
                folder = target.rpartition("/")[0]
                if "://" in item.source:
                    make_folder(folder, durable=datastore.durable)
                    temporary = files.place(folder)
                    _fetch(item.source, temporary, durable=datastore.durable)
                else:
                    temporary = files.copy(item.source, folder)
                copies.append((temporary, target, item))
            files.settle()
            for temporary, target, item in copies:
                files.publish(temporary, target)
                item.made.append(target)


def finish_ingest(prepared: PreparedIngest) -> None:
    """Remove the originals of moved files, now that rows name the new ones: before, a crash would undo those."""
    for item in prepared:
        if item.mode == "move" and item.made:
            try:
                if is_remote(item.source):
                    files, key = remote_files(item.source)
                    files.delete([key])
                else:
                    os.unlink(item.source)
            except OSError as error:  # the datasets are there, so this is no failure
                _LOG.warning("`%s` was ingested, but the original cannot be removed: %s", item.source, error)


def _facts(datastore: FileDatastore, local: str, item: PreparedFile) -> tuple[int, str | None]:
    """Size and checksum, where they are wanted."""
    if not item.with_size:
        return -1, None
    if "://" in local:
        size = remote_size(local) if item.size is None else item.size
        return -1 if size is None else size, None
    size = os.stat(local).st_size if item.size is None else item.size
    return size, file_checksum(local) if datastore.checksums else None


def _transfer(item: PreparedFile, target: str, durable: bool) -> None:
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        make_folder(folder, durable=durable)
    mode = item.mode
    if "://" in item.source and mode not in ("copy", "auto", "move"):
        raise ValueError(
            f"`{item.source}` is on another machine and can be ingested by `copy` or `direct`, not `{mode}`"
        )
    if mode in ("hardlink", "link"):
        try:
            os.link(os.path.realpath(item.source), target)
        except OSError:
            if mode == "hardlink":
                raise
            os.symlink(item.source, target)
    elif mode == "symlink":
        os.symlink(item.source, target)
    elif mode == "relsymlink":
        os.symlink(os.path.relpath(item.source, os.path.realpath(folder)), target)
    elif mode == "move" and "://" not in item.source:
        _link_or_copy(item.source, target, durable)
    else:
        _copy(item.source, target, durable)
    item.made.append(target)


def _link_or_copy(source: str, target: str, durable: bool) -> None:
    """Give a file a second name where the file system allows; else copy it."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        _copy(source, target, durable)


def _copy(source: str, target: str, durable: bool) -> None:
    temporary = temporary_path(target, path_extension(target))
    try:
        _fetch(source, temporary, durable=durable)
        publish(temporary, target)
    except BaseException:
        unlink_all([temporary])
        raise


def _fetch(source: str, temporary: str, *, durable: bool) -> None:
    """Copy a file, local or not, to a temporary one."""
    if "://" in source:
        files, key = remote_files(source)
        files.fetch(key, temporary)
        finish_temporary(temporary, durable=durable)
    else:
        copy_to_temporary(source, temporary, durable=durable)
