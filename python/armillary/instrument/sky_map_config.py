"""The configuration of sky maps, in the words of files written for the Rubin stack's `register-skymap`."""

from __future__ import annotations

from typing import Any

from lsst.pex.config import Config, ConfigChoiceField, Field, ListField

from armillary.instrument.sky_map import DEFAULT_OVERLAP, SkyMap

__all__ = ["RegisterSkyMapConfig"]


class LegacyTractBuilderConfig(Config):  # type: ignore[misc]  # lsst.pex.config has no types
    """Tracts cut into square patches of pixels."""

    patchInnerDimensions = ListField[int](doc="Pixels along x and y of a patch.", default=[4000, 4000], length=2)
    patchBorder = Field[int](doc="Pixels that a patch shares with its neighbours.", default=100)

    def patch(self) -> tuple[int, int]:
        """Size and border of a patch in pixels."""
        return _square(self.patchInnerDimensions), self.patchBorder


class CellTractBuilderConfig(Config):  # type: ignore[misc]
    """Tracts cut into patches that are cut into cells."""

    cellInnerDimensions = ListField[int](doc="Pixels along x and y of a cell.", default=[150, 150], length=2)
    cellBorder = Field[int](doc="Pixels that a cell shares with its neighbours.", default=50)
    numCellsPerPatchInner = Field[int](doc="Cells along a side of a patch.", default=20)
    numCellsInPatchBorder = Field[int](doc="Cells that a patch shares with its neighbours.", default=1)

    def patch(self) -> tuple[int, int]:
        """Size and border of a patch in pixels."""
        cell = _square(self.cellInnerDimensions)
        return cell * self.numCellsPerPatchInner, cell * self.numCellsInPatchBorder


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
    tractOverlap = Field[float](doc="Least overlap of neighbouring tracts (degrees).", default=DEFAULT_OVERLAP)
    pixelScale = Field[float](doc="Arcseconds per pixel.", default=0.333)
    projection = Field[str](doc="FITS code of the projection.", default="TAN")
    rotation = Field[float](doc="Degrees that tracts are turned by; only 0 here.", default=0.0)

    def pixels(self) -> dict[str, Any]:
        """Arguments about pixels and patches."""
        if self.rotation:
            raise ValueError(f"tracts have north up here; a rotation of `{self.rotation}` degrees is not to be had")
        size, border = self.tractBuilder.active.patch()
        if self.patchInnerDimensions:
            size = _square(self.patchInnerDimensions)
        if self.patchBorder is not None:
            border = self.patchBorder
        return {"pixel_scale": self.pixelScale, "patch_size": size, "patch_border": border}

    def whole(self) -> dict[str, Any]:
        """The arguments of maps whose tracts share a border."""
        return self.pixels() | {"overlap": self.tractOverlap, "projection": self.projection}


class RingsConfig(SkyMapConfig):
    """Rings of tracts between the poles."""

    numRings = Field[int](doc="Rings between the poles.", default=120)
    raStart = Field[float](doc="Right ascension where rings begin (degrees).", default=0.0)

    def make(self) -> SkyMap:
        """Make the map."""
        return SkyMap.rings(self.numRings, ra_start=self.raStart, **self.whole())


class DodecahedronConfig(SkyMapConfig):
    """The faces of a dodecahedron."""

    withTractsOnPoles = Field[bool](doc="Whether faces lie on the poles.", default=False)

    def setDefaults(self) -> None:
        """Project stereographically."""
        self.projection = "STG"

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
        from dataclasses import replace

        tracts = [
            replace(SkyMap.discrete([(ra, dec)], radius=radius, **self.pixels())[0], tract=number)
            for number, (ra, dec, radius) in enumerate(zip(self.raList, self.decList, self.radiusList, strict=True))
        ]
        return SkyMap("discrete", tracts)


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
        default="rings",
    )
