"""Running a graph through an executor object, for code that is written so."""

from __future__ import annotations

from typing import Any

from armillary.errors import MPGraphExecutorError
from armillary.pipeline.execution.report import RunReport
from armillary.pipeline.execution.single_quantum_executor import SingleQuantumExecutor
from armillary.pipeline.execution.with_registry import run_graph

__all__ = ["MPGraphExecutor"]


class MPGraphExecutor:
    """Runs the quanta of a graph, several at once.

    Parameters
    ----------
    num_proc
        How many quanta run at once.
    timeout
        Seconds that one quantum may take; 0 for no limit.
    quantum_executor
        Holds the butler and the options for each quantum.
    start_method
        Taken for compatibility; workers are always started once and kept.
    fail_fast
        Whether the first failure ends the run.

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
        quantum_executor: SingleQuantumExecutor,
        start_method: str | None = None,
        fail_fast: bool = False,
    ) -> None:
        if quantum_executor.butler is None or not hasattr(quantum_executor.butler, "_core_registry"):
            raise ValueError(
                "the quantum executor needs a butler with a registry: SingleQuantumExecutor(butler=butler)"
            )
        self._num_proc = num_proc
        self._timeout = timeout or None
        self._executor = quantum_executor
        self._fail_fast = fail_fast
        self._report: RunReport | None = None

    def execute(self, graph: Any) -> None:
        """Run all quanta.

        Raises
        ------
        MPGraphExecutorError
            A quantum failed; `getReport` tells which.
        """
        options = self._executor.options
        self._report = run_graph(
            graph,
            self._executor.butler,
            processes=self._num_proc,
            timeout=self._timeout,
            fail_fast=self._fail_fast,
            progress=False,
            **options,
        )
        if self._report.exit_code:
            raise MPGraphExecutorError(f"the run failed: {self._report.closing_line()}")

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
