"""Pairs of regions in the situations where geometry goes wrong: poles, longitude 0, touching, tiny, huge, nothing, all.

`Situations` draws them from a seed; `settled` says whether the library itself is sure of an answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import lsst.sphgeom as sphgeom

from sphere.conftest import Shapes

MOVED = 1e-12
"""Radians from a boundary within which two libraries may round to different answers."""

AXES = [sphgeom.UnitVector3d(*(sign * (i == axis) for i in range(3))) for axis in range(3) for sign in (1, -1)]


class Situations(Shapes):
    """Random pairs; `KINDS` names what a region may be and `PLACES` where a pair lies."""

    KINDS = ("circle", "box", "polygon", "ellipse")
    COMPOUND = ("union", "intersection", "nested")
    PLACES = ("anywhere", "pole", "meridian", "touching", "inside", "tiny", "huge", "antipodes", "special")

    def nested(self, center: sphgeom.UnitVector3d, scale: float) -> sphgeom.Region:
        """A union of intersections, or an intersection of unions, with a simple region beside them."""
        inner, outer = self.union, sphgeom.IntersectionRegion
        if self.random.random() < 0.5:
            inner, outer = self.intersection, sphgeom.UnionRegion
        return outer(inner(center, scale), self.simple(self.near(center, scale), scale))

    def region(self, kind: str, center: sphgeom.UnitVector3d, scale: float) -> sphgeom.Region:
        return getattr(self, kind)(center, scale)

    def meeting(self, place: str, first: str, second: str) -> tuple[sphgeom.Region, sphgeom.Region]:
        """A pair of these kinds at that place."""
        return getattr(self, f"at_{place}")(first, second)

    def around(self, center: sphgeom.UnitVector3d, scale: float, first: str, second: str):
        other = self.near(center, min(math.pi, 2 * scale))
        return (
            self.region(first, center, scale),
            self.region(second, other, scale * self.random.choice([1, 1, 0.3, 3])),
        )

    def at_anywhere(self, first: str, second: str):
        return self.pair(first, second)

    def at_pole(self, first: str, second: str):
        """Some hold the pole, some end at it, some have it as their center."""
        scale = self.scale(-6, 0)
        pole = sphgeom.UnitVector3d(0, 0, self.random.choice([1, -1]))
        center = self.random.choice([pole, self.near(pole, scale)])
        if first == "box" and self.random.random() < 0.5:
            side = -1 if pole.z() < 0 else 1
            lats = sorted([side * math.pi / 2, side * (math.pi / 2 - min(scale, 1.5))])
            lon = self.random.uniform(0, 6)
            box = sphgeom.Box.fromRadians(lon, lats[0], lon + self.random.choice([scale, 3, 2 * math.pi]), lats[1])
            return box, self.region(second, self.near(pole, 2 * scale), scale)
        return self.around(center, scale, first, second)

    def at_meridian(self, first: str, second: str):
        """Around longitude 0."""
        scale = self.scale(-6, 0.3)
        lat = self.random.choice([0.0, self.random.uniform(-1.5, 1.5)])
        lon = self.random.choice([0.0, self.random.uniform(-scale, scale)])
        return self.around(sphgeom.UnitVector3d(sphgeom.LonLat.fromRadians(lon, lat)), scale, first, second)

    def at_touching(self, first: str, second: str):
        """They share a corner or a side to the bit, or end at the same angle from a point."""
        scale = min(self.scale(-6, 0), 0.7)
        one = self.region(first, self.direction(), scale)
        return one, self.neighbour(one, second, scale)

    def neighbour(self, one: sphgeom.Region, kind: str, scale: float) -> sphgeom.Region:
        length = scale * self.random.uniform(0.1, 1)
        if isinstance(one, sphgeom.ConvexPolygon):
            start, end = one.getVertices()[:2]
            if kind == "polygon" and not one.contains(beyond := start.rotatedAround(end, sphgeom.Angle(math.pi / 2))):
                return sphgeom.ConvexPolygon.convexHull([start, end, beyond])
            if kind == "box":
                return sphgeom.Box(sphgeom.LonLat(start), sphgeom.Angle(length), sphgeom.Angle(length / 2))
            return self.region(kind, start, scale)
        if isinstance(one, sphgeom.Box) and kind == "box":
            west = one.getLon().getB().asRadians()
            south, north = (end.asRadians() for end in (one.getLat().getA(), one.getLat().getB()))
            south, north = self.random.choice([(south, north), (north, min(north + length, math.pi / 2))])
            return sphgeom.Box.fromRadians(west, south, west + length, north)
        circle = one.getBoundingCircle()
        axis = sphgeom.UnitVector3d.orthogonalTo(circle.getCenter())
        radius = self.size(scale, 1)
        apart = circle.getOpeningAngle() + sphgeom.Angle(radius)
        if kind == "circle" and not apart.isNan():
            return sphgeom.Circle(circle.getCenter().rotatedAround(axis, apart), sphgeom.Angle(radius))
        at_edge = circle.getCenter().rotatedAround(axis, circle.getOpeningAngle())
        return self.region(kind, at_edge, scale)

    def at_inside(self, first: str, second: str):
        """The second is the first, or what is well within or around it."""
        scale, center = self.scale(-6, 0), self.direction()
        one = self.region(first, center, scale)
        if first == second and self.random.random() < 0.2:
            return one, one.clone()
        return one, self.region(second, self.near(center, scale / 10), scale * self.random.choice([0.05, 0.2, 5, 20]))

    def at_tiny(self, first: str, second: str):
        """Down to a few hundredths of a milliarcsecond."""
        scale = self.scale(-10, -6)
        return self.around(self.random.choice([self.direction(), *AXES]), scale, first, second)

    def at_huge(self, first: str, second: str):
        """A good part of the sphere, or nearly all."""
        return self.around(self.direction(), self.random.uniform(1, 3.2), first, second)

    def at_antipodes(self, first: str, second: str):
        center, scale = self.direction(), self.scale(-4, 0.5)
        return self.region(first, center, scale), self.region(second, self.near(-center, scale), scale)

    def at_special(self, first: str, second: str):
        """Nothing, everything, half of everything or a single point, with one of the kinds."""
        scale, center = self.scale(-6, 0.3), self.direction()
        pair = [self.special(center), self.region(second, self.near(center, scale), scale)]
        if self.random.random() < 0.5:
            pair = [pair[1], self.special(self.near(center, scale))]
        if first == second and self.random.random() < 0.3:
            pair = [self.special(center), self.special(center)]
        return tuple(pair)

    def special(self, center: sphgeom.UnitVector3d) -> sphgeom.Region:
        return self.random.choice(
            [
                sphgeom.Box.empty(),
                sphgeom.Box.full(),
                sphgeom.Box(sphgeom.LonLat(center)),
                sphgeom.Box.fromDegrees(0, -90, 360, self.random.choice([-89, 0, 30])),
                sphgeom.Circle.empty(),
                sphgeom.Circle.full(),
                sphgeom.Circle(center),
                sphgeom.Circle(center, sphgeom.Angle(math.pi / 2)),
                sphgeom.Circle(self.random.choice(AXES), sphgeom.Angle(math.pi / 2)),
                sphgeom.Ellipse.empty(),
                sphgeom.Ellipse.full(),
                sphgeom.Ellipse(center, sphgeom.Angle(math.pi / 2)),
                sphgeom.ConvexPolygon([sphgeom.UnitVector3d.X(), sphgeom.UnitVector3d.Y(), sphgeom.UnitVector3d.Z()]),
                sphgeom.UnionRegion(),
                sphgeom.IntersectionRegion(),
                sphgeom.UnionRegion(sphgeom.Box.empty(), sphgeom.Circle(center, sphgeom.Angle(0.1))),
                sphgeom.IntersectionRegion(sphgeom.Box.full(), sphgeom.Circle(center, sphgeom.Angle(0.1))),
            ]
        )


def moved(region: sphgeom.Region, by: float) -> Iterator[sphgeom.Region]:
    """The region with its boundary moved by so many radians: wider, narrower, and turned about each axis."""
    if isinstance(region, (sphgeom.Circle, sphgeom.Box)) and not region.isEmpty():
        for sign in (1, -1):
            angle = sphgeom.Angle(sign * by)
            yield region.dilatedBy(angle) if isinstance(region, sphgeom.Circle) else region.dilatedBy(angle, angle)
    if isinstance(region, sphgeom.Circle):
        yield from (sphgeom.Circle(at, region.getOpeningAngle()) for at in turned(region.getCenter(), by))
    elif isinstance(region, sphgeom.ConvexPolygon):
        corners = region.getVertices()
        middle = region.getCentroid()
        for at in zip(*(turned(corner, by) for corner in corners), strict=True):
            yield sphgeom.ConvexPolygon(list(at))
        for sign in (1, -1):
            yield sphgeom.ConvexPolygon([stretched(corner, middle, sign * by) for corner in corners])
    elif isinstance(region, sphgeom.Ellipse):
        sizes = [region.getAlpha(), region.getBeta(), region.getGamma()]
        turn = sphgeom.Angle(0)
        yield from (sphgeom.Ellipse(at, sizes[0], sizes[1], turn) for at in turned(region.getCenter(), by))
    elif isinstance(region, sphgeom.CompoundRegion):
        parts = list(region)
        for number, part in enumerate(parts):
            for other in moved(part, by):
                yield type(region)(*parts[:number], other, *parts[number + 1 :])


def turned(at: sphgeom.UnitVector3d, by: float) -> list[sphgeom.UnitVector3d]:
    return [sphgeom.UnitVector3d(*(p + by * q for p, q in zip(at, axis, strict=True))) for axis in AXES]


def stretched(corner: sphgeom.UnitVector3d, middle: sphgeom.UnitVector3d, by: float) -> sphgeom.UnitVector3d:
    away = [c - m for c, m in zip(corner, middle, strict=True)]
    length = math.sqrt(sum(part * part for part in away)) or 1.0
    return sphgeom.UnitVector3d(*(c + by * part / length for c, part in zip(corner, away, strict=True)))


def settled(a: sphgeom.Region, b: sphgeom.Region) -> bool:
    """Whether the library gives one answer for the pair, however their boundaries are moved by `MOVED`."""
    answer = a.relate(b)
    return all(near.relate(b) == answer for near in moved(a, MOVED)) and all(
        a.relate(near) == answer for near in moved(b, MOVED)
    )
