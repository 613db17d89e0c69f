"""Looking things up in a graph under the names that users' code knew before."""

import io

import pytest

from armillary.errors import IncompleteQuantumGraphError
from armillary.pipeline import QuantumGraph
from armillary.pipeline.directed_graph import DirectedGraph
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


def named(nodes):
    return sorted((node.taskDef.label, node.quantum.dataId.get("detector")) for node in nodes)


def test_parts_are_graphs_of_the_nodes_with_their_ids(graph):
    total = next(iter(graph.getNodesForTask(graph.findTaskDefByLabel("sum"))))
    measure = next(iter(graph.getNodesForTask(graph.findTaskDefByLabel("measure"))))
    part = graph.subset([measure, total])
    assert set(part) == {measure, total}
    assert (list(part.inputQuanta), list(part.outputQuanta), part.isConnected) == ([measure], [total], True)
    assert labels(graph.subset(measure).taskGraph) == ["measure"]
    assert set(part.subset(total)) == {total}
    assert len(graph.subset([])) == 0
    with pytest.raises(LookupError, match="of task `sum` is not in this graph"):
        graph.subset(measure).subset(total)
    assert named(graph.determineAncestorsOfQuantumNode(total)) == named(graph)
    assert named(graph.determineConnectionsOfQuantumNode(measure)) == named([measure, total])
    assert named(graph.determineAncestorsOfQuantumNode(measure)) == named([measure])
    assert [len(one) for one in graph.subsetToConnected()] == [N_DETECTORS + 1]
    measures = graph.subset(graph.getNodesForTask(measure.taskDef))
    assert [len(one) for one in measures.subsetToConnected()] == [1] * N_DETECTORS


def test_a_graph_that_was_read_in_part_has_parts_too(graph, tmp_path):
    graph.saveUri(tmp_path / "copy.qg")
    measures = list(graph.getNodesForTask(graph.findTaskDefByLabel("measure")))
    part = QuantumGraph.loadUri(tmp_path / "copy.qg", nodes=[node.nodeId for node in measures])
    assert set(part.subset(measures[0])) == {measures[0]}


def test_a_graph_goes_to_another_run(graph):
    changed = QuantumGraph(graph.predicted)
    before = {ref.id for node in graph for refs in node.quantum.outputs.values() for ref in refs}
    changed.updateRun("u/me/second", metadata_key="output_run")
    outputs = [ref for node in changed for refs in node.quantum.outputs.values() for ref in refs]
    assert {ref.run for ref in outputs} == {"u/me/second"} == {changed.metadata["output_run"]}
    assert not before & {ref.id for ref in outputs}
    assert named(changed) == named(graph)
    with pytest.raises(ValueError, match="as `output_run`, not as `other`"):
        changed.updateRun("u/me/third", metadata_key="other")
    with pytest.raises(TypeError, match="change the whole graph"):
        changed.subset(next(iter(changed))).updateRun("u/me/third")


def test_no_graph_has_a_cycle_and_one_would_be_found(graph):
    assert graph.findCycle() == []
    knot = QuantumGraph(graph.predicted)
    first, second = list(graph)[:2]
    knot.__dict__["graph"] = DirectedGraph({node: {} for node in graph}, [(first, second), (second, first)])
    assert {frozenset(edge) for edge in knot.findCycle()} == {frozenset((first, second))}


def test_a_graph_is_saved_whole_and_as_qg_only(graph, tmp_path):
    stream = io.BytesIO()
    graph.save(stream)
    stream.seek(0)
    assert set(QuantumGraph.load(stream)) == set(graph)
    with pytest.raises(ValueError, match=r"let the name end in `\.qg`"):
        graph.saveUri(tmp_path / "run.qgraph")
    with pytest.raises(IncompleteQuantumGraphError):
        graph.subset(next(iter(graph))).saveUri(tmp_path / "part.qg")
    assert list(tmp_path.iterdir()) == []


def test_either_name_shows_the_same_graph(graph):
    predicted = graph.predicted
    assert set(predicted.to_old_quantum_graph()) == set(graph)
    assert type(predicted).from_old_quantum_graph(graph) is predicted
    assert graph.universe.version >= 6
    assert "total" in {one.name for one in graph.registryDatasetTypes()}
