"""Write files so that they are whole or not there, and stay after a power cut."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import IO

__all__ = [
    "OPEN_AT_ONCE",
    "TEMPORARY_PREFIX",
    "DiskReserve",
    "NewFiles",
    "abandoned_files",
    "copy_to_temporary",
    "file_checksum",
    "finish_temporary",
    "is_abandoned",
    "make_folder",
    "new_file",
    "publish",
    "sync_contents",
    "sync_directory",
    "temporary_path",
    "unlink_all",
    "unlink_for_good",
    "write_temporary",
]

TEMPORARY_PREFIX = ".armillary-"
_lock = threading.Lock()


def _read_umask() -> int:
    with _lock:
        mask = os.umask(0o077)
        os.umask(mask)
    return mask


# Reading it takes changing it, which other threads would notice: read once.
_UMASK = _read_umask()


def temporary_path(target: str, extension: str = "") -> str:
    """A name in the folder of `target` that no other writer has.

    >>> temporary_path("a/b.json", ".json")[:13]
    'a/.armillary-'
    """
    return os.path.join(os.path.dirname(target), f"{_temporary_stem()}{os.urandom(6).hex()}{extension}")


def _temporary_stem() -> str:
    return f"{TEMPORARY_PREFIX}{_host_mark()}-{os.getpid()}-"


@cache
def _host_mark() -> str:
    """Something short that differs between machines which share a disk."""
    return f"{zlib.crc32(os.uname().nodename.encode()):08x}"


def abandoned_files(folder: str) -> list[str]:
    """Temporary files in a folder whose writer on this machine is dead."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return [os.path.join(folder, name) for name in names if is_abandoned(name)]


def is_abandoned(name: str) -> bool:
    """Tell whether a name is that of a temporary file whose writer on this machine is dead.

    >>> is_abandoned("data.json")
    False
    """
    beginning = f"{TEMPORARY_PREFIX}{_host_mark()}-"
    process = name.removeprefix(beginning).partition("-")[0]
    return name.startswith(beginning) and process.isdigit() and not _is_alive(int(process))


def _is_alive(process: int) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as stream:
        # Linux: a process that has ended keeps its number until its parent asks for it.
        if stream.read().rpartition(")")[2].split()[:1] in (["Z"], ["X"]):
            return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def make_folder(folder: str, *, durable: bool) -> None:
    """Make a folder and its parents; if `durable`, each new one is made to stay.

    Raises `NotADirectoryError` if there is a file in its place.
    """
    missing = []
    current = folder
    while current and not os.path.isdir(current):
        missing.append(current)
        current = os.path.dirname(current)
    for one in reversed(missing):
        try:
            os.mkdir(one)
        except FileExistsError as error:
            if os.path.isdir(one):
                continue  # another writer was faster
            said = "there is a file of this name, so it cannot be a folder for datasets; use another run name"
            raise NotADirectoryError(errno.ENOTDIR, said, one) from error
        if durable:
            sync_directory(os.path.dirname(one) or ".")


