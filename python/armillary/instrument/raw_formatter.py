"""Raw FITS frames as `Image`: pixels as they were read out, with header and world coordinates."""

from __future__ import annotations

from typing import Any

from armillary.storage.formatter import FormatterV2


class RawFitsFormatter(FormatterV2):
    """Reads the primary image of a raw FITS file, plain or gzipped, and writes none.

    The image keeps the file's numbers, overscan included. `header` and `wcs` read the header alone; the parameter
    `bbox` gives the pixels of a box.
    """

    can_read_from_local_file = True

    def read_from_local_file(self, path: str, component: str | None = None, expected_size: int = -1) -> Any:
        """Read the frame or one component of it; `ValueError` for a component that raw frames lack."""
        from armillary.instrument.raw_files import read_header
        from armillary.instrument.wcs import header_wcs

        if component == "header":
            return read_header(path)
        if component == "wcs":
            return header_wcs(read_header(path))
        image = read_raw(path)
        bbox = (self.file_descriptor.parameters or {}).get("bbox")
        if bbox is not None:
            image = image[bbox]
        if component is None:
            return image
        if component in ("array", "bbox"):
            return getattr(image, component)
        raise ValueError(f"a raw frame has no component `{component}`")


def read_raw(path: str) -> Any:
    """Read a raw frame of one image (`armillary.storage.masked_image.Image`)."""
    from astropy.io import fits

    from armillary.instrument.raw_files import read_header
    from armillary.instrument.wcs import header_wcs
    from armillary.storage.masked_image import Image

    header = read_header(path)  # before astropy reads the pixels and takes the scaling cards away
    with fits.open(path, memmap=False) as file:
        pixels = file[0].data
    if pixels is None:
        raise ValueError("the raw frame's first image has no pixels")
    try:
        wcs = header_wcs(header)
    except ValueError:  # a bias need not point anywhere
        wcs = None
    return Image(pixels, wcs, header)
