"""Drawings of a quantum graph, in the languages of Graphviz and Mermaid, and as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["quantum_graph_dot", "quantum_graph_mermaid", "quantum_lines", "workflow_lines"]


def _nodes_and_edges(graph: Any) -> tuple[list[tuple[str, bool, str, str]], list[tuple[str, str]]]:
    """Nodes as (name, whether a quantum, what, data ID), and edges between names."""
    names: dict[Any, str] = {}
    nodes: list[tuple[str, bool, str, str]] = []
    edges: list[tuple[str, str]] = []
    for position, (quantum_id, label) in enumerate(graph.quanta()):
        name = f"task_{position}"
        nodes.append((name, True, label, _data_id(graph.data_id_of(quantum_id))))
        for is_output, side in ((False, graph.get_inputs(quantum_id)), (True, graph.get_outputs(quantum_id))):
            for ref in (ref for refs in side.values() for ref in refs):
                other = names.get(ref.id)
                if other is None:
                    other = names[ref.id] = f"dataset_{len(names)}"
                    nodes.append((other, False, ref.datasetType.nameAndComponent()[0], _data_id(ref.dataId)))
                edges.append((name, other) if is_output else (other, name))
    return nodes, edges


def _data_id(data_id: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in data_id.required.items())


def quantum_graph_dot(graph: Any) -> str:
    """Draw quanta as boxes and datasets as rounded boxes, in the language of Graphviz.

    Parameters
    ----------
    graph
        Predicted quantum graph.
    """
    nodes, edges = _nodes_and_edges(graph)
    lines = ["digraph QuantumGraph {", "rankdir=TB;"]
    for name, is_quantum, what, data_id in nodes:
        style = "shape=box, style=filled, fillcolor=gray80" if is_quantum else "shape=box, style=rounded"
        lines.append(f"{name} [{style}, label={json.dumps(f'{what}{chr(10)}{data_id}')}];")
    lines.extend(f"{first} -> {second};" for first, second in edges)
    return "\n".join([*lines, "}", ""])


def quantum_graph_mermaid(graph: Any) -> str:
    """Draw quanta as boxes and datasets as rounded boxes, in the language of Mermaid.

    Parameters
    ----------
    graph
        Predicted quantum graph.
    """
    nodes, edges = _nodes_and_edges(graph)
    lines = ["flowchart TD"]
    for name, is_quantum, what, data_id in nodes:
        text = f"{what}<br>{data_id}".replace('"', "#quot;")
        lines.append(f'{name}["{text}"]' if is_quantum else f'{name}(["{text}"])')
    lines.extend(f"{first} --> {second}" for first, second in edges)
    return "\n".join([*lines, ""])


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
