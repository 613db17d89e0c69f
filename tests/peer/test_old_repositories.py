"""Repositories of older universes and schemas are written, too, and the peer reads what we wrote."""

from __future__ import annotations

import gzip
import json
import shutil

import pytest

from armillary import _core
from conftest import shared_path

TELL = """
import json, sys
from lsst.daf.butler import Butler
butler = Butler.from_config(sys.argv[1], writeable=True)
refs = butler.query_datasets("ours", collections=["u/ours"], with_dimension_records=True, order_by=["ingest_date"])
print(json.dumps(sorted([str(ref.id), ref.dataId["detector"], ref.dataId.detector.full_name] for ref in refs)))
butler.put({"a": 1}, "ours", instrument=sys.argv[2], detector=990, run="u/ours")
"""


@pytest.mark.parametrize(
    ("name", "version"),
    [("obs_lsst_comCam", 1), ("verify_metricvalue1", 2), ("obs_lsst_ucd", 4), ("transfer_embargo_from", 7)],
)
def test_an_old_repository_is_written_by_both(tmp_path, run_peer, name, version):
    root = tmp_path / "repo"
    shutil.copytree(shared_path("data/repos", name), root, copy_function=shutil.copyfile)
    for folder in [root, *root.rglob("*")]:
        folder.chmod(0o755 if folder.is_dir() else 0o644)
    registry = _core.Registry.open(str(root / "gen3.sqlite3"), writeable=True)
    assert registry.universe.version == version
    (instrument,) = {value for run in registry.query_collections(kinds=[1]) for value in
                     registry.collection_summary(run)[1].get("instrument", [])}  # fmt: skip
    registry.insert_records("detector", [{"instrument": instrument, "id": 990, "full_name": "new"}])
    ours = _core.DatasetType("ours", ["detector"], "StructuredDataDict", universe=registry.universe)
    registry.register_dataset_type(ours)
    registry.register_collection("u/ours", 1)
    known = sorted(record["id"] for record in golden(name)["records"]["detector"])[:2]
    refs = registry.insert_datasets(ours, "u/ours", [{"instrument": instrument, "detector": id} for id in known])
    theirs = json.loads(run_peer(TELL, str(root), instrument))
    expanded = [registry.expand_data_id(ref.dataId) for ref in refs]
    assert theirs == sorted(
        [str(ref.id), ref.dataId["detector"], id.records["detector"].full_name]
        for ref, id in zip(refs, expanded, strict=True)
    )
    found, records = registry.find_records("ours", {"instrument": instrument, "detector": 990}, ["u/ours"])
    assert found.run == "u/ours" and len(records) == 1


def golden(name):
    return json.loads(gzip.decompress(shared_path(f"data/golden/repos/{name}.json.gz").read_bytes()))
