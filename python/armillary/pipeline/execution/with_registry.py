"""Running a graph in a repository with a registry."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from armillary.pipeline.automatic_connection_constants import LOG_OUTPUT_STORAGE_CLASS
from armillary.pipeline.execution.driver import Run
from armillary.pipeline.execution.existing import existing_outputs, skipped_outcomes
from armillary.pipeline.execution.log_capture import attempts_of
from armillary.pipeline.execution.outcome import QuantumOutcome
from armillary.pipeline.execution.recorder import OutputRecorder
from armillary.pipeline.execution.report import RunReport
from armillary.pipeline.execution.run_control import RunControl
from armillary.pipeline.execution.runner import RunInterrupted, iterate_quanta, run_quanta
from armillary.pipeline.execution.without_registry import datastore_recipe
from armillary.pipeline.execution.worker_context import ExecutorOptions

if TYPE_CHECKING:
    from armillary.butler import Butler

__all__ = ["iterate_graph", "run_graph"]


def run_graph(
    graph: Any, butler: Butler, *, skip_existing: bool = False, clobber_outputs: bool = False, **control: Any
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
    skip_existing
        Whether to leave out quanta that were finished before.
    clobber_outputs
        Whether to remove outputs of unfinished quanta first.
    control
        How the run goes: `processes`, `timeout`, `fail_fast`, `retry`, `executor` and so on; see `RunControl`.

    Returns
    -------
    report
        How every quantum ended; nothing is raised for a failed quantum.

    Raises
    ------
    OutputExistsError
        There are outputs of unfinished quanta, and `clobber_outputs` is false.
    RunInterrupted
        Ctrl-C was pressed; what was finished is registered.
    """
    with _prepared(graph, butler, skip_existing, clobber_outputs, RunControl(**control)) as (run, _, done):
        try:
            report = run_quanta(run)
        except RunInterrupted as interrupted:
            _add_skipped(interrupted.report, graph, done)
            raise
    return _add_skipped(report, graph, done)


def iterate_graph(
    graph: Any, butler: Butler, *, skip_existing: bool = False, clobber_outputs: bool = False, **control: Any
) -> Generator[QuantumOutcome]:
    """Run the quanta of a graph in this process as the iterator is asked for the next; see `run_graph`.

    What a quantum wrote is registered when its outcome is given.
    """
    with _prepared(graph, butler, skip_existing, clobber_outputs, RunControl(**control)) as (run, recorder, _):
        for outcome in iterate_quanta(run):
            recorder.flush()
            yield outcome


@contextmanager
def _prepared(
    graph: Any, butler: Butler, skip_existing: bool, clobber_outputs: bool, how: RunControl
) -> Iterator[tuple[Run, OutputRecorder, set[uuid.UUID]]]:
    """Look for earlier outputs; give the run, the writer of its outputs, and ids of quanta that had been finished."""
    done, leftovers = existing_outputs(butler, graph, skip_existing=skip_existing, clobber=clobber_outputs)
    earlier = _remove(butler, leftovers)
    registered: Any = butler
    registry: Any = registered._core_registry
    recorder = OutputRecorder(butler, len(graph.quanta()) - len(done))

    def find_records(ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, list[Any]]:
        found: dict[uuid.UUID, list[Any]] = {}
        for record in butler._datastore.worker_records(registry, list(ids)):
            found.setdefault(record.dataset_id, []).append(record)
        return found

    options = ExecutorOptions(
        assume_no_existing_outputs=True,  # they were looked for in the registry, all at once
        raise_on_partial_outputs=how.raise_on_partial_outputs,
        resources=how.resources,
        sync="later" if how.on_this_machine else "quantum",
    )
    run = Run(
        graph,
        [(quantum_id, label) for quantum_id, label in graph.quanta() if quantum_id not in done],
        registered._datastore.file_datastore,
        datastore_recipe(registered._config.configFile),
        options,
        how,
        recorder.begin,
        recorder.add,
        find_records,
        earlier,
    )
    try:
        yield run, recorder, done
    finally:
        recorder.close()


def _add_skipped(report: RunReport, graph: Any, done: set[uuid.UUID]) -> RunReport:
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
