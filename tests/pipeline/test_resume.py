"""A built graph run in a pool: killed workers, a killed driver, and going on where it stopped."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from armillary.butler import Butler, CollectionType, DatasetType
from armillary.pipeline import PipelineGraph, SeparablePipelineExecutor, SimplePipelineExecutor
from armillary.pipeline.all_dimensions_quantum_graph_builder import AllDimensionsQuantumGraphBuilder
from armillary.pipeline.execution import initialise_run, run_graph
from armillary.pipeline.quantum_graph import PredictedQuantumGraph
from pipeline.execution_tasks import MeasureConfig, MeasureTask, SumTask

RUN = "u/me/run"
N_DETECTORS = 8


def make_repository(root):
    Butler.makeRepo(root)
    with Butler(root, writeable=True, run="raws") as butler:
        registry = butler.registry
        most = {"visit_max": 9, "exposure_max": 9, "detector_max": 99, "class_name": "x.Cam"}
        registry.insertDimensionData("instrument", {"name": "Cam", **most})
        names = {"raft": "R", "purpose": "SCIENCE"}
        for n in range(N_DETECTORS):
            own = {"id": n, "full_name": f"D{n}", "name_in_raft": f"D{n}"}
            registry.insertDimensionData("detector", {"instrument": "Cam", **own, **names})
        dimensions = ("instrument", "detector")
        registry.registerDatasetType(
            DatasetType("raw_numbers", dimensions, "StructuredDataDict", universe=butler.dimensions)
        )
        for n in range(N_DETECTORS):
            butler.put({"detector": n, "values": [n, 1]}, "raw_numbers", instrument="Cam", detector=n)


def make_pipeline(mode="ok", only_detector=None):
    config = MeasureConfig()
    config.mode, config.only_detector = mode, only_detector
    pipeline = PipelineGraph(description="measure and sum")
    pipeline.add_task("measure", MeasureTask, config)
    pipeline.add_task("sum", SumTask)
    return pipeline


@pytest.fixture
def built(tmp_path):
    """Make a repository and a graph file; give both paths."""

    def build(**options):
        root = tmp_path / "repo"
        make_repository(root)
        with Butler(root, writeable=True, collections=["raws"], run=RUN) as butler:
            builder = AllDimensionsQuantumGraphBuilder(
                make_pipeline(**options), butler, input_collections=["raws"], output_run=RUN
            )
            components = builder.finish()
            components.write(tmp_path / "run.qg")
            initialise_run(components.assemble(), butler, register_dataset_types=True)
        return root, tmp_path / "run.qg"

    return build


def read(path):
    with PredictedQuantumGraph.open(path) as reader:
        reader.read_all()
        return reader.finish()


def run(root, path, **options):
    with Butler(root, writeable=True, collections=["raws"], run=RUN) as butler:
        return run_graph(read(path), butler, progress=False, **options)


def check_whole(root):
    """Everything is there once, and no file is there that nobody knows."""
    with Butler(root, collections=[RUN]) as butler:
        assert butler.get("total", instrument="Cam")["sum"] == sum(range(N_DETECTORS)) + N_DETECTORS
        for name in ("measured", "measured_extra", "measure_metadata", "measure_log"):
            assert len(butler.query_datasets(name, RUN)) == N_DETECTORS
        refs = butler.query_all_datasets(RUN, limit=None)
        known = {butler.getURI(ref).ospath for ref in refs}
    found = {str(file) for file in Path(root, *RUN.split("/")).rglob("*") if file.is_file()}
    assert found == known


@pytest.mark.parametrize("processes", [1, 2])
def test_built_graph_runs(built, processes):
    root, path = built()
    report = run(root, path, processes=processes)
    assert report.counts == {"measure": {"finished": N_DETECTORS}, "sum": {"finished": 1}}
    check_whole(root)


def test_older_graph_never_overwrites_what_the_run_holds(built, tmp_path):
    root, path = built()
    with Butler(root, writeable=True, collections=["raws"], run=RUN) as butler:
        pipeline = make_pipeline()
        builder = AllDimensionsQuantumGraphBuilder(pipeline, butler, input_collections=["raws"], output_run=RUN)
        builder.finish().write(tmp_path / "other.qg")
    run(root, path)
    before = {file: file.stat().st_mtime_ns for file in Path(root, *RUN.split("/")).rglob("*")}
    report = run(root, tmp_path / "other.qg", skip_existing=True)
    assert report.counts == {"measure": {"failed": N_DETECTORS}, "sum": {"blocked": 1}}
    assert "with another id" in report.outcomes[0].exception.message
    assert {file: file.stat().st_mtime_ns for file in Path(root, *RUN.split("/")).rglob("*")} == before
    check_whole(root)


@pytest.mark.parametrize("mode", ["killed", "leaves"])
def test_killed_worker_costs_its_quantum_alone(built, mode):
    root, path = built(mode=mode, only_detector=3)
    report = run(root, path, processes=2)
    assert report.counts == {"measure": {"finished": N_DETECTORS - 1, "failed": 1}, "sum": {"blocked": 1}}
    assert report.exit_code == 1
    with Butler(root, collections=[RUN]) as butler:
        assert len(butler.query_datasets("measured", RUN)) == N_DETECTORS - 1


def test_hanging_quantum_is_ended(built):
    root, path = built(mode="hangs", only_detector=3)
    report = run(root, path, processes=2, timeout=3)
    assert report.counts["measure"] == {"finished": N_DETECTORS - 1, "timed out": 1}


def is_alive(process):
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def descendants(process):
    """Processes below one, as the kernel lists them."""
    children = Path(f"/proc/{process}/task/{process}/children")
    found = [int(word) for word in children.read_text().split()] if children.exists() else []
    return [*found, *(deeper for child in found for deeper in descendants(child))]


DRIVER = """
    from pipeline.test_resume import run
    print("ready", flush=True)
    run({root!r}, {path!r}, processes=2, skip_existing=True)
