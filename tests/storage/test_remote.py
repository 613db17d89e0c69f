"""Datastores on object stores: S3 as `moto` serves it in a thread; with `--all-servers` SeaweedFS and WebDAV, too."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from armillary.butler import Butler, DatasetRef, DatasetType, FileDataset
from armillary.errors import ConfigurationError, FileIntegrityError
from armillary.storage import MaskedImage
from armillary.storage.read_cache import ReadCache
from armillary.storage.remote import in_parallel, remote_files
from remote_servers import keys


def image(side=200):
    pixels = np.arange(side * side, dtype=np.float32).reshape(side, side)
    return MaskedImage(pixels, np.zeros((side, side), np.int32), np.ones((side, side), np.float32))


def test_a_dataset_is_put_got_and_removed(make_butler, bucket):
    butler = make_butler(checksum=True)
    ref = butler.put({"a": 1}, "summary", instrument="Cam")
    assert keys(bucket) == ["some where/repo/run/summary/summary_Cam_run.yaml"]
    assert butler.get(ref) == {"a": 1}
    assert butler.stored(ref)
    assert str(butler.getURI(ref)) == f"{bucket}/some where/repo/run/summary/summary_Cam_run.yaml"
    (record,) = butler._datastore.records(butler._core_registry, [ref.id])
    assert record.file_size == 5
    assert len(record.checksum) == 128
    butler.pruneDatasets([ref], disassociate=True, unstore=True, purge=True)
    assert keys(bucket) == []


def test_a_key_that_is_taken_is_never_overwritten(bucket):
    files, key = remote_files(f"{bucket}/a b#1/%41.txt")
    assert key.endswith("a b#1/A.txt")
    files.put(key, b"first")
    with pytest.raises(FileExistsError, match="already exists"):
        files.put(key, b"second")
    assert files.read(key) == b"first"
    if bucket.startswith("http"):
        return  # rclone looks and moves in two steps, so two writers of one moment can both succeed
    wins = []
    barrier = threading.Barrier(16)

    def write(number):
        barrier.wait()
        try:
            files.put(key + ".race", str(number).encode())
        except FileExistsError:
            return
        wins.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1
    assert files.read(key + ".race") == str(wins[0]).encode()


def test_large_files_go_in_parts_and_get_their_name_when_whole(bucket, tmp_path, monkeypatch):
    import armillary.storage.remote as remote

    monkeypatch.setattr(remote, "_SINGLE_PUT_BYTES", 1 << 20)
    files, folder = remote_files(bucket + "/")
    content = os.urandom(11 << 20)
    (tmp_path / "large").write_bytes(content)
    files.put(folder + "in/large", str(tmp_path / "large"))
    assert keys(bucket) == ["in/large"]
    assert files.fetch(folder + "in/large", str(tmp_path / "copy")) == len(content)
    assert (tmp_path / "copy").read_bytes() == content
    files.put(folder + "in/large", b"small", overwrite=True)
    assert files.read(folder + "in/large") == b"small"


@pytest.mark.parametrize("transfer", ["copy", "move", "direct", "auto"])
def test_local_files_are_taken_in(make_butler, bucket, tmp_path, transfer):
    butler = make_butler()
    source = tmp_path / "given.yaml"
    source.write_text("{a: 5}\n")
    ref = DatasetRef(butler.get_dataset_type("summary"), butler.registry.expandDataId(instrument="Cam"), "run")
    butler.ingest(FileDataset(str(source), [ref]), transfer=transfer)
    assert butler.get(ref) == {"a": 5}
    assert source.exists() == (transfer != "move")
    assert len(keys(bucket)) == (transfer != "direct")


@pytest.mark.parametrize("transfer", ["link", "symlink", "hardlink"])
def test_there_are_no_links_on_an_object_store(make_butler, bucket, tmp_path, transfer):
    butler = make_butler()
    source = tmp_path / "given.yaml"
    source.write_text("{a: 5}\n")
    ref = DatasetRef(butler.get_dataset_type("summary"), butler.registry.expandDataId(instrument="Cam"), "run")
    with pytest.raises(ValueError, match="an object store has no links"):
        butler.ingest(FileDataset(str(source), [ref]), transfer=transfer)
    assert butler.query_datasets("summary", explain=False) == []
    assert keys(bucket) == []


def test_remote_files_are_taken_into_a_local_datastore(make_butler, bucket, tmp_path):
    files, folder = remote_files(bucket + "/")
    files.put(folder + "incoming/a b.yaml", b"{a: 7}\n")
    uri = f"{bucket}/incoming/a%20b.yaml"
    root = str(tmp_path / "local")
    Butler.makeRepo(root)
    with Butler(root, writeable=True, run="run") as butler:
        butler.registry.insertDimensionData("instrument", {"name": "Cam"})
        for name, transfer in (("one", "copy"), ("two", "direct"), ("three", "auto")):
            kind = DatasetType(name, ["instrument"], "StructuredDataDict", universe=butler.dimensions)
            butler.registry.registerDatasetType(kind)
            ref = DatasetRef(kind, butler.registry.expandDataId(instrument="Cam"), "run")
            butler.ingest(FileDataset(uri, [ref]), transfer=transfer)
            assert butler.get(ref) == {"a": 7}
            (record,) = butler._datastore.records(butler._core_registry, [ref.id])
            assert record.file_size == 7
            assert record.path.startswith(bucket) == (transfer == "direct")
        with pytest.raises(FileNotFoundError, match="does not exist"):
            butler.ingest(FileDataset(f"{bucket}/incoming/none.yaml", [ref]), transfer="copy")


def test_slashes_that_follow_each_other_are_one_in_roots_and_refused_in_keys(make_butler, bucket):
    if bucket.startswith("http"):
        pytest.skip("servers of WebDAV have folders")
    butler = make_butler(root=f"{bucket}//some//where/repo")
    butler.registry.registerRun("u//x")
    ref = butler.put({"a": 1}, "summary", instrument="Cam", run="u//x")
    assert butler.get(ref) == {"a": 1}
    assert [key.partition("some/")[2] for key in keys(bucket)] == ["where/repo/u/x/summary/summary_Cam_u__x.yaml"]
    with pytest.raises(ValueError, match=r"y\.yaml` has nothing between two slashes"):
        butler.ingest(FileDataset(f"{bucket}/x//y.yaml", [ref]), transfer="direct")


def test_a_bucket_that_is_not_there_is_told(bucket):
    if not bucket.startswith("s3://"):
        pytest.skip("buckets are of S3")
    files, key = remote_files("s3://no-such-bucket/some/key")
    for ask in (lambda: files.put(key, b"1"), lambda: files.read(key), lambda: list(files.walk("some"))):
        with pytest.raises(FileNotFoundError, match="there is no bucket `s3://no-such-bucket`"):
            ask()


@pytest.mark.parametrize("path", ["../up", "a/../b", "a/./b", "a/%2E%2E/b"])
def test_keys_do_not_climb(bucket, path):
    with pytest.raises(ValueError, match=r"has a part `.` or `..`"):
        remote_files(f"{bucket}/{path}")


def test_what_fails_halfway_leaves_nothing(make_butler, bucket, tmp_path, monkeypatch):
    butler = make_butler()
    kinds = []
    for number in range(5):
        kind = DatasetType(f"t{number}", ["instrument"], "StructuredDataDict", universe=butler.dimensions)
        butler.registry.registerDatasetType(kind)
        kinds.append(kind)
    files = []
    for kind in kinds:
        path = tmp_path / f"{kind.name}.yaml"
        path.write_text("{a: 1}\n")
        ref = DatasetRef(kind, butler.registry.expandDataId(instrument="Cam"), "run")
        files.append(FileDataset(str(path), [ref]))
    real = butler._datastore.remote_root._files.put

    def fail(key, source, **options):
        if "t3" in key:
            raise OSError("the line is cut")
        real(key, source, **options)

    with monkeypatch.context() as patch:
        patch.setattr(butler._datastore.remote_root._files, "put", fail)
        for transfer in ("copy", "move"):
            with pytest.raises(OSError, match="the line is cut"):
                butler.ingest(*files, transfer=transfer)
            assert keys(bucket) == []
            assert all(os.path.exists(one.path) for one in files)
            assert butler.query_datasets("t0", explain=False) == []
    with pytest.raises(ValueError, match="no"), butler.transaction():
        butler.put({"a": 1}, "summary", instrument="Cam")
        raise ValueError("no")
    assert keys(bucket) == []


WRITER = """
import os, sys
from armillary.butler import Butler
import armillary.storage.remote_writing as writing

