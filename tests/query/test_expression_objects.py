"""Conditions as objects: what they say, and what they refuse."""

from __future__ import annotations

import astropy.time
import lsst.sphgeom
import pytest

from armillary.butler import Timespan
from armillary.errors import InvalidQueryError, QueryTypeError


@pytest.fixture
def query(butler):
    with butler.query() as query:
        yield query.where(instrument="CamA")


def visits(query, condition) -> list[int]:
    return [data_id["visit"] for data_id in query.where(condition).data_ids("visit").order_by("visit")]


@pytest.mark.parametrize(
    ("make", "text", "expected"),
    [
        (lambda x: (x.visit > 101) & (x.visit < 104), "(visit > 101 AND visit < 104)", [102, 103]),
        (lambda x: (x.visit < 101) | (x.visit > 105), "(visit < 101 OR visit > 105)", [100, 106]),
        (lambda x: ~(x.visit == 101), "NOT (visit = 101)", [100, 102, 103, 104, 105, 106]),
        (
            lambda x: ~((x.visit == 101) | (x.visit > 103)) & (x.visit.seq_num != 0),
            "(NOT ((visit = 101 OR visit > 103)) AND visit.seq_num != 0)",
            [102, 103],
        ),
        (lambda x: x.visit.region.is_null, "visit.region = NULL", [106]),
        (lambda x: x.exposure.can_see_sky == None, "exposure.can_see_sky = NULL", [105]),  # noqa: E711
        (lambda x: x.visit.name == "it's", 'visit.name = "it\'s"', []),
        (lambda x: x.visit.in_range(101, 104), "visit IN (101..103)", [101, 102, 103]),
        (lambda x: x.visit % 2 == 1, "(visit % 2) = 1", [101, 103, 105]),
    ],
)
def test_conditions_join_and_tell_what_they_say(query, make, text, expected):
    condition = make(query.expression_factory)
    assert str(condition) == text
    assert visits(query, condition) == expected


def test_spatial_conditions_may_stand_anywhere(query):
    x = query.expression_factory
    here = x.visit.region.overlaps(lsst.sphgeom.LonLat.fromDegrees(10, -5))
    assert visits(query, here) == [100, 101]
    assert visits(query, here | (x.visit == 104)) == [100, 101, 104]
    assert visits(query, ~here & (x.visit < 104)) == [102, 103]


def test_values_without_a_written_form_are_bound(query):
    x = query.expression_factory
    midnight = astropy.time.Time("2020-01-02T00:00:00", scale="tai", format="isot")
    text, binds = x.visit.timespan.overlaps(Timespan(None, midnight)).compiled()
    assert text == "visit.timespan OVERLAPS :value1"
    assert list(binds.values()) == [Timespan(None, midnight)]
    assert visits(query, x.visit.timespan.begin > midnight) == [104, 105, 106]


def test_python_words_between_conditions_are_refused(query):
    x = query.expression_factory
    for wrong in (lambda: (x.visit > 1) and (x.visit < 3), lambda: not x.visit, lambda: 1 < x.visit < 3):
        with pytest.raises(QueryTypeError, match="neither true nor false before a query runs; instead of `and`"):
            wrong()


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda q, x: x.vist, AttributeError, "no dimension element is called `vist`; did you mean `visit`?"),
        (lambda q, x: x.visit.expo_time, AttributeError, "`visit` has no field `expo_time`"),
        (lambda q, x: x["raw"].when, AttributeError, "datasets have no field `when`; they have collection"),
        (lambda q, x: q.where(x.exposure.can_see_sky), QueryTypeError, "or use `.as_boolean()`"),
        (lambda q, x: x.all(x.visit > 1, x.detector), QueryTypeError, "`detector` is no condition"),
        (lambda q, x: x.visit == (x.detector > 1), QueryTypeError, "`detector > 1` is a condition, not a value"),
        (lambda q, x: q.where(True), QueryTypeError, "`True` is neither an expression nor a data ID"),
        (lambda q, x: x.visit.in_range(3, 1), InvalidQueryError, "a range goes upwards, not from `3` to `1`"),
        (lambda q, x: q.where(x.visit == object()).data_ids("visit").any(), QueryTypeError, "none of what an"),
        (lambda q, x: list(q.data_ids("visit").order_by(x.visit.region)), InvalidQueryError, "a region has no order"),
        (
            lambda q, x: list(q.data_ids("visit").order_by(x.visit + x.literal(object()))),
            InvalidQueryError,
            "values that have no written form",
        ),
    ],
)
def test_mistakes_are_named(query, wrong, error, message):
    with pytest.raises(error) as caught:
        wrong(query, query.expression_factory)
    assert message in str(caught.value)


def test_results_sort_by_computed_numbers(query):
    x = query.expression_factory
    found = query.data_ids("visit").order_by((x.visit % 3).desc, x.visit.timespan.begin.desc)
    assert [data_id["visit"] % 3 for data_id in found] == [2, 2, 1, 1, 1, 0, 0]
    assert [data_id["visit"] for data_id in found][:2] == [104, 101]


def test_names_are_listed_for_completion(query):
    x = query.expression_factory
    assert {"visit", "htm7"} <= set(dir(x))
    assert {"exposure_time", "region"} <= set(dir(x.visit))
    assert "ingest_date" in dir(x["raw"])
