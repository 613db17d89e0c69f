"""Cameras that a small YAML file describes, for those that have no class of their own.

`butler init --from DIR` guesses the file from a folder of frames and `butler register-instrument` takes it; it then
lies below `instruments/` beside `butler.yaml`, to be read and edited. docs/instruments.md tells what it may hold.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from armillary import _yaml
from armillary._files import new_file
from armillary._words import did_you_mean
from armillary.errors import ConfigurationError
from armillary.instrument.camera_geometry import CameraGeometry
from armillary.instrument.instrument import Instrument
from armillary.instrument.observation_info import (
    ObservationInfo,
    TranslationError,
    Translator,
    required,
    required_number,
    sexagesimal,
)
from armillary.repository_config import INSTRUMENTS_FOLDER

__all__ = ["DescribedInstrument", "InstrumentDescription"]

TRANSLATORS = ("header", "astro_metadata_translator")
KEYWORDS = (
    "datetime_begin",
    "datetime_end",
    "exposure_time",
    "physical_filter",
    "observation_type",
    "object",
    "counter",
    "counter_start",
    "counter_end",
    "detector",
    "group",
    "ra",
    "dec",
    "sky_angle",
)
"""What `header` may name the keyword of."""

_REQUIRED = ("datetime_begin", "exposure_time")
_FIELD = re.compile(r"{([^:{}]+)(?::([^{}]*))?}")
_WIDTH = re.compile(r"(0?\d{1,2})?d?")
DAY = 86400
_SAFE_NAME = re.compile(r"[\w][\w .+-]*")
NO_FILTER = "unknown"


@dataclass
class InstrumentDescription:
    """A camera in plain words.

    Attributes
    ----------
    name
        Name of the camera, and of its record.
    translator
        `header`, with the keywords in `header`; or `astro_metadata_translator`, which knows the camera.
    match
        Keywords and values that mark the camera's headers.
    detectors
        Name of each detector by its number.
    filters
        Band of each physical filter.
    exposure_id
        How numbers of exposures are made: a format of header keywords, `day` (YYYYMMDD), `seconds` (of the day, UTC),
        and `filter_index`, which must give digits, such as `{day}{OBSNUM:04d}`.
    day_offset
        Seconds after midnight (UTC) at which the observing day begins.
    header
        Keyword of each thing that a header says; a list of two for a date and a time of day.
    observation_types
        What values of the header's observation type mean, in lower case; others mean themselves.
    target_types
        What frames of the sky are instead, if the target's name begins or ends with a word (in lower case).
    geometry
        Where the detectors lie in the focal plane, as `CameraGeometry.from_mapping` takes it; None if each frame's own
        world coordinates tell that.
    """

    name: str
    translator: str = "header"
    match: dict[str, Any] = field(default_factory=dict)
    detectors: dict[int, str] = field(default_factory=lambda: {0: "0"})
    filters: dict[str, str | None] = field(default_factory=dict)
    exposure_id: str = "{day}{seconds:05d}"
    day_offset: int = 43200
    header: dict[str, Any] = field(default_factory=dict)
    observation_types: dict[str, str] = field(default_factory=dict)
    target_types: dict[str, str] = field(default_factory=dict)
    geometry: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not _SAFE_NAME.fullmatch(str(self.name)):
            raise ConfigurationError(f"`{self.name}` cannot be a camera's name: letters, digits, blanks and .+- can be")
        if self.translator not in TRANSLATORS:
            raise ConfigurationError(f"`{self.translator}` is no translator; they are {', '.join(TRANSLATORS)}")
        for name in ("match", "filters", "header", "observation_types", "target_types"):
            if not isinstance(getattr(self, name), Mapping):
                raise ConfigurationError(f"`{name}` must be a mapping, not `{getattr(self, name)!r}`")
        for key in self.header:
            if key not in KEYWORDS:
                raise ConfigurationError(f"`header` has no entry `{key}`{did_you_mean(str(key), KEYWORDS)}")
        missing = [key for key in _REQUIRED if key not in self.header]
        if self.translator == "header" and missing:
            raise ConfigurationError(f"`header` must say which keyword holds `{missing[0]}`")
        if self.translator == "header" and not self.match:
            raise ConfigurationError("`match` must say which keyword and value mark the camera's headers")
        self.detectors = {int(number): str(name) for number, name in self.detectors.items()}
        if not self.detectors or min(self.detectors) < 0:
            raise ConfigurationError("`detectors` must name at least one, by whole numbers from 0")
        if unquoted := [name for pair in self.filters.items() for name in pair if isinstance(name, bool)]:
            raise ConfigurationError(f"YAML takes a name in `filters` for `{unquoted[0]}`; write it in quotes")
        self.filters = {str(name): None if band is None else str(band) for name, band in self.filters.items()}
        self._check_numbering()
        if self.geometry is not None:
            placed = CameraGeometry.from_mapping(self.geometry, "`geometry`").detectors
            if strange := sorted(placed.keys() - self.detectors.keys()):
                raise ConfigurationError(f"`geometry` has a detector `{strange[0]}`, which is none of `detectors`")

    def _check_numbering(self) -> None:
        """Raise `ConfigurationError` for what would fail, or fill the memory, only when a frame comes."""
        if isinstance(self.day_offset, bool) or not isinstance(self.day_offset, int) or abs(self.day_offset) > DAY:
            raise ConfigurationError(
                f"`day_offset` must be a whole number of seconds, of a day at most, not `{self.day_offset!r}`"
            )
        for name, width in _FIELD.findall(str(self.exposure_id)):
            if not _WIDTH.fullmatch(width):
                raise ConfigurationError(
                    f"`exposure_id` has the format `{width}` for `{name}`; a width of two digits can be, such as `04d`"
                )

    @classmethod
    def read(cls, path: Any) -> InstrumentDescription:
        """Read a file; `ConfigurationError` says what is wrong with it."""
        content = _yaml.load(Path(path).read_text(encoding="utf-8"), source=str(path))
        if not isinstance(content, Mapping) or "name" not in content:
            raise ConfigurationError(f"`{path}` must be a mapping with a `name`")
        known = list(cls.__dataclass_fields__)
        for key in content:
            if key not in known:
                raise ConfigurationError(f"`{path}` has an entry `{key}`{did_you_mean(str(key), known)}")
        try:
            return cls(**content)
        except (TypeError, ValueError, AttributeError) as error:
            raise ConfigurationError(f"`{path}` is no description of a camera: {error}") from error

    def to_yaml(self) -> str:
        """Give the text of a file that holds this; filters keep their order, which numbers them."""
        held = {name: getattr(self, name) for name in sorted(self.__dataclass_fields__)}
        if self.geometry is None:
            del held["geometry"]
        for name, value in held.items():
            if isinstance(value, dict) and name != "filters":
                held[name] = dict(sorted(value.items()))
        return _yaml.dump(held, sort_keys=False)

    def extended(self, other: InstrumentDescription) -> InstrumentDescription:
        """Give this with the detectors and filters that only another description of the camera has.

        New filters come last, so that `filter_index` of the others stays what it is.

        >>> old = InstrumentDescription("Cam", "astro_metadata_translator", filters={"V": "V"})
        >>> old.extended(replace(old, filters={"B": "B", "V": None})).filters
        {'V': 'V', 'B': 'B'}
        """
        detectors = {**other.detectors, **self.detectors}
        return replace(self, detectors=detectors, filters={**self.filters, **(other.filters | self.filters)})


class HeaderTranslator:
    """Reads headers by the keywords of a description."""

    def __init__(self, description: InstrumentDescription):
        self._description = description

    def can_translate(self, header: Mapping[str, Any]) -> bool:
        """Whether the header has all values that mark the camera."""
        return all(
            str(header.get(key, "")).strip() == str(value).strip() for key, value in self._description.match.items()
        )

    def translate(self, header: Mapping[str, Any]) -> ObservationInfo:
        """Give what the header says; `TranslationError` if it lacks what it must say."""
        from astropy.time import TimeDelta

        made, keys = self._description, self._description.header
        begin = header_time(header, keys["datetime_begin"])
        seconds = required_number(header, keys["exposure_time"])
        if "datetime_end" in keys:
            end = header_time(header, keys["datetime_end"])
        else:
            end = begin + TimeDelta(seconds, format="sec")
        day = int((begin.to_datetime() - datetime.timedelta(seconds=made.day_offset)).strftime("%Y%m%d"))
        physical_filter = str(self._get(header, "physical_filter") or NO_FILTER)
        number = self._exposure_id(header, day, begin, physical_filter)
        counter = _whole(self._get(header, "counter"))
        target = self._get(header, "object")
        kind = self._observation_type(header, seconds)
        ra, dec = (angle(self._get(header, axis)) for axis in ("ra", "dec"))
        text = header.get(keys.get("ra", ""))
        return ObservationInfo(
            instrument=made.name,
            detector_num=int(required_number(header, keys["detector"])) if "detector" in keys else 0,
            exposure_id=number,
            observation_id=str(number),
            observation_type=kind,
            physical_filter=physical_filter,
            datetime_begin=begin,
            datetime_end=end,
            exposure_time=seconds,
            dark_time=seconds,
            observing_day=day,
            observing_day_offset=made.day_offset,
            observation_counter=number % 100_000 if counter is None else counter,
            group_counter_start=_whole(self._get(header, "counter_start")),
            group_counter_end=_whole(self._get(header, "counter_end")),
            exposure_group=str(self._get(header, "group") or number),
            object=None if target is None else str(target),
            observation_reason=kind,
            tracking_ra=ra * 15 if ra is not None and isinstance(text, str) and ":" in text else ra,
            tracking_dec=dec,
            boresight_rotation_angle=angle(self._get(header, "sky_angle")),
            can_see_sky=kind == "science",
        )

    def _get(self, header: Mapping[str, Any], what: str) -> Any:
        value = header.get(self._description.header.get(what, ""))
        if isinstance(value, str):
            value = value.strip()
        return None if value == "" else value

    def _exposure_id(self, header: Mapping[str, Any], day: int, begin: Any, physical_filter: str) -> int:
        text = self._description.exposure_id
        filters = list(self._description.filters)
        moment = begin.to_datetime()
        values: dict[str, Any] = {
            "day": day,
            "seconds": moment.hour * 3600 + moment.minute * 60 + moment.second,
            "filter_index": filters.index(physical_filter) if physical_filter in filters else len(filters),
        }
        for key in re.findall(r"{([^:{}]+)", text):
            if key not in values:
                value = required(header, key)
                values[key] = int(value) if str(value).strip().lstrip("+").isdecimal() else value
        try:
            made = _FIELD.sub(lambda m: format(values[m[1]], m[2] or ""), text)
            return int(made)
        except ValueError as error:
            raise TranslationError(f"`{text}` gives no number of an exposure: {error}") from error

    def _observation_type(self, header: Mapping[str, Any], seconds: float) -> str:
        value = self._get(header, "observation_type")
        if value is None:
            return "science" if seconds > 0 else "bias"
        word = str(value).lower()
        kind = self._description.observation_types.get(word, word)
        target = str(self._get(header, "object") or "").lower()
        if kind == "science":
            kind = next((k for word, k in self._description.target_types.items() if marks_target(word, target)), kind)
        return "bias" if kind == "dark" and seconds == 0 else kind


def _whole(value: Any) -> int | None:
    """A whole number, or None for anything else."""
    return int(value) if str(value).strip().isdecimal() else None


def marks_target(word: str, target: str) -> bool:
    """Whether the name of a target begins or ends with a word.

    >>> marks_target("flat", "flat_v"), marks_target("flat", "inflation")
    (True, False)
    """
    return target.startswith(word) or target.endswith(word)


def header_time(header: Mapping[str, Any], keys: Any) -> Any:
    """Give a UTC time: ISO text, a Modified Julian Date (`MJD...`), or a date and a time of day under two keywords.

    >>> header_time({"DATE-OBS": "2006-09-20", "UT": "08:30:00"}, ["DATE-OBS", "UT"]).isot
    '2006-09-20T08:30:00.000'
    """
    from astropy.time import Time

    names = [keys] if isinstance(keys, str) else list(keys)
    values = [required(header, key) for key in names]
    try:
        if len(values) == 1 and not isinstance(values[0], str):
            return Time(float(values[0]), format="mjd", scale="utc")
        return Time("T".join(str(value).strip() for value in values), format="isot", scale="utc")
    except (ValueError, TypeError) as error:
        told = ", ".join(f"`{name}` is `{value}`" for name, value in zip(names, values, strict=True))
        raise TranslationError(f"the header gives no time: {told}") from error


def angle(value: Any) -> float | None:
    """Give a number, or the number behind `-22:24:27`; None for anything else.

    >>> angle(1.5), angle("-00:30:00"), angle(None)
    (1.5, -0.5, None)
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return sexagesimal(value)


