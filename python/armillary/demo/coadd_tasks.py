"""Tasks on patches: warps, coadds, the difference of two nights, the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from lsst.pex.config import Config, Field

from armillary.demo.calibration import MASK_PLANES
from armillary.demo.coaddition import Layer, coadd_layers, warp_layer
from armillary.demo.detection import clean_sources, detect_sources, noise
from armillary.demo.difference import ResidualPair, brightest_pair, find_residuals, subtract_layers
from armillary.demo.frame_tasks import aligned_wcs
from armillary.instrument.sky_map import SkyMap
from armillary.pipeline import (
    NoWorkFound,
    PipelineTask,
    PipelineTaskConfig,
    PipelineTaskConnections,
    Struct,
)
from armillary.pipeline import connectionTypes as connection_types
from armillary.storage.masked_image import MaskedImage

PATCH = ("skymap", "tract", "patch")


def as_layer(image: MaskedImage) -> Layer:
    """The arrays of an image with mask and variance."""
    return Layer(
        np.asarray(image.image, np.float32), np.asarray(image.mask, np.int32), np.asarray(image.variance, np.float32)
    )


def sky_places(image: MaskedImage, x: Any, y: Any) -> Any:
    """Right ascension and declination (degrees) of pixels; `ValueError` if the image has no world coordinates."""
    if image.wcs is None:
        raise ValueError("the image has no world coordinates")
    return image.wcs.wcs_pix2world(x, y, 0)


class WarpFrameConnections(PipelineTaskConnections, dimensions=("instrument", "visit", *PATCH)):
    """The images of a visit to one image on a patch."""

    images = connection_types.Input(
        doc="Sky-subtracted images of the visit.",
        name="visit_image",
        storageClass="FitsMaskedImage",
        dimensions=("instrument", "visit", "detector"),
        multiple=True,
        deferLoad=True,
    )
    alignment = connection_types.Input(
        doc="Shift, flux scale and world coordinates of each frame.",
        name="alignment",
        storageClass="ArrowAstropy",
        dimensions=("instrument", "skymap", "tract"),
    )
    skyMap = connection_types.PrerequisiteInput(
        doc="The sky map that the patch belongs to.",
        name="skyMap",
        storageClass="StructuredDataDict",
        dimensions=("skymap",),
    )
    warp = connection_types.Output(
        doc="The visit on the patch's grid and on the tract's flux scale.",
        name="warp",
        storageClass="FitsMaskedImage",
        dimensions=("instrument", "visit", *PATCH),
    )


class WarpFrameConfig(PipelineTaskConfig, pipelineConnections=WarpFrameConnections):
    """Configuration of `WarpFrameTask`."""


class WarpFrameTask(PipelineTask):
    """Bring a visit onto the grid of a patch."""

    ConfigClass: ClassVar[Any] = WarpFrameConfig
    _DefaultName = "warpFrame"

    def runQuantum(self, butlerQC: Any, inputRefs: Any, outputRefs: Any) -> None:
        """Pair each image with its row of the alignment table; images without one are left out."""
        table = butlerQC.get(inputRefs.alignment)
        rows = {(int(row["visit"]), int(row["detector"])): row for row in table}
        frames = []
        for ref, handle in zip(inputRefs.images, butlerQC.get(inputRefs.images), strict=True):
            row = rows.get((ref.dataId["visit"], ref.dataId["detector"]))
            if row is not None:
                frames.append((handle.get(), row))
        if not frames:
            raise NoWorkFound("the visit could not be aligned")
        data_id = butlerQC.quantum.dataId
        tract = SkyMap.from_dict(butlerQC.get(inputRefs.skyMap))[data_id["tract"]]
        patch = tract.patch(data_id["patch"])
        butlerQC.put(self.run(frames, tract.patch_wcs(patch), patch.shape), outputRefs)

    def run(self, frames: Sequence[tuple[MaskedImage, Mapping[str, Any]]], wcs: Any, shape: tuple[int, int]) -> Struct:
        """Give the image `warp` on the grid `wcs` of `shape`, from images and their rows of the alignment table."""
        warps = [
            warp_layer(as_layer(image), aligned_wcs(row), wcs, shape, scale=float(row["flux_scale"]))
            for image, row in frames
        ]
        warp = warps[0] if len(warps) == 1 else coadd_layers(warps)
        seen = int(np.count_nonzero(warp.mask == 0))
        if seen == 0:
            raise NoWorkFound("the visit does not touch the patch")
        self.metadata["pixels"] = seen
        header = {"FWHM": float(np.median([row["fwhm"] for _, row in frames]))}
        return Struct(
            warp=MaskedImage(
                image=warp.image,
                mask=warp.mask,
                variance=warp.variance,
                wcs=wcs,
                header=header,
                mask_planes=MASK_PLANES,
            )
        )


class NightCoaddConnections(PipelineTaskConnections, dimensions=("instrument", "day_obs", "band", *PATCH)):
    """The warps of one night and band to their average."""

    warps = connection_types.Input(
        doc="Visits on the patch's grid.",
        name="warp",
        storageClass="FitsMaskedImage",
        dimensions=("instrument", "visit", *PATCH),
        multiple=True,
        deferLoad=True,
    )
    coadd = connection_types.Output(
        doc="Clipped mean of the warps.",
        name="night_coadd",
        storageClass="FitsMaskedImage",
        dimensions=("instrument", "day_obs", "band", *PATCH),
    )


class CoaddConnections(PipelineTaskConnections, dimensions=("band", *PATCH)):
    """The warps of one band to their average."""

    warps = connection_types.Input(
        doc="Visits on the patch's grid.",
        name="warp",
        storageClass="FitsMaskedImage",
        dimensions=("instrument", "visit", *PATCH),
        multiple=True,
        deferLoad=True,
    )
    coadd = connection_types.Output(
        doc="Clipped mean of the warps.",
        name="coadd",
        storageClass="FitsMaskedImage",
        dimensions=("band", *PATCH),
    )


class AverageConfig(Config):  # type: ignore[misc]  # lsst.pex.config has no types
    """How warps are averaged."""

    clip = Field[float](doc="Standard deviations from the median beyond which a value is left out.", default=4.0)
    widest = Field[float](doc="Warps with stars wider than this many times the median are left out.", default=1.3)


class NightCoaddConfig(PipelineTaskConfig, AverageConfig, pipelineConnections=NightCoaddConnections):
    """Configuration of `NightCoaddTask`."""


class CoaddConfig(PipelineTaskConfig, AverageConfig, pipelineConnections=CoaddConnections):
    """Configuration of `CoaddTask`."""


class CoaddTask(PipelineTask):
    """Average the warps of a band."""

    ConfigClass: ClassVar[Any] = CoaddConfig
    _DefaultName = "coadd"

    def run(self, warps: Sequence[Any]) -> Struct:
        """Give the clipped mean of warps (deferred images), as `coadd`; its header tells star width and depth."""
        images = [handle.get() for handle in warps]
        widths = np.array([float(image.header["FWHM"]) for image in images])
        sharp = [
            image
            for image, width in zip(images, widths, strict=True)
            if width <= self.config.widest * np.median(widths)
        ]
        coadd = coadd_layers([as_layer(image) for image in sharp], clip=self.config.clip)
        level = noise(coadd.image[coadd.mask == 0])
        deepest = coadd.depth == coadd.depth.max()
        sources = clean_sources(detect_sources(coadd.image, level, coadd.mask))
        width = float(np.median(sources["fwhm"])) if len(sources["fwhm"]) else float(np.median(widths))
        header = {"FWHM": width, "NFRAMES": len(sharp), "NOISE": level}
        self.metadata["frames"] = len(sharp)
        self.metadata["left_out"] = len(images) - len(sharp)
        self.metadata["noise_adu"] = round(noise(coadd.image[deepest]), 3)
        self.metadata["sources"] = len(sources["x"])
        return Struct(
            coadd=MaskedImage(
                image=coadd.image,
                mask=coadd.mask,
                variance=coadd.variance,
                wcs=images[0].wcs,
                header=header,
                mask_planes=MASK_PLANES,
            )
        )


class NightCoaddTask(CoaddTask):
    """Average the warps of a night and band."""

    ConfigClass: ClassVar[Any] = NightCoaddConfig
    _DefaultName = "nightCoadd"


class SubtractNightsConnections(PipelineTaskConnections, dimensions=("instrument", "band", *PATCH)):
    """Two nights of a band to their difference."""

    coadds = connection_types.Input(
        doc="The nights' coadds; the first two are subtracted.",
        name="night_coadd",
        storageClass="FitsMaskedImage",
        dimensions=("instrument", "day_obs", "band", *PATCH),
        multiple=True,
        minimum=2,
        deferLoad=True,
    )
    difference = connection_types.Output(
        doc="The first night less the second.",
        name="difference",
        storageClass="FitsMaskedImage",
        dimensions=("instrument", "band", *PATCH),
    )
    residuals = connection_types.Output(
        doc="What only one of the nights shows.",
        name="residuals",
        storageClass="ArrowAstropy",
        dimensions=("instrument", "band", *PATCH),
    )
    moving = connection_types.Output(
        doc="The brightest object that moved: one row, or none.",
        name="moving_object",
        storageClass="ArrowAstropy",
        dimensions=("instrument", "band", *PATCH),
    )


class SubtractNightsConfig(PipelineTaskConfig, pipelineConnections=SubtractNightsConnections):
    """Configuration of `SubtractNightsTask`."""

    threshold = Field[float](doc="Detection threshold in units of the noise.", default=5.0)
    leastRemaining = Field[float](doc="Share of its light that a source must keep in the difference.", default=0.7)
    largestMotion = Field[float](doc="Largest motion in pixels from night to night.", default=200.0)


class SubtractNightsTask(PipelineTask):
    """Subtract two nights and find the brightest object that moved."""

    ConfigClass: ClassVar[Any] = SubtractNightsConfig
    _DefaultName = "subtractNights"

    def runQuantum(self, butlerQC: Any, inputRefs: Any, outputRefs: Any) -> None:
        """Take the first two nights."""
        first, second = sorted(inputRefs.coadds, key=lambda ref: ref.dataId["day_obs"])[:2]
        butlerQC.put(self.run(butlerQC.get(first).get(), butlerQC.get(second).get()), outputRefs)

    def run(self, first: MaskedImage, second: MaskedImage) -> Struct:
        """Give `difference`, `residuals` and `moving` of two nights' coadds."""
        from astropy.table import Table

        layers = as_layer(first), as_layer(second)
        widths = [float(image.header["FWHM"]) for image in (first, second)]
        difference = subtract_layers(*layers, *widths)
        residuals = find_residuals(difference, *layers, fwhm=max(widths), threshold=self.config.threshold)
        pair = brightest_pair(residuals, self.config.leastRemaining, self.config.largestMotion)
        self.metadata["residuals"] = len(residuals["x"])
        if pair is None:
            self.log.info("no object moved between the two nights")
        else:
            self.metadata["moved_pixels"] = round(pair.distance, 3)
        image = MaskedImage(
            image=difference.image,
            mask=difference.mask,
            variance=difference.variance,
            wcs=first.wcs,
            header={"FWHM": max(widths)},
            mask_planes=MASK_PLANES,
        )
        table = Table(residuals)
        table["ra"], table["dec"] = sky_places(first, table["x"], table["y"])
        return Struct(difference=image, residuals=table, moving=_pair_table(pair, first))


