"""Dataset references: ids, equality, components, JSON."""

import copy
import json
import pickle
import uuid
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, IntEnum

import pytest

from armillary._core import DataCoordinate, DatasetRef, DatasetType, DimensionUniverse, _new_dataset_id
from armillary.errors import DimensionNameError, InconsistentDataIdError

UNIVERSE = DimensionUniverse()
DETECTOR = UNIVERSE.conform("detector")
BIAS = DatasetType("bias", DETECTOR, "StructuredDataDict")
RAW = DatasetType("raw", DETECTOR, "StructuredDataDict")
DATA_ID = DataCoordinate.standardize(instrument="H", detector=1, universe=UNIVERSE)
ID = uuid.UUID("01a2034e-8f88-71e5-a232-117c8b4e29d5")


def ref(dataset_type=RAW, data_id=DATA_ID, run="r", **options):
    return DatasetRef(dataset_type, data_id, run, **options)


class Mode(Enum):
    UNIQUE = 0
    DATAID_TYPE = 1
    DATAID_TYPE_RUN = 2


def test_prints_type_data_id_run_and_id():
    assert str(ref(id=ID)) == f"raw@{{instrument: 'H', detector: 1}} [sc=StructuredDataDict] (run=r id={ID})"
    assert repr(ref(id=ID)) == (
        "DatasetRef(DatasetType('raw', {instrument, detector}, StructuredDataDict), "
        f"{{instrument: 'H', detector: 1}}, run='r', id={ID})"
    )


def test_parts():
    made = ref(id=ID)
    assert (made.id, made.run, made.dataId, made.datasetType, made.dimensions) == (ID, "r", DATA_ID, RAW, DETECTOR)
    assert made.id is made.id
    assert made.dataId is made.dataId
    assert made.datasetType is RAW


def test_new_ids_are_unique_ordered_and_of_version_7():
    with ThreadPoolExecutor(8) as pool:
        ids = [one for many in pool.map(lambda _: [ref().id for _ in range(500)], range(8)) for one in many]
    assert len(set(ids)) == 4000
    assert {one.version for one in ids} == {7}
    assert {one.variant for one in ids} == {uuid.RFC_4122}
    in_turn = [_new_dataset_id() for _ in range(1000)]
    assert in_turn == sorted(in_turn)


def test_ids_that_follow_from_the_data_are_those_of_the_format(shared_path):
    vectors = json.loads(shared_path("contract-fixtures", "vectors", "uuid5.json").read_text())
    assert len(vectors["vectors"]) >= 5
    for mode, text, wanted in vectors["vectors"]:
        parts = dict(part.split("=", 1) for part in text.split(","))
        name, run = parts.pop("dataset_type"), parts.pop("run", "any")
        dataset_type = DatasetType(name, list(parts), "StructuredDataDict", universe=UNIVERSE)
        made = DatasetRef(dataset_type, parts, run, id_generation_mode=Mode[mode])
        assert str(made.id) == wanted, text


@pytest.mark.parametrize("mode", [3, -1, "UNIQUE", 1.5, Mode])
def test_other_modes_are_refused(mode):
    with pytest.raises(ValueError, match="DatasetIdGenEnum"):
        ref(id_generation_mode=mode)


def test_modes_may_be_integers():
    class Number(IntEnum):
        DATAID_TYPE = 1

    assert ref(id_generation_mode=Number.DATAID_TYPE).id == ref(id_generation_mode=1).id
    assert ref(id_generation_mode=1, run="other").id == ref(id_generation_mode=1).id
    assert ref(id_generation_mode=2, run="other").id != ref(id_generation_mode=2).id


@pytest.mark.parametrize("bad", [3, "x", b"short", object()])
def test_other_ids_are_refused(bad):
    with pytest.raises(TypeError, match="UUID"):
        ref(id=bad)


def test_the_data_id_gets_the_dimensions_of_the_type():
    assert ref(data_id={"instrument": "H", "detector": 1}, id=ID) == ref(id=ID)
    wide = DataCoordinate.standardize(instrument="H", detector=1, visit=3, universe=UNIVERSE)
    assert ref(data_id=wide).dataId == DATA_ID
    assert ref(data_id=wide, conform=False).dataId == wide
    with pytest.raises(DimensionNameError, match="`detector`"):
        ref(data_id={"instrument": "H"})
    with pytest.raises(TypeError):
        ref(dataset_type="raw")
    with pytest.raises(TypeError):
        ref(run=None)


