"""Graph files: what is read, what is written, and files that lie."""

from __future__ import annotations

import errno
import json
import uuid
import zipfile

import pytest

from armillary import errors
from armillary._core import QuantumGraphReader

FIXTURES = ["ab", "drp_small", "drp_small_records", "skip_existing", "skip_existing_retained", "empty", "hand"]


@pytest.fixture(name="graph_path", scope="session")
def graph_path_fixture(shared_path):
    def find(name):
        folder = ("hand", "out") if name == "hand" else ("peer",)
        return shared_path("graph-fixtures", *folder, f"{name}.qg")

    return find


def blocks(view):
    return {block["content"]["quantum_id"]: block["content"] for block in view["quantum_datasets.mb"]}


def plain(refs):
    return [(str(ref.id), ref.datasetType.nameAndComponent()[0], list(ref.dataId.full_values), ref.run) for ref in refs]


def expected(datasets):
    return [(d["dataset_id"], d["dataset_type_name"], d["data_coordinate"], d["run"]) for d in datasets]


@pytest.mark.parametrize("name", FIXTURES)
def test_every_quantum_of_the_peer_is_read_with_all_its_datasets(name, graph_path, stored):
    graph = QuantumGraphReader(graph_path(name)).read()
    view = blocks(stored(name))
    assert {str(quantum_id) for quantum_id, _ in graph.quanta()} == set(view)
    for quantum_id, label in graph.quanta():
        block = view[str(quantum_id)]
        assert label == block["task_label"]
        assert list(graph.data_id(quantum_id).full_values) == block["data_coordinate"]
        inputs, outputs = graph.datasets(quantum_id)
        for side, key in ((inputs, "inputs"), (outputs, "outputs")):
            given = block.get(key, {})
            assert {connection: plain(refs) for connection, refs in side.items() if refs or connection in given} == {
                connection: expected(datasets) for connection, datasets in given.items()
            }


@pytest.mark.parametrize("name", ["ab", "drp_small", "skip_existing_retained", "hand"])
def test_edges_are_those_of_the_file_and_follow_from_the_datasets(name, graph_path, stored):
    edges = {tuple(edge) for edge in stored(name)["thin_graph.json.zst"]["edges"]}
    assert edges
    for graph in (QuantumGraphReader(graph_path(name)).read_thin(), QuantumGraphReader(graph_path(name)).read()):
        ids = [str(quantum_id) for quantum_id, _ in graph.quanta()]
        assert {(ids[first], ids[second]) for first, second in graph.edge_indices()} == edges


def test_a_large_graph_with_a_dictionary_is_read(graph_path, stored):
    header = stored("drp_dict")["header.json.zst"]
    graph = QuantumGraphReader(graph_path("drp_dict")).read()
    assert len(graph) == header["n_quanta"] == 581
    assert graph.n_datasets == header["n_datasets"]


def test_quanta_are_read_one_by_one_and_add_up(graph_path):
    reader = QuantumGraphReader(graph_path("drp_dict"))
    ids = [quantum_id for quantum_id, _ in reader.read_thin().quanta()]
    whole = QuantumGraphReader(graph_path("drp_dict")).read()
    for count, quantum_id in enumerate(ids, 1):
        graph = reader.read([quantum_id])
        assert len(graph) == count
        assert graph.datasets(quantum_id) == whole.datasets(quantum_id)
    assert len(reader.read()) == len(ids)


def test_an_unknown_quantum_is_named(graph_path):
    reader = QuantumGraphReader(graph_path("hand"))
    with pytest.raises(LookupError, match="no quantum with id 00000000-0000-0000-0000-000000000001"):
        reader.read([uuid.UUID(int=1)])


def test_records_make_data_ids_whole(graph_path):
    graph = QuantumGraphReader(graph_path("ab")).read()
    for quantum_id, _ in graph.quanta():
        data_id = graph.data_id(quantum_id)
        assert data_id.hasRecords()
        assert data_id.instrument.name == "BenchCam"
    records = graph.dimension_records()
    assert len(records["visit_detector_region"]) > 0
    assert {record.id for record in records["exposure"]} == {1000}