class KnownTranslator:
    """Reads headers of the cameras that the package `astro_metadata_translator` knows (extra `[instrument]`)."""

    def __init__(self, description: InstrumentDescription):
        self._description = description

    def can_translate(self, header: Mapping[str, Any]) -> bool:
        """Whether the package knows the header's camera, and it is this one."""
        try:
            return translator_class(header) is not None and _known_info(header).instrument == self._description.name
        except (TranslationError, KeyError, ValueError):
            return False

    def translate(self, header: Mapping[str, Any]) -> ObservationInfo:
        """Give what the header says; `TranslationError` if it lacks what it must say."""
        info = _known_info(header)
        begin, end = info.datetime_begin, info.datetime_end
        if begin is None or info.exposure_id is None or info.detector_num is None:
            raise TranslationError("the header does not say when, which exposure or which detector it is of")
        offset = info.observing_day_offset
        radec = info.tracking_radec
        altaz = info.altaz_begin
        return ObservationInfo(
            instrument=str(info.instrument),
            detector_num=int(info.detector_num),
            exposure_id=int(info.exposure_id),
            observation_id=str(info.observation_id),
            observation_type=str(info.observation_type),
            physical_filter=str(info.physical_filter or NO_FILTER),
            datetime_begin=begin,
            datetime_end=end,
            exposure_time=_seconds(info.exposure_time, 0.0),
            dark_time=_seconds(info.dark_time, _seconds(info.exposure_time, 0.0)),
            observing_day=int(info.observing_day),
            observing_day_offset=0 if offset is None else round(float(offset.to_value("s"))),
            observation_counter=int(info.observation_counter or 0),
            exposure_group=str(info.exposure_group or info.exposure_id),
            object=info.object,
            observation_reason=info.observation_reason,
            science_program=info.science_program,
            tracking_ra=None if radec is None else float(radec.icrs.ra.deg),
            tracking_dec=None if radec is None else float(radec.icrs.dec.deg),
            boresight_rotation_angle=_degrees(info.boresight_rotation_angle),
            azimuth=None if altaz is None else float(altaz.az.deg),
            zenith_angle=None if altaz is None else float(altaz.zen.deg),
            has_simulated_content=bool(info.has_simulated_content),
            can_see_sky=info.can_see_sky,
            group_counter_start=info.group_counter_start,
            group_counter_end=info.group_counter_end,
        )


