"""What the drawings of a pipeline show: its tasks and dataset types, each once, in an order that follows the data."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.pipeline.pipeline_graph import PipelineGraph

__all__ = ["DrawnEdge", "DrawnGraph", "DrawnNode"]

_Key = tuple[str, str]
_AUTOMATIC = ("config_output", "metadata_output", "log_output")


@dataclasses.dataclass(frozen=True)
class DrawnNode:
    """A task, the making of a task, or a dataset type.

    Attributes
    ----------
    kind
        `task`, `task_init` or `dataset_type`.
    name
        Label or name.
    dimensions
        Names, in the order of the universe; None if nothing tells them.
    class_name
        Class of the task or storage class of the datasets, empty if nothing tells it.
    is_overall_input
        Whether no task of the pipeline writes these datasets.
    is_prerequisite
        Whether all that read these datasets have them as a prerequisite.
    """

    kind: str
    name: str
    dimensions: tuple[str, ...] | None
    class_name: str
    is_overall_input: bool = False
    is_prerequisite: bool = False

    @property
    def label(self) -> str:
        """Name that is drawn; what cannot be printed is replaced."""
        return _printable(f"{self.name} [init]" if self.kind == "task_init" else self.name)

    @property
    def details(self) -> list[str]:
        """What is drawn with the name: dimensions, and the storage class of a dataset type."""
        if self.kind == "task_init":
            return []
        storage_class = self.class_name if self.kind == "dataset_type" else ""
        dimensions = "" if self.dimensions is None else f"{{{', '.join(self.dimensions)}}}"
        return [_printable(text) for text in (dimensions, storage_class) if text]


@dataclasses.dataclass(frozen=True)
class DrawnEdge:
    """That data go from one node to another.

    Attributes
    ----------
    first, second
        Indices of the nodes; `first` is the smaller.
    connections
        Names of all connections by which they go.
    is_prerequisite
        Whether all of these are prerequisite inputs.
    is_init
        Whether all of these belong to the making of the task.
    """

    first: int
    second: int
    connections: tuple[str, ...]
    is_prerequisite: bool = False
    is_init: bool = False


@dataclasses.dataclass(frozen=True)
class DrawnGraph:
    """Nodes, each after those whose data it takes, and edges in order of their nodes."""

    nodes: tuple[DrawnNode, ...]
    edges: tuple[DrawnEdge, ...]

    @classmethod
    def of(cls, pipeline_graph: PipelineGraph, *, automatic: bool = False, tasks_only: bool = False) -> DrawnGraph:
        """Take from a pipeline graph what is to be drawn.

        A task and its making are one node, unless that would close a circle.

        Parameters
        ----------
        pipeline_graph
            The graph, resolved or not.
        automatic
            Whether configs, logs and metadata are drawn even where no task reads them.
        tasks_only
            Whether dataset types are left out, and tasks joined where one reads what another writes.
        """
        source = _Source(pipeline_graph)
        edges = source.edges if automatic else source.edges_without_automatic()
        if tasks_only:
            edges = _joined(edges)
        keys = [key for key in source.keys if not tasks_only or key[0] != "dataset_type"]
        if not automatic:
            keys = [key for key in keys if key not in source.unread_automatic]
        home = {key: ("task", key[1]) if key[0] == "task_init" else key for key in keys}
        order = _ordered(home, edges)
        stuck = set(home.values()).difference(order)
        if stuck:
            home.update({key: key for key in keys if home[key] in stuck})
            order = _ordered(home, edges)
        return cls(tuple(source.node(key) for key in order), source.drawn_edges(edges, home, order))

    def predecessors(self) -> list[list[int]]:
        """Return the nodes from which each node takes data."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for edge in self.edges:
            found[edge.second].append(edge.first)
        return found


