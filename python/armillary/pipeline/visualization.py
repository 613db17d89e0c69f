"""Drawings of a pipeline on a stream, under the names that users' code knows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

from armillary.pipeline.graph_drawing import pipeline_dot, pipeline_mermaid, pipeline_svg, pipeline_text

if TYPE_CHECKING:
    from armillary.pipeline.pipeline_graph import PipelineGraph

__all__ = ["show", "show_dot", "show_mermaid"]


def show(
    pipeline_graph: PipelineGraph,
    stream: TextIO | None = None,
    *,
    dataset_types: bool = False,
    automatic: bool = False,
    **options: Any,
) -> None:
    """Draw a pipeline as text.

    Parameters
    ----------
    pipeline_graph
        The pipeline.
    stream
        Where to write; standard output by default.
    dataset_types
        Whether dataset types are drawn, too.
    automatic
        Whether configs, logs and metadata that no task reads are drawn, too.
    options
        Colours, widths and penalties of another layout, which ours does without.

    Examples
    --------
    >>> from armillary.pipeline import PipelineGraph
    >>> from armillary.pipeline.tests.no_dimensions import NoDimensionsTestTask
    >>> pipeline = PipelineGraph()
    >>> _ = pipeline.add_task("add", NoDimensionsTestTask)
    >>> show(pipeline)
    ■  add: {}
    """
    print(
        pipeline_text(pipeline_graph, tasks_only=not dataset_types, automatic=automatic),
        file=sys.stdout if stream is None else stream,
    )


def show_dot(pipeline_graph: PipelineGraph, stream: TextIO | None = None, **options: Any) -> None:
    """Draw a pipeline with its dataset types in the language of Graphviz.

    Parameters
    ----------
    pipeline_graph
        The pipeline.
    stream
        Where to write; standard output by default.
    options
        What nodes and edges tell besides, which here is always the same.

    Examples
    --------
    >>> from armillary.pipeline import PipelineGraph
    >>> show_dot(PipelineGraph())
    digraph pipeline {
      node [fontname="sans-serif", style=filled];
    }
    """
    (sys.stdout if stream is None else stream).write(pipeline_dot(pipeline_graph))


def show_mermaid(pipeline_graph: PipelineGraph, stream: Any = None, output_format: str = "mmd", **options: Any) -> None:
    """Draw a pipeline with its dataset types as a Mermaid flowchart, or as SVG without Mermaid.

    Parameters
    ----------
    pipeline_graph
        The pipeline.
    stream
        Where to write text, or for SVG text or bytes; standard output by default.
    output_format
        `mmd` or `svg`.
    options
        Width, height and scale of pictures, which a flowchart has not and SVG does without.

    Raises
    ------
    ValueError
        The format takes a program that makes pixels of a drawing.

    Examples
    --------
    >>> from armillary.pipeline import PipelineGraph
    >>> show_mermaid(PipelineGraph())  # doctest: +ELLIPSIS
    flowchart TD
    ...
    """
    if output_format not in ("mmd", "svg"):
        raise ValueError(
            f"a drawing cannot be made as `{output_format}`; `mmd` and `svg` can, and a browser shows either"
        )
    text = pipeline_mermaid(pipeline_graph) if output_format == "mmd" else pipeline_svg(pipeline_graph)
    stream = sys.stdout if stream is None else stream
    if output_format == "svg" and "b" in getattr(stream, "mode", ""):
        stream.write(text.encode())
    else:
        stream.write(text)
