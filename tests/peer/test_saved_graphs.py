"""Graphs that armillary saved, and those of the fixtures, run by the peer and by us: both leave the same datasets.

`--all-graphs` takes the whole matrix of pipelines and selections, and the large fixture, where CI takes a sample.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from armillary.butler import Butler, DatasetType
from peer.graph_matrix import CAMERA, CONDITIONS, SELECTIONS

HERE = Path(__file__).parent
# Few quanta each, and together every task, alone and in company.
ONE_PATCH = CAMERA + " AND patch=40"
SAMPLE = [
    ("", ONE_PATCH),
    ("#isr", CAMERA + " AND detector IN (1, 4)"),
    ("#isr", CAMERA + " AND exposure=1001 AND NOT detector=2"),
    ("#visits", CAMERA + " AND visit=1000 AND detector < 4"),
    ("#isr,calibrate", CAMERA + " AND detector=4 AND band='y'"),
    ("#..makeWarp", ONE_PATCH),
    ("#isr..assembleCoadd", ONE_PATCH),
    ("#isr,calibrate,makeWarp,assembleCoadd", ONE_PATCH),
]
# Detectors beyond the sky map are in these only.
UNSLICED = [("", CAMERA + " AND visit=1000"), ("#..makeWarp", CAMERA + " AND visit=1001 AND detector < 3")]
# These read what the first of the others wrote.
LATER = ["#calibrate..detect", "#makeWarp..", "#tractTable", "#consolidate", "#detect,merge", "#measure..objectTable"]
FIXTURES = ["ab", "drp_small", "drp_small_records", "skip_existing", "skip_existing_retained", "empty"]


@pytest.fixture(scope="module")
def filled(survey, tmp_path_factory):
    """The bench scripts, and a repository with what the graphs read."""
    bench, original = survey
    repository = shutil.copytree(original, tmp_path_factory.mktemp("filled") / "repo")
    with Butler(repository, writeable=True, run="u/ok/third") as butler:  # what the fixtures take as done before
        butler.registry.registerDatasetType(dict_type(butler, "g_out", ["instrument", "exposure", "detector"]))
        butler.registry.registerDatasetType(dict_type(butler, "g_schema", []))
        butler.put({"col": "x"}, "g_schema")
        for ref in butler.query_datasets("raw", "BenchCam/raw/all"):
            butler.put({"v": 2}, "g_out", ref.dataId)
    return bench, repository


def dict_type(butler, name, dimensions):
    return DatasetType(name, dimensions, "StructuredDataDict", universe=butler.dimensions)


@pytest.fixture(scope="module")
def run_lines(filled, shared_path, peer_python):
    """Run command lines in one process of one side; each has to end with 0."""
    bench, _ = filled
    tasks = [str(bench), str(shared_path("graph-fixtures", "scripts"))]
    python = {"peer": (peer_python, tasks), "ours": (sys.executable, [*tasks, *sys.path])}

    def call(who, lines):
        program, path = python[who]
        done = subprocess.run(
            [program, HERE / "command_lines.py", who],
            input=json.dumps([list(map(str, line)) for line in lines]),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            timeout=1800,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        for line, (code, said) in zip(lines, json.loads(done.stdout.splitlines()[-1]), strict=True):
            assert code == 0, (who, line, said, done.stderr[-2000:])

    return call


def lines_of(repository, graph, report):
    """What runs a graph without a registry, registers what it left, and reports on it."""
    lines = [
        ("pipetask", "pre-exec-init-qbb", repository, graph),
        ("pipetask", "run-qbb", repository, graph),
        ("butler", "transfer-from-graph", graph, repository, "--register-dataset-types"),
        ("pipetask", "report", repository, graph, "--force-v2", "--full-output-filename", report),
    ]
    return lines[:3] if graph.stem == "empty" else lines  # about which the peer refuses to report


def left_behind(repository, run):
    """Every dataset of a run by type and data ID: its id, and what it holds; of metadata, how the quantum ended."""
    with Butler(repository) as butler:
        refs = butler.query_all_datasets(run, find_first=False, limit=None)
        found = {(ref.datasetType.name, str(ref.dataId)): (str(ref.id), told(butler, ref)) for ref in refs}
    assert len(found) == len(refs)
    return found


def told(butler, ref):
    kind = ref.datasetType.name.rpartition("_")[2]
    if kind == "metadata":
        quantum = butler.get(ref)["quantum"]
        return int(quantum["caveats"]), sorted(quantum.getArray("outputs"))
    if kind == "log":
        return len(butler.get(ref)) > 0
    if kind == "packages":  # of two interpreters
        return None
    content = butler.getURI(ref).read()
    if kind == "config":  # comments are in the words of each side; the peer imports what it has not yet imported
        return [line for line in content.splitlines() if line.startswith(b"config.")]
    return content


def copies(repository, folder):
    return {who: Path(shutil.copytree(repository, folder / who)) for who in ("ours", "peer")}


def save(repository, asked):
    """Build and save graphs with armillary; give the run of each that is not empty, and its number of quanta."""
    done = subprocess.run(
        [sys.executable, HERE / "save_graphs_script.py", repository],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "BENCH_PIPE_MODULE": "armillary.pipeline",
            "PYTHONPATH": os.pathsep.join([str(Path(asked[0][1]).parent), *sys.path]),
        },
    )
    assert done.returncode == 0, done.stderr[-4000:]
    n_quanta = json.loads(done.stdout.splitlines()[-1])
    return {Path(path): (run, n_quanta[path]) for path, *_, run in asked if n_quanta[path]}


@pytest.fixture(scope="module")
def ran(filled, run_lines, shared_path, tmp_path_factory, pytestconfig):
    """Everything run on both sides: by name, the two repositories, the run, its number of quanta, and both reports."""
    bench, repository = filled
    folder = tmp_path_factory.mktemp("ran")
    sides = copies(repository, folder)
    everything = pytestconfig.getoption("all_graphs")

    def ask(name, number, selection, where, inputs, tract_slicing=True):
        path, run = folder / f"{name}{number}.qg", f"u/{name}/{number}"
        return [str(path), f"{bench}/drp.yaml{selection}", where, inputs, tract_slicing, run]

    defaults = ["BenchCam/defaults"]
    rest = [pair for pair in itertools.product(SELECTIONS, CONDITIONS) if pair not in SAMPLE]
    pairs = SAMPLE + rest * everything
    asked = [ask("first", i, *pair, defaults) for i, pair in enumerate(pairs)]
    asked += [ask("unsliced", i, *pair, defaults, False) for i, pair in enumerate(UNSLICED)]
    graphs = save(sides["ours"], asked)
    cases = [(graph, *what, sides) for graph, what in graphs.items()]
    run_cases(run_lines, "ours", cases, folder)
    asked = [ask("later", i, selection, ONE_PATCH, ["u/first/0", *defaults]) for i, selection in enumerate(LATER)]
    later = [(graph, *what, sides) for graph, what in save(sides["ours"], asked).items()]
    for name in FIXTURES + ["drp_dict"] * everything:
        graph = shared_path("graph-fixtures", "peer", f"{name}.qg")
        header = json.loads(graph.with_suffix(".json").read_text())["header.json.zst"]
        (folder / name).mkdir()  # several are of one run
        later.append((graph, header["output_run"], header["n_quanta"], copies(repository, folder / name)))
    run_cases(run_lines, "ours", later, folder)
    run_cases(run_lines, "peer", cases + later, folder)
    return {graph.stem: (run, n_quanta, its, folder) for graph, run, n_quanta, its in cases + later}


def run_cases(run_lines, who, cases, folder):
    run_lines(
        who,
        [
            line
            for graph, _, _, sides in cases
            for line in lines_of(sides[who], graph, folder / f"{graph.stem} {who}.json")
        ],
    )


def check(case, name):
    """Everything left, and what the report says of it, is the same."""
    run, n_quanta, sides, folder = case
    ours, theirs = (left_behind(repository, run) for repository in sides.values())
    assert ours == theirs, name
    if n_quanta:
        reports = [json.loads((folder / f"{name} {who}.json").read_text()) for who in sides]
        assert reports[0] == reports[1], name
    assert len(ours) >= 3 * n_quanta  # each with log and metadata


def test_graphs_saved_here_run_there_and_leave_the_same(ran):
    mine = [name for name in ran if name.startswith(("first", "unsliced", "later"))]
    for name in mine:
        check(ran[name], name)
    assert len(mine) >= 14
    assert sum(name.startswith("later") for name in mine) == len(LATER)
    assert sum(name.startswith("unsliced") for name in mine) == len(UNSLICED)


@pytest.mark.parametrize("name", FIXTURES)
def test_graphs_of_the_peer_run_here_and_leave_the_same(name, ran):
    check(ran[name], name)


def test_the_large_graph_of_the_peer_too(ran, pytestconfig):
    if not pytestconfig.getoption("all_graphs"):
        pytest.skip("581 quanta: with `--all-graphs` only")
    check(ran["drp_dict"], "drp_dict")