class _Source:
    def __init__(self, pipeline_graph: PipelineGraph) -> None:
        core = pipeline_graph._core
        if not core.is_sorted:
            core = core.copy()
            core.sort()
        self.keys: list[_Key] = core.nodes()
        self.edges: list[tuple[_Key, _Key, str]] = core.edges()
        self.tasks: dict[str, dict[str, Any]] = {label: core.task(label) for label in core.task_labels}
        self.definitions = {name: core.dataset_type(name) for name in core.dataset_type_names}
        self.prerequisites = {
            (label, edge["connection"]) for label, task in self.tasks.items() for edge in task["prerequisite_inputs"]
        }
        self.readers: dict[str, list[bool]] = {}
        for first, second, connection in self.edges:
            if first[0] == "dataset_type":
                self.readers.setdefault(first[1], []).append((second[1], connection) in self.prerequisites)
        self.written = {second[1] for _, second, _ in self.edges if second[0] == "dataset_type"}
        automatic = {edge["dataset_type"] for task in self.tasks.values() for edge in _some(task, _AUTOMATIC)}
        self.unread_automatic = {("dataset_type", name) for name in automatic if name not in self.readers}
        self._rank = _dimension_ranks(core.universe_document)
        self._uses: dict[str, dict[str, Any]] | None = None

    def edges_without_automatic(self) -> list[tuple[_Key, _Key, str]]:
        return [edge for edge in self.edges if edge[1] not in self.unread_automatic]

    def node(self, key: _Key) -> DrawnNode:
        kind, name = key
        if kind != "dataset_type":
            task = self.tasks[name]
            of_task = () if kind == "task_init" else self._sorted(task["dimensions"])
            return DrawnNode(kind, name, of_task, task["task_class"].rpartition(".")[2])
        facts = self.definitions[name] or self._seen_by_a_task(name)
        reads = self.readers.get(name, [])
        dimensions = None if facts is None else self._sorted(facts["dimensions"])
        class_name = "" if facts is None else facts["storage_class"]
        return DrawnNode(kind, name, dimensions, class_name, name not in self.written, bool(reads) and all(reads))

    def _seen_by_a_task(self, name: str) -> dict[str, Any] | None:
        """Facts about an unresolved dataset type, from the task that writes it or else from one that reads it."""
        if self._uses is None:
            self._uses = {}
            for task in self.tasks.values():
                for use in [*_some(task, _AUTOMATIC), *task["outputs"], *task["init_outputs"]]:
                    self._uses.setdefault(use["dataset_type"], use)
            for task in self.tasks.values():
                for use in [*task["inputs"], *task["prerequisite_inputs"], *task["init_inputs"]]:
                    self._uses.setdefault(use["dataset_type"], use)
        return self._uses.get(name)

    def _sorted(self, dimensions: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(dimensions, key=lambda name: (self._rank.get(name, len(self._rank)), name)))

    def drawn_edges(
        self, edges: Sequence[tuple[_Key, _Key, str]], home: dict[_Key, _Key], order: Sequence[_Key]
    ) -> tuple[DrawnEdge, ...]:
        index = {key: position for position, key in enumerate(order)}
        merged: dict[tuple[int, int], list[tuple[str, bool, bool]]] = {}
        for first, second, connection in edges:
            ends = index[home[first]], index[home[second]]
            if ends[0] != ends[1]:
                is_prerequisite = (second[1], connection) in self.prerequisites and second[0] == "task"
                is_init = "task_init" in (first[0], second[0])
                merged.setdefault(ends, []).append((connection, is_prerequisite, is_init))
        return tuple(
            DrawnEdge(
                *ends,
                tuple(sorted({name for name, _, _ in uses if name})),
                all(prerequisite for _, prerequisite, _ in uses),
                all(init for _, _, init in uses),
            )
            for ends, uses in sorted(merged.items())
        )


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _some(task: dict[str, Any], names: Iterable[str]) -> Iterable[dict[str, Any]]:
    return (task[name] for name in names if task[name] is not None)


def _dimension_ranks(document: str | None) -> dict[str, int]:
    from armillary.butler import DimensionUniverse

    universe = DimensionUniverse() if document is None else DimensionUniverse.from_json(document)
    return {name: rank for rank, name in enumerate(universe.dimensions.names)}


def _joined(edges: Iterable[tuple[_Key, _Key, str]]) -> list[tuple[_Key, _Key, str]]:
    """Join tasks where one reads what another writes; the dataset type takes the place of the connection."""
    writers: dict[_Key, _Key] = {}
    joined = []
    for first, second, connection in edges:
        if second[0] == "dataset_type":
            writers[second] = first
        elif first[0] != "dataset_type":
            joined.append((first, second, connection))
    for first, second, _ in edges:
        if first in writers:
            joined.append((writers[first], second, first[1]))
    return joined


def _ordered(home: dict[_Key, _Key], edges: Iterable[tuple[_Key, _Key, str]]) -> list[_Key]:
    """Topological order that stays near the given one; nodes on circles, and after them, are left out."""
    keys = [key for key, node in home.items() if key == node]
    rank = {key: position for position, key in enumerate(keys)}
    after: dict[_Key, set[_Key]] = {key: set() for key in keys}
    for first, second, _ in edges:
        if home[first] != home[second]:
            after[home[first]].add(home[second])
    missing = dict.fromkeys(keys, 0)
    for successors in after.values():
        for key in successors:
            missing[key] += 1
    ready = [rank[key] for key, count in missing.items() if count == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        key = keys[heapq.heappop(ready)]
        order.append(key)
        for successor in after[key]:
            missing[successor] -= 1
            if missing[successor] == 0:
                heapq.heappush(ready, rank[successor])
    return order
