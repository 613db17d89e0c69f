"""Fields of records in data IDs of queries, and values of binds that are lists, arrays, or nothing."""

from __future__ import annotations

import operator

import numpy as np
import pytest

from armillary.errors import (
    DataIdValueError,
    DimensionNameError,
    DimensionValueError,
    EmptyQueryResultError,
    InvalidQueryError,
    QueryTypeError,
)

A = {"instrument": "CamA"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"detector.full_name": "R0_S1"}, [1]),
        ({"detector": "R0_S1"}, [1]),
        ({"detector": "2"}, [2]),
        ({"raft": "R1", "name_in_raft": "S0"}, [2]),
        ({"detector.raft": "R1"}, [2, 3]),
    ],
)
def test_fields_stand_for_keys(butler, fields, expected):
    found = butler.query_data_ids("detector", **A, **fields)
    assert sorted(data_id["detector"] for data_id in found) == expected
    refs = butler.query_datasets("calexp", "run1", data_id={**A, "visit": 100, **fields})
    assert sorted(ref.dataId["detector"] for ref in refs) == expected


def test_an_exposure_is_found_by_day_and_number(butler):
    where = {"exposure.day_obs": 20200101, "exposure.seq_num": 2, "detector": 1}
    (ref,) = butler.query_datasets("raw", "raw/a", data_id={**A, **where})
    assert ref == butler.find_dataset("raw", {**A, **where}, collections="raw/a")
    assert ref.dataId["exposure"] == 102


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"raftt": "R1"}, DimensionNameError, "no dimension is called `raftt`"),
        ({"detector.raftt": "R1"}, InvalidQueryError, "did you mean `detector.raft`?"),
        ({"raft": 1}, InvalidQueryError, "`=` does not go between `raft`, text, and an integer"),
        ({"detector.id": "x"}, InvalidQueryError, "`detector.id`, an integer, and text"),
        ({"detector": "nope"}, EmptyQueryResultError, "no rows satisfy `detector = 'nope'`"),
    ],
)
def test_mistakes_in_fields_are_named(butler, fields, error, message):
    with pytest.raises(error) as caught:
        butler.query_data_ids("detector", **A, **fields)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("call", "args", "options"),
    [
        ("query_datasets", ("calexp", "run1"), {"findFirst": "find_first", "dataId": "data_id", "explane": "explain"}),
        ("query_data_ids", ("detector",), {"orderBy": "order_by", "with_dimension_record": "with_dimension_records"}),
        ("query_dimension_records", ("detector",), {"limits": "limit", "order": "order_by"}),
        ("query_all_datasets", ("run1",), {"findFirst": "find_first"}),
        ("registry.queryDatasets", ("calexp",), {"find_first": "findFirst", "data_id": "dataId"}),
        ("registry.queryDataIds", ("detector",), {"binds": "bind"}),
        ("registry.queryDimensionRecords", ("detector",), {"wher": "where"}),
    ],
)
@pytest.mark.parametrize("value", [False, "detector", 1])
def test_a_misspelt_option_of_a_query_is_no_dimension(butler, call, args, options, value):
    for name, near in options.items():
        with pytest.raises(DimensionNameError) as caught:
            operator.attrgetter(call)(butler)(*args, **A, **{name: value})
        own = call.rpartition(".")[2]
        assert str(caught.value) == f"`{own}` has no option `{name}`; did you mean `{near}`?"


@pytest.mark.parametrize(
    ("call", "name", "near"),
    [
        ("get", "storage_class", "storageClass"),
        ("get", "collection", "collections"),
        ("getDeferred", "parameter", "parameters"),
        ("find_dataset", "storageClass", "storage_class"),
        ("exists", "fullCheck", "full_check"),
        ("getURIs", "predicted", "predict"),
    ],
)
def test_a_misspelt_option_of_a_call_for_one_dataset_is_no_dimension(butler, call, name, near):
    with pytest.raises(DimensionValueError) as caught:
        getattr(butler, call)("calexp", **A, visit=100, detector=0, **{name: "run1"})
    assert str(caught.value) == f"`{call}` has no option `{name}`; did you mean `{near}`?"


def test_properties_of_datasets_are_no_misspelt_options(butler):
    refs = butler.query_datasets("calexp", ["run1", "run2"], **A, visit=100, run="run1")
    assert {ref.run for ref in refs} == {"run1"}


def test_a_value_of_what_is_no_dimension_is_not_called_one(butler):
    with pytest.raises(QueryTypeError, match=r"`False` cannot be a value of `unheard_of`; give an integer or a string"):
        butler.query_data_ids("detector", **A, unheard_of=False)


@pytest.mark.parametrize(
    ("where", "value", "expected"),
    [
        ("exposure IN (:x)", np.array([100, 101]), [100, 101]),
        ("exposure IN (:x)", range(100, 103), [100, 101, 102]),
        ("exposure IN (:x)", [], []),
        ("exposure.can_see_sky = :x", None, [105]),
        ("exposure.exposure_time IN (:x)", [None, 31.0], [101, 103]),
        ("exposure.exposure_time IN (:x)", np.array([30.0, 31.0]), [100, 101]),
        ("exposure = :x", np.int64(101), [101]),
    ],
)
def test_binds_hold_lists_arrays_and_nothing(butler, where, value, expected):
    found = butler.query_data_ids("exposure", where=where, bind={"x": value}, explain=False, **A)
    assert sorted(data_id["exposure"] for data_id in found) == expected


@pytest.mark.parametrize(
    "given",
    [
        {"exposure": 102, "detector": 1},
        {"visit": 102, "detector": 1},
        {"exposure": "o102", "detector": "R0_S1"},
        {"exposure.day_obs": 20200101, "exposure.seq_num": 2, "detector": 1},
        {"day_obs": 20200101, "seq_num": 2, "raft": "R0", "name_in_raft": "S1"},
    ],
)
def test_an_observation_says_which_flat(butler, given):
    """Its filter is implied; no other key of a flat tells it."""
    (exposure,) = butler.query_dimension_records("exposure", exposure=102, **A)
    found = butler.find_dataset("flat", {**A, **given}, collections="calib")
    expected = {**A, "detector": 1, "physical_filter": exposure.physical_filter}
    assert found is not None and dict(found.dataId.required) == expected
    assert found == butler.find_dataset("flat", expected, collections="calib/run")


def test_an_observation_says_which_of_two_biases(butler):
    early, late = (
        butler.find_dataset("bias", {**A, "day_obs": day, "seq_num": number, "detector": 1}, collections="calib")
        for day, number in [(20200101, 0), (20200102, 7)]
    )
    assert early.run == "calib/run"
    assert late.run == "calib/run2"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"detector": 1, "band": "g"}, DimensionNameError, "lacks `physical_filter`"),
        ({"detector": 1, "exposure": 999}, DataIdValueError, "has no `exposure` record"),
        ({"detector": 1, "seq_num": 99}, DataIdValueError, "no `exposure` has seq_num=99"),
        (
            {"detector": 1, "seq_numb": 2},
            DimensionValueError,
            "`seq_numb` is neither a dimension of `flat` nor",
        ),
    ],
)
def test_mistakes_in_data_ids_of_calibrations_are_named(butler, given, error, message):
    with pytest.raises(error) as caught:
        butler.find_dataset("flat", {**A, **given}, collections="calib")
    assert message in str(caught.value)