def test_equality_looks_at_type_data_id_and_id():
    assert ref(id=ID) == ref(id=ID, run="other")
    assert hash(ref(id=ID)) == hash(ref(id=ID, run="other"))
    assert ref(id=ID) != ref(BIAS, id=ID)
    assert ref(id=ID) != ref()
    assert ref(id=ID) != ref(data_id={"instrument": "H", "detector": 2}, id=ID)
    assert ref() != 3


def test_order_is_type_run_data_id():
    refs = [ref(BIAS, run="z"), ref(run="a", data_id={"instrument": "H", "detector": 2}), ref(run="a"), ref(run="b")]
    keys = [(one.datasetType.name, one.run, one.dataId["detector"]) for one in sorted(refs)]
    assert keys == sorted(keys)
    with pytest.raises(TypeError):
        refs[0] < 3  # noqa: B015


def test_replacing_the_run_makes_a_new_id():
    made = ref(id=ID)
    assert made.replace().id == ID
    assert made.replace(run="s").run == "s"
    assert made.replace(run="s").id != ID
    assert made.replace(run="s", id=ID).id == ID
    assert made.replace(storage_class="StructuredDataDict") == made


def test_expanded_wants_the_same_data_id():
    record = UNIVERSE["detector"].RecordClass(instrument="H", id=1)
    full = DATA_ID.expanded({"detector": record, "instrument": UNIVERSE["instrument"].RecordClass(name="H")})
    assert ref(id=ID).expanded(full).dataId.hasRecords()
    assert ref(id=ID).expanded(full) == ref(id=ID)
    with pytest.raises(InconsistentDataIdError, match="detector: 2"):
        ref().expanded(DataCoordinate.standardize(DATA_ID, detector=2))


def test_grouping_keeps_the_order_of_types():
    refs = [ref(), ref(BIAS), ref(), ref(BIAS)]
    groups = DatasetRef.groupByType(refs)
    assert list(groups) == [RAW, BIAS]
    assert groups[RAW] == [refs[0], refs[2]]
    assert [(one, list(some)) for one, some in DatasetRef.iter_by_type(iter(refs))] == list(groups.items())
    with pytest.raises(TypeError, match="`3`"):
        DatasetRef.groupByType([3])


def test_json_is_the_format(shared_path):
    vectors = json.loads(shared_path("contract-fixtures", "vectors", "serialisations.json").read_text())
    for name in ("DatasetRef unexpanded", "DatasetRef expanded"):
        made = DatasetRef.from_simple(vectors[name], universe=UNIVERSE)
        assert made.to_simple().model_dump() == vectors[name], name
        again = DatasetRef.from_json(made.to_json(), universe=UNIVERSE)
        assert (again, again.run, again.dataId.hasRecords()) == (made, made.run, name.endswith(" expanded"))
        assert made.to_simple(minimal=True).model_dump() == vectors["DatasetRef minimal"]


def test_a_minimal_form_asks_the_registry():
    class Registry:
        dimensions = UNIVERSE

        def getDataset(self, id):
            return ref(id=ID) if id == ID else None

    assert DatasetRef.from_json(ref(id=ID).to_json(minimal=True), registry=Registry()) == ref(id=ID)
    with pytest.raises(ValueError, match="no dataset with id"):
        DatasetRef.from_json(ref().to_json(minimal=True), registry=Registry())
    with pytest.raises(ValueError, match="`registry`"):
        DatasetRef.from_json(ref().to_json(minimal=True), universe=UNIVERSE)


@pytest.mark.parametrize("text", ["", "{}", '{"id": "x"}', f'{{"id": "{ID}", "dataId": {{"dataId": {{}}}}}}'])
def test_bad_json_is_refused(text):
    with pytest.raises(ValueError, match="JSON"):
        DatasetRef.from_json(text, universe=UNIVERSE)


def test_json_whose_data_id_is_of_another_type_is_refused():
    body = json.loads(ref().to_json())
    body["dataId"] = {"dataId": {"instrument": "H"}}
    with pytest.raises(ValueError, match="dimensions of `raw`"):
        DatasetRef.from_json(json.dumps(body), universe=UNIVERSE)


def test_copies_are_equal():
    made = ref(id=ID)
    for other in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert (other, other.run, other.id) == (made, made.run, made.id)
