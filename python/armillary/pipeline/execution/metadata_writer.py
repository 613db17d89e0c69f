"""Who says which quanta are done where there is no registry: metadata are written when all else stays."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from armillary.pipeline.execution import recorder
from armillary.pipeline.execution.outcome import QuantumOutcome

if TYPE_CHECKING:
    from armillary.butler import DatasetRef

__all__ = ["MetadataWriter"]

_LOG = logging.getLogger(__name__)


class MetadataWriter:
    """Syncs what many quanta wrote, together, and then writes their metadata.

    A file of metadata says that its quantum is done. A program that is killed before it is written has the quanta of
    the last two seconds run again; a power cut never leaves metadata of which the other outputs are gone.

    Parameters
    ----------
    graph
        The graph that is run.
    datastore
        Where files are.

    Examples
    --------
    `MetadataWriter(graph, datastore)`, then for each quantum `add(outcome, refs)`, and `flush()` at the end.
    """

    def __init__(self, graph: Any, datastore: Any) -> None:
        self._datastore = datastore
        self._unsynced = datastore.without_sync()
        tasks = graph.pipeline_graph.tasks
        self._name_of = {label: node.metadata_output.dataset_type_name for label, node in tasks.items()}
        # Other tasks may read metadata, and would not find them here.
        self._wanted = {label for label, name in self._name_of.items() if graph.pipeline_graph.consumers_of(name)}
        self._paths: list[str] = []
        self._metadata: list[tuple[QuantumOutcome, Any, DatasetRef]] = []
        self._last = time.monotonic()

    def add(self, outcome: QuantumOutcome, refs: Iterable[DatasetRef]) -> None:
        """Take over what a quantum wrote, and its metadata; `refs` are its outputs."""
        self._paths.extend(record.path for records in outcome.written.values() for record in records)
        if outcome.metadata is not None:
            name = self._name_of[outcome.label]
            self._metadata.extend((outcome, outcome.metadata, ref) for ref in refs if ref.datasetType.name == name)
        waited = time.monotonic() - self._last
        if (
            len(self._metadata) >= recorder.BATCH_QUANTA
            or waited > recorder.BATCH_SECONDS
            or outcome.label in self._wanted
        ):
            self.flush()

    def flush(self) -> None:
        """Sync everything that was added so far, then write the metadata, and sync these.

        A quantum whose metadata cannot be written, as on a full disk, has failed and is to run again.
        """
        paths, self._paths = self._paths, []
        metadata, self._metadata = self._metadata, []
        self._datastore.sync(paths)
        written: list[str] = []
        for outcome, one, ref in metadata:
            try:
                prepared = self._unsynced.prepare(one, ref, overwrite=True)
                written.extend(record.path for record in self._unsynced.write(prepared))
            except OSError as error:
                _LOG.error("The metadata of quantum %s of task %s: %s", outcome.quantum_id, outcome.label, error)
                outcome.fail(error)
        self._datastore.sync(written)
        self._last = time.monotonic()
