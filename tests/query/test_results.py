"""What answers are: lazy sequences over columns, each row once, explained when there is none."""

from __future__ import annotations

import pytest

from armillary.errors import InvalidQueryError

A = {"instrument": "CamA"}


def test_a_result_is_a_sequence(engine):
    found = engine.data_ids(["visit"], data_id=A, order_by=["visit"])
    assert len(found) == 7
    assert found[0]["visit"] == 100 and found[-1]["visit"] == 106
    assert [data_id["visit"] for data_id in found[1:6:2]] == [101, 103, 105]
    assert [data_id["visit"] for data_id in found[::-3]] == [106, 103, 100]
    assert list(found) == list(found)
    with pytest.raises(IndexError):
        found[7]


def test_columns_come_without_objects(engine):
    columns = engine.datasets("calexp", ["run1"], data_id=A, order_by=["visit", "detector"]).columns()
    assert list(columns) == [
        "instrument", "detector", "visit", "band", "day_obs", "physical_filter", "dataset_id", "run",
    ]  # fmt: skip
    assert columns["visit"][:5] == [100, 100, 100, 100, 102]
    assert set(columns["run"]) == {"run1"}


def test_records_come_once_and_are_shared(engine):
    found = engine.data_ids(["visit", "detector"], data_id=A, with_records=True, order_by=["visit", "detector"])
    first, second = found[0], found[1]
    assert first.records["visit"].exposure_time == 30.0
    assert first.records["visit"] == second.records["visit"]
    assert first.records["detector"].full_name == "R0_S0"
    assert first.records["band"].name == first["band"]
    missing = next(d for d in found if (d["visit"], d["detector"]) == (102, 1))
    assert missing.records["visit_detector_region"] is None


def test_data_ids_of_a_repository_have_all_values(engine):
    assert all(data_id.hasFull() for data_id in engine.data_ids(["exposure"]))


def test_find_first_takes_the_first_collection(engine):
    runs = {(r.dataId["visit"], r.dataId["detector"]): r.run for r in engine.datasets("calexp", ["run1", "run2"])}
    assert runs[100, 0] == "run1" and runs[101, 0] == "run2"
    runs = {(r.dataId["visit"], r.dataId["detector"]): r.run for r in engine.datasets("calexp", ["run2", "run1"])}
    assert runs[100, 0] == "run2" and runs[102, 0] == "run1"


def test_find_first_refuses_patterns(engine):
    with pytest.raises(InvalidQueryError, match=r"the pattern `run\*` gives collections no order"):
        engine.datasets("calexp", ["run*"])
    assert len(engine.datasets("calexp", ["run*"], find_first=False)) == 82


@pytest.mark.parametrize("limit", [0, 1, 5, 100])
@pytest.mark.parametrize("offset", [0, 3, 1000])
def test_count_is_the_length(engine, limit, offset):
    for collections in (["run1"], ["chain"]):
        arguments = {"data_id": A, "limit": limit, "offset": offset}
        found = engine.datasets("calexp", collections, **arguments)
        assert engine.datasets("calexp", collections, **arguments, mode="count") == len(found)
    where = "tract = 0 AND skymap = 'skyA'"
    found = engine.data_ids(["visit"], where=where, data_id=A, limit=limit, offset=offset)
    assert engine.data_ids(["visit"], where=where, data_id=A, limit=limit, offset=offset, mode="count") == len(found)


def test_limited_rows_are_the_first_of_the_sorted_ones(engine):
    arguments = {"data_id": A, "order_by": ["-visit", "detector"]}
    whole = list(engine.datasets("calexp", ["chain"], **arguments))
    assert list(engine.datasets("calexp", ["chain"], **arguments, limit=4, offset=3)) == whole[3:7]


def test_any_looks_for_one_row(engine):
    assert engine.data_ids(["visit"], data_id=A, mode="any")
    assert not engine.data_ids(["visit"], where="visit = 999", data_id=A, mode="any")


