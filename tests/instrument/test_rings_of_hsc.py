"""The rings map agrees with HSC's `rings_v1` as made by the Rubin stack: numbers, places, patches, regions."""

import gzip
import re

import numpy as np
import pytest
from lsst.sphgeom import LonLat, Region

from armillary.instrument.sky_map import SkyMap

LINE = re.compile(r"Tract: (\d+) +(?:Patch: (\d+),(\d+) +)?(Center|Corner[0-3]) \(RA, Dec\): \((\S+) , (\S+)\)")
FIELDS = {"DUD-COSMOS": (10, 810), "DUD-ELAIS-N1": (10, 810), "W-AEGIS": (4, 324), "W-w01": (35, 2835)}
TOLERANCE = 2e-8  # degrees; the files have twelve digits


@pytest.fixture(scope="module")
def rings_v1():
    return SkyMap.rings(120, pixel_scale=0.168, patch_size=4000, patch_border=100)


def test_the_map_is_as_large(rings_v1):
    assert len(rings_v1) == 18938
    assert max(tract.patches_x for tract in rings_v1) == max(tract.patches_y for tract in rings_v1) == 9


@pytest.mark.parametrize("field", FIELDS)
def test_tracts_and_patches_are_where_hsc_has_them(rings_v1, shared_path, field):
    tracts, patches = 0, 0
    pixels: dict[int, list[tuple[float, ...]]] = {}
    text = gzip.decompress(shared_path("data", "skymaps", f"tracts_patches_{field}.txt.gz").read_bytes()).decode()
    for number, x, y, what, ra, dec in LINE.findall(text):
        tract = rings_v1[int(number)]
        if what == "Center" and not x:
            assert (float(ra), float(dec)) == pytest.approx((tract.ra, tract.dec), abs=TOLERANCE)
            tracts += 1
            continue
        left, bottom, width, height = 0, 0, tract.width, tract.height
        if x:
            patches += what == "Center"
            left, bottom, width, height = int(x) * 4000, int(y) * 4000, 4000, 4000
            assert tract.patch(int(y) * 9 + int(x)).cell_x == int(x)
        if what != "Center":  # the middles of a corner's pixels
            corner = int(what[-1])
            place = left + (width - 1) * (corner in (1, 2)), bottom + (height - 1) * (corner in (2, 3))
            pixels.setdefault(int(number), []).append((*place, float(ra), float(dec)))
    assert (tracts, patches) == FIELDS[field]
    for number, rows in pixels.items():
        x, y, ra, dec = np.array(rows).T
        found = rings_v1[number].wcs.wcs_pix2world(x, y, 0)
        assert np.abs(found[0] - ra).max() < TOLERANCE
        assert np.abs(found[1] - dec).max() < TOLERANCE


def test_regions_are_those_of_an_export(rings_v1, shared_path):
    text = shared_path("data", "exports", "daf_butler_hsc-rc2-subset.yaml").read_text()
    records = re.findall(
        r"skymap: hsc_rings_v1\n +(?:id|tract): (\d+)\n(?: +id: (\d+)\n +cell_x: (\d+)\n +cell_y: (\d+)\n)?"
        r" +region: !<lsst.sphgeom.ConvexPolygon>\n +encoded: (\w+)",
        text,
    )
    assert len(records) == 4
    for number, patch, cell_x, cell_y, encoded in records:
        tract = rings_v1[int(number)]
        region = tract.region
        if patch:
            found = tract.patch(int(patch))
            assert (found.cell_x, found.cell_y) == (int(cell_x), int(cell_y))
            region = tract.patch_region(found)
        wanted = Region.decode(bytes.fromhex(encoded))
        assert corners(region) == pytest.approx(corners(wanted), abs=1e-9)


def corners(region):
    places = sorted((LonLat(v).getLon().asDegrees(), LonLat(v).getLat().asDegrees()) for v in region.getVertices())
    return np.array(places)
