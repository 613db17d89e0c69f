"""Pipelines as they are written: reading, merging, cutting and printing the YAML form, without importing any task."""

from __future__ import annotations

import dataclasses
import enum
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from armillary._words import did_you_mean
from armillary.errors import ContractError
from armillary.pipeline.pipeline_parts import (
    ConfigIR,
    ContractIR,
    LabeledSubset,
    ParametersIR,
    StepIR,
    TaskIR,
    checked_fields,
    quoted,
    warn_of_unknown_keys,
)
from armillary.pipeline.pipeline_text import dump_yaml, load_yaml, locate, read_text, write_text

__all__ = [
    "ConfigIR",
    "ContractError",
    "ContractIR",
    "ImportIR",
    "LabeledSubset",
    "ParametersIR",
    "PipelineIR",
    "PipelineSubsetCtrl",
    "StepIR",
    "TaskIR",
]

_LOG = logging.getLogger(__name__)

TOP_LEVEL_KEYS = (
    "description",
    "instrument",
    "parameters",
    "imports",
    "tasks",
    "contracts",
    "subsets",
    "steps",
)
MAX_IMPORT_DEPTH = 100


class PipelineSubsetCtrl(enum.Enum):
    """What becomes of a subset when some of its tasks are left out: it goes (DROP) or shrinks (EDIT).

    >>> PipelineSubsetCtrl["EDIT"].value
    2
    """

    DROP = 1
    EDIT = 2


@dataclasses.dataclass
class ImportIR:
    """Another pipeline to take tasks from.

    >>> ImportIR("base.yaml", include=["isr"]).location
    'base.yaml'
    """

    location: str
    include: list[str] | None = None
    exclude: list[str] | None = None
    importContracts: bool = True
    instrument: str | None = "__inherit__"
    labeledSubsetModifyMode: PipelineSubsetCtrl = PipelineSubsetCtrl.DROP
    rename: dict[str, str] | None = None

    @classmethod
    def from_primitives(cls, value: Any) -> ImportIR:
        """Read one item of the `imports` section."""
        if isinstance(value, str):
            return cls(value)
        if not isinstance(value, Mapping):
            raise ValueError(f"an import is {value!r}; write a location, or a mapping with `location`")
        fields = checked_fields(value, [item.name for item in dataclasses.fields(cls)], "an import")
        if "location" not in fields:
            raise TypeError("an import needs a `location`")
        for key in ("include", "exclude"):
            if isinstance(fields.get(key), str):
                fields[key] = [fields[key]]
        made = cls(**fields)
        if isinstance(mode := fields.get("labeledSubsetModifyMode"), str):
            if mode not in PipelineSubsetCtrl.__members__:
                raise ValueError(
                    f"`{mode}` is not a value of `labeledSubsetModifyMode`: it is `DROP` or `EDIT`"
                    + did_you_mean(mode, PipelineSubsetCtrl.__members__)
                )
            made.labeledSubsetModifyMode = PipelineSubsetCtrl[mode]
        if made.include is not None and made.exclude is not None:
            raise ValueError(f"the import of `{made.location}` has both `include` and `exclude`; give one of them")
        return made

    def load(self, directory: str | None, depth: int) -> PipelineIR:
        """Read the imported pipeline, cut to what this import asks for."""
        pipeline = PipelineIR.from_uri(locate(self.location, directory), _depth=depth + 1)
        kept = set(pipeline.tasks)
        if self.include is not None:
            self._tell_unknown(pipeline, self.include)
            kept = pipeline.expand_labels(self.include)
        elif self.exclude is not None:
            # An empty list excludes nothing in words but imports nothing: the peer does so, and pipelines rely on it.
            self._tell_unknown(pipeline, self.exclude)
            kept = kept - pipeline.expand_labels(self.exclude) if self.exclude else set()
        pipeline = pipeline.subset_from_labels(kept, self.labeledSubsetModifyMode)
        if self.rename:
            pipeline = pipeline.renamed(self.rename)
        if not self.importContracts:
            pipeline.contracts = []
        if self.instrument != "__inherit__":
            pipeline.instrument = None if self.instrument in (None, "None") else str(self.instrument)
        return pipeline

    def _tell_unknown(self, pipeline: PipelineIR, labels: Iterable[str]) -> None:
        known = [*pipeline.tasks, *pipeline.labeled_subsets]
        for label in labels:
            if label not in known:
                _LOG.warning(
                    "import of `%s`: no task or subset is called `%s`%s",
                    self.location,
                    label,
                    did_you_mean(label, known),
                )


