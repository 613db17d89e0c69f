"""The graphs of real pipelines, all 163 tasks of the LSSTCam DRP among them, over real visits and sky map corners.

The tasks are stubs with the real connections, as far as a table of those can tell (`stubs/stub_tasks.py`). The visits
and their detectors are of HSC, around COSMOS, and so are the corners of tracts and patches.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DRP = "pipelines/lsst_drp_pipe/pipelines/LSSTCam/DRP.yaml"
PIPELINES = [
    DRP,
    "pipelines/lsst_drp_pipe/pipelines/LSSTCam-imSim/DRP.yaml",
    "pipelines/lsst_drp_pipe/pipelines/DECam/DRP-Merian.yaml",
]


@pytest.fixture(scope="module")
def real_survey(stub_environment, shared_path, peer_python, tmp_path_factory):
    """A repository with all inputs of the pipelines for some visits, detectors and patches, and what chooses those."""
    root = tmp_path_factory.mktemp("real") / "repo"
    command = [peer_python, HERE / "real_survey_script.py", shared_path("data"), root, json.dumps(PIPELINES)]
    environment = stub_environment("peer", "StructuredDataDict")
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]
    return root, json.loads(done.stdout.splitlines()[-1])["conditions"]


@pytest.fixture(scope="module")
def build(real_survey, stub_environment, shared_path, peer_python):
    root, _ = real_survey

    def call(who, asked):
        command = [sys.executable if who == "ours" else peer_python, HERE / "real_graphs_script.py"]
        done = subprocess.run(
            [*map(str, command), str(shared_path("data")), str(root)],
            input=json.dumps(asked),
            env=stub_environment(who, "StructuredDataDict"),
            capture_output=True,
            text=True,
            timeout=1800,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])

    return call


def joined(conditions):
    return " AND ".join(conditions.values())


@pytest.fixture(scope="module")
def both(real_survey, build):
    _, conditions = real_survey
    narrow = conditions | {name: f"{conditions[name].partition(',')[0]})" for name in ("visit", "exposure")}
    asked = [[DRP, joined(chosen), False, None] for chosen in (conditions, narrow)]
    asked += [[pipeline, joined(conditions), False, None] for pipeline in PIPELINES[1:]]
    return asked, build("ours", asked), build("peer", asked)


def test_graphs_are_those_of_the_peer(both):
    asked, ours, theirs = both
    for what, mine, original in zip(asked, ours, theirs, strict=True):
        if "error" in original:
            assert mine.get("error") == original["error"], (what, mine, original)
        else:
            assert mine == original, what


def test_most_tasks_of_the_lsstcam_pipeline_have_quanta(both):
    _, ours, _ = both
    assert len(ours[0]["tasks"]) >= 135
    assert ours[0]["quanta"] >= 400


def test_all_163_tasks_have_quanta_and_the_common_ones_as_many(both, build, real_survey):
    """The peer joins no pixels of HEALPix, which the other 25 tasks are about."""
    _, ours, _ = both
    (whole,) = build("ours", [[DRP, joined(real_survey[1]), True, None]])
    assert "error" not in whole, whole
    assert len(whole["tasks"]) == 163
    assert {label: whole["tasks"][label] for label in ours[0]["tasks"]} == ours[0]["tasks"]
