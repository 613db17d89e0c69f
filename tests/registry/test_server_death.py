"""The server of a repository is killed in the midst of a transaction, and started again."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import pytest

from armillary import _core
from armillary.errors import RegistryError
from databases import running_cluster


@pytest.fixture
def own_cluster(cluster):
    """A server that may be killed, beside that of the other tests; `cluster` knows what to do without one."""
    with running_cluster(durable=True) as own:
        yield own


def restart(cluster):
    """Sessions of a killed server end by themselves, and until then no other one may begin."""
    for _ in range(50):
        with suppress(RuntimeError):
            return cluster.start(durable=True)
        time.sleep(0.1)
    raise AssertionError("the server does not start again")


def test_a_killed_server_keeps_what_was_committed_and_nothing_else(own_cluster, universe):
    namespace = own_cluster.new_namespace()
    _core.Registry.create_on_server(own_cluster.url, universe, namespace=namespace)
    registry = _core.Registry.open_on_server(own_cluster.url, writeable=True, namespace=namespace)
    registry.register_collection("kept", 1)
    registry.begin()
    registry.register_collection("lost", 1)
    os.kill(own_cluster.postmaster(), signal.SIGKILL)
    with pytest.raises(RegistryError, match="the database failed while"):
        for number in range(1000):  # a session may live for a moment after its server
            registry.register_collection(f"lost/{number}", 1)
            time.sleep(0.01)
    with pytest.raises(RegistryError):
        registry.commit()
    with pytest.raises(RegistryError, match=r"connecting to `postgresql://armillary@/armillary\?host="):
        registry.register_collection("no server", 1)
    restart(own_cluster)
    registry.register_collection("later", 1)
    assert set(registry.query_collections()) == {"kept", "later"}
    registry.close()