def translator_class(header: Mapping[str, Any]) -> Any:
    """Give the class of `astro_metadata_translator` for a header, or None if there is none or it is not installed."""
    try:
        from astro_metadata_translator import MetadataTranslator
    except ImportError:
        return None
    try:
        return MetadataTranslator.determine_translator(header)
    except ValueError:
        return None


def _known_info(header: Mapping[str, Any]) -> Any:
    """What the package reads out of a header; places on Earth are not asked of the network for it."""
    import logging
    import warnings

    from astro_metadata_translator import ObservationInfo as KnownInfo
    from astropy.utils.data import conf

    logger = logging.getLogger("astro_metadata_translator")
    level = logger.level
    with warnings.catch_warnings(), conf.set_temp("allow_internet", False):
        warnings.simplefilter("ignore")  # of what old headers do not say
        logger.setLevel(logging.CRITICAL)
        try:
            return KnownInfo(dict(header), pedantic=False)
        except (KeyError, ValueError, TypeError, NotImplementedError) as error:
            raise TranslationError(f"the header cannot be read: {error}") from error
        finally:
            logger.setLevel(level)


def _seconds(quantity: Any, otherwise: float) -> float:
    return otherwise if quantity is None else float(quantity.to_value("s"))


def _degrees(angle: Any) -> float | None:
    return None if angle is None else float(angle.deg)


