"""A task as a pipeline holds it, and how tasks are made from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from armillary.pipeline.automatic_connection_constants import (
    CONFIG_INIT_OUTPUT_TEMPLATE,
    LOG_OUTPUT_TEMPLATE,
    METADATA_OUTPUT_TEMPLATE,
)
from armillary.pipeline.importing import class_name, import_class

if TYPE_CHECKING:
    from armillary.pipeline.config import PipelineTaskConfig
    from armillary.pipeline.connections import PipelineTaskConnections
    from armillary.pipeline.pipeline_task import PipelineTask

__all__ = ["TaskDef", "TaskFactory"]


class TaskDef:
    """A task class with its label, config and connections.

    Parameters
    ----------
    taskName
        Full name of the class; by default that of `taskClass`.
    config
        Config; by default that of the class.
    taskClass
        The class; by default imported by its name.
    label
        Label in the pipeline; by default the class's `_DefaultName`.
    connections
        Connections; by default made from the config.

    Raises
    ------
    ValueError
        Neither a name nor a class is given.

    Examples
    --------
    >>> from armillary.pipeline import PipelineTask, PipelineTaskConfig, PipelineTaskConnections, TaskDef
    >>> class NoConnections(PipelineTaskConnections, dimensions=()):
    ...     pass
    >>> class NoConfig(PipelineTaskConfig, pipelineConnections=NoConnections):
    ...     pass
    >>> class NoTask(PipelineTask):
    ...     ConfigClass = NoConfig
    ...     _DefaultName = "no"
    >>> TaskDef(taskClass=NoTask).metadataDatasetName
    'no_metadata'

    """

    def __init__(
        self,
        taskName: str | None = None,
        config: PipelineTaskConfig | None = None,
        taskClass: type[PipelineTask] | None = None,
        label: str | None = None,
        connections: PipelineTaskConnections | None = None,
    ) -> None:
        if taskClass is None:
            if taskName is None:
                raise ValueError("a task definition needs `taskName` or `taskClass`")
            taskClass = import_class(taskName)
        self.taskClass: type[PipelineTask] = taskClass
        self.taskName = class_name(taskClass) if taskName is None else taskName
        self.config: Any = taskClass.ConfigClass() if config is None else config
        self.label = taskClass._DefaultName if label is None else label
        self.connections: PipelineTaskConnections = (
            self.config.ConnectionsClass(config=self.config) if connections is None else connections
        )

    @property
    def configDatasetName(self) -> str:
        """Name of the dataset type of the config."""
        return CONFIG_INIT_OUTPUT_TEMPLATE.format(label=self.label)

    @property
    def metadataDatasetName(self) -> str:
        """Name of the dataset type of the metadata."""
        return self.makeMetadataDatasetName(self.label)

    @classmethod
    def makeMetadataDatasetName(cls, label: str) -> str:
        """Return the name of the metadata dataset type of a task.

        >>> TaskDef.makeMetadataDatasetName("isr")
        'isr_metadata'
        """
        return METADATA_OUTPUT_TEMPLATE.format(label=label)

    @property
    def logOutputDatasetName(self) -> str | None:
        """Name of the dataset type of the log, None when no log is saved."""
        return LOG_OUTPUT_TEMPLATE.format(label=self.label) if self.config.saveLogOutput else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TaskDef):
            return NotImplemented
        return (self.label, self.taskClass) == (other.label, other.taskClass) and self.config == other.config

    def __hash__(self) -> int:
        return hash((self.taskClass, self.label))

    def __repr__(self) -> str:
        return f"TaskDef({self.taskName}, label={self.label})"


class TaskFactory:
    """Makes tasks ready to run.

    Examples
    --------
    `TaskFactory().makeTask(task_node, butler, init_input_refs)` reads the init-inputs and returns the task.

    """

    def makeTask(self, task_node: Any, /, butler: Any, initInputRefs: Iterable[Any] | None) -> PipelineTask:
        """Make a task.

        Parameters
        ----------
        task_node
            Task of a pipeline graph.
        butler
            Where init-inputs are read from.
        initInputRefs
            References of the init-inputs.

        """
        refs = {ref.datasetType.name: ref for ref in initInputRefs or ()}
        inputs: dict[str, Any] = {}
        for name, edge in task_node.init.inputs.items():
            inputs[name] = butler.get(refs[edge.dataset_type_name])
        task: PipelineTask = task_node.task_class(config=task_node.config, initInputs=inputs, name=task_node.label)
        return task