class CatalogueConnections(PipelineTaskConnections, dimensions=PATCH):
    """The coadds of a patch to its objects."""

    coadds = connection_types.Input(
        doc="Coadds of every band.",
        name="coadd",
        storageClass="FitsMaskedImage",
        dimensions=("band", *PATCH),
        multiple=True,
    )
    objects = connection_types.Output(
        doc="Objects with their flux in every band.",
        name="objects",
        storageClass="ArrowAstropy",
        dimensions=PATCH,
    )


class CatalogueConfig(PipelineTaskConfig, pipelineConnections=CatalogueConnections):
    """Configuration of `CatalogueTask`."""

    threshold = Field[float](doc="Detection threshold in units of the noise.", default=5.0)
    aperture = Field[float](doc="Radius in pixels of the flux aperture.", default=8.0)


class CatalogueTask(PipelineTask):
    """Find objects on the deepest coadd of a patch and measure them in every band."""

    ConfigClass: ClassVar[Any] = CatalogueConfig
    _DefaultName = "catalogue"

    def runQuantum(self, butlerQC: Any, inputRefs: Any, outputRefs: Any) -> None:
        """Read the coadds by band."""
        coadds = {ref.dataId["band"]: butlerQC.get(ref) for ref in inputRefs.coadds}
        butlerQC.put(self.run(dict(sorted(coadds.items()))), outputRefs)

    def run(self, coadds: Mapping[str, MaskedImage]) -> Struct:
        """Give the table `objects` of the coadds of each band: ra and dec in degrees, fluxes in ADU."""
        import sep
        from astropy.table import Table

        deepest = max(coadds, key=lambda band: (int(coadds[band].header["NFRAMES"]), band))
        layer = as_layer(coadds[deepest])
        found = clean_sources(
            detect_sources(layer.image, noise(layer.image[layer.mask == 0]), layer.mask, self.config.threshold)
        )
        table = Table({name: found[name] for name in ("x", "y", "fwhm", "ellipticity")})
        table["ra"], table["dec"] = sky_places(coadds[deepest], table["x"], table["y"])
        for band, coadd in coadds.items():
            layer = as_layer(coadd)
            flux, error, flag = sep.sum_circle(
                layer.image, found["x"], found["y"], self.config.aperture, var=layer.variance, mask=layer.mask != 0
            )
            table[f"flux_{band}"], table[f"flux_error_{band}"], table[f"flag_{band}"] = flux, error, flag != 0
        self.metadata["objects"] = len(table)
        return Struct(objects=table)


def _pair_table(pair: ResidualPair | None, image: MaskedImage) -> Any:
    """One row, or none with the same columns."""
    from astropy.table import Table

    names = ("first_x", "first_y", "first_flux", "second_x", "second_y", "second_flux", "distance")
    table = Table({name: np.array([] if pair is None else [getattr(pair, name)], np.float64) for name in names})
    for night in ("first", "second"):
        places = sky_places(image, table[f"{night}_x"], table[f"{night}_y"])
        table[f"{night}_ra"], table[f"{night}_dec"] = places
    return table
