"""Drawings of pipelines show all that is in them, whatever the names."""

from __future__ import annotations

import html
import itertools
import re
import xml.etree.ElementTree as ElementTree
from importlib import resources

import pytest
from click.testing import CliRunner

from armillary._core import PipelineGraph as Core
from armillary.cli import pipetask
from armillary.pipeline import Pipeline as PipelineFile
from armillary.pipeline.drawn_graph import DrawnGraph
from armillary.pipeline.graph_drawing import pipeline_dot, pipeline_mermaid, pipeline_svg, pipeline_text
from armillary.pipeline.layered_layout import layered_layout
from armillary.pipeline.rail_drawing import rail_rows

DRAWINGS = [pipeline_text, pipeline_mermaid, pipeline_dot, pipeline_svg]
SVG = {"svg": "http://www.w3.org/2000/svg"}


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
# `first` and `second` read from each other, but one way when they are made and the other way when they run: no circle.
CROSSED = [
    task("first", ["late"], ["early"], init_outputs=["made"]),
    task("second", ["raw"], ["late"], init_inputs=["made"]),
]
CHAIN = [task(f"t{i}", [f"d{i}", "shared"], [f"d{i + 1}"]) for i in range(24)]
WIDE = CHAIN + [task(f"w{i}", ["d12"], [f"wide{i}"]) for i in range(20)]
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


# Text ---------------------------------------------------------------------------------------------------------------


def edges_of_rails(rows):
    """Follow the rails of a drawing whose labels are numbers and whose symbols are `N`, or `E` where a rail ends."""
    edges, order, carried = [], [], {}
    for row in rows:
        match = re.fullmatch(r"(.*?) +(\d+)", row)
        if match is None:
            assert set(row) <= set("│ ")
            carried = {column: source for column, source in carried.items() if row[column : column + 1] == "│"}
            continue
        rails, node = match[1].ljust(len(row) + 200), int(match[2])
        own = re.search("[NE]", rails).start()
        left = own - len(re.search("(?:[─│├┼┤╰┴╯]─)*$", rails[:own])[0])
        right = own + 1 + len(re.match("(?:─[─│├┼┤╰┴╯])*", rails[own + 1 :])[0])
        assert set(rails[:left] + rails[right:]) <= set("│ ")
        joined = [column for column in range(left, right, 2) if column != own and rails[column] in "├┼┤╰┴╯"]
        sources = [carried[column] for column in joined + [own] * (own in carried)]
        edges += [(source, node) for source in sources]
        order.append(node)
        carried = {column: source for column, source in carried.items() if rails[column] in "│├┼┤"}
        if rails[own] == "N":
            carried[own] = node
    return sorted(edges), order


def test_rails_lead_all_data_to_their_readers(pipeline, options):
    graph = DrawnGraph.of(pipeline, **options)
    read = {edge.first for edge in graph.edges}
    symbols = ["E" if n not in read and node.kind == "dataset_type" else "N" for n, node in enumerate(graph.nodes)]
    edges, order = edges_of_rails(rail_rows(graph, symbols, [str(n) for n in range(len(graph.nodes))]))
    assert edges == pairs(graph)
    assert sorted(order) == list(range(len(graph.nodes)))


def test_text_of_a_diamond():
    assert pipeline_text(Pipeline(DIAMOND)).splitlines() == [
        "○        raw: {instrument} Dict",
        "├─■      a: {instrument}",
        "│ ○      x: {instrument} Dict",
        "│ │ ◌    sky: {instrument} Dict",
        "│ ├─■    b: {instrument}",
        "│ ■ │    c: {instrument}",
        "│ ○ │    z: {instrument} Dict",
        "│ │ ├─○  schema: {instrument} Dict",
        "│ │ ○ │  y: {instrument} Dict",
        "■─┴─┴─╯  d: {instrument}",
        "●        end: {instrument} Dict",
    ]


def test_text_of_tasks_alone():
    assert pipeline_text(Pipeline(DIAMOND), tasks_only=True).splitlines() == [
        "■    a: {instrument}",
        "├─■  b: {instrument}",
        "■ │  c: {instrument}",
        "■─╯  d: {instrument}",
    ]


def test_text_has_a_line_for_each_node_of_hostile_names():
    lines = pipeline_text(Pipeline(HOSTILE)).splitlines()
    assert len(lines) == len(DrawnGraph.of(Pipeline(HOSTILE)).nodes)
    assert all(line.isprintable() for line in lines)


# Languages of other programs ----------------------------------------------------------------------------------------


