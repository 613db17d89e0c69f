"""Exports of others: what they name is taken in, what they should not name is not touched."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from armillary.butler import Butler, DataCoordinate, DatasetRef
from armillary.errors import DataIdValueError, MissingCollectionError, ValidationError
from armillary.testing import small_repository

HEAD = """description: Butler Data Repository Export
version: 1.0.2
universe_version: 8
universe_namespace: daf_butler
data:
- {type: dimension, element: instrument, records: [{name: Cam}]}
- {type: collection, collection_type: RUN, name: run}
- {type: dataset_type, name: meta, dimensions: [instrument], storage_class: StructuredDataDict, is_calibration: false}
"""
DATASET = """- type: dataset
  dataset_type: meta
  run: run
  records:
  - {dataset_id: [!uuid '%s'], data_id: [{instrument: Cam}], path: %s, formatter: %s}
"""
YAML = "lsst.daf.butler.formatters.yaml.YamlFormatter"
COPYING = ["copy", "move", "link", "hardlink", "symlink", "relsymlink", "auto"]


@pytest.fixture
def butler(tmp_path):
    Butler.makeRepo(str(tmp_path / "repo"))
    with Butler(str(tmp_path / "repo"), writeable=True) as made:
        yield made


@pytest.fixture
def export(tmp_path):
    """A function that writes an export which names one file."""
    folder = tmp_path / "export"
    folder.mkdir()
    (tmp_path / "secret.yaml").write_text("{secret: 1}\n")

    def write(path, formatter=YAML, more=""):
        (folder / "export.yaml").write_text(HEAD + DATASET % (uuid.uuid4(), path, formatter) + more)
        return str(folder)

    return write


def nothing_came(butler):
    assert butler.collections.query("*") == []
    assert butler.registry.queryDatasetTypes() == []
    assert butler.query_dimension_records("instrument", explain=False) == []
    assert [path.name for path in Path(butler._root).iterdir() if path.is_dir()] in ([], [".armillary"])


@pytest.mark.parametrize("transfer", COPYING)
@pytest.mark.parametrize("path", ["../secret.yaml", "a/../../secret.yaml", "{absolute}", "file://{absolute}"])
def test_no_file_outside_the_export_is_taken(butler, export, tmp_path, transfer, path):
    folder = export(path.format(absolute=tmp_path / "secret.yaml"))
    with pytest.raises(ValidationError, match="which is outside its directory"):
        butler.import_(directory=folder, transfer=transfer)
    assert (tmp_path / "secret.yaml").exists()
    nothing_came(butler)


@pytest.mark.parametrize("path", ["../secret.yaml", "a/../../secret.yaml", "%2e%2e/secret.yaml", "/etc/hosts"])
def test_no_object_outside_an_export_elsewhere_is_taken(butler, export, tmp_path, path):
    file = Path(export(path), "export.yaml")
    if "%" in path:
        file.write_text(file.read_text().replace(path, f"s3://bucket/export/{path}"))
    with pytest.raises(ValidationError, match="which is outside its directory `s3://bucket/export`"):
        butler.import_(directory="s3://bucket/export", filename=str(file), transfer="copy")
    nothing_came(butler)


def test_places_of_exports_may_be_uris_of_this_machine(butler, export, tmp_path, monkeypatch):
    folder = export("in it.yaml")
    (tmp_path / "export" / "in it.yaml").write_text("{here: 1}\n")
    butler.import_(directory=f"file://{folder}", filename=f"file://{folder}/export.yaml", transfer="copy")
    assert butler.get("meta", instrument="Cam", collections="run") == {"here": 1}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made new").mkdir()
    with butler.export(directory=f"file://{tmp_path}/made%20new", transfer="copy") as context:
        context.saveDatasets(butler.query_datasets("meta", collections="run"))
    assert len(list((tmp_path / "made new").rglob("*.yaml"))) == 2
    for places in ({"directory": "s3://bucket/export"}, {"filename": "s3://bucket/export.yaml"}):
        with pytest.raises(ValueError, match="is on another machine"), butler.export(**places):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "made new", "repo", "secret.yaml"]


def test_a_file_outside_is_taken_if_it_may_be(butler, export, tmp_path):
    butler.import_(directory=export("../secret.yaml"), transfer="copy", allow_external=True)
    assert butler.get("meta", instrument="Cam", collections="run") == {"secret": 1}


def test_nothing_is_moved_away_from_where_a_link_leads(butler, export, tmp_path):
    folder = export("inside.yaml")
    os.symlink(tmp_path / "secret.yaml", tmp_path / "export" / "inside.yaml")
    with pytest.raises(ValidationError, match="which is outside its directory"):
        butler.import_(directory=folder, transfer="move")
    assert (tmp_path / "secret.yaml").exists()
    butler.import_(directory=folder, transfer="copy")
    assert butler.get("meta", instrument="Cam", collections="run") == {"secret": 1}


def test_a_formatter_that_is_not_there_is_missed_when_it_is_needed(butler, export, tmp_path):
    (tmp_path / "export" / "a.yaml").write_text("{a: 1}\n")
    folder = export("a.yaml", formatter="lsst.obs.nowhere.NoFormatter")
    butler.import_(directory=folder, transfer="copy")
    ref = butler.find_dataset("meta", instrument="Cam", collections="run")
    assert butler.stored(ref)
    (record,) = butler._datastore.records(butler._core_registry, [ref.id])
    assert record.formatter == "lsst.obs.nowhere.NoFormatter"
    with pytest.raises(ImportError, match=r"lsst\.obs\.nowhere"):
        butler.get(ref)


@pytest.mark.parametrize(
    "more, error",
    [
        ("- {type: dataset, dataset_type: nothing, run: run, records: []}\n", Exception),
        ("- !!python/object/apply:os.system ['touch hacked']\n", Exception),
        ("- {type: dimension, element: nothing, records: [{a: 1}]}\n", ValidationError),
    ],
)
def test_what_cannot_be_taken_in_leaves_nothing(butler, export, tmp_path, monkeypatch, more, error):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "export" / "a.yaml").write_text("{a: 1}\n")
    with pytest.raises(error):
        butler.import_(directory=export("a.yaml", more=more), transfer="copy")
    assert not (tmp_path / "hacked").exists()
    nothing_came(butler)


def test_many_files_are_taken_back_with_one_sync_of_their_folder(butler, export, tmp_path, monkeypatch):
    cameras = [f"Cam{number}" for number in range(50)]
    butler.registry.insertDimensionData("instrument", *({"name": name} for name in cameras))
    nowhere = "- {type: associations, collection: nowhere, collection_type: TAGGED, dataset_ids: []}\n"
    folder = Path(export("none.yaml", more=nowhere))
    text = (folder / "export.yaml").read_text()
    entry = "  - {dataset_id: [!uuid '%s'], data_id: [{instrument: %s}], path: a.yaml}\n"
    beginning, end = text[: text.index("  - {dataset_id")], text[text.index("- {type: associations") :]
    entries = "".join(entry % (uuid.uuid4(), name) for name in cameras)
    (folder / "export.yaml").write_text(beginning + entries + end)
    (folder / "a.yaml").write_text("{}")
    real, synced = os.fsync, []

    def fsync(number):
        synced.append(os.readlink(f"/proc/self/fd/{number}"))
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(MissingCollectionError, match="nowhere"):
        butler.import_(directory=str(folder), transfer="hardlink")
    assert 1 <= len([place for place in synced if place.endswith("/run/meta")]) < 10
    assert not list((Path(butler._root) / "run").rglob("*.yaml"))


@pytest.mark.parametrize(
    "more",
    [
        "- {type: associations, collection: run, collection_type: TAGGED}\n",
        "- {type: dataset_type, name: other, dimensions: [instrument]}\n",
        "- {element: instrument, records: []}\n",
    ],
)
def test_an_entry_that_lacks_something_is_told(butler, export, more):
    folder = export("a.yaml", more=more)
    Path(folder, "a.yaml").write_text("{}")
    with pytest.raises(ValidationError, match=r"an entry of the export has no `(dataset_ids|storage_class|type)`"):
        butler.import_(directory=folder, transfer="copy")
    assert butler.collections.query("*") == []
    assert not [path for path in Path(butler._root, "run").rglob("*") if path.is_file()]


def test_importing_again_changes_nothing(butler, export, tmp_path):
    (tmp_path / "export" / "a.yaml").write_text("{a: 1}\n")
    folder = export("a.yaml")
    for _ in range(2):
        butler.import_(directory=folder, transfer="copy")
    assert len(butler.query_datasets("meta", collections="run")) == 1


def test_imported_refs_whose_records_are_missing_are_refused():
    """The peer says that another dataset may be there."""
    with small_repository() as butler:
        metrics = butler.get_dataset_type("metrics")
        butler.collections.register("more")
        for visit, detector, missing in ((10, 99, "detector"), (999, 1, "visit")):
            data_id = {"instrument": "Cam", "visit": visit, "detector": detector}
            ref = DatasetRef(metrics, DataCoordinate.standardize(data_id, universe=butler.dimensions), "more")
            for expand in (True, False):
                with pytest.raises(DataIdValueError, match=f"`{missing}`"):
                    butler.registry._importDatasets([ref], expand=expand)
        assert butler.query_datasets("metrics", collections="more", explain=False) == []
