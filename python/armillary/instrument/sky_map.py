"""Sky maps: the sky cut into tracts with a flat projection each, and tracts cut into patches.

A discrete map has a tract around each place that a survey looks at; rings, HEALPix and dodecahedron maps cover the
whole sky, equatorial maps a band of it. All are plain numbers (`SkyMap.to_dict`), stored without pickle.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import acos, ceil, cos, pi, radians, sin, tan
from typing import TYPE_CHECKING, Any

from armillary.instrument.rubin_hash import PatchCells, rubin_hash
from armillary.instrument.sky_cells import Cell, dodecahedron_cells, equatorial_cells, healpix_cells, ring_cells
from armillary.instrument.wcs import pixel_polygon, tangent_wcs

if TYPE_CHECKING:
    from lsst.sphgeom import ConvexPolygon

SKY_MAP_DATASET_TYPE = "skyMap"
SKY_MAP_RUN = "skymaps"
DEFAULT_PIXEL_SCALE = 0.2
DEFAULT_PATCH_SIZE = 4000
DEFAULT_OVERLAP = 1 / 60
MAX_LOG2_NSIDE = 6
"""49152 tracts; more would be smaller than a camera's view."""
PROJECTIONS = ("TAN", "STG", "CEA")


@dataclass(frozen=True)
class Patch:
    """One cell of a tract: pixels `x_min <= x < x_max`, `y_min <= y < y_max` of the tract, its border included."""

    patch: int
    cell_x: int
    cell_y: int
    x_min: int
    y_min: int
    x_max: int
    y_max: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of an image of this patch."""
        return self.y_max - self.y_min, self.x_max - self.x_min


@dataclass(frozen=True)
class Tract:
    """A flat projection around `ra`, `dec` (degrees), `width` by `height` pixels of `pixel_scale` arcseconds.

    Patches of `patch_size` pixels tile it, each widened by `patch_border` pixels where the tract goes on, and beyond
    the tract's edge if `overhang`. `reference` is the pixel (from zero) at `ra`, `dec`; the tract's middle by default.
    `projection` is a FITS code.

    >>> tract = Tract(tract=0, ra=10.0, dec=0.0, width=250, height=100, pixel_scale=1.0, patch_size=100, patch_border=5)
    >>> tract.patches_x, tract.patches_y, tract.patch(1).shape
    (3, 1, (100, 110))
    """

    tract: int
    ra: float
    dec: float
    width: int
    height: int
    pixel_scale: float
    patch_size: int
    patch_border: int = 0
    projection: str = "TAN"
    reference: tuple[float, float] | None = None
    overhang: bool = False

    @property
    def patches_x(self) -> int:
        """Patches along x."""
        return ceil(self.width / self.patch_size)

    @property
    def patches_y(self) -> int:
        """Patches along y."""
        return ceil(self.height / self.patch_size)

    @property
    def patches(self) -> list[Patch]:
        """Every patch, in order of its number."""
        return [self.patch(number) for number in range(self.patches_x * self.patches_y)]

    def patch(self, patch: int) -> Patch:
        """Give one patch by its number; `LookupError` if the tract has no such patch."""
        if not 0 <= patch < self.patches_x * self.patches_y:
            raise LookupError(
                f"tract {self.tract} has patches 0 to {self.patches_x * self.patches_y - 1}, not `{patch}`"
            )
        cell_y, cell_x = divmod(patch, self.patches_x)
        size, border = self.patch_size, self.patch_border
        x_min, y_min = cell_x * size - border, cell_y * size - border
        x_max, y_max = x_min + size + 2 * border, y_min + size + 2 * border
        if not self.overhang:
            x_min, y_min, x_max, y_max = max(x_min, 0), max(y_min, 0), min(x_max, self.width), min(y_max, self.height)
        return Patch(patch, cell_x, cell_y, x_min, y_min, x_max, y_max)

    @cached_property
    def wcs(self) -> Any:
        """The WCS of the whole tract (`astropy.wcs.WCS`)."""
        wcs = tangent_wcs(self.ra, self.dec, self.pixel_scale, (self.height, self.width), projection=self.projection)
        if self.reference is not None:
            wcs.wcs.crpix = [self.reference[0] + 1, self.reference[1] + 1]
            wcs.wcs.set()
        return wcs

    def patch_wcs(self, patch: Patch) -> Any:
        """Give the WCS of one patch's image."""
        wcs = self.wcs.deepcopy()
        wcs.wcs.crpix = [self.wcs.wcs.crpix[0] - patch.x_min, self.wcs.wcs.crpix[1] - patch.y_min]
        wcs.pixel_shape = (patch.shape[1], patch.shape[0])
        return wcs

    @property
    def region(self) -> ConvexPolygon:
        """The part of the sky that the tract's pixels cover."""
        return pixel_polygon(self.wcs, -0.5, -0.5, self.width - 0.5, self.height - 0.5)

    def patch_region(self, patch: Patch) -> ConvexPolygon:
        """Give the part of the sky that a patch's pixels cover, its border included."""
        return pixel_polygon(self.wcs, patch.x_min - 0.5, patch.y_min - 0.5, patch.x_max - 0.5, patch.y_max - 0.5)


