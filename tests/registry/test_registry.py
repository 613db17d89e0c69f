"""The database of a repository through Python: what goes in comes out, what is wrong is refused and named."""

from __future__ import annotations

import json
import pickle
import threading
from uuid import UUID, uuid4

import pytest

from armillary import _core
from armillary.errors import (
    ArgumentError,
    CalibrationLookupError,
    CollectionCycleError,
    CollectionTypeError,
    ConflictingDefinitionError,
    DataIdValueError,
    DimensionNameError,
    InconsistentUniverseError,
    MissingCollectionError,
    MissingDatabaseTableError,
    MissingDatasetTypeError,
    OrphanedRecordError,
    ReadOnlyDatabaseError,
    SchemaAlreadyDefinedError,
)
from conftest import shared_path

STORE = "FileDatastore@<butlerRoot>"


def detector(number):
    return {"instrument": "Cam", "detector": number}


def span(begin, end):
    return _core.Timespan(None, None, _nsec=(begin, end))


def test_a_repository_is_made_once(tmp_path, universe):
    path = str(tmp_path / "gen3.sqlite3")
    _core.Registry.create(path, universe)
    with pytest.raises(SchemaAlreadyDefinedError, match="already has tables"):
        _core.Registry.create(path, universe)
    opened = _core.Registry.open(path, writeable=False)
    assert (opened.path, opened.writeable, opened.universe is universe) == (path, False, True)
    with pytest.raises(ReadOnlyDatabaseError, match="open it with `writeable=True`"):
        opened.register_collection("run", 1)


def test_what_is_no_repository_is_refused(tmp_path):
    with pytest.raises(MissingDatabaseTableError, match=r"nothing\.sqlite3"):
        _core.Registry.open(str(tmp_path / "nothing.sqlite3"), writeable=True)
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(MissingDatabaseTableError, match="butler_attributes"):
        _core.Registry.open(str(tmp_path / "empty"), writeable=False)


def test_a_missing_name_comes_with_the_nearest(filled):
    with pytest.raises(MissingCollectionError, match="`run/c`; did you mean `run/"):
        filled.registry.collection("run/c")
    with pytest.raises(MissingDatasetTypeError, match="did you mean `bias`"):
        filled.registry.dataset_type("bis")
    with pytest.raises(DimensionNameError, match="did you mean `detector`"):
        filled.registry.insert_records("detectr", [])


def test_a_dataset_type_keeps_its_definition(filled):
    registry = filled.registry
    assert registry.register_dataset_type(filled.bias) is False
    assert registry.dataset_type("bias") == filled.bias
    assert registry.dataset_type("bias") is registry.dataset_type("bias")
    other = _core.DatasetType("bias", ["detector"], "NumpyArray", universe=filled.universe, isCalibration=True)
    with pytest.raises(ConflictingDefinitionError, match="StructuredDataDict, a calibration, which differs"):
        registry.register_dataset_type(other)
    assert [found.name for found in registry.query_dataset_types(["r*", "nope", "raw"])] == ["raw"]
    registry.insert_datasets("bias", "run/a", [detector(1)])
    with pytest.raises(OrphanedRecordError, match="still has 1 dataset; remove it first"):
        registry.remove_dataset_type("bias")
    registry.remove_dataset_type("raw")
    assert [found.name for found in registry.query_dataset_types()] == ["bias"]


def test_references_come_back_as_they_went_in(filled):
    registry = filled.registry
    refs = registry.insert_datasets(filled.bias, "run/a", [detector(i) for i in range(3)])
    assert [ref.dataId["detector"] for ref in refs] == [0, 1, 2]
    assert registry.get_datasets([refs[2].id, uuid4(), refs[0].id]) == [refs[2], None, refs[0]]
    assert registry.find_dataset("bias", detector(1), ["run/b", "run/a"]) == refs[1]
    assert registry.find_dataset("bias", detector(3), ["run/b", "run/a"]) is None
    assert registry.run_dataset_ids("run/a") == sorted(ref.id for ref in refs)
    registry.import_datasets(refs)
    assert registry.row_counts()["dataset"] == 3
    with pytest.raises(ConflictingDefinitionError, match="another dataset with this data ID is there already"):
        registry.insert_datasets("bias", "run/a", [detector(3), detector(1)])
    assert registry.row_counts()["dataset"] == 3


