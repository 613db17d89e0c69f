"""Running quanta: in this process, in a pool of processes, or wherever an executor puts them."""

from __future__ import annotations

import dataclasses
import importlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from armillary.pipeline.execution.driver import Driver, Prepared, Run
from armillary.pipeline.execution.outcome import QuantumOutcome
from armillary.pipeline.execution.profiling import merge_profiles, profiled
from armillary.pipeline.execution.progress import ProgressBar
from armillary.pipeline.execution.report import RunReport
from armillary.pipeline.execution.worker_context import ExecutorOptions, WorkerContext

__all__ = ["RunInterrupted", "iterate_quanta", "run_quanta"]

INTERRUPTED = 130
"""Exit code of a program that Ctrl-C has ended: 128 and the number of the signal."""


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C, with the report of what had been done; the rest can be done later.

    Attributes
    ----------
    report
        How every quantum ended; those that did not are pending.

    Examples
    --------
    >>> RunInterrupted(RunReport(["isr"])).report.labels
    ['isr']
    """

    def __init__(self, report: RunReport) -> None:
        super().__init__("the run was interrupted")
        self.report = report


def run_quanta(run: Run) -> RunReport:
    """Run quanta; every failure is told in the report, none is raised.

    Raises
    ------
    RunInterrupted
        Ctrl-C was pressed; nothing runs any more.
    """
    started = time.perf_counter()
    with ProgressBar(len(run.quanta), run.control.progress) as bar, _profile_folder(run.control.profile) as folder:
        driver = Driver(run, bar)
        control = run.control
        options = dataclasses.replace(
            run.options,
            profile_folder=folder,
            enforce_memory=control.enforce_memory,
            task_factory=control.task_factory,
            debug=control.debug,
        )
        interrupted = False
        try:
            _choose(run)(driver, options)
        except KeyboardInterrupt:
            interrupted = True
            driver.report.stopped_with = INTERRUPTED
    report = driver.finish()
    report.seconds = time.perf_counter() - started
    report.graph = run.graph
    if interrupted:
        raise RunInterrupted(report)
    return report


def _choose(run: Run) -> Callable[[Driver, ExecutorOptions], None]:
    if run.one is not None or run.control.in_this_process:
        return _run_here
    if run.control.on_this_machine:
        from armillary.pipeline.execution.pool_context import run_in_pool

        return run_in_pool
    from armillary.pipeline.execution.executor_run import run_in_executor

    return run_in_executor


def _run_here(driver: Driver, options: ExecutorOptions) -> None:
    for _ in _outcomes_here(driver, options):
        pass


def _outcomes_here(driver: Driver, options: ExecutorOptions) -> Iterator[QuantumOutcome]:
    """Run the quanta one after the other; give how each ended when that has been noted."""
    debugger = driver.run.control.debugger
    one = driver.run.one
    if one is None:
        context = WorkerContext(driver.run.graph, driver.run.datastore, options)

        def one(prepared: Prepared) -> QuantumOutcome:
            return context.run(prepared.job, prepared.quantum)

    while (prepared := driver.take()) is not None:
        with profiled(options.profile_folder):
            outcome = one(prepared)
        if debugger is not None and outcome.error is not None:
            _debugger(debugger)(outcome.error.__traceback__)
        driver.end(prepared, outcome)
        yield outcome


def iterate_quanta(run: Run) -> Iterator[QuantumOutcome]:
    """Run quanta in this process as the iterator is asked for the next; failures are told, none is raised."""
    control = run.control
    options = dataclasses.replace(run.options, task_factory=control.task_factory, debug=control.debug)
    with ProgressBar(len(run.quanta), control.progress) as bar:
        yield from _outcomes_here(Driver(run, bar), options)


def _debugger(name: str) -> Any:
    """Return the function of a module that looks at a traceback.

    Raises
    ------
    ValueError
        The module has none.
    """
    function = getattr(importlib.import_module(name), "post_mortem", None)
    if function is None:
        raise ValueError(f"`{name}` is no debugger: the module has no function `post_mortem`")
    return function


@contextmanager
def _profile_folder(target: str | None) -> Iterator[str | None]:
    """Give a folder for the profiles of all processes, which in the end become one file; None when not wanted."""
    if target is None:
        yield None
        return
    folder = os.path.dirname(os.path.abspath(target))
    with tempfile.TemporaryDirectory(prefix=".armillary-profile-", dir=folder) as profiles:
        try:
            yield profiles
        finally:
            merge_profiles(profiles, target)
