"""A survey along the equator, where every region is an interval: overlaps are found with pencil and paper.

A repository of it, tasks over it, and a brute-force model of which quanta a graph has when each task is joined on its
own dimensions.
"""

from __future__ import annotations

import itertools
import random
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from armillary.butler import Butler, DatasetType
from armillary.pipeline import PipelineGraph, PipelineTask, PipelineTaskConfig, PipelineTaskConnections
from armillary.pipeline import connectionTypes as cT
from query.two_instruments import square

DICT = "StructuredDataDict"
# Left edge, in tenths of a degree, and band of each visit; a detector is one tenth wide, and there are four.
VISITS = {1: (0, "g"), 2: (2, "r"), 3: (9, "g")}
EXPOSURES = {11: 1, 21: 2, 22: 2, 31: 3, 91: None}  # with their visits; the last, a bias, has none
DETECTORS = range(4)
# Detector 0 of visit 2 was never read out.
RAWS = [(exposure, detector) for exposure in EXPOSURES for detector in DETECTORS if (exposure, detector) != (21, 0)]
# The intervals of patches, by tract.
PATCHES = {0: {0: (1, 3), 1: (3, 5)}, 1: {0: (4, 6), 1: (40, 42)}}
DIMENSIONS = {
    "ED": ("instrument", "exposure", "detector"),
    "VD": ("instrument", "visit", "detector"),
    "V": ("instrument", "visit"),
    "VP": ("instrument", "visit", "skymap", "tract", "patch"),
    "PB": ("skymap", "tract", "patch", "band"),
    "P": ("skymap", "tract", "patch"),
    "T": ("skymap", "tract"),
}
# What identifies a data ID of each kind, in the order of its required values, instrument and sky map left out.
KEYS = {
    "ED": ("detector", "exposure"),
    "VD": ("detector", "visit"),
    "V": ("visit",),
    "VP": ("tract", "patch", "visit"),
    "PB": ("band", "tract", "patch"),
    "P": ("tract", "patch"),
    "T": ("tract",),
}


class Reading(NamedTuple):
    """An input of a task."""

    name: str
    kind: str
    minimum: int = 1


class Job(NamedTuple):
    """A task: its label, which is the name of its output, its dimensions, its inputs, and dimensions of its output."""

    label: str
    kind: str
    inputs: tuple[Reading, ...]
    output: str


# -- the repository


def interval(begin: float, end: float) -> Any:
    """Return a region; a little less than the interval, so that neighbours do not touch."""
    return square((begin + end) / 20, 0, 0.98 * (end - begin) / 20)


def make_repository(root: Any) -> None:
    """Make the repository, with a dataset `raw` for each detector that was read out."""
    Butler.makeRepo(root)
    with Butler(root, writeable=True, run="raws") as butler:
        insert, base = butler.registry.insertDimensionData, {"instrument": "Cam"}
        most = {"visit_max": 99, "exposure_max": 99, "detector_max": 9, "class_name": "x.Cam", "visit_system": 0}
        insert("instrument", {"name": "Cam", **most})
        insert("physical_filter", *({**base, "name": f"f-{band}", "band": band} for band in "gr"))
        for detector in DETECTORS:
            name = f"D{detector}"
            names = {"full_name": name, "name_in_raft": name, "raft": "R", "purpose": "SCIENCE"}
            insert("detector", {**base, "id": detector, **names})
        insert("day_obs", {**base, "id": 20250101})
        for visit, (left, band) in VISITS.items():
            common = {**base, "day_obs": 20250101, "physical_filter": f"f-{band}"}
            insert("visit", {**common, "id": visit, "name": f"v{visit}", "region": interval(left, left + 4)})
            for detector in DETECTORS:
                region = interval(left + detector, left + detector + 1)
                insert("visit_detector_region", {**base, "visit": visit, "detector": detector, "region": region})
        for exposure, visit in EXPOSURES.items():
            band = VISITS[visit][1] if visit else "g"
            insert("group", {**base, "name": f"g{exposure}"})
            common = {**base, "day_obs": 20250101, "physical_filter": f"f-{band}", "group": f"g{exposure}"}
            insert("exposure", {**common, "id": exposure, "obs_id": f"o{exposure}"})
            if visit:
                insert("visit_definition", {**base, "visit": visit, "exposure": exposure})
        insert("skymap", {"name": "sky", "hash": b"s" * 20, "tract_max": 9, "patch_nx_max": 9, "patch_ny_max": 9})
        for tract, patches in PATCHES.items():
            ends = [end for pair in patches.values() for end in pair]
            insert("tract", {"skymap": "sky", "id": tract, "region": interval(min(ends), max(ends))})
            for patch, ends in patches.items():
                place = {"skymap": "sky", "tract": tract, "id": patch, "cell_x": patch, "cell_y": 0}
                insert("patch", {**place, "region": interval(*ends)})
        raw = DatasetType("raw", DIMENSIONS["ED"], DICT, universe=butler.dimensions)
        butler.registry.registerDatasetType(raw)
        data_ids = [{"instrument": "Cam", "exposure": exposure, "detector": detector} for exposure, detector in RAWS]
        butler.registry.insertDatasets(raw, data_ids, run="raws")


