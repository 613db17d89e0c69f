"""Running a graph with what a user made to run one quantum: in this process, one after the other."""

from __future__ import annotations

from typing import Any

from armillary.pipeline.execution.driver import Prepared, Run
from armillary.pipeline.execution.outcome import QuantumOutcome, QuantumState, kinds_of
from armillary.pipeline.execution.quantum_graph_executor import QuantumExecutor
from armillary.pipeline.execution.report import RunReport
from armillary.pipeline.execution.run_control import RunControl
from armillary.pipeline.execution.runner import run_quanta
from armillary.pipeline.execution.worker_context import ExecutorOptions
from armillary.pipeline.pipeline_nodes import TaskImportMode
from armillary.pipeline.status import ExceptionInfo, InvalidQuantumError, RepeatableQuantumError

__all__ = ["run_with_executor"]


def run_with_executor(graph: Any, executor: QuantumExecutor, **control: Any) -> RunReport:
    """Run the quanta of a graph with an executor that reads, writes and registers by itself.

    Parameters
    ----------
    graph
        The quantum graph.
    executor
        Runs each quantum.
    control
        How the run goes; see `RunControl`. They run in this process, one after the other.

    Examples
    --------
    ::

        report = run_with_executor(graph, SingleQuantumExecutor(limited_butler_factory=make_butler))
    """
    graph.pipeline_graph.import_and_configure(TaskImportMode.ASSUME_CONSISTENT_EDGES)

    def one(prepared: Prepared) -> QuantumOutcome:
        job = prepared.job
        node = graph.pipeline_graph.tasks[job.label]
        try:
            result = executor.execute(node, prepared.quantum, job.quantum_id)
        except Exception as error:
            return _failure(prepared, error)
        state = QuantumState.SKIPPED if result.skipped_existing else QuantumState.FINISHED
        return QuantumOutcome(job.quantum_id, job.label, QuantumState.NO_WORK if result.adjusted_no_work else state)

    how = RunControl(**control)
    return run_quanta(Run(graph, list(graph.quanta()), None, (), ExecutorOptions(), how, one=one))


def _failure(prepared: Prepared, error: Exception) -> QuantumOutcome:
    outcome = prepared.outcome(QuantumState.FAILED, error)
    outcome.error = error
    outcome.exception, outcome.kinds = ExceptionInfo.from_exception(error), kinds_of(error)
    if isinstance(error, RepeatableQuantumError | InvalidQuantumError):
        outcome.exit_code = error.EXIT_CODE
    return outcome
