"""A description of a camera, guessed from frames that it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from armillary.instrument.described import (
    DAY,
    NO_FILTER,
    HeaderTranslator,
    InstrumentDescription,
    header_time,
    marks_target,
    translator_class,
)
from armillary.instrument.observation_info import TranslationError
from armillary.instrument.raw_files import FITS_NAMES, check_raw, find_files
from armillary.instrument.raw_headers import DETECTOR_KEYS, EXTENSION, read_images

__all__ = ["guess_descriptions"]

_NAMES = ("INSTRUME", "CAMERA", "DETECTOR", "TELESCOP", "ORIGIN")
_CHOICES: dict[str, tuple[Any, ...]] = {
    "datetime_begin": (
        "DATE-BEG",
        "DATE-OBS",
        "MJD-BEG",
        "MJD-OBS",
        ("DATE-OBS", "TIME-OBS"),
        ("DATE-OBS", "UT"),
        ("DATE-OBS", "TAIHMS"),
        ("DATE-OBS", "UTC-OBS"),
    ),
    "datetime_end": ("DATE-END", "MJD-END"),
    "exposure_time": ("EXPTIME", "EXPOSURE", "EXP_TIME", "ITIME"),
    "physical_filter": ("FILTER", "FILTNAM", "FILTER1", "FILT1", "INSFILTE"),
    "observation_type": ("OBSTYPE", "IMAGETYP", "IMGTYPE", "OBSMODE"),
    "object": ("OBJECT", "TARGET", "TARGNAME"),
    "counter": ("OBSNUM", "SEQNUM", "EXPNUM", "FRAME", "FRAMENUM", "RUNNUM"),
    "detector": DETECTOR_KEYS,
    "ra": ("RA", "TELRA", "OBJRA"),
    "dec": ("DEC", "TELDEC", "OBJDEC"),
}
_TYPES = {
    "object": "science",
    "sci": "science",
    "light": "science",
    "light frame": "science",
    "zero": "bias",
    "bias frame": "bias",
    "dark frame": "dark",
    "flat field": "flat",
    "flat frame": "flat",
    "dflat": "flat",
    "skyflat": "flat",
}
SHORTEST_DAYTIME = 6 * 3600
"""Seconds without frames that show when a telescope's day is."""
TARGET_TYPES = ("flat", "focus", "bias", "dark")
_BANDS = "ugrizyUBVRIJHK"


def guess_descriptions(locations: Iterable[Any], pattern: str = FITS_NAMES) -> list[InstrumentDescription]:
    """Guess a description of each camera whose frames are at `locations`.

    Raises
    ------
    LookupError
        If there are no FITS files, or none that says when it was taken.
    """
    headers = []
    places = list(locations)
    for path in find_files(places, pattern):
        try:
            found = [dict(image.header) for image in read_images(path)]
            check_raw(found[0])
        except (OSError, ValueError, EOFError):
            continue  # a broken file, or no raw frame; ingest-raws names it
        headers += found
    if not headers:
        where = " or ".join(f"`{place}`" for place in places)
        raise LookupError(f"there are no FITS files of raw frames in {where} to guess a camera from")
    cameras: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for header in headers:
        marked = next((key for key in _NAMES if str(header.get(key, "")).strip()), None)
        if marked is not None:
            cameras.setdefault((marked, str(header[marked]).strip()), []).append(header)
    made = _merge(_guess(key, value, group) for (key, value), group in sorted(cameras.items()))
    if not made:
        raise LookupError(f"no header names its camera: none has one of {', '.join(_NAMES)}")
    return made


def _merge(guesses: Iterable[InstrumentDescription]) -> list[InstrumentDescription]:
    """One description of each camera, also where its headers name it in several ways."""
    found: dict[str, InstrumentDescription] = {}
    for made in guesses:
        known = found.setdefault(made.name, made)
        if known is not made and known.translator == made.translator != "header":
            detectors = dict(sorted({**known.detectors, **made.detectors}.items()))
            filters = dict(sorted({**known.filters, **made.filters}.items()))
            found[made.name] = replace(known, detectors=detectors, filters=filters)
    return list(found.values())


def _guess(keyword: str, value: str, headers: Sequence[Mapping[str, Any]]) -> InstrumentDescription:
    if translator_class(headers[0]) is not None and (known := _known(headers)) is not None:
        return known
    keys: dict[str, Any] = {}
    for what, choices in _CHOICES.items():
        chosen = next((choice for choice in choices if _fits(what, choice, headers)), None)
        if chosen is not None:
            keys[what] = list(chosen) if isinstance(chosen, tuple) else chosen
    for needed in ("datetime_begin", "exposure_time"):
        if needed not in keys:
            raise LookupError(f"the headers of `{value}` do not say `{needed}` under a keyword that is known here")
    filters = sorted({_word(header, keys.get("physical_filter")) or NO_FILTER for header in headers})
    numbers = sorted({int(header[keys["detector"]]) for header in headers}) if "detector" in keys else [0]
    words = {(_word(header, keys.get("observation_type")) or "").lower() for header in headers}
    targets = {(_word(header, keys.get("object")) or "").lower() for header in headers}
    made = InstrumentDescription(
        name="".join(c if c.isalnum() or c in " .+-_" else "-" for c in value).strip(" .+-"),
        match={keyword: value},
        detectors={number: str(number) for number in numbers},
        filters={name: _band(name) for name in filters},
        header=keys,
        observation_types={word: _TYPES[word] for word in sorted(words & _TYPES.keys())},
        target_types={word: word for word in TARGET_TYPES if any(marks_target(word, target) for target in targets)},
        day_offset=_day_offset(keys["datetime_begin"], headers),
    )
    return _numbered(made, headers)


