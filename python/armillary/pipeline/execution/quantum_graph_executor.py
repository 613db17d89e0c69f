"""What runs one quantum, and what runs the quanta of a graph: the classes that own executors derive from."""

from __future__ import annotations

import abc
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.butler import Quantum
    from armillary.pipeline.execution.quantum_reports import QuantumReport
    from armillary.pipeline.metadata import TaskMetadata
    from armillary.pipeline.pipeline_nodes import TaskNode
    from armillary.storage.log_records import ButlerLogRecords

__all__ = ["QuantumExecutionResult", "QuantumExecutor", "QuantumGraphExecutor"]


class QuantumExecutionResult(tuple[Any, Any]):
    """What came of a quantum; also a pair of the quantum and its report.

    Parameters
    ----------
    quantum
        The quantum, without inputs that were not there.
    report
        How it ended.
    task_metadata
        What was written as its metadata.
    skipped_existing
        Whether it was left alone because it had been done before.
    adjusted_no_work
        Whether it was not run because `adjustQuantum` found that there is nothing to do.

    Examples
    --------
    >>> quantum, report = QuantumExecutionResult("a quantum", None)
    >>> quantum
    'a quantum'
    """

    _facts: tuple[TaskMetadata | None, bool | None, bool | None]

    def __new__(
        cls,
        quantum: Quantum,
        report: QuantumReport | None,
        *,
        task_metadata: TaskMetadata | None = None,
        skipped_existing: bool | None = None,
        adjusted_no_work: bool | None = None,
    ) -> QuantumExecutionResult:
        """Make the pair, and keep the rest beside it."""
        made = super().__new__(cls, (quantum, report))
        made._facts = (task_metadata, skipped_existing, adjusted_no_work)
        return made

    @property
    def quantum(self) -> Quantum:
        """The quantum."""
        quantum: Quantum = self[0]
        return quantum

    @property
    def report(self) -> QuantumReport | None:
        """How it ended."""
        report: QuantumReport | None = self[1]
        return report

    @property
    def task_metadata(self) -> TaskMetadata | None:
        """What was written as its metadata."""
        return self._facts[0]

    @property
    def skipped_existing(self) -> bool | None:
        """Whether it had been done before."""
        return self._facts[1]

    @property
    def adjusted_no_work(self) -> bool | None:
        """Whether there was nothing to do."""
        return self._facts[2]


class QuantumExecutor(abc.ABC):
    """Runs one quantum at a time.

    Examples
    --------
    ::

        class Announcing(SingleQuantumExecutor):
            def execute(self, task_node, /, quantum, quantum_id=None, *, log_records=None):
                print(task_node.label, quantum.dataId)
                return super().execute(task_node, quantum, quantum_id, log_records=log_records)
    """

    @abc.abstractmethod
    def execute(
        self,
        task_node: TaskNode,
        /,
        quantum: Quantum,
        quantum_id: uuid.UUID | None = None,
        *,
        log_records: ButlerLogRecords | None = None,
    ) -> QuantumExecutionResult:
        """Run a quantum.

        Parameters
        ----------
        task_node
            The task.
        quantum
            Data ID, inputs and outputs.
        quantum_id
            Its identifier.
        log_records
            Gets what is logged, in addition to what it holds.

        Raises
        ------
        Exception
            Whatever the task, or reading and writing for it, raises.
        """


class QuantumGraphExecutor(abc.ABC):
    """Runs the quanta of a graph.

    Examples
    --------
    ::

        class Counting(QuantumGraphExecutor):
            def execute(self, graph, *, provenance_graph_file=None):
                print(len(graph), "quanta")

        SeparablePipelineExecutor(butler).run_pipeline(graph, graph_executor=Counting())
    """

    @abc.abstractmethod
    def execute(self, graph: Any, *, provenance_graph_file: str | None = None) -> None:
        """Run all quanta of a graph.

        Parameters
        ----------
        graph
            The quantum graph.
        provenance_graph_file
            Where to write what became of the quanta, as a provenance graph (`.qg`).
        """

    def getReport(self) -> Any:
        """Return how the quanta ended; None where that is not known."""
        return None
