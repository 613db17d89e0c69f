"""What to install for a module that is missing."""

from __future__ import annotations

__all__ = ["how_to_get"]

# Modules that repositories of Rubin Observatory name, and what pip calls the packages that have them.
_BY_PIP = {
    "lsst.ctrl.bps": "lsst-ctrl-bps",
    "lsst.dax.apdb": "lsst-dax-apdb",
    "lsst.dax.obscore": "lsst-dax-obscore",
    "lsst.images": "lsst-images",
    "lsst.pex.config": "lsst-pex-config",
    "lsst.resources": "lsst-resources",
    "lsst.sphgeom": "lsst-sphgeom",
    "lsst.utils": "lsst-utils",
    "astro_metadata_translator": "astro-metadata-translator",
    "dask": "dask",
    "felis": "lsst-felis",
    "healsparse": "healsparse",
    "joblib": "joblib",
    "matplotlib": "matplotlib",
    "pandas": "pandas",
    "piff": "piff",
    "polars": "polars",
    "scipy": "scipy",
}

# Those of the Science Pipelines that no registry of Python packages has.
_OF_THE_PIPELINES = (
    "lsst.afw",
    "lsst.ap",
    "lsst.cell_coadds",
    "lsst.cp",
    "lsst.geom",
    "lsst.ip",
    "lsst.meas",
    "lsst.obs",
    "lsst.pipe.tasks",
    "lsst.shapelet",
    "lsst.skymap",
)


def _is_missing(package: str, name: str, missing: str) -> bool:
    """Whether a name is in a package, and the package is not there as a module that it begins with is missing."""
    return f"{name}.".startswith(f"{package}.") and f"{package}.".startswith(f"{missing}.")


def how_to_get(name: str, missing: str) -> str:
    """End a message: what to install for a name, of which the module `missing` is not there; empty if it is not known.

    >>> how_to_get("lsst.images.fits.formatters.ImageFormatter", "lsst.images")
    '; `pip install lsst-images` brings it'
    >>> how_to_get("lsst.images.fits.Nope", "lsst.images.fits")
    ''
    """
    for package, distribution in _BY_PIP.items():
        if _is_missing(package, name, missing):
            return f"; `pip install {distribution}` brings it"
    if any(_is_missing(package, name, missing) for package in _OF_THE_PIPELINES):
        return "; it comes with the LSST Science Pipelines (pipelines.lsst.io says how they are installed), not by pip"
    return ""
