"""Requests to ask of the repository of `two_instruments`, and how to ask them of any butler with the peer's names."""

from __future__ import annotations

import json
from typing import Any

A, B, S = {"instrument": "CamA"}, {"instrument": "CamB"}, {"skymap": "skyA"}
AS = {**A, **S}


def data_ids(dimensions: list[str], where: str = "", **more: Any) -> dict[str, Any]:
    return {"kind": "data_ids", "dimensions": dimensions, "where": where, **more}


def datasets(dataset_type: str, collections: Any, where: str = "", **more: Any) -> dict[str, Any]:
    return {"kind": "datasets", "dataset_type": dataset_type, "collections": collections, "where": where, **more}


def records(element: str, where: str = "", **more: Any) -> dict[str, Any]:
    return {"kind": "records", "element": element, "where": where, **more}


GROUPS = [
    "instrument", "detector", "visit", "visit detector", "band", "physical_filter", "exposure visit", "visit tract",
    "patch", "htm7", "visit htm7", "tract band", "visit_system", "visit visit_system", "exposure",
    "visit exposure detector", "day_obs", "day_obs visit", "exposure day_obs", "subfilter", "detector patch",
    "visit detector patch", "group", "group exposure", "skymap", "skymap instrument", "", "physical_filter visit",
    "subfilter visit", "band detector", "patch htm7", "patch visit htm7", "healpix5 visit", "htm9 visit",
    "visit patch band", "day_obs exposure visit",
]  # fmt: skip

DETECTOR = [
    "detector=1", "detector.id=1", "detector.detector=1", "detector.instrument='CamA'",
    "instrument='CamA' AND detector=1",
    "instrument='CamA'", "instrument IN ('CamA')", "instrument IN ('CamA','CamB') AND detector=1",
    "instrument='CamA' OR instrument='CamB'",
    "(instrument='CamA' AND detector=1) OR (instrument='CamB' AND detector=0)",
    "instrument='CamA' OR detector=1", "instrument!='CamB' AND detector=1", "NOT instrument='CamB' AND detector=1",
    "detector.full_name='R0_S1'", "detector.raft!='R0'", "detector.purpose='SCIENCE' AND instrument='CamA'",
    "instrument.name='CamA'", "detector.nosuch=1", "nosuch=1", "nosuch.id=1", "instrument.class_name='x.Y'",
    "detector > 0", "detector IN (0..1)", "detector IN (0..3:2)", "detector NOT IN (0..3:2) AND instrument='CamA'",
    "detector IN (0, 2..3)", "detector IN (1.0)", "detector = 1.0", "detector = 1.5", "detector = '1'", "1 = detector",
    "1 = 1", "1 = 2", "detector", "true", "NOT detector=1", "detector + 1 = 2", "detector * 2 = 2", "detector / 2 = 1",
    "detector / 2 = 0.5", "detector % 2 = 1", "-detector = -1", "detector - 1 = 0", "detector.raft + 1 = 2",
    "detector = NULL", "detector != NULL", "NULL = detector", "detector.raft IN ('R0', NULL)", "detector IN (1, 'x')",
    "detector < detector.raft", "GLOB(detector.raft,'R*')", "GLOB(detector.raft,'?0')", "GLOB(detector.raft,'[R]0')",
    "GLOB(detector,'1')", "NOT GLOB(detector.raft,'R0')", "foo(1)", "detector=1 OR detector=2",
    "detector=1 AND detector=2", "instrument='CamA' AND (detector=1 OR detector=2)", "instrument=:inst",
]  # fmt: skip

