import errno
import os
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

import armillary._files as files
from armillary.config import ButlerConfig
from armillary.errors import (
    ConfigurationError,
    DatasetTypeNotSupportedError,
    FileIntegrityError,
    UnknownParameterError,
    UnsafePathError,
    UntrustedContentError,
)
from armillary.storage.artifacts import export_files, retrieve
from armillary.storage.file_dataset import FileDataset
from armillary.storage.file_datastore import FileDatastore
from armillary.storage.file_ingest import finish_ingest
from armillary.storage.file_record import FileRecord
from armillary.storage.storage_class import storage_class_factory

YAML = "lsst.daf.butler.formatters.yaml.YamlFormatter"


@pytest.fixture
def make_datastore(tmp_path, universe):
    def make(changes=None, writeable=True):
        config = ButlerConfig({})
        config[".datastore.root"] = "<butlerRoot>"
        config.update({"datastore": changes or {}})
        return FileDatastore(config, str(tmp_path / "repo"), universe=universe, writeable=writeable)

    return make


@pytest.fixture
def datastore(make_datastore):
    return make_datastore()


def put(datastore, obj, ref):
    return datastore.write(datastore.prepare(obj, ref))


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def test_the_name_is_the_one_databases_hold(datastore, make_datastore):
    assert datastore.name == "FileDatastore@<butlerRoot>"
    assert make_datastore({"name": "other"}).name == "other"


def test_a_written_dataset_has_the_peer_s_record_and_reads_back(datastore, make_ref):
    ref = make_ref("StructuredDataDict", name="meta")
    value = {"b": 1, "a": [1, {"x": None}], "é": "ü", "n": np.float64(2.5), "t": (1, 2)}
    (record,) = put(datastore, value, ref)
    assert (record.path, record.formatter, record.storage_class) == (
        "run/meta/meta_run.yaml",
        YAML,
        "StructuredDataDict",
    )
    assert record.component is None
    assert record.checksum is None
    path = Path(datastore.root, record.path)
    assert record.file_size == path.stat().st_size
    assert datastore.get(ref, [record]) == {"b": 1, "a": [1, {"x": None}], "é": "ü", "n": 2.5, "t": [1, 2]}
    assert list(datastore.get(ref, [record])) == ["b", "a", "é", "n", "t"]
    assert datastore.exists([record])
    assert not datastore.exists([])
    assert datastore.uri(record).ospath == str(path)
    assert files_below(datastore.root) == [record.path]


def test_the_umask_is_honoured(tmp_path, datastore, make_ref):
    records = [
        *put(datastore, 3, make_ref("int", name="a")),
        *put(datastore, Table({"x": [1]}), make_ref("ArrowAstropy", name="b")),
    ]
    for record in records:
        mode = stat.S_IMODE(Path(datastore.root, record.path).stat().st_mode)
        assert mode == 0o666 & ~files._UMASK


def test_a_read_only_datastore_makes_nothing(tmp_path, make_datastore, make_ref):
    datastore = make_datastore(writeable=False)
    assert not Path(datastore.root).exists()
    prepared = datastore.prepare(3, make_ref("int"))
    with pytest.raises(TypeError, match="read-only"):
        datastore.write(prepared)
    with pytest.raises(TypeError, match="read-only"):
        datastore.remove(["x"])
    with pytest.raises(TypeError, match="read-only"):
        datastore.prepare_ingest([])
    assert not Path(datastore.root).exists()


