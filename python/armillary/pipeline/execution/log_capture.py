"""What is logged while a quantum runs, kept as a dataset."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.storage.log_records import ButlerLogRecords

__all__ = ["attempts_of", "capture_logs"]

CAPTURE_LEVEL = logging.INFO
"""Least level that is kept when no logger says otherwise."""


class _Capture(logging.Handler):
    """Keeps records with the labels of the quantum."""

    def __init__(self, records: ButlerLogRecords, labels: dict[str, str]) -> None:
        super().__init__()
        self._records = records
        self._labels = labels

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        from armillary.storage.log_records import ButlerLogRecord

        kept = ButlerLogRecord.from_record(record)
        kept.MDC = {**kept.MDC, **self._labels}
        self._records.append(kept)


@contextlib.contextmanager
def capture_logs(
    label: str, data_id: Any, run: str | None, records: ButlerLogRecords | None = None
) -> Iterator[ButlerLogRecords]:
    """Collect what is logged in the block.

    Parameters
    ----------
    label, data_id
        Label of the task and data ID of the quantum, noted in every record.
    run
        RUN collection that is written to.
    records
        What they are added to; new by default.

    Examples
    --------
    >>> with capture_logs("isr", {"detector": 3}, "u/me/run") as records:
    ...     logging.getLogger("survey").warning("few stars")
    >>> records[0].message, records[0].MDC["LABEL"]
    ('few stars', "isr:{'detector': 3}")
    """
    from armillary.storage.log_records import ButlerLogRecords

    if records is None:
        records = ButlerLogRecords([])
    labels = {"LABEL": f"{label}:{data_id}", **({"RUN": run} if run is not None else {})}
    handler = _Capture(records, labels)
    handler.setLevel(logging.NOTSET)
    root = logging.getLogger()
    level = root.level
    with contextlib.ExitStack() as undo:
        if level in (logging.NOTSET, logging.WARNING):  # nobody has chosen a level
            undo.enter_context(_silenced(root, level))
            root.setLevel(CAPTURE_LEVEL)
            undo.callback(root.setLevel, level)
        root.addHandler(handler)
        undo.callback(root.removeHandler, handler)
        yield records


@contextlib.contextmanager
def _silenced(root: logging.Logger, level: int) -> Iterator[None]:
    """Keep handlers that are there already from showing more than before, although more is now logged."""
    shown = max(level, logging.WARNING)
    changed = [(handler, handler.level) for handler in root.handlers if handler.level < shown]
    for handler, _ in changed:
        handler.setLevel(shown)
    try:
        yield
    finally:
        for handler, before in changed:
            handler.setLevel(before)


def attempts_of(log: ButlerLogRecords) -> list[dict[str, Any]]:
    """Return the attempts that a log tells of, the earliest first, in the form in which a later log holds them.

    >>> from armillary.storage.log_records import ButlerLogRecords
    >>> log = ButlerLogRecords([], {"exception": {"type_name": "ValueError"}, "previous_attempts": [{"logs": []}]})
    >>> [sorted(attempt) for attempt in attempts_of(log)][0]
    ['logs']
    >>> attempts_of(log)[1]["exception"]
    {'type_name': 'ValueError'}
    """
    last = {
        "exception": log.extra.get("exception"),
        "metadata": log.extra.get("metadata"),
        "previous_process_quanta": log.extra.get("previous_process_quanta", []),
        "logs": [record.to_dict() for record in log],
        "previous_attempts": [],
    }
    return [*log.extra.get("previous_attempts", []), last]
