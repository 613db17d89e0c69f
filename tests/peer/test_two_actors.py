"""The peer and armillary take turns on one repository; `--steps` lets them go on for longer."""

from __future__ import annotations

import itertools
import json
import subprocess

import pytest

from peer.two_actors.machine import PeerProcess, TwoActors, run_program

MAKE = """
import json, sys
from lsst.daf.butler import Butler, Config
seed = json.loads(sys.argv[2])
Butler.makeRepo(sys.argv[1], config=seed and Config(seed))
"""


@pytest.fixture
def repositories(database, request, tmp_path, peer_python):
    """Two empty twins, one made by each actor."""
    from armillary.butler import Butler

    def seed():
        if database == "sqlite":
            return None
        cluster = request.getfixturevalue("cluster")
        return cluster.seed(cluster.new_namespace())

    numbers = itertools.count()

    def make():
        number = next(numbers)
        first, second = tmp_path / f"first{number}", tmp_path / f"second{number}"
        Butler.makeRepo(str(first), config=seed())
        subprocess.run([peer_python, "-c", MAKE, str(second), json.dumps(seed())], check=True, capture_output=True)
        return str(first), str(second)

    return make


def test_nobody_notices_who_did_what(database, repositories, peer_python, request):
    steps = request.config.getoption("--steps")
    programs = request.config.getoption("--programs") - (database == "postgresql")
    peer = PeerProcess(peer_python)
    machine = TwoActors(repositories, peer)
    try:
        for program in range(programs):
            run_program(machine, steps, f"{database} {request.config.getoption('--seed')} {program}")
    finally:
        peer.close()
    print(*sorted(machine.outcomes.items()), sep="\n")
    assert not machine.differences, "\n\n".join(machine.differences)
    done = {operation for operation, outcome in machine.outcomes if outcome == "done"}
    refused = {operation for operation, outcome in machine.outcomes if outcome != "done"}
    assert machine.outcomes.total() >= steps * programs
    # `TwoActors.certain` sees to it, whatever chance draws.
    assert {"insert_datasets", "put", "get", "find", "associate", "certify", "decertify", "prune"} <= done
    assert {"insert_datasets", "put", "get", "remove_collection", "redefine_chain", "remove_runs"} <= refused