def _known(headers: Sequence[Mapping[str, Any]]) -> InstrumentDescription | None:
    """The description of a camera that `astro_metadata_translator` knows, with what these frames show of it.

    None where it takes frames through several filters for one exposure, as those of a drift scan.
    """
    from armillary.instrument.described import _known_info

    infos = [_known_info(header) for header in headers]
    name = str(infos[0].instrument)
    if len({(info.exposure_id, info.physical_filter) for info in infos}) > len({info.exposure_id for info in infos}):
        return None
    filters = sorted({str(info.physical_filter or NO_FILTER) for info in infos})
    detectors = {int(info.detector_num): str(info.detector_unique_name or info.detector_num) for info in infos}
    return InstrumentDescription(
        name=name,
        translator="astro_metadata_translator",
        detectors=dict(sorted(detectors.items())),
        filters={found: _band(found) for found in filters},
    )


def _day_offset(keys: Any, headers: Sequence[Mapping[str, Any]]) -> int:
    """Seconds after midnight (UTC) at which days begin: the full hour amid the longest time without frames."""
    moments = set()
    for header in headers:
        try:
            moment = header_time(header, keys).to_datetime()
        except TranslationError:
            continue
        moments.add(moment.hour * 3600 + moment.minute * 60 + moment.second)
    ordered = sorted(moments)
    following = [*ordered[1:], ordered[0] + DAY]
    gap, before = max((after - before, before) for before, after in zip(ordered, following, strict=True))
    if gap < SHORTEST_DAYTIME:
        return DAY // 2
    return int(round((before + gap / 2) / 3600) * 3600 % DAY)


def _numbered(made: InstrumentDescription, headers: Sequence[Mapping[str, Any]]) -> InstrumentDescription:
    """Choose how exposures are numbered: the first way that tells these frames apart."""
    counter = made.header.get("counter")
    ways = ["{day}{seconds:05d}", "{day}{seconds:05d}{filter_index}"]
    if counter is not None:
        digits = max(4, *(len(str(header[counter]).strip()) for header in headers))
        ways.insert(0, f"{{day}}{{{counter}:0{digits}d}}")
    # A copy of a frame is no second exposure that must be told apart.
    distinct = {repr(sorted((key, str(value)) for key, value in header.items())): header for header in headers}.values()
    for way in ways:
        made.exposure_id = way
        translator = HeaderTranslator(made)
        seen: Counter[tuple[int, int]] = Counter()
        for header in distinct:
            try:
                info = translator.translate(header)
            except TranslationError:
                continue  # ingest-raws names the file
            seen[info.exposure_id, info.detector_num] += 1
        if seen and max(seen.values()) == 1:
            return made
    return made


def _fits(what: str, choice: Any, headers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether nearly all headers have what is needed under a keyword."""
    names = choice if isinstance(choice, tuple) else (choice,)
    good = 0
    for header in headers:
        if any(name not in header or str(header[name]).strip() == "" for name in names):
            continue
        if choice == "EXTVER" and EXTENSION not in header:
            continue  # the version of the only image of a file numbers nothing
        if what in ("counter", "detector"):
            good += str(header[choice]).strip().isdecimal()
        elif what.startswith("datetime"):
            try:
                header_time(header, list(names) if len(names) > 1 else choice)
                # A date without a time of day is no beginning.
                good += len(names) > 1 or not isinstance(header[choice], str) or ":" in str(header[choice])
            except TranslationError:
                continue
        else:
            good += 1
    wanted = 1.0 if what in ("counter", "detector", "datetime_end") else 0.5
    return good >= max(1, wanted * len(headers))


def _word(header: Mapping[str, Any], key: Any) -> str | None:
    value = header.get(key or "")
    return None if value is None or not str(value).strip() else str(value).strip()


def _band(physical_filter: str) -> str | None:
    """The band of a filter, if its name begins or ends with one.

    >>> _band("g DECam SDSS"), _band("HSC-R"), _band("V"), _band("Open")
    ('g', 'R', 'V', None)
    """
    for word in physical_filter.replace("-", " ").replace("_", " ").replace(".", " ").split():
        if word in _BANDS:
            return word
    return None
