"""What worker processes share, and the run of quanta in a pool of them on this machine."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from armillary.pipeline.execution.driver import Driver, Prepared, Run
from armillary.pipeline.execution.outcome import QuantumOutcome, QuantumState
from armillary.pipeline.execution.profiling import profiled
from armillary.pipeline.execution.worker_context import ExecutorOptions, Job, WorkerContext
from armillary.pipeline.execution.worker_limits import memory_limit
from armillary.pipeline.execution.worker_pool import Surroundings, WorkerDied, WorkerPool
from armillary.pipeline.pipeline_nodes import TaskImportMode

__all__ = ["PoolContext", "graph_file", "outcome_of", "refuse_script_tasks", "run_in_pool"]


class PoolContext:
    """What worker processes share: the graph, the datastore, the tasks. Made once, before the workers are forked.

    Parameters
    ----------
    path
        File of the graph.
    make_datastore
        Function that makes the datastore, and its arguments but for the last, the dimensions.
    options
        How quanta are run.
    """

    def __init__(self, path: str, make_datastore: tuple[Any, ...], options: ExecutorOptions) -> None:
        from armillary.pipeline.quantum_graph import PredictedQuantumGraph

        with PredictedQuantumGraph.open(path, import_mode=TaskImportMode.DO_NOT_IMPORT) as reader:
            reader.read_all()
            self._graph = reader.finish()
        function, *arguments = make_datastore
        self._options = options
        universe = self._graph.pipeline_graph.universe
        self._context = WorkerContext(self._graph, function(*arguments, universe), options)

    def task(self, label: str) -> Any:
        """Import a task."""
        return self._context.task(label)

    def run_job(self, job: Job) -> QuantumOutcome:
        """Run a quantum that is given by its id."""
        quantum = self._graph.build_execution_quanta([job.quantum_id])[job.quantum_id]
        limit = job.memory if self._options.enforce_memory else None
        with profiled(self._options.profile_folder), memory_limit(limit):
            outcome = self._context.run(job, quantum)
        outcome.error = None  # exceptions of tasks may not survive the way to another process
        return outcome


def run_in_pool(driver: Driver, options: ExecutorOptions) -> None:
    """Run the quanta of a driver in worker processes of this machine."""
    run, control = driver.run, driver.run.control
    refuse_script_tasks(run)
    with (
        graph_file(run.graph) as path,
        WorkerPool(
            min(driver.budget.slots, max(1, len(run.quanta))),
            PoolContext,
            (path, run.make_datastore, options),
            run.labels,
            control.timeout,
            control.recycle_above,
            Surroundings.here(control.threads),
        ) as pool,
    ):
        running: dict[uuid.UUID, Prepared] = {}
        while True:
            _fill(pool, driver, running)
            if not running:
                return
            for job, result in pool.wait():
                prepared = running.pop(job.quantum_id)
                driver.end(prepared, outcome_of(prepared, result))


def _fill(pool: WorkerPool, driver: Driver, running: dict[uuid.UUID, Prepared]) -> None:
    """Start as many quanta as there are free processes, and memory for."""
    while pool.n_free and (prepared := driver.take()) is not None:
        if not driver.budget.fits(prepared.job.memory, sum(other.job.memory or 0 for other in running.values())):
            driver.put_back(prepared)
            return
        pool.submit(prepared.job)
        running[prepared.job.quantum_id] = prepared


def outcome_of(prepared: Prepared, result: QuantumOutcome | WorkerDied) -> QuantumOutcome:
    """Return how a quantum ended: what its process told, or that it died."""
    if isinstance(result, QuantumOutcome):
        return result
    outcome = prepared.outcome(QuantumState.TIMED_OUT if result.timed_out else QuantumState.FAILED, result)
    if result.timed_out:
        outcome.kinds = ("TimeoutError", *outcome.kinds)
    return outcome


def refuse_script_tasks(run: Run) -> None:
    """Refuse tasks that other processes cannot import.

    Raises
    ------
    ValueError
        A task is defined in the script that is run.
    """
    for label in run.labels:
        name = run.graph.pipeline_graph.tasks[label].task_class_name
        if name.startswith("__main__."):
            raise ValueError(
                f"the class of task `{label}` is defined in the script that is run, where other processes cannot find "
                "it; put it into a module, or run with one process"
            )


@contextmanager
def graph_file(graph: Any, folder: str | None = None) -> Iterator[str]:
    """Give the file a graph was read from, or a file (in `folder`) for as long as the block lasts."""
    path = getattr(graph, "path", None)
    if path is not None and os.path.exists(path):
        yield os.path.abspath(path)
        return
    with tempfile.TemporaryDirectory(prefix="armillary-run-", dir=folder) as directory:
        path = os.path.join(directory, "run.qg")
        graph.write(path)
        yield path
