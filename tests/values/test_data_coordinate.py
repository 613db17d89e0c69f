"""Data IDs: making them, what they compare and print as, what they refuse."""

import copy
import pickle
from decimal import Decimal

import numpy as np
import pytest

from armillary._core import DataCoordinate, DimensionUniverse
from armillary.errors import DimensionNameError, DimensionValueError, InconsistentDataIdError, InconsistentUniverseError

UNIVERSE = DimensionUniverse()
standardize = DataCoordinate.standardize
VISIT = {"instrument": "HSC", "visit": 11690, "band": "g", "day_obs": 20141118, "physical_filter": "HSC-G"}


def data_id(**values):
    return standardize(values, universe=UNIVERSE)


@pytest.fixture
def full():
    return data_id(**VISIT, detector=1)


@pytest.fixture
def minimal():
    return data_id(instrument="HSC", visit=11690)


def test_prints_required_then_implied(full, minimal):
    assert str(minimal) == repr(minimal) == "{instrument: 'HSC', visit: 11690}"
    assert str(full) == (
        "{instrument: 'HSC', detector: 1, visit: 11690, band: 'g', day_obs: 20141118, physical_filter: 'HSC-G'}"
    )
    assert str(DataCoordinate.make_empty(UNIVERSE)) == "{}"
    assert str(data_id(instrument="it's")) == '{instrument: "it\'s"}'


@pytest.mark.parametrize(
    "number", [1, np.int8(1), np.int64(1), np.uint32(1), np.array(1)[()], "1", 1.0, np.float64(1.0)], ids=repr
)
def test_whatever_is_an_integer_is_taken_as_one(number):
    made = data_id(instrument="HSC", detector=number)
    assert made["detector"] == 1
    assert type(made["detector"]) is int
    assert made == data_id(instrument=np.str_("HSC"), detector=1)


@pytest.mark.parametrize(
    "value",
    [True, np.bool_(True), None, 1.5, float("nan"), float("inf"), b"1", "x", "1.0", 2**63, 1j, [1], Decimal("1.5")],
)
def test_whatever_is_no_integer_is_refused(value):
    with pytest.raises(DimensionValueError, match="`detector`"):
        data_id(instrument="HSC", detector=value)


@pytest.mark.parametrize("value", [1, None, b"HSC", 1.0, True])
def test_a_name_must_be_a_string(value):
    with pytest.raises(ValueError, match="`instrument`"):
        data_id(instrument=value)


def test_extremes_of_integers_are_kept():
    for extreme in (2**63 - 1, -(2**63), 0):
        assert data_id(instrument="HSC", visit=extreme)["visit"] == extreme


def test_missing_and_unknown_keys_are_named():
    with pytest.raises(DimensionNameError, match=r"`instrument`.*\{detector: 4\}|\{detector: 4\}.*`instrument`"):
        data_id(detector=4)
    with pytest.raises(KeyError, match="`detectr`; did you mean `detector`"):
        data_id(instrument="HSC", detectr=4)
    with pytest.raises(DimensionNameError, match="`visit_detector_region`"):
        data_id(visit_detector_region=1)
    with pytest.raises(TypeError, match="universe"):
        standardize(instrument="HSC")
    with pytest.raises(TypeError, match="`3`"):
        standardize({3: 4}, universe=UNIVERSE)
    with pytest.raises(TypeError):
        standardize(7, universe=UNIVERSE)
    with pytest.raises(TypeError):
        DataCoordinate()


def test_dimensions_choose_among_the_keys():
    given = {**VISIT, "detector": 1, "extra": None}
    made = standardize(given, dimensions=["visit"], universe=UNIVERSE)
    assert made.dimensions == UNIVERSE.conform("visit")
    assert made.hasFull()
    assert standardize(given, dimensions="detector", universe=UNIVERSE) == data_id(instrument="HSC", detector=1)
    assert standardize(instrument="HSC", dimensions=UNIVERSE.conform("instrument")) == {"instrument": "HSC"}


