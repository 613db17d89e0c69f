"""What the processes of an engine note of a batch while they run it, so that a lost batch is known to the quantum.

One file for each batch, in a folder that the driver and all processes see. A line is written before a quantum starts
and another when it has ended. A batch whose file is there already is not begun a second time, whatever an engine does.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from typing import Any

from armillary.pipeline.execution.outcome import QuantumOutcome, QuantumState
from armillary.pipeline.status import ExceptionInfo, QuantumSuccessCaveats

__all__ = ["BatchJournal", "BatchRefused", "n_ended", "seal"]


_SEALED = ".sealed"
"""Ending of a file that says that nobody goes on with a batch."""


class BatchRefused(Exception):  # an event, told as it is
    """A batch was to be begun a second time, or after its driver had given it up.

    Examples
    --------
    >>> str(BatchRefused("batch 3 has been begun before"))
    'batch 3 has been begun before'
    """


def _path(folder: str, number: int) -> str:
    return os.path.join(folder, f"batch-{number}.jsonl")


class BatchJournal:
    """Notes what happens in one batch.

    Parameters
    ----------
    folder
        The folder of the run.
    number
        Which batch.

    Raises
    ------
    BatchRefused
        The batch has been begun before.

    Examples
    --------
    >>> import tempfile, uuid
    >>> quantum_id = uuid.UUID(int=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with BatchJournal(folder, 0) as journal:
    ...         journal.begin(quantum_id)
    ...     seal(folder, 0)
    (UUID('00000000-0000-0000-0000-000000000001'), {})
    """

    def __init__(self, folder: str, number: int) -> None:
        self._path = _path(folder, number)
        try:
            self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        except FileExistsError:
            raise BatchRefused(f"batch {number} has been begun before") from None

    def __enter__(self) -> BatchJournal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def begin(self, quantum_id: uuid.UUID) -> None:
        """Note that a quantum starts.

        Raises
        ------
        BatchRefused
            The driver has given the batch up.
        """
        if os.path.exists(self._path + _SEALED):
            raise BatchRefused("the batch was given up; others run what is left of it")
        self._write({"begin": str(quantum_id)})

    def end(self, outcome: QuantumOutcome) -> None:
        """Note how a quantum ended."""
        self._write({"end": _to_simple(outcome)})


def seal(folder: str, number: int) -> tuple[uuid.UUID | None, dict[uuid.UUID, QuantumOutcome]]:
    """Keep a batch from being begun or gone on with, and tell what was noted.

    Returns
    -------
    running
        The quantum that had begun and not ended; None when there is none.
    ended
        How those that ended did, by quantum id.
    """
    path = _path(folder, number)
    os.close(os.open(path + _SEALED, os.O_CREAT | os.O_WRONLY, 0o600))
    with contextlib.suppress(FileExistsError):  # then it was begun
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return _read(path)


def n_ended(folder: str, number: int) -> int:
    """Tell how many quanta of a batch have ended; 0 when it was not begun."""
    try:
        return len(_read(_path(folder, number))[1])
    except FileNotFoundError:
        return 0


def _read(path: str) -> tuple[uuid.UUID | None, dict[uuid.UUID, QuantumOutcome]]:
    running: uuid.UUID | None = None
    ended: dict[uuid.UUID, QuantumOutcome] = {}
    with open(path, encoding="utf-8") as stream:
        for text in stream:
            if not text.endswith("\n"):  # cut short by the death of the process
                break
            line = json.loads(text)
            if "begin" in line:
                running = uuid.UUID(line["begin"])
            else:
                outcome = _from_simple(line["end"])
                ended[outcome.quantum_id] = outcome
                running = None
    return running, ended


def _to_simple(outcome: QuantumOutcome) -> dict[str, Any]:
    return {
        "quantum_id": str(outcome.quantum_id),
        "label": outcome.label,
        "state": outcome.state.value,
        "caveats": outcome.caveats.value,
        "exception": None if outcome.exception is None else outcome.exception.model_dump(),
        "exit_code": outcome.exit_code,
        "seconds": outcome.seconds,
        "kinds": outcome.kinds,
        "removed": [str(key) for key in outcome.removed],
        "written": [_record_to_simple(record) for records in outcome.written.values() for record in records],
    }


def _from_simple(simple: dict[str, Any]) -> QuantumOutcome:
    written: dict[uuid.UUID, list[Any]] = {}
    for fields in simple["written"]:
        record = _record_from_simple(fields)
        written.setdefault(record.dataset_id, []).append(record)
    return QuantumOutcome(
        uuid.UUID(simple["quantum_id"]),
        simple["label"],
        QuantumState(simple["state"]),
        QuantumSuccessCaveats(simple["caveats"]),
        None if simple["exception"] is None else ExceptionInfo(**simple["exception"]),
        simple["exit_code"],
        written=written,
        removed=[uuid.UUID(text) for text in simple["removed"]],
        seconds=simple["seconds"],
        kinds=tuple(simple["kinds"]),
    )


_RECORD_FIELDS = ("path", "formatter", "storage_class", "component", "checksum", "file_size")


def _record_to_simple(record: Any) -> list[Any]:
    return [str(record.dataset_id), *(getattr(record, name) for name in _RECORD_FIELDS)]


def _record_from_simple(fields: list[Any]) -> Any:
    from armillary.storage.file_record import FileRecord

    return FileRecord(uuid.UUID(fields[0]), *fields[1:])
