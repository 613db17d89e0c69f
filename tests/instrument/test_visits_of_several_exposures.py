"""A visit may be several exposures: those of one group, or of one range of counters."""

import numpy as np
import pytest
from astropy.io import fits
from lsst.sphgeom import LonLat, UnitVector3d

from armillary.butler import Butler
from armillary.cli.butler import main
from armillary.instrument.wcs import tangent_wcs

DESCRIPTION = """\
name: Snapper
match: {INSTRUME: Snapper}
detectors: {0: left, 1: right}
filters: {r: r, g: g}
exposure_id: '{NUMBER}'
header: {datetime_begin: DATE-OBS, exposure_time: EXPTIME, physical_filter: FILTER, observation_type: OBSTYPE,
  counter: COUNTER, detector: CCD, group: GROUP, object: OBJECT}
"""


def write_frame(folder, number, detector, *, group, counter, ra=10.0, band="r", minute=0):
    header = tangent_wcs(ra + detector * 0.1, 0.0, 3.0, (100, 100)).to_header()
    for axis in (1, 2):  # as cameras write it
        header[f"CD{axis}_{axis}"] = header.pop(f"CDELT{axis}")
        header[f"CD{axis}_{3 - axis}"] = 0.0
    cards = {
        "INSTRUME": "Snapper",
        "NUMBER": number,
        "CCD": detector,
        "GROUP": group,
        "COUNTER": counter,
        "FILTER": band,
        "OBSTYPE": "science",
        "OBJECT": "field",
        "EXPTIME": 15.0,
        "DATE-OBS": f"2025-01-01T23:{minute:02d}:00",
    }
    fits.writeto(folder / f"{number}_{detector}.fits", np.zeros((100, 100), "i2"), fits.Header(dict(header) | cards))


@pytest.fixture
def repo(tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    (tmp_path / "snapper.yaml").write_text(DESCRIPTION)
    for detector in (0, 1):
        write_frame(frames, 1, detector, group="a", counter=1)
        write_frame(frames, 2, detector, group="a", counter=2, ra=10.01, minute=1)
        write_frame(frames, 3, detector, group="b", counter=2, minute=2)
    write_frame(frames, 4, 0, group="c", counter=4, minute=3)
    write_frame(frames, 5, 0, group="c", counter=5, band="g", minute=4)
    place = str(tmp_path / "repo")
    assert main(["create", place]) == 0
    assert main(["register-instrument", place, str(tmp_path / "snapper.yaml")]) == 0
    assert main(["ingest-raws", place, str(frames), "-t", "direct"]) == 0
    return place


def visits(repo):
    with Butler(repo) as butler:
        records = {r.id: r for r in butler.registry.queryDimensionRecords("visit", instrument="Snapper")}
        definition: dict[int, list[int]] = {}
        for record in butler.registry.queryDimensionRecords("visit_definition", instrument="Snapper"):
            definition.setdefault(record.visit, []).append(record.exposure)
        (system,) = {r.name for r in butler.registry.queryDimensionRecords("visit_system", instrument="Snapper")}
    return records, {visit: sorted(found) for visit, found in definition.items()}, system


def test_exposures_of_a_group_are_a_visit(repo, capfd):
    assert main(["define-visits", repo, "Snapper", "--grouping", "by-group-metadata"]) == 1
    assert "no visit 4: its exposures differ in `physical_filter`: `g`, `r`" in capfd.readouterr().err
    records, definition, system = visits(repo)
    assert (definition, system) == ({1: [1, 2], 3: [3]}, "by-group-metadata")
    assert records[1].exposure_time == 30.0
    assert records[1].target_name == "field"
    assert str(records[1].timespan).startswith("[2025-01-01T23:00:37, 2025-01-01T23:01:52")
    for ra in (10.05, 9.97, 10.148):  # between, on the first, and on the last detector of the second exposure
        assert records[1].region.contains(UnitVector3d(LonLat.fromDegrees(ra, 0.0)))
    narrower = ["update-dimension-regions", repo, "Snapper", "--where", "exposure = 2"]
    assert main(narrower) == 0  # a visit keeps the regions of all its exposures
    assert visits(repo)[1:] == (definition, system)
    again = visits(repo)[0]
    assert again[1].exposure_time == 30.0
    assert again[1].region == records[1].region


def test_exposures_of_a_counter_are_a_visit(repo):
    assert main(["define-visits", repo, "Snapper", "--grouping", "by-counter"]) == 0
    _, definition, system = visits(repo)
    assert (definition, system) == ({1: [1], 2: [2, 3], 4: [4], 5: [5]}, "by-seq-start-end")


def test_regions_are_computed_anew_for_visits_that_exist(repo, capfd):
    assert main(["define-visits", repo, "Snapper", "--grouping", "one-to-one", "--where", "exposure < 3"]) == 0
    before = visits(repo)
    assert main(["update-dimension-regions", repo, "Snapper"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "2 visits updated"
    assert visits(repo)[1:] == before[1:]
