"""Regions are read from SIA `POS` texts as `lsst.sphgeom` reads them."""

from __future__ import annotations

import math

import lsst.sphgeom as sphgeom
import pytest

from armillary import _core
from armillary.errors import ArgumentError


@pytest.mark.parametrize(
    "pos",
    [
        "CIRCLE 10 20 1",
        "CIRCLE -10 20 0",
        "CIRCLE 10 20 -1",
        "CIRCLE 10 20 200",
        "  CIRCLE  1 2  3 ",
        "RANGE 10 20 -5 5",
        "RANGE 350 10 0 5",
        "RANGE -10 10 0 1",
        "RANGE 10 -10 0 1",
        "RANGE 0 360 -90 90",
        "RANGE 0 400 0 1",
        "RANGE 20 10 5 0",
        "RANGE -Inf +Inf 10 20",
        "RANGE 12 Inf 5 Inf",
        "POLYGON 0 0 1 0 1 1",
        "POLYGON 0 0 1 1 1 0",
        "POLYGON 359 0 1 0 1 1 359 1",
        "POLYGON 0 0 0 0 1 0 1 1",
    ],
)
def test_texts_give_the_same_region(pos):
    assert _core.region_from_ivoa_pos(pos) == sphgeom.Region.from_ivoa_pos(pos).encode()


def test_random_polygons_have_the_same_corners_in_the_same_order(shapes):
    make = shapes(seed=19).random
    for _ in range(1500):
        lon, lat, size = make.uniform(0, 360), make.uniform(-80, 80), 10 ** make.uniform(-3, 1)
        points = [(lon + make.uniform(-size, size), lat + make.uniform(-size, size)) for _ in range(make.randint(3, 9))]
        pos = "POLYGON " + " ".join(f"{a!r} {max(-90.0, min(90.0, b))!r}" for a, b in points)
        assert _core.region_from_ivoa_pos(pos) == sphgeom.Region.from_ivoa_pos(pos).encode()


def test_the_number_of_a_circle_is_its_radius():
    region = _core.region_from_ivoa_pos("CIRCLE 0 0 1")
    for lat, expected in [(0.99, True), (1.01, False)]:
        angle = math.radians(lat)
        assert _core.region_contains(region, math.cos(angle), 0.0, math.sin(angle)) is expected


@pytest.mark.parametrize(
    ("pos", "reason"),
    [
        ("", "it is empty"),
        ("circle 10 20 1", "`circle` is no shape"),
        ("BOX 1 2 3 4", "`BOX` is no shape"),
        ("CIRCLE 10 20", "`CIRCLE` has 3 numbers, found 2"),
        ("CIRCLE 1,2,3", "`1,2,3` is no number"),
        ("CIRCLE nan 0 1", "`nan` is no number"),
        ("CIRCLE inf 0 1", "the longitude `inf` is not finite"),
        ("CIRCLE 0 0 inf", "the radius `inf` is not finite"),
        ("CIRCLE 10 95 1", "the latitude `95` is not within -90 and 90"),
        ("RANGE 0 1 -100 100", "the latitude `-100` is not within -90 and 90"),
        ("RANGE 0 1 2", "`RANGE` has 4 numbers, found 3"),
        ("POLYGON 0 0 1 0", "`POLYGON` has an even number, at least 6, of numbers, found 4"),
        ("POLYGON 0 0 1 0 1 1 0", "`POLYGON` has an even number, at least 6, of numbers, found 7"),
        ("POLYGON 0 0 1 0 2 0", "the points span no convex polygon: they lie on one great circle"),
        ("POLYGON 0 0 0 0 0 0", "the points span no convex polygon: fewer than three of them are different"),
        ("POLYGON 0 -10 120 -10 240 -10 0 90", "the points span no convex polygon: they are not within one hemisphere"),
    ],
)
def test_texts_that_are_no_region_are_explained(pos, reason):
    with pytest.raises(ArgumentError) as caught:
        _core.region_from_ivoa_pos(pos)
    assert str(caught.value) == (
        f"`{pos}` is no SIA region: {reason}; "
        "write `CIRCLE lon lat radius`, `RANGE lon1 lon2 lat1 lat2` or `POLYGON lon lat ...`"
    )
