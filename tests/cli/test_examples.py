"""Every example of every command does what it says, in a folder where what it names is there."""

import io
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from armillary.butler import Butler, CollectionType, DatasetRef, DatasetType, Timespan
from armillary.demo.simulate import Survey, write_survey
from armillary.storage.masked_image import Image
from cli.programs import butler, run_program

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
DICT = "StructuredDataDict"
A_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


def examples():
    """The lines of the last block of each command, which is its examples."""
    found = []
    for section in re.findall(r"^### (?:butler|pipetask) .*?(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL):
        blocks = re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        for line in "".join(blocks[1:]).splitlines():
            found += re.split(r"; or with configs: ", line)
    return found


# Why an example is not run here.
NOT_RUN = {
    "butler register-skymap REPO hsc_rings_v1 --kind rings --pixel-scale 0.168 --patch-border 100": (
        "writes a million patches; tests/instrument/test_rings_of_hsc.py compares such a map with the real one"
    ),
    "butler create REPO --seed-config postgres.yaml": "needs a PostgreSQL server; tests/registry has one",
}
# Done first, in the same folder: what an example goes on from.
BEFORE = {
    "butler undo": ["butler collection-chain REPO u/me/chain u/me/newer"],
    "butler lineage": ["butler ingest-graph REPO provenance.qg"],
    "butler ingest-zip": ["butler prune-datasets REPO --purge u/me/run --datasets metrics --no-confirm"],
}
# Answered with no, for there is nobody to ask.
ASKS = {"butler remove-runs REPO 'u/me/test/*'", "pipetask purge u/me/old -b REPO"}
WITHOUT_REPOSITORY = ("butler create", "butler init")
ON_GRAPHS = re.compile(r"pipetask|butler (lineage|.*\bprovenance|.*\.qg)")


def rows(registry, camera, visits):
    registry.insertDimensionData(
        "instrument", {"name": camera, "visit_max": 9999, "exposure_max": 9999, "detector_max": 99}
    )
    here = {"instrument": camera}
    for name, band in (("r_03", "r"), ("g_01", "g")):
        registry.insertDimensionData("physical_filter", here | {"name": name, "band": band})
    for i in (1, 2, 3, 4):
        registry.insertDimensionData("detector", here | {"id": i, "full_name": f"S{i}"})
    registry.insertDimensionData("day_obs", here | {"id": 20250101})
    for i in visits:
        shared = {"physical_filter": "r_03", "day_obs": 20250101, "exposure_time": 30.0}
        registry.insertDimensionData("visit", here | {"id": i, "name": f"v{i}"} | shared)
        registry.insertDimensionData("group", here | {"name": str(i)})
        registry.insertDimensionData("exposure", here | {"id": i, "obs_id": f"o{i}", "group": str(i)} | shared)


@pytest.fixture(scope="module")
def surveys(tmp_path_factory):
    """A folder with a repository and files of all sorts, as the examples name them."""
    folder = tmp_path_factory.mktemp("surveys")
    for name, night in (("night0", "2019-09-22"), ("night1", "2019-09-23"), ("night2", "2019-09-24")):
        made = Survey(size=64, stars=3, nights=(night,), science=(("V", 1),), biases=1, flats=0)
        write_survey(folder / name, made)
    Butler.makeRepo(folder / "REPO")
    with Butler(folder / "REPO", writeable=True) as made:
        fill(made)
    for words in (
        "register-instrument REPO armillary.instrument.Nickel",
        "ingest-raws REPO night0 -t copy",
        "define-visits REPO Nickel",
    ):
        ended = butler(*words.split(), directory=folder)
        assert ended.code == 0, ended.err
    with Butler(folder / "REPO", writeable=True, run="processed") as made:
        (visit,) = made.registry.queryDimensionRecords("visit", instrument="Nickel")
        made.put(Image(np.ones((8, 8), "f4")), "calexp", instrument="Nickel", visit=visit.id, detector=0)
    write_files(folder)
    shutil.copytree(folder / "REPO", folder / "SOURCE")
    Butler.makeRepo(folder / "DEST")
    return folder


def fill(made):
    registry = made.registry
    rows(registry, "Cam", (10, 11))
    rows(registry, "LSSTCam", (101, 102))
    frame = Image(np.ones((8, 8), "f4"))
    for name, dimensions, storage_class, calibration in (
        ("calexp", ["visit", "detector"], "FitsImage", False),
        ("calexpBackground", ["visit", "detector"], DICT, False),
        ("metrics", ["visit", "detector"], DICT, False),
        ("postISRCCD", ["exposure", "detector"], "FitsImage", False),
        ("raw", ["exposure", "detector"], "FitsImage", False),
        ("flat", ["detector", "physical_filter"], "FitsImage", True),
        ("bias", ["detector"], DICT, True),
        ("gaia_dr3", ["htm7"], "ArrowAstropy", False),
        ("test_one", ["instrument"], DICT, False),
    ):
        registry.registerDatasetType(
            DatasetType(name, dimensions, storage_class, universe=made.dimensions, isCalibration=calibration)
        )
    cam, lsst = {"instrument": "Cam", "run": "u/me/run"}, {"instrument": "LSSTCam"}
    for run in (
        "u/me/run",
        "u/me/newer",
        "u/me/test/a",
        "u/me/flats",
        "LSSTCam/raw/all",
        "LSSTCam/bias",
        "refcats/gaia",
    ):
        made.collections.register(run)
    for visit in (10, 11):
        made.put(frame, "calexp", visit=visit, detector=1, **cam)
        made.put({"v": visit}, "metrics", visit=visit, detector=1, **cam)
        made.put(frame, "postISRCCD", exposure=visit, detector=1, **cam)
    for exposure in (101, 102):
        made.put(frame, "raw", exposure=exposure, detector=1, run="LSSTCam/raw/all", **lsst)
    made.put(frame, "flat", detector=1, physical_filter="r_03", run="u/me/flats", **lsst)
    bias = made.put({"level": 1}, "bias", detector=1, run="LSSTCam/bias", **lsst)
    made.collections.register("LSSTCam/calib", CollectionType.CALIBRATION)
    registry.certify("LSSTCam/calib", [bias], Timespan(None, None))
    for name, children in (
        ("LSSTCam/defaults", ["LSSTCam/raw/all", "LSSTCam/calib"]),
        ("u/me/chain", ["u/me/run", "LSSTCam/defaults"]),
        ("u/me", ["u/me/run"]),
    ):
        made.collections.register(name, CollectionType.CHAINED)
        made.collections.redefine_chain(name, children)
    made.collections.register("u/me/tag1", CollectionType.TAGGED)
    made.collections.prepend_chain("u/me/chain", "u/me/tag1")


def write_files(folder):
    """What the examples read."""
    ended = butler("init", "guessed", "--from", "night0", "--description", "camera.yaml", directory=folder)
    assert ended.code == 0, ended.err
    shutil.rmtree(folder / "guessed")
    (folder / "curated" / "defects" / "0").mkdir(parents=True)
    Table({"x0": [1]}).write(folder / "curated" / "defects" / "0" / "20190901T000000.ecsv")
    (folder / "makeSkyMap.py").write_text(
        "config.skyMap = 'rings'\nconfig.skyMap['rings'].numRings = 3\nconfig.skyMap['rings'].pixelScale = 9.0\n"
    )
    (folder / "flats").mkdir()
    fits.writeto(folder / "flats" / "two.fits", np.ones((8, 8), "f4"))
    (folder / "flats.csv").write_text("filename,detector,physical_filter\ntwo.fits,2,r_03\n")
    Table({"ra": [1.0]}).write(folder / "shard.parq", format="parquet")
    Table({"filename": ["shard.parq"], "htm7": [131072]}).write(folder / "shards.ecsv")
    with Butler(folder / "REPO", collections="u/me/run") as made:
        refs = list(made.registry.queryDatasets("metrics"))
        made.retrieve_artifacts_zip(refs, folder / "here")
        (folder / "exported").mkdir()
        with made.export(directory=str(folder / "exported"), format="yaml", transfer="copy") as export:
            export.saveDatasets(refs)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """A folder with a repository in which a pipeline was run, and its graphs and reports."""
    folder = tmp_path_factory.mktemp("graphs")
    (folder / "pipe.yaml").write_text("description: x\ntasks: {isr: example_tasks.IsrTask}\n")
    for name in ("old.yaml", "new.yaml"):
        shutil.copy(folder / "pipe.yaml", folder / name)
    Butler.makeRepo(folder / "REPO")
    with Butler(folder / "REPO", writeable=True, run="in") as made:
        rows(made.registry, "Cam", (10, 1228))
        dimensions = ["visit", "detector"]
        made.registry.registerDatasetType(DatasetType("metrics", dimensions, DICT, universe=made.dimensions))
        for visit, detector in ((10, 1), (1228, 4)):
            made.put({"v": visit}, "metrics", instrument="Cam", visit=visit, detector=detector)
    for words in (
        "butler register-dataset-type REPO calexp StructuredDataDict instrument visit detector",
        "pipetask run -b REPO -p pipe.yaml -i in -o u/me/old --register-dataset-types -q first.qg",
        "pipetask run -b REPO -p pipe.yaml -i in -o u/me/run --output-run u/me/run/1 -q run.qg",
        "pipetask report REPO first.qg --force-v2 --full-output-filename night1.json",
        "pipetask report REPO run.qg --force-v2 --full-output-filename night2.json",
        "butler aggregate-graph run.qg REPO -o provenance.qg",
    ):
        program, *arguments = words.split()
        ended = run_program(program, *arguments, directory=folder)
        assert ended.code == 0, ended.err
    for name in ("second.qg", "yesterday.qg", "today.qg"):
        shutil.copy(folder / "first.qg", folder / name)
    return folder


def told(folder, line):
    """The words of an example, with ids and places that are there; what a shell does with its output is left out."""
    words = shlex.split(line)
    words = words[: next((i for i, word in enumerate(words) if word in (">", "|")), None)]
    if "ingest-zip" in words:
        words[-3:-2] = [str(path) for path in (folder / "here").glob("*.zip")]
    elif A_UUID.search(line):
        words = [str(an_id(folder, words[0])) if A_UUID.fullmatch(word) else word for word in words]
    return ["flats" if word == "/data/flats" else word for word in words]


def an_id(folder, program):
    if program == "pipetask":
        from armillary.pipeline.quantum_graph import PredictedQuantumGraph

        with PredictedQuantumGraph.open(str(folder / "run.qg")) as reader:
            reader.read_thin_graph()
            return next(iter(reader.finish().quantum_only_xgraph))
    with Butler(folder / "REPO") as made:
        found: DatasetRef = made.find_dataset("metrics", instrument="Cam", visit=10, detector=1, collections="u/me")
        return found.id


def nobody_answers():
    sys.stdin = io.StringIO()


@pytest.mark.parametrize("line", [line for line in examples() if line not in NOT_RUN])
def test_an_example_works(request, tmp_path, line):
    prepared = request.getfixturevalue("graphs" if ON_GRAPHS.match(line) else "surveys")
    folder = tmp_path / "here"
    shutil.copytree(prepared, folder, symlinks=True)
    if line.startswith(WITHOUT_REPOSITORY):
        shutil.rmtree(folder / "REPO")
        (folder / "camera.yaml").unlink(missing_ok=True)
    for earlier in next((lines for start, lines in BEFORE.items() if line.startswith(start)), []):
        program, *words = shlex.split(earlier)
        assert run_program(program, *words, directory=folder).code == 0
    program, *words = told(folder, line)
    ended = run_program(program, *words, directory=folder, before=nobody_answers)
    assert "Traceback" not in ended.err
    assert ended.code == (130 if line in ASKS else 0), ended.err


def test_every_command_has_an_example_and_none_is_left_out():
    found = examples()
    assert len(found) > 85
    commands = set(re.findall(r"^### ((?:butler|pipetask) \S+)$", PAGE, re.MULTILINE))
    assert {" ".join(line.split()[:2]) for line in found} == commands
    assert set(NOT_RUN) | ASKS <= set(found)
