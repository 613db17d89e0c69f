"""Why a graph has so many quanta, or none; tables of data IDs; quanta that lead nowhere."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from astropy.table import Table

from armillary.butler import Butler
from armillary.errors import QuantumGraphBuilderError
from armillary.pipeline import PipelineGraph
from armillary.pipeline.all_dimensions_quantum_graph_builder import AllDimensionsQuantumGraphBuilder
from pipeline.execution_tasks import MeasureTask
from pipeline.test_resume import N_DETECTORS, RUN, make_pipeline, make_repository


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("explained") / "repo"
    make_repository(root)
    return root


def explained(root, where="", inputs=("raws",), **options):
    with Butler(root, collections=list(inputs)) as butler:
        builder = AllDimensionsQuantumGraphBuilder(
            make_pipeline(), butler, where=where, input_collections=list(inputs), output_run=RUN, **options
        )
        components = builder.finish(attach_datastore_records=False)
        return components, builder.explanation(components)


def test_every_condition_is_counted_and_a_whole_graph_needs_no_advice(repository):
    components, explanation = explained(repository, "instrument = 'Cam' AND detector < 3")
    ((labels, stages),) = explanation.parts
    assert labels == ("measure", "sum")
    assert [stage.rows for stage in stages] == [N_DETECTORS, 3, 3]
    assert {funnel.label: funnel.remaining for funnel in explanation.funnels} == components.header.n_task_quanta
    assert explanation.suggestion == ""


@pytest.mark.parametrize(
    ("where", "inputs", "advice"),
    [
        ("instrument = 'Cam' AND detector = 77", ("raws",), "no rows satisfy `detector = 77`"),
        ("instrument = 'Cxm'", ("raws",), "change the data query"),
        ("instrument = 'Cam'", ("empty",), "add `-i raws`: that is where datasets `raw_numbers` are"),
    ],
)
def test_the_first_condition_without_rows_is_what_the_advice_is_about(where, inputs, advice, repository):
    with Butler(repository, writeable=True) as butler:
        butler.collections.register("empty")
    components, explanation = explained(repository, where, inputs)
    assert components.header.n_quanta == 0
    assert advice in explanation.suggestion
    assert f"suggestion: {explanation.suggestion}" in str(explanation)


def test_qgraph_explains(repository):
    arguments = ["-b", str(repository), "-i", "raws", "--output-run", RUN, "-d", "instrument='Cam' AND detector=9999"]
    tasks = ["-t", "pipeline.execution_tasks.MeasureTask:measure"]
    code = "import sys; from armillary.cli.pipetask import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "qgraph", *arguments, *tasks]
    for extra, stream in ((["--explain"], "stdout"), ([], "stderr")):
        done = subprocess.run([*command, *extra], capture_output=True, text=True, cwd="tests", timeout=60)
        assert done.returncode == 1
        assert "suggestion: change the data query: no rows satisfy `detector=9999`" in getattr(done, stream)
        assert "measure: 0 data IDs -> 0 quanta" in getattr(done, stream)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("raw_nombers", "did you mean `raw_numbers`? Else leave its task out"),
        ("starlight", "check its name, or leave its task out"),
    ],
)
def test_input_that_is_not_registered_is_told_with_the_nearest_that_is(name, told, repository):
    pipeline = PipelineGraph(description="measure")
    config = MeasureTask.ConfigClass()
    config.connections.raw = name
    pipeline.add_task("measure", MeasureTask, config)
    with Butler(repository, collections=["raws"]) as butler:
        builder = AllDimensionsQuantumGraphBuilder(pipeline, butler, input_collections=["raws"], output_run=RUN)
        with pytest.raises(QuantumGraphBuilderError) as caught:
            builder.finish(attach_datastore_records=False)
    assert f"overall input `{name}` were found: the dataset type is not even registered; {told}" in str(caught.value)


def test_only_data_ids_of_a_table_are_used(repository):
    table = Table({"detector": [1, 4, 4], "instrument": ["Cam"] * 3})
    components, _ = explained(repository, data_id_tables=[table])
    assert components.header.n_task_quanta == {"measure": 2, "sum": 1}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"detectr": [1]}, "this one has `detectr`"),
        ({"detector": [1]}, "no column `instrument`"),
        ({}, "this one has nothing"),
    ],
)
def test_tables_that_say_nothing_are_refused(columns, message, repository):
    with pytest.raises(ValueError, match=message):
        explained(repository, data_id_tables=[Table(columns)])


def test_quanta_that_lead_nowhere_go(repository, caplog):
    whole, _ = explained(repository, "instrument = 'Cam'")
    same, _ = explained(repository, "instrument = 'Cam'", prune_unanchored_quanta=("measure", "sum"))
    assert same.header.n_task_quanta == whole.header.n_task_quanta
    none, explanation = explained(repository, "instrument = 'Cam'", prune_unanchored_quanta=("measure", "zzz"))
    assert none.header.n_quanta == 0
    assert [funnel.unanchored for funnel in explanation.funnels] == [N_DETECTORS, 1]
    assert "has no task `zzz`" in caplog.text


@pytest.mark.parametrize("text", ["a", "a:", ":b", "a:b:c"])
def test_a_pair_of_labels_is_a_pair(text):
    import click

    from armillary.cli.graph_inputs import anchor_of

    with pytest.raises(click.BadParameter, match="is not SOURCE:ANCHOR"):
        anchor_of(text)


def test_the_older_names_show_the_same_graph(repository, tmp_path):
    from armillary.pipeline import QuantumGraph, QuantumNode

    components, _ = explained(repository, "instrument = 'Cam' AND detector < 3")
    path = tmp_path / "graph.qg"
    components.write(path)
    graph = QuantumGraph.loadUri(path)
    assert len(graph) == 4
    assert json.loads(QuantumGraph.readHeader(path))["n_quanta"] == 4
    assert [task.label for task in graph.iterTaskGraph()] == ["measure", "sum"]
    (last,) = graph.outputQuanta
    assert isinstance(last, QuantumNode)
    assert graph.determineInputsToQuantumNode(last) == set(graph.inputQuanta)
    assert last in graph
    assert len(graph.getNodesForTask(graph.findTaskDefByLabel("measure"))) == 3
    summary = graph.getSummary()
    assert summary.outputRun == RUN
    assert summary.qgraphTaskSummaries["measure"].numInputs == {"raw_numbers": 3}
    one = QuantumGraph.loadUri(path, nodes=[last.nodeId])
    assert [node.nodeId for node in one] == [last.nodeId]
    with pytest.raises(LookupError):
        QuantumGraph.loadUri(path, nodes=["01900000-0000-7000-8000-000000000000"])
    with pytest.raises(ValueError, match="is of build"):
        QuantumGraph.loadUri(path, graphID="another")
