"""Copies of remote files kept on the local disk, so that a dataset read again is not transferred again.

Modes (`datastore.cached.expiry`, or `DAF_BUTLER_CACHE_EXPIRATION_MODE=MODE=THRESHOLD`): `files` and `datasets` keep so
many, `size` so many bytes, `age` what is younger than so many seconds; `disabled` keeps nothing; none forgets nothing.
Several processes may share a folder: files get their names when they are whole, and a file in use has a second name.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from armillary._files import file_checksum
from armillary.errors import ConfigurationError
from armillary.storage.lookup import LookupTable

__all__ = ["ReadCache"]

DIRECTORY_VARIABLE = "DAF_BUTLER_CACHE_DIRECTORY"
DIRECTORY_IF_UNSET_VARIABLE = "DAF_BUTLER_CACHE_DIRECTORY_IF_UNSET"
MODE_VARIABLE = "DAF_BUTLER_CACHE_EXPIRATION_MODE"
_MODES = ("files", "datasets", "size", "age", "disabled")
_IN_USE = "exempt"


class ReadCache:
    """The cache of one datastore.

    Parameters
    ----------
    config
        The section `cached` of the datastore's configuration; None for the defaults.
    universe
        The dimensions of the repository.
    """

    def __init__(self, config: Mapping[str, Any] | None, universe: Any) -> None:
        config = config or {}
        self.mode, self.threshold = _expiry(config.get("expiry") or {})
        self._default = bool(config.get("default", True))
        self._cacheable = LookupTable(config.get("cacheable") or {}, universe)
        self._configured_root = config.get("root")
        self._folder: str | None = None
        self._lock = threading.Lock()

    @property
    def folder(self) -> str:
        """Where copies are; a folder of this process alone, gone at its end, unless one is configured or set."""
        with self._lock:
            if self._folder is None:
                chosen = (
                    os.environ.get(DIRECTORY_VARIABLE)
                    or self._configured_root
                    or os.environ.get(DIRECTORY_IF_UNSET_VARIABLE)
                )
                if chosen:
                    self._folder = os.path.abspath(os.path.expanduser(os.path.expandvars(str(chosen))))
                else:
                    self._folder = tempfile.mkdtemp(prefix="armillary-cache-")
                    atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
                os.makedirs(os.path.join(self._folder, _IN_USE), mode=0o700, exist_ok=True)
            return self._folder

    def should_be_cached(self, ref: Any) -> bool:
        """Tell whether files of a dataset are kept."""
        if self.mode == "disabled":
            return False
        found = self._cacheable.find(ref.datasetType)
        return self._default if found is None else bool(found)

    def knows(self, ref: Any, component: str | None, extension: str) -> bool:
        """Tell whether there is a copy of a file."""
        return os.path.exists(os.path.join(self.folder, _name(ref, component, extension)))

    @contextmanager
    def use(
        self,
        ref: Any,
        component: str | None,
        extension: str,
        expected_size: int,
        fetch: Callable[[str], Any],
        checksum: str | None = None,
    ) -> Iterator[str]:
        """Give a local copy of a file that stays while the block runs; `fetch` makes one where there is none.

        A copy that does not have `expected_size` bytes (if not negative), or another checksum than one that is given,
        is made again.
        """
        name = _name(ref, component, extension)
        kept = os.path.join(self.folder, name)
        used = os.path.join(self.folder, _IN_USE, f"{uuid.uuid4().hex}_{name}")
        if not self._link(kept, used, expected_size, checksum):
            temporary = os.path.join(self.folder, f".{uuid.uuid4().hex}{extension}")
            try:
                fetch(temporary)
                os.link(temporary, used)
                os.replace(temporary, kept)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary)
            self.expire()
        try:
            yield used
        finally:
            with suppress(FileNotFoundError):
                os.unlink(used)

    @staticmethod
    def _link(kept: str, used: str, expected_size: int, checksum: str | None) -> bool:
        try:
            os.link(kept, used)
        except FileNotFoundError:
            return False
        changed = expected_size >= 0 and os.path.getsize(used) != expected_size
        if changed or (checksum is not None and file_checksum(used) != checksum):
            os.unlink(used)
            return False
        with suppress(OSError):
            os.utime(kept)  # the one used last goes last
        return True

    def expire(self) -> None:
        """Remove what is too much, the copies used longest ago first."""
        if self.mode is None:
            return
        entries = []
        with os.scandir(self.folder) as scanned:
            for entry in scanned:
                with suppress(FileNotFoundError):
                    if entry.is_file() and not entry.name.startswith("."):
                        facts = entry.stat()
                        entries.append((facts.st_mtime_ns, entry.name, facts.st_size))
        entries.sort(reverse=True)
        for name in self._surplus(entries):
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(self.folder, name))

    def _surplus(self, newest_first: list[tuple[int, str, int]]) -> list[str]:
        if self.mode == "files":
            return [name for _, name, _ in newest_first[int(self.threshold) :]]
        if self.mode == "age":
            oldest = time.time_ns() - int(self.threshold * 1e9)
            return [name for changed, name, _ in newest_first if changed < oldest]
        if self.mode == "size":
            surplus, total = [], 0
            for position, (_, name, size) in enumerate(newest_first):
                total += size
                if total > self.threshold and position:  # the one just read stays
                    surplus.append(name)
            return surplus
        datasets = list(dict.fromkeys(_dataset_of(name) for _, name, _ in newest_first))[: int(self.threshold)]
        return [name for _, name, _ in newest_first if _dataset_of(name) not in datasets]

    def forget(self, ids: Any) -> None:
        """Remove the copies of datasets."""
        if self._folder is None:
            return
        wanted = {str(one) for one in ids}
        for name in os.listdir(self._folder):
            if _dataset_of(name) in wanted:
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._folder, name))


def _name(ref: Any, component: str | None, extension: str) -> str:
    return f"{ref.id}{'_' + component if component else ''}{extension}"


def _dataset_of(name: str) -> str:
    return name[:36]


def _expiry(config: Mapping[str, Any]) -> tuple[str | None, float]:
    mode, threshold = config.get("mode"), config.get("threshold", 0)
    text = os.environ.get(MODE_VARIABLE)
    if text:
        mode, mark, given = text.partition("=")
        threshold = given if mark else 0
        if mode != "disabled" and not mark:
            raise ConfigurationError(f"{MODE_VARIABLE} is `{text}`; use `disabled` or `MODE=THRESHOLD`")
    if mode is None:
        return None, 0
    if mode not in _MODES:
        raise ConfigurationError(f"`{mode}` is not a way to expire cached files; use one of {', '.join(_MODES)}")
    try:
        return str(mode), float(threshold)
    except (TypeError, ValueError):
        raise ConfigurationError(f"the threshold of cached files is a number, not `{threshold}`") from None
