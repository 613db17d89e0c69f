"""The configuration of sky maps, in the words of files written for the Rubin stack's `register-skymap`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lsst.pex.config import Config, ConfigChoiceField, ConfigField, Field, ListField

from armillary.instrument.rubin_hash import PatchCells
from armillary.instrument.sky_map import SkyMap

__all__ = ["MakeDiscreteSkyMapConfig", "RegisterSkyMapConfig"]


class LegacyTractBuilderConfig(Config):  # type: ignore[misc]  # lsst.pex.config has no types
    """Tracts cut into square patches of pixels."""

    patchInnerDimensions = ListField[int](doc="Pixels along x and y of a patch.", default=[4000, 4000], length=2)
    patchBorder = Field[int](doc="Pixels that a patch shares with its neighbours.", default=100)

    def cells(self) -> PatchCells | None:
        """None: there are no cells."""
        return None


class CellTractBuilderConfig(Config):  # type: ignore[misc]
    """Tracts cut into patches that are cut into cells."""

    cellInnerDimensions = ListField[int](doc="Pixels along x and y of a cell.", default=[150, 150], length=2)
    cellBorder = Field[int](doc="Pixels that a cell shares with its neighbours.", default=50)
    numCellsPerPatchInner = Field[int](doc="Cells along a side of a patch.", default=20)
    numCellsInPatchBorder = Field[int](doc="Cells that a patch shares with its neighbours.", default=1)

    def cells(self) -> PatchCells:
        """The cells of a patch."""
        size = _square(self.cellInnerDimensions)
        return PatchCells(size, self.cellBorder, self.numCellsPerPatchInner, self.numCellsInPatchBorder)


def _square(dimensions: Any) -> int:
    x, y = dimensions
    if x != y:
        raise ValueError(f"patches and cells are square here; `{x}` by `{y}` pixels are not")
    return int(x)


class SkyMapConfig(Config):  # type: ignore[misc]
    """What all kinds of sky maps have."""

    tractBuilder = ConfigChoiceField(
        doc="How a tract is cut into patches.",
        typemap={"legacy": LegacyTractBuilderConfig, "cells": CellTractBuilderConfig},
        default="legacy",
    )
    patchInnerDimensions = ListField[int](doc="Pixels along x and y of a patch.", optional=True, length=2)
    patchBorder = Field[int](doc="Pixels that a patch shares with its neighbours.", optional=True)
    tractOverlap = Field[float](doc="Least overlap of neighbouring tracts (degrees).", default=1.0)
    pixelScale = Field[float](doc="Arcseconds per pixel.", default=0.333)
    projection = Field[str](doc="FITS code of the projection.", default="STG")
    rotation = Field[float](doc="Degrees that tracts are turned by; only 0 here.", default=0.0)

    def pixels(self) -> dict[str, Any]:
        """Arguments about pixels and patches."""
        if self.rotation:
            raise ValueError(f"tracts have north up here; a rotation of `{self.rotation}` degrees is not to be had")
        cut = self.tractBuilder["legacy"]
        size = _square(self.patchInnerDimensions or cut.patchInnerDimensions)
        border = cut.patchBorder if self.patchBorder is None else self.patchBorder
        if (cells := self.tractBuilder.active.cells()) is not None:
            size, border = cells.patch_size, cells.patch_border
        return {"pixel_scale": self.pixelScale, "patch_size": size, "patch_border": border}

    def whole(self) -> dict[str, Any]:
        """The arguments of maps of whole patches."""
        return self.pixels() | {"overlap": self.tractOverlap, "projection": self.projection}

    def with_cells(self) -> dict[str, Any]:
        """The arguments of maps whose patches may have cells."""
        return self.whole() | {"cells": self.tractBuilder.active.cells()}


class RingsConfig(SkyMapConfig):
    """Rings of tracts between the poles."""

    numRings = Field[int](doc="Rings between the poles.", default=120)
    raStart = Field[float](doc="Right ascension where rings begin (degrees).", default=0.0)

    def make(self) -> SkyMap:
        """Make the map."""
        return SkyMap.rings(self.numRings, ra_start=self.raStart, **self.with_cells())


class DodecahedronConfig(SkyMapConfig):
    """The faces of a dodecahedron."""

    withTractsOnPoles = Field[bool](doc="Whether faces lie on the poles.", default=False)

    def make(self) -> SkyMap:
        """Make the map."""
        return SkyMap.dodecahedron(with_tracts_on_poles=self.withTractsOnPoles, **self.whole())


class HealpixConfig(SkyMapConfig):
    """The pixels of a HEALPix map."""

    log2NSide = Field[int](doc="Binary logarithm of the pixels along a base pixel.", default=0)
    nest = Field[bool](doc="Whether pixels are numbered in the nested order.", default=False)

    def make(self) -> SkyMap:
        """Make the map."""
        return SkyMap.healpix(self.log2NSide, nest=self.nest, **self.whole())


class EquatorialConfig(SkyMapConfig):
    """Tracts along the equator."""

    numTracts = Field[int](doc="Tracts.", default=4)
    decRange = ListField[float](doc="Declinations between which they lie (degrees).", default=[-1.25, 1.25], length=2)

    def setDefaults(self) -> None:
        """Project on a cylinder."""
        self.projection = "CEA"

    def make(self) -> SkyMap:
        """Make the map."""
        return SkyMap.equatorial(self.numTracts, dec_range=tuple(self.decRange), **self.whole())


class DiscreteConfig(SkyMapConfig):
    """Tracts around given places."""

    raList = ListField[float](doc="Right ascensions of the middles (degrees).", default=[])
    decList = ListField[float](doc="Declinations of the middles (degrees).", default=[])
    radiusList = ListField[float](doc="How far each tract reaches (degrees).", default=[])

    def make(self) -> SkyMap:
        """Make the map; `ValueError` unless the three lists are equally long."""
        if not len(self.raList) == len(self.decList) == len(self.radiusList):
            raise ValueError("`raList`, `decList` and `radiusList` must be equally long")
        return SkyMap.circles(list(zip(self.raList, self.decList, self.radiusList, strict=True)), **self.with_cells())


class MakeDiscreteSkyMapConfig(Config):  # type: ignore[misc]
    """A discrete map of one tract around exposures."""

    skyMap = ConfigField(doc="The map, but for its tracts.", dtype=DiscreteConfig)
    borderSize = Field[float](doc="Degrees by which the tract is wider than what the exposures cover.", default=0.0)
    doAppend = Field[bool](doc="Whether the tract is added to those of another map.", default=False)

    def make(self, regions: Sequence[Any], before: SkyMap | None = None) -> SkyMap:
        """Make the map of a tract that holds regions, behind the tracts of the map `before`.

        Raises `ValueError` if there are no regions.
        """
        from dataclasses import replace

        from lsst.sphgeom import ConvexPolygon, LonLat

        if not regions:
            raise ValueError("there are no exposures whose region is known; `butler define-visits` computes regions")
        vertices = [vertex for region in regions for vertex in region.getVertices()]
        circle = ConvexPolygon(vertices).getBoundingCircle()
        middle = LonLat(circle.getCenter())
        radius = circle.getOpeningAngle().asDegrees() + self.borderSize
        made = SkyMap.circles(
            [(middle.getLon().asDegrees() % 360.0, middle.getLat().asDegrees(), radius)], **self.skyMap.with_cells()
        )
        if before is None:
            return made
        tracts = list(before)
        return SkyMap("discrete", [*tracts, replace(made[0], tract=max(tract.tract for tract in tracts) + 1)])


class RegisterSkyMapConfig(Config):  # type: ignore[misc]
    """A sky map and its name."""

    name = Field[str](doc="Name of the map.", optional=True)
    skyMap = ConfigChoiceField(
        doc="The kind of map.",
        typemap={
            "rings": RingsConfig,
            "dodeca": DodecahedronConfig,
            "healpix": HealpixConfig,
            "equat": EquatorialConfig,
            "discrete": DiscreteConfig,
        },
        default="dodeca",
    )