def test_keywords_win_over_the_mapping():
    assert standardize({"instrument": "HSC", "detector": 1}, universe=UNIVERSE, detector=2)["detector"] == 2


def test_implied_values_are_kept_only_when_all_are_known(full):
    assert full.hasFull()
    assert full["band"] == "g"
    partial = data_id(instrument="HSC", visit=11690, band="g")
    assert not partial.hasFull()
    assert "band" not in partial
    with pytest.raises(DimensionNameError, match="does not know its `band`"):
        partial["band"]
    with pytest.raises(ValueError, match="only its required values"):
        partial.full_values  # noqa: B018


def test_defaults_fill_in_what_is_missing():
    defaults = data_id(instrument="HSC", skymap="rings")
    assert standardize({"detector": 1}, universe=UNIVERSE, defaults=defaults) == data_id(instrument="HSC", detector=1)
    assert standardize({"detector": 1, "instrument": "X"}, universe=UNIVERSE, defaults=defaults)["instrument"] == "X"
    plain = {"skymap": "rings", "unknown": 1, "visit": 3}
    assert standardize(tract=5, dimensions=["tract"], universe=UNIVERSE, defaults=plain) == {
        "skymap": "rings",
        "tract": 5,
    }


def test_a_replaced_dimension_takes_what_it_implies_along(full):
    """The peer keeps the filter of the old visit."""
    other = standardize(full, visit=5)
    assert other["visit"] == 5
    assert "physical_filter" not in other
    assert "day_obs" not in other
    assert standardize(full, detector=7)["physical_filter"] == "HSC-G"
    assert standardize({"visit": 5}, universe=UNIVERSE, defaults=full, dimensions=["visit"]).hasFull() is False
    assert standardize({"visit": 11690}, universe=UNIVERSE, defaults=full, dimensions=["visit"]).hasFull()
    assert standardize(full, visit=5, band="r", day_obs=1, physical_filter="R")["band"] == "r"
    assert not full.union(data_id(instrument="Other")).hasFull()


def test_a_data_id_is_its_own_standard_form(full):
    assert standardize(full) is full
    assert full.dataId is full
    assert full.universe is UNIVERSE


def test_equality_hash_and_order_look_at_required_values(full, minimal):
    assert full.subset(["visit"]) == minimal
    assert hash(full.subset(["visit"])) == hash(minimal)
    assert full != minimal
    assert minimal == {"instrument": "HSC", "visit": 11690}
    assert minimal != {"instrument": "HSC", "visit": 1}
    assert minimal != {"nonsense": 1}
    assert minimal != {1: 2}
    assert minimal != 3
    assert len({full, standardize(full, band="r")}) == 1
    ids = [data_id(instrument="HSC", detector=n) for n in (3, 1, 2)]
    assert [one["detector"] for one in sorted(ids)] == [1, 2, 3]
    assert sorted([*ids, minimal, full], key=str)
    assert sorted([*ids, minimal, full])
    with pytest.raises(TypeError):
        minimal < 3  # noqa: B015


def test_subset_and_union(full, minimal):
    assert full.subset(["instrument", "detector"]) == data_id(instrument="HSC", detector=1)
    assert full.subset("physical_filter")["band"] == "g"
    with pytest.raises(DimensionNameError, match="`skymap`"):
        full.subset(["tract"])
    with pytest.raises(KeyError, match="`band`"):
        minimal.subset(["band"])
    assert minimal.union(data_id(instrument="HSC", detector=3)) == data_id(instrument="HSC", visit=11690, detector=3)
    assert full.union(data_id(instrument="HSC")).hasFull()


