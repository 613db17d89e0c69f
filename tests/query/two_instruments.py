"""A repository with everything a query can meet, made through names that the peer has, too.

Two instruments and two sky maps whose keys collide, unknown values, a visit without a region, a missing detector
region, runs that shadow each other, a TAGGED collection, and calibrations that change at midnight.
"""

from __future__ import annotations

from typing import Any

FILTERS = {"CamA": {"a-g": "g", "a-r": "r", "a-i": "i", "a-r2": "r"}, "CamB": {"b-r": "r", "b-z": "z"}}
DETECTORS = {"CamA": 4, "CamB": 2}
RUNS = ("raw/a", "raw/b", "run1", "run2", "run3", "calib/run", "calib/run2", "refs", "empty")
DAY = 86_400_000_000_000
MIDNIGHT = 1_577_923_200_000_000_000  # 2020-01-02T00:00:00 TAI, in nanoseconds


def square(lon: float, lat: float, half: float) -> Any:
    from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    return ConvexPolygon([UnitVector3d(LonLat.fromDegrees(lon + x * half, lat + y * half)) for x, y in corners])


def fill(butler: Any, module: Any) -> None:
    """Fill an empty repository; `module` is `armillary.butler` or `lsst.daf.butler`."""
    with butler.registry.transaction():
        for number, instrument in enumerate(FILTERS, 1):
            insert_instrument(butler, module, instrument, number)
        for number, skymap in enumerate(("skyA", "skyB")):
            insert_skymap(butler, skymap, number)
        subfilters = [{"band": band, "id": key} for band, key in (("g", 0), ("g", 1), ("r", 0))]
        butler.registry.insertDimensionData("subfilter", *subfilters)
    insert_datasets(butler, module)


def insert_instrument(butler: Any, module: Any, instrument: str, number: int) -> None:
    insert, base = butler.registry.insertDimensionData, {"instrument": instrument}
    detectors, filters = DETECTORS[instrument], FILTERS[instrument]
    insert(
        "instrument",
        {
            "name": instrument,
            "visit_max": 10**6,
            "visit_system": 0,
            "exposure_max": 10**6,
            "detector_max": detectors,
            "class_name": "x.Y",
        },
    )
    insert("physical_filter", *({**base, "name": name, "band": band} for name, band in filters.items()))
    for d in range(detectors):
        raft, slot = f"R{d // 2}", f"S{d % 2}"
        purpose = "SCIENCE" if d else "GUIDE"
        names = {"full_name": f"{raft}_{slot}", "name_in_raft": slot, "raft": raft, "purpose": purpose}
        insert("detector", {**base, "id": d, **names})
    insert("visit_system", {**base, "id": 0, "name": "one"}, {**base, "id": 1, "name": "two"})
    for day in range(2):
        noon = MIDNIGHT - DAY // 2 + day * DAY
        timespan = module.Timespan(None, None, _nsec=(noon, noon + DAY))
        insert("day_obs", {**base, "id": 20200101 + day, "timespan": timespan})
    for v in range(8):
        insert_visit(butler, module, instrument, 100 * number + v, v)