butler = Butler(sys.argv[1], writeable=True, run="run")
files = butler._datastore.remote_root.files
real = files.put

def put_and_die(key, source, **options):
    real(key, source, **options)
    real(writing.os.path.dirname(key) + "/" + writing.os.path.basename(sys.argv[2] % os.getpid()), b"half")
    os._exit(9)

files.put = put_and_die
butler.put({"a": 1}, "summary", instrument="Cam")
"""


def test_what_a_killed_writer_left_is_removed_by_the_next(make_butler, bucket):
    import subprocess
    import sys

    from armillary._files import temporary_path

    butler = make_butler()
    butler.close()
    temporary = os.path.basename(temporary_path("x")).replace(f"-{os.getpid()}-", "-%d-")
    done = subprocess.run([sys.executable, "-c", WRITER, butler._root, temporary], capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    assert len(keys(bucket)) == 2
    with Butler(butler._root, writeable=True, run="run") as other:
        assert keys(bucket) == []
        assert other.get(other.put({"a": 2}, "summary", instrument="Cam")) == {"a": 2}


def test_a_cut_out_transfers_only_its_part(make_butler, bucket, monkeypatch):
    import armillary.storage.remote as remote

    butler = make_butler(cached={"default": False})
    ref = butler.put(image(1000), "image", instrument="Cam")
    size = butler._datastore.records(butler._core_registry, [ref.id])[0].file_size
    assert size > 8_000_000
    readers = []
    real = remote.RemoteReader.__init__

    def remember(self, *arguments):
        real(self, *arguments)
        readers.append(self)

    monkeypatch.setattr(remote.RemoteReader, "__init__", remember)
    box = {"x_min": 10, "x_max": 19, "y_min": 500, "y_max": 504}
    cut = butler.get("image.variance", instrument="Cam", parameters={"bbox": box})
    assert cut.shape == (5, 10)
    cut = butler.get(ref, parameters={"bbox": box})
    assert cut.image.tolist() == image(1000).image[500:505, 10:20].tolist()
    assert [reader.bytes_read < size / 10 for reader in readers] == [True, True]
    table = Table({f"c{i}": np.random.default_rng(i).random(50_000) for i in range(10)})
    tabled = butler.put(table, "table", instrument="Cam")
    size = butler._datastore.records(butler._core_registry, [tabled.id])[0].file_size
    assert butler.get(tabled, parameters={"columns": ["c3"]})["c3"].tolist() == table["c3"].tolist()
    assert readers[-1].bytes_read < size / 5
    assert butler.get("table.rowcount", instrument="Cam") == 50_000
    assert readers[-1].bytes_read < size / 5
    butler.get("image.wcs", instrument="Cam")
    assert readers[-1].bytes_read < 300_000
    assert butler.get(ref).image.tolist() == image(1000).image.tolist()


def test_whole_datasets_are_kept_for_the_next_time(make_butler, bucket, tmp_path, monkeypatch):
    butler = make_butler()
    ref = butler.put({"a": 1}, "summary", instrument="Cam")
    assert butler.get(ref) == {"a": 1}
    assert os.listdir(tmp_path / "cache" / "exempt") == []
    kept = tmp_path / "cache" / f"{ref.id}.yaml"
    assert kept.read_text() == "a: 1\n"
    kept.write_text("a: 2\n")
    assert butler.get(ref) == {"a": 2}  # it was not transferred again
    kept.write_text("longer than it was\n")
    assert butler.get(ref) == {"a": 1}
    files, key = remote_files(str(butler.getURI(ref)))
    files.put(key, b"a: 123456\n", overwrite=True)
    kept.unlink()
    with pytest.raises(FileIntegrityError, match="its record says 5"):
        butler.get(ref)
    files.delete([key])
    kept.unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError, match="Could not retrieve dataset summary"):
        butler.get(ref)


@pytest.mark.parametrize(
    "mode, left",
    [("files=3", 3), ("datasets=2", 2), ("size=9", 3), ("age=3600", 5), ("disabled", 0)],
)
def test_the_cache_forgets_as_it_is_told(universe, make_ref, tmp_path, monkeypatch, mode, left):
    monkeypatch.setenv("DAF_BUTLER_CACHE_EXPIRATION_MODE", mode)
    monkeypatch.setenv("DAF_BUTLER_CACHE_DIRECTORY_IF_UNSET", str(tmp_path / "cache"))
    cache = ReadCache({"default": True, "cacheable": {"int": False}}, universe)
    assert not cache.should_be_cached(make_ref("int"))
    for number in range(5):
        ref = make_ref("StructuredDataDict", name=f"t{number}")
        if not cache.should_be_cached(ref):
            assert mode == "disabled"
            continue
        with cache.use(ref, None, ".yaml", 3, lambda path: Path(path).write_text("abc")) as local:
            assert Path(local).read_text() == "abc"
    assert len([one for one in os.listdir(cache.folder) if one.endswith(".yaml")]) == left


def test_a_cache_that_is_told_nonsense_says_so(universe, monkeypatch):
    monkeypatch.setenv("DAF_BUTLER_CACHE_EXPIRATION_MODE", "often=3")
    with pytest.raises(ConfigurationError, match="`often` is not a way to expire cached files"):
        ReadCache({}, universe)
    monkeypatch.setenv("DAF_BUTLER_CACHE_EXPIRATION_MODE", "files=many")
    with pytest.raises(ConfigurationError, match="is a number, not `many`"):
        ReadCache({}, universe)


def test_datasets_go_from_one_store_to_another(make_butler, bucket, tmp_path):
    source = make_butler()
    refs = [source.put({"a": 1}, "summary", instrument="Cam"), source.put(image(20), "image", instrument="Cam")]
    target = make_butler("target")
    assert target.transfer_from(source, refs, transfer="copy") == refs
    assert target.get(refs[0]) == {"a": 1}
    assert target.get(refs[1]).image.shape == (20, 20)
    copied = target.retrieveArtifacts(refs, str(tmp_path / "out"))
    assert sorted(one.basename() for one in copied) == ["image_Cam_run.fits", "summary_Cam_run.yaml"]
    zipped = target.retrieve_artifacts_zip(refs, str(tmp_path / "zip"))
    third = make_butler("third")
    third.ingest_zip(zipped, transfer="copy")
    assert third.get(refs[0]) == {"a": 1}
    assert third.get(refs[1]).image.shape == (20, 20)
    assert [key for key in keys(bucket) if "third" in key] == [
        f"some where/third/zips/{zipped.basename()[:4]}/{zipped.basename()}"
    ]


def local_butler(root):
    Butler.makeRepo(str(root))
    return Butler(str(root), writeable=True)


@pytest.mark.parametrize("transfer", ["auto", "copy", "move", "direct"])
def test_zip_files_elsewhere_are_taken_in(make_butler, bucket, tmp_path, transfer):
    source = make_butler()
    ref = source.put({"a": 1}, "summary", instrument="Cam")
    zipped = source.retrieve_artifacts_zip([ref], str(tmp_path / "zip"))
    files, folder = remote_files(bucket + "/")
    files.put(folder + "in coming/x.zip", zipped.ospath)
    uri = f"{bucket}/in%20coming/x.zip"
    with local_butler(tmp_path / "local") as target:
        target.ingest_zip(uri, transfer=transfer, transfer_dimensions=True)
        assert target.get(ref) == {"a": 1}
        (record,) = target._datastore.records(target._core_registry, [ref.id])
        assert record.path.startswith(uri) == (transfer == "direct")
    assert ("in coming/x.zip" in keys(bucket)) == (transfer != "move")
    with make_butler("third") as third:  # `auto` copies what is here and what is there: an object store has no links
        third.ingest_zip(zipped, transfer="auto" if transfer == "auto" else "copy")
        assert third.get(ref) == {"a": 1}


def test_exports_elsewhere_are_taken_in(make_butler, bucket, tmp_path):
    source = make_butler()
    ref = source.put({"a": 1}, "summary", instrument="Cam")
    (tmp_path / "export").mkdir()
    with source.export(directory=str(tmp_path / "export"), transfer="copy") as context:
        context.saveDatasets([ref])
    files, folder = remote_files(bucket + "/")
    for path in (tmp_path / "export").rglob("*.yaml"):
        files.put(f"{folder}my exports/{path.relative_to(tmp_path / 'export')}", str(path))
    for number, more in enumerate(({}, {"filename": f"{bucket}/my%20exports/export.yaml"})):
        with local_butler(tmp_path / f"local {number}") as target:
            target.import_(directory=f"{bucket}/my%20exports", transfer="copy", **more)
            assert target.get(ref) == {"a": 1}


def test_profiles_and_tokens_come_from_the_environment(bucket, server, monkeypatch, tmp_path):
    files, key = remote_files(bucket + "/a")
    files.put(key, b"1")
    if not bucket.startswith("s3://"):
        pytest.skip("profiles are for S3")
    name = bucket.removeprefix("s3://")
    monkeypatch.setenv("LSST_RESOURCES_S3_PROFILE_mine", server.endpoint.replace("://", "://key:sec%2Fret@"))
    monkeypatch.delenv("S3_ENDPOINT_URL")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    profiled, key = remote_files(f"s3://mine@{name}/a")
    assert profiled.read(key) == b"1"
    assert "sec" not in repr(profiled)
    token = tmp_path / "token"
    token.write_text("secret\n")
    token.chmod(0o644)
    monkeypatch.setenv("LSST_HTTP_AUTH_BEARER_TOKEN", str(token))
    with pytest.raises(PermissionError, match="chmod 600"):
        remote_files("https://example.org/x")
    token.chmod(0o600)
    remote_files("https://example.org/x")
    with pytest.raises(ConfigurationError, match="which is not encrypted"):
        remote_files("http://example.org/x")
    with pytest.raises(ConfigurationError, match="kind of store"):
        remote_files("gopher://example.org/x")


def test_many_files_at_a_time_and_the_first_error(monkeypatch):
    assert in_parallel(lambda item: item * 2, range(20)) == [item * 2 for item in range(20)]

    def refuse(item):
        if item == 7:
            raise OSError(f"number {item}")
        return item

    with pytest.raises(OSError, match="number 7"):
        in_parallel(refuse, range(20))
    monkeypatch.setenv("LSST_RESOURCES_NUM_WORKERS", "1")
    assert in_parallel(lambda item: item, io.BytesIO(b"a\nb\n")) == [b"a\n", b"b\n"]
