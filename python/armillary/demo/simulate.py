"""A small simulated survey: two nights of raw frames with the headers of the Nickel camera.

Stars, sky, bias structure, flat field, read noise, cosmic rays, clouds, pointing errors and one moving object; equal
seeds give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCALE = 0.37
"""Pixel scale in arcseconds, that of the real camera."""
OVERSCAN = 32
"""Overscan columns at the right of each frame."""
GAIN = 1.8
"""Electrons per ADU."""
READ_NOISE = 5.5
"""ADU."""
SKY = {"B": 30.0, "V": 50.0}
"""Sky level per filter in ADU."""


@dataclass(frozen=True)
class Survey:
    """What the simulated survey holds; every size in pixels, every flux in ADU.

    >>> Survey(size=256).motion_distance
    39.0
    """

    size: int = 512
    stars: int = 140
    nights: tuple[str, ...] = ("2024-03-01", "2024-03-02")
    science: tuple[tuple[str, int], ...] = (("V", 5), ("B", 3))
    biases: int = 3
    flats: int = 3
    seed: int = 20240301
    ra: float = 120.0
    dec: float = 15.0
    motion: tuple[float, float] = (36.0, 15.0)
    moving_flux: float = 15000.0
    night_offset: tuple[float, float] = (7.0, -31.0)

    @property
    def motion_distance(self) -> float:
        """How far the moving object goes from one night to the next."""
        return float(np.hypot(*self.motion))


def write_survey(directory: str | Path, survey: Survey | None = None) -> list[Path]:
    """Write every frame of the survey below `directory`, one folder per night; give the files in order of time.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = write_survey(folder, Survey(size=64, stars=3, science=(("V", 1),)))
    ...     [file.name for file in files][:2], len(files)
    (['s1001.fits', 's1002.fits'], 14)
    """
    from astropy.io import fits

    survey = survey or Survey()
    scene = _Scene(survey)
    files = []
    for frame in scene.frames():
        folder = Path(directory) / frame.start.strftime("%Y%m%d")
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"s{frame.number}.fits"
        fits.PrimaryHDU(scene.expose(frame), _header(survey, frame)).writeto(file, overwrite=True)
        files.append(file)
    return files


@dataclass(frozen=True)
class _Frame:
    """One exposure to make: `shift` is where its stars lie, less where its header says (pixels)."""

    number: int
    night: int
    kind: str
    filter: str
    seconds: float
    start: datetime
    seeing: float = 4.5
    transparency: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass
class _Scene:
    """The sky and the camera, drawn once from the seed."""

    survey: Survey
    random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        survey = self.survey
        self.random = random = np.random.default_rng(survey.seed)
        margin = 60
        self.places = random.uniform(-margin, survey.size + margin, (survey.stars, 2))
        self.flux = 1500.0 * random.pareto(0.9, survey.stars).clip(0.3, 150.0)
        self.colour = random.uniform(0.35, 0.9, survey.stars)  # flux in B over flux in V
        row, column = np.mgrid[: survey.size, : survey.size] / survey.size - 0.5
        self.flat = 1.04 - 0.35 * (row**2 + column**2) + 0.01 * random.standard_normal(row.shape)
        for x, y, radius in random.uniform((0, 0, 4), (survey.size, survey.size, 12), (6, 3)):
            grid = np.mgrid[: survey.size, : survey.size]
            self.flat[np.hypot(grid[1] - x, grid[0] - y) < radius] *= 0.93  # the shadow of a dust grain
        self.bias = 4.0 + 3.0 * np.sin(12 * column) + 1.5 * random.standard_normal(row.shape)
        self.blind_column = int(0.27 * survey.size)

    def frames(self) -> Iterator[_Frame]:
        survey, number = self.survey, 1000
        for night, day in enumerate(survey.nights):
            clock = datetime.fromisoformat(f"{day}T22:00:00")  # afternoon at the telescope
            plan = [("DARK", "V", 0.0)] * survey.biases
            plan += [("FLAT", name, 10.0) for name, _ in survey.science for _ in range(survey.flats)]
            for kind, name, seconds in plan:
                number, clock = number + 1, clock + timedelta(seconds=seconds + 40)
                yield _Frame(number, night, kind, name, seconds, clock)
            clock = datetime.fromisoformat(f"{day}T22:00:00") + timedelta(hours=6)
            for name, count in survey.science:
                for _ in range(count):
                    number, clock = number + 1, clock + timedelta(seconds=75)
                    drift = self.random.uniform(-3, 3, 2) + night * np.array(survey.night_offset)
                    yield _Frame(
                        number,
                        night,
                        "OBJECT",
                        name,
                        15.0,
                        clock,
                        seeing=self.random.uniform(4.0, 5.2),
                        transparency=self.random.uniform(0.8, 1.0),
                        shift=(float(drift[0]), float(drift[1])),
                    )

    def expose(self, frame: _Frame) -> NDArray[np.uint16]:
        """One raw frame: light through the flat, photon noise, bias, read noise, overscan."""
        size = self.survey.size
        light = np.zeros((size, size))
        if frame.kind == "FLAT":
            light += 20000.0 * self.random.uniform(0.95, 1.05)
        elif frame.kind == "OBJECT":
            light += SKY[frame.filter]
            self._add_stars(light, frame)
        light *= self.flat
        electrons = self.random.poisson(light * GAIN).astype(np.float64)
        if frame.kind == "OBJECT":
            self._add_cosmic_rays(electrons)
        raw = np.zeros((size, size + OVERSCAN))
        raw[:, :size] = electrons / GAIN + self.bias
        raw[:, self.blind_column] = 0.0
        raw += 1000.0 + 2.0 * np.sin(np.arange(size) / 40.0)[:, None]
        raw += self.random.normal(0.0, READ_NOISE, raw.shape)
        return np.clip(np.rint(raw), 0, 65535).astype(np.uint16)

    def _add_stars(self, light: NDArray[np.float64], frame: _Frame) -> None:
        blue = frame.filter == "B"
        flux = self.flux * (self.colour if blue else 1.0) * frame.transparency
        centre = self.survey.size / 2
        moving = np.array([centre - 18.0, centre - 8.0]) + frame.night * np.array(self.survey.motion)
        moving_flux = self.survey.moving_flux * frame.transparency * (0.6 if blue else 1.0)
        places = np.vstack([self.places, moving]) + frame.shift
        for (x, y), total in zip(places, np.append(flux, moving_flux), strict=True):
            _add_star(light, x, y, total, frame.seeing / 2.3548)

    def _add_cosmic_rays(self, electrons: NDArray[np.float64]) -> None:
        size = self.survey.size
        for _ in range(self.random.poisson(12 * (size / 512) ** 2)):
            x, y = self.random.integers(0, size, 2)
            for step in range(int(self.random.integers(1, 6))):
                electrons[(y + step // 2) % size, (x + step) % size] += self.random.uniform(300, 4000)


def _add_star(light: NDArray[np.float64], x: float, y: float, flux: float, sigma: float) -> None:
    reach, size = int(6 * sigma) + 1, light.shape[0]
    left, right = max(int(x) - reach, 0), min(int(x) + reach + 1, size)
    low, high = max(int(y) - reach, 0), min(int(y) + reach + 1, size)
    if left >= right or low >= high:
        return
    across = np.exp(-0.5 * ((np.arange(left, right) - x) / sigma) ** 2)
    down = np.exp(-0.5 * ((np.arange(low, high) - y) / sigma) ** 2)
    light[low:high, left:right] += flux / (2 * np.pi * sigma**2) * down[:, None] * across


def _header(survey: Survey, frame: _Frame) -> Any:
    """Write the keys of a Nickel frame that anything reads; like there, flats call themselves `OBJECT`."""
    from astropy.io import fits

    sky = frame.kind == "OBJECT"
    ra, dec = (survey.ra, survey.dec) if sky else (survey.ra + 40.0, -5.1)
    names = {"DARK": "bias", "FLAT": f"flat_{frame.filter.lower()}", "OBJECT": "simulated_field"}
    step = SCALE / 3600
    cards = {
        "OBSNUM": frame.number,
        "OBSTYPE": "DARK" if frame.kind == "DARK" else "OBJECT",
        "OBJECT": names[frame.kind],
        "EXPTIME": frame.seconds,
        "FILTNAM": frame.filter,
        "DATE-BEG": frame.start.isoformat(timespec="milliseconds"),
        "DATE-END": (frame.start + timedelta(seconds=frame.seconds + 0.02)).isoformat(timespec="milliseconds"),
        "INSTRUME": "Nickel Direct Camera",
        "OBSERVER": "armillary",
        "PROGRAM": "NEWCAM",
        "SIMULATE": True,
        "DATASEC": f"[1:{survey.size},1:{survey.size}]",
        "COVER": OVERSCAN,
        "GAIN": 1,
        "AIRMASS": 1.2,
        "TEMPDET": -110.0,
        "RA": _sexagesimal(ra / 15),
        "DEC": _sexagesimal(dec),
        "RADECSYS": "FK5",
        "EQUINOX": 2000,
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": ra,
        "CRVAL2": dec,
        "CRPIX1": survey.size / 2,
        "CRPIX2": survey.size / 2,
        "CD1_1": -step,
        "CD1_2": 0.0,
        "CD2_1": 0.0,
        "CD2_2": -step,
    }
    return fits.Header(list(cards.items()))


def _sexagesimal(value: float) -> str:
    seconds = round(abs(value) * 3600, 1)
    sign = "-" if value < 0 else ""
    return f"{sign}{int(seconds // 3600):02d}:{int(seconds // 60 % 60):02d}:{seconds % 60:04.1f}"
