"""Whether the files and the records of a repository fit each other, and what to do where they do not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from armillary._files import TEMPORARY_PREFIX, is_abandoned
from armillary.butler.collection_journal import JOURNAL_NAME
from armillary.butler.collection_type import CollectionType
from armillary.repository_config import CONFIG_NAME, INSTRUMENTS_FOLDER
from armillary.storage.file_listing import FileListing, walk_files
from armillary.storage.file_record import ZIP_MARK
from armillary.storage.lost_files import LOST_FOLDER, put_aside
from armillary.storage.remote import in_parallel
from armillary.storage.remote_writing import remote_size

if TYPE_CHECKING:
    from armillary.butler.butler import Butler

__all__ = ["LOST_FOLDER", "Problem", "RepositoryReport", "check_repository"]

KINDS = {
    "missing file": "a record names a file that is not there",
    "wrong size": "a file has another size than its record says",
    "wrong checksum": "a file has another content than its record says",
    "unreadable file": "a file cannot be looked at, so that nobody knows whether it is right",
    "no record": "a dataset is said to be in a datastore that has no record of it",
    "orphan file": "no record names a file",
    "temporary file": "a writer that no longer runs left a half-written file",
    "trash": "a dataset was removed and its file was not",
    "stale announcement": "a writer that no longer runs announced a file and never finished",
}
"""What can be wrong, by name."""

_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: its kind (see `KINDS`), datastore, path below the root, dataset and details."""

    kind: str
    datastore: str
    path: str
    dataset_id: Any = None
    detail: str = ""

    def __str__(self) -> str:
        shown = f"{self.kind}: `{self.path}`" if self.path else f"{self.kind}: dataset {self.dataset_id}"
        return f"{shown} ({self.detail})" if self.detail else shown


@dataclass(slots=True)
class RepositoryReport:
    """What a check found.

    `n_files` and `n_bytes` count the files that were looked at; `moved` maps paths of files that were put aside to
    where they are now, `not_moved` paths of others to why they could not be; `remaining` are the problems that `repair`
    did not solve. `not_walked` maps datastores on servers that do not let their files be listed to what those said, and
    those with folders that may not be read to which these are: files without records were not looked for there.
    """

    problems: list[Problem] = field(default_factory=list)
    n_datasets: int = 0
    n_files: int = 0
    n_bytes: int = 0
    moved: dict[str, str] = field(default_factory=dict)
    not_moved: dict[str, str] = field(default_factory=dict)
    solved: list[Problem] = field(default_factory=list)
    not_walked: dict[str, str] = field(default_factory=dict)

    @property
    def remaining(self) -> list[Problem]:
        """The problems that are still there."""
        solved = set(self.solved)
        return [problem for problem in self.problems if problem not in solved]

    def counts(self) -> dict[str, int]:
        """How many problems of each kind there are; kinds without are left out."""
        return {kind: n for kind in KINDS if (n := sum(problem.kind == kind for problem in self.problems))}


def check_repository(
    butler: Butler, *, checksums: bool = False, repair: bool = False, older_than: float = 3600.0
) -> RepositoryReport:
    """Compare the files of a repository with its records.

    What is being written while this looks is no problem. Files that other programs leave to be registered later, such
    as the outputs of quanta that run without a registry, look like orphans until they are.

    Parameters
    ----------
    butler
        The repository; open for writing if `repair` is set.
    checksums
        Read every file whose record has a checksum, and compare.
    repair
        Put orphans and half-written files into the folder `LOST_FOLDER` of their datastore, and finish what was being
        removed. Nothing else is ever deleted, and no record is changed.
    older_than
        Seconds; orphans that were changed later than that are told but not moved, since somebody may be writing them.

    Returns
    -------
    report
        What is wrong.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository(run="u/me") as butler:
    ...     ref = butler.put({"a": 1}, "summary", instrument="Cam")
    ...     check_repository(butler).counts()
    ...     butler.getURI(ref).remove()
    ...     check_repository(butler).counts()
    {}
    {'missing file': 1}
    """
    if repair:
        butler._need_writeable()
    report = RepositoryReport()
    for store in butler._datastore.file_stores:
        _CheckedStore(butler, store, report, checksums).check()
    if repair:
        _repair(butler, report, older_than)
    return report


