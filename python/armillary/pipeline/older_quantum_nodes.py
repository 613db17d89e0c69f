"""Nodes of `QuantumGraph`, and the graph in numbers."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from armillary.butler import Quantum
    from armillary.pipeline.task_definition import TaskDef

__all__ = ["BuildId", "DatasetTypeName", "NodeId", "QgraphSummary", "QgraphTaskSummary", "QuantumNode"]

BuildId = NewType("BuildId", str)
"""What tells one build of a graph from another."""

DatasetTypeName = NewType("DatasetTypeName", str)
"""The name of a dataset type."""


@dataclasses.dataclass(frozen=True, order=True)
class NodeId:
    """The number of a node in one build of a graph.

    Examples
    --------
    >>> NodeId(2, BuildId("a")) < NodeId(10, BuildId("a"))
    True
    """

    number: int
    buildId: BuildId


@dataclasses.dataclass(frozen=True, eq=False)
class QuantumNode:
    """A quantum of a graph with its task; nodes are equal if their ids are.

    Attributes
    ----------
    quantum
        What is run on which data.
    taskDef
        The task.
    nodeId
        The id of the quantum.
    """

    quantum: Quantum
    taskDef: TaskDef
    nodeId: uuid.UUID

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QuantumNode) and self.nodeId == other.nodeId

    def __hash__(self) -> int:
        return hash(self.nodeId)

    @property
    def task_node(self) -> TaskDef:
        """The task, too."""
        return self.taskDef


@dataclasses.dataclass(frozen=True)
class QgraphTaskSummary:
    """How many quanta a task has, and datasets by type that they read and write."""

    taskLabel: str | None = None
    numQuanta: int = 0
    numInputs: Mapping[str, int] = dataclasses.field(default_factory=dict)
    numOutputs: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class QgraphSummary:
    """A graph in numbers, and what made it.

    Examples
    --------
    >>> QgraphSummary(outputRun="u/me/run", qgraphTaskSummaries={"isr": QgraphTaskSummary("isr", 3)}).outputRun
    'u/me/run'
    """

    graphID: BuildId | None = None
    cmdLine: str | None = None
    creationUTC: str | None = None
    inputCollection: list[str] | None = None
    outputCollection: str | None = None
    outputRun: str | None = None
    qgraphTaskSummaries: Mapping[str, QgraphTaskSummary] = dataclasses.field(default_factory=dict)

    def model_dump_json(self, indent: int | None = None) -> str:
        """Return the summary as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=indent)