OBSERVATION = [
    "exposure.exposure_time > 32", "exposure.exposure_time = NULL", "exposure.exposure_time != NULL",
    "NOT exposure.exposure_time > 32", "exposure.can_see_sky", "NOT exposure.can_see_sky",
    "exposure.can_see_sky = NULL", "exposure.can_see_sky AND exposure.has_simulated", "exposure.target_name = 'f1'",
    "exposure.obs_id = 'o101'", "exposure.timespan.begin > T'2020-01-01T22:00:00/tai'",
    "exposure.timespan.end < T'2020-01-01T22:00:00/tai'", "exposure.timespan OVERLAPS T'2020-01-01T22:05:00/tai'",
    "exposure.timespan OVERLAPS (T'2020-01-01T21:05:00/tai', T'2020-01-01T22:05:00/tai')",
    "(T'2020-01-01T21:05:00/tai', NULL) OVERLAPS exposure.timespan",
    "exposure.timespan OVERLAPS (NULL, T'2020-01-01T21:05:00/tai')",
    "exposure.timespan OVERLAPS (T'2021-01-01', T'2020-01-01')", "exposure.timespan < T'2020-01-01T22:00:00/tai'",
    "exposure.timespan = NULL",
    "exposure.timespan.begin IN (T'2020-01-01T21:00:00/tai', T'2020-01-01T22:00:00/tai')",
    "exposure.timespan IN (T'2020-01-01', T'2021-01-01')", "exposure.timespan.begin = '2020-01-01'",
    "exposure.timespan OVERLAPS ('2020-01-01','2021-01-01')", "exposure.timespan.begin + 1 > T'2020-01-01'",
    "day_obs = 20200102", "exposure.day_obs = 20200102", "day_obs.timespan.begin > T'2020-01-02'", "band='r'",
    "band.name='r'", "physical_filter.band='r'", "physical_filter='a-r'", "exposure.physical_filter='a-r'",
    "group='g101'", "exposure=visit", "visit = 101", "visit.exposure_time > 33", "exposure.seq_num % 3 = 1",
    "exposure.seq_num/2 = 1", "exposure.exposure_time - exposure.dark_time > 0", "detector=1",
    "exposure IN (101,102)", "exposure.id=101", "exposure.timespan.begin", "visit_system=1",
    "visit_system.name='two'", "tract=0", "skymap='skyA' AND tract=0", "skymap='skyA'",
]  # fmt: skip

UNGOVERNED = [
    "visit=101", "visit.exposure_time>33", "exposure.target_name='f1'", "band='r'", "physical_filter='a-r'",
    "detector.raft='R0'", "tract=0", "day_obs=20200101",
]  # fmt: skip

REGIONS = [
    "visit.region OVERLAPS POINT(10,-5)", "visit.region OVERLAPS POINT(10.0, -5.9)",
    "POINT(10,-5) OVERLAPS visit.region", "visit.region OVERLAPS BOX(10,-5,1,1)",
    "visit.region OVERLAPS POLYGON(10,-5,11,-5,11,-4)", "visit.region OVERLAPS POLYGON(10,-5,11,-5)",
    "visit.region OVERLAPS REGION('CIRCLE 12 -5 0.5')", "visit.region OVERLAPS REGION('RANGE 10 11 -5 -4')",
    "visit.region OVERLAPS REGION('POLYGON 10 -5 11 -5 11 -4')", "visit.region OVERLAPS REGION('nope')",
    "visit.region OVERLAPS POINT(:ra,:dec)", "visit.region OVERLAPS POINT(ra,dec)", "visit.region OVERLAPS POINT(10)",
    "visit.region OVERLAPS :reg", "visit.region OVERLAPS reg", "visit.region = NULL", "visit.region OVERLAPS 1",
    "visit.region OVERLAPS T'2020-01-01'", "visit.region OVERLAPS tract.region", "visit.region OVERLAPS patch.region",
    "visit.region OVERLAPS visit_detector_region.region", "tract.region OVERLAPS POINT(9.5,-5)",
    "patch.region OVERLAPS POINT(9.5,-5)", "visit_detector_region.region OVERLAPS POINT(10,-5)",
    "visit.region OVERLAPS POINT(10,-5) AND visit>101", "htm7=140000", "htm7.region OVERLAPS visit.region",
    "visit.region OVERLAPS POINT(10,-5) AND visit.region OVERLAPS POINT(11,-5)", "visit.region OVERLAPS POINT(400,-5)",
    "visit.region OVERLAPS POINT(10,-95)",
]  # fmt: skip
REGION_BINDS = {"ra": 10, "dec": -5, "reg": {"circle": [10, -5, 0.3]}}

ORDERS = [
    ["visit"], ["-visit"], ["visit.exposure_time"], ["-visit.exposure_time"], ["-visit.timespan.begin"],
    ["timespan.begin"], ["visit.timespan.end"], ["band", "-visit"], ["detector"], ["exposure_time"], ["nosuch"],
    ["visit,band"], ["visit.region"], ["day_obs", "-visit.id"], ["visit.timespan"], ["-exposure_time", "visit"],
    ["visit.name"],
]  # fmt: skip

