"""Raw frames, visits and sky maps in a repository."""

from dataclasses import replace

import numpy as np
import pytest

from armillary.butler import Butler, CollectionType
from armillary.demo.simulate import Survey, write_survey
from armillary.instrument import (
    Nickel,
    ObservationDimensionPacker,
    SkyMap,
    certify_calibrations,
    define_visits,
    ingest_raws,
)

SMALL = Survey(size=64, stars=5, science=(("V", 2),), biases=1, flats=1)


@pytest.fixture
def frames(tmp_path):
    return write_survey(tmp_path / "raw", SMALL)


@pytest.fixture
def butler(tmp_path):
    Butler.makeRepo(str(tmp_path / "repo"))
    with Butler(str(tmp_path / "repo"), writeable=True) as butler:
        Nickel().register(butler.registry)
        yield butler


def exposures(butler, **options):
    return list(butler.registry.queryDimensionRecords("exposure", instrument="Nickel", **options))


def test_frames_go_in_with_their_records_and_come_back_as_they_were(butler, frames):
    report = ingest_raws(butler, [frames[0].parent.parent], transfer="direct")
    assert sorted(report.ingested) == sorted(str(path) for path in frames)
    assert (report.failed, report.skipped, report.exposures) == ([], [], len(frames))
    records = exposures(butler)
    assert len(records) == len(frames)
    assert {record.observation_type for record in records} == {"bias", "flat", "science"}
    first = min(records, key=lambda record: record.id)
    assert (first.day_obs, first.physical_filter, first.seq_num) == (20240301, "V", 1001)
    ref = butler.registry.findDataset(
        "raw", instrument="Nickel", exposure=first.id, detector=0, collections="Nickel/raw/all"
    )
    raw = butler.get(ref)
    assert raw.array.shape == (64, 96)
    assert raw.array.dtype == np.uint16
    assert butler.get(ref.makeComponentRef("header"))["OBSNUM"] == 1001
    assert butler.getURI(ref).ospath == str(frames[0])


def test_nights_have_their_time_spans(butler, frames):
    ingest_raws(butler, frames, transfer="direct")
    nights = {record.id: record.timespan for record in butler.registry.queryDimensionRecords("day_obs")}
    assert sorted(nights) == [20240301, 20240302]
    for record in exposures(butler):
        assert nights[record.day_obs].contains(record.timespan)
    assert not nights[20240301].overlaps(nights[20240302])


def test_what_is_there_is_skipped(butler, frames):
    assert len(ingest_raws(butler, frames[:3], transfer="direct").ingested) == 3
    report = ingest_raws(butler, frames, transfer="direct")
    assert len(report.skipped) == 3
    assert len(report.ingested) == len(frames) - 3


def test_a_filter_that_the_camera_is_registered_without_is_named(butler, frames):
    from astropy.io import fits

    with fits.open(frames[0], mode="update") as opened:
        opened[0].header["FILTNAM"] = "Z9"
    report = ingest_raws(butler, frames[:2], transfer="direct")
    assert report.ingested == [str(frames[1])]
    assert "without physical_filter `Z9` (known: " in report.failed[0].reason
    assert "`butler register-instrument REPO CAMERA --update`" in report.failed[0].reason


def test_another_frame_with_the_number_of_one_that_is_there_is_no_copy_of_it(butler, frames, tmp_path):
    from astropy.io import fits

    ingest_raws(butler, frames, transfer="direct")
    again = tmp_path / "again.fits"
    with fits.open(frames[0]) as opened:
        opened.writeto(again)
    assert ingest_raws(butler, [again], transfer="direct").skipped == [str(again)]
    with fits.open(again, mode="update") as opened:  # the camera's counter was set back within the night
        for key in ("DATE-BEG", "DATE-END"):
            opened[0].header[key] = opened[0].header[key].replace("T22:", "T23:")
        assert "T23:" in opened[0].header["DATE-BEG"]
    report = ingest_raws(butler, [again, frames[1]], transfer="direct")
    assert (report.ingested, report.skipped) == ([], [str(frames[1])])
    assert [bad.path for bad in report.failed] == [str(again)]
    assert "is there already, but began at" in report.failed[0].reason
    with pytest.raises(RuntimeError, match="another frame with the same number"):
        ingest_raws(butler, [again], transfer="direct", fail_fast=True)


def test_a_broken_file_is_reported_and_the_rest_go_in(butler, frames):
    frames[2].write_bytes(frames[2].read_bytes()[:7000])
    report = ingest_raws(butler, frames, transfer="direct", jobs=2)
    assert [bad.path for bad in report.failed] == [str(frames[2])]
    assert "cut short" in report.failed[0].reason
    assert len(report.ingested) == len(frames) - 1
    with pytest.raises(RuntimeError, match=frames[2].name):
        ingest_raws(butler, frames, transfer="direct", fail_fast=True)


