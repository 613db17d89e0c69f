"""What formatters may do with a file of their own: read and write it by the ways they have, and describe it."""

from __future__ import annotations

import pytest

from armillary.errors import FileIntegrityError
from armillary.storage import FileDataset, FileDescriptor, FormatterV2, Location, find_storage_class
from armillary.storage.file_dataset import SerializedFileDataset


class Shouting(FormatterV2):
    """Reads parts from the stream and leaves the whole to the local file."""

    default_extension = ".txt"
    can_read_from_uri = True
    can_read_from_stream = True
    can_read_from_local_file = True

    def read_from_uri(self, uri, component=None, expected_size=-1):
        return NotImplemented

    def read_from_stream(self, stream, component=None, expected_size=-1):
        return NotImplemented if component is None else ("stream", stream.read(5))

    def read_from_local_file(self, path, component=None, expected_size=-1):
        with open(path, "rb") as stream:
            return "file", stream.read()

    def to_bytes(self, in_memory_dataset):
        return in_memory_dataset.upper().encode()


@pytest.fixture
def formatter(tmp_path, make_ref):
    place = Location(str(tmp_path), "deep/er/file.txt")
    return Shouting(FileDescriptor(place, find_storage_class("StructuredDataDict")), ref=make_ref("StructuredDataDict"))


def test_a_way_that_answers_not_implemented_passes_to_the_next(formatter):
    formatter.write("hello")
    assert formatter.read() == ("file", b"HELLO")
    assert formatter.read("part") == ("stream", b"HELLO")
    with pytest.raises(FileIntegrityError):
        formatter.read(expected_size=4)
    assert formatter.read_directly_from_possibly_cached_uri() is NotImplemented
    assert formatter.read_from_possibly_cached_stream("part") == ("stream", b"HELLO")
    assert formatter.read_from_possibly_cached_local_file() == ("file", b"HELLO")


def test_what_is_written_again_replaces_the_file_when_it_is_whole(formatter, tmp_path):
    formatter.write("hello")
    formatter.write("again")
    assert (tmp_path / "deep/er/file.txt").read_bytes() == b"AGAIN"
    assert formatter.write_direct("x", formatter.file_descriptor.location.uri) is False
    with pytest.raises(AttributeError):
        formatter.write(3)
    assert [path.name for path in (tmp_path / "deep/er").iterdir()] == ["file.txt"]


def test_files_to_ingest_go_through_json(make_ref, universe):
    ref = make_ref("int")
    simple = FileDataset("a/b.json", ref, formatter=Shouting).to_simple()
    again = SerializedFileDataset.model_validate_json(simple.model_dump_json())
    made = FileDataset.from_simple(
        again, dataset_type_loader={ref.datasetType.name: ref.datasetType}.get, universe=universe
    )
    assert made.refs == [ref]
    assert made.path == "a/b.json"
    assert made.formatter == Shouting.name()
