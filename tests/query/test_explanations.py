"""Why a query finds nothing, or much: conditions and searches one by one, what there is instead, and what to do."""

from __future__ import annotations

import pytest

from armillary.errors import EmptyQueryResultError

A = "instrument = 'CamA'"


def reasons(call) -> list[str]:
    with pytest.raises(EmptyQueryResultError) as caught:
        call()
    return str(caught.value).splitlines()[1:]


@pytest.mark.parametrize(
    ("dataset_type", "collections", "where", "expected"),
    [
        (
            "calexp",
            "run1",
            f"{A} AND visit = 101",
            "4 data IDs of instrument, detector, visit meet the conditions, but none has `calexp` in `run1`; "
            "there are some in `run2` (4), `run3` (4), `tag` (1): search `run2`",
        ),
        (
            "visit_summary",
            "run3",
            f"{A} AND visit = 100 AND detector = 77",
            "no rows satisfy `detector = 77`; the nearest value of `detector` is `3`, and all are from `0` to `3`",
        ),
        (
            "calexp",
            "run1",
            f"{A} AND visit = 100 AND run = 'nope'",
            "no rows satisfy `run = 'nope'` together with a `calexp` in `run1`",
        ),
        (
            "calexp",
            "run1",
            f"{A} AND skymap = 'skyA' AND tract = 2 AND visit < 102",
            "no rows satisfy `visit < 102` together with `instrument = 'CamA'` and `skymap = 'skyA'` and `tract = 2`",
        ),
        (
            "bias",
            "calib/run2",
            "instrument = 'CamB'",
            "no dataset of type `bias` can be found in [`calib/run2`]",
        ),
    ],
)
def test_the_first_thing_that_leaves_nothing_is_named(butler, dataset_type, collections, where, expected):
    found = reasons(lambda: butler.query_datasets(dataset_type, collections, where=where))
    assert found[0] == expected


def test_a_search_that_cannot_succeed_says_where_it_could(butler):
    assert reasons(lambda: butler.query_datasets("raw", "tag"))[-1] == (
        "`raw` datasets are in `raw/a`, `raw/b`: search there"
    )
    assert reasons(lambda: butler.query_datasets("empty_type", "run1"))[-1] == "no collection has any `empty_type`"


@pytest.mark.parametrize(
    ("dimension", "where", "expected"),
    [
        (
            "visit",
            "instrument = 'CamB' AND visit = 100",
            "`visit = 100`; the nearest value of `visit` is `200`, and all",
        ),
        ("visit", f"{A} AND visit > 99999999", "`visit > 99999999`; all values of `visit` are from `100` to `106`"),
        ("visit", f"{A} AND visit IN (7, 8)", "`visit IN (7, 8)`; all values of `visit` are from `100` to `106`"),
        ("visit", f"{A} AND visit.id < 99.5", "`visit.id < 99.5`; all values of `visit` are from `100` to `106`"),
        ("detector", "instrument = 'CamB' AND detector = 9", "`detector` is `1`, and all are from `0` to `1`"),
        ("day_obs", f"{A} AND day_obs = 2020", "the nearest value of `day_obs` is `20200101`, and all are from"),
        ("visit", f"{A} AND visit = 103 AND visit = 104", "`visit = 104` together with"),
        (
            "physical_filter",
            f"{A} AND physical_filter = 'a-g2'",
            "`physical_filter = 'a-g2'`; did you mean `a-g`?",
        ),
        (
            "physical_filter",
            f"{A} AND physical_filter = 'zzz'",
            "`physical_filter = 'zzz'`; known values of `physical_filter` are `a-g`, `a-i`, `a-r`, ...",
        ),
        ("physical_filter", "instrument = 'CamB' AND band = 'g'", "known values of `band` are `r`, `z`"),
        ("visit", "instrument = 'CamC'", "known values of `instrument` are `CamA`, `CamB`"),
    ],
)
def test_what_there_is_instead_is_told(butler, dimension, where, expected):
    (reason,) = reasons(lambda: butler.query_data_ids(dimension, where=where))
    assert expected in reason


def test_joins_that_find_nothing_are_named(butler):
    results = butler.registry.queryDataIds(["visit", "detector"], datasets="calexp", collections="run1", where=A)
    assert results.explain_no_results() == []
    (reason,) = results.where("visit = 101").explain_no_results()
    assert "none has `calexp` in `run1`; there are some in `run2` (4)" in reason


def test_a_funnel_tells_what_each_step_leaves(butler):
    results = butler.registry.queryDatasets(
        "calexp", collections=["run1", "run2"], findFirst=True, where=f"{A} AND visit < 103 AND run = 'run1'"
    )
    assert results.explain() == [
        ("all data IDs of instrument, detector, visit", 42),
        ("`instrument = 'CamA'`", 28),
        ("`visit < 103`", 12),
        ("a `calexp` in `run1`, `run2`", 12),
        ("`run = 'run1'`", 8),
        ("datasets, the first of each data ID", results.count()),
    ]


def test_a_funnel_of_records_and_of_types(butler):
    records = butler.registry.queryDimensionRecords("detector", where=f"{A} AND detector > 1")
    assert [count for _, count in records.explain()] == [6, 4, 2, 2]
    several = butler.registry.queryDatasets(["raw", "config"], collections="*")
    assert [text for text, _ in several.explain()][-1] == "datasets"


def test_datasets_of_pixels_that_no_condition_meets_are_explained(butler):
    """Nothing but the datasets says which pixels there are."""
    with pytest.raises(EmptyQueryResultError, match=r"conditions on htm7 are given, but none has `ref_cat` in"):
        butler.query_datasets("ref_cat", "refs", where="htm7 IN (77, 77..103)")
    with pytest.raises(EmptyQueryResultError, match="`htm7 = 77`; pixels of `htm7` have the numbers 131072 to 262143"):
        butler.query_datasets("ref_cat", "refs", data_id={"htm7": 77})


def test_a_funnel_begins_where_something_says_which_pixels_there_are(butler):
    results = butler.registry.queryDatasets("ref_cat", collections="refs")
    number = results.count()
    assert results.explain() == [("a `ref_cat` in `refs`", number), ("datasets", number)]
    assert number > 0
