"""Graph files run by us and by the peer, turn about: each takes what the other wrote as done."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import shared_path

RUN = """
from armillary import lsst_alias
lsst_alias.activate()
from armillary.pipeline.execution import initialise_without_registry, run_without_registry
if {init!r}:
    initialise_without_registry("out/repo", "out/hand.qg")
report = run_without_registry("out/repo", "out/hand.qg", progress=False, quantum_ids={ids!r})
print(report.closing_line())
"""
FIRST = "01900000-0000-7000-8000-000000010000"


@pytest.fixture
def hand(tmp_path):
    shutil.copytree(shared_path("graph-fixtures", "hand"), tmp_path / "hand")
    return tmp_path / "hand"


def ours(hand, ids=None, init=True):
    program = f"import sys; sys.path[:] = {[*sys.path, str(hand)]!r}\n{RUN.format(ids=ids, init=init)}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=hand)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def theirs(hand, run_peer):
    def call(*arguments):
        pipetask = Path(run_peer("import sys; print(sys.executable)").strip()).with_name("pipetask")
        environment = {**os.environ, "PYTHONPATH": str(hand)}
        done = subprocess.run([pipetask, *arguments], capture_output=True, text=True, cwd=hand, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stderr

    return call


def test_the_peer_takes_our_run_as_done(hand, theirs):
    assert ours(hand).startswith("3 quanta: 3 finished")
    said = theirs("run-qbb", "out/repo", "out/hand.qg")
    assert said.count("already-successful quantum") == 3


def test_the_peer_finishes_what_we_began(hand, theirs):
    assert ours(hand, [FIRST]).startswith("1 quantum: 1 finished")
    said = theirs("run-qbb", "out/repo", "out/hand.qg")
    assert said.count("already-successful quantum") == 1
    total = hand / "out/repo/datastore/u/hand/run/h_total/h_total_HandCam_u_hand_run.yaml"
    assert total.read_text() == "n: 2\n"


def test_we_finish_what_the_peer_began(hand, theirs):
    theirs("pre-exec-init-qbb", "out/repo", "out/hand.qg")
    theirs("run-qbb", "out/repo", "out/hand.qg", "--qgraph-node-id", FIRST)
    # The interpreters differ, which `initialise_without_registry` would refuse; the peer has done that part.
    assert ours(hand, init=False).startswith("3 quanta: 2 finished, 1 skipped")


def test_logs_and_metadata_have_the_keys_of_the_peer_and_a_note_of_what_was_read(hand, theirs, tmp_path):
    shutil.copytree(hand, tmp_path / "second")
    ours(hand)
    theirs("pre-exec-init-qbb", str(tmp_path / "second/out/repo"), "out/hand.qg")
    theirs("run-qbb", str(tmp_path / "second/out/repo"), "out/hand.qg")

    def keys(value):
        if isinstance(value, dict):
            return {key: keys(item) for key, item in value.items()}
        return [keys(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else type(value)

    for name in ("h_log/h_log_HandCam_D0_u_hand_run.json", "h_metadata/h_metadata_HandCam_D0_u_hand_run.json"):
        here = json.loads((hand / "out/repo/datastore/u/hand/run" / name).read_text())
        there = json.loads((tmp_path / "second/out/repo/datastore/u/hand/run" / name).read_text())
        for side in (here, there):
            assert side.pop("extended", True)
        if name.startswith("h_metadata"):
            note = json.loads(here["metadata"]["quantum"]["scalars"].pop("made_from"))
            assert [len(ids) for ids in note["inputs"].values()] == [1]
        assert keys(here) == keys(there)