def insert_visit(butler: Any, module: Any, instrument: str, key: int, v: int) -> None:
    insert, base = butler.registry.insertDimensionData, {"instrument": instrument}
    begin = MIDNIGHT - 4 * DAY // 24 + v % 4 * DAY // 24 + v // 4 * DAY
    timespan = module.Timespan(None, None, _nsec=(begin, begin + DAY // 144))
    filters = sorted(FILTERS[instrument])
    common = {
        **base,
        "id": key,
        "physical_filter": filters[v % len(filters)],
        "day_obs": 20200101 + v // 4,
        "seq_num": v,
        "target_name": f"f{v % 2}",
        "observation_reason": "x",
        "science_program": "p",
        "azimuth": 1.0,
        "zenith_angle": float(v),
        "timespan": timespan,
    }
    exposure = {
        "group": f"g{key}",
        "obs_id": f"o{key}",
        "exposure_time": None if v == 3 else 30.0 + v,
        "dark_time": 31.5,
        "observation_type": "science" if v % 3 else "bias",
        "seq_start": v,
        "seq_end": v,
        "tracking_ra": 10.0 + v,
        "tracking_dec": -5.0,
        "sky_angle": 0.0,
        "has_simulated": bool(v % 2),
        "can_see_sky": None if v == 5 else bool(v % 3),
    }
    insert("group", {**base, "name": f"g{key}"})
    insert("exposure", {**common, **exposure})
    if v == 7:
        return
    lon = 10 + 0.7 * v
    region = None if v == 6 else square(lon, -5, 1.0)
    insert("visit", {**common, "name": f"v{key}", "exposure_time": 30.0 + v, "region": region})
    insert("visit_definition", {**base, "visit": key, "exposure": key})
    for system in (0, 1) if v < 3 else (0,):
        insert("visit_system_membership", {**base, "visit": key, "visit_system": system})
    for d in range(DETECTORS[instrument]):
        if v != 6 and (v, d) != (2, 1):
            region = square(lon - 0.75 + 0.5 * d, -5, 0.22)
            insert("visit_detector_region", {**base, "visit": key, "detector": d, "region": region})


def insert_skymap(butler: Any, skymap: str, number: int) -> None:
    insert = butler.registry.insertDimensionData
    insert(
        "skymap",
        {"name": skymap, "hash": bytes([number]) * 20, "tract_max": 3, "patch_nx_max": 3, "patch_ny_max": 3},
    )
    for t in range(3):
        lon, lat = 9.5 + 2.5 * t, -5 + number
        insert("tract", {"skymap": skymap, "id": t, "region": square(lon, lat, 1.3)})
        for p in range(9):
            region = square(lon + 0.8 * (p % 3 - 1), lat + 0.8 * (p // 3 - 1), 0.42)
            cell = {"cell_x": p % 3, "cell_y": p // 3}
            insert("patch", {"skymap": skymap, "tract": t, "id": p, **cell, "region": region})


def insert_datasets(butler: Any, module: Any) -> None:
    registry, universe = butler.registry, butler.dimensions
    kinds = module.CollectionType
    for run in RUNS:
        butler.collections.register(run)
    butler.collections.register("tag", kinds.TAGGED)
    butler.collections.register("calib", kinds.CALIBRATION)
    for chain in ("chain", "defaults", "emptychain"):
        butler.collections.register(chain, kinds.CHAINED)

    def dataset_type(name: str, dimensions: list[str], calibration: bool = False) -> Any:
        made = module.DatasetType(name, dimensions, "StructuredDataDict", universe=universe, isCalibration=calibration)
        registry.registerDatasetType(made)
        return made

    def ids(*dimensions: str, **values: Any) -> list[Any]:
        with butler.query() as query:
            return sorted(query.where(**values).data_ids(dimensions))

    def coordinates(found: Any, rows: list[dict[str, Any]]) -> list[Any]:
        return [module.DataCoordinate.standardize(row, dimensions=found.dimensions) for row in rows]

    bias = dataset_type("bias", ["instrument", "detector"], calibration=True)
    flat = dataset_type("flat", ["instrument", "detector", "physical_filter"], calibration=True)
    raw = dataset_type("raw", ["instrument", "exposure", "detector"])
    calexp = dataset_type("calexp", ["instrument", "visit", "detector"])
    coadd = dataset_type("coadd", ["skymap", "tract", "patch", "band"])
    ref_cat = dataset_type("ref_cat", ["htm7"])
    config = dataset_type("config", [])
    dataset_type("empty_type", ["visit"])
    visit_summary = dataset_type("visit_summary", ["instrument", "visit"])

    insert = registry.insertDatasets
    for instrument, run in (("CamA", "raw/a"), ("CamB", "raw/b")):
        insert(raw, ids("exposure", "detector", instrument=instrument), run=run)
    visits = ids("visit", "detector")
    first = insert(calexp, [d for d in visits if d["visit"] % 2 == 0], run="run1")
    insert(calexp, [d for d in visits if d["visit"] % 3 != 0], run="run2")
    third = insert(calexp, [d for d in visits if d["instrument"] == "CamA"], run="run3")
    insert(visit_summary, ids("visit", instrument="CamA"), run="run3")
    tagged = [r for r in first if r.dataId["detector"] == 1] + [r for r in third if r.dataId["detector"] == 0]
    registry.associate("tag", tagged)
    patches = [{**p.mapping, "band": band} for p in ids("patch") for band in "gr"]
    insert(coadd, coordinates(coadd, [p for p in patches if p["tract"] != 2]), run="run1")
    insert(coadd, coordinates(coadd, [p for p in patches if p["patch"] < 4]), run="run2")
    insert(ref_cat, coordinates(ref_cat, [{"htm7": pixel} for pixel in reference_pixels(butler)]), run="refs")
    for run in ("run1", "run2"):
        insert(config, [module.DataCoordinate.make_empty(universe)], run=run)
    early = insert(bias, ids("detector"), run="calib/run")
    late = insert(bias, ids("detector", instrument="CamA"), run="calib/run2")
    flats = insert(flat, ids("detector", "physical_filter"), run="calib/run")
    registry.certify("calib", early, module.Timespan(None, None, _nsec=(0, MIDNIGHT)))
    registry.certify("calib", late, module.Timespan(None, None, _nsec=(MIDNIGHT, 4_102_444_800_000_000_000)))
    registry.certify("calib", flats, module.Timespan(None, None))
    butler.collections.redefine_chain("chain", ["run2", "run1", "tag"])
    butler.collections.redefine_chain("defaults", ["chain", "raw/a", "raw/b", "calib", "refs"])


def reference_pixels(butler: Any) -> list[int]:
    """Every second pixel that some visit touches."""
    pixelization = butler.dimensions.skypix_dimensions["htm7"].pixelization
    pixels: set[int] = set()
    for v in range(8):
        for begin, end in pixelization.envelope(square(10 + 0.7 * v, -5, 1.0)):
            pixels.update(range(begin, end))
    return sorted(pixels)[::2]
