"""The graph of a pipeline's tasks and of the dataset types between them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from armillary import _core
from armillary.errors import (
    ConnectionTypeConsistencyError,
    DuplicateOutputError,
    EdgesChangedError,
    IncompatibleDatasetTypeError,
    InvalidExpressionError,
    InvalidStepsError,
    MissingDatasetTypeError,
    PipelineDataCycleError,
    PipelineGraphError,
    PipelineGraphExceptionSafetyError,
    PipelineGraphReadError,
    TaskNotImportedError,
    UnresolvedGraphError,
)
from armillary.pipeline import init_outputs as writing
from armillary.pipeline.automatic_connection_constants import (
    PACKAGES_INIT_OUTPUT_NAME,
    PACKAGES_INIT_OUTPUT_STORAGE_CLASS,
)
from armillary.pipeline.conversions import refusal_of_conversion
from armillary.pipeline.importing import import_class
from armillary.pipeline.pipeline_nodes import (
    DatasetTypeNode,
    Edge,
    ImportedTask,
    NodeKey,
    NodeType,
    ReadEdge,
    TaskImportMode,
    TaskInitNode,
    TaskNode,
    WriteEdge,
)
from armillary.pipeline.pipeline_subsets import StepDefinitions, TaskSubset
from armillary.pipeline.pipeline_views import DatasetTypeMappingView, TaskMappingView
from armillary.pipeline.pipeline_xgraph import full_xgraph, projected_xgraph
from armillary.pipeline.task_description import describe_task

if TYPE_CHECKING:
    from armillary.butler import Butler, DataCoordinate, DatasetType, DimensionGroup, DimensionUniverse
    from armillary.pipeline.pipeline_task import PipelineTask

__all__ = [
    "ConnectionTypeConsistencyError",
    "DatasetTypeNode",
    "DuplicateOutputError",
    "Edge",
    "EdgesChangedError",
    "IncompatibleDatasetTypeError",
    "InvalidExpressionError",
    "InvalidStepsError",
    "NodeKey",
    "NodeType",
    "PipelineDataCycleError",
    "PipelineGraph",
    "PipelineGraphError",
    "PipelineGraphExceptionSafetyError",
    "PipelineGraphReadError",
    "ReadEdge",
    "StepDefinitions",
    "TaskImportMode",
    "TaskInitNode",
    "TaskNode",
    "TaskNotImportedError",
    "TaskSubset",
    "UnresolvedGraphError",
    "WriteEdge",
]

_KINDS = {"dataset_type": NodeType.DATASET_TYPE, "task_init": NodeType.TASK_INIT, "task": NodeType.TASK}


class PipelineGraph:
    """The tasks of a pipeline and the dataset types by which they are connected.

    Parameters
    ----------
    description
        What the pipeline does.
    universe
        All dimensions; by default known when the graph is resolved.
    data_id
        Data ID that every quantum has, such as the instrument.

    Examples
    --------
    >>> from armillary.pipeline import PipelineGraph, PipelineTask, PipelineTaskConfig, PipelineTaskConnections
    >>> from armillary.pipeline import connectionTypes as cT
    >>> DIMENSIONS = ("instrument", "exposure", "detector")
    >>> class IsrConnections(PipelineTaskConnections, dimensions=DIMENSIONS):
    ...     raw = cT.Input(name="raw", storageClass="StructuredDataDict", doc="Raw.", dimensions=DIMENSIONS)
    ...     out = cT.Output(name="post_isr", storageClass="StructuredDataDict", doc="Image.", dimensions=DIMENSIONS)
    >>> class IsrConfig(PipelineTaskConfig, pipelineConnections=IsrConnections):
    ...     pass
    >>> class IsrTask(PipelineTask):
    ...     ConfigClass = IsrConfig
    ...     _DefaultName = "isr"
    >>> graph = PipelineGraph(description="One task.")
    >>> graph.add_task("isr", IsrTask).label
    'isr'
    >>> graph.resolve(dataset_types={})
    >>> list(graph.dataset_types)
    ['raw', 'isr_config', 'isr_log', 'isr_metadata', 'post_isr']
    """

    def __init__(
        self,
        *,
        description: str = "",
        universe: DimensionUniverse | None = None,
        data_id: Mapping[str, Any] | DataCoordinate | None = None,
    ) -> None:
        document = None if universe is None else universe.to_json()
        values = {} if data_id is None else dict(getattr(data_id, "mapping", data_id))
        self._take(_core.PipelineGraph(document, description, data_id=values), universe, {})

    def _take(
        self, core: _core.PipelineGraph, universe: DimensionUniverse | None, imported: dict[str, ImportedTask]
    ) -> None:
        self._core = core
        self._universe = universe
        self._imported = imported
        self._nodes: dict[str, TaskNode] = {}

    @classmethod
    def _of(
        cls, core: _core.PipelineGraph, universe: DimensionUniverse | None, imported: dict[str, ImportedTask]
    ) -> PipelineGraph:
        made = cls.__new__(cls)
        made._take(core, universe, imported)
        return made

    # Nodes ----------------------------------------------------------------------------------------------------------

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
    def task_subsets(self) -> Mapping[str, TaskSubset]:
        """The subsets by label."""
        return MappingProxyType({label: TaskSubset(self, label) for label in self._core.subsets})

    @property
    def steps(self) -> StepDefinitions:
        """The steps, in order."""
        return StepDefinitions(self)

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

    # Changing -------------------------------------------------------------------------------------------------------

    def add_task(
        self,
        label: str | None,
        task_class: type[PipelineTask],
        config: Any = None,
        connections: Any = None,
    ) -> TaskNode:
        """Add a task.

        Parameters
        ----------
        label
            Label; None for the class's `_DefaultName`.
        task_class
            The class.
        config
            Its config, frozen by this; None for the defaults.
        connections
            Connections made from the config, when they exist already.

        Raises
        ------
        ValueError
            The label is taken.
        PipelineDataCycleError
            The task would read what it helps to make.
        """
        label = task_class._DefaultName if label is None else label
        self.add_tasks([(label, task_class, config)], {} if connections is None else {label: connections})
        return self._task_node(label)

    def add_tasks(
        self,
        tasks: Iterable[tuple[str, type[PipelineTask], Any]],
        connections: Mapping[str, Any] | None = None,
    ) -> None:
        """Add tasks given as label, class and config, or none of them when one is refused."""
        imported = {
            label: _import(task_class, config, (connections or {}).get(label)) for label, task_class, config in tasks
        }
        self._core.add_tasks([_describe(label, task) for label, task in imported.items()])
        self._changed()
        self._imported.update(imported)

    def add_task_nodes(self, nodes: Iterable[TaskNode], parent: PipelineGraph | None = None) -> None:
        """Add tasks of another graph."""
        given = list(nodes)
        self._core.add_tasks([dict(node._description) for node in given])
        self._changed()
        self._imported.update({node.label: node._imported for node in given if node._imported is not None})

    def reconfigure_tasks(
        self,
        *args: tuple[str, Any],
        check_edges_unchanged: bool = False,
        assume_edges_unchanged: bool = False,
        **kwargs: Any,
    ) -> None:
        """Give tasks other configs, as pairs of label and config or by label.

        Parameters
        ----------
        *args, **kwargs
            Configs by label.
        check_edges_unchanged
            Refuse configs that change an edge, with `EdgesChangedError`.
        assume_edges_unchanged
            Keep the edges as they are, whatever the configs say.
        """
        descriptions = []
        imported: dict[str, ImportedTask] = {}
        for label, config in itertools.chain(args, kwargs.items()):
            before = self._task_node(label)
            task = _import(before.task_class, config, None)
            after = _describe(label, task)
            if assume_edges_unchanged:
                after = {**before._description, "config_str": after["config_str"]}
            elif check_edges_unchanged:
                changes = before.diff_edges(TaskNode(after, task))
                if changes:
                    raise EdgesChangedError(f"the new config of task `{label}` changes edges: {'; '.join(changes)}")
            descriptions.append(after)
            imported[label] = task
        self._core.replace_tasks(descriptions)
        self._changed()
        self._imported.update(imported)

    def remove_tasks(self, labels: Iterable[str], drop_from_subsets: bool = True) -> list[tuple[TaskNode, set[str]]]:
        """Remove tasks; return each with the names of the subsets it was in.

        Raises
        ------
        KeyError
            There is no such task.
        PipelineGraphError
            A task is in a subset and `drop_from_subsets` is false.
        """
        labels = list(labels)
        nodes = {label: self._task_node(label) for label in labels}
        removed = self._core.remove_tasks(labels, drop_from_subsets=drop_from_subsets)
        self._changed()
        for label in labels:
            self._imported.pop(label, None)
        return [(nodes[label], set(subsets)) for label, subsets in removed]

    def _changed(self) -> None:
        self._nodes.clear()

    def add_task_subset(self, subset_label: str, task_labels: Iterable[str], description: str = "") -> None:
        """Give some tasks a name."""
        self._core.add_subset(subset_label, set(task_labels), description)

    def remove_task_subset(self, subset_label: str) -> None:
        """Take a subset out; its tasks stay."""
        self._core.remove_subset(subset_label)

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

    # Selecting ------------------------------------------------------------------------------------------------------

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

    def select(self, expression: str) -> PipelineGraph:
        """Return a graph of the tasks that an expression selects; see `select_tasks`."""
        return self._restricted(self.select_tasks(expression))

    def _restricted(self, labels: set[str]) -> PipelineGraph:
        imported = {label: task for label, task in self._imported.items() if label in labels}
        return self._of(self._core.restricted(labels), self._universe, imported)

    def split_independent(self) -> Iterable[PipelineGraph]:
        """Iterate over the parts between which no dataset type written by a task is shared."""
        for part in self._core.split_independent():
            imported = {label: self._imported[label] for label in part.task_labels if label in self._imported}
            yield self._of(part, self._universe, imported)

    def copy(self) -> PipelineGraph:
        """Return an independent copy."""
        return self._of(self._core.copy(), self._universe, dict(self._imported))

    def diff_tasks(self, other: PipelineGraph) -> list[str]:
        """Say in which tasks, and how, another graph differs."""
        return self._core.differences(other._core)

    # Resolving ------------------------------------------------------------------------------------------------------

    def sort(self) -> None:
        """Put tasks and dataset types in topological order.

        Raises
        ------
        PipelineDataCycleError
            There is none.
        """
        self._core.sort()

    def resolve(
        self,
        registry: Any = None,
        dimensions: DimensionUniverse | None = None,
        dataset_types: Mapping[str, DatasetType] | None = None,
        visualization_only: bool = False,
    ) -> None:
        """Give every dataset type the definition that holds throughout the graph, and sort.

        Parameters
        ----------
        registry
            Where registered dataset types and the dimensions are found.
        dimensions
            All dimensions; by default those of the registry or the default ones.
        dataset_types
            Registered dataset types by name, in place of the registry.
        visualization_only
            Whether to pass over definitions that cannot be found.

        Raises
        ------
        IncompatibleDatasetTypeError, MissingDatasetTypeError, ConnectionTypeConsistencyError
            Definitions contradict each other, or there is none.
        DuplicateOutputError
            Two tasks write one dataset type.
        InvalidStepsError
            The steps do not divide the pipeline.
        """
        universe = dimensions if dimensions is not None else getattr(registry, "dimensions", None) or self._universe
        if universe is None:
            from armillary.butler import DimensionUniverse

            universe = DimensionUniverse()
        registered = self._registered(registry, dataset_types)
        try:
            conversions = self._core.resolve(registered, universe.to_json())
        except (PipelineGraphError, MissingDatasetTypeError):
            if not visualization_only:
                raise
            self._core.sort()
            return
        for conversion in conversions:
            refusal = refusal_of_conversion(*conversion)
            if refusal is not None and not visualization_only:
                self._core.unresolve()
                raise IncompatibleDatasetTypeError(refusal)
        self._universe = universe
        self._changed()

    def _registered(self, registry: Any, dataset_types: Mapping[str, DatasetType] | None) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for name in self._core.dataset_type_names:
            dataset_type: Any = None
            if dataset_types is not None:
                dataset_type = dataset_types.get(name)
            elif registry is not None:
                try:
                    dataset_type = registry.getDatasetType(name)
                except MissingDatasetTypeError:
                    continue
            if dataset_type is not None:
                found[name] = {
                    "dimensions": sorted(dataset_type.dimensions.names),
                    "storage_class": dataset_type.storageClass_name,
                    "is_calibration": dataset_type.isCalibration(),
                }
        return found

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

    # Storing --------------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """Return the stored form of a resolved graph."""
        return self._core.to_json()

    @classmethod
    def from_json(cls, text: str, import_mode: TaskImportMode = TaskImportMode.DO_NOT_IMPORT) -> PipelineGraph:
        """Read the stored form; nothing it names is imported unless `import_mode` asks for it.

        Raises
        ------
        PipelineGraphReadError
            The text is not a stored graph.
        """
        from armillary.butler import DimensionUniverse

        core = _core.PipelineGraph.from_json(text)
        document = core.universe_document
        graph = cls._of(core, None if document is None else DimensionUniverse.from_json(document), {})
        graph.import_and_configure(import_mode)
        return graph

    def import_and_configure(
        self, import_mode: TaskImportMode = TaskImportMode.ASSUME_CONSISTENT_EDGES, labels: Iterable[str] | None = None
    ) -> None:
        """Import the classes of the tasks and run their stored configs.

        Parameters
        ----------
        import_mode
            What to do when the classes' edges are not the stored ones.
        labels
            Tasks to import; all by default.

        Raises
        ------
        EdgesChangedError
            They differ, and `REQUIRE_CONSISTENT_EDGES` is asked for.
        ImportError
            A class cannot be imported.
        """
        if import_mode is TaskImportMode.DO_NOT_IMPORT:
            return
        for label in self._core.task_labels if labels is None else labels:
            if label in self._imported:
                continue
            stored = self._task_node(label)
            task_class = import_class(stored.task_class_name)
            config = task_class.ConfigClass()
            if text := stored.get_config_str():
                config.loadFromString(text)
            task = _import(task_class, config, None)
            if import_mode is not TaskImportMode.ASSUME_CONSISTENT_EDGES:
                description = _describe(label, task)
                changes = stored.diff_edges(TaskNode(description, task))
                if changes and import_mode is TaskImportMode.REQUIRE_CONSISTENT_EDGES:
                    raise EdgesChangedError(f"task `{label}` is not what was stored: {'; '.join(changes)}")
                if changes:
                    self._core.replace_tasks([description])
            self._imported[label] = task
        self._changed()

    # Using ----------------------------------------------------------------------------------------------------------

    def instantiate_tasks(
        self,
        get_init_input: Callable[[DatasetType], Any] | None = None,
        init_outputs: list[tuple[Any, DatasetType]] | None = None,
        labels: Iterable[str] | None = None,
    ) -> list[PipelineTask]:
        """Make the tasks, in order, each with the init-outputs of those before it.

        Parameters
        ----------
        get_init_input
            Called with the dataset type of an init-input that no task of the graph makes.
        init_outputs
            List to which pairs of object and dataset type are added.
        labels
            Tasks to make; all by default.
        """
        return writing.instantiate_tasks(self, get_init_input, init_outputs, labels)

    def write_init_outputs(self, butler: Butler) -> None:
        """Write the init-outputs of all tasks to the butler's run."""
        writing.write_init_outputs(self, butler)

    def write_configs(self, butler: Butler) -> None:
        """Write the configs of all tasks to the butler's run, or compare them with those there.

        Raises
        ------
        ConflictingDefinitionError
            A config is there and differs.
        """
        writing.write_configs(self, butler)

    def write_packages(self, butler: Butler) -> None:
        """Write the software versions to the butler's run, or compare them with those there.

        Raises
        ------
        ConflictingDefinitionError
            Versions are there and differ.
        """
        writing.write_packages(self, butler)

    def init_output_run(self, butler: Butler) -> None:
        """Write everything that a run needs before its quanta: init-outputs, configs and software versions."""
        self.write_init_outputs(butler)
        self.write_configs(butler)
        self.write_packages(butler)

    def register_dataset_types(
        self,
        butler: Butler,
        include_packages: bool = True,
        *,
        include_inputs: bool = True,
        include_configs: bool = True,
        include_logs: bool = True,
    ) -> None:
        """Register the dataset types of the graph."""
        for dataset_type in self._types(include_packages, include_inputs, include_configs, include_logs):
            butler.registry.registerDatasetType(dataset_type)

    def check_dataset_type_registrations(self, butler: Butler, include_packages: bool = True) -> None:
        """Check that the dataset types of the graph are registered as the graph has them.

        Raises
        ------
        MissingDatasetTypeError
            Some are not registered; the message names all.
        ConflictingDefinitionError
            One is registered otherwise.
        """
        writing.check_registrations(butler, self._types(include_packages, True, True, True))

    def _types(self, packages: bool, inputs: bool, configs: bool, logs: bool) -> list[DatasetType]:
        dropped: set[str] = set()
        for node in self.tasks.values():
            if not configs:
                dropped.add(node.init.config_output.dataset_type_name)
            if not logs and node.log_output is not None:
                dropped.add(node.log_output.dataset_type_name)
        if not inputs:
            dropped.update(self._core.overall_inputs())
        types = [node.dataset_type for name, node in self.dataset_types.items() if name not in dropped]
        return [*types, self.packages_dataset_type] if packages else types

    # Other forms ----------------------------------------------------------------------------------------------------

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


def _import(task_class: type[PipelineTask], config: Any, connections: Any) -> ImportedTask:
    if not hasattr(task_class, "ConfigClass"):
        raise TypeError(f"`{getattr(task_class, '__name__', task_class)}` is no PipelineTask, it has no `ConfigClass`")
    config = task_class.ConfigClass() if config is None else config
    config.validate()
    config.freeze()
    connections = config.ConnectionsClass(config=config) if connections is None else connections
    return ImportedTask(task_class, config, connections)


def _describe(label: str, task: ImportedTask) -> dict[str, Any]:
    return describe_task(label, task.task_class, task.config, task.connections)
