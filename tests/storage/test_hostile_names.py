"""Names that try to lead a file elsewhere: it stays below the root, or is refused before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.butler import Butler, DatasetType
from armillary.testing import fill_small_repository

REFUSED = [
    "u/../../../out",
    "../../out",
    "..",
    "a/./b",
    "a\nb",
    "a\0b",
    "a\x7fb",
    "x" * 300,
    ".armillary/intents",
]
KEPT = [
    "%2e%2e/%2e%2e/out",
    "$HOME/x",
    "${HOME}",
    "~/x",
    "a;b",
    "a#b",
    "a?b",
    "/absolute/run",
    "é/ü",
    "rm -rf ~",
    "a//b",
]


@pytest.fixture
def nested(tmp_path, monkeypatch):
    """A repository some folders deep, and what is around it."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    root = tmp_path / "a" / "b" / "repo"
    Butler.makeRepo(str(root))
    with Butler(str(root), writeable=True) as butler:
        fill_small_repository(butler)
        butler.registry.registerDatasetType(
            DatasetType("thing", ["instrument"], "StructuredDataDict", universe=butler.dimensions)
        )
        yield butler, tmp_path


def around(root, outer):
    """All that is not the database, its journal, or the announcements."""
    own = {"gen3.sqlite3", "gen3.sqlite3-journal", "butler.yaml"}
    found = (path for path in outer.rglob("*") if path.is_file() and path.name not in own)
    return [path for path in found if (root / ".armillary/intents") not in path.parents]


def write(butler, run):
    butler.registry.registerRun(run)
    return butler.put({"a": 1}, "thing", instrument="Cam", run=run)


@pytest.mark.parametrize("run", REFUSED, ids=repr)
def test_a_run_that_leads_out_is_refused_and_nothing_is_made(nested, run):
    butler, outer = nested
    root = Path(butler._datastore.root)
    before = around(root, outer)
    with pytest.raises(Exception, match=r"cannot be the name|the file name of") as raised:
        write(butler, run)
    assert type(raised.value).__name__ in ("ArgumentError", "UnsafePathError")
    assert around(root, outer) == before
    assert not butler.query_datasets("thing", collections="*", find_first=False, explain=False)


@pytest.mark.parametrize("run", KEPT, ids=repr)
def test_a_strange_run_keeps_its_files_below_the_root(nested, run):
    butler, outer = nested
    root = Path(butler._datastore.root)
    before = set(around(root, outer))
    ref = write(butler, run)
    (new,) = set(around(root, outer)) - before
    assert root in new.resolve().parents
    assert butler.get(ref) == {"a": 1}
    assert Path(butler.getURI(ref).ospath) == new


@pytest.mark.parametrize("name", ["../../x", "..", "Cam'; DROP TABLE dataset", "$HOME", "%2e%2e", 'a"b'])
def test_a_strange_instrument_is_a_value_and_no_path(nested, name):
    butler, outer = nested
    root = Path(butler._datastore.root)
    before = set(around(root, outer))
    butler.registry.insertDimensionData("instrument", {"name": name, "class_name": "none.Such"})
    butler.registry.registerRun("r")
    ref = butler.put({"a": 1}, "thing", instrument=name, run="r")
    (new,) = set(around(root, outer)) - before
    assert root in new.resolve().parents
    assert butler.get("thing", instrument=name, collections="r") == {"a": 1}
    assert ref.dataId["instrument"] == name


@pytest.mark.parametrize("name", ["a\0b", "a\nb"], ids=repr)
def test_a_control_character_in_a_value_is_refused(nested, name):
    butler, _ = nested
    with pytest.raises(Exception, match="control character"):
        butler.registry.insertDimensionData("instrument", {"name": name, "class_name": "none.Such"})
