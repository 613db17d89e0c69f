"""Cameras without a class: guessed from their frames, described in YAML, registered, ingested, their visits defined."""

import csv
import gzip
import os
import re
import shutil

import pytest
from lsst.sphgeom import LonLat

from armillary.butler import Butler
from armillary.cli.butler import main
from armillary.errors import ConfigurationError
from armillary.instrument import DescribedInstrument, Instrument, InstrumentDescription, guess_descriptions
from armillary.instrument.described import HeaderTranslator
from armillary.instrument.observation_info import TranslationError

NICKEL = "Nickel Direct Camera"


def rows(repo, element, **data_id):
    with Butler(repo) as butler:
        return list(butler.registry.queryDimensionRecords(element, **data_id))


@pytest.fixture(scope="module")
def nickel(shared_path, tmp_path_factory):
    """A repository made for the 52 Nickel frames and a broken one, without being told what camera took them."""
    folder = tmp_path_factory.mktemp("nickel")
    frames = folder / "frames"
    shutil.copytree(shared_path("data", "frames", "nickel2019", "raw"), frames, copy_function=os.symlink)
    broken = frames / "20190922" / "d9999.fits"
    broken.write_bytes(gzip.decompress((frames / "20190922" / "d2051.fits.gz").read_bytes())[:40000])
    repo = str(folder / "repo")
    assert main(["init", repo, "--from", str(frames), "--description", str(folder / "camera.yaml")]) == 0
    return repo, frames, folder / "camera.yaml"


def test_frames_go_in_as_their_list_has_them(nickel, shared_path, capfd):
    repo, frames, _ = nickel
    assert main(["ingest-raws", repo, str(frames), "-t", "direct", "-j", "2"]) == 1
    captured = capfd.readouterr()
    assert "52 files of 52 exposures ingested, 1 could not be used" in captured.out
    assert "d9999.fits`: the file is cut short" in captured.err
    with open(shared_path("data", "frames", "nickel2019", "exposures.csv"), newline="") as stream:
        listed = {(int(row["day_obs"]), int(row["obsnum"])): row for row in csv.DictReader(stream)}
    found = {(record.day_obs, record.seq_num): record for record in rows(repo, "exposure", instrument=NICKEL)}
    assert found.keys() == listed.keys()
    for key, record in found.items():
        row = listed[key]
        assert (record.physical_filter, record.observation_type) == (row["filter"], row["kind"]), key
        assert record.exposure_time == pytest.approx(float(row["exptime"]))
        assert record.timespan.begin.utc.isot[:22] == row["date_beg"][:22]
    assert main(["define-visits", repo, NICKEL]) == 0
    science = [row for row in listed.values() if row["kind"] == "science"]
    visits = rows(repo, "visit", instrument=NICKEL)
    assert len(visits) == len(science)
    for visit in visits:
        row = listed[visit.day_obs, visit.seq_num]
        centre = visit.region.getBoundingCircle().getCenter()
        away = abs(LonLat(centre).getLat().asDegrees() - float(row["crval2"]))
        assert away < 0.01


def test_a_description_is_edited_and_taken_again(nickel, tmp_path):
    _, _, file = nickel
    text = file.read_text().replace("  B: B\n", "  B: b\n  R: r\n")
    edited = tmp_path / "edited.yaml"
    edited.write_text(text)
    repo = str(tmp_path / "repo")
    assert main(["create", repo]) == 0
    assert main(["register-instrument", repo, str(file)]) == 0
    assert main(["register-instrument", repo, str(edited)]) == 1  # the band of B differs
    assert main(["register-instrument", repo, str(edited), "--update"]) == 0
    filters = {record.name: record.band for record in rows(repo, "physical_filter", instrument=NICKEL)}
    assert filters == {"B": "b", "R": "r", "V": "V"}
    with Butler(repo) as butler:
        camera = Instrument.fromName(NICKEL, butler.registry)
    assert isinstance(camera, DescribedInstrument)
    assert camera.description == InstrumentDescription.read(edited)


def test_a_second_init_keeps_what_was_edited_and_adds_what_is_new(nickel, tmp_path, capfd):
    from astropy.io import fits

    _, frames, _ = nickel
    repo, first, second = str(tmp_path / "repo"), tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    shutil.copy(frames / "20190922" / "d2091.fits.gz", first)
    assert main(["init", repo, "--from", str(first)]) == 0
    place = tmp_path / "repo" / "instruments" / f"{NICKEL}.yaml"
    edited = place.read_text().replace("0: '0'", "0: Loral").replace("  V: V\n", "  V: v\n")
    edited = re.sub(r"day_offset: \d+", "day_offset: 72000", edited)
    place.write_text(edited)
    assert main(["register-instrument", repo, str(place), "--update"]) == 0
    kept = InstrumentDescription.read(place)
    assert (kept.detectors, kept.filters, kept.day_offset) == ({0: "Loral"}, {"V": "v"}, 72000)
    with fits.open(first / "d2091.fits.gz") as opened:
        opened[0].header["FILTNAM"] = "B"
        opened.writeto(second / "other.fits")
    assert main(["init", repo, "--from", str(second)]) == 0
    assert "which is kept" in capfd.readouterr().err
    found = InstrumentDescription.read(place)
    assert list(found.filters.items()) == [("V", "v"), ("B", "B")]  # the order numbers them
    assert (found.detectors, found.day_offset, found.exposure_id) == ({0: "Loral"}, 72000, kept.exposure_id)
    assert {record.name for record in rows(repo, "physical_filter")} == {"V", "B"}


