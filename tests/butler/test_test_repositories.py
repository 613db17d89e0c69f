"""Repositories with made-up records, and comparing tables."""

import pytest
from astropy.table import Table

from armillary.butler.tests import addDataIdValue, addDatasetType, expandUniqueId, makeTestRepo
from armillary.butler.tests.utils import ButlerTestHelper, makeTestTempDir, removeTestTempDir


@pytest.fixture(name="repo")
def repo_fixture(tmp_path):
    with makeTestRepo(str(tmp_path / "repo"), {"instrument": ["Cam"], "detector": [1, 2]}) as repo:
        yield repo


def test_what_a_value_refers_to_is_there_or_made_up(repo):
    addDataIdValue(repo, "visit", 7)
    (visit,) = repo.registry.queryDimensionRecords("visit")
    assert (visit.instrument, visit.id, visit.name) == ("Cam", 7, "7")
    assert expandUniqueId(repo, {"visit": 7})["physical_filter"] == visit.physical_filter
    addDataIdValue(repo, "physical_filter", "Cam-R", band="r")
    addDataIdValue(repo, "visit", 8, physical_filter="Cam-R")
    assert expandUniqueId(repo, {"visit": 8})["band"] == "r"


def test_mistakes_are_told(repo):
    with pytest.raises(ValueError, match="no dimension `detectr`; did you mean `detector`"):
        addDataIdValue(repo, "detectr", 1)
    with pytest.raises(ValueError, match="`x` is no value of type int"):
        addDataIdValue(repo, "detector", "x")
    with pytest.raises(RuntimeError, match="say which values it belongs with"):
        addDataIdValue(repo, "detector", 3, instrument="Nope")
    addDataIdValue(repo, "instrument", "Dog")
    addDataIdValue(repo, "detector", 1, instrument="Dog")
    with pytest.raises(ValueError, match="2 data IDs match"):
        expandUniqueId(repo, {"detector": 1})
    with pytest.raises(ValueError, match="did you mean `instrument`"):
        addDatasetType(repo, "a", {"instrumen"}, "StructuredDataDict")


def test_tables_are_compared():
    helper = ButlerTestHelper()
    one, more = Table({"a": [1, 2]}), Table({"a": [2, 1], "b": [3, 4]})
    helper.assertAstropyTablesEqual(more, one, filterColumns=True, unorderedRows=True)
    helper.assertAstropyTablesEqual([one, more], [one, more])
    for options in ({}, {"filterColumns": True}, {"unorderedRows": True}):
        with pytest.raises(AssertionError, match="differs from what was expected"):
            helper.assertAstropyTablesEqual(more, one, **options)
    with pytest.raises(AssertionError, match="1 tables, and 2 were expected"):
        helper.assertAstropyTablesEqual(one, [one, one])


def test_folders_are_made_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("DAF_BUTLER_TEST_TMP", str(tmp_path))
    folder = makeTestTempDir("/nowhere")
    assert folder.startswith(str(tmp_path))
    removeTestTempDir(folder)
    removeTestTempDir(None)
    assert list(tmp_path.iterdir()) == []
