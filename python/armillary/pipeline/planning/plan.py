"""The plan of a run: what is to be done, what it reads and takes, and when it will be over."""

from __future__ import annotations

import dataclasses
import heapq
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from armillary import _core
from armillary.pipeline.planning.history import TaskCost, earlier_costs

if TYPE_CHECKING:
    from armillary.butler import Butler

__all__ = ["RunPlan", "TaskPlan", "finish_time", "plan_run"]


@dataclasses.dataclass
class TaskPlan:
    """What a run will do for one task.

    Attributes
    ----------
    label
        The task.
    n_new, n_skipped, n_blocked, n_reused
        Quanta that will run, that succeeded before, that lack an input and are left out, and for which outputs of
        earlier runs stand.
    input_bytes
        Size of the files that exist and that its quanta read, each once.
    cost
        What a quantum took in earlier runs; None if none is known.
    """

    label: str
    n_new: int = 0
    n_skipped: int = 0
    n_blocked: int = 0
    n_reused: int = 0
    input_bytes: int = 0
    cost: TaskCost | None = None

    @property
    def cpu_hours(self) -> float | None:
        """Hours of processor time for all its quanta; None if that is not known."""
        return None if self.cost is None else self.n_new * self.cost.cpu_seconds / 3600

    def to_plain(self) -> dict[str, Any]:
        """Return the JSON form."""
        cost = self.cost
        return {
            "task": self.label,
            "new": self.n_new,
            "skipped": self.n_skipped,
            "blocked": self.n_blocked,
            "reused": self.n_reused,
            "input_bytes": self.input_bytes,
            "seconds_per_quantum": None if cost is None else cost.seconds,
            "cpu_hours": self.cpu_hours,
            "memory_bytes": None if cost is None else cost.memory,
            "samples": 0 if cost is None else cost.n_samples,
        }


@dataclasses.dataclass
class RunPlan:
    """What a run will do.

    Attributes
    ----------
    tasks
        By task, in order.
    input_bytes
        Size of all files that exist and are read, each once.
    critical_path
        Labels of the longest chain of quanta that wait for each other, and the seconds it takes; without earlier runs
        a quantum counts as taking no time.
    finish
        Seconds until everything is done, by the number of quanta that run at once.
    unknown
        Labels of tasks of which no earlier run is known, so that all times are too short.
    """

    tasks: list[TaskPlan]
    input_bytes: int = 0
    critical_path: tuple[list[str], float] = dataclasses.field(default_factory=lambda: ([], 0.0))
    finish: dict[int, float] = dataclasses.field(default_factory=dict)
    unknown: list[str] = dataclasses.field(default_factory=list)

    def to_plain(self) -> dict[str, Any]:
        """Return the JSON form."""
        hours = [task.cpu_hours for task in self.tasks if task.cpu_hours is not None]
        memory = [task.cost.memory for task in self.tasks if task.cost is not None and task.n_new]
        return {
            "tasks": [task.to_plain() for task in self.tasks],
            "total": {
                "new": sum(task.n_new for task in self.tasks),
                "skipped": sum(task.n_skipped for task in self.tasks),
                "blocked": sum(task.n_blocked for task in self.tasks),
                "reused": sum(task.n_reused for task in self.tasks),
                "input_bytes": self.input_bytes,
                "cpu_hours": sum(hours) if hours else None,
                "memory_bytes": max(memory, default=None),
            },
            "critical_path": {"tasks": self.critical_path[0], "seconds": self.critical_path[1]},
            "finish_seconds": {str(number): seconds for number, seconds in self.finish.items()},
            "unknown": self.unknown,
        }