@dataclasses.dataclass
class PipelineIR:
    r"""A pipeline in its written form.

    Parameters
    ----------
    description
        What the pipeline does.
    instrument
        Full name of the instrument's class, or None.
    tasks, labeled_subsets
        Tasks and subsets by label.
    steps, contracts, parameters
        The sections of these names.

    Examples
    --------
    >>> pipeline = PipelineIR.from_string("description: One task.\ntasks:\n  isr: survey.IsrTask\n")
    >>> pipeline.tasks["isr"].klass
    'survey.IsrTask'
    >>> print(pipeline, end="")
    description: One task.
    tasks:
      isr:
        class: survey.IsrTask

    """

    description: str
    instrument: str | None = None
    tasks: dict[str, TaskIR] = dataclasses.field(default_factory=dict)
    labeled_subsets: dict[str, LabeledSubset] = dataclasses.field(default_factory=dict)
    steps: list[StepIR] = dataclasses.field(default_factory=list)
    contracts: list[ContractIR] = dataclasses.field(default_factory=list)
    parameters: ParametersIR = dataclasses.field(default_factory=ParametersIR)

    # Reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def from_string(cls, pipeline_string: str) -> PipelineIR:
        """Read YAML text; relative imports start in the current directory.

        Raises
        ------
        KeyError
            A key appears twice in one mapping, or a task has no class.
        ValueError
            The text is not a pipeline.

        """
        return cls.from_primitives(load_yaml(pipeline_string))

    @classmethod
    def from_uri(cls, uri: str, *, _depth: int = 0) -> PipelineIR:
        """Read a file; environment variables in its name are expanded, `#...` at its end is ignored.

        Raises
        ------
        FileNotFoundError
            There is no such file, or a variable in its name is not set.
        RecursionError
            Files import each other in a circle.

        """
        if _depth > MAX_IMPORT_DEPTH:
            raise RecursionError(f"imports of `{uri}` go {MAX_IMPORT_DEPTH} deep; does a file import itself?")
        location = os.path.expandvars(str(uri)).partition("#")[0]
        text, directory = read_text(location, str(uri))
        try:
            return cls.from_primitives(load_yaml(text), directory=directory, _depth=_depth)
        except Exception as error:
            error.add_note(f"in pipeline `{uri}`")
            raise

    @classmethod
    def from_primitives(cls, document: Any, *, directory: str | None = None, _depth: int = 0) -> PipelineIR:
        """Make a pipeline out of what YAML holds, with everything it imports merged in.

        `directory` is where relative imports are looked for after the current directory.
        """
        document = _checked_document(document)
        instrument = document.get("instrument")
        if instrument is not None and not isinstance(instrument, str):
            raise ValueError(f"a pipeline has one instrument, the name of its class; `{instrument!r}` is none")
        pipeline = cls(document["description"], instrument)
        for label, value in _mapping(document.get("tasks"), "tasks").items():
            pipeline.tasks[label] = TaskIR.from_primitives(label, value)
        pipeline.contracts = [_read_contract(value) for value in _list(document.get("contracts"))]
        for label, value in _mapping(document.get("subsets"), "subsets").items():
            pipeline.labeled_subsets[label] = LabeledSubset.from_primitives(label, value)
        pipeline.steps = _read_steps(document.get("steps"))
        pipeline.parameters = ParametersIR(dict(_mapping(document.get("parameters"), "parameters")))
        imports = [ImportIR.from_primitives(value) for value in _list(document.get("imports"))]
        if imports:
            pipeline.merge([item.load(directory, _depth) for item in imports])
        pipeline.verify()
        return pipeline

    # Merging and cutting --------------------------------------------------------------------------------------------

    def merge(self, others: Sequence[PipelineIR]) -> None:
        """Put other pipelines under this one: what is declared here goes over what they declare.

        Raises
        ------
        ValueError
            Two of the others share a label, instruments differ, or steps contradict each other.

        """
        tasks: dict[str, TaskIR] = {}
        subsets: dict[str, LabeledSubset] = {}
        parameters = ParametersIR()
        steps: list[StepIR] = []
        for other in others:
            _refuse_shared(tasks, other.tasks, "task", "of the imported pipelines")
            _refuse_shared(subsets, other.labeled_subsets, "subset", "of the imported pipelines")
            _refuse_shared(subsets, other.tasks, "subset and task", "of the imported pipelines")
            _refuse_shared(tasks, other.labeled_subsets, "subset and task", "of the imported pipelines")
            tasks.update(other.tasks)
            subsets.update(other.labeled_subsets)
            parameters.update(other.parameters)
            self._take_instrument(other)
            self.contracts.extend(other.contracts)
            steps = _merged_steps(steps, other.steps)
        _refuse_shared(self.tasks, subsets, "subset and task", "here and in an import")
        self.tasks = _merged_tasks(tasks, self.tasks)
        self.labeled_subsets = {**subsets, **self.labeled_subsets}
        parameters.update(self.parameters)
        self.parameters = parameters
        self.steps = _merged_steps(steps, self.steps)

    def merge_pipelines(self, pipelines: Iterable[PipelineIR]) -> None:
        """Put other pipelines under this one; see `merge`."""
        self.merge(list(pipelines))

    def _take_instrument(self, other: PipelineIR) -> None:
        if other.instrument is None:
            return
        if self.instrument is not None and self.instrument != other.instrument:
            raise ValueError(
                f"a pipeline has one instrument; here it is `{self.instrument}`, in an import `{other.instrument}`"
            )
        self.instrument = other.instrument

    def verify(self) -> None:
        """Check that subsets and steps name what is there.

        Raises
        ------
        ValueError
            A subset names an unknown task or is called like one; a step is no subset or appears twice.

        """
        clashing = sorted(self.labeled_subsets.keys() & self.tasks.keys())
        if clashing:
            raise ValueError(f"`{clashing[0]}` is both a task and a subset; rename the subset")
        for label, subset in self.labeled_subsets.items():
            unknown = sorted(subset.subset - self.tasks.keys())
            if unknown:
                raise ValueError(
                    f"subset `{label}` names {quoted(unknown)}, which the pipeline does not have"
                    + did_you_mean(unknown[0], self.tasks)
                )
        seen: set[str] = set()
        for step in self.steps:
            if step.label not in self.labeled_subsets:
                raise ValueError(
                    f"step `{step.label}` is not a subset of the pipeline"
                    + did_you_mean(step.label, self.labeled_subsets)
                )
            if step.label in seen:
                raise ValueError(f"step `{step.label}` appears twice")
            seen.add(step.label)

    def expand_labels(self, labels: Iterable[str]) -> set[str]:
        """Replace each subset by its tasks; unknown names are left out."""
        found: set[str] = set()
        for label in labels:
            if label in self.labeled_subsets:
                found |= self.labeled_subsets[label].subset
            elif label in self.tasks:
                found.add(label)
        return found

    def subset_from_labels(
        self, labelSpecifier: set[str], subsetCtrl: PipelineSubsetCtrl = PipelineSubsetCtrl.DROP
    ) -> PipelineIR:
        """Return the pipeline of these tasks alone, without the contracts, subsets and steps that need others.

        Without EDIT, empty subsets go, too.
        """
        labels = labelSpecifier
        dropped = self.tasks.keys() - labels
        subsets: dict[str, LabeledSubset] = {}
        for name, subset in self.labeled_subsets.items():
            if subsetCtrl is PipelineSubsetCtrl.EDIT or (subset.subset and subset.subset <= labels):
                subsets[name] = LabeledSubset(name, subset.subset & labels, subset.description)
        return PipelineIR(
            self.description,
            self.instrument,
            {label: _copied(task) for label, task in self.tasks.items() if label in labels},
            subsets,
            [step for step in self.steps if step.label in subsets],
            [item for item in self.contracts if not any(item.names(label) for label in dropped)],
            ParametersIR(dict(self.parameters.mapping)),
        )

    def drop_subsets(self, names: Iterable[str]) -> None:
        """Take subsets out by name, with the steps they are; tasks stay."""
        for name in names:
            self.labeled_subsets.pop(name, None)
        self.steps = [step for step in self.steps if step.label in self.labeled_subsets]

    def renamed(self, names: Mapping[str, str]) -> PipelineIR:
        """Return the pipeline with tasks relabelled, in subsets and contracts, too.

        Raises
        ------
        ValueError
            A label is not here, or a new one is taken.

        """
        unknown = sorted(names.keys() - self.tasks.keys())
        if unknown:
            raise ValueError(
                f"`rename` names the task {quoted(unknown)}, which is not imported"
                + did_you_mean(unknown[0], self.tasks)
            )
        label_of = {label: str(names.get(label, label)) for label in self.tasks}
        if len(set(label_of.values())) < len(label_of):
            raise ValueError("`rename` gives two tasks the same label")
        made = self.copy()
        made.tasks = {label_of[old]: dataclasses.replace(task, label=label_of[old]) for old, task in self.tasks.items()}
        for subset in made.labeled_subsets.values():
            subset.subset = {label_of[member] for member in subset.subset}
        for old, new in names.items():
            pattern = re.compile(rf"(?<![\w.-]){re.escape(old)}\.")
            made.contracts = [
                ContractIR(pattern.sub(lambda _, new=new: f"{new}.", item.contract), item.msg)  # type: ignore[misc]
                for item in made.contracts
            ]
        return made

    def copy(self) -> PipelineIR:
        """Return an independent copy."""
        return self.subset_from_labels(set(self.tasks), PipelineSubsetCtrl.EDIT)

    # Writing --------------------------------------------------------------------------------------------------------

    def to_primitives(self) -> dict[str, Any]:
        """Return what YAML holds, imports merged in and steps included."""
        document: dict[str, Any] = {"description": self.description}
        if self.instrument is not None:
            document["instrument"] = self.instrument
        if self.parameters.mapping:
            document["parameters"] = self.parameters.to_primitives()
        document["tasks"] = {label: task.to_primitives() for label, task in self.tasks.items()}
        if self.contracts:
            document["contracts"] = [item.to_primitives() for item in self.contracts]
        if self.labeled_subsets:
            document["subsets"] = {name: subset.to_primitives() for name, subset in self.labeled_subsets.items()}
        if self.steps:
            document["steps"] = [step.to_primitives() for step in self.steps]
        return document

    def __str__(self) -> str:
        return dump_yaml(self.to_primitives())

    def write_to_uri(self, uri: Any) -> None:
        """Write the YAML form to a file."""
        write_text(uri, str(self))


