"""A pool of warm processes: started once, each with everything imported, one of them dying costs one quantum."""

from __future__ import annotations

import logging
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from armillary.pipeline.execution.worker import end_group, receive, send

__all__ = ["Surroundings", "WorkerDied", "WorkerPool"]

_PROGRAM = "import sys; from armillary.pipeline.execution.worker import main; main(int(sys.argv[1]))"


class WorkerDied(Exception):  # an event, told as it is
    """A worker ended while it ran a job, or was ended because it took too long.

    Attributes
    ----------
    timed_out
        Whether the pool ended it.

    Examples
    --------
    >>> str(WorkerDied("the worker was ended by signal SIGKILL"))
    'the worker was ended by signal SIGKILL'
    """

    timed_out = False


class Surroundings(NamedTuple):
    """Where code is found and how it is set up.

    Attributes
    ----------
    path
        Folders that modules are imported from.
    directory
        The working directory.
    preload
        Modules and their functions that are called first.
    log_level
        Level of messages on standard error; None for what Python does by itself.
    threads
        Threads that numerical libraries may start, unless the environment says otherwise; None for any number.
    """

    path: tuple[str, ...]
    directory: str
    preload: tuple[tuple[str, str], ...]
    log_level: int | None
    threads: int | None

    @classmethod
    def here(cls, threads: int | None = 1) -> Surroundings:
        """Return those of this process."""
        root = logging.getLogger()
        return cls(tuple(sys.path), os.getcwd(), _preload(), root.level if root.handlers else None, threads)


class _Worker:
    """The driver's side of one worker."""

    def __init__(self, channel: socket.socket, process: int) -> None:
        self.channel = channel
        self.process = process
        self.job: Any = None
        self.deadline: float | None = None
        self.timed_out = False


