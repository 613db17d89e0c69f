"""What is run, and the book of it: which quanta can start, how each ended, which are tried again."""

from __future__ import annotations

import dataclasses
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from armillary import _core
from armillary.errors import OutputExistsError
from armillary.pipeline.execution.execution_graph_fixup import added_edges
from armillary.pipeline.execution.outcome import QuantumOutcome, QuantumState, kinds_of
from armillary.pipeline.execution.progress import ProgressBar
from armillary.pipeline.execution.report import RunReport
from armillary.pipeline.execution.run_control import Budget, RunControl
from armillary.pipeline.execution.worker_context import ExecutorOptions, Job, missing_inputs, outputs_of
from armillary.pipeline.status import ExceptionInfo, InvalidQuantumError

__all__ = ["Driver", "Prepared", "Run"]

_LOG = logging.getLogger(__name__)

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
        The datastore of this process, and an importable function by which others make theirs, with its arguments but
        for the last, the dimensions.
    options
        How each quantum is run.
    control
        How many run at once, and so on.
    begin
        Called with the outputs of quanta before they start, by quantum id; returns why some must not.
    ended
        Called with each outcome and the outputs of its quantum.
    find_records
        Called with ids of inputs of which the graph does not say where they are; returns their file records.
    earlier_attempts
        What removed logs of earlier attempts told, by quantum id.
    one
        Runs a quantum in this process, in place of what the options say.
    """

    graph: Any
    quanta: Sequence[tuple[uuid.UUID, str]]
    datastore: Any
    make_datastore: tuple[Any, ...]
    options: ExecutorOptions
    control: RunControl = dataclasses.field(default_factory=RunControl)
    begin: Callable[[Mapping[uuid.UUID, Sequence[Any]]], Mapping[uuid.UUID, str]] | None = None
    ended: Callable[[QuantumOutcome, Sequence[Any]], None] | None = None
    find_records: Callable[[Sequence[uuid.UUID]], Mapping[uuid.UUID, list[Any]]] | None = None
    earlier_attempts: Mapping[uuid.UUID, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    one: Callable[[Prepared], QuantumOutcome] | None = None

    @property
    def labels(self) -> list[str]:
        """Labels of the tasks to run, in order."""
        return list(dict.fromkeys(label for _, label in self.quanta))


@dataclasses.dataclass
class Prepared:
    """A quantum that may start.

    Attributes
    ----------
    index
        Its position in the run.
    job
        What the process that runs it is told.
    quantum
        Its inputs and outputs.
    attempt
        Which attempt this is, from 1.
    n_lost
        How often an engine gave it back without having started it.
    removed
        Ids of datasets that an earlier attempt removed.
    refused
        Why it must not start.
    """

    index: int
    job: Job
    quantum: Any
    attempt: int = 1
    n_lost: int = 0
    removed: list[uuid.UUID] = dataclasses.field(default_factory=list)
    refused: str | None = None

    def outcome(self, state: QuantumState, error: BaseException) -> QuantumOutcome:
        """Return how it ended when it could not tell by itself."""
        return QuantumOutcome(
            self.job.quantum_id,
            self.job.label,
            state,
            exception=ExceptionInfo.from_exception(error),
            exit_code=1,
            kinds=kinds_of(error),
        )


class Driver:
    """Hands out quanta and notes how they end."""

    def __init__(self, run: Run, bar: ProgressBar) -> None:
        self.run = run
        self.scheduler = _core.Scheduler(list(run.quanta), _edges(run))
        self.report = RunReport(list(run.graph.pipeline_graph.tasks))
        self.budget = Budget(run.control)
        self._bar = bar
        self._ready: list[Prepared] = []
        self._again: list[Prepared] = []
        self._produced = _ProducedIds()

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to start."""
        return bool(self.report.stopped_with)

    @property
    def n_ready(self) -> int:
        """How many quanta could start now; of very many, those that are prepared."""
        self._refill()
        return len(self._ready) + len(self._again)

    def take(self) -> Prepared | None:
        """Return a quantum that may start now, None when all such are running; those refused end here."""
        while not self.stopped:
            if self._again:
                return self._again.pop(0)
            self._refill()
            if not self._ready:
                return None
            prepared = self._ready.pop()
            if prepared.refused is None:
                return prepared
            error = OutputExistsError(prepared.refused)
            outcome = prepared.outcome(QuantumState.FAILED, error)
            outcome.error = error
            self.end(prepared, outcome)
        return None

    def _refill(self) -> None:
        if not self._ready and not self.stopped:
            self._ready = self._prepare(self.scheduler.take(CHUNK))
            self._ready.reverse()

    def put_back(self, prepared: Prepared) -> None:
        """Take back a quantum that did not start; it is the next to be taken."""
        self._again.insert(0, prepared)

    def _prepare(self, indices: Sequence[int]) -> list[Prepared]:
        if not indices:
            return []
        run = self.run
        chosen = [(index, *run.quanta[index]) for index in indices]
        quanta = run.graph.build_execution_quanta([quantum_id for _, quantum_id, _ in chosen])
        refused: Mapping[uuid.UUID, str] = {}
        if run.begin is not None:
            refused = run.begin({quantum_id: outputs_of(quantum) for quantum_id, quantum in quanta.items()})
        wanted: dict[uuid.UUID, list[uuid.UUID]] = {}
        for _, quantum_id, label in chosen:
            produced = self._produced.of(quanta[quantum_id], run.graph.pipeline_graph, label)
            wanted[quantum_id] = missing_inputs(quanta[quantum_id], produced)
        found: Mapping[uuid.UUID, list[Any]] = {}
        if run.find_records is not None:
            found = run.find_records(list({key for ids in wanted.values() for key in ids}))
        memory = run.control.memory
        made = []
        for index, quantum_id, label in chosen:
            records = {key: found[key] for key in wanted[quantum_id] if key in found}
            earlier = run.earlier_attempts.get(quantum_id, ())
            job = Job(quantum_id, label, records, earlier, memory=memory)
            made.append(Prepared(index, job, quanta[quantum_id], refused=refused.get(quantum_id)))
        return made

    def end(self, prepared: Prepared, outcome: QuantumOutcome) -> None:
        """Note how a quantum ended, and what cannot run because of it; or that it is tried again."""
        outcome.attempts = prepared.attempt
        if prepared.removed:
            outcome.removed = prepared.removed
        if not self.stopped and self.run.control.retry.allows(outcome):
            self._try_again(prepared, outcome)
            return
        self._note(outcome)
        if self.run.ended is not None:
            self.run.ended(outcome, outputs_of(prepared.quantum))
            outcome.written, outcome.metadata = {}, None  # handed over: a million quanta would keep millions of records
        if outcome.state.is_success:
            self.scheduler.finish(prepared.index)
            return
        for index in self.scheduler.fail(prepared.index):
            quantum_id, label = self.run.quanta[index]
            self._note(QuantumOutcome(quantum_id, label, QuantumState.BLOCKED))
        if outcome.exit_code == InvalidQuantumError.EXIT_CODE or self.run.control.fail_fast:
            self.report.stopped_with = outcome.exit_code or 1

    def _try_again(self, prepared: Prepared, outcome: QuantumOutcome) -> None:
        job = prepared.job
        memory = job.memory
        if memory is not None and _had_too_little_memory(outcome):
            memory = self.budget.grown(memory)
        what = "" if outcome.exception is None else f"{outcome.exception.type_name}: {outcome.exception.message}"
        more = "" if memory == job.memory or memory is None else f", with {memory / 1e6:.0f} MB of memory"
        _LOG.warning(
            "quantum %s of task %s %s (%s) and is tried again%s",
            *(job.quantum_id, job.label, outcome.state.value, what, more),
        )
        prepared.job = job._replace(afresh=True, memory=memory)
        prepared.removed = outcome.removed
        prepared.attempt += 1
        self._again.append(prepared)

    def _note(self, outcome: QuantumOutcome) -> None:
        self.report.outcomes.append(outcome)
        self._bar.advance(outcome)

    def finish(self) -> RunReport:
        """Return the report, with what was not tried."""
        told = {outcome.quantum_id for outcome in self.report.outcomes}
        for quantum_id, label in self.run.quanta:
            if quantum_id not in told:
                self.report.outcomes.append(QuantumOutcome(quantum_id, label, QuantumState.PENDING))
        return self.report


def _had_too_little_memory(outcome: QuantumOutcome) -> bool:
    """Whether a failure looks as if there was too little memory: the kernel ends such a process with SIGKILL."""
    killed = outcome.exception is not None and "SIGKILL" in outcome.exception.message
    return "MemoryError" in outcome.kinds or (killed and any(kind.endswith("WorkerDied") for kind in outcome.kinds))


def _edges(run: Run) -> list[tuple[int, int]]:
    """Return which of the quanta to run must come before which, by their positions."""
    index_of = {quantum_id: index for index, (quantum_id, _) in enumerate(run.quanta)}
    edges = list(run.graph.edges())
    if run.control.graph_fixup is not None:
        edges.extend(added_edges(run.graph, run.control.graph_fixup))
    return [(index_of[first], index_of[second]) for first, second in edges if first in index_of and second in index_of]


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
