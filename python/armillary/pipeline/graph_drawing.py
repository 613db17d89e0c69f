"""Pictures of pipelines: as text, in Mermaid's and Graphviz' languages, and as SVG.

Nothing but the standard library is needed. Automatic outputs (configuration, metadata, log) are left out unless a task
reads them.
"""

from __future__ import annotations

import dataclasses
import html
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from armillary.pipeline.pipeline_graph import PipelineGraph

__all__ = ["pipeline_dot", "pipeline_mermaid", "pipeline_svg", "pipeline_text"]

_AUTOMATIC = ("_config", "_metadata", "_log")


@dataclasses.dataclass(frozen=True)
class Node:
    """A task or dataset type in a picture."""

    name: str
    is_task: bool
    detail: str
    """Dimensions, and the storage class of a dataset type."""

    @property
    def key(self) -> str:
        """An identifier that no other node has."""
        return ("task:" if self.is_task else "type:") + self.name


@dataclasses.dataclass(frozen=True)
class Picture:
    """What is drawn: nodes in an order in which edges lead forward, and edges by node key."""

    nodes: list[Node]
    edges: list[tuple[str, str]]

    @classmethod
    def of(cls, pipeline: PipelineGraph, *, tasks_only: bool = False) -> Picture:
        """Take from a pipeline what is worth drawing."""
        core = pipeline._core.copy()
        core.sort()
        kinds = {"task": "task:", "dataset_type": "type:"}
        edges = [
            (kinds[first[0]] + first[1], kinds[second[0]] + second[1])
            for first, second, _ in core.edges()
            if first[0] in kinds and second[0] in kinds
        ]
        reads = {first for first, _ in edges if first.startswith("type:")}
        automatic = {
            "type:" + edge["dataset_type"]
            for label in core.task_labels
            for task in [core.task(label)]
            for edge in (task["config_output"], task["metadata_output"], task["log_output"])
            if edge is not None
        }
        joined = {key for edge in edges for key in edge}
        nodes = []
        for kind, name in core.nodes():
            if kind == "task":
                nodes.append(Node(name, True, _dimensions(core.task(name)["dimensions"])))
            elif kind == "dataset_type":
                key = "type:" + name
                if key in joined and (key in reads or key not in automatic):
                    nodes.append(Node(name, False, _type_detail(core, name)))
        kept = {node.key for node in nodes}
        edges = sorted({edge for edge in edges if edge[0] in kept and edge[1] in kept})
        picture = cls(nodes, edges)
        return picture._tasks_only() if tasks_only else picture

    def _tasks_only(self) -> Picture:
        makers: dict[str, list[str]] = {}
        for first, second in self.edges:
            if first.startswith("task:"):
                makers.setdefault(second, []).append(first)
        edges = {(maker, second) for first, second in self.edges for maker in makers.get(first, ())}
        return Picture([node for node in self.nodes if node.is_task], sorted(edges))


def _dimensions(names: Iterable[str]) -> str:
    return "{" + ", ".join(names) + "}"


def _type_detail(core: object, name: str) -> str:
    """Return dimensions and storage class, as resolved or as a task declares them."""
    node = core.dataset_type(name)  # type: ignore[attr-defined]
    if node is not None:
        return f"{_dimensions(node['dimensions'])} {node['storage_class']}"
    use = core.producer_of(name)  # type: ignore[attr-defined]
    if use is None:
        use = core.consumers_of(name)[0]  # type: ignore[attr-defined]
    task = core.task(use[0])  # type: ignore[attr-defined]
    for kind in ("outputs", "inputs", "prerequisite_inputs", "init_inputs", "init_outputs"):
        for edge in task[kind]:
            if edge["connection"] == use[1]:
                return f"{_dimensions(edge['dimensions'])} {edge['storage_class']}"
    return ""


# -- text


def pipeline_text(pipeline: PipelineGraph, *, tasks_only: bool = False) -> str:
    """Draw a pipeline with lines of text, from inputs above to outputs below.

    Parameters
    ----------
    pipeline
        The pipeline; it need not be resolved.
    tasks_only
        Whether to leave dataset types out.
    """
    picture = Picture.of(pipeline, tasks_only=tasks_only)
    following: dict[str, set[str]] = {}
    for first, second in picture.edges:
        following.setdefault(first, set()).add(second)
    lanes = _Lanes()
    lines: list[tuple[str, str]] = []
    for node in picture.nodes:
        lines.extend((text, "") for text in lanes.enter(node.key))
        symbol = "■" if node.is_task else "○"
        lines.append((lanes.place(node.key, following.get(node.key, set()), symbol), f"{node.name}: {node.detail}"))
    width = max((len(text) for text, label in lines if label), default=0)
    return "\n".join(f"{text:<{width}}  {label}".rstrip() for text, label in lines)