def test_two_files_of_one_exposure_and_detector_do_not_go_in(butler, frames, tmp_path):
    copy = tmp_path / "copy.fits"
    copy.write_bytes(frames[0].read_bytes())
    report = ingest_raws(butler, [*frames, copy], transfer="direct")
    assert {bad.path for bad in report.failed} == {str(frames[0]), str(copy)}
    assert "are both detector 0" in report.failed[0].reason
    assert len(report.ingested) == len(frames) - 1


def test_a_record_that_differs_fails_its_exposure_only(butler, frames, tmp_path):
    ingest_raws(butler, frames[-1:], transfer="direct")
    other = write_survey(tmp_path / "other", replace(SMALL, ra=10.0))
    report = ingest_raws(butler, other, run="other", transfer="direct")
    assert [bad.path for bad in report.failed] == [str(other[-1])]
    assert len(report.ingested) == len(other) - 1
    again = ingest_raws(butler, other[-1:], run="other", transfer="direct", update_records=True)
    assert (len(again.ingested), again.failed) == (1, [])


def test_without_an_instrument_nothing_is_ingested(tmp_path, frames):
    Butler.makeRepo(str(tmp_path / "empty"))
    with Butler(str(tmp_path / "empty"), writeable=True) as butler, pytest.raises(LookupError, match="no instrument"):
        ingest_raws(butler, frames)


def test_each_exposure_of_the_sky_becomes_a_visit(butler, frames):
    ingest_raws(butler, frames, transfer="direct")
    report = define_visits(butler, Nickel())
    science = {record.id for record in exposures(butler) if record.observation_type == "science"}
    assert set(report.defined) == science
    assert (report.existing, report.failed) == ([], {})
    visits = {record.id: record for record in butler.registry.queryDimensionRecords("visit", instrument="Nickel")}
    assert set(visits) == science
    region = next(iter(visits.values())).region
    assert region is not None
    pairs = butler.registry.queryDataIds(["visit", "exposure", "detector"], instrument="Nickel")
    assert {(pair["visit"], pair["exposure"], pair["detector"]) for pair in pairs} >= {(n, n, 0) for n in science}
    again = define_visits(butler, Nickel())
    assert set(again.existing) == science
    assert define_visits(butler, Nickel(), update_records=True, padding=10).defined == sorted(science)


def test_a_sky_map_is_registered_once_and_never_replaced(butler, frames):
    ingest_raws(butler, frames, transfer="direct")
    define_visits(butler, Nickel())
    visits = list(butler.registry.queryDimensionRecords("visit", instrument="Nickel"))
    sky_map = SkyMap.around([visit.region for visit in visits], pixel_scale=0.37, patch_size=40)
    assert sky_map.register("field", butler)
    assert not sky_map.register("field", butler)
    stored = butler.get("skyMap", skymap="field", collections="skymaps")
    assert SkyMap.from_dict(stored) == sky_map
    patches = list(butler.registry.queryDimensionRecords("patch", skymap="field"))
    assert len(patches) == len(sky_map[0].patches)
    overlaps = butler.registry.queryDataIds(["visit", "detector", "patch"], instrument="Nickel", skymap="field")
    assert {pair["visit"] for pair in overlaps} == {visit.id for visit in visits}
    with pytest.raises(Exception, match=r"field|hash|conflict"):
        SkyMap.discrete([(10.0, 10.0)], radius=0.1).register("field", butler)
    assert len(list(butler.registry.queryDimensionRecords("patch", skymap="field"))) == len(patches)


def test_calibrations_are_certified_for_their_night(butler, frames):
    ingest_raws(butler, frames, transfer="direct")
    night = next(record for record in butler.registry.queryDimensionRecords("day_obs") if record.id == 20240301)
    from armillary.butler import DatasetType

    butler.registry.registerDatasetType(
        DatasetType(
            "bias", ("instrument", "detector"), "StructuredDataDict", universe=butler.dimensions, isCalibration=True
        )
    )
    butler.registry.registerRun("made")
    butler.put({"level": 4}, "bias", instrument="Nickel", detector=0, run="made")
    assert certify_calibrations(butler, "made", "Nickel/calib", "bias", night.timespan) == 1
    assert butler.registry.getCollectionType("Nickel/calib") == CollectionType.CALIBRATION
    with pytest.raises(LookupError, match="has no `bias`"):
        certify_calibrations(butler, "Nickel/raw/all", "Nickel/calib", "bias", night.timespan)


def test_observations_pack_into_whole_numbers_and_back(butler, frames):
    ingest_raws(butler, frames, transfer="direct")
    number = min(record.id for record in exposures(butler))
    data_id = butler.registry.expandDataId(instrument="Nickel", exposure=number, detector=0)
    packer = Nickel.make_default_dimension_packer(data_id)
    assert packer.pack(data_id) == number
    assert packer.unpack(number) == data_id
    assert packer.maxBits == 34
    with pytest.raises(ValueError, match="detector 3 is out of bounds"):
        packer.pack({"exposure": number, "detector": 3})
    alone = butler.registry.expandDataId(instrument="Nickel")
    with pytest.raises(ValueError, match="`is_exposure` was not given"):
        ObservationDimensionPacker(alone)
