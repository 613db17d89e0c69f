"""What a run of the peer and a run of ours leave in a chain of datastores is the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.butler import Butler
from armillary.butler.checking import check_repository
from cli.conftest import Workshop
from cli.programs import butler as butler_command
from cli.programs import pipetask
from reports import moody

STORES = "lsst.daf.butler.datastores."
CLS = {"cls": f"{STORES}fileDatastore.FileDatastore"}
TABLES = ("first", "second", "third")
SEED = {
    "datastore": {
        "cls": f"{STORES}chainedDatastore.ChainedDatastore",
        "datastore_constraints": [
            {"constraints": {"accept": ["all"]}},
            {"constraints": {"accept": ["all"]}},
            {"constraints": {"reject": ["first_out", "first_log"]}},
        ],
        "datastores": [
            {"datastore": CLS | {"records": {"table": "first"}}},
            {"datastore": CLS | {"records": {"table": "second"}, "checksum": True}},
            {
                "datastore": CLS
                | {
                    "records": {"table": "third"},
                    "templates": {
                        "default": "{run}/elsewhere/{datasetType}_{instrument:?}_{detector:?}_{day_obs:?}",
                        "first_extra": "{run}/more/{instrument}_{detector}_{day_obs}",
                    },
                }
            },
        ],
    }
}


@pytest.fixture
def chained(tmp_path):
    moody.make_repository(tmp_path / "repo", config=SEED)
    (tmp_path / "pipeline.yaml").write_text(moody.PIPELINE)
    return Workshop(tmp_path)


@pytest.fixture
def theirs(peer_command):
    """Run a program of the peer with the tasks of the tests."""

    def call(program, *arguments):
        code, _, said = peer_command(moody.MODULES, program, *arguments)
        assert code == 0, said[-3000:]

    return call


def kept(chained, run):
    """Files of a run by datastore; the sizes of those that say when and where differ from run to run."""
    found = {}
    for table in TABLES:
        rows = chained.select("path, formatter, storage_class, component, checksum IS NULL, file_size", table)
        own = [row for row in rows if row[0].startswith(f"{run}/")]
        assert all(int(size) > 0 for *_, size in own)
        found[table] = sorted((path.replace(run, "RUN"), *rest) for path, *rest, _ in own)
    return found


def told_by(chained, run):
    with Butler(chained.repo, collections=run) as butler:
        return sorted((str(ref.dataId), str(butler.get(ref))) for ref in butler.query_datasets("first_out"))


def test_each_datastore_gets_what_it_takes(chained, theirs, run_peer):
    words = ["-b", chained.repo, "-p", chained.pipeline, "-i", "in", "--register-dataset-types", "--output-run"]
    theirs("pipetask", "run", *words, "theirs")
    ended = pipetask("run", *words, "ours", "-j", 2)
    assert ended.code == 0, ended.err
    ours, expected = kept(chained, "ours"), kept(chained, "theirs")
    assert ours == expected
    assert len(ours["first"]) == len(ours["second"]) == len(ours["third"]) + 12
    assert told_by(chained, "ours") == told_by(chained, "theirs")
    assert chained.announced() == []
    with Butler(chained.repo) as butler:
        assert not check_repository(butler).problems
    for path, *_ in chained.select("path", "first"):
        if path.startswith("ours/"):
            next(chained.repo.rglob(f"*/{path}")).unlink()
    read = "import sys; from lsst.daf.butler import Butler; b = Butler(sys.argv[1], collections='ours')"
    read += "; print(sorted((str(r.dataId), str(b.get(r))) for r in b.query_datasets('first_out')))"
    assert run_peer(read, str(chained.repo)).strip() == str(told_by(chained, "theirs"))


def test_what_was_written_without_a_registry_comes_to_each_datastore_with_its_rows(chained, theirs):
    graph = chained.folder / "one.qg"
    words = ["-b", chained.repo, "-p", chained.pipeline, "-i", "in", "--output-run", "ours"]
    for command in (["qgraph", *words, "-q", graph], ["pre-exec-init-qbb", chained.repo, graph]):
        ended = pipetask(*command)
        assert ended.code == 0, ended.err
    ended = pipetask("run-qbb", chained.repo, graph)
    assert ended.code == 0, ended.err
    ended = butler_command("transfer-from-graph", graph, chained.repo, "--register-dataset-types")
    assert ended.code == 0, ended.err
    theirs("pipetask", "run", *words[:-1], "theirs", "--register-dataset-types")
    assert kept(chained, "ours") == kept(chained, "theirs")
    with Butler(chained.repo) as butler:
        assert not check_repository(butler).problems


def test_a_run_that_cannot_copy_leaves_nothing_by_halves(chained):
    """A file is where the third datastore needs a folder for one output, so that the run ends and registers none."""
    with Butler(chained.repo) as butler:
        root = butler._datastore.file_stores[2].root
    in_the_way = Path(root) / "ours" / "more"
    in_the_way.parent.mkdir()
    in_the_way.write_text("")
    words = [
        "-b",
        chained.repo,
        "-p",
        chained.pipeline,
        "-i",
        "in",
        "--register-dataset-types",
        "--output-run",
        "ours",
    ]
    ended = pipetask("run", *words)
    assert ended.code != 0
    in_the_way.unlink()
    with Butler(chained.repo, writeable=True) as butler:
        assert not check_repository(butler).problems
        assert butler.query_datasets("first_out", collections="ours", explain=False) == []
    assert chained.announced() == []