def sync_directory(folder: str) -> None:
    """Make the names in a folder stay after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot
            raise
    finally:
        os.close(descriptor)


def sync_files(paths: Iterable[str], root: str, settled: set[str]) -> None:
    """Make files and their names, up to the folder `root`, stay after a power cut.

    Writing all of them is begun first: then one commit of the file system's journal does for most. Folders whose own
    names stay are added to `settled`, so that those above them are synced once.
    """
    names = list(paths)
    inner = {os.path.dirname(path) for path in names}
    above = {folder for one in inner - settled for folder in _folders_above(one, root)}
    folders = sorted(inner | above, key=len, reverse=True)
    sync_contents(names)
    for folder in folders:
        sync_directory(folder)
    settled |= inner


def sync_contents(paths: Sequence[str]) -> None:
    """Make the contents of files stay after a power cut; writing all of them is begun before any is waited for."""
    descriptors: list[int] = []
    for first in range(0, len(paths), OPEN_AT_ONCE):
        try:
            some = paths[first : first + OPEN_AT_ONCE]
            descriptors.extend(os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in some)
            _sync_open(descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
            descriptors.clear()


OPEN_AT_ONCE = 256
"""Files that are open at the same time; a process may have 1024 on most systems."""


def _folders_above(path: str, root: str) -> Iterator[str]:
    folder = os.path.dirname(path)
    while len(folder) > len(root) and folder.startswith(root):
        yield folder
        folder = os.path.dirname(folder)
    yield folder


def write_temporary(path: str, content: bytes, *, durable: bool) -> None:
    """Write bytes to a new file, which only its owner can read until it is published."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except (FileNotFoundError, NotADirectoryError):
        make_folder(os.path.dirname(path), durable=durable)
        descriptor = os.open(path, flags, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fchmod(descriptor, 0o666 & ~_UMASK)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_to_temporary(source: str, path: str, *, durable: bool) -> None:
    """Copy a file to a new one, which is whole, readable as the user's mask says, and stays, on return."""
    given = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        descriptor = os.open(path, _NEW_FILE, 0o600)
        try:
            _copy_contents(given, descriptor)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        os.close(given)


_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def _copy_contents(given: int, descriptor: int) -> None:
    """Fill a new file, which only its owner could read, and make it readable as the user's mask says."""
    size = os.fstat(given).st_size
    if not hasattr(os, "sendfile") or os.sendfile(descriptor, given, 0, size or 1) < size:
        os.lseek(given, 0, os.SEEK_SET)
        os.lseek(descriptor, 0, os.SEEK_SET)
        while chunk := os.read(given, 1 << 20):
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
    os.fchmod(descriptor, 0o666 & ~_UMASK)


class NewFiles:
    """New files that get their names together, none before all of them are whole and, if `durable`, stay.

    At most `OPEN_AT_ONCE` of them. Files without a name are removed at the end of the block.
    """

    def __init__(self, *, durable: bool) -> None:
        self._durable = durable
        self._stem = f"{_temporary_stem()}{os.urandom(4).hex()}"
        self._open: list[int] = []
        self._unnamed: dict[str, None] = {}
        self._count = 0

    def __enter__(self) -> NewFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        unlink_all(self._unnamed)

    def place(self, folder: str) -> str:
        """A temporary name in a folder, for the caller to make a file of."""
        temporary = f"{folder}/{self._stem}{self._count:04x}"
        self._count += 1
        self._unnamed[temporary] = None
        return temporary

    def copy(self, source: str, folder: str) -> str:
        """Copy a local file to a temporary one in a folder, which is made if need be; returns its path."""
        temporary = self.place(folder)
        given = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            try:
                descriptor = os.open(temporary, _NEW_FILE, 0o600)
            except (FileNotFoundError, NotADirectoryError):
                make_folder(folder, durable=self._durable)
                descriptor = os.open(temporary, _NEW_FILE, 0o600)
            self._open.append(descriptor)  # to be synced as it is
            _copy_contents(given, descriptor)
        finally:
            os.close(given)
        if not self._durable:
            self._close()
        return temporary

    def settle(self) -> None:
        """Make all files stay that were copied; writing all of them is begun before any is waited for."""
        if self._durable:
            _sync_open(self._open)
        self._close()

    def publish(self, temporary: str, target: str) -> None:
        """Give a file its name. Raises `FileExistsError` if the name is taken."""
        publish(temporary, target)
        del self._unnamed[temporary]

    def _close(self) -> None:
        while self._open:
            os.close(self._open.pop())


def _sync_open(descriptors: Sequence[int]) -> None:
    if hasattr(os, "posix_fadvise"):  # Linux begins to write what is to be dropped from memory
        for descriptor in descriptors:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    for descriptor in descriptors:
        os.fsync(descriptor)


def finish_temporary(path: str, *, durable: bool) -> int:
    """Make a file that something else wrote readable as the user's mask says, and stay; returns its size."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fchmod(descriptor, 0o666 & ~_UMASK)
        if durable:
            os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def publish(temporary: str, target: str, *, overwrite: bool = False) -> None:
    """Give a temporary file its name. Raises `FileExistsError` if the name is taken and `overwrite` is false."""
    if overwrite:
        os.replace(temporary, target)
        return
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            # No hard links here: the check and the renaming are two steps, as near as this file system allows.
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
            os.rename(temporary, target)
            return
        raise
    try:
        os.unlink(temporary)
    except BaseException:
        unlink_all([target])  # the caller is told that nothing was published
        raise


@contextlib.contextmanager
def new_file(target: str, extension: str = "", *, overwrite: bool, made_of: str | None = None) -> Iterator[str]:
    """Give the name of a temporary file to write, which becomes `target` at the end of the block, or leaves nothing.

    A failure of the operating system names `target`: neither the temporary file nor, where it is known, what the new
    one is made of. Raises `FileExistsError` if there is a file of that name and `overwrite` is false.
    """
    temporary = temporary_path(target, extension)
    try:
        yield temporary
        publish(temporary, target, overwrite=overwrite)
    except OSError as error:
        if error.errno and error.filename in (None, temporary, made_of):
            error.filename, error.filename2 = target, None
        raise
    finally:
        unlink_all([temporary])


def file_checksum(path: str) -> str:
    """BLAKE2b-512 of a file, in hexadecimal."""
    import hashlib

    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()


def unlink_all(paths: Iterable[str]) -> None:
    """Remove files; those already gone are no error."""
    left = iter(paths)
    done = False
    while not done:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # entered once for all that are there
            for path in left:
                os.unlink(path)
            done = True


def unlink_for_good(paths: Iterable[str], *, durable: bool) -> None:
    """Remove files by full path; if `durable`, a power cut does not bring them back. Those gone already are no error.

    They stay away, too: who removed them may have been killed before that was on disk. Where one cannot be removed the
    others are, and then the first error is raised.
    """
    folders: dict[str, None] = {}
    failure: OSError | None = None
    for path in paths:
        folders[path.rpartition(os.sep)[0]] = None
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            failure = failure or error
    if durable:
        for folder in folders:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # it is gone as well
                sync_directory(folder)
    if failure is not None:
        raise failure


class DiskReserve:
    """Room on a disk that is kept until it is needed; a dead process keeps none.

    Parameters
    ----------
    folder
        Any folder on the disk.
    size
        Bytes to keep. Raises `OSError` if they are not there.

    Examples
    --------
    >>> reserve = DiskReserve(".", 4096)
    >>> reserve.give_back(), reserve.give_back()
    (True, False)
    """

    def __init__(self, folder: str, size: int) -> None:
        self._stream: IO[bytes] | None = None
        if not hasattr(os, "posix_fallocate"):
            return
        try:
            self._stream = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # it has no name, and lives as long as this
            os.posix_fallocate(self._stream.fileno(), 0, size)
        except OSError as error:
            self.give_back()
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OSError(error.errno, os.strerror(error.errno), folder) from error
            # A file system that cannot set room aside, or a limit on the size of files: then without.

    def give_back(self) -> bool:
        """Make the room free; False if it was free already."""
        if self._stream is None:
            return False
        self._stream.close()
        self._stream = None
        return True
