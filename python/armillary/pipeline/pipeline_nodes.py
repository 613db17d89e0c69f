"""What a pipeline graph is made of: tasks, dataset types and the edges between them."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from armillary._words import did_you_mean
from armillary.errors import TaskNotImportedError, UnresolvedGraphError
from armillary.pipeline.connection_types import PrerequisiteInput

if TYPE_CHECKING:
    from armillary.butler import DatasetRef, DatasetType, DimensionGroup
    from armillary.pipeline.connections import PipelineTaskConnections
    from armillary.pipeline.pipeline_task import PipelineTask

__all__ = [
    "DatasetTypeNode",
    "Edge",
    "NodeKey",
    "NodeType",
    "ReadEdge",
    "TaskImportMode",
    "TaskInitNode",
    "TaskNode",
    "WriteEdge",
]


class NodeType(enum.Enum):
    """The kinds of nodes, in the order in which they come among nodes that are free to come next.

    >>> NodeType.TASK.value
    2
    """

    DATASET_TYPE = 0
    TASK_INIT = 1
    TASK = 2

    def __lt__(self, other: NodeType) -> bool:
        return self.value < other.value


class NodeKey(NamedTuple):
    """What identifies a node: its kind and its name or label.

    >>> NodeKey(NodeType.TASK, "isr")
    isr
    """

    node_type: NodeType
    name: str

    @property
    def node_id(self) -> str:
        """Name that is unique among all kinds."""
        return f"{self.node_type.name.lower()}_{self.name}" if self.node_type is NodeType.TASK_INIT else self.name

    def __repr__(self) -> str:
        return f"{self.name} [init]" if self.node_type is NodeType.TASK_INIT else self.name

    def __str__(self) -> str:
        return repr(self)


class TaskImportMode(enum.Enum):
    """What to do with the task classes that a stored pipeline names.

    Importing runs the code of those modules and of the stored configs.

    >>> TaskImportMode.DO_NOT_IMPORT.name
    'DO_NOT_IMPORT'
    """

    DO_NOT_IMPORT = enum.auto()
    REQUIRE_CONSISTENT_EDGES = enum.auto()
    ASSUME_CONSISTENT_EDGES = enum.auto()
    OVERRIDE_EDGES = enum.auto()


@dataclasses.dataclass(frozen=True)
class Edge:
    """A connection of a task to a dataset type.

    Attributes
    ----------
    task_label
        Label of the task.
    connection_name
        Name of the connection.
    dataset_type_name
        Name of the dataset type, with the component when only that is read.
    storage_class_name
        Storage class the task asks for or gives.
    raw_dimensions
        Dimensions as declared.
    is_init
        Whether this belongs to the making of the task, not to its quanta.
    is_prerequisite, is_calibration, defer_query_constraint
        Options of the connection.
    """

    task_label: str
    connection_name: str
    dataset_type_name: str
    storage_class_name: str
    raw_dimensions: frozenset[str]
    is_init: bool = False
    is_prerequisite: bool = False
    is_calibration: bool = False
    defer_query_constraint: bool = False

    @property
    def parent_dataset_type_name(self) -> str:
        """Name of the dataset type without component."""
        return self.dataset_type_name.partition(".")[0]

    @property
    def component(self) -> str | None:
        """The component that is read, None for the whole dataset."""
        return self.dataset_type_name.partition(".")[2] or None

    @property
    def task_key(self) -> NodeKey:
        """Key of the task's end."""
        return NodeKey(NodeType.TASK_INIT if self.is_init else NodeType.TASK, self.task_label)

    @property
    def dataset_type_key(self) -> NodeKey:
        """Key of the dataset type's end."""
        return NodeKey(NodeType.DATASET_TYPE, self.parent_dataset_type_name)

    @property
    def nodes(self) -> tuple[NodeKey, NodeKey]:
        """Keys of both ends, in the direction of the data."""
        raise NotImplementedError

    @property
    def key(self) -> tuple[NodeKey, NodeKey, str]:
        """Keys of both ends and the connection name."""
        return (*self.nodes, self.connection_name)

    def adapt_dataset_type(self, dataset_type: DatasetType) -> DatasetType:
        """Return the graph-wide dataset type as the task sees it: its component, its storage class."""
        if self.component is not None:
            dataset_type = dataset_type.makeComponentDatasetType(self.component)
        if dataset_type.storageClass_name != self.storage_class_name:
            dataset_type = dataset_type.overrideStorageClass(self.storage_class_name)
        return dataset_type

    def adapt_dataset_ref(self, ref: DatasetRef) -> DatasetRef:
        """Return a reference to the graph-wide dataset type as the task sees it."""
        if self.component is not None:
            ref = ref.makeComponentRef(self.component)
        if ref.datasetType.storageClass_name != self.storage_class_name:
            ref = ref.overrideStorageClass(self.storage_class_name)
        return ref

    def diff(self, other: Edge, connection_type: str = "connection") -> list[str]:
        """Say in which ways another edge of the same connection differs."""
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return [
            f"{connection_type} `{self.task_label}.{self.connection_name}` has {name} `{value}`, not `{theirs[name]}`"
            for name, value in mine.items()
            if value != theirs[name]
        ]

    def __repr__(self) -> str:
        first, second = self.nodes
        return f"{first.name} -> {second.name} ({self.connection_name})"


