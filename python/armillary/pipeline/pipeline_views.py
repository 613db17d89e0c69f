"""The tasks and dataset types of a graph as mappings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from armillary.errors import UnresolvedGraphError
from armillary.pipeline.pipeline_nodes import DatasetTypeNode, TaskNode

if TYPE_CHECKING:
    from armillary.pipeline.pipeline_graph_contents import PipelineGraphContents

__all__ = ["DatasetTypeMappingView", "TaskMappingView"]


class TaskMappingView(Mapping[str, TaskNode]):
    """The tasks of a graph by label, in the order in which they can run once the graph is sorted."""

    def __init__(self, graph: PipelineGraphContents) -> None:
        self._graph = graph

    def __getitem__(self, label: str) -> TaskNode:
        return self._graph._task_node(label)

    def __iter__(self) -> Iterator[str]:
        return iter(self._graph._core.task_labels)

    def __len__(self) -> int:
        return len(self._graph._core.task_labels)


class DatasetTypeMappingView(Mapping[str, DatasetTypeNode]):
    """The dataset types of a graph by name; reading one before `resolve` raises `UnresolvedGraphError`."""

    def __init__(self, graph: PipelineGraphContents) -> None:
        self._graph = graph

    def __getitem__(self, name: str) -> DatasetTypeNode:
        node = self._graph._dataset_type_node(name)
        if node is None:
            raise UnresolvedGraphError(f"dataset type `{name}` has no definition before `resolve`")
        return node

    def __iter__(self) -> Iterator[str]:
        return iter(self._graph._core.dataset_type_names)

    def __len__(self) -> int:
        return len(self._graph._core.dataset_type_names)

    def is_resolved(self, name: str) -> bool:
        """Whether the dataset type has its definition."""
        return self._graph._core.dataset_type(name) is not None

    def get_if_resolved(self, name: str) -> DatasetTypeNode | None:
        """Return the dataset type, None when it has no definition yet."""
        return self._graph._dataset_type_node(name)
