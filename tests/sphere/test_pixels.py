"""Pixels and envelopes are those of `lsst.sphgeom`: rows of overlap tables depend on them."""

from __future__ import annotations

import json
import math

import lsst.sphgeom as sphgeom
import pytest

from armillary import _core
from armillary.errors import ArgumentError

HTM = [sphgeom.HtmPixelization(level) for level in range(25)]
HEALPIX = [sphgeom.HealpixPixelization(level) for level in range(18)]
LIBRARY = {"htm": HTM, "healpix": HEALPIX}


def library_envelope(system: str, level: int, region: sphgeom.Region) -> list[tuple[int, int]]:
    return [(int(first), int(last)) for first, last in LIBRARY[system][level].envelope(region).ranges()]


def our_index(system: str, level: int, at: sphgeom.UnitVector3d) -> int:
    return _core.skypix_index(system, level, at.x(), at.y(), at.z())


def test_stored_indices_and_envelopes(shared_path):
    vectors = json.loads(shared_path("contract-fixtures", "vectors", "regions.json").read_text())
    at = sphgeom.UnitVector3d(sphgeom.LonLat.fromDegrees(10, -5.5))
    polygon = bytes.fromhex(vectors["ConvexPolygon 4 vertices"]["hex"])
    levels = {"htm": {"level7": vectors["_htm"]}, "healpix": vectors["_healpix"]}
    levels["htm"] |= {
        name: value for name, value in vectors["_htm"].items() if name.startswith("level") and name != "level"
    }
    seen = 0
    for system, by_level in levels.items():
        for name, expected in by_level.items():
            level = int(name.removeprefix("level"))
            assert our_index(system, level, at) == expected["index_lon10_lat-5.5"]
            found = _core.skypix_envelope(system, level, polygon)
            assert [list(pair) for pair in found] == expected["envelope_polygon4"]
            seen += 1
    assert seen >= 5


@pytest.mark.parametrize("system", ["htm", "healpix"])
def test_random_directions(shapes, system):
    make = shapes(seed=11)
    for level, pixelization in enumerate(LIBRARY[system]):
        directions = [make.direction() for _ in range(100)]
        ours = [our_index(system, level, at) for at in directions]
        assert ours == [int(pixelization.index(at)) for at in directions]


def test_directions_on_the_corners_of_triangles():
    corners = [
        corner
        for level in (0, 1, 3)
        for index in range(8 << 2 * level, 16 << 2 * level)
        for corner in HTM[level].pixel(index).getVertices()
    ]
    for level in (0, 1, 2, 5, 13, 24):
        assert [our_index("htm", level, at) for at in corners] == [HTM[level].index(at) for at in corners]


@pytest.mark.parametrize("kind", ["circle", "box", "polygon", "union", "intersection"])
def test_htm_envelopes_of_random_regions(shapes, kind):
    make = shapes(seed=f"htm {kind}")
    for _ in range(400):
        scale = make.scale(-5, 0.3)
        level = min(24, max(0, int(-math.log2(scale) + make.random.uniform(0, 3.5))))
        region = getattr(make, kind)(make.direction(), scale)
        if "Ellipse" in repr(region):
            continue  # the library's envelope of an ellipse can end the process
        assert _core.skypix_envelope("htm", level, region.encode()) == library_envelope("htm", level, region)


def test_htm_envelope_of_an_ellipse_is_that_of_the_circle_around_it(shapes):
    make = shapes(seed=13)
    for _ in range(200):
        scale = make.scale(-5, 0)
        level = min(24, int(-math.log2(scale) + 2))
        ellipse = make.ellipse(make.direction(), scale)
        expected = library_envelope("htm", level, ellipse.getBoundingCircle())
        assert _core.skypix_envelope("htm", level, ellipse.encode()) == expected


def test_htm_envelopes_along_the_sides_of_triangles():
    """The region's sides are the triangles' own, and boxes run along whole degrees through their corners."""
    for index in range(512, 1024, 3):
        triangle = HTM[3].pixel(index)
        for level in (2, 3, 4):
            assert _core.skypix_envelope("htm", level, triangle.encode()) == library_envelope("htm", level, triangle)
    degrees = [0, 30, 45, 90, 135, 180, 270, 350, 360]
    for west in degrees:
        for east in degrees:
            box = sphgeom.Box.fromDegrees(west, -45, east, 0)
            assert _core.skypix_envelope("htm", 3, box.encode()) == library_envelope("htm", 3, box)


@pytest.mark.parametrize("kind", ["circle", "box", "polygon", "ellipse"])
def test_healpix_envelopes_of_random_regions(shapes, kind):
    make = shapes(seed=f"healpix {kind}")
    for _ in range(150):
        level = make.random.randint(0, 17)
        scale = make.scale(-2, 1) * 2.0**-level
        if scale > 1.3:
            continue
        region = getattr(make, kind)(make.direction(), scale)
        assert _core.skypix_envelope("healpix", level, region.encode()) == library_envelope("healpix", level, region)


def pixels(ranges: list[tuple[int, int]]) -> set[int]:
    return {index for first, last in ranges for index in range(first, last)}


def test_healpix_envelopes_of_compound_regions_combine_those_of_their_parts(shapes):
    """The library knows none."""
    make = shapes(seed=17)
    for _ in range(50):
        center = make.direction()
        parts = [make.circle(make.near(center, 0.1), 0.1), make.polygon(center, 0.1)]
        first, second = (pixels(library_envelope("healpix", 6, part)) for part in parts)
        union, both = sphgeom.UnionRegion(*parts).encode(), sphgeom.IntersectionRegion(*parts).encode()
        assert pixels(_core.skypix_envelope("healpix", 6, union)) == first | second
        assert pixels(_core.skypix_envelope("healpix", 6, both)) == first & second


def test_boxes_of_all_longitudes_have_healpix_pixels():
    """Of these the library finds none."""
    assert _core.skypix_envelope("healpix", 3, sphgeom.Box.full().encode()) == [(0, 768)]
    northern = pixels(_core.skypix_envelope("healpix", 3, sphgeom.Box.fromDegrees(0, 80, 360, 90).encode()))
    assert {
        int(HEALPIX[3].index(sphgeom.UnitVector3d(sphgeom.LonLat.fromDegrees(lon, 85)))) for lon in range(360)
    } <= northern
    assert len(northern) < 40


@pytest.mark.parametrize("region", [sphgeom.Box.empty(), sphgeom.Circle.empty(), sphgeom.UnionRegion()])
def test_empty_regions_have_no_pixels(region):
    assert _core.skypix_envelope("htm", 7, region.encode()) == []
    assert _core.skypix_envelope("healpix", 7, region.encode()) == []


def test_a_level_or_system_that_is_not_is_named():
    stored = sphgeom.Circle(sphgeom.UnitVector3d.X()).encode()
    with pytest.raises(ArgumentError, match="htm has levels up to 24, not `25`"):
        _core.skypix_envelope("htm", 25, stored)
    with pytest.raises(ArgumentError, match="healpix has levels up to 17, not `18`"):
        _core.skypix_index("healpix", 18, 1.0, 0.0, 0.0)
    with pytest.raises(ArgumentError, match="no pixelization is called `q3c`; known are `htm` and `healpix`"):
        _core.skypix_envelope("q3c", 7, stored)
    with pytest.raises(ArgumentError, match="a vector of length zero has no direction"):
        _core.skypix_index("htm", 7, 0.0, 0.0, 0.0)
