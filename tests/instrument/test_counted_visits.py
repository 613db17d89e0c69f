"""Visits one-to-one and by counter, with regions from a camera's geometry; exposure records read again from headers."""

import math

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from lsst.sphgeom import LonLat, UnitVector3d

from armillary.butler import Butler
from armillary.cli.butler import main
from armillary.errors import ConfigurationError
from armillary.instrument import CameraGeometry

DESCRIPTION = """\
name: Snapper
match: {INSTRUME: Snapper}
detectors: {0: left, 1: right}
filters: {r: r}
exposure_id: '{NUMBER}'
header: {datetime_begin: DATE-OBS, exposure_time: EXPTIME, physical_filter: FILTER, counter: COUNTER,
  counter_start: FIRST, counter_end: LAST, detector: CCD, ra: RA, dec: DEC, sky_angle: ROTPA, object: OBJECT}
"""
GEOMETRY = """\
rotation: 10
flip_x: true
detectors:
  0: [[-0.5, -0.25], [-0.01, -0.25], [-0.01, 0.25], [-0.5, 0.25]]
  1: [[0.01, -0.25], [0.5, -0.25], [0.5, 0.25], [0.01, 0.25]]
"""
POINTING = (150.0, 60.0, 20.0)


def write_frame(folder, number, detector, *, counter, first, last, target="field"):
    """A frame without world coordinates."""
    cards = {
        "INSTRUME": "Snapper",
        "NUMBER": number,
        "CCD": detector,
        "COUNTER": counter,
        "FIRST": first,
        "LAST": last,
        "FILTER": "r",
        "OBJECT": target,
        "EXPTIME": 15.0,
        "DATE-OBS": f"2022-04-05T23:{counter:02d}:00",
        **dict(zip(("RA", "DEC", "ROTPA"), POINTING, strict=True)),
    }
    fits.writeto(folder / f"{number}_{detector}.fits", np.zeros((10, 10), "i2"), fits.Header(cards), overwrite=True)


@pytest.fixture
def frames(tmp_path):
    """An exposure alone, two of a sequence of two, and one whose sequence's first is missing."""
    folder = tmp_path / "frames"
    folder.mkdir()
    write_frame(folder, 47, 0, counter=7, first=7, last=7)
    for detector in (0, 1):
        write_frame(folder, 48, detector, counter=8, first=8, last=9)
    write_frame(folder, 49, 0, counter=9, first=8, last=9)
    write_frame(folder, 51, 0, counter=11, first=10, last=11)
    return folder


@pytest.fixture
def repo(tmp_path, frames):
    (tmp_path / "snapper.yaml").write_text(DESCRIPTION)
    (tmp_path / "geometry.yaml").write_text(GEOMETRY)
    place = str(tmp_path / "repo")
    assert main(["create", place]) == 0
    assert main(["register-instrument", place, str(tmp_path / "snapper.yaml")]) == 0
    assert main(["ingest-raws", place, str(frames), "-t", "direct"]) == 0
    return place


def rows(repo, element):
    with Butler(repo) as butler:
        return list(butler.registry.queryDimensionRecords(element, instrument="Snapper"))


def define(repo, tmp_path, *options):
    return main(["define-visits", repo, "Snapper", "--geometry", str(tmp_path / "geometry.yaml"), *options])


