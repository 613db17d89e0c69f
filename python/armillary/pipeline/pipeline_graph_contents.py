"""What a pipeline graph tells: its tasks, its dataset types, and what reads and writes what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from armillary import _core
from armillary.errors import UnresolvedGraphError
from armillary.pipeline.automatic_connection_constants import (
    PACKAGES_INIT_OUTPUT_NAME,
    PACKAGES_INIT_OUTPUT_STORAGE_CLASS,
)
from armillary.pipeline.pipeline_nodes import (
    DatasetTypeNode,
    Edge,
    ImportedTask,
    NodeType,
    ReadEdge,
    TaskInitNode,
    TaskNode,
    WriteEdge,
)
from armillary.pipeline.pipeline_views import DatasetTypeMappingView, TaskMappingView
from armillary.pipeline.pipeline_xgraph import full_xgraph, projected_xgraph

if TYPE_CHECKING:
    from armillary.butler import DataCoordinate, DatasetType, DimensionGroup, DimensionUniverse

__all__ = ["PipelineGraphContents"]

_KINDS = {"dataset_type": NodeType.DATASET_TYPE, "task_init": NodeType.TASK_INIT, "task": NodeType.TASK}


class PipelineGraphContents:
    """What can be asked of a `PipelineGraph`; how it is changed and used is there."""

    def _take(
        self, core: _core.PipelineGraph, universe: DimensionUniverse | None, imported: dict[str, ImportedTask]
    ) -> None:
        self._core = core
        self._universe = universe
        self._imported = imported
        self._nodes: dict[str, TaskNode] = {}

    def _task_node(self, label: str) -> TaskNode:
        node = self._nodes.get(label)
        if node is None:
            description = self._core.task(label)
            dimensions = None
            if self._universe is not None:
                dimensions = self._universe.conform(description["dimensions"])
            node = TaskNode(description, self._imported.get(label), dimensions)
            self._nodes[label] = node
        return node

    def _dataset_type_node(self, name: str) -> DatasetTypeNode | None:
        definition = self._core.dataset_type(name)
        if definition is None:
            return None
        from armillary.butler import DatasetType

        dataset_type = DatasetType(
            name,
            definition["dimensions"],
            definition["storage_class"],
            universe=self.universe,
            isCalibration=definition["is_calibration"],
        )
        return DatasetTypeNode(
            dataset_type,
            definition["is_initial_query_constraint"],
            definition["is_prerequisite"],
            self.producing_edge_of(name),
            tuple(self.consuming_edges_of(name)),
        )

    @property
    def tasks(self) -> TaskMappingView:
        """The tasks by label."""
        return TaskMappingView(self)

    @property
    def dataset_types(self) -> DatasetTypeMappingView:
        """The dataset types by name, `packages` left out."""
        return DatasetTypeMappingView(self)

    @property
    def description(self) -> str:
        """What the pipeline does."""
        return self._core.description

    @description.setter
    def description(self, value: str) -> None:
        self._core.description = value

    @property
    def universe(self) -> DimensionUniverse:
        """All dimensions.

        Raises
        ------
        UnresolvedGraphError
            The graph is not resolved.
        """
        if self._universe is None:
            raise UnresolvedGraphError("the graph knows no dimensions before `resolve`")
        return self._universe

    @property
    def data_id(self) -> DataCoordinate:
        """Data ID that every quantum has."""
        from armillary.butler import DataCoordinate

        return DataCoordinate.standardize(self._core.data_id, universe=self.universe)

    @property
    def has_been_sorted(self) -> bool:
        """Whether tasks and dataset types are in topological order."""
        return self._core.is_sorted

    @property
    def is_fully_resolved(self) -> bool:
        """Whether every dataset type has its definition."""
        return self._core.is_resolved

    def producer_of(self, dataset_type_name: str) -> TaskNode | TaskInitNode | None:
        """Return the task that writes a dataset type, None for an overall input."""
        use = self._core.producer_of(dataset_type_name)
        return None if use is None else self._user(use)

    def consumers_of(self, dataset_type_name: str) -> list[TaskNode | TaskInitNode]:
        """Return the tasks that read a dataset type, each once."""
        unique = dict.fromkeys((label, init) for label, _, init in self._core.consumers_of(dataset_type_name))
        return [self._user((label, "", init)) for label, init in unique]

    def _user(self, use: tuple[str, str, bool]) -> TaskNode | TaskInitNode:
        label, _, is_init = use
        node = self._task_node(label)
        return node.init if is_init else node

    def producing_edge_of(self, dataset_type_name: str) -> WriteEdge | None:
        """Return the edge by which a dataset type is written, None for an overall input."""
        use = self._core.producer_of(dataset_type_name)
        return None if use is None else self._user(use).get_output_edge(use[1])

    def consuming_edges_of(self, dataset_type_name: str) -> list[ReadEdge]:
        """Return the edges by which a dataset type is read."""
        return [self._user(use).get_input_edge(use[1]) for use in self._core.consumers_of(dataset_type_name)]

    def inputs_of(self, task_label: str, init: bool = False) -> dict[str, DatasetTypeNode | None]:
        """Return what a task reads, by name of the parent dataset type; None where unresolved."""
        node = self._user((task_label, "", init))
        return {
            edge.parent_dataset_type_name: self._dataset_type_node(edge.parent_dataset_type_name)
            for edge in node.iter_all_inputs()
        }

    def outputs_of(
        self, task_label: str, init: bool = False, include_automatic_connections: bool = True
    ) -> dict[str, DatasetTypeNode | None]:
        """Return what a task writes, by name; None where unresolved."""
        node = self._user((task_label, "", init))
        edges = node.iter_all_outputs() if include_automatic_connections else iter(node.outputs.values())
        return {edge.dataset_type_name: self._dataset_type_node(edge.dataset_type_name) for edge in edges}

    def iter_overall_inputs(self) -> Iterator[tuple[str, DatasetTypeNode | None]]:
        """Iterate over the dataset types that no task writes."""
        for name in self._core.overall_inputs():
            yield name, self._dataset_type_node(name)

    def iter_edges(self, init: bool = False) -> Iterator[Edge]:
        """Iterate over the edges of the tasks, or of their making."""
        for label in self._core.task_labels:
            node = self._user((label, "", init))
            yield from node.iter_all_inputs()
            yield from node.iter_all_outputs()

    def iter_nodes(self) -> Iterator[tuple[NodeType, str, Any]]:
        """Iterate over all nodes in order, as (kind, name, node); an unresolved dataset type is None.

        Raises
        ------
        UnresolvedGraphError
            The graph is not sorted.
        """
        for kind, name in self._core.nodes():
            node_type = _KINDS[kind]
            if node_type is NodeType.DATASET_TYPE:
                yield node_type, name, self._dataset_type_node(name)
            else:
                yield node_type, name, self._user((name, "", node_type is NodeType.TASK_INIT))

    def get_task_step(self, task_label: str) -> str:
        """Return the step that holds a task.

        Raises
        ------
        KeyError
            No step does.
        """
        subsets = self._core.subsets
        for step in self._core.steps:
            if task_label in subsets[step][1]:
                return step
        raise KeyError(f"no step holds task `{task_label}`")

    def select_tasks(self, expression: str) -> set[str]:
        """Return the labels that an expression selects.

        Parameters
        ----------
        expression
            Labels, subsets and dataset types, joined by `|`, `&`, `~` and parentheses; `<x`, `<=x`, `>x`, `>=x` for
            what is upstream or downstream; `T:`, `D:`, `S:` before a name say what it is.

        Raises
        ------
        InvalidExpressionError
            The expression is wrong.
        """
        return set(self._core.select(expression))

    def diff_tasks(self, other: PipelineGraphContents) -> list[str]:
        """Say in which tasks, and how, another graph differs."""
        return self._core.differences(other._core)

    @property
    def packages_dataset_type(self) -> DatasetType:
        """Dataset type of the software versions."""
        from armillary.butler import DatasetType

        return DatasetType(
            PACKAGES_INIT_OUTPUT_NAME, self.universe.empty, PACKAGES_INIT_OUTPUT_STORAGE_CLASS, universe=self.universe
        )

    def get_all_dimensions(self, prerequisites: bool = True) -> DimensionGroup:
        """Return the dimensions of all tasks and dataset types together."""
        names: set[str] = set()
        for node in self.tasks.values():
            names.update(node.dimensions.names)
        for dataset_type in self.dataset_types.values():
            if prerequisites or not dataset_type.is_prerequisite:
                names.update(dataset_type.dimensions.names)
        return self.universe.conform(names)

    def group_by_dimensions(
        self, prerequisites: bool = False
    ) -> dict[DimensionGroup, tuple[dict[str, TaskNode], dict[str, DatasetTypeNode]]]:
        """Return the tasks and dataset types that share dimensions, by these."""
        groups: dict[DimensionGroup, tuple[dict[str, TaskNode], dict[str, DatasetTypeNode]]] = {}
        for label, node in self.tasks.items():
            groups.setdefault(node.dimensions, ({}, {}))[0][label] = node
        for name, dataset_type in self.dataset_types.items():
            if prerequisites or not dataset_type.is_prerequisite:
                groups.setdefault(dataset_type.dimensions, ({}, {}))[1][name] = dataset_type
        return groups

    def to_json(self) -> str:
        """Return the stored form of a resolved graph."""
        return self._core.to_json()

    def make_xgraph(self) -> Any:
        """Return all nodes and edges as a `networkx.MultiDiGraph` (networkx must be installed)."""
        return full_xgraph("MultiDiGraph", self._core.edges(), lambda key: True)

    def make_bipartite_xgraph(self, init: bool = False) -> Any:
        """Return tasks, or their making, and dataset types as a `networkx.MultiDiGraph`."""
        wanted = {"dataset_type", "task_init" if init else "task"}
        return full_xgraph("MultiDiGraph", self._core.edges(), lambda key: key[0] in wanted)

    def make_task_xgraph(self, init: bool = False) -> Any:
        """Return the tasks, joined where one reads what another writes, as a `networkx.DiGraph`."""
        return projected_xgraph(self._core.edges(), "task_init" if init else "task")

    def make_dataset_type_xgraph(self, init: bool = False) -> Any:
        """Return the dataset types, joined where a task reads one and writes another, as a `networkx.DiGraph`."""
        return projected_xgraph(self._core.edges(), "dataset_type", {"task_init" if init else "task"})

    def __repr__(self) -> str:
        return f"PipelineGraph({self.description!r}, tasks={{{', '.join(self._core.task_labels)}}})"
