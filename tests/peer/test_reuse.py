"""What `--reuse` leaves in a repository, seen by the peer, and what the peer leaves, seen by `--reuse`."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from reuse.stock import OUTPUTS, make_shop, told

LOOK = """
import json, sys
from lsst.daf.butler import Butler
butler = Butler.from_config(sys.argv[1])
names = json.loads(sys.argv[2])
found = {}
for name in names:
    for ref in butler.query_datasets(name, "u/out", explain=False):
        values = [name, *map(str, ref.dataId.required_values)]
        found["/".join(values)] = str(ref.id)
metadata = [butler.get(ref) for ref in butler.query_datasets("weigh_metadata", "u/out")]
print(json.dumps({
    "found": found,
    "kinds": [butler.collections.get_info(name).type.name for name in butler.collections.get_info("u/out").children],
    "notes": sum("made_from" in one["quantum"] for one in metadata),
    "sums": [butler.get("total", instrument="Cam", detector=n, collections="u/out")["sum"] for n in (1, 2)],
}))
"""


def test_the_peer_finds_complete_outputs_in_the_chain(tmp_path, run_peer):
    shop = make_shop(tmp_path)
    shop.run("1")
    shop.run("2", "--reuse", "-c", "total:offset=5")
    seen = json.loads(run_peer(LOOK, str(shop.repo), json.dumps(OUTPUTS)))
    ours = {"/".join([name, *map(str, values)]): str(key) for (name, values), key in shop.found(names=OUTPUTS).items()}
    assert seen["found"] == ours
    assert seen["kinds"][:3] == ["RUN", "TAGGED", "RUN"]
    assert seen["notes"] == 4
    assert seen["sums"] == [11, 17]


@pytest.fixture
def peer_pipetask(run_peer):
    program = Path(run_peer("import sys; print(sys.executable)").strip()).with_name("pipetask")

    def call(shop, *words):
        environment = {**os.environ, "PYTHONPATH": str(shop.folder / "modules")}
        done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]

    return call


def test_a_graph_that_uses_outputs_again_runs_under_the_peer(tmp_path, peer_pipetask):
    shop = make_shop(tmp_path)
    shop.run("1")
    path = tmp_path / "again.qg"
    words = ["-i", "in", "-o", "u/out", "--output-run", "u/out/2", "--reuse", "-c", "total:offset=5"]
    ended = shop.pipetask("qgraph", *words, "-q", path, "--qgraph-datastore-records")
    assert ended.code == 0, ended.err
    peer_pipetask(shop, "pre-exec-init-qbb", shop.repo, path)
    peer_pipetask(shop, "run-qbb", shop.repo, path)
    written = sorted(file.name for file in (shop.repo / "u" / "out" / "2").rglob("total_Cam*"))
    assert len(written) == 2


def test_runs_of_the_peer_are_not_used_and_that_is_said(tmp_path, peer_pipetask):
    shop = make_shop(tmp_path)
    words = ["-i", "in", "-o", "u/out", "--output-run", "u/out/1", "--register-dataset-types"]
    peer_pipetask(shop, "run", *shop.words, *words)
    said = shop.run("2", "--reuse")
    assert told(said)[1] == "weigh: 4 to run: `u/out/1` does not note what its quanta were made from"
