"""`butler fsck` of datastores on other machines: what is lost, added or changed there is found; nothing is deleted."""

from __future__ import annotations

import http.server
import os
import random
import resource
import threading
import uuid
from functools import partial

import boto3
import pytest

from armillary._files import _host_mark
from armillary.butler import Butler, DatasetRef, FileDataset
from armillary.butler.checking import check_repository
from armillary.storage.file_listing import FileListing
from armillary.storage.remote import remote_files
from armillary.storage.remote_writing import remote_size

N = 8
STRANGE = ["a b#1.txt", "p%41q.txt", "é+&=.txt", "q*'(x)~.txt", "sub/deep/y.txt"]


@pytest.fixture
def butler(make_butler):
    opened = make_butler(checksum=True)
    cameras = [{"name": f"Cam{i}"} for i in range(N)]
    opened.registry.insertDimensionData("instrument", *cameras)
    for camera in cameras:
        opened.put({"name": camera["name"]}, "summary", instrument=camera["name"])
    yield opened
    opened.close()


@pytest.fixture
def place(butler):
    """The store of the files and the key of each: they are hurt without the datastore."""
    files, prefix = remote_files(butler._datastore.root)
    assert len(list(files.walk(prefix))) == N
    return files, {ref.id: f"{prefix}/{path_of(butler, ref)}" for ref in butler.query_datasets("summary")}


def path_of(butler, ref):
    (record,) = butler._datastore.records(butler._core_registry, [ref.id])
    return record.path


def content_of(files, prefix):
    return {key: files.read(key) for key, _ in files.walk(prefix)}


def delete(files, key):
    files.delete([key])
    return "missing file"


def truncate(files, key):
    files.put(key, files.read(key)[:-1], overwrite=True)
    return "wrong size"


def change(files, key):
    files.put(key, files.read(key).replace(b"Cam", b"cam"), overwrite=True)
    return "wrong checksum"


def duplicate(files, key):
    files.put(f"{key}.copy", files.read(key))
    return "orphan file"


def half_written(files, key):
    name = f".armillary-{_host_mark()}-4194305-{random.randbytes(6).hex()}.yaml"
    files.put(f"{key.rpartition('/')[0]}/{name}", b"half")
    return "temporary file"


DAMAGE = [delete, truncate, change, duplicate, half_written]


def test_a_healthy_store_has_no_problems(butler, place):
    report = check_repository(butler, checksums=True)
    assert not report.problems
    assert not report.not_walked
    assert report.n_files == report.n_datasets == N
    assert report.n_bytes == sum(map(len, content_of(*remote_files(butler._datastore.root)).values()))


@pytest.mark.parametrize("seed", range(5))
def test_all_damage_is_found_and_repair_deletes_nothing(butler, place, seed):
    files, by_id = place
    chosen = random.Random(seed)
    expected = {}
    for key in chosen.sample(sorted(by_id.values()), chosen.randint(2, N)):
        kind = chosen.choice(DAMAGE)(files, key)
        expected[kind] = expected.get(kind, 0) + 1
    assert check_repository(butler, checksums=True).counts() == expected
    unread = check_repository(butler).counts()
    assert unread == {kind: n for kind, n in expected.items() if kind != "wrong checksum"}
    _, prefix = remote_files(butler._datastore.root)
    before = content_of(files, prefix)
    report = check_repository(butler, repair=True, older_than=-60)
    after = content_of(files, prefix)
    for old, new in report.moved.items():
        assert new.startswith(".armillary/lost/")
        assert before.pop(f"{prefix}/{old}") == after.pop(f"{prefix}/{new}")
    assert before == after
    left = {kind: n for kind, n in expected.items() if kind in ("missing file", "wrong size")}
    assert len(report.moved) == expected.get("orphan file", 0) + expected.get("temporary file", 0)
    assert check_repository(butler).counts() == left


def test_strange_names_are_moved_and_a_second_one_of_a_name_gets_a_number(butler, place):
    files, prefix = remote_files(butler._datastore.root)
    for content in (b"first", b"second"):
        for name in STRANGE:
            files.put(f"{prefix}/{name}", content)
        report = check_repository(butler, repair=True, older_than=-60)
        assert report.counts() == {"orphan file": len(STRANGE)}
        assert set(report.moved) == set(STRANGE)
        assert not report.remaining
    for name in STRANGE:
        assert files.read(f"{prefix}/.armillary/lost/{name}") == b"first"
        assert files.read(f"{prefix}/.armillary/lost/{name}.1") == b"second"


def test_what_is_young_or_announced_stays(butler, place):
    files, prefix = remote_files(butler._datastore.root)
    files.put(f"{prefix}/run/coming.yaml", b"a: 1")
    intent = butler._core_registry.begin_write(butler._datastore.name, ["run/coming.yaml"])
    assert not check_repository(butler).problems
    butler._core_registry.abandon_write(intent)
    report = check_repository(butler, repair=True)
    assert report.counts() == {"orphan file": 1}
    assert not report.moved
    assert files.read(f"{prefix}/run/coming.yaml") == b"a: 1"


