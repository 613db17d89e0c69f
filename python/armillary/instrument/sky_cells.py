"""The cells that sky maps cut the sky into: where each is centred, and the corners that its tract must hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import asin, atan, atan2, cos, degrees, pi, radians, sin, sqrt

__all__ = ["Cell", "dodecahedron_cells", "equatorial_cells", "healpix_cells", "ring_cells"]


@dataclass(frozen=True)
class Cell:
    """A cell around `ra`, `dec`; `corners` are pairs of right ascension and declination. All are in degrees."""

    ra: float
    dec: float
    corners: tuple[tuple[float, float], ...]


def ring_cells(rings: int, ra_start: float = 0.0) -> Iterator[Cell]:
    """Give a cell on the south pole, those of `rings` rings from south to north, and one on the north pole.

    All rings are equally high. Each has as many cells as its widest parallel needs, numbered eastwards from `ra_start`
    (degrees).

    >>> cells = list(ring_cells(120))
    >>> len(cells), round(cells[9813].ra, 6), round(cells[9813].dec, 6)
    (18938, 150.247934, 2.231405)
    """
    height = 180.0 / (rings + 1)
    for pole in (-90.0, 90.0):
        if pole > 0:
            for ring in range(rings):
                dec = -90.0 + (ring + 1) * height
                nearest_equator = max(abs(dec) - height / 2, 0.0)
                number = int(360.0 * cos(radians(nearest_equator)) / height) + 1
                for i in range(number):
                    ra = (ra_start + 360.0 * i / number) % 360.0
                    yield Cell(ra, dec, tuple(_outline(ra, dec, 360.0 / number, height)))
        edge = pole - height / 2 if pole > 0 else pole + height / 2
        yield Cell(ra_start % 360.0, pole, tuple((ra_start + 90.0 * i, edge) for i in range(4)))


def _outline(ra: float, dec: float, width: float, height: float) -> Iterator[tuple[float, float]]:
    """Corners of a cell and the middles of its parallels, which on a tangent plane lie farther out than the corners."""
    for edge in (dec - height / 2, dec + height / 2):
        for offset in (-width / 2, 0.0, width / 2):
            yield ra + offset, edge


def equatorial_cells(
    number: int, dec_range: tuple[float, float] = (-1.25, 1.25), ra_start: float = 0.0
) -> Iterator[Cell]:
    """Give cells of equal width along the equator, between two declinations (degrees).

    >>> [round(cell.ra) for cell in equatorial_cells(4)]
    [0, 90, 180, 270]
    """
    width, (low, high) = 360.0 / number, dec_range
    for i in range(number):
        ra = (ra_start + width * i) % 360.0
        yield Cell(ra, (low + high) / 2, tuple((ra + x, dec) for dec in (low, high) for x in (-width / 2, width / 2)))


def healpix_cells(log2_nside: int, nest: bool = False) -> Iterator[Cell]:
    """Give the pixels of a HEALPix map with `2**log2_nside` along a side of a base pixel.

    >>> len(list(healpix_cells(0)))
    12
    """
    import hpgeom

    nside = 2**log2_nside
    for pixel in range(12 * nside * nside):
        ra, dec = hpgeom.pixel_to_angle(nside, pixel, nest=nest)
        corners = hpgeom.boundaries(nside, pixel, step=4, nest=nest)
        yield Cell(float(ra), float(dec), tuple((float(x), float(y)) for x, y in zip(*corners, strict=True)))


def dodecahedron_cells(with_tracts_on_poles: bool = False) -> Iterator[Cell]:
    """Give the twelve faces of a dodecahedron, from south to north.

    Two faces lie on the poles, or else an edge does.

    >>> [round(cell.dec, 3) for cell in dodecahedron_cells(with_tracts_on_poles=True)][:3]
    [-90.0, -26.565, -26.565]
    """
    golden = (1 + sqrt(5)) / 2
    faces = [
        place
        for one in (-1.0, 1.0)
        for other in (-golden, golden)
        for place in ((0.0, one, other), (one, other, 0.0), (other, 0.0, one))
    ]
    cube = [(x, y, z) for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)]
    between = [
        place
        for one in (-1 / golden, 1 / golden)
        for other in (-golden, golden)
        for place in ((0.0, other, one), (other, one, 0.0), (one, 0.0, other))
    ]
    # About the x axis, by the angle that brings the face at (0, 1, golden) to the pole.
    turn = atan(1 / golden) if with_tracts_on_poles else 0.0
    made = []
    for face in faces:
        near = sorted(cube + between, key=lambda corner: -sum(a * b for a, b in zip(corner, face, strict=True)))[:5]
        ra, dec = _angles(face, turn)
        made.append(Cell(ra, dec, tuple(_angles(corner, turn) for corner in near)))
    yield from sorted(made, key=lambda cell: (round(cell.dec, 9), round(cell.ra, 9)))


def _angles(place: tuple[float, float, float], turn: float) -> tuple[float, float]:
    x, y, z = place
    y, z = y * cos(turn) - z * sin(turn), y * sin(turn) + z * cos(turn)
    length = sqrt(x * x + y * y + z * z)
    ra = atan2(y, x) * 180 / pi % 360.0
    dec = degrees(asin(max(-1.0, min(1.0, z / length))))
    return (0.0 if abs(dec) > 90 - 1e-9 else ra), dec