class SkyMap:
    """Tracts of one sky map, by their number.

    `identity` is the hash by which the Rubin stack knows the same map, where it has one.

    >>> sky_map = SkyMap.discrete([(10.0, 20.0)], radius=0.1, pixel_scale=0.5, patch_size=1000)
    >>> len(sky_map), sky_map[0].width, sky_map == SkyMap.from_dict(sky_map.to_dict())
    (1, 1440, True)
    """

    def __init__(self, kind: str, tracts: Iterable[Tract], identity: bytes | None = None):
        self.kind = kind
        self.identity = identity
        self._tracts = {tract.tract: tract for tract in tracts}
        if not self._tracts:
            raise ValueError("a sky map needs at least one tract")

    @classmethod
    def discrete(
        cls,
        centres: Sequence[tuple[float, float]],
        *,
        radius: float,
        pixel_scale: float = DEFAULT_PIXEL_SCALE,
        patch_size: int = DEFAULT_PATCH_SIZE,
        patch_border: int = 0,
    ) -> SkyMap:
        """Make one square tract around each place (`ra`, `dec` in degrees) that reaches `radius` degrees from it.

        >>> [tract.ra for tract in SkyMap.discrete([(10.0, 20.0), (40.0, -5.0)], radius=0.5)]
        [10.0, 40.0]
        """
        _check_pixels(pixel_scale, patch_size, patch_border)
        if not 0 < radius <= 60:
            raise ValueError(f"a tract's radius must lie between 0 and 60 degrees, not `{radius}`")
        size = ceil(2 * radius * 3600 / pixel_scale)
        return cls(
            "discrete",
            (
                Tract(number, float(ra) % 360.0, float(dec), size, size, pixel_scale, patch_size, patch_border)
                for number, (ra, dec) in enumerate(centres)
            ),
        )

    @classmethod
    def around(
        cls,
        regions: Iterable[Any],
        *,
        pixel_scale: float = DEFAULT_PIXEL_SCALE,
        patch_size: int | None = None,
        patch_border: int = 0,
        margin: int = 50,
    ) -> SkyMap:
        """Make one tract around each group of regions (of visits, say) whose middles lie within each other's circles.

        Each tract is square and holds all its regions with `margin` pixels around them, for telescopes that do not
        point where they say; without `patch_size` it is one patch.

        >>> regions = [pixel_polygon(tangent_wcs(ra, 0.0, 1.0, (99, 99)), 0, 0, 98, 98) for ra in (10.0, 10.01, 50.0)]
        >>> [tract.width for tract in SkyMap.around(regions, pixel_scale=1.0)]
        [271, 199]
        """
        from lsst.sphgeom import LonLat

        tracts = []
        for number, group in enumerate(_grouped(regions)):
            middle = group[0].getBoundingCircle().getCenter()
            size = ceil(2 * (_reach(middle, group) * 3600 / pixel_scale + margin))
            ra, dec = LonLat(middle).getLon().asDegrees(), LonLat(middle).getLat().asDegrees()
            tracts.append(Tract(number, ra, dec, size, size, pixel_scale, patch_size or size, patch_border))
        return cls("discrete", tracts)

    @classmethod
    def rings(
        cls,
        rings: int = 120,
        *,
        pixel_scale: float = DEFAULT_PIXEL_SCALE,
        patch_size: int = DEFAULT_PATCH_SIZE,
        patch_border: int = 0,
        overlap: float = DEFAULT_OVERLAP,
        ra_start: float = 0.0,
        projection: str = "TAN",
        cells: PatchCells | None = None,
    ) -> SkyMap:
        """Cover the whole sky with a tract on each pole and `rings` rings between them, from south to north.

        Neighbouring tracts share at least `overlap` degrees; each is made of whole patches, and patches of whole
        `cells` if these are given. Numbers, places, patches and hash are those of the Rubin stack's `rings` maps:
        `rings_v1` of HSC has 120 rings, pixels of 0.168 arcseconds, and borders of 100 pixels. Where those would leave
        holes in the sky, as some of very few rings do, tracts are larger and the hash is another.

        >>> len(SkyMap.rings(3, pixel_scale=60.0, patch_size=1000))
        27
        """
        if rings < 2:
            raise ValueError(f"a rings map needs at least 2 rings, not `{rings}`: a tangent plane holds no hemisphere")
        pixels = _Pixels.of(pixel_scale, patch_size, patch_border, overlap, projection, cells)
        side = pixels.side_around(90.0 / (rings + 1))
        tracts = pixels.tracts(ring_cells(rings, ra_start), least=side)
        known = all((tract.width, tract.height) == (side, side) for tract in tracts)
        own = struct.pack("<id", rings, ra_start)
        return cls("rings", tracts, pixels.identity("RingsSkyMap", own) if known else None)

    @classmethod
    def circles(
        cls,
        circles: Sequence[tuple[float, float, float]],
        *,
        pixel_scale: float = DEFAULT_PIXEL_SCALE,
        patch_size: int = DEFAULT_PATCH_SIZE,
        patch_border: int = 0,
        overlap: float = 0.0,
        projection: str = "TAN",
        cells: PatchCells | None = None,
    ) -> SkyMap:
        """Make a tract of whole patches around each circle (`ra`, `dec`, radius in degrees), `overlap` degrees wider.

        These are the Rubin stack's `discrete` maps, with their hash.

        >>> SkyMap.circles([(10.0, 20.0, 0.1)], pixel_scale=0.5, patch_size=1000)[0].width
        2000
        """
        pixels = _Pixels.of(pixel_scale, patch_size, patch_border, overlap, projection, cells)
        for circle in circles:
            if not 0 <= circle[2] <= 60:
                raise ValueError(f"a tract's radius must lie between 0 and 60 degrees, not `{circle[2]}`")
        places = [Cell(float(ra) % 360.0, float(dec), ((ra, dec),)) for ra, dec, _ in circles]
        tracts = [
            pixels.tract(number, place, least=pixels.side_around(circle[2]))
            for number, (place, circle) in enumerate(zip(places, circles, strict=True))
        ]
        own = b"".join(struct.pack("<d", circle[axis]) for axis in range(3) for circle in circles)
        return cls("discrete", tracts, pixels.identity("DiscreteSkyMap", own))

    @classmethod
    def dodecahedron(
        cls,
        *,
        pixel_scale: float = DEFAULT_PIXEL_SCALE,
        patch_size: int = DEFAULT_PATCH_SIZE,
        patch_border: int = 0,
        overlap: float = DEFAULT_OVERLAP,
        with_tracts_on_poles: bool = False,
        projection: str = "STG",
    ) -> SkyMap:
        """Cover the whole sky with the twelve faces of a dodecahedron, each on a stereographic projection.

        >>> len(SkyMap.dodecahedron(pixel_scale=60.0))
        12
        """
        pixels = _Pixels.of(pixel_scale, patch_size, patch_border, overlap, projection)
        return cls("dodeca", pixels.tracts(dodecahedron_cells(with_tracts_on_poles)))

    @classmethod
    def healpix(
        cls,
        log2_nside: int = 0,
        *,
        pixel_scale: float = DEFAULT_PIXEL_SCALE,
        patch_size: int = DEFAULT_PATCH_SIZE,
        patch_border: int = 0,
        overlap: float = DEFAULT_OVERLAP,
        nest: bool = False,
        projection: str = "TAN",
    ) -> SkyMap:
        """Cover the whole sky with a tract for each HEALPix pixel, `2**log2_nside` along a side of a base pixel.

        >>> len(SkyMap.healpix(1, pixel_scale=60.0))
        48
        """
        if not 0 <= log2_nside <= MAX_LOG2_NSIDE:
            raise ValueError(f"`log2_nside` must lie between 0 and {MAX_LOG2_NSIDE}, not `{log2_nside}`")
        pixels = _Pixels.of(pixel_scale, patch_size, patch_border, overlap, projection)
        return cls("healpix", pixels.tracts(healpix_cells(log2_nside, nest)))

    @classmethod
    def equatorial(
        cls,
        number: int = 4,
        *,
        dec_range: tuple[float, float] = (-1.25, 1.25),
        pixel_scale: float = DEFAULT_PIXEL_SCALE,
        patch_size: int = DEFAULT_PATCH_SIZE,
        patch_border: int = 0,
        overlap: float = DEFAULT_OVERLAP,
        ra_start: float = 0.0,
        projection: str = "CEA",
    ) -> SkyMap:
        """Cover a band along the equator with `number` tracts on a cylindrical equal-area projection.

        >>> [tract.ra for tract in SkyMap.equatorial(8, pixel_scale=60.0)][:3]
        [0.0, 45.0, 90.0]
        """
        if number < 3 or not -90 < dec_range[0] < dec_range[1] < 90:
            raise ValueError(
                f"an equatorial map needs at least 3 tracts between two declinations, not `{number}` and `{dec_range}`"
            )
        pixels = _Pixels.of(pixel_scale, patch_size, patch_border, overlap, projection)
        return cls("equat", pixels.tracts(equatorial_cells(number, dec_range, ra_start)))

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> SkyMap:
        """Make the map that `to_dict` described; `ValueError` if this is no such description."""
        try:
            identity = description.get("identity")
            return cls(
                str(description["kind"]),
                map(_tract, description["tracts"]),
                None if identity is None else bytes.fromhex(identity),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"this is no description of a sky map: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Describe the map in plain numbers, texts, lists and dictionaries."""
        described = {"kind": self.kind, "tracts": [_plain(tract) for tract in self]}
        return described if self.identity is None else described | {"identity": self.identity.hex()}

    def __getitem__(self, tract: int) -> Tract:
        try:
            return self._tracts[tract]
        except KeyError:
            known = sorted(self._tracts)
            raise LookupError(f"the sky map has tracts {known[0]} to {known[-1]}, not `{tract}`") from None

    def __iter__(self) -> Any:
        return iter(self._tracts.values())

    def __len__(self) -> int:
        return len(self._tracts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SkyMap) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.sha1)

    @property
    def sha1(self) -> bytes:
        """20 bytes that differ between maps with different tracts: the `identity` if there is one."""
        if self.identity is not None:
            return self.identity
        return hashlib.sha1(json.dumps(self.to_dict(), sort_keys=True).encode(), usedforsecurity=False).digest()

    def register(self, name: str, butler: Any) -> bool:
        """Insert the map, its tracts and its patches as dimension records and put its description as `skyMap`.

        Gives False if the same map is registered already. Raises the registry's conflict error if another map has this
        name.
        """
        from armillary.butler import DatasetType

        tracts = list(self)
        registry = butler.registry
        record = {
            "name": name,
            "hash": self.sha1,
            "tract_max": max(tract.tract for tract in tracts) + 1,
            "patch_nx_max": max(tract.patches_x for tract in tracts),
            "patch_ny_max": max(tract.patches_y for tract in tracts),
        }
        dataset_type = DatasetType(SKY_MAP_DATASET_TYPE, ("skymap",), "StructuredDataDict", universe=butler.dimensions)
        registry.registerDatasetType(dataset_type)
        registry.registerRun(SKY_MAP_RUN)
        with butler.transaction():
            if not registry.syncDimensionData("skymap", record):
                return False
            registry.insertDimensionData("tract", *(_tract_record(name, tract) for tract in tracts))
            registry.insertDimensionData("patch", *(row for tract in tracts for row in _patch_records(name, tract)))
            butler.put(self.to_dict(), SKY_MAP_DATASET_TYPE, {"skymap": name}, run=SKY_MAP_RUN)
        return True


