"""`pipetask run` in repositories whose data are in a chain of datastores."""

from __future__ import annotations

import pytest

from armillary.butler import Butler
from armillary.butler.checking import check_repository
from cli.conftest import make_workshop
from cli.programs import butler as butler_command
from cli.programs import pipetask

STORES = "lsst.daf.butler.datastores."
MEMORY = {"cls": f"{STORES}inMemoryDatastore.InMemoryDatastore"}


def files(table):
    return {"cls": f"{STORES}fileDatastore.FileDatastore", "records": {"table": table}}


CHAINS = {"two of files": [files("one"), files("two")], "memory and files": [MEMORY, files("one")]}


@pytest.fixture(params=CHAINS)
def chained(request, tmp_path):
    children = [{"datastore": child} for child in CHAINS[request.param]]
    seed = {"datastore": {"cls": f"{STORES}chainedDatastore.ChainedDatastore", "datastores": children}}
    return make_workshop(tmp_path, seed=seed)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_reads_and_writes_through_a_chain(chained, processes):
    command = ["run", "-b", chained.repo, "-p", chained.pipeline, "-i", "in", "-o", "out"]
    ended = pipetask(*command, "--register-dataset-types", "-j", processes)
    assert ended.code == 0, ended.err
    with Butler(chained.repo, collections="out") as butler:
        measured = butler.query_datasets("measured")
        assert len(measured) == 4
        assert len({str(butler.get(ref)) for ref in measured}) > 1
        assert all(butler.stored(ref) for ref in measured)
        assert not check_repository(butler).problems
    again = pipetask(*command[:-4], "-o", "out", "--extend-run", "--skip-existing")
    assert again.code == 0, again.err
    assert "nothing to do" in again.out + again.err
    removed = butler_command("remove-runs", chained.repo, "out/*", "--force", "--no-confirm")
    assert removed.code == 0, removed.err
    with Butler(chained.repo) as butler:
        assert not check_repository(butler).problems
        assert butler.query_datasets("measured", collections="*", find_first=False, explain=False) == []
