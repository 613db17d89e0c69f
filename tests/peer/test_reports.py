"""Reports on executed graphs: the peer and we tell the same of the same repository."""

import json
import shutil
import subprocess
import sys
from functools import partial

import pytest
import yaml
from astropy.table import Table

from armillary.butler import Butler
from armillary.pipeline import QuantumAttemptStatus, QuantumSuccessCaveats
from armillary.pipeline.provenance import ProvenanceQuantumGraph
from cli.programs import butler, pipetask
from peer.either_script import ALIAS
from reports import moody
from reports.test_pipetask_reports import forget_reports

RUNS = ("u/one", "u/two", "u/three")


@pytest.fixture(scope="module")
def theirs(peer_command):
    """Run a program of the peer with the tasks of the tests; give its exit code, output and messages."""
    return partial(peer_command, moody.MODULES)


@pytest.fixture(scope="module")
def attempts(tmp_path_factory):
    """A repository with three attempts, in which quanta ended in every way at random."""
    folder = tmp_path_factory.mktemp("attempts")
    moody.in_a_copy(moody.make_attempts, folder, RUNS)
    return folder


def data_ids_of(found):
    return str(found.get("data_id", found))


def without_prose(path):
    """A JSON report without the messages that tell of contradictions, which each program words by itself."""
    report = json.loads(path.read_text())
    assert report["tasks"]["first"]["n_expected"] == 120
    for task in report["tasks"].values():
        for quantum in task["wonky_quanta"]:
            assert quantum.pop("messages")
        for found in (*task["caveats"].values(), *task["exceptions"].values(), task["recovered_quanta"]):
            found.sort(key=data_ids_of)
        for name in ("failed_quanta", "wonky_quanta"):
            task[name].sort(key=data_ids_of)
        for quantum in task["failed_quanta"]:  # we do not complain that a run in which it was not tried has no log
            quantum["messages"] = [text for text in quantum["messages"] if not text.startswith("Logs missing")]
    for datasets in report["datasets"].values():
        for dataset in datasets["cursed_datasets"]:
            assert dataset.pop("messages")
        datasets["cursed_datasets"].sort(key=data_ids_of)
        datasets["unsuccessful_datasets"].sort(key=data_ids_of)
    return report


OPTIONS = {
    "one graph": (["one"], ["--force-v2"]),
    "three graphs": (["one", "two", "three"], ["--read-caveats", "exhaustive"]),
    "no caveats, no logs": (["one", "three"], ["--read-caveats", "none", "--no-logs"]),
    "collections": (["one", "two"], ["--collections", "u/one", "--curse-failed-logs"]),
    "where": (["one", "two"], ["--collections", "u/two,u/one", "--where", "instrument='Cam' AND detector < 20"]),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_json_report_is_that_of_the_peer(name, attempts, theirs, tmp_path):
    graphs, options = OPTIONS[name]
    words = [attempts / "repo", *(attempts / f"{graph}.qg" for graph in graphs), *options, "--full-output-filename"]
    code, _, said = theirs("pipetask", "report", *words, tmp_path / "theirs.json")
    assert code == 0, said
    ended = pipetask("report", *words, tmp_path / "ours.json")
    assert ended.code == 0, ended.err
    assert without_prose(tmp_path / "ours.json") == without_prose(tmp_path / "theirs.json")


def test_files_without_records_are_read_as_the_peer_does(attempts, theirs, tmp_path):
    shutil.copytree(attempts / "repo", tmp_path / "repo")
    assert forget_reports(tmp_path / "repo") > 100
    words = [tmp_path / "repo", attempts / "one.qg", "--force-v2", "--read-caveats", "exhaustive", "--use-qbb"]
    code, _, said = theirs("pipetask", "report", *words, "--full-output-filename", tmp_path / "theirs.json")
    assert code == 0, said
    ended = pipetask("report", *words, "--full-output-filename", tmp_path / "ours.json")
    assert ended.code == 0, ended.err
    assert without_prose(tmp_path / "ours.json") == without_prose(tmp_path / "theirs.json")


def test_the_yaml_report_on_one_graph_is_that_of_the_peer(attempts, theirs, tmp_path):
    words = [attempts / "repo", attempts / "one.qg", "--full-output-filename"]
    code, _, said = theirs("pipetask", "report", *words, tmp_path / "theirs.yaml")
    assert code == 0, said
    ended = pipetask("report", *words, tmp_path / "ours.yaml")
    assert ended.code == 0, ended.err
    ours, expected = (yaml.safe_load((tmp_path / f"{side}.yaml").read_text()) for side in ("ours", "theirs"))
    assert ours == expected


def test_each_adds_up_what_the_other_reported(attempts, theirs, tmp_path):
    names = [tmp_path / f"{name}.json" for name in ("one", "three")]
    for name, graphs in zip(names, (["one"], ["one", "three"]), strict=True):
        paths = [attempts / f"{graph}.qg" for graph in graphs]
        pipetask("report", attempts / "repo", *paths, "--force-v2", "--full-output-filename", name)
    code, _, said = theirs("pipetask", "aggregate-reports", *names, "--full-output-filename", tmp_path / "theirs.json")
    assert code == 0, said
    ended = pipetask("aggregate-reports", *names, "--full-output-filename", tmp_path / "ours.json")
    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "ours.json").read_text()) == json.loads((tmp_path / "theirs.json").read_text())
    again = pipetask("aggregate-reports", tmp_path / "theirs.json", "--brief")
    assert again.code == 0, again.err
    assert "first" in again.out


