"""Background and sources of one image, with `sep`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from armillary.demo.calibration import Image, Mask

SOURCE_COLUMNS = ("x", "y", "flux", "flux_error", "aperture_flux", "peak", "fwhm", "ellipticity", "pixels", "flag")

Sources = dict[str, NDArray[np.float64]]
"""Columns of a source list, all of one length: positions in pixels from zero, fluxes in ADU, sorted by falling flux."""


@dataclass(frozen=True)
class Background:
    """The smooth sky of one image: its `model` (ADU, the image's shape), mean level and noise."""

    model: Image
    level: float
    rms: float


def measure_background(image: Image, mask: Mask | None = None, mesh: int = 64) -> Background:
    """Fit the sky on a grid of `mesh` pixels, with stars clipped away and masked pixels left out.

    >>> import numpy as np
    >>> sky = np.random.default_rng(1).normal(50, 3, (128, 128)).astype(np.float32)
    >>> background = measure_background(sky)
    >>> round(background.level), round(background.rms)
    (50, 3)
    """
    import sep

    fitted = sep.Background(
        np.ascontiguousarray(image, np.float32), mask=None if mask is None else mask != 0, bw=mesh, bh=mesh
    )
    return Background(fitted.back(dtype=np.float32), float(fitted.globalback), float(fitted.globalrms))


def detect_sources(
    image: Image,
    rms: float,
    mask: Mask | None = None,
    threshold: float = 5.0,
    smallest: int = 5,
    aperture: float = 8.0,
) -> Sources:
    """Find sources of at least `smallest` joined pixels above `threshold` times the noise `rms`.

    `image` must be background-subtracted. `aperture_flux` is the sum within `aperture` pixels of the centre. Sources
    touching the edge or a neighbour are kept with a `flag` other than 0.

    >>> import numpy as np
    >>> y, x = np.mgrid[:64, :64]
    >>> star = (100 * np.exp(-((x - 40.0) ** 2 + (y - 20.0) ** 2) / 8)).astype(np.float32)
    >>> sources = detect_sources(star, rms=1.0)
    >>> round(float(sources["x"][0]), 2), round(float(sources["y"][0]), 2)
    (40.0, 20.0)
    """
    import sep

    plane = np.ascontiguousarray(image, np.float32)
    hidden = None if mask is None else mask != 0
    found = sep.extract(plane, threshold, err=rms, mask=hidden, minarea=smallest)
    found = found[np.argsort(-found["flux"], kind="stable")]
    width = np.sqrt(found["a"] ** 2 + found["b"] ** 2)
    aperture_flux, _, _ = sep.sum_circle(plane, found["x"], found["y"], aperture, mask=hidden)
    columns = {
        "x": found["x"],
        "y": found["y"],
        "flux": found["flux"],
        "flux_error": rms * np.sqrt(found["npix"]),
        "aperture_flux": aperture_flux,
        "peak": found["peak"],
        "fwhm": 2.0 * np.sqrt(np.log(2.0)) * width,  # 2.355 sigma, with sigma^2 the mean of the two axes' squares
        "ellipticity": 1.0 - found["b"] / found["a"],
        "pixels": found["npix"],
        "flag": found["flag"],
    }
    return {name: np.asarray(values, np.float64) for name, values in columns.items()}


def clean_sources(sources: Sources) -> Sources:
    """Keep the sources that nothing disturbed (`flag` 0).

    >>> import numpy as np
    >>> clean_sources({"x": np.array([1.0, 2.0]), "flag": np.array([0.0, 1.0])})["x"].tolist()
    [1.0]
    """
    whole = sources["flag"] == 0
    return {name: values[whole] for name, values in sources.items()}


def noise(image: Image) -> float:
    """Give the noise of a background-subtracted image: 1.4826 times the median absolute deviation.

    >>> import numpy as np
    >>> round(noise(np.random.default_rng(1).normal(0, 2, (200, 200)).astype(np.float32)), 1)
    2.0
    """
    values = image[np.isfinite(image)]
    if values.size == 0:
        raise ValueError("the image has no finite pixel")
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))
