"""Zip files of datasets go from here to the peer and back."""

from __future__ import annotations

import json
import zipfile

import pytest

from armillary.butler import Butler, DatasetType
from armillary.errors import ConflictingDefinitionError, ValidationError

PEER = """
import sys, json
from lsst.daf.butler import Butler, DatasetType
folder, action = sys.argv[1:3]
Butler.makeRepo(folder + "/theirs")
butler = Butler.from_config(folder + "/theirs", writeable=True, run="run")
butler.registry.insertDimensionData("instrument", dict(name="C"))
for n in ("é +&%x=y", "b"):
    butler.registry.insertDimensionData("physical_filter", dict(instrument="C", name=n, band="r"))
kind = DatasetType("m", ["physical_filter"], "StructuredDataDict", universe=butler.dimensions)
butler.registry.registerDatasetType(kind)
if action == "write":
    refs = [butler.put({"a": n}, kind, instrument="C", physical_filter=n) for n in ("é +&%x=y", "b")]
    print(butler.retrieve_artifacts_zip(refs, folder + "/zip/").ospath)
else:
    butler.ingest_zip(sys.argv[3], transfer="copy")
    print(json.dumps([butler.get(kind, instrument="C", physical_filter=n) for n in ("é +&%x=y", "b")]))
"""
NAMES = ["é +&%x=y", "b"]


@pytest.fixture
def butler(tmp_path):
    Butler.makeRepo(str(tmp_path / "ours"))
    made = Butler.from_config(str(tmp_path / "ours"), writeable=True, run="run")
    made.registry.insertDimensionData("instrument", {"name": "C"})
    made.registry.insertDimensionData(
        "physical_filter", *({"instrument": "C", "name": name, "band": "r"} for name in NAMES)
    )
    made.registry.registerDatasetType(
        DatasetType("m", ["physical_filter"], "StructuredDataDict", universe=made.dimensions)
    )
    return made


def put_all(butler):
    return [butler.put({"a": name}, "m", instrument="C", physical_filter=name) for name in NAMES]


def test_the_peer_takes_in_a_zip_file_made_here(butler, tmp_path, run_peer):
    path = butler.retrieve_artifacts_zip(put_all(butler), tmp_path / "zip")
    assert json.loads(run_peer(PEER, str(tmp_path), "read", path.ospath)) == [{"a": name} for name in NAMES]


def test_a_zip_file_of_the_peer_is_taken_in(butler, tmp_path, run_peer):
    path = run_peer(PEER, str(tmp_path), "write").strip()
    butler.ingest_zip(path, transfer="copy", dry_run=True)
    butler.ingest_zip(path, transfer="copy")
    for name in NAMES:
        assert butler.get("m", instrument="C", physical_filter=name) == {"a": name}
    uri = butler.getURI("m", instrument="C", physical_filter="b")
    assert str(uri).startswith(f"file://{tmp_path}/ours/zips/")
    butler.ingest_zip(path, transfer="copy", skip_existing=True)
    with pytest.raises(ConflictingDefinitionError, match="2 of the 2 datasets"):
        butler.ingest_zip(path, transfer="copy")


def test_equal_datasets_make_equal_files_and_come_back(butler, tmp_path):
    refs = put_all(butler)
    first = butler.retrieve_artifacts_zip(refs, tmp_path / "one")
    second = butler.retrieve_artifacts_zip(reversed(refs), tmp_path / "two")
    assert first.basename() == second.basename()
    assert first.read() == second.read()
    butler.pruneDatasets(refs, purge=True, unstore=True)
    butler.ingest_zip(first, transfer="direct")
    assert [butler.get(ref) for ref in refs] == [{"a": name} for name in NAMES]
    again = butler.retrieve_artifacts_zip(refs, tmp_path / "three")
    with zipfile.ZipFile(again.ospath) as archive:
        assert len(archive.namelist()) == 3
    with pytest.raises(ValueError, match="no datasets"):
        butler.retrieve_artifacts_zip([], tmp_path / "four")


def test_other_zip_files_are_refused(butler, tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(b"PK")
    bad = {
        "no index": {"a.yaml": "a: 1"},
        "no JSON": {"_butler_zip_index.json": "{"},
        "no version": {"_butler_zip_index.json": "{}"},
        "other version": {"_butler_zip_index.json": '{"index_version": "V9", "refs": {}}'},
    }
    with pytest.raises(ValidationError, match="not a zip file of datasets"):
        butler.ingest_zip(path)
    for members in bad.values():
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in members.items():
                archive.writestr(name, text)
        with pytest.raises(ValidationError):
            butler.ingest_zip(path)
    assert list(butler.collections.query("*")) == ["run"]
