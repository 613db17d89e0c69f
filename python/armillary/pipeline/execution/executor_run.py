"""Running quanta wherever a `concurrent.futures.Executor` puts them: batches of ids go out, outcomes come back."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import queue
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import contextmanager
from typing import Any

from armillary.errors import MPGraphExecutorError
from armillary.pipeline.execution.driver import Driver, Prepared
from armillary.pipeline.execution.executor_journal import n_ended, seal
from armillary.pipeline.execution.executor_worker import BatchPlan, run_batch
from armillary.pipeline.execution.executors import executor_factory, stays_here
from armillary.pipeline.execution.lifeline import Lifeline
from armillary.pipeline.execution.outcome import QuantumState
from armillary.pipeline.execution.pool_context import graph_file, outcome_of, refuse_script_tasks
from armillary.pipeline.execution.worker_context import ExecutorOptions
from armillary.pipeline.execution.worker_pool import Surroundings

__all__ = ["WorkerLost", "run_in_executor"]

_LOG = logging.getLogger(__name__)

BATCH_SECONDS = 0.2
"""How long a batch should take: long beside what an engine spends on it, short beside what one waits for."""

MOST_IN_BATCH = 64
MOST_LOST = 3
"""How often a quantum may be given back without having been started."""

LOOK_EVERY = 5.0
"""Seconds between looks for batches that have ended and of which the engine says nothing: Dask has lost results."""

_FOLDER_PREFIX = ".armillary-run-"


class WorkerLost(Exception):  # an event, told as it is
    """A distributed engine lost the process, or the node, that ran a quantum.

    Examples
    --------
    >>> str(WorkerLost("the engine lost its worker: ManagerLost"))
    'the engine lost its worker: ManagerLost'
    """


def run_in_executor(driver: Driver, options: ExecutorOptions) -> None:
    """Run the quanta of a driver in the executor that its run asks for.

    Raises
    ------
    ConfigurationError
        There is no such executor.
    MPGraphExecutorError
        The executor cannot start anything.
    """
    run, control = driver.run, driver.run.control
    refuse_script_tasks(run)
    factory = executor_factory(control.executor, control.processes)
    with (
        _run_folder(run.datastore.root) as folder,
        graph_file(run.graph, folder) as path,
        Lifeline(here=stays_here(control.executor)) as lifeline,
        contextlib.ExitStack() as stack,
    ):
        plan = BatchPlan(
            folder,
            _in_folder(path, folder),
            run.make_datastore,
            options,
            tuple(run.labels),
            control.timeout,
            control.recycle_above,
            Surroundings.here(control.threads),
            lifeline.address,
        )
        _Batches(driver, plan, factory, stack).run()


@contextmanager
def _run_folder(root: str) -> Iterator[str]:
    """Give a folder that the driver and all processes see: below the files that they write."""
    if not os.path.isdir(root):
        root = os.getcwd()
    _remove_abandoned(root)
    own = f"{_FOLDER_PREFIX}{socket.gethostname()}-{os.getpid()}-"
    folder = tempfile.mkdtemp(prefix=own, dir=root)  # which none but the user may enter
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(root: str) -> None:
    """Remove folders of drivers on this node that live no more."""
    own = f"{_FOLDER_PREFIX}{socket.gethostname()}-"
    for name in os.listdir(root):
        process = name.removeprefix(own).partition("-")[0]
        if name.startswith(own) and process.isdecimal() and not os.path.exists(f"/proc/{process}"):
            shutil.rmtree(os.path.join(root, name), ignore_errors=True)


def _in_folder(path: str, folder: str) -> str:
    """Return a graph file that all processes see."""
    if os.path.commonpath([path, folder]) == folder:
        return path
    return shutil.copyfile(path, os.path.join(folder, "run.qg"))


@dataclasses.dataclass
class _Batch:
    number: int
    quanta: list[Prepared]
    has_ended: bool = False


class _Batches:
    """Sends batches out and takes in what comes back.

    Two batches are under way for each process, so that none waits for us. Their size follows from how long quanta of
    a task take.
    """

    def __init__(self, driver: Driver, plan: BatchPlan, factory: Any, stack: contextlib.ExitStack) -> None:
        self._driver = driver
        self._plan = plan
        self._factory = factory
        self._stack = stack
        self._executor: Any = stack.enter_context(factory())
        self._slots = driver.run.control.processes
        self._under_way: dict[Future[Any], _Batch] = {}
        self._done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._number = 0
        self._n_ended = 0
        self._seconds: dict[str, float] = {}
        self._n_broken = 0
        self._looked = time.monotonic()

    def run(self) -> None:
        """Run everything."""
        while True:
            while len(self._under_way) < 2 * self._slots and (batch := self._take()) is not None:
                self._submit(batch)
            if self._driver.stopped:
                for future in self._under_way:
                    future.cancel()
            if not self._under_way:
                return
            self._look_for_forgotten()
            try:
                future = self._done.get(timeout=LOOK_EVERY)
            except queue.Empty:
                continue
            batch = self._under_way.pop(future, None)
            if batch is None:  # it was taken for forgotten
                continue
            try:
                results = future.result()
            except CancelledError:
                self._give_back(batch.quanta)
            except Exception as error:
                self._lost(batch, error)
            else:
                self._take_in(batch, results)

    def _look_for_forgotten(self) -> None:
        """Take in batches that had ended when we looked last, by what they noted down themselves."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        for future, batch in list(self._under_way.items()):
            if future.done():
                continue
            if batch.has_ended:
                del self._under_way[future]
                self._lost(batch, RuntimeError("the engine did not say that it has ended"))
            batch.has_ended = n_ended(self._plan.folder, batch.number) == len(batch.quanta)

    def _take(self) -> _Batch | None:
        most = max(1, min(MOST_IN_BATCH, self._driver.n_ready // (2 * self._slots)))
        quanta: list[Prepared] = []
        seconds = 0.0
        while len(quanta) < most and seconds < BATCH_SECONDS:
            prepared = self._driver.take()
            if prepared is None:
                break
            quanta.append(prepared)
            seconds += self._seconds.get(prepared.job.label, BATCH_SECONDS)
        if not quanta:
            return None
        self._number += 1
        return _Batch(self._number, quanta)

    def _submit(self, batch: _Batch) -> None:
        jobs = [prepared.job for prepared in batch.quanta]
        try:
            future = self._executor.submit(run_batch, self._plan, batch.number, jobs)
        except BrokenExecutor as error:
            self._give_back(batch.quanta)
            self._replace_executor(error)
            return
        self._under_way[future] = batch
        future.add_done_callback(self._done.put)

    def _give_back(self, quanta: list[Prepared]) -> None:
        for prepared in reversed(quanta):
            self._driver.put_back(prepared)

    def _take_in(self, batch: _Batch, results: list[Any]) -> None:
        self._n_broken = 0
        for prepared, result in zip(batch.quanta, results, strict=False):
            self._end(prepared, outcome_of(prepared, result))
        self._give_back(batch.quanta[len(results) :])

    def _end(self, prepared: Prepared, outcome: Any) -> None:
        self._n_ended += 1
        label = outcome.label
        known = self._seconds.get(label, outcome.seconds)
        self._seconds[label] = 0.8 * known + 0.2 * outcome.seconds
        self._driver.end(prepared, outcome)

    def _lost(self, batch: _Batch, error: Exception) -> None:
        """Find out what became of the quanta of a batch that the engine could not finish."""
        running, ended = seal(self._plan.folder, batch.number)
        what = f"{type(error).__name__}: {error}"
        _LOG.warning(
            "batch %d was lost with %d of %d quanta done: %s", batch.number, len(ended), len(batch.quanta), what
        )
        not_begun = []
        for prepared in batch.quanta:
            outcome = ended.get(prepared.job.quantum_id)
            if outcome is None and prepared.job.quantum_id == running:
                outcome = prepared.outcome(QuantumState.FAILED, WorkerLost(f"the engine lost its worker: {what}"))
            if outcome is None:
                not_begun.append(prepared)
            else:
                self._end(prepared, outcome)
        if running is None and not ended:
            self._count_lost(not_begun, error)
        self._give_back(not_begun)
        if isinstance(error, BrokenExecutor):
            self._replace_executor(error)

    def _count_lost(self, quanta: list[Prepared], error: Exception) -> None:
        """Give up when nothing ever starts."""
        for prepared in quanta:
            prepared.n_lost += not isinstance(error, BrokenExecutor)
            if prepared.n_lost > MOST_LOST:
                raise MPGraphExecutorError(
                    f"the executor `{self._driver.run.control.executor}` could not start a quantum of task "
                    f"`{prepared.job.label}`, {prepared.n_lost} times: {type(error).__name__}: {error}"
                ) from error

    def _replace_executor(self, error: Exception) -> None:
        """Make a new executor in place of one that takes nothing any more."""
        if self._under_way and not all(future.done() for future in self._under_way):
            return  # the others are told in a moment
        self._n_broken += 1
        if self._n_broken > MOST_LOST:
            raise MPGraphExecutorError(
                f"the executor `{self._driver.run.control.executor}` broke {self._n_broken} times: {error}"
            ) from error
        _LOG.warning("the executor broke and is made anew: %s", error)
        self._stack.close()
        self._executor = self._stack.enter_context(self._factory())
