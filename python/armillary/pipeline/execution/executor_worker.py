"""What a process of a distributed engine does: it keeps a warm worker process of its own, and runs batches in it.

The quantum never runs in the engine's process: one that dies, hangs or needs too much memory costs itself alone, and
what else the engine runs beside is left in peace.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from armillary.pipeline.execution.executor_journal import BatchJournal
from armillary.pipeline.execution.lifeline import DriverGone, LifelineAddress, hold
from armillary.pipeline.execution.outcome import QuantumOutcome
from armillary.pipeline.execution.pool_context import PoolContext
from armillary.pipeline.execution.worker_context import ExecutorOptions, Job
from armillary.pipeline.execution.worker_pool import Surroundings, WorkerDied, WorkerPool

__all__ = ["BatchPlan", "run_batch"]


@dataclasses.dataclass(frozen=True)
class BatchPlan:
    """What all batches of a run have in common.

    Attributes
    ----------
    folder
        The folder of the run, which the driver and all processes see.
    graph
        File of the graph.
    make_datastore
        Function and arguments that make the datastore.
    options, labels, timeout, recycle_above, surroundings
        See `WorkerPool` and `PoolContext`.
    lifeline
        Where the driver listens.
    """

    folder: str
    graph: str
    make_datastore: tuple[Any, ...]
    options: ExecutorOptions
    labels: tuple[str, ...]
    timeout: float | None
    recycle_above: int | None
    surroundings: Surroundings
    lifeline: LifelineAddress


def run_batch(plan: BatchPlan, number: int, jobs: Sequence[Job]) -> list[QuantumOutcome | WorkerDied]:
    """Run quanta one after the other and return how each ended.

    Raises
    ------
    BatchRefused
        The batch has been begun before, or was given up.
    DriverGone
        The run has ended.
    """
    results: list[QuantumOutcome | WorkerDied] = []
    with _Host.of(plan).worker() as pool, BatchJournal(plan.folder, number) as journal:
        for job in jobs:
            journal.begin(job.quantum_id)
            pool.submit(job)
            result = _result(pool)
            if isinstance(result, QuantumOutcome):
                journal.end(result)
            results.append(result)
            if not isinstance(result, QuantumOutcome):
                break  # what follows has not begun: the driver, which hears of it at once, gives it to others
    return results


def _result(pool: WorkerPool) -> Any:
    while True:
        for _, result in pool.wait():
            return result


class _Host:
    """The worker processes that this process of an engine keeps for one run, one for each of its threads."""

    _all: dict[str, _Host] = {}  # noqa: RUF012 - of the process, as a module's variable would be
    _lock = threading.Lock()

    def __init__(self, plan: BatchPlan) -> None:
        self._plan = plan
        self._idle: queue.SimpleQueue[WorkerPool] = queue.SimpleQueue()
        self._pools: list[WorkerPool] = []
        self._gone = False
        hold(plan.lifeline, self._end)

    @classmethod
    def of(cls, plan: BatchPlan) -> _Host:
        with cls._lock:
            host = cls._all.get(plan.lifeline.token)
            if host is None:
                host = cls._all[plan.lifeline.token] = cls(plan)
            return host

    @contextlib.contextmanager
    def worker(self) -> Iterator[WorkerPool]:
        """Give a pool of one process to this thread."""
        try:
            pool = self._idle.get_nowait()
        except queue.Empty:
            pool = self._start()
        try:
            yield pool
        except BaseException:
            pool.kill()
            pool.close()
            raise
        self._idle.put(pool)

    def _start(self) -> WorkerPool:
        plan = self._plan
        arguments = (plan.graph, plan.make_datastore, plan.options)
        pool = WorkerPool(
            1, PoolContext, arguments, plan.labels, plan.timeout, plan.recycle_above, surroundings=plan.surroundings
        )
        with self._lock:
            self._pools.append(pool)
            gone = self._gone
        if gone:
            pool.kill()
            raise DriverGone("the run has ended")
        return pool

    def _end(self) -> None:
        """End all processes: the driver is gone."""
        with self._lock:
            self._gone = True
            self._all.pop(self._plan.lifeline.token, None)
            for pool in self._pools:
                pool.kill()
        with contextlib.suppress(queue.Empty):  # those at work are closed by the threads that hear of their death
            while True:
                self._idle.get_nowait().close()
