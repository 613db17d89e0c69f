"""Files of others that lead elsewhere, name code, or are very large; disks that are full; what cannot be removed."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import zipfile
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from armillary.butler import Butler, DatasetRef, FileDataset
from armillary.config import Config
from armillary.errors import ConfigurationError, UnsafePathError, UntrustedContentError, ValidationError
from armillary.storage.file_record import FileRecord
from armillary.testing import fill_small_repository

SECRET = "{secret: 1}\n"


@pytest.fixture
def outer(tmp_path):
    """A folder with a secret, in which everything else is some folders deep."""
    (tmp_path / "secret.yaml").write_text(SECRET)
    (tmp_path / "a" / "b").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def make_butler(outer):
    opened = []

    def make(name="repo", run="run"):
        root = outer / "a" / "b" / name
        Butler.makeRepo(str(root))
        opened.append(Butler(str(root), run=run))
        fill_small_repository(opened[-1])
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def butler(make_butler):
    return make_butler()


def data_id(number):
    """Four datasets are there to be put."""
    return {"instrument": "Cam", "visit": 10 + (number - 1) // 2, "detector": 1 + (number - 1) % 2}


def put(butler, number, **content):
    return butler.put({"d": number, **content}, "metrics", data_id(number))


def everything(folder):
    """All files, but those of databases and announcements, which come and go."""
    found = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return {path for path in found if not path.name.startswith("gen3.sqlite3") and ".armillary" not in path.parts}


# -- zip files


@pytest.fixture
def zipped(make_butler, outer):
    """A function that writes a zip file of one dataset whose member has another name, or is a link."""
    source = make_butler("source")
    made = Path(source.retrieve_artifacts_zip([put(source, 1)], outer / "a" / "zip").ospath)

    def write(name, *, link_to=None, info=None):
        with zipfile.ZipFile(made) as archive:
            index = json.loads(archive.read("_butler_zip_index.json"))
            ((old, entry),) = index["artifact_map"].items()
            content = archive.read(old)
        entry["info"].update(info or {})
        index["artifact_map"] = {name: entry}
        member = zipfile.ZipInfo(name)
        if link_to is not None:
            member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            content = str(link_to).encode()
        changed = made.with_name("changed.zip")
        with zipfile.ZipFile(changed, "w") as archive:
            archive.writestr("_butler_zip_index.json", json.dumps(index))
            archive.writestr(member, content)
        return str(changed)

    return write


@pytest.mark.parametrize("name", ["../../../evil.yaml", "/tmp/armillary-evil.yaml", "a/../../../evil.yaml", "C:\\evil"])
def test_a_member_that_climbs_is_read_and_nothing_is_written_elsewhere(butler, zipped, outer, name):
    file = zipped(name)
    before = everything(outer)
    butler.ingest_zip(file, transfer="copy")
    ref = butler.find_dataset("metrics", data_id(1), collections="run")
    assert butler.get(ref) == {"d": 1}
    retrieved = butler.retrieveArtifacts([ref], outer / "a" / "out")
    root = Path(butler._datastore.root)
    new = everything(outer) - before
    assert all(root in path.parents or outer / "a" / "out" in path.parents for path in new)
    assert len(retrieved) == 1
    assert not Path("/tmp/armillary-evil.yaml").exists()


def test_a_member_that_is_a_link_is_not_followed(butler, zipped, outer):
    target = outer / "secret.yaml"
    butler.ingest_zip(zipped("link.yaml", link_to=target, info={"file_size": len(str(target))}), transfer="copy")
    ref = butler.find_dataset("metrics", data_id(1), collections="run")
    try:
        assert "secret" not in butler.get(ref)
    except ValueError as error:  # the name of a file is no mapping
        assert "secret: 1" not in str(error)


def test_a_zip_file_names_a_formatter_that_is_not_imported(butler, zipped, evil):
    butler.ingest_zip(zipped("x.yaml", info={"formatter": "evil_module.Formatter"}), transfer="copy")
    ref = butler.find_dataset("metrics", data_id(1), collections="run")
    with pytest.raises(UntrustedContentError, match="evil_module"):
        butler.get(ref)
    assert not evil()


def test_a_zip_file_that_cannot_be_taken_in_leaves_nothing(zipped, outer):
    source = zipped("x.yaml")
    root = outer / "a" / "b" / "empty"
    Butler.makeRepo(str(root))
    with Butler(str(root), writeable=True) as butler:
        with pytest.raises(Exception, match="Cam"):  # it has no such camera
            butler.ingest_zip(source, transfer="copy")
        assert butler.collections.query("*") == []
        assert butler.registry.queryDatasetTypes() == []
    assert {path.name for path in everything(root)} == {"butler.yaml"}


# -- records and exports


@pytest.mark.parametrize("path", ["../../../evil/x.yaml", "/etc/hostname"])
def test_a_stored_path_that_climbs_makes_nothing_where_files_are_retrieved(butler, outer, path):
    ref = put(butler, 1)
    (record,) = butler._datastore.records(butler._core_registry, [ref.id])
    bad = FileRecord(ref.id, path, record.formatter, record.storage_class, None, None, -1)
    butler._core_registry.finish_write(None, butler._datastore.name, [ref], [bad], register=False)
    before = {*outer.rglob("*")}
    with pytest.raises(UnsafePathError, match="leads out of the repository"):
        butler.retrieveArtifacts([ref], outer / "a" / "b" / "out")
    with (
        pytest.raises(UnsafePathError, match="leads out of the repository"),
        butler.export(directory=str(outer / "a" / "b" / "out"), transfer="copy") as export,
    ):
        export.saveDatasets([ref])
    assert {*outer.rglob("*")} - before <= {outer / "a" / "b" / "out"}


def test_an_export_of_a_million_lines_is_read_or_refused_soon(butler, outer):
    head = "version: 1.0.2\nuniverse_version: 8\nuniverse_namespace: daf_butler\ndata:\n"
    rows = "".join(f"  - instrument: Cam\n    id: {i}\n    full_name: x{i}\n    nothing: 1\n" for i in range(250_000))
    (outer / "large.yaml").write_text(f"{head}- type: dimension\n  element: detector\n  records:\n{rows}")
    before = len(butler.query_dimension_records("detector", instrument="Cam"))
    with pytest.raises(Exception, match="nothing"):
        butler.import_(filename=str(outer / "large.yaml"))
    assert len(butler.query_dimension_records("detector", instrument="Cam")) == before


@pytest.mark.parametrize("beginning", ["[", "{a: ", "- "])
def test_an_export_that_nests_deeply_is_refused(butler, outer, beginning):
    (outer / "deep.yaml").write_text("data: " + beginning * 100_000)
    with pytest.raises(ValidationError):
        butler.import_(filename=str(outer / "deep.yaml"))


# -- configurations


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A module that leaves a mark when it is imported; tells whether it was."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "evil_module.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass X: pass\nFormatter = Datastore = Manager = X\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    yield lambda: (tmp_path / "ran").exists() or "evil_module" in sys.modules
    sys.modules.pop("evil_module", None)


NAMING_CODE = {
    "datastore": "datastore: {cls: evil_module.Datastore}\n",
    "formatter": "datastore: {formatters: {StructuredDataDict: evil_module.Formatter}}\n",
    "storage class": "storageClasses: {Evil: {pytype: evil_module.X, delegate: evil_module.X}}\n",
    "manager": "registry: {managers: {datasets: evil_module.Manager}}\n",
    "butler": "cls: evil_module.X\n",
}


@pytest.mark.parametrize("text", NAMING_CODE.values(), ids=NAMING_CODE)
def test_a_configuration_that_names_code_imports_none(butler, evil, text):
    root = butler._datastore.root
    put(butler, 1)
    butler.close()
    config = Config(Path(root, "butler.yaml"))
    config.update(Config.fromString(text))
    config.dumpToUri(Path(root, "butler.yaml"))
    refused = (ConfigurationError, UntrustedContentError)
    with (
        pytest.raises(refused, match="evil_module") if "datastore" in text else nullcontext(),
        Butler(root, writeable=True, run="run") as again,
    ):
        again.get("metrics", data_id(1))
        put(again, 2)
    assert not evil()


# -- names


@pytest.mark.parametrize("run", ["butler.yaml", "gen3.sqlite3", "gen3.sqlite3-journal/x", "gen3.sqlite3-wal"])
def test_a_run_called_like_a_file_of_the_repository_is_refused(butler, run):
    butler.registry.registerRun(run)
    before = everything(Path(butler._datastore.root))
    with pytest.raises(UnsafePathError, match="repository's own"):
        butler.put({"d": 1}, "metrics", data_id(1), run=run)
    assert everything(Path(butler._datastore.root)) == before
    butler.registry.registerRun("butler.yaml.d")
    butler.put({"d": 1}, "metrics", data_id(1), run="butler.yaml.d")


@pytest.mark.parametrize("ingest", [False, True])
def test_a_run_called_like_the_file_of_a_dataset_is_refused(butler, outer, ingest):
    run = put(butler, 1) and os.path.relpath(butler.getURI("metrics", data_id(1)).ospath, butler._root)
    butler.registry.registerRun(run)
    ref = DatasetRef(butler.get_dataset_type("metrics"), butler.registry.expandDataId(data_id(2)), run)
    with pytest.raises(NotADirectoryError, match="use another run name"):
        if ingest:
            butler.ingest(FileDataset(str(outer / "secret.yaml"), [ref]), transfer="copy")
        else:
            butler.put({"d": 2}, ref)
    assert butler.query_datasets("metrics", collections=run, explain=False) == []
    assert butler.get("metrics", data_id(1)) == {"d": 1}


# -- disks that are full, files that cannot be removed, clones


@pytest.fixture
def limited():
    """A function that limits the size of files for a while, as a full disk does."""
    import resource
    import signal

    @contextmanager
    def limit(size):
        old, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
            signal.signal(signal.SIGXFSZ, handler)

    return limit


def test_an_export_that_does_not_fit_leaves_nothing(butler, outer, limited):
    refs = [put(butler, 1), put(butler, 2, text="x" * 50_000)]
    folder = outer / "a" / "out"
    with (
        pytest.raises(OSError, match=r"out/.*metrics") as raised,
        limited(20_000),
        butler.export(directory=str(folder), transfer="copy") as export,
    ):
        export.saveDatasets(refs)
    assert raised.value.errno in (errno.EFBIG, errno.ENOSPC)
    assert everything(folder) == set()
    with (
        pytest.raises(OSError, match=r"out/export\.yaml"),
        limited(500),
        butler.export(directory=str(folder), transfer="copy") as export,
    ):
        export.saveDatasets(refs[:1])
    assert everything(folder) == set()
    with butler.export(directory=str(folder), transfer="copy") as export:
        export.saveDatasets(refs)
    assert len(everything(folder)) == 3


def test_a_zip_file_that_does_not_fit_leaves_nothing(butler, outer, limited):
    refs = [put(butler, 1), put(butler, 2, text="x" * 50_000)]
    folder = outer / "a" / "out"
    with pytest.raises(OSError, match=r"out/.*\.zip") as raised, limited(20_000):
        butler.retrieve_artifacts_zip(refs, folder)
    assert raised.value.errno in (errno.EFBIG, errno.ENOSPC)
    assert everything(folder) == set()
    assert os.path.exists(butler.retrieve_artifacts_zip(refs, folder).ospath)


def test_what_cannot_be_removed_is_told_and_the_rest_is_undone(butler, monkeypatch, caplog):
    root, real = Path(butler._datastore.root), os.unlink
    before = everything(root)

    paths = {}

    def unlink(path, **options):
        if os.fspath(path) == str(paths[2]):
            raise PermissionError(errno.EPERM, "not permitted", path)
        real(path, **options)

    with pytest.raises(ValueError, match="changed my mind"), butler.transaction():
        for number in (1, 2, 3):
            paths[number] = Path(butler.getURI(put(butler, number)).ospath)
        monkeypatch.setattr(os, "unlink", unlink)
        raise ValueError("changed my mind")
    monkeypatch.undo()
    assert everything(root) - before == {paths[2]}
    assert str(paths[2]) in caplog.text
    butler.close()
    with Butler(str(root), writeable=True):
        assert everything(root) == before


def test_what_a_clone_writes_is_undone_with_the_transaction(butler):
    root = Path(butler._datastore.root)
    kept = put(butler, 3)
    before = everything(root)
    butler.registry.registerRun("other")
    clone = butler.clone(run="other")
    with pytest.raises(ValueError, match="changed my mind"), butler.transaction():
        put(clone, 1)
        with clone.transaction():
            put(clone, 2)
        clone.pruneDatasets([kept], disassociate=True, unstore=True, purge=True)
        raise ValueError("changed my mind")
    assert everything(root) == before
    assert butler.get(kept) == {"d": 3}
    with butler.transaction():
        put(clone, 1)
        clone.pruneDatasets([kept], disassociate=True, unstore=True, purge=True)
        assert everything(root) > before
    assert clone.get("metrics", data_id(1), collections="other") == {"d": 1}
    assert len(everything(root)) == len(before)
    assert not butler.stored(kept)
    clone.close()
