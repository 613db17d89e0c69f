"""A graph run in a repository: what is registered, what is blocked, what a second run does."""

import json

import pytest

from armillary.butler import Butler, CollectionType
from armillary.errors import (
    ConflictingDefinitionError,
    MissingDatasetTypeError,
    MPGraphExecutorError,
    OutputExistsError,
)
from armillary.pipeline import MPGraphExecutor, SimplePipelineExecutor, SingleQuantumExecutor
from armillary.pipeline.execution import QuantumState, check_dataset_types, initialise_run, run_graph
from pipeline.hand_graph import RUN, HandGraph


class Survey:
    """A repository with raw numbers of three detectors, and the graph that measures them."""

    def __init__(self, root, **options):
        Butler.makeRepo(root)
        self.root = root
        self.butler = Butler(root, writeable=True, run=RUN)
        registry = self.butler.registry
        registry.insertDimensionData(
            "instrument", {"name": "Cam", "visit_max": 9, "exposure_max": 9, "detector_max": 9, "class_name": "x.Cam"}
        )
        for number in range(3):
            name = {"full_name": f"D{number}", "name_in_raft": f"D{number}", "raft": "R", "purpose": "SCIENCE"}
            registry.insertDimensionData("detector", {"instrument": "Cam", "id": number, **name})
        self.graph = HandGraph(**options)
        check_dataset_types(self.graph, self.butler, register=True)
        self.butler.collections.register("raws", CollectionType.RUN)
        for detector, ref in self.graph.raws.items():
            self.butler.put({"detector": detector, "values": [detector, 1]}, ref)

    def change(self, **options):
        """The same graph with another config: the same ids everywhere."""
        other = HandGraph(**options)
        for name in ("pipeline_graph",):
            setattr(self.graph, name, getattr(other, name))

    def run(self, extend_run=False, **options):
        initialise_run(self.graph, self.butler, extend_run=extend_run)
        return run_graph(self.graph, self.butler, progress=False, **options)

    def names(self):
        found = self.butler.query_all_datasets(RUN) if hasattr(self.butler, "query_all_datasets") else []
        return sorted({ref.datasetType.name for ref in found})

    def count(self, name):
        return len(self.butler.query_datasets(name, RUN, explain=False))


@pytest.fixture
def survey(tmp_path):
    made = []

    def make(**options):
        made.append(Survey(tmp_path / "repo", **options))
        return made[-1]

    yield make
    for each in made:
        each.butler.close()


def test_everything_is_registered_and_readable(survey):
    s = survey()
    report = s.run()
    assert report.exit_code == 0
    assert report.counts == {"measure": {"finished": 3}, "sum": {"finished": 1}}
    assert s.butler.get("total", instrument="Cam", collections=RUN) == {"sum": 6, "columns": ["x"]}
    assert [s.count(name) for name in ("measured", "measure_metadata", "measure_log", "sum_log")] == [3, 3, 3, 1]
    assert s.butler.get("measure_config", collections=RUN).mode == "ok"
    assert s.butler.get("packages", collections=RUN)["python"]


def test_another_butler_sees_it(survey):
    s = survey()
    s.run()
    with Butler(s.root) as other:
        assert other.get("measured", instrument="Cam", detector=2, collections=RUN) == {"sum": 3}


def test_failure_blocks_only_what_is_downstream(survey):
    s = survey(mode="fail", only_detector=1)
    report = s.run()
    assert report.exit_code == 1
    assert report.counts == {"measure": {"finished": 2, "failed": 1}, "sum": {"blocked": 1}}
    assert s.count("measured") == 2
    assert s.count("measure_log") == 3
    assert report.closing_line().startswith("4 quanta: 2 finished, 1 failed, 1 blocked in ")


def test_no_work_is_counted_as_such(survey):
    report = survey(mode="nothing", only_detector=1).run()
    assert report.exit_code == 0
    assert report.counts["measure"] == {"finished": 2, "no work": 1}


FAST = {"fail_fast": True}


@pytest.mark.parametrize(
    ("mode", "options", "code"),
    [("repeatable", {}, 1), ("repeatable", FAST, 20), ("invalid", {}, 21), ("fail", FAST, 1)],
)
def test_exit_codes(survey, mode, options, code):
    report = survey(mode=mode, only_detector=0).run(**options)
    assert report.exit_code == code
    assert len(report.outcomes) == 4


def test_stopped_run_tells_what_was_not_tried(survey):
    report = survey(mode="fail", only_detector=0).run(fail_fast=True)
    assert report.count(QuantumState.PENDING) == 2
    assert report.count(QuantumState.BLOCKED) == 1