def test_mermaid_has_every_node_and_edge(pipeline, options):
    graph = DrawnGraph.of(pipeline, **options)
    first, *lines = pipeline_mermaid(pipeline, **options).splitlines()
    assert first == "flowchart TD"
    labels, edges = {}, []
    for line in lines:
        text = r'"((?:[\w _.,:{}\[\]()-]|#\d+;|<b>|</b>|<br/>)*)"'
        if node := re.fullmatch(rf"  n(\d+)(?:\[{text}\]:::task|\(\[{text}\]\):::datasetType)", line):
            labels[int(node[1])] = node[2] or node[3]
        elif edge := re.fullmatch(r"  n(\d+) (-->|-\.->) n(\d+)", line):
            edges.append((int(edge[1]), int(edge[3]), edge[2]))
        else:
            assert re.fullmatch(r"  (linkStyle [\d,]+ stroke-width:0.7px|classDef \w+ [\w:,#-]+)", line)
    for position, node in enumerate(graph.nodes):
        name = re.fullmatch("<b>(.*?)</b>.*", labels[position])[1]
        assert re.sub(r"#(\d+);", lambda match: chr(int(match[1])), name) == node.label
    assert edges == [(e.first, e.second, "-.->" if e.is_prerequisite else "-->") for e in graph.edges]


def test_mermaid_draws_init_edges_thin():
    graph = DrawnGraph.of(Pipeline(DIAMOND))
    thin = ",".join(str(position) for position, edge in enumerate(graph.edges) if edge.is_init)
    assert f"linkStyle {thin} stroke-width" in pipeline_mermaid(Pipeline(DIAMOND))


def test_graphviz_text_has_every_node_and_edge(pipeline, options):
    graph = DrawnGraph.of(pipeline, **options)
    labels, edges = {}, []
    for line in pipeline_dot(pipeline, **options).splitlines()[2:-1]:
        if node := re.fullmatch(r'  n(\d+) \[label="((?:[^"\\]|\\n)*)", shape=\w+, fillcolor=\w+\];', line):
            labels[int(node[1])] = html.unescape(node[2].split("\\n")[0])
        else:
            edge = re.fullmatch(r"  n(\d+) -> n(\d+) \[[\w=., ]*\];", line)
            edges.append((int(edge[1]), int(edge[2])))
    assert edges == pairs(graph)
    assert labels == {n: node.label for n, node in enumerate(graph.nodes)}


# SVG ----------------------------------------------------------------------------------------------------------------


def drawn(svg):
    """Size, boxes (left, top, right, bottom), texts and points of the paths of an SVG."""
    root = ElementTree.fromstring(svg)
    size = float(root.get("width")), float(root.get("height"))
    drawing = root.find("svg:g[@transform]", SVG)
    boxes, names, paths = [], [], []
    for group in drawing:
        if "node" in group.get("class"):
            box = group.find("svg:rect", SVG)
            x, y, width, height = (float(box.get(key)) for key in ("x", "y", "width", "height"))
            boxes.append((x, y, x + width, y + height))
            names.append(group.find("svg:title", SVG).text)
        else:
            paths.append(points_of(group.find("svg:path", SVG).get("d")))
    return size, boxes, names, paths


def points_of(path):
    """Points along a path of lines and cubic curves."""
    points = []
    for command, text in re.findall(r"([MLC])([-\d. ]+)", path):
        numbers = [float(number) for number in text.split()]
        ends = list(zip(numbers[::2], numbers[1::2], strict=True))
        if command == "M":
            points += ends
            continue
        control = [points[-1], *ends]
        for step in range(1, 9):
            t = step / 8
            level = control
            while len(level) > 1:
                level = [(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t) for a, b in itertools.pairwise(level)]
            points += level
    return points


def is_inside(point, box, margin):
    return box[0] + margin < point[0] < box[2] - margin and box[1] + margin < point[1] < box[3] - margin


def test_svg_boxes_are_apart_and_on_the_page(pipeline, options):
    (width, height), boxes, names, _ = drawn(pipeline_svg(pipeline, **options))
    graph = DrawnGraph.of(pipeline, **options)
    assert len(boxes) == len(graph.nodes)
    for name, node in zip(names, graph.nodes, strict=True):
        assert name.startswith(node.label)
    for box in boxes:
        assert box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height
    for a, b in itertools.combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_svg_lines_join_their_boxes_and_cross_no_other(pipeline, options):
    _, boxes, _, paths = drawn(pipeline_svg(pipeline, **options))
    graph = DrawnGraph.of(pipeline, **options)
    assert len(paths) == len(graph.edges)
    for edge, points in zip(graph.edges, paths, strict=True):
        assert is_inside(points[0], boxes[edge.first], -0.2) and is_inside(points[-1], boxes[edge.second], -0.2)
        for position, box in enumerate(boxes):
            if position not in (edge.first, edge.second):
                assert not any(is_inside(point, box, 0.2) for point in points)


