"""What Nickel headers mean, checked against the list that came with the real frames."""

import csv
import datetime

import pytest
from lsst.sphgeom import LonLat, UnitVector3d

from armillary.instrument import Nickel, TranslationError
from armillary.instrument.raw_files import find_files, read_frames
from armillary.instrument.raw_headers import read_images
from armillary.instrument.visit_definition import frame_region
from conftest import shared_path

HEADER = {
    "INSTRUME": "Nickel Direct Camera",
    "OBSNUM": 7,
    "OBSTYPE": "OBJECT",
    "OBJECT": "m31",
    "EXPTIME": 15,
    "FILTNAM": "V                 ",
    "DATE-BEG": "2019-09-23T03:18:05.85",
    "DATE-END": "2019-09-23T03:18:20.85",
}


def translate(**changes):
    header = {**HEADER, **changes}
    return Nickel().translator.translate({key: value for key, value in header.items() if value is not None})


def test_every_real_frame_is_understood_as_its_list_says():
    folder = shared_path("data", "frames", "nickel2019")
    files = find_files([folder])
    frames, bad = read_frames(files, [Nickel().translator], jobs=2)
    assert bad == []
    seen = {frame.path: frame.info for frame in frames}
    with (folder / "exposures.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == len(seen) == 52
    for row in rows:
        info = seen[str((folder / row["file"]).absolute())]
        assert info.observation_type == row["kind"], row["file"]
        assert info.observing_day == int(row["day_obs"])
        assert info.physical_filter == row["filter"]
        assert info.exposure_time == float(row["exptime"])
        assert info.observation_counter == int(row["obsnum"])
        assert info.datetime_begin.isot.startswith(row["date_beg"])
    assert len({info.exposure_id for info in seen.values()}) == 52


def test_days_begin_at_noon_of_the_telescope():
    evening = translate(**{"DATE-BEG": "2019-09-23T20:00:00", "DATE-END": "2019-09-23T20:00:10"})
    morning = translate(**{"DATE-BEG": "2019-09-23T19:59:59", "DATE-END": "2019-09-23T20:00:10"})
    assert (evening.observing_day, morning.observing_day) == (20190923, 20190922)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DATE-BEG": None}, "no `DATE-BEG`"),
        ({"DATE-BEG": "yesterday"}, "`yesterday`; a UTC time"),
        ({"DATE-END": "2019-09-23T03:00:00"}, "ends .* before it begins"),
        ({"OBSNUM": 10_000}, "between 0 and 9999"),
        ({"OBSNUM": "seven"}, "`seven`; a number"),
        ({"EXPTIME": "nan"}, "`nan`; a number"),
        ({"FILTNAM": "   "}, "no `FILTNAM`"),
        ({"OBSTYPE": None}, "no `OBSTYPE`"),
    ],
)
def test_headers_that_say_too_little_are_refused(changes, message):
    with pytest.raises(TranslationError, match=message):
        translate(**changes)


def test_a_frame_without_pointing_is_understood_without_it():
    info = translate(RA="notyetset", DEC="", AIRMASS="none")
    assert (info.tracking_ra, info.tracking_dec, info.zenith_angle) == (None, None, None)


def test_a_frame_covers_the_sky_it_points_at():
    frame = shared_path("data", "frames", "nickel2019", "raw", "20190922", "d2090.fits.gz")
    header = read_images(str(frame))[0].header
    region = frame_region(header)
    assert region.contains(UnitVector3d(LonLat.fromDegrees(292.1346740723, -22.40749168396)))
    inside, outside = (UnitVector3d(LonLat.fromDegrees(292.1346740723, -22.40749168396 + d)) for d in (0.05, 0.06))
    assert region.contains(inside)  # 512 pixels of 0.37 arcseconds are 0.0526 degrees
    assert not region.contains(outside)
    assert frame_region(header, padding=100).contains(outside)
    with pytest.raises(ValueError, match="no usable WCS"):
        frame_region({"NAXIS1": 10, "NAXIS2": 10})
    with pytest.raises(ValueError, match="how large the frame is"):
        frame_region({"CTYPE1": "RA---TAN"})


def test_collection_names_are_those_of_the_peer():
    nickel, moved = Nickel(), Nickel(collection_prefix="P/q")
    assert nickel.makeDefaultRawIngestRunName() == "Nickel/raw/all"
    assert nickel.makeCalibrationCollectionName() == "Nickel/calib"
    assert moved.makeCalibrationCollectionName("a", "b") == "P/q/calib/a/b"
    assert nickel.makeUnboundedCalibrationRunName("a") == "Nickel/calib/a/unbounded"
    curated = nickel.makeCuratedCalibrationRunName("2024-01-02T03:04:05", "a")
    assert curated == "Nickel/calib/a/curated/20240102T030405Z"
    assert nickel.makeUmbrellaCollectionName() == "Nickel/defaults"
    assert Nickel.makeRefCatCollectionName("gaia") == "refcats/gaia"


@pytest.mark.parametrize(
    ("time", "name"),
    [
        ("2024-01-02T03:04:05+00:00", "20240102T030405Z"),
        ("2024-01-02", "20240102T000000Z"),
        ("20240102T030405Z", "20240102T030405Z"),
        (datetime.datetime(2024, 1, 2, 3, 4, 5), "20240102T030405Z"),
        (
            datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
            "20240102T010405Z",
        ),
        ("2018-05-03T00:00:00.5", "20180503T000000Z"),
    ],
)
def test_times_in_collection_names_are_those_of_the_peer(time, name):
    assert Nickel.formatCollectionTimestamp(time) == name


@pytest.mark.parametrize(("time", "error"), [("20240102", ValueError), ("x", ValueError), (3, TypeError)])
def test_times_that_are_none_are_refused(time, error):
    with pytest.raises(error):
        Nickel.formatCollectionTimestamp(time)


class Records:
    """A registry with one instrument record, whose class is whatever the repository says."""

    def __init__(self, class_name):
        self.class_name, self.name = class_name, "Cam"

    def queryDimensionRecords(self, element, instrument="Cam"):
        return [self] if instrument == "Cam" else []


def test_instruments_are_made_from_registered_and_dotted_names():
    from armillary.instrument import Instrument

    nickel = "armillary.instrument.nickel.Nickel"
    assert isinstance(Instrument.fromName("Cam", Records(nickel)), Nickel)
    assert isinstance(Instrument.from_string(nickel), Nickel)
    assert Instrument.from_string("Cam", Records(nickel), collection_prefix="x").collection_prefix == "x"
    assert Instrument.importAll(Records(nickel)) == {"Cam": Nickel}
    assert Instrument.importAll(Records("no.such.module.Cam")) == {}


def test_a_class_that_is_no_instrument_is_not_made():
    from armillary.instrument import Instrument

    with pytest.raises(LookupError, match="no registered instrument with name `Kam`; did you mean `Cam`"):
        Instrument.fromName("Kam", Records("x.Y"))
    with pytest.raises(TypeError, match=r"`subprocess\.Popen` is no instrument class"):
        Instrument.fromName("Cam", Records("subprocess.Popen"))
    with pytest.raises(RuntimeError, match="no `nope`"):
        Instrument.from_string("json.nope")
    with pytest.raises(RuntimeError, match="could not get the instrument"):
        Instrument.from_string("Other", Records("x.Y"))
