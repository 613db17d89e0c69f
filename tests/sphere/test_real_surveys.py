"""Regions of real surveys: rows that the peer stored, and every pair of an HSC release candidate."""

from __future__ import annotations

import base64
import re
import sqlite3
from contextlib import closing

import lsst.sphgeom as sphgeom
import pytest

from armillary import _core


def pixels(region: bytes) -> set[int]:
    return {index for first, last in _core.skypix_envelope("htm", 7, region) for index in range(first, last)}


@pytest.mark.parametrize(
    ("repository", "element", "key", "count"),
    [
        (("data", "repos", "obs_lsst_imsim"), "visit_detector_region", ("instrument", "detector", "visit"), 189),
        (("data", "repos", "obs_lsst_imsim"), "visit", ("instrument", "id"), 1),
        (("contract-fixtures", "repos", "rich"), "tract", ("skymap", "id"), 1),
        (("contract-fixtures", "repos", "rich"), "patch", ("skymap", "tract", "id"), 4),
    ],
)
def test_stored_overlap_rows_are_our_envelopes(shared_path, repository, element, key, count):
    path = shared_path(*repository, "gen3.sqlite3")
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as database:
        regions = database.execute(
            f"SELECT region, {', '.join(key)} FROM {element} WHERE region IS NOT NULL"
        ).fetchall()
        columns = [element if name == "id" else name for name in key]
        rows = database.execute(f"SELECT skypix_index, {', '.join(columns)} FROM {element}_skypix_overlap").fetchall()
    stored: dict[tuple[object, ...], set[int]] = {}
    for index, *data_id in rows:
        stored.setdefault(tuple(data_id), set()).add(index)
    assert len(regions) == count
    assert {tuple(data_id): pixels(base64.b64decode(region)) for region, *data_id in regions} == stored


@pytest.fixture(name="survey", scope="module")
def survey_fixture(shared_path) -> list[bytes]:
    """160 visits, 1132 detectors of visits, 2 tracts and 2 patches."""
    text = shared_path("data", "exports", "daf_butler_hsc-rc2-subset.yaml").read_text()
    regions = [bytes.fromhex(found) for found in re.findall(r"encoded: ([0-9a-f]+)\b", text)]
    assert len(regions) == 1296
    return regions


def test_survey_has_as_many_overlap_rows_as_the_peer_stores(survey):
    assert sum(len(pixels(region)) for region in survey) == 3962 + 5044 + 3 + 50


def test_survey_regions_lie_to_each_other_as_the_library_says(survey):
    regions = [sphgeom.Region.decode(region) for region in survey]
    some = range(0, len(survey), 17)
    theirs = [regions[i].relate(other) for i in some for other in regions]
    ours = _core.region_relate_pairs([survey[i] for i in some for _ in survey], [b for _ in some for b in survey])
    assert list(ours) == theirs
    assert {0, 1, 2, 4, 6} == set(theirs)