SEARCHES = [
    ("calexp", "chain"), ("calexp", ["run1", "run2"]), ("calexp", ["run2", "run1"]), ("calexp", "tag"),
    ("calexp", ["tag", "run3"]), ("calexp", "run3"), ("calexp", ["run1", "run1"]), ("raw", "defaults"),
    ("raw", "raw/a"), ("raw", ["raw/a", "raw/b"]), ("bias", "calib"), ("bias", "calib/run"),
    ("bias", ["calib/run2", "calib/run"]), ("bias", ["calib", "calib/run"]), ("bias", "defaults"), ("flat", "calib"),
    ("flat", "defaults"), ("ref_cat", "refs"), ("coadd", "chain"), ("coadd", ["run1", "run2"]), ("config", "chain"),
    ("config", "run1"), ("empty_type", "chain"), ("nosuch", "chain"), ("calexp", "nosuch"), ("calexp", []),
    ("calexp", "empty"), ("calexp", "emptychain"), ("raw", "run1"), ("visit_summary", "run3"), ("calexp", "*"),
    ("calexp", "run*"), ("cal*", "run1"),
]  # fmt: skip

DATASET = [
    "detector=1", "visit=101", "visit>102 AND detector=1", "band='r'", "calexp.run='run1'", "run='run1'",
    "collection='run1'", "collection='tag'", "collection='chain'", "calexp.collection='run2'",
    "ingest_date>T'2020-01-01'", "ingest_date<T'2020-01-01'", "calexp.ingest_date>T'2020-01-01'",
    "dataset_id=UUID('00000000000000000000000000000000')",
    "calexp.dataset_id=UUID('00000000-0000-0000-0000-000000000000')", "dataset_id='x'", "GLOB(run,'run*')",
    "run IN ('run1','run2')", "raw.run='run1'", "timespan OVERLAPS T'2020-01-01'",
    "calexp.timespan OVERLAPS T'2020-01-01'", "visit.exposure_time>32", "exposure=102",
    "tract=0 AND skymap='skyA'", "tract=0", "visit.region OVERLAPS POINT(10,-5)",
    "visit_detector_region.region OVERLAPS POINT(10.25,-5)", "run != 'run2'", "NOT run='run2'", "calexp.nosuch=1",
    "calexp=1",
]  # fmt: skip

CALIBRATION = [
    "bias.timespan OVERLAPS T'2020-01-01'", "timespan OVERLAPS T'2020-01-03'",
    "bias.timespan.begin > T'2020-01-01'", "bias.timespan = NULL", "detector=1", "collection='calib'", "exposure=101",
    "timespan OVERLAPS exposure.timespan AND exposure=101",
]  # fmt: skip

ELEMENTS = [
    "instrument", "detector", "visit", "exposure", "visit_detector_region", "visit_definition",
    "visit_system_membership", "physical_filter", "band", "patch", "tract", "skymap", "day_obs", "subfilter", "group",
    "htm7", "visit_system", "nosuch",
]  # fmt: skip


def requests() -> list[dict[str, Any]]:
    """Every request, each a mapping of plain values."""
    found = [data_ids(group.split(), values=values) for group in GROUPS for values in ({}, AS)]
    constraints: list[dict[str, Any]] = [
        {"band": "r", **A}, {"physical_filter": "a-r", **A}, {"exposure": 101, **A}, {"detector": 1, **A},
        {"tract": 0, **AS}, {"tract": 0, "patch": 4, **AS}, {"tract": 0}, {"visit": 101}, {"nosuch": 1},
        {"instrument": "Nope"},
    ]  # fmt: skip
    found += [data_ids(["visit"], values=values) for values in constraints]
    binds = {"inst": "CamA"}
    found += [data_ids(["detector"], where, values=v, bind=binds) for where in DETECTOR for v in ({}, A)]
    found += [data_ids([d], where, values=A) for where in OBSERVATION for d in ("exposure", "visit")]
    found += [data_ids(d, where) for where in UNGOVERNED for d in (["visit"], ["visit", "detector"])]
    found += [data_ids(["visit"], where, values=B) for where in UNGOVERNED]
    for dimensions in (["visit"], ["visit", "detector"]):
        found += [data_ids(dimensions, where, values=AS, bind=REGION_BINDS) for where in REGIONS]
    found += bind_requests() + order_requests() + join_requests() + dataset_requests() + record_requests()
    return found


