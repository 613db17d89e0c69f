"""Headers of five cameras and of four processed images become frames, exposures and visits, or are told to be none."""

import json
import shutil

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from lsst.sphgeom import LonLat, UnitVector3d

from armillary.butler import Butler
from armillary.cli.butler import main
from armillary.instrument.described import InstrumentDescription, KnownTranslator
from cli.programs import run_program

# camera, exposure, detector, filter, day, kind
RAW = {
    "decam": ("DECam", 229388, 25, "z DECam SDSS c0004 9260.0 1520.0", 20130831, "science"),
    "decam-0160496": ("DECam", 160496, 25, "solid plate 0.0 0.0", 20121211, "zero"),
    "decam-raw_dec050441_25": ("DECam", 177764, 25, "g DECam SDSS c0001 4720.0 1520.0", 20130212, "science"),
    "hsc": ("HSC", 904024, 50, "HSC-I", 20131102, "science"),
    "hsc-HSCA04090107": ("HSC", 40900, 37, "HSC-R", 20151010, "science"),
    "megaprime": ("MegaPrime", 1038843, 2, "i.MP9702", 20081101, "science"),
    "sdss-fpC-006377-g4-0399": ("Imager on SDSS 2.5m", 6377, 15, "g", 20060920, "science"),
}
PROCESSED = {
    "decam-calexp-0412037_10": "`PROCTYPE` is `InstCal`",
    "decam-instcal-c4d_190402_050618_ooi_VR_v1": "`PROCTYPE` is `InstCal`",
    "megaprime-calexp-849375-14": "`AR_HDU` and `FLUXMAG0` in its header are of a calibrated exposure",
    "suprimecam-CORR40535770": "`AR_HDU` and `FLUXMAG0` in its header are of a calibrated exposure",
}
# A translated header, which is set aside for the frame's own, and one that stands in for it.
SIDECARS = ("hsc", "hsc-HSCA04090107")
# What tells of compressed images and tables: the frames made here are plain.
LEFT_OUT = ("SIMPLE", "BITPIX", "XTENSION", "EXTEND", "PCOUNT", "GCOUNT", "TFIELDS", "COMMENT", "HISTORY", "")
COMPRESSION = (
    "NAXIS",
    "TTYPE",
    "TFORM",
    "ZNAXIS",
    "ZNAME",
    "ZVAL",
    "ZTILE",
    "ZBITPIX",
    "ZTENSION",
    "ZSIMPLE",
    "ZIMAGE",
)
COMPRESSION += ("ZCMPTYPE", "ZPCOUNT", "ZGCOUNT", "ZQUANTIZ")


def read(shared_path, name):
    from astro_metadata_translator.tests import read_test_file

    return dict(read_test_file(str(shared_path("data", "headers", f"fitsheader-{name}.yaml"))))


def size_of(header):
    """Columns and rows, also of an image that was compressed."""
    return [int(header.get(f"ZNAXIS{axis}") or header[f"NAXIS{axis}"]) for axis in (1, 2)]


