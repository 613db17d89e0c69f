import doctest

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS, Sip

import armillary.storage.masked_image as masked_image
from armillary.config import default_section
from armillary.storage.datastore_config import Formatters, make_formatter
from armillary.storage.location import FileDescriptor, Location
from armillary.storage.masked_image import Box, Image, MaskedImage
from armillary.storage.storage_class import find_storage_class


def sky(sip=False):
    wcs = WCS(naxis=2)
    wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = [10.5, 20.25], [30.0, 5.0], [-1e-4, 1e-4]
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    if sip:
        wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
        a, b = np.zeros((3, 3)), np.zeros((3, 3))
        a[2, 0], b[0, 2] = 1e-5, -2e-5
        wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    wcs.wcs.set()
    return wcs


@pytest.fixture
def picture():
    random = np.random.default_rng(3)
    image = random.normal(size=(40, 60)).astype(np.float32)
    made = MaskedImage(
        image, None, np.full(image.shape, 2, np.float32), sky(), {"EXPTIME": 30.0, "OBJECT": "Pluto"},
        mask_planes={"SAT": 1, "COSMIC_RAY": 4},
    )  # fmt: skip
    made.mask[3:7, 10:20] |= made.bit("COSMIC_RAY")
    made.image[0, 0] = np.nan
    return made


@pytest.fixture
def round_trip(universe, make_ref, tmp_path):
    formatters = Formatters(default_section("datastore")["formatters"], universe)

    def go(storage_class, value, *, component=None, parameters=None, write=None):
        ref = make_ref(storage_class)
        written = find_storage_class(storage_class)
        read = written.component(component) if component else written
        path = str(tmp_path / "picture.fits")
        descriptor = FileDescriptor(Location(None, path), written, read, component, parameters)
        formatter = make_formatter(formatters.find(ref).name, descriptor, ref, write_parameters=write)
        formatter.write_path(formatter.add_provenance(value), path)
        return formatter.read(component)

    return go


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_comes_back_whole(round_trip, picture, compression):
    found = round_trip("FitsMaskedImage", picture, write={"compression": compression})
    assert found == picture
    assert found.image.dtype == np.float32
    assert found.image.dtype.isnative
    assert found.mask.dtype == np.int32
    assert found.header["OBJECT"] == "Pluto"
    assert not [name for name in found.header if "BUTLER" in name]
    np.testing.assert_allclose(found.wcs.wcs_pix2world([[3, 4]], 0), picture.wcs.wcs_pix2world([[3, 4]], 0), rtol=1e-12)
    found.image[0, 0] = 1  # the file is closed and the pixels are ours


def test_lossy_pixels_are_near(round_trip, picture):
    picture.image[0, 0] = 0
    found = round_trip("FitsMaskedImage", picture, write={"compression": "rice"})
    assert np.abs(found.image - picture.image).max() < 0.2
    np.testing.assert_array_equal(found.mask, picture.mask)
    with pytest.raises(ValueError, match="`zip` is not a compression"):
        round_trip("FitsMaskedImage", picture, write={"compression": "zip"})


@pytest.mark.parametrize("sip", [False, True])
def test_a_cut_out_keeps_its_place(round_trip, picture, sip):
    picture.wcs = sky(sip)
    box = Box(12, 30, 5, 25)
    found = round_trip("FitsMaskedImage", picture, parameters={"bbox": box})
    assert found == picture[box]
    assert found.bbox == box
    at = [[20, 15]]
    here = [[20 - 12, 15 - 5]]
    np.testing.assert_allclose(found.wcs.all_pix2world(here, 0), picture.wcs.all_pix2world(at, 0), rtol=1e-12)
    again = round_trip("FitsMaskedImage", found)
    assert again == found
    inner = round_trip("FitsMaskedImage", found, parameters={"bbox": (15, 16, 8, 9)})
    assert inner == picture[Box(15, 16, 8, 9)]
    np.testing.assert_allclose(
        inner.wcs.all_pix2world([[0, 0]], 0), picture.wcs.all_pix2world([[15, 8]], 0), rtol=1e-12
    )


@pytest.mark.parametrize("box", [(0, 0, 10, 10), (5, 0, 10, 20), (0, 5, 20, 10), (0, 5, 10, 10), [3, 3, 0, 9]])
def test_four_numbers_that_rather_are_corners_are_refused_with_the_order(round_trip, picture, box):
    with pytest.raises(ValueError, match=r"read as x_min, x_max, y_min, y_max, and `.*` would be x .*; name them"):
        round_trip("FitsMaskedImage", picture, parameters={"bbox": box})


