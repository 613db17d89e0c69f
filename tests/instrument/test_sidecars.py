"""Headers beside the frames: sidecar files, and an index of a folder, as `astrometadata` writes them."""

import json

import numpy as np
import pytest
from astro_metadata_translator.indexing import calculate_index
from astropy.io import fits

from armillary.instrument.described import HeaderTranslator, InstrumentDescription
from armillary.instrument.raw_files import find_files, read_frames

CAMERA = InstrumentDescription(
    "Cam",
    match={"INSTRUME": "Cam"},
    exposure_id="{N}",
    header={"datetime_begin": "DATE-OBS", "exposure_time": "EXPTIME", "object": "OBJECT"},
)


@pytest.fixture
def folder(tmp_path):
    for number in (1, 2):
        header = {"INSTRUME": "Cam", "N": number, "DATE-OBS": "2025-01-01T00:00:00", "EXPTIME": 1.0, "OBJECT": "wrong"}
        fits.writeto(tmp_path / f"f{number}.fits", np.zeros((4, 4), "i2"), fits.Header(header))
    return tmp_path


def corrected(folder, number):
    return dict(fits.getheader(folder / f"f{number}.fits")) | {"OBJECT": "right"}


def targets(folder, **options):
    frames, bad = read_frames(find_files([folder]), [HeaderTranslator(CAMERA)], **options)
    return [frame.info.object for frame in frames], [(file.path[-7:], file.reason) for file in bad]


def test_a_sidecar_stands_in_for_the_header(folder):
    (folder / "f1.json").write_text(json.dumps(corrected(folder, 1) | {"__CONTENT__": "metadata"}))
    (folder / "f2.json").write_text(json.dumps({"__CONTENT__": "translated", "instrument": "Cam"}))
    assert targets(folder) == (["right", "wrong"], [])


def test_an_index_is_read_when_asked_for(folder):
    index = calculate_index({f"f{number}.fits": corrected(folder, number) for number in (1, 2)}, "metadata")
    (folder / "_index.json").write_text(json.dumps(index))
    assert targets(folder) == (["wrong", "wrong"], [])
    assert targets(folder, search_indexes=True) == (["right", "right"], [])


def test_a_broken_sidecar_costs_its_own_frame_only(folder):
    (folder / "f1.json").write_text("[")
    found, ((name, reason),) = targets(folder)
    assert (found, name) == (["wrong"], "f1.fits")
    assert "f1.json` is not JSON" in reason
