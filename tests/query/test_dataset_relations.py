"""Datasets that know two sides of the sky say which of them belong together."""

import pytest
from lsst.sphgeom import Angle, Circle, LonLat, UnitVector3d

from armillary.butler import DatasetType
from armillary.testing import small_repository


def circle(lon: float) -> Circle:
    return Circle(UnitVector3d(LonLat.fromDegrees(lon, 0.0)), Angle.fromDegrees(1.0))


@pytest.fixture(scope="module")
def butler():
    with small_repository(run="u/me") as butler:
        registry = butler.registry
        registry.insertDimensionData("skymap", {"name": "sky", "hash": b"1"})
        registry.insertDimensionData("tract", {"skymap": "sky", "id": 0, "region": circle(20.0)})
        patches = [
            {"skymap": "sky", "tract": 0, "id": i, "cell_x": i, "cell_y": 0, "region": circle(20.0 + 10 * i)}
            for i in range(2)
        ]
        registry.insertDimensionData("patch", *patches)
        visits = [
            {**record.toDict(), "region": circle(20.0)}
            for record in butler.query_dimension_records("visit", instrument="Cam")
        ]
        registry.insertDimensionData("visit", *visits, replace=True)
        warp = DatasetType("warp", ["visit", "patch"], "StructuredDataDict", universe=butler.dimensions)
        registry.registerDatasetType(warp)
        pairs = [
            {"instrument": "Cam", "visit": v, "skymap": "sky", "tract": 0, "patch": p} for v in (10, 11) for p in (0, 1)
        ]
        registry.insertDatasets(warp, pairs, run="u/me")
        yield butler


def test_datasets_are_found_whether_or_not_their_regions_overlap(butler):
    assert len(butler.query_datasets("warp", "u/me")) == 4


def test_data_ids_of_datasets_need_no_overlap_either(butler):
    found = butler.registry.queryDataIds(["visit", "patch"], datasets="warp", collections="u/me")
    assert len(list(found)) == 4


def test_data_ids_without_datasets_need_it(butler):
    found = butler.query_data_ids(["visit", "patch"], instrument="Cam", skymap="sky")
    assert {data_id["patch"] for data_id in found} == {0}
