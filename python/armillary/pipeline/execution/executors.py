"""What `--executor` names: a distributed engine as a `concurrent.futures.Executor`."""

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib
import importlib.metadata
import os
import runpy
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from armillary._words import did_you_mean
from armillary.errors import ConfigurationError

__all__ = ["ENTRY_POINT_GROUP", "executor_factory", "stays_here"]

ENTRY_POINT_GROUP = "armillary.executors"
"""Entry points of other packages: each names a function like those here."""

Factory = Callable[[str, int], contextlib.AbstractContextManager[concurrent.futures.Executor]]


def executor_factory(wanted: Any, processes: int) -> Callable[[], Any]:
    """Return a function that makes the executor that is asked for, as a context manager.

    Parameters
    ----------
    wanted
        `NAME` or `NAME:ARGUMENT`, where the name is `parsl` (argument: a Python file that sets `config`), `dask`
        (argument: address of a scheduler), `processes`, `threads` or that of an entry point; `MODULE:FUNCTION`, where
        the function returns an executor; an executor; or a function that makes one.
    processes
        How many batches of quanta run at once.

    Raises
    ------
    ConfigurationError
        Nothing has that name, or a package that it needs is not installed.

    Examples
    --------
    >>> with executor_factory("threads", 2)() as executor:
    ...     executor.submit(pow, 2, 3).result()
    8
    """
    if isinstance(wanted, concurrent.futures.Executor):
        return lambda: contextlib.nullcontext(wanted)  # who made it ends it
    if callable(wanted):
        return lambda: _managed(wanted())
    name, _, argument = str(wanted).partition(":")
    factory = _BUILT_IN.get(name) or _entry_point(name)
    if factory is not None:
        return lambda: factory(argument, processes)
    if not argument:
        known = [*_BUILT_IN, *(point.name for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP))]
        raise ConfigurationError(
            f"no executor is called `{name}`{did_you_mean(name, known)}; there are `local`, "
            f"{', '.join(f'`{one}`' for one in sorted(known))}, and `MODULE:FUNCTION`"
        )
    function = _named(name, argument)
    return lambda: _managed(function())


def stays_here(wanted: Any) -> bool:
    """Whether an executor, as `executor_factory` takes it, has all its processes on this machine for certain.

    >>> stays_here("dask"), stays_here("parsl:site.py")
    (True, False)
    """
    own = (concurrent.futures.ThreadPoolExecutor, concurrent.futures.ProcessPoolExecutor)
    return isinstance(wanted, own) or (isinstance(wanted, str) and wanted in _BUILT_IN)


def _named(module: str, function: str) -> Any:
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"`{module}:{function}` names no function that makes an executor: {error}") from error


def _entry_point(name: str) -> Factory | None:
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP, name=name):
        factory: Factory = point.load()
        return factory
    return None


@contextmanager
def _managed(executor: concurrent.futures.Executor) -> Iterator[concurrent.futures.Executor]:
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _threads(argument: str, processes: int) -> Iterator[concurrent.futures.Executor]:
    with _managed(concurrent.futures.ThreadPoolExecutor(processes)) as executor:
        yield executor


@contextmanager
def _processes(argument: str, processes: int) -> Iterator[concurrent.futures.Executor]:
    import multiprocessing

    context = multiprocessing.get_context("spawn")  # nothing of this process, its connections least of all
    with _managed(concurrent.futures.ProcessPoolExecutor(processes, context, _end_with_parent)) as executor:
        yield executor


def _end_with_parent() -> None:
    """End this process when the one that started it dies: the pool's own processes would wait for work for good."""
    import multiprocessing
    import multiprocessing.connection

    parent = multiprocessing.parent_process()
    assert parent is not None, "it was started by a pool"

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def _missing(name: str) -> ConfigurationError:
    package = {"dask": "distributed"}.get(name, name)
    return ConfigurationError(f"the package of the executor `{name}` is not installed: `pip install {package}`")


# -- Parsl


