"""Seventy pipelines and selections give the graphs that the peer builds: quanta, edges, datasets, or the same error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("graph_matrix_script.py")


@pytest.fixture(scope="module")
def both(survey, peer_python):
    bench, repository = survey
    names = {"BENCH_BUTLER_MODULE": "armillary.butler", "BENCH_PIPE_MODULE": "armillary.pipeline"}
    sides = []
    for who, python, environment in (("peer", peer_python, {}), ("ours", sys.executable, names)):
        done = subprocess.run(
            [python, str(SCRIPT), str(bench), str(repository), who],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            timeout=900,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        sides.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return sides


def test_all_graphs_are_those_of_the_peer(both):
    theirs, ours = both
    assert list(ours) == list(theirs)
    assert len(ours) >= 60
    assert {name: graph for name, graph in ours.items() if graph != theirs[name]} == {}


def test_they_are_graphs_and_errors(both):
    theirs, _ = both
    assert sum(graph.get("quanta", 0) > 0 for graph in theirs.values()) >= 40
    assert any("error" in graph for graph in theirs.values())
