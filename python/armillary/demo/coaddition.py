"""Images of many visits brought onto one grid and averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from armillary.demo.calibration import NO_DATA, Image, Mask


@dataclass(frozen=True)
class Layer:
    """One image with its mask and variance, all of one shape (ADU, bits, ADU squared)."""

    image: Image
    mask: Mask
    variance: Image


@dataclass(frozen=True)
class Coadd:
    """The average of several layers, with the number of layers behind each pixel."""

    image: Image
    mask: Mask
    variance: Image
    depth: NDArray[np.int32]


def shifted_wcs(wcs: Any, x: float, y: float) -> Any:
    """Give a copy of a WCS for an image whose stars lie `x`, `y` pixels further than the WCS says.

    >>> from astropy.wcs import WCS
    >>> shifted_wcs(WCS(naxis=2), 1.5, 0.0).wcs.crpix.tolist()
    [1.5, 0.0]
    """
    moved = wcs.deepcopy()
    moved.wcs.crpix = [wcs.wcs.crpix[0] + x, wcs.wcs.crpix[1] + y]
    return moved


def warp_layer(layer: Layer, wcs: Any, target: Any, shape: tuple[int, int], scale: float = 1.0) -> Layer:
    """Interpolate a layer linearly onto another WCS and divide its flux by `scale`.

    Pixels that the layer does not cover, or that touch a masked pixel, are zero with the mask bit `NO_DATA`.

    >>> import numpy as np
    >>> from armillary.instrument.wcs import tangent_wcs
    >>> wcs = tangent_wcs(ra=10.0, dec=20.0, scale=0.37, shape=(32, 32))
    >>> layer = Layer(np.ones((32, 32), np.float32), np.zeros((32, 32), np.int32), np.ones((32, 32), np.float32))
    >>> float(warp_layer(layer, wcs, wcs, (32, 32), scale=2.0).image[16, 16])
    0.5
    """
    from reproject import reproject_interp

    result = Layer(np.zeros(shape, np.float32), np.full(shape, NO_DATA, np.int32), np.zeros(shape, np.float32))
    rows, columns = _reach(layer.image.shape, wcs, target, shape)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return result
    cell = rows.stop - rows.start, columns.stop - columns.start
    planes = np.stack([layer.image, layer.variance, (layer.mask != 0).astype(np.float32)])
    planes[:2, ~np.isfinite(layer.image)] = 0
    warped, _ = reproject_interp(
        (planes, wcs),
        shifted_wcs(target, -columns.start, -rows.start),
        shape_out=cell,
        order="bilinear",
        roundtrip_coords=False,
    )
    seen = np.isfinite(warped[0]) & (warped[2] < 0.01)
    result.image[rows, columns] = np.where(seen, warped[0] / scale, 0)
    result.mask[rows, columns] = np.where(seen, 0, NO_DATA)
    result.variance[rows, columns] = np.where(seen, warped[1] / scale**2, 0)
    return result


def _reach(size: tuple[int, ...], wcs: Any, target: Any, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the target that an image can touch: most of a tract sees nothing of one frame."""
    height, width = size
    edge = [(x, y) for x in (-1, width / 2, width) for y in (-1, height / 2, height)]
    places = target.wcs_world2pix(wcs.wcs_pix2world(edge, 0), 0)
    if not np.isfinite(places).all():  # beyond the target's horizon
        return slice(0, shape[0]), slice(0, shape[1])
    low = np.clip(np.floor(places.min(axis=0)).astype(int) - 2, 0, None)
    high = np.ceil(places.max(axis=0)).astype(int) + 3
    return slice(low[1], min(high[1], shape[0])), slice(low[0], min(high[0], shape[1]))


def coadd_layers(layers: Sequence[Layer], clip: float = 4.0, star_tolerance: float = 0.5) -> Coadd:
    """Average layers pixel by pixel with weights by variance, leaving out what is far from the median.

    A value is left out when it differs from the pixel's median by more than `clip` standard deviations plus
    `star_tolerance` times the median: seeing changes the peaks of stars, and that is no reason to drop them.
    With fewer than three values, or when fewer than half would be left, nothing can be told apart, so all are kept.

    >>> import numpy as np
    >>> def flat(value):
    ...     return Layer(np.full((1, 1), value, np.float32), np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32))
    >>> coadd = coadd_layers([flat(1), flat(2), flat(3), flat(900)])
    >>> float(coadd.image[0, 0]), int(coadd.depth[0, 0])
    (2.0, 3)
    """
    if not layers:
        raise ValueError("no layers to average")
    images = np.stack([layer.image for layer in layers])
    good = np.stack([layer.mask == 0 for layer in layers])
    variances = np.stack([layer.variance for layer in layers])
    median = _masked_median(images, good)
    allowed = clip * np.sqrt(variances) + star_tolerance * np.abs(median)
    count = good.sum(axis=0)
    kept = good & ((np.abs(images - median) <= allowed) | (count < 3))
    kept |= good & (2 * kept.sum(axis=0) < count)
    weights = np.array([_typical_weight(layer) for layer in layers], np.float32)[:, None, None] * kept
    total = weights.sum(axis=0)
    empty = total <= 0
    total[empty] = 1
    image = (weights * images).sum(axis=0) / total
    variance = (weights**2 * variances).sum(axis=0) / total**2
    image[empty] = 0
    mask = np.where(empty, NO_DATA, 0).astype(np.int32)
    return Coadd(image.astype(np.float32), mask, variance.astype(np.float32), kept.sum(axis=0).astype(np.int32))


def _typical_weight(layer: Layer) -> float:
    """One weight per layer: weights by pixel would favour the faint fluctuations of stars."""
    seen = layer.variance[layer.mask == 0]
    return 1.0 / float(np.median(seen)) if seen.size else 0.0


def _masked_median(images: NDArray[np.float32], good: NDArray[np.bool_]) -> Image:
    """Median over axis 0 of the good values; zero where there is none (a sort beats `nanmedian` tenfold)."""
    ordered = np.sort(np.where(good, images, np.float32(np.inf)), axis=0)
    count = good.sum(axis=0)
    upper = np.take_along_axis(ordered, np.minimum(count // 2, len(images) - 1)[None], axis=0)[0]
    lower = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[None], axis=0)[0]
    half = np.float32(0.5)
    return np.where(count > 0, lower * half + upper * half, np.float32(0)).astype(np.float32)
