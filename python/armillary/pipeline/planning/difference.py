"""Which quanta differ between two graphs, and by which field or input."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

__all__ = ["ConfigChange", "GraphDifference", "QuantumDifference", "config_changes", "graph_difference"]

Key: TypeAlias = tuple[str, tuple[int | str, ...]]


@dataclasses.dataclass(frozen=True)
class ConfigChange:
    """A config field with another value, as Python text; None where the field is not there."""

    field: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"config {self.field}: {self.before} → {self.after}"


@dataclasses.dataclass
class QuantumDifference:
    """A quantum that is in both graphs and would not give the same.

    Attributes
    ----------
    label, data_id
        Which quantum.
    reasons
        What differs in itself: fields, and inputs that are other datasets.
    is_downstream
        Whether something that it reads is made differently.
    """

    label: str
    data_id: dict[str, int | str]
    reasons: list[str] = dataclasses.field(default_factory=list)
    is_downstream: bool = False


@dataclasses.dataclass
class GraphDifference:
    """How two graphs, or the configs of two pipelines, differ.

    Attributes
    ----------
    tasks_only_first, tasks_only_second
        Labels that only one of them has.
    classes
        Labels whose tasks are of another class, with both names.
    configs
        Fields that differ, by label.
    only_first, only_second
        Data IDs of quanta that only one of them has, by label.
    changed
        Quanta that both have and that would not give the same.
    n_same
        How many quanta would give the same.
    """

    tasks_only_first: list[str] = dataclasses.field(default_factory=list)
    tasks_only_second: list[str] = dataclasses.field(default_factory=list)
    classes: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    configs: dict[str, list[ConfigChange]] = dataclasses.field(default_factory=dict)
    only_first: dict[str, list[dict[str, int | str]]] = dataclasses.field(default_factory=dict)
    only_second: dict[str, list[dict[str, int | str]]] = dataclasses.field(default_factory=dict)
    changed: list[QuantumDifference] = dataclasses.field(default_factory=list)
    n_same: int = 0

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return any(getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "n_same")

    def to_plain(self) -> dict[str, Any]:
        """Return the JSON form."""
        return dataclasses.asdict(self)

    def reasons(self) -> dict[tuple[str, str], int]:
        """How many quanta differ by each reason, by label and reason."""
        counts: dict[tuple[str, str], int] = {}
        for quantum in self.changed:
            for reason in quantum.reasons or ["reads what is made differently"]:
                key = (quantum.label, reason)
                counts[key] = counts.get(key, 0) + 1
        return counts


def config_changes(first: str, second: str) -> list[ConfigChange]:
    """Compare two saved configs.

    >>> [str(one) for one in config_changes("config.k=1", "config.k=2")]
    ['config k: 1 → 2']
    """
    before, after = _fields(first), _fields(second)
    names = dict.fromkeys([*before, *after])
    pairs = ((name, before.get(name), after.get(name)) for name in names)
    return [ConfigChange(name, one, other) for name, one, other in pairs if one != other]


def _fields(text: str) -> dict[str, str]:
    """Values of fields, as they are assigned in a saved config; later ones win."""
    import ast

    fields = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign):
            fields[ast.unparse(statement.targets[0]).removeprefix("config.")] = ast.unparse(statement.value)
    return fields


def _compare_tasks(first: Any, second: Any) -> GraphDifference:
    """Compare the tasks of two pipeline graphs."""
    difference = GraphDifference(
        [label for label in first.tasks if label not in second.tasks],
        [label for label in second.tasks if label not in first.tasks],
    )
    for label in first.tasks:
        if label not in second.tasks:
            continue
        one, other = first.tasks[label], second.tasks[label]
        if one.task_class_name != other.task_class_name:
            difference.classes[label] = (one.task_class_name, other.task_class_name)
        changes = config_changes(one.get_config_str(), other.get_config_str())
        if changes:
            difference.configs[label] = changes
    return difference


def pipeline_difference(first: Any, second: Any) -> GraphDifference:
    """Compare two pipeline graphs, whose tasks are imported: tasks, classes and config fields."""
    return _compare_tasks(first, second)


def graph_difference(first: Any, second: Any) -> GraphDifference:
    """Compare two quantum graphs; nothing that they name is imported.

    A quantum is the same in both if its task has the same class and config, what it reads from outside of the graph
    are the same datasets, and what it reads from inside is made by quanta that are the same.

    Parameters
    ----------
    first, second
        Predicted quantum graphs.
    """
    difference = _compare_tasks(first.pipeline_graph, second.pipeline_graph)
    ours, theirs = _quanta(first), _quanta(second)
    for here, there, found in ((ours, theirs, difference.only_first), (theirs, ours, difference.only_second)):
        for (label, values), (_, data_id) in here.items():
            if (label, values) not in there:
                found.setdefault(label, []).append(data_id)
    changed: set[Key] = set()
    makers = (_makers(first, ours), _makers(second, theirs))
    for key, (quantum_id, data_id) in ours.items():  # tasks in order, so that what is upstream comes before
        if key not in theirs:
            continue
        inputs = (_inputs(first, quantum_id, makers[0]), _inputs(second, theirs[key][0], makers[1]))
        quantum = QuantumDifference(key[0], data_id, _own_reasons(difference, key[0], *inputs))
        upstream = {maker for side in inputs for maker in side[1]}
        quantum.is_downstream = not upstream.isdisjoint(changed) or inputs[0][1] != inputs[1][1]
        if quantum.reasons or quantum.is_downstream:
            changed.add(key)
            difference.changed.append(quantum)
        else:
            difference.n_same += 1
    return difference


def _quanta(graph: Any) -> dict[Key, tuple[Any, dict[str, int | str]]]:
    found = {}
    for label, quantum_id, data_id in graph._core.data_ids():
        plain = {str(name): value for name, value in data_id.required.items()}
        found[label, tuple(plain.values())] = (quantum_id, plain)
    return found


def _makers(graph: Any, quanta: Mapping[Key, tuple[Any, Any]]) -> dict[Any, Key]:
    """Which quantum makes each dataset."""
    made: dict[Any, Key] = {}
    for key, (quantum_id, _) in quanta.items():
        for refs in graph.get_outputs(quantum_id).values():
            made.update((ref.id, key) for ref in refs)
    return made


def _inputs(graph: Any, quantum_id: Any, makers: Mapping[Any, Key]) -> tuple[dict[str, set[Any]], set[Key]]:
    """What a quantum reads from outside of the graph, by connection, and the quanta that make what else it reads."""
    outside: dict[str, set[Any]] = {}
    inside: set[Key] = set()
    for connection, refs in graph.get_inputs(quantum_id).items():
        for ref in refs:
            maker = makers.get(ref.id)
            if maker is None:
                outside.setdefault(connection, set()).add((ref.id, ref.run))
            else:
                inside.add(maker)
    return outside, inside


def _own_reasons(
    difference: GraphDifference,
    label: str,
    first: tuple[dict[str, set[Any]], set[Key]],
    second: tuple[dict[str, set[Any]], set[Key]],
) -> list[str]:
    reasons = []
    if label in difference.classes:
        reasons.append("class {}: {} → {}".format(label, *difference.classes[label]))
    reasons.extend(str(change) for change in difference.configs.get(label, ()))
    for connection in dict.fromkeys([*first[0], *second[0]]):
        gone = first[0].get(connection, set()) - second[0].get(connection, set())
        new = second[0].get(connection, set()) - first[0].get(connection, set())
        if gone or new:
            reasons.append(f"input {connection}: {_runs(gone)} → {_runs(new)}")
    return reasons


def _runs(datasets: Iterable[tuple[Any, str]]) -> str:
    """Say where datasets are, for people: runs, and how many of several."""
    found = list(datasets)
    if not found:
        return "nothing"
    runs = sorted({run for _, run in found})
    count = f"{len(found)} datasets" if len(found) > 1 else "dataset"
    return f"{count} of {', '.join(f'`{run}`' for run in runs)}"
