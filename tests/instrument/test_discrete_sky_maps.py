"""`butler make-discrete-skymap`: a tract around the exposures of some collections."""

import pytest
from lsst.sphgeom import UnitVector3d

from armillary.butler import Butler, DatasetType
from armillary.cli.butler import main
from armillary.instrument import SkyMap


@pytest.fixture(scope="module")
def repo(shared_path, tmp_path_factory):
    place = str(tmp_path_factory.mktemp("nickel") / "repo")
    night = str(shared_path("data", "frames", "nickel2019", "raw"))
    assert main(["init", place, "--from", night]) == 0
    assert main(["ingest-raws", place, night, "-t", "direct"]) == 0
    assert main(["define-visits", place, "Nickel Direct Camera"]) == 0
    with Butler(place, writeable=True) as butler:
        calexp = DatasetType(
            "calexp", ("instrument", "visit", "detector"), "StructuredDataDict", universe=butler.dimensions
        )
        butler.registry.registerDatasetType(calexp)
        for record in butler.registry.queryDimensionRecords("visit"):
            data_id = {"instrument": record.instrument, "visit": record.id, "detector": 0}
            butler.registry.registerRun(f"night/{record.target_name}")
            butler.put({}, "calexp", data_id, run=f"night/{record.target_name}")
    return place


def test_a_tract_holds_the_exposures_and_more_are_added(repo, capfd):
    with Butler(repo) as butler:
        runs = sorted(butler.collections.query("night/*"))
        visits = list(butler.registry.queryDimensionRecords("visit"))
    assert len(runs) > 1
    options = ["-c", "skyMap.pixelScale=0.37", "-c", "skyMap.projection=TAN", "-c", "skyMap.tractOverlap=0.01"]
    asked = ["make-discrete-skymap", repo, "Nickel Direct Camera", *options]
    assert main([*asked, "--collections", runs[0], "--skymap-id", "one"]) == 0
    added = [*asked, "--collections", runs[1], "--skymap-id", "two", "-c", "doAppend=True"]
    assert main(added) == 2
    assert "--old-skymap-id" in capfd.readouterr().err
    assert main([*added, "--old-skymap-id", "one"]) == 0
    assert capfd.readouterr().out == "`two` has 2 tracts\n"
    with Butler(repo) as butler:
        sky_map = SkyMap.from_dict(butler.get("skyMap", skymap="two", collections="skymaps"))
        assert sky_map[0] == SkyMap.from_dict(butler.get("skyMap", skymap="one", collections="skymaps"))[0]
    for number, run in enumerate(runs[:2]):
        for visit in visits:
            if f"night/{visit.target_name}" == run:
                assert all(sky_map[number].region.contains(UnitVector3d(v)) for v in visit.region.getVertices())


def test_collections_without_exposures_are_told(repo, capfd):
    asked = ["make-discrete-skymap", repo, "Nickel Direct Camera"]
    assert main(asked) == 2
    assert main([*asked, "--collections", "Nickel Direct Camera/raw/all"]) == 1
    assert "no exposures whose region is known" in capfd.readouterr().err
    assert main([*asked, "--collections", "nothing"]) == 1