def test_mappings_show_the_values(full, minimal):
    assert dict(full.required) == {"instrument": "HSC", "detector": 1, "visit": 11690}
    assert dict(full.mapping) == {**VISIT, "detector": 1}
    assert list(full.mapping) == list(full.dimensions.data_coordinate_keys)
    assert {**minimal.mapping} == {"instrument": "HSC", "visit": 11690}
    assert full.mapping["band"] == "g"
    assert full.mapping.get("tract", 7) == 7
    assert "tract" not in full.mapping
    assert len(full.required) == 3
    assert full.required == {"instrument": "HSC", "detector": 1, "visit": 11690}
    assert repr(minimal.mapping) == "{instrument: 'HSC', visit: 11690}"
    assert next(iter(full.required.items())) == ("instrument", "HSC")
    with pytest.raises(KeyError, match="`tract`"):
        full.mapping["tract"]
    assert full.required_values == ("HSC", 1, 11690)
    assert full.full_values == ("HSC", 1, 11690, "g", 20141118, "HSC-G")


def test_values_in_order_make_a_data_id():
    group = UNIVERSE.conform("visit")
    assert DataCoordinate.from_required_values(group, ("HSC", 3)) == data_id(instrument="HSC", visit=3)
    assert DataCoordinate.from_full_values(group, ("HSC", 3, "g", 20141118, "HSC-G")).hasFull()
    with pytest.raises(ValueError, match="instrument, visit"):
        DataCoordinate.from_required_values(group, ("HSC",))
    with pytest.raises(ValueError, match="physical_filter"):
        DataCoordinate.from_full_values(group, ("HSC", 3))
    with pytest.raises(DimensionValueError):
        DataCoordinate.from_required_values(group, (3, "HSC"))


def test_access_without_records_says_what_to_do(minimal):
    assert not minimal.hasRecords()
    assert DataCoordinate.make_empty(UNIVERSE).hasRecords()
    with pytest.raises(AttributeError, match="expandDataId"):
        minimal.visit  # noqa: B018
    with pytest.raises(AttributeError, match="`vist`; did you mean `visit`"):
        minimal.vist  # noqa: B018
    for name in ("records", "region", "timespan"):
        with pytest.raises(AssertionError, match="not expanded"):
            getattr(minimal, name)


def test_a_data_id_is_neither_sized_nor_iterable(minimal):
    for function in (len, iter, list):
        with pytest.raises(TypeError):
            function(minimal)
    assert not hasattr(minimal, "keys")
    assert bool(minimal)
    assert not DataCoordinate.make_empty(UNIVERSE)


def test_json_goes_there_and_back(full, minimal, shared_path):
    for one in (full, minimal, DataCoordinate.make_empty(UNIVERSE)):
        back = DataCoordinate.from_json(one.to_json(), universe=UNIVERSE)
        assert back == one
        assert back.hasFull() == one.hasFull()
        assert DataCoordinate.from_simple(one.to_simple(), universe=UNIVERSE) == one
    assert minimal.to_json() == '{"dataId":{"instrument":"HSC","visit":11690}}'
    assert minimal.to_simple().model_dump() == {"dataId": {"instrument": "HSC", "visit": 11690}, "records": None}


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"dataId": 3}', '{"dataId": {"visit": 1}}', '{"dataId": {"nope": 1}}']
)
def test_bad_json_is_refused(text):
    with pytest.raises((ValueError, KeyError)):
        DataCoordinate.from_json(text, universe=UNIVERSE)


def test_json_needs_a_universe(minimal):
    with pytest.raises(ValueError, match="universe"):
        DataCoordinate.from_json(minimal.to_json())


def test_copies_are_equal(full):
    for made in (pickle.loads(pickle.dumps(full)), copy.copy(full), copy.deepcopy(full)):
        assert made == full
        assert made.full_values == full.full_values


@pytest.mark.parametrize("values", [(), ("H",), ("H", 3, "g"), ("H", 3, "g", 1, "g", 7)])
def test_a_damaged_pickle_is_refused(values):
    from armillary._core import _data_coordinate

    with pytest.raises(ValueError, match="known dimension"):
        _data_coordinate(UNIVERSE.conform("visit"), values)


def test_frozen(full):
    with pytest.raises(AttributeError):
        full.detector = 3
    with pytest.raises(TypeError):
        full["detector"] = 3


