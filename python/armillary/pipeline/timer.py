"""Notes on time and resources, kept in a task's metadata."""

from __future__ import annotations

import functools
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from armillary.pipeline.metadata import TaskMetadata

__all__ = ["log_resources", "resource_usage", "timeMethod"]

# macOS counts the peak memory in bytes, every other system in units of 1024 bytes.
_MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024

Function = TypeVar("Function", bound=Callable[..., Any])


def resource_usage() -> dict[str, str | float | int]:
    """Return time (UTC, and CPU seconds), peak memory (bytes) and counts of this process, by their names in metadata.

    >>> usage = resource_usage()
    >>> usage["Utc"].endswith("+00:00"), usage["MaxResidentSetSize"] > 1_000_000
    (True, True)
    """
    import resource  # not on every system

    usage = resource.getrusage(resource.RUSAGE_SELF)
    now = time.time_ns()
    seconds, microseconds = divmod(now // 1000, 1_000_000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return {
        "Utc": f"{stamp}.{microseconds:06d}+00:00",
        "CpuTime": time.process_time(),
        "UserTime": usage.ru_utime,
        "SystemTime": usage.ru_stime,
        "MaxResidentSetSize": usage.ru_maxrss * _MEMORY_UNIT,
        "MinorPageFaults": usage.ru_minflt,
        "MajorPageFaults": usage.ru_majflt,
        "BlockInputs": usage.ru_inblock,
        "BlockOutputs": usage.ru_oublock,
        "VoluntaryContextSwitches": usage.ru_nvcsw,
        "InvoluntaryContextSwitches": usage.ru_nivcsw,
    }


def log_resources(metadata: Any, prefix: str) -> None:
    """Append the resources used so far to `metadata`, each under its name with `prefix` before it.

    The metadata also gets the version of this form, `__version__`, and `nodeName`.

    >>> from armillary.pipeline import TaskMetadata
    >>> metadata = TaskMetadata()
    >>> log_resources(metadata, "prep")
    >>> len(metadata.getArray("prepUtc"))
    1
    """
    metadata["__version__"] = 1
    metadata["nodeName"] = _node_name()
    usage = resource_usage()
    if isinstance(metadata, TaskMetadata):  # several of these for every quantum: past all the checks of `add`
        for name, value in usage.items():
            metadata.arrays.setdefault(prefix + name, []).append(value)
        return
    for name, value in usage.items():
        metadata.add(prefix + name, [value])


@functools.cache
def _node_name() -> str:
    return os.uname().nodename


def note_timing(task: Any, prefix: str, level: int) -> None:
    """Add the resources to `task.metadata` and say so in `task.log`."""
    log_resources(task.metadata, prefix)
    log: logging.LoggerAdapter[Any] = task.log
    if log.isEnabledFor(level):
        log.log(level, "timer %s: cpu %.6f s", prefix, time.process_time(), stacklevel=3)


def timeMethod(function: Function) -> Function:
    """Decorate a task's method: its resources go to the metadata as `<method>Start...` and `<method>End...`.

    Examples
    --------
    >>> from armillary.pipeline import Task
    >>> from armillary.pipeline.timer import timeMethod
    >>> from lsst.pex.config import Config
    >>> class AddTask(Task):
    ...     ConfigClass = Config
    ...     _DefaultName = "add"
    ...     @timeMethod
    ...     def run(self, x, y):
    ...         return x + y
    >>> task = AddTask()
    >>> task.run(1, 2)
    3
    >>> "runEndCpuTime" in task.metadata
    True

    """

    @functools.wraps(function)
    def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        note_timing(self, function.__name__ + "Start", logging.DEBUG)
        try:
            return function(self, *args, **kwargs)
        finally:
            note_timing(self, function.__name__ + "End", logging.DEBUG)

    return timed  # type: ignore[return-value]