class _CheckedStore:
    """The check of one datastore."""

    def __init__(self, butler: Butler, store: Any, report: RepositoryReport, checksums: bool) -> None:
        self._butler = butler
        self._registry: Any = butler._core_registry
        self._store = store
        self._report = report
        self._checksums = checksums
        self._silent: dict[str, OSError] = {}
        """What was said of servers that do not answer: each of their files would wait for as long again."""

    def check(self) -> None:
        """Look at files first: what is written meanwhile has its records when those are read."""
        with FileListing() as listing:
            walked = self._walk(listing)
            announced = self._announced()
            trashed = self._registry.trashed(self._store.name, table=self._store.records_table)
            listing.name([_file_of(record.path) for record in trashed])
            for record in trashed:
                self._tell("trash", record.path, record.dataset_id)
            for ids in self._batches():
                self._check_batch(ids, listing, walked and self._store.is_remote)
            n_files, n_bytes = listing.total()
            self._report.n_files += n_files
            self._report.n_bytes += n_bytes
            for path, size in listing.unnamed():
                self._check_unnamed(path, size, announced)

    def _tell(self, kind: str, path: str, dataset_id: Any = None, detail: str = "") -> None:
        self._report.problems.append(Problem(kind, self._store.name, path, dataset_id, detail))

    def _walk(self, listing: FileListing) -> bool:
        """List the files of the datastore; false if the server it is on does not let them be listed."""
        own = self._own_files()
        failures: list[OSError] = []
        files = ((path, size) for path, size in walk_files(self._store, failures.append) if path not in own)
        if not self._store.is_remote:
            listing.add(files)
            failures = [error for error in failures if not isinstance(error, FileNotFoundError)]  # removed meanwhile
            if failures:
                more = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
                self._report.not_walked[self._store.name] = f"{failures[0]}{more}"
            return True
        try:
            listing.add(files)
        except OSError as error:
            listing.clear()
            self._report.not_walked[self._store.name] = str(error)
            return False
        return True

    def _own_files(self) -> set[str]:
        """Paths of files that belong to the repository itself."""
        cameras = [record.name for record in self._butler.registry.queryDimensionRecords("instrument")]
        descriptions = (os.path.join(INSTRUMENTS_FOLDER, f"{name}.yaml") for name in cameras)
        own = {CONFIG_NAME, JOURNAL_NAME, *descriptions}
        if not self._store.is_remote:
            root = os.path.realpath(self._store.root)
            database = os.path.relpath(os.path.realpath(self._registry.path), root)
            own.update(database + end for end in ("", "-journal", "-wal", "-shm"))
        return own

    def _announced(self) -> set[str]:
        """Paths that living writers announced; those of dead ones are told."""
        living: set[str] = set()
        for name, path, stale in self._registry.announced_files():
            if name == self._store.name:
                if stale:
                    self._tell("stale announcement", _file_of(path))
                else:
                    living.add(_file_of(path))
        return living

    def _batches(self) -> Iterator[list[Any]]:
        """Ids of the datasets that this datastore is said to have."""
        for run in self._registry.query_collections(None, [int(CollectionType.RUN)]):
            ids = list(self._registry.run_dataset_ids(run))
            for start in range(0, len(ids), _BATCH):
                found = list(self._registry.locations(ids[start : start + _BATCH], self._store.name))
                self._report.n_datasets += len(found)
                yield found

    def _check_batch(self, ids: list[Any], listing: FileListing, sizes_are_listed: bool) -> None:
        records = self._registry.records(ids, table=self._store.records_table)
        recorded = {record.dataset_id for record in records}
        for dataset_id in ids:
            if dataset_id not in recorded:
                self._tell("no record", "", dataset_id)
        files = [_file_of(record.path) for record in records]
        listed = listing.name(files)
        # What is not listed may lie behind a link, as to a folder on another disk, which is then no orphan.
        listing.name(list({folder for file in files if file not in listed for folder in _folders_of(file)}))
        sizes = self._sizes(records, listed if sizes_are_listed else {})
        sound = [record for record in records if self._has_its_size(record, sizes[record.path])]
        if self._checksums:
            self._check_checksums([record for record in sound if record.checksum and not _is_member(record)])

    def _sizes(self, records: list[Any], listed: dict[str, int]) -> dict[str, int | OSError | None]:
        """The size of each file by the path in its record; None where there is none, or why it cannot be looked at.

        Servers are asked only for files that were not listed with the size recorded: they may be new.
        """
        sizes: dict[str, int | OSError | None] = {}
        elsewhere: dict[str, str] = {}
        for record in records:
            size = listed.get(_file_of(record.path))
            if size is not None and (_is_member(record) or record.file_size in (size, -1)):
                sizes[record.path] = size
                continue
            place = self._store.local_path(record)
            if "://" in place:
                elsewhere[record.path] = place
            else:
                sizes[record.path] = _local_size(place)
        return sizes | dict(zip(elsewhere, in_parallel(self._remote_size, elsewhere.values()), strict=True))

    def _remote_size(self, place: str) -> int | OSError | None:
        server = "/".join(place.split("/", 3)[:3])
        if server in self._silent:
            return self._silent[server]
        try:
            return remote_size(place)
        except OSError as error:
            if "error sending request" in str(error):
                self._silent[server] = error
            return error

    def _has_its_size(self, record: Any, size: int | OSError | None) -> bool:
        if isinstance(size, OSError):
            self._tell("unreadable file", record.path, record.dataset_id, str(size))
            return False
        if size is None:
            if self._registry.locations([record.dataset_id], self._store.name):  # not removed meanwhile
                self._tell("missing file", record.path, record.dataset_id)
            return False
        if not _is_member(record) and record.file_size >= 0 and size != record.file_size:
            detail = f"{size} bytes, not {record.file_size}"
            self._tell("wrong size", record.path, record.dataset_id, detail)
            return False
        return True

    def _check_checksums(self, records: list[Any]) -> None:
        by_path = {record.path: record for record in records}
        found = in_parallel(self._checksum, by_path.values())
        for record, checksum in zip(by_path.values(), found, strict=True):
            if isinstance(checksum, OSError):
                self._tell("unreadable file", record.path, record.dataset_id, str(checksum))
            elif checksum != record.checksum:
                self._tell("wrong checksum", record.path, record.dataset_id)

    def _checksum(self, record: Any) -> str | OSError:
        try:
            return str(self._store.checksum(record))
        except OSError as error:
            return error

    def _check_unnamed(self, path: str, size: int, announced: set[str]) -> None:
        name = os.path.basename(path)
        if name.startswith(TEMPORARY_PREFIX):
            if is_abandoned(name):
                self._tell("temporary file", path, detail=f"{size} bytes")
        elif path not in announced:
            # Some clients mark a folder of an object store by an empty object `NAME/`, which no file is.
            if size == 0 and self._store.is_remote and not self._store.is_taken(path):
                return
            self._tell("orphan file", path, detail=f"{size} bytes")


