"""Frames of several detectors in one file: an extension for each, plain or compressed."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

from armillary.butler import Butler
from armillary.cli.butler import main
from armillary.instrument.described import DescribedInstrument, InstrumentDescription
from armillary.instrument.raw_files import read_frames
from armillary.instrument.raw_formatter import read_raw
from armillary.instrument.wcs import tangent_wcs


def pixels(exposure, detector):
    return np.full((40, 60), 1000 * exposure + detector, np.uint16)


def write_file(path, exposure, detectors=(4, 7), *, key="CCDNUM", packed=False, extra=()):
    """A file whose detectors lie side by side, with a table between them."""
    primary = fits.PrimaryHDU()
    minute = f"2025-01-01T23:{exposure:02d}:00"
    cards = {"INSTRUME": "Mosaic", "EXPNUM": exposure, "DATE-OBS": minute, "EXPTIME": 9.0, "FILTER": "r"}
    primary.header.update(cards | {"OBSTYPE": "science", "OBJECT": "field"})
    parts = [primary, fits.BinTableHDU.from_columns([fits.Column("x", "J", array=[1, 2])], name="TELEMETRY")]
    for number in detectors:
        header = tangent_wcs(10.0 + number * 0.1, 0.0, 3.0, (40, 60)).to_header()
        if key:
            header[key] = number
        kind = fits.CompImageHDU if packed else fits.ImageHDU
        parts.append(kind(pixels(exposure, number), header))
    fits.HDUList([*parts, *extra]).writeto(path)
    return path


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "frames"
    made.mkdir()
    return made


@pytest.mark.parametrize("name", ["m{}.fits", "m{}.fits.gz", "m{}.fits.fz"])
def test_each_detector_is_a_dataset_of_the_one_file(tmp_path, folder, capfd, name):
    for exposure in (1, 2):
        write_file(folder / name.format(exposure), exposure, packed=name.endswith("fz"))
    repo = str(tmp_path / "repo")
    assert main(["init", repo, "--from", str(folder)]) == 0
    assert main(["ingest-raws", repo, str(folder)]) == 0
    assert main(["ingest-raws", repo, str(folder)]) == 0
    assert main(["define-visits", repo, "Mosaic"]) == 0
    out = capfd.readouterr().out
    assert "registered `Mosaic`: 2 detectors" in out
    assert "2 files of 2 exposures ingested\n" in out
    assert "2 were there already" in out
    with Butler(repo, collections="Mosaic/raw/all", instrument="Mosaic") as butler:
        refs = butler.query_datasets("raw")
        assert sorted(ref.dataId["detector"] for ref in refs) == [4, 4, 7, 7]
        assert len({str(butler.getURI(ref)) for ref in refs}) == 2
        for ref in refs:
            detector = ref.dataId["detector"]
            image = butler.get(ref)
            np.testing.assert_array_equal(image.array, pixels(image.header["EXPNUM"], detector))
            header = butler.get("raw.header", ref.dataId)
            assert (header["CCDNUM"], header["FILTER"], header["NAXIS1"], header["BITPIX"]) == (detector, "r", 60, 16)
            middle = butler.get("raw.wcs", ref.dataId).wcs_pix2world(29.5, 19.5, 0)
            assert [round(float(value), 6) for value in middle] == [10.0 + detector * 0.1, 0.0]
        regions = butler.query_dimension_records("visit_detector_region")
        assert sorted(record.detector for record in regions) == [4, 4, 7, 7]
        assert all(record.region is not None for record in regions)


def test_extensions_without_a_number_are_numbered_by_their_place(tmp_path, folder):
    write_file(folder / "m1.fits", 1, key=None)
    repo = str(tmp_path / "repo")
    assert main(["init", repo, "--from", str(folder)]) == 0
    assert main(["ingest-raws", repo, str(folder)]) == 0
    with Butler(repo, collections="Mosaic/raw/all", instrument="Mosaic") as butler:
        found = {ref.dataId["detector"]: butler.get(ref).array[0, 0] for ref in butler.query_datasets("raw")}
    assert found == {2: 1004, 3: 1007}


def test_the_only_image_of_a_file_needs_no_number(folder):
    write_file(folder / "m1.fits.fz", 1, [5], packed=True)
    assert (read_raw(str(folder / "m1.fits.fz")).array == pixels(1, 5)).all()
    write_file(folder / "m2.fits", 2)
    with pytest.raises(ValueError, match=r"none of the 2 images in the raw file `.*` is of detector 5"):
        read_raw(str(folder / "m2.fits"), 5)


def read(path, detector_key):
    description = InstrumentDescription(
        name="Mosaic",
        match={"INSTRUME": "Mosaic"},
        detectors={4: "4", 7: "7"},
        exposure_id="{EXPNUM}",
        header={"datetime_begin": "DATE-OBS", "exposure_time": "EXPTIME"}
        | ({"detector": detector_key} if detector_key else {}),
    )
    return read_frames([str(path)], [DescribedInstrument(description).translator])


@pytest.mark.parametrize(("key", "described"), [("CCDNUM", None), ("MYCHIP", "MYCHIP")])
def test_extensions_that_a_reader_could_not_tell_apart_are_refused(folder, key, described):
    frames, bad = read(write_file(folder / "m1.fits", 1, key=key), described)
    assert frames == []
    assert "each needs its own whole number under one of CCDNUM" in bad[0].reason


def test_two_amplifiers_of_one_detector_are_refused(folder):
    amplifier = fits.ImageHDU(pixels(1, 4), fits.Header([("CCDNUM", 4)]))
    frames, bad = read(write_file(folder / "m1.fits", 1, extra=[amplifier]), "CCDNUM")
    assert frames == []
    assert "is understood as detector 4, by which it cannot be told from" in bad[0].reason


@pytest.mark.parametrize("packing", [bytes, gzip.compress])
def test_a_file_without_its_last_extension_s_end_is_told(folder, packing):
    content = write_file(folder / "whole.fits", 1).read_bytes()
    last = content.rindex(b"XTENSION")
    for cut, reason in ((last + 1000, "Header"), (last + 3000, "cut short")):
        path = folder / "cut.fits"
        path.write_bytes(packing(content[:cut]))
        frames, bad = read(path, "CCDNUM")
        assert (frames, len(bad)) == ([], 1)
        assert reason in bad[0].reason


def test_a_file_without_images_is_told(folder):
    frames, bad = read(write_file(folder / "m1.fits", 1, ()), "CCDNUM")
    assert frames == []
    assert "the file holds no image" in bad[0].reason
