"""World coordinates of images: read from a header, made around a place, turned into a region of the sky."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lsst.sphgeom import ConvexPolygon

_WCS_CARDS = {
    "RA---TPV": re.compile(r"PV[12]_\d+"),
    "RA---TAN-SIP": re.compile(r"(A|B|AP|BP)_(ORDER|\d_\d)"),
}
_DISTORTED = [["RA---TPV", "DEC--TPV"], ["RA---TAN-SIP", "DEC--TAN-SIP"]]


def header_wcs(header: Mapping[str, Any]) -> Any:
    """Give the tangent-plane WCS of a raw frame's header (`astropy.wcs.WCS`, in ICRS), with the distortion it tells.

    Distortion is read in the TPV form (`RA---TPV`, `PVi_j`) and in the SIP form (`RA---TAN-SIP`, `A_i_j`). FK5
    coordinates of equinox 2000 are taken as ICRS: they differ by less than 0.1 arcsecond, which no telescope's pointing
    knows. Raises `ValueError` if the header has no such WCS.

    >>> header = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0, "CRPIX1": 1.0,
    ...           "CRPIX2": 1.0, "CD1_1": -1e-4, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1e-4}
    >>> [round(float(value), 6) for value in header_wcs(header).wcs_pix2world(0, 0, 0)]
    [10.0, 20.0]
    """
    from astropy.wcs import WCS

    try:
        kinds = [str(header[f"CTYPE{axis}"]).strip() for axis in (1, 2)]
        if kinds in _DISTORTED:
            return _distorted(header, kinds)
        wcs = WCS(naxis=2)
        wcs.wcs.crval = [float(header[f"CRVAL{axis}"]) for axis in (1, 2)]
        wcs.wcs.crpix = [float(header[f"CRPIX{axis}"]) for axis in (1, 2)]
        wcs.wcs.cd = _degrees_per_pixel(header)
    except KeyError as error:
        raise ValueError(f"the header has no usable WCS: {error.args[0]}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"the header has no usable WCS: {error}") from error
    if kinds != ["RA---TAN", "DEC--TAN"]:
        raise ValueError(
            f"the header's WCS is `{kinds[0]}`, `{kinds[1]}`; `RA---TAN`, `DEC--TAN` is needed, "
            "with `-SIP`, or TPV instead of TAN"
        )
    wcs.wcs.ctype = kinds
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs


def _degrees_per_pixel(header: Mapping[str, Any]) -> list[list[float]]:
    """The matrix `CDi_j`, which headers tell in one of three forms; `KeyError` if they tell it in none.

    `CDi_j` itself, where cards that are left out are 0; `CDELTi` with `PCi_j`, where they are those of no rotation; or
    `CDELTi` with the older `CROTA2`, in degrees.

    >>> _degrees_per_pixel({"CDELT1": -0.5, "CDELT2": 0.25, "PC1_2": 0.5})
    [[-0.5, -0.25], [0.0, 0.25]]
    >>> [[round(value, 3) for value in row] for row in _degrees_per_pixel({"CDELT1": 2, "CDELT2": 1, "CROTA2": 90})]
    [[0.0, -1.0], [2.0, 0.0]]
    """
    both = (1, 2)
    if "CDELT1" not in header or any(f"CD{i}_{j}" in header for i in both for j in both):
        if "CD1_1" not in header and "CD1_2" not in header:
            raise KeyError("there is neither `CD1_1` nor `CDELT1`")
        return [[float(header.get(f"CD{i}_{j}", 0.0)) for j in both] for i in both]
    steps = [float(header[f"CDELT{i}"]) for i in both]
    if "CROTA2" in header and not any(f"PC{i}_{j}" in header for i in both for j in both):
        turn = math.radians(float(header["CROTA2"]))
        return [
            [steps[0] * math.cos(turn), -steps[1] * math.sin(turn)],
            [steps[0] * math.sin(turn), steps[1] * math.cos(turn)],
        ]
    return [[steps[i - 1] * float(header.get(f"PC{i}_{j}", float(i == j))) for j in both] for i in both]


def _distorted(header: Mapping[str, Any], kinds: list[str]) -> Any:
    """The WCS of the cards that tell it, and of no others: those of other software beside them confuse the reader."""
    from astropy.io.fits import Header
    from astropy.wcs import WCS

    wanted = _WCS_CARDS[kinds[0]]
    cards = Header([(key, header[key]) for key in map(str, header) if wanted.fullmatch(key)])
    for key in ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2"):
        cards[key] = float(header[key])
    for i, row in enumerate(_degrees_per_pixel(header), start=1):
        for j, value in enumerate(row, start=1):
            cards[f"CD{i}_{j}"] = value
    cards["CTYPE1"], cards["CTYPE2"] = kinds
    cards["CUNIT1"] = cards["CUNIT2"] = "deg"
    cards["RADESYS"] = "ICRS"
    wcs = WCS(cards, naxis=2)
    wcs.wcs.set()
    return wcs


def tangent_wcs(ra: float, dec: float, scale: float, shape: tuple[int, int], *, projection: str = "TAN") -> Any:
    """Give a north-up WCS with `ra`, `dec` (degrees) in the middle of an image.

    `projection` is a FITS code; `shape` is its rows and columns; `scale` is in arcseconds per pixel.

    >>> wcs = tangent_wcs(10.0, 20.0, 0.5, (101, 201))
    >>> [round(float(value), 6) for value in wcs.wcs_pix2world(100, 50, 0)]
    [10.0, 20.0]
    """
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{projection}", f"DEC--{projection}"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    wcs.wcs.cdelt = [-scale / 3600, scale / 3600]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    wcs.pixel_shape = (shape[1], shape[0])
    return wcs


def pixel_polygon(wcs: Any, x_min: float, y_min: float, x_max: float, y_max: float) -> ConvexPolygon:
    """Give the region of the sky inside a rectangle of pixel coordinates (centres at whole numbers from zero).

    >>> wcs = tangent_wcs(10.0, 20.0, 1.0, (100, 100))
    >>> len(pixel_polygon(wcs, -0.5, -0.5, 99.5, 99.5).getVertices())
    4
    """
    from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

    to_world = wcs.wcs_pix2world if wcs.sip is None else wcs.all_pix2world
    corners = to_world([(x_min, y_min), (x_max, y_min), (x_max, y_max), (x_min, y_max)], 0)
    vertices = [UnitVector3d(LonLat.fromDegrees(float(ra) % 360.0, float(dec))) for ra, dec in corners]
    return ConvexPolygon(vertices)