class DescribedInstrument(Instrument):
    """A camera of a description.

    Parameters
    ----------
    description
        What is known of it.
    """

    def __init__(self, description: InstrumentDescription, collection_prefix: str | None = None):
        self.description = description
        self.collection_prefix = description.name if collection_prefix is None else collection_prefix

    def getName(self) -> str:  # type: ignore[override]  # no two of these are one camera
        """The name in the description."""
        return self.description.name

    @classmethod
    def of_repository(cls, name: str, registry: Any, collection_prefix: str | None = None) -> DescribedInstrument:
        """Give the camera that a repository has a description of; `LookupError` if there is none."""
        path = _place(registry, name)
        if not path.is_file():
            raise LookupError(f"there is no description `{path}` of `{name}`; `butler register-instrument` writes one")
        return cls(InstrumentDescription.read(path), collection_prefix)

    @property
    def camera_geometry(self) -> CameraGeometry | None:  # type: ignore[override]  # each of these is another camera
        """Where the description puts the detectors in the focal plane."""
        return None if self.description.geometry is None else CameraGeometry.from_mapping(self.description.geometry)

    @property
    def translator(self) -> Translator:
        """What reads the camera's headers."""
        known = self.description.translator == "astro_metadata_translator"
        return KnownTranslator(self.description) if known else HeaderTranslator(self.description)

    def register(self, registry: Any, *, update: bool = False) -> None:
        """Insert the camera's records, and keep the description beside `butler.yaml`."""
        made, name = self.description, self.description.name
        largest = 10**15
        instrument = {
            "name": name,
            "class_name": f"{type(self).__module__}.{type(self).__qualname__}",
            "detector_max": max(made.detectors) + 1,
            "visit_max": largest,
            "exposure_max": largest,
            "visit_system": 0,
        }
        path = _place(registry, name)
        with registry.transaction():
            registry.syncDimensionData("instrument", instrument, update=update)
            for number, detector in made.detectors.items():
                record = {"instrument": name, "id": number, "full_name": detector, "purpose": "SCIENCE"}
                registry.syncDimensionData("detector", record, update=update)
            for physical_filter, band in (made.filters or {NO_FILTER: None}).items():
                record = {"instrument": name, "name": physical_filter, "band": band or NO_FILTER}
                registry.syncDimensionData("physical_filter", record, update=update)
            path.parent.mkdir(exist_ok=True)
            with new_file(str(path), ".yaml", overwrite=True) as temporary:
                Path(temporary).write_text(made.to_yaml(), encoding="utf-8")

    def getRawFormatter(self, dataId: Any) -> Any:
        """The formatter of raw FITS frames."""
        from armillary.instrument.raw_formatter import RawFitsFormatter

        return RawFitsFormatter


def _place(registry: Any, name: str) -> Path:
    """Where a repository keeps a description; `ConfigurationError` if that is not on this machine."""
    root = getattr(getattr(registry, "_butler", None), "_root", None)
    if root is None or "://" in str(root):
        raise ConfigurationError(f"the description of `{name}` needs a repository on a local file system")
    if not _SAFE_NAME.fullmatch(name):
        raise ConfigurationError(f"`{name}` cannot be a camera's name")
    return Path(str(root)) / INSTRUMENTS_FOLDER / f"{name}.yaml"
