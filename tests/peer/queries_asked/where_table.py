"""Every row of the `where` language: literals, times, ranges, functions, values of binds of every type, and names.

The repository is that of `two_instruments`; `rows()` gives queries for `runner`.
"""

from __future__ import annotations

import itertools
from typing import Any

import lsst.sphgeom as sphgeom
from astropy.time import Time

A = {"instrument": "CamA"}
COLUMNS = {
    "integer": "exposure",
    "text": "exposure.target_name",
    "real": "exposure.exposure_time",
    "truth": "exposure.can_see_sky",
    "moment": "exposure.timespan.begin",
    "span": "exposure.timespan",
    "region": "visit.region",
    "id": "calexp.dataset_id",
}

CIRCLE = sphgeom.Circle(sphgeom.UnitVector3d(sphgeom.LonLat.fromDegrees(10, -5)), sphgeom.Angle.fromDegrees(0.3))
ELLIPSE = sphgeom.Ellipse(
    sphgeom.UnitVector3d(sphgeom.LonLat.fromDegrees(10, -5)),
    sphgeom.Angle.fromDegrees(0.3),
    sphgeom.Angle.fromDegrees(0.2),
    sphgeom.Angle(0.1),
)
MOMENT = "2020-01-01T22:00:00"

VALUES: tuple[Any, ...] = (
    101, -1, 0, 2**31, 2**63 - 1, 101.0, 32.0, 0.5, True, False, None, "f1", "", "101", "it's", "101.0",
    {"$bytes": "00ff"}, {"$uuid": "00000000000000000000000000000001"}, {"$time": MOMENT},
    {"$time": [MOMENT, MOMENT]}, {"$datetime": MOMENT}, {"$datetime": f"{MOMENT}+00:00"}, {"$date": "2020-01-01"},
    {"$timespan": [None, MOMENT]}, {"$timespan": [MOMENT, None]}, {"$timespan": [None, None]},
    {"$timespan": [MOMENT, "2020-01-01T21:00:00"]},
    {"$region": "CIRCLE 10 -5 0.3"}, {"$region": "RANGE 9 11 -6 -4"}, {"$region": "POLYGON 10 -5 11 -5 11 -4"},
    {"$encoded": CIRCLE.encode().hex()}, {"$encoded": ELLIPSE.encode().hex()},
    {"$encoded": sphgeom.UnionRegion(CIRCLE, ELLIPSE).encode().hex()},
    {"$encoded": sphgeom.IntersectionRegion(CIRCLE, ELLIPSE).encode().hex()},
    {"$lonlat": [10, -5]}, {"$sky": [10, -5]}, {"$sky": [[10, 11], [-5, -5]]}, {"$vector": [10, -5]},
    {"$numpy": ["int64", 101]}, {"$numpy": ["uint8", 101]}, {"$numpy": ["float32", 32.0]},
    {"$numpy": ["float64", 32.0]}, {"$numpy": ["str_", "f1"]}, {"$numpy": ["bool_", True]},
    {"$numpy": ["array", 101]}, {"$numpy": ["array", [101, 102]]}, {"$numpy": ["array", ["f0", "f1"]]},
    {"$numpy": ["datetime64", MOMENT]}, {"$range": [100, 103]}, {"$range": [103, 100]},
    [101, 102], [], [101, "f1"], ["f1"], [32.0, 101], [None], [[101]], {"$tuple": [101, 102]}, {"$set": [101, 102]},
    {"$tuple": []}, [{"$time": MOMENT}], [{"$uuid": "00000000000000000000000000000001"}], {"a": 1},
)  # fmt: skip

LITERALS = (
    "101", "101.", "1.01e2", "101.5", "+101", "-101", "- -101", "1E2", "1e", "1_0", "0101", ".1", "1e400", "1e-400",
    "'f1'", "''", "' f1'", "'F1'", "'it''s'", "'tab\t'", "'é'", '"f1"', "NULL", "null", "Null", "TRUE", "true", "None",
    "UUID('00000000000000000000000000000001')", "UUID('00000000-0000-0000-0000-000000000001')", "UUID('x')", "UUID(1)",
    "uuid('00000000000000000000000000000001')", f"T'{MOMENT}'", f"t'{MOMENT}'", f"T '{MOMENT}'", "(101)", "((101))",
    "100 + 1", "202 / 2", "101 % 200", "(100, 101)", "exposure", "exposure.id", "visit", "1..3", "POINT(10, -5)",
)  # fmt: skip