def _copied(task: TaskIR) -> TaskIR:
    blocks = [dataclasses.replace(block, file=list(block.file), rest=dict(block.rest)) for block in task.config]
    return TaskIR(task.label, task.klass, blocks)


def _merged_tasks(under: dict[str, TaskIR], over: dict[str, TaskIR]) -> dict[str, TaskIR]:
    merged = dict(under)
    for label, task in over.items():
        before = merged.get(label)
        if before is not None and before.klass == task.klass:
            merged[label] = _copied(before)
            for block in task.config:
                merged[label].add_config(block)
        else:
            merged[label] = task
    return merged


def _merged_steps(first: list[StepIR], second: list[StepIR]) -> list[StepIR]:
    merged = {step.label: step for step in first}
    for step in second:
        known = merged.setdefault(step.label, step)
        if set(known.dimensions) != set(step.dimensions):
            raise ValueError(
                f"step `{step.label}` has dimensions {quoted(known.dimensions)} in one place "
                f"and {quoted(step.dimensions)} in another"
            )
    # A step twice in one list is an error of that list, told by `verify`.
    twice = [step for position, step in enumerate(second) if step.label in {other.label for other in second[:position]}]
    return [*merged.values(), *twice]


def _refuse_shared(first: Iterable[str], second: Iterable[str], what: str, where: str) -> None:
    shared = sorted(set(first) & set(second))
    if shared:
        raise ValueError(f"labels must be unique {where}; {quoted(shared)} is the label of more than one {what}")


