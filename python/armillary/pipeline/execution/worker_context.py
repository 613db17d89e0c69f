"""What a process needs to run quanta: the graph, the tasks, and a butler without a registry."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from armillary.pipeline.execution.outcome import QuantumOutcome
from armillary.pipeline.execution.single_quantum_executor import SingleQuantumExecutor
from armillary.pipeline.pipeline_nodes import TaskImportMode, TaskNode
from armillary.pipeline.quantum_context import ExecutionResources

__all__ = ["ExecutorOptions", "Job", "WorkerContext"]


@dataclasses.dataclass(frozen=True)
class ExecutorOptions:
    """How quanta are run; see `SingleQuantumExecutor`, and for `sync`, `QuantumBackedButler`."""

    skip_existing: bool = False
    clobber_outputs: bool = False
    assume_no_existing_outputs: bool = False
    raise_on_partial_outputs: bool = True
    resources: ExecutionResources | None = None
    job_metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    enforce_memory: bool = False
    sync: Literal["quantum", "later"] = "quantum"
    hand_over_metadata: bool = False
    profile_folder: str | None = None
    task_factory: Any = None
    debug: bool = False


class Job(NamedTuple):
    """What a process is told of the quantum that it is to run.

    Attributes
    ----------
    quantum_id, label
        The quantum and its task.
    records
        Where overall inputs are, when the graph does not say.
    earlier
        What logs of earlier attempts, removed before, told.
    afresh
        Whether it was tried in this run before, so that what was left behind must go.
    memory
        Bytes that it may use; None for no limit.
    """

    quantum_id: uuid.UUID
    label: str
    records: Mapping[uuid.UUID, list[Any]]
    earlier: Sequence[dict[str, Any]] = ()
    afresh: bool = False
    memory: int | None = None


class WorkerContext:
    """Runs quanta of one graph in this process.

    Parameters
    ----------
    graph
        The graph, or an open reader's graph; only task definitions and the quanta asked for are used.
    datastore
        Where files are.
    options
        How quanta are run.
    """

    def __init__(self, graph: Any, datastore: Any, options: ExecutorOptions) -> None:
        self._graph = graph
        self._datastore = datastore
        self._pipeline = graph.pipeline_graph
        self._sync = options.sync
        self._noted: set[str] = set()
        self._executor = SingleQuantumExecutor(
            skip_existing=options.skip_existing,
            clobber_outputs=options.clobber_outputs,
            assume_no_existing_outputs=options.assume_no_existing_outputs,
            raise_on_partial_outputs=options.raise_on_partial_outputs,
            resources=options.resources,
            job_metadata=options.job_metadata,
            task_factory=options.task_factory,
            enable_lsst_debug=options.debug,
            hand_over_metadata=options.hand_over_metadata,
        )

    def task(self, label: str) -> TaskNode:
        """Return a task, imported and configured: from here on the user's code runs."""
        node: TaskNode = self._pipeline.tasks[label]
        if not node.is_imported:
            self._pipeline.import_and_configure(TaskImportMode.ASSUME_CONSISTENT_EDGES, [label])
            node = self._pipeline.tasks[label]
        if label not in self._noted:
            self._executor.note_code(node)
            self._noted.add(label)
        return node

    def run(self, job: Job, quantum: Any) -> QuantumOutcome:
        """Run a quantum."""
        from armillary.butler import QuantumBackedButler

        known = {**quantum.datastore_records, **job.records}
        quantum = dataclasses.replace(quantum, datastore_records=known)
        butler = QuantumBackedButler(
            self._datastore,
            self._pipeline.universe,
            known,
            predicted_outputs=[ref.id for refs in quantum.outputs.values() for ref in refs],
            sync=self._sync,
        )
        return self._executor.run_quantum(
            self.task(job.label),
            quantum,
            job.quantum_id,
            butler,
            earlier_attempts=job.earlier,
            afresh=job.afresh,
            memory=job.memory,
        )


def outputs_of(quantum: Any) -> list[Any]:
    """Return the references of everything a quantum may write."""
    return [ref for refs in quantum.outputs.values() for ref in refs]


def missing_inputs(quantum: Any, produced: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    """Return the ids of inputs for which neither the graph nor a quantum before says where they are."""
    known = set(produced) | set(quantum.datastore_records)
    refs = [ref for group in quantum.inputs.values() for ref in group]
    return [ref.id for ref in [*refs, *quantum.initInputs.values()] if ref.id not in known]
