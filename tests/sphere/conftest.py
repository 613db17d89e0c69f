"""Seeded random regions of every type, of all sizes, near to each other and all over the sphere."""

from __future__ import annotations

import math
import random

import lsst.sphgeom as sphgeom
import pytest

HALF_TURN = math.pi


class Shapes:
    """Random regions; the same seed gives the same regions."""

    KINDS = ("circle", "box", "polygon", "ellipse")

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def direction(self) -> sphgeom.UnitVector3d:
        """Anywhere; one in twenty close to a pole."""
        z = self.random.uniform(-1, 1)
        if self.random.random() < 0.05:
            z = self.random.choice([1, -1]) * (1 - 10 ** self.random.uniform(-8, -1))
        lon = self.random.uniform(0, 2 * math.pi)
        from_axis = math.sqrt(1 - z * z)
        return sphgeom.UnitVector3d(from_axis * math.cos(lon), from_axis * math.sin(lon), z)

    def near(self, center: sphgeom.UnitVector3d, angle: float) -> sphgeom.UnitVector3d:
        """A direction within an angle (radians) of `center`."""
        axis = sphgeom.UnitVector3d.orthogonalTo(center)
        axis = axis.rotatedAround(center, sphgeom.Angle(self.random.uniform(0, 2 * math.pi)))
        return center.rotatedAround(axis, sphgeom.Angle(self.random.random() * angle))

    def scale(self, smallest: float = -4, largest: float = 0.5) -> float:
        """A size in radians, spread evenly over powers of ten."""
        return 10 ** self.random.uniform(smallest, largest)

    def size(self, scale: float, largest: float) -> float:
        return min(largest, scale * self.random.uniform(0.1, 1.2))

    def circle(self, center: sphgeom.UnitVector3d, scale: float) -> sphgeom.Circle:
        return sphgeom.Circle(center, sphgeom.Angle(self.size(scale, HALF_TURN)))

    def box(self, center: sphgeom.UnitVector3d, scale: float) -> sphgeom.Box:
        width, height = self.size(scale, HALF_TURN), self.size(scale, HALF_TURN / 2)
        return sphgeom.Box(sphgeom.LonLat(center), sphgeom.Angle(width), sphgeom.Angle(height))

    def polygon(self, center: sphgeom.UnitVector3d, scale: float) -> sphgeom.ConvexPolygon:
        corners = self.random.choice([3, 4, 4, 4, 5, 6, 8])
        scale = min(scale, 1.3)
        return sphgeom.ConvexPolygon.convexHull([self.near(center, scale) for _ in range(corners)])

    def ellipse(self, center: sphgeom.UnitVector3d, scale: float) -> sphgeom.Ellipse:
        alpha, beta = self.size(scale, 1.5), self.size(scale, 1.5)
        turn = self.random.uniform(0, HALF_TURN)
        return sphgeom.Ellipse(center, sphgeom.Angle(alpha), sphgeom.Angle(beta), sphgeom.Angle(turn))

    def simple(self, center: sphgeom.UnitVector3d, scale: float) -> sphgeom.Region:
        return getattr(self, self.random.choice(self.KINDS))(center, scale)

    def union(self, center: sphgeom.UnitVector3d, scale: float) -> sphgeom.UnionRegion:
        return sphgeom.UnionRegion(*(self.simple(self.near(center, scale), scale) for _ in range(2)))

    def intersection(self, center: sphgeom.UnitVector3d, scale: float) -> sphgeom.IntersectionRegion:
        return sphgeom.IntersectionRegion(*(self.simple(self.near(center, scale / 2), scale) for _ in range(2)))

    def pair(self, first: str, second: str) -> tuple[sphgeom.Region, sphgeom.Region]:
        """Two regions of these kinds that may touch, contain each other or be apart."""
        scale = self.scale()
        center = self.direction()
        other = self.near(center, min(HALF_TURN, 2.5 * scale))
        return getattr(self, first)(center, scale), getattr(self, second)(
            other, scale * self.random.choice([1, 1, 0.3, 3])
        )


@pytest.fixture(name="shapes")
def shapes_fixture():
    """Makes a `Shapes` for a seed."""
    return Shapes