class ReadEdge(Edge):
    """A connection by which a task reads."""

    @property
    def nodes(self) -> tuple[NodeKey, NodeKey]:
        """Keys of the dataset type and of the task."""
        return self.dataset_type_key, self.task_key


class WriteEdge(Edge):
    """A connection by which a task writes."""

    @property
    def nodes(self) -> tuple[NodeKey, NodeKey]:
        """Keys of the task and of the dataset type."""
        return self.task_key, self.dataset_type_key


def _edges(kind: Any, label: str, group: Sequence[Mapping[str, Any]], **options: bool) -> Mapping[str, Any]:
    return MappingProxyType(
        {
            item["connection"]: kind(
                label,
                item["connection"],
                item["dataset_type"],
                item["storage_class"],
                frozenset(item["dimensions"]),
                is_calibration=item["is_calibration"],
                defer_query_constraint=item["defer_query_constraint"],
                **options,
            )
            for item in group
        }
    )


@dataclasses.dataclass(frozen=True)
class ImportedTask:
    """What only Python knows of a task."""

    task_class: type[PipelineTask]
    config: Any
    connections: PipelineTaskConnections


class _TaskParts:
    """What a task and the making of it have in common."""

    _TYPE = NodeType.TASK

    def __init__(self, description: Mapping[str, Any], imported: ImportedTask | None) -> None:
        self._description = description
        self._imported = imported
        self.label: str = description["label"]

    inputs: Mapping[str, ReadEdge]
    outputs: Mapping[str, WriteEdge]

    def _known(self) -> ImportedTask:
        if self._imported is None:
            raise TaskNotImportedError(
                f"task `{self.label}` was read without importing `{self.task_class_name}`; "
                "call `import_and_configure` on the graph to import the code it names"
            )
        return self._imported

    @property
    def key(self) -> NodeKey:
        """What identifies the node."""
        return NodeKey(self._TYPE, self.label)

    @property
    def is_imported(self) -> bool:
        """Whether the class is imported and configured."""
        return self._imported is not None

    @property
    def task_class(self) -> type[PipelineTask]:
        """The class.

        Raises
        ------
        TaskNotImportedError
            The pipeline was read without importing its tasks.
        """
        return self._known().task_class

    @property
    def task_class_name(self) -> str:
        """Full name of the class."""
        return str(self._description["task_class"])

    @property
    def config(self) -> Any:
        """The config, frozen."""
        return self._known().config

    def get_config_str(self) -> str:
        """Return the config as Python text."""
        return str(self._description["config_str"])

    def iter_all_inputs(self) -> Iterator[ReadEdge]:
        """Iterate over everything that is read."""
        yield from self.inputs.values()

    def iter_all_outputs(self) -> Iterator[WriteEdge]:
        """Iterate over everything that is written, automatic outputs included."""
        yield from self.outputs.values()

    def get_input_edge(self, connection_name: str) -> ReadEdge:
        """Return the edge of a connection that reads.

        Raises
        ------
        KeyError
            There is none.
        """
        return _found(self.label, connection_name, self.iter_all_inputs())

    def get_output_edge(self, connection_name: str) -> WriteEdge:
        """Return the edge of a connection that writes, automatic outputs included.

        Raises
        ------
        KeyError
            There is none.
        """
        return _found(self.label, connection_name, self.iter_all_outputs())

    def get_edge(self, connection_name: str) -> Edge:
        """Return the edge of a connection.

        Raises
        ------
        KeyError
            There is none.
        """
        return _found(self.label, connection_name, [*self.iter_all_inputs(), *self.iter_all_outputs()])

    def diff_edges(self, other: Any) -> list[str]:
        """Say in which ways the edges differ from those of another task node."""
        mine = {edge.connection_name: edge for edge in [*self.iter_all_inputs(), *self.iter_all_outputs()]}
        theirs = {edge.connection_name: edge for edge in [*other.iter_all_inputs(), *other.iter_all_outputs()]}
        messages = [
            f"connection `{self.label}.{name}` is only in one of the two"
            for name in sorted(mine.keys() ^ theirs.keys())
        ]
        for name in mine.keys() & theirs.keys():
            messages += mine[name].diff(theirs[name])
        return messages


