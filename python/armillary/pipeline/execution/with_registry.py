"""Running a graph in a repository with a registry."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from armillary.pipeline.automatic_connection_constants import LOG_OUTPUT_STORAGE_CLASS
from armillary.pipeline.execution.log_capture import attempts_of
from armillary.pipeline.execution.recorder import OutputRecorder
from armillary.pipeline.execution.report import RunReport
from armillary.pipeline.execution.runner import Run, existing_outputs, run_quanta, skipped_outcomes
from armillary.pipeline.execution.worker_context import ExecutorOptions
from armillary.pipeline.quantum_context import ExecutionResources

if TYPE_CHECKING:
    from armillary.butler import Butler

__all__ = ["run_graph"]


def run_graph(
    graph: Any,
    butler: Butler,
    *,
    processes: int = 1,
    timeout: float | None = None,
    fail_fast: bool = False,
    raise_on_partial_outputs: bool = True,
    skip_existing: bool = False,
    clobber_outputs: bool = False,
    progress: bool | None = None,
    resources: ExecutionResources | None = None,
) -> RunReport:
    """Run the quanta of a graph and register what they write.

    Quanta write files; this process alone writes to the registry, in batches. A failed quantum stops only what is
    downstream of it.

    Parameters
    ----------
    graph
        The quantum graph.
    butler
        The repository, opened for writing.
    processes
        How many quanta run at once. With 1 and no timeout they run in this process.
    timeout
        Seconds that one quantum may take.
    fail_fast
        Whether the first failure ends the run.
    raise_on_partial_outputs
        Whether partial outputs are a failure.
    skip_existing
        Whether to leave out quanta that were finished before.
    clobber_outputs
        Whether to remove outputs of unfinished quanta first.
    progress
        Whether to show a progress bar; None for whether standard error is a terminal.
    resources
        What a quantum may use.

    Returns
    -------
    report
        How every quantum ended; nothing is raised for a failed quantum.
    """
    done, leftovers = existing_outputs(butler, graph, skip_existing=skip_existing, clobber=clobber_outputs)
    earlier = _remove(butler, leftovers)
    registry: Any = butler._core_registry
    recorder = OutputRecorder(butler, len(graph.quanta()) - len(done))

    def find_records(ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, list[Any]]:
        found: dict[uuid.UUID, list[Any]] = {}
        for record in butler._datastore.worker_records(registry, list(ids)):
            found.setdefault(record.dataset_id, []).append(record)
        return found

    try:
        report = run_quanta(
            Run(
                graph,
                [(quantum_id, label) for quantum_id, label in graph.quanta() if quantum_id not in done],
                butler._datastore.file_datastore,
                datastore_recipe(butler),
                ExecutorOptions(
                    assume_no_existing_outputs=True,  # they were looked for in the registry, all at once
                    raise_on_partial_outputs=raise_on_partial_outputs,
                    resources=resources,
                ),
                processes,
                timeout,
                fail_fast,
                progress,
                recorder.begin,
                recorder.add,
                find_records,
                earlier,
            )
        )
    finally:
        recorder.close()
    report.outcomes = [*skipped_outcomes(graph, done), *report.outcomes]
    return report


def _remove(butler: Butler, leftovers: Mapping[uuid.UUID, Sequence[Any]]) -> dict[uuid.UUID, list[dict[str, Any]]]:
    """Remove outputs of unfinished quanta; return what their logs told, by quantum id."""
    earlier: dict[uuid.UUID, list[dict[str, Any]]] = {}
    for quantum_id, refs in leftovers.items():
        logs = [ref for ref in refs if ref.datasetType.storageClass_name == LOG_OUTPUT_STORAGE_CLASS]
        earlier[quantum_id] = [attempt for ref in logs for attempt in attempts_of(butler.get(ref))]
    if leftovers:
        every = [ref for refs in leftovers.values() for ref in refs]
        butler.pruneDatasets(every, disassociate=True, unstore=True, purge=True)
    return earlier


def datastore_recipe(butler: Any) -> tuple[Any, ...]:
    """Return the function and the plain arguments by which another process makes the same datastore."""
    from armillary.pipeline.execution.without_registry import open_datastore

    return (open_datastore, butler._config.configFile, butler.dimensions.to_json())