def test_init_datasets_are_given_by_connection(graph_path):
    graph = QuantumGraphReader(graph_path("ab")).read_init()
    assert list(graph.init_outputs("")) == ["packages"]
    assert set(graph.init_outputs("a")) == {"schema", "_config"}
    assert graph.init_inputs("b")["schema"] == graph.init_outputs("a")["schema"]


def test_places_of_inputs_come_with_the_quantum(graph_path, stored):
    graph = QuantumGraphReader(graph_path("drp_small_records")).read()
    view = blocks(stored("drp_small_records"))
    seen = 0
    for quantum_id, _ in graph.quanta():
        records = graph.datastore_records(quantum_id)
        given = view[str(quantum_id)]["datastore_records"]
        wanted = {dataset for records in given.values() for dataset in records["dataset_ids"]}
        assert {str(dataset) for dataset in records} == wanted
        seen += len(wanted)
    assert seen > 0


def test_a_graph_read_in_part_does_not_replace_the_whole(graph_path, tmp_path):
    reader = QuantumGraphReader(graph_path("hand"))
    quantum_id, _ = reader.read_thin().quanta()[0]
    with pytest.raises(errors.IncompleteQuantumGraphError, match="read in part"):
        reader.read([quantum_id]).write(tmp_path / "part.qg")
    assert list(tmp_path.iterdir()) == []


def test_equal_graphs_give_equal_bytes(graph_path, tmp_path):
    graph = QuantumGraphReader(graph_path("drp_small_records")).read()
    for name in ("one.qg", "two.qg"):
        graph.write(tmp_path / name)
    assert (tmp_path / "one.qg").read_bytes() == (tmp_path / "two.qg").read_bytes()


