"""The graph of the LSSTCam data release pipeline, 163 tasks, over real visits and a real sky map: built, saved, read.

    python benches/lsstcam_drp.py WORKDIR [--visits N]

The pipeline is that of drp_pipe with stubs in place of its tasks, which have the real connections. The visits are those
of the HiTS survey that touch the ten HSC tracts around COSMOS, at their real positions, with LSSTCam's 189 detectors.
The repository, of registry rows alone, holds every overall input; it is made in WORKDIR when it is not there. Prints
one JSON line per step: CPU seconds, seconds on the clock, peak memory, and what was made.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np

SHARED = Path(os.environ.get("ARMILLARY_SHARED", Path(__file__).resolve().parents[2] / "shared"))
DATA = SHARED / "data"
os.environ.setdefault("BENCH_BUTLER_MODULE", "armillary.butler")
os.environ.setdefault("BENCH_PIPE_MODULE", "armillary.pipeline")
os.environ.setdefault("STUB_PIPE_MODULE", "armillary.pipeline")
os.environ.setdefault("STUB_TABLE", str(DATA / "task_connections.json"))
os.environ.setdefault("STUB_STORAGE_CLASS", "StructuredDataDict")  # the code of real classes chooses some of them
sys.path.insert(0, str(SHARED / "bench"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "peer" / "stubs"))

PIPELINE = DATA / "pipelines" / "lsst_drp_pipe" / "pipelines" / "LSSTCam" / "DRP.yaml"
RUN, INPUTS = "inputs/all", "inputs"
MULTIPROFIT = "lsst.meas.extensions.multiprofit.pipetasks_fit.MultiProFitCoadd"
MULTIPROFIT_FILE = {  # of a package that the shared inputs lack
    "description": "stand-in",
    "tasks": {
        "fitDeepCoaddPsfGaussians": MULTIPROFIT + "PsfFitTask",
        "fitDeblendedObjectsExp": MULTIPROFIT + "ExpFitTask",
        "fitDeblendedObjectsSersic": MULTIPROFIT + "SersicFitTask",
    },
}
FOCAL_PLANE_RADIUS, TRACT_RADIUS = 1.75, 1.2
"""Degrees; of a tract to its corners."""


def tracts_around_cosmos() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners of tracts and of their patches, and the centres of tracts, in degrees."""
    text = gzip.decompress((DATA / "skymaps" / "tracts_patches_DUD-COSMOS.txt.gz").read_bytes()).decode()
    pattern = r"Tract: (\d+)\s+(?:Patch: (\d),(\d)\s+)?(Center|Corner\d) \(RA, Dec\): \(([-\d.]+) , ([-\d.]+)\)"
    corners: dict[tuple[int, ...], list[tuple[float, float]]] = {}
    centres = {}
    for tract, x, y, kind, lon, lat in re.findall(pattern, text):
        key = (int(tract), *(int(one) for one in (y, x) if one))
        place = (float(lon), float(lat))
        if kind != "Center":
            corners.setdefault(key, []).append(place)
        elif len(key) == 1:
            centres[key] = place
    tracts = sorted(centres)
    patches = [[corners[key] for key in sorted(corners) if len(key) == 3 and key[:1] == tract] for tract in tracts]
    return np.array([corners[tract] for tract in tracts]), np.array(patches), np.array([centres[one] for one in tracts])


