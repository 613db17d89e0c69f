"""Broken raw files are told apart, each with its reason, and never stop the others."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from armillary.demo.simulate import Survey, write_survey
from armillary.instrument import Nickel
from armillary.instrument.raw_files import find_files, read_frames
from armillary.instrument.raw_formatter import read_raw


@pytest.fixture
def frames(tmp_path):
    return write_survey(tmp_path / "raw", Survey(size=64, stars=3, science=(("V", 1),), biases=1, flats=1))


def read(paths, **options):
    return read_frames([str(path) for path in paths], [Nickel().translator], **options)


def test_directories_are_searched_and_named_files_taken(frames, tmp_path):
    odd = tmp_path / "raw" / "frame.dat"
    odd.write_bytes(frames[0].read_bytes())
    packed = tmp_path / "raw" / "x.fits.gz"
    packed.write_bytes(gzip.compress(frames[0].read_bytes()))
    assert find_files([tmp_path / "raw"]) == sorted(str(path) for path in [*frames, packed])
    assert find_files([odd, odd, tmp_path / "raw"], pattern=r"\.none$") == [str(odd)]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_files([tmp_path / "nowhere"])


def test_a_file_is_found_once_however_its_place_is_written(frames, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    expected = sorted(map(str, frames))
    assert find_files(["../raw", tmp_path / "raw", f"../here/../{frames[0].relative_to(tmp_path)}"]) == expected
    (tmp_path / "link").symlink_to(tmp_path / "raw")
    (tmp_path / "frame.fits").write_bytes(frames[0].read_bytes())
    assert find_files([tmp_path / "link" / ".." / "frame.fits"]) == [str(tmp_path / "frame.fits")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every directory")
def test_a_directory_that_cannot_be_listed_is_an_error(frames, tmp_path):
    (tmp_path / "raw").chmod(0)
    try:
        with pytest.raises(PermissionError):
            find_files([tmp_path / "raw"])
    finally:
        (tmp_path / "raw").chmod(0o700)


@pytest.mark.parametrize("jobs", [1, 4])
def test_each_broken_file_is_named_and_the_rest_are_read(frames, tmp_path, jobs):
    good, content = frames[0], frames[0].read_bytes()
    broken = {
        "empty.fits": (b"", "empty"),
        "text.fits": (b"hello\n" * 1000, "no FITS file"),
        "head.fits": (content[:1000], "Header size"),
        "cut.fits": (content[: len(content) // 2], "cut short"),
        "torn.fits.gz": (gzip.compress(content)[:-500], "marker|cut short|end"),
        "fake.fits.gz": (b"not gzip", "no FITS file"),
        "noise.fits": (np.random.default_rng(1).bytes(20000), "no FITS file"),
    }
    for name, (data, _) in broken.items():
        (tmp_path / name).write_bytes(data)
    read_frame, bad = read([good, *(tmp_path / name for name in broken), *frames[1:]], jobs=jobs)
    assert [frame.path for frame in read_frame] == [str(path) for path in frames]
    assert [Path(file.path).name for file in bad] == list(broken)
    for file, (_, reason) in zip(bad, broken.values(), strict=True):
        assert any(word in file.reason for word in reason.split("|")), file


def test_a_torn_gzip_file_passes_only_without_the_check(frames, tmp_path):
    torn = tmp_path / "torn.fits.gz"
    torn.write_bytes(gzip.compress(frames[0].read_bytes())[:-200])
    assert len(read([torn])[1]) == 1
    assert len(read([torn], check_data=False)[0]) == 1


def test_a_file_is_unpacked_whatever_its_name_says(frames, tmp_path):
    content = frames[0].read_bytes()
    packed, plain = tmp_path / "packed.fits", tmp_path / "plain.fits.gz"
    packed.write_bytes(gzip.compress(content))
    plain.write_bytes(content)
    torn = tmp_path / "torn.fits"
    torn.write_bytes(gzip.compress(content)[:-200])
    found, bad = read([packed, plain, torn])
    assert [frame.path for frame in found] == [str(packed), str(plain)]
    assert [file.path for file in bad] == [str(torn)]
    for path in (packed, plain):
        assert (read_raw(str(path)).array == fits.getdata(frames[0])).all()


def test_a_translator_that_fails_for_a_frame_keeps_no_other_out(frames, monkeypatch):
    camera = Nickel()
    translator, first = camera.translator, []

    def translate(header):
        if not first:
            first.append(header)
            raise KeyError("GAIN")
        return type(translator).translate(translator, header)

    monkeypatch.setattr(translator, "translate", translate, raising=False)
    found, bad = read_frames([str(path) for path in frames], [translator])
    assert (len(found), len(bad)) == (len(frames) - 1, 1)
    assert (bad[0].path, bad[0].reason) == (str(frames[0]), "KeyError: 'GAIN'")


def test_a_frame_of_another_camera_is_named(tmp_path):
    other = tmp_path / "other.fits"
    fits.PrimaryHDU(np.zeros((4, 4), np.int16), fits.Header([("INSTRUME", "Other")])).writeto(other)
    _, bad = read([other])
    assert "the camera `Other`, which no registered instrument knows" in bad[0].reason