LISTS = (
    "(100)", "(100, 101)", "(100,)", "()", "(100..102)", "(100 .. 102)", "(100..106:2)", "(100 .. 106 : 2)",
    "(100..106:1)", "(100..106:0)", "(100..106:-2)", "(106..100)", "(101..101)", "(-2..101)", "(-5..-1:2)",
    "(100..102, 104)", "(100..101, 104..106:2)", "(100...102)", "(1.0..3)", "(100..102..104)", "('a'..'c')", "100",
    "100..102", "(100, 'f1')", "('f0', 'f1')", "(100.0, 101)", "(NULL)", "(100, NULL)", "(null, 100)", "(100 + 1)",
    "(-100)", "(+100)", "(exposure)", "(exposure.id)", "((100, 101))", "(T'2020-01-01')", "(:x)", "(:x, 104)",
    "(:x, :x)", "(x)", "(100..:x)", "(UUID('00000000000000000000000000000001'))", "(POINT(10, -5))",
)  # fmt: skip

CONDITIONS = (
    "", " ", "()", "exposure = 101", "exposure=101", "exposure\n=\t101", "(exposure = 101)",
    "exposure = 101 and visit = 101", "exposure = 101 AnD visit = 101", "exposure = 101 or exposure = 102",
    "not exposure = 101", "NOT (exposure = 101)", "NOT exposure = 101 AND exposure = 101",
    "exposure = 101 OR exposure = 102 AND exposure = 103", "(exposure = 101 OR exposure = 102) AND exposure = 102",
    "NOT NOT exposure = 101", "exposure NOT IN (101)", "NOT exposure IN (101)", "exposure not in (101)",
    "exposure in (101)", "exposure IN (101) = exposure IN (102)", "101 IN (101)", "101 IN (exposure)",
    "exposure + 1 IN (102)", "exposure < 102 = 1", "(exposure < 102) = (exposure > 1)", "exposure != 101",
    "exposure <= 101", "exposure >= 101", "exposure => 101", "exposure == 101", "exposure <> 101", "exposure ! 101",
    "exposure && 101", "exposure = 101 | exposure = 102", "exposure = 1 + 2 * 50", "exposure = (1 + 1) * 51",
    "exposure - 1 - 1 = 100", "exposure / 2 / 2 = 26", "exposure % 3 % 2 = 1", "-exposure % 3 = -2",
    "- -exposure = 102", "exposure / 0 = 1", "exposure % 0 = 1", "exposure.exposure_time % 3 = 1",
    "exposure.exposure_time / 2 = 16", "exposure.exposure_time * exposure.dark_time > 1000",
    "exposure.target_name + 'a' = 'f1a'", "exposure + 'a' = 1", "exposure.target_name < 'f1'",
    "exposure.target_name >= 'f1'", "'f0' < exposure.target_name", "exposure.can_see_sky", "NOT exposure.can_see_sky",
    "exposure.can_see_sky = exposure.has_simulated", "exposure.can_see_sky != NULL",
    "exposure.can_see_sky < exposure.has_simulated", "(exposure.can_see_sky)",
    "exposure.can_see_sky AND NOT exposure.has_simulated", "exposure.can_see_sky = NULL OR exposure.has_simulated",
    "exposure", "NOT exposure", "exposure.target_name", "exposure.timespan", "101", "'a'", "NULL", "NOT NULL", "1 = 1",
    "NULL = NULL", "NULL != NULL", "exposure.exposure_time = NULL", "NULL = exposure.exposure_time", "exposure = NULL",
    "exposure.exposure_time < NULL", "exposure.exposure_time != null", "NOT exposure.exposure_time = NULL",
    "GLOB(exposure.target_name, 'f*')", "GLOB(exposure.target_name, '?1')", "GLOB(exposure.target_name, '[f]1')",
    "GLOB(exposure.target_name, 'F*')", "GLOB(exposure.target_name, '')", "GLOB(exposure.target_name, '%')",
    "GLOB(exposure.target_name, '_1')", "GLOB(exposure.target_name, 'f\\1')", "GLOB(exposure.target_name, '*1*')",
    "GLOB(exposure.target_name, :x)", "GLOB(:x, 'f*')", "GLOB('f1', 'f*')", "GLOB(exposure, 'f*')", "GLOB('f*')",
    "GLOB(exposure.target_name, 'f*', 'x')", "glob(exposure.target_name, 'f*')", "NOT GLOB(exposure.target_name, 'f*')",
    "GLOB(exposure.target_name, exposure.target_name)", "GLOB(exposure.target_name, 1)", "GLOB()", "FOO(1)", "foo",
    "GLOB(exposure.target_name, 'f*') = 1", "GLOB(target_name, 'f0')", "target_name = 'f0'", "exposure.name = 'f0'",
    "exposure.exposure = 101", "exposure.instrument = 'CamA'", "instrument.name = 'CamA'", "exposure.detector = 1",
    "exposure.visit = 101", "visit.exposure = 101", "exposure.physical_filter = 'a-r'", "exposure.band = 'r'",
    "physical_filter.band = 'r'", "band.name = 'r'", "band = 'r'", "Band = 'r'", "EXPOSURE = 101", "exposure.ID = 101",
    "exposure.day_obs = 20200101", "day_obs.id = 20200101", "day_obs = 20200101", "exposure.group = 'g101'",
    "group.name = 'g101'", "group = 'g101'", "exposure.timespan.begin.x = 1", "exposure..id = 1", ".exposure = 1",
    "exposure. id = 101", "exposure.timespan.start > T'2020-01-01'", "exposure.region OVERLAPS POINT(10, -5)",
    "region OVERLAPS POINT(10, -5)", "dataset_id = UUID('00000000000000000000000000000001')", "run = 'run1'",
    "collection = 'run1'", "timespan = NULL", "ingest_date > T'2020-01-01'", "calexp.run = 'run1'",
    "nosuch.run = 'run1'", "skymap = 'skyA'", "skymap = 'nope'", "tract = 0", "tract = 0 AND skymap = 'skyA'",
    "skymap = 'skyA' AND patch = 0", "tract = 0 OR skymap = 'skyA'", "instrument = 'CamB'", "instrument = 'Nope'",
    "instrument = :x", "instrument IN ('CamA', 'CamB')", "instrument != 'CamB'", "NOT instrument = 'CamB'",
    "instrument = 'CamA' OR exposure = 101", "instrument > 'A'", "GLOB(instrument, 'Cam*')", "detector = 1",
    "detector.raft = 'R0'", "visit_system = 1", "subfilter = 1", "htm7 = 140000", "htm7 IN (1..5)", "x = 101",
    "exposure = x", "exposure = :x", "exposure = : x", "exposure = :x.y", "exposure = :X", "exposure = :1",
    ":x = exposure", ":x", "NOT :x", ":x = :x", "exposure = :x + 1", "exposure = -:x", "exposure IN :x",
    "exposure = x AND exposure = :x",
)  # fmt: skip