class WorkerPool:
    """Processes that run jobs of one kind.

    Parameters
    ----------
    processes
        How many jobs run at once.
    factory, arguments
        Importable function and its arguments, called once in the template process; returns an object with
        `task(label)`, which imports a task, and `run_job(job)`.
    labels
        Tasks to import before the first job.
    timeout
        Seconds that one job may take; None for no limit.
    recycle_above
        Bytes of memory; a worker that has grown beyond is replaced after its job. None for no limit.
    surroundings
        Where code is found; as in this process by default.

    Examples
    --------
    Use it as a context manager: `submit(job)` when `n_free` is not 0, and `for job, result in wait():`, where a
    result is what `run_job` returned or a `WorkerDied`.
    """

    def __init__(
        self,
        processes: int,
        factory: Callable[..., Any],
        arguments: tuple[Any, ...],
        labels: Sequence[str] = (),
        timeout: float | None = None,
        recycle_above: int | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        self._timeout = timeout
        self._recycle_above = recycle_above
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, _Worker] = {}
        self._deaths: dict[int, int] = {}
        surroundings = surroundings or Surroundings.here()
        self._control, theirs = socket.socketpair()
        self._template = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=_environment(surroundings),
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        try:
            self._start(processes, factory, arguments, labels, surroundings)
        except BaseException:
            self.close()
            raise

    def _start(
        self,
        processes: int,
        factory: Callable[..., Any],
        arguments: tuple[Any, ...],
        labels: Sequence[str],
        surroundings: Surroundings,
    ) -> None:
        setup = {
            "path": list(surroundings.path),
            "directory": surroundings.directory,
            "preload": surroundings.preload,
            "log_level": surroundings.log_level,
            "factory": factory,
            "arguments": arguments,
            "labels": list(labels),
        }
        send(self._control, setup)
        try:
            receive(self._control)
        except EOFError:
            code = self._template.wait()
            raise RuntimeError(
                f"the worker processes could not start (exit code {code}); see the error above"
            ) from None
        self._selector.register(self._control, selectors.EVENT_READ)
        for _ in range(processes):
            self._add_worker()

    def _add_worker(self) -> None:
        mine, theirs = socket.socketpair()
        socket.send_fds(self._control, [b"w"], [theirs.fileno()])
        theirs.close()
        process = self._hear("started")
        worker = _Worker(mine, process)
        self._workers[process] = worker
        self._selector.register(mine, selectors.EVENT_READ, worker)

    def _hear(self, wanted: str) -> int:
        """Read what the template tells until it tells what is wanted; deaths are kept for later."""
        while True:
            try:
                told = receive(self._control)
            except EOFError:
                raise RuntimeError("the template of the worker processes has died") from None
            if "ended" in told:
                self._deaths[told["ended"]] = told["status"]
            if wanted in told:
                return int(told[wanted])

    @property
    def n_free(self) -> int:
        """How many workers have nothing to do."""
        return sum(worker.job is None for worker in self._workers.values())

    @property
    def n_busy(self) -> int:
        """How many jobs are running."""
        return len(self._workers) - self.n_free

    @property
    def processes(self) -> list[int]:
        """Process ids of the workers."""
        return list(self._workers)

    def submit(self, job: Any) -> None:
        """Give a job to a free worker; replaces the worker when it has died idle."""
        worker = next(worker for worker in self._workers.values() if worker.job is None)
        try:
            send(worker.channel, job)
        except OSError:
            self._forget(worker)
            self._add_worker()
            self.submit(job)
            return
        worker.job = job
        worker.deadline = None if self._timeout is None else time.monotonic() + self._timeout

    def wait(self, longest: float | None = None) -> Iterator[tuple[Any, Any]]:
        """Wait until something ends; give every job that ended with its result, or with a `WorkerDied`."""
        events = [key.data for key, _ in self._selector.select(self._patience(longest))]
        if None in events:
            self._hear("ended")
        # What has forked may hold a dead worker's socket open: then only the template tells of the death.
        silent = [worker for process, worker in self._workers.items() if process in self._deaths]
        for worker in dict.fromkeys([*filter(None, events), *silent]):
            job, result = worker.job, self._hear_worker(worker)
            if job is not None:
                yield job, result
        self._end_late()

    def _hear_worker(self, worker: _Worker) -> Any:
        """Return what a worker tells, or how it died; a worker that died or has grown too large is replaced."""
        try:
            if worker.process in self._deaths and not select.select([worker.channel], [], [], 0)[0]:
                raise EOFError
            result, memory = receive(worker.channel)
        except (EOFError, OSError):
            result = self._death_of(worker)
            self._add_worker()
            return result
        worker.job = worker.deadline = None
        if self._recycle_above is not None and memory > self._recycle_above:
            self._forget(worker)
            end_group(worker.process)
            self._add_worker()
        return result

    def _patience(self, longest: float | None) -> float | None:
        deadlines = [worker.deadline for worker in self._workers.values() if worker.deadline is not None]
        if not deadlines:
            return longest
        left = max(0.0, min(deadlines) - time.monotonic())
        return left if longest is None else min(left, longest)

    def _end_late(self) -> None:
        """End workers that are over their time; their sockets close, and `wait` tells it next time."""
        now = time.monotonic()
        for worker in self._workers.values():
            if worker.deadline is not None and worker.deadline <= now:
                worker.timed_out = True
                worker.deadline = None
                end_group(worker.process)

    def _death_of(self, worker: _Worker) -> WorkerDied:
        self._forget(worker)
        if worker.timed_out:
            death = WorkerDied(f"took longer than {self._timeout:g} s, so its process was ended")
            death.timed_out = True
            return death
        while worker.process not in self._deaths:
            self._hear("ended")
        status = self._deaths.pop(worker.process)
        if os.WIFSIGNALED(status):
            return WorkerDied(f"its process was ended by signal {signal.Signals(os.WTERMSIG(status)).name}")
        return WorkerDied(f"its process ended with exit code {os.WEXITSTATUS(status)}")

    def _forget(self, worker: _Worker) -> None:
        self._selector.unregister(worker.channel)
        worker.channel.close()
        del self._workers[worker.process]

    def kill(self) -> None:
        """End all processes at once; another thread may be waiting, and gets an error."""
        self._template.kill()
        for process in self.processes:
            end_group(process)

    def close(self) -> None:
        """End all processes."""
        for worker in list(self._workers.values()):
            busy = worker.job is not None
            self._forget(worker)
            if busy:
                end_group(worker.process)
        self._control.close()
        self._selector.close()
        try:
            self._template.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._template.kill()
            self._template.wait()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""Variables by which numerical libraries are told how many threads to start."""


def _environment(surroundings: Surroundings) -> dict[str, str]:
    """Return the environment of the processes: as many threads as they may have, unless the user has said otherwise."""
    path = os.pathsep.join(entry for entry in surroundings.path if entry)
    threads = {} if surroundings.threads is None else dict.fromkeys(_THREADS, str(surroundings.threads))
    return {**threads, **os.environ, "PYTHONPATH": path}


def _preload() -> tuple[tuple[str, str], ...]:
    """Return the functions that make a new process import what this one imports: the alias, when it is in force."""
    module = sys.modules.get("armillary.lsst_alias")
    return (("armillary.lsst_alias", "activate"),) if module is not None and module.is_active() else ()
