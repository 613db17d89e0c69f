"""Tasks on single frames: sky and sources, and how the frames of a tract lie on each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from lsst.pex.config import Field

from armillary.demo.alignment import AlignmentError, Positions, Shift, flux_ratio, measure_shift
from armillary.demo.detection import clean_sources, detect_sources, measure_background
from armillary.pipeline import (
    AlgorithmError,
    PipelineTask,
    PipelineTaskConfig,
    PipelineTaskConnections,
    Struct,
)
from armillary.pipeline import connectionTypes as connection_types
from armillary.storage.masked_image import MaskedImage


class MeasureSourcesConnections(PipelineTaskConnections, dimensions=("instrument", "visit", "detector")):
    """A calibrated image to a sky-subtracted one and its sources."""

    exposure = connection_types.Input(
        doc="Image without instrument signature.",
        name="post_isr_image",
        storageClass="FitsMaskedImage",
        dimensions=("instrument", "exposure", "detector"),
    )
    image = connection_types.Output(
        doc="The image less its sky.",
        name="visit_image",
        storageClass="FitsMaskedImage",
        dimensions=("instrument", "visit", "detector"),
    )
    sources = connection_types.Output(
        doc="Sources, by falling flux: positions in pixels, fluxes in ADU.",
        name="sources",
        storageClass="ArrowAstropy",
        dimensions=("instrument", "visit", "detector"),
    )


class MeasureSourcesConfig(PipelineTaskConfig, pipelineConnections=MeasureSourcesConnections):
    """Configuration of `MeasureSourcesTask`."""

    mesh = Field[int](doc="Size in pixels of the cells in which the sky is measured.", default=64)
    threshold = Field[float](doc="Detection threshold in units of the sky noise.", default=5.0)
    smallest = Field[int](doc="Fewest joined pixels of a source.", default=5)
    aperture = Field[float](doc="Radius in pixels of the flux aperture.", default=8.0)


class MeasureSourcesTask(PipelineTask):
    """Subtract the sky and find what shines."""

    ConfigClass: ClassVar[Any] = MeasureSourcesConfig
    _DefaultName = "measureSources"

    def run(self, exposure: MaskedImage) -> Struct:
        """Give the sky-subtracted `image` and the table `sources`."""
        from astropy.table import Table

        pixels = np.asarray(exposure.image)
        sky = measure_background(pixels, mesh=self.config.mesh)
        config = self.config
        light = pixels - sky.model
        sources = clean_sources(
            detect_sources(
                light, sky.rms, threshold=config.threshold, smallest=config.smallest, aperture=config.aperture
            )
        )
        width = float(np.median(sources["fwhm"])) if len(sources["fwhm"]) else 0.0
        self.metadata["sky_adu"] = round(sky.level, 3)
        self.metadata["sky_noise_adu"] = round(sky.rms, 3)
        self.metadata["sources"] = len(sources["x"])
        self.metadata["fwhm_pixels"] = round(width, 3)
        image = MaskedImage(
            light,
            exposure.mask,
            exposure.variance,
            exposure.wcs,
            exposure.header,
            mask_planes=exposure.mask_planes,
        )
        return Struct(image=image, sources=Table(sources))


@dataclass(frozen=True)
class Frame:
    """One frame to align: its place in the repository, its band and its sources."""

    visit: int
    detector: int
    band: str
    sources: Mapping[str, Any]

    @property
    def positions(self) -> Positions:
        """Star positions, brightest first."""
        return np.column_stack([np.asarray(self.sources["x"]), np.asarray(self.sources["y"])])

    def column(self, name: str) -> Any:
        """One column of the source table as an array."""
        return np.asarray(self.sources[name])


class AlignFramesConnections(PipelineTaskConnections, dimensions=("instrument", "skymap", "tract")):
    """The sources of all frames on a tract to their relative shifts."""

    sources = connection_types.Input(
        doc="Sources of each frame.",
        name="sources",
        storageClass="ArrowAstropy",
        dimensions=("instrument", "visit", "detector"),
        multiple=True,
    )
    images = connection_types.Input(
        doc="Images of each frame; only the world coordinates of one are read.",
        name="visit_image",
        storageClass="FitsMaskedImage",
        dimensions=("instrument", "visit", "detector"),
        multiple=True,
        deferLoad=True,
    )
    alignment = connection_types.Output(
        doc="A row per frame that could be aligned: shift, flux scale, star width, world coordinates.",
        name="alignment",
        storageClass="ArrowAstropy",
        dimensions=("instrument", "skymap", "tract"),
    )


class AlignFramesConfig(PipelineTaskConfig, pipelineConnections=AlignFramesConnections):
    """Configuration of `AlignFramesTask`."""

    largest = Field[float](doc="Largest shift to look for, in pixels.", default=80.0)
    tolerance = Field[float](doc="Distance in pixels up to which stars match.", default=2.0)
    fewest = Field[int](doc="Fewest stars that must agree on a shift.", default=5)


class AlignFramesTask(PipelineTask):
    """Find how the frames of a tract lie on the one with most sources, and how bright each is against it."""

    ConfigClass: ClassVar[Any] = AlignFramesConfig
    _DefaultName = "alignFrames"

    def runQuantum(self, butlerQC: Any, inputRefs: Any, outputRefs: Any) -> None:
        """Read the sources and the world coordinates of the frame with most of them."""
        tables = butlerQC.get(inputRefs.sources)
        frames = [
            Frame(ref.dataId["visit"], ref.dataId["detector"], ref.dataId["band"], table)
            for ref, table in sorted(zip(inputRefs.sources, tables, strict=True), key=lambda pair: pair[0].dataId)
        ]
        reference = richest(frames)
        place = (reference.visit, reference.detector)
        ref = next(ref for ref in inputRefs.images if (ref.dataId["visit"], ref.dataId["detector"]) == place)
        wcs = butlerQC.get(ref).get(component="wcs")
        butlerQC.put(self.run(frames, reference, wcs), outputRefs)

    def run(self, frames: Sequence[Frame], reference: Frame, wcs: Any) -> Struct:
        """Give the table `alignment` of the frames that could be aligned to the reference, whose WCS is `wcs`."""
        from astropy.table import Table

        rows = []
        for frame in frames:
            try:
                rows.append(self._row(frame, reference, wcs))
            except AlignmentError as error:
                self.log.warning("visit %d, detector %d is left out: %s", frame.visit, frame.detector, error)
        if not rows:
            raise FramesDoNotAlign(f"none of {len(frames)} frames has enough stars to align")
        _normalise_scales(rows, frames)
        self.metadata["aligned"] = len(rows)
        self.metadata["left_out"] = len(frames) - len(rows)
        return Struct(alignment=Table(rows=rows))

    def _row(self, frame: Frame, reference: Frame, wcs: Any) -> dict[str, Any]:
        config = self.config
        limits = {"largest": config.largest, "tolerance": config.tolerance, "fewest": config.fewest}
        shift = measure_shift(frame.positions, reference.positions, **limits)
        scale = flux_ratio(
            frame.positions,
            frame.column("aperture_flux"),
            reference.positions,
            reference.column("aperture_flux"),
            shift,
            tolerance=config.tolerance,
        )
        return {
            "visit": frame.visit,
            "detector": frame.detector,
            "band": frame.band,
            "shift_x": shift.x,
            "shift_y": shift.y,
            "matched": shift.matched,
            "scatter_x": shift.scatter_x,
            "scatter_y": shift.scatter_y,
            "sources": len(frame.positions),
            "flux_scale": scale,
            "fwhm": float(np.median(frame.column("fwhm"))),
            **_wcs_numbers(wcs, shift),
        }


class FramesDoNotAlign(AlgorithmError):
    """No frame of a tract has enough stars in common with another."""

    @property
    def metadata(self) -> dict[str, Any]:
        """Nothing beyond the message."""
        return {}


def richest(frames: Sequence[Frame]) -> Frame:
    """Give the frame with most sources, the earliest of equals.

    >>> frames = [Frame(visit, 0, "V", {"x": range(n), "y": range(n)}) for visit, n in [(3, 5), (1, 9), (2, 9)]]
    >>> richest(frames).visit
    1
    """
    return min(frames, key=lambda frame: (-len(frame.positions), frame.visit, frame.detector))


def aligned_wcs(row: Mapping[str, Any]) -> Any:
    """Give the world coordinates of a frame from its row of the alignment table."""
    from armillary.instrument.wcs import header_wcs

    header: dict[str, Any] = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
    header |= {name.upper(): float(row[name]) for name in WCS_COLUMNS}
    return header_wcs(header)


WCS_COLUMNS = ("crval1", "crval2", "crpix1", "crpix2", "cd1_1", "cd1_2", "cd2_1", "cd2_2")


def _wcs_numbers(wcs: Any, shift: Shift) -> dict[str, float]:
    matrix = wcs.pixel_scale_matrix
    crpix = wcs.wcs.crpix[0] + shift.x, wcs.wcs.crpix[1] + shift.y
    numbers = (*wcs.wcs.crval, *crpix, matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1])
    return dict(zip(WCS_COLUMNS, map(float, numbers), strict=True))


def _normalise_scales(rows: list[dict[str, Any]], frames: Sequence[Frame]) -> None:
    """Stars have colours: scales hold within a band only, so each band's richest aligned frame gets the scale 1."""
    aligned = {(row["visit"], row["detector"]): row for row in rows}
    for band in {row["band"] for row in rows}:
        best = richest([f for f in frames if f.band == band and (f.visit, f.detector) in aligned])
        unit = aligned[best.visit, best.detector]["flux_scale"]
        for row in rows:
            if row["band"] == band:
                row["flux_scale"] /= unit
