"""Repositories to ask questions of: a real survey's data IDs, and a small survey with everything that can overlap.

As a script under the peer's interpreter it lets the peer make the small survey: `python repositories.py ROOT CONFIG`,
where CONFIG is JSON.
"""

from __future__ import annotations

import importlib
import json
import random
import sys

import astropy.time
import lsst.sphgeom

package = importlib.import_module("lsst.daf.butler" if __name__ == "__main__" else "armillary.butler")
Butler, CollectionType, DatasetType, Timespan = (
    package.Butler,
    package.CollectionType,
    package.DatasetType,
    package.Timespan,
)


def time_at(hours: float) -> astropy.time.Time:
    """So many hours after 2025-01-01 TAI."""
    return astropy.time.Time("2025-01-01T00:00:00", scale="tai", format="isot") + hours * astropy.time.TimeDelta(
        3600.0, format="sec"
    )


def square(ra: float, dec: float, half_width: float) -> lsst.sphgeom.ConvexPolygon:
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return lsst.sphgeom.ConvexPolygon(
        [
            lsst.sphgeom.UnitVector3d(lsst.sphgeom.LonLat.fromDegrees(ra + x * half_width, dec + y * half_width))
            for x, y in corners
        ]
    )


def register(butler: Butler, types: dict[str, tuple[list[str], str, bool]]) -> None:
    for name, (dimensions, storage_class, calibration) in types.items():
        butler.registry.registerDatasetType(
            DatasetType(name, dimensions, storage_class, universe=butler.dimensions, isCalibration=calibration)
        )


