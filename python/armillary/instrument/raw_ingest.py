"""Raw frames into a repository: exposure records from their headers, then the files themselves."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from armillary.instrument.instrument import Instrument
from armillary.instrument.observation_info import ObservationInfo
from armillary.instrument.raw_files import FITS_NAMES, BadFile, RawFile, find_files, read_frames, untracked

SAME_BEGIN = 1.0
"""Seconds within which two beginnings are that of one exposure: headers are read by more than one program."""
DEFAULT_RAW = ("raw", ("instrument", "exposure", "detector"), "FitsImage")


@dataclass
class RawIngestReport:
    """What came of each file: `ingested` paths, `skipped` paths that were there already, and `failed` ones."""

    ingested: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[BadFile] = field(default_factory=list)
    exposures: int = 0


def ingest_raws(
    butler: Any,
    locations: Iterable[str | os.PathLike[str]],
    *,
    run: str | None = None,
    transfer: str | None = "auto",
    pattern: str = FITS_NAMES,
    jobs: int = 1,
    fail_fast: bool = False,
    update_records: bool = False,
    skip_existing: bool = True,
    track_file_attrs: bool = True,
    search_indexes: bool = False,
    track: Callable[[Sequence[Any], str], Iterable[Any]] = untracked,
) -> RawIngestReport:
    """Ingest the frames at `locations` (files, or directories searched for names that match `pattern`).

    The cameras that are registered decide what a header means. A file that cannot be used is reported with its reason
    and the others go in; with `fail_fast` it raises `RuntimeError` instead, before anything is ingested. Frames that
    are there already are skipped, or refused without `skip_existing`. `run` is the camera's `<name>/raw/all` unless
    given. A record that differs from the one there fails its exposure, unless `update_records`; so does a frame with
    the number of one that is there which began at another time. Headers in sidecar files (`x.json` beside `x.fits`) are
    taken instead of the files' own, and with `search_indexes` those in `_index.json` of each folder. `track` goes
    through items and shows how far it has come.
    """
    classes, reasons = Instrument._import_registered(butler.registry)
    if not classes and reasons:
        told = "".join(f"\n  {name}: {reason}" for name, reason in reasons.items())
        raise LookupError(f"no registered instrument has a class that can be imported:{told}")
    if not classes:
        raise LookupError("no instrument with a class is registered; `butler register-instrument` adds one")
    instruments = {name: Instrument.fromName(name, butler.registry) for name in classes}
    readers = [instrument.translator for instrument in instruments.values() if _has_translator(instrument)]
    frames, failed = read_frames(
        find_files(locations, pattern), readers, jobs=jobs, search_indexes=search_indexes, track=track
    )
    if failed and fail_fast:
        raise RuntimeError(f"`{failed[0].path}` cannot be ingested: {failed[0].reason}")
    report = RawIngestReport(failed=failed)
    options = {"transfer": transfer, "record_validation_info": track_file_attrs}
    for name, of_camera in _grouped(frames, lambda frame: frame.info.instrument):
        instrument = instruments[name]
        step = _Ingest(butler, instrument, run or instrument.makeDefaultRawIngestRunName(), options, update_records)
        step.ingest(of_camera, report, skip_existing=skip_existing, fail_fast=fail_fast)
    return report


@dataclass
class UpdateExposuresReport:
    """Exposures whose records were `updated`, were right already (`unchanged`), or `failed`, with the reason."""

    updated: list[int] = field(default_factory=list)
    unchanged: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)


def update_exposures(
    butler: Any,
    instrument: Instrument,
    *,
    where: str,
    collections: Sequence[str] | str | None = None,
    track: Callable[[Sequence[Any], str], Iterable[Any]] = untracked,
) -> UpdateExposuresReport:
    """Read the headers of raw frames again and change the exposure records that do not say what they say.

    For headers that are understood better than when the frames were ingested. `where` chooses the exposures; their
    frames are in `collections` (the camera's raw run). Visits are left as they are: `define_visits` with
    `update_records` makes them anew. An exposure whose header cannot be read, or now gives another number, is
    reported and stays as it is; the others change in one transaction.
    """
    name, registry = instrument.getName(), butler.registry
    dataset_type = (instrument.raw_definition or DEFAULT_RAW)[0]
    searched = collections or instrument.makeDefaultRawIngestRunName()
    frames: dict[int, Any] = {}
    for ref in registry.queryDatasets(dataset_type, collections=searched, instrument=name, where=where, findFirst=True):
        frames.setdefault(ref.dataId["exposure"], ref)
    report = UpdateExposuresReport()
    infos: dict[int, ObservationInfo] = {}
    for number in track(sorted(frames), "reading headers"):
        try:
            info = instrument.translator.translate(butler.get(frames[number].makeComponentRef("header")))
            if info.exposure_id != number:
                raise ValueError(f"its header is now understood as that of exposure {info.exposure_id}")
        except (ValueError, OSError) as error:
            report.failed[number] = str(error)
            continue
        infos[number] = info
    with butler.transaction():  # only now: nobody waits while files are read
        for number, info in infos.items():
            done = [
                registry.syncDimensionData(element, record, update=element == "exposure")
                for element, record in exposure_records(info)
            ]
            (report.updated if done[-1] else report.unchanged).append(number)
    return report


@dataclass
class _Ingest:
    """The frames of one camera on their way into one run."""

    butler: Any
    instrument: Instrument
    run: str
    options: dict[str, Any]
    update_records: bool

    def ingest(
        self, frames: Sequence[RawFile], report: RawIngestReport, *, skip_existing: bool, fail_fast: bool
    ) -> None:
        registry = self.butler.registry
        self.dataset_type = self._register_raw()
        registry.registerRun(self.run)
        present = self._present(frames) if skip_existing else {}
        new = []
        for frame in frames:
            key = (frame.info.exposure_id, frame.info.detector_num)
            if key not in present:
                new.append(frame)
            elif self.update_records or (reason := _difference(frame.info, present[key])) is None:
                report.skipped.append(frame.path)
            else:
                if fail_fast:
                    raise RuntimeError(f"`{frame.path}` cannot be ingested: {reason}")
                report.failed.append(BadFile(frame.path, reason))
        exposures = [group for _, group in _grouped(new, lambda frame: frame.info.exposure_id)]
        good = []
        parts = {element: self._known(element) for element in ("physical_filter", "detector")}
        for exposure in exposures:
            reason = _disagreement(exposure) or _unknown_part(exposure, parts)
            if reason is None:
                good.append(exposure)
            elif fail_fast:
                raise RuntimeError(f"`{exposure[-1].path}` cannot be ingested: {reason}")
            else:
                report.failed += [BadFile(path, reason) for path in _paths(exposure)]
        try:
            self._ingest_together(good)
        except Exception:
            if fail_fast:
                raise
            good = self._ingest_one_by_one(good, report)
        report.ingested += _paths(frame for exposure in good for frame in exposure)
        report.skipped = list(dict.fromkeys(report.skipped))
        report.exposures += len(good)

    def _known(self, element: str) -> set[Any]:
        """The filters or detectors of the camera that the repository knows."""
        records = self.butler.registry.queryDimensionRecords(element, instrument=self.instrument.getName())
        return {record.dataId[element] for record in records}

    def _register_raw(self) -> Any:
        from armillary.butler import DatasetType

        name, dimensions, storage_class = self.instrument.raw_definition or DEFAULT_RAW
        dataset_type = DatasetType(name, dimensions, storage_class, universe=self.butler.dimensions)
        self.butler.registry.registerDatasetType(dataset_type)
        return dataset_type

    def _present(self, frames: Sequence[RawFile]) -> dict[tuple[int, int], Any]:
        """The exposures and detectors that are there already, with the times at which those exposures began."""
        ids = [frame.info.exposure_id for frame in frames]
        limits: dict[str, Any] = {
            "instrument": self.instrument.getName(),
            "where": "exposure >= first_exposure AND exposure <= last_exposure",
            "bind": {"first_exposure": min(ids), "last_exposure": max(ids)},
        }
        refs = list(self.butler.registry.queryDatasets(self.dataset_type.name, collections=self.run, **limits))
        if not refs:
            return {}
        records = self.butler.registry.queryDimensionRecords("exposure", **limits)
        begins = {record.id: record.timespan and record.timespan.begin for record in records}
        return {(ref.dataId["exposure"], ref.dataId["detector"]): begins[ref.dataId["exposure"]] for ref in refs}

    def _ingest_together(self, exposures: Sequence[Sequence[RawFile]]) -> None:
        if not exposures:
            return
        with self.butler.transaction():
            datasets = [dataset for exposure in exposures for dataset in self._datasets(exposure)]
            self.butler.ingest(*datasets, **self.options)

    def _ingest_one_by_one(self, exposures: Sequence[list[RawFile]], report: RawIngestReport) -> list[list[RawFile]]:
        """Slower, but finds the exposures that cannot go in."""
        good = []
        for exposure in exposures:
            try:
                self._ingest_together([exposure])
                good.append(exposure)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                report.failed += [BadFile(path, reason) for path in _paths(exposure)]
        return good

    def _datasets(self, exposure: Sequence[RawFile]) -> list[Any]:
        """Insert the exposure's records and pair each file with its reference."""
        from armillary.butler import DatasetIdGenEnum, DatasetRef, FileDataset

        registry, info = self.butler.registry, exposure[0].info
        for element, record in exposure_records(info):
            registry.syncDimensionData(element, record, update=self.update_records and element == "exposure")
        datasets: dict[tuple[str, Any], Any] = {}  # one for all detectors of a file
        for frame in exposure:
            data_id = registry.expandDataId(
                instrument=info.instrument, exposure=info.exposure_id, detector=frame.info.detector_num
            )
            mode = DatasetIdGenEnum.DATAID_TYPE_RUN
            ref = DatasetRef(self.dataset_type, data_id, run=self.run, id_generation_mode=mode)
            formatter = self.instrument.getRawFormatter(data_id)
            key = (frame.path, formatter)
            datasets.setdefault(key, FileDataset(path=frame.path, refs=[], formatter=formatter)).refs.append(ref)
        return list(datasets.values())


def _paths(frames: Iterable[RawFile]) -> list[str]:
    """The files of frames, each once."""
    return list(dict.fromkeys(frame.path for frame in frames))


def exposure_records(info: ObservationInfo) -> list[tuple[str, dict[str, Any]]]:
    """Give the records that one exposure needs, each with its element: day_obs, group, exposure."""
    from armillary.butler import Timespan

    begin, end = info.datetime_begin, info.datetime_end
    own = info.observation_counter
    exposure = {
        "instrument": info.instrument,
        "id": info.exposure_id,
        "obs_id": info.observation_id,
        "day_obs": info.observing_day,
        "group": info.exposure_group,
        "physical_filter": info.physical_filter,
        "timespan": Timespan(begin, end),
        "exposure_time": info.exposure_time,
        "dark_time": info.dark_time,
        "observation_type": info.observation_type,
        "observation_reason": info.observation_reason,
        "seq_num": own,
        "seq_start": own if info.group_counter_start is None else info.group_counter_start,
        "seq_end": own if info.group_counter_end is None else info.group_counter_end,
        "target_name": info.object,
        "science_program": info.science_program,
        "tracking_ra": info.tracking_ra,
        "tracking_dec": info.tracking_dec,
        "sky_angle": info.boresight_rotation_angle,
        "azimuth": info.azimuth,
        "zenith_angle": info.zenith_angle,
        "has_simulated": info.has_simulated_content,
        "can_see_sky": info.can_see_sky,
    }
    day = Timespan.from_day_obs(info.observing_day, info.observing_day_offset)
    return [
        ("day_obs", {"instrument": info.instrument, "id": info.observing_day, "timespan": day}),
        ("group", {"instrument": info.instrument, "name": info.exposure_group}),
        ("exposure", exposure),
    ]


def _difference(info: ObservationInfo, begin: Any) -> str | None:
    """Why a frame is not the one with its number that is in the repository and began then."""
    if begin is None or abs((begin - info.datetime_begin).sec) < SAME_BEGIN:
        return None
    return (
        f"exposure {info.exposure_id}, detector {info.detector_num} is there already, but began at {begin.utc.isot} "
        f"(UTC) and this frame at {info.datetime_begin.utc.isot}: another frame with the same number, or a header "
        "that is understood otherwise now (`butler update-exposures-from-raws` changes the records)"
    )


def _disagreement(exposure: Sequence[RawFile]) -> str | None:
    """Why files that claim one exposure cannot all be of it."""
    first = exposure[0].info
    seen: dict[int, str] = {}
    for frame in exposure:
        info = frame.info
        other = seen.setdefault(info.detector_num, frame.path)
        if other != frame.path:
            return f"`{other}` and `{frame.path}` are both detector {info.detector_num} of exposure {info.exposure_id}"
        if (info.observation_type, info.physical_filter) != (first.observation_type, first.physical_filter):
            return f"`{other}` disagrees with `{exposure[0].path}` on the type or filter of exposure {info.exposure_id}"
    return None


def _unknown_part(exposure: Sequence[RawFile], known: dict[str, set[Any]]) -> str | None:
    """Why an exposure cannot go in if it has a filter or a detector that its camera is not registered with."""
    for frame in exposure:
        info = frame.info
        for element, value in (("physical_filter", info.physical_filter), ("detector", info.detector_num)):
            if value not in known[element]:
                listed = ", ".join(f"`{name}`" for name in sorted(known[element])[:10]) or "none"
                return (
                    f"the camera `{info.instrument}` is registered without {element} `{value}` (known: {listed}); "
                    "`butler register-instrument REPO CAMERA --update` adds what its class or edited description has"
                )
    return None


def _has_translator(instrument: Instrument) -> bool:
    try:
        return instrument.translator is not None
    except NotImplementedError:
        return False


def _grouped(frames: Iterable[RawFile], key: Any) -> list[tuple[Any, list[RawFile]]]:
    groups: dict[Any, list[RawFile]] = defaultdict(list)
    for frame in frames:
        groups[key(frame)].append(frame)
    return sorted(groups.items())