def test_chosen_columns_stand_beside_the_data_id(engine):
    rows = engine.general(
        ["visit"],
        ["visit.exposure_time", "visit_summary.run", "visit.timespan"],
        joins=[("visit_summary", ["run3"])],
        data_id=A,
        order_by=["visit"],
    )
    assert len(rows) == 7
    assert rows[1]["visit"] == 101
    assert rows[1]["visit.exposure_time"] == 31.0
    assert rows[1]["visit_summary.run"] == "run3"
    assert rows[1]["visit.timespan"].nsec[0] == 1_577_912_400_000_000_000


def test_given_data_ids_narrow_a_query(engine):
    given = [(["instrument", "visit"], [["CamA", 101], ["CamB", 203], ["CamB", 999], ["Cam'X", 1]])]
    found = engine.data_ids(["visit"], uploads=given)
    assert sorted((d["instrument"], d["visit"]) for d in found) == [("CamA", 101), ("CamB", 203)]
    assert len(engine.data_ids(["visit"], uploads=[(["instrument", "visit"], [])])) == 0


def test_defaults_hold_until_something_else_is_said(engine):
    defaults = {"instrument": "CamA"}
    assert len(engine.data_ids(["detector"], defaults=defaults)) == 4
    assert len(engine.data_ids(["detector"], defaults=defaults, where="detector = 1")) == 1
    assert len(engine.data_ids(["detector"], defaults=defaults, where="instrument = 'CamB'")) == 2
    assert len(engine.data_ids(["detector"], defaults=defaults, where="instrument IN ('CamA', 'CamB')")) == 6


def test_several_clauses_all_hold(engine):
    found = engine.data_ids(["visit"], where=["visit > 101", "visit < 104"], data_id=A)
    assert sorted(d["visit"] for d in found) == [102, 103]


@pytest.mark.parametrize(
    ("arguments", "reasons"),
    [
        (
            {"where": "detector = 77"},
            ["no rows satisfy `detector = 77`; the nearest value of `detector` is `3`, and all are from `0` to `3`"],
        ),
        (
            {"where": "visit = 104 AND exposure.seq_num = 5"},
            ["no rows satisfy `exposure.seq_num = 5` together with `instrument = 'CamA'` and `visit = 104`"],
        ),
    ],
)
def test_an_empty_answer_is_explained(engine, arguments, reasons):
    assert engine.data_ids(["visit"], data_id=A, **arguments, mode="explain") == reasons


def test_an_unknown_governor_is_explained_by_the_known_ones(engine):
    reasons = engine.data_ids(["visit"], where="instrument = 'Nope' AND detector = 1", mode="explain")
    assert reasons == ["no rows satisfy `instrument = 'Nope'`; known values of `instrument` are `CamA`, `CamB`"]


def test_a_search_that_cannot_find_anything_is_explained_without_looking(engine):
    found = engine.datasets("raw", ["tag"])
    assert len(found) == 0
    assert found.reasons == [
        "no dataset of type `raw` can be found in [`tag`]",
        "no datasets of type `raw` in collection `tag`",
    ]
    reasons = engine.datasets("raw", ["raw/a"], data_id={"instrument": "CamB"}, mode="explain")
    assert reasons[1] == "no datasets with instrument='CamB' in collection `raw/a`"
    assert engine.datasets("calexp", [], mode="explain")[1] == "there are no collections to look into"


def test_results_outlive_changes_of_the_repository(butler):
    found = butler.query_data_ids(["visit"], instrument="CamA")
    assert len(found) == 7


def test_a_result_without_dimensions_has_one_row_or_none(engine):
    numbers = set()
    for visit in (*range(100, 107), 999):
        where = f"instrument = 'CamA' AND skymap = 'skyA' AND tract >= 0 AND visit = {visit}"
        overlaps = len(engine.data_ids(["visit", "tract"], where=where))
        assert len(list(engine.data_ids([], where=where))) == min(overlaps, 1)
        numbers.add(min(overlaps, 1))
    assert numbers == {0, 1}