def changed(source, target, member, data):
    """A copy of a graph file with one member replaced, or removed if `data` is None."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            if name != member:
                new.writestr(name, old.read(name))
            elif data is not None:
                new.writestr(name, data(old.read(name)) if callable(data) else data)
    return target


@pytest.mark.parametrize(
    ("member", "data", "message"),
    [
        ("header.json.zst", None, "no member `header.json.zst`"),
        ("header.json.zst", b"nonsense", "bad zstd frame"),
        ("quanta.addr", lambda data: data[:-1], "the address table says 3 rows"),
        ("quanta.addr", lambda data: data[:1] + b"\xff" * 8 + data[9:], "the address table says"),
        ("quanta.addr", lambda data: b"\x04" + data[1:], "disagree on the width of integers"),
        ("quantum_datasets.mb", lambda data: data[:-1], "lies outside of its member"),
        ("quantum_datasets.mb", lambda data: b"\xff" * 8 + data[8:], "lies outside of its member"),
        ("quantum_datasets.mb", lambda data: data + data, "occurs twice"),
        ("init_quanta.json.zst", None, "no member `init_quanta.json.zst`"),
        ("quantum_datasets.mb", b"", "0 quanta where the address table has 3"),
    ],
)
def test_damaged_files_are_refused_in_words(member, data, message, graph_path, tmp_path):
    path = changed(graph_path("hand"), tmp_path / "bad.qg", member, data)
    with pytest.raises(errors.InvalidQuantumGraphFileError, match=message):
        QuantumGraphReader(path).read()


def test_no_flipped_byte_breaks_the_reader(graph_path, tmp_path):
    """Whatever a byte is changed to, the reader answers or refuses; it never dies."""
    good = graph_path("hand").read_bytes()
    path = tmp_path / "flipped.qg"
    refused = 0
    for position in range(0, len(good), 3):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x41]) + good[position + 1 :])
        try:
            QuantumGraphReader(path).read()
        except (
            ValueError,
            LookupError,
            OSError,
            TypeError,
            RuntimeError,
            errors.DataIdError,
            errors.ConfigurationError,
        ):
            refused += 1
    assert refused > 100


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    path = tmp_path / "text.qg"
    path.write_text("hello")
    with pytest.raises(errors.InvalidQuantumGraphFileError, match="is not a quantum graph file"):
        QuantumGraphReader(path)
    with pytest.raises(FileNotFoundError):
        QuantumGraphReader(tmp_path / "absent.qg")


def test_what_the_system_says_of_a_file_is_its_own_error(tmp_path, graph_path):
    """As those of `open`: of the class, with the number and the file, by which scripts tell them apart."""
    (tmp_path / "file.qg").write_text("")
    (tmp_path / "folder.qg").mkdir()
    graph = QuantumGraphReader(graph_path("hand")).read()
    for use, place, kind, number in [
        (QuantumGraphReader, tmp_path / "absent.qg", FileNotFoundError, errno.ENOENT),
        (QuantumGraphReader, tmp_path / "folder.qg", IsADirectoryError, errno.EISDIR),
        (QuantumGraphReader, tmp_path / "file.qg" / "below.qg", NotADirectoryError, errno.ENOTDIR),
        (graph.write, tmp_path / "absent" / "new.qg", FileNotFoundError, errno.ENOENT),
        (graph.write, tmp_path / "file.qg" / "new.qg", NotADirectoryError, errno.ENOTDIR),
    ]:
        with pytest.raises(kind) as told:
            use(place)
        assert (told.value.errno, str(told.value.filename)) == (number, str(place))


def test_an_empty_dictionary_counts_as_none(graph_path, tmp_path):
    path = tmp_path / "empty_dictionary.qg"
    with zipfile.ZipFile(graph_path("hand")) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("compression_dict", b"")
        for name in old.namelist():
            new.writestr(name, old.read(name))
    reader = QuantumGraphReader(path)  # deflated members, too
    ids = [quantum_id for quantum_id, _ in reader.read_thin().quanta()]
    assert len(reader.read(ids[:1])) == 1
    assert len(reader.read()) == 3


def of_version(path, version, target, thin=None):
    """Copy a graph file with another version in its header, and another thin graph if one is given."""
    zstandard = pytest.importorskip("zstandard", reason="what packs the members of graph files")
    packer, unpacker = zstandard.ZstdCompressor(), zstandard.ZstdDecompressor()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as copy:
        for name in source.namelist():
            content = source.read(name)
            if name == "header.json.zst":
                header = json.loads(unpacker.decompress(content))
                content = packer.compress(json.dumps({**header, "version": version}).encode())
            if name == "thin_graph.json.zst" and thin is not None:
                content = packer.compress(json.dumps(thin).encode())
            copy.writestr(name, content)
    return target


def respelled(path, target, respell):
    """Copy a graph file with all its JSON spelled otherwise."""
    zstandard = pytest.importorskip("zstandard", reason="what packs the members of graph files")
    packer = zstandard.ZstdCompressor()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as copy:
        words = source.read("compression_dict") if "compression_dict" in source.namelist() else b""
        unpacker = zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(words) if words else None)

        def packed(frame):
            return packer.compress(respell(json.loads(unpacker.decompress(frame))).encode())

        for name in source.namelist():
            if name.endswith(".json.zst"):
                copy.writestr(name, packed(source.read(name)))
        blocks, moved, members = source.read("quantum_datasets.mb"), {}, b""
        start = 0
        while start < len(blocks):
            end = start + 8 + int.from_bytes(blocks[start : start + 8], "big")
            block = packed(blocks[start + 8 : end])
            moved[start] = (len(members), 8 + len(block))
            members += len(block).to_bytes(8, "big") + block
            start = end
        copy.writestr("quantum_datasets.mb", members)
        table = source.read("quanta.addr")
        rows = table[:17]
        for at in range(17, len(table), 40):
            numbers = moved[int.from_bytes(table[at + 24 : at + 32], "big")]
            rows += table[at : at + 24] + b"".join(number.to_bytes(8, "big") for number in numbers)
        copy.writestr("quanta.addr", rows)
    return target


def backwards(value):
    """Turn the order of keys around, but of those whose order means something."""
    if isinstance(value, list):
        return [backwards(each) for each in value]
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in (reversed(value) if "dataset_id" in value else value)}
    return value


SPELLINGS = {
    "blanks": lambda value: json.dumps(value, indent=1),
    "escapes": lambda value: json.dumps(value, separators=(",", ":")).replace("run", "\\u0072un"),
    "other order": lambda value: json.dumps(backwards(value), separators=(",", ":")),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", ["ab", "drp_small_records", "drp_dict"])
def test_however_it_is_spelled_a_graph_is_the_same(name, spelling, graph_path, tmp_path):
    """The spelling that writers use is read by a quick scanner, any other by a parser of all JSON."""
    other = respelled(graph_path(name), tmp_path / "respelled.qg", SPELLINGS[spelling])
    one, two = QuantumGraphReader(graph_path(name)), QuantumGraphReader(other)
    for first, second in ((one.read_thin(), two.read_thin()), (one.read(), two.read())):
        assert first.data_ids() == second.data_ids()
        assert first.edge_indices() == second.edge_indices()
    whole, same = one.read(), two.read()
    for quantum_id, _ in whole.quanta():
        assert whole.datasets(quantum_id) == same.datasets(quantum_id)
        stored = [
            {key: [record.path for record in records] for key, records in graph.datastore_records(quantum_id).items()}
            for graph in (whole, same)
        ]
        assert stored[0] == stored[1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"dataset_type_name":"raw"', '"dataset_type_name":"flat"'),
        ('"inputs":{', '"inputs":{"nothing":[],'),
        ('"inputs":{', '"inputs":{,'),
        ('"outputs":{', '"outputs":[],"outputs":{'),
        ('],"run":', ',],"run":'),
        ('"quantum_id":"', '"quantum_id":"0'),
        ('"datastore_records":{', '"datastore_records":{"x":1'),
        ('"data_coordinate":["', '"data_coordinate":[1e3,"'),
        ('"data_coordinate":["', '"data_coordinate":["x","'),
    ],
)
def test_what_the_quick_scanner_does_not_know_is_judged_by_the_parser(before, after, graph_path, tmp_path):
    def respell(value):
        text = json.dumps(value, separators=(",", ":"))
        return text.replace(before, after, 1) if isinstance(value, dict) and "task_label" in value else text

    path = respelled(graph_path("drp_small"), tmp_path / "wrong.qg", respell)
    with pytest.raises(errors.InvalidQuantumGraphFileError):
        QuantumGraphReader(path).read()


def test_a_later_version_is_refused_by_name(graph_path, tmp_path):
    path = of_version(graph_path("ab"), 7, tmp_path / "later.qg")
    with pytest.raises(errors.InvalidQuantumGraphFileError, match="format version 7, and version 1 is the latest"):
        QuantumGraphReader(path)


def test_the_first_version_numbers_its_quanta(graph_path, stored, tmp_path):
    view = stored("ab")
    number = {row["key"]: row["index"] for row in view["quanta.addr"]["rows"]}
    thin = view["thin_graph.json.zst"]
    old = {
        "quanta": {
            label: [{**quantum, "quantum_id": number[quantum["quantum_id"]]} for quantum in quanta]
            for label, quanta in thin["quanta"].items()
        },
        "edges": [[number[first], number[second]] for first, second in thin["edges"]],
    }
    path = of_version(graph_path("ab"), 0, tmp_path / "old.qg", old)
    then, now = (QuantumGraphReader(each).read_thin() for each in (path, graph_path("ab")))
    assert then.quanta() == now.quanta()
    assert sorted(then.edge_indices()) == sorted(now.edge_indices())
    assert QuantumGraphReader(path).read().quanta() == now.quanta()
    old["edges"].append([0, 99])
    with pytest.raises(errors.InvalidQuantumGraphFileError, match="no quantum number 99"):
        QuantumGraphReader(of_version(graph_path("ab"), 0, tmp_path / "bad.qg", old)).read_thin()


def test_blocks_that_are_read_alone_are_guarded(graph_path, tmp_path):
    """A file of ours has a checksum in each block; of one without, the whole is checked first."""
    ours = tmp_path / "ours.qg"
    graph = QuantumGraphReader(graph_path("drp_small")).read()
    graph.write(ours)
    quantum_id = graph.quanta()[0][0]
    for original in (ours, graph_path("drp_small")):
        with zipfile.ZipFile(original) as archive:
            info = archive.getinfo("quantum_datasets.mb")
            start = info.header_offset + 30 + len(info.filename)
        content = bytearray(original.read_bytes())
        refused = 0
        for offset in range(60, min(info.file_size, 4000), 97):
            damaged = bytearray(content)
            damaged[start + offset] ^= 4
            path = tmp_path / "damaged.qg"
            path.write_bytes(damaged)
            try:
                found = QuantumGraphReader(path).read([quantum_id])
            except errors.InvalidQuantumGraphFileError:
                refused += 1
            else:
                assert str(found.datasets(quantum_id)) == str(graph.datasets(quantum_id))
        assert refused
