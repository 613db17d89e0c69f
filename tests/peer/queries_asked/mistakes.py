"""Queries with one mistake each."""

from __future__ import annotations

from typing import Any

EXPRESSIONS = (
    "detectr = 1",
    "detector == 1",
    "detector <> 1",
    'instrument = "CamA"',
    "instrument = 'it''s'",
    "detector IN 1..3",
    "detector IN ()",
    "detector IN (5..1)",
    "detector IN (1..5:0)",
    "detector IN (1, 'a')",
    "detector IN (visit)",
    "detector = 'a'",
    "detector = '1'",
    "band = 1",
    "detector = 1.5",
    "detector = T'2020-01-01'",
    "visit.timespan.begin > '2020-01-01'",
    "visit.timespan.begin > 5",
    "visit.timespan OVERLAPS '2020-01-01'",
    "visit.timespan OVERLAPS (1, 2)",
    "visit.timespan OVERLAPS ('2020-01-01', '2021-01-01')",
    "visit.timespan OVERLAPS visit.region",
    "visit.timespan.begin > T'57000'",
    "visit.timespan.begin > T'2020-01-01Z'",
    "visit.timespan.begin > T'nonsense'",
    "visit.timespan.begin > T'mjd/5893a'",
    "visit.timespan.begin - visit.timespan.end > 1",
    "visit.timespan.middle > T'2020-01-01'",
    "visit.timespan IN (T'2013-01-01', T'2020-01-01')",
    "visit IS NULL",
    "visit BETWEEN 1 AND 2",
    "visit LIKE 'a'",
    "visit",
    "visit + 1",
    "NOT visit",
    "true",
    "visit = 1 AND",
    "AND visit = 1",
    "(visit = 1",
    "visit = 1)",
    "visit = 1 visit = 2",
    "visit = :missing",
    "visit IN (:missing)",
    "visit = foo(1)",
    "visit.nosuchfield = 1",
    "visit.timespan = 5",
    "nosuch.exposure_time > 1",
    "a.b.c.d = 1",
    "name = 'x'",
    "exposure_time > 'a'",
    "visit.exposure_time + visit.target_name > 1",
    "visit.target_name + 1 > 2",
    "visit.target_name % 2 = 1",
    "-visit.target_name = 1",
    "visit.region OVERLAPS 5",
    "visit.region = visit.region",
    "visit.region OVERLAPS POINT(1)",
    "visit.region OVERLAPS POINT(1, 2, 3)",
    "visit.region OVERLAPS POINT('a', 2)",
    "visit.region OVERLAPS CIRCLE(1, 2)",
    "visit.region OVERLAPS BOX(1, 2, 3)",
    "visit.region OVERLAPS POLYGON(1, 2, 3, 4)",
    "visit.region OVERLAPS POLYGON(1, 2, 3, 4, 5)",
    "visit.region OVERLAPS REGION('CIRCLE 1 2')",
    "visit.region OVERLAPS REGION('nonsense')",
    "visit.region OVERLAPS REGION(5)",
    "visit.region OVERLAPS T'2020-01-01'",
    "NOT (visit.region OVERLAPS POINT(1, 2))",
    "visit = 3 OR visit.region OVERLAPS POINT(1, 2)",
    "visit.region OVERLAPS visit_detector_region.region",
    "tract.region OVERLAPS patch.region",
    "GLOB(visit, '1*')",
    "GLOB(visit.target_name, 5)",
    "GLOB(visit.target_name)",
    "GLOB('a', 'b*')",
    "htm9 = 5",
    "healpix5 = 5",
    "htm7 = 5",
    "dataset_id = 5",
    "raw.dataset_id = 'abc'",
    "raw.dataset_id = UUID('xyz')",
    "raw.run = 'x'",
    "nosuchtype.run = 'x'",
    "ingest_date > T'2020-01-01'",
    "visit = NULL = 3",
    "visit < 5 < 6",
    "visit % 0 = 1",
    "visit / 0 = 1",
    "visit < NULL",
    "visit OVERLAPS 5",
    "instrument > 'A' OR instrument < 'Z'",
    "instrument IN ('CamA', 'CamB')",
    "skymap = 'rings' OR skymap = 'discrete'",
    "instrument != 'CamA'",
    "tract = 1",
    "patch = 1 AND tract = 1",
    "exposure.can_see_sky = 1",
    "exposure.can_see_sky AND visit",
    "detector = 0x10",
    "visit = 1;",
    "visit = 1 -- comment",
    "visit @ 3",
    "détecteur = 1",
    "''",
    "1 = 1",
    "1 = 2",
    "'a' = 'a'",
    "T'2020-01-01' < T'2021-01-01'",
    "visit = 9223372036854775807",
    "visit = 9223372036854775808",
    "visit = 1e400",
    "visit = -1",
    "visit IN (1, NULL)",
    "visit IN (1 + 1)",
    "visit NOT IN (1)",
    "NOT NOT visit = 1",
    "NOT visit IN (1)",
    "timespan.begin > T'2020-01-01'",
    "region OVERLAPS POINT(10, 0)",
    "visit.id = visit",
    "visit = visit.id + 0",
    "visit.instrument = 'CamA'",
    "visit.detector = 1",
    "visit.id.x = 1",
    "instrument.name = 'CamA'",
    "band.name = 'r'",
    "detector.visit_max > 1",
)
BINDS: tuple[Any, ...] = (
    None, {"$range": [1, 5]}, {"$numpy": ["array", [1, 2]]}, {"$numpy": ["float64", 1.0]}, {"$numpy": ["bool_", True]},
    True, "a", 1.5, [], [1, "a"], [None], [[1]], {"$tuple": [1, 2]}, {"$set": [1]}, {"x": 1, "y": 2}, {"$pattern": "a"},
    {"$timespan": [None, None]}, {"$time": "2025-01-01T00:00:00"}, {"$uuid": "00000000000000000000000000000001"},
)  # fmt: skip