def test_an_original_goes_only_when_its_copy_is_the_same(butler, place, monkeypatch):
    files, prefix = remote_files(butler._datastore.root)
    files.put(f"{prefix}/stray.txt", b"mine")

    def copy_badly(source, target):
        files.put(target, b"not!")

    with monkeypatch.context() as patch:
        patch.setattr(files, "copy", copy_badly)
        report = check_repository(butler, repair=True, older_than=-60)
    assert not report.moved
    assert len(report.remaining) == 1
    assert "is not the same" in report.not_moved["stray.txt"]
    assert files.read(f"{prefix}/stray.txt") == b"mine"
    report = check_repository(butler, repair=True, older_than=-60)
    assert report.moved == {"stray.txt": ".armillary/lost/stray.txt.1"}


def test_a_removal_that_was_not_finished_is_finished(butler, place, monkeypatch):
    files, by_id = place
    refs = butler.query_datasets("summary")[:2]

    def stay(keys):
        raise OSError("the line is cut")

    with monkeypatch.context() as patch:
        patch.setattr(files, "delete", stay)
        butler.pruneDatasets(refs, purge=True, unstore=True, disassociate=True)
    assert all(files.size(by_id[ref.id]) for ref in refs)
    assert not check_repository(butler).problems, "they are announced"
    butler.close()
    with Butler(butler._root, writeable=True) as later:
        assert not check_repository(later).problems
    assert not any(files.size(by_id[ref.id]) for ref in refs)


def test_marks_of_folders_are_no_files(butler, place):
    bucket, _, prefix = butler._datastore.root.removeprefix("s3://").partition("/")
    if butler._datastore.root.startswith("http"):
        pytest.skip("WebDAV has folders")
    client = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT_URL"], region_name="us-east-1")
    for name in ("", "run/", "empty/"):
        client.put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=b"")
    client.close()
    assert not check_repository(butler, checksums=True).problems


def test_a_server_that_cannot_be_listed_is_told_and_asked_for_each_file(butler, place, tmp_path):
    """A server of plain files, as any web server is, has what is recorded and gives no list."""
    served = tmp_path / "served"
    handler = partial(Silent, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        files, by_id = place
        for key in by_id.values():
            path = served / key.rpartition("some where/repo/")[2]
            path.parent.mkdir(parents=True, exist_ok=True)
            files.fetch(key, str(path))
        path.unlink()
        settings = tmp_path / "repo" / "butler.yaml"
        address = f"http://127.0.0.1:{server.server_address[1]}/served"
        settings.write_text(settings.read_text().replace(f"root: {butler._datastore.root}", f"root: {address}"))
        with Butler(str(tmp_path / "repo")) as reader:
            assert reader._datastore.root == address
            reader._datastore.name = name = butler._datastore.name  # which records go by
            report = check_repository(reader, checksums=True)
        server.shutdown()
    assert list(report.not_walked) == [name]
    assert report.counts() == {"missing file": 1}


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


def test_files_of_a_server_that_is_gone_are_told_and_the_rest_is_looked_at(butler, place, tmp_path, monkeypatch):
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    files = []
    kind, data_id = butler.get_dataset_type("summary"), butler.registry.expandDataId(instrument="Cam0")
    for number in range(20):
        (folder / f"{number}.yaml").write_text("a: 1\n")
        butler.collections.register(f"r{number}")
        ref = DatasetRef(kind, data_id, f"r{number}")
        files.append(FileDataset(f"http://127.0.0.1:{server.server_port}/{number}.yaml", [ref]))
    try:
        butler.ingest(*files, transfer="direct")
        assert check_repository(butler, checksums=True).counts() == {}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    store, by_id = place
    delete(store, by_id[butler.find_dataset("summary", instrument="Cam3", collections="run").id])
    asked = []
    monkeypatch.setattr("armillary.butler.checking.remote_size", lambda uri: asked.append(uri) or remote_size(uri))
    report = check_repository(butler, checksums=True)
    assert report.counts() == {"missing file": 1, "unreadable file": 20}
    assert all("cannot be reached" in one.detail for one in report.problems if one.kind == "unreadable file")
    assert 0 < sum(f":{server.server_port}/" in uri for uri in asked) < 20  # the others would wait as long


def test_a_long_listing_does_not_stay_in_memory():
    n = 400_000
    name = "u/someone/a-run-with-a-long-name/20261126T180000Z/dataset_type"

    def files():
        for number in range(n):
            yield f"{name}/{uuid.UUID(int=number * 0x9E3779B97F4A7C15 % 2**128)}_{number:09}.fits", number

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with FileListing() as listing:
        listing.add(files())
        assert listing.total() == (n, n * (n - 1) // 2)
        known = [path for path, number in files() if number % 1000 == 0]
        assert len(listing.name(known)) == len(known)
        assert sum(1 for _ in listing.unnamed()) == n - len(known)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 40_000, f"{grown} KiB"


def test_names_that_are_no_text_are_kept():
    with FileListing() as listing:
        listing.add([("a\udcff.txt", 1)])
        assert listing.name(["a\udcff.txt"]) == {"a\udcff.txt": 1}
        listing.add([("b\udcff.txt", 2)])
        assert list(listing.unnamed()) == [("b\udcff.txt", 2)]
