"""A repository with everything in it: found as it was written, changed and still consistent."""

from __future__ import annotations

import json
import shutil
import sqlite3
from uuid import UUID

import pytest

from armillary import _core
from armillary.errors import OrphanedRecordError
from conftest import shared_path


@pytest.fixture(scope="module")
def rows():
    return json.loads(shared_path("contract-fixtures/sqlite/rows_rich.json").read_text())


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "gen3.sqlite3"
    shutil.copy(shared_path("contract-fixtures/repos/rich/gen3.sqlite3"), found)
    found.chmod(0o600)
    return str(found)


@pytest.fixture
def registry(path):
    registry = _core.Registry.open(path, writeable=True)
    yield registry
    registry.close()


def test_every_dataset_is_found_by_id_and_in_its_run(registry, rows):
    runs = {row["collection_id"]: row["name"] for row in rows["collection"]}
    types = {row["id"]: row["name"] for row in rows["dataset_type"]}
    assert rows["dataset"]
    for row in rows["dataset"]:
        ref = registry.get_dataset(UUID(row["id"]))
        assert (ref.datasetType.name, ref.run) == (types[row["dataset_type_id"]], runs[row["run_id"]])
        assert registry.find_dataset(ref.datasetType.name, ref.dataId, [ref.run]) == ref
    assert len(rows["dataset"]) == len(
        {id for run in ("u/me/run1", "calib/run") for id in registry.run_dataset_ids(run)}
    )


def test_chains_are_searched_in_order(registry):
    assert registry.collection("chain") == ("chain", 3, "chain docs", ("tagged", "u/me/run1", "calib"))
    assert registry.flatten_collections(["chain2", "chain"]) == ["tagged", "u/me/run1", "calib"]
    assert registry.query_collections(["chain*"], flatten_chains=True, include_chains=True) == [
        "chain", "tagged", "u/me/run1", "calib", "chain2", "chain3",
    ]  # fmt: skip
    assert registry.parents("tagged") == ["chain", "chain2", "chain3"]


def test_calibrations_are_found_by_time(registry):
    data_id = {"instrument": "Cam", "detector": 2}
    everything = registry.dataset_associations("bias", ["calib"])
    spans = sorted(span.nsec for ref, _, span in everything if ref.dataId["detector"] == 2)
    assert len(spans) == 2
    first, second = spans
    inside = _core.Timespan(None, None, _nsec=(first[0], first[0] + 1))
    between = _core.Timespan(None, None, _nsec=(first[1], second[0]))
    assert registry.find_dataset("bias", data_id, ["calib"], timespan=inside) is not None
    assert registry.find_dataset("bias", data_id, ["calib"], timespan=between) is None
    # Without a time, validity is not looked at, unless the dataset is to be read; the same one twice is no ambiguity.
    assert registry.find_dataset("bias", data_id, ["calib"]) is None
    assert registry.find_dataset("bias", data_id, ["calib", "calib/run"]) is not None
    assert registry.find_dataset("bias", data_id, ["calib"], timespan=_core.Timespan(None, None)) is not None
    assert registry.find_records("bias", data_id, ["calib"]) is not None


def test_a_run_in_a_chain_is_not_removed(registry):
    before = registry.row_counts()
    with pytest.raises(OrphanedRecordError, match="child of `chain`"):
        registry.remove_collection("u/me/run1")
    assert registry.row_counts() == before


def test_opening_writeable_changes_no_row_the_peer_knows(path, rows):
    _core.Registry.open(path, writeable=True).close()
    connection = sqlite3.connect(path)
    counts = {name: connection.execute(f'select count(*) from "{name}"').fetchone()[0] for name in rows}
    connection.close()
    assert counts == {name: len(found) for name, found in rows.items()}


def test_a_run_is_emptied(registry):
    store = "FileDatastore@<butlerRoot>"
    for chain in registry.parents("u/me/run1"):
        registry.remove_from_chain(chain, ["u/me/run1"])
    ids = registry.run_dataset_ids("u/me/run1")
    files = {record.path for record in registry.records(ids)}
    registry.unstore(store, ids, purge=True)
    assert set(registry.unnamed_files(sorted(files))) == files
    registry.remove_collection("u/me/run1")
    assert registry.records(ids) == []
    assert "u/me/run1" not in registry.query_collections()
