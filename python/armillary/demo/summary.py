"""What a demo made: collections, quanta and seconds per task, objects, pictures, the pipeline's drawing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from armillary.demo.pictures import draw_coadd, draw_difference
from armillary.demo.run import CALIBRATIONS, OUTPUT, PIPELINE, PIXEL_SCALE, SKY_MAP, Demo


@dataclass
class TaskSummary:
    """How often a task ran, and the CPU seconds of all its quanta together."""

    quanta: int = 0
    cpu_seconds: float = 0.0


@dataclass
class MovingObject:
    """An object that moved between the first two nights: places in degrees, motion in pixels and arcseconds."""

    tract: int
    band: str
    first_ra: float
    first_dec: float
    second_ra: float
    second_dec: float
    moved_pixels: float
    moved_arcseconds: float


@dataclass
class Summary:
    """What one demo made."""

    collections: list[str] = field(default_factory=list)
    tasks: dict[str, TaskSummary] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)
    moving: list[MovingObject] = field(default_factory=list)
    noise_adu: dict[str, float] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write the summary as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def summarise(demo: Demo) -> Summary:
    """Collect what a finished demo made, draw its pictures and its pipeline, and write `summary.json`."""
    summary = Summary(seconds=demo.seconds)
    with demo.open() as butler:
        summary.collections = sorted(butler.collections.query("*", include_chains=True))
        _count_quanta(butler, summary)
        for ref in _datasets(butler, "objects"):
            summary.objects[f"tract {ref.dataId['tract']}"] = len(butler.get(ref))
        marks = _moving_objects(butler, summary)
        _draw_images(butler, demo, summary, marks)
    _draw_pipeline(demo, summary)
    summary.write(demo.directory / "summary.json")
    return summary


def _datasets(butler: Any, dataset_type: str, collections: Any = OUTPUT) -> list[Any]:
    refs = butler.registry.queryDatasets(dataset_type, collections=collections, findFirst=True)
    return sorted(refs, key=lambda ref: ref.dataId.required_values)


def _count_quanta(butler: Any, summary: Summary) -> None:
    """Each quantum that succeeded left its metadata, with the CPU time at its begin and end."""
    nights = [name for name in summary.collections if name.startswith(f"{CALIBRATIONS}/") and name.count("/") == 2]
    for label in _labels():
        found = TaskSummary()
        for collection in [*nights, OUTPUT]:
            for ref in _metadata(butler, label, collection):
                quantum = butler.get(ref)["quantum"]
                found.quanta += 1
                found.cpu_seconds += _last(quantum, "endCpuTime") - _last(quantum, "prepCpuTime")
        found.cpu_seconds = round(found.cpu_seconds, 2)
        summary.tasks[label] = found


def _labels() -> list[str]:
    import yaml

    return list(yaml.safe_load(PIPELINE.read_text())["tasks"])


def _metadata(butler: Any, label: str, collection: str) -> list[Any]:
    name = f"{label}_metadata"
    known = {dataset_type.name for dataset_type in butler.registry.queryDatasetTypes(name)}
    return _datasets(butler, name, [collection]) if name in known else []


def _last(metadata: Any, key: str) -> float:
    value = metadata[key]
    return float(value[-1] if isinstance(value, (list, tuple)) else value)


def _moving_objects(butler: Any, summary: Summary) -> dict[tuple[int, str], list[tuple[float, float, str]]]:
    """Fill in what moved; give its places by tract and band, to be marked in pictures."""
    marks = {}
    for ref in _datasets(butler, "moving_object"):
        tract, band = ref.dataId["tract"], ref.dataId["band"]
        for row in butler.get(ref):
            summary.moving.append(_moving_object(tract, band, row))
            marks[tract, band] = [
                (float(row[f"{night}_x"]), float(row[f"{night}_y"]), f"{night} night") for night in ("first", "second")
            ]
    return marks


def _moving_object(tract: int, band: str, row: Mapping[str, Any]) -> MovingObject:
    places = {name: float(row[name]) for name in ("first_ra", "first_dec", "second_ra", "second_dec")}
    pixels = float(row["distance"])
    return MovingObject(tract, band, **places, moved_pixels=pixels, moved_arcseconds=pixels * PIXEL_SCALE)


def _draw_images(
    butler: Any, demo: Demo, summary: Summary, marks: Mapping[tuple[int, str], list[tuple[float, float, str]]]
) -> None:
    for ref in _datasets(butler, "coadd"):
        tract, band = ref.dataId["tract"], ref.dataId["band"]
        image = butler.get(ref)
        noise = float(image.header["NOISE"])
        summary.noise_adu[f"tract {tract}, {band}"] = round(noise, 3)
        path = demo.pictures / f"coadd_{SKY_MAP}_{tract}_{band}.png"
        title = f"tract {tract}, {band}: {int(image.header['NFRAMES'])} frames, noise {noise:.2f} ADU"
        draw_coadd(path, image, title=title, noise=noise)
        summary.files.append(str(path))
    for ref in _datasets(butler, "difference"):
        tract, band = ref.dataId["tract"], ref.dataId["band"]
        image = butler.get(ref)
        path = demo.pictures / f"difference_{SKY_MAP}_{tract}_{band}.png"
        noise = float(np.sqrt(np.median(np.asarray(image.variance)[np.asarray(image.mask) == 0])))
        title = f"tract {tract}, {band}: first night less second"
        draw_difference(path, image, title=title, noise=noise, marks=marks.get((tract, band), []))
        summary.files.append(str(path))


def _draw_pipeline(demo: Demo, summary: Summary) -> None:
    from armillary.pipeline import Pipeline
    from armillary.pipeline.graph_drawing import pipeline_mermaid, pipeline_svg

    graph = Pipeline.from_uri(str(PIPELINE)).to_graph()
    for name, draw in (("pipeline.mmd", pipeline_mermaid), ("pipeline.svg", pipeline_svg)):
        path = demo.directory / name
        path.write_text(draw(graph))
        summary.files.append(str(path))