AnyEdge = TypeVar("AnyEdge", bound=Edge)


def _found(label: str, connection_name: str, edges: Iterable[AnyEdge]) -> AnyEdge:
    found = {edge.connection_name: edge for edge in edges}
    if connection_name not in found:
        raise KeyError(f"task `{label}` has no connection `{connection_name}`{did_you_mean(connection_name, found)}")
    return found[connection_name]


class TaskInitNode(_TaskParts):
    """The making of a task: its init-inputs, its init-outputs and its config.

    Attributes
    ----------
    label
        Label of the task.
    inputs, outputs
        Edges by connection name.
    config_output
        Edge to the dataset type of the config.
    """

    _TYPE = NodeType.TASK_INIT

    def __init__(self, description: Mapping[str, Any], imported: ImportedTask | None) -> None:
        super().__init__(description, imported)
        label = self.label
        self.inputs = _edges(ReadEdge, label, description["init_inputs"], is_init=True)
        self.outputs = _edges(WriteEdge, label, description["init_outputs"], is_init=True)
        (self.config_output,) = _edges(WriteEdge, label, [description["config_output"]], is_init=True).values()

    def iter_all_outputs(self) -> Iterator[WriteEdge]:
        """Iterate over the init-outputs, then the config."""
        yield from self.outputs.values()
        yield self.config_output

    def __repr__(self) -> str:
        return f"{self.label} [init] ({self.task_class_name})"