def mistakes(generator: Any) -> list[dict[str, Any]]:
    """One query of each family of mistakes; the generator picks among them."""
    pick, facts = generator.pick, generator.facts
    camera = pick(facts.keys.get("instrument") or ["CamA"])
    sky_map = pick(facts.keys.get("skymap") or ["rings"])
    shape = pick([["visit"], ["visit", "detector"], ["exposure", "detector"], ["tract"], ["visit", "tract"]])
    governors: dict[str, Any] = {"instrument": camera}
    if "tract" in shape:
        governors["skymap"] = sky_map
    some_type = pick(facts.types) or "raw"
    some_collection = pick(facts.collections) or "x"

    def on_butler(method: str, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        return {"on": "butler", "steps": [[method, list(arguments), {"explain": False} | keywords]], "ordered": False}

    def on_registry(method: str, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        return {"on": "registry", "steps": [[method, list(arguments), keywords]], "ordered": False}

    expression = pick(EXPRESSIONS)
    bound = pick(BINDS)
    wrong_where = [
        on_butler("query_data_ids", shape, where=expression, **governors),
        on_butler("query_data_ids", shape, where=expression),
        on_butler("query_data_ids", shape, where=pick(EXPRESSIONS), **governors),
        on_butler(
            "query_dimension_records", pick(["visit", "detector", "exposure", "tract"]), where=expression, **governors
        ),
        on_butler("query_datasets", some_type, some_collection, where=expression, **governors),
        on_registry("queryDataIds", shape, where=expression, **governors),
        on_butler("query_data_ids", shape, where="visit = :b", bind={"b": bound}, **governors),
        on_butler("query_data_ids", shape, where="visit IN (:b)", bind={"b": bound}, **governors),
        on_butler("query_data_ids", shape, where="visit.timespan OVERLAPS :b", bind={"b": bound}, **governors),
        on_butler("query_data_ids", shape, where="visit.region OVERLAPS :b", bind={"b": bound}, **governors),
    ]
    others = [
        on_butler("query_data_ids", pick(["visti", ["visit", "nope"], ["visit", "tract", "Nope"]]), **governors),
        on_butler("query_data_ids", ["visit"], nope=3),
        on_butler("query_data_ids", ["visit"], instrument=camera, visit=pick(["abc", 1.5, "12", None])),
        on_butler("query_data_ids", ["visit"], data_id={"instrument": camera}, instrument=pick([camera, "Other"])),
        on_butler(
            "query_data_ids",
            ["visit"],
            order_by=pick(
                [
                    "nope",
                    "visit.nope",
                    "raft,-detector",
                    "detector",
                    "region",
                    "visit.region",
                    "timespan",
                    "-",
                    "",
                    "visit.timespan",
                    "-visit.name",
                    "ingest_date",
                    "collection",
                    "tract",
                ]
            ),
            **governors,
        ),
        on_butler("query_data_ids", ["visit"], limit=pick([-1, 0, 1]), instrument=camera),
        on_butler("query_data_ids", ["detector"], instrument=5),
        on_butler("query_datasets", pick(["nope", "bi*", "raw.wcs", "", "a b"]), some_collection),
        on_butler("query_datasets", some_type, pick(["nope", "nope*", "*", [], ["run*"], [some_collection, "nope"]])),
        on_butler("query_datasets", some_type, pick(["nope", "nope*", "*", []]), find_first=False),
        on_butler("query_datasets", some_type),
        on_butler("query_datasets", some_type, some_collection, nope=3),
        on_butler(
            "query_datasets",
            some_type,
            some_collection,
            order_by=pick(
                [
                    "nope",
                    "ingest_date",
                    "run",
                    "collection",
                    "timespan.begin",
                    "dataset_id",
                    "visit.nope",
                    "detector",
                    f"{some_type}.ingest_date",
                ]
            ),
        ),
        on_butler("query_datasets", some_type, some_collection, explain=True, where="instrument = 'Nope'"),
        on_butler("query_datasets", some_type, some_collection, explain=True, instrument="Nope"),
        on_butler("query_dimension_records", pick(["nope", "htm7", "htm9", "healpix3", "", "visits"])),
        on_butler(
            "query_dimension_records",
            "visit",
            order_by=pick(["nope", "visit", "id", "name", "-exposure_time", "visit.exposure_time", "region"]),
            **governors,
        ),
        on_butler(
            "query_dimension_records",
            "detector",
            order_by=pick(["full_name", "raft", "-name_in_raft", "visit", "exposure_time"]),
            instrument=camera,
        ),
        {
            "on": "butler",
            "steps": [["query_all_datasets", [some_collection], {"name": pick(["nope", "x*", ["nope", "*"]])}]],
            "ordered": False,
        },
        {
            "on": "butler",
            "steps": [
                [
                    "query_all_datasets",
                    [pick(["nope", "*", [], some_collection])],
                    {"where": pick(["detector = 1", "nope = 1", "visit = 3"])},
                ]
            ],
            "ordered": False,
        },
        on_registry("queryDataIds", pick(["nope", ["visit", "nope"]])),
        on_registry(
            "queryDataIds",
            ["visit"],
            datasets=pick(["nope", "raw", "r*", ["nope", some_type]]),
            collections=some_collection,
            **governors,
        ),
        on_registry("queryDataIds", ["visit"], datasets=some_type),
        on_registry("queryDataIds", ["visit"], collections=some_collection),
        on_registry("queryDataIds", ["visit"], nope=1),
        on_registry(
            "queryDatasets",
            pick(["nope", "nope*", ["nope", some_type], {"$pattern": "a"}]),
            collections=some_collection,
        ),
        on_registry(
            "queryDatasets", some_type, collections=pick(["nope", "nope*", ["nope", "*"], {"$pattern": "r.*"}])
        ),
        on_registry("queryDatasets", some_type, collections="*", findFirst=True),
        on_registry("queryDatasets", some_type),
        on_registry("queryDimensionRecords", pick(["nope", "visits", "htm7"])),
        on_registry("queryDimensionRecords", "visit", datasets=some_type),
        on_registry("queryCollections", pick(["nope", ["nope", "*"], "n*pe", 5])),
        on_registry("queryDatasetTypes", pick([{"$pattern": "a"}, 5, "nope", ["nope"]])),
        {"on": "collections", "steps": [["query", [pick(["nope", ["nope", "*"], "n*pe"])], {}]], "ordered": False},
        {"on": "collections", "steps": [["get_info", [pick(["nope", "*"])], {}]], "ordered": False},
        {"on": "query", "steps": [["join_dimensions", [["nope"]], {}], ["any", [], {}]], "ordered": False},
        {
            "on": "query",
            "steps": [["join_dataset_search", ["nope", some_collection], {}], ["any", [], {}]],
            "ordered": False,
        },
        {"on": "query", "steps": [["join_dataset_search", [some_type, "nope"], {}], ["any", [], {}]], "ordered": False},
        {
            "on": "query",
            "steps": [
                ["where", ["visit = 1"], {"instrument": camera}],
                ["where", [], {"instrument": "Other"}],
                ["data_ids", [["visit"]], {}],
            ],
            "ordered": False,
        },
        {"on": "query", "steps": [["datasets", [some_type, "*"], {}]], "ordered": False},
        {"on": "query", "steps": [["data_ids", [["visit"]], {}], ["order_by", ["nope"], {}]], "ordered": False},
        {
            "on": "query",
            "steps": [["data_ids", [["visit"]], {}], ["where", ["detector = 1"], {"instrument": camera}]],
            "ordered": False,
        },
        {"on": "query", "steps": [["data_ids", [["visit"]], {}], ["limit", [-1], {}]], "ordered": False},
        {"on": "query", "steps": [["dimension_records", ["nope"], {}]], "ordered": False},
    ]
    return [pick(wrong_where), pick(wrong_where), pick(wrong_where), pick(others), pick(others)]
