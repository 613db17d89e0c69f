"""Timespans: bounds, set operations, printing and times of astropy."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import armillary
from armillary._core import Timespan
from armillary.errors import DimensionValueError

MAXIMUM = 4102444800000000000
bounds = st.one_of(st.integers(0, MAXIMUM), st.sampled_from([0, 1, MAXIMUM - 1, MAXIMUM]), st.integers(10, 20))
spans = st.tuples(bounds, bounds).map(lambda pair: Timespan(None, None, _nsec=pair))


def span(begin, end):
    return Timespan(None, None, _nsec=(begin, end))


def time(text, scale="tai"):
    from astropy.time import Time

    return Time(text, scale=scale)


def test_vectors_of_the_format(shared_path):
    for vector in json.loads(shared_path("contract-fixtures", "vectors", "timespans.json").read_text()):
        if vector["nsec"] is not None:
            made = span(*vector["nsec"])
            assert list(made.nsec) == vector["nsec"]
            assert json.loads(made.model_dump_json()) == vector.get("json", vector["nsec"])
            assert Timespan.model_validate_json(made.model_dump_json()) == made


def test_bounds_from_times():
    assert Timespan(time("2025-01-01T00:00:00", "utc"), None).nsec == (1735689637000000000, MAXIMUM)
    assert Timespan(time("2025-01-01"), time("2025-01-02")).nsec == (1735689600000000000, 1735776000000000000)
    assert Timespan(None, time("2025-02-01")).nsec == (0, 1738368000000000000)
    assert Timespan(time("2025-01-01"), time("2025-01-01")).nsec == (1735689600000000000, 1735689600000000001)
    assert Timespan(time("2025-01-02"), time("2025-01-01")).isEmpty()
    assert Timespan(time("2025-01-02"), Timespan.EMPTY) == Timespan.makeEmpty()
    assert Timespan.fromInstant(time("2025-01-01")).nsec == (1735689600000000000, 1735689600000000001)
    assert Timespan(time("1960-01-01"), time("2960-01-01")) == Timespan(None, None)


def test_times_come_back():
    begin, end = time("2025-01-03T12:00:00.123456789"), time("2099-12-31T23:59:59.999999999")
    made = Timespan(begin, end)
    assert Timespan(made.begin, made.end) == made
    assert (made.begin.scale, made.begin.isot) == ("tai", "2025-01-03T12:00:00.123")
    assert Timespan(None, end).begin is None
    assert Timespan.makeEmpty().end is Timespan.EMPTY
    assert eval(repr(made), {"Timespan": Timespan, "astropy": __import__("astropy.time")}) == made


@given(st.integers(1, MAXIMUM - 1))
def test_every_nanosecond_survives_astropy(nanoseconds):
    made = Timespan(None, None, _nsec=(nanoseconds, MAXIMUM))
    assert Timespan(made.begin, None) == made


@given(spans, spans)
def test_set_operations_agree_with_sets_of_nanoseconds(a, b):
    (a0, a1), (b0, b1) = a.nsec, b.nsec
    common = max(0, min(a1, b1) - max(a0, b0)) if not a.isEmpty() and not b.isEmpty() else 0
    assert a.overlaps(b) == b.overlaps(a) == (common > 0)
    shared = a.intersection(b)
    assert shared == b.intersection(a)
    assert (0 if shared.isEmpty() else shared.nsec[1] - shared.nsec[0]) == common
    rest = list(a.difference(b))
    assert sum(piece.nsec[1] - piece.nsec[0] for piece in rest) == (0 if a.isEmpty() else a1 - a0) - common
    assert all(not piece.isEmpty() and a.contains(piece) and not piece.overlaps(b) for piece in rest)
    assert a.contains(b) == (b.isEmpty() or shared == b)
    assert (a < b) == (b > a) == (not a.isEmpty() and not b.isEmpty() and a1 <= b0)
    assert (a == b) == (a.nsec == b.nsec)
    assert a != b or hash(a) == hash(b)
    assert pickle.loads(pickle.dumps(a)) == a


def test_instants_are_times():
    night = Timespan.from_day_obs(20250101)
    assert night.contains(night.begin)
    assert not night.contains(night.end)
    assert night.overlaps(night.begin)
    assert night < night.end
    assert not night > night.begin


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (span(1416315442000000000, 1416315742000000000), "[2014-11-18T12:57:22, 2014-11-18T13:02:22)"),
        (span(0, MAXIMUM), "(-∞, ∞)"),
        (span(5, 4), "(empty)"),
        (span(1483228836999999999, MAXIMUM), "[2017-01-01T00:00:37, ∞)"),
        (span(0, 951868799999000000), "(-∞, 2000-02-29T23:59:59)"),
    ],
)
def test_prints_without_astropy(made, text):
    assert str(made) == text


def test_printing_and_comparing_import_nothing():
    code = (
        "import sys; from armillary._core import Timespan; a = Timespan.from_day_obs(20250101)\n"
        "str(a), repr(a), a.nsec, a < a, a.overlaps(a), hash(a)\n"
        "try: a.overlaps(3)\nexcept TypeError: pass\n"
        "assert not [m for m in sys.modules if m.startswith(('astropy', 'numpy'))]"
    )
    root = str(Path(armillary.__file__).parents[1])
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": root})


@pytest.mark.parametrize("day", [0, 19691231, 20250229, 20251301, 20250100, 21000101, -20250101, 2025])
def test_days_that_are_none_are_refused(day):
    with pytest.raises(DimensionValueError, match="YYYYMMDD"):
        Timespan.from_day_obs(day)


def test_nights_begin_when_asked():
    assert Timespan.from_day_obs(20250101, offset=43200).nsec == (1735732800000000000, 1735819200000000000)
    assert Timespan.from_day_obs(20240229) < Timespan.from_day_obs(20240301)


@pytest.mark.parametrize("bound", [3, "2025-01-01", 1.5, [], object()])
def test_other_bounds_are_refused(bound):
    with pytest.raises(TypeError, match="astropy"):
        Timespan(bound, None)
    with pytest.raises(TypeError):
        span(1, 2).overlaps(bound)
    assert span(1, 2) != bound


def test_arrays_of_times_are_refused():
    with pytest.raises(ValueError, match="several times"):
        Timespan(time(["2025-01-01", "2025-01-02"]), None)


def test_future_times_warn_nobody():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy's own, at making the time
        future = time("2080-01-01", "utc")
    assert Timespan(future, None).nsec == (3471292837000000000, MAXIMUM)


@pytest.mark.parametrize("bad", [None, [1], [1, 2, 3], "x", {"a": 1}])
def test_bad_json_is_refused(bad):
    with pytest.raises((ValueError, TypeError)):
        Timespan.model_validate(bad)


def test_a_masked_time_is_refused():
    import numpy as np

    times = time(["2025-01-01", "2025-01-02"])
    times[0] = np.ma.masked
    with pytest.raises(ValueError, match="not a time"):
        Timespan(times[0], None)
    with pytest.raises(ValueError, match="not a time"):
        Timespan(None, None).overlaps(times[0])
