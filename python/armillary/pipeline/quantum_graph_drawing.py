"""Drawings of a quantum graph, in the languages of Graphviz and Mermaid, and as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from armillary.pipeline.graph_drawing import DOT_STYLES, MERMAID_STYLES, dot_text, mermaid_text

__all__ = ["quantum_graph_dot", "quantum_graph_mermaid", "quantum_lines", "workflow_lines"]


class _Node(NamedTuple):
    name: str
    is_quantum: bool
    lines: list[str]


class _Edge(NamedTuple):
    first: str
    second: str
    is_prerequisite: bool


def _nodes_and_edges(graph: Any) -> tuple[list[_Node], list[_Edge]]:
    """Quanta and datasets, each once, and what reads or writes what."""
    names: dict[Any, str] = {}
    nodes: list[_Node] = []
    edges: list[_Edge] = []
    tasks = graph.pipeline_graph.tasks
    for position, (quantum_id, label) in enumerate(graph.quanta()):
        name = f"task_{position}"
        nodes.append(_Node(name, True, [label, *_data_id(graph.data_id_of(quantum_id))]))
        looked_up = {edge.parent_dataset_type_name for edge in tasks[label].prerequisite_inputs.values()}
        for is_output, side in ((False, graph.get_inputs(quantum_id)), (True, graph.get_outputs(quantum_id))):
            for ref in (ref for refs in side.values() for ref in refs):
                what = ref.datasetType.nameAndComponent()[0]
                other = names.get(ref.id)
                if other is None:
                    other = names[ref.id] = f"dataset_{len(names)}"
                    nodes.append(_Node(other, False, [what, *_data_id(ref.dataId)]))
                edges.append(_Edge(name, other, False) if is_output else _Edge(other, name, what in looked_up))
    return nodes, edges


def _data_id(data_id: Any) -> list[str]:
    return [f"{name}: {value}" for name, value in data_id.required.items()]


def quantum_graph_dot(graph: Any) -> str:
    """Draw quanta as boxes and datasets as ellipses, in the language of Graphviz; prerequisites are dashed.

    Parameters
    ----------
    graph
        Predicted quantum graph.
    """
    nodes, edges = _nodes_and_edges(graph)
    lines = ["digraph QuantumGraph {", DOT_STYLES["all"]]
    for node in nodes:
        label = "\\n".join(map(dot_text, node.lines))
        lines.append(f'  {node.name} [label="{label}", {DOT_STYLES["task" if node.is_quantum else "dataset_type"]}];')
    lines.extend(f"  {one.first} -> {one.second}{' [style=dashed]' * one.is_prerequisite};" for one in edges)
    return "\n".join([*lines, "}", ""])


def quantum_graph_mermaid(graph: Any) -> str:
    """Draw quanta as boxes and datasets as rounded boxes, in the language of Mermaid; prerequisites are dashed.

    Parameters
    ----------
    graph
        Predicted quantum graph.
    """
    nodes, edges = _nodes_and_edges(graph)
    lines = ["flowchart TD"]
    for node in nodes:
        what, *data_id = map(mermaid_text, node.lines)
        text = "<br/>".join([f"<b>{what}</b>", *data_id])
        opening, closing, style = ("[", "]", "task") if node.is_quantum else ("([", "])", "datasetType")
        lines.append(f'  {node.name}{opening}"{text}"{closing}:::{style}')
    lines.extend(f"  {one.first} {'-.->' if one.is_prerequisite else '-->'} {one.second}" for one in edges)
    return "\n".join([*lines, *MERMAID_STYLES, ""])


def quantum_lines(graph: Any) -> Iterator[str]:
    """Tell of every quantum what it reads and writes."""
    position = 0
    last = None
    for quantum_id, label in graph.quanta():
        if label != last:
            yield label
            position, last = 0, label
        yield f"  Quantum {position}: {graph.data_id_of(quantum_id)}"
        for title, side in (("inputs", graph.get_inputs(quantum_id)), ("outputs", graph.get_outputs(quantum_id))):
            yield f"    {title}:"
            for refs in side.values():
                for ref in refs:
                    yield f"      {ref.datasetType.name}: {ref.dataId}"
        position += 1


def workflow_lines(graph: Any) -> Iterator[str]:
    """Tell of every quantum for which it waits."""
    before: dict[Any, list[Any]] = {}
    for first, second in graph.edges():
        before.setdefault(second, []).append(first)
    for quantum_id, label in graph.quanta():
        yield f"Quantum {quantum_id}: {label} {graph.data_id_of(quantum_id)}"
        for other in before.get(quantum_id, ()):
            yield f"  waits for quantum {other}: {graph.label_of(other)}"
