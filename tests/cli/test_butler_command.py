"""`butler`: data on standard output, everything else on standard error, and an exit code that says how it went."""

from __future__ import annotations

import re

import pytest

from armillary.butler import Butler, CollectionType
from armillary.cli.butler import main
from armillary.testing import small_repository


@pytest.fixture
def repository():
    with small_repository(run="u/me") as butler:
        butler.put({"a": 1}, "summary", instrument="Cam")
        for detector in (1, 2):
            butler.put({"a": detector}, "metrics", instrument="Cam", visit=10, detector=detector)
        butler.put({"f": 1}, "flat", instrument="Cam", detector=1, physical_filter="Cam-R")
        butler.collections.register("chain", CollectionType.CHAINED)
        butler.collections.redefine_chain("chain", ["u/me"])
        yield butler._root


@pytest.fixture
def run(repository, capsys):
    """Run `butler` and give (exit code, output, errors) without what differs from run to run."""

    def filtered(text: str) -> str:
        text = text.replace(str(repository), "REPO")
        text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID", text)
        return re.sub(r"[ \t]+\n", "\n", text)

    def run_command(*arguments: str) -> tuple[int, str, str]:
        code = main([argument.replace("REPO", str(repository)) for argument in arguments])
        captured = capsys.readouterr()
        return code, filtered(captured.out), filtered(captured.err)

    return run_command


QUERIES = [
    (
        ("query-collections", "REPO"),
        "Name   Type\n------ -------\nchain  CHAINED\n  u/me RUN\nu/me   RUN\n",
    ),
    (("query-dataset-types", "REPO"), "name\n-------\nflat\nmetrics\nsummary\n"),
    (
        ("query-dataset-types", "REPO", "-v", "s*"),
        "name    dimensions storage class\n------- ---------- ------------------\n"
        "summary instrument StructuredDataDict\n",
    ),
    (
        ("query-data-ids", "REPO", "detector", "--where", "instrument='Cam'"),
        "instrument detector\n---------- --------\nCam               1\nCam               2\n",
    ),
    (
        ("query-dimension-records", "REPO", "detector", "--where", "instrument='Cam' AND detector=2"),
        "instrument id full_name name_in_raft raft purpose\n"
        "---------- -- --------- ------------ ---- -------\n"
        "Cam         2 S01       S01          R0   SCIENCE\n",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "expected"), QUERIES, ids=lambda value: value[0] if isinstance(value, tuple) else ""
)
def test_queries_print_tables(run, arguments, expected):
    assert run(*arguments) == (0, expected, "")


def test_rows_are_cut_with_a_word_and_left_out_from_the_front(run):
    code, output, errors = run("query-data-ids", "REPO", "visit", "--limit", "-1")
    assert (code, output.count("Cam "), errors) == (0, 1, "there are more than 1 data IDs; `--limit 0` shows all\n")
    code, output, errors = run("query-data-ids", "REPO", "visit", "--limit", "0", "--offset", "1")
    assert (code, output.splitlines()[-1].split()[:2], errors) == (0, ["Cam", "11"], "")


def test_explain_tells_what_each_condition_leaves(run):
    where = ["--where", "visit = 999 AND instrument='Cam'"]
    code, output, errors = run("query-datasets", "REPO", "metrics", "--collections", "chain", "--explain", *where)
    assert code == 0
    assert [line.split(maxsplit=1)[1] for line in output.splitlines()[2:]] == [
        "all data IDs of instrument, detector, visit",
        "`instrument='Cam'`",
        "`visit = 999`",
        "a `metrics` in `chain`",
        "datasets",
    ]
    assert output.splitlines()[4].startswith("   0 ")
    assert errors.startswith("no rows satisfy `visit = 999`; the nearest value of `visit` is ")
    code, output, errors = run("query-data-ids", "REPO", "visit", "--explain", "--format", "csv")
    assert (code, output.splitlines()[0], errors) == (0, "rows,left_by", "")
    code, output, _ = run("query-dimension-records", "REPO", "detector", "--explain")
    assert code == 0 and output.splitlines()[-1].endswith("records")