def make_rc2(root: str, export: str) -> str:
    """The data IDs of a month of HSC, with runs of `calexp` that cover part of them."""
    Butler.makeRepo(root)
    butler = Butler.from_config(root, writeable=True)
    butler.import_(filename=export, without_datastore=True)
    register(
        butler,
        {
            "calexp": (["visit", "detector"], "StructuredDataDict", False),
            "objectTableCore_metrics": (["tract"], "StructuredDataDict", False),
            "deepCoadd": (["tract", "patch", "band"], "StructuredDataDict", False),
        },
    )
    registry = butler.registry
    for run, keep in (("HSC/runs/a", 2), ("HSC/runs/b", 3)):
        registry.registerRun(run)
        ids = [
            data_id
            for data_id in sorted(registry.queryDataIds(["visit", "detector"], instrument="HSC"))
            if (data_id["visit"] // 2) % keep == 0 and data_id["detector"] % keep == 0
        ]
        registry.insertDatasets("calexp", ids[:: keep * 2], run)
    registry.insertDatasets(
        "objectTableCore_metrics", registry.queryDataIds("tract", skymap="hsc_rings_v1"), "HSC/runs/b"
    )
    butler.collections.register("HSC/runs", CollectionType.CHAINED)
    butler.collections.redefine_chain("HSC/runs", ["HSC/runs/b", "HSC/runs/a"])
    butler.close()
    return root


def make_from_export(root: str, export: str) -> str:
    """What a real export holds: records, collections, datasets, validity ranges; no files."""
    Butler.makeRepo(root)
    with Butler.from_config(root, writeable=True) as butler:
        butler.import_(filename=export, without_datastore=True)
    return root


def make_survey(root: str, seed: int = 7, config: dict | None = None) -> str:
    """Two cameras, two sky maps, overlapping runs, tags, chains of chains and validity ranges."""
    Butler.makeRepo(root, config=config and package.Config(config))
    with Butler.from_config(root, writeable=True) as butler:
        fill_dimensions(butler, random.Random(seed))
        fill_datasets(butler, random.Random(seed + 1))
    return root


def fill_dimensions(butler: Butler, chance: random.Random) -> None:
    insert = butler.registry.insertDimensionData
    for camera, n_detectors, filters in (("CamA", 4, "gri"), ("CamB", 2, "ry")):
        here = {"instrument": camera}
        insert(
            "instrument",
            {"name": camera, "visit_max": 1000, "exposure_max": 1000, "detector_max": 9, "class_name": f"x.{camera}"},
        )
        insert("physical_filter", *(here | {"name": f"{camera}-{band.upper()}", "band": band} for band in filters))
        insert(
            "detector",
            *(
                here
                | {
                    "id": i,
                    "full_name": f"R{i // 2}_S{i % 2}",
                    "raft": f"R{i // 2}",
                    "name_in_raft": f"S{i % 2}",
                    "purpose": "GUIDE" if i == 3 else "SCIENCE",
                }
                for i in range(n_detectors)
            ),
        )
        insert(
            "day_obs",
            *(
                here | {"id": 20250101 + day, "timespan": Timespan(time_at(24 * day), time_at(24 * (day + 1)))}
                for day in range(3)
            ),
        )
        insert("group", *(here | {"name": f"group/{i}"} for i in range(5)))
        insert("visit_system", here | {"id": 0, "name": "one-to-one"})
        for i in range(10):
            fill_visit(butler, here, 10 + i, chance, filters, n_detectors)
    insert("subfilter", {"band": "g", "id": 0}, {"band": "g", "id": 1})
    for sky_map, step in (("rings", 1.0), ("discrete", 1.5)):
        here = {"skymap": sky_map}
        insert(
            "skymap",
            {"name": sky_map, "hash": sky_map.encode() * 2, "tract_max": 9, "patch_nx_max": 2, "patch_ny_max": 2},
        )
        for tract in range(3):
            ra = 10.0 + step * tract
            insert("tract", here | {"id": tract, "region": square(ra, 0.0, step / 2)})
            insert(
                "patch",
                *(
                    here
                    | {
                        "tract": tract,
                        "id": 2 * y + x,
                        "cell_x": x,
                        "cell_y": y,
                        "region": square(ra + (x - 0.5) * step / 2, (y - 0.5) * step / 2, step / 4),
                    }
                    for x in (0, 1)
                    for y in (0, 1)
                ),
            )


def fill_visit(butler, here: dict, number: int, chance: random.Random, filters: str, n_detectors: int) -> None:
    insert = butler.registry.insertDimensionData
    start = 2.0 + 7.0 * (number - 10)
    timespan = Timespan(time_at(start), time_at(start + chance.choice((0.1, 0.5, 8.0))))
    day = 20250101 + int(start // 24)
    band = filters[number % len(filters)]
    ra, dec = chance.uniform(9.5, 13.0), chance.uniform(-0.7, 0.7)
    shared = here | {
        "id": number,
        "physical_filter": f"{here['instrument']}-{band.upper()}",
        "day_obs": day,
        "timespan": timespan,
        "target_name": f"{'field' if number % 2 else 'Field'} {number % 3}",  # collations differ in which comes first
        "science_program": None if number % 4 == 0 else "P1",
        "observation_reason": "science" if number % 2 else "test",
        "exposure_time": 15.0 + number,
        "zenith_angle": None if number % 5 == 0 else number * 2.5,
    }
    insert(
        "exposure",
        shared
        | {
            "obs_id": f"{here['instrument']}-{number}",
            "group": f"group/{number % 5}",
            "seq_num": number,
            "seq_start": number,
            "seq_end": number,
            "observation_type": "science",
            "can_see_sky": None if number % 4 == 1 else bool(number % 2),
            "has_simulated": bool(number % 3 == 0),
            "tracking_ra": ra,
            "tracking_dec": dec,
        },
    )
    if number % 6 == 0:
        return  # not every exposure becomes a visit
    insert("visit", shared | {"name": f"v{number}", "seq_num": number, "region": square(ra, dec, 0.4)})
    insert("visit_definition", here | {"exposure": number, "visit": number})
    insert("visit_system_membership", here | {"visit": number, "visit_system": 0})
    insert(
        "visit_detector_region",
        *(
            here
            | {
                "visit": number,
                "detector": i,
                "region": square(ra + 0.2 * (i % 2 - 0.5), dec + 0.2 * (i // 2 - 0.5), 0.1),
            }
            for i in range(n_detectors)
        ),
    )


TYPES = {
    "raw": (["exposure", "detector"], "StructuredDataDict", False),
    "calexp": (["visit", "detector"], "StructuredDataDict", False),
    "visit_summary": (["visit"], "ArrowAstropy", False),
    "coadd": (["tract", "patch", "band"], "StructuredDataDict", False),
    "tract_table": (["tract"], "ArrowAstropy", False),
    "warp": (["tract", "patch", "visit"], "StructuredDataDict", False),
    "bias": (["detector"], "StructuredDataDict", True),
    "flat": (["detector", "physical_filter"], "StructuredDataDict", True),
    "camera": (["instrument"], "StructuredDataDict", True),
    "refcat": (["htm7"], "ArrowAstropy", False),
    "skyMap": (["skymap"], "StructuredDataDict", False),
    "packages": ([], "StructuredDataDict", False),
    "never": (["visit"], "StructuredDataDict", False),
}


def fill_datasets(butler: Butler, chance: random.Random) -> None:
    register(butler, TYPES)
    registry = butler.registry
    made = {}
    for run in ("A/raw", "B/raw", "run/1", "run/2", "run/3", "calib/run1", "calib/run2", "sky", "empty"):
        registry.registerRun(run, doc=f"about {run}" if run.startswith("run") else None)

    def some(dimensions, share, **keywords):
        found = sorted(registry.queryDataIds(dimensions, **keywords))
        return [data_id for data_id in found if chance.random() < share]

    def insert(name, run, data_ids):
        made[name, run] = registry.insertDatasets(name, data_ids, run)

    for camera in "AB":
        insert("raw", f"{camera}/raw", some(["exposure", "detector"], 0.9, instrument=f"Cam{camera}"))
    for run, share in (("run/1", 0.7), ("run/2", 0.5), ("run/3", 0.2)):
        insert("calexp", run, some(["visit", "detector"], share, instrument="CamA"))
        insert("visit_summary", run, some(["visit"], share, instrument="CamA"))
        insert("coadd", run, some(["tract", "patch", "band"], share, skymap="rings"))
        insert("warp", run, some(["tract", "patch", "visit"], share / 2, skymap="rings", instrument="CamA"))
        insert("packages", run, [{}])
    insert("tract_table", "run/1", some(["tract"], 1.0))
    pixelization = butler.dimensions.skypix_dimensions["htm7"].pixelization
    pixels = [i for begin, end in pixelization.envelope(square(10.0, 0.0, 1.0)) for i in range(begin, end)]
    insert("refcat", "sky", [{"htm7": pixel} for pixel in pixels[::2]])
    insert("skyMap", "sky", some(["skymap"], 1.0))
    for run in ("calib/run1", "calib/run2"):
        insert("bias", run, some(["detector"], 1.0, instrument="CamA"))
        insert("flat", run, some(["detector", "physical_filter"], 0.8, instrument="CamA"))
        insert("camera", run, some(["instrument"], 1.0))
    collections = butler.collections
    for name in ("calib", "calib/other"):
        collections.register(name, CollectionType.CALIBRATION)
    for name in ("bias", "flat"):
        registry.certify("calib", made[name, "calib/run1"], Timespan(None, time_at(30)))
        registry.certify("calib", made[name, "calib/run2"], Timespan(time_at(30), None))
        registry.certify("calib/other", made[name, "calib/run1"][::2], Timespan(time_at(10), time_at(50)))
    registry.certify("calib", made["camera", "calib/run1"], Timespan(None, None))
    collections.register("tag/best", CollectionType.TAGGED)
    registry.associate("tag/best", made["calexp", "run/1"][::3])
    registry.associate("tag/best", made["coadd", "run/2"][::2])
    for name, children in (
        ("chain/12", ["run/1", "run/2"]),
        ("chain/321", ["run/3", "run/2", "run/1"]),
        ("chain/all", ["tag/best", "chain/321", "A/raw", "calib", "sky"]),
        ("chain/empty", []),
    ):
        collections.register(name, CollectionType.CHAINED, doc=f"{name} in order")
        collections.redefine_chain(name, children)


if __name__ == "__main__":
    make_survey(sys.argv[1], config=json.loads(sys.argv[2]))
