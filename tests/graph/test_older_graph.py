"""Looking things up in a graph under the names that users' code knew before."""

import io

import pytest

from armillary.pipeline import QuantumGraph
from armillary.pipeline.quantum_graph_drawing import quantum_graph_dot
from pipeline.test_resume import N_DETECTORS, RUN, make_pipeline, make_repository


@pytest.fixture(scope="module", name="graph")
def graph_fixture(tmp_path_factory):
    from armillary.butler import Butler
    from armillary.pipeline.all_dimensions_quantum_graph_builder import AllDimensionsQuantumGraphBuilder

    folder = tmp_path_factory.mktemp("graph")
    make_repository(folder / "repo")
    with Butler(folder / "repo", collections=["raws"]) as butler:
        AllDimensionsQuantumGraphBuilder(
            make_pipeline(), butler, input_collections=["raws"], output_run=RUN
        ).finish().write(folder / "run.qg")
    return QuantumGraph.loadUri(folder / "run.qg")


def labels(tasks):
    return [task.label for task in tasks]


def test_tasks_are_found_by_what_they_read_and_write(graph):
    assert graph.findTaskWithOutput("measured").label == "measure"
    assert graph.findTaskWithOutput("raw_numbers") is None
    assert graph.findTaskWithOutput("nothing") is None
    assert labels(graph.findTasksWithInput("measured")) == ["sum"]
    assert labels(graph.findTasksWithInput("total")) == labels(graph.findTasksWithInput("nothing")) == []
    assert labels(graph.tasksWithDSType("measured")) == ["measure", "sum"]
    assert graph.findTaskWithOutput("measured_schema") is None, "that is written when the task is made"


def test_quanta_are_found_by_their_datasets(graph):
    assert graph.findQuantaWithDSType("measured") == set(graph)
    assert graph.findQuantaWithDSType("total") == graph.getNodesForTask(graph.findTaskDefByLabel("sum"))
    assert len(graph.findQuantaWithDSType("raw_numbers")) == N_DETECTORS
    assert graph.findQuantaWithDSType("nothing") == set()


def test_quanta_of_the_graph_are_known(graph, tmp_path):
    node = next(iter(graph))
    assert graph.checkQuantumInGraph(node.quantum)
    graph.saveUri(tmp_path / "copy.qg")
    part = QuantumGraph.loadUri(tmp_path / "copy.qg", nodes=[node.nodeId])
    others = [other for other in graph if other != node]
    assert part.checkQuantumInGraph(node.quantum) and not part.checkQuantumInGraph(others[0].quantum)


def test_connected_is_what_hangs_together(graph, tmp_path):
    assert graph.isConnected
    graph.saveUri(tmp_path / "copy.qg")
    measures = graph.getNodesForTask(graph.findTaskDefByLabel("measure"))
    assert not QuantumGraph.loadUri(tmp_path / "copy.qg", nodes=[node.nodeId for node in measures]).isConnected


def test_init_datasets_are_found_by_label(graph):
    assert [ref.datasetType.name for ref in graph.get_init_input_refs("sum")] == ["measured_schema"]
    assert sorted(ref.datasetType.name for ref in graph.get_init_output_refs("measure")) == [
        "measure_config",
        "measured_schema",
    ]
    assert [ref.datasetType.name for ref in graph.get_init_output_refs("")] == ["packages"]


def test_drawing_goes_to_a_file_or_a_stream(graph, tmp_path):
    stream = io.BytesIO()
    graph.writeDotGraph(stream)
    graph.writeDotGraph(str(tmp_path / "graph.dot"))
    assert stream.getvalue() == (tmp_path / "graph.dot").read_bytes() == quantum_graph_dot(graph.predicted).encode()
