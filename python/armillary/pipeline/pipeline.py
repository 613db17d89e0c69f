"""Pipelines: labelled tasks with their configs, written as YAML."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Set
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from armillary._words import did_you_mean
from armillary.errors import ContractError
from armillary.pipeline import pipeline_yaml
from armillary.pipeline.importing import class_name, import_task
from armillary.pipeline.pipeline_yaml import (
    ConfigIR,
    LabeledSubset,
    PipelineIR,
    PipelineSubsetCtrl,
    TaskIR,
)
from armillary.pipeline.task_definition import TaskDef

if TYPE_CHECKING:
    from armillary.pipeline.pipeline_graph import PipelineGraph
    from armillary.pipeline.pipeline_task import PipelineTask

__all__ = ["LabelSpecifier", "Pipeline", "TaskDef"]


@dataclasses.dataclass
class LabelSpecifier:
    """Some tasks of a pipeline: by labels, or from one on and up to another.

    Parameters
    ----------
    labels
        Labels of tasks and subsets.
    begin, end
        The range of tasks downstream of `begin` and upstream of `end`, both included.

    Raises
    ------
    ValueError
        Both labels and a range are given.

    Examples
    --------
    >>> from armillary.pipeline import LabelSpecifier
    >>> LabelSpecifier.from_text("isr..detect")
    LabelSpecifier(labels=None, begin='isr', end='detect')
    >>> LabelSpecifier.from_text("isr,detect").labels == {"isr", "detect"}
    True

    """

    labels: set[str] | None = None
    begin: str | None = None
    end: str | None = None

    def __post_init__(self) -> None:
        if self.labels is not None and (self.begin or self.end):
            raise ValueError("tasks are chosen by a list of labels or by one range, not by both")

    @classmethod
    def from_text(cls, text: str) -> LabelSpecifier | None:
        """Read the part of a pipeline's location after `#`; None when it is empty.

        Raises
        ------
        ValueError
            There is more than one range, or a range within a list.

        """
        text = text.strip()
        if not text:
            return None
        if ".." not in text:
            return cls(labels={part.strip() for part in text.split(",") if part.strip()})
        if "," in text:
            raise ValueError(f"`#{text}` mixes a list of labels with a range; give one of them")
        if text.count("..") > 1:
            raise ValueError(f"`#{text}` has more than one range; write `#first..last`")
        begin, _, end = (part.strip() for part in text.partition(".."))
        return cls(begin=begin or None, end=end or None)


class Pipeline:
    """Labelled tasks with their configs, subsets, steps, contracts and parameters.

    Nothing of a task is imported before `to_graph`, or before a range of labels is asked for.

    Parameters
    ----------
    description
        What the pipeline does.

    Examples
    --------
    >>> from armillary.pipeline import Pipeline
    >>> pipeline = Pipeline.fromString('''
    ... description: Two tasks.
    ... tasks:
    ...   isr: survey.IsrTask
    ...   detect: {class: survey.DetectTask, config: {threshold: 5}}
    ... subsets:
    ...   first: [isr]
    ... ''')
    >>> list(pipeline.task_labels)
    ['isr', 'detect']
    >>> pipeline.addConfigOverride("detect", "threshold", 7)
    >>> pipeline.subsets["first"]
    {'isr'}

    """

    PipelineSubsetCtrl = PipelineSubsetCtrl

    def __init__(self, description: str) -> None:
        self._ir = PipelineIR(description)

    # Reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def fromFile(cls, filename: str) -> Pipeline:
        """Read a file; see `from_uri`."""
        return cls.from_uri(filename)

    @classmethod
    def from_uri(cls, uri: Any) -> Pipeline:
        """Read a file or other resource.

        Parameters
        ----------
        uri
            Location; `$NAME` stands for environment variables. `#a,b,subset` at its end chooses tasks and subsets,
            `#a..b`, `#a..` and `#..b` the tasks between, bounds included.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            It is not a pipeline, or a label is unknown.

        """
        location, _, selection = os.fspath(uri).partition("#") if isinstance(uri, str | os.PathLike) else _split(uri)
        _refuse_colon(location, selection)
        pipeline = cls.fromIR(PipelineIR.from_uri(location))
        specifier = LabelSpecifier.from_text(selection)
        return pipeline if specifier is None else pipeline.subsetFromLabels(specifier)

    @classmethod
    def fromString(cls, pipeline_string: str) -> Pipeline:
        """Read YAML text."""
        return cls.fromIR(PipelineIR.from_string(pipeline_string))

    @classmethod
    def fromIR(cls, deserialized_pipeline: PipelineIR) -> Pipeline:
        """Make a pipeline out of its written form, which it keeps and changes."""
        made = cls(deserialized_pipeline.description)
        made._ir = deserialized_pipeline
        return made

    @classmethod
    def fromPipeline(cls, pipeline: Pipeline) -> Pipeline:
        """Return an independent copy."""
        return cls.fromIR(pipeline._ir.copy())

    # What is there --------------------------------------------------------------------------------------------------

    @property
    def description(self) -> str:
        """What the pipeline does."""
        return self._ir.description

    @property
    def task_labels(self) -> Set[str]:
        """Labels of the tasks, in the order in which they are written."""
        return self._ir.tasks.keys()

    @property
    def subsets(self) -> Mapping[str, Set[str]]:
        """Labels of the tasks of each subset."""
        return MappingProxyType({name: subset.subset for name, subset in self._ir.labeled_subsets.items()})

    @property
    def steps(self) -> Mapping[str, tuple[str, ...]]:
        """Dimensions of each step, in the order of the steps."""
        return MappingProxyType({step.label: tuple(step.dimensions) for step in self._ir.steps})

    def getInstrument(self) -> str | None:
        """Return the full name of the instrument's class, or None."""
        return self._ir.instrument

    def get_data_id(self, universe: Any) -> Any:
        """Return the data ID that the pipeline implies: its instrument's name, or nothing."""
        from armillary.butler import DataCoordinate

        values = {} if self._ir.instrument is None else {"instrument": self._instrument().getName()}
        return DataCoordinate.standardize(values, universe=universe)

    def _instrument(self) -> Any:
        if self._ir.instrument is None:
            return None
        from armillary.instrument import Instrument

        return Instrument.from_string(self._ir.instrument)

    def findSubsetsWithLabel(self, label: str) -> set[str]:
        """Return the names of the subsets that hold a task.

        Raises
        ------
        ValueError
            There is no such task.

        """
        self._check_label(label)
        return {name for name, subset in self._ir.labeled_subsets.items() if label in subset.subset}

    def __len__(self) -> int:
        return len(self._ir.tasks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self._ir == other._ir

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __str__(self) -> str:
        return str(self._ir)

    def __repr__(self) -> str:
        return f"Pipeline({self.description!r}, tasks=[{', '.join(self.task_labels)}])"

    # Changing -------------------------------------------------------------------------------------------------------

    def addTask(self, task: type[PipelineTask] | str, label: str) -> None:
        """Add a task, or replace the one of that label.

        Parameters
        ----------
        task
            The class, or its full name.
        label
            Label; when empty, the class's `_DefaultName`.

        """
        if not label:
            label = (import_task(task) if isinstance(task, str) else task)._DefaultName
        if label in self._ir.labeled_subsets:
            raise ValueError(f"`{label}` is a subset of the pipeline; give the task another label")
        self._ir.tasks[label] = TaskIR(label, task if isinstance(task, str) else class_name(task))

    def removeTask(self, label: str) -> None:
        """Take a task out, and out of every subset.

        Raises
        ------
        KeyError
            There is no such task.

        """
        if label not in self._ir.tasks:
            raise KeyError(f"no task is labelled `{label}`{did_you_mean(label, self._ir.tasks)}")
        del self._ir.tasks[label]
        for subset in self._ir.labeled_subsets.values():
            subset.subset.discard(label)

    def addConfigOverride(self, label: str, key: str, value: object) -> None:
        """Set a field of a task's config, or with `label="parameters"` a parameter of the pipeline.

        Raises
        ------
        LookupError
            There is no such task.

        """
        if label == "parameters":
            self._ir.parameters.update({key: value})
        else:
            self._add_config(label, ConfigIR(rest={key: value}))

    def addConfigFile(self, label: str, filename: str) -> None:
        """Apply a config file to a task.

        Raises
        ------
        LookupError
            There is no such task.

        """
        if label == "parameters":
            raise ValueError("parameters are set by value; a config file cannot set them")
        self._add_config(label, ConfigIR(file=[filename]))

    def addConfigPython(self, label: str, pythonString: str) -> None:
        """Apply Python statements, in which `config` is the config, to a task.

        Raises
        ------
        LookupError
            There is no such task.

        """
        if label == "parameters":
            raise ValueError("parameters are set by value; Python text cannot set them")
        self._add_config(label, ConfigIR(python=pythonString))

    def _add_config(self, label: str, block: ConfigIR) -> None:
        if label not in self._ir.tasks:
            raise LookupError(f"no task of the pipeline is labelled `{label}`{did_you_mean(label, self._ir.tasks)}")
        self._ir.tasks[label].add_config(block)

    def addInstrument(self, instrument: Any) -> None:
        """Set the instrument: its class, an object of it, or the full name of the class."""
        if not isinstance(instrument, str):
            instrument = class_name(instrument if isinstance(instrument, type) else type(instrument))
        self._ir.instrument = instrument

    def addLabeledSubset(self, label: str, description: str, taskLabels: set[str]) -> None:
        """Give some tasks a name.

        Raises
        ------
        ValueError
            The name is taken, or a task is not there.

        """
        if label in self._ir.labeled_subsets or label in self._ir.tasks:
            raise ValueError(f"the pipeline has a subset or a task called `{label}` already")
        for task_label in sorted(taskLabels):
            self._check_label(task_label)
        self._ir.labeled_subsets[label] = LabeledSubset(label, set(taskLabels), description)

    def removeLabeledSubset(self, label: str) -> None:
        """Take a subset out; its tasks stay.

        Raises
        ------
        ValueError
            There is no such subset.

        """
        self._check_subset(label)
        self._ir.drop_subsets([label])

    def addLabelToSubset(self, subset: str, label: str) -> None:
        """Add a task to a subset.

        Raises
        ------
        ValueError
            There is no such task or subset.

        """
        self._check_label(label)
        self._check_subset(subset)
        self._ir.labeled_subsets[subset].subset.add(label)

    def removeLabelFromSubset(self, subset: str, label: str) -> None:
        """Take a task out of a subset.

        Raises
        ------
        ValueError
            There is no such subset, or it does not hold the task.

        """
        self._check_subset(subset)
        members = self._ir.labeled_subsets[subset].subset
        if label not in members:
            raise ValueError(f"subset `{subset}` does not hold `{label}`{did_you_mean(label, members)}")
        members.remove(label)

    def _check_label(self, label: str) -> None:
        if label not in self._ir.tasks:
            raise ValueError(f"no task of the pipeline is labelled `{label}`{did_you_mean(label, self._ir.tasks)}")

    def _check_subset(self, label: str) -> None:
        subsets = self._ir.labeled_subsets
        if label not in subsets:
            raise ValueError(f"the pipeline has no subset `{label}`{did_you_mean(label, subsets)}")

    def mergePipeline(self, pipeline: Pipeline) -> None:
        """Put another pipeline under this one, as an import would: what is declared here goes over it.

        Raises
        ------
        ValueError
            The instruments differ, or labels of tasks and subsets clash.

        """
        merged = self._ir.copy()
        merged.merge([pipeline._ir.copy()])
        merged.verify()
        self._ir = merged

    def subsetFromLabels(
        self, labelSpecifier: LabelSpecifier, subsetCtrl: pipeline_yaml.PipelineSubsetCtrl = PipelineSubsetCtrl.DROP
    ) -> Pipeline:
        """Return a pipeline of some of the tasks.

        Parameters
        ----------
        labelSpecifier
            Which tasks.
        subsetCtrl
            What becomes of subsets of which only a part is left.

        Raises
        ------
        ValueError
            A label is unknown.

        """
        if labelSpecifier.labels is not None:
            known = [*self._ir.tasks, *self._ir.labeled_subsets]
            unknown = sorted(set(labelSpecifier.labels) - set(known))
            if unknown:
                raise ValueError(
                    f"the pipeline has no task or subset {', '.join(f'`{label}`' for label in unknown)}"
                    + did_you_mean(unknown[0], known)
                )
            labels = self._ir.expand_labels(labelSpecifier.labels)
        else:
            labels = self._labels_between(labelSpecifier.begin, labelSpecifier.end)
        return Pipeline.fromIR(self._ir.subset_from_labels(labels, subsetCtrl))

    def _labels_between(self, begin: str | None, end: str | None) -> set[str]:
        labels = set(self._ir.tasks)
        for which, label in (("begin", begin), ("end", end)):
            if label is not None and label not in labels:
                raise ValueError(
                    f"the range has no `{which}`: no task is labelled `{label}`{did_you_mean(label, labels)}"
                )
        if begin is None and end is None:
            return labels
        graph = self.to_graph(visualization_only=True)
        if begin is not None:
            labels &= graph.select_tasks(f">={begin}")
        if end is not None:
            labels &= graph.select_tasks(f"<={end}")
        return labels

    # Using ----------------------------------------------------------------------------------------------------------

    def to_graph(self, registry: Any = None, visualization_only: bool = False) -> PipelineGraph:
        """Import the tasks, make their configs and connections, check the contracts and return the graph.

        Parameters
        ----------
        registry
            When given, the graph is resolved against the dataset types and dimensions there.
        visualization_only
            Whether errors of dataset types that do not stop the graph from being drawn are passed over.

        Raises
        ------
        ContractError
            A contract does not hold.
        ImportError
            A class cannot be imported.

        """
        from armillary.pipeline.pipeline_graph import PipelineGraph

        instrument = self._instrument()
        data_id = {} if instrument is None else {"instrument": instrument.getName()}
        graph = PipelineGraph(description=self.description, data_id=data_id)
        graph.add_tasks(self._configured_tasks(instrument))
        self._check_contracts({label: node.config for label, node in graph.tasks.items()})
        for label, subset in self._ir.labeled_subsets.items():
            graph.add_task_subset(label, subset.subset, subset.description or "")
        for step in self._ir.steps:
            graph.steps.append(step.label, step.dimensions)
        graph.sort()
        if registry is not None or visualization_only:
            graph.resolve(registry=registry, visualization_only=visualization_only)
        return graph

    def _configured_tasks(self, instrument: Any) -> list[tuple[str, type[PipelineTask], Any]]:
        """Return label, class and config of every task, in the order in which they are written."""
        made: list[tuple[str, type[PipelineTask], Any]] = []
        for label, task in self._ir.tasks.items():
            task_class = import_task(task.klass)
            config = task_class.ConfigClass()
            config.applyConfigOverrides(
                instrument,
                getattr(task_class, "_DefaultName", ""),
                task.config,
                self._ir.parameters,
                label,
            )
            made.append((label, task_class, config))
        return made

    def overrides_without_effect(self) -> list[tuple[str, str]]:
        """Find fields that the pipeline sets to what they are already: pairs of label and field."""
        from armillary.pipeline.config import overrides_of

        instrument = self._instrument()
        found: list[tuple[str, str]] = []
        for label, task in self._ir.tasks.items():
            task_class = import_task(task.klass)
            config = task_class.ConfigClass()
            name = getattr(task_class, "_DefaultName", "")
            fields = overrides_of(instrument, name, task.config, self._ir.parameters).without_effect(
                config, label=label
            )
            found.extend((label, field) for field in fields)
        return found

    def _check_contracts(self, configs: Mapping[str, Any]) -> None:
        """Evaluate the contracts, in order; they are Python text that the pipeline's author wrote."""
        for item in self._ir.contracts:
            try:
                code = compile(item.contract.strip(), f"<contract `{item.contract}`>", "eval")
                holds = eval(code, {**configs})
            except Exception as error:  # whatever that text does
                name = getattr(error, "name", None) if isinstance(error, NameError) else None
                near = did_you_mean(name, configs) if name else ""
                raise ContractError(f"the contract `{item.contract}` cannot be evaluated: {error}{near}") from error
            if not holds:
                message = f": {item.msg}" if item.msg else ""
                raise ContractError(f"Contract(s) '{item.contract}' were not satisfied{message}")

    def write_to_uri(self, uri: Any) -> None:
        """Write the YAML form to a file."""
        self._ir.write_to_uri(uri)


def _split(uri: Any) -> tuple[str, str, str]:
    """Take a URI object apart into location and selection."""
    location, _, fragment = str(uri).partition("#")
    return location, "#", fragment


def _refuse_colon(location: str, selection: str) -> None:
    """Refuse the older `file.yaml:label`."""
    if selection or ".yaml:" not in location:
        return
    name, _, label = location.rpartition(":")
    raise ValueError(f"`{location}` chooses tasks with `:`, which is no longer understood; write `{name}#{label}`")
