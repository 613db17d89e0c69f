"""Dimension records: fields, types, printing, JSON."""

import json
import pickle

import numpy as np
import pytest

from armillary._core import DimensionRecord, DimensionUniverse, Timespan
from armillary.errors import DimensionNameError, DimensionValueError

UNIVERSE = DimensionUniverse()
Detector = UNIVERSE["detector"].RecordClass
Visit = UNIVERSE["visit"].RecordClass
NIGHT = Timespan.from_day_obs(20141118)


def region():
    from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

    return ConvexPolygon([UnitVector3d(LonLat.fromDegrees(*point)) for point in ((0, 0), (1, 0), (1, 1))])


def visit(**fields):
    required = {"instrument": "HSC", "id": 3, "physical_filter": "HSC-G", "day_obs": 20141118, "name": "v3"}
    return Visit(**{**required, **fields})


def test_fields_are_attributes():
    made = visit(exposure_time=30, region=region(), timespan=NIGHT, seq_num=np.int32(5))
    assert (made.instrument, made.id, made.exposure_time, made.seq_num, made.azimuth) == ("HSC", 3, 30.0, 5, None)
    assert made.region == region()
    assert made.region is made.region
    assert made.timespan == NIGHT
    assert made.get("id") == 3
    assert made.dataId == {"instrument": "HSC", "visit": 3}
    assert made.definition is UNIVERSE["visit"]
    assert "exposure_time" in dir(made)
    assert list(made.toDict()) == list(made.fields.names)
    split = made.toDict(splitTimespan=True)
    assert split["datetime_begin"] == NIGHT.begin
    assert "timespan" not in split
    assert visit().toDict(splitTimespan=True)["datetime_end"] is None


def test_the_own_key_goes_by_either_name():
    assert Detector(instrument="HSC", detector=1) == Detector(instrument="HSC", id=1)
    assert Detector(instrument="HSC", detector=1, id=1).id == 1
    with pytest.raises(DimensionValueError, match="given twice, as 1 and as 2"):
        Detector(instrument="HSC", id=1, detector=2)


def test_classes_and_instances():
    made = Detector(instrument="HSC", id=1)
    assert isinstance(made, DimensionRecord)
    assert isinstance(made, Detector)
    assert not isinstance(made, Visit)
    assert not isinstance(3, Detector)
    assert Detector.__name__ == "detector.RecordClass"
    assert Detector.definition is UNIVERSE["detector"]
    assert Detector is UNIVERSE["detector"].RecordClass
    assert pickle.loads(pickle.dumps(Detector)) is Detector


def test_what_is_missing_or_unknown_is_named():
    with pytest.raises(KeyError, match="`instrument`"):
        Detector(id=1)
    with pytest.raises(ValueError, match="`id`"):
        Detector(instrument="HSC")
    with pytest.raises(TypeError, match="`full_nam`; did you mean `full_name`"):
        Detector(instrument="HSC", id=1, full_nam="x")
    with pytest.raises(TypeError):
        Detector("HSC", 1)
    with pytest.raises(AttributeError, match="`full_nam`; did you mean `full_name`"):
        Detector(instrument="HSC", id=1).full_nam  # noqa: B018
    with pytest.raises(DimensionNameError, match="`nope`"):
        Detector(instrument="HSC", id=1).get("nope")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "3"), ("id", 1.5), ("id", True), ("id", 2**64), ("instrument", 3), ("name", 5), ("name", b"x"),
        ("exposure_time", "x"), ("exposure_time", True), ("exposure_time", 1j), ("region", "x"), ("region", 3),
        ("timespan", "2014"), ("timespan", (1, 2, 3)), ("timespan", 5),
    ],
)  # fmt: skip
def test_values_of_the_wrong_type_are_refused(field, value):
    with pytest.raises(DimensionValueError, match=rf"`visit\.{field}`"):
        visit(**{field: value})


