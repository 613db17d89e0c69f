"""What a raw frame's header says, in the same words for every camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from astropy.time import Time


class TranslationError(ValueError):
    """A header lacks something that its camera's frames must say."""


@dataclass(frozen=True)
class ObservationInfo:
    """One exposure of one detector.

    Angles are in degrees, times in seconds or as `astropy.time.Time`; None is unknown. `observing_day` is the night as
    the number YYYYMMDD, which begins `observing_day_offset` seconds after that date's midnight (TAI). Frames of one
    `exposure_group` belong together; so do those whose counters run from `group_counter_start` to `group_counter_end`,
    which are the frame's own counter unless given.
    """

    instrument: str
    detector_num: int
    exposure_id: int
    observation_id: str
    observation_type: str
    physical_filter: str
    datetime_begin: Time
    datetime_end: Time
    exposure_time: float
    dark_time: float
    observing_day: int
    observation_counter: int
    exposure_group: str
    object: str | None = None
    observation_reason: str | None = None
    science_program: str | None = None
    tracking_ra: float | None = None
    tracking_dec: float | None = None
    boresight_rotation_angle: float | None = None
    azimuth: float | None = None
    zenith_angle: float | None = None
    observing_day_offset: int = 0
    has_simulated_content: bool = False
    can_see_sky: bool | None = None
    group_counter_start: int | None = None
    group_counter_end: int | None = None


class Translator(Protocol):
    """Reads the headers of one camera."""

    def can_translate(self, header: Mapping[str, Any]) -> bool:
        """Whether the header comes from this camera. Never raises."""

    def translate(self, header: Mapping[str, Any]) -> ObservationInfo:
        """Give what the header says; `TranslationError` if it lacks what it must say."""


def required(header: Mapping[str, Any], key: str) -> Any:
    """Give a header value; `TranslationError` if it is missing or empty.

    >>> required({"EXPTIME": 15}, "EXPTIME")
    15
    """
    value = header.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise TranslationError(f"the header has no `{key}`")
    return value.strip() if isinstance(value, str) else value


def required_number(header: Mapping[str, Any], key: str) -> float:
    """Give a finite number of the header; `TranslationError` for anything else.

    >>> required_number({"EXPTIME": "15"}, "EXPTIME")
    15.0
    """
    value = required(header, key)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if number - number != 0:  # NaN and infinity
        raise TranslationError(f"`{key}` of the header is `{value}`; a number is needed")
    return number


def required_time(header: Mapping[str, Any], key: str) -> Time:
    """Give a UTC time of the header in ISO form; `TranslationError` for anything else.

    >>> required_time({"DATE-BEG": "2019-09-23T03:18:05.85"}, "DATE-BEG").isot
    '2019-09-23T03:18:05.850'
    """
    from astropy.time import Time

    value = required(header, key)
    try:
        return Time(str(value), format="isot", scale="utc")
    except ValueError as error:
        wanted = "a UTC time like 2019-09-23T03:18:05"
        raise TranslationError(f"`{key}` of the header is `{value}`; {wanted} is needed") from error


def sexagesimal(value: Any) -> float | None:
    """Give the number behind `-22:24:27.0`, or None if it is nothing like that.

    >>> sexagesimal("-22:24:36.0"), sexagesimal("notyetset")
    (-22.41, None)
    """
    text = str(value).strip()
    try:
        parts = [float(part) for part in text.lstrip("+-").split(":")]
    except ValueError:
        return None
    if len(parts) != 3 or any(part < 0 for part in parts):
        return None
    number = parts[0] + parts[1] / 60 + parts[2] / 3600
    return -number if text.startswith("-") else number
