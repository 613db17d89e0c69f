"""Tasks from raw frames to calibrated images: bias, flat, instrument signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from lsst.pex.config import Config, Field

from armillary.demo.calibration import (
    MASK_PLANES,
    FrameLayout,
    combine_bias,
    combine_flat,
    remove_signature,
    spread_mask,
    subtract_overscan,
)
from armillary.pipeline import (
    NoWorkFound,
    PipelineTask,
    PipelineTaskConfig,
    PipelineTaskConnections,
    Struct,
)
from armillary.pipeline import connectionTypes as connection_types
from armillary.storage.masked_image import Image, MaskedImage


class ReadoutConfig(Config):  # type: ignore[misc]  # lsst.pex.config has no types
    """How the camera reads out."""

    gain = Field[float](doc="Electrons per ADU.", default=1.8)
    readNoise = Field[float](doc="Read noise in ADU.", default=5.9)
    saturation = Field[float](doc="Raw level in ADU from which a pixel counts as full.", default=60000.0)

    def layout(self, header: Mapping[str, Any]) -> FrameLayout:
        """Give the layout of a raw frame with this header."""
        return FrameLayout.from_header(header, self.gain, self.readNoise, self.saturation)


def keep_type(inputs: Any, observation_type: str, wanted_by: str) -> Any:
    """Keep the raw frames of one observation type among a quantum's inputs; `NoWorkFound` if there are none."""
    connection, refs = inputs["raws"]
    kept = [ref for ref in refs if ref.dataId.records["exposure"].observation_type == observation_type]
    if not kept:
        raise NoWorkFound(f"{wanted_by} needs {observation_type} frames, and none of the {len(refs)} raw frames is one")
    return {**inputs, "raws": (connection, kept)}


class CombineBiasConnections(PipelineTaskConnections, dimensions=("instrument", "detector")):
    """Raw frames to one bias."""

    raws = connection_types.Input(
        doc="Raw frames; those that are no bias are left out.",
        name="raw",
        storageClass="FitsImage",
        dimensions=("instrument", "exposure", "detector"),
        multiple=True,
        deferLoad=True,
    )
    bias = connection_types.Output(
        doc="Pixel median of the bias frames.",
        name="bias",
        storageClass="FitsImage",
        dimensions=("instrument", "detector"),
        isCalibration=True,
    )

    def adjustQuantum(self, inputs: Any, outputs: Any, label: str, data_id: Any) -> Any:
        """Leave out frames that are no bias."""
        kept = keep_type(inputs, "bias", label)
        super().adjustQuantum(kept, outputs, label, data_id)
        return kept, {}


class CombineBiasConfig(PipelineTaskConfig, ReadoutConfig, pipelineConnections=CombineBiasConnections):
    """Configuration of `CombineBiasTask`."""


class CombineBiasTask(PipelineTask):
    """Combine the bias frames of a night."""

    ConfigClass: ClassVar[Any] = CombineBiasConfig
    _DefaultName = "combineBias"

    def run(self, raws: Sequence[Any]) -> Struct:
        """Give the pixel median of bias frames (deferred raw images), as `bias`."""
        bias = combine_bias(_overscan_subtracted(raws, self.config.layout))
        self.metadata["frames"] = len(raws)
        return Struct(bias=Image(bias))


class CombineFlatConnections(PipelineTaskConnections, dimensions=("instrument", "detector", "physical_filter")):
    """Raw frames and a bias to one flat field."""

    raws = connection_types.Input(
        doc="Raw frames; those that are no flat are left out.",
        name="raw",
        storageClass="FitsImage",
        dimensions=("instrument", "exposure", "detector"),
        multiple=True,
        deferLoad=True,
    )
    bias = connection_types.Input(
        doc="Bias of the same night.",
        name="bias",
        storageClass="FitsImage",
        dimensions=("instrument", "detector"),
        isCalibration=True,
    )
    flat = connection_types.Output(
        doc="Pixel median of the normalised flats; pixels that see no light are NaN.",
        name="flat",
        storageClass="FitsImage",
        dimensions=("instrument", "detector", "physical_filter"),
        isCalibration=True,
    )

    def adjustQuantum(self, inputs: Any, outputs: Any, label: str, data_id: Any) -> Any:
        """Leave out frames that are no flat."""
        kept = keep_type(inputs, "flat", label)
        super().adjustQuantum(kept, outputs, label, data_id)
        return kept, {}


