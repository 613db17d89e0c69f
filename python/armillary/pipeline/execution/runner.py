"""Running the quanta of a graph, in this process or in a pool."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from armillary import _core
from armillary.errors import OutputExistsError
from armillary.pipeline.execution.outcome import QuantumOutcome, QuantumState
from armillary.pipeline.execution.progress import ProgressBar
from armillary.pipeline.execution.report import RunReport
from armillary.pipeline.execution.worker_context import ExecutorOptions, WorkerContext, missing_inputs, outputs_of
from armillary.pipeline.execution.worker_pool import WorkerDied, WorkerPool
from armillary.pipeline.pipeline_nodes import TaskImportMode
from armillary.pipeline.status import ExceptionInfo, InvalidQuantumError, qualified_name

if TYPE_CHECKING:
    from armillary.butler import Butler

__all__ = ["PoolContext", "Run", "existing_outputs", "run_quanta", "skipped_outcomes"]

CHUNK = 64
"""How many quanta are prepared at once: their inputs are looked up, and their outputs announced, together."""


@dataclasses.dataclass
class Run:
    """What is run and how.

    Attributes
    ----------
    graph
        The quantum graph.
    quanta
        Quanta to run, with the labels of their tasks, in an order in which they may run.
    datastore, make_datastore
        The datastore of this process, and an importable function with its arguments by which others make theirs.
    options
        How each quantum is run.
    processes, timeout, fail_fast, progress
        How many run at once, how long each may take in seconds, whether the first failure ends the run, and whether
        progress is shown.
    begin
        Called with the outputs of quanta before they start, by quantum id; returns why some must not.
    ended
        Called with each outcome and the outputs of its quantum.
    find_records
        Called with ids of inputs of which the graph does not say where they are; returns their file records.
    earlier_attempts
        What removed logs of earlier attempts told, by quantum id.
    """

    graph: Any
    quanta: Sequence[tuple[uuid.UUID, str]]
    datastore: Any
    make_datastore: tuple[Any, ...]
    options: ExecutorOptions
    processes: int = 1
    timeout: float | None = None
    fail_fast: bool = False
    progress: bool | None = None
    begin: Callable[[Mapping[uuid.UUID, Sequence[Any]]], Mapping[uuid.UUID, str]] | None = None
    ended: Callable[[QuantumOutcome, Sequence[Any]], None] | None = None
    find_records: Callable[[Sequence[uuid.UUID]], Mapping[uuid.UUID, list[Any]]] | None = None
    earlier_attempts: Mapping[uuid.UUID, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class _Prepared:
    """A quantum that may start."""

    index: int
    quantum_id: uuid.UUID
    label: str
    quantum: Any
    records: dict[uuid.UUID, list[Any]]
    refused: str | None = None


class _Driver:
    """Hands out quanta and notes how they end."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.scheduler = _core.Scheduler(list(run.quanta), _edges(run))
        self.report = RunReport(list(run.graph.pipeline_graph.tasks))
        self._ready: list[_Prepared] = []
        self._produced = _ProducedIds()

    @property
    def stopped(self) -> bool:
        return bool(self.report.stopped_with)

    def take(self, bar: ProgressBar) -> _Prepared | None:
        """Return a quantum that may start now, None when all such are running; those refused end here."""
        while not self.stopped:
            if not self._ready:
                self._ready = self._prepare(self.scheduler.take(CHUNK))
                self._ready.reverse()
            if not self._ready:
                return None
            prepared = self._ready.pop()
            if prepared.refused is None:
                return prepared
            self.end(prepared, _refusal(prepared), bar)
        return None

    def _prepare(self, indices: Sequence[int]) -> list[_Prepared]:
        if not indices:
            return []
        chosen = [(index, *self.run.quanta[index]) for index in indices]
        quanta = self.run.graph.build_execution_quanta([quantum_id for _, quantum_id, _ in chosen])
        refused: Mapping[uuid.UUID, str] = {}
        if self.run.begin is not None:
            refused = self.run.begin({quantum_id: outputs_of(quantum) for quantum_id, quantum in quanta.items()})
        wanted: dict[uuid.UUID, list[uuid.UUID]] = {}
        for _, quantum_id, label in chosen:
            overall = self.run.graph.pipeline_graph
            wanted[quantum_id] = missing_inputs(
                quanta[quantum_id], self._produced.of(quanta[quantum_id], overall, label)
            )
        found: Mapping[uuid.UUID, list[Any]] = {}
        if self.run.find_records is not None:
            found = self.run.find_records(list({key for ids in wanted.values() for key in ids}))
        return [
            _Prepared(
                index,
                quantum_id,
                label,
                quanta[quantum_id],
                {key: found[key] for key in wanted[quantum_id] if key in found},
                refused.get(quantum_id),
            )
            for index, quantum_id, label in chosen
        ]

    def end(self, prepared: _Prepared, outcome: QuantumOutcome, bar: ProgressBar) -> None:
        """Note how a quantum ended, and what cannot run because of it."""
        self._note(outcome, bar)
        if self.run.ended is not None:
            self.run.ended(outcome, outputs_of(prepared.quantum))
            outcome.written = {}  # handed over: a million quanta would keep millions of records
        if outcome.state.is_success:
            self.scheduler.finish(prepared.index)
            return
        for index in self.scheduler.fail(prepared.index):
            quantum_id, label = self.run.quanta[index]
            self._note(QuantumOutcome(quantum_id, label, QuantumState.BLOCKED), bar)
        if outcome.exit_code == InvalidQuantumError.EXIT_CODE or self.run.fail_fast:
            self.report.stopped_with = outcome.exit_code or 1

    def _note(self, outcome: QuantumOutcome, bar: ProgressBar) -> None:
        self.report.outcomes.append(outcome)
        bar.advance(outcome)

    def finish(self) -> RunReport:
        """Return the report, with what was not tried."""
        told = {outcome.quantum_id for outcome in self.report.outcomes}
        for quantum_id, label in self.run.quanta:
            if quantum_id not in told:
                self.report.outcomes.append(QuantumOutcome(quantum_id, label, QuantumState.PENDING))
        return self.report