def test_booleans_and_bytes():
    exposure = UNIVERSE["exposure"].RecordClass
    fields = {"instrument": "HSC", "id": 3, "physical_filter": "g", "day_obs": 1, "group": "3", "obs_id": "o"}
    for given, wanted in ((True, True), (0, False), (np.bool_(True), True), (None, None)):
        assert exposure(**fields, has_simulated=given).has_simulated is wanted
    with pytest.raises(DimensionValueError, match="has_simulated"):
        exposure(**fields, has_simulated=2)
    skymap = UNIVERSE["skymap"].RecordClass(name="s", hash=b"\x00\xff")
    assert skymap.hash == b"\x00\xff"
    with pytest.raises(DimensionValueError, match="hash"):
        UNIVERSE["skymap"].RecordClass(name="s", hash="text")


def test_nan_is_a_number():
    assert np.isnan(visit(exposure_time=float("nan")).exposure_time)


def test_prints_every_field_and_shortens_regions():
    made = visit(region=region(), timespan=NIGHT, exposure_time=30)
    assert str(made).splitlines() == [
        "visit:", "  instrument: 'HSC'", "  id: 3", "  day_obs: 20141118", "  physical_filter: 'HSC-G'", "  name: 'v3'",
        "  seq_num: None", "  exposure_time: 30.0", "  target_name: None", "  observation_reason: None",
        "  science_program: None", "  azimuth: None", "  zenith_angle: None", "  region: ConvexPolygon(3 vertices)",
        "  timespan: [2014-11-18T00:00:00, 2014-11-19T00:00:00)",
    ]  # fmt: skip
    assert repr(Detector(instrument="HSC", id=1, full_name="it's")) == (
        "detector.RecordClass(instrument='HSC', id=1, full_name=\"it's\", name_in_raft=None, raft=None, purpose=None)"
    )


@pytest.mark.parametrize("value", [30.0, 1e16, 1.5e-7, -2.5e300, 0.0001, 1e-5, float("inf"), 123456789.123])
def test_floats_print_as_in_python(value):
    assert f"exposure_time: {value!r}\n" in str(visit(exposure_time=value))


def test_equality_and_hash():
    a, b = Detector(instrument="HSC", id=1, full_name="a"), Detector(instrument="HSC", id=1, full_name="b")
    assert a == Detector(instrument="HSC", id=1, full_name="a")
    assert a != b
    assert hash(a) == hash(b)
    assert a != visit()
    assert a != 3
    with pytest.raises(TypeError):
        a < b  # noqa: B015
    with pytest.raises(AttributeError):
        a.id = 3


def test_json_is_the_format(shared_path):
    vectors = json.loads(shared_path("contract-fixtures", "vectors", "serialisations.json").read_text())
    names = [name.split()[-1] for name in vectors if name.startswith("DimensionRecord kv ")]
    assert len(names) >= 6
    for name in names:
        wanted = vectors[f"DimensionRecord {name}"]
        made = DimensionRecord.from_simple(wanted, universe=UNIVERSE)
        assert made.to_simple().model_dump() == wanted
        assert DimensionRecord.from_json(made.to_json(), universe=UNIVERSE) == made
        compact = vectors[f"DimensionRecord kv {name}"]
        assert made.serialize_key_value() == compact
        record_class = UNIVERSE[name].RecordClass
        assert record_class.deserialize_value(*record_class.deserialize_key(compact)) == made
        assert record_class.from_json(made.to_json()) == made


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"definition": "nope", "record": {}}', '{"definition": "detector"}',
     '{"definition": "detector", "record": {"id": "x"}}', '{"definition": "detector", "record": {"nope": 1}}',
     '{"definition": "visit", "record": {"region": "zz"}}', '{"definition": "visit", "record": {"timespan": [1]}}'],
)  # fmt: skip
def test_bad_json_is_refused(text):
    with pytest.raises(ValueError, match="JSON"):
        DimensionRecord.from_json(text, universe=UNIVERSE)


def test_a_compact_form_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="6 values"):
        Detector.deserialize_value(("HSC", 1), ["x"])


def test_copies_are_equal():
    made = visit(region=region(), timespan=NIGHT)
    again = pickle.loads(pickle.dumps(made))
    assert again == made
    assert again.region == region()
