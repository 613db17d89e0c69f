"""Calibrations that people make by hand, kept as files by the night that each begins to be valid in."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armillary.instrument.instrument import Instrument

__all__ = ["write_curated_calibrations"]

_STORAGE_CLASSES = {
    ".ecsv": "AstropyTable",
    ".yaml": "StructuredDataDict",
    ".json": "StructuredDataDict",
    ".npy": "NumpyArray",
    ".parq": "ArrowAstropy",
}
_DATE = re.compile(r"\d{8}(T\d{6})?")


@dataclass(frozen=True)
class _Curated:
    """A file: what it is, of which detector (None for the whole camera), and from when on it is valid."""

    path: Path
    dataset_type: str
    detector: int | None
    begin: str

    @property
    def timestamp(self) -> str:
        """The beginning as ISO text."""
        day, _, clock = self.begin.partition("T")
        clock = clock or "000000"
        return f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}"


def write_curated_calibrations(
    butler: Any,
    instrument: Instrument,
    folder: Any,
    *,
    collection: str | None = None,
    labels: Sequence[str] = (),
) -> dict[str, int]:
    """Take the calibrations of a folder in, and certify each until the next of its kind.

    The folder holds `TYPE/DETECTOR/DATE.EXTENSION`, or `TYPE/DATE.EXTENSION` for what belongs to the whole camera:
    `defects/S00/20190901T000000.ecsv`. `DETECTOR` is a detector's name (in any case) or number; `DATE` (YYYYMMDD or
    YYYYMMDDTHHMMSS, TAI) is when it begins to be valid. Dataset types that are not known are registered, as tables
    for `.ecsv` and `.parq`, dictionaries for `.yaml` and `.json`, arrays for `.npy`.

    Parameters
    ----------
    butler
        The repository, open for writing.
    instrument
        The camera, registered.
    folder
        Where the files are.
    collection
        CALIBRATION collection to certify in; the camera's own with these labels by default.
    labels
        Parts of the names of the collections.

    Returns
    -------
    numbers
        How many of each dataset type were taken in.

    Raises
    ------
    LookupError
        If there are no such files, or a folder is not named for a detector.
    ValueError
        If the name of a file is not a date, or its kind is unknown.
    """
    from armillary.butler import CollectionType, DatasetRef, FileDataset

    name = instrument.getName()
    files = _find(butler, name, Path(folder).absolute())
    target = collection or instrument.makeCalibrationCollectionName(*labels)
    numbers: dict[str, int] = defaultdict(int)
    with butler.transaction():
        butler.collections.register(target, CollectionType.CALIBRATION)
        refs = {}
        for file in files:
            dataset_type = _register(butler, file)
            run = instrument.makeCuratedCalibrationRunName(file.timestamp, *labels)
            butler.collections.register(run, CollectionType.RUN)
            values = {"instrument": name} | ({} if file.detector is None else {"detector": file.detector})
            refs[file] = DatasetRef(dataset_type, butler.registry.expandDataId(values), run=run)
            numbers[file.dataset_type] += 1
        butler.ingest(*(FileDataset(path=str(file.path), refs=[ref]) for file, ref in refs.items()), transfer="copy")
        for (begin, end), found in _by_validity(files).items():
            butler.registry.certify(target, [refs[file] for file in found], _timespan(begin, end))
    return dict(numbers)


def _find(butler: Any, instrument: str, folder: Path) -> list[_Curated]:
    """The files of a folder in order."""
    records = list(butler.registry.queryDimensionRecords("detector", instrument=instrument))
    numbers = {record.full_name: record.id for record in records} | {str(r.id): r.id for r in records}
    known = {written.lower(): number for written, number in numbers.items()}
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        parts = path.relative_to(folder).parts
        if len(parts) not in (2, 3):
            continue  # a README beside the types
        if not _DATE.fullmatch(path.stem):
            raise ValueError(f"`{path}` must be named for the date that it is valid from, such as `20190901T000000`")
        if path.suffix not in _STORAGE_CLASSES:
            raise ValueError(f"`{path}` is of no kind known here: {', '.join(_STORAGE_CLASSES)}")
        detector = None
        if len(parts) == 3:
            if parts[1].lower() not in known:
                from armillary._words import did_you_mean

                raise LookupError(f"`{instrument}` has no detector `{parts[1]}`{did_you_mean(parts[1], numbers)}")
            detector = known[parts[1].lower()]
        found.append(_Curated(path, parts[0], detector, path.stem))
    if not found:
        raise LookupError(f"there are no calibrations in `{folder}`: it must hold `TYPE/DETECTOR/DATE.EXTENSION`")
    return found


def _register(butler: Any, file: _Curated) -> Any:
    from armillary.butler import DatasetType, MissingDatasetTypeError

    try:
        return butler.get_dataset_type(file.dataset_type)
    except MissingDatasetTypeError:
        dimensions = ["instrument"] + ([] if file.detector is None else ["detector"])
        storage_class = _STORAGE_CLASSES[file.path.suffix]
        made = DatasetType(file.dataset_type, dimensions, storage_class, universe=butler.dimensions, isCalibration=True)
        butler.registry.registerDatasetType(made)
        return made


def _by_validity(files: Sequence[_Curated]) -> dict[tuple[str, str | None], list[_Curated]]:
    """Files by when they begin and end to be valid: each until the next of its type and detector."""
    series: dict[tuple[str, int | None], list[_Curated]] = defaultdict(list)
    for file in files:
        series[file.dataset_type, file.detector].append(file)
    grouped: dict[tuple[str, str | None], list[_Curated]] = defaultdict(list)
    for items in series.values():
        ordered = sorted(items, key=lambda file: file.timestamp)
        ends = [file.timestamp for file in ordered[1:]] + [None]
        for file, end in zip(ordered, ends, strict=True):
            grouped[file.timestamp, end].append(file)
    return grouped


def _timespan(begin: str, end: str | None) -> Any:
    from astropy.time import Time

    from armillary.butler import Timespan

    return Timespan(Time(begin, scale="tai"), None if end is None else Time(end, scale="tai"))
