"""What a repository holds, read with clients of the database and of the files: no code of armillary has a say in it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from zipfile import is_zipfile

DATABASE = "gen3.sqlite3"
OWN = {"butler.yaml", DATABASE, f"{DATABASE}-journal"}


@dataclass
class State:
    """Rows by names and paths, which do not differ from run to run as ids do, and all files with their content."""

    registered: dict[str, int | None] = field(default_factory=dict)
    collections: set[str] = field(default_factory=set)
    chains: list[tuple[str, int, str]] = field(default_factory=list)
    tagged: list[tuple[str, str]] = field(default_factory=list)
    certified: list[tuple[str, str, int, int]] = field(default_factory=list)
    datasets: int = 0
    trash: set[str] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)
    announced: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def rows(self) -> tuple[object, ...]:
        """What must change as a whole or not at all."""
        return (self.registered, self.chains, self.tagged, self.certified, self.datasets)


Select = Callable[[str], list[tuple[Any, ...]]]


def look(root: str) -> State:
    """Read a repository; `problems` says what must never be: a row without its whole file, a broken database."""
    state = State()
    read_database(root, state)
    read_folder(root, state)
    find_problems(state)
    return state


def read_database(root: str, state: State) -> None:
    """Read the database of a repository that is a file, and the announcements beside it."""
    database = sqlite3.connect(f"file:{root}/{DATABASE}?mode=rw", uri=True)
    try:
        ((verdict,),) = database.execute("PRAGMA integrity_check")
        broken_keys = list(database.execute("PRAGMA foreign_key_check"))
        if verdict != "ok" or broken_keys:
            state.problems.append(f"the database is broken: {verdict} {broken_keys[:3]}")
        read_rows(
            lambda sql: list(database.execute(sql)),
            state,
            tables="SELECT name FROM sqlite_master WHERE type = 'table'",
            timespan="timespan_begin, timespan_end",
        )
    finally:
        database.close()
    intents = os.path.join(root, ".armillary", "intents")
    if os.path.isdir(intents):
        state.announced += os.listdir(intents)


def read_folder(root: str, state: State) -> None:
    """Read the files of a repository."""
    for folder, folders, names in os.walk(root):
        if folder == root and ".armillary" in folders:
            folders.remove(".armillary")
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root)
            if path not in OWN:
                with open(os.path.join(folder, name), "rb") as stream:
                    state.files[path] = stream.read()


def find_problems(state: State) -> None:
    """Compare rows and files."""
    for path, size in state.registered.items():
        file = path.removeprefix("file://")
        if os.path.isabs(file):
            if not os.path.exists(file):
                state.problems.append(f"`{path}` is registered and not there")
        elif path not in state.files:
            state.problems.append(f"`{path}` is registered and not there")
        elif path.endswith(".zip"):
            if not is_zipfile(BytesIO(state.files[path])):
                state.problems.append(f"`{path}` is no whole archive")
        elif size not in (None, -1, len(state.files[path])):
            state.problems.append(f"`{path}` is registered with {size} bytes and has {len(state.files[path])}")


def left_over(state: State) -> list[str]:
    """What a recovered repository must not have: files without rows, half-written ones, trash, announcements."""
    found = [f"`{path}` has no row" for path in state.files if path not in state.registered]
    found += [f"`{path}` is still trash" for path in state.trash]
    return found + [f"announcement {name}" for name in state.announced]


def read_rows(select: Select, state: State, *, tables: str, timespan: str) -> None:
    """Read what a database holds; `tables` asks for the names of its tables."""
    trash = "(SELECT dataset_id FROM dataset_location_trash)"
    located = "(SELECT dataset_id FROM dataset_location)"
    record = "file_datastore_records"
    rows = select(f"SELECT path, file_size FROM {record} WHERE dataset_id IN {located}")
    state.registered = {path.partition("#zip-path=")[0]: size for path, size in rows}  # members are in one file
    state.trash = {path for (path,) in select(f"SELECT path FROM {record} WHERE dataset_id IN {trash}")}
    state.collections = {name for (name,) in select("SELECT name FROM collection")}
    state.chains = select(
        "SELECT p.name, position, c.name FROM collection_chain JOIN collection p ON p.collection_id = parent "
        "JOIN collection c ON c.collection_id = child ORDER BY 1, 2"
    )
    ((state.datasets,),) = select("SELECT count(*) FROM dataset")
    for (table,) in select(tables):
        if table.startswith("dataset_tags_"):
            state.tagged += select(
                f"SELECT c.name, path FROM {table} t JOIN collection c USING (collection_id) "
                f"JOIN {record} r ON r.dataset_id = t.dataset_id WHERE c.type = 2"
            )
        elif table.startswith("dataset_calibs_"):
            state.certified += select(
                f"SELECT c.name, path, {timespan} FROM {table} t "
                f"JOIN collection c USING (collection_id) JOIN {record} r ON r.dataset_id = t.dataset_id"
            )
    state.tagged.sort()
    state.certified.sort()