@pytest.fixture(scope="module")
def ran(tmp_path_factory, theirs):
    """A run of the peer in which something fails, with provenance graphs of either side."""
    folder = tmp_path_factory.mktemp("ran")
    moody.make_repository(folder / "repo")
    (folder / "moody.yaml").write_text(moody.PIPELINE)
    moods = "first:moods={'20250101/1': 'fail', '20250102/2': 'nothing', '20250103/2': 'partial'}"
    words = ["-b", folder / "repo", "-p", folder / "moody.yaml", "-i", "in", "-o", "u/out", "--output-run", RUNS[0]]
    more = ["-c", moods, "--register-dataset-types", "--no-raise-on-partial-outputs", "-q", folder / "one.qg"]
    theirs("pipetask", "run", *words, *more)
    shutil.copytree(folder / "repo", folder / "second")
    code, _, said = theirs(
        "butler", "aggregate-graph", folder / "one.qg", folder / "repo", "-o", folder / "theirs.qg", "--complete"
    )
    assert code == 0, said
    ended = butler("aggregate-graph", folder / "one.qg", folder / "second", "-o", folder / "ours.qg")
    assert ended.code == 0, ended.err
    return folder


def test_both_provenance_graphs_tell_the_same(ran):
    ours, expected = (ProvenanceQuantumGraph(ran / f"{side}.qg") for side in ("ours", "theirs"))
    assert len(expected.quanta) == 8
    assert ours.quanta == expected.quanta
    assert ours.datasets == expected.datasets
    assert ours.header == expected.header
    assert ours.init_quanta == expected.init_quanta
    ids = list(ours.quanta)
    assert ours.get_metadata(ids) == expected.get_metadata(ids)

    def messages(graph):
        logs = graph.get_logs(ids)
        return {key: [[one["message"] for one in found or ()] for found in attempts] for key, attempts in logs.items()}

    assert messages(ours) == messages(expected)


GRAPH = """
import json, sys
from lsst.pipe.base.quantum_graph import ProvenanceQuantumGraph
with ProvenanceQuantumGraph.from_args(sys.argv[1]) as (graph, _):
    found = {}
    for name in ("bipartite_xgraph", "quantum_only_xgraph"):
        graph_of = getattr(graph, name)
        nodes = [
            [str(node), sorted(own), *(str(own.get(key)) for key in ("data_id", "status", "log_id"))]
            for node, own in graph_of.nodes(data=True)
        ]
        edges = [
            [str(first), str(second), own.get("is_read"), len(own.get("pipeline_edges", ()))]
            for first, second, own in graph_of.edges(data=True)
        ]
        found[name] = [sorted(nodes, key=str), sorted(edges, key=str)]
    print(json.dumps(found))
"""