class _Lanes:
    """Columns of a text drawing; each carries the edges of one node to those that still wait for it."""

    def __init__(self) -> None:
        self._sources: list[str | None] = []
        self._targets: list[set[str]] = []
        self._at = 0

    def enter(self, key: str) -> list[str]:
        """Lead all edges that end in a node to one lane; give the line that shows this, if one is needed."""
        incoming = [lane for lane, targets in enumerate(self._targets) if key in targets]
        for lane in incoming:
            self._targets[lane].discard(key)
        ending = [lane for lane in incoming if not self._targets[lane]]
        self._at = ending[0] if ending else self._free()
        others = [lane for lane in incoming if lane != self._at]
        line = [self._line(others, ending)] if others else []
        for lane in ending:
            self._sources[lane] = None
        return line

    def _free(self) -> int:
        for lane, source in enumerate(self._sources):
            if source is None:
                return lane
        self._sources.append(None)
        self._targets.append(set())
        return len(self._sources) - 1

    def _line(self, others: list[int], ending: list[int]) -> str:
        left, right = min([self._at, *others]), max([self._at, *others])
        text = ""
        for lane, source in enumerate(self._sources):
            inside = left <= lane <= right
            if lane == self._at:
                begun = source is not None
                sides = (lane > left, lane < right)
                mark = {(True, True): "┼┬", (True, False): "┤╮", (False, True): "├╭"}[sides][0 if begun else 1]
            elif lane in others and lane in ending:
                mark = "┴" if left < lane < right else "╯" if lane == right else "╰"
            elif lane in others:
                mark = "┼" if left < lane < right else "┤" if lane == right else "├"
            elif inside:
                mark = "─" if source is None else "┿"
            else:
                mark = " " if source is None else "│"
            text += mark + ("─" if left <= lane < right else " ")
        return text.rstrip()

    def place(self, key: str, targets: set[str], symbol: str) -> str:
        """Give the line of a node; its lane goes on to what follows."""
        marks = [" " if source is None else "│" for source in self._sources]
        marks[self._at] = symbol
        self._sources[self._at] = key if targets else None
        self._targets[self._at] = set(targets)
        return " ".join(marks).rstrip()


# -- languages of other programs


def pipeline_mermaid(pipeline: PipelineGraph, *, tasks_only: bool = False) -> str:
    """Describe a pipeline as a Mermaid flow chart."""
    picture = Picture.of(pipeline, tasks_only=tasks_only)
    number = {node.key: f"n{index}" for index, node in enumerate(picture.nodes)}
    lines = ["flowchart TD"]
    for node in picture.nodes:
        label = f'"<b>{html.escape(node.name)}</b><br>{html.escape(node.detail)}"'
        shape = f"[{label}]" if node.is_task else f"([{label}])"
        lines.append(f"    {number[node.key]}{shape}:::{'task' if node.is_task else 'datasetType'}")
    lines += [f"    {number[first]} --> {number[second]}" for first, second in picture.edges]
    lines.append("    classDef task fill:#dbeafe,stroke:#1d4ed8,color:#111")
    lines.append("    classDef datasetType fill:#f3f4f6,stroke:#6b7280,color:#111")
    return "\n".join(lines) + "\n"


def pipeline_dot(pipeline: PipelineGraph, *, tasks_only: bool = False) -> str:
    """Describe a pipeline in the language of Graphviz."""
    picture = Picture.of(pipeline, tasks_only=tasks_only)

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    lines = ["digraph pipeline {", "    node [fontname=sans, style=filled];"]
    for node in picture.nodes:
        shape = "shape=box, fillcolor=lightblue" if node.is_task else "shape=ellipse, fillcolor=gray95"
        label = quoted(f"{node.name}\n{node.detail}").replace("\n", "\\n")
        lines.append(f"    {quoted(node.key)} [label={label}, {shape}];")
    lines += [f"    {quoted(first)} -> {quoted(second)};" for first, second in picture.edges]
    return "\n".join([*lines, "}"]) + "\n"


# -- SVG

_CHARACTER = 7.0  # width in pixels of a character of the font
_HEIGHT = 40.0
_GAP_X, _GAP_Y = 24.0, 46.0
_MARGIN = 16.0
_FREE = 10.0  # width in pixels of the place that an edge has in a layer it passes
_SWEEPS = 12


def pipeline_svg(pipeline: PipelineGraph, *, tasks_only: bool = False) -> str:
    """Draw a pipeline as an SVG image that needs no other file.

    Nodes are in layers, each below everything it needs; within a layer they are placed near what they are joined to.
    """
    picture = Picture.of(pipeline, tasks_only=tasks_only)
    boxes, routes = _layout(picture)
    width = max((box.x + box.width for box in boxes.values()), default=0.0) + _MARGIN
    height = max((box.y + _HEIGHT for box in boxes.values()), default=0.0) + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{html.escape(pipeline.description or 'Pipeline')}</title>",
        "<style>.edge{fill:none;stroke:#9ca3af;stroke-width:1.2}.task{fill:#dbeafe;stroke:#1d4ed8}"
        ".type{fill:#f3f4f6;stroke:#9ca3af}.name{font-weight:600;fill:#111827}.detail{font-size:9px;fill:#4b5563}</style>",
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#9ca3af"/></marker>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
    ]
    parts += [_curve([boxes[key] for key in route]) for route in routes]
    parts += [_box(node, boxes[node.key]) for node in picture.nodes]
    return "\n".join([*parts, "</svg>"]) + "\n"


