"""The one writer of a run: it registers what quanta wrote, in batches."""

from __future__ import annotations

import contextlib
import logging
import os
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from armillary._files import DiskReserve
from armillary.errors import RegistryError
from armillary.pipeline.execution.chained_outputs import ChainedOutputs
from armillary.pipeline.execution.outcome import QuantumOutcome

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef

__all__ = ["OutputRecorder"]

_LOG = logging.getLogger(__name__)

BATCH_QUANTA = 500
BATCH_SECONDS = 2.0
RESERVE = 1 << 18
RESERVE_PER_QUANTUM = 1 << 14
MOST_RESERVE = 1 << 24
"""Bytes kept free for rows, so that what was written before a disk ran full is registered all the same."""


class OutputRecorder:
    """Registers the files that quanta wrote, many quanta in one transaction.

    Before quanta start, the files they may write are announced (`begin`); what was announced and never registered,
    because the program was killed, is removed when the repository is next opened for writing.

    Parameters
    ----------
    butler
        Writes to the repository.
    n_quanta
        How many quanta there are.

    Raises
    ------
    OSError
        The disk is full already.

    Examples
    --------
    `OutputRecorder(butler)`, then for each batch of quanta `begin(refs)`, for each quantum `add(outcome, refs)`, and
    `flush()` at the end.
    """

    def __init__(self, butler: Butler, n_quanta: int = 0) -> None:
        self._registry: Any = butler._core_registry
        self._datastore: Any = butler._datastore.file_datastore
        self._outputs = ChainedOutputs(butler)
        self._refs: list[DatasetRef] = []
        self._records: list[Any] = []
        self._removed: list[uuid.UUID] = []
        self._n_quanta = 0
        self._last = time.monotonic()
        self._open: dict[int, set[uuid.UUID]] = {}
        self._intent_of: dict[uuid.UUID, int] = {}
        self._paths_of: dict[uuid.UUID, list[str]] = {}
        self._lost: list[str] = []
        room = min(RESERVE + n_quanta * RESERVE_PER_QUANTUM, MOST_RESERVE)
        self._reserve = DiskReserve(os.path.dirname(os.path.abspath(self._registry.path)), room)

    def begin(self, quanta: Mapping[uuid.UUID, Iterable[DatasetRef]]) -> dict[uuid.UUID, str]:
        """Announce the files that quanta may write.

        Returns
        -------
        refused
            Why a quantum must not run, by its id: a file it would write holds another dataset of the run.
        """
        paths: list[str] = []
        begun: set[uuid.UUID] = set()
        refused: dict[uuid.UUID, str] = {}
        for quantum_id, refs in quanta.items():
            own: list[str] = []
            for ref in refs:
                records = self._datastore.predict_records(ref)
                own.extend(record.path for record in records)
                other = self._other_dataset(ref, records)
                if other is not None:
                    refused[quantum_id] = (
                        f"{other} is in the run already, with another id than this graph gives it; build the graph "
                        "again with `--skip-existing` or `--clobber-outputs`"
                    )
            if quantum_id not in refused:
                paths.extend(own)
                begun.add(quantum_id)
                self._paths_of[quantum_id] = own
        if begun:
            intent = self._registry.begin_write(self._datastore.name, paths)
            self._open[intent] = begun
            self._intent_of.update(dict.fromkeys(begun, intent))
        return refused

    def _other_dataset(self, ref: DatasetRef, records: list[Any]) -> DatasetRef | None:
        """Return the registered dataset that is where this one would be written; a file nobody knows is no such."""
        if not self._datastore.exists(records):
            return None
        found: DatasetRef | None = self._registry.find_dataset(ref.datasetType.name, ref.dataId, [ref.run])
        return found if found is not None and found.id != ref.id else None

    def add(self, outcome: QuantumOutcome, refs: Iterable[DatasetRef]) -> None:
        """Take over what a quantum wrote; `refs` are its outputs."""
        for ref in refs:
            records = outcome.written.get(ref.id)
            if records:
                self._refs.append(ref)
                self._records.extend(records)
        self._removed.extend(outcome.removed)
        self._n_quanta += 1
        paths = self._paths_of.pop(outcome.quantum_id, [])
        if outcome.state.is_failure or outcome.attempts > 1:  # a killed process could not tell what it had written
            told = {record.path for records in outcome.written.values() for record in records}
            self._lost.extend(path for path in paths if path not in told)
        intent = self._intent_of.pop(outcome.quantum_id, None)
        if intent is not None:
            self._open[intent].discard(outcome.quantum_id)
        if self._n_quanta >= BATCH_QUANTA or time.monotonic() - self._last > BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Register everything that was added so far.

        When the database has no room, the room kept for this is used, and the error is raised all the same: the run
        should end.
        """
        try:
            self._flush()
        except Exception:
            if self._reserve.give_back():
                self._flush()
            raise

    def _flush(self) -> None:
        if self._lost:
            self._datastore.recover(self._lost)
            self._lost = []
        finished = [intent for intent, quanta in self._open.items() if not quanta]
        name, table = self._datastore.name, self._datastore.records_table
        if self._removed:
            self._registry.unstore(name, self._removed, purge=False, table=table)
            self._removed = []
        self._datastore.sync([record.path for record in self._records])
        if self._refs or finished:
            first = finished[0] if finished else None
            self._outputs.register(self._refs, self._records, first)
            for intent in finished[1:]:
                self._registry.finish_write(intent, name, [], [], register=True, table=table)
            for intent in finished:
                del self._open[intent]
            _LOG.debug("registered %d datasets of %d quanta", len(self._refs), self._n_quanta)
        self._refs, self._records, self._n_quanta = [], [], 0
        self._last = time.monotonic()

    def close(self) -> None:
        """Register what is left; files of quanta that did not end are removed, with their announcements."""
        try:
            self.flush()
        finally:
            self._withdraw()
            self._reserve.give_back()

    def _withdraw(self) -> None:
        paths = [record.path for record in self._records]  # they could not be registered
        self._datastore.recover([*paths, *(path for own in self._paths_of.values() for path in own)])
        with contextlib.suppress(RegistryError):  # the next writer withdraws what this one cannot
            for intent in list(self._open):
                self._registry.abandon_write(intent)
        self._open.clear()
        self._intent_of.clear()
        self._paths_of.clear()