def test_ids_can_follow_from_what_a_dataset_is(filled):
    first = filled.registry.insert_datasets("bias", "run/a", [detector(1)], mode=2)[0]
    assert first.id.version == 5
    again = _core.DatasetRef(filled.bias, first.dataId, "run/a", id=first.id)
    assert filled.registry.import_datasets([again]) == [again]
    given = UUID(int=5)
    assert filled.registry.insert_datasets("bias", "run/b", [detector(1)], ids=[given])[0].id == given
    with pytest.raises(ArgumentError, match="2 ids were given for 1 data IDs"):
        filled.registry.insert_datasets("bias", "run/b", [detector(2)], ids=[given, given])


def test_records_of_what_is_named_must_exist(filled):
    with pytest.raises(DataIdValueError, match="names `detector` 9, which has no record"):
        filled.registry.insert_datasets("bias", "run/a", [detector(9)])
    with pytest.raises(DataIdValueError, match="records exist for 0, 1, 2, 3"):
        filled.registry.expand_data_id(detector(9))
    with pytest.raises(ConflictingDefinitionError, match="`full_name` is 'S1' there and 'other' here"):
        filled.registry.sync_record("detector", {"instrument": "Cam", "id": 1, "full_name": "other"})


def test_expanding_adds_values_and_records(filled):
    expanded = filled.registry.expand_data_id({"instrument": "Cam", "exposure": 11, "detector": 2})
    assert expanded["band"] == "g" and expanded["physical_filter"] == "Cam-G"
    assert expanded.records["exposure"].obs_id == "C11"
    assert filled.registry.expand_data_ids([expanded])[0] == expanded


def test_synchronising_tells_what_changed(filled):
    row = {"instrument": "Cam", "id": 1, "full_name": "S1"}
    assert filled.registry.sync_record("detector", row) is False
    assert filled.registry.sync_record("detector", row | {"id": 7, "full_name": "S7"}) is True
    assert filled.registry.sync_record("detector", row | {"full_name": "T1"}, update=True) == {"full_name": "S1"}


def test_universes_are_not_mixed(filled):
    document = json.loads(shared_path("contract-fixtures/vectors/dimensions_min.json").read_text())
    document["namespace"] = "elsewhere"
    other = _core.DimensionUniverse.from_json(json.dumps(document))
    foreign = _core.DatasetType("foreign", ["detector"], "StructuredDataDict", universe=other)
    with pytest.raises(InconsistentUniverseError, match="elsewhere"):
        filled.registry.register_dataset_type(foreign)


def test_chains_refuse_cycles_and_what_is_no_chain(filled):
    registry = filled.registry
    for name in ("x", "y"):
        registry.register_collection(name, 3)
    registry.set_chain("x", ["run/a", "y"])
    with pytest.raises(CollectionCycleError, match="`x` already contains `y`"):
        registry.extend_chain("y", ["x"])
    with pytest.raises(CollectionTypeError, match="`run/a` is a RUN; a CHAINED collection is needed"):
        registry.extend_chain("run/a", ["x"])
    assert registry.collection("y")[3] == ()
    registry.prepend_chain("x", ["run/b"])
    assert registry.collection("x") == ("x", 3, None, ("run/b", "run/a", "y"))
    with pytest.raises(OrphanedRecordError, match="is still a child of `x`"):
        registry.check_not_chained(["run/b"])


def test_two_valid_calibrations_are_ambiguous(filled):
    registry = filled.registry
    registry.register_collection("calib", 4)
    for run, begin in (("run/a", 100), ("run/b", 200)):
        refs = registry.insert_datasets("bias", run, [{"instrument": "Cam", "detector": 1}])
        registry.certify("calib", refs, _core.Timespan(None, None, _nsec=(begin, begin + 100)))
    with pytest.raises(CalibrationLookupError, match="`calib`; give a `timespan`"):
        registry.find_records("bias", {"instrument": "Cam", "detector": 1}, ["calib"])


def test_a_transaction_is_undone_as_a_whole(filled):
    registry = filled.registry
    before = registry.row_counts()
    registry.begin()
    registry.register_collection("run/c", 1)
    registry.insert_datasets("bias", "run/c", [detector(1)])
    assert registry.find_dataset("bias", detector(1), ["run/c"]) is not None
    registry.rollback()
    assert registry.row_counts() == before
    with pytest.raises(MissingCollectionError):
        registry.collection("run/c")