def bind_requests() -> list[dict[str, Any]]:
    cases: list[tuple[str, dict[str, Any]]] = [
        ("detector=:d", {"d": 1}), ("detector IN (:d)", {"d": [1, 2]}), ("detector IN (:d)", {"d": []}),
        ("detector IN (d)", {"d": [1, 2]}), ("detector IN (:d, 3)", {"d": [1]}), ("detector NOT IN (:d)", {"d": []}),
        ("detector=d", {"d": 1}), ("detector=:x", {}), ("detector=:d", {"d": 1.0}), ("detector=:d", {"d": "1"}),
        ("detector=:d", {"d": None}), ("detector=:d", {"d": True}), ("detector IN (:d)", {"d": 1}),
        ("detector=:d", {"d": [1]}), ("detector IN (:d)", {"d": ["a"]}), ("detector=:D", {"d": 1}),
        ("detector=1", {"unused": 1}),
    ]  # fmt: skip
    found = [data_ids(["detector"], where, bind=bind, values=A) for where, bind in cases]
    moment = 1_577_915_100_000_000_000
    for where, value in (
        ("exposure.timespan OVERLAPS :t", {"timespan": [moment, moment + 10**11]}),
        ("visit.timespan OVERLAPS :t", {"time": moment}),
        ("visit.timespan.begin > :t", {"time": moment}),
        ("visit.timespan OVERLAPS (:t, NULL)", {"time": moment}),
    ):
        found.append(data_ids(["visit"], where, bind={"t": value}, values=A))
    return found


def order_requests() -> list[dict[str, Any]]:
    found = [data_ids(["visit"], order_by=order, limit=n, values=A) for order in ORDERS for n in (None, 2)]
    found.append(data_ids(["visit"], order_by=["visit"], limit=0, values=A))
    found.append(data_ids(["visit"], order_by=["-visit"], limit=2, values={"tract": 0, **AS}))
    found.append(data_ids(["visit", "tract"], order_by=["-visit", "tract"], limit=3, values=AS))
    for order, limit in ((["-visit", "detector"], 3), (["calexp.run", "visit", "detector"], 3)):
        found.append(datasets("calexp", "chain", order_by=order, limit=limit, values=A))
    found.append(datasets("calexp", "chain", order_by=["visit.exposure_time", "detector"], limit=5, values=A))
    return found


def join_requests() -> list[dict[str, Any]]:
    found = []
    for dataset_type, collections in SEARCHES:
        if "*" not in f"{dataset_type}{collections}":
            groups = ("visit", "visit detector", "detector", "tract", "exposure")
            found += [data_ids(group.split(), joins=[[dataset_type, collections]]) for group in groups]
    chain, both = [["calexp", "chain"]], [["calexp", "run1"], ["raw", "raw/a"]]
    found.append(data_ids(["visit", "detector"], "tract=0", joins=chain, values=AS))
    found.append(data_ids(["visit"], joins=both))
    runs = ("calexp.run='run1'", "run='run1'", "raw.run='run1'")
    found += [data_ids(["visit"], where, joins=chain, values=A) for where in runs]
    ambiguous = [["calexp", "chain"], ["visit_summary", "run3"]]
    found.append(data_ids(["visit"], "ingest_date > T'2020-01-01'", joins=ambiguous, values=A))
    found.append(data_ids(["patch"], "visit=102 AND detector=1", joins=[["coadd", "run1"]], values=AS))
    return found


def dataset_requests() -> list[dict[str, Any]]:
    found = []
    for first in (True, False):
        found += [datasets(t, c, find_first=first, values=v) for t, c in SEARCHES for v in ({}, A)]
        found += [datasets("calexp", "chain", where, find_first=first, values=A) for where in DATASET]
        for collections in ("calib", "defaults", ["calib", "calib/run"]):
            found += [datasets("bias", collections, where, find_first=first, values=A) for where in CALIBRATION]
    for dataset_type, collections, where, values in (
        ("ref_cat", "refs", "visit=101", A), ("ref_cat", "refs", "htm7 > 140000", {}),
        ("ref_cat", "refs", "visit=101 AND detector=1", A), ("ref_cat", "refs", "tract=0", S),
        ("coadd", "chain", "visit=101", AS), ("coadd", "chain", "patch.region OVERLAPS POINT(9.5,-5)", S),
        ("coadd", "chain", "visit=102 AND detector=1 AND band='r'", AS), ("raw", "raw/a", "visit=101", A),
        ("raw", "raw/a", "visit>101 AND tract=1", AS), ("calexp", "run1", "", {"visit": 102}),
        ("calexp", "run1", "", {"visit": 102, "detector": 1, **A}), ("calexp", "run1", "", {"band": "r", **A}),
        ("calexp", "run1", "", {"tract": 0, **AS}), ("calexp", "run1", "", {"nosuch": 1}),
    ):  # fmt: skip
        found.append(datasets(dataset_type, collections, where, values=values))
    return found


