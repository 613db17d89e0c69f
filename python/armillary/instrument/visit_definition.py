"""Visits from exposures of the sky: one each or one for several, with the region that their detectors see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from armillary.instrument.instrument import Instrument
from armillary.instrument.wcs import header_wcs, pixel_polygon

GROUPINGS = ("one-to-one", "by-group-metadata", "by-counter")
_VISIT_SYSTEMS = {
    "one-to-one": {"id": 0, "name": "one-to-one"},
    "by-group-metadata": {"id": 1, "name": "by-group-metadata"},
    "by-counter": {"id": 2, "name": "by-seq-start-end"},
}


@dataclass
class DefineVisitsReport:
    """Visits that were `defined`, were there already (`existing`), or could not be made (`failed`, with the reason)."""

    defined: list[int] = field(default_factory=list)
    existing: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)


def define_visits(
    butler: Any,
    instrument: Instrument,
    *,
    collections: Sequence[str] | str | None = None,
    where: str = "",
    observation_types: Iterable[str] = ("science",),
    padding: float = 0.0,
    update_records: bool = False,
    skip_conflicting: bool = False,
    only_known: bool = False,
    grouping: str = "one-to-one",
    raw: str = "raw",
) -> DefineVisitsReport:
    """Define visits for the exposures of the sky that have raw frames in `collections` (the camera's raw run).

    `grouping` is `one-to-one`, `by-group-metadata` (exposures of one group) or `by-counter` (those from `seq_start` to
    `seq_end`); a visit of several exposures has the number and name of the first. With `only_known` no new ones are
    made.

    A detector's region is the rectangle that its raw header's WCS gives, widened by `padding` pixels; a visit's region
    is the convex hull of its detectors'. Visits that exist are left alone unless `update_records`; a visit of other
    content under the same number raises the registry's conflict error, or is reported with `skip_conflicting`.
    """
    name = instrument.getName()
    searched = collections or instrument.makeDefaultRawIngestRunName()
    if grouping not in GROUPINGS:
        raise ValueError(f"`{grouping}` is no way of grouping exposures; they are {', '.join(GROUPINGS)}")
    registry = butler.registry
    exposures = _exposures(registry, name, where, set(observation_types))
    frames = defaultdict(list)
    for ref in registry.queryDatasets(raw, collections=searched, instrument=name, where=where, findFirst=True):
        if ref.dataId["exposure"] in exposures:
            frames[ref.dataId["exposure"]].append(ref)
    known = {record.id for record in registry.queryDimensionRecords("visit", instrument=name)} if frames else set()
    report = DefineVisitsReport()
    new = []
    system = _VISIT_SYSTEMS[grouping]
    for members in _grouped([exposures[number] for number in sorted(frames)], grouping):
        number = members[0].id
        if number in known and not update_records:
            report.existing.append(number)
            continue
        if only_known and number not in known:
            continue
        try:
            refs = [ref for exposure in members for ref in frames[exposure.id]]
            new.append(_Visit.of(butler, members, refs, padding, system["id"]))
        except ValueError as error:
            report.failed[number] = str(error)
    if new:
        registry.syncDimensionData("visit_system", {"instrument": name, **system})
        _insert(butler, new, report, replace=update_records, one_by_one=skip_conflicting)
    return report


@dataclass(frozen=True)
class _Visit:
    """The records of one visit: its exposures in order, and the regions of its detectors."""

    exposures: Sequence[Any]
    regions: Mapping[int, Any]
    system: int

    @property
    def exposure(self) -> Any:
        """The first exposure, which the visit has its number from."""
        return self.exposures[0]

    @classmethod
    def of(cls, butler: Any, exposures: Sequence[Any], refs: Iterable[Any], padding: float, system: Any) -> _Visit:
        for what in ("physical_filter", "day_obs"):
            values = sorted({str(getattr(exposure, what)) for exposure in exposures})
            if len(values) > 1:
                raise ValueError(f"its exposures differ in `{what}`: {', '.join(f'`{value}`' for value in values)}")
        found = defaultdict(list)
        for ref in sorted(refs, key=lambda ref: ref.dataId["detector"]):
            header = butler.get(ref.makeComponentRef("header"))
            try:
                found[ref.dataId["detector"]].append(frame_region(header, padding))
            except ValueError as error:
                raise ValueError(f"detector {ref.dataId['detector']}: {error}") from error
        return cls(exposures, {detector: _hull(regions) for detector, regions in found.items()}, system)

    def _common(self, what: str) -> Any:
        """A value that all exposures have, or None."""
        values = {getattr(exposure, what) for exposure in self.exposures}
        return values.pop() if len(values) == 1 else None

    def _timespan(self) -> Any:
        from armillary.butler import Timespan

        spans = [exposure.timespan for exposure in self.exposures if exposure.timespan is not None]
        if len(spans) < 2:
            return spans[0] if spans else None
        return Timespan(min(span.begin for span in spans), max(span.end for span in spans))

    def records(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Every record, by element, in the order of insertion."""
        exposure = self.exposure
        key = {"instrument": exposure.instrument, "visit": exposure.id}
        visit = {
            "instrument": exposure.instrument,
            "id": exposure.id,
            "name": exposure.obs_id,
            "day_obs": exposure.day_obs,
            "physical_filter": exposure.physical_filter,
            "seq_num": exposure.seq_num,
            "exposure_time": sum(exposure.exposure_time or 0.0 for exposure in self.exposures),
            "target_name": self._common("target_name"),
            "observation_reason": self._common("observation_reason"),
            "science_program": self._common("science_program"),
            "azimuth": exposure.azimuth,
            "zenith_angle": exposure.zenith_angle,
            "timespan": self._timespan(),
            "region": _hull(list(self.regions.values())),
        }
        detectors = [{**key, "detector": detector, "region": region} for detector, region in self.regions.items()]
        return [
            ("visit", [visit]),
            ("visit_definition", [{**key, "exposure": member.id} for member in self.exposures]),
            ("visit_system_membership", [{**key, "visit_system": self.system}]),
            ("visit_detector_region", detectors),
        ]


def frame_region(header: Mapping[str, Any], padding: float = 0.0) -> Any:
    """Give the region of the sky on the data columns of a raw frame; `ValueError` if the header has no WCS.

    `DATASEC` names the data columns; without it the whole frame is taken.
    """
    import re

    found = re.fullmatch(r"\s*\[(\d+):(\d+),(\d+):(\d+)\]\s*", str(header.get("DATASEC", "")))
    try:
        x_min, x_max, y_min, y_max = (
            (int(part) for part in found.groups()) if found else (1, int(header["NAXIS1"]), 1, int(header["NAXIS2"]))
        )
    except KeyError as error:
        raise ValueError(f"the header does not say how large the frame is: it has no {error}") from error
    low, high = 1.5 + padding, padding - 0.5  # the header counts pixels from one, the WCS call from zero
    return pixel_polygon(header_wcs(header), x_min - low, y_min - low, x_max + high, y_max + high)


def _grouped(exposures: Iterable[Any], grouping: str) -> list[list[Any]]:
    """Exposures that are one visit, each in order; the exposures come in the order of their numbers."""
    groups: dict[Any, list[Any]] = {}
    for exposure in exposures:
        key = {
            "one-to-one": exposure.id,
            "by-group-metadata": exposure.group,
            "by-counter": (exposure.day_obs, exposure.seq_start, exposure.seq_end),
        }[grouping]
        groups.setdefault(key, []).append(exposure)
    return list(groups.values())


def _exposures(registry: Any, instrument: str, where: str, observation_types: set[str]) -> dict[int, Any]:
    records = registry.queryDimensionRecords("exposure", instrument=instrument, where=where)
    return {record.id: record for record in records if record.observation_type in observation_types}


def _insert(
    butler: Any, visits: Sequence[_Visit], report: DefineVisitsReport, *, replace: bool, one_by_one: bool
) -> None:
    batches = [[visit] for visit in visits] if one_by_one else [visits]
    for batch in batches:
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for visit in batch:
            for element, records in visit.records():
                rows[element] += records
        numbers = [visit.exposure.id for visit in batch]
        try:
            with butler.transaction():
                for element, records in rows.items():
                    butler.registry.insertDimensionData(element, *records, replace=replace)
        except Exception as error:
            if not one_by_one:
                raise
            report.failed.update(dict.fromkeys(numbers, f"{type(error).__name__}: {error}"))
        else:
            report.defined += numbers


def _hull(regions: Sequence[Any]) -> Any:
    from lsst.sphgeom import ConvexPolygon

    if len(regions) == 1:
        return regions[0]
    return ConvexPolygon.convexHull([vertex for region in regions for vertex in region.getVertices()])
