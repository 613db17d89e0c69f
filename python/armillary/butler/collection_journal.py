"""A journal of edits of collections, so that the last one can be undone.

It is a file beside `butler.yaml`, one JSON object a line, which the peer does not look at. An entry holds what the
edited collection was before and is after; an edit is undone only while the collection still is what it was after it.
"""

from __future__ import annotations

import contextlib
import datetime
import getpass
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from armillary.errors import ButlerUserError

__all__ = ["JOURNAL_NAME", "CollectionJournal", "UndoError"]

JOURNAL_NAME = "armillary-collection-edits.jsonl"
MAX_MEMBERS = 100_000
"""Edits of more datasets than this are noted without them, and cannot be undone."""


class UndoError(ButlerUserError):
    """The last edit cannot be undone."""

    kind = "undo"


@dataclass
class _Edit:
    """An edit of one collection. `before` and `after` are its state; None where it does not exist."""

    name: str
    what: str
    when: str
    who: str
    dataset_types: list[str]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class CollectionJournal:
    """The journal of a repository.

    Parameters
    ----------
    butler
        The repository, open for writing.

    Examples
    --------
    >>> from armillary.butler import CollectionType
    >>> from armillary.testing import small_repository
    >>> with small_repository(run="u/me") as butler:
    ...     journal = CollectionJournal(butler)
    ...     with journal.noting("collection-chain", "all"):
    ...         butler.collections.register("all", CollectionType.CHAINED)
    ...         butler.collections.redefine_chain("all", ["u/me"])
    ...     journal.undo().what, butler.collections.query("all*")
    True
    ('collection-chain', [])
    """

    def __init__(self, butler: Any):
        self._butler = butler
        self._root = None if butler._root is None or "://" in str(butler._root) else Path(str(butler._root))

    @contextlib.contextmanager
    def noting(self, what: str, name: str, dataset_types: Iterable[str] = ()) -> Iterator[None]:
        """Note what the block does to a collection; nothing is noted if it fails or changes nothing.

        `dataset_types` are those whose tags or validity ranges it changes.
        """
        types = sorted(dataset_types)
        before = self._state(name, types)
        yield
        after = self._state(name, types)
        if before == after or self._root is None:
            return
        when = datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds")
        edit = _Edit(name, what, when, _user(), types, before, after)
        with contextlib.suppress(OSError):  # an edit that is done is not called failed for want of a note
            self._write(json.dumps(asdict(edit)) + "\n")

    def _write(self, line: str) -> None:
        assert self._root is not None
        with open(self._root / JOURNAL_NAME, "a", encoding="utf-8") as stream:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())

    def edits(self) -> list[_Edit]:
        """Give the edits that are noted, oldest first."""
        if self._root is None or not (self._root / JOURNAL_NAME).exists():
            return []
        found = []
        for line in (self._root / JOURNAL_NAME).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError, TypeError):  # a line that a crash cut short
                found.append(_Edit(**json.loads(line)))
        return found

    def undo(self) -> _Edit:
        """Undo the last edit, and forget it.

        Raises
        ------
        UndoError
            If there is none, or the collection was changed since.
        """
        edits = self.edits()
        if not edits:
            raise UndoError("no edit of a collection is noted in this repository")
        edit = edits[-1]
        if None in ((edit.before or {}).get("members", ()), (edit.after or {}).get("members", ())):
            raise UndoError(
                f"`{edit.what}` changed more than {MAX_MEMBERS} datasets of `{edit.name}`: too many to undo"
            )
        if self._state(edit.name, edit.dataset_types) != edit.after:
            raise UndoError(f"`{edit.name}` was changed after `{edit.what}` of {edit.when}: that is not undone")
        with self._butler.transaction():
            self._restore(edit)
        self._forget_last()
        return edit

    def _forget_last(self) -> None:
        assert self._root is not None
        lines = (self._root / JOURNAL_NAME).read_text(encoding="utf-8").splitlines(keepends=True)
        temporary = self._root / f".{JOURNAL_NAME}.{uuid.uuid4().hex}"
        temporary.write_text("".join(lines[:-1]), encoding="utf-8")
        os.replace(temporary, self._root / JOURNAL_NAME)

    def _state(self, name: str, dataset_types: list[str]) -> dict[str, Any] | None:
        """What a collection is: its type, and its children or members."""
        from armillary.butler.collection_type import CollectionType

        if name not in self._butler.collections.query("*"):
            return None
        info = self._butler.collections.get_info(name)
        state: dict[str, Any] = {"type": info.type.name, "doc": info.doc}
        if info.type is CollectionType.CHAINED:
            return state | {"children": list(info.children)}
        members: list[list[Any]] = []
        for dataset_type in dataset_types:
            for item in self._butler.registry.queryDatasetAssociations(dataset_type, [name]):
                span = None if item.timespan is None else [item.timespan.nsec[0], item.timespan.nsec[1]]
                members.append([str(item.ref.id), span])
        return state | {"members": None if len(members) > MAX_MEMBERS else sorted(members, key=str)}

    def _restore(self, edit: _Edit) -> None:
        from armillary.butler.collection_type import CollectionType

        collections, registry = self._butler.collections, self._butler.registry
        if edit.before is None:
            if edit.after and edit.after.get("members"):
                self._change_members(edit, [], edit.after["members"])
            collections.x_remove(edit.name)
            return
        if edit.after is None:
            collections.register(edit.name, CollectionType[edit.before["type"]], edit.before["doc"] or None)
        if "children" in edit.before:
            collections.redefine_chain(edit.name, edit.before["children"])
        else:
            self._change_members(edit, edit.before["members"], (edit.after or {}).get("members", []))
        if edit.before["doc"] != (edit.after or {}).get("doc"):
            registry.setCollectionDocumentation(edit.name, edit.before["doc"] or None)

    def _change_members(self, edit: _Edit, before: list[list[Any]], after: list[list[Any]]) -> None:
        """Make the members those before, of a TAGGED or a CALIBRATION collection."""
        registry = self._butler.registry
        had, has = ({(member, tuple(span) if span else None) for member, span in items} for items in (before, after))
        refs = {str(ref.id): ref for ref in self._butler.get_many_datasets({uuid.UUID(m) for m, _ in had ^ has})}
        if (edit.before or edit.after or {})["type"] == "TAGGED":
            registry.disassociate(edit.name, [refs[member] for member, _ in has - had])
            registry.associate(edit.name, [refs[member] for member, _ in had - has])
            return
        from armillary.butler import Timespan

        def spans(items: set[Any]) -> dict[Any, list[Any]]:
            grouped: dict[Any, list[Any]] = {}
            for member, span in sorted(items, key=str):
                grouped.setdefault(span, []).append(refs[member])
            return grouped

        for span, found in spans(has - had).items():
            for ref in found:
                timespan = Timespan(None, None, _nsec=span)
                registry.decertify(edit.name, ref.datasetType, timespan, dataIds=[ref.dataId])
        for span, found in spans(had - has).items():
            registry.certify(edit.name, found, Timespan(None, None, _nsec=span))


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        return str(os.getuid())