def hits_visits() -> list[dict[str, str]]:
    """The visits of HiTS, with their positions in degrees."""
    with (DATA / "visits" / "hits_visit_df.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row["lon"], row["lat"] = 15 * sexagesimal(row["ra"]), sexagesimal(row["dec"])
    return rows


def sexagesimal(text: str) -> float:
    size = sum(float(part) / 60**power for power, part in enumerate(text.strip().lstrip("+-").split(":")))
    return -size if text.strip().startswith("-") else size


def survey(n_visits: int | None) -> dict[str, np.ndarray]:
    """The visits that touch a tract, in the form in which `survey.py` of the shared benches gives a survey."""
    from survey import detector_corners, project, to_unit_vectors

    tracts, patches, centres = tracts_around_cosmos()
    vectors = to_unit_vectors(*centres.T)
    nearest = np.cos(np.radians(FOCAL_PLANE_RADIUS + TRACT_RADIUS))
    rows = [row for row in hits_visits() if (vectors @ to_unit_vectors(row["lon"], row["lat"])).max() > nearest]
    rows = rows[:n_visits]
    lon, lat = (np.array([row[name] for row in rows]) for name in ("lon", "lat"))
    mjd = np.array([float(row["image_mjd"]) for row in rows])
    corners = detector_corners("lsstcam")
    theta = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    radius = 0.97 * np.hypot(corners[..., 0], corners[..., 1]).max()
    circle = [(radius * way(theta))[None] for way in (np.cos, np.sin)]
    days = np.datetime64("1858-11-17") + np.floor(mjd).astype(int)
    filters = sorted({row["filter"] for row in rows})
    return {
        "filters": np.array(filters),
        "detectors": np.array(len(corners)),
        "tract_region": to_unit_vectors(tracts[..., 0], tracts[..., 1]),
        "patch_region": to_unit_vectors(patches[..., 0], patches[..., 1]),
        "visit_id": np.array([int(row["visit_num"]) for row in rows]),
        "visit_filter": np.array([filters.index(row["filter"]) for row in rows]),
        "visit_day_obs": np.array([int(str(day).replace("-", "")) for day in days]),
        "visit_seq": np.arange(len(rows)),
        "visit_mjd": mjd,
        "visit_lon": lon,
        "visit_lat": lat,
        "visit_region": project(lon[:, None], lat[:, None], *circle),
        "detector_region": project(
            lon[:, None, None], lat[:, None, None], corners[None, ..., 0], corners[None, ..., 1]
        ),
    }


def pipeline_graph(folder: Path):
    """The pipeline over stubs, unresolved."""
    for package in (DATA / "pipelines").iterdir():
        os.environ[package.name.partition("_")[2].upper() + "_DIR"] = str(package)
    stand_in = folder / "multiprofit" / "pipelines" / "multiprofit_fit_standard.yaml"
    stand_in.parent.mkdir(parents=True, exist_ok=True)
    stand_in.write_text(json.dumps(MULTIPROFIT_FILE))
    os.environ["MEAS_EXTENSIONS_MULTIPROFIT_DIR"] = str(stand_in.parents[1])
    import stub_tasks

    for entry in stub_tasks.TABLE.values():
        for connection in entry["connections"].values():
            if connection["kind"] == "Output" and not connection.get("dimensions"):
                connection["dimensions"] = entry["dimensions"]  # which the code of the real class says
    return stub_tasks.stub_graph(PIPELINE, pixels=True)


def every_data_id(butler, dimensions: tuple[str, ...]) -> list:
    """Give all data IDs there can be; pixels are those that a visit or a tract touches."""
    from populate import INSTRUMENT, SKYMAP, data_ids

    from armillary.butler import DataCoordinate

    group = butler.dimensions.conform(dimensions)
    here = {key: value for key, value in (("instrument", INSTRUMENT), ("skymap", SKYMAP)) if key in group}
    pixels = [name for name in dimensions if name in butler.dimensions.skypix_dimensions]
    if not pixels:
        return data_ids(butler, dimensions, **here)
    (pixel,) = pixels
    envelope = butler.dimensions.skypix_dimensions[pixel].pixelization.envelope
    visits = data_ids(butler, ["visit"], instrument=INSTRUMENT)
    tracts = data_ids(butler, ["tract"], skymap=SKYMAP)
    touched = {
        index for one in [*visits, *tracts] for begin, end in envelope(one.region) for index in range(begin, end)
    }
    rest = [name for name in dimensions if name != pixel]
    others = data_ids(butler, rest, **here) if rest else [DataCoordinate.make_empty(butler.dimensions)]
    return [
        DataCoordinate.standardize(one, universe=butler.dimensions, **{pixel: index})
        for one in others
        for index in sorted(touched)
    ]


def make_repository(root: Path, folder: Path, n_visits: int | None) -> None:
    """Make a repository with every overall input of the pipeline."""
    from measure import measure
    from populate import SurveyRecords, insert_dimensions, make_repo

    from armillary.butler import CollectionType, DataCoordinate, DatasetType, Timespan

    np.savez(folder / "survey.npz", **survey(n_visits))
    records = SurveyRecords(str(folder / "survey.npz"))
    butler = make_repo(str(root))
    insert_dimensions(butler, records, "cosmos")
    calibrations, registry = "inputs/calib", butler.registry
    butler.collections.register(RUN)
    butler.collections.register(calibrations, CollectionType.CALIBRATION)
    graph = pipeline_graph(folder)
    known: dict[tuple[str, ...], list[DataCoordinate]] = {(): [DataCoordinate.make_empty(butler.dimensions)]}
    with measure("insert_inputs", "cosmos") as m:
        for name, _ in sorted(graph.iter_overall_inputs()):
            edge = graph.consuming_edges_of(name)[0]
            dimensions = tuple(sorted("htm7" if one == "skypix" else one for one in edge.raw_dimensions))
            if dimensions not in known:
                known[dimensions] = every_data_id(butler, dimensions)
            dataset_type = DatasetType(
                name, dimensions, edge.storage_class_name, isCalibration=edge.is_calibration, universe=butler.dimensions
            )
            registry.registerDatasetType(dataset_type)
            refs = registry.insertDatasets(dataset_type, known[dimensions], run=RUN)
            m.n += len(refs)
            if edge.is_calibration:
                registry.certify(calibrations, refs, Timespan(None, None))
    butler.collections.register(INPUTS, CollectionType.CHAINED)
    butler.collections.redefine_chain(INPUTS, [RUN, calibrations])
    butler.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--visits", type=int, help="only the first visits; 217 touch the tracts")
    parser.add_argument("--repeat", type=int, default=1)
    arguments = parser.parse_args()
    folder = arguments.workdir
    folder.mkdir(parents=True, exist_ok=True)
    from measure import measure
    from populate import INSTRUMENT, SKYMAP

    from armillary.butler import Butler
    from armillary.pipeline.all_dimensions_quantum_graph_builder import AllDimensionsQuantumGraphBuilder
    from armillary.pipeline.quantum_graph import PredictedQuantumGraph

    root = folder / f"repo-{arguments.visits or 'all'}"
    if not root.exists():
        make_repository(root, folder, arguments.visits)
    scale, path = f"LSSTCam DRP, {arguments.visits or 'all'} visits", folder / f"graph-{arguments.visits or 'all'}.qg"
    butler = Butler.from_config(str(root))
    for number in range(arguments.repeat):
        with measure("pipeline", scale, repeat=number) as m:
            pipeline = pipeline_graph(folder)
            m.n = len(pipeline.tasks)
        with measure("build", scale, repeat=number) as m:
            builder = AllDimensionsQuantumGraphBuilder(
                pipeline,
                butler,
                where=f"instrument='{INSTRUMENT}' AND skymap='{SKYMAP}'",
                input_collections=[INPUTS],
                output_run="u/bench/drp",
            )
            components = builder.finish(attach_datastore_records=False)
            m.n = components.header.n_quanta
            m.extra["datasets"] = components.header.n_datasets
        with measure("save", scale, m.n, repeat=number) as m:
            components.write(path)
            m.extra["bytes"] = path.stat().st_size
        del components, builder
        with measure("load thin", scale, m.n, repeat=number) as m, PredictedQuantumGraph.open(path) as reader:
            reader.read_thin_graph()
            m.extra["edges"] = len(reader.finish().edges())
        with measure("load all", scale, m.n, repeat=number) as m, PredictedQuantumGraph.open(path) as reader:
            reader.read_all()
            graph = reader.finish()
    labels = Counter(label for _, label in graph.quanta())
    print(json.dumps({"tasks with quanta": len(labels), "most quanta": labels.most_common(12)}))


if __name__ == "__main__":
    main()
