"""`butler register-skymap`: by options, and by configurations as the Rubin stack has them."""

import pytest

from armillary.butler import Butler
from armillary.cli.butler import main
from armillary.instrument.sky_map import SkyMap


@pytest.fixture
def repo(tmp_path):
    Butler.makeRepo(tmp_path / "repo")
    return str(tmp_path / "repo")


def registered(repo, name):
    with Butler(repo) as butler:
        (record,) = butler.registry.queryDimensionRecords("skymap", skymap=name)
        description = butler.get("skyMap", skymap=name, collections="skymaps")
        tracts = list(butler.registry.queryDimensionRecords("tract", skymap=name))
    return record, SkyMap.from_dict(description), tracts


@pytest.mark.parametrize(
    ("kind", "tracts"),
    [("healpix", 12), ("equat", 4), ("discrete", 1)],  # maps of the whole sky take seconds to index
)
def test_every_kind_is_registered_once(repo, capfd, kind, tracts):
    asked = ["register-skymap", repo, "sky", "--kind", kind, "--rings", "3", "--centre", "10", "20", "--radius", "1"]
    asked += ["--pixel-scale", "60", "--patch-size", "2000"]
    assert main(asked) == 0
    assert main(asked) == 0
    assert (
        capfd.readouterr().out == f"`sky` has {tracts} tracts\n`sky` has {tracts} tracts; it was registered already\n"
    )
    record, sky_map, records = registered(repo, "sky")
    assert record.tract_max == len(records) == len(sky_map) == tracts


def test_a_configuration_names_and_describes_a_map(repo, tmp_path, capfd):
    file = tmp_path / "makeSkyMap.py"
    file.write_text(
        'config.skyMap.name = "rings"\nconfig.skyMap["rings"].numRings = 3\nconfig.skyMap["rings"].pixelScale = 60.0\n'
        'config.skyMap["rings"].tractBuilder = "cells"\n'
    )
    assert main(["register-skymap", repo, "-C", str(file)]) == 2
    assert "does not name the map" in capfd.readouterr().err
    assert main(["register-skymap", repo, "-C", str(file), "-c", "name=survey", "-c", "skyMap.pixelScal=1"]) == 1
    assert main(["register-skymap", repo, "-C", str(file), "-c", "name=survey"]) == 0
    _, sky_map, _ = registered(repo, "survey")
    assert (sky_map[5].patch_size, sky_map[5].patch_border) == (150 * 20, 150)
    assert main(["register-skymap", repo, "-c", "name=survey", "-c", "skyMap=dodeca"]) == 1