def plan_run(
    butler: Butler,
    graph: Any,
    *,
    n_skipped: Mapping[str, int] | None = None,
    n_blocked: Mapping[str, int] | None = None,
    n_reused: Mapping[str, int] | None = None,
    processes: Sequence[int] = (1,),
    history: Sequence[str] = (),
) -> RunPlan:
    """Plan the run of a graph; nothing is written.

    Parameters
    ----------
    butler
        The repository.
    graph
        The quantum graph.
    n_skipped, n_blocked, n_reused
        Quanta that the builder left out, by label: done before, without an input, and made by an earlier run.
    processes
        Numbers of quanta that may run at once.
    history
        Collections with earlier runs; all collections by default.
    """
    pipeline = graph.pipeline_graph
    names = {label: node.metadata_output.dataset_type_name for label, node in pipeline.tasks.items()}
    costs = earlier_costs(butler, names, history)
    counts = dict(graph.header.n_task_quanta)
    sizes, total = _input_sizes(butler, graph)
    tasks = [
        TaskPlan(
            label,
            counts.get(label, 0),
            (n_skipped or {}).get(label, 0),
            (n_blocked or {}).get(label, 0),
            (n_reused or {}).get(label, 0),
            sizes.get(label, 0),
            costs.get(label),
        )
        for label in pipeline.tasks
    ]
    seconds = {label: cost.seconds for label, cost in costs.items()}
    return RunPlan(
        tasks,
        total,
        _critical_path(graph, seconds),
        {number: finish_time(graph.quanta(), graph.edge_indices(), seconds, number) for number in processes},
        [task.label for task in tasks if task.cost is None and task.n_new],
    )


def _input_sizes(butler: Butler, graph: Any) -> tuple[dict[str, int], int]:
    """Bytes that the quanta of each task, and all together, read of what exists."""
    read: dict[str, set[uuid.UUID]] = {}
    made: set[uuid.UUID] = set()
    for quantum_id, label in graph.quanta():
        ids = read.setdefault(label, set())
        ids.update(ref.id for refs in graph.get_inputs(quantum_id).values() for ref in refs)
        made.update(ref.id for refs in graph.get_outputs(quantum_id).values() for ref in refs)
    wanted = set().union(*read.values()) - made if read else set()
    registry: Any = butler._core_registry
    table = butler._datastore.file_datastore.records_table
    size: dict[uuid.UUID, int] = {}
    for record in registry.records(sorted(wanted), table=table):
        size[record.dataset_id] = size.get(record.dataset_id, 0) + max(record.file_size or 0, 0)
    return {label: sum(size.get(key, 0) for key in ids) for label, ids in read.items()}, sum(size.values())


def _critical_path(graph: Any, seconds: Mapping[str, float]) -> tuple[list[str], float]:
    """The longest chain of quanta: labels, and seconds."""
    quanta = graph.quanta()
    length = [seconds.get(label, 0.0) for _, label in quanta]
    steps = [1] * len(quanta)
    before: list[int | None] = [None] * len(quanta)
    # Readers stand after writers, so each length is final when it is first used.
    for first, second in sorted(graph.edge_indices(), key=lambda edge: edge[1]):
        own = seconds.get(quanta[second][1], 0.0)
        if (length[first] + own, steps[first] + 1) > (length[second], steps[second]):
            length[second], steps[second] = length[first] + own, steps[first] + 1
            before[second] = first
    if not quanta:
        return [], 0.0
    last: int | None = max(range(len(quanta)), key=lambda at: (length[at], steps[at]))
    assert last is not None, "there is a quantum"
    total = length[last]
    labels: list[str] = []
    while last is not None:
        labels.append(quanta[last][1])
        last = before[last]
    return labels[::-1], total


def finish_time(
    quanta: Sequence[tuple[object, str]],
    edges: Sequence[tuple[int, int]],
    seconds: Mapping[str, float],
    processes: int,
) -> float:
    """Play a run through: the seconds until all quanta are done, in the order in which they would be run.

    Parameters
    ----------
    quanta
        (id, label) of quanta.
    edges
        Pairs of positions of which the second waits for the first.
    seconds
        What a quantum of each task takes.
    processes
        How many run at once.

    Examples
    --------
    >>> finish_time([(0, "a"), (1, "a"), (2, "b")], [(0, 2), (1, 2)], {"a": 2.0, "b": 1.0}, 1)
    5.0
    >>> finish_time([(0, "a"), (1, "a"), (2, "b")], [(0, 2), (1, 2)], {"a": 2.0, "b": 1.0}, 2)
    3.0
    """
    scheduler = _core.Scheduler(list(quanta), list(edges))
    running: list[tuple[float, int]] = []
    now = 0.0
    while not scheduler.done:
        for index in scheduler.take(processes - len(running)):
            heapq.heappush(running, (now + seconds.get(quanta[index][1], 0.0), index))
        now, index = heapq.heappop(running)
        scheduler.finish(index)
    return now