"""


@pytest.mark.parametrize("seed", range(3))
def test_killed_driver_leaves_nothing_behind_and_the_next_goes_on(built, seed):
    root, path = built(mode="slow")
    wait = random.Random(seed).uniform(0.3, 1.5)
    entries = os.pathsep.join(entry for entry in sys.path if entry)
    driver = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DRIVER.format(root=str(root), path=str(path)))],
        env={**os.environ, "PYTHONPATH": entries},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout.readline() == "ready\n"
    time.sleep(wait)
    workers = descendants(driver.pid)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    driver.stdout.close()
    deadline = time.monotonic() + 2
    while any(is_alive(process) for process in workers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [process for process in workers if is_alive(process)]
    report = run(root, path, processes=2, skip_existing=True)
    assert report.exit_code == 0
    assert sum(report.counts["measure"].values()) == N_DETECTORS
    check_whole(root)


def test_simple_executor_builds_and_runs(tmp_path):
    make_repository(tmp_path / "repo")
    butler = SimplePipelineExecutor.prep_butler(str(tmp_path / "repo"), inputs=["raws"], output="u/simple")
    executor = SimplePipelineExecutor.from_pipeline_graph(
        make_pipeline(), where="instrument = 'Cam' AND detector IN (1, 2)", butler=butler
    )
    quanta = executor.run(register_dataset_types=True)
    assert len(quanta) == 3
    assert butler.get("total", instrument="Cam")["sum"] == 5
    butler.close()


def test_one_task_runs_by_its_class(tmp_path):
    make_repository(tmp_path / "repo")
    butler = SimplePipelineExecutor.prep_butler(str(tmp_path / "repo"), inputs=["raws"], output="u/simple")
    executor = SimplePipelineExecutor.from_task_class(
        MeasureTask, where="instrument = 'Cam' AND detector = 1", butler=butler
    )
    assert len(executor.run(register_dataset_types=True)) == 1
    butler.close()


def test_steps_can_be_taken_one_by_one(tmp_path):
    make_repository(tmp_path / "repo")
    with Butler(tmp_path / "repo", writeable=True, collections=["raws"], run="u/steps") as butler:
        butler.collections.register("u/steps", CollectionType.RUN)
        (tmp_path / "p.yaml").write_text(
            "description: d\ntasks:\n  measure: pipeline.execution_tasks.MeasureTask\n"
            "  sum: pipeline.execution_tasks.SumTask\n"
        )
        executor = SeparablePipelineExecutor(butler)
        graph = executor.build_quantum_graph(
            executor.make_pipeline(str(tmp_path / "p.yaml")), where="instrument = 'Cam' AND detector < 2"
        )
        executor.pre_execute_qgraph(graph, register_dataset_types=True)
        executor.run_pipeline(graph, num_proc=2)
        assert butler.get("total", instrument="Cam", collections="u/steps")["sum"] == 3
