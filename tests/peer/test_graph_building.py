"""The same pipelines on the same repository give the same graphs as the peer's."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

BUILD = """
import json, sys
sys.path.insert(0, sys.argv[1])
import os
from roots import butler_module, pipe_module
pipe = pipe_module()
builder_module = pipe_module("all_dimensions_quantum_graph_builder")
butler = butler_module().Butler.from_config(sys.argv[2])
where, out, run = sys.argv[3:6]
options = json.loads(sys.argv[6]) if len(sys.argv) > 6 else {}
pipeline = pipe.Pipeline.from_uri(os.path.join(sys.argv[1], "drp.yaml")).to_graph()
if "dataset_query_constraint" in options:
    variants = builder_module.DatasetQueryConstraintVariant
    options["dataset_query_constraint"] = variants.fromExpression(options["dataset_query_constraint"])
try:
    builder = builder_module.AllDimensionsQuantumGraphBuilder(
        pipeline, butler, where=where, input_collections=["BenchCam/defaults"], output_run=run, **options
    )
    components = builder.finish(attach_datastore_records=True)
    components.write(out)
    print(json.dumps(dict(components.header.n_task_quanta)))
except Exception as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
"""

CAMERA = "instrument='BenchCam' AND skymap='bench_rings'"


def ours(code, *arguments, environment=None):
    names = {"BENCH_BUTLER_MODULE": "armillary.butler", "BENCH_PIPE_MODULE": "armillary.pipeline"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **names, **(environment or {})},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def content(run_peer, shared_path, path):
    """Quanta by task and data ID with their datasets, edges between them, and dimension records."""
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import qgdump; print(json.dumps(qgdump.dump(sys.argv[2])))"
    )
    view = json.loads(run_peer(code, str(shared_path("graph-fixtures")), str(path)))

    def side(datasets):
        return {
            connection: [(d["dataset_type_name"], tuple(d["data_coordinate"]), d["run"]) for d in refs]
            for connection, refs in datasets.items()
        }

    quanta, names, places = {}, {}, {}
    for block in (block["content"] for block in view["quantum_datasets.mb"]):
        key = (block["task_label"], tuple(block["data_coordinate"]))
        names[block["quantum_id"]] = key
        quanta[key] = (side(block["inputs"]), side(block["outputs"]))
        for records in block["datastore_records"].values():
            for tables in records["records"].values():
                places.update(tables)
    edges = {(names[first], names[second]) for first, second in view["thin_graph.json.zst"]["edges"]}
    records = {element: {repr(row) for row in rows} for element, rows in view["dimension_data.json.zst"].items()}
    init = [(q["task_label"], sorted(q["inputs"]), sorted(q["outputs"])) for q in view["init_quanta.json.zst"]]
    return quanta, edges, {element: rows for element, rows in records.items() if rows}, init, places


@pytest.mark.parametrize(
    "where",
    [
        CAMERA,
        "",
        CAMERA + " AND tract=0 AND patch=40",
        CAMERA + " AND patch IN (39, 40)",
        CAMERA + " AND visit=1000",
        CAMERA + " AND exposure=1001",
        CAMERA + " AND band='y'",
        CAMERA + " AND detector=4",
        CAMERA + " AND visit.exposure_time > 1 AND detector < 3",
    ],
)
def test_graphs_are_equal(where, survey, run_peer, shared_path, tmp_path):
    bench, repository = survey
    arguments = [str(bench), str(repository), where]
    theirs = json.loads(run_peer(BUILD, *arguments, str(tmp_path / "theirs.qg"), "u/x/run").strip().splitlines()[-1])
    mine = ours(BUILD, *arguments, str(tmp_path / "ours.qg"), "u/x/run")
    assert mine == theirs
    assert sum(mine.values()) > 0
    first, second = (content(run_peer, shared_path, tmp_path / f"{name}.qg") for name in ("ours", "theirs"))
    assert set(first[0]) == set(second[0])
    for key, quantum in first[0].items():
        assert quantum == second[0][key]
    assert first[1] == second[1]
    assert set(first[2]) == set(second[2])
    for element, rows in second[2].items():
        assert rows <= first[2][element], element
    assert first[3] == second[3]
    assert first[4] == second[4]


def test_the_peer_reads_a_graph_of_ours(survey, run_peer, tmp_path):
    bench, repository = survey
    path = tmp_path / "ours.qg"
    counts = ours(BUILD, str(bench), str(repository), CAMERA, str(path), "u/x/run")
    code = """
import sys, json
sys.path.insert(0, sys.argv[1])
from lsst.pipe.base.quantum_graph import PredictedQuantumGraph
with PredictedQuantumGraph.open(sys.argv[2]) as reader:
    reader.read_all()
    graph = reader.finish()
quanta = graph.build_execution_quanta()
assert all(quantum.dataId.hasRecords() for quantum in quanta.values())
by_task = {label: len(quanta) for label, quanta in graph.quanta_by_task.items()}
print(json.dumps([len(quanta), graph.quantum_only_xgraph.number_of_edges(), by_task]))
"""
    n_quanta, n_edges, by_task = json.loads(run_peer(code, str(bench), str(path)))
    assert by_task == counts
    assert (n_quanta, n_edges) == (581, 992)


@pytest.mark.parametrize("where", ["instrument='Nope'", CAMERA + " AND visit=77"])
def test_empty_graphs_are_empty_for_a_reason(where, survey, tmp_path):
    bench, repository = survey
    code = BUILD.replace(
        "print(json.dumps(dict(components.header.n_task_quanta)))",
        "print(json.dumps([components.header.n_quanta, components.explain()]))",
    )
    n_quanta, reasons = ours(code, str(bench), str(repository), where, str(tmp_path / "empty.qg"), "u/x/run")
    assert n_quanta == 0
    assert reasons


def test_other_constraints_give_what_the_peer_gives(survey, run_peer, tmp_path):
    bench, repository = survey
    for constraint in ("off", "raw", "raw,zzz", "zzz"):
        options = json.dumps({"dataset_query_constraint": constraint})
        arguments = [str(bench), str(repository), CAMERA]
        tail = ["u/x/run", options]
        theirs = json.loads(run_peer(BUILD, *arguments, str(tmp_path / "t.qg"), *tail).strip().splitlines()[-1])
        mine = ours(BUILD, *arguments, str(tmp_path / "o.qg"), *tail)
        if "error" in theirs:
            assert mine["error"] == theirs["error"] == "QuantumGraphBuilderError"
        else:
            assert mine == theirs, constraint
