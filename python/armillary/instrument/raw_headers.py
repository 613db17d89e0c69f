"""The headers of a raw FITS file: of its one image, or of each extension that is one."""

from __future__ import annotations

import gzip
import itertools
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FITS_BLOCK = 2880
FITS_BEGIN = b"SIMPLE  ="
EXTENSION_BEGIN = b"XTENSION"
GZIP_BEGIN = b"\x1f\x8b"
EXTENSION = "HDU"
"""The card that merged headers have of their extension's place in the file (the primary image is 0)."""
DETECTOR_KEYS = ("CCDNUM", "DETNUM", "CHIPID", "CAMCOL", "IMAGEID", "EXTVER", EXTENSION)
"""Keywords that tell extensions apart: the first under which each has a whole number of its own."""

_OF_COMPRESSION = re.compile(
    r"XTENSION|PCOUNT|GCOUNT|TFIELDS|(TTYPE|TFORM|TUNIT|TDIM|TZERO|TSCAL|TNULL)\d+|NAXIS\d+|THEAP"
    r"|Z(IMAGE|TENSION|SIMPLE|EXTEND|BLOCKED|PCOUNT|GCOUNT|BITPIX|CMPTYPE|MASKCMP|QUANTIZ|DITHER0|HECKSUM|DATASUM|BLANK)"
    r"|Z(NAXIS\d*|TILE\d+|NAME\d+|VAL\d+)"
)


@dataclass(frozen=True)
class RawImage:
    """An image of a file: its place among the extensions (0 for the primary one) and its header.

    The header of an extension has the primary header's cards, too, unless it has its own. `end` is the byte of the
    unpacked file at which its pixels end, if that is known.
    """

    place: int
    header: Mapping[str, Any]
    end: int | None = None


def read_images(path: str) -> list[RawImage]:
    """Give the headers of a file's images: of the primary one, or of each extension if that has no pixels.

    Extensions may be compressed (`.fits.fz`). Raises `OSError` for what is no FITS file, holds no image, or ends within
    a header.
    """
    if Path(path).stat().st_size == 0:
        raise OSError("the file is empty")
    with _open(path) as stream:
        primary = _primary(stream)
        if _data_size(primary) > 0:
            return [RawImage(0, primary)]
        extensions = list(_extensions(stream, primary))
    images = [(place, _as_image(header), end) for place, header, end in extensions if _is_image(header)]
    if not images:
        raise OSError("the file holds no image: its primary image has no pixels, and no extension is an image")
    made = []
    for place, header, end in images:
        header.extend(primary, unique=True)
        if len(images) > 1:
            header[EXTENSION] = (place, "place of the extension in the file")
        made.append(RawImage(place, header, end))
    return made


def image_of_detector(images: Sequence[RawImage], detector: int) -> RawImage | None:
    """Give the image of a detector; None if a file of several has none of it.

    >>> images = [RawImage(1, {"CCDNUM": 7, "HDU": 1}), RawImage(2, {"CCDNUM": 4, "HDU": 2})]
    >>> image_of_detector(images, 4).place
    2
    """
    if len(images) == 1:
        return images[0]
    for key in DETECTOR_KEYS:
        numbers = [str(image.header.get(key, "")).strip() for image in images]
        if all(number.isdecimal() for number in numbers) and len(set(numbers)) == len(images):
            return next((image for image, number in zip(images, numbers, strict=True) if int(number) == detector), None)
    return None


def _primary(stream: Any) -> Any:
    from astropy.io import fits

    if stream.read(len(FITS_BEGIN)) != FITS_BEGIN:
        raise OSError("this is no FITS file")
    stream.seek(0)
    header = fits.Header.fromfile(stream, endcard=True, padding=True)
    if "NAXIS" not in header:
        raise OSError("the header does not say how large the image is")
    return header


def _extensions(stream: Any, primary: Any) -> Iterator[tuple[int, Any, int]]:
    """The place, the header and the end of the data of each extension; the stream stands behind the primary header."""
    from astropy.io import fits

    end = stream.tell() + _data_size(primary)
    for place in itertools.count(1):
        stream.seek(-(-end // FITS_BLOCK) * FITS_BLOCK)
        begin = stream.read(len(EXTENSION_BEGIN))
        if begin != EXTENSION_BEGIN:
            return
        stream.seek(-len(begin), os.SEEK_CUR)
        header = fits.Header.fromfile(stream, endcard=True, padding=True)
        end = stream.tell() + _data_size(header)
        yield place, header, end


def _data_size(header: Mapping[str, Any]) -> int:
    """Bytes of data behind a header, without those that fill the last block."""
    axes = [int(header[f"NAXIS{axis + 1}"]) for axis in range(int(header["NAXIS"]))]
    elements = int(header.get("GCOUNT", 1)) * (int(header.get("PCOUNT", 0)) + math.prod(axes)) if axes else 0
    return elements * abs(int(header["BITPIX"])) // 8


def _is_image(header: Mapping[str, Any]) -> bool:
    return bool(header.get("ZIMAGE")) or (header["XTENSION"].strip() == "IMAGE" and _data_size(header) > 0)


def _as_image(header: Any) -> Any:
    """The header of a compressed image as it was before; any other as it is."""
    if not header.get("ZIMAGE"):
        return header
    sizes = {key[1:]: header[key] for key in list(header) if re.fullmatch(r"ZBITPIX|ZNAXIS\d*", key)}
    for key in [key for key in header if _OF_COMPRESSION.fullmatch(key)]:
        header.remove(key, ignore_missing=True, remove_all=True)
    header.update(sizes)
    return header


def _open(path: str) -> Any:
    return gzip.open(path) if _is_gzipped(path) else open(path, "rb")


def _is_gzipped(path: str) -> bool:
    """Whether the first bytes of a file are those of gzip, whatever its name says."""
    with open(path, "rb") as stream:
        return stream.read(len(GZIP_BEGIN)) == GZIP_BEGIN


def check_size(path: str, image: RawImage) -> None:
    """Raise `OSError` if a file ends before the pixels of its last image do."""
    needed = FITS_BLOCK + _data_size(image.header) if image.end is None else image.end
    if not _is_gzipped(path):
        size = Path(path).stat().st_size
    else:
        with gzip.open(path) as stream:  # only reading to the end finds a torn gzip file
            size = sum(iter(lambda: len(stream.read(1 << 20)), 0))
    if size < needed:
        raise OSError(f"the file is cut short: it has {size} bytes, and needs {needed} for its header and its pixels")