def test_datasets_are_listed_in_the_order_asked_for(run):
    code, output, errors = run(
        "query-datasets",
        "REPO",
        "metrics",
        "--collections",
        "chain",
        "--order-by=-detector",
        "--where",
        "visit > 3 AND instrument='Cam'",
    )
    assert (code, errors) == (0, "")
    detectors = [line.split()[4] for line in output.splitlines()[2:]]
    assert detectors == ["2", "1"]
    assert output.splitlines()[2].startswith("metrics u/me ID")


def test_a_refused_certification_leaves_no_collection(run):
    code, output, errors = run("certify-calibrations", "REPO", "u/me", "calib", "summary")
    assert (code, output) == (1, "")
    assert errors.startswith("error: dataset type `summary` is not a calibration")
    assert "calib" not in run("query-collections", "REPO")[1]


def test_a_missing_repository_is_named(run):
    code, output, errors = run("query-collections", "REPO/nothing")
    assert (code, output) == (1, "")
    assert errors.startswith("error: there is no repository at `REPO/nothing`")


def test_chains_are_made_and_changed(run):
    assert run("register-dataset-type", "REPO", "new", "StructuredDataDict", "instrument")[0] == 0
    assert run("collection-chain", "REPO", "other", "chain") == (0, "[chain]\n", "")
    assert run("collection-chain", "REPO", "other", "u/me", "--mode", "extend") == (0, "[chain, u/me]\n", "")
    assert run("collection-chain", "REPO", "other", "--mode", "pop", "0") == (0, "[u/me]\n", "")
    code, _, errors = run("collection-chain", "REPO", "other", "--mode", "pop", "5")
    assert code == 2
    assert "`other` has 1 children" in errors


def test_datasets_are_tagged_certified_copied_and_removed(run, repository, tmp_path):
    assert run("associate", "REPO", "tag", "-d", "metrics", "--collections", "u/me")[:2] == (
        0,
        "2 datasets are in `tag`\n",
    )
    assert run("certify-calibrations", "REPO", "u/me", "calib", "flat", "--begin-date", "2025-01-01")[0] == 0
    with Butler(repository) as butler:
        found = list(butler.registry.queryDatasetAssociations("flat", ["calib"]))
        assert [str(item.timespan) for item in found] == ["[2025-01-01T00:00:00, ∞)"]
    assert run("retrieve-artifacts", "REPO", str(tmp_path / "out"), "--collections", "u/me", "-d", "summary")[0] == 0
    assert [path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()] == [".yaml"]
    assert run("prune-datasets", "REPO", "u/me", "--unstore", "--datasets", "summary", "--no-confirm")[0] == 0
    with Butler(repository, collections="u/me") as butler, pytest.raises(FileNotFoundError):
        butler.get("summary", instrument="Cam")


def test_files_of_all_collections_are_retrieved_unless_the_first_are_asked_for(run, repository, tmp_path):
    with Butler(repository, writeable=True, run="u/other") as butler:
        butler.put({"other": 1}, "summary", instrument="Cam")
    words = ["--collections", "u/other,u/me", "-d", "summary"]
    for option, number in (([], 2), (["--no-find-first"], 2), (["--find-first"], 1)):
        place = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        assert run("retrieve-artifacts", "REPO", str(place), *words, *option)[0] == 0
        assert len(list(place.rglob("*.yaml"))) == number, option


def test_a_run_in_a_chain_is_removed_only_by_force(run, repository):
    code, output, errors = run("remove-runs", "REPO", "u/*", "--no-confirm")
    assert (code, output) == (1, "u/me\n")
    assert errors.startswith("error: `u/me` is in `chain`")
    with Butler(repository, collections="u/me") as butler:
        assert butler.get("summary", instrument="Cam") == {"a": 1}
    assert run("remove-runs", "REPO", "u/*", "--no-confirm", "--force")[0] == 0
    assert run("remove-collections", "REPO", "chain", "--no-confirm")[0] == 0
    assert run("query-collections", "REPO")[1].count("\n") <= 2
