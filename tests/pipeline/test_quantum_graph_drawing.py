"""Drawings of a quantum graph: everything is in them once, and looks as in the drawings of pipelines."""

import re

import pytest

from armillary.pipeline.graph_drawing import DOT_STYLES, MERMAID_STYLES
from armillary.pipeline.pipeline_nodes import TaskImportMode
from armillary.pipeline.quantum_graph import PredictedQuantumGraph
from armillary.pipeline.quantum_graph_drawing import quantum_graph_dot, quantum_graph_mermaid
from conftest import shared_path


@pytest.fixture(scope="module", name="graph")
def graph_fixture():
    path = shared_path("graph-fixtures", "peer", "ab.qg")
    with PredictedQuantumGraph.open(path, import_mode=TaskImportMode.DO_NOT_IMPORT) as reader:
        reader.read_all()
        return reader.finish()


def uses_of(graph):
    """Pairs of quantum and dataset, and of how many of them the dataset is a prerequisite."""
    pairs, looked_up = 0, 0
    for quantum_id, label in graph.quanta():
        names = {one.dataset_type_name for one in graph.pipeline_graph.tasks[label].prerequisite_inputs.values()}
        for side in (graph.get_inputs(quantum_id), graph.get_outputs(quantum_id)):
            refs = [ref for refs in side.values() for ref in refs]
            pairs += len(refs)
            looked_up += sum(ref.datasetType.name in names for ref in refs)
    return pairs, looked_up


def test_dot_has_every_quantum_dataset_and_use(graph):
    text = quantum_graph_dot(graph)
    pairs, looked_up = uses_of(graph)
    assert looked_up > 0
    assert text.count(DOT_STYLES["task"]) == len(graph.quanta())
    assert len(re.findall(r"^  \w+ -> \w+", text, re.M)) == pairs
    assert text.count("[style=dashed]") == looked_up
    names = re.findall(r"^  (\w+) \[label", text, re.M)
    assert len(names) == len(set(names)) == text.count("[label=")


def test_mermaid_has_every_quantum_dataset_and_use(graph):
    text = quantum_graph_mermaid(graph)
    pairs, looked_up = uses_of(graph)
    assert text.count(":::task") == len(graph.quanta())
    assert len(re.findall(r"^  \w+ -\.?->", text, re.M)) == pairs
    assert text.count("-.->") == looked_up
    assert all(style in text for style in MERMAID_STYLES)
