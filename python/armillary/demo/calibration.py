"""From raw frames to flat-fielded images: overscan, bias, flat field, instrument signature.

Every array is `(rows, columns)`; every level is in ADU.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Mask = NDArray[np.int32]

BAD = 1
"""Mask bit: the flat field says that the pixel does not see the sky."""
SATURATED = 2
"""Mask bit: the raw value reached the end of the converter or the well."""
NO_DATA = 4
"""Mask bit: no frame covers the pixel."""
EDGE = 8
"""Mask bit: near the edge of the detector, where stray light and read-out spoil the sky."""

MASK_PLANES = {"BAD": 0, "SATURATED": 1, "NO_DATA": 2, "EDGE": 3}
"""Name and number of each mask bit, as images store them."""


@dataclass(frozen=True)
class FrameLayout:
    """Where a raw frame keeps sky and overscan, in columns counted from zero, ends not included.

    `gain` is in electrons per ADU, `read_noise` and `saturation` in ADU.

    >>> layout = FrameLayout(data=(0, 1024), overscan=(1026, 1056), gain=1.8, read_noise=5.9, saturation=60000.0)
    >>> layout.data
    (0, 1024)
    """

    data: tuple[int, int]
    overscan: tuple[int, int]
    gain: float
    read_noise: float
    saturation: float

    @classmethod
    def from_header(cls, header: Mapping[str, Any], gain: float, read_noise: float, saturation: float) -> FrameLayout:
        """Read the layout from the keys `DATASEC`, `NAXIS1` and `COVER` of a raw frame.

        The first two overscan columns still hold charge of the last data column and are left out. Raises `ValueError`
        for a frame without these keys.

        >>> header = {"DATASEC": "[1:1024,1:1024]", "NAXIS1": 1056, "COVER": 32}
        >>> FrameLayout.from_header(header, 1.8, 5.9, 60000.0).overscan
        (1026, 1056)
        """
        found = re.fullmatch(r"\s*\[(\d+):(\d+),\d+:\d+\]\s*", str(header.get("DATASEC", "")))
        width, columns = header.get("NAXIS1"), header.get("COVER")
        if found is None or width is None or columns is None:
            raise ValueError("the raw frame's header does not say where data and overscan are (`DATASEC`, `COVER`)")
        return cls(
            data=(int(found[1]) - 1, int(found[2])),
            overscan=(int(width) - int(columns) + 2, int(width)),
            gain=gain,
            read_noise=read_noise,
            saturation=saturation,
        )


def subtract_overscan(raw: NDArray[Any], layout: FrameLayout) -> Image:
    """Give the data columns of a raw frame less the median of each row's overscan.

    Raises `ValueError` if the frame has fewer columns than the layout names.

    >>> import numpy as np
    >>> layout = FrameLayout(data=(0, 2), overscan=(2, 4), gain=1.0, read_noise=1.0, saturation=60000.0)
    >>> subtract_overscan(np.array([[105, 103, 100, 100]], dtype=np.uint16), layout)
    array([[5., 3.]], dtype=float32)
    """
    needed = max(layout.data[1], layout.overscan[1])
    if raw.ndim != 2 or raw.shape[1] < needed:
        raise ValueError(f"the raw frame has shape {raw.shape}; its layout needs at least {needed} columns")
    level = np.median(raw[:, slice(*layout.overscan)], axis=1).astype(np.float32)
    frame: Image = raw[:, slice(*layout.data)].astype(np.float32) - level[:, None]
    return frame


def combine_bias(frames: Sequence[Image]) -> Image:
    """Give the pixel median of overscan-subtracted bias frames, which must have one shape.

    >>> import numpy as np
    >>> combine_bias([np.full((1, 2), level, np.float32) for level in (1, 2, 9)])
    array([[2., 2.]], dtype=float32)
    """
    return _pixel_median(frames, "bias")


def combine_flat(frames: Sequence[Image], bias: Image, lowest: float = 0.2) -> Image:
    """Give the pixel median of flat frames, each less the bias and divided by its own median.

    Pixels at or below `lowest` of the median see no light: they become NaN, so that `remove_signature` can mask them.
    Raises `ValueError` for a flat without light.

    >>> import numpy as np
    >>> frames = [np.array([[10.0, 20.0, 30.0]], np.float32) * scale for scale in (1, 2, 3)]
    >>> combine_flat(frames, np.zeros((1, 3), np.float32))
    array([[0.5, 1. , 1.5]], dtype=float32)
    """
    normalised = []
    for frame in frames:
        light = frame - bias
        level = float(np.median(light))
        if level <= 0:
            raise ValueError(f"a flat frame has a median of {level:.1f} ADU above the bias; was the lamp on?")
        normalised.append(light / np.float32(level))
    flat = _pixel_median(normalised, "flat")
    flat[flat <= lowest] = np.nan
    return flat


def remove_signature(raw: NDArray[Any], layout: FrameLayout, bias: Image, flat: Image) -> tuple[Image, Mask, Image]:
    """Turn a raw frame into a calibrated image, its mask and its variance.

    The image is overscan-subtracted, bias-subtracted and divided by the flat. Where the flat is NaN the image takes its
    own median and the mask says `BAD`. The variance (ADU squared) is the read noise plus the photon noise.

    >>> import numpy as np
    >>> layout = FrameLayout(data=(0, 2), overscan=(2, 4), gain=2.0, read_noise=1.0, saturation=60000.0)
    >>> flat = np.array([[1.0, 0.5]], np.float32)
    >>> bias = np.zeros((1, 2), np.float32)
    >>> image, mask, variance = remove_signature(np.array([[110, 105, 100, 100]], np.uint16), layout, bias, flat)
    >>> image.tolist(), mask.tolist(), variance.tolist()
    ([[10.0, 10.0]], [[0, 0]], [[6.0, 14.0]])
    """
    signal = subtract_overscan(raw, layout)
    if signal.shape != bias.shape or signal.shape != flat.shape:
        raise ValueError(
            f"image {signal.shape}, bias {bias.shape} and flat {flat.shape} differ in shape; "
            "were the calibrations made for another read-out?"
        )
    signal -= bias
    mask: Mask = np.zeros(signal.shape, np.int32)
    mask[raw[:, slice(*layout.data)] >= layout.saturation] |= SATURATED
    dark = ~np.isfinite(flat)
    mask[dark] |= BAD
    divisor = np.where(dark, np.float32(1), flat)
    variance = (layout.read_noise**2 + np.maximum(signal, 0) / layout.gain) / divisor**2
    image = signal / divisor
    if dark.any():
        image[dark] = np.median(image[~dark])
    return image.astype(np.float32, copy=False), mask, variance.astype(np.float32)


def spread_mask(mask: Mask, reach: int = 1, edge: int = 0) -> Mask:
    """Give the mask with its `BAD` and `SATURATED` pixels widened by `reach` columns each side and the edges marked.

    Charge spills along a row's neighbours of a full column; `edge` pixels along each border take the bit `EDGE`.

    >>> import numpy as np
    >>> spread_mask(np.array([[0, 0, 1, 0, 0]], np.int32)).tolist()
    [[0, 1, 1, 1, 0]]
    """
    wide = mask.copy()
    for step in range(1, reach + 1):
        wide[:, step:] |= mask[:, :-step]
        wide[:, :-step] |= mask[:, step:]
    if edge > 0:
        for border in (np.s_[:edge], np.s_[-edge:], np.s_[:, :edge], np.s_[:, -edge:]):
            wide[border] |= EDGE
    return wide


def _pixel_median(frames: Sequence[Image], kind: str) -> Image:
    if not frames:
        raise ValueError(f"no {kind} frames to combine")
    shapes = sorted({frame.shape for frame in frames})
    if len(shapes) > 1:
        raise ValueError(f"{kind} frames differ in shape: {', '.join(map(str, shapes))}")
    median: Image = np.median(np.stack(frames), axis=0).astype(np.float32)
    return median
