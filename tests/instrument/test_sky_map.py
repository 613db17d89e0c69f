"""Tracts and patches: what they cover, how they are described, what they refuse."""

import numpy as np
import pytest
from lsst.sphgeom import LonLat, UnitVector3d

from armillary.instrument.sky_map import SkyMap, Tract
from armillary.instrument.wcs import pixel_polygon, tangent_wcs


@pytest.mark.parametrize("rings", [2, 3, 7, 20])
def test_rings_leave_no_hole_in_the_sky(rings):
    sky_map = SkyMap.rings(rings, pixel_scale=60.0, patch_size=1000)
    regions = [tract.region for tract in sky_map]
    random = np.random.default_rng(5)
    ra, dec = random.uniform(0, 360, 3000), np.degrees(np.arcsin(random.uniform(-1, 1, 3000)))
    for place in zip(np.append(ra, [0, 0, 359.99]), np.append(dec, [90, -90, 0]), strict=True):
        vector = UnitVector3d(LonLat.fromDegrees(*(float(x) for x in place)))
        assert any(region.contains(vector) for region in regions), place


def test_patches_tile_their_tract():
    tract = Tract(0, 150.0, 2.0, 250, 130, 0.5, patch_size=100, patch_border=7)
    covered = np.zeros((130, 250), int)
    for patch in tract.patches:
        covered[patch.y_min : patch.y_max, patch.x_min : patch.x_max] += 1
    assert covered.min() == 1
    assert (tract.patches_x, tract.patches_y) == (3, 2)
    assert [(p.cell_x, p.cell_y) for p in tract.patches][:4] == [(0, 0), (1, 0), (2, 0), (0, 1)]


def test_a_patch_sees_the_sky_where_its_tract_does():
    tract = Tract(0, 150.0, -40.0, 300, 300, 0.5, patch_size=100, patch_border=0)
    patch = tract.patch(4)
    from_tract = tract.wcs.wcs_pix2world(patch.x_min + 12, patch.y_min + 34, 0)
    from_patch = tract.patch_wcs(patch).wcs_pix2world(12, 34, 0)
    assert np.allclose(from_tract, from_patch, atol=1e-12)
    assert tract.patch_region(patch).contains(UnitVector3d(LonLat.fromDegrees(150.0, -40.0)))


def test_descriptions_survive_a_round_trip_and_name_the_map():
    sky_map = SkyMap.discrete([(10.0, 20.0), (359.5, -5.0)], radius=0.1, pixel_scale=0.37)
    again = SkyMap.from_dict(sky_map.to_dict())
    assert again == sky_map
    assert again.sha1 == sky_map.sha1
    assert SkyMap.discrete([(10.0, 20.0)], radius=0.1).sha1 != sky_map.sha1


def test_bad_descriptions_are_refused():
    with pytest.raises(ValueError, match="no description of a sky map"):
        SkyMap.from_dict({"kind": "discrete"})
    with pytest.raises(ValueError, match="no description of a sky map"):
        SkyMap.from_dict({"kind": "discrete", "tracts": [{"tract": 1}]})
    with pytest.raises(ValueError, match="at least one tract"):
        SkyMap.discrete([], radius=1.0)
    with pytest.raises(ValueError, match="pixel scale must be positive"):
        SkyMap.discrete([(1.0, 1.0)], radius=1.0, pixel_scale=0.0)
    with pytest.raises(ValueError, match="between 0 and 60"):
        SkyMap.discrete([(1.0, 1.0)], radius=90.0)
    with pytest.raises(ValueError, match="at least 2 rings"):
        SkyMap.rings(1)


def test_unknown_tracts_and_patches_name_the_known_ones():
    sky_map = SkyMap.discrete([(10.0, 20.0)], radius=0.1)
    with pytest.raises(LookupError, match="tracts 0 to 0, not `4`"):
        sky_map[4]
    with pytest.raises(LookupError, match="not `99`"):
        sky_map[0].patch(99)


def test_a_map_around_regions_holds_them_with_a_margin():
    places = [(150.0, 60.0), (150.01, 60.005), (10.0, -80.0), (359.999, 0.0), (0.001, 0.0)]
    regions = [pixel_polygon(tangent_wcs(*place, 0.5, (400, 400)), 0, 0, 399, 399) for place in places]
    sky_map = SkyMap.around(regions, pixel_scale=0.5)
    assert len(sky_map) == 3
    for region in regions:
        assert any(tract.region.contains(region) for tract in sky_map)
    assert sky_map[1].width == pytest.approx(400 + 100, abs=2)
    circle = regions[2].getBoundingCircle()
    assert SkyMap.around([circle], pixel_scale=0.5)[0].region.contains(circle)


@pytest.mark.parametrize(
    "sky_map",
    [
        SkyMap.dodecahedron(pixel_scale=60.0, patch_size=1000),
        SkyMap.dodecahedron(pixel_scale=60.0, patch_size=1000, with_tracts_on_poles=True),
        SkyMap.healpix(1, pixel_scale=60.0, patch_size=1000),
        SkyMap.healpix(1, pixel_scale=60.0, patch_size=1000, nest=True),
    ],
)
def test_maps_of_the_whole_sky_leave_no_hole(sky_map):
    random = np.random.default_rng(6)
    ra, dec = random.uniform(0, 360, 500), np.degrees(np.arcsin(random.uniform(-1, 1, 500)))
    for place in zip(np.append(ra, [0, 0, 359.99]), np.append(dec, [90, -90, 0]), strict=True):
        vector = UnitVector3d(LonLat.fromDegrees(*(float(x) for x in place)))
        inside = []
        for tract in sky_map:
            if UnitVector3d(LonLat.fromDegrees(tract.ra, tract.dec)).dot(vector) > 0:
                x, y = tract.wcs.wcs_world2pix(*place, 0)
                inside.append(-0.5 <= x <= tract.width - 0.5 and -0.5 <= y <= tract.height - 0.5)
        assert any(inside), place
    assert SkyMap.from_dict(sky_map.to_dict()) == sky_map


def test_equatorial_maps_cover_their_band():
    sky_map = SkyMap.equatorial(12, pixel_scale=10.0, patch_size=500, dec_range=(-2.0, 3.0))
    for ra in np.arange(0.5, 360, 7.0):
        for dec in (-1.99, 0.0, 2.99):
            pixels = [(tract, tract.wcs.wcs_world2pix(ra, dec, 0)) for tract in sky_map]
            assert any(-0.5 <= x < t.width - 0.5 and -0.5 <= y < t.height - 0.5 for t, (x, y) in pixels), (ra, dec)
    with pytest.raises(ValueError, match="at least 3 tracts"):
        SkyMap.equatorial(2)


def test_projections_and_depths_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="`AIT` is no projection of sky maps"):
        SkyMap.rings(3, projection="AIT")
    with pytest.raises(ValueError, match="between 0 and 6, not `7`"):
        SkyMap.healpix(7)
