"""Files that are not what their records say are not read: by size always, by checksum when that is asked for."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from armillary.butler import Butler, DatasetType
from armillary.errors import ConfigurationError, FileIntegrityError
from armillary.storage.file_integrity import VERIFY_VARIABLE
from armillary.storage.remote import remote_files


@pytest.fixture(params=["environment", "configuration"])
def asked(request, monkeypatch):
    """The datastore's configuration where checksums are compared, which the environment may ask for instead."""
    if request.param == "environment":
        monkeypatch.setenv(VERIFY_VARIABLE, "true")
        return {"checksum": True}
    return {"checksum": True, "verify_checksums": True}


def make_local(root, datastore):
    Butler.makeRepo(root, config={"datastore": datastore})
    butler = Butler(root, run="run")
    butler.registry.registerDatasetType(DatasetType("note", [], "StructuredDataDict", universe=butler.dimensions))
    return butler


def change(path):
    """Change a file and keep its size."""
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1", b"2"))
    return content


def record_of(butler, ref):
    (record,) = butler._datastore.records(butler._core_registry, [ref.id])
    return record


def test_a_changed_local_file_is_not_read(asked, tmp_path):
    with make_local(tmp_path, asked) as butler:
        ref = butler.put({"a": 1}, "note")
        assert butler.get(ref) == {"a": 1}
        path = Path(butler.getURI(ref).ospath)
        change(path)
        with pytest.raises(FileIntegrityError, match="the file was changed") as caught:
            butler.get(ref)
        checksum = record_of(butler, ref).checksum
    said = str(caught.value)
    assert f"`{path}`" in said
    assert str(ref) in said
    found = hashlib.blake2b(path.read_bytes()).hexdigest()
    assert f"has the checksum {found} and its record says {checksum}" in said


def test_a_size_is_compared_without_being_asked_for_and_the_dataset_is_named(tmp_path):
    with make_local(tmp_path, {}) as butler:
        ref = butler.put({"a": 1}, "note")
        path = Path(butler.getURI(ref).ospath)
        change(path)
        assert butler.get(ref) == {"a": 2}, "nobody asked for checksums"
        os.truncate(path, 3)
        with pytest.raises(FileIntegrityError, match="holds 3 bytes and its record says 5") as caught:
            butler.get(ref)
    assert str(ref) in str(caught.value)


def test_a_file_without_a_checksum_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv(VERIFY_VARIABLE, "yes")
    with make_local(tmp_path, {}) as butler:
        ref = butler.put({"a": 1}, "note")
        assert record_of(butler, ref).checksum is None
        assert butler.get(ref) == {"a": 1}


def test_the_environment_is_stronger_and_nonsense_is_refused(tmp_path, monkeypatch):
    with make_local(tmp_path, {"checksum": True, "verify_checksums": True}) as butler:
        ref = butler.put({"a": 1}, "note")
        change(Path(butler.getURI(ref).ospath))
    monkeypatch.setenv(VERIFY_VARIABLE, "false")
    with Butler(tmp_path) as butler:
        assert butler.get(ref) == {"a": 2}
    monkeypatch.setenv(VERIFY_VARIABLE, "perhaps")
    told = f"{VERIFY_VARIABLE} is `perhaps`; use `true` or `false`"
    with Butler(tmp_path) as butler, pytest.raises(ConfigurationError, match=told):
        butler.get(ref)


def test_a_changed_member_of_a_zip_file_is_not_read(asked, tmp_path):
    with make_local(tmp_path / "one", asked) as source, make_local(tmp_path / "two", asked) as butler:
        ref = source.put({"a": 1}, "note")
        zipped = source.retrieve_artifacts_zip([ref], tmp_path / "zip")
        butler.ingest_zip(zipped, transfer="copy")
        assert butler.get(ref) == {"a": 1}
        place = Path(str(butler.getURI(ref).ospath).partition("#")[0])
        database = butler._core_registry.path
    with sqlite3.connect(database) as connection:  # a zip file has a checksum of its own for each member
        connection.execute("UPDATE file_datastore_records SET checksum = ?", ("0" * 128,))
    connection.close()
    with Butler(tmp_path / "two") as butler, pytest.raises(FileIntegrityError, match="#zip-path=") as caught:
        butler.get(ref)
    assert str(place) in str(caught.value)


@pytest.mark.parametrize("cached", [True, False])
def test_a_changed_remote_file_is_not_read(make_butler, bucket, cached, asked):
    butler = make_butler(**asked, cached={"default": cached})
    ref = butler.put({"a": 1}, "summary", instrument="Cam")
    assert butler.get(ref) == {"a": 1}
    files, key = remote_files(str(butler.getURI(ref)))
    files.put(key, files.read(key).replace(b"1", b"2"), overwrite=True)
    if cached:
        assert butler.get(ref) == {"a": 1}, "the copy in the cache is as it was"
        butler._datastore.cache.forget([ref.id])
    with pytest.raises(FileIntegrityError, match="the file was changed") as caught:
        butler.get(ref)
    assert str(butler.getURI(ref)) in str(caught.value)
    assert str(ref) in str(caught.value)


def test_a_changed_copy_in_the_cache_is_made_again(make_butler, bucket, asked):
    butler = make_butler(**asked, cached={"default": True})
    ref = butler.put({"a": 1}, "summary", instrument="Cam")
    assert butler.get(ref) == {"a": 1}
    (kept,) = Path(butler._datastore.cache.folder).glob(f"{ref.id}*")
    os.chmod(kept, 0o600)
    change(kept)
    assert butler.get(ref) == {"a": 1}
    assert kept.read_bytes() == b"a: 1\n"


def test_a_part_of_a_changed_remote_file_is_not_read(make_butler, bucket, asked):
    butler = make_butler(**asked, cached={"default": False})
    ref = butler.put(Table({"x": np.arange(1000), "y": np.arange(1000.0)}), "table", instrument="Cam")
    assert len(butler.get(ref, parameters={"columns": ["x"]})) == 1000
    files, key = remote_files(str(butler.getURI(ref)))
    content = bytearray(files.read(key))
    content[len(content) // 2] ^= 1
    files.put(key, bytes(content), overwrite=True)
    with pytest.raises(FileIntegrityError, match="the file was changed"):
        butler.get(ref, parameters={"columns": ["x"]})