@pytest.mark.parametrize(
    "value, storage_class, error, message",
    [
        ("3", "int", TypeError, "no valid converter found to convert `str` to `int`"),
        ({"a": object()}, "StructuredDataDict", RuntimeError, "Failed to serialize dataset thing@"),
        ([1], "StructuredDataList", DatasetTypeNotSupportedError, "no formatter writes dataset type `thing`"),
        (Table({"a": [object()]}), "ArrowAstropy", RuntimeError, "column `a`"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(datastore, make_ref, value, storage_class, error, message):
    with pytest.raises(error, match=message):
        put(datastore, value, make_ref(storage_class))
    assert files_below(datastore.root) == []


def test_a_name_taken_by_another_dataset_is_never_overwritten(datastore, make_ref):
    first, second = make_ref("int"), make_ref("int")
    (one,) = put(datastore, 1, first)
    (two,) = put(datastore, 2, second)
    assert two.path == f"run/thing/thing_run_{second.id}.json"
    assert (datastore.get(first, [one]), datastore.get(second, [two])) == (1, 2)


def test_two_writers_of_one_name_do_not_overwrite_each_other(datastore, make_ref):
    one, two = make_ref("int"), make_ref("int")
    first, second = datastore.prepare(1, one), datastore.prepare(2, two)
    assert first.paths == second.paths
    records = datastore.write(first)
    with pytest.raises(FileExistsError):
        datastore.write(second)
    datastore.undo([second])
    assert datastore.get(one, records) == 1
    assert len(files_below(datastore.root)) == 1


def test_undo_removes_what_was_written(datastore, make_ref):
    prepared = datastore.prepare(1, make_ref("int"))
    datastore.write(prepared)
    datastore.undo([prepared])
    assert files_below(datastore.root) == []
    datastore.undo([prepared])


def test_a_failing_batch_leaves_nothing(datastore, make_ref):
    batch = [datastore.prepare(1, make_ref("int", name="a"))]
    batch.append(datastore.prepare({"x": object()}, make_ref("StructuredDataDict", name="b")))
    with pytest.raises(RuntimeError, match="Failed to serialize"):
        datastore.write_many(batch)
    assert files_below(datastore.root) == []


def test_a_changed_file_is_noticed(datastore, make_ref):
    ref = make_ref("StructuredDataDict")
    records = put(datastore, {"a": 1}, ref)
    path = Path(datastore.root, records[0].path)
    path.write_text("a: 11\n")
    with pytest.raises(FileIntegrityError, match="holds 6 bytes and its record says 5"):
        datastore.get(ref, records)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="Could not retrieve dataset thing@"):
        datastore.get(ref, records)
    with pytest.raises(FileNotFoundError, match="Could not retrieve dataset"):
        datastore.get(ref, [])
    assert not datastore.exists(records)


def test_a_size_that_is_not_known_is_not_checked(datastore, make_ref):
    ref = make_ref("StructuredDataDict")
    (record,) = put(datastore, {"a": 1}, ref)
    unknown = FileRecord(record.dataset_id, record.path, record.formatter, record.storage_class, None, None, -1)
    Path(datastore.root, record.path).write_text("a: 11\n")
    assert datastore.get(ref, [unknown]) == {"a": 11}


def test_checksums_are_blake2b(make_datastore, make_ref):
    import hashlib

    datastore = make_datastore({"checksum": True})
    (record,) = put(datastore, {"a": 1}, make_ref("StructuredDataDict"))
    assert record.checksum == hashlib.blake2b(b"a: 1\n").hexdigest()


def test_another_storage_class_can_be_asked_for(datastore, make_ref):
    ref = make_ref("ArrowAstropy")
    records = put(datastore, Table({"x": [1, 2], "s": ["a", "bc"]}), ref)
    array = datastore.get(ref, records, storage_class="ArrowNumpy")
    assert array.dtype.names == ("x", "s")
    assert datastore.get(ref, records, component="rowcount") == 2
    assert datastore.get(ref, records, parameters={"columns": "x"}).colnames == ["x"]
    with pytest.raises(UnknownParameterError, match="`bbox`"):
        datastore.get(ref, records, parameters={"bbox": 1})
    with pytest.raises(TypeError, match="no valid converter"):
        datastore.get(ref, records, storage_class="int")


@pytest.mark.parametrize("path", ["../outside.yaml", "/etc/hostname", "a/../../outside.yaml"])
def test_records_do_not_lead_out_of_the_root(datastore, make_ref, path):
    ref = make_ref("StructuredDataDict")
    record = FileRecord(ref.id, path, YAML, "StructuredDataDict", None, None, -1)
    for action in (
        lambda: datastore.get(ref, [record]),
        lambda: datastore.uri(record),
        lambda: datastore.remove([path]),
    ):
        with pytest.raises(UnsafePathError, match="leads out of the repository"):
            action()


def test_a_formatter_named_by_a_record_is_not_just_imported(datastore, make_ref):
    ref = make_ref("StructuredDataDict")
    record = FileRecord(ref.id, "x.yaml", "evil_module.Formatter", "StructuredDataDict", None, None, -1)
    with pytest.raises(UntrustedContentError, match="evil_module"):
        datastore.get(ref, [record])
    record = FileRecord(ref.id, "x.yaml", "lsst.daf.butler.Timespan", "StructuredDataDict", None, None, -1)
    with pytest.raises((TypeError, ImportError)):
        datastore.get(ref, [record])


def test_runs_that_lead_elsewhere_make_no_folder(tmp_path, datastore, make_ref):
    for run in ("u/../../../escape", "../../escape", "a/..", "x\ny"):
        with pytest.raises(UnsafePathError):
            datastore.prepare(1, make_ref("int", run=run))
    for run in ("%2e%2e/%2e%2e/escape", "$HOME/x", "~root/x"):
        ref = make_ref("int", run=run)
        records = put(datastore, 1, ref)
        assert datastore.get(ref, records) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["repo"]
    assert len(files_below(datastore.root)) == 3


def test_removal_stays_inside_and_leaves_files_of_others(tmp_path, datastore, make_ref):
    (tmp_path / "mine.json").write_text("3")
    (record,) = put(datastore, 1, make_ref("int"))
    datastore.remove([record.path, record.path, "never/was.json", f"file://{tmp_path}/mine.json"])
    assert files_below(datastore.root) == []
    assert (tmp_path / "mine.json").exists()


@pytest.mark.parametrize("durability", ["full", "batch", "none"])
def test_what_was_removed_stays_away_before_anybody_forgets_it(datastore, make_ref, monkeypatch, durability):
    """A name that comes back after a power cut, when its announcement is gone, would be an orphan for good."""
    datastore.set_durability(durability)
    (record,) = put(datastore, 1, make_ref("int"))
    folder = os.path.dirname(os.path.join(datastore.root, record.path))
    synced = []

    def note(path):
        assert files_below(datastore.root) == []
        synced.append(path)

    monkeypatch.setattr("armillary._files.sync_directory", note)
    datastore.remove([record.path, "never/was.json"])
    assert (folder in synced) is (durability != "none")


def test_constraints_decide_what_is_taken(make_datastore, make_ref):
    datastore = make_datastore({"constraints": {"accept": ["thing", "detector+visit"], "reject": ["all"]}})
    datastore.prepare(1, make_ref("int"))
    with pytest.raises(DatasetTypeNotSupportedError, match="configured not to take dataset type `other`"):
        datastore.prepare(1, make_ref("int", name="other"))
    only_rejecting = make_datastore({"constraints": {"reject": ["thing"]}})
    assert only_rejecting.accepts(make_ref("int", name="other").datasetType)
    assert not only_rejecting.accepts(make_ref("int").datasetType)


@pytest.fixture
def composite():
    parts = {"left": "StructuredDataDict", "right": "StructuredDataDict"}
    storage_class_factory().addFromConfig({"PairOfDicts": {"pytype": "dict", "components": parts}})
    return "PairOfDicts"


def test_a_composite_is_split_and_put_together(make_datastore, make_ref, composite):
    datastore = make_datastore({"composites": {"disassembled": {composite: True}}})
    ref = make_ref(composite, name="met")
    records = put(datastore, {"left": {"a": 1}, "right": {"b": 2}}, ref)
    assert [(one.component, one.path, one.storage_class) for one in records] == [
        ("left", "run/met.left/met_left_run.yaml", "StructuredDataDict"),
        ("right", "run/met.right/met_right_run.yaml", "StructuredDataDict"),
    ]
    assert datastore.get(ref, records) == {"left": {"a": 1}, "right": {"b": 2}}
    assert datastore.get(ref, records, component="right") == {"b": 2}
    part = make_ref("StructuredDataDict", name="met.left", parent=composite)
    assert datastore.get(part, records) == {"a": 1}


class TestIngest:
    @pytest.fixture
    def source(self, tmp_path):
        folder = tmp_path / "in coming#1"
        folder.mkdir()
        path = folder / "a b.yaml"
        path.write_text("a: 1\n")
        return path

    def take(self, datastore, path, ref, transfer, **options):
        prepared = datastore.prepare_ingest([FileDataset(path, [ref])], transfer, **options)
        records = datastore.write_many(prepared)
        assert transfer != "move" or path.exists(), "the original waits until there are rows"
        finish_ingest(prepared)
        return records

    @pytest.mark.parametrize("transfer", ["copy", "move", "link", "hardlink", "symlink", "relsymlink", "auto"])
    def test_transferred(self, datastore, make_ref, source, transfer):
        ref = make_ref("StructuredDataDict")
        (record,) = self.take(datastore, source, ref, transfer)
        assert record.path == "run/thing/thing_run.yaml"
        assert record.file_size == 5
        assert datastore.get(ref, [record]) == {"a": 1}
        assert source.exists() == (transfer != "move")
        stored = Path(datastore.root, record.path)
        assert stored.is_symlink() == (transfer in ("symlink", "relsymlink"))
        if transfer == "relsymlink":
            assert not stored.readlink().is_absolute()

    @pytest.mark.parametrize("transfer", ["direct", "split"])
    def test_left_where_it_is(self, datastore, make_ref, source, transfer):
        ref = make_ref("StructuredDataDict")
        (record,) = self.take(datastore, source, ref, transfer)
        assert record.path == source.as_uri()
        assert "%20" in record.path
        assert datastore.get(ref, [record]) == {"a": 1}
        datastore.remove([record.path])
        assert source.exists()

    def test_inside_already(self, datastore, make_ref):
        place = Path(datastore.root, "already")
        place.mkdir(parents=True)
        (place / "here.yaml").write_text("a: 2\n")
        for transfer in (None, "auto", "split"):
            ref = make_ref("StructuredDataDict")
            (record,) = self.take(datastore, "already/here.yaml", ref, transfer)
            assert record.path == "already/here.yaml"
            assert datastore.get(ref, [record]) == {"a": 2}

    def test_outside_without_transfer_is_refused(self, datastore, make_ref, source):
        with pytest.raises(RuntimeError, match="is not inside"):
            self.take(datastore, source, make_ref("StructuredDataDict"), None)

    @pytest.mark.parametrize(
        "name, transfer, error, message",
        [
            ("missing.yaml", "copy", FileNotFoundError, "does not exist"),
            (".", "copy", IsADirectoryError, "is a directory"),
            ("x.fits", "copy", ValueError, "ends in `.fits`"),
            ("a b.yaml", "teleport", ValueError, "`teleport` is not a transfer mode"),
        ],
    )
    def test_bad_files_are_named_before_anything_moves(
        self, datastore, make_ref, source, name, transfer, error, message
    ):
        (source.parent / "x.fits").write_text("")
        with pytest.raises(error, match=message):
            self.take(datastore, source.parent / name, make_ref("StructuredDataDict"), transfer)
        assert not Path(datastore.root).exists()

    def test_extension_of_a_compressed_file_is_kept(self, datastore, make_ref, source):
        raw = source.parent / "raw.fits.gz"
        raw.write_bytes(b"x")
        (record,) = self.take(datastore, raw, make_ref("FitsImage"), "copy")
        assert record.path == "run/thing/thing_run.fits.gz"

    def test_failure_undoes_moves_and_copies(self, datastore, make_ref, source):
        other = source.parent / "other.yaml"
        other.write_text("b: 1\n")
        prepared = datastore.prepare_ingest(
            [
                FileDataset(source, [make_ref("StructuredDataDict")]),
                FileDataset(other, [make_ref("StructuredDataDict", name="second")]),
            ],
            "move",
        )
        other.unlink()
        with pytest.raises(OSError, match="other"):
            datastore.write_many(prepared)
        assert source.exists()
        assert files_below(datastore.root) == []

    def test_several_datasets_in_one_file(self, datastore, make_ref, source):
        refs = [make_ref("StructuredDataDict"), make_ref("StructuredDataDict", name="second")]
        prepared = datastore.prepare_ingest([FileDataset(source, refs)], "copy", record_validation_info=False)
        records = datastore.write_many(prepared)
        assert {record.path for record in records} == {"run/thing/thing_run.yaml"}
        assert [record.file_size for record in records] == [-1, -1]


def test_a_member_of_a_zip_file_is_read(datastore, make_ref):
    folder = Path(datastore.root, "zips")
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        archive.writestr("1234-a b.yaml", "a: 3\n")
    ref = make_ref("StructuredDataDict")
    record = FileRecord(ref.id, "zips/x.zip#zip-path=1234-a%20b.yaml", YAML, "StructuredDataDict", None, None, 5)
    assert datastore.get(ref, [record]) == {"a": 3}
    assert datastore.exists([record])
    assert str(datastore.uri(record)).endswith("x.zip#zip-path=1234-a%20b.yaml")
    datastore.remove([record.path])
    assert not datastore.exists([record])


def calls_of(action):
    """How many Python functions an action calls: what it costs, whatever else the machine does."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        result = action()
    finally:
        sys.setprofile(before)
    return result, calls


def test_small_datasets_cost_little(make_datastore, make_ref, monkeypatch):
    """A look-up, a parse or a URI more for each dataset is a hundred calls more; generous by a half."""
    monkeypatch.setenv("ARMILLARY_DURABILITY", "none")
    datastore = make_datastore()
    refs = [make_ref("StructuredDataDict", name=f"t{number}") for number in range(20)]
    value = {"a": 1, "b": [1, 2, 3], "c": "text"}
    for ref in refs:
        datastore.formatterFactory.find(ref)
        datastore.templates.getTemplate(ref)
    records, puts = calls_of(lambda: [put(datastore, value, ref) for ref in refs])
    got, gets = calls_of(lambda: [datastore.get(ref, record) for ref, record in zip(refs, records, strict=True)])
    assert got == [value] * 20
    print(f"{puts / 20:.0f} calls a put, {gets / 20:.0f} a get")
    assert puts / 20 < 920
    assert gets / 20 < 60


def test_predicted_records_are_those_of_a_write(datastore, make_ref):
    ref = make_ref("StructuredDataDict")
    (predicted,) = datastore.predict_records(ref)
    assert str(datastore.predict_uri(ref)) == f"file://{datastore.root}/run/thing/thing_run.yaml#predicted"
    (record,) = put(datastore, {"a": 1}, ref)
    assert (predicted.path, predicted.formatter, predicted.file_size) == (record.path, record.formatter, -1)
    assert datastore.get(ref, [predicted]) == {"a": 1}


def test_a_predicted_file_is_replaced_on_request(datastore, make_ref):
    ref = make_ref("StructuredDataDict")
    put(datastore, {"a": 1}, ref)
    (record,) = datastore.write(datastore.prepare({"a": 2}, ref, overwrite=True))
    assert record.path == "run/thing/thing_run.yaml"
    assert datastore.get(ref, [record]) == {"a": 2}
    assert len(files_below(datastore.root)) == 1


def test_what_a_killed_writer_left_is_removed(datastore, make_ref):
    (kept,) = put(datastore, 1, make_ref("int", name="kept"))
    (orphan,) = put(datastore, 1, make_ref("int", name="orphan"))
    folder = Path(datastore.root, orphan.path).parent
    dead = subprocess.Popen(["true"])
    dead.wait()
    mark = Path(files.temporary_path("x")).name.rsplit("-", 2)[0]
    half = folder / f"{mark}-{dead.pid}-0123456789ab.json"
    live = folder / Path(files.temporary_path("x")).name
    half.write_text("{")
    live.write_text("{")
    datastore.recover([orphan.path, "never/was.json"])
    assert files_below(datastore.root) == sorted([kept.path, str(live.relative_to(datastore.root))])
    with pytest.raises(UnsafePathError):
        datastore.recover(["../x"])


class TestCopies:
    @pytest.fixture
    def stored(self, datastore, make_ref):
        refs = [make_ref("StructuredDataDict", name=name) for name in ("a", "b")]
        return refs, [record for ref in refs for record in put(datastore, {"n": ref.datasetType.name}, ref)]

    def test_retrieved_with_and_without_folders(self, datastore, stored, tmp_path):
        _, records = stored
        copies = retrieve(datastore, records, str(tmp_path / "new/out"))
        assert [one.read().decode() for one in copies] == ["n: a\n", "n: b\n"]
        assert files_below(tmp_path / "new/out") == ["run/a/a_run.yaml", "run/b/b_run.yaml"]
        retrieve(datastore, records, str(tmp_path / "flat"), preserve_path=False, transfer="symlink")
        assert files_below(tmp_path / "flat") == ["a_run.yaml", "b_run.yaml"]
        with pytest.raises(FileExistsError, match="already exists"):
            retrieve(datastore, records, str(tmp_path / "flat"), preserve_path=False)
        retrieve(datastore, records, str(tmp_path / "flat"), preserve_path=False, overwrite=True)
        with pytest.raises(ValueError, match="`teleport`"):
            retrieve(datastore, records, str(tmp_path / "x"), transfer="teleport")
        datastore.remove([records[0].path])
        with pytest.raises(FileNotFoundError, match="a_run"):
            retrieve(datastore, records, str(tmp_path / "y"))

    def test_exported(self, datastore, stored, tmp_path, make_ref):
        refs, records = stored
        described = export_files(datastore, [*refs, make_ref("int", name="none")], records, None, None)
        assert [(ref, one.path) for ref, one in described] == list(
            zip(refs, ["run/a/a_run.yaml", "run/b/b_run.yaml"], strict=True)
        )
        assert described[0][1].formatter == YAML
        assert export_files(datastore, refs, records, str(tmp_path), "direct")[0][1].path.startswith("file:///")
        assert export_files(datastore, refs, records, str(tmp_path / "out"), "copy")[1][1].path == "run/b/b_run.yaml"
        assert files_below(tmp_path / "out") == ["run/a/a_run.yaml", "run/b/b_run.yaml"]

    def test_a_split_dataset_is_not_exported(self, make_datastore, make_ref, composite):
        datastore = make_datastore({"composites": {"disassembled": {composite: True}}})
        ref = make_ref(composite)
        records = put(datastore, {"left": {}, "right": {}}, ref)
        with pytest.raises(NotImplementedError, match="several files"):
            export_files(datastore, [ref], records, None, None)


def test_the_configured_kind_of_datastore_is_made(tmp_path, universe, shared_path):
    from armillary.storage.datastore import make_datastore

    chain = ButlerConfig(
        {
            "datastore": {
                "cls": "lsst.daf.butler.datastores.chainedDatastore.ChainedDatastore",
                "datastores": [
                    {"cls": "lsst.daf.butler.datastores.inMemoryDatastore.InMemoryDatastore"},
                    {"cls": "lsst.daf.butler.datastores.fileDatastore.FileDatastore", "root": "<butlerRoot>/files_1"},
                ],
            }
        }
    )
    made = make_datastore(chain, str(tmp_path), universe=universe, writeable=True)
    assert made.names[1:] == ("FileDatastore@<butlerRoot>/files_1",)
    assert made.names[0].startswith("InMemoryDatastore@")
    own = ButlerConfig({"storageClasses": {"MadeUpForThisTest": {"pytype": "dict"}}})
    assert make_datastore(own, str(tmp_path), universe=universe, writeable=True).root == str(tmp_path / "datastore")
    assert "MadeUpForThisTest" in storage_class_factory()
    chain[".datastore.datastores.0"] = {**chain[".datastore.datastores.1"], "root": "<butlerRoot>/files_0"}
    for bad in (chain, ButlerConfig({"datastore": {"cls": "some.OtherDatastore"}})):
        with pytest.raises(ConfigurationError, match=r"can|records\.table"):
            make_datastore(bad, str(tmp_path), universe=universe, writeable=True)


WRITER = """
import sys
from armillary._core import DataCoordinate, DatasetRef, DatasetType, DimensionUniverse
from armillary.config import ButlerConfig
from armillary.storage.file_datastore import FileDatastore

universe = DimensionUniverse()
config = ButlerConfig({})
config[".datastore.root"] = "<butlerRoot>"
datastore = FileDatastore(config, sys.argv[1], universe=universe, writeable=True)
data_id = DataCoordinate.make_empty(universe)
value = {"numbers": list(range(2000)), "end": True}
print("ready", flush=True)
for number in range(100_000):
    ref = DatasetRef(DatasetType(f"t{number}", [], "StructuredDataDict", universe=universe), data_id, run="run")
    datastore.write(datastore.prepare(value, ref))
"""


def test_a_killed_writer_leaves_whole_files_only(tmp_path):
    import sys

    import yaml

    for attempt in range(3):
        root = tmp_path / str(attempt)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "ready\n"
        while not any(not name.rpartition("/")[2].startswith(".") for name in files_below(root)):
            time.sleep(0.01)
        time.sleep(0.05 + 0.1 * attempt)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        written = [name for name in files_below(root) if not Path(name).name.startswith(files.TEMPORARY_PREFIX)]
        assert written
        for name in written:
            assert yaml.load((root / name).read_bytes(), yaml.CSafeLoader)["end"] is True
        assert len(files_below(root)) - len(written) <= 1


def test_a_temporary_name_that_cannot_be_removed_leaves_nothing(datastore, make_ref, monkeypatch):
    unlink, failed = os.unlink, []

    def fail_once(path, **options):
        if not failed:
            failed.append(path)
            raise OSError(errno.EIO, "Input/output error", path)
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", fail_once)
    with pytest.raises(OSError, match="Input/output error"):
        put(datastore, {"a": 1}, make_ref("StructuredDataDict"))
    assert failed and files_below(datastore.root) == []
