"""The peer and armillary take turns on one repository; `--steps` lets them go on for longer."""

from __future__ import annotations

import collections
import itertools
import subprocess

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from peer.two_actors.machine import PeerProcess, TwoActors

MAKE = "import sys; from lsst.daf.butler import Butler; Butler.makeRepo(sys.argv[1])"


@pytest.fixture
def repositories(tmp_path, peer_python):
    """Two empty twins, one made by each actor."""
    from armillary.butler import Butler

    numbers = itertools.count()

    def make():
        number = next(numbers)
        first, second = tmp_path / f"first{number}", tmp_path / f"second{number}"
        Butler.makeRepo(str(first))
        subprocess.run([peer_python, "-c", MAKE, str(second)], check=True, capture_output=True)
        return str(first), str(second)

    return make


def test_nobody_notices_who_did_what(repositories, peer_python, request):
    steps = request.config.getoption("--steps")
    peer = PeerProcess(peer_python)

    class Machine(TwoActors):
        pass

    Machine.repositories = staticmethod(repositories)
    Machine.peer = peer
    Machine.outcomes = collections.Counter()
    Machine.differences = []
    settings = hypothesis.settings(
        max_examples=1 + request.config.getoption("--programs"),  # the first always takes the first choice
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
        print_blob=False,
    )
    try:
        run_state_machine_as_test(hypothesis.seed(request.config.getoption("--seed"))(Machine), settings=settings)
    finally:
        peer.close()
    print(*sorted(Machine.outcomes.items()), sep="\n")
    assert not Machine.differences, "\n\n".join(Machine.differences)
    done = {operation for operation, outcome in Machine.outcomes if outcome == "done"}
    refused = {operation for operation, outcome in Machine.outcomes if outcome != "done"}
    assert Machine.outcomes.total() >= steps * request.config.getoption("--programs")
    assert {"insert_datasets", "put", "get", "find", "associate", "certify", "decertify", "prune"} <= done
    assert {"insert_datasets", "put", "get", "remove_collection", "redefine_chain", "remove_runs"} <= refused
