"""`--mock`: pipelines are tried out without running their tasks; mock datasets say what they were made from."""

import json

import pytest

from armillary.butler import Butler, DatasetType
from armillary.pipeline.tests import mocks
from armillary.testing import fill_small_repository, small_repository
from cli.programs import butler, pipetask
from reports import moody

WHERE = "instrument='Cam' AND day_obs=20250101 AND detector=1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mocks")
    moody.make_repository(folder / "repo")
    (folder / "moody.yaml").write_text(moody.PIPELINE)
    return folder


def run(folder, run, *more):
    words = ["-b", folder / "repo", "-p", folder / "moody.yaml", "-i", "in", "--output-run", run, "--mock"]
    return pipetask("run", *words, "--unmocked-dataset-types", "numbers", "--register-dataset-types", *more)


def test_mock_datasets_tell_what_they_were_made_from(folder):
    ended = run(folder, "whole")
    assert ended.code == 0, ended.err
    assert "8 quanta: 8 finished" in ended.err
    with Butler(folder / "repo", collections=["whole"]) as repository:
        second = repository.get("_mock_second_out", instrument="Cam", detector=2)
        assert second.storage_class == "_mock_StructuredDataDict"
        assert (second.quantum.task_label, second.output_connection_name) == ("_mock_second", "second")
        inputs = second.quantum.inputs["first"]
        assert [one.data_id["day_obs"] for one in inputs] == [20250101, 20250102, 20250103]
        assert {one.quantum for one in inputs} == {None}
        first = repository.get("_mock_first_out", instrument="Cam", detector=2, day_obs=20250101)
        assert first.dataset_id == inputs[0].dataset_id
        assert first.quantum.inputs["numbers"][0].dataset_type["name"] == "numbers"
        assert repository.get("_mock_first_schema").output_connection_name == "schema"
        assert len(repository.query_datasets("_mock_first_metadata")) == 6


def test_a_mock_fails_where_it_is_told_to(folder):
    ended = run(folder, "failed", "--mock-failure", f"first:ValueError:{WHERE}", "-q", folder / "failed.qg")
    assert ended.code == 1
    assert "1 failed" in ended.err
    assert "1 blocked" in ended.err
    assert "ValueError: task `_mock_first` was told to fail" in ended.err
    told = butler("aggregate-graph", folder / "failed.qg", folder / "repo").out
    assert told.startswith("6 successful, 1 blocked, 1 failed")


def test_a_mock_finds_no_work_or_has_enough_memory(folder):
    nothing = run(folder, "nothing", "--mock-failure", f"first:lsst.pipe.base.NoWorkFound:{WHERE}")
    assert nothing.code == 0, nothing.err
    assert "1 no work" in nothing.err
    partial = f"first:lsst.pipe.base.AnnotatedPartialOutputsError:{WHERE}"
    assert run(folder, "partial", "--mock-failure", partial, "--no-raise-on-partial-outputs").code == 0
    assert run(folder, "memory", "--mock-failure", f"first::{WHERE}:4GB").code == 1


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        ("first:ValueError", "write `LABEL:EXCEPTION:WHERE`"),
        (f"frist::{WHERE}", "no task is labelled `frist`; did you mean `first`?"),
        ("first::detector = = 1", "the condition `detector = = 1` cannot be understood"),
        (f"first:NoSuchError:{WHERE}", "NoSuchError"),
    ],
)
def test_mistakes_are_told(failure, told, folder):
    ended = run(folder, "mistakes", "--mock-failure", failure)
    assert ended.code in (1, 2)
    assert told in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("detector = 2", True),
        ("detector != 2 OR band = 'r'", True),
        ("detector IN (1, 5..9:2)", False),
        ("detector in (2..4) and not band = 'g'", True),
        ("detector NOT IN (2)", False),
        ("detector >= 2 AND detector < 3", True),
    ],
)
def test_conditions_on_data_ids(expression, holds):
    assert mocks.DataIdMatch(expression).match({"detector": 2, "band": "r"}) is holds


def test_conditions_run_no_code():
    with pytest.raises(ValueError, match="no value and no dimension"):
        mocks.DataIdMatch("__import__('os').getpid() = 1").match({"detector": 2})
    with pytest.raises(KeyError, match="did you mean `detector`"):
        mocks.DataIdMatch("detectr = 1").match({"detector": 2})


def test_components_and_types_of_mocks():
    storage_class = mocks.MockStorageClass.get_or_register_mock("ArrowAstropy")
    assert storage_class.pytype is mocks.MockDataset
    assert storage_class.component("columns").name == "_mock_ArrowColumnList"
    with small_repository(run="u/me") as repository:
        original = DatasetType("table", ["instrument"], "ArrowAstropy", universe=repository.dimensions)
        mocked = mocks.MockStorageClass.mock_dataset_type(original)
        assert (mocked.name, mocked.storageClass_name) == ("_mock_table", "_mock_ArrowAstropy")
        assert mocks.MockStorageClass.unmock_dataset_type(mocked) == original
        repository.registry.registerDatasetType(mocked)
        data_id = {"instrument": "Cam"}
        plain = mocked.to_simple().model_dump()
        ref = repository.put(mocks.MockDataset(None, plain, data_id, "u/me"), mocked, data_id)
        columns = repository.get(ref.makeComponentRef("columns"))
        assert columns.storage_class == "_mock_ArrowColumnList"
        assert columns.parent.storage_class == "_mock_ArrowAstropy"
        read = repository.get(ref, parameters={"columns": ["a"]})
        assert read.parameters == {"columns": "['a']"}
        assert json.loads(read.model_dump_json())["dataset_type"]["name"] == "_mock_table"
    with pytest.raises(ValueError, match="not the name of a mock"):
        mocks.get_original_name("table")


def test_a_pipeline_of_test_tasks_is_built_and_run_in_a_few_lines():
    with mocks.DirectButlerRepo.make_temporary() as (repo, _):
        fill_small_repository(repo.butler)
        repo.add_task(dimensions=["detector"])
        config = mocks.DynamicTestPipelineTaskConfig()
        config.int_value, config.fail_condition = 7, "detector = 1"
        repo.add_task("last", config=config, dimensions=["detector"])
        graph = repo.make_quantum_graph()
        assert [label for _, label in graph.quanta()] == ["task_auto1"] * 2 + ["last"] * 2
        executor, butler = repo.make_single_quantum_executor(graph)
        quanta = graph.build_execution_quanta()
        for quantum_id, label in graph.quanta():
            outcome = executor.run_quantum(graph.pipeline_graph.tasks[label], quanta[quantum_id], quantum_id)
            failed = label == "last" and quanta[quantum_id].dataId["detector"] == 1
            assert outcome.state.is_failure is failed
        made = butler.get("dataset_auto2", instrument="Cam", detector=2)
        assert (made.int_value, made.quantum.task_label) == (7, "last")
        assert made.quantum.inputs["input_connection"][0].dataset_type["name"] == "dataset_auto1"
        assert len(butler.query_datasets("dataset_auto2")) == 1