def test_svg_text_fits_its_box(pipeline):
    root = ElementTree.fromstring(pipeline_svg(pipeline))
    for group in root.findall("svg:g[@transform]/svg:g[svg:rect]", SVG):
        box = group.find("svg:rect", SVG)
        for text in group.findall("svg:text", SVG):
            size = 13 if text.get("class") == "name" else 10.5
            assert float(text.get("x")) + 0.602 * size * len(text.text) <= float(box.get("x")) + float(box.get("width"))
            assert float(text.get("y")) <= float(box.get("y")) + float(box.get("height"))


def test_svg_says_what_edges_are():
    svg = pipeline_svg(Pipeline(DIAMOND))
    assert svg.count('<g class="edge prerequisite"><title>sky → b (sky)</title>') == 1
    assert '<g class="edge init"><title>b → schema (schema)</title>' in svg
    assert "<title>test &lt;&amp;&gt;</title>" in svg


def test_svg_explains_each_box_and_line_that_it_may_have():
    root = ElementTree.fromstring(pipeline_svg(Pipeline(DIAMOND)))
    (legend,) = root.findall("svg:g[@class='legend']", SVG)
    explained = {found.get("class") for found in legend.findall("svg:g", SVG)}
    drawn = {found.get("class") for found in root.findall("svg:g[@transform]/svg:g", SVG)}
    for sort in ("node", "edge"):
        classes = {name for text in drawn if text.startswith(sort) for name in text.split()} - {"task_init"}
        assert classes <= {name for text in explained if text.startswith(sort) for name in text.split()}
    words = legend.findall("svg:text", SVG)
    ends = [float(text.get("x")) + 0.602 * 10.5 * len(text.text) for text in words]
    assert all(end < float(text.get("x")) for end, text in zip(ends, words[1:], strict=False))
    assert ends[-1] < float(root.get("width"))


def test_layout_of_a_line_keeps_it_straight():
    layout = layered_layout([(100.0, 30.0)] * 5, [(n, n + 1) for n in range(4)])
    assert len({place.x for place in layout.places}) == 1


def test_layout_finds_the_order_without_crossings():
    # Two ladders, given interleaved.
    layout = layered_layout([(50.0, 20.0)] * 7, [(0, 4), (1, 3), (2, 6), (0, 3), (2, 5), (1, 5)])
    lines = [(layout.routes[edge][0], layout.routes[edge][-1]) for edge in range(6)]
    for (a, b), (c, d) in itertools.combinations(lines, 2):
        across = 0 if layout.is_downwards else 1
        assert (a[across] - c[across]) * (b[across] - d[across]) >= 0


# A real pipeline ----------------------------------------------------------------------------------------------------


def test_demo_pipeline_is_drawn_before_and_after_it_is_resolved():
    graph = PipelineFile.from_uri(f"{resources.files('armillary.demo') / 'pipeline.yaml'}#science").to_graph()
    before = [draw(graph) for draw in DRAWINGS]
    graph.resolve(dataset_types={})
    after = [draw(graph) for draw in DRAWINGS]
    assert "removeSignature: {instrument, detector, exposure}" in before[0]
    assert [len(text.splitlines()) for text in before] == [len(text.splitlines()) for text in after]


def test_pipetask_writes_the_drawings(tmp_path):
    pipeline = str(resources.files("armillary.demo") / "pipeline.yaml")
    options = [f"--pipeline-{kind}={tmp_path / kind}" for kind in ("dot", "mermaid", "svg")]
    result = CliRunner().invoke(pipetask.cli, ["build", "-p", pipeline, "--show", "task-graph", *options])
    assert result.exit_code == 0, result.output
    graph = PipelineFile.from_uri(pipeline).to_graph()
    assert result.stdout == pipeline_text(graph, tasks_only=True) + "\n"
    for kind, draw in (("dot", pipeline_dot), ("mermaid", pipeline_mermaid), ("svg", pipeline_svg)):
        assert (tmp_path / kind).read_text(encoding="utf-8") == draw(graph)