def test_the_first_of_a_sequence_has_a_visit_of_its_own_and_one_for_all(repo, tmp_path, capfd):
    assert define(repo, tmp_path) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "5 visits defined"
    definition = {(r.visit, r.exposure) for r in rows(repo, "visit_definition")}
    assert definition == {(47, 47), (948, 48), (48, 48), (48, 49), (49, 49), (51, 51)}
    systems = {(r.visit, r.visit_system) for r in rows(repo, "visit_system_membership")}
    assert systems == {(47, 0), (47, 2), (948, 0), (48, 2), (49, 0), (51, 0)}
    assert {(r.id, r.name) for r in rows(repo, "visit_system")} == {(0, "one-to-one"), (2, "by-seq-start-end")}
    found = {r.id: (r.name, r.exposure_time) for r in rows(repo, "visit")}
    assert (found[48], found[948]) == (("48", 30.0), ("48_first", 15.0))
    assert define(repo, tmp_path, "--prefilter") == 0
    assert define(repo, tmp_path, "--grouping", "one-to-one") == 0
    # In the other way of grouping, 48 alone would be a visit that is there.
    assert capfd.readouterr().out.splitlines() == ["0 visits defined", "0 visits defined, 4 were there already"]


def test_a_geometry_places_every_detector(repo, tmp_path):
    assert define(repo, tmp_path) == 0
    assert {(r.visit, r.detector) for r in rows(repo, "visit_detector_region")} == {
        (visit, detector) for visit in (47, 48, 49, 51, 948) for detector in (0, 1)
    }
    # astropy's tangent plane: +y lies 30 degrees east of north, and +x west of it.
    wcs = WCS(naxis=2)
    turn = math.radians(POINTING[2] + 10)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], POINTING[:2], [1, 1]
    wcs.wcs.cd = [[-math.cos(turn), math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    for record in rows(repo, "visit_detector_region"):
        inside, outside = (-0.25, 0.25) if record.detector == 0 else (0.25, -0.25)
        for x, seen in ((inside, True), (outside, False)):
            for y in (-0.24, 0.0, 0.24):
                ((ra, dec),) = wcs.wcs_pix2world([(x, y)], 0)
                assert record.region.contains(UnitVector3d(LonLat.fromDegrees(float(ra), float(dec)))) is seen
        corners = {(round(x, 6) + 0.0, round(y, 6)) for x, y in plane(wcs, record.region)}
        assert corners == set(CameraGeometry.read(tmp_path / "geometry.yaml").detectors[record.detector])


def plane(wcs, region):
    places = [LonLat(vertex) for vertex in region.getVertices()]
    return wcs.wcs_world2pix([(p.getLon().asDegrees(), p.getLat().asDegrees()) for p in places], 0).tolist()


def test_detectors_that_are_missing_are_added(repo, tmp_path, capfd):
    whole = (tmp_path / "geometry.yaml").read_text()
    assert main(["define-visits", repo, "Snapper"]) == 1
    assert "the header has no usable WCS" in capfd.readouterr().err
    (tmp_path / "geometry.yaml").write_text(whole[: whole.index("  1:")])
    assert define(repo, tmp_path, "--where", "exposure = 48") == 1
    assert "the camera's geometry lacks detector 1" in capfd.readouterr().err
    assert define(repo, tmp_path, "--where", "exposure = 49") == 0
    (tmp_path / "geometry.yaml").write_text(whole)
    assert define(repo, tmp_path, "--where", "exposure = 49", "--check-detector-regions") == 0
    assert sorted(r.detector for r in rows(repo, "visit_detector_region")) == [0, 1]


def test_configurations_of_the_stack_are_taken(repo, tmp_path, capfd):
    config = tmp_path / "defineVisits.py"
    config.write_text("config.groupExposures = 'one-to-one'\n")
    assert define(repo, tmp_path, "-C", str(config)) == 0
    assert {r.id for r in rows(repo, "visit")} == {47, 48, 49, 51}
    assert define(repo, tmp_path, "-c", "groupExposures=by-magic") == 1
    assert define(repo, tmp_path, "-c", "computeVisitRegions.single-raw-wcs.padding") == 2
    assert "is not KEY=VALUE" in capfd.readouterr().err
    ingest = ["ingest-raws", repo, str(tmp_path / "frames")]
    assert main([*ingest, "-c", "transfer=direct", "--ingest-task", "lsst.obs.base.RawIngestTask"]) == 0
    assert main([*ingest, "-c", "transfr=direct"]) == 2
    assert "no field `transfr`" in capfd.readouterr().err
    assert main([*ingest, "--ingest-task", "lsst.obs.decam.DecamRawIngestTask"]) == 2


def test_exposure_records_follow_headers_that_are_read_again(repo, frames, capfd):
    write_frame(frames, 49, 0, counter=9, first=8, last=9, target="moon")
    write_frame(frames, 51, 0, counter=11, first=10, last=11)
    fits.setval(frames / "51_0.fits", "NUMBER", value=52)
    asked = ["update-exposures-from-raws", repo, "Snapper"]
    assert main(asked) == 2  # which exposures must be said
    assert main([*asked, "--where", "exposure > 40"]) == 1
    captured = capfd.readouterr()
    assert "exposure 51 stays as it is: its header is now understood as that of exposure 52" in captured.err
    assert captured.out == "1 exposure updated, 2 were right already\n"
    assert {r.id: r.target_name for r in rows(repo, "exposure")} == {47: "field", 48: "field", 49: "moon", 51: "field"}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("g.yaml", "[1]", "must be a mapping with `detectors`"),
        ("g.yaml", "detectors: {}", "has no detectors"),
        ("g.yaml", GEOMETRY + "rotate: 3\n", "did you mean `rotation`"),
        ("g.yaml", GEOMETRY.replace("rotation: 10", "rotation: much"), "`rotation`"),
        ("g.yaml", GEOMETRY.replace("flip_x: true", "flip_x: 1"), "must be true or false"),
        ("g.yaml", "detectors: {left: [[0, 0], [1, 0], [0, 1]]}", "detector `left`"),
        ("g.yaml", "detectors: {0: [[0, 0], [1, 1], [2, 2]]}", "do not lie on one line"),
        ("g.yaml", "detectors: {0: [[0, 0], [1, 0], [0, .nan]]}", "no angle in degrees"),
        ("g.yaml", "detectors: {0: [[0, 0], [1, 0], [0, 61]]}", "more than 60 degrees"),
        ("g.yaml", "detectors: {0: [[0, 0], [1, 0], 3]}", "`3` is no corner"),
        ("g.yaml", "detectors: {0: none}", "no list of corners"),
        ("g.csv", "detector,x\n0,1\n", "no column `y`"),
        ("g.csv", "detector,x,y\nleft,1,1\n", "line 2: `left` is no number of a detector"),
        ("g.csv", "detector,x,y\n0,1,one\n0,1,0\n0,0,1\n", "detector `0`"),
    ],
)
def test_bad_geometries_are_refused(tmp_path, name, text, reason):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=reason):
        CameraGeometry.read(tmp_path / name)


def test_a_table_of_corners_and_a_description_hold_the_same(repo, tmp_path, capfd):
    geometry = CameraGeometry.read(tmp_path / "geometry.yaml")
    table = "".join(f"{n},{x},{y}\n" for n, corners in geometry.detectors.items() for x, y in corners)
    (tmp_path / "geometry.csv").write_text("detector,x,y\n" + table)
    assert CameraGeometry.read(tmp_path / "geometry.csv").detectors == geometry.detectors
    assert CameraGeometry.from_mapping(geometry.to_mapping()) == geometry
    described = tmp_path / "snapper.yaml"
    described.write_text(DESCRIPTION + "geometry:\n" + "".join(f"  {line}\n" for line in GEOMETRY.splitlines()))
    assert main(["register-instrument", repo, str(described), "--update"]) == 0
    assert main(["define-visits", repo, "Snapper", "--where", "exposure = 47"]) == 0
    assert len(rows(repo, "visit_detector_region")) == 2
    described.write_text(described.read_text().replace("detectors: {0: left, 1: right}", "detectors: {0: left}"))
    assert main(["register-instrument", repo, str(described), "--update"]) == 1
    assert "`geometry` has a detector `1`" in capfd.readouterr().err
