"""Raw FITS frames as `Image`: pixels as they were read out, with header and world coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armillary.storage.formatter import FormatterV2

if TYPE_CHECKING:
    from armillary.instrument.raw_headers import RawImage


class RawFitsFormatter(FormatterV2):
    """Reads a raw FITS file, plain or gzipped, and writes none.

    A file whose primary image has no pixels holds a frame in each extension that is an image, plain or compressed; the
    detector of the data ID chooses one. The image keeps the file's numbers, overscan included. `header` and `wcs` read
    headers alone; the parameter `bbox` gives the pixels of a box.
    """

    can_read_from_local_file = True

    def read_from_local_file(self, path: str, component: str | None = None, expected_size: int = -1) -> Any:
        """Read the frame or one component of it; `ValueError` for a component that raw frames lack."""
        from armillary.instrument.wcs import header_wcs

        detector = self.data_id.get("detector")
        if component == "header":
            return _raw_image(path, detector).header
        if component == "wcs":
            return header_wcs(_raw_image(path, detector).header)
        image = read_raw(path, detector)
        bbox = (self.file_descriptor.parameters or {}).get("bbox")
        if bbox is not None:
            image = image[bbox]
        if component is None:
            return image
        if component in ("array", "bbox"):
            return getattr(image, component)
        raise ValueError(f"a raw frame has no component `{component}`")


def read_raw(path: str, detector: int | None = None) -> Any:
    """Read a raw frame of one image, or that of a detector (`armillary.storage.masked_image.Image`)."""
    from astropy.io import fits

    from armillary.instrument.wcs import header_wcs
    from armillary.storage.masked_image import Image

    raw = _raw_image(path, detector)  # before astropy reads the pixels and takes the scaling cards away
    with fits.open(path, memmap=False) as file:
        pixels = file[raw.place].data
    try:
        wcs = header_wcs(raw.header)
    except ValueError:  # a bias need not point anywhere
        wcs = None
    return Image(pixels, wcs, raw.header)


def _raw_image(path: str, detector: int | None) -> RawImage:
    """Where a frame is in its file, and its header; `ValueError` if the file has none of the detector."""
    from armillary.instrument.raw_headers import image_of_detector, read_images

    images = read_images(path)
    found = images[0] if len(images) == 1 else None if detector is None else image_of_detector(images, detector)
    if found is None:
        raise ValueError(f"none of the {len(images)} images in the raw file `{path}` is of detector {detector}")
    return found