TIME_CONDITIONS = (
    "exposure.timespan OVERLAPS T'2020-01-01T22:05:00/tai'", "exposure.timespan overlaps T'2020-01-01T22:05:00'",
    "T'2020-01-01T22:05:00' OVERLAPS exposure.timespan",
    "exposure.timespan OVERLAPS (T'2020-01-01T21:05:00', T'2020-01-01T22:05:00')",
    "(T'2020-01-01T21:05:00', T'2020-01-01T22:05:00') OVERLAPS exposure.timespan",
    "exposure.timespan OVERLAPS (NULL, NULL)", "exposure.timespan OVERLAPS (NULL, T'2020-01-01T21:05:00')",
    "exposure.timespan OVERLAPS (T'2020-01-01T21:05:00', null)",
    "exposure.timespan OVERLAPS (T'2021-01-01', T'2020-01-01')", "exposure.timespan OVERLAPS exposure.timespan",
    "exposure.timespan OVERLAPS visit.timespan", "exposure.timespan OVERLAPS day_obs.timespan",
    "exposure.timespan OVERLAPS :x", "exposure.timespan OVERLAPS (:x, NULL)", "exposure.timespan OVERLAPS (:x, :x)",
    "exposure.timespan OVERLAPS 5", "exposure.timespan OVERLAPS NULL", "exposure.timespan = NULL",
    "exposure.timespan != NULL", "exposure.timespan = exposure.timespan", "exposure.timespan = visit.timespan",
    "exposure.timespan < exposure.timespan", "exposure.timespan < T'2020-01-01'",
    "exposure.timespan IN (T'2020-01-01', T'2021-01-01')",
    "exposure.timespan.begin IN (T'2020-01-01T21:00:00/tai', T'2020-01-01T22:00:00/tai')",
    "exposure.timespan.begin IN (:x)", "exposure.timespan.begin < exposure.timespan.end",
    "exposure.timespan.begin < day_obs.timespan.end", "exposure.timespan.begin = NULL",
    "exposure.timespan.begin = '2020-01-01'", "exposure.timespan.begin > 58000",
    "exposure.timespan.begin + 1 > T'2020-01-01'", "exposure.timespan OVERLAPS ('2020-01-01', '2021-01-01')",
    "exposure.timespan OVERLAPS (T'2020-01-01', 5)", "NOT exposure.timespan OVERLAPS T'2020-01-01'",
    "exposure.timespan OVERLAPS (T'2020-01-01', T'2021-01-01', T'2022-01-01')",
    "exposure.timespan.begin OVERLAPS T'2020-01-01'", "exposure.timespan OVERLAPS exposure.timespan.begin",
    "exposure.timespan OVERLAPS (exposure.timespan.begin, NULL)",
)  # fmt: skip

