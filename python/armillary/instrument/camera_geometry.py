"""Where the detectors of a camera lie in its focal plane, from a small file, and what part of the sky they see.

The file is YAML, or CSV with the columns `detector`, `x` and `y`, a row for each corner; docs/instruments.md tells what
it holds.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armillary import _yaml
from armillary._words import did_you_mean
from armillary.errors import ConfigurationError

if TYPE_CHECKING:
    from lsst.sphgeom import ConvexPolygon

__all__ = ["CameraGeometry"]

FARTHEST = 60.0
"""Degrees from the boresight; a tangent plane holds no much wider camera."""
_KEYS = ("detectors", "rotation", "flip_x")
_COLUMNS = ("detector", "x", "y")


@dataclass(frozen=True)
class CameraGeometry:
    """The corners of each detector in the focal plane.

    Attributes
    ----------
    detectors
        Corners by the detector's number: field angles `x` and `y` in degrees on the plane that touches the sky at the
        boresight, in which the camera sees no distortion.
    rotation
        Degrees that are added to an exposure's `sky_angle`, which is the position angle (from north through east) of
        the focal plane's +y.
    flip_x
        Whether +x points west when +y points north; else it points east.

    Examples
    --------
    >>> camera = CameraGeometry({0: ((-0.1, -0.1), (0.1, -0.1), (0.1, 0.1), (-0.1, 0.1))})
    >>> sorted(camera.regions(150.0, 2.0, 0.0))
    [0]
    """

    detectors: Mapping[int, tuple[tuple[float, float], ...]]
    rotation: float = 0.0
    flip_x: bool = False

    @classmethod
    def read(cls, path: Any) -> CameraGeometry:
        """Read a file; `ConfigurationError` says what is wrong with it."""
        text = Path(path).read_text(encoding="utf-8")
        if str(path).lower().endswith(".csv"):
            return cls.from_mapping({"detectors": _corners_of_rows(text, str(path))}, f"`{path}`")
        return cls.from_mapping(_yaml.load(text, source=str(path)), f"`{path}`")

    @classmethod
    def from_mapping(cls, content: Any, source: str = "the camera's geometry") -> CameraGeometry:
        """Make it of what a YAML file holds; `ConfigurationError` says what is wrong with that.

        >>> CameraGeometry.from_mapping({"detectors": {3: [[0, 0], [1, 0], [0, 1]]}}).detectors[3][1]
        (1.0, 0.0)
        """
        if not isinstance(content, Mapping) or not isinstance(content.get("detectors"), Mapping):
            raise ConfigurationError(f"{source} must be a mapping with `detectors`, the corners by number")
        for key in content:
            if key not in _KEYS:
                raise ConfigurationError(f"{source} has an entry `{key}`{did_you_mean(str(key), _KEYS)}")
        flip_x = content.get("flip_x", False)
        if not isinstance(flip_x, bool):
            raise ConfigurationError(f"{source}: `flip_x` is `{flip_x}`; it must be true or false")
        detectors = {}
        for number, corners in content["detectors"].items():
            try:
                detectors[int(number)] = _checked(corners)
            except (TypeError, ValueError) as error:
                raise ConfigurationError(f"{source}: detector `{number}`: {error}") from error
        if not detectors:
            raise ConfigurationError(f"{source} has no detectors")
        try:
            rotation = _finite(content.get("rotation", 0.0))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{source}: `rotation`: {error}") from error
        return cls(detectors, rotation, flip_x)

    def to_mapping(self) -> dict[str, Any]:
        """Give what a YAML file holds."""
        corners = {number: [list(corner) for corner in found] for number, found in self.detectors.items()}
        return {"rotation": self.rotation, "flip_x": self.flip_x, "detectors": corners}

    def regions(self, ra: float, dec: float, sky_angle: float) -> dict[int, ConvexPolygon]:
        """Give the part of the sky that each detector sees.

        Parameters
        ----------
        ra, dec
            Where the boresight points (degrees, ICRS).
        sky_angle
            Position angle of the focal plane's +y (degrees from north through east), without `rotation`.
        """
        from lsst.sphgeom import ConvexPolygon, UnitVector3d

        lon, lat, turn = map(math.radians, (ra, dec, sky_angle + self.rotation))
        middle = (math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat))
        east = (-math.sin(lon), math.cos(lon), 0.0)
        north = (-math.sin(lat) * math.cos(lon), -math.sin(lat) * math.sin(lon), math.cos(lat))
        sign = -1.0 if self.flip_x else 1.0

        def placed(corner: tuple[float, float]) -> UnitVector3d:
            x, y = math.radians(corner[0]) * sign, math.radians(corner[1])
            to_east, to_north = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
            return UnitVector3d(*(m + to_east * e + to_north * n for m, e, n in zip(middle, east, north, strict=True)))

        return {number: ConvexPolygon([placed(corner) for corner in found]) for number, found in self.detectors.items()}


def _finite(value: Any) -> float:
    number = math.nan if isinstance(value, bool) else float(value)
    if not math.isfinite(number):
        raise ValueError(f"`{value}` is no angle in degrees")
    return number


def _checked(corners: Any) -> tuple[tuple[float, float], ...]:
    """Corners as pairs of numbers; `ValueError` or `TypeError` unless they enclose something."""
    if isinstance(corners, str) or not isinstance(corners, Iterable):
        raise ValueError(f"`{corners}` is no list of corners, such as `[[0, 0], [0.1, 0], [0.1, 0.1], [0, 0.1]]`")
    found = []
    for corner in corners:
        if isinstance(corner, str) or not isinstance(corner, Iterable) or len(pair := list(corner)) != 2:
            raise ValueError(f"`{corner}` is no corner; `[x, y]` in degrees is needed")
        x, y = (_finite(value) for value in pair)
        if math.hypot(x, y) > FARTHEST:
            raise ValueError(f"the corner `{x:g}, {y:g}` is more than {FARTHEST:g} degrees from the boresight")
        found.append((x, y))
    widest = max(
        (
            abs((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
            for a in found
            for b in found
            for c in found
        ),
        default=0.0,
    )
    if widest == 0.0:
        raise ValueError("it needs at least three corners that do not lie on one line")
    return tuple(found)


def _corners_of_rows(text: str, path: str) -> dict[int, list[tuple[str, str]]]:
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise ConfigurationError(f"`{path}` has no column `{missing[0]}`; it needs {', '.join(_COLUMNS)}")
    corners: dict[int, list[tuple[str, str]]] = {}
    for row in reader:
        try:
            corners.setdefault(int(row["detector"]), []).append((row["x"], row["y"]))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"`{path}`, line {reader.line_num}: `{row['detector']}` is no number of a detector"
            ) from error
    return corners
