"""A chain of datastores: one name for the user, several places for the data."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from armillary.butler import Butler, DatasetRef, DatasetType, FileDataset
from armillary.errors import ConfigurationError, DatasetTypeNotSupportedError, ValidationError
from armillary.storage import MaskedImage

STORES = "lsst.daf.butler.datastores."
MEMORY = {"cls": STORES + "inMemoryDatastore.InMemoryDatastore"}
FILES = STORES + "fileDatastore.FileDatastore"
RUN = "u/chain"


def chain(*children, **more):
    datastores = [{"datastore": child} for child in children]
    return {"datastore": {"cls": STORES + "chainedDatastore.ChainedDatastore", "datastores": datastores, **more}}


def files(table, **more):
    return {"cls": FILES, "records": {"table": table}, **more}


@pytest.fixture
def make_butler(tmp_path):
    opened = []

    def make(config, name="repo"):
        root = str(tmp_path / name)
        Butler.makeRepo(root, config=config)
        butler = Butler(root, writeable=True, run=RUN)
        butler.registry.insertDimensionData("instrument", {"name": "Cam"})
        for dataset_type, storage_class in (
            ("summary", "StructuredDataDict"),
            ("small", "int"),
            ("image", "FitsMaskedImage"),
        ):
            butler.registry.registerDatasetType(
                DatasetType(dataset_type, ["instrument"], storage_class, universe=butler.dimensions)
            )
        opened.append(butler)
        return butler

    yield make
    for butler in opened:
        butler.close()


@pytest.fixture
def both(make_butler):
    return make_butler(chain(MEMORY, files("one"), files("two", composites={"default": True})))


def stored_files(root):
    return sorted(str(path.relative_to(root)) for path in Path(root).rglob("*") if path.is_file())


def image():
    return MaskedImage(
        np.arange(12.0, dtype=np.float32).reshape(3, 4), np.zeros((3, 4), np.int32), np.ones((3, 4), np.float32)
    )


def reopened(butler):
    return Butler(butler._root, writeable=True, collections=RUN)


def test_a_dataset_is_in_every_datastore_that_takes_it(both):
    ref = both.put({"a": 1}, "summary", instrument="Cam")
    memory, one, two = both.get_datastore_names()
    assert memory.startswith("InMemoryDatastore@")
    assert (one, two) == ("FileDatastore@<butlerRoot>/FileDatastore_1", "FileDatastore@<butlerRoot>/FileDatastore_2")
    roots = both.get_datastore_roots()
    assert roots[memory] is None
    assert str(roots[one]) == f"file://{both._root}/FileDatastore_1/"
    for root in ("FileDatastore_1", "FileDatastore_2"):
        assert len(stored_files(os.path.join(both._root, root))) == 1
    assert both.get(ref) == {"a": 1}
    assert both.stored(ref)
    assert str(both.getURI(ref)).startswith(f"file://{both._root}/FileDatastore_1/")
    with reopened(both) as other:
        assert other.get("summary", instrument="Cam") == {"a": 1}


def test_a_copy_that_is_gone_is_read_elsewhere(both):
    ref = both.put({"a": 1}, "summary", instrument="Cam")
    with reopened(both) as other:
        os.unlink(other.getURI(ref).ospath)
        assert other.get(ref) == {"a": 1}
        assert other.stored(ref)
        (left,) = Path(other._root, "FileDatastore_2").rglob("*.yaml")
        left.unlink()
        assert not other.stored(ref)
        with pytest.raises(FileNotFoundError, match="Could not retrieve dataset summary"):
            other.get(ref)


def test_composites_are_whole_in_one_place_and_parts_in_another(both):
    ref = both.put(image(), "image", instrument="Cam")
    assert len(stored_files(os.path.join(both._root, "FileDatastore_1"))) == 1
    assert len(stored_files(os.path.join(both._root, "FileDatastore_2"))) == 4  # image, mask, variance and header
    with reopened(both) as other:
        assert other.get(ref).image.tolist() == image().image.tolist()
        assert other.getURIs(ref).primaryURI is not None
        os.unlink(other.getURI(ref).ospath)
        assert other.get(ref).image.tolist() == image().image.tolist()
        assert other.get("image.variance", instrument="Cam").sum() == 12


def test_nothing_stays_if_one_datastore_fails(both, monkeypatch):
    import armillary.storage.file_datastore as module

    real = module.publish

    def fail_in_second(temporary, target, **options):
        if "FileDatastore_2" in target:
            raise OSError(28, "No space left on device")
        real(temporary, target, **options)

    monkeypatch.setattr(module, "publish", fail_in_second)
    with pytest.raises(OSError, match="No space left"):
        both.put({"a": 1}, "summary", instrument="Cam")
    assert both.query_datasets("summary", explain=False) == []
    for root in ("FileDatastore_1", "FileDatastore_2"):
        assert stored_files(os.path.join(both._root, root)) == []
    monkeypatch.undo()
    assert both.get(both.put({"a": 1}, "summary", instrument="Cam")) == {"a": 1}


def test_a_transaction_rolls_back_every_datastore(both):
    with pytest.raises(ValueError, match="no"), both.transaction():
        ref = both.put({"a": 1}, "summary", instrument="Cam")
        assert both.get(ref) == {"a": 1}
        raise ValueError("no")
    assert both._datastore.children[0].records(None, [ref.id]) == []
    for root in ("FileDatastore_1", "FileDatastore_2"):
        assert stored_files(os.path.join(both._root, root)) == []


def test_pruning_and_removing_runs_reach_every_datastore(both):
    ref = both.put({"a": 1}, "summary", instrument="Cam")
    both.pruneDatasets([ref], disassociate=False, unstore=True)
    assert not both.stored(ref)
    assert both.get_dataset(ref.id) == ref
    both.pruneDatasets([ref], disassociate=True, unstore=True, purge=True)
    other = both.put({"a": 2}, "summary", instrument="Cam")
    both.removeRuns([RUN])
    assert both.get_dataset(other.id) is None
    for root in ("FileDatastore_1", "FileDatastore_2"):
        assert stored_files(os.path.join(both._root, root)) == []
    with sqlite3.connect(os.path.join(both._root, "gen3.sqlite3")) as database:
        for table in ("one", "two", "dataset_location", "dataset_location_trash"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


@pytest.mark.parametrize("transfer", ["copy", "move", "link", "symlink", "direct", "auto"])
def test_files_are_taken_into_every_datastore(both, tmp_path, transfer):
    source = tmp_path / "given.yaml"
    source.write_text("{a: 5}\n")
    data_id = both.registry.expandDataId(instrument="Cam")
    ref = DatasetRef(both.get_dataset_type("summary"), data_id, RUN)
    both.ingest(FileDataset(str(source), [ref]), transfer=transfer)
    assert both.get(ref) == {"a": 5}
    assert source.exists() == (transfer != "move")
    records = both._datastore.records(both._core_registry, [ref.id])
    assert [record.datastore.name[-1] for record in records] == ["1", "2"]
    assert both._datastore.exists(records)
    with pytest.raises(RuntimeError, match="not inside"):
        both.ingest(FileDataset(str(tmp_path / "repo" / "butler.yaml"), [ref]), transfer=None)


def test_constraints_say_who_takes_what(make_butler):
    butler = make_butler(
        chain(
            MEMORY,
            files("one", constraints={"reject": ["small"]}),
            files("two", constraints={"accept": ["int"]}),
            datastore_constraints=[{"constraints": {"accept": ["int"]}}, {}, {}],
        )
    )
    small = butler.put(3, "small", instrument="Cam")
    summary = butler.put({"a": 1}, "summary", instrument="Cam")
    assert "FileDatastore_2" in str(butler.getURI(small))
    assert "FileDatastore_1" in str(butler.getURI(summary))
    assert [record.path for record in butler._datastore.children[0].records(None, [small.id, summary.id])] == [
        f"mem://{small.id}"
    ]
    refusing = make_butler(
        chain(files("one", constraints={"reject": ["all"]}), files("two", constraints={"accept": ["int"]})), "b"
    )
    with pytest.raises(DatasetTypeNotSupportedError, match="none of the datastores"):
        refusing.put({"a": 1}, "summary", instrument="Cam")
    with pytest.raises(ValidationError, match=r"no datastore of .* takes dataset type `image`"):
        refusing.validateConfiguration()
    refusing.validateConfiguration(ignore=["image", "summary"])


def test_datasets_in_memory_alone_are_known_to_this_butler_alone(make_butler):
    butler = make_butler({"datastore": MEMORY})
    ref = butler.put({"a": [1]}, "summary", instrument="Cam")
    butler.get(ref)["a"].append(2)
    assert butler.get("summary", instrument="Cam") == {"a": [1]}
    assert butler.clone().get(ref) == {"a": [1]}
    assert str(butler.getURI(ref)).startswith("mem://")
    assert butler.get_datastore_roots() == {butler.get_datastore_names()[0]: None}
    with reopened(butler) as other:
        assert other.get_dataset(ref.id) == ref
        assert not other.stored(ref)
        with pytest.raises(FileNotFoundError):
            other.get(ref)
    butler.pruneDatasets([ref], disassociate=True, unstore=True, purge=True)
    assert butler.get_dataset(ref.id) is None
    assert butler._datastore.children[0].records(None, [ref.id]) == []


def test_copies_are_made_of_one_datastore_s_files(both, make_butler, tmp_path):
    ref = both.put({"a": 1}, "summary", instrument="Cam")
    (copied,) = both.retrieveArtifacts([ref], str(tmp_path / "out"))
    assert Path(copied.ospath).read_text() == "a: 1\n"
    zipped = both.retrieve_artifacts_zip([ref], str(tmp_path / "zip"))
    target = make_butler(chain(files("one"), files("two")), "target")
    target.transfer_from(both, [ref], transfer="copy")
    assert target.get(ref) == {"a": 1}
    target.pruneDatasets([ref], disassociate=True, unstore=True, purge=True)
    target.ingest_zip(zipped)
    assert target.get(ref) == {"a": 1}
    assert [name[-1] for name in target._core_registry.locations([ref.id])[ref.id]] == ["0", "1"]


def test_a_file_is_trusted_to_be_there_if_the_configuration_says_so(make_butler):
    butler = make_butler({"datastore": {"cls": FILES, "trust_get_request": True}})
    data_id = butler.registry.expandDataId(instrument="Cam")
    (ref,) = butler.registry.insertDatasets("summary", [data_id])
    assert not butler.stored(ref)
    place = Path(butler.getURI(ref, predict=True).ospath)
    place.parent.mkdir(parents=True)
    place.write_text("a: 9\n")
    assert butler.get(ref) == {"a": 9}
    assert butler.get("summary", instrument="Cam") == {"a": 9}
    assert butler.stored(ref)


def test_datastores_that_would_share_records_are_refused(make_butler):
    with pytest.raises(ConfigurationError, match=r"give each a `records.table` of its own"):
        make_butler(chain(files("one"), files("one")))
