"""Whether the files and the records of a repository fit each other, and what to do where they do not."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from armillary._files import TEMPORARY_PREFIX, is_abandoned
from armillary.butler.collection_journal import JOURNAL_NAME
from armillary.butler.collection_type import CollectionType
from armillary.repository_config import CONFIG_NAME, INSTRUMENTS_FOLDER

if TYPE_CHECKING:
    from armillary.butler.butler import Butler

__all__ = ["LOST_FOLDER", "Problem", "RepositoryReport", "check_repository"]

LOST_FOLDER = os.path.join(".armillary", "lost")
"""Where files are put that no record names, below the root of their datastore."""

KINDS = {
    "missing file": "a record names a file that is not there",
    "wrong size": "a file has another size than its record says",
    "wrong checksum": "a file has another content than its record says",
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
    where they are now; `remaining` are the problems that `repair` did not solve, `not_walked` datastores on other
    machines, where files without records were not looked for.
    """

    problems: list[Problem] = field(default_factory=list)
    n_datasets: int = 0
    n_files: int = 0
    n_bytes: int = 0
    moved: dict[str, str] = field(default_factory=dict)
    solved: list[Problem] = field(default_factory=list)
    not_walked: list[str] = field(default_factory=list)

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

    def check(self) -> None:
        """Look at files first: what is written meanwhile has its records when those are read."""
        files: dict[str, int] = {}
        if self._store.is_remote:
            self._report.not_walked.append(self._store.name)
        else:
            files = dict(self._walk(self._own_files()))
        announced = self._announced()
        trashed = self._registry.trashed(self._store.name, table=self._store.records_table)
        named: set[str] = set()
        for record in trashed:
            named.add(_file_of(record.path))
            self._tell("trash", record.path, record.dataset_id)
        named |= self._check_records()
        for path, size in files.items():
            self._report.n_files += 1
            self._report.n_bytes += size
            if path in named:
                continue
            name = os.path.basename(path)
            if name.startswith(TEMPORARY_PREFIX):
                if is_abandoned(name):
                    self._tell("temporary file", path, detail=f"{size} bytes")
            elif path not in announced:
                self._tell("orphan file", path, detail=f"{size} bytes")

    def _tell(self, kind: str, path: str, dataset_id: Any = None, detail: str = "") -> None:
        self._report.problems.append(Problem(kind, self._store.name, path, dataset_id, detail))

    def _own_files(self) -> set[str]:
        """Paths of files that belong to the repository itself."""
        root = os.path.realpath(self._store.root)
        database = os.path.relpath(os.path.realpath(self._registry.path), root)
        cameras = [record.name for record in self._butler.registry.queryDimensionRecords("instrument")]
        descriptions = (os.path.join(INSTRUMENTS_FOLDER, f"{name}.yaml") for name in cameras)
        ends = ("", "-journal", "-wal", "-shm")
        return {CONFIG_NAME, JOURNAL_NAME, *descriptions, *(database + end for end in ends)}

    def _walk(self, own: set[str]) -> Iterator[tuple[str, int]]:
        root = self._store.root
        for folder, folders, names in os.walk(root):
            if folder == root and ".armillary" in folders:
                folders.remove(".armillary")
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            for name in (*names, *links):
                path = os.path.relpath(os.path.join(folder, name), root)
                if path not in own:
                    try:
                        yield path, os.lstat(os.path.join(folder, name)).st_size
                    except FileNotFoundError:
                        continue  # removed while we look

    def _announced(self) -> set[str]:
        """Paths that living writers announced; those of dead ones are told."""
        living: set[str] = set()
        for name, path, stale in self._registry.announced_files():
            if name == self._store.name:
                if stale:
                    self._tell("stale announcement", path)
                else:
                    living.add(path)
        return living

    def _check_records(self) -> set[str]:
        named: set[str] = set()
        for ids in self._batches():
            records = self._registry.records(ids, table=self._store.records_table)
            recorded = {record.dataset_id for record in records}
            for dataset_id in ids:
                if dataset_id not in recorded:
                    self._tell("no record", "", dataset_id)
            for record in records:
                named.add(_file_of(record.path))
                self._check_record(record)
        return named

    def _batches(self) -> Iterator[list[Any]]:
        """Ids of the datasets that this datastore is said to have."""
        for run in self._registry.query_collections(None, [int(CollectionType.RUN)]):
            ids = list(self._registry.run_dataset_ids(run))
            for start in range(0, len(ids), _BATCH):
                found = list(self._registry.locations(ids[start : start + _BATCH], self._store.name))
                self._report.n_datasets += len(found)
                yield found

    def _check_record(self, record: Any) -> None:
        size = self._size(record)
        if size is None:
            if self._registry.locations([record.dataset_id], self._store.name):  # not removed meanwhile
                self._tell("missing file", record.path, record.dataset_id)
            return
        if _file_of(record.path) != record.path:
            return  # a member of an archive; its size is not the file's
        if record.file_size >= 0 and size != record.file_size:
            detail = f"{size} bytes, not {record.file_size}"
            self._tell("wrong size", record.path, record.dataset_id, detail)
        elif self._checksums and record.checksum and self._checksum(record) != record.checksum:
            self._tell("wrong checksum", record.path, record.dataset_id)

    def _checksum(self, record: Any) -> str:
        import hashlib

        with self._store.open_file(record) as stream:
            return hashlib.file_digest(stream, "blake2b").hexdigest()

    def _size(self, record: Any) -> int | None:
        local = self._store.local_path(record)
        if "://" in local:
            return record.file_size if self._store.exists([record]) else None
        try:
            return os.stat(local).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None


def _file_of(path: str) -> str:
    """The file of a stored path, which may name a member of an archive."""
    return path.partition("#zip-path=")[0]


def _repair(butler: Butler, report: RepositoryReport, older_than: float) -> None:
    stores = {store.name: store for store in butler._datastore.file_stores}
    for problem in report.problems:
        if problem.kind in ("orphan file", "temporary file"):
            root = stores[problem.datastore].root
            moved = _put_aside(root, problem.path, older_than if problem.kind == "orphan file" else 0.0)
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


def _put_aside(root: str, path: str, older_than: float) -> str | None:
    """Move a file into the folder of lost files, under its own path; None if it is gone or too young."""
    source = os.path.join(root, path)
    target = os.path.join(root, LOST_FOLDER, path)
    try:
        if time.time() - os.lstat(source).st_mtime < older_than:
            return None
    except FileNotFoundError:
        return None
    os.makedirs(os.path.dirname(target), exist_ok=True)
    n = 0
    while os.path.lexists(target):  # an earlier one of the same name is kept, too
        n += 1
        target = os.path.join(root, LOST_FOLDER, f"{path}.{n}")
    os.rename(source, target)
    return os.path.relpath(target, root)