def test_universes_do_not_mix(minimal):
    other = DimensionUniverse.from_json(
        UNIVERSE.to_json().replace('"version":8', '"version":99', 1).replace('"version": 8', '"version": 99', 1)
    )
    assert other is not UNIVERSE
    stranger = standardize(instrument="HSC", visit=11690, universe=other)
    assert stranger != minimal
    with pytest.raises(InconsistentUniverseError, match="99"):
        stranger.union(minimal)


def records():
    make = {name: UNIVERSE[name].RecordClass for name in UNIVERSE.elements.names}
    return {
        "band": make["band"](name="g"),
        "instrument": make["instrument"](name="HSC", detector_max=200),
        "day_obs": make["day_obs"](instrument="HSC", id=20141118),
        "detector": make["detector"](instrument="HSC", id=1, full_name="1_53"),
        "physical_filter": make["physical_filter"](instrument="HSC", name="HSC-G", band="g"),
        "visit": make["visit"](instrument="HSC", id=11690, physical_filter="HSC-G", day_obs=20141118, name="v"),
        "visit_detector_region": None,
    }


def test_records_expand_a_data_id():
    minimal = data_id(instrument="HSC", visit=11690, detector=1)
    expanded = minimal.expanded(records())
    assert expanded.hasRecords()
    assert expanded.hasFull()
    assert expanded == minimal
    assert expanded["band"] == "g"
    assert expanded.detector.full_name == "1_53"
    assert expanded.visit_detector_region is None
    assert expanded.region is None
    assert dict(expanded.records) == records()
    assert list(expanded.records) == list(expanded.dimensions.elements)
    assert "detector" in dir(expanded)
    assert expanded.subset(["detector"]).hasRecords()
    assert list(expanded.subset(["detector"]).records) == ["instrument", "detector"]
    assert not standardize(expanded, detector=2).hasRecords()
    again = pickle.loads(pickle.dumps(expanded))
    assert again.hasRecords()
    assert dict(again.records) == records()
    assert DataCoordinate.from_json(expanded.to_json(), universe=UNIVERSE).visit == records()["visit"]


def test_records_of_another_data_id_are_refused():
    other = UNIVERSE["detector"].RecordClass(instrument="HSC", id=2, full_name="x")
    with pytest.raises(InconsistentDataIdError, match="`detector` record"):
        data_id(instrument="HSC", visit=11690, detector=1).expanded({**records(), "detector": other})
    with pytest.raises(DimensionNameError, match="`band`"):
        data_id(instrument="HSC", visit=11690).expanded({})
    with pytest.raises(TypeError, match="`7`"):
        data_id(instrument="HSC").expanded({"instrument": 7})


def test_spatial_and_temporal_come_from_the_finest_element():
    from lsst.sphgeom import Circle, LonLat, UnitVector3d

    from armillary._core import Timespan

    small, large = (Circle(UnitVector3d(LonLat.fromDegrees(10, 5)), angle) for angle in _angles(0.1, 1.0))
    night = Timespan.from_day_obs(20141118)
    known = records()
    known["visit"] = UNIVERSE["visit"].RecordClass(
        instrument="HSC", id=11690, physical_filter="HSC-G", day_obs=20141118, name="v", region=large, timespan=night
    )
    known["visit_detector_region"] = UNIVERSE["visit_detector_region"].RecordClass(
        instrument="HSC", visit=11690, detector=1, region=small
    )
    expanded = data_id(instrument="HSC", visit=11690, detector=1).expanded(known)
    assert expanded.region == small
    assert expanded.subset(["visit"]).region == large
    assert expanded.timespan == night
    assert expanded.subset(["detector"]).region is None
    assert expanded.subset(["detector"]).timespan is None


def _angles(*degrees):
    from lsst.sphgeom import Angle

    return [Angle.fromDegrees(angle) for angle in degrees]


def test_the_region_of_a_pixel_needs_no_record():
    pixel = standardize(htm7=140000, universe=UNIVERSE).expanded({"htm7": None})
    assert pixel.region == UNIVERSE.skypix_dimensions["htm7"].pixelization.pixel(140000)
