"""Queries answer programs, too: JSON, CSV, Arrow and Parquet; options come from files; a shell completes names."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from armillary.butler import Butler, CollectionType, Timespan
from armillary.cli import plugins
from armillary.cli.butler import COMMANDS, cli, main
from armillary.cli.pipetask import cli as pipetask
from armillary.testing import small_repository


@pytest.fixture(scope="module")
def repository():
    with small_repository(run="u/me") as butler:
        for detector in (1, 2):
            butler.put({"a": detector}, "metrics", instrument="Cam", visit=10, detector=detector)
        butler.put({"a": 1}, "summary", instrument="Cam")
        butler.collections.register("chain", CollectionType.CHAINED)
        butler.collections.redefine_chain("chain", ["u/me"])
        day = {"instrument": "Cam", "id": 20250102, "timespan": Timespan.from_day_obs(20250102)}
        butler.registry.insertDimensionData("day_obs", day)
        yield str(butler._root)


def ask(repository, capfdbinary, *arguments):
    assert main([argument.replace("REPO", repository) for argument in arguments]) == 0
    return capfdbinary.readouterr().out


def test_json_holds_a_mapping_for_each_row(repository, capfdbinary):
    rows = json.loads(ask(repository, capfdbinary, "query-datasets", "REPO", "--collections", "chain", "--format=json"))
    assert [(row["type"], row["run"], row.get("detector")) for row in rows] == [
        ("metrics", "u/me", 1),
        ("metrics", "u/me", 2),
        ("summary", "u/me", None),
    ]
    assert all(len(row["id"]) == 36 for row in rows)
    rows = json.loads(ask(repository, capfdbinary, "query-collections", "REPO", "-t", "--format", "json"))
    assert rows[0] == {"name": "chain", "type": "CHAINED", "depth": 0, "children": ["u/me"], "dataset_types": []}
    assert rows[1]["dataset_types"] == ["summary"] or rows[1]["dataset_types"] == ["metrics", "summary"]
    nothing = ("query-dataset-types", "REPO", "nothing*", "--format", "json")
    assert json.loads(ask(repository, capfdbinary, *nothing)) == []


def test_times_are_two_columns(repository, capfdbinary):
    asked = ("query-dimension-records", "REPO", "day_obs", "--order-by=-day_obs", "--format")
    first = next(csv.DictReader(io.StringIO(ask(repository, capfdbinary, *asked, "csv").decode())))
    assert first == {
        "instrument": "Cam",
        "id": "20250102",
        "timespan_begin": "2025-01-02T00:00:00.000",
        "timespan_end": "2025-01-03T00:00:00.000",
    }
    assert json.loads(ask(repository, capfdbinary, *asked, "json"))[1]["timespan_begin"] is None


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_columns_come_as_arrow(repository, capfdbinary, form):
    content = ask(repository, capfdbinary, "query-data-ids", "REPO", "visit", "detector", "--format", form)
    table = pq.read_table(io.BytesIO(content)) if form == "parquet" else pa.ipc.open_stream(content).read_all()
    assert table.column("visit").to_pylist() == [10, 10, 11, 11]
    assert table.schema.field("detector").type == pa.int64()
    asked = ("query-datasets", "REPO", "--collections", "u/me", "--show-uri", "--format", form)
    content = ask(repository, capfdbinary, *asked)
    table = pq.read_table(io.BytesIO(content)) if form == "parquet" else pa.ipc.open_stream(content).read_all()
    assert table.column("dataset_type").to_pylist() == ["metrics", "metrics", "summary"]
    assert table.column("detector").to_pylist() == [1, 2, None]
    assert all(uri.startswith("file://") for uri in table.column("uri").to_pylist())
    nothing = ("query-data-ids", "REPO", "visit", "--where", "visit > 99 AND instrument='Cam'", "--format", form)
    content = ask(repository, capfdbinary, *nothing)
    table = pq.read_table(io.BytesIO(content)) if form == "parquet" else pa.ipc.open_stream(content).read_all()
    assert (table.num_rows, table.schema.field("visit").type) == (0, pa.int64())


def test_chains_are_shown_from_either_end(repository, capfdbinary):
    told = {
        chains: ask(repository, capfdbinary, "query-collections", "REPO", "--chains", chains).decode().split("\n", 2)[2]
        for chains in ("table", "inverse-table", "tree", "inverse-tree", "flatten", "no-children")
    }
    assert told == {
        "table": "chain CHAINED u/me\nu/me  RUN\n",
        "inverse-table": "chain CHAINED\nu/me  RUN     chain\n",
        "tree": "chain  CHAINED\n  u/me RUN\nu/me   RUN\n",
        "inverse-tree": "chain   CHAINED\nu/me    RUN\n  chain CHAINED\n",
        "flatten": "u/me RUN\n",
        "no-children": "u/me  RUN\nchain CHAINED\n",
    }


def test_options_come_from_a_file_and_the_command_line_is_stronger(repository, capfdbinary, tmp_path):
    file = tmp_path / "options.yaml"
    file.write_text("query-datasets:\n  collections: u/me\n  glob: x\n  limit: 1\nother: {limit: 2}\n")
    assert main(["query-datasets", repository, "metrics", "-@", str(file)]) == 2
    told = capfdbinary.readouterr().err.decode()
    assert "`query-datasets` has no option `glob`" in told
    file.write_text("query-datasets:\n  collections: u/me\n  order-by: [-detector]\n  limit: 1\n")
    asked = ("query-datasets", "REPO", "metrics", "--format", "json", "-@", str(file))
    assert [row["detector"] for row in json.loads(ask(repository, capfdbinary, *asked))] == [2]
    assert len(json.loads(ask(repository, capfdbinary, *asked, "--limit", "5"))) == 2
    assert main(["query-datasets", repository, "-@", str(tmp_path / "none.yaml")]) == 2
    assert "there is no file" in capfdbinary.readouterr().err.decode()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_an_example_that_can_be_read(name):
    command = cli.get_command(click.Context(cli), name)
    lines = getattr(command, "example", "").splitlines()
    assert lines
    for line in lines:
        assert line.startswith(f"butler {name} ")
        import shlex

        words = shlex.split(line)[2:]
        end = min(words.index(word) if word in words else len(words) for word in (">", "|"))
        command.make_context(name, words[:end], resilient_parsing=False)


def test_a_shell_completes_names_of_the_repository(repository):
    def complete(*words, last=""):
        from click.shell_completion import ShellComplete

        found = ShellComplete(cli, {}, "butler", "_BUTLER_COMPLETE").get_completions(list(words), last)
        return [item.value for item in found]

    assert complete(last="query-d") == [
        "query-dataset-types",
        "query-datasets",
        "query-data-ids",
        "query-dimension-records",
    ]
    assert complete("query-datasets", repository, "--collections", last="c") == ["chain"]
    assert complete("query-datasets", repository, last="me") == ["metrics"]
    assert complete("query-data-ids", repository, "visit", last="det") == ["detector"]
    assert complete("query-datasets", repository, "--collections", last="u/me,ch") == ["u/me,chain"]
    assert complete("query-datasets", repository + "/nowhere", last="me") == []


@pytest.mark.parametrize(
    ("words", "last", "expected"),
    [
        (["run", "-b", "{repo}", "-i"], "c", ["chain"]),
        (["run", "-b", "{repo}", "-i"], "u/me,ch", ["u/me,chain"]),
        (["run", "-b", "{repo}", "-o"], "ch", ["chain"]),
        (["qgraph", "-b", "{repo}", "--skip-existing-in"], "u/", ["u/me"]),
        (["run", "-b", "{repo}", "--reuse-from"], "u/", ["u/me"]),
        (["qgraph", "-b", "{repo}", "--dataset-query-constraint"], "me", ["metrics"]),
        (["plan", "-b", "{repo}", "--history"], "ch", ["chain"]),
        (["report", "{repo}", "run.qg", "--collections"], "ch", ["chain"]),
        (["purge", "-b", "{repo}"], "ch", ["chain"]),
        (["run", "-b"], "m", ["main"]),
        (["run", "-i"], "c", []),
    ],
)
def test_pipetask_completes_names_of_the_repository(monkeypatch, repository, words, last, expected):
    from click.shell_completion import ShellComplete

    monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", f"main: {repository}\n")
    words = [word.format(repo=repository) for word in words]
    found = ShellComplete(pipetask, {}, "pipetask", "_PIPETASK_COMPLETE").get_completions(words, last)
    assert [item.value for item in found] == expected


def test_pipetask_leaves_files_to_the_shell():
    from click.shell_completion import ShellComplete

    for words in (["run", "-p"], ["run", "-g"], ["run-qbb", "repo"], ["diff"]):
        (found,) = ShellComplete(pipetask, {}, "pipetask", "_PIPETASK_COMPLETE").get_completions(words, "pi")
        assert (found.type, found.value) == ("file", "pi")


def test_labels_are_completed(monkeypatch, repository):
    from click.shell_completion import ShellComplete

    monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", f"main: {repository}\n")
    found = ShellComplete(cli, {}, "butler", "_BUTLER_COMPLETE").get_completions(["query-datasets"], "m")
    assert [item.value for item in found] == ["main"]


def test_other_packages_add_commands(monkeypatch, tmp_path, capfd):
    (tmp_path / "camera_commands.py").write_text(
        "import click\n@click.command()\ndef take_picture():\n    'Take one.'\n    click.echo('click')\n"
    )
    (tmp_path / "more.yaml").write_text("cmd:\n  import: camera_commands\n  commands: [take-picture, create]\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(plugins.PLUGINS_VARIABLE, f"{tmp_path}/more.yaml:{tmp_path}/none.yaml")
    plugins._found.cache_clear()
    try:
        assert main(["--help"]) == 0
        assert "take-picture  Added by `camera_commands`." in capfd.readouterr().out
        assert "camera_commands" not in sys.modules
        assert main(["take-picture"]) == 0
        assert capfd.readouterr().out == "click\n"
        assert main(["take-pictures"]) == 2
        assert "none.yaml` cannot be used" in capfd.readouterr().err
    finally:
        plugins._found.cache_clear()


def test_log_messages_go_to_files(repository, tmp_path):
    text, records = tmp_path / "log.txt", tmp_path / "log.json"
    code = (
        "import logging, sys; from armillary.cli.logs import configure_logging; "
        f"configure_logging(['DEBUG'], log_files=[{str(text)!r}, {str(records)!r}], "
        "log_tty=False, log_labels=['LABEL=x']); "
        "logging.getLogger('armillary.x').debug('hello')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert text.read_text().endswith("- hello\n")
    assert "(x)" in text.read_text()
    (line,) = records.read_text().splitlines()
    assert (json.loads(line)["message"], json.loads(line)["MDC"]) == ("hello", {"LABEL": "x"})


def test_files_are_taken_in_from_a_table_and_move_on(repository, capfd, tmp_path):
    for detector in (1, 2):
        (tmp_path / f"{detector}.yaml").write_text(f"a: {detector}\n")
    (tmp_path / "table.csv").write_text("file,visit,detector\n1.yaml,11,1\n2.yaml,11,2\n")
    other, out = str(tmp_path / "other"), str(tmp_path / "out")
    taken = ["ingest-files", repository, "metrics", "u/files", f"{tmp_path}/table.csv", "--prefix", str(tmp_path)]
    assert main([*taken, "--data-id", "instrument=Cam", "-t", "copy"]) == 0
    assert capfd.readouterr().out == "2 datasets of 2 files ingested\n"
    assert main(["create", other]) == 0
    moved = ["transfer-datasets", repository, other, "--collections", "u/files", "-d", "metrics", "-t", "copy"]
    assert main([*moved, "--register-dataset-types", "--dry-run"]) == 0
    assert main([*moved, "--register-dataset-types"]) == 0
    assert capfd.readouterr().out == "Number of datasets transferred: 2\n" * 2
    with Butler(other, collections="u/files") as butler:
        assert butler.get("metrics", instrument="Cam", visit=11, detector=2) == {"a": 2}
    assert main(["retrieve-artifacts", other, out, "--collections", "u/files", "--zip"]) == 0
    (made,) = (tmp_path / "out").glob("*.zip")
    assert main(["remove-runs", other, "u/files", "--no-confirm"]) == 0
    assert main(["ingest-zip", other, str(made), "-t", "copy"]) == 0
    with Butler(other, collections="u/files") as butler:
        assert butler.get("metrics", instrument="Cam", visit=11, detector=1) == {"a": 1}
    empty = str(tmp_path / "empty")
    assert main(["create", empty]) == 0
    with Butler(repository) as source, Butler(empty, writeable=True) as butler:
        butler.registry.registerDatasetType(source.get_dataset_type("metrics"))
    capfd.readouterr()
    assert main(["ingest-zip", empty, str(made), "-t", "copy"]) == 1
    assert "instrument" in capfd.readouterr().err
    assert main(["ingest-zip", empty, str(made), "-t", "copy", "--transfer-dimensions"]) == 0
    with Butler(empty, collections="u/files") as butler:
        assert butler.get("metrics", instrument="Cam", visit=11, detector=2) == {"a": 2}


def test_calibrations_are_exported_with_their_ranges(capfd, tmp_path):
    with small_repository(run="u/flats") as butler:
        butler.put({"f": 1}, "flat", instrument="Cam", detector=1, physical_filter="Cam-R")
        root = str(butler._root)
        assert main(["certify-calibrations", root, "u/flats", "calib", "flat", "--end-date", "2025-01-01"]) == 0
        assert main(["export-calibs", root, str(tmp_path / "out"), "calib", "-t", "copy"]) == 0
        assert main(["export-calibs", root, str(tmp_path / "out"), "calib", "-t", "copy"]) == 1
    assert main(["create", str(tmp_path / "new")]) == 0
    assert main(["import", str(tmp_path / "new"), str(tmp_path / "out"), "-t", "copy"]) == 0
    with Butler(tmp_path / "new") as butler:
        (found,) = butler.registry.queryDatasetAssociations("flat", ["calib"])
        assert str(found.timespan) == "(-∞, 2025-01-01T00:00:00)"


def test_the_configuration_is_written_out(repository, capfd):
    assert main(["config-dump", repository, "-s", ".datastore.root"]) == 0
    assert capfd.readouterr().out == ".datastore.root: <butlerRoot>\n"
    assert main(["config-dump", repository, "-s", "registy"]) == 1
    assert "did you mean `registry`?" in capfd.readouterr().err
    assert main(["config-dump", repository]) == 0
    assert "storageClasses:" in capfd.readouterr().out