@dataclasses.dataclass
class _Box:
    width: float
    layer: int
    x: float = 0.0
    y: float = 0.0

    @property
    def center(self) -> float:
        return self.x + self.width / 2


def _curve(route: list[_Box]) -> str:
    """Draw an edge from the lower side of the first box, through the places kept free for it, to the last."""
    x, y = route[0].center, route[0].y + _HEIGHT
    path = f"M{x:.1f} {y:.1f}"
    for index, box in enumerate(route[1:], 1):
        x2, y2 = box.center, box.y
        bend = (y2 - y) / 2
        path += f"C{x:.1f} {y + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
        if index < len(route) - 1:
            path += f"V{y2 + _HEIGHT:.1f}"
        x, y = x2, y2 + _HEIGHT
    return f'<path class="edge" marker-end="url(#tip)" d="{path}"/>'


def _box(node: Node, box: _Box) -> str:
    kind, radius = ("task", 4) if node.is_task else ("type", 20)
    return (
        f'<g><title>{html.escape(f"{node.name} {node.detail}")}</title><rect class="{kind}" x="{box.x:.1f}" '
        f'y="{box.y:.1f}" width="{box.width:.1f}" height="{_HEIGHT:.0f}" rx="{radius}"/>'
        f'<text class="name" text-anchor="middle" x="{box.center:.1f}" y="{box.y + 17:.1f}">{html.escape(node.name)}'
        f'</text><text class="detail" text-anchor="middle" x="{box.center:.1f}" y="{box.y + 31:.1f}">'
        f"{html.escape(_short(node.detail))}</text></g>"
    )


def _short(text: str, most: int = 44) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _layout(picture: Picture) -> tuple[dict[str, _Box], list[list[str]]]:
    """Place all nodes; give their boxes and for each edge the boxes it goes through."""
    boxes = _layered(picture)
    routes = []
    for first, second in picture.edges:
        route = [first]
        for layer in range(boxes[first].layer + 1, boxes[second].layer):
            # A place kept free, so that the edge crosses no box.
            key = f"edge:{first} {second} {layer}"
            boxes[key] = _Box(_FREE, layer)
            route.append(key)
        routes.append([*route, second])
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for route in routes:
        for upper, lower in itertools.pairwise(route):
            after.setdefault(upper, []).append(lower)
            before.setdefault(lower, []).append(upper)
    layers: list[list[str]] = [[] for _ in range(max((box.layer for box in boxes.values()), default=-1) + 1)]
    for key, box in boxes.items():
        layers[box.layer].append(key)
    for sweep in range(_SWEEPS):
        downwards = sweep % 2 == 0
        for keys in layers if downwards else reversed(layers):
            _place_layer(keys, before if downwards else after, boxes)
    left = min((box.x for box in boxes.values()), default=0.0)
    for box in boxes.values():
        box.x += _MARGIN - left
        box.y = _MARGIN + box.layer * (_HEIGHT + _GAP_Y)
    return boxes, routes


def _layered(picture: Picture) -> dict[str, _Box]:
    """Give each node a layer below all that it needs; inputs stand just above their first reader."""
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for first, second in picture.edges:
        after.setdefault(first, []).append(second)
        before.setdefault(second, []).append(first)
    boxes: dict[str, _Box] = {}
    for node in picture.nodes:
        layer = max((boxes[key].layer + 1 for key in before.get(node.key, ())), default=0)
        characters = max(len(node.name) * _CHARACTER, len(_short(node.detail)) * 0.72 * _CHARACTER)
        boxes[node.key] = _Box(characters + 24, layer)
    # The first layer of all holds tasks only if they read nothing.
    for node in picture.nodes:
        if not before.get(node.key) and after.get(node.key):
            boxes[node.key].layer = max(0, min(boxes[key].layer for key in after[node.key]) - 1)
    return boxes


def _place_layer(keys: list[str], neighbours: Mapping[str, list[str]], boxes: Mapping[str, _Box]) -> None:
    """Order a layer by where the neighbours of its nodes are, and place it near them without overlaps."""

    def wanted(key: str) -> float:
        near = neighbours.get(key)
        return sum(boxes[other].center for other in near) / len(near) if near else boxes[key].center

    places = {key: wanted(key) for key in keys}
    keys.sort(key=lambda key: places[key])
    right = -math.inf
    for key in keys:
        boxes[key].x = max(places[key] - boxes[key].width / 2, right)
        right = boxes[key].x + boxes[key].width + _GAP_X
    # Making room pushes to the right only; the layer as a whole goes back by as much as it was pushed on average.
    push = sum(boxes[key].center - places[key] for key in keys) / max(len(keys), 1)
    for key in keys:
        boxes[key].x -= push
