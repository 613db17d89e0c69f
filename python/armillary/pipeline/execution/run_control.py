"""How a run goes: how many quanta at once, with what limits, and what happens after a failure."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.pipeline.execution.execution_graph_fixup import ExecutionGraphFixup
    from armillary.pipeline.execution.outcome import QuantumOutcome
    from armillary.pipeline.quantum_context import ExecutionResources

__all__ = ["Budget", "RetryPolicy", "RunControl", "usable_cores", "usable_memory"]

MEMORY_FACTOR = 2
"""By how much the memory of a quantum grows when it is tried again because it had too little."""

_DEFAULT_RETRIES = {
    "WorkerLost": 2,  # a node that goes away is nobody's mistake
    "RepeatableQuantumError": 0,  # says of itself that trying again is of no use
    "InvalidQuantumError": 0,
}


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """How often a quantum is tried again, by the class of the error that ended it.

    Attributes
    ----------
    times
        How often, by name of the class, with or without its module. The class itself is looked up first, then its
        bases, so that `Exception` stands for everything not named. A process that ended by itself counts as
        `WorkerDied`, one ended because of the time as `TimeoutError`, one that a distributed engine lost as
        `WorkerLost`.

    Examples
    --------
    >>> policy = RetryPolicy.parse(["MemoryError=3", "1"])
    >>> policy.times_for(["MemoryError", "Exception"]), policy.times_for(["builtins.KeyError", "Exception"])
    (3, 1)
    """

    times: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> RetryPolicy:
        """Read `CLASS=N`, or `N` for every class.

        Raises
        ------
        ValueError
            A text is neither.
        """
        times: dict[str, int] = {}
        for text in texts:
            name, _, number = text.rpartition("=")
            if not number.strip().isdecimal() or ("=" in text and not name.strip()):
                raise ValueError(
                    f"`{text}` does not say how often to try again; write `CLASS=N`, as in `OSError=2`, or `N`"
                )
            times[name.strip() or "Exception"] = int(number)
        return cls(times)

    def times_for(self, kinds: Iterable[str]) -> int:
        """Return how often a quantum is tried again after an error of a class, given with its bases in order."""
        every = {**_DEFAULT_RETRIES, **self.times}
        for kind in kinds:
            for name in (kind, kind.rpartition(".")[2]):
                if name in every:
                    return every[name]
        return 0

    def allows(self, outcome: QuantumOutcome) -> bool:
        """Whether a quantum that ended like this is tried again."""
        return outcome.state.is_failure and outcome.attempts <= self.times_for(outcome.kinds)


@dataclasses.dataclass(frozen=True)
class RunControl:
    """How a run goes.

    Attributes
    ----------
    processes
        How many quanta run at once. With 1, no timeout and no limit of memory they run in this process.
    timeout
        Seconds that one quantum may take.
    fail_fast
        Whether the first failure ends the run.
    raise_on_partial_outputs
        Whether partial outputs are a failure.
    progress
        Whether to show a progress bar; None for whether standard error is a terminal.
    resources
        What a quantum may use. No more quanta run at once than there are cores and memory for, but always one.
    retry
        Which failures are tried again, and how often.
    executor
        What runs the quanta: None for the processes of this machine, else text as `make_executor` takes, a
        `concurrent.futures.Executor`, or a function that makes one.
    enforce_memory
        Whether a quantum that takes more memory than `resources` gives it ends with `MemoryError`.
    recycle_above
        Bytes; a process that has grown beyond is replaced before its next quantum.
    debugger
        Module whose `post_mortem` is called after a failure, such as `pdb`.
    profile
        File for the statistics of Python's profiler.
    task_factory
        Makes the tasks; None for what makes them from their classes. Other processes get a pickled copy.
    graph_fixup
        Adds edges to the graph of quanta; see `ExecutionGraphFixup`.
    debug
        Whether each process imports the module `debug`.
    implicit_threading
        Whether numerical libraries may start as many threads as they like; else each process of the pool gets as many
        as its quantum has cores.

    Examples
    --------
    >>> RunControl(processes=4, retry=RetryPolicy.parse(["OSError=2"])).in_this_process
    False
    """

    processes: int = 1
    timeout: float | None = None
    fail_fast: bool = False
    raise_on_partial_outputs: bool = True
    progress: bool | None = None
    resources: ExecutionResources | None = None
    retry: RetryPolicy = dataclasses.field(default_factory=RetryPolicy)
    executor: Any = None
    enforce_memory: bool = False
    recycle_above: int | None = None
    debugger: str | None = None
    profile: str | None = None
    implicit_threading: bool = False
    task_factory: Any = None
    graph_fixup: ExecutionGraphFixup | None = None
    debug: bool = False

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise ValueError(f"at least 1 process is needed; `{self.processes}` was asked for")
        if self.timeout is not None and self.timeout <= 0:
            raise ValueError(f"a quantum cannot end within {self.timeout:g} s; a timeout is greater than 0")
        if self.debugger is not None and not self.in_this_process:
            raise ValueError(
                "a debugger needs the quanta to run in this process: leave out `--processes`, `--timeout`, "
                "`--executor` and `--enforce-memory`"
            )
        if self.enforce_memory and self.memory is None:
            raise ValueError("there is no limit of memory to enforce; give `--memory-per-quantum`, too")

    @property
    def in_this_process(self) -> bool:
        """Whether quanta run in this process, one after the other."""
        return self.processes == 1 and self.timeout is None and self.executor is None and not self.enforce_memory

    @property
    def on_this_machine(self) -> bool:
        """Whether quanta run in this process or in the pool of it."""
        return self.executor in (None, "local")

    @property
    def threads(self) -> int | None:
        """Threads that a numerical library may start in a process of the pool; None for what it does by itself."""
        if self.implicit_threading:
            return None
        return 1 if self.resources is None else self.resources.num_cores

    @property
    def memory(self) -> int | None:
        """Bytes for each quantum; None for no limit."""
        limit = None if self.resources is None else self.resources.max_mem
        return None if limit is None else int(limit.to_value("byte"))


class Budget:
    """How much may run at once on this machine.

    Examples
    --------
    >>> budget = Budget(RunControl(processes=3), cores=8, memory=1 << 30)
    >>> budget.slots, budget.fits(1 << 30, running=0), budget.fits(1 << 20, running=1 << 30)
    (3, True, False)
    """

    def __init__(self, control: RunControl, cores: int | None = None, memory: int | None = None) -> None:
        self._memory = usable_memory() if memory is None else memory
        cores_each = 1 if control.resources is None else control.resources.num_cores
        available = usable_cores() if cores is None else cores
        # With one core each it is the user who knows how many can share one.
        self.slots = control.processes if cores_each == 1 else max(1, min(control.processes, available // cores_each))

    def fits(self, memory: int | None, running: int) -> bool:
        """Whether a quantum that needs so many bytes can start beside those that run; one alone always can."""
        return not running or memory is None or running + memory <= self._memory

    def grown(self, memory: int) -> int:
        """Return the memory for a quantum that had too little."""
        return max(memory, min(memory * MEMORY_FACTOR, self._memory))


def usable_cores() -> int:
    """Return how many cores this process may use.

    >>> usable_cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_memory() -> int:
    """Return how many bytes of memory this machine, or the control group of this process, has.

    >>> usable_memory() > 1 << 20
    True
    """
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:  # no control groups here
        return whole
    return min(whole, int(limit)) if limit.isdecimal() else whole