def test_another_thread_waits_for_the_transaction_to_end(filled):
    registry = filled.registry
    registry.begin()
    registry.register_collection("first", 1)
    seen = []

    def other():
        registry.register_collection("second", 1)
        seen.append(registry.query_collections(["*"])[-2:])

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive() and not seen
    registry.commit()
    thread.join(20)
    assert seen == [["first", "second"]]


def test_files_come_and_go_with_their_datasets(filled):
    registry = filled.registry
    ref = _core.DatasetRef(filled.bias, registry.expand_data_id(detector(1)), "run/a")
    record = _core.FileRecord(ref.id, "a/1.yaml", "f.Formatter", "StructuredDataDict", file_size=5)
    assert pickle.loads(pickle.dumps(record)) == record
    intent = registry.begin_write(STORE, ["a/1.yaml"])
    registry.finish_write(intent, STORE, [ref], [record], register=True)
    assert registry.find_records("bias", detector(1), ["run/a"]) == (ref, [record])
    assert registry.locations([ref.id, uuid4()]) == {ref.id: [STORE]}
    assert registry.announced_files() == []
    with pytest.raises(OrphanedRecordError, match="still have files"):
        registry.remove_datasets([ref])
    assert registry.file_paths([ref.id]) == registry.file_paths(ref.id.bytes) == ["a/1.yaml"]
    assert registry.unnamed_files(["a/1.yaml", "a/2.yaml"]) == ["a/2.yaml"]
    with pytest.raises(ValueError, match="sixteen"):
        registry.unstore(STORE, b"short", purge=True)
    registry.unstore(STORE, registry.packed_dataset_ids(["run/a"]), purge=True)
    assert registry.unnamed_files(["a/1.yaml"]) == ["a/1.yaml"]
    assert registry.trashed(STORE) == [] and registry.get_dataset(ref.id) is None


def test_an_archive_is_named_by_its_members(filled):
    registry = filled.registry
    refs = [_core.DatasetRef(filled.bias, registry.expand_data_id(detector(number)), "run/a") for number in (1, 2)]
    paths = [f"zips/a.zip#zip-path={number}.yaml" for number in (1, 2)]
    records = [
        _core.FileRecord(ref.id, path, "f.F", "StructuredDataDict") for ref, path in zip(refs, paths, strict=True)
    ]
    registry.finish_write(None, STORE, refs, records, register=True)
    archives = ["zips/a.zip#zip-path=", "zips/a.zi#zip-path="]
    assert registry.file_paths([ref.id for ref in refs]) == archives[:1]
    assert registry.unnamed_files(archives) == archives[1:]
    registry.unstore(STORE, [refs[0].id], purge=True)
    assert registry.unnamed_files(archives) == archives[1:], "it holds one more"
    registry.unstore(STORE, [refs[1].id], purge=False)
    assert registry.unnamed_files(archives) == archives
    assert registry.get_dataset(refs[1].id) is not None


def test_a_write_that_cannot_be_entered_leaves_no_row(filled):
    registry = filled.registry
    taken = registry.insert_datasets("bias", "run/a", [detector(1)])[0]
    ref = _core.DatasetRef(filled.bias, taken.dataId, "run/a")
    record = _core.FileRecord(ref.id, "a/1.yaml", "f.Formatter", "StructuredDataDict")
    intent = registry.begin_write(STORE, ["a/1.yaml"])
    with pytest.raises(ConflictingDefinitionError):
        registry.finish_write(intent, STORE, [ref], [record], register=True)
    assert registry.records([ref.id]) == []
    assert registry.announced_files() == [(STORE, "a/1.yaml", False)], "the announcement stays until the file is gone"
    registry.abandon_write(intent)
    assert registry.announced_files() == []


def test_validity_is_cut_where_it_is_ended(filled):
    registry = filled.registry
    registry.register_collection("calib", 4)
    refs = registry.insert_datasets("bias", "run/a", [detector(1), detector(2)])
    registry.certify("calib", refs, span(100, 200))
    with pytest.raises(ConflictingDefinitionError, match="already certified in `calib`"):
        registry.certify("calib", refs[:1], span(150, 160))
    registry.decertify("calib", "bias", span(120, 140), [detector(1)])
    found = [
        (ref.dataId["detector"], *valid.nsec) for ref, _, valid in registry.dataset_associations("bias", ["calib"])
    ]
    assert sorted(found) == [(1, 100, 120), (1, 140, 200), (2, 100, 200)]
    assert registry.find_dataset("bias", detector(1), ["calib"], timespan=span(120, 140)) is None