def test_a_copy_of_a_frame_does_not_change_how_exposures_are_numbered(shared_path, tmp_path):
    frames = shared_path("data", "frames", "nickel2019", "raw", "20190922")
    for name in ("d2051", "d2091"):
        shutil.copy(frames / f"{name}.fits.gz", tmp_path)
    shutil.copy(tmp_path / "d2091.fits.gz", tmp_path / "copy.fits.gz")
    (found,) = guess_descriptions([tmp_path])
    assert found.exposure_id == "{day}{OBSNUM:04d}"


def test_a_drift_scan_has_an_exposure_for_each_filter(shared_path, tmp_path, capfd):
    frames = str(shared_path("data", "frames", "sdss-stripe82", "input"))
    repo = str(tmp_path / "repo")
    names = ("--regex", r"^fpC.*\.fit")
    assert main(["init", repo, "--from", frames, *names]) == 0
    assert main(["ingest-raws", repo, frames, *names, "-t", "direct"]) == 0
    assert "10 files of 10 exposures ingested" in capfd.readouterr().out
    (camera,) = rows(repo, "instrument")
    found = rows(repo, "exposure", instrument=camera.name)
    assert sorted({(record.day_obs, record.physical_filter) for record in found}) == [
        (day, name) for day in (20031018, 20060919) for name in "giruz"
    ]
    assert {record.exposure_time for record in found} == {53.907456}
    # A name with a dot is no class.
    assert camera.name == "2.5m"
    assert main(["define-visits", repo, camera.name]) == 0
    assert len(rows(repo, "visit", instrument=camera.name)) == 10
    assert main(["define-visits", repo, "2.4m"]) == 1
    assert "no camera is registered under that name either" in capfd.readouterr().err


GOOD = "name: Cam\nmatch: {INSTRUME: Cam}\nheader: {datetime_begin: DATE-OBS, exposure_time: EXPTIME}\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1]", "must be a mapping with a `name`"),
        (GOOD.replace("Cam\nm", "../../etc\nm"), "cannot be a camera's name"),
        (GOOD + "filtres: {}\n", "did you mean `filters`"),
        (GOOD.replace("exposure_time", "exposure_tim"), "did you mean `exposure_time`"),
        (GOOD.replace(", exposure_time: EXPTIME", ""), "which keyword holds `exposure_time`"),
        (GOOD.replace("match: {INSTRUME: Cam}\n", ""), "`match` must say"),
        (GOOD + "translator: magic\n", "`magic` is no translator"),
        (GOOD + "detectors: {a: b}\n", "no description of a camera"),
        (GOOD + "detectors: {-1: b}\n", "by whole numbers from 0"),
        (GOOD + "filters: [g, r]\n", "`filters` must be a mapping"),
        (GOOD + "filters: {Off: white}\n", "for `False`; write it in quotes"),
        (GOOD + "day_offset: noon\n", "`day_offset` must be a whole number of seconds"),
        (GOOD + "day_offset: 100000\n", "of a day at most"),
        (GOOD + "exposure_id: '{NUMBER:0999999999d}'\n", "the format `0999999999d` for `NUMBER`"),
        (GOOD + "filters: !!python/object/apply:os.system [ls]\n", "python/object"),
    ],
)
def test_bad_descriptions_are_refused(tmp_path, text, reason):
    file = tmp_path / "camera.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=reason):
        InstrumentDescription.read(file)


def test_a_description_is_not_written_through_a_link(tmp_path):
    Butler.makeRepo(tmp_path / "repo")
    (tmp_path / "camera.yaml").write_text(GOOD)
    (tmp_path / "mine").write_text("mine")
    folder = tmp_path / "repo" / "instruments"
    folder.mkdir()
    for name in ("Cam.yaml", "Cam.tmp"):
        (folder / name).symlink_to(tmp_path / "mine")
    assert main(["register-instrument", str(tmp_path / "repo"), str(tmp_path / "camera.yaml")]) == 0
    assert (tmp_path / "mine").read_text() == "mine"
    assert InstrumentDescription.read(folder / "Cam.yaml").name == "Cam"
    assert not (folder / "Cam.yaml").is_symlink()


def test_headers_that_lack_something_are_told(tmp_path):
    file = tmp_path / "camera.yaml"
    file.write_text(GOOD + "exposure_id: '{day}{NUMBER:04d}'\n")
    translator = HeaderTranslator(InstrumentDescription.read(file))
    header = {"INSTRUME": "Cam", "DATE-OBS": "2025-01-01T12:30:00", "EXPTIME": 1, "NUMBER": 7}
    assert translator.translate(header).exposure_id == 202501010007
    assert not translator.can_translate({"INSTRUME": "Cam2"})
    for change, reason in (
        ({"NUMBER": None}, "no `NUMBER`"),
        ({"NUMBER": "x"}, "gives no number of an exposure"),
        ({"DATE-OBS": "yesterday"}, "gives no time"),
        ({"EXPTIME": "long"}, "a number is needed"),
    ):
        with pytest.raises(TranslationError, match=reason):
            translator.translate(header | change)


def test_folders_without_frames_are_told(tmp_path):
    with pytest.raises(LookupError, match="no FITS files"):
        guess_descriptions([tmp_path])
    (tmp_path / "x.fits").write_text("no")
    with pytest.raises(LookupError, match="no FITS files"):
        guess_descriptions([tmp_path])