def test_second_run_skips_what_is_done(survey):
    s = survey()
    s.run()
    report = s.run(extend_run=True, skip_existing=True)
    assert report.exit_code == 0
    assert report.counts == {"measure": {"skipped": 3}, "sum": {"skipped": 1}}


def test_second_run_needs_leave(survey):
    s = survey()
    s.run()
    with pytest.raises(ConflictingDefinitionError, match="--extend-run"):
        s.run()
    with pytest.raises(OutputExistsError, match="--clobber-outputs"):
        s.run(extend_run=True)


def test_clobbering_replaces_outputs(survey):
    s = survey()
    s.run()
    report = s.run(extend_run=True, clobber_outputs=True)
    assert report.counts == {"measure": {"finished": 3}, "sum": {"finished": 1}}
    assert s.count("measured") == 3


def test_log_of_a_failure_blocks_no_retry(survey):
    s = survey(mode="fail", only_detector=1)
    s.run()
    report = s.run(extend_run=True, skip_existing=True)
    assert report.counts == {"measure": {"skipped": 2, "failed": 1}, "sum": {"blocked": 1}}
    (attempt,) = s.butler.get("measure_log", instrument="Cam", detector=1, collections=RUN).extra["previous_attempts"]
    assert attempt["exception"]["message"] == "asked to fail"
    assert any("asked to fail" in record["message"] for record in attempt["logs"])


def test_other_config_is_refused_for_the_same_run(survey, caplog):
    s = survey()
    s.run()
    s.change(mode="some")
    with pytest.raises(ConflictingDefinitionError, match="`mode`"):
        s.run(extend_run=True)
    assert "Comparing configuration: mode: " in caplog.text


def test_unregistered_types_are_all_named_before_anything_is_written(survey):
    s = survey()
    other = HandGraph()
    s.butler.registry.removeDatasetType("total")
    s.butler.registry.removeDatasetType("sum_log")
    with pytest.raises(MissingDatasetTypeError, match="--register-dataset-types") as caught:
        check_dataset_types(other, s.butler, register=False)
    assert "`sum_log`" in str(caught.value)
    assert "`total`" in str(caught.value)


def test_report_file_has_the_keys_of_the_peer(survey, tmp_path):
    report = survey(mode="fail", only_detector=1).run()
    report.write_summary(str(tmp_path / "report.json"))
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["status"] == "failure"
    assert content["exitCode"] == 1
    assert content["qgraphSummary"]["outputRun"] == RUN
    assert content["qgraphSummary"]["qgraphTaskSummaries"]["measure"] == {
        "taskLabel": "measure",
        "numQuanta": 3,
        "numInputs": {"raw_numbers": 3},
        "numOutputs": {"measured": 3, "measured_extra": 3, "measure_metadata": 3, "measure_log": 3},
    }
    told = {(one["taskLabel"], one["dataId"].get("detector")): one for one in content["quantaReports"]}
    assert told["measure", 1]["status"] == "failure"
    assert told["measure", 1]["exceptionInfo"] == {"className": "RuntimeError", "message": "asked to fail"}
    assert {one["status"] for one in content["quantaReports"]} == {"success", "failure", "skipped"}


def test_no_intent_is_left_behind(survey):
    s = survey(mode="fail", only_detector=1)
    s.run()
    assert s.butler._core_registry.announced_files() == []


def test_executor_object_raises_at_the_end(survey):
    s = survey(mode="fail", only_detector=1)
    initialise_run(s.graph, s.butler)
    executor = MPGraphExecutor(num_proc=1, quantum_executor=SingleQuantumExecutor(butler=s.butler))
    with pytest.raises(MPGraphExecutorError, match="2 finished, 1 failed, 1 blocked"):
        executor.execute(s.graph)
    assert executor.getReport().count(QuantumState.FAILED) == 1


def test_simple_executor_raises_what_the_task_raised(survey):
    s = survey(mode="fail", only_detector=1)
    with pytest.raises(RuntimeError, match="asked to fail"):
        SimplePipelineExecutor(s.graph, s.butler).run()


def test_simple_executor_returns_what_it_ran(survey):
    s = survey()
    quanta = SimplePipelineExecutor(s.graph, s.butler).run(register_dataset_types=True)
    assert [quantum.dataId.get("detector") for quantum in quanta] == [0, 1, 2, None]
    assert s.butler.get("total", instrument="Cam", collections=RUN)["sum"] == 6