class TaskNode(_TaskParts):
    """A task of a pipeline graph.

    Attributes
    ----------
    label
        Label of the task.
    init
        The making of the task.
    inputs, prerequisite_inputs, outputs
        Edges by connection name.
    metadata_output, log_output
        Edges to the automatic outputs; no log when it is not saved.
    """

    def __init__(
        self, description: Mapping[str, Any], imported: ImportedTask | None, dimensions: DimensionGroup | None = None
    ) -> None:
        super().__init__(description, imported)
        label = self.label
        self.init = TaskInitNode(description, imported)
        self.inputs = _edges(ReadEdge, label, description["inputs"])
        self.prerequisite_inputs: Mapping[str, ReadEdge] = _edges(
            ReadEdge, label, description["prerequisite_inputs"], is_prerequisite=True
        )
        self.outputs = _edges(WriteEdge, label, description["outputs"])
        (self.metadata_output,) = _edges(WriteEdge, label, [description["metadata_output"]]).values()
        log = description["log_output"]
        self.log_output: WriteEdge | None = None
        if log is not None:
            (self.log_output,) = _edges(WriteEdge, label, [log]).values()
        self._dimensions = dimensions

    @property
    def raw_dimensions(self) -> frozenset[str]:
        """Dimensions of the quanta as declared."""
        return frozenset(self._description["dimensions"])

    @property
    def has_resolved_dimensions(self) -> bool:
        """Whether `dimensions` can be read."""
        return self._dimensions is not None

    @property
    def dimensions(self) -> DimensionGroup:
        """Dimensions of the quanta.

        Raises
        ------
        UnresolvedGraphError
            The graph is not resolved.
        """
        if self._dimensions is None:
            raise UnresolvedGraphError(f"the dimensions of task `{self.label}` are not known before `resolve`")
        return self._dimensions

    def get_connections(self) -> PipelineTaskConnections:
        """Return the connections object."""
        return self._known().connections

    def get_lookup_function(self, connection_name: str) -> Callable[..., Any] | None:
        """Return the function that looks up a prerequisite, None for the usual search."""
        connection = self.get_connections().allConnections.get(connection_name)
        return connection.lookupFunction if isinstance(connection, PrerequisiteInput) else None

    def get_spatial_bounds_connections(self) -> frozenset[str]:
        """Return the names of connections that extend the region of prerequisite searches."""
        return frozenset(self._description["hooks"]["spatial_bounds"])

    def get_temporal_bounds_connections(self) -> frozenset[str]:
        """Return the names of connections that extend the time of prerequisite searches."""
        return frozenset(self._description["hooks"]["temporal_bounds"])

    def is_optional(self, connection_name: str) -> bool:
        """Whether the task runs without any dataset of this input."""
        connection = self.get_connections().allConnections[connection_name]
        return getattr(connection, "minimum", 1) == 0

    def iter_all_inputs(self) -> Iterator[ReadEdge]:
        """Iterate over the prerequisites, then the inputs."""
        yield from self.prerequisite_inputs.values()
        yield from self.inputs.values()

    def iter_all_outputs(self) -> Iterator[WriteEdge]:
        """Iterate over the outputs, then metadata and log."""
        yield from self.outputs.values()
        yield self.metadata_output
        if self.log_output is not None:
            yield self.log_output

    def diff_edges(self, other: TaskNode) -> list[str]:
        """Say in which ways the edges differ from those of another task node, init edges included."""
        return [*self.init.diff_edges(other.init), *super().diff_edges(other)]

    def __repr__(self) -> str:
        dimensions = "" if self._dimensions is None else f", {{{', '.join(self._dimensions.names)}}}"
        return f"{self.label} ({self.task_class_name}{dimensions})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskNode) and self._description == other._description

    def __hash__(self) -> int:
        return hash(self.label)


@dataclasses.dataclass(frozen=True)
class DatasetTypeNode:
    """A dataset type with the definition that holds throughout the graph.

    Attributes
    ----------
    dataset_type
        The definition.
    is_initial_query_constraint
        Whether existing datasets of it decide which quanta there are.
    is_prerequisite
        Whether it is read as a prerequisite.
    producing_edge, consuming_edges
        Edges to it and from it.
    """

    dataset_type: DatasetType
    is_initial_query_constraint: bool
    is_prerequisite: bool
    producing_edge: WriteEdge | None
    consuming_edges: tuple[ReadEdge, ...]

    @property
    def name(self) -> str:
        """Name of the dataset type."""
        return str(self.dataset_type.name)

    @property
    def key(self) -> NodeKey:
        """What identifies the node."""
        return NodeKey(NodeType.DATASET_TYPE, self.name)

    @property
    def dimensions(self) -> DimensionGroup:
        """Dimensions of the datasets."""
        return self.dataset_type.dimensions

    @property
    def storage_class_name(self) -> str:
        """Name of the storage class."""
        return str(self.dataset_type.storageClass_name)

    @property
    def storage_class(self) -> Any:
        """The storage class."""
        return self.dataset_type.storageClass

    @property
    def is_calibration(self) -> bool:
        """Whether the datasets have validity ranges."""
        return bool(self.dataset_type.isCalibration())

    def generalize_ref(self, ref: DatasetRef) -> DatasetRef:
        """Return a task's reference as one to the graph-wide dataset type."""
        if ref.isComponent():
            ref = ref.makeCompositeRef()
        if ref.datasetType.storageClass_name != self.storage_class_name:
            ref = ref.overrideStorageClass(self.storage_class_name)
        return ref

    def __repr__(self) -> str:
        return f"{self.name} ({self.storage_class_name}, {{{', '.join(self.dimensions.names)}}})"
