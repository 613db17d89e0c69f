"""`show`, `get`, `describe`, `ls`, `du` look into a repository; `undo` takes the last edit of a collection back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from armillary.butler import Butler, CollectionType, DatasetType
from armillary.butler.collection_journal import JOURNAL_NAME
from armillary.cli.butler import main
from armillary.storage import MaskedImage
from armillary.testing import small_repository

POINT = ("instrument=Cam", "visit=10", "detector=1")


def prepared():
    """A context that gives a butler with a few datasets."""
    return small_repository(run="u/me")


def fill(butler):
    for detector in (1, 2):
        butler.put({"a": detector}, "metrics", instrument="Cam", visit=10, detector=detector)
    butler.put({"f": 1}, "flat", instrument="Cam", detector=1, physical_filter="Cam-R")
    for name, storage_class in (("catalogue", "ArrowTable"), ("picture", "NumpyArray")):
        butler.registry.registerDatasetType(DatasetType(name, ["visit"], storage_class, universe=butler.dimensions))
    butler.put(pa.table({"x": list(range(30))}), "catalogue", instrument="Cam", visit=10)
    butler.put(np.arange(6.0).reshape(2, 3), "picture", instrument="Cam", visit=10)
    butler.collections.register("chain", CollectionType.CHAINED)
    butler.collections.redefine_chain("chain", ["u/me"])


@pytest.fixture(scope="module")
def repo():
    with prepared() as butler:
        fill(butler)
        yield str(butler._root)


@pytest.fixture
def own_repo():
    with prepared() as butler:
        fill(butler)
        yield str(butler._root)


def told(capfd, *arguments, code=0):
    assert main(list(arguments)) == code
    captured = capfd.readouterr()
    return captured.out if code == 0 else captured.err


def test_show_prints_what_a_dataset_holds(repo, capfd):
    assert told(capfd, "show", repo, "metrics", *POINT, "--collections", "chain") == "a: 1\n"
    point = ("instrument=Cam", "visit=10", "--collections", "u/me")
    table = told(capfd, "show", repo, "catalogue", *point, "--rows", "2")
    assert table.split() == ["x", "-", "0", "1"]
    assert told(capfd, "show", repo, "picture", *point).splitlines() == [
        "ndarray of 2 x 3 float64",
        "least 0, median 2.5, greatest 5, mean 2.5",
    ]
    with Butler(repo, collections="u/me") as butler:
        ref = butler.find_dataset("metrics", instrument="Cam", visit=10, detector=2)
    assert told(capfd, "show", repo, str(ref.id)) == "a: 2\n"


def test_show_tells_of_an_image_what_is_not_flagged(own_repo, capfd):
    point = ("instrument=Cam", "visit=10", "--collections", "u/me")
    with Butler(own_repo, run="u/me") as butler:
        butler.registry.registerDatasetType(
            DatasetType("image", ["visit"], "FitsMaskedImage", universe=butler.dimensions)
        )
        image = MaskedImage(np.arange(6.0, dtype=np.float32).reshape(2, 3), mask_planes={"BAD": 0, "EDGE": 1})
        image.mask[1, 2] = 3
        image.header["FWHM"] = 4.5
        butler.put(image, "image", instrument="Cam", visit=10)
    assert told(capfd, "show", own_repo, "image", *point).splitlines() == [
        "MaskedImage of 2 x 3 float32",
        "least 0, median 2, greatest 4, mean 2",
        "1 pixel is flagged and left out: BAD 1, EDGE 1",
    ]
    # A component is read before anything else has asked for a storage class: its own process.
    ended = butler_process("show", own_repo, "image", *point, "--component", "header")
    assert (ended.returncode, ended.stdout.split()) == (0, ["FWHM", "=", "4.5"]), ended.stderr


def butler_process(*arguments):
    program = "import sys; from armillary.cli.butler import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)


def test_a_limit_is_on_all_dataset_types_together(repo, capfd):
    asked = ("query-datasets", repo, "--collections", "u/me", "--format", "json")
    everything = json.loads(told(capfd, *asked))
    assert [row["type"] for row in everything] == ["catalogue", "flat", "metrics", "metrics", "picture"]
    assert json.loads(told(capfd, *asked, "--limit", "3")) == everything[:3]
    assert main([*asked, "--limit", "-4"]) == 0
    captured = capfd.readouterr()
    assert json.loads(captured.out) == everything[:4]
    assert captured.err == "there are more than 4 datasets; `--limit 0` shows all\n"
    assert main([*asked, "--limit", "-5"]) == 0
    assert capfd.readouterr().err == ""


def test_nothing_found_is_told(repo, capfd):
    def reasons(*arguments):
        assert main([*arguments]) == 0
        return capfd.readouterr().err

    assert reasons("query-collections", repo, "chin*") == "no collection matches `chin*`; did you mean `chain`?\n"
    kind = ("--collection-type", "tagged")
    assert reasons("query-collections", repo, "ch*", *kind) == "no TAGGED collection matches `ch*`\n"
    assert reasons("du", repo, "nothing*") == "no run matches `nothing*`\n"
    assert "did you mean `metrics`?" in reasons("ls", repo, "instrument=Cam", "--type", "metrix*")
    found = reasons("ls", repo, "instrument=Cam", "visit=5")
    assert found.startswith("nothing has these values\nno rows satisfy `visit = 5`; the nearest value of")


def test_what_is_not_there_is_told(repo, capfd):
    error = told(
        capfd, "show", repo, "metrics", "instrument=Cam", "visit=11", "detector=1", "--collections=u/me", code=1
    )
    assert error.startswith("error: there is no `metrics` with instrument=Cam, visit=11, detector=1 in `u/me`")
    assert "give `--collections" in told(capfd, "show", repo, "metrics", *POINT, code=2)
    assert "is not KEY=VALUE" in told(capfd, "show", repo, "metrics", "visit", "--collections", "u/me", code=2)
    error = told(capfd, "show", repo, "00000000-0000-0000-0000-000000000000", code=1)
    assert error.startswith("error: no dataset has the id `0000")
    assert "did you mean `visit`?" in told(capfd, "ls", repo, "vist=10", code=1)


def test_get_copies_a_file_out_and_replaces_none(repo, capfd, tmp_path):
    target = tmp_path / "metrics.yaml"
    asked = ("get", repo, "metrics", *POINT, "--collections", "u/me", "-o", str(target))
    assert told(capfd, *asked) == f"{target}\n"
    assert target.read_text() == "a: 1\n"
    target.write_text("mine")
    assert "is there already" in told(capfd, *asked, code=1)
    assert target.read_text() == "mine"
    told(capfd, *asked, "--clobber")
    assert target.read_text() == "a: 1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.yaml"]
    assert told(capfd, *asked[:-1], "-") == "a: 1\n"


def test_get_takes_a_dataset_out_of_its_zip_file(repo, capfd, tmp_path):
    other = str(tmp_path / "other")
    Butler.makeRepo(other)
    with Butler(repo) as butler, Butler(other, writeable=True) as target:
        refs = butler.query_datasets("metrics", collections="u/me")
        zipped = butler.retrieve_artifacts_zip(refs, str(tmp_path))
        target.ingest_zip(zipped, transfer="copy", transfer_dimensions=True)
    asked = ("get", other, "metrics", *POINT, "--collections", "u/me", "-o")
    assert told(capfd, *asked, "-") == "a: 1\n"
    told(capfd, *asked, str(tmp_path / "metrics.yaml"))
    assert (tmp_path / "metrics.yaml").read_text() == "a: 1\n"
    place = told(capfd, *asked, str(tmp_path)).strip()
    assert place.endswith(".yaml")
    assert Path(place).read_text() == "a: 1\n"


def test_copies_go_to_a_directory_of_this_machine(repo, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chosen = ("-d", "metrics", "--collections", "u/me")
    for more in ((), ("--zip",)):
        error = told(capfd, "retrieve-artifacts", repo, "s3://bucket/copies", *chosen, *more, code=1)
        assert "`s3://bucket/copies` is on another machine; DESTINATION must be on this one" in error
    assert list(tmp_path.iterdir()) == []
    told(capfd, "retrieve-artifacts", repo, f"file://{tmp_path}/my%20copies", *chosen)
    assert len(list((tmp_path / "my copies").rglob("*.yaml"))) == 2


def test_a_dataset_type_is_described_with_where_it_is(repo, capfd):
    text = told(capfd, "describe", repo, "metrics")
    assert "dimensions:         instrument, detector, visit\n" in text
    assert text.splitlines()[-1].split() == ["u/me", "2"]
    (row,) = json.loads(told(capfd, "describe", repo, "catalogue", "--format", "json"))
    assert (row["run"], row["datasets"], row["python_type"]) == ("u/me", 1, "pyarrow.lib.Table")
    assert (row["dimensions"], row["calibration"]) == (["instrument", "visit"], False)
    assert "calibration:        no\n" in text
    assert "did you mean `metrics`?" in told(capfd, "describe", repo, "metric", code=1)


def test_ls_lists_all_types_with_these_values(repo, capfd):
    rows = json.loads(told(capfd, "ls", repo, "instrument=Cam", "visit=10", "--format", "json"))
    assert [row["type"] for row in rows] == ["catalogue", "metrics", "metrics", "picture"]
    rows = json.loads(told(capfd, "ls", repo, "detector=1", "instrument=Cam", "--type", "m*", "--format", "json"))
    assert [(row["type"], row["detector"]) for row in rows] == [("metrics", 1)]
    assert len(json.loads(told(capfd, "ls", repo, "--limit", "3", "--format", "json"))) == 3


def test_du_adds_up_files(repo, capfd):
    (row,) = json.loads(told(capfd, "du", repo, "chain", "--format", "json"))
    with Butler(repo) as butler:
        refs = butler.query_all_datasets("u/me", find_first=False)
        size = sum(butler.getURI(ref).size() for ref in refs)
    assert row == {"run": "u/me", "files": 5, "bytes": size}
    by_type = json.loads(told(capfd, "du", repo, "--by", "type", "--format", "json"))
    assert {row["type"]: row["files"] for row in by_type} == {"metrics": 2, "flat": 1, "catalogue": 1, "picture": 1}
    assert told(capfd, "du", repo, "--by", "both").splitlines()[-1].split()[:2] == ["total", "5"]


def collections(repo):
    with Butler(repo) as butler:
        found = {}
        for name in butler.collections.query("*"):
            info = butler.collections.get_info(name)
            items = [
                (item.ref.dataId["detector"], str(item.timespan))
                for kind in ("metrics", "flat")
                for item in butler.registry.queryDatasetAssociations(kind, [name])
                if info.type.name != "CHAINED"
            ]
            found[name] = (info.type.name, info.children, sorted(items))
        return found


EDITS = {
    "a new chain": [("collection-chain", "REPO", "other", "chain,u/me")],
    "a changed chain": [("collection-chain", "REPO", "chain", "--mode", "pop")],
    "new tags": [("associate", "REPO", "tag", "-d", "metrics", "--collections", "u/me")],
    "more tags": [
        (
            "associate",
            "REPO",
            "tag",
            "-d",
            "metrics",
            "--collections",
            "u/me",
            "--where",
            "detector=1 AND instrument='Cam'",
        ),
        ("associate", "REPO", "tag", "-d", "metrics", "--collections", "u/me"),
    ],
    "a certification": [("certify-calibrations", "REPO", "u/me", "calib", "flat", "--end-date", "2025-01-01")],
    "another certification": [
        ("certify-calibrations", "REPO", "u/me", "calib", "flat", "--end-date", "2025-01-01"),
        ("certify-calibrations", "REPO", "u/me", "calib", "flat", "--begin-date", "2026-01-01"),
    ],
    "the removal of tags": [
        ("associate", "REPO", "tag", "-d", "metrics", "--collections", "u/me"),
        ("remove-collections", "REPO", "tag", "--no-confirm"),
    ],
    "the removal of validity ranges": [
        ("certify-calibrations", "REPO", "u/me", "calib", "flat", "--end-date", "2025-01-01"),
        ("remove-collections", "REPO", "calib", "--no-confirm"),
    ],
}


@pytest.mark.parametrize("name", EDITS)
def test_the_last_edit_is_undone(own_repo, capfd, name):
    for edit in EDITS[name]:
        before = collections(own_repo)
        told(capfd, *[word.replace("REPO", own_repo) for word in edit])
    assert collections(own_repo) != before
    listed = told(capfd, "undo", own_repo, "--list").splitlines()[2]
    assert EDITS[name][-1][0] in listed
    types = {"flat", "metrics"} & {word for edit in EDITS[name] for word in edit}
    assert types <= set(listed.split())
    undone = told(capfd, "undo", own_repo)
    assert "is as it was before" in undone
    is_new = next(word for word in ("other", "chain", "tag", "calib") if word in EDITS[name][-1]) not in before
    assert undone.endswith(": it is gone again\n") == is_new
    assert collections(own_repo) == before


def test_a_removal_from_chains_is_undone_step_by_step(own_repo, capfd):
    told(capfd, "associate", own_repo, "tag", "-d", "metrics", "--collections", "u/me")
    told(capfd, "collection-chain", own_repo, "chain", "tag", "--mode", "extend")
    before = collections(own_repo)
    told(capfd, "remove-collections", own_repo, "tag", "--no-confirm", "--remove-from-parents")
    told(capfd, "undo", own_repo)
    told(capfd, "undo", own_repo)
    assert collections(own_repo) == before


def test_an_edit_is_not_undone_over_later_changes(own_repo, capfd):
    told(capfd, "collection-chain", own_repo, "other", "chain")
    with Butler(own_repo, writeable=True) as butler:
        butler.collections.extend_chain("other", "u/me")
    before = collections(own_repo)
    assert "`other` was changed after `collection-chain`" in told(capfd, "undo", own_repo, code=1)
    assert collections(own_repo) == before


def test_a_refused_edit_and_a_torn_line_are_no_edits(own_repo, capfd):
    assert main(["collection-chain", own_repo, "chain", "nowhere"]) == 1
    capfd.readouterr()
    assert "no edit of a collection is noted" in told(capfd, "undo", own_repo, code=1)
    told(capfd, "collection-chain", own_repo, "other", "chain")
    with Butler(own_repo) as butler, open(f"{butler._root}/{JOURNAL_NAME}", "a") as stream:
        stream.write('{"name": "x", "wh')
    assert len(json.loads(told(capfd, "undo", own_repo, "--list", "--format", "json"))) == 1


def test_fsck_tells_what_does_not_fit_and_repairs_without_deleting(own_repo, capfd, tmp_path):
    told(capfd, "collection-chain", own_repo, "other", "chain")  # whose note is no stray file
    (tmp_path / "camera.yaml").write_text(
        "name: Snap\nmatch: {INSTRUME: Snap}\nheader: {datetime_begin: DATE-OBS, exposure_time: EXPTIME}\n"
    )
    told(capfd, "register-instrument", own_repo, str(tmp_path / "camera.yaml"))
    assert main(["fsck", own_repo]) == 0
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == "5 datasets, 5 files looked at: no problems\n"
    with Butler(own_repo, collections="u/me") as butler:
        uris = [butler.getURI("metrics", instrument="Cam", visit=10, detector=detector) for detector in (1, 2)]
        stray = butler.getURI("picture", instrument="Cam", visit=10).dirname().join("stray.txt")
    uris[0].remove()
    uris[1].write(b"a: 22\n")
    stray.write(b"mine")
    assert main(["fsck", own_repo, "--format", "json"]) == 1
    captured = capfd.readouterr()
    problems = {(row["problem"], row["path"].rpartition("/")[2]) for row in json.loads(captured.out)}
    assert problems == {
        ("missing file", uris[0].basename()),
        ("wrong size", uris[1].basename()),
        ("orphan file", "stray.txt"),
    }
    assert main(["fsck", own_repo, "--repair", "--older-than", "-1"]) == 1
    assert capfd.readouterr().err.endswith("2 problems, 1 repaired\n")
    assert not stray.exists()
    (kept,) = Path(own_repo, ".armillary", "lost").rglob("stray*")
    assert kept.read_text() == "mine"


def test_progress_is_shown_when_asked_for(repo, capfd):
    told(capfd, "--progress", "du", repo, "--format", "json")
    assert main(["--progress", "du", repo]) == 0
    captured = capfd.readouterr()
    assert "adding up" in captured.err
    assert "adding up" not in captured.out
    assert main(["du", repo]) == 0
    assert capfd.readouterr().err == ""
