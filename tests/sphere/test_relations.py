"""Two regions lie to each other as `lsst.sphgeom` says they do.

Whole answers are compared, all bits, and no difference is allowed: both sides decide by the same margins, so only a
pair within rounding (1e-15 or so) of such a margin could differ, and the seeds hold none.
"""

from __future__ import annotations

import itertools
import math

import lsst.sphgeom as sphgeom
import pytest

from armillary import _core

PAIRS = 6500


def differences(first: list[sphgeom.Region], second: list[sphgeom.Region]) -> list[str]:
    """Pairs of which the two libraries do not say the same; one call for all pairs."""
    theirs = [a.relate(b) for a, b in zip(first, second, strict=True)]
    ours = _core.region_relate_pairs([a.encode() for a in first], [b.encode() for b in second])
    assert len(ours) == len(theirs) > 0
    found = zip(theirs, ours, first, second, strict=True)
    return [f"{a} and {b}: {want}, not {got}" for want, got, a, b in found if want != got]


@pytest.mark.parametrize(
    ("first", "second"), list(itertools.product(["circle", "box", "polygon", "ellipse"], repeat=2))
)
def test_random_pairs(shapes, first, second):
    make = shapes(seed=f"{first} {second}")
    pairs = [make.pair(first, second) for _ in range(PAIRS)]
    answers = {a.relate(b) & 1 for a, b in pairs}
    assert answers == {0, 1}, "the pairs are all apart or all together: they test nothing"
    assert differences(*map(list, zip(*pairs, strict=True))) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [*itertools.product(["union", "intersection"], repeat=2), ("union", "polygon"), ("box", "intersection")],
)
def test_random_pairs_with_compound_regions(shapes, first, second):
    make = shapes(seed=f"{first} {second}")
    pairs = [make.pair(first, second) for _ in range(1500)]
    assert differences(*map(list, zip(*pairs, strict=True))) == []


def special_regions() -> dict[str, sphgeom.Region]:
    axes = [sphgeom.UnitVector3d.X(), sphgeom.UnitVector3d.Y(), sphgeom.UnitVector3d.Z()]
    angle = sphgeom.Angle
    box = sphgeom.Box.fromDegrees(10, 10, 20, 20)
    circle = sphgeom.Circle(axes[1], angle(0.1))
    octant = sphgeom.ConvexPolygon(axes)
    return {
        "empty box": sphgeom.Box.empty(),
        "full box": sphgeom.Box.full(),
        "empty circle": sphgeom.Circle.empty(),
        "full circle": sphgeom.Circle.full(),
        "empty ellipse": sphgeom.Ellipse.empty(),
        "full ellipse": sphgeom.Ellipse.full(),
        "box": box,
        "circle": circle,
        "ellipse": sphgeom.Ellipse(axes[1], angle(0.1), angle(0.05), angle(0)),
        "octant": octant,
        "point circle": sphgeom.Circle(axes[1]),
        "point box": sphgeom.Box(sphgeom.LonLat.fromDegrees(90, 0)),
        "circle of more than a hemisphere": sphgeom.Circle(axes[2], angle(3)),
        "ellipse of more than a hemisphere": sphgeom.Ellipse(axes[2], angle(2), angle(1.9), angle(0)),
        "hemisphere": sphgeom.Circle(axes[2], angle(math.pi / 2)),
        "box at the pole": sphgeom.Box.fromDegrees(10, 80, 20, 90),
        "union of nothing": sphgeom.UnionRegion(),
        "intersection of nothing": sphgeom.IntersectionRegion(),
        "union": sphgeom.UnionRegion(box, circle),
        "intersection of unions": sphgeom.IntersectionRegion(sphgeom.UnionRegion(box, octant), circle),
    }


def test_empty_full_and_degenerate_regions():
    pairs = list(itertools.product(special_regions().values(), repeat=2))
    assert differences([a for a, _ in pairs], [b for _, b in pairs]) == []


def test_polygons_that_share_corners_or_sides_touch():
    """Neighbouring triangles share corners to the bit: only exact arithmetic gets these right."""
    triangles = [sphgeom.HtmPixelization(3).pixel(index) for index in range(512, 1024)]
    pairs = list(itertools.product(triangles[::8], triangles))
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    assert differences(first, second) == []
    ours = _core.region_relate_pairs([a.encode() for a in first], [b.encode() for b in second])
    assert sorted(set(ours)) == [0, 1, 6]


def test_polygons_within_rounding_of_the_one_around_them():
    """The corners of a child are midpoints, which rounding puts on either side of the parent's sides."""
    parents = [sphgeom.HtmPixelization(4).pixel(index >> 2) for index in range(8192, 16384)]
    children = [sphgeom.HtmPixelization(5).pixel(index) for index in range(8192, 16384)]
    assert differences(parents, children) == []
    ours = _core.region_relate_pairs([a.encode() for a in parents], [b.encode() for b in children])
    assert sorted(set(ours)) == [0, 2]


def test_circles_around_the_margin_of_touching(shapes):
    """Two circles count as touching up to 6e-8 rad apart: the library's error of an arc sine, four times."""
    make = shapes(seed=5)
    first, second = [], []
    for gap in [-1e-7, -6.1e-8, -5.9e-8, 0, 5.9e-8, 6.1e-8, 1e-7]:
        for _ in range(50):
            one, other = make.scale(-4, -0.5), make.scale(-4, -0.5)
            center = make.direction()
            axis = sphgeom.UnitVector3d.orthogonalTo(center)
            first.append(sphgeom.Circle(center, sphgeom.Angle(one)))
            apart = sphgeom.Angle(one + other + gap)
            second.append(sphgeom.Circle(center.rotatedAround(axis, apart), sphgeom.Angle(other)))
    assert differences(first, second) == []


def test_polygon_at_longitude_zero_overlaps_boxes_all_around():
    """The library's bounding box of such a polygon may have all longitudes. A repository shared with it needs the same
    rows, so this mistake is kept.
    """
    lon_lats = [(1.6, 60.5), (-7.7, 54.2), (-4.3, 50.1)]
    polygon = sphgeom.ConvexPolygon([sphgeom.UnitVector3d(sphgeom.LonLat.fromDegrees(*at)) for at in lon_lats])
    far = sphgeom.Box.fromDegrees(170, 52, 190, 58)
    assert polygon.relate(far) == _core.region_relate(polygon.encode(), far.encode()) == 0
    assert _core.region_overlaps(polygon.encode(), far.encode())


@pytest.mark.parametrize("kind", ["circle", "box", "polygon", "ellipse", "union", "intersection"])
def test_random_directions_in_regions(shapes, kind):
    make = shapes(seed=f"in {kind}")
    answers = []
    for _ in range(2000):
        center, scale = make.direction(), make.scale()
        region = getattr(make, kind)(center, scale)
        at = make.near(center, min(math.pi, 1.5 * scale))
        answers.append((region.contains(at), _core.region_contains(region.encode(), at.x(), at.y(), at.z())))
    assert {want for want, _ in answers} == {False, True}
    assert [pair for pair in answers if pair[0] != pair[1]] == []
