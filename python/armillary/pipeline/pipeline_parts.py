"""The parts of a pipeline as they are written: tasks, config blocks, subsets, steps, contracts, parameters."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from armillary._words import did_you_mean, nearest

__all__ = ["ConfigIR", "ContractIR", "LabeledSubset", "ParametersIR", "StepIR", "TaskIR"]

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass
class ConfigIR:
    """One config block of a task: files, then Python text, then fields.

    >>> ConfigIR(rest={"threshold": 5}).to_primitives()
    {'threshold': 5}
    """

    python: str | None = None
    dataId: Any = None
    file: list[str] = dataclasses.field(default_factory=list)
    rest: dict[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_primitives(cls, block: Any, label: str) -> ConfigIR:
        """Read a block of the YAML form."""
        if not isinstance(block, Mapping):
            raise ValueError(f"the config of task `{label}` is {block!r}, not a mapping or a list of mappings")
        rest = {str(key): value for key, value in block.items()}
        files = rest.pop("file", [])
        files = [files] if isinstance(files, str) else files
        return cls(rest.pop("python", None), rest.pop("dataId", None), [str(name) for name in files or []], rest)

    def to_primitives(self) -> dict[str, Any]:
        """Return the YAML form."""
        block: dict[str, Any] = {}
        if self.python is not None:
            block["python"] = self.python
        if self.dataId is not None:
            block["dataId"] = self.dataId
        if self.file:
            block["file"] = list(self.file)
        return {**block, **self.rest}

    def absorbs(self, other: ConfigIR) -> bool:
        """Whether `other`, applied after this one, can be written into it without changing what is set."""
        only_fields = all(block.python is None and not block.file and block.dataId is None for block in (self, other))
        return only_fields and not self.rest.keys() & other.rest.keys()


@dataclasses.dataclass
class TaskIR:
    """A labelled task: the name of its class and its config blocks, in the order in which they apply.

    >>> TaskIR("isr", "survey.IsrTask").to_primitives()
    {'class': 'survey.IsrTask'}
    """

    label: str
    klass: str
    config: list[ConfigIR] = dataclasses.field(default_factory=list)

    @classmethod
    def from_primitives(cls, label: str, value: Any) -> TaskIR:
        """Read the value of one label in the `tasks` section."""
        if isinstance(value, str):
            return cls(label, value)
        if not isinstance(value, Mapping):
            raise ValueError(f"task `{label}` is {value!r}; write a class name, or a mapping with `class` and `config`")
        warn_of_unknown_keys(value, ("class", "config"), f"task `{label}`")
        if "class" not in value:
            raise KeyError(f"task `{label}` has no `class`")
        task = cls(label, str(value["class"]))
        blocks = value.get("config")
        for block in [blocks] if isinstance(blocks, Mapping) else blocks or []:
            if isinstance(blocks, str):
                raise ValueError(f"the config of task `{label}` is {blocks!r}, not a mapping or a list of mappings")
            task.add_config(ConfigIR.from_primitives(block, label))
        return task

    def add_config(self, block: ConfigIR) -> None:
        """Apply a block after those already here."""
        if self.config and self.config[-1].absorbs(block):
            self.config[-1] = dataclasses.replace(self.config[-1], rest={**self.config[-1].rest, **block.rest})
        else:
            self.config.append(block)

    def to_primitives(self) -> dict[str, Any]:
        """Return the YAML form."""
        blocks = [block.to_primitives() for block in self.config]
        return {"class": self.klass, **({"config": blocks} if blocks else {})}


@dataclasses.dataclass
class LabeledSubset:
    """A name for some of the tasks.

    >>> LabeledSubset("visits", {"isr"}, None).to_primitives()
    {'subset': ['isr']}
    """

    label: str
    subset: set[str]
    description: str | None = None

    @classmethod
    def from_primitives(cls, label: str, value: Any) -> LabeledSubset:
        """Read the value of one name in the `subsets` section."""
        description = None
        if isinstance(value, Mapping):
            if "subset" not in value:
                raise ValueError(f"subset `{label}` is a mapping and needs the key `subset`, a list of task labels")
            description = value.get("description")
            value = value["subset"]
        members = [value] if isinstance(value, str) else value
        if members is not None and not isinstance(members, Iterable):
            raise ValueError(f"subset `{label}` is {members!r}, not a list of task labels")
        return cls(label, {str(member) for member in members or ()}, description)

    def to_primitives(self) -> dict[str, Any]:
        """Return the YAML form."""
        described = {} if self.description is None else {"description": self.description}
        return {"subset": sorted(self.subset), **described}


@dataclasses.dataclass
class ParametersIR:
    """The values that configs refer to as `parameters.NAME`.

    >>> "bands" in ParametersIR({"bands": ["g", "r"]})
    True
    """

    mapping: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.mapping

    def update(self, other: ParametersIR | Mapping[str, Any]) -> None:
        """Take over values; those here already are replaced."""
        self.mapping.update(other.mapping if isinstance(other, ParametersIR) else other)

    def to_primitives(self) -> dict[str, Any]:
        """Return the YAML form."""
        return dict(self.mapping)


@dataclasses.dataclass
class StepIR:
    """A subset that runs as one step, and the dimensions along which the step can be cut.

    >>> StepIR("step1", ["visit"]).to_primitives()
    {'label': 'step1', 'dimensions': ['visit']}
    """

    label: str
    dimensions: list[str]

    def to_primitives(self) -> dict[str, Any]:
        """Return the YAML form."""
        return {"label": self.label, "dimensions": list(self.dimensions)}


@dataclasses.dataclass
class ContractIR:
    """A condition on the configs of several tasks, as Python text.

    >>> ContractIR("a.x == b.x", None).to_primitives()
    {'contract': 'a.x == b.x'}
    """

    contract: str
    msg: str | None = None

    def names(self, label: str) -> bool:
        """Whether the condition refers to the config of the task `label`."""
        return re.search(rf"(?<![\w.-]){re.escape(label)}\.", self.contract) is not None

    def to_primitives(self) -> dict[str, Any]:
        """Return the YAML form."""
        return {"contract": self.contract, **({} if self.msg is None else {"msg": self.msg})}


def warn_of_unknown_keys(mapping: Mapping[Any, Any], known: Sequence[str], where: str) -> None:
    """Warn of every key that is not known, with the nearest one that is."""
    for key in mapping:
        if key not in known:
            near = nearest(str(key), known)
            hint = f"did you mean `{near}`?" if near else f"known keys are {quoted(known)}"
            _LOG.warning("%s has an unknown key `%s`, which is ignored; %s", where, key, hint)


def quoted(names: Iterable[str]) -> str:
    """Return names in backticks, with commas."""
    return ", ".join(f"`{name}`" for name in names)


def checked_fields(mapping: Mapping[Any, Any], known: Sequence[str], where: str) -> dict[str, Any]:
    """Return a mapping as a dictionary; a key that is not known is a `TypeError`."""
    for key in mapping:
        if key not in known:
            raise TypeError(f"{where} has an unknown key `{key}`{did_you_mean(str(key), known)}")
    return dict(mapping)
