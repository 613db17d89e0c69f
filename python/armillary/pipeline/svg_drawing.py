"""The drawing of a graph as SVG, laid out here and drawn by whatever shows SVG."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from xml.sax.saxutils import escape

from armillary.pipeline.drawn_graph import DrawnEdge, DrawnGraph, DrawnNode
from armillary.pipeline.layered_layout import Place, layered_layout

__all__ = ["svg_document"]

_NAME_SIZE, _DETAIL_SIZE = 13.0, 10.5  # pixels
_CHARACTER = 0.605  # width of a character of a monospaced font, in font sizes
_LINE = 1.32  # height of a line, in font sizes
_PADDING = 10.0
_MARGIN = 24.0
_LEGEND_HEIGHT = 44.0
_WIDEST_NAME, _WIDEST_DETAIL = 56, 44  # characters

_STYLE = """
.page { fill: #ffffff }
text { font-family: ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", "Liberation Mono", monospace; fill: #1c2430 }
.name { font-size: 13px } .task .name, .task_init .name { font-weight: 600 }
.detail { font-size: 10.5px; fill: #566273 }
.node rect { stroke-width: 1.2 }
.task rect, .task_init rect { fill: #dbe8ff; stroke: #3d6fc4 }
.dataset_type rect { fill: #f6f7f9; stroke: #8b96a5 }
.overall_input rect { fill: #e3f4e6; stroke: #4c9a5b }
.prerequisite rect { stroke-dasharray: 5 3 }
.edge path { fill: none; stroke: #7d8896; stroke-width: 1.3 }
.edge.prerequisite path { stroke-dasharray: 5 4 }
.edge.init path { stroke-width: 0.6 }
.edge:hover path { stroke: #d1495b; stroke-width: 2.6 }
.head { fill: #7d8896 }
@media (prefers-color-scheme: dark) {
.page { fill: #14181f }
text { fill: #e6eaf0 }
.detail { fill: #a3aebd }
.task rect, .task_init rect { fill: #1f3357; stroke: #7aa5f0 }
.dataset_type rect { fill: #232932; stroke: #76818f }
.overall_input rect { fill: #1d3a25; stroke: #6dbb7d }
.edge path { stroke: #8a95a3 }
.edge:hover path { stroke: #ff8494 }
.head { fill: #8a95a3 }
}
"""


def svg_document(graph: DrawnGraph, title: str) -> str:
    """Draw a graph.

    Parameters
    ----------
    graph
        The graph.
    title
        Shown when the pointer rests on the background.
    """
    texts = [_texts(node) for node in graph.nodes]
    entering = [len(sources) for sources in graph.predecessors()]
    sizes = [_size(text, count) for text, count in zip(texts, entering, strict=True)]
    layout = layered_layout(sizes, [(edge.first, edge.second) for edge in graph.edges])
    width = max(layout.width + 2 * _MARGIN, 720.0)
    height = layout.height + 2 * _MARGIN + _LEGEND_HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_number(width)}" height="{_number(height)}"'
        f' viewBox="0 0 {_number(width)} {_number(height)}">',
        f"<title>{_text(title)}</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7"'
        ' markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 0.5L8 4L0 7.5z"/></marker></defs>',
        f'<rect class="page" width="{_number(width)}" height="{_number(height)}"/>',
        f'<g transform="translate({_number(_MARGIN)} {_number(_MARGIN)})">',
    ]
    for edge, route in zip(graph.edges, layout.routes, strict=True):
        parts.append(_edge(graph, edge, _path(route, layout.is_downwards)))
    parts += [_node(node, text, place) for node, text, place in zip(graph.nodes, texts, layout.places, strict=True)]
    parts += ["</g>", *_legend(height - _LEGEND_HEIGHT), "</svg>"]
    return "\n".join(parts) + "\n"


def _texts(node: DrawnNode) -> list[str]:
    """Lines of a box, the name first."""
    lines = [_shortened(node.label, _WIDEST_NAME)]
    for detail in node.details:
        lines += textwrap.wrap(detail, _WIDEST_DETAIL)
    return lines


def _size(lines: list[str], entering: int) -> tuple[float, float]:
    width = max(
        _cells(line) * _CHARACTER * (_DETAIL_SIZE if position else _NAME_SIZE * 1.02)
        for position, line in enumerate(lines)
    )
    height = _LINE * (_NAME_SIZE + _DETAIL_SIZE * (len(lines) - 1)) + 0.9 * _PADDING
    return round(width + 2 * _PADDING, 1), round(max(height, 16.0 + 5.0 * entering), 1)


def _cells(text: str) -> int:
    """Widths of characters: East Asian ones take the room of two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _shortened(text: str, widest: int) -> str:
    return text if len(text) <= widest else f"{text[: widest - 1]}…"


def _node(node: DrawnNode, lines: list[str], place: Place) -> str:
    classes = ["node", node.kind]
    if node.is_overall_input and node.kind == "dataset_type":
        classes.append("overall_input")
    if node.is_prerequisite:
        classes.append("prerequisite")
    radius = 3.0 if node.kind != "dataset_type" else min(place.height / 2, 16.0)
    baseline = place.y + (place.height - _LINE * (_NAME_SIZE + _DETAIL_SIZE * (len(lines) - 1))) / 2
    texts = []
    for position, line in enumerate(lines):
        size = _DETAIL_SIZE if position else _NAME_SIZE
        texts.append(
            f'<text class="{"detail" if position else "name"}" x="{_number(place.x + _PADDING)}"'
            f' y="{_number(baseline + size)}">{_text(line)}</text>'
        )
        baseline += size * _LINE
    task_class = [node.class_name] if node.kind != "dataset_type" else []
    hover = " ".join([node.label, *node.details, *task_class])
    return (
        f'<g class="{" ".join(classes)}"><title>{_text(hover)}</title>'
        f'<rect x="{_number(place.x)}" y="{_number(place.y)}" width="{_number(place.width)}"'
        f' height="{_number(place.height)}" rx="{_number(radius)}"/>{"".join(texts)}</g>'
    )


def _edge(graph: DrawnGraph, edge: DrawnEdge, path: str) -> str:
    classes = ["edge"]
    if edge.is_prerequisite:
        classes.append("prerequisite")
    if edge.is_init:
        classes.append("init")
    hover = f"{graph.nodes[edge.first].label} → {graph.nodes[edge.second].label}"
    if edge.connections:
        hover += f" ({', '.join(edge.connections)})"
    return f'<g class="{" ".join(classes)}"><title>{_text(hover)}</title><path d="{path}" marker-end="url(#head)"/></g>'


def _path(route: list[tuple[float, float]], is_downwards: bool) -> str:
    """Draw straight lines within pairs of points and curves between pairs."""

    def point(x: float, y: float) -> str:
        return f"{_number(x)} {_number(y)}"

    path = [f"M{point(*route[0])}"]
    for start, bend, end in zip(route[::2], route[1::2], route[2::2], strict=False):
        if start != bend:
            path.append(f"L{point(*bend)}")
        (x, y), (end_x, end_y) = bend, end
        if (x == end_x) if is_downwards else (y == end_y):
            path.append(f"L{point(*end)}")
        elif is_downwards:
            middle = (y + end_y) / 2
            path.append(f"C{point(x, middle)} {point(end_x, middle)} {point(*end)}")
        else:
            middle = (x + end_x) / 2
            path.append(f"C{point(middle, y)} {point(middle, end_y)} {point(*end)}")
    return "".join(path)


def _legend(top: float) -> list[str]:
    """Explain shapes and lines."""
    parts = ['<g class="legend">']
    x, y = _MARGIN, top + 8
    boxes = (
        ("task", "task", 2),
        ("dataset_type", "dataset type", 8),
        ("dataset_type overall_input", "overall input", 8),
    )
    for classes, words, radius in boxes:
        parts.append(
            f"{_legend_box(classes, x, y, radius)}"
            f'<text class="detail" x="{_number(x + 30)}" y="{_number(y + 12)}">{words}</text>'
        )
        x += 30 + len(words) * _CHARACTER * _DETAIL_SIZE + 22
    for classes, words in (("edge prerequisite", "prerequisite"), ("edge init", "when the task is made")):
        if words == "prerequisite":  # its box is dashed, too
            parts.append(_legend_box("dataset_type prerequisite", x, y, 8))
            x += 24
        parts.append(
            f'<g class="{classes}"><path d="M{_number(x)} {_number(y + 8)}h30" marker-end="url(#head)"/></g>'
            f'<text class="detail" x="{_number(x + 38)}" y="{_number(y + 12)}">{words}</text>'
        )
        x += 38 + len(words) * _CHARACTER * _DETAIL_SIZE + 22
    return [*parts, "</g>"]


def _legend_box(classes: str, x: float, y: float, radius: int) -> str:
    rect = f'<rect x="{_number(x)}" y="{_number(y)}" width="24" height="16" rx="{radius}"/>'
    return f'<g class="node {classes}">{rect}</g>'


def _number(value: float) -> str:
    """Shortest text for a length, to a tenth of a pixel."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def _text(value: str) -> str:
    """Text that XML can hold: it knows no control characters and no halves of surrogate pairs."""
    return escape(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", value))
