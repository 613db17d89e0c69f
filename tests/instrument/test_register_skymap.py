"""`butler register-skymap`: by options, and by configurations as the Rubin stack has them."""

import pytest

from armillary.butler import Butler
from armillary.cli.butler import main
from armillary.instrument.sky_map import SkyMap
from armillary.instrument.sky_map_config import RegisterSkyMapConfig


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
    told = f"`sky` has {tracts} {'tract' if tracts == 1 else 'tracts'}"
    assert capfd.readouterr().out == f"{told}\n{told}; it was registered already\n"
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
    assert main(["register-skymap", repo, "-C", str(file), "-c", "name=survey", "-c", "skyMap.rings.pixelScal=1"]) == 2
    assert "no field `skyMap.rings.pixelScal`" in capfd.readouterr().err
    assert main(["register-skymap", repo, "-C", str(file), "-c", "name=survey", "-c", "skyMap.rings.raStart=5.0"]) == 0
    _, sky_map, _ = registered(repo, "survey")
    assert sky_map[1].ra == 5.0
    assert (sky_map[5].patch_size, sky_map[5].patch_border) == (150 * 20, 200)
    assert main(["register-skymap", repo, "-c", "name=survey", "-c", "skyMap=dodeca"]) == 1


def test_the_hashes_of_rubin_repositories_come_out(shared_path):
    """`hsc_rings_v1` as in two exports, `lsst_cells_v1` as in a repository: no map of theirs is another map here."""
    import base64
    import re
    import sqlite3

    text = shared_path("data", "exports", "daf_butler_hsc-rc2-subset.yaml").read_text()
    wanted = base64.b64decode(re.search(r"name: hsc_rings_v1\n +hash: !!binary \|\n +(\S+)", text)[1])
    config = RegisterSkyMapConfig()
    config.skyMap.name = "rings"
    config.skyMap["rings"].update(numRings=120, pixelScale=0.168, tractOverlap=1 / 60, projection="TAN")
    assert config.skyMap.active.make().sha1 == wanted

    place = shared_path("data", "repos", "transfer_embargo_from", "gen3.sqlite3")
    with sqlite3.connect(f"file:{place}?mode=ro&immutable=1", uri=True) as database:
        ((stored, tracts, nx, ny),) = database.execute("SELECT hash, tract_max, patch_nx_max, patch_ny_max FROM skymap")
    config.skyMap["rings"].pixelScale = 0.2
    config.skyMap["rings"].tractBuilder.name = "cells"
    cells = config.skyMap.active.make()
    assert cells.sha1 == base64.b64decode(stored)
    assert (len(cells), max(t.patches_x for t in cells), max(t.patches_y for t in cells)) == (tracts, nx, ny)
    corner = cells[0].patch(0)  # cells go on beyond the tract
    assert (corner.x_min, corner.y_max) == (-200, 3200)


def test_a_discrete_configuration_gives_whole_patches():
    """CFHT's map: 2 x (0 + 1 degree) of stereographic plane in patches of 4000 pixels of 0.185 arcseconds."""
    config = RegisterSkyMapConfig()
    config.skyMap.name = "discrete"
    config.skyMap["discrete"].update(
        raList=[214.263, 215.463], decList=[52.082, 53.282], radiusList=[0.0, 0.0], pixelScale=0.185
    )
    sky_map = config.skyMap.active.make()
    assert [(t.ra, t.dec, t.width, t.patches_x) for t in sky_map] == [
        (214.263, 52.082, 40000, 10),
        (215.463, 53.282, 40000, 10),
    ]
    assert SkyMap.from_dict(sky_map.to_dict()).sha1 == sky_map.sha1
    config.skyMap["discrete"].radiusList = [0.0]
    with pytest.raises(ValueError, match="equally long"):
        config.skyMap.active.make()


def test_subfilters_of_bands_are_registered_once(repo, capfd):
    assert main(["register-dcr-subfilters", repo, "2", "g"]) == 0
    assert main(["register-dcr-subfilters", repo, "3", "g", "r"]) == 0
    assert capfd.readouterr().out.splitlines() == [
        "`g`: 2 subfilters registered",
        "`g`: 1 subfilter registered; 2 were there already",
        "`r`: 3 subfilters registered",
    ]
    with Butler(repo) as butler:
        found = {(r.band, r.id) for r in butler.registry.queryDimensionRecords("subfilter")}
    assert found == {(band, number) for band in "gr" for number in range(3)}
    assert main(["register-dcr-subfilters", repo, "0", "g"]) == 2
    assert main(["register-dcr-subfilters", repo, "3"]) == 2
