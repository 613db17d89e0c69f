"""Options of `pipetask run` and its kin, each with what it changes: four quanta of `measure`, two of `sum`."""

import json
import pstats

import pytest

from armillary.butler import Butler
from cli.conftest import check_files_and_rows
from cli.programs import butler as butler_command
from cli.programs import pipetask


def run(workshop, *options, run="out/run", pipeline=None, **how):
    words = ["-b", workshop.repo, "-p", pipeline or workshop.pipeline, "-i", "in", "--output-run", run]
    return pipetask("run", *words, "--register-dataset-types", *options, **how)


def count(workshop, name, run="out/run"):
    with Butler(workshop.repo, collections=run) as butler:
        return len(butler.query_datasets(name, run, explain=False))


@pytest.fixture
def graph(workshop):
    path = workshop.folder / "run.qg"
    words = ["-b", workshop.repo, "-p", workshop.pipeline, "-i", "in", "--output-run", "out/run", "-q", path]
    ended = pipetask("qgraph", *words, "--qgraph-datastore-records")
    assert ended.code == 0, ended.err
    return path


def test_profile_and_summary_of_two_processes(workshop):
    profile, summary = workshop.folder / "run.prof", workshop.folder / "run.json"
    ended = run(workshop, "-j", 2, "--profile", profile, "--summary", summary, "--start-method", "spawn")
    assert ended.code == 0, ended.err
    assert any("run_quantum" in name for _, _, name in pstats.Stats(str(profile)).stats)
    told = json.loads(summary.read_text())
    assert told["status"] == "success"
    assert len(told["quantaReports"]) == 6
    assert not list(workshop.folder.glob(".armillary-profile-*"))


def test_resources_limit_and_are_told(workshop):
    options = ["-n", 2, "--memory-per-quantum", "2GB", "--enforce-memory", "--recycle-above", "1", "-j", 2]
    ended = run(workshop, *options, "--enable-implicit-threading", "--timeout", 60)
    assert ended.code == 0, ended.err  # with 1 MB allowed, each process is replaced after its quantum
    assert count(workshop, "measured") == 4
    for wrong in (["--enforce-memory"], ["--memory-per-quantum", "much"], ["--pdb", "-j", 2], ["--retry", "OSError"]):
        refused = run(workshop, *wrong, run="out/other")
        assert refused.code in (1, 2), wrong
        assert "error: " in refused.err
        assert "Traceback" not in refused.err


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_executors_by_name(workshop, executor):
    ended = run(workshop, "--executor", executor, "-j", 2)
    assert ended.code == 0, ended.err
    check_files_and_rows(workshop)
    assert (
        "no executor is called `thread`; did you mean `threads`" in run(workshop, "--executor", "thread", run="o").err
    )


FATAL = """\
description: Fails.
tasks:
  measure:
    class: options_tasks.FailingTask
"""
TASKS = """\
import small_tasks

class FailingTask(small_tasks.MeasureTask):
    _DefaultName = "failing"
    ConfigClass = small_tasks.MeasureTask.ConfigClass

    def runQuantum(self, butlerQC, inputRefs, outputRefs):
        raise KeyError("no such star")

import sys
seen = []
def post_mortem(traceback):
    print("LOOKED AT", traceback.tb_frame.f_code.co_name)

class Sorted:
    def fixup_graph(self, xgraph, quanta_by_task):
        print("FIXED", len(xgraph))
"""


@pytest.fixture
def failing(workshop):
    from cli.programs import HERE

    modules = workshop.folder / "modules"
    modules.mkdir()
    (modules / "options_tasks.py").write_text(TASKS)
    (modules / "debug.py").write_text("print('DEBUG IMPORTED')\n")
    path = workshop.write("failing.yaml", FATAL)
    return {"pipeline": path, "path": (HERE / "modules", modules)}


def test_fail_fast_stops_and_retry_tries_again(workshop, failing):
    summary = workshop.folder / "s.json"
    ended = run(workshop, "--fail-fast", "--retry", "KeyError=1", "--retry", "0", "--summary", summary, **failing)
    assert ended.code == 1
    assert "4 quanta: 1 failed, 3 pending" in ended.err
    assert ended.err.count("is tried again") == 1
    states = [one["status"] for one in json.loads(summary.read_text())["quantaReports"]]
    assert sorted(states) == ["failure", "skipped", "skipped", "skipped"]


def test_debugger_fixup_and_debug_module(workshop, failing):
    options = ["--pdb", "options_tasks", "--fail-fast", "--graph-fixup", "options_tasks.Sorted", "--debug"]
    ended = run(workshop, *options, **failing)
    assert ended.code == 1
    assert "LOOKED AT" in ended.out
    assert "FIXED 4" in ended.out
    assert "DEBUG IMPORTED" in ended.out
    assert "has no `Sort`" in run(workshop, "--graph-fixup", "options_tasks.Sort", run="o", **failing).err


def test_what_is_written_before_the_first_quantum_can_be_left_out(workshop):
    assert run(workshop, "--no-versions", "--init-only").code == 0
    assert count(workshop, "measure_config") == 1
    with Butler(workshop.repo) as butler:
        assert not butler.registry.queryDatasetTypes("packages") or count(workshop, "packages") == 0
    ended = run(workshop, "--extend-run", "--skip-init-writes")
    assert ended.code == 0, ended.err
    assert (count(workshop, "sum_config"), count(workshop, "measured")) == (1, 4)


