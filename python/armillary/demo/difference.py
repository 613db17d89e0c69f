"""What changed in the sky between two nights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from armillary.demo.calibration import NO_DATA
from armillary.demo.coaddition import Layer
from armillary.demo.detection import Sources, detect_sources, noise


@dataclass(frozen=True)
class ResidualPair:
    """A source seen in the first night only and one seen in the second only: one object that moved.

    Positions are in pixels from zero, fluxes in ADU (both positive), `distance` in pixels.
    """

    first_x: float
    first_y: float
    first_flux: float
    second_x: float
    second_y: float
    second_flux: float

    @property
    def distance(self) -> float:
        """How far the object moved, in pixels."""
        return float(np.hypot(self.second_x - self.first_x, self.second_y - self.first_y))


def subtract_layers(first: Layer, second: Layer, first_fwhm: float, second_fwhm: float) -> Layer:
    """Give first minus second after the sharper one is blurred to the other's star width (FWHM in pixels).

    Pixels that either lacks are zero with the mask bit `NO_DATA`.

    >>> import numpy as np
    >>> def flat(value):
    ...     return Layer(np.full((9, 9), value, np.float32), np.zeros((9, 9), np.int32), np.ones((9, 9), np.float32))
    >>> float(subtract_layers(flat(5), flat(3), 4.0, 4.0).image[4, 4])
    2.0
    """
    target = max(first_fwhm, second_fwhm)
    image = _blurred(first, first_fwhm, target) - _blurred(second, second_fwhm, target)
    empty = (first.mask != 0) | (second.mask != 0)
    variance = first.variance + second.variance
    image[empty] = 0
    return Layer(image, np.where(empty, NO_DATA, 0).astype(np.int32), variance)


def find_residuals(difference: Layer, first: Layer, second: Layer, fwhm: float, threshold: float = 5.0) -> Sources:
    """Find what only one of two layers shows.

    Columns are those of `detect_sources` and `sign` (+1: in the first only, -1: in the second only) and `remaining`:
    the residual's flux as a share of what the layer itself shows there, in an aperture of one FWHM radius. An object
    that has gone leaves 1, a badly subtracted star leaves little. Sorted by falling flux.

    >>> import numpy as np
    >>> y, x = np.mgrid[:64, :64]
    >>> star = (100 * np.exp(-((x - 40.0) ** 2 + (y - 20.0) ** 2) / 8)).astype(np.float32)
    >>> noise_only = np.random.default_rng(1).normal(0, 1, (64, 64)).astype(np.float32)
    >>> clear, one = np.zeros((64, 64), np.int32), np.ones((64, 64), np.float32)
    >>> first, second = Layer(star + noise_only, clear, one), Layer(noise_only[::-1], clear, one)
    >>> residuals = find_residuals(subtract_layers(first, second, 4.7, 4.7), first, second, 4.7)
    >>> residuals["sign"].tolist(), round(float(residuals["remaining"][0]), 1)
    ([1.0], 1.0)
    """
    import sep

    rms = noise(difference.image[difference.mask == 0])
    found: list[Sources] = []
    for sign, layer in ((1.0, first), (-1.0, second)):
        sources = detect_sources(sign * difference.image, rms, mask=difference.mask, threshold=threshold)
        apertures = [
            sep.sum_circle(np.ascontiguousarray(image), sources["x"], sources["y"], fwhm)[0]
            for image in (sign * difference.image, layer.image)
        ]
        sources["remaining"] = apertures[0] / np.maximum(apertures[1], rms)
        sources["sign"] = np.full(len(sources["x"]), sign)
        found.append(sources)
    joined = {name: np.concatenate([sources[name] for sources in found]) for name in found[0]}
    order = np.argsort(-joined["flux"], kind="stable")
    return {name: values[order] for name, values in joined.items()}


def brightest_pair(residuals: Sources, least_remaining: float = 0.7, largest: float = 200.0) -> ResidualPair | None:
    """Give the brightest object that moved at most `largest` pixels between the nights, or None.

    Residuals with `remaining` below `least_remaining` are stars that did not subtract well and are left out.

    >>> import numpy as np
    >>> columns = {"x": [10.0, 13.0], "y": [10.0, 14.0], "flux": [900.0, 850.0], "sign": [1, -1], "remaining": [1, 1]}
    >>> brightest_pair({name: np.array(values, float) for name, values in columns.items()}).distance
    5.0
    """
    real = residuals["remaining"] >= least_remaining
    best: tuple[float, ResidualPair] | None = None
    for i in np.flatnonzero(real & (residuals["sign"] > 0)):
        for j in np.flatnonzero(real & (residuals["sign"] < 0)):
            pair = ResidualPair(*(float(residuals[name][k]) for k in (i, j) for name in ("x", "y", "flux")))
            faintest = min(pair.first_flux, pair.second_flux)
            if pair.distance <= largest and (best is None or faintest > best[0]):
                best = (faintest, pair)
    return None if best is None else best[1]


def _blurred(layer: Layer, fwhm: float, target: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Convolve the image with the Gaussian that widens `fwhm` to `target`, by columns and then by rows."""
    sigma = np.sqrt(max(target**2 - fwhm**2, 0.0)) / 2.3548
    if sigma < 0.2:  # narrower than a pixel can show
        return layer.image.copy()
    reach = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2).astype(np.float32)
    kernel /= kernel.sum()
    blurred = layer.image
    for axis in (0, 1):
        padded = np.pad(blurred, [(reach, reach) if axis == a else (0, 0) for a in (0, 1)], mode="edge")
        length = blurred.shape[axis]
        pieces = [np.take(padded, np.arange(k, k + length), axis) * weight for k, weight in enumerate(kernel)]
        blurred = np.sum(pieces, axis=0, dtype=np.float32)
    return blurred
