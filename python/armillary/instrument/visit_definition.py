"""Visits from exposures of the sky: one each or one for several, with the region that their detectors see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from armillary.instrument.camera_geometry import CameraGeometry
from armillary.instrument.instrument import Instrument
from armillary.instrument.wcs import header_wcs, pixel_polygon

DEFAULT_GROUPING = "one-to-one-and-by-counter"
GROUPINGS = (DEFAULT_GROUPING, "one-to-one", "by-group-metadata", "by-counter")
_ONE_TO_ONE, _BY_GROUP, _BY_COUNTER = 0, 1, 2
_SYSTEM_NAMES = {_ONE_TO_ONE: "one-to-one", _BY_GROUP: "by-group-metadata", _BY_COUNTER: "by-seq-start-end"}


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
    check_detector_regions: bool = False,
    prefilter: bool = False,
    grouping: str = DEFAULT_GROUPING,
    geometry: CameraGeometry | None = None,
    raw: str = "raw",
) -> DefineVisitsReport:
    """Define visits for the exposures of the sky that have raw frames in `collections` (the camera's raw run).

    `grouping` is one of

    - `one-to-one`: each exposure is a visit;
    - `by-group-metadata`: exposures of one group are one;
    - `by-counter`: those of one day with the same `seq_start` and `seq_end` are one;
    - `one-to-one-and-by-counter`: both. Where several exposures make a visit, the first of them has its own visit under
      its number with a 9 before it and its name with `_first` behind it.

    A visit of several exposures has the number and name of the first. Without the frame at `seq_start`, which would
    give the number, the others make no common visit.

    With `geometry` (the camera's own if it has one) every detector of it gets a region, from where the exposure's
    record says that the telescope points. Without, a detector's region is the rectangle that its raw header's WCS
    gives, widened by `padding` pixels. A visit's region is the convex hull of its detectors'.

    Visits that exist are left alone unless `update_records`; with `check_detector_regions` they get the regions of
    detectors that they lack, and with `prefilter` their exposures are not looked at. A visit of other content under the
    same number raises the registry's conflict error, or is reported with `skip_conflicting`.
    """
    if grouping not in GROUPINGS:
        raise ValueError(f"`{grouping}` is no way of grouping exposures; they are {', '.join(GROUPINGS)}")
    sky = _Sky.of(butler, instrument, geometry, padding)
    exposures, frames = _framed_exposures(
        butler, instrument, collections, where, set(observation_types), raw, without_visits=prefilter
    )
    report = DefineVisitsReport()
    groups = _grouped(list(exposures.values()), grouping)
    known = _known(butler, instrument, groups)
    new = []
    for group in groups:
        if group.number in known and not update_records:
            report.existing.append(group.number)
            if not check_detector_regions:
                continue
        try:
            new.append(_Visit.of(sky, group, frames))
        except ValueError as error:
            report.failed[group.number] = str(error)
    if check_detector_regions and not update_records:
        _complete(butler, instrument, [visit for visit in new if visit.group.number in known], report)
        new = [visit for visit in new if visit.group.number not in known]
    if new:
        for system in sorted({system for visit in new for system in visit.group.systems}):
            record = {"instrument": instrument.getName(), "id": system, "name": _SYSTEM_NAMES[system]}
            butler.registry.syncDimensionData("visit_system", record)
        _insert(butler, new, report, replace=update_records, one_by_one=skip_conflicting)
    return report


def update_regions(
    butler: Any,
    instrument: Instrument,
    *,
    collections: Sequence[str] | str | None = None,
    where: str = "",
    padding: float = 0.0,
    geometry: CameraGeometry | None = None,
    raw: str = "raw",
) -> DefineVisitsReport:
    """Compute the regions of visits that exist anew; all else about them stays, whatever way they were grouped.

    Exposures are chosen, and regions made, as by `define_visits`.
    """
    sky = _Sky.of(butler, instrument, geometry, padding)
    chosen, _ = _framed_exposures(butler, instrument, collections, where, None, raw)
    registry, name = butler.registry, instrument.getName()
    members = defaultdict(list)
    for record in registry.queryDimensionRecords("visit_definition", instrument=name):
        members[record.visit].append(record.exposure)
    wanted = {visit for visit, found in members.items() if not chosen.keys().isdisjoint(found)}
    report = DefineVisitsReport()
    if not wanted:
        return report
    # A visit is made of all its exposures, also of those that `where` leaves out.
    exposures, frames = _framed_exposures(butler, instrument, collections, "", None, raw)
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in registry.queryDimensionRecords("visit", instrument=name):
        if record.id not in wanted:
            continue
        found = [exposures[number] for number in sorted(members[record.id]) if number in exposures]
        try:
            visit = _Visit.of(sky, _Group(record.id, record.name, found, ()), frames)
        except ValueError as error:
            report.failed[record.id] = str(error)
            continue
        rows["visit"].append({**record.toDict(), "region": visit.region})
        rows["visit_detector_region"] += visit.detector_records()
        report.defined.append(record.id)
    with butler.transaction():
        for element, records in rows.items():
            registry.insertDimensionData(element, *records, replace=True)
    return report


@dataclass(frozen=True)
class _Group:
    """Exposures that are one visit, in order, and the visit systems that it belongs to."""

    number: int
    name: str
    exposures: Sequence[Any]
    systems: tuple[int, ...]


@dataclass(frozen=True)
class _Sky:
    """What tells the regions of an exposure's detectors: the camera's geometry, or the headers of its frames."""

    butler: Any
    geometry: CameraGeometry | None
    padding: float

    @classmethod
    def of(cls, butler: Any, instrument: Instrument, geometry: CameraGeometry | None, padding: float) -> _Sky:
        geometry = geometry or instrument.camera_geometry
        if geometry is not None:
            if padding:
                raise ValueError("`padding` is in pixels, which a camera's geometry does not know: widen its detectors")
            name = instrument.getName()
            known = {record.id for record in butler.registry.queryDimensionRecords("detector", instrument=name)}
            if strange := sorted(geometry.detectors.keys() - known):
                raise ValueError(f"the camera's geometry has a detector `{strange[0]}`, which `{name}` has not")
        return cls(butler, geometry, padding)

    def regions(self, exposure: Any, refs: Iterable[Any]) -> dict[int, Any]:
        if self.geometry is None:
            return {ref.dataId["detector"]: self._of_frame(ref) for ref in refs}
        if exposure.tracking_ra is None or exposure.tracking_dec is None:
            raise ValueError(f"the record of exposure {exposure.id} does not say where the telescope pointed")
        taken = {ref.dataId["detector"] for ref in refs}
        if missing := sorted(taken - self.geometry.detectors.keys()):
            raise ValueError(f"the camera's geometry lacks detector {missing[0]}")
        return dict(self.geometry.regions(exposure.tracking_ra, exposure.tracking_dec, exposure.sky_angle or 0.0))

    def _of_frame(self, ref: Any) -> Any:
        try:
            return frame_region(self.butler.get(ref.makeComponentRef("header")), self.padding)
        except ValueError as error:
            raise ValueError(f"detector {ref.dataId['detector']}: {error}") from error


@dataclass(frozen=True)
class _Visit:
    """The records of one visit: its exposures, and the regions of its detectors."""

    group: _Group
    regions: Mapping[int, Any]

    @property
    def region(self) -> Any:
        """What all detectors see."""
        return _hull(list(self.regions.values()))

    @classmethod
    def of(cls, sky: _Sky, group: _Group, frames: Mapping[int, Sequence[Any]]) -> _Visit:
        for what in ("physical_filter", "day_obs"):
            values = sorted({str(getattr(exposure, what)) for exposure in group.exposures})
            if len(values) > 1:
                raise ValueError(f"its exposures differ in `{what}`: {', '.join(f'`{value}`' for value in values)}")
        found = defaultdict(list)
        for exposure in group.exposures:
            refs = sorted(frames[exposure.id], key=lambda ref: ref.dataId["detector"])
            for detector, region in sky.regions(exposure, refs).items():
                found[detector].append(region)
        return cls(group, {detector: _hull(regions) for detector, regions in sorted(found.items())})

    def _common(self, what: str) -> Any:
        """A value that all exposures have, or None."""
        values = {getattr(exposure, what) for exposure in self.group.exposures}
        return values.pop() if len(values) == 1 else None

    def _timespan(self) -> Any:
        from armillary.butler import Timespan

        spans = [exposure.timespan for exposure in self.group.exposures if exposure.timespan is not None]
        if len(spans) < 2:
            return spans[0] if spans else None
        return Timespan(min(span.begin for span in spans), max(span.end for span in spans))

    @property
    def _key(self) -> dict[str, Any]:
        return {"instrument": self.group.exposures[0].instrument, "visit": self.group.number}

    def detector_records(self) -> list[dict[str, Any]]:
        """The regions of detectors."""
        return [{**self._key, "detector": detector, "region": region} for detector, region in self.regions.items()]

    def records(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Every record, by element, in the order of insertion."""
        group, first = self.group, self.group.exposures[0]
        visit = {
            "instrument": first.instrument,
            "id": group.number,
            "name": group.name,
            "day_obs": first.day_obs,
            "physical_filter": first.physical_filter,
            "seq_num": first.seq_num,
            "exposure_time": sum(exposure.exposure_time or 0.0 for exposure in group.exposures),
            "target_name": self._common("target_name"),
            "observation_reason": self._common("observation_reason"),
            "science_program": self._common("science_program"),
            "azimuth": first.azimuth,
            "zenith_angle": first.zenith_angle,
            "timespan": self._timespan(),
            "region": self.region,
        }
        return [
            ("visit", [visit]),
            ("visit_definition", [{**self._key, "exposure": member.id} for member in group.exposures]),
            ("visit_system_membership", [{**self._key, "visit_system": system} for system in group.systems]),
            ("visit_detector_region", self.detector_records()),
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


def _framed_exposures(
    butler: Any,
    instrument: Instrument,
    collections: Sequence[str] | str | None,
    where: str,
    observation_types: set[str] | None,
    raw: str,
    *,
    without_visits: bool = False,
) -> tuple[dict[int, Any], dict[int, list[Any]]]:
    """Exposures that have raw frames, in order of their numbers, and their frames."""
    registry, name = butler.registry, instrument.getName()
    exposures = {
        record.id: record
        for record in registry.queryDimensionRecords("exposure", instrument=name, where=where)
        if observation_types is None or record.observation_type in observation_types
    }
    if without_visits:
        for record in registry.queryDimensionRecords("visit_definition", instrument=name):
            exposures.pop(record.exposure, None)
    frames = defaultdict(list)
    searched = collections or instrument.makeDefaultRawIngestRunName()
    for ref in registry.queryDatasets(raw, collections=searched, instrument=name, where=where, findFirst=True):
        if ref.dataId["exposure"] in exposures:
            frames[ref.dataId["exposure"]].append(ref)
    return {number: exposures[number] for number in sorted(frames)}, frames


def _known(butler: Any, instrument: Instrument, groups: Sequence[_Group]) -> set[int]:
    if not groups:
        return set()
    records = butler.registry.queryDimensionRecords("visit", instrument=instrument.getName())
    return {record.id for record in records}


def _grouped(exposures: Sequence[Any], grouping: str) -> list[_Group]:
    """Exposures that are one visit, each in order; the exposures come in the order of their numbers."""
    if grouping == "one-to-one":
        return [_Group(exposure.id, exposure.obs_id, [exposure], (_ONE_TO_ONE,)) for exposure in exposures]
    if grouping == "by-group-metadata":
        groups = _by_key(exposures, lambda exposure: exposure.group)
        return [_Group(group[0].id, group[0].obs_id, group, (_BY_GROUP,)) for group in groups]
    both = grouping == DEFAULT_GROUPING
    made = []
    for group in _by_key(exposures, lambda exposure: (exposure.day_obs, exposure.seq_start, exposure.seq_end)):
        first = group[0]
        if first.seq_start == first.seq_end and both:
            made += [_Group(exposure.id, exposure.obs_id, [exposure], (_ONE_TO_ONE, _BY_COUNTER)) for exposure in group]
            continue
        has_first = first.seq_num == first.seq_start
        if has_first:
            made.append(_Group(first.id, first.obs_id, group, (_BY_COUNTER,)))
        if both:
            for exposure in group:
                number, name = exposure.id, exposure.obs_id
                if has_first and exposure is first:
                    number, name = int(f"9{number}"), f"{name}_first"
                made.append(_Group(number, name, [exposure], (_ONE_TO_ONE,)))
    return sorted(made, key=lambda group: group.number)


def _by_key(exposures: Iterable[Any], key: Callable[[Any], Any]) -> list[list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for exposure in exposures:
        groups.setdefault(key(exposure), []).append(exposure)
    return [sorted(group, key=lambda exposure: (exposure.seq_num, exposure.id)) for group in groups.values()]


def _complete(butler: Any, instrument: Instrument, visits: Sequence[_Visit], report: DefineVisitsReport) -> None:
    """Insert regions of detectors that visits lack; such visits count as defined."""
    records = butler.registry.queryDimensionRecords("visit_detector_region", instrument=instrument.getName())
    present = {(record.visit, record.detector) for record in records} if visits else set()
    for visit in visits:
        lacking = [row for row in visit.detector_records() if (row["visit"], row["detector"]) not in present]
        if lacking:
            butler.registry.insertDimensionData("visit_detector_region", *lacking)
            report.existing.remove(visit.group.number)
            report.defined.append(visit.group.number)


def _insert(
    butler: Any, visits: Sequence[_Visit], report: DefineVisitsReport, *, replace: bool, one_by_one: bool
) -> None:
    batches = [[visit] for visit in visits] if one_by_one else [visits]
    for batch in batches:
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for visit in batch:
            for element, records in visit.records():
                rows[element] += records
        numbers = [visit.group.number for visit in batch]
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