def _grouped(regions: Iterable[Any]) -> list[list[Any]]:
    """Regions in groups: each lies within its group's first region's circle, or the first within its own."""
    groups: list[list[Any]] = []
    for region in regions:
        circle = region.getBoundingCircle()
        for group in groups:
            first = group[0].getBoundingCircle()
            widest = max(first.getOpeningAngle().asRadians(), circle.getOpeningAngle().asRadians())
            if first.getCenter().dot(circle.getCenter()) > cos(widest):
                group.append(region)
                break
        else:
            groups.append([region])
    return groups


def _reach(middle: Any, regions: Iterable[Any]) -> float:
    """Half the side (degrees on the tangent plane at `middle`) of the north-up square that holds the regions."""
    from lsst.sphgeom import ConvexPolygon, LonLat

    centre = LonLat(middle)
    ra, dec = centre.getLon().asRadians(), centre.getLat().asRadians()
    farthest = 0.0
    for region in regions:
        if not isinstance(region, ConvexPolygon):
            circle = region.getBoundingCircle()
            apart = acos(min(circle.getCenter().dot(middle), 1.0))
            farthest = max(farthest, tan(apart + circle.getOpeningAngle().asRadians()))
            continue
        for vertex in region.getVertices():
            place = LonLat(vertex)
            east, north = place.getLon().asRadians() - ra, place.getLat().asRadians()
            depth = sin(dec) * sin(north) + cos(dec) * cos(north) * cos(east)
            x = cos(north) * sin(east) / depth
            y = (cos(dec) * sin(north) - sin(dec) * cos(north) * cos(east)) / depth
            farthest = max(farthest, abs(x), abs(y))
    return farthest * 180 / pi


