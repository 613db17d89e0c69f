"""Modules that know only the packages of LSST run as they are, and what is stored can be opened by those packages."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import armillary
from armillary.butler import Butler, DatasetType
from cli.conftest import check_files_and_rows
from cli.programs import HERE, pipetask

SOURCE = Path(armillary.__file__).parents[1]


def python(code, *arguments, path=(), **environment):
    """Run code in a new interpreter."""
    folders = os.pathsep.join(map(str, (SOURCE, *path)))
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": folders} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_tasks_that_import_lsst_run_and_their_class_names_are_stored_as_they_are(workshop):
    ended = pipetask(
        *("run", "-b", workshop.repo, "-p", workshop.pipeline, "-i", "in", "-o", "out", "--register-dataset-types"),
        *("-c", "sum:scale=10"),
    )
    assert ended.code == 0, ended.err
    assert "6 quanta: 6 finished" in ended.err
    with Butler(workshop.repo, collections="out") as butler:
        assert butler.get("all_total", instrument="Cam", detector=2) == {"sum": 10.0 * (20**2 + 22**2)}
        config = butler.getURI("sum_config").read().decode()
    assert config.startswith("import small_tasks\n")
    assert "armillary" not in config
    check_files_and_rows(workshop)


def test_class_names_stored_as_data_are_those_of_lsst(workshop):
    ended = pipetask(
        *("run", "-b", workshop.repo, "-p", workshop.pipeline, "-i", "in", "-o", "out", "--register-dataset-types"),
        *("-q", workshop.folder / "graph.qg"),
    )
    assert ended.code == 0, ended.err
    with sqlite3.connect(workshop.repo / "gen3.sqlite3") as database:
        formatters = {name for (name,) in database.execute("SELECT DISTINCT formatter FROM file_datastore_records")}
        managers = dict(database.execute("SELECT name, value FROM butler_attributes"))
    database.close()
    assert len(formatters) >= 4
    assert all(name.startswith(("lsst.daf.butler.", "lsst.pipe.base.")) for name in formatters), formatters
    classes = [value for name, value in managers.items() if name.startswith("config:registry.managers.")]
    assert len(classes) >= 5
    assert all(name.startswith("lsst.daf.butler.registry.") for name in classes), classes
    settings = yaml.safe_load((workshop.repo / "butler.yaml").read_text())
    assert settings["datastore"]["cls"].startswith("lsst.daf.butler.datastores.")
    for path in workshop.files():
        if "_log" in path.name:  # which names the loggers that were at work
            continue
        content = path.read_bytes()
        assert b"armillary.pipeline" not in content, path
        assert b"armillary.storage" not in content, path
        assert b"armillary.butler" not in content, path


def test_tasks_of_the_hand_made_graph_run(workshop, shared_path):
    hand = shared_path("graph-fixtures", "hand")
    pipeline = workshop.write("hand.yaml", "description: x\ntasks:\n  h: handtask.HandTask\n  h2: handtask.Hand2Task\n")
    with Butler(workshop.repo, writeable=True, run="raws") as butler:
        dimensions = ["instrument", "detector"]
        kind = DatasetType("h_raw", dimensions, "StructuredDataDict", universe=butler.dimensions)
        butler.registry.registerDatasetType(kind)
        for detector in (1, 2):
            butler.put({"detector": detector}, "h_raw", instrument="Cam", detector=detector)
    command = ("run", "-b", workshop.repo, "-p", pipeline, "-i", "raws", "-o", "out", "--register-dataset-types")
    ended = pipetask(*command, path=[hand])
    assert ended.code == 0, ended.err
    with Butler(workshop.repo, collections="out") as butler:
        assert butler.get("h_out", instrument="Cam", detector=2) == {"got": {"detector": 2}}
        assert butler.get("h_total", instrument="Cam") == {"n": 2}
        assert butler.get("h_schema") == {"columns": ["x"]}


@pytest.fixture(scope="module")
def survey(tmp_path_factory, shared_path):
    """A repository that scripts written for LSST's packages made, with all of a small survey."""
    folder = tmp_path_factory.mktemp("survey")
    bench = shutil.copytree(shared_path("bench"), folder / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    script = (
        "import runpy, sys; from armillary.lsst_alias import activate; activate(); del sys.argv[0]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    for arguments in (
        ("survey.py", "--camera", "toy", "--visits", "2", "--out", folder / "survey.npz"),
        ("build_repo.py", folder / "survey.npz", folder / "repo", "--scale", "toy", "--put"),
    ):
        name, *rest = arguments
        done = python(script, bench / name, *rest, path=[bench], BENCH_RESULTS=str(folder / "results.jsonl"))
        assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_a_pipeline_shaped_like_a_data_release_runs(survey):
    where = "instrument='BenchCam' AND skymap='bench_rings'"
    ended = pipetask(
        *("run", "-b", survey / "repo", "-p", survey / "bench" / "drp.yaml", "-i", "BenchCam/defaults", "-o", "out"),
        *("-d", where, "--register-dataset-types", "-j", 2),
        path=[survey / "bench"],
    )
    assert ended.code == 0, ended.err[-3000:]
    with Butler(survey / "repo", collections="out") as butler:
        for name in ("post_isr", "calexp", "source_table", "warp", "coadd", "merged", "objects", "tract_table"):
            assert butler.query_datasets(name, "out"), name
        (table, *_) = butler.query_datasets("tract_table", "out")
        assert butler.get(table) == {"task": "tractTable", "value": 1}


def test_the_alias_refuses_when_the_real_package_is_there():
    code = """
import sys, types
sys.modules["lsst.pipe.base"] = real = types.ModuleType("lsst.pipe.base")
from armillary.lsst_alias import activate, activate_if_free, is_active
activate_if_free()
assert not is_active()
assert sys.modules["lsst.pipe.base"] is real
activate()
"""
    done = python(code)
    assert done.returncode == 1
    assert done.stderr.strip().endswith(
        "RuntimeError: `lsst.pipe.base` is already imported; activate the alias before anything imports it"
    )


def test_modules_of_both_names_are_one_and_neighbours_are_the_real_ones():
    code = """
from armillary.lsst_alias import activate
activate()
activate()
import lsst.pipe.base, lsst.pipe.base.connectionTypes, lsst.daf.butler, lsst.pex.config, lsst.sphgeom, lsst.resources
import armillary.butler, armillary.pipeline
assert lsst.pipe.base is armillary.pipeline
assert lsst.daf.butler is armillary.butler
assert lsst.pipe.base.PipelineTask is armillary.pipeline.PipelineTask
assert "armillary" not in lsst.pex.config.__file__ and "armillary" not in lsst.sphgeom.__file__
try:
    import lsst.pipe.tasks
except ModuleNotFoundError as error:
    assert error.name == "lsst.pipe.tasks"
else:
    raise AssertionError("a package that is not there was imported")
"""
    done = python(code, path=[HERE / "modules"])
    assert done.returncode == 0, done.stderr