TIMES = (
    "2020-01-01", "2020-01-01 22:00", "2020-01-01 22:00:00", "2020-01-01T22:00", "2020-01-01T22:00:00.5",
    "2020-01-01T22", "2020-01", "2020", "20200101", "2020-1-1", "2020-01-01T22:00:00Z", "2020-01-01T22:00:00+00:00",
    "2020-01-01T22:00:00+01:00", "2020-01-01T25:00:00", "2020-02-30", "2020:001:22:00:00", "2020:001",
    "+02020-01-01T22:00:00", "+2020-01-01T22:00:00", "-2020-01-01", "58849.9", "58849.", "58849", "-1.5", "1e5", "",
    " ", " 2020-01-01 ", "now", "2020-01-01/tai", "2020-01-01/utc", "2020-01-01/TAI", "2020-01-01/gmt",
    "2020-01-01 /tai", "2020-01-01/", "/tai", "iso/2020-01-01", "isot/2020-01-01T22:00:00", "isot/2020-01-01 22:00:00",
    "ISO/2020-01-01", "nope/2020-01-01", "mjd/abc", "mjd/58849.9/tai/x", "mjd//tai", "//", "unix/1577916000",
    "jd/2458850.4", "JD/2458850.4", "gps/1261951218", "cxcsec/694303200", "jyear/2020.0", "byear/2020.0",
    "decimalyear/2020.0", "jyear_str/J2020.0", "plot_date/18262.9", "unix_tai/1577916037", "datetime/2020-01-01",
    "ymdhms/2020-01-01", "datetime64/2020-01-01T22:00:00", "fits/2020-01-01T22:00:00", "yday/2020:001:22:00:00",
    "iso/2020-01-01 22:00:00/tai", "mjd/58849.916666666664/utc", "mjd/58849.916666666664/tt",
    "mjd/58849.916666666664/tdb", "1970-01-01", "1969-12-31", "2150-01-01", "9999-12-31",
)  # fmt: skip

REGIONS = (
    "POINT(10, -5)", "POINT(10., -5.)", "POINT(370, -5)", "POINT(-350, -5)", "POINT(10, 95)", "POINT(10, -90)",
    "POINT(10)", "POINT(10, -5, 1)", "POINT('10', -5)", "POINT(:ra, :dec)", "POINT(:ra, -5)", "POINT(-:ra, :dec)",
    "POINT(ra, dec)", "POINT(5 + 5, -5)", "POINT(NULL, -5)", "point(10, -5)", "POINT()", "POINT(:x)",
    "CIRCLE(10, -5, 0)", "CIRCLE(10, -5, -1)", "CIRCLE(10, -5)", "CIRCLE(10, -5, 400)", "CIRCLE(:ra, :dec, 0)",
    "CIRCLE(10, -5, '1')", "circle(10, -5, 1)", "BOX(10, -5, 1, 1)", "BOX(10, -5, 0, 0)", "BOX(10, -5, -1, 1)",
    "BOX(10, -5, 1, -1)", "BOX(10, -5, 400, 1)", "BOX(0, 0, 360, 180)", "BOX(10, -5, 1)", "BOX(359, -5, 30, 10)",
    "BOX(:ra, :dec, 1, 1)", "BOX(10, 89, 4, 4)", "POLYGON(10, -5, 11, -5, 11, -4)", "POLYGON(11, -4, 11, -5, 10, -5)",
    "POLYGON(10, -5, 11, -5, 11, -4, 10, -4)", "POLYGON(10, -5, 11, -5)", "POLYGON(10, -5, 11, -5, 11)",
    "POLYGON(10, -5, 10, -5, 10, -5)", "POLYGON(10, 0, 11, 0, 12, 0)", "POLYGON(:ra, :dec, 11, -5, 11, -4)",
    "POLYGON()", "REGION('CIRCLE 10 -5 0.3')", "REGION('RANGE 9 11 -6 -4')", "REGION('POLYGON 10 -5 11 -5 11 -4')",
    "REGION('RANGE 9 11 -Inf +Inf')", "REGION('circle 10 -5 0.3')", "REGION('CIRCLE 10 -5')", "REGION('BOX 10 -5 1 1')",
    "REGION('')", "REGION(:text)", "REGION(5)", "REGION('CIRCLE 10 -5 0.3', 1)", "region('CIRCLE 10 -5 0.3')", "5",
    "'CIRCLE 10 -5 1'", "NULL", "visit.region", "exposure.timespan",
)  # fmt: skip


