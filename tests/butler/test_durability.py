"""What is synced in each mode, and where the mode comes from."""

import errno
import os

import pytest

from armillary.butler import Butler, DatasetRef, FileDataset
from armillary.errors import ConfigurationError
from armillary.storage.file_datastore import FileDatastore
from armillary.testing import fill_small_repository


@pytest.fixture
def repo(tmp_path):
    Butler.makeRepo(str(tmp_path / "repo"))
    with Butler(str(tmp_path / "repo"), run="u/first") as butler:
        fill_small_repository(butler)
    return str(tmp_path / "repo")


@pytest.fixture
def syncs(monkeypatch):
    """Paths that were synced; the database's and the announcements' syncs are not among them.

    A single new file is written and synced by the engine, which is told whether to; others are synced by Python.
    """
    found = []
    fsync, write_announced = os.fsync, FileDatastore.write_announced

    def sync(descriptor):
        found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def write(store, registry, batch):
        written = write_announced(store, registry, batch)
        if written is not None and store.durable:
            found.extend(os.path.join(store.root, record.path) for record in written[1])
        return written

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(FileDatastore, "write_announced", write)
    return found


def put_some(butler, detectors):
    return [butler.put({"d": i}, "metrics", instrument="Cam", visit=10, detector=i) for i in detectors]


def test_each_mode_syncs_what_it_says(repo, syncs):
    with Butler(repo, run="u/full", durability="full") as butler:
        put_some(butler, [1])
        assert any("/u/full/" in path for path in syncs)
        syncs.clear()
        with butler.transaction():
            put_some(butler, [2])
            assert syncs
    syncs.clear()
    with Butler(repo, run="u/batch", durability="batch") as butler:
        put_some(butler, [1])
        assert any("/u/batch/" in path for path in syncs)
        syncs.clear()
        with butler.transaction():
            with butler.transaction():
                (ref,) = put_some(butler, [2])
            assert syncs == []
        assert butler.getURI(ref).ospath in syncs
    syncs.clear()
    with Butler(repo, run="u/none", durability="none") as butler, butler.transaction():
        put_some(butler, [1, 2])
    assert syncs == []


def test_a_sync_that_fails_undoes_the_transaction(repo, monkeypatch):
    def fail(descriptor):
        monkeypatch.undo()  # the next one works
        raise OSError(5, "Input/output error")

    with Butler(repo, run="u/batch", durability="batch") as butler:
        with pytest.raises(OSError, match="Input/output error"), butler.transaction():
            put_some(butler, [1, 2])
            monkeypatch.setattr(os, "fsync", fail)
        assert butler.query_datasets("metrics", explain=False) == []
        assert not any(files for _, _, files in os.walk(os.path.join(repo, "u", "batch")))
        put_some(butler, [1, 2])


def test_argument_then_variable_then_configuration(repo, monkeypatch):
    def mode(**options):
        with Butler(repo, run="u/mode", **options) as butler:
            return butler._datastore.durability

    assert mode() == "full"
    with open(os.path.join(repo, "butler.yaml"), "a") as stream:
        stream.write("durability: batch\n")
    assert mode() == "batch"
    monkeypatch.setenv("ARMILLARY_DURABILITY", "none")
    assert mode() == "none"
    assert mode(durability="full") == "full"
    monkeypatch.setenv("ARMILLARY_DURABILITY", "some")
    with pytest.raises(ConfigurationError, match="ARMILLARY_DURABILITY is `some`; use `full`, `batch` or `none`"):
        mode()


def files_to_copy(butler, folder):
    """Two files and what they shall be."""
    kind = butler.get_dataset_type("metrics")
    files = []
    for detector in (1, 2):
        path = folder / f"{detector}.yaml"
        path.write_text(f"d: {detector}\n")
        data_id = butler.registry.expandDataId(instrument="Cam", visit=10, detector=detector)
        files.append(FileDataset(str(path), DatasetRef(kind, data_id, "u/copied")))
    return files


@pytest.fixture
def only_named_files(monkeypatch):
    """As on a file system where no file can be made without a name."""
    monkeypatch.setattr("armillary.storage.file_ingest.copy_files", lambda pairs, *, durable: ([], None))


@pytest.mark.usefixtures("only_named_files")
def test_copies_are_synced_before_any_has_its_name(repo, tmp_path, monkeypatch):
    final = []
    real = os.fsync

    def fsync(descriptor):
        if os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")).startswith(".armillary-"):
            final.append([path for _, _, names in os.walk(f"{repo}/u/copied") for path in names if path[0] != "."])
        real(descriptor)

    with Butler(repo, writeable=True) as butler:
        files = files_to_copy(butler, tmp_path)
        monkeypatch.setattr(os, "fsync", fsync)
        butler.ingest(*files, transfer="copy")
        assert final == [[], []]
        assert [butler.get(file.refs[0]) for file in files] == [{"d": 1}, {"d": 2}]


@pytest.mark.usefixtures("only_named_files")
def test_a_copy_that_cannot_be_synced_leaves_none_of_them(repo, tmp_path, monkeypatch):
    calls = []
    real = os.fsync

    def fsync(descriptor):
        if os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")).startswith(".armillary-"):
            calls.append(descriptor)
            if len(calls) == 2:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    with Butler(repo, writeable=True) as butler:
        files = files_to_copy(butler, tmp_path)
        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="Input/output error"):
            butler.ingest(*files, transfer="copy")
        monkeypatch.setattr(os, "fsync", real)
        assert not [path for _, _, names in os.walk(f"{repo}/u/copied") for path in names]
        assert not butler.exists(files[0].refs[0])
        butler.ingest(*files, transfer="copy")