def test_a_box_may_be_named_limits(round_trip, picture):
    limits = {"x_min": 3, "x_max": 3, "y_min": 0, "y_max": 9}
    assert round_trip("FitsMaskedImage", picture, parameters={"bbox": limits}) == picture[Box(3, 3, 0, 9)]
    del limits["y_max"]
    with pytest.raises(ValueError, match="lacks `y_max`"):
        round_trip("FitsMaskedImage", picture, parameters={"bbox": limits})


@pytest.mark.parametrize("box", [Box(50, 60, 0, 3), Box(-1, 3, 0, 3), (0, 3, 30, 99)])
def test_a_box_that_is_not_inside_is_refused(round_trip, picture, box):
    with pytest.raises(ValueError, match="is not inside"):
        round_trip("FitsMaskedImage", picture, parameters={"bbox": box})


def test_only_the_pixels_of_the_box_are_read(tmp_path, round_trip):
    """A box of a large image takes little memory: numpy's allocations are watched."""
    import tracemalloc

    large = MaskedImage(np.zeros((2000, 2000), np.float32))
    round_trip("FitsMaskedImage", large, parameters={"bbox": Box(0, 1, 0, 1)})
    storage_class = find_storage_class("FitsMaskedImage")
    descriptor = FileDescriptor(
        Location(None, str(tmp_path / "picture.fits")), storage_class, parameters={"bbox": Box(100, 149, 100, 149)}
    )
    formatter = make_formatter("armillary.storage.formatters.fits_image.FitsImageFormatter", descriptor, None)
    tracemalloc.start()
    assert formatter.read().image.shape == (50, 50)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


def test_components(round_trip, picture):
    np.testing.assert_array_equal(round_trip("FitsMaskedImage", picture, component="mask"), picture.mask)
    assert round_trip("FitsMaskedImage", picture, component="bbox") == Box(0, 59, 0, 39)
    assert round_trip("FitsMaskedImage", picture, component="header")["EXPTIME"] == 30.0
    assert round_trip("FitsMaskedImage", picture, component="wcs").wcs.crpix[0] == 10.5
    cut = round_trip("FitsMaskedImage", picture, component="variance", parameters={"bbox": Box(0, 1, 0, 2)})
    assert cut.shape == (3, 2)


def test_other_objects(round_trip, picture):
    image = Image(picture.image, picture.wcs, picture.header)
    assert round_trip("FitsImage", image) == image
    np.testing.assert_array_equal(round_trip("FitsArray", picture.mask), picture.mask)
    for dtype in (np.uint8, np.int16, np.uint16, np.int64, np.float64):
        pixels = np.arange(6).reshape(2, 3).astype(dtype)
        found = round_trip("FitsArray", pixels)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, pixels)
    assert round_trip("FitsWcs", picture.wcs).wcs.crval[0] == 30.0
    assert round_trip("FitsHeader", picture.header)["OBJECT"] == "Pluto"
    assert round_trip("PixelBox", Box(1, 2, 3, 4)) == Box(1, 2, 3, 4)
    bare = round_trip("FitsMaskedImage", MaskedImage(np.zeros((2, 3), np.float32)))
    assert bare.wcs is None


def test_a_file_of_somebody_else(tmp_path, make_ref):
    path = tmp_path / "raw.fits"
    header = fits.Header({"OBJECT": "flat", "EXPTIME": 3})
    fits.PrimaryHDU(np.arange(12, dtype=np.uint16).reshape(3, 4), header).writeto(path)
    descriptor = FileDescriptor(
        Location(None, str(path)), find_storage_class("FitsImage"), parameters={"bbox": (1, 2, 0, 1)}
    )
    formatter = make_formatter(
        "armillary.storage.formatters.fits_image.FitsImageFormatter", descriptor, make_ref("int")
    )
    found = formatter.read()
    np.testing.assert_array_equal(found.array, [[1, 2], [5, 6]])
    assert found.header["OBJECT"] == "flat"
    assert found.wcs is None


def test_bad_images_are_refused(round_trip):
    with pytest.raises(ValueError, match="two dimensions"):
        MaskedImage(np.zeros(3))
    with pytest.raises(ValueError, match=r"the mask has the shape \(2, 2\)"):
        MaskedImage(np.zeros((3, 3)), np.zeros((2, 2), int))
    with pytest.raises(ValueError, match="holds integers"):
        MaskedImage(np.zeros((3, 3)), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="holds no pixel"):
        Box(3, 2, 0, 0)
    with pytest.raises(ValueError, match="has the limits"):
        Box.of([1, 2, 3])


def test_boxes():
    box = Box(0, 9, 0, 4)
    assert box.intersection(Box(8, 20, 4, 4)) == Box(8, 9, 4, 4)
    assert box.intersection(Box(10, 20, 0, 4)) is None
    assert Box.of({"x_min": 0, "x_max": 9, "y_min": 0, "y_max": 4}) == box


def test_examples_run():
    result = doctest.testmod(masked_image)
    assert result.attempted > 0
    assert result.failed == 0
