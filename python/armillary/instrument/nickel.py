"""The Nickel 1-metre telescope's direct camera of Lick Observatory."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, ClassVar

from armillary.instrument.instrument import Instrument
from armillary.instrument.observation_info import (
    ObservationInfo,
    TranslationError,
    required,
    required_number,
    required_time,
    sexagesimal,
)

HEADER_NAME = "Nickel Direct Camera"
DAY_BEGINS = datetime.timedelta(hours=20)
"""A night's frames carry the date of its evening: days begin at 20:00 UTC, noon of Pacific Standard Time."""
FRAMES_PER_DAY = 10_000


class NickelTranslator:
    """Reads Nickel headers, in which bias and dark frames both call themselves `DARK` and flats are an `OBJECT`.

    >>> NickelTranslator().can_translate({"INSTRUME": "Nickel Direct Camera"})
    True
    """

    def can_translate(self, header: Mapping[str, Any]) -> bool:
        """Whether the header names this camera."""
        return str(header.get("INSTRUME", "")).strip() == HEADER_NAME

    def translate(self, header: Mapping[str, Any]) -> ObservationInfo:
        """Give what the header says; `TranslationError` if it lacks what it must say."""
        begin, end = required_time(header, "DATE-BEG"), required_time(header, "DATE-END")
        if end < begin:
            raise TranslationError(f"the exposure ends ({end.isot}) before it begins ({begin.isot})")
        day = int((begin.to_datetime() - DAY_BEGINS).strftime("%Y%m%d"))
        number = int(required_number(header, "OBSNUM"))
        if not 0 <= number < FRAMES_PER_DAY:
            raise TranslationError(f"`OBSNUM` is `{number}`; it must lie between 0 and {FRAMES_PER_DAY - 1}")
        seconds = required_number(header, "EXPTIME")
        kind = observation_type(str(required(header, "OBSTYPE")), str(header.get("OBJECT", "")), seconds)
        on_sky = kind == "science"
        hours, airmass = sexagesimal(header.get("RA")), header.get("AIRMASS")
        observation = f"{day}_{number:04d}"
        return ObservationInfo(
            instrument=Nickel.getName(),
            detector_num=0,
            exposure_id=day % 1_000_000 * FRAMES_PER_DAY + number,
            observation_id=observation,
            observation_type=kind,
            physical_filter=str(required(header, "FILTNAM")),
            datetime_begin=begin,
            datetime_end=end,
            exposure_time=seconds,
            dark_time=seconds,
            observing_day=day,
            observing_day_offset=int(DAY_BEGINS.total_seconds()),
            observation_counter=number,
            exposure_group=observation,
            object=str(header.get("OBJECT", "")).strip() or None,
            observation_reason=kind,
            science_program=str(header.get("PROGRAM", "")).strip() or None,
            tracking_ra=hours * 15 if on_sky and hours is not None else None,
            tracking_dec=sexagesimal(header.get("DEC")) if on_sky else None,
            boresight_rotation_angle=0.0 if on_sky else None,
            zenith_angle=_zenith_angle(airmass) if on_sky else None,
            has_simulated_content=bool(header.get("SIMULATE", False)),
            can_see_sky=on_sky,
        )


def observation_type(kind: str, target: str, seconds: float) -> str:
    """Tell bias, dark, flat, focus and science frames apart.

    >>> [observation_type(*frame) for frame in [("DARK", "", 0.0), ("OBJECT", "flat_v", 10.0), ("OBJECT", "m31", 60.0)]]
    ['bias', 'flat', 'science']
    """
    if kind.upper() == "DARK":
        return "bias" if seconds == 0 else "dark"
    name = target.strip().lower()
    for word in ("flat", "focus"):
        if name.startswith(word) or name.endswith(word):
            return word
    return "bias" if seconds == 0 else "science"


def _zenith_angle(airmass: Any) -> float | None:
    """Degrees, for a flat atmosphere: good to a degree above airmass 5, which is as well as the header knows."""
    from math import acos, degrees

    try:
        value = float(airmass)
    except (TypeError, ValueError):
        return None
    return degrees(acos(1 / value)) if value >= 1 else None


class Nickel(Instrument):
    """The Nickel direct camera: one CCD (Loral 2K x 2K, read binned 2 x 2), 0.37 arcseconds per pixel.

    `gain` is in electrons per ADU, `read_noise` and `saturation` in ADU.

    >>> Nickel.getName(), sorted(Nickel.filters)
    ('Nickel', ['B', 'I', 'Open', 'R', 'V'])
    """

    filters: ClassVar[Mapping[str, str]] = {"B": "B", "V": "V", "R": "R", "I": "I", "Open": "white"}
    """Band of each physical filter."""
    gain: ClassVar[float] = 1.8
    read_noise: ClassVar[float] = 5.9
    saturation: ClassVar[float] = 60000.0
    raw_definition = ("raw", ("instrument", "exposure", "detector"), "FitsImage")

    @classmethod
    def getName(cls) -> str:
        """`Nickel`."""
        return "Nickel"

    @property
    def translator(self) -> NickelTranslator:
        """What reads Nickel headers."""
        return NickelTranslator()

    def register(self, registry: Any, *, update: bool = False) -> None:
        """Insert the camera, its detector and its filters; with `update`, change what differs."""
        largest = 1_000_000 * FRAMES_PER_DAY
        instrument = {
            "name": self.getName(),
            "class_name": f"{type(self).__module__}.{type(self).__qualname__}",
            "detector_max": 1,
            "visit_max": largest,
            "exposure_max": largest,
            "visit_system": 0,
        }
        detector = {"instrument": self.getName(), "id": 0, "full_name": "Loral", "purpose": "SCIENCE"}
        with registry.transaction():
            registry.syncDimensionData("instrument", instrument, update=update)
            registry.syncDimensionData("detector", detector, update=update)
            for name, band in self.filters.items():
                record = {"instrument": self.getName(), "name": name, "band": band}
                registry.syncDimensionData("physical_filter", record, update=update)

    def getRawFormatter(self, dataId: Any) -> Any:
        """The formatter of raw FITS frames."""
        from armillary.instrument.raw_formatter import RawFitsFormatter

        return RawFitsFormatter
