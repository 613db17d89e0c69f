"""Graphs of the real pipelines, over stub tasks with the real connections: order, edges and parts as the peer's."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import shared_path

SCRIPT = Path(__file__).with_name("stub_graphs.py")
GOLDEN = json.loads(gzip.decompress(shared_path("data", "golden", "pipelines.json.gz").read_bytes()))
# With more than one task: an order of one says nothing.
NAMES = sorted(name for name, record in GOLDEN.items() if record.get("ntask", 0) > 1)


@pytest.fixture(scope="module")
def both(stub_environment, peer_python):
    arguments = [SCRIPT, shared_path("data"), json.dumps(NAMES)]
    sides = []
    for who, python in (("ours", sys.executable), ("peer", peer_python)):
        command = [python, *map(str, arguments)]
        done = subprocess.run(command, env=stub_environment(who), capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-4000:]
        sides.append(json.loads(done.stdout.splitlines()[-1]))
    return sides


def test_there_are_many():
    assert len(NAMES) > 60


@pytest.mark.parametrize("name", NAMES)
def test_graph_is_the_peers(both, name):
    ours, theirs = (side[name] for side in both)
    if ours.get("parts") == "DuplicateOutputError":  # found here; the peer finds it later, in `resolve`
        for key in ("parts", "producers"):
            del ours[key], theirs[key]
    assert ours == theirs


def test_most_of_them_are_graphs(both):
    # The others read a calibration they make: the code of the real connections classes, not the table, leaves it out.
    _, theirs = both
    assert sum("tasks" in made for made in theirs.values()) > 200
