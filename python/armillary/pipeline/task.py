"""A step of processing with a configuration, a name, a logger and metadata; tasks hold subtasks."""

from __future__ import annotations

import contextlib
import logging
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from armillary.errors import TaskError
from armillary.pipeline.metadata import TaskMetadata
from armillary.pipeline.task_logging import TaskLogAdapter, get_task_logger
from armillary.pipeline.timer import note_timing

if TYPE_CHECKING:
    from lsst.pex.config import Config, ConfigurableField

__all__ = ["Task", "TaskError"]


class Task:
    """An algorithm with a configuration.

    A subclass sets `ConfigClass` and, when it can stand alone, `_DefaultName`, and does its work in `run`.

    Parameters
    ----------
    config
        The configuration, frozen by this; by default that of the parent for this subtask, else the class's defaults.
    name
        Name of the task; by default `_DefaultName`. Needed for a subtask.
    parentTask
        The task this one is a part of.
    log
        Logger under which this task logs; by default the parent's or the module's.

    Raises
    ------
    RuntimeError
        There is no name.

    Examples
    --------
    >>> from armillary.pipeline import Task
    >>> from lsst.pex.config import Config, Field
    >>> class ScaleConfig(Config):
    ...     factor = Field(doc="Multiplier.", dtype=float, default=2.0)
    >>> class ScaleTask(Task):
    ...     ConfigClass = ScaleConfig
    ...     _DefaultName = "scale"
    ...     def run(self, value):
    ...         self.metadata["calls"] = 1
    ...         return value * self.config.factor
    >>> task = ScaleTask()
    >>> task.run(21)
    42.0
    >>> task.getFullMetadata()["scale.calls"]
    1

    """

    ConfigClass: ClassVar[type[Config]]
    _DefaultName: ClassVar[str]

    config: Any
    log: TaskLogAdapter
    metadata: TaskMetadata

    def __init__(
        self,
        config: Config | None = None,
        *,
        name: str | None = None,
        parentTask: Task | None = None,
        log: logging.Logger | logging.LoggerAdapter[Any] | None = None,
    ) -> None:
        self.metadata = TaskMetadata()
        self._parent_name: str | None = None
        if parentTask is not None:
            self._join(parentTask, name)
            config = getattr(parentTask.config, self._name) if config is None else config
            parent_log: logging.Logger = parentTask.log.logger
            self.log = TaskLogAdapter(parent_log.getChild(self._name), None)
        else:
            self._stand_alone(name)
            config = self.ConfigClass() if config is None else config
            if log is None:
                self.log = get_task_logger(f"{type(self).__module__}.{self._name}")
            else:
                base = log.logger if isinstance(log, logging.LoggerAdapter) else log
                self.log = TaskLogAdapter(base.getChild(self._name), None)
        self.config = config
        if self.config is not None:
            self.config.freeze()
        self._task_references[self._full_name] = weakref.ref(self)

    def _join(self, parent: Task, name: str | None) -> None:
        if name is None:
            raise RuntimeError(f"a subtask of `{parent.getFullName()}` needs a name")
        self._name = name
        self._parent_name = parent.getFullName()
        self._full_name = f"{self._parent_name}.{name}"
        self._task_references: dict[str, weakref.ReferenceType[Task]] = parent._task_references

    def _stand_alone(self, name: str | None) -> None:
        name = getattr(self, "_DefaultName", None) if name is None else name
        if name is None:
            raise RuntimeError(f"`{type(self).__name__}` has no `_DefaultName`, so it needs a name")
        self._name = name
        self._full_name = name
        self._task_references = {}

    def emptyMetadata(self) -> None:
        """Forget the metadata of this task and of its subtasks."""
        for reference in self._task_references.values():
            task = reference()
            if task is not None:
                task.metadata = TaskMetadata()

    def getFullMetadata(self) -> TaskMetadata:
        """Return the metadata of this task and of those below it, each under its full name with `:` between names."""
        full = TaskMetadata()
        for name, reference in self._task_references.items():
            task = reference()
            if task is not None:
                full[name.replace(".", ":")] = task.metadata
        return full

    def getName(self) -> str:
        """Return the name within the parent task."""
        return self._name

    def getFullName(self) -> str:
        """Return the names from the topmost task down to this one, with dots between."""
        return self._full_name

    def getTaskDict(self) -> dict[str, weakref.ReferenceType[Task]]:
        """Return weak references to the tasks of this family by full name."""
        return dict(self._task_references)

    def makeSubtask(self, name: str, **keyArgs: Any) -> None:
        """Make the subtask that the configuration field `name` stands for and keep it as attribute `name`.

        Raises
        ------
        KeyError
            The configuration has no such field.

        """
        field = getattr(self.config, name, None)
        if field is None:
            from armillary._words import did_you_mean

            known = getattr(self.config, "_fields", {})
            raise KeyError(f"the config of `{self._full_name}` has no field `{name}`{did_you_mean(name, known)}")
        setattr(self, name, field.apply(name=name, parentTask=self, **keyArgs))

    @classmethod
    def makeField(cls, doc: str) -> ConfigurableField:
        """Return a configuration field whose target is this task.

        >>> from lsst.pex.config import Config
        >>> class SmoothTask(Task):
        ...     ConfigClass = Config
        >>> SmoothTask.makeField("How to smooth.").target.__name__
        'SmoothTask'
        """
        from lsst.pex.config import ConfigurableField

        return ConfigurableField(doc=doc, target=cls)

    @contextlib.contextmanager
    def timer(self, name: str, logLevel: int = logging.DEBUG) -> Iterator[None]:
        """Note the resources before and after a `with` block in the metadata, as `<name>Start...`, `<name>End...`."""
        note_timing(self, name + "Start", logLevel)
        try:
            yield
        finally:
            note_timing(self, name + "End", logLevel)

    def __reduce__(self) -> Any:
        if self._parent_name is not None:
            raise TaskError(f"only whole tasks can be pickled, and `{self._full_name}` is a subtask")
        return _rebuild, (type(self), self._pickle_arguments())

    def _pickle_arguments(self) -> dict[str, Any]:
        return {"config": self.config, "name": self._name}


def _rebuild(task_class: type[Task], arguments: dict[str, Any]) -> Task:
    return task_class(**arguments)