def _edges(run: Run) -> list[tuple[int, int]]:
    """Return which of the quanta to run must come before which, by their positions."""
    index_of = {quantum_id: index for index, (quantum_id, _) in enumerate(run.quanta)}
    return [
        (index_of[first], index_of[second])
        for first, second in run.graph.edges()
        if first in index_of and second in index_of
    ]


class _ProducedIds:
    """Tells which inputs of a quantum other quanta of the graph write."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}

    def of(self, quantum: Any, pipeline: Any, label: str) -> Iterator[uuid.UUID]:
        names = self._names.get(label)
        if names is None:
            node = pipeline.tasks[label]
            edges = [*node.iter_all_inputs(), *node.init.iter_all_inputs()]
            names = {
                edge.dataset_type_name
                for edge in edges
                if pipeline.producing_edge_of(edge.parent_dataset_type_name) is not None
            }
            self._names[label] = names
        # A dataset of a produced type may still be an overall input: its quantum was left out as done before. It is
        # then in another place of the same datastore only if its run differs from the one being written.
        run = next((ref.run for refs in quantum.outputs.values() for ref in refs), None)
        for name, refs in quantum.inputs.items():
            if name in names:
                yield from (ref.id for ref in refs if ref.run == run)
        for name, ref in quantum.initInputs.items():
            if name in names and ref.run == run:
                yield ref.id


def run_quanta(run: Run) -> RunReport:
    """Run quanta; every failure is told in the report, none is raised."""
    started = time.perf_counter()
    driver = _Driver(run)
    with ProgressBar(len(run.quanta), run.progress) as bar:
        if run.processes == 1 and run.timeout is None:
            _run_here(driver, bar)
        else:
            _run_in_pool(driver, bar)
    report = driver.finish()
    report.seconds = time.perf_counter() - started
    report.graph = run.graph
    return report


def _run_here(driver: _Driver, bar: ProgressBar) -> None:
    context = WorkerContext(driver.run.graph, driver.run.datastore, driver.run.options)
    while (prepared := driver.take(bar)) is not None:
        earlier = driver.run.earlier_attempts.get(prepared.quantum_id, ())
        outcome = context.run(prepared.quantum_id, prepared.label, prepared.quantum, prepared.records, earlier)
        driver.end(prepared, outcome, bar)


def _run_in_pool(driver: _Driver, bar: ProgressBar) -> None:
    run = driver.run
    labels = list(dict.fromkeys(label for _, label in run.quanta))
    _refuse_script_tasks(run.graph.pipeline_graph, labels)
    with (
        _graph_file(run.graph) as path,
        WorkerPool(
            min(run.processes, max(1, len(run.quanta))),
            PoolContext,
            (path, run.make_datastore, run.options),
            labels,
            run.timeout,
        ) as pool,
    ):
        running: dict[uuid.UUID, _Prepared] = {}
        while True:
            while pool.n_free and (prepared := driver.take(bar)) is not None:
                earlier = run.earlier_attempts.get(prepared.quantum_id, [])
                pool.submit((prepared.quantum_id, prepared.label, prepared.records, earlier))
                running[prepared.quantum_id] = prepared
            if not running:
                return
            for job, result in pool.wait():
                prepared = running.pop(job[0])
                outcome = result if isinstance(result, QuantumOutcome) else _death(prepared, result)
                driver.end(prepared, outcome, bar)


def _refuse_script_tasks(pipeline: Any, labels: Sequence[str]) -> None:
    for label in labels:
        name = pipeline.tasks[label].task_class_name
        if name.startswith("__main__."):
            raise ValueError(
                f"the class of task `{label}` is defined in the script that is run, where other processes cannot find "
                "it; put it into a module, or run with one process"
            )


def _refusal(prepared: _Prepared) -> QuantumOutcome:
    error = OutputExistsError(prepared.refused or "")
    return QuantumOutcome(
        prepared.quantum_id,
        prepared.label,
        QuantumState.FAILED,
        exception=ExceptionInfo.from_exception(error),
        exit_code=1,
        error=error,
    )


def _death(prepared: _Prepared, death: WorkerDied) -> QuantumOutcome:
    state = QuantumState.TIMED_OUT if death.timed_out else QuantumState.FAILED
    message = str(death)
    return QuantumOutcome(
        prepared.quantum_id,
        prepared.label,
        state,
        exception=ExceptionInfo(qualified_name(type(death)), message),
        exit_code=1,
    )


@contextmanager
def _graph_file(graph: Any) -> Iterator[str]:
    """Give the file a graph was read from, or a file for as long as the block lasts."""
    path = getattr(graph, "path", None)
    if path is not None and os.path.exists(path):
        yield os.path.abspath(path)
        return
    with tempfile.TemporaryDirectory(prefix="armillary-run-") as directory:
        path = os.path.join(directory, "run.qg")
        graph.write(path)
        yield path


class PoolContext:
    """What worker processes share: the graph, the datastore, the tasks. Made once, before the workers are forked.

    Parameters
    ----------
    path
        File of the graph.
    make_datastore
        Function and arguments that make the datastore.
    options
        How quanta are run.
    """

    def __init__(self, path: str, make_datastore: tuple[Any, ...], options: ExecutorOptions) -> None:
        from armillary.pipeline.quantum_graph import PredictedQuantumGraph

        with PredictedQuantumGraph.open(path, import_mode=TaskImportMode.DO_NOT_IMPORT) as reader:
            reader.read_all()
            self._graph = reader.finish()
        function, *arguments = make_datastore
        self._context = WorkerContext(self._graph, function(*arguments), options)

    def task(self, label: str) -> Any:
        """Import a task."""
        return self._context.task(label)

    def run_job(
        self, job: tuple[uuid.UUID, str, Mapping[uuid.UUID, list[Any]], list[dict[str, Any]]]
    ) -> QuantumOutcome:
        """Run a quantum that is given by its id."""
        quantum_id, label, records, earlier = job
        quantum = self._graph.build_execution_quanta([quantum_id])[quantum_id]
        outcome = self._context.run(quantum_id, label, quantum, records, earlier)
        outcome.error = None  # exceptions of tasks may not survive the way to another process
        return outcome


def existing_outputs(
    butler: Butler, graph: Any, *, skip_existing: bool, clobber: bool
) -> tuple[set[uuid.UUID], dict[uuid.UUID, list[Any]]]:
    """Find what an earlier attempt left in the output run.

    Returns
    -------
    done
        Ids of quanta that were finished before.
    leftovers
        References of outputs of unfinished quanta, which must go before these run again, by quantum id.

    Raises
    ------
    OutputExistsError
        There are leftovers other than logs, and `clobber` is false.
    """
    registry: Any = butler._core_registry
    if not _has_outputs(registry, graph):
        return set(), {}
    quanta = graph.build_execution_quanta()
    labels = dict(graph.quanta())
    refs = {quantum_id: outputs_of(quantum) for quantum_id, quantum in quanta.items()}
    every = [ref.id for group in refs.values() for ref in group]
    found = {ref.id for ref in registry.get_datasets(every) if ref is not None}
    done: set[uuid.UUID] = set()
    leftovers: dict[uuid.UUID, list[Any]] = {}
    for quantum_id, group in refs.items() if found else ():
        there = [ref for ref in group if ref.id in found]
        node = graph.pipeline_graph.tasks[labels[quantum_id]]
        names = {ref.datasetType.name for ref in there}
        if skip_existing and node.metadata_output.dataset_type_name in names:
            done.add(quantum_id)
        elif there:
            log_name = None if node.log_output is None else node.log_output.dataset_type_name
            if names != {log_name} and not clobber:
                listed = ", ".join(f"`{name}`" for name in sorted(names))
                raise OutputExistsError(
                    f"outputs {listed} of task `{node.label}` for {quanta[quantum_id].dataId} are in the run already; "
                    "`--clobber-outputs` replaces them, `--skip-existing` leaves finished quanta out"
                )
            leftovers[quantum_id] = there
    return done, leftovers


def _has_outputs(registry: Any, graph: Any) -> bool:
    """Whether the output run holds any type of dataset that a quantum writes; asked before all quanta are made."""
    types, _ = registry.collection_summary(graph.header.output_run)
    written = {
        edge.dataset_type_name for node in graph.pipeline_graph.tasks.values() for edge in node.iter_all_outputs()
    }
    return not written.isdisjoint(types)


def skipped_outcomes(graph: Any, done: set[uuid.UUID]) -> list[QuantumOutcome]:
    """Return outcomes of quanta that had been finished before."""
    return [
        QuantumOutcome(quantum_id, label, QuantumState.SKIPPED)
        for quantum_id, label in graph.quanta()
        if quantum_id in done
    ]