def test_of_many_that_are_certified_at_once_the_first_contradiction_is_named(filled):
    """And none is certified; a time that only touches another contradicts nothing."""
    registry = filled.registry
    registry.register_collection("calib", 4)
    refs = registry.insert_datasets("bias", "run/a", [detector(1), detector(2)])
    others = registry.insert_datasets("bias", "run/b", [detector(1), detector(2)])
    registry.certify("calib", refs[1:], span(100, 200))
    for members, named in (([refs[0], refs[1]], 2), ([others[0], refs[0], others[1]], 1), (others[::-1], 2)):
        with pytest.raises(ConflictingDefinitionError, match=rf"detector: {named}.* already certified in `calib`"):
            registry.certify("calib", members, span(150, 160))
    registry.certify("calib", refs, span(200, 300))
    registry.certify("calib", others, span(0, 100))
    found = [
        (ref.run, ref.dataId["detector"], *valid.nsec)
        for ref, _, valid in registry.dataset_associations("bias", ["calib"])
    ]
    assert sorted(found) == [
        ("run/a", 1, 200, 300),
        ("run/a", 2, 100, 200),
        ("run/a", 2, 200, 300),
        ("run/b", 1, 0, 100),
        ("run/b", 2, 0, 100),
    ]


def test_a_contradiction_is_found_among_many_that_are_certified(filled):
    """Many and few are looked through in different ways."""
    registry = filled.registry
    registry.register_collection("calib", 4)
    (ref,) = registry.insert_datasets("bias", "run/a", [detector(1)])
    (other,) = registry.insert_datasets("bias", "run/b", [detector(1)])
    for count in (1, 50, 150):
        held = registry.dataset_associations("bias", ["calib"])
        for start in range(len(held), count):
            registry.certify("calib", [ref], span(10 * start, 10 * start + 10))
        with pytest.raises(ConflictingDefinitionError, match="already certified in `calib`"):
            registry.certify("calib", [other], span(10 * count - 5, 10 * count + 5))
        with pytest.raises(ConflictingDefinitionError, match="already certified in `calib`"):
            registry.certify("calib", [other], span(0, 1))
        registry.certify("calib", [other], span(1_000_000 + count, 1_000_001 + count))
        registry.decertify("calib", "bias", span(1_000_000, 2_000_000))
    assert len(registry.dataset_associations("bias", ["calib"])) == 150


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "../up", "a/../b", "x" * 201])
def test_names_that_would_make_trouble_are_refused(registry, name):
    with pytest.raises(ArgumentError, match="cannot be the name of a collection"):
        registry.register_collection(name, 1)


@pytest.mark.parametrize("text", ["x'; DROP TABLE dataset; --", '"', "%", "ü", "$HOME", "a b"])
def test_odd_names_are_only_names(filled, text):
    registry = filled.registry
    registry.register_collection(text, 2, "said")
    refs = registry.insert_datasets("bias", "run/a", [detector(1)])
    registry.associate(text, refs)
    assert registry.find_dataset("bias", detector(1), [text]) == refs[0]
    assert registry.collection(text)[2] == "said"


def test_a_calibration_is_valid_at_no_time_of_an_empty_span(filled):
    registry = filled.registry
    refs = registry.insert_datasets("bias", "run/a", [detector(1)])
    registry.register_collection("calib", 4)
    for _ in range(2):  # nothing overlaps a time that is none
        registry.certify("calib", refs, span(7, 3))
    assert [valid.isEmpty() for _, _, valid in registry.dataset_associations("bias", ["calib"])] == [True]
    for collections in (["run/a"], ["calib"], ["calib", "run/a"]):
        assert registry.find_dataset("bias", detector(1), collections, timespan=span(7, 3)) is None
    assert registry.find_dataset("bias", detector(1), ["run/a"], timespan=span(3, 7)) == refs[0]
    data_id = detector(1) | {"exposure": 11}
    raws = registry.insert_datasets("raw", "run/a", [data_id])
    assert registry.find_dataset("raw", data_id, ["run/a"], timespan=span(7, 3)) == raws[0]
