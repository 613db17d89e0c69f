"""The graph of a pipeline's tasks and of the dataset types between them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from armillary import _core
from armillary.errors import (
    ConnectionTypeConsistencyError,
    DimensionNameError,
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
from armillary.pipeline.conversions import refusal_of_conversion
from armillary.pipeline.importing import import_class
from armillary.pipeline.pipeline_graph_contents import PipelineGraphContents
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
from armillary.pipeline.task_description import describe_task

if TYPE_CHECKING:
    from armillary.butler import Butler, DataCoordinate, DatasetType, DimensionUniverse
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


class PipelineGraph(PipelineGraphContents):
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

    @classmethod
    def _of(
        cls, core: _core.PipelineGraph, universe: DimensionUniverse | None, imported: dict[str, ImportedTask]
    ) -> PipelineGraph:
        made = cls.__new__(cls)
        made._take(core, universe, imported)
        return made

    @property
    def task_subsets(self) -> Mapping[str, TaskSubset]:
        """The subsets by label."""
        return MappingProxyType({label: TaskSubset(self, label) for label in self._core.subsets})

    @property
    def steps(self) -> StepDefinitions:
        """The steps, in order."""
        return StepDefinitions(self)

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

    # Selecting ------------------------------------------------------------------------------------------------------

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
        except DimensionNameError as error:
            if (place := self._place_of_unknown_dimension(universe)) is not None:
                error.add_note(f"in {place}")
            raise
        for conversion in conversions:
            label, connection, *_ = conversion
            node = self.tasks[label]
            writes = connection in node.outputs or connection in node.init.outputs
            refusal = refusal_of_conversion(*conversion, writes=writes)
            if refusal is not None and not visualization_only:
                self._core.unresolve()
                raise IncompatibleDatasetTypeError(refusal)
        self._universe = universe
        self._changed()

    def _place_of_unknown_dimension(self, universe: Any) -> str | None:
        known = {*universe.dimensions.names, "skypix"}
        for label, node in self.tasks.items():
            if node.raw_dimensions - known:
                return f"the dimensions of task `{label}`"
            for edge in (*node.iter_all_inputs(), *node.iter_all_outputs()):
                if edge.raw_dimensions - known:
                    return f"the dimensions of connection `{edge.connection_name}` of task `{label}`"
        return None

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

    # Storing --------------------------------------------------------------------------------------------------------

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
