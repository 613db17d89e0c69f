"""FITS images: pixels, mask, variance, sky coordinates and header in one file, read in parts.

A masked image is an empty primary HDU with its header, and the image HDUs IMAGE, MASK and VARIANCE. IMAGE holds the sky
coordinates and, in LTV1 and LTV2, minus those of the lower left pixel; mask planes are the MP_<name> cards of MASK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from armillary.storage.formatter import FormatterV2
from armillary.storage.masked_image import Box, Image, shift_wcs

if TYPE_CHECKING:
    from lsst.resources import ResourcePath

__all__ = ["FitsImageFormatter"]

_COMPRESSIONS = {"none": None, "gzip": "GZIP_2", "rice": "RICE_1"}
_MAX_PROVENANCE_INPUTS = 500
_PLANES = {"image": "IMAGE", "mask": "MASK", "variance": "VARIANCE"}


def _clean(header: Any) -> fits.Header:
    """The cards that describe the data, not the file or the pixel grid."""
    kept = header.copy(strip=True)
    for name in ("LTV1", "LTV2", "EXTNAME", "EXTVER", "CHECKSUM", "DATASUM", "INHERIT"):
        kept.remove(name, ignore_missing=True, remove_all=True)
    for keyword in [card.keyword for card in kept.cards if card.keyword.upper().startswith("LSST BUTLER ")]:
        kept.remove(keyword, ignore_missing=True, remove_all=True)
    return kept


def _wcs_cards(wcs: WCS | None) -> fits.Header:
    if wcs is None:
        return fits.Header()
    cards = wcs.to_header(relax=True)
    if wcs.sip is not None:  # the projection's name tells readers that distortion cards follow
        for axis in (1, 2):
            name = cards.get(f"CTYPE{axis}", "")
            if name and not name.endswith("-SIP"):
                cards[f"CTYPE{axis}"] = name + "-SIP"
    return cards


def _read_wcs(header: fits.Header) -> WCS | None:
    """Sky coordinates, if the header has a projection of two axes."""
    if "CTYPE1" not in header or "CTYPE2" not in header:
        return None
    import warnings

    from astropy.wcs import FITSFixedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # dates and units written by others
        return WCS(header, naxis=2)


def _origin(header: fits.Header) -> tuple[int, int]:
    return -round(header.get("LTV1", 0)), -round(header.get("LTV2", 0))


class FitsImageFormatter(FormatterV2):
    """Write and read `MaskedImage`, `Image`, plain arrays, headers and sky coordinates as FITS.

    The read parameter `bbox` reads only those pixels: a `Box` such as `Box(x_min=0, x_max=9, y_min=0, y_max=4)`, a
    mapping of those names, or x_min, x_max, y_min, y_max in this order, all inside the box. The write parameter
    `compression` is `none`, `gzip` or `rice` for float pixels; masks are always compressed, without loss.
    """

    default_extension = ".fits"
    supported_extensions = frozenset({".fits", ".fit", ".fits.gz", ".fits.fz"})
    supported_write_parameters = frozenset({"compression"})
    can_read_from_local_file = True
    can_read_from_stream = True
    _provenance: Any = None

    # Writing

    def add_provenance(self, in_memory_dataset: Any, /, *, provenance: Any | None = None) -> Any:
        """Remember where it comes from for the header; the object is left alone."""
        self._provenance = provenance
        return in_memory_dataset

    def _primary_header(self, header: fits.Header) -> fits.Header:
        from armillary.storage.provenance import DatasetProvenance

        cards = _clean(header)
        if self.dataset_ref is not None:
            flat = (self._provenance or DatasetProvenance()).to_flat_dict(
                self.dataset_ref,
                prefix="LSST BUTLER",
                sep=" ",
                simple_types=True,
                max_inputs=_MAX_PROVENANCE_INPUTS,
            )
            for name, value in flat.items():
                cards[f"HIERARCH {name}"] = value
        return cards

    def _compression(self) -> str | None:
        chosen = str(self.write_parameters.get("compression", "none"))
        if chosen not in _COMPRESSIONS:
            raise ValueError(f"`{chosen}` is not a compression; use one of {sorted(_COMPRESSIONS)}")
        return _COMPRESSIONS[chosen]

    def _image_hdu(self, array: Any, header: fits.Header, name: str) -> Any:
        algorithm = "RICE_1" if name == "MASK" else self._compression()
        if algorithm is None or array.size == 0:
            return fits.ImageHDU(array, header, name=name)
        if array.dtype.kind == "f":
            if algorithm == "RICE_1":
                return fits.CompImageHDU(array, header, name=name, compression_type=algorithm, quantize_level=16.0)
            return fits.CompImageHDU(array, header, name=name, compression_type=algorithm, quantize_level=0.0)
        return fits.CompImageHDU(array, header, name=name, compression_type=algorithm)

    def _hdus(self, value: Any) -> fits.HDUList:
        if isinstance(value, fits.Header):
            return fits.HDUList([fits.PrimaryHDU(header=self._primary_header(value))])
        if isinstance(value, WCS):
            return fits.HDUList([fits.PrimaryHDU(header=_wcs_cards(value))])
        if isinstance(value, np.ndarray):
            value = Image(value)
        grid = _wcs_cards(value.wcs)
        grid["LTV1"], grid["LTV2"] = -float(value.x0), -float(value.y0)
        primary = fits.PrimaryHDU(header=self._primary_header(value.header))
        if isinstance(value, Image):
            return fits.HDUList([primary, self._image_hdu(value.array, grid, "IMAGE")])
        planes = fits.Header({f"HIERARCH MP_{name}": bit for name, bit in value.mask_planes.items()})
        return fits.HDUList(
            [
                primary,
                self._image_hdu(value.image, grid, "IMAGE"),
                self._image_hdu(value.mask, planes, "MASK"),
                self._image_hdu(value.variance, fits.Header(), "VARIANCE"),
            ]
        )

    def write_path(self, in_memory_dataset: Any, path: str) -> None:
        """Write to a local path."""
        self._hdus(in_memory_dataset).writeto(path, overwrite=True, output_verify="silentfix")

    def write_local_file(self, in_memory_dataset: Any, uri: ResourcePath) -> None:
        """Write to the local file of a URI."""
        self.write_path(in_memory_dataset, uri.ospath)

    # Reading

    def read_from_local_file(self, path: str, component: str | None = None, expected_size: int = -1) -> Any:
        """Read the object, or one component; only the pixels of `bbox` are read from the file."""
        return self._read(path, component)

    def read_from_stream(self, stream: BinaryIO, component: str | None = None, expected_size: int = -1) -> Any:
        """Read a part of a file elsewhere: only the headers and pixels needed are transferred."""
        if component is None and not self.file_descriptor.parameters:
            return NotImplemented
        return self._read(stream, component)

    def _read(self, source: str | BinaryIO, component: str | None) -> Any:
        parameters, _ = self.segregate_parameters()
        unknown = sorted(parameters.keys() - {"bbox"})
        if unknown:
            raise ValueError(f"a FITS image is read by `bbox` only, not by {unknown}")
        with fits.open(source, memmap=False, lazy_load_hdus=True) as hdus:
            return _Reader(hdus, parameters.get("bbox")).read(self.file_descriptor.storageClass, component)


class _Reader:
    """One open file."""

    def __init__(self, hdus: fits.HDUList, bbox: Any) -> None:
        self._hdus = hdus
        self._asked = None if bbox is None else Box.of(bbox)
        self._by_name = "IMAGE" in hdus
        pixels = self._find("IMAGE")
        self._grid = pixels.header
        shape = pixels.shape
        self._whole = Box.from_shape(shape, *_origin(self._grid)) if len(shape) == 2 else None

    def _find(self, name: str) -> Any:
        """An HDU by name; a file of somebody else has its pixels in the first HDU that has any."""
        if self._by_name:
            return self._hdus[name]
        if name != "IMAGE":
            raise ValueError(f"the file has no {name} plane")
        for hdu in self._hdus:
            if hdu.is_image and len(hdu.shape or ()) == 2:
                return hdu
        return self._hdus[0]

    def _box(self) -> Box:
        if self._whole is None:
            raise ValueError("the file holds no image of two dimensions")
        return self._asked or self._whole

    def _pixels(self, name: str) -> Any:
        hdu, box = self._find(name), self._box()
        index = box.slices(self._whole or box)
        array = np.asarray(hdu.section[index])
        return array.astype(array.dtype.newbyteorder("="), copy=not array.flags.owndata)

    def _wcs(self) -> WCS | None:
        found = _read_wcs(self._grid)
        return found if self._whole is None else shift_wcs(found, self._box(), self._whole)

    def _header(self) -> fits.Header:
        return _clean(self._hdus[0].header)

    def read(self, storage_class: Any, component: str | None) -> Any:
        pytype = storage_class.pytype
        if component == "bbox":
            return self._box()
        if component == "wcs" or (component is None and pytype is WCS):
            return self._wcs()
        if component == "header" or (component is None and pytype is fits.Header):
            return self._header()
        if component in _PLANES or component == "array":
            return self._pixels(_PLANES.get(component or "", "IMAGE"))
        if component is not None:
            raise ValueError(f"an image has no component `{component}`")
        box = self._box()
        if issubclass(pytype, np.ndarray):
            return self._pixels("IMAGE")
        if issubclass(pytype, Image):
            return pytype(self._pixels("IMAGE"), self._wcs(), self._header(), x0=box.x_min, y0=box.y_min)
        cards = self._find("MASK").header
        planes = {card.keyword[3:]: int(card.value) for card in cards.cards if card.keyword.startswith("MP_")}
        return pytype(
            self._pixels("IMAGE"),
            self._pixels("MASK"),
            self._pixels("VARIANCE"),
            self._wcs(),
            self._header(),
            x0=box.x_min,
            y0=box.y_min,
            mask_planes=planes,
        )
