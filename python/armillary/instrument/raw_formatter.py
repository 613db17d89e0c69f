"""Raw FITS frames as `MaskedImage`: pixels as they were read out, with header and world coordinates."""

from __future__ import annotations

from typing import Any

from armillary.storage.formatter import FormatterV2


class RawFitsFormatter(FormatterV2):
    """Reads the primary image of a raw FITS file, plain or gzipped, and writes none.

    The image keeps the file's numbers, overscan included; there is no mask and no variance. The components `header`
    and `wcs` read the header alone.
    """

    can_read_from_local_file = True

    def read_from_local_file(self, path: str, component: str | None = None, expected_size: int = -1) -> Any:
        """Read the frame or one component of it; `ValueError` for a component that raw frames lack."""
        from armillary.instrument.raw_files import read_header
        from armillary.instrument.wcs import header_wcs

        if component in ("header", "wcs"):
            header = read_header(path)
            return header if component == "header" else header_wcs(header)
        if component not in (None, "image"):
            raise ValueError(f"a raw frame has no `{component}`")
        return read_raw(path).image if component else read_raw(path)


def read_raw(path: str) -> Any:
    """Read a raw frame of one image (`MaskedImage`, without mask and variance)."""
    from astropy.io import fits

    from armillary.instrument.wcs import header_wcs
    from armillary.storage.masked_image import MaskedImage

    with fits.open(path, memmap=False) as file:
        header, image = file[0].header, file[0].data
    try:
        wcs = header_wcs(header)
    except ValueError:  # a bias need not point anywhere
        wcs = None
    return MaskedImage(image=image, mask=None, variance=None, wcs=wcs, header=header)