def test_the_graphs_of_a_provenance_graph_are_the_peers(ran, run_peer):
    expected = json.loads(run_peer(GRAPH, str(ran / "theirs.qg")))
    program = ALIAS + GRAPH
    for side in ("ours", "theirs"):
        done = subprocess.run([sys.executable, "-c", program, ran / f"{side}.qg"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == expected
    assert [len(part) for part in expected["bipartite_xgraph"]] == [49, 45]


def by_quantum(report):
    """A status report with quanta keyed by id."""
    return {
        (label, state, kind, quantum["quantum_id"]): quantum
        for label, states in report.items()
        for state, kinds in states.items()
        for kind, quanta in kinds.items()
        for quantum in quanta
    }


def test_the_peer_reports_from_our_provenance_graph_as_from_its_own(ran, theirs, tmp_path):
    reports = []
    for side in ("ours", "theirs"):
        path = tmp_path / f"{side}.json"
        code, said, _ = theirs(
            "butler", "provenance-report", ran / f"{side}.qg", "--status-report", path, "--state", "SUCCESSFUL"
        )
        assert code == 0
        reports.append((said, by_quantum(json.loads(path.read_text()))))
    assert len(reports[0][1]) == 7
    assert reports[0] == reports[1]


STATUS_REPORT = """
import json, sys
from lsst.pipe.base import QuantumAttemptStatus, QuantumSuccessCaveats
from lsst.pipe.base.quantum_graph import ProvenanceQuantumGraph
with ProvenanceQuantumGraph.from_args(sys.argv[1]) as (graph, _):
    print(graph.make_status_report(data_id_table_dir=sys.argv[2], **eval(sys.argv[3])).model_dump_json())
"""


@pytest.mark.parametrize(
    "options",
    [
        "{}",
        "{'also': QuantumAttemptStatus.SUCCESSFUL}",
        "{'also': [QuantumAttemptStatus.SUCCESSFUL], 'with_caveats': None}",
        "{'states': QuantumAttemptStatus.BLOCKED}",
    ],
)
def test_quanta_by_how_they_ended_are_those_of_the_peer(ran, run_peer, tmp_path, options):
    expected = json.loads(run_peer(STATUS_REPORT, str(ran / "theirs.qg"), str(tmp_path / "theirs"), options))
    graph = ProvenanceQuantumGraph(ran / "theirs.qg")
    names = {"QuantumAttemptStatus": QuantumAttemptStatus, "QuantumSuccessCaveats": QuantumSuccessCaveats}
    report = graph.make_status_report(data_id_table_dir=tmp_path / "ours", **eval(options, names))
    assert json.loads(report.model_dump_json()) == expected
    tables = {
        side: {path.relative_to(tmp_path / side): rows_of(path) for path in (tmp_path / side).rglob("*.ecsv")}
        for side in ("ours", "theirs")
    }
    assert tables["ours"] == tables["theirs"]


def rows_of(path):
    """The data IDs of a table, without implied values."""
    table = Table.read(path)
    names = [name for name in ("instrument", "day_obs", "detector") if name in table.colnames]
    return sorted(tuple(row[name] for name in names) for row in table)


def test_the_peer_takes_our_provenance_graph_in(ran, theirs, tmp_path):
    shutil.copytree(ran / "repo", tmp_path / "repo")
    shutil.copy(ran / "ours.qg", tmp_path / "ours.qg")
    code, _, said = theirs("butler", "ingest-graph", tmp_path / "repo", tmp_path / "ours.qg")
    assert code == 0, said
    with Butler(tmp_path / "repo", collections=[RUNS[0]]) as repository:
        data_id = {"instrument": "Cam", "day_obs": 20250103, "detector": 1}
        assert repository.getURI("first_metadata", data_id).ospath.endswith(".qg")
        assert "quantum" in repository.get("first_metadata", data_id)
        assert len(repository.get("first_log", data_id)) > 0


def test_the_peer_runs_a_graph_that_was_copied_for_another_run(ran, theirs):
    ended = pipetask("update-graph-run", ran / "one.qg", "u/new", ran / "new.qg")
    assert ended.code == 0, ended.err
    code, _, said = theirs("pipetask", "pre-exec-init-qbb", ran / "repo", ran / "new.qg")
    assert code == 0, said
    theirs("pipetask", "run-qbb", ran / "repo", ran / "new.qg", "--no-raise-on-partial-outputs")
    code, out, said = theirs("butler", "transfer-from-graph", ran / "new.qg", ran / "repo")
    assert "Number of datasets transferred: 25" in out, said


def test_mocks_of_either_side_are_read_by_the_other(ran, theirs, run_peer):
    words = [
        "-b",
        ran / "second",
        "-p",
        ran / "moody.yaml",
        "-i",
        "in",
        "--mock",
        "--unmocked-dataset-types",
        "numbers",
    ]
    ended = pipetask("run", *words, "--output-run", "ours", "--register-dataset-types", "-q", ran / "mock.qg")
    assert ended.code == 0, ended.err
    theirs("pipetask", "run", *words, "--output-run", "theirs", "--register-dataset-types")
    data_id = {"instrument": "Cam", "detector": 2}
    with Butler(ran / "second") as repository:
        ours, expected = (repository.get("_mock_second_out", data_id, collections=[run]) for run in ("ours", "theirs"))
    for side in (ours, expected):
        side.dataset_id = side.run = None
        for one in side.quantum.inputs["first"]:
            one.dataset_id = one.run = None
    assert ours == expected
    code = """
import sys, lsst.pipe.base.tests.mocks
from lsst.daf.butler import Butler
lsst.pipe.base.tests.mocks.MockStorageClass.get_or_register_mock("StructuredDataDict")
butler = Butler(sys.argv[1], collections=["ours"])
dataset = butler.get("_mock_second_out", instrument="Cam", detector=2)
print(type(dataset).__name__, dataset.quantum.task_label, len(dataset.quantum.inputs["first"]))
"""
    assert run_peer(code, str(ran / "second")).split() == ["MockDataset", "_mock_second", "3"]
    code, _, said = theirs("pipetask", "pre-exec-init-qbb", ran / "repo", ran / "mock.qg")
    assert code == 0, said
