"""The demo's measuring functions against figures measured independently on 52 real frames."""

import json

import numpy as np
import pytest
from astropy.io import fits

from armillary.demo.alignment import AlignmentError, flux_ratio, measure_shift
from armillary.demo.calibration import (
    FrameLayout,
    combine_bias,
    combine_flat,
    remove_signature,
    spread_mask,
    subtract_overscan,
)
from armillary.demo.coaddition import Layer, coadd_layers, shifted_wcs, warp_layer
from armillary.demo.detection import clean_sources, detect_sources, measure_background, noise
from armillary.demo.difference import brightest_pair, find_residuals, subtract_layers
from armillary.instrument.wcs import header_wcs, tangent_wcs
from conftest import shared_path

NIGHTS = {"20190922": range(2051, 2100), "20190923": range(3009, 3174)}
CALIBRATIONS = {
    "20190922": ([2051, 2052, 2053], {"V": [2057, 2058, 2059]}),
    "20190923": ([3021, 3022, 3023], {"V": [3009, 3010, 3011], "B": [3012, 3013, 3014]}),
}


def night_of(obsnum):
    return next(night for night, numbers in NIGHTS.items() if obsnum in numbers)


def frame_path(obsnum):
    return shared_path("data", "frames", "nickel2019", "raw", night_of(obsnum), f"d{obsnum}.fits.gz")


@pytest.fixture(scope="module")
def reference():
    return json.loads(shared_path("data", "frames", "nickel2019", "reference_measurements.json").read_text())


@pytest.fixture(scope="module")
def layout():
    header = fits.getheader(frame_path(2051))
    return FrameLayout.from_header(header, gain=1.8, read_noise=5.9, saturation=60000.0)


@pytest.fixture(scope="module")
def calibrations(layout):
    made = {}
    for night, (biases, flats) in CALIBRATIONS.items():
        bias = combine_bias([subtract_overscan(fits.getdata(frame_path(n)), layout) for n in biases])
        for name, numbers in flats.items():
            frames = [subtract_overscan(fits.getdata(frame_path(n)), layout) for n in numbers]
            made[night, name] = bias, combine_flat(frames, bias)
    return made


@pytest.fixture(scope="module")
def measured(reference, layout, calibrations):
    """Layer without sky, sky, all clean sources, by obsnum."""
    result = {}
    for key, entry in reference["exposures"].items():
        raw = fits.getdata(frame_path(int(key)))
        image, mask, variance = remove_signature(raw, layout, *calibrations[night_of(int(key)), entry["filter"]])
        sky = measure_background(image)
        sources = clean_sources(detect_sources(image - sky.model, sky.rms))
        layer = Layer(image - sky.model, spread_mask(mask, reach=2, edge=16), variance)
        result[int(key)] = layer, sky, sources
    return result


def positions(sources):
    return np.column_stack([sources["x"], sources["y"]])


def test_flats_have_the_measured_levels(reference, calibrations):
    for (night, name), (_, flat) in calibrations.items():
        expected = reference["calibs"][f"flat/{night}/{name}"]
        assert np.nanpercentile(flat, 1) == pytest.approx(expected["p1"], abs=0.005)
        assert np.nanpercentile(flat, 99) == pytest.approx(expected["p99"], abs=0.005)


def test_sky_noise_and_source_counts_agree_on_every_frame(reference, measured):
    for key, entry in reference["exposures"].items():
        _, sky, sources = measured[int(key)]
        assert sky.level == pytest.approx(entry["sky_adu"], abs=0.02), key
        assert sky.rms == pytest.approx(entry["rms_adu"], abs=0.02), key
        assert abs(len(sources["x"]) - entry["n_sources"]) <= 1, key
        assert np.median(sources["fwhm"]) == pytest.approx(entry["median_fwhm_pix"], abs=0.02), key


def test_shifts_and_matches_agree_on_every_aligned_frame(reference, measured):
    aligned = {int(k): e for k, e in reference["exposures"].items() if "n_matched" in e}
    assert len(aligned) == 20
    for obsnum, entry in aligned.items():
        stars, against = (positions(measured[n][2]) for n in (obsnum, int(entry["shift_reference"])))
        shift = measure_shift(stars, against)
        assert (shift.x, shift.y) == pytest.approx(entry["shift_pix"], abs=0.15), obsnum
        assert abs(shift.matched - entry["n_matched"]) <= 1, obsnum