def _checked_document(document: Any) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise ValueError("a pipeline is a mapping with `description` and `tasks`")
    if "inherits" in document:
        raise ValueError("the key `inherits` is not supported; use `imports`")
    if "subset" in document:
        raise ValueError("the key `subset` at the top is not supported; use `subsets`")
    warn_of_unknown_keys(document, TOP_LEVEL_KEYS, "the pipeline")  # one may be what is missing below, misspelt
    if "description" not in document:
        raise ValueError("a pipeline needs a `description`")
    if "tasks" not in document and "imports" not in document:
        raise ValueError("a pipeline needs `tasks`, or `imports` that bring some")
    return dict(document)


def _mapping(value: Any, section: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"the section `{section}` is a mapping; {value!r} is none")
    return {str(key): item for key, item in value.items()}


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _read_contract(value: Any) -> ContractIR:
    if isinstance(value, str):
        return ContractIR(value)
    if not isinstance(value, Mapping):
        raise TypeError(f"a contract is {value!r}; write a condition, or a mapping with `contract` and `msg`")
    fields = checked_fields(value, ("contract", "msg"), "a contract")
    if "contract" not in fields:
        raise TypeError("a contract written as a mapping needs the key `contract`")
    return ContractIR(str(fields["contract"]), fields.get("msg"))


def _read_steps(value: Any) -> list[StepIR]:
    steps: list[StepIR] = []
    if value is not None and not isinstance(value, list):
        raise TypeError("the section `steps` is a list of mappings with `label` and `dimensions`")
    for item in value or []:
        if not isinstance(item, Mapping):
            raise TypeError(f"a step is {item!r}; write a mapping with `label` and `dimensions`")
        fields = checked_fields(item, ("label", "dimensions"), "a step")
        for key in ("label", "dimensions"):
            if key not in fields:
                raise TypeError(f"a step needs the key `{key}`")
        steps.append(StepIR(str(fields["label"]), [str(name) for name in _list(fields["dimensions"])]))
    return steps