def _check_pixels(pixel_scale: float, patch_size: int, patch_border: int) -> None:
    if pixel_scale <= 0:
        raise ValueError(f"the pixel scale must be positive, not `{pixel_scale}` arcseconds")
    if patch_size <= 0 or patch_border < 0:
        raise ValueError(f"a patch cannot have size `{patch_size}` and border `{patch_border}`")


@dataclass(frozen=True)
class _Pixels:
    """How the cells of a sky map become tracts."""

    pixel_scale: float
    patch_size: int
    patch_border: int
    overlap: float
    projection: str
    cells: PatchCells | None

    @classmethod
    def of(
        cls,
        pixel_scale: float,
        patch_size: int,
        patch_border: int,
        overlap: float,
        projection: str,
        cells: PatchCells | None = None,
    ) -> _Pixels:
        if cells is not None:
            patch_size, patch_border = cells.patch_size, cells.patch_border
        _check_pixels(pixel_scale, patch_size, patch_border)
        if projection not in PROJECTIONS:
            raise ValueError(f"`{projection}` is no projection of sky maps; they are {', '.join(PROJECTIONS)}")
        return cls(pixel_scale, patch_size, patch_border, overlap, projection, cells)

    def identity(self, kind: str, own: bytes) -> bytes | None:
        """The hash of the Rubin stack for a map of a kind with `own` values; None where its tracts may differ."""
        if self.projection == "CEA":
            return None
        return rubin_hash(
            kind,
            self.cells or (self.patch_size, self.patch_border),
            self.overlap,
            self.pixel_scale,
            self.projection,
            own,
        )

    def tracts(self, cells: Iterable[Cell], least: int = 0) -> list[Tract]:
        return [self.tract(number, cell, least) for number, cell in enumerate(cells)]

    def side_around(self, radius: float) -> int:
        """Pixels along a side of whole patches that holds a circle (degrees) and the overlap around it."""
        reach = radians(radius + self.overlap)
        plane = 2 * tan(reach / 2) if self.projection == "STG" else tan(reach)
        half = plane * 180 / pi * 3600 / self.pixel_scale
        pixels = 2 * ceil(half - 0.5) + 1  # the middle one, and those that the circle touches on both sides
        return ceil(pixels / self.patch_size) * self.patch_size

    def tract(self, number: int, cell: Cell, least: int = 0) -> Tract:
        """A tract of whole patches, `least` pixels a side, with the cell's middle on the pixel before its own."""
        reach = [max(abs(place[axis]) for place in map(self._projected(cell), cell.corners)) for axis in (0, 1)]
        step = self.patch_size
        width, height = (
            max(ceil((2 * half + self.overlap) * 3600 / self.pixel_scale / step - 1e-9) * step, least) for half in reach
        )
        return Tract(
            number,
            cell.ra,
            cell.dec,
            width,
            height,
            self.pixel_scale,
            step,
            self.patch_border,
            projection=self.projection,
            reference=(float((width - 1) // 2), float((height - 1) // 2)),
            overhang=self.cells is not None,
        )

    def _projected(self, cell: Cell) -> Any:
        """A function from right ascension and declination to the plane around a cell's middle; all in degrees."""
        dec0 = radians(cell.dec)

        def project(place: tuple[float, float]) -> tuple[float, float]:
            east, dec = radians((place[0] - cell.ra + 180.0) % 360.0 - 180.0), radians(place[1])
            if self.projection == "CEA":
                return east * 180 / pi, (sin(dec) - sin(dec0)) * 180 / pi
            x, y = cos(dec) * sin(east), cos(dec0) * sin(dec) - sin(dec0) * cos(dec) * cos(east)
            depth = sin(dec0) * sin(dec) + cos(dec0) * cos(dec) * cos(east)
            depth = (1 + depth) / 2 if self.projection == "STG" else depth
            return x / depth * 180 / pi, y / depth * 180 / pi

        return project


def _plain(tract: Tract) -> dict[str, Any]:
    values = {name: getattr(tract, name) for name in Tract.__dataclass_fields__}
    return values | {"reference": None if tract.reference is None else list(tract.reference)}


def _tract(values: Mapping[str, Any]) -> Tract:
    reference = values.get("reference")
    return Tract(**{**values, "reference": None if reference is None else (reference[0], reference[1])})


def _tract_record(skymap: str, tract: Tract) -> dict[str, Any]:
    return {"skymap": skymap, "tract": tract.tract, "region": tract.region}


def _patch_records(skymap: str, tract: Tract) -> list[dict[str, Any]]:
    return [
        {
            "skymap": skymap,
            "tract": tract.tract,
            "patch": patch.patch,
            "cell_x": patch.cell_x,
            "cell_y": patch.cell_y,
            "region": tract.patch_region(patch),
        }
        for patch in tract.patches
    ]