def write_frame(path, found, untold=()):
    """A frame of zeros with a header, as large as it says; its pixels take no room on the disk."""
    width, height = size_of(found)
    sizes = [("BITPIX", 16), ("NAXIS", 2), ("NAXIS1", width), ("NAXIS2", height)]
    header = fits.Header([("SIMPLE", True), *sizes])
    for key, value in found.items():
        if len(key) <= 8 and key not in (*LEFT_OUT, *untold) and not key.startswith(COMPRESSION):
            header[key] = value
    with open(path, "wb") as stream:
        stream.write(header.tostring().encode("ascii", "replace"))
        stream.truncate(stream.tell() + -(-2 * width * height // 2880) * 2880)


@pytest.fixture(scope="module")
def survey(shared_path, tmp_path_factory):
    """A repository made for frames with these headers and a broken one, and what was said when they went in."""
    folder = tmp_path_factory.mktemp("headers")
    (folder / "frames").mkdir()
    for name in (*RAW, *PROCESSED):
        untold = ("EXP-ID", "FRAMEID") if name == SIDECARS[1] else ()
        write_frame(folder / "frames" / f"{name}.fits", read(shared_path, name), untold)
    for name in SIDECARS:
        shutil.copy(shared_path("data", "headers", f"fitsheader-{name}.json"), folder / "frames" / f"{name}.json")
    broken = folder / "frames" / "torn.fits"
    broken.write_bytes((folder / "frames" / "decam.fits").read_bytes()[:100_000])
    repo = str(folder / "repo")
    register(folder, repo)
    return folder, repo, run_program("butler", "ingest-raws", repo, folder / "frames", "-t", "direct")


def test_cameras_are_guessed_from_raw_frames_only(survey, capfd):
    folder = survey[0]
    assert main(["init", str(folder / "guessed"), "--from", str(folder / "frames")]) == 0
    told = "".join(capfd.readouterr())
    assert "registered `DECam`: 1 detector, filters g DECam" in told
    assert "SuprimeCam" not in told
    assert "InstCal" not in told


def register(folder, repo):
    """Register the cameras; those whose frames have no header of their own cannot be guessed."""
    assert main(["create", repo]) == 0
    for camera in {facts[0] for facts in RAW.values()}:
        own = [facts for facts in RAW.values() if facts[0] == camera]
        made = InstrumentDescription(
            camera,
            translator="astro_metadata_translator",
            detectors={facts[2]: f"D{facts[2]}" for facts in own},
            filters={facts[3]: facts[3][0] for facts in own},
        )
        path = folder / "camera.yaml"
        path.write_text(made.to_yaml())
        assert main(["register-instrument", repo, str(path)]) == 0


def test_raw_frames_go_in_and_the_others_are_told(survey):
    _, repo, said = survey
    assert said.code == 1
    assert f"{len(RAW)} files of {len(RAW)} exposures ingested, {len(PROCESSED) + 1} could not be used" in said.out
    for name, reason in PROCESSED.items():
        (line,) = (line for line in said.err.splitlines() if f"/{name}.fits`" in line)
        assert "the frame is not raw" in line
        assert reason in line
    assert "torn.fits`: the file is cut short" in said.err
    with Butler(repo) as butler:
        found = set()
        for ref in butler.registry.queryDatasets("raw", collections=..., findFirst=False).expanded():
            exposure = ref.dataId.records["exposure"]
            found.add(
                (
                    exposure.instrument,
                    exposure.id,
                    ref.dataId["detector"],
                    exposure.physical_filter,
                    exposure.day_obs,
                    exposure.observation_type,
                )
            )
    assert found == set(RAW.values())


def test_visits_see_what_the_world_coordinates_say(survey, shared_path):
    repo = survey[1]
    for camera in sorted({facts[0] for facts in RAW.values()}):
        assert main(["define-visits", repo, camera]) == 0
    with Butler(repo) as butler:
        regions = {
            (record.instrument, record.visit, record.detector): record.region
            for camera in {facts[0] for facts in RAW.values()}
            for record in butler.registry.queryDimensionRecords("visit_detector_region", instrument=camera)
        }
    assert sorted(regions) == sorted(facts[:3] for facts in RAW.values() if facts[5] == "science")
    for name, facts in RAW.items():
        if facts[5] != "science":
            continue
        header = read(shared_path, name)
        cards = fits.Header()
        for key, value in header.items():
            if key[:5] in ("CTYPE", "CRVAL", "CRPIX") or key[:2] in ("CD", "PV"):
                cards[key] = value
        cards["RADESYS"], cards["CUNIT1"], cards["CUNIT2"] = "ICRS", "deg", "deg"
        width, height = size_of(header)  # with fewer than 120 around the image
        region = regions[facts[:3]]
        world = WCS(cards, naxis=2)
        inside = np.array([(x, y) for x in (120, width / 2, width - 120) for y in (120, height / 2, height - 120)])
        outside = np.array(
            [(-400, height / 2), (width + 400, height / 2), (width / 2, -400), (width / 2, height + 400)]
        )
        for points, expected in ((inside, True), (outside, False)):
            for ra, dec in world.all_pix2world(points, 0):
                assert region.contains(UnitVector3d(LonLat.fromDegrees(ra % 360, dec))) is expected, name


@pytest.mark.parametrize("name", [*RAW, "suprimecam-CORR40535770"])
def test_a_camera_knows_its_own_headers(shared_path, name):
    header = read(shared_path, name)
    expected = RAW.get(name, ("SuprimeCam", 53577, 0, "W-S-R+", 20070423, "science"))
    translator = KnownTranslator(InstrumentDescription(expected[0], translator="astro_metadata_translator"))
    assert translator.can_translate(header)
    assert not KnownTranslator(InstrumentDescription("x", translator="astro_metadata_translator")).can_translate(header)
    info = translator.translate(header)
    told = (info.instrument, info.exposure_id, info.detector_num, info.physical_filter)
    assert (*told, info.observing_day, info.observation_type) == expected


def test_all_headers_are_used(shared_path):
    names = {path.name for path in shared_path("data", "headers").iterdir()}
    assert names == {f"fitsheader-{name}.yaml" for name in (*RAW, *PROCESSED)} | {
        f"fitsheader-{name}.json" for name in SIDECARS
    }
    kinds = [
        json.loads(shared_path("data", "headers", f"fitsheader-{name}.json").read_text())["__CONTENT__"]
        for name in SIDECARS
    ]
    assert kinds == ["translated", "metadata"]