def _file_of(path: str) -> str:
    """The file of a stored path, which may name a member of an archive."""
    return path.partition(ZIP_MARK)[0]


def _folders_of(path: str) -> Iterator[str]:
    """The folders that a path goes through, from its own to that below the root."""
    while path := os.path.dirname(path):
        if path == os.sep or "://" in path:
            return
        yield path


def _is_member(record: Any) -> bool:
    """Tell whether a record is of a member of an archive, whose size is not the file's."""
    return ZIP_MARK in record.path


def _local_size(path: str) -> int | OSError | None:
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return error


def _repair(butler: Butler, report: RepositoryReport, older_than: float) -> None:
    stores = {store.name: store for store in butler._datastore.file_stores}
    for problem in report.problems:
        if problem.kind in ("orphan file", "temporary file"):
            age = older_than if problem.kind == "orphan file" else 0.0
            try:
                moved = put_aside(stores[problem.datastore], problem.path, age)
            except OSError as error:
                report.not_moved[problem.path] = str(error)
                continue
            if moved is not None:
                report.moved[problem.path] = moved
                report.solved.append(problem)
    if any(problem.kind == "stale announcement" for problem in report.problems):
        butler._recover()
        report.solved.extend(_of_kind(report, "stale announcement"))
    if any(problem.kind == "trash" for problem in report.problems):
        butler._empty_trash()
        report.solved.extend(_of_kind(report, "trash"))


def _of_kind(report: RepositoryReport, kind: str) -> Iterable[Problem]:
    return [problem for problem in report.problems if problem.kind == kind]
