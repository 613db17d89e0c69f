"""What a quantum was made from: noted in its metadata when it runs, compared when its outputs may be used again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from armillary import _core
from armillary.pipeline.reuse.code_versions import CodeVersions

if TYPE_CHECKING:
    from armillary.butler import DataCoordinate, DatasetRef
    from armillary.pipeline.pipeline_nodes import TaskNode

__all__ = ["NAME", "MadeFrom", "TaskOrigin", "TaskOrigins", "digest"]

NAME = "made_from"
"""Name in the group `quantum` of task metadata."""

_VERSION = 1
"""Of the form of the note; notes of other versions are not compared."""


@dataclasses.dataclass(frozen=True)
class TaskOrigin:
    """What all quanta of a task have in common.

    Attributes
    ----------
    task
        Name of the class.
    config
        Digest of the saved config.
    code
        Version and digest of packages by name; see `CodeVersions`.
    """

    task: str
    config: str
    code: Mapping[str, str]


class TaskOrigins:
    """Class, config and code of tasks, found out once for each: one object for each run.

    Examples
    --------
    >>> from armillary.pipeline import PipelineGraph
    >>> from armillary.pipeline.tests.no_dimensions import NoDimensionsTestTask
    >>> graph = PipelineGraph()
    >>> node = graph.add_task("a", NoDimensionsTestTask)
    >>> TaskOrigins().of(node).task
    'lsst.pipe.base.tests.no_dimensions.NoDimensionsTestTask'
    """

    def __init__(self) -> None:
        self._versions = CodeVersions()
        self._known: dict[tuple[Any, str], TaskOrigin | None] = {}

    def of(self, node: TaskNode) -> TaskOrigin | None:
        """Tell it for a task that is imported; None if its code cannot be told."""
        text = node.get_config_str()
        key = (node.task_class, text)
        if key not in self._known:
            code = self._versions.of(node.task_class, text)
            self._known[key] = None if code is None else TaskOrigin(node.task_class_name, digest(text), code)
        return self._known[key]


@dataclasses.dataclass(frozen=True)
class MadeFrom:
    """All that decides what a quantum writes.

    Attributes
    ----------
    origin
        Class, config and code of the task.
    init_inputs
        Ids of what the making of the task reads, by dataset type.
    inputs
        Sorted ids by dataset type, with its component; prerequisites are among them.
    asked
        Digest of types and data IDs of the outputs that the task is asked for.
    records
        Digest of the dimension records of the quantum and of its inputs, prerequisites left out.

    Examples
    --------
    >>> ids = ["00000000-0000-0000-0000-000000000001"]
    >>> made = MadeFrom(TaskOrigin("a.Task", "00", {"a": "1 ff"}), {}, {"raw": ids}, "", "")
    >>> MadeFrom.from_text(made.to_text()) == made
    True
    >>> MadeFrom.from_text('{"version": 1}') is None
    True
    """

    origin: TaskOrigin
    init_inputs: Mapping[str, str]
    inputs: Mapping[str, list[str]]
    asked: str
    records: str

    @classmethod
    def of(
        cls,
        node: TaskNode,
        origin: TaskOrigin,
        data_id: DataCoordinate,
        init_inputs: Mapping[str, str],
        inputs: Mapping[str, Iterable[DatasetRef]],
        outputs: Mapping[str, Iterable[DatasetRef]],
    ) -> MadeFrom | None:
        """Gather it for a quantum; None where its dimension records are not known.

        Parameters
        ----------
        node, origin
            The task.
        data_id
            Data ID with records.
        init_inputs
            Ids by dataset type.
        inputs, outputs
            References by dataset type; data IDs of inputs other than prerequisites have records.
        """
        prerequisites = {edge.dataset_type_name for edge in node.prerequisite_inputs.values()}
        described = [ref.dataId for name, refs in inputs.items() if name not in prerequisites for ref in refs]
        records = _core.records_digest([data_id, *described])
        if records is None:
            return None
        declared = {edge.dataset_type_name for edge in node.outputs.values()}
        return cls(
            origin,
            dict(init_inputs),
            {name: sorted({str(ref.id) for ref in refs}) for name, refs in inputs.items() if refs},
            _asked((name, refs) for name, refs in outputs.items() if name in declared),
            records,
        )

    @classmethod
    def of_quantum(cls, node: TaskNode, origin: TaskOrigin, quantum: Any) -> MadeFrom | None:
        """Gather it for a quantum as it is run."""

        def by_name(side: Mapping[Any, Any]) -> dict[str, Any]:
            return {getattr(key, "name", key): value for key, value in side.items()}

        init_inputs = {name: str(ref.id) for name, ref in by_name(quantum.initInputs).items()}
        return cls.of(node, origin, quantum.dataId, init_inputs, by_name(quantum.inputs), by_name(quantum.outputs))

    def to_text(self) -> str:
        """Return the form that is noted in metadata."""
        plain = {"version": _VERSION, **vars(self), "origin": vars(self.origin)}
        return json.dumps(plain, separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_text(cls, text: Any) -> MadeFrom | None:
        """Read the noted form; None if it is of another version, or none at all."""
        try:
            plain = json.loads(text)
            if plain.pop("version") != _VERSION:
                return None
            made = cls(TaskOrigin(**plain.pop("origin")), **plain)
            texts = [made.asked, made.records, made.origin.task, made.origin.config, *made.origin.code.values()]
            ids = [*made.init_inputs.values(), *(one for found in made.inputs.values() for one in found)]
            sound = all(isinstance(one, str) for one in texts) and all(uuid.UUID(one) for one in ids)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        return made if sound and all(len(one.split()) == 2 for one in made.origin.code.values()) else None


def _asked(outputs: Iterable[tuple[str, Iterable[DatasetRef]]]) -> str:
    lines = sorted(json.dumps([name, *ref.dataId.required_values]) for name, refs in outputs for ref in refs)
    return digest("\n".join(lines))


def digest(text: str) -> str:
    """Return a digest of text.

    >>> digest("")
    'cae66941d9efbd404e4d88758ea67670'
    """
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
