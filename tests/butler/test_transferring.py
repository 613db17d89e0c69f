"""Datasets go from one repository to another as they are stored: whole, in parts, or many in one zip file."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from armillary._core import copy_files, distinct_records
from armillary.butler import Butler, DataCoordinate, DatasetRef, DatasetType, FileDataset
from armillary.errors import ConflictingDefinitionError, MissingDatasetTypeError, ValidationError
from armillary.storage import MaskedImage
from armillary.storage.location import resource_path

FILES = "lsst.daf.butler.datastores.fileDatastore.FileDatastore"


@pytest.fixture
def make_butler(tmp_path):
    opened = []

    def make(name, **datastore):
        root = str(tmp_path / name)
        Butler.makeRepo(root, config={"datastore": {"cls": FILES, **datastore}})
        butler = Butler(root, writeable=True, run="run")
        butler.registry.insertDimensionData("instrument", {"name": "Cam"})
        for kind, storage_class in (("summary", "StructuredDataDict"), ("image", "FitsMaskedImage"), ("n", "int")):
            butler.registry.registerDatasetType(
                DatasetType(kind, ["instrument"], storage_class, universe=butler.dimensions)
            )
        opened.append(butler)
        return butler

    yield make
    for butler in opened:
        butler.close()


def image():
    return MaskedImage(np.arange(6.0, dtype=np.float32).reshape(2, 3), np.zeros((2, 3), int), np.ones((2, 3), "f4"))


@pytest.mark.parametrize("transfer", ["auto", "copy", "hardlink", "symlink"])
def test_parts_stay_parts_and_paths_stay_paths(make_butler, transfer):
    source = make_butler("source", composites={"default": True}, checksum=True)
    target = make_butler("target", templates={"default": "{run:/}/elsewhere_{datasetType}_{component:?}"})
    refs = [source.put(image(), "image", instrument="Cam"), source.put({"a": 1}, "summary", instrument="Cam")]
    assert target.transfer_from(source, refs, transfer=transfer) == refs
    assert target.get(refs[0]).variance.tolist() == image().variance.tolist()
    assert target.get("image.image", instrument="Cam").tolist() == image().image.tolist()
    assert target.get(refs[1]) == {"a": 1}
    ids = [ref.id for ref in refs]
    assert target._core_registry.records(ids) == source._core_registry.records(ids)
    assert target.transfer_from(source, refs, transfer=transfer) == []
    target.pruneDatasets(refs, disassociate=True, unstore=True, purge=True)
    assert source.get(refs[0]).image.sum() == 15


def test_datasets_in_a_zip_file_take_it_with_them(make_butler, tmp_path):
    first, source, target = (make_butler(name) for name in ("first", "source", "target"))
    refs = [first.put({"a": 1}, "summary", instrument="Cam"), first.put(3, "n", instrument="Cam")]
    source.ingest_zip(first.retrieve_artifacts_zip(refs, tmp_path / "zip"), transfer="copy")
    target.transfer_from(source, refs, transfer="copy")
    assert [target.get(ref) for ref in refs] == [{"a": 1}, 3]
    assert len(list(Path(target._root).rglob("*.zip"))) == 1


def test_files_are_retrieved_to_a_place_of_this_machine(make_butler, tmp_path, monkeypatch):
    butler = make_butler("first")
    refs = [butler.put(3, "n", instrument="Cam")]
    (made,) = butler.retrieveArtifacts(refs, resource_path(str(tmp_path / "out")))
    assert made.read() == b"3" and made.ospath.startswith(f"{tmp_path}/out/")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="on another machine"):
        butler.retrieveArtifacts(refs, "s3://bucket/out")
    assert not os.path.exists("s3:")


def test_members_of_a_zip_file_are_retrieved_alone(make_butler, tmp_path):
    first, source = (make_butler(name) for name in ("first", "source"))
    refs = [first.put({"a": 1}, "summary", instrument="Cam"), first.put(3, "n", instrument="Cam")]
    zipped = Path(first.retrieve_artifacts_zip(refs, tmp_path / "zip").ospath)
    name = zipped.name
    source.ingest_zip(zipped.rename(tmp_path / "renamed.zip"), transfer="copy")
    (made,) = source.retrieveArtifacts(refs[1:], tmp_path / "out")
    assert made.ospath == str(tmp_path / f"out/zips/{name[:4]}/{str(refs[1].id)[:8]}-n_Cam_run.json")
    assert made.read() == b"3"
    assert len(source.retrieveArtifacts(refs, tmp_path / "flat", transfer="symlink", preserve_path=False)) == 2
    assert not any(path.is_symlink() for path in (tmp_path / "flat").iterdir())
    with pytest.raises(FileExistsError, match="already exists"):
        source.retrieveArtifacts(refs[1:], tmp_path / "out")
    source.retrieveArtifacts(refs[1:], tmp_path / "out", overwrite=True)
    short = made.basename()
    with zipfile.ZipFile(tmp_path / "renamed.zip") as archive:
        contents = {entry: archive.read(entry) for entry in archive.namelist()}
    contents["a/.."] = contents.pop(short)
    contents["_butler_zip_index.json"] = contents["_butler_zip_index.json"].replace(short.encode(), b"a/..", 1)
    with zipfile.ZipFile(tmp_path / "hostile.zip", "w") as archive:
        for entry, content in contents.items():
            archive.writestr(entry, content)
    other = make_butler("other")
    other.ingest_zip(tmp_path / "hostile.zip", transfer="copy")
    with pytest.raises(ValidationError, match=r"`a/\.\.` in .* is no name for a file"):
        other.retrieveArtifacts(refs[1:], tmp_path / "third")
    assert not any((tmp_path / "third").rglob("*.json"))


def test_files_outside_their_datastore_get_a_place_in_it(make_butler, tmp_path):
    source, target = make_butler("source"), make_butler("target")
    given = tmp_path / "given.yaml"
    given.write_text("{a: 5}\n")
    ref = DatasetRef(source.get_dataset_type("summary"), source.registry.expandDataId(instrument="Cam"), "run")
    source.ingest(FileDataset(str(given), [ref]), transfer="direct")
    target.transfer_from(source, [source.get_dataset(ref.id)], transfer="copy")
    assert target.getURI(ref).ospath == os.path.join(target._root, "run/summary/summary_Cam_run.yaml")
    assert target.get(ref) == {"a": 5}


@pytest.mark.parametrize("dry_run", [True, False])
def test_files_are_not_moved_away_from_the_records_of_their_repository(make_butler, dry_run):
    source, target = make_butler("source"), make_butler("target")
    ref = source.put({"a": 1}, "summary", instrument="Cam")
    with pytest.raises(ValueError, match="by `move`: the source would keep their records without"):
        target.transfer_from(source, [ref], transfer="move", dry_run=dry_run)
    assert source.get(ref) == {"a": 1}
    assert not target.stored(ref)


def test_a_dataset_type_that_the_target_lacks_is_told(make_butler):
    source, target = make_butler("source"), make_butler("target")
    kind = DatasetType("other", ["instrument"], "StructuredDataDict", universe=source.dimensions)
    source.registry.registerDatasetType(kind)
    ref = source.put({"a": 1}, "other", instrument="Cam")
    with pytest.raises(MissingDatasetTypeError, match=r"target repository has no dataset type `other`; .*--register"):
        target.transfer_from(source, [ref], transfer="copy")
    assert target.transfer_from(source, [ref], transfer="copy", register_dataset_types=True) == [ref]


def test_what_cannot_be_transferred_leaves_nothing(make_butler):
    source, target = make_butler("source"), make_butler("target")
    ref = source.put({"a": 1}, "summary", instrument="Cam")
    with pytest.raises(ValueError, match="by `direct`; use `copy` or a link"):
        target.transfer_from(source, [ref], transfer="direct")
    os.unlink(source.getURI(ref).ospath)
    with pytest.raises(FileNotFoundError):
        target.transfer_from(source, [ref], transfer="copy")
    assert target.query_datasets("summary", explain=False, collections="*", find_first=False) == []
    assert [path for path in Path(target._root).rglob("*") if path.suffix == ".yaml" and "summary" in path.name] == []
    other = target.put({"a": 2}, "summary", instrument="Cam")
    with pytest.raises((ConflictingDefinitionError, FileNotFoundError)):
        target.transfer_from(source, [ref], transfer="copy")
    assert target.get(other) == {"a": 2}


def many(butler, count):
    """Datasets of `count` detectors, with their records."""
    insert = butler.registry.insertDimensionData
    insert("detector", *({"instrument": "Cam", "id": n, "full_name": f"D{n}"} for n in range(count)))
    butler.registry.registerDatasetType(
        DatasetType("part", ["detector"], "StructuredDataDict", universe=butler.dimensions)
    )
    for n in range(count):
        butler.put({"n": n}, "part", instrument="Cam", detector=n)
    with butler.query() as query:
        return list(query.datasets("part", "run").with_dimension_records())


def transferred(source, target, refs):
    return target.transfer_from(source, refs, "copy", register_dataset_types=True, transfer_dimensions=True)


def test_many_files_are_copied_together(make_butler):
    source, target = make_butler("source"), make_butler("target")
    refs = many(source, 300)  # more than are open at the same time
    assert transferred(source, target, refs) == refs
    assert [target.get(ref) for ref in refs] == [{"n": ref.dataId["detector"]} for ref in refs]
    assert len(target.query_dimension_records("detector", instrument="Cam")) == 300
    names = [path.name for path in Path(target._root).rglob("part_*")]
    assert len(names) == 300
    mode = Path(target._root, "probe")
    mode.touch()
    assert {path.stat().st_mode for path in Path(target._root).rglob("part_*")} == {mode.stat().st_mode}


def test_one_failure_among_many_copies_leaves_nothing(make_butler):
    source, target = make_butler("source"), make_butler("target")
    refs = many(source, 300)
    os.unlink(source.getURI(refs[280]).ospath)
    with pytest.raises(FileNotFoundError):
        transferred(source, target, refs)
    left = [path for path in Path(target._root).rglob("*") if path.is_file() and "part" in str(path)]
    assert left == [] and not any(Path(target._root).rglob(".armillary-*-*"))
    assert target.query_datasets("part", "*", find_first=False, explain=False) == []


def test_copies_cannot_go_into_what_is_no_folder(make_butler):
    source, target = make_butler("source"), make_butler("target")
    refs = many(source, 3)
    Path(target._root, "run").write_text("a file")
    with pytest.raises(NotADirectoryError, match="use another run name"):
        transferred(source, target, refs)
    assert Path(target._root, "run").read_text() == "a file"
    assert target.query_datasets("part", "*", find_first=False, explain=False) == []


def test_copies_go_where_files_cannot_be_made_without_a_name(make_butler, monkeypatch):
    source, target = make_butler("source"), make_butler("target")
    refs = many(source, 3)
    monkeypatch.setattr("armillary.storage.file_ingest.copy_files", lambda pairs, *, durable: ([], None))
    assert transferred(source, target, refs) == refs
    assert [target.get(ref) for ref in refs] == [{"n": ref.dataId["detector"]} for ref in refs]
    assert not any(Path(target._root).rglob(".armillary-*-*"))


def test_ctrl_c_among_copies_leaves_nothing(make_butler, monkeypatch):
    source, target = make_butler("source"), make_butler("target")
    refs = many(source, 3)

    def copy_one(pairs, *, durable):
        sizes, _ = copy_files(pairs[:1], durable=durable)
        return sizes, KeyboardInterrupt()

    monkeypatch.setattr("armillary.storage.file_ingest.copy_files", copy_one)
    with pytest.raises(KeyboardInterrupt):
        transferred(source, target, refs)
    assert list(Path(target._root).rglob("part_*")) == []
    assert target.query_datasets("part", "*", find_first=False, explain=False) == []


def test_records_that_data_ids_share_are_looked_at_once(make_butler):
    refs = many(make_butler("source"), 3)
    records = distinct_records([ref.dataId for ref in refs] * 2)
    names = [(record.definition.name, dict(record.dataId.required)) for record in records]
    detectors = [("detector", {"instrument": "Cam", "detector": n}) for n in range(3)]
    assert sorted(names, key=str) == sorted([("instrument", {"instrument": "Cam"}), *detectors], key=str)
    assert distinct_records([]) == []
    with pytest.raises(AssertionError, match="is not expanded"):
        distinct_records([DataCoordinate.standardize(instrument="Cam", universe=refs[0].dataId.universe)])
