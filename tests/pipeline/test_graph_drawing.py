"""Drawings of pipelines show all that is in them, whatever the names."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from armillary._core import PipelineGraph as Core
from armillary.pipeline.drawn_graph import DrawnGraph
from armillary.pipeline.graph_drawing import pipeline_dot, pipeline_mermaid, pipeline_svg, pipeline_text

DRAWINGS = [pipeline_text, pipeline_mermaid, pipeline_dot, pipeline_svg]


class Pipeline:
    """As much of a pipeline graph as a drawing needs."""

    def __init__(self, tasks, description="test <&>"):
        self.description = description
        self._core = Core(None, description, tasks)


def use(name, storage_class="Dict", dimensions=("instrument",)):
    return {"connection": name, "dataset_type": name, "storage_class": storage_class, "dimensions": list(dimensions)}


def task(label, inputs=(), outputs=(), **groups):
    return {
        "label": label,
        "task_class": "package.Task",
        "dimensions": ["instrument"],
        "config_output": use(f"{label}_config", "Config", ()),
        "metadata_output": use(f"{label}_metadata"),
        "log_output": use(f"{label}_log"),
        "inputs": [use(name) for name in inputs],
        "outputs": [use(name) for name in outputs],
        **{group: [use(name) for name in names] for group, names in groups.items()},
    }


DIAMOND = [
    task("a", ["raw"], ["x"]),
    task("b", ["x"], ["y"], prerequisite_inputs=["sky"], init_outputs=["schema"]),
    task("c", ["x"], ["z"]),
    task("d", ["y", "z", "raw"], ["end"], init_inputs=["schema"]),
]
HOSTILE = [
    task('a"<b>&\\`;#]--> |', ["x{}|\u2028\n\x07y"], ['"]:::task', "</text><script>", "%%", "é\ud7ff日本"]),
    task("end", ['"]:::task'], ["class"]),
    task("l" * 300, ["class"], ["graph"]),
]
# Making `first` needs what the run of `second` ... but each making comes before all runs, so this is no circle.
CROSSED = [
    task("first", ["late"], ["early"], init_outputs=["made"]),
    task("second", ["raw"], ["late"], init_inputs=["made"]),
]
CHAIN = [task(f"t{i}", [f"d{i}", "shared"], [f"d{i + 1}"]) for i in range(60)]
WIDE = CHAIN + [task(f"w{i}", ["d30"], [f"wide{i}"]) for i in range(40)]
APART = [task("a", ["raw"], ["x"]), task("b", ["sky"], ["y"]), task("c", [], ["z"]), task("d", [], [])]
READS_METADATA = [task("a", ["raw"], ["x"]), task("b", ["a_metadata"], ["y"])]
GRAPHS = {
    "diamond": DIAMOND,
    "hostile": HOSTILE,
    "crossed": CROSSED,
    "wide": WIDE,
    "apart": APART,
    "reads_metadata": READS_METADATA,
    "empty": [],
}
OPTIONS = [{}, {"automatic": True}, {"tasks_only": True}]


@pytest.fixture(name="pipeline", params=GRAPHS)
def pipeline_fixture(request):
    return Pipeline(GRAPHS[request.param])


@pytest.fixture(name="options", params=OPTIONS, ids=lambda options: next(iter(options), "plain"))
def options_fixture(request):
    return request.param


def pairs(graph):
    return sorted((edge.first, edge.second) for edge in graph.edges)


def test_nodes_and_edges_are_those_of_the_pipeline(pipeline):
    core = pipeline._core.copy()
    core.sort()
    graph = DrawnGraph.of(pipeline, automatic=True)
    index = {(node.kind, node.name): position for position, node in enumerate(graph.nodes)}

    def at(key):
        return index[key] if key in index else index["task", key[1]]

    assert {at(key) for key in core.nodes()} == set(range(len(graph.nodes)))
    expected = {(at(first), at(second)) for first, second, _ in core.edges()}
    assert pairs(graph) == sorted(edge for edge in expected if edge[0] != edge[1])
    assert all(edge.first < edge.second for edge in graph.edges)
    named = {(edge.first, edge.second, name) for edge in graph.edges for name in edge.connections}
    for first, second, connection in core.edges():
        assert not connection or (at(first), at(second), connection) in named


def test_automatic_outputs_are_drawn_only_if_someone_reads_them():
    assert "metadata" not in pipeline_text(Pipeline(DIAMOND))
    text = pipeline_text(Pipeline(READS_METADATA))
    assert "a_metadata" in text and "b_metadata" not in text


def test_a_task_and_its_making_are_apart_only_where_they_must():
    kinds = {node.label for node in DrawnGraph.of(Pipeline(CROSSED)).nodes}
    assert {"first", "first [init]", "second"} <= kinds
    assert not [node for node in DrawnGraph.of(Pipeline(DIAMOND)).nodes if node.kind == "task_init"]


def test_edges_know_prerequisites_and_making():
    graph = DrawnGraph.of(Pipeline(DIAMOND))
    names = [node.name for node in graph.nodes]
    assert [names[edge.first] for edge in graph.edges if edge.is_prerequisite] == ["sky"]
    assert {(names[edge.first], names[edge.second]) for edge in graph.edges if edge.is_init} == {
        ("b", "schema"),
        ("schema", "d"),
    }


def test_equal_pipelines_give_equal_text(pipeline, options):
    for draw in DRAWINGS:
        again = Pipeline(list(reversed([pipeline._core.task(label) for label in pipeline._core.task_labels])))
        assert draw(pipeline, **options) == draw(again, **options)


def test_an_svg_is_whole_and_its_boxes_do_not_overlap(pipeline, options):
    root = ElementTree.fromstring(pipeline_svg(pipeline, **options))
    space = {"svg": "http://www.w3.org/2000/svg"}
    graph = DrawnGraph.of(pipeline, **options)
    nodes = root.findall("./svg:g/svg:g[svg:rect]/svg:rect", space)
    boxes = [tuple(float(box.get(key)) for key in ("x", "y", "width", "height")) for box in nodes[: len(graph.nodes)]]
    assert len(boxes) == len(graph.nodes)
    for index, (x, y, width, height) in enumerate(boxes):
        assert x >= 0 and y >= 0 and x + width <= float(root.get("width")) and y + height <= float(root.get("height"))
        for x2, y2, width2, height2 in boxes[index + 1 :]:
            assert x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y
