"""Drawings of a pipeline: as text, in the languages of Mermaid and Graphviz, and as SVG; no other program is needed.

Configs, logs and metadata are left out unless a task reads them or `automatic` asks for all of them. A pipeline can be
drawn before it is resolved, and equal pipelines give equal text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from armillary.pipeline.drawn_graph import DrawnGraph, DrawnNode

if TYPE_CHECKING:
    from armillary.pipeline.pipeline_graph import PipelineGraph

__all__ = ["pipeline_dot", "pipeline_mermaid", "pipeline_svg", "pipeline_text"]

_SYMBOLS = {"task": "■", "task_init": "□", "dataset_type": "○"}
DOT_STYLES = {
    "all": '  node [fontname="sans-serif", style=filled];',
    "task": "shape=box, fillcolor=lightblue",
    "dataset_type": "shape=ellipse, fillcolor=gray95",
}
"""How nodes look in the language of Graphviz."""
MERMAID_STYLES = [
    "  classDef task fill:#dbe8ff,stroke:#3d6fc4,color:#1c2430",
    "  classDef datasetType fill:#f6f7f9,stroke:#8b96a5,color:#1c2430",
]
"""How nodes look in the language of Mermaid."""


def pipeline_text(
    pipeline_graph: PipelineGraph,
    *,
    tasks_only: bool = False,
    automatic: bool = False,
    notes: Mapping[str, str] | None = None,
) -> str:
    """Draw a pipeline as text, one line for each task and dataset type, data running down.

    `■` is a task, `□` the making of one where that has to be apart, `○` a dataset type, `◌` one that is read as a
    prerequisite only, `●` one that no task reads.

    Parameters
    ----------
    pipeline_graph
        The pipeline.
    tasks_only
        Whether dataset types are left out, and tasks joined where one reads what another writes.
    automatic
        Whether configs, logs and metadata that no task reads are drawn, too.
    notes
        Text to write after tasks and dataset types, by label or name.

    Examples
    --------
    >>> from armillary.pipeline import PipelineGraph
    >>> pipeline_text(PipelineGraph())
    ''
    """
    from armillary.pipeline.rail_drawing import rail_rows

    graph = DrawnGraph.of(pipeline_graph, automatic=automatic, tasks_only=tasks_only)
    read = {edge.first for edge in graph.edges}
    symbols = [_symbol(node, position in read) for position, node in enumerate(graph.nodes)]
    notes = notes or {}
    lines = [f"{_line(node)} {notes.get(node.label, '')}".rstrip() for node in graph.nodes]
    return "\n".join(rail_rows(graph, symbols, lines))


def _symbol(node: DrawnNode, is_read: bool) -> str:
    if node.kind == "dataset_type" and not is_read:
        return "●"
    return "◌" if node.is_prerequisite else _SYMBOLS[node.kind]


def _line(node: DrawnNode) -> str:
    return f"{node.label}: {' '.join(node.details)}" if node.details else node.label


def pipeline_mermaid(pipeline_graph: PipelineGraph, *, tasks_only: bool = False, automatic: bool = False) -> str:
    """Draw a pipeline as a Mermaid flowchart: boxes are tasks, rounded boxes dataset types.

    Lines from prerequisite inputs are dashed, those that belong to the making of a task are thin. Viewers of Mermaid
    refuse more than 500 lines unless their setting `maxEdges` is raised.

    Parameters
    ----------
    pipeline_graph
        The pipeline.
    tasks_only
        Whether dataset types are left out, and tasks joined where one reads what another writes.
    automatic
        Whether configs, logs and metadata that no task reads are drawn, too.

    Examples
    --------
    >>> from armillary.pipeline import PipelineGraph
    >>> pipeline_mermaid(PipelineGraph()).splitlines()[0]
    'flowchart TD'
    """
    graph = DrawnGraph.of(pipeline_graph, automatic=automatic, tasks_only=tasks_only)
    lines = ["flowchart TD"]
    for position, node in enumerate(graph.nodes):
        text = "<br/>".join([f"<b>{mermaid_text(node.label)}</b>", *map(mermaid_text, node.details)])
        opening, closing, style = ("([", "])", "datasetType") if node.kind == "dataset_type" else ("[", "]", "task")
        lines.append(f'  n{position}{opening}"{text}"{closing}:::{style}')
    lines += [f"  n{edge.first} {'-.->' if edge.is_prerequisite else '-->'} n{edge.second}" for edge in graph.edges]
    if thin := [str(position) for position, edge in enumerate(graph.edges) if edge.is_init]:
        lines.append(f"  linkStyle {','.join(thin)} stroke-width:0.7px")
    return "\n".join([*lines, *MERMAID_STYLES]) + "\n"


def mermaid_text(text: str) -> str:
    """Text inside quotes: all but the harmless characters by their numbers."""
    return "".join(
        character if character.isalnum() or character in " _-.,:{}[]()" else f"#{ord(character)};" for character in text
    )


def pipeline_dot(pipeline_graph: PipelineGraph, *, tasks_only: bool = False, automatic: bool = False) -> str:
    """Draw a pipeline in the language of Graphviz: boxes are tasks, ellipses dataset types.

    Parameters
    ----------
    pipeline_graph
        The pipeline.
    tasks_only
        Whether dataset types are left out, and tasks joined where one reads what another writes.
    automatic
        Whether configs, logs and metadata that no task reads are drawn, too.

    Examples
    --------
    >>> from armillary.pipeline import PipelineGraph
    >>> pipeline_dot(PipelineGraph()).splitlines()[0]
    'digraph pipeline {'
    """
    graph = DrawnGraph.of(pipeline_graph, automatic=automatic, tasks_only=tasks_only)
    lines = ["digraph pipeline {", DOT_STYLES["all"]]
    for position, node in enumerate(graph.nodes):
        shape = DOT_STYLES["dataset_type" if node.kind == "dataset_type" else "task"]
        label = "\\n".join(dot_text(text) for text in (node.label, *node.details))
        lines.append(f'  n{position} [label="{label}", {shape}];')
    for edge in graph.edges:
        options = ["style=dashed"] * edge.is_prerequisite + ["penwidth=0.5"] * edge.is_init
        lines.append(f"  n{edge.first} -> n{edge.second} [{', '.join(options)}];")
    return "\n".join([*lines, "}"]) + "\n"


def dot_text(text: str) -> str:
    """Text inside quotes, in which Graphviz knows backslashes and the entities of HTML."""
    return text.replace("&", "&amp;").replace("\\", "&#92;").replace('"', "&quot;")


def pipeline_svg(pipeline_graph: PipelineGraph, *, tasks_only: bool = False, automatic: bool = False) -> str:
    """Draw a pipeline as SVG: boxes are tasks, rounded boxes dataset types.

    Lines from prerequisite inputs are dashed, those that belong to the making of a task are thin; the pointer, resting
    on one, shows its connections. The colours follow the viewer's light or dark scheme.

    Parameters
    ----------
    pipeline_graph
        The pipeline.
    tasks_only
        Whether dataset types are left out, and tasks joined where one reads what another writes.
    automatic
        Whether configs, logs and metadata that no task reads are drawn, too.

    Examples
    --------
    >>> from armillary.pipeline import PipelineGraph
    >>> pipeline_svg(PipelineGraph()).startswith("<svg")
    True
    """
    from armillary.pipeline.svg_drawing import svg_document

    graph = DrawnGraph.of(pipeline_graph, automatic=automatic, tasks_only=tasks_only)
    return svg_document(graph, pipeline_graph.description or "Pipeline")
