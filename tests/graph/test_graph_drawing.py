"""Pictures of pipelines say what is in them, whatever the names."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from armillary._core import PipelineGraph as Core
from armillary.pipeline.graph_drawing import pipeline_dot, pipeline_mermaid, pipeline_svg, pipeline_text


class Pipeline:
    """As much of a pipeline graph as a picture needs."""

    def __init__(self, tasks, description="test <&>"):
        self.description = description
        self._core = Core(None, description, tasks)


def task(label, inputs=(), outputs=()):
    def edge(name):
        return {"connection": name, "dataset_type": name, "storage_class": "Dict", "dimensions": ["instrument"]}

    return {
        "label": label,
        "task_class": "package.Task",
        "dimensions": ["instrument"],
        "config_output": {**edge(f"{label}_config"), "dimensions": []},
        "metadata_output": edge(f"{label}_metadata"),
        "log_output": edge(f"{label}_log"),
        "inputs": [edge(name) for name in inputs],
        "outputs": [edge(name) for name in outputs],
    }


@pytest.fixture(name="diamond")
def diamond_fixture():
    return Pipeline(
        [
            task("a", ["raw"], ["x"]),
            task("b", ["x"], ["y"]),
            task("c", ["x"], ["z"]),
            task("d", ["y", "z", "raw"], ["end"]),
        ]
    )


def test_text_leads_every_edge_to_its_end(diamond):
    lines = pipeline_text(diamond).splitlines()
    assert lines == [
        "○      raw: {instrument} Dict",
        "├─╮",
        "│ ■    a: {instrument}",
        "│ ○    x: {instrument} Dict",
        "│ ├─╮",
        "│ │ ■  b: {instrument}",
        "│ │ ○  y: {instrument} Dict",
        "│ ■ │  c: {instrument}",
        "│ ○ │  z: {instrument} Dict",
        "├─┴─╯",
        "■      d: {instrument}",
        "○      end: {instrument} Dict",
    ]


def test_text_of_tasks_alone(diamond):
    text = pipeline_text(diamond, tasks_only=True)
    assert [line.rpartition("  ")[2] for line in text.splitlines() if ":" in line] == [
        "a: {instrument}",
        "b: {instrument}",
        "c: {instrument}",
        "d: {instrument}",
    ]


def test_automatic_outputs_are_drawn_only_if_someone_reads_them(diamond):
    assert "metadata" not in pipeline_text(diamond)
    reader = Pipeline([task("a", ["raw"], ["x"]), task("b", ["a_metadata"], ["y"])])
    assert "a_metadata" in pipeline_text(reader)
    assert "b_metadata" not in pipeline_text(reader)


def test_an_svg_is_whole_and_its_boxes_do_not_overlap(diamond):
    root = ElementTree.fromstring(pipeline_svg(diamond))
    space = {"svg": "http://www.w3.org/2000/svg"}
    names = [text.text for text in root.findall(".//svg:text[@class='name']", space)]
    assert sorted(names) == ["a", "b", "c", "d", "end", "raw", "x", "y", "z"]
    assert len(root.findall(".//svg:path[@class='edge']", space)) == 10
    assert root.find("svg:title", space).text == "test <&>"
    boxes = [
        tuple(float(box.get(key)) for key in ("x", "y", "width", "height"))
        for box in root.findall(".//svg:g/svg:rect", space)
    ]
    for index, (x, y, width, _) in enumerate(boxes):
        assert x >= 0 and y >= 0 and x + width <= float(root.get("width"))
        for x2, y2, width2, _ in boxes[index + 1 :]:
            assert y != y2 or x + width <= x2 or x2 + width2 <= x


def test_other_languages_name_every_node_and_edge(diamond):
    mermaid = pipeline_mermaid(diamond)
    assert mermaid.startswith("flowchart TD\n") and mermaid.count(" --> ") == 10
    dot = pipeline_dot(diamond)
    assert dot.count(" -> ") == 10 and '"task:a"' in dot


def test_an_empty_pipeline_has_a_picture():
    empty = Pipeline([])
    assert pipeline_text(empty) == ""
    ElementTree.fromstring(pipeline_svg(empty))
    assert pipeline_mermaid(empty).startswith("flowchart TD")


def test_wide_and_long_pipelines_are_drawn():
    tasks = [task(f"t{i}", [f"d{i}", "shared"], [f"d{i + 1}"]) for i in range(60)]
    tasks += [task(f"w{i}", ["d30"], [f"wide{i}"]) for i in range(40)]
    big = Pipeline(tasks)
    text = pipeline_text(big)
    assert len([line for line in text.splitlines() if ":" in line]) == 60 + 40 + 61 + 1 + 40
    ElementTree.fromstring(pipeline_svg(big))