# -- pipelines


def task_class(job: Job) -> type[PipelineTask]:
    """Make the class of a task, where a pipeline finds it."""
    module = sys.modules[__name__]

    def new(name: str, base: Any, namespace: Mapping[str, Any], **keywords: Any) -> Any:
        body = {**namespace, "__module__": __name__}
        made = types.new_class(name, (base,), keywords, lambda space: space.update(body))
        setattr(module, name, made)
        return made

    def io(kind: Any, name: str, dimensions: str, **options: Any) -> Any:
        return kind(name=name, doc=name, storageClass=DICT, dimensions=DIMENSIONS[dimensions], multiple=True, **options)

    connections = {
        f"from_{reading.name}": io(cT.Input, reading.name, reading.kind, minimum=reading.minimum)
        for reading in job.inputs
    }
    connections["out"] = io(cT.Output, job.label, job.output)
    name = job.label.capitalize()
    connected = new(f"{name}Connections", PipelineTaskConnections, connections, dimensions=DIMENSIONS[job.kind])
    config = new(f"{name}Config", PipelineTaskConfig, {}, pipelineConnections=connected)
    return new(f"{name}Task", PipelineTask, {"ConfigClass": config, "_DefaultName": job.label})


def pipeline_of(jobs: list[Job]) -> PipelineGraph:
    """Make the pipeline."""
    pipeline = PipelineGraph()
    for job in jobs:
        pipeline.add_task(job.label, task_class(job))
    return pipeline


def coadding() -> list[Job]:
    """From raw frames to tables of tracts."""
    return [
        Job("isr", "ED", (Reading("raw", "ED"),), "ED"),
        Job("calibrate", "VD", (Reading("isr", "ED"),), "VD"),
        Job("consolidate", "V", (Reading("calibrate", "VD"),), "V"),
        Job("warp", "VP", (Reading("calibrate", "VD"),), "VP"),
        Job("coadd", "PB", (Reading("warp", "VP"),), "PB"),
        Job("objects", "P", (Reading("coadd", "PB"),), "P"),
        Job("table", "T", (Reading("objects", "P"),), "T"),
    ]


def random_jobs(seed: int) -> list[Job]:
    """Make up a pipeline: each task reads frames or what earlier ones make."""
    choose = random.Random(seed)
    made = [("raw", "ED")]
    jobs = []
    for number in range(choose.randint(2, 5)):
        kind = choose.choice([*DIMENSIONS])
        few = choose.sample(made, min(len(made), choose.randint(1, 2)))
        inputs = tuple(Reading(*what, minimum=choose.choice([1, 1, 1, 0])) for what in few)
        output = choose.choice([kind, kind, "VD" if kind == "V" else kind])
        jobs.append(Job(f"t{number}", kind, inputs, output))
        made.append((f"t{number}", output))
    return jobs


# -- the model


Row = dict[str, Any]
Key = tuple[Any, ...]
Contents = dict[tuple[str, Key], dict[str, frozenset[Key]]]