def exposures(
    where: str, bind: Any = None, *, dimensions: tuple[str, ...] = ("exposure",), **more: Any
) -> dict[str, Any]:
    """Ask for exposures of one camera."""
    words = {"where": where, "explain": False, **A, **more} | ({} if bind is None else {"bind": bind})
    return {"on": "butler", "steps": [["query_data_ids", [list(dimensions)], words]], "ordered": False}


def calexps(where: str, bind: Any = None) -> dict[str, Any]:
    """Ask for datasets of one run."""
    words = {"where": where, "explain": False, **A} | ({} if bind is None else {"bind": bind})
    return {"on": "butler", "steps": [["query_datasets", ["calexp", "run1"], words]], "ordered": False}


def ask_of(column: str, where: str, bind: Any = None) -> dict[str, Any]:
    """Ask about a column of `COLUMNS` where it is."""
    if column == "id":
        return calexps(where, bind)
    return exposures(where, bind, dimensions=("visit",) if column == "region" else ("exposure",))


def rows() -> dict[str, list[dict[str, Any]]]:
    """The rows of the table by what they are about."""
    columns = COLUMNS.items()
    return {
        "literals": [ask_of(key, f"{name} = {text}") for (key, name), text in itertools.product(columns, LITERALS)],
        "lists": [
            ask_of(key, f"{name} {word} {text}", {"x": 101} if ":x" in text or "(x)" in text else None)
            for key, name in columns
            if key in ("integer", "text", "real")
            for text in LISTS
            for word in (("IN", "NOT IN") if key == "integer" else ("IN",))
        ],
        "conditions": [exposures(text, {"x": 101}) for text in CONDITIONS]
        + [exposures(text, dimensions=("visit",)) for text in CONDITIONS if "x" not in text.replace("exposure", "")]
        + [calexps(text, {"x": 101}) for text in CONDITIONS[::3]],
        "spans": [exposures(text, {"x": {"$time": MOMENT}} if ":x" in text else None) for text in TIME_CONDITIONS],
        "times": [exposures(f"exposure.timespan.begin {sign} T'{text}'") for text in TIMES for sign in ("<", ">=")]
        + list(moments()),
        "regions": [
            exposures(f"visit.region OVERLAPS {text}", {"ra": 10, "dec": -5, "x": 1, "text": "CIRCLE 10 -5 0.3"},
                      dimensions=("visit",))
            for text in REGIONS
        ],
        "binds": [
            ask_of(key, where, {"v": value})
            for (key, name), value in itertools.product(columns, VALUES)
            for where in binds_of(key, name)
        ],
    }  # fmt: skip


def binds_of(key: str, name: str) -> list[str]:
    """Where a bound value may stand beside a column."""
    found = [f"{name} = :v", f"{name} IN (:v)"]
    if key in ("span", "region"):
        found.append(f"{name} OVERLAPS :v")
    if key == "integer":
        found += [f"{name} IN (:v, 104)", f"{name} < :v", f"{name} + :v > 0"]
    return found


def moments() -> list[dict[str, Any]]:
    """A moment, and one a second later, in each format and scale: exposures begin at the first to the nanosecond."""
    found = []
    for later, scale, form in itertools.product(
        (0, 1),
        ("tai", "utc", "tt", "tdb"),
        ("isot", "iso", "yday", "fits", "jd", "mjd", "unix", "cxcsec", "gps", "jyear"),
    ):
        moment = Time(f"2020-01-01T22:00:0{later}", scale="tai", format="isot", precision=9)
        value = getattr(getattr(moment, scale), form)
        value = value if isinstance(value, str) else repr(float(value))
        found += [exposures(f"exposure.timespan.begin {sign} T'{form}/{value}/{scale}'") for sign in ("<", "=", ">=")]
    return found
