"""The one writer of a run: it registers what quanta wrote, in batches."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from armillary.pipeline.execution.outcome import QuantumOutcome

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef

__all__ = ["OutputRecorder"]

_LOG = logging.getLogger(__name__)

BATCH_QUANTA = 500
BATCH_SECONDS = 2.0


class OutputRecorder:
    """Registers the files that quanta wrote, many quanta in one transaction.

    Before quanta start, the files they may write are announced (`begin`); what was announced and never registered,
    because the program was killed, is removed when the repository is next opened for writing.

    Parameters
    ----------
    butler
        Writes to the repository.

    Examples
    --------
    `OutputRecorder(butler)`, then for each batch of quanta `begin(refs)`, for each quantum `add(outcome, refs)`, and
    `flush()` at the end.
    """

    def __init__(self, butler: Butler) -> None:
        self._registry: Any = butler._core_registry
        self._datastore: Any = butler._datastore
        self._refs: list[DatasetRef] = []
        self._records: list[Any] = []
        self._removed: list[uuid.UUID] = []
        self._n_quanta = 0
        self._last = time.monotonic()
        self._open: dict[int, set[uuid.UUID]] = {}
        self._intent_of: dict[uuid.UUID, int] = {}

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
        intent = self._intent_of.pop(outcome.quantum_id, None)
        if intent is not None:
            self._open[intent].discard(outcome.quantum_id)
        if self._n_quanta >= BATCH_QUANTA or time.monotonic() - self._last > BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Register everything that was added so far."""
        finished = [intent for intent, quanta in self._open.items() if not quanta]
        name = self._datastore.name
        if self._removed:
            self._registry.trash(name, self._removed, purge=False)
            self._registry.empty_trash(name, self._removed)
            self._removed = []
        if self._refs or finished:
            first = finished[0] if finished else None
            self._registry.finish_write(first, name, self._refs, self._records, register=True)
            for intent in finished[1:]:
                self._registry.finish_write(intent, name, [], [], register=True)
            for intent in finished:
                del self._open[intent]
            _LOG.debug("registered %d datasets of %d quanta", len(self._refs), self._n_quanta)
        self._refs, self._records, self._n_quanta = [], [], 0
        self._last = time.monotonic()

    def close(self) -> None:
        """Register what is left; announcements of quanta that did not end are withdrawn."""
        self.flush()
        for intent in list(self._open):
            self._registry.abandon_write(intent)
        self._open.clear()
        self._intent_of.clear()
