"""Provenance graphs: made from what a run left, taken into a repository, read again, and followed over runs."""

import json
import shutil
import threading
import uuid

import pytest

from armillary.butler import Butler
from armillary.pipeline import QuantumSuccessCaveats
from armillary.pipeline.provenance import ProvenanceQuantumGraph
from armillary.pipeline.provenance.aggregate import aggregate_graph
from cli.programs import butler, pipetask
from reports import moody

MOODS = "first:moods={'20250101/1': 'fail', '20250102/2': 'nothing', '20250103/2': 'partial'}"
RUN = "u/out/one"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A run in which something fails, and its provenance graph."""
    folder = tmp_path_factory.mktemp("ran")
    moody.make_repository(folder / "repo")
    (folder / "moody.yaml").write_text(moody.PIPELINE)
    words = ["-b", folder / "repo", "-p", folder / "moody.yaml", "-i", "in", "-o", "u/out", "--output-run", RUN]
    path = folder / "one.qg"
    ended = pipetask(
        "run", *words, "-q", path, "-c", MOODS, "--register-dataset-types", "--no-raise-on-partial-outputs"
    )
    assert path.exists(), ended.err
    ended = butler("aggregate-graph", path, folder / "repo", "-o", folder / "provenance.qg")
    assert ended.code == 0, ended.err
    assert "1 blocked, 1 failed; 0 datasets registered" in ended.out
    return folder


def test_every_quantum_is_told_with_how_it_ended(ran):
    graph = ProvenanceQuantumGraph(ran / "provenance.qg")
    states = {(q.task_label, *q.data_id.values()): (q.status.name, q.caveats) for q in graph.quanta.values()}
    assert states["first", "Cam", 20250101, 1] == ("FAILED", None)
    assert states["second", "Cam", 1] == ("BLOCKED", None)
    assert states["first", "Cam", 20250102, 2][1].concise() == "*N"
    assert states["first", "Cam", 20250103, 2][1].concise() == "+P"
    assert states["second", "Cam", 2] == ("SUCCESSFUL", states["second", "Cam", 2][1])
    failed = next(q for q in graph.quanta.values() if q.status.name == "FAILED")
    assert (failed.exception.type_name, failed.exception.message) == ("RuntimeError", "asked to fail")
    assert failed.attempts[0].resource_usage.memory > 1e6
    partial = next(q for q in graph.quanta.values() if q.exception and q.status.name == "SUCCESSFUL")
    assert partial.exception.metadata == {"stars": 2}


def test_several_threads_look_for_files_and_find_the_same(ran, tmp_path, monkeypatch):
    two_at_once, met = threading.Barrier(2, timeout=20), []
    shutil.copytree(ran / "repo", tmp_path / "repo")
    with Butler(tmp_path / "repo", writeable=True) as repository:
        kind = type(repository._datastore.file_datastore)
        exists = kind.exists

        def meeting(self, records):
            if not met:  # waits for a second thread, and fails without one
                two_at_once.wait()
                met.append(True)
            return exists(self, records)

        monkeypatch.setattr(kind, "exists", meeting)
        aggregate_graph(str(ran / "one.qg"), repository, output=str(tmp_path / "four.qg"), processes=4)
    assert met
    one, four = (ProvenanceQuantumGraph(path) for path in (ran / "provenance.qg", tmp_path / "four.qg"))
    assert four.quanta == one.quanta
    assert four.datasets == one.datasets
    ids = list(one.quanta)
    assert four.get_metadata(ids) == one.get_metadata(ids)


def test_datasets_know_their_makers_and_readers(ran):
    graph = ProvenanceQuantumGraph(ran / "provenance.qg")
    made = [one for one in graph.datasets.values() if one.dataset_type_name == "first_out"]
    assert (len(made), sum(one.produced for one in made)) == (6, 4)
    assert {graph.quanta[one.producer].task_label for one in made} == {"first"}
    assert {graph.quanta[key].task_label for one in made for key in one.consumers} == {"second"}
    edges = graph.bipartite_xgraph
    assert len(edges) == len(graph.quanta) + len(graph.datasets) + len(graph.init_quanta)


def test_quanta_and_datasets_are_found_by_data_id(ran):
    with ProvenanceQuantumGraph.from_args(str(ran / "provenance.qg")) as (graph, repository):
        assert repository is None
        assert {label: len(found) for label, found in graph.quanta_by_task.items()} == {"first": 6, "second": 2}
        data_id = next(found for found in graph.quanta_by_task["second"] if found["detector"] == 2)
        assert graph.quanta[graph.quanta_by_task["second"][data_id]].data_id == {"instrument": "Cam", "detector": 2}
        assert len(graph.datasets_by_type["first_out"]) == 6
        usage = graph.make_task_resource_usage_table("first", include_data_ids=True)
        assert usage.colnames[:4] == ["quantum_id", "instrument", "day_obs", "detector"]
        assert len(usage) == 6
        assert (usage["memory"] > 1e6).all()
        assert list(graph.make_quantum_table()["Successful"]) == [5, 1]


def test_metadata_and_logs_are_found_by_quantum_and_by_dataset(ran):
    graph = ProvenanceQuantumGraph(ran / "provenance.qg")
    failed = next(q for q in graph.quanta.values() if q.status.name == "FAILED")
    ids = [failed.quantum_id, *failed.outputs["_log"]]
    logs = graph.get_logs(ids)
    assert logs[ids[0]] == logs[ids[1]]
    assert any("asked to fail" in str(record) for record in logs[ids[0]][-1])
    assert graph.get_metadata(ids[:1])[ids[0]][0]["metadata"]["quantum"]
    assert graph.get_logs([uuid.uuid4()]).popitem()[1] == []


def test_the_report_tells_states_and_exceptions(ran, tmp_path):
    ended = butler(
        "provenance-report", ran / "provenance.qg", "--caveat", "NO_WORK", "--status-report", tmp_path / "r.json",
        "--data-id-table-dir", tmp_path / "tables",
    )  # fmt: skip
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["first", "(multiple)", "1", "0", "5", "6", "6"] in rows
    assert ["first", "RuntimeError", "0", "1"] in rows
    assert ["first", "moody_tasks.HalfDone", "1", "0"] in rows
    report = json.loads((tmp_path / "r.json").read_text())
    assert [list(kinds) for kinds in report["first"].values()] in (
        [["None"], ["RuntimeError"]],
        [["RuntimeError"], ["None"]],
    )
    assert report["first"]["SUCCESSFUL"]["None"][0]["data_id"] == {
        "instrument": "Cam",
        "day_obs": 20250102,
        "detector": 2,
    }
    assert (tmp_path / "tables" / "first" / "FAILED" / "RuntimeError.ecsv").exists()
    as_json = json.loads(butler("provenance-report", ran / "provenance.qg", "--format", "json").out)
    assert as_json["tasks"][0]["Failed"] == 1


def test_many_reports_are_made_at_once(ran, tmp_path, capsys):
    graph = ProvenanceQuantumGraph(ran / "provenance.qg")
    graph.make_many_reports()
    assert capsys.readouterr().out == ""
    graph.make_many_reports(print_quantum_table=True, print_exception_table=True, expand_caveats=True)
    told = capsys.readouterr().out
    assert "HalfDone" in told and "P: " in told and "(multiple)" not in told
    assert "Aborted" not in told
    graph.make_many_reports(print_quantum_table=True, print_legend=False)
    assert "P: " not in capsys.readouterr().out
    graph.make_many_reports(
        print_exception_table=True,
        output_format="json",
        status_report_file=tmp_path / "r.json",
        with_caveats=QuantumSuccessCaveats.NO_WORK,
        data_id_table_dir=tmp_path / "tables",
    )
    told = json.loads(capsys.readouterr().out)
    assert {row["Exception"] for row in told["exceptions"]} == {"RuntimeError", "moody_tasks.HalfDone"}
    assert "tasks" not in told
    assert {*json.loads((tmp_path / "r.json").read_text())["first"]} == {"FAILED", "SUCCESSFUL"}
    assert (tmp_path / "tables" / "first" / "FAILED" / "RuntimeError.ecsv").exists()
    with pytest.raises(ValueError, match="`yaml` is no form"):
        graph.make_many_reports(output_format="yaml")


def test_tables_come_as_rows_with_all_columns(ran):
    graph = ProvenanceQuantumGraph(ran / "provenance.qg")
    assert "Aborted" in graph.make_quantum_table(drop_unused_columns=False).colnames
    assert "Aborted" not in graph.make_quantum_table().colnames
    first, second = graph.make_quantum_table(as_table=False, expand_caveats=True)
    assert (first["Aborted"], first["Failed"], second["Blocked"]) == (0, 1, 1)
    assert first["Caveats"].count("(1)") == 2
    failures = {row["Exception"]: row["Failures"] for row in graph.make_exception_table(as_table=False)}
    assert failures == {"RuntimeError": 1, "moody_tasks.HalfDone": 0}


@pytest.fixture
def taken_in(ran, tmp_path):
    """A copy of the repository that has taken its provenance graph in."""
    import shutil

    shutil.copytree(ran / "repo", tmp_path / "repo")
    shutil.copy(ran / "provenance.qg", tmp_path / "provenance.qg")
    ended = butler("ingest-graph", tmp_path / "repo", tmp_path / "provenance.qg")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("15 datasets are now read from the provenance graph, 0 were before, 3 were never")
    return tmp_path


def test_metadata_and_logs_are_read_from_the_graph_that_was_taken_in(taken_in, ran):
    with Butler(taken_in / "repo", collections=[RUN]) as here, Butler(ran / "repo", collections=[RUN]) as there:
        for name in ("first_metadata", "first_log", "second_log"):
            refs = here.query_datasets(name)
            assert {ref.id for ref in refs} == {ref.id for ref in there.query_datasets(name)}
            for ref in refs:
                assert here.getURI(ref).ospath.endswith(".qg")
                assert here.get(ref) == there.get(ref)
        assert not list((taken_in / "repo").rglob("*_metadata*.json"))
        assert here.get("run_provenance").header.output_run == RUN
    again = butler("ingest-graph", taken_in / "repo", "--output-run", RUN)
    assert again.out.startswith("0 datasets are now read from the provenance graph, 15 were before")
    assert butler("provenance-report", taken_in / "repo", RUN).out.split()[0] == "Task"


def test_lineage_goes_up_and_down_over_what_was_taken_in(taken_in):
    words = [taken_in / "repo", "second_out", "instrument=Cam", "detector=2", "--collections", RUN]
    lines = butler("lineage", *words).out.splitlines()
    assert lines[0] == f"second_out {{instrument: 'Cam', detector: 2}} in {RUN} by second"
    assert f"  first_out {{instrument: 'Cam', day_obs: 20250101, detector: 2}} in {RUN} by first" in lines
    assert "    numbers {instrument: 'Cam', day_obs: 20250101, detector: 2} in in" in lines
    assert len(lines) == 5
    words = [taken_in / "repo", "numbers", "instrument=Cam", "day_obs=20250101", "detector=2", "--collections", "in"]
    root = json.loads(butler("lineage", *words, "--down", "--format", "json").out)
    assert [link["dataset_type"] for link in root["links"]] == ["first_extra", "first_out"]
    assert [link["dataset_type"] for link in root["links"][1]["links"]] == ["second_out"]
    assert len(butler("lineage", *words, "--down", "--depth", "1").out.splitlines()) == 3


def test_lineage_uses_graph_files_where_nothing_was_taken_in(ran):
    words = [ran / "repo", "second_out", "instrument=Cam", "detector=2", "--collections", RUN]
    for graph in ("one.qg", "provenance.qg"):
        assert len(butler("lineage", *words, "--graph", ran / graph).out.splitlines()) == 5
    ended = butler("lineage", *words)
    assert ended.code == 1
    assert "the repository holds no provenance graph" in ended.err


def test_a_run_without_a_registry_is_taken_in_by_aggregation(ran, tmp_path):
    import shutil

    moody.make_repository(tmp_path / "repo")
    shutil.copy(ran / "moody.yaml", tmp_path / "moody.yaml")
    words = ["-b", tmp_path / "repo", "-p", tmp_path / "moody.yaml", "-i", "in", "-o", "u/out", "--output-run", RUN]
    path = tmp_path / "one.qg"
    assert pipetask("qgraph", *words, "-q", path, "--qgraph-datastore-records").code == 0
    assert pipetask("pre-exec-init-qbb", tmp_path / "repo", path).code == 0
    assert pipetask("run-qbb", tmp_path / "repo", path).code == 0
    dry = butler("aggregate-graph", path, tmp_path / "repo", "--dry-run", "-o", tmp_path / "p.qg")
    ended = butler("aggregate-graph", path, tmp_path / "repo", "-o", tmp_path / "p.qg", "--promise-ingest-graph")
    assert dry.code == ended.code == 0, ended.err
    assert "8 successful; 34 datasets registered, 0 were there before" in dry.out
    assert "8 successful; 16 datasets registered, 0 were there before" in ended.out
    assert butler("ingest-graph", tmp_path / "repo", tmp_path / "p.qg").code == 0
    with Butler(tmp_path / "repo", collections=["u/out"]) as repository:
        assert repository.get("second_out", instrument="Cam", detector=2) == {"sum": 12.0}
        assert len(repository.query_datasets("first_metadata")) == 6
        assert "quantum" in repository.get("first_metadata", instrument="Cam", day_obs=20250101, detector=1)


def test_files_of_a_graph_are_taken_out_without_a_registry(ran, tmp_path):
    zipped = butler("zip-from-graph", ran / "one.qg", ran / "repo", tmp_path / "zip", "-d", "first_*")
    assert zipped.code == 0, zipped.err
    assert len(list((tmp_path / "zip").glob("*.zip"))) == 1
    words = ["retrieve-artifacts-for-quanta", ran / "one.qg", ran / "repo"]
    ended = butler(*words, tmp_path / "out", "--no-include-inputs")
    files = {path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert ended.code == 0, ended.err
    assert files == {".yaml", ".json", ".py"}
    only = butler(*words, tmp_path / "in", "--no-include-outputs")
    assert "Number of files retrieved: 10" in only.out
    wrong = butler("zip-from-graph", ran / "one.qg", ran / "repo", tmp_path / "zip", "-d", "first_oot")
    assert "did you mean `first_out`?" in wrong.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["provenance-report", "one.qg"], "holds a predicted graph, not a provenance graph"),
        (["provenance-report", "repo", "u/out/one"], "no provenance graph is in `u/out/one`"),
        (["ingest-graph", "repo"], "name a provenance graph, or the run"),
        (["ingest-graph", "repo", "none.qg"], "error: no such file or directory: `none.qg`"),
        (["provenance-report", "none.qg"], "error: no such file or directory: `none.qg`"),
        (["ingest-graph", "repo", "one.qg"], "holds a predicted graph"),
        (
            ["ingest-graph", "repo", "provenance.qg", "--output-run", "other"],
            "tells of the run `u/out/one`, not of `other`",
        ),
        (["aggregate-graph", "one.qg", "repo", "-o", "one.json"], "a quantum graph file ends in `.qg`"),
        (["aggregate-graph", "provenance.qg", "repo"], "provenance"),
        (["lineage", "repo", "second_out", "detector"], "write `KEY=VALUE`"),
        (["lineage", "repo", "00000000-0000-0000-0000-000000000001"], "no dataset has the id"),
    ],
)
def test_mistakes_are_told(words, told, ran):
    ended = butler(*words, directory=ran)
    assert ended.code in (1, 2)
    assert told in ended.err
    assert "Traceback" not in ended.err


def test_damaged_graphs_are_refused(ran, tmp_path):
    content = (ran / "provenance.qg").read_bytes()
    for length in (0, 30, len(content) // 2, len(content) - 40):
        (tmp_path / "cut.qg").write_bytes(content[:length])
        ended = butler("provenance-report", tmp_path / "cut.qg")
        assert ended.code == 1
        assert "Traceback" not in ended.err
