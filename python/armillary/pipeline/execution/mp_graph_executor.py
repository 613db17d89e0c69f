"""Running a graph through an executor object, for code that is written so."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from armillary.errors import MPGraphExecutorError, MPTimeoutError
from armillary.pipeline.execution.outcome import QuantumState
from armillary.pipeline.execution.own_executor import run_with_executor
from armillary.pipeline.execution.quantum_graph_executor import QuantumExecutor, QuantumGraphExecutor
from armillary.pipeline.execution.report import RunReport
from armillary.pipeline.execution.single_quantum_executor import SingleQuantumExecutor
from armillary.pipeline.execution.with_registry import run_graph

if TYPE_CHECKING:
    from armillary.pipeline.execution.execution_graph_fixup import ExecutionGraphFixup

__all__ = ["MPGraphExecutor", "MPGraphExecutorError", "MPTimeoutError"]

_LOG = logging.getLogger(__name__)


class MPGraphExecutor(QuantumGraphExecutor):
    """Runs the quanta of a graph, several at once.

    Parameters
    ----------
    num_proc
        How many quanta run at once.
    timeout
        Seconds that one quantum may take; 0 for no limit.
    quantum_executor
        Holds the butler and the options for each quantum. One of a user's own class, or with a butler that has no
        registry, runs them in this process, one after the other.
    start_method
        Taken for compatibility; workers are always started once and kept.
    fail_fast
        Whether the first failure ends the run.
    pdb
        Module whose `post_mortem` is called after a failure, such as `pdb`; quanta must run in this process.
    execution_graph_fixup
        Adds edges to the graph of quanta.

    Examples
    --------
    ::

        executor = MPGraphExecutor(num_proc=4, timeout=600, quantum_executor=SingleQuantumExecutor(butler=butler))
        executor.execute(graph)
        print(executor.getReport().closing_line())
    """

    def __init__(
        self,
        *,
        num_proc: int,
        timeout: float = 0,
        quantum_executor: QuantumExecutor,
        start_method: str | None = None,
        fail_fast: bool = False,
        pdb: str | None = None,
        execution_graph_fixup: ExecutionGraphFixup | None = None,
    ) -> None:
        self._num_proc = num_proc
        self._executor = quantum_executor
        self._control: dict[str, Any] = {
            "fail_fast": fail_fast,
            "debugger": pdb,
            "graph_fixup": execution_graph_fixup,
            "progress": False,
        }
        self._timeout = timeout or None
        self._report: RunReport | None = None

    def execute(self, graph: Any, *, provenance_graph_file: str | None = None) -> None:
        """Run all quanta.

        Parameters
        ----------
        graph
            The quantum graph.
        provenance_graph_file
            Where to write what became of the quanta, as a provenance graph (`.qg`).

        Raises
        ------
        MPTimeoutError
            A quantum took too long.
        MPGraphExecutorError
            A quantum failed; `getReport` tells which.
        ValueError
            A provenance graph is wanted and there is no butler with a registry.
        """
        executor: Any = self._executor
        butler = executor.butler if _is_ours(executor) else None
        if provenance_graph_file is not None and butler is None:
            raise ValueError("a provenance graph needs SingleQuantumExecutor(butler=...), with a repository's butler")
        if butler is None:
            self._report = self._run_one_by_one(graph)
        else:
            options = {**self._control, **executor.options}
            self._report = run_graph(graph, butler, processes=self._num_proc, timeout=self._timeout, **options)
        if provenance_graph_file is not None:
            from armillary.pipeline.provenance.aggregate import aggregate_graph

            aggregate_graph(graph, butler, output=provenance_graph_file, dry_run=True)  # all is registered
        self._raise_failure(self._report)

    def _run_one_by_one(self, graph: Any) -> RunReport:
        if self._num_proc > 1 or self._timeout is not None:
            _LOG.warning(
                "quanta run one after the other, without a timeout: `%s` reads and writes by itself",
                type(self._executor).__name__,
            )
        return run_with_executor(graph, self._executor, **self._control)

    @staticmethod
    def _raise_failure(report: RunReport) -> None:
        if not report.exit_code:
            return
        kind = MPTimeoutError if report.count(QuantumState.TIMED_OUT) else MPGraphExecutorError
        raise kind(f"the run failed: {report.closing_line()}")

    def getReport(self) -> RunReport:
        """Return how every quantum ended.

        Raises
        ------
        RuntimeError
            Nothing was run yet.
        """
        if self._report is None:
            raise RuntimeError("nothing was run yet; call `execute` first")
        return self._report


def _is_ours(executor: Any) -> bool:
    """Whether quanta may run in other processes, and their outputs be registered by one writer."""
    own = isinstance(executor, SingleQuantumExecutor) and type(executor).execute is SingleQuantumExecutor.execute
    return own and hasattr(executor.butler, "_core_registry")