class CombineFlatConfig(PipelineTaskConfig, ReadoutConfig, pipelineConnections=CombineFlatConnections):
    """Configuration of `CombineFlatTask`."""

    lowest = Field[float](doc="Share of the median light up to which a pixel counts as blind.", default=0.2)


class CombineFlatTask(PipelineTask):
    """Combine the flat frames of a night and filter."""

    ConfigClass: ClassVar[Any] = CombineFlatConfig
    _DefaultName = "combineFlat"

    def run(self, raws: Sequence[Any], bias: Image) -> Struct:
        """Give the flat field of flat frames (deferred raw images), as `flat`."""
        frames = _overscan_subtracted(raws, self.config.layout)
        flat = combine_flat(frames, np.asarray(bias.array), lowest=self.config.lowest)
        self.metadata["frames"] = len(raws)
        self.metadata["blind_pixels"] = int(np.isnan(flat).sum())
        return Struct(flat=Image(flat))


class RemoveSignatureConnections(PipelineTaskConnections, dimensions=("instrument", "exposure", "detector")):
    """A raw frame and its calibrations to a calibrated image."""

    raw = connection_types.Input(
        doc="Raw frame.",
        name="raw",
        storageClass="FitsImage",
        dimensions=("instrument", "exposure", "detector"),
    )
    bias = connection_types.PrerequisiteInput(
        doc="Bias that is valid for the exposure.",
        name="bias",
        storageClass="FitsImage",
        dimensions=("instrument", "detector"),
        isCalibration=True,
    )
    flat = connection_types.PrerequisiteInput(
        doc="Flat field that is valid for the exposure.",
        name="flat",
        storageClass="FitsImage",
        dimensions=("instrument", "detector", "physical_filter"),
        isCalibration=True,
    )
    image = connection_types.Output(
        doc="Image without instrument signature, with mask and variance.",
        name="post_isr_image",
        storageClass="FitsMaskedImage",
        dimensions=("instrument", "exposure", "detector"),
    )


class RemoveSignatureConfig(PipelineTaskConfig, ReadoutConfig, pipelineConnections=RemoveSignatureConnections):
    """Configuration of `RemoveSignatureTask`."""

    maskReach = Field[int](doc="Columns to mask each side of a bad or full pixel.", default=2)
    edge = Field[int](doc="Pixels to mask along each border.", default=16)


class RemoveSignatureTask(PipelineTask):
    """Subtract overscan and bias, divide by the flat field, and say how uncertain each pixel is."""

    ConfigClass: ClassVar[Any] = RemoveSignatureConfig
    _DefaultName = "removeSignature"

    def run(self, raw: Image, bias: Image, flat: Image) -> Struct:
        """Give the calibrated image with mask and variance, as `image`."""
        layout = self.config.layout(raw.header)
        pixels, mask, variance = remove_signature(
            np.asarray(raw.array), layout, np.asarray(bias.array), np.asarray(flat.array)
        )
        mask = spread_mask(mask, reach=self.config.maskReach, edge=self.config.edge)
        self.metadata["masked_pixels"] = int(np.count_nonzero(mask))
        image = MaskedImage(pixels, mask, variance, raw.wcs, raw.header, mask_planes=MASK_PLANES)
        return Struct(image=image)


def _overscan_subtracted(raws: Sequence[Any], layout: Callable[[Mapping[str, Any]], FrameLayout]) -> list[Any]:
    """One frame at a time is whole in memory; what stays is its data columns."""
    frames = []
    for handle in raws:
        raw = handle.get()
        frames.append(subtract_overscan(np.asarray(raw.array), layout(raw.header)))
    return frames
