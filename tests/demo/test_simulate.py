"""The simulated survey: repeatable, readable, and with the object it promises."""

import numpy as np
import pytest
from astropy.io import fits

from armillary.demo.simulate import Survey, write_survey

SMALL = Survey(size=96, stars=10, science=(("V", 2), ("B", 1)), biases=2, flats=2)


def test_equal_seeds_give_equal_bytes(tmp_path):
    first = write_survey(tmp_path / "first", SMALL)
    second = write_survey(tmp_path / "second", SMALL)
    assert len(first) == 2 * (2 + 4 + 3)
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_another_seed_gives_other_stars(tmp_path):
    from dataclasses import replace

    first = write_survey(tmp_path / "first", SMALL)
    second = write_survey(tmp_path / "second", replace(SMALL, seed=1))
    assert first[-1].read_bytes() != second[-1].read_bytes()


def test_frames_look_like_raw_frames_of_the_camera(tmp_path):
    files = write_survey(tmp_path, SMALL)
    kinds = []
    for file in files:
        header, data = fits.getheader(file), fits.getdata(file)
        assert data.dtype == np.uint16
        assert data.shape == (96, 96 + 32)
        assert header["INSTRUME"] == "Nickel Direct Camera"
        kinds.append((header["OBSTYPE"], header["EXPTIME"]))
        assert np.median(data[:, -30:]) == pytest.approx(1000, abs=5)
    assert kinds.count(("DARK", 0.0)) == 4
    starts = [fits.getheader(file)["DATE-BEG"] for file in files]
    assert starts == sorted(starts)
