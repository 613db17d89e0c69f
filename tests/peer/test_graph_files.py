"""Graph files, seen by the peer and by us."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from armillary._core import QuantumGraphReader

FIXTURES = ["ab", "drp_small", "drp_small_records", "skip_existing", "skip_existing_retained", "empty", "hand"]


@pytest.fixture(name="graph_path", scope="session")
def graph_path_fixture(shared_path):
    def find(name):
        folder = ("hand", "out") if name == "hand" else ("peer",)
        return shared_path("graph-fixtures", *folder, f"{name}.qg")

    return find


def blocks(view):
    return {block["content"]["quantum_id"]: block["content"] for block in view["quantum_datasets.mb"]}


def unpacked(run_peer, shared_path, path):
    """The decoded view of a file, as the format's own dump gives it."""
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import qgdump; print(json.dumps(qgdump.dump(sys.argv[2])))"
    )
    return json.loads(run_peer(code, str(shared_path("graph-fixtures")), str(path)))


@pytest.mark.parametrize("name", [*FIXTURES, "drp_dict"])
def test_a_copy_holds_the_same_as_the_original(name, graph_path, shared_path, run_peer, tmp_path):
    copy = tmp_path / "copy.qg"
    QuantumGraphReader(graph_path(name)).read().write(copy, dictionary_samples=400)
    ours, theirs = (unpacked(run_peer, shared_path, path) for path in (copy, graph_path(name)))
    with zipfile.ZipFile(copy) as archive:
        assert all(member.compress_type == zipfile.ZIP_STORED for member in archive.infolist())
        if name != "hand":  # written by hand in another order
            with zipfile.ZipFile(graph_path(name)) as original:
                assert archive.namelist() == original.namelist()
    if name == "hand":  # which leaves out whatever has a default
        assert ours["thin_graph.json.zst"]["quanta"] == theirs["thin_graph.json.zst"]["quanta"]
        assert ours["dimension_data.json.zst"] == theirs["dimension_data.json.zst"]
        return
    assert ours["header.json.zst"] == theirs["header.json.zst"]
    assert list(ours["header.json.zst"]) == list(theirs["header.json.zst"])
    assert ours["pipeline_graph.json.zst"] == theirs["pipeline_graph.json.zst"]
    assert ours["thin_graph.json.zst"]["quanta"] == theirs["thin_graph.json.zst"]["quanta"]
    edges = [sorted(map(tuple, side["thin_graph.json.zst"]["edges"])) for side in (ours, theirs)]
    assert edges[0] == edges[1]
    assert ours["dimension_data.json.zst"] == theirs["dimension_data.json.zst"]
    assert ours["init_quanta.json.zst"] == theirs["init_quanta.json.zst"]
    mine, original = blocks(ours), blocks(theirs)
    assert list(mine) == list(original)
    for quantum_id, block in mine.items():
        assert without_order(block) == without_order(original[quantum_id])
    keys = [[row["key"] for row in side["quanta.addr"]["rows"]] for side in (ours, theirs)]
    assert keys[0] == keys[1]
    assert [row["index"] for row in ours["quanta.addr"]["rows"]] == list(range(len(keys[0])))


def without_order(block):
    """Records of datastores come in no order that anyone relies on."""
    block = dict(block)
    block["datastore_records"] = {
        name: {"dataset_ids": sorted(records["dataset_ids"]), "records": records["records"]}
        for name, records in block["datastore_records"].items()
    }
    return block


def test_the_peer_runs_a_copy_of_a_graph(shared_path, peer_python, tmp_path):
    """`pre-exec-init-qbb` and `run-qbb`, whole and by quantum id, on what we wrote."""
    shutil.copytree(shared_path("graph-fixtures", "hand"), tmp_path / "hand", dirs_exist_ok=True)
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o755)
    copy, repository = tmp_path / "copy.qg", tmp_path / "hand" / "out" / "repo"
    graph = QuantumGraphReader(tmp_path / "hand" / "out" / "hand.qg").read()
    graph.write(copy)
    pipetask = Path(peer_python).with_name("pipetask")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "hand")}
    first = str(graph.quanta()[0][0])
    for arguments in (
        ["pre-exec-init-qbb", str(repository), str(copy)],
        ["run-qbb", str(repository), str(copy), "--qgraph-node-id", first],
        ["run-qbb", str(repository), str(copy)],
    ):
        done = subprocess.run([peer_python, str(pipetask), *arguments], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    (total,) = repository.rglob("h_total*.yaml")
    assert total.read_text().strip() == "n: 2"


OLD = """
import sys
sys.path[:0] = [sys.argv[1] + "/hand", sys.argv[1] + "/scripts", sys.argv[2]]
from lsst.pipe.base.quantum_graph import PredictedQuantumGraph
with PredictedQuantumGraph.open(sys.argv[3]) as reader:
    reader.read_all()
    graph = reader.finish()
graph.to_old_quantum_graph().saveUri(sys.argv[4])
"""


@pytest.mark.parametrize("name", ["hand", "drp_small_records"])
def test_what_the_peer_writes_in_the_old_format_is_the_same_graph(name, graph_path, shared_path, run_peer, tmp_path):
    from armillary.pipeline.quantum_graph import PredictedQuantumGraph

    path = tmp_path / "old.qgraph"
    run_peer(OLD, str(shared_path("graph-fixtures")), str(shared_path("bench")), str(graph_path(name)), str(path))
    old, new = (PredictedQuantumGraph.read_execution_quanta(each) for each in (path, graph_path(name)))

    def plain(side):  # data IDs of different universes are never equal
        return {key: [(ref.id, ref.run, str(ref.dataId)) for ref in refs] for key, refs in side.items() if refs}

    def told(graph):
        quanta = {}
        for quantum_id, label in graph.quanta():
            sides = [plain(graph.get_inputs(quantum_id)), plain(graph.get_outputs(quantum_id))]
            quanta[quantum_id] = (label, str(graph.data_id_of(quantum_id)), sides)
        return quanta

    assert told(old) == told(new)
    assert sorted(old.edges()) == sorted(new.edges())
    assert old.header.output_run == new.header.output_run
    first = old.quanta()[0][0]
    assert str(old._core.datastore_records(first)) == str(new._core.datastore_records(first))
    assert old.data_id_of(first).hasRecords()
    one = PredictedQuantumGraph.read_execution_quanta(path, [first])
    assert len(one) == 1