@pytest.fixture(scope="module")
def coadds(measured):
    """The two nights of the Pluto field on one north-up grid, with the star width of each."""
    first = fits.getheader(frame_path(2090))
    origin = header_wcs(first)
    grid = tangent_wcs(first["CRVAL1"], first["CRVAL2"], 0.37, (1200, 1200))
    _, _, reference_sources = measured[2090]
    nights = {"20190922": [], "20190923": []}
    for obsnum in [*range(2090, 2100), *range(3092, 3100)]:
        layer, _, sources = measured[obsnum]
        if np.median(sources["fwhm"]) > 7:  # 3098 was taken in bad seeing
            continue
        stars, against = positions(sources), positions(reference_sources)
        shift = measure_shift(stars, against)
        scale = flux_ratio(stars, sources["aperture_flux"], against, reference_sources["aperture_flux"], shift)
        moved = shifted_wcs(origin, shift.x, shift.y)
        nights[night_of(obsnum)].append(warp_layer(layer, moved, grid, (1200, 1200), scale))
    return {night: coadd_layers(layers) for night, layers in nights.items()}


def test_ten_frames_coadd_below_2_7_adu(coadds):
    coadd = coadds["20190922"]
    assert noise(coadd.image[coadd.depth == 10]) < 2.7
    assert noise(coadd.image[coadd.depth == 10]) > 1.5  # noise that vanishes was smoothed away


def test_pluto_is_the_brightest_residual_pair(coadds, reference):
    layers = [Layer(c.image, c.mask, c.variance) for c in coadds.values()]
    widths = [
        float(np.median(clean_sources(detect_sources(c.image, noise(c.image[c.mask == 0]), c.mask))["fwhm"]))
        for c in coadds.values()
    ]
    difference = subtract_layers(*layers, *widths)
    residuals = find_residuals(difference, *layers, fwhm=max(widths))
    pair = brightest_pair(residuals)
    expected = reference["pluto"]
    assert pair is not None
    assert pair.distance == pytest.approx(expected["motion_pix"], abs=1.0)
    assert pair.first_flux == pytest.approx(expected["night1_flux_adu"], rel=0.1)
    grid, origin = tangent_wcs(*fits_centre(), 0.37, (1200, 1200)), header_wcs(fits.getheader(frame_path(2090)))
    place = origin.all_world2pix(grid.all_pix2world([[pair.first_x, pair.first_y]], 0), 0)[0]
    assert place == pytest.approx(expected["night1_xy"], abs=1.0)


def fits_centre():
    header = fits.getheader(frame_path(2090))
    return header["CRVAL1"], header["CRVAL2"]


def test_unrelated_star_lists_are_refused():
    random = np.random.default_rng(7)
    with pytest.raises(AlignmentError, match=r"agree on a shift|have no"):
        measure_shift(random.uniform(0, 4000, (12, 2)), random.uniform(0, 4000, (12, 2)))
    with pytest.raises(AlignmentError):
        measure_shift(np.empty((0, 2)), random.uniform(0, 4000, (12, 2)))


def test_unequal_calibration_frames_are_named():
    with pytest.raises(ValueError, match=r"bias frames differ in shape: \(2, 2\), \(3, 2\)"):
        combine_bias([np.zeros((2, 2), np.float32), np.zeros((3, 2), np.float32)])
    with pytest.raises(ValueError, match="no flat frames"):
        combine_flat([], np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="was the lamp on"):
        combine_flat([np.zeros((2, 2), np.float32)], np.zeros((2, 2), np.float32))


def test_a_header_without_layout_is_refused():
    with pytest.raises(ValueError, match="DATASEC"):
        FrameLayout.from_header({"NAXIS1": 1056}, 1.0, 1.0, 60000.0)


def test_a_frame_of_another_readout_is_refused(layout):
    with pytest.raises(ValueError, match="needs at least 1056 columns"):
        subtract_overscan(np.zeros((10, 500), np.uint16), layout)


def test_a_cosmic_ray_in_one_layer_does_not_reach_the_coadd():
    random = np.random.default_rng(3)
    clear, variance = np.zeros((50, 50), np.int32), np.full((50, 50), 4.0, np.float32)
    layers = [Layer(random.normal(0, 2, (50, 50)).astype(np.float32), clear, variance) for _ in range(5)]
    layers[2].image[10, 10] = 5000.0
    coadd = coadd_layers(layers)
    assert abs(coadd.image[10, 10]) < 5
    assert coadd.depth[10, 10] == 4


def test_masked_pixels_carry_no_flux_into_the_coadd():
    variance = np.ones((4, 4), np.float32)
    masked = Layer(np.full((4, 4), 99.0, np.float32), np.ones((4, 4), np.int32), variance)
    clear = Layer(np.full((4, 4), 2.0, np.float32), np.zeros((4, 4), np.int32), variance)
    assert coadd_layers([masked, clear]).image.tolist() == np.full((4, 4), 2.0).tolist()
    alone = coadd_layers([masked])
    assert not alone.image.any()
    assert (alone.mask != 0).all()