def test_a_run_can_be_replaced_and_a_chain_rebased(workshop):
    words = ["run", "-b", workshop.repo, "-p", workshop.pipeline, "-o", "out", "--register-dataset-types"]
    assert pipetask(*words, "-i", "in", "--output-run", "out/1").code == 0
    ended = pipetask(*words, "--replace-run", "--prune-replaced", "purge", "--output-run", "out/2")
    assert ended.code == 0, ended.err
    with Butler(workshop.repo) as butler:
        assert list(butler.collections.get_info("out").children) == ["out/2", "in"]
        assert "out/1" not in butler.collections.query("*")
    butler_command("collection-chain", workshop.repo, "more", "in")
    Butler(workshop.repo, writeable=True, run="other").close()
    ended = pipetask(*words, "-i", "other", "--output-run", "out/3")
    assert ended.code != 0
    told = "the chain `out` was made with the inputs `in`, and those given are `other`; leave `-i` out"
    assert told in " ".join(ended.err.split())
    ended = pipetask(*words, "-i", "more", "--rebase", "--output-run", "out/3")
    assert ended.code == 0, ended.err
    with Butler(workshop.repo) as butler:
        assert next(iter(butler.collections.get_info("out").children)) == "out/3"


IDS = """\
# %ECSV 1.0
# ---
# datatype:
# - {name: instrument, datatype: string}
# - {name: detector, datatype: int64}
# schema: astropy-2.0
instrument detector
Cam 2
"""


def test_data_ids_come_from_a_table_and_tasks_are_selected(workshop):
    table = workshop.write("ids.ecsv", IDS)
    options = ["--data-id-table", table, "--select-tasks", "measure", "--dataset-query-constraint", "off"]
    assert run(workshop, *options).code == 0
    assert count(workshop, "measured") == 2
    assert "is not SOURCE:ANCHOR" in run(workshop, "--prune-unanchored-quanta", "measure", run="o").err
    ended = run(workshop, "--prune-unanchored-quanta", "measure:sum", run="out/pruned")
    assert ended.code == 0, ended.err
    assert count(workshop, "measured", "out/pruned") == 4
    assert run(workshop, "--delete", "sum", run="out/one").code == 0
    assert count(workshop, "measured", "out/one") == 4


def test_retained_types_force_what_makes_the_others(workshop):
    assert run(workshop).code == 0
    retained = workshop.write("retained.yaml", "- measured\n")
    options = ["--skip-existing-in", "out/run", "--retained-dataset-types", retained, "-c", "sum:scale=2"]
    ended = run(workshop, *options, run="out/again")
    assert (ended.code, ended.told()) == (0, "nothing to do: 6 quanta already succeeded"), ended.err


def test_drawings_are_written(workshop):
    names = {"--pipeline-dot": "p.dot", "--pipeline-mermaid": "p.mmd", "--pipeline-svg": "p.svg"}
    options = [word for key, name in names.items() for word in (key, workshop.folder / name)]
    more = {"--qgraph-dot": "q.dot", "--qgraph-mermaid": "q.mmd"}
    assert pipetask("build", "-p", workshop.pipeline, *options).code == 0
    for name in names.values():
        assert "measure" in (workshop.folder / name).read_text()
    options = [word for key, name in more.items() for word in (key, workshop.folder / name)]
    assert run(workshop, *options).code == 0
    assert "digraph" in (workshop.folder / "q.dot").read_text()
    assert "measure" in (workshop.folder / "q.mmd").read_text()


def test_coverage_of_tasks_is_measured(workshop):
    pytest.importorskip("coverage")
    options = ["--coverage", "--cov-packages", "small_tasks", "--cov-report"]
    ended = run(workshop, *options, directory=workshop.folder)
    assert ended.code == 0, ended.err
    assert (workshop.folder / ".coverage").exists()
    assert (workshop.folder / "covhtml" / "index.html").exists()


def test_graph_files_run_without_a_registry(workshop, graph):
    kept = ["--config-search-path", workshop.folder, "--qgraph-id", "any"]
    assert pipetask("pre-exec-init-qbb", workshop.repo, graph, *kept).code == 0
    summary, profile = workshop.folder / "qbb.json", workshop.folder / "qbb.prof"
    how = ["-j", 2, "--no-existing-outputs", "--summary", summary, "--profile", profile, "--timeout", 60]
    more = ["--memory-per-quantum", "2GB", "--enforce-memory", "--recycle-above", "4GB", "-n", 1, "--fail-fast"]
    ended = pipetask("run-qbb", workshop.repo, graph, *how, *more, "--retry", "1", "--start-method", "spawn", *kept)
    assert ended.code == 0, ended.err
    assert profile.exists()
    assert json.loads(summary.read_text())["status"] == "success"
    again = pipetask("run-qbb", workshop.repo, graph, "--executor", "threads", "-j", 2, "--enable-implicit-threading")
    assert "6 quanta: 6 skipped" in again.err
    done = butler_command("transfer-from-graph", graph, workshop.repo, "--register-dataset-types")
    assert done.code == 0, done.err
    assert count(workshop, "measured") == 4


def test_a_graph_is_copied_for_another_run(workshop, graph):
    other = workshop.folder / "other.qg"
    options = ["--metadata-run-key", "run_of_ours", "--update-graph-id"]
    ended = pipetask("update-graph-run", graph, "out/other", other, *options)
    assert ended.code == 0, ended.err
    from armillary.pipeline.quantum_graph import PredictedQuantumGraph

    with PredictedQuantumGraph.open(other) as reader:
        assert reader.header.output_run == "out/other"