def record_requests() -> list[dict[str, Any]]:
    found = [records(element, values=values) for element in ELEMENTS for values in ({}, A, AS)]
    for element, where, values in (
        ("visit", "exposure=101", A), ("visit", "detector=1", A), ("visit", "tract=0", AS),
        ("visit_detector_region", "visit=101", A), ("visit_detector_region", "tract=0", AS), ("patch", "visit=101", AS),
        ("detector", "visit=101 AND detector=1", A), ("visit_definition", "exposure=101", A),
        ("day_obs", "visit=101", A), ("physical_filter", "band='r'", {}), ("band", "physical_filter='a-r'", A),
        ("visit_detector_region", "visit.region OVERLAPS POINT(10,-5)", A), ("exposure", "visit=101", A),
        ("visit_definition", "visit.exposure_time>33", A),
    ):  # fmt: skip
        found.append(records(element, where, values=values))
    found.append(records("visit", "band='r'", order_by=["-visit.exposure_time"], limit=2, values=A))
    found.append(records("detector", "raft='R0'", order_by=["-full_name"], values=A))
    return found


def bound(module: Any, value: Any) -> Any:
    """A bind value from its plain form."""
    if not isinstance(value, dict):
        return value
    if "circle" in value:
        from lsst.sphgeom import Angle, Circle, LonLat, UnitVector3d

        lon, lat, radius = value["circle"]
        return Circle(UnitVector3d(LonLat.fromDegrees(lon, lat)), Angle.fromDegrees(radius))
    if "time" in value:
        return module.Timespan(None, None, _nsec=(value["time"], value["time"] + 1)).begin
    return module.Timespan(None, None, _nsec=tuple(value["timespan"]))


def ask(butler: Any, module: Any, request: dict[str, Any]) -> dict[str, Any]:
    """The rows of the answer in plain values, or the class and message of the error."""
    bind = {name: bound(module, value) for name, value in request.get("bind", {}).items()} or None
    common = {"where": request["where"], "bind": bind, **request.get("values", {})}
    order_by, limit = request.get("order_by"), request.get("limit")
    try:
        if request["kind"] == "data_ids":
            rows = ask_data_ids(butler, request, order_by, limit, common)
        elif request["kind"] == "datasets":
            first = request.get("find_first", True)
            refs = butler.query_datasets(
                request["dataset_type"], request["collections"], find_first=first, order_by=order_by, limit=limit,
                explain=False, **common,
            )  # fmt: skip
            rows = [[list(ref.dataId.required_values), ref.run, ref.id.hex] for ref in refs]
        else:
            found = butler.query_dimension_records(
                request["element"], order_by=order_by, limit=limit, explain=False, **common
            )
            rows = [[str(value) for value in record.toDict().values()] for record in found]
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"rows": rows}


def ask_data_ids(butler: Any, request: dict[str, Any], order_by: Any, limit: Any, common: dict[str, Any]) -> list[Any]:
    where, bind = common.pop("where"), common.pop("bind")
    with butler.query() as query:
        for dataset_type, collections in request.get("joins", ()):
            query = query.join_dataset_search(dataset_type, collections)
        if where or common:
            query = query.where(where, bind=bind, **common)
        results = query.data_ids(request["dimensions"])
        if order_by:
            results = results.order_by(*order_by)
        if limit is not None:
            results = results.limit(limit)
        return [list(data_id.full_values) for data_id in results]


def main(repository: str) -> None:
    """Ask everything of the peer and print the answers."""
    import importlib
    import logging
    import warnings

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    module = importlib.import_module("lsst.daf.butler")
    butler = module.Butler.from_config(repository)
    print(json.dumps([ask(butler, module, request) for request in requests()]))
