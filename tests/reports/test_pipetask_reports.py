"""`pipetask report`, `aggregate-reports`, `purge` and `cleanup`, as a user meets them."""

import io
import json
import shutil
import sqlite3
import sys

import pytest

from armillary.butler import Butler, CollectionType
from cli.programs import pipetask
from reports import moody

MOODS = "first:moods={'20250101/1': 'fail', '20250102/2': 'nothing', '20250103/2': 'partial'}"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Two attempts: in the first, something fails; in the second, that succeeds."""
    folder = tmp_path_factory.mktemp("ran")
    moody.make_repository(folder / "repo")
    (folder / "moody.yaml").write_text(moody.PIPELINE)
    for name, words in (("one", ["-i", "in", "-c", MOODS]), ("two", [])):
        common = ["-b", folder / "repo", "-p", folder / "moody.yaml", "-o", "u/out", "--register-dataset-types"]
        path = folder / f"{name}.qg"
        run = ["--output-run", f"u/out/{name}", "-q", path, "--no-raise-on-partial-outputs"]
        ended = pipetask("run", *common, *run, *words)
        assert path.exists(), ended.err
    return folder


def test_a_failure_is_told_with_its_data_id_and_its_error(ran):
    ended = pipetask("report", ran / "repo", ran / "one.qg")
    assert ended.code == 0, ended.err
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["first", "1", "0", "5", "6"] in rows
    assert ["second", "0", "1", "1", "2"] in rows
    assert ["first_out", "4", "1", "1", "0", "6"] in rows
    assert "first failed: instrument='Cam', day_obs=20250101, detector=1" in ended.out
    assert "asked to fail" in ended.out
    brief = pipetask("report", ran / "repo", ran / "one.qg", "--brief")
    assert "asked to fail" not in brief.out
    assert ["first", "1", "0", "5", "6"] in [line.split() for line in brief.out.splitlines()]


def test_what_recovered_is_told_over_two_attempts(ran, tmp_path):
    path = tmp_path / "report.json"
    ended = pipetask("report", ran / "repo", ran / "one.qg", ran / "two.qg", "--full-output-filename", path)
    assert ended.code == 0, ended.err
    report = json.loads(path.read_text())
    assert report["tasks"]["first"]["n_successful"] == 6
    assert report["tasks"]["first"]["recovered_quanta"] == [{"instrument": "Cam", "day_obs": 20250101, "detector": 1}]
    assert report["tasks"]["second"]["recovered_quanta"] == [{"instrument": "Cam", "detector": 1}]


def test_accepted_failures_and_their_caveats_are_counted(ran):
    ended = pipetask("report", ran / "repo", ran / "one.qg", "--force-v2")
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["first", "0", "5", "(multiple)", "0", "1", "0", "6", "6"] in rows
    assert ["first", "moody_tasks.HalfDone", "1"] in rows
    assert "P: the task failed after writing a part of its outputs" in ended.out


def forget_reports(repository):
    """Remove what the datastore knows of metadata and logs; the files stay."""
    with sqlite3.connect(repository / "gen3.sqlite3") as database:
        named = "path LIKE '%!_log/%' ESCAPE '!' OR path LIKE '%!_metadata/%' ESCAPE '!'"
        removed = database.execute(f"DELETE FROM file_datastore_records WHERE {named}").rowcount
        database.execute(
            "DELETE FROM dataset_location WHERE dataset_id NOT IN (SELECT dataset_id FROM file_datastore_records)"
        )
    database.close()
    return removed


def test_files_without_records_are_read_where_quanta_put_them(ran, tmp_path):
    shutil.copytree(ran / "repo", tmp_path / "repo")
    assert forget_reports(tmp_path / "repo") > 20
    words = ["report", tmp_path / "repo", ran / "one.qg"]
    assert "asked to fail" in pipetask(*words).out
    assert "asked to fail" in pipetask(*words, "--use-qbb").out
    assert "asked to fail" not in pipetask(*words, "--no-use-qbb").out
    ended = pipetask(*words, "--force-v2", "--no-use-qbb")
    assert ended.code == 0, ended.err
    assert "the log of run `u/out/one` cannot be read" in ended.out
    assert "moody_tasks.HalfDone" not in ended.out
    ended = pipetask(*words, "--force-v2")
    assert "moody_tasks.HalfDone" in ended.out
    assert "asked to fail" in ended.out
    assert "cannot be read" not in ended.out


def test_files_that_were_moved_are_read_where_the_datastore_says(ran, tmp_path):
    shutil.copytree(ran / "repo", tmp_path / "repo")
    (tmp_path / "repo" / "moved").mkdir()
    with sqlite3.connect(tmp_path / "repo" / "gen3.sqlite3") as database:
        found = database.execute("SELECT dataset_id, path FROM file_datastore_records WHERE path LIKE '%_log/%'")
        for number, (dataset_id, path) in enumerate(found.fetchall()):
            moved = f"moved/{number}.json"
            (tmp_path / "repo" / path).rename(tmp_path / "repo" / moved)
            row = (moved, dataset_id)
            database.execute("UPDATE file_datastore_records SET path = ? WHERE dataset_id = ?", row)
    database.close()
    for option in ("--use-qbb", "--no-use-qbb"):
        assert "asked to fail" in pipetask("report", tmp_path / "repo", ran / "one.qg", option).out


def test_counts_stand_beside_the_drawing(ran):
    ended = pipetask("report", ran / "repo", ran / "one.qg", "--view-graph")
    assert "[5 succeeded, 1 failed of 6]" in ended.out
    assert "[1 succeeded, 1 blocked of 2]" in ended.out


def test_reports_add_up(ran, tmp_path):
    path = tmp_path / "one.json"
    pipetask("report", ran / "repo", ran / "one.qg", "--force-v2", "--full-output-filename", path)
    ended = pipetask("aggregate-reports", path, path)
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["first", "0", "10", "(multiple)", "0", "2", "0", "12", "12"] in rows


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["report", "repo", "none.qg"], "error: no such file or directory: `none.qg`"),
        (["report", "repo"], "error: missing argument `QGRAPHS...`"),
        (["report", "repo", "one.qg", "--curse-failed-logs"], "needs the collection that holds the final outputs"),
        (["report", "repo", "one.qg", "--collections", "u/oot"], "no collection is called `u/oot`"),
        (["report", "repo", "moody.yaml"], "`moody.yaml` is not a quantum graph file"),
        (["aggregate-reports", "moody.yaml"], "error: `moody.yaml` is no JSON report of `pipetask report`"),
        (["purge", "u/oot", "-b", "repo"], "no collection is called `u/oot`"),
        (["purge", "in", "-b", "repo"], "`in` is a RUN collection, not a chain of outputs"),
        (["cleanup", "in", "-b", "repo"], "`in` is a RUN collection, not a chain of outputs"),
    ],
)
def test_mistakes_are_told(words, told, ran):
    ended = pipetask(*words, directory=ran)
    assert ended.code in (1, 2)
    assert told in ended.err
    assert "Traceback" not in ended.err


def test_a_graph_that_was_not_run_is_told_so(tmp_path):
    moody.make_repository(tmp_path / "repo")
    (tmp_path / "moody.yaml").write_text(moody.PIPELINE)
    words = ["-b", tmp_path / "repo", "-p", tmp_path / "moody.yaml", "-i", "in", "--output-run", "r"]
    assert pipetask("qgraph", *words, "-q", tmp_path / "one.qg").code == 0
    ended = pipetask("report", tmp_path / "repo", tmp_path / "one.qg")
    assert ended.code == 1
    assert "the run `r` of the graph is not in the repository" in ended.err
    assert "butler transfer-from-graph" in ended.err


@pytest.fixture
def chains(tmp_path):
    """Chains within chains, and runs below their names that nothing holds."""
    moody.make_repository(tmp_path / "repo", nights=1, detectors=1)
    with Butler(tmp_path / "repo", writeable=True) as butler:
        for name in ("c/1", "c/2", "c/old", "cc/1", "c/sub/1", "other"):
            butler.collections.register(name)
        butler.collections.register("c/tag", CollectionType.TAGGED)
        for name, members in (("c/sub", ["c/sub/1", "other"]), ("c", ["c/2", "c/1", "c/tag", "c/sub", "in"])):
            butler.collections.register(name, CollectionType.CHAINED)
            butler.collections.redefine_chain(name, members)
    return tmp_path


def left(folder):
    with Butler(folder / "repo") as butler:
        return set(butler.collections.query("*"))


def test_purge_takes_the_chain_and_what_is_below_its_name(chains):
    assert pipetask("purge", "c", "-b", chains / "repo", "--no-confirm").code == 0
    assert left(chains) == {"in", "c/old", "cc/1", "c/sub", "c/sub/1", "other"}


def test_purge_takes_chains_within_it_when_asked(chains):
    assert pipetask("purge", "c", "-b", chains / "repo", "--no-confirm", "--recursive").code == 0
    assert left(chains) == {"in", "c/old", "cc/1", "other"}


def test_purge_refuses_what_another_chain_holds(chains):
    with Butler(chains / "repo", writeable=True) as butler:
        butler.collections.register("keeper", CollectionType.CHAINED)
        butler.collections.redefine_chain("keeper", ["c/1"])
    before = left(chains)
    ended = pipetask("purge", "c", "-b", chains / "repo", "--no-confirm")
    assert ended.code == 1
    assert "nothing was removed: `c/1` is in `keeper`" in ended.err
    assert left(chains) == before


def test_cleanup_takes_what_the_chain_does_not_hold_and_nothing_with_a_similar_name(chains):
    assert pipetask("cleanup", "c", "-b", chains / "repo", "--no-confirm").code == 0
    assert left(chains) == {"in", "c", "c/1", "c/2", "c/tag", "c/sub", "c/sub/1", "cc/1", "other"}
    assert "nothing to remove" in pipetask("cleanup", "c", "-b", chains / "repo", "--no-confirm").out


def test_nothing_goes_without_a_yes(chains):
    before = left(chains)
    ended = pipetask("purge", "c", "-b", chains / "repo", before=lambda: setattr(sys, "stdin", io.StringIO("n\n")))
    assert ended.code == 130
    assert "runs: c/2, c/1" in ended.out
    assert left(chains) == before