@contextmanager
def _parsl(argument: str, processes: int) -> Iterator[concurrent.futures.Executor]:
    try:
        import parsl.concurrent  # noqa: F401 - whether it is there
    except ImportError as error:
        raise _missing("parsl") from error
    with tempfile.TemporaryDirectory(prefix="armillary-parsl-", ignore_cleanup_errors=True) as notes:
        config = _site(argument) if argument else _own_machine(processes, notes)
        with _parsl_of(config, notes) as executor:
            yield executor


@contextmanager
def _parsl_of(config: Any, notes: str) -> Iterator[concurrent.futures.Executor]:
    import parsl.concurrent

    config.retries = 0  # a quantum is tried again by us alone
    folder = os.path.dirname(os.path.abspath(sys.executable))
    if folder not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = folder + os.pathsep + os.environ.get("PATH", "")  # Parsl starts `interchange.py` by name
    executor = parsl.concurrent.ParslPoolExecutor(config=config)
    try:
        with _ended_with_driver(config, notes):
            yield executor
    finally:
        executor.shutdown(wait=False)


def _site(path: str) -> Any:
    """Return what a site's file calls `config`: it is a program that the user names and runs."""
    try:
        config = runpy.run_path(path).get("config")
    except OSError as error:
        raise ConfigurationError(f"the file of the Parsl site, `{path}`, cannot be read: {error.strerror}") from error
    config = config() if callable(config) else config
    if not hasattr(config, "executors"):
        raise ConfigurationError(f"`{path}` sets no `config`, which must be a `parsl.Config` or a function making one")
    return config


def _own_machine(processes: int, folder: str) -> Any:
    """Return a configuration for workers on this machine, whose logs go to a folder."""
    import parsl
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider

    executor = HighThroughputExecutor(
        label="armillary",
        address="127.0.0.1",
        max_workers_per_node=processes,
        cores_per_worker=1e-6,  # it is the user who says how many
        heartbeat_period=1,
        heartbeat_threshold=10,
        encrypted=False,  # nothing leaves the machine
        provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
    )
    return parsl.Config(
        executors=[executor],
        run_dir=folder,
        strategy="none",
        strategy_period=0.2,  # the default of 5 s is waited for before the first quantum
        usage_tracking=0,
        initialize_logging=False,
        exit_mode="skip",
    )


_WATCH = """
import os, shutil, signal, sys, time
if not sys.stdin.read():
    for process in sys.argv[2:]:
        try:
            os.kill(int(process), signal.SIGKILL)
        except ProcessLookupError:
            pass
    time.sleep(15)  # until the others, which hear nothing more, have given up
    shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


@contextmanager
def _ended_with_driver(config: Any, notes: str) -> Iterator[None]:
    """End Parsl's interchange when this process dies: it would live on for good, and its workers with it.

    The folder `notes` is removed then.
    """
    processes = [getattr(executor, "interchange_proc", None) for executor in config.executors]
    numbers = [str(process.pid) for process in processes if process is not None]
    watch = subprocess.Popen(
        [sys.executable, "-c", _WATCH, notes, *numbers], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield
    finally:
        watch.communicate(b"ended well")


# -- Dask


@contextmanager
def _dask(argument: str, processes: int) -> Iterator[concurrent.futures.Executor]:
    try:
        import dask
        import distributed
    except ImportError as error:
        raise _missing("dask") from error
    with contextlib.ExitStack() as stack:
        if argument:
            client = stack.enter_context(distributed.Client(argument, set_as_default=False))
        else:
            stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 0}))
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=processes, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
                )
            )
            client = stack.enter_context(distributed.Client(cluster, set_as_default=False))
        executor = client.get_executor(pure=False, retries=0)
        try:
            yield executor
        finally:
            executor.shutdown(wait=False)  # it takes no other argument


_BUILT_IN: dict[str, Factory] = {"dask": _dask, "parsl": _parsl, "processes": _processes, "threads": _threads}