def overlap(first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Whether two intervals have more than an end in common."""
    return first[0] < second[1] and second[0] < first[1]


def rows(names: set[str]) -> Iterator[Row]:
    """All combinations of values of some dimensions that belong together."""
    values: dict[str, list[Any]] = {
        "exposure": [*EXPOSURES],
        "visit": [*VISITS],
        "detector": [*DETECTORS],
        "tract": [*PATCHES],
        "patch": [0, 1],
        "band": ["g", "r"],
    }
    names = names | ({"tract"} if "patch" in names else set())
    ordered = sorted(names)
    for combination in itertools.product(*(values[name] for name in ordered)):
        row = dict(zip(ordered, combination, strict=True))
        if belongs_together(row):
            yield row


def belongs_together(row: Row) -> bool:
    visit, exposure = row.get("visit"), row.get("exposure")
    if visit is not None and exposure is not None and EXPOSURES[exposure] != visit:
        return False
    if "band" in row:
        own = [VISITS[visit][1]] if visit is not None else []
        if exposure is not None:
            own.append(VISITS[EXPOSURES[exposure]][1] if EXPOSURES[exposure] else "g")
        if any(band != row["band"] for band in own):
            return False
    if visit is None or "tract" not in row:
        return True
    left = VISITS[visit][0]
    observed = (left + row["detector"], left + row["detector"] + 1) if "detector" in row else (left, left + 4)
    patches = PATCHES[row["tract"]]
    ends = [end for pair in patches.values() for end in pair]
    return overlap(observed, patches[row["patch"]] if "patch" in row else (min(ends), max(ends)))


def key(row: Row, kind: str) -> Key:
    return tuple(row[name] for name in KEYS[kind])


def names_of(job: Job) -> set[str]:
    return {name for kind in (job.kind, job.output, *(reading.kind for reading in job.inputs)) for name in KEYS[kind]}


def limiting(job: Job) -> list[Reading]:
    """The inputs that a row must have: what may be missing counts only where nothing else says what there is."""
    needed = [reading for reading in job.inputs if reading.minimum or reading.name == "raw"]
    known = {name for kind in (job.kind, *(reading.kind for reading in needed)) for name in KEYS[kind]}
    return needed if needed and known.issuperset(KEYS[job.output]) else list(job.inputs)


def everything(row: Row) -> bool:
    """No condition."""
    return True


def graph_of_each(jobs: list[Job], condition: Callable[[Row], bool] = everything, named: str = "") -> Contents:
    """All quanta with their inputs and outputs when every task is joined on its own dimensions.

    `condition` is about a row, of which it needs the dimension `named`: one of visits or of the sky map.
    """
    may_be: dict[str, set[Key]] = {"raw": {(detector, exposure) for exposure, detector in RAWS}}
    there = {"raw": set(may_be["raw"])}
    whole = set().union(*map(names_of, jobs))
    quanta: Contents = {}
    for job in jobs:
        limits = limiting(job)
        found: dict[Key, dict[str, set[Key]]] = {}
        may_be[job.label] = set()
        for row in rows(reached(names_of(job), named, whole)):
            if not condition(row) or not all(key(row, reading.kind) in may_be[reading.name] for reading in limits):
                continue
            sides = found.setdefault(key(row, job.kind), {name: set() for name in may_be})
            sides[job.label].add(key(row, job.output))
            may_be[job.label].add(key(row, job.output))
            for reading in job.inputs:
                sides[reading.name].add(key(row, reading.kind))
        there[job.label] = set()
        for data_id, sides in found.items():
            read = {reading.name: frozenset(sides[reading.name] & there[reading.name]) for reading in job.inputs}
            if all(len(read[reading.name]) >= reading.minimum for reading in job.inputs):
                there[job.label] |= sides[job.label]
                quanta[job.label, data_id] = {**read, job.label: frozenset(sides[job.label])}
    return quanta


def reached(own: set[str], named: str, whole: set[str]) -> set[str]:
    """What the rows of a task must hold so that a condition reaches it."""
    if not named or named in own:
        return own
    names = own | {named} | ({"tract"} if named == "patch" else set())
    if "exposure" in names and "visit" in whole:
        names.add("visit")
    if not {"visit", "tract"} <= names:
        return own | {named}
    return names | (whole & {"detector", "patch"})
