"""Make, with the peer, a repository of real HSC visits and the real corners of tracts and patches in COSMOS.

Arguments: folder of the shared data, repository, JSON list of pipelines with stub tasks. Every dataset that these read
and do not make is there for every data ID of some visits, detectors and patches.
"""

import gzip
import json
import re
import sys
from collections import Counter
from pathlib import Path

import stub_tasks
from lsst.daf.butler import Butler, CollectionType, DatasetType, Timespan
from lsst.daf.butler import DataCoordinate as Coordinate
from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

data, root, pipelines = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
SKYMAP, TRACTS, INSTRUMENT = "cosmos", "(9812, 9813)", "HSC"
VISITS, DETECTORS, PATCHES = 2, 3, 4
RUN, CALIBRATIONS = "inputs", "calibrations"
Butler.makeRepo(root)
butler = Butler.from_config(root, writeable=True, run=RUN)
butler.import_(filename=str(data / "exports" / "daf_butler_hsc-rc2-subset.yaml"), without_datastore=True)
registry = butler.registry


def corners(text):
    pairs = [re.findall(r"[-\d.]+", line.rpartition("(")[2]) for line in text if "Corner" in line]
    vectors = [UnitVector3d(LonLat.fromDegrees(float(ra), float(dec))) for ra, dec in pairs[:4]]
    return ConvexPolygon(vectors)


def add_skymap():
    """Add tracts and patches with the corners of a public list."""
    lines = gzip.decompress((data / "skymaps" / "tracts_patches_DUD-COSMOS.txt.gz").read_bytes()).decode().splitlines()
    blocks = {}
    for line in lines:
        found = re.match(r"Tract: (\d+)(?:  Patch: (\d+),(\d+))?", line)
        if found:
            blocks.setdefault(tuple(int(part) for part in found.groups() if part), []).append(line)
    sizes = {"tract_max": 20000, "patch_nx_max": 9, "patch_ny_max": 9}
    registry.insertDimensionData("skymap", {"name": SKYMAP, "hash": b"cosmos", **sizes})
    tracts = [{"skymap": SKYMAP, "id": key[0], "region": corners(text)} for key, text in blocks.items() if len(key) < 2]
    patches = [
        {"skymap": SKYMAP, "tract": key[0], "id": key[2] * 9 + key[1], "cell_x": key[1], "cell_y": key[2],
         "region": corners(text)}
        for key, text in blocks.items() if len(key) == 3
    ]  # fmt: skip
    registry.insertDimensionData("tract", *tracts)
    registry.insertDimensionData("patch", *patches)


def choose():
    """Some visits, of different filters if there are, and detectors and patches that overlap them: records and ids."""
    with butler.query() as query:
        where = f"instrument='{INSTRUMENT}' AND skymap='{SKYMAP}' AND tract IN {TRACTS}"
        ids = list(query.where(where).data_ids(["visit", "detector", "patch"]))
        records = {one.id: one for one in query.where(instrument=INSTRUMENT).dimension_records("visit")}
    best = {}
    for number, _ in Counter(one["visit"] for one in ids).most_common():
        best.setdefault(records[number].physical_filter, number)
    visits = sorted(list(best.values())[:VISITS])
    ids = [one for one in ids if one["visit"] in visits]
    patches = sorted(number for number, _ in Counter(one["patch"] for one in ids).most_common(PATCHES))
    near = Counter(one["detector"] for one in ids if one["patch"] in patches)
    return [records[one] for one in visits], sorted(one for one, _ in near.most_common(DETECTORS)), patches


def among(values):
    return f"({', '.join(map(str, values))})"


def add_exposures(visits):
    """Add the exposure of each visit: the export has none."""
    for visit in visits:
        base = {"instrument": INSTRUMENT, "id": visit.id, "physical_filter": visit.physical_filter}
        registry.insertDimensionData("group", {"instrument": INSTRUMENT, "name": visit.name})
        when = {"group": visit.name, "day_obs": visit.day_obs, "timespan": visit.timespan}
        registry.insertDimensionData("exposure", {**base, **when, "obs_id": visit.name})
        together = {"instrument": INSTRUMENT, "visit": visit.id, "exposure": visit.id}
        registry.insertDimensionData("visit_definition", together)


def overall_inputs():
    """What the pipelines read and do not make: name, dimensions, and whether it is a calibration."""
    found = {}
    for name in pipelines:
        graph = stub_tasks.stub_graph(data / name)
        for node in graph.tasks.values():
            edges = [*node.inputs.values(), *node.prerequisite_inputs.values(), *node.init.inputs.values()]
            for edge in edges:
                if graph.producer_of(edge.parent_dataset_type_name) is None:
                    dimensions = frozenset(edge.raw_dimensions)
                    what = (edge.parent_dataset_type_name, dimensions, edge.is_calibration)
                    found.setdefault(what[0], what)
    return found.values()


def data_ids_of(dimensions, conditions):
    if "skypix" in dimensions:
        pixels = butler.dimensions.skypix_dimensions["htm7"].pixelization
        with butler.query() as query:
            where = f"{conditions['instrument']} AND {conditions['visit']}"
            regions = [record.region for record in query.where(where).dimension_records("visit")]
        ids = {pixel for region in regions for first, last in pixels.envelope(region) for pixel in range(first, last)}
        return [Coordinate.standardize(htm7=pixel, universe=butler.dimensions) for pixel in sorted(ids)]
    if not dimensions:
        return [Coordinate.make_empty(butler.dimensions)]
    group = butler.dimensions.conform(dimensions)
    where = " AND ".join(text for name, text in conditions.items() if name in group)
    with butler.query() as query:
        return list(query.where(where).data_ids(group))


add_skymap()
visits, detectors, patches = choose()
add_exposures(visits)
numbers = among(visit.id for visit in visits)
conditions = {
    "instrument": f"instrument='{INSTRUMENT}'",
    "skymap": f"skymap='{SKYMAP}'",
    "tract": f"tract IN {TRACTS}",
    "patch": f"patch IN {among(patches)}",
    "detector": f"detector IN {among(detectors)}",
    "visit": f"visit IN {numbers}",
    "exposure": f"exposure IN {numbers}",
}
butler.collections.register(CALIBRATIONS, CollectionType.CALIBRATION)
for name, dimensions, calibration in sorted(overall_inputs(), key=lambda what: what[0]):
    known = {"htm7" if one == "skypix" else one for one in dimensions}
    kind = DatasetType(name, known, "StructuredDataDict", universe=butler.dimensions, isCalibration=calibration)
    registry.registerDatasetType(kind)
    refs = [butler.put({"name": name}, kind, one) for one in data_ids_of(dimensions, conditions)]
    if calibration:
        registry.certify(CALIBRATIONS, refs, Timespan(None, None))
print(json.dumps({"conditions": conditions}))
