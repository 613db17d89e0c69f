"""Pixels of every system and level, as keys and in overlaps: those that `lsst.sphgeom` says a region touches."""

from __future__ import annotations

import lsst.sphgeom
import pytest

from armillary.butler import DataCoordinate
from armillary.errors import UnimplementedQueryError

LEVELS = [
    ("htm5", lsst.sphgeom.HtmPixelization(5)),
    ("htm9", lsst.sphgeom.HtmPixelization(9)),
    ("healpix4", lsst.sphgeom.HealpixPixelization(4)),
    ("healpix8", lsst.sphgeom.HealpixPixelization(8)),
]


@pytest.fixture
def query(butler):
    with butler.query() as query:
        yield query.where(instrument="CamA")


def touched(pixelization, region) -> set[int]:
    candidates = {pixel for begin, end in pixelization.envelope(region) for pixel in range(begin, end)}
    apart = {pixel for pixel in candidates if pixelization.pixel(pixel).relate(region) & lsst.sphgeom.DISJOINT}
    return candidates - apart


@pytest.mark.parametrize(("name", "pixelization"), LEVELS)
def test_pixels_go_with_the_regions_that_touch_them(query, name, pixelization):
    expected = {
        (record.id, pixel)
        for record in query.dimension_records("visit")
        if record.region is not None
        for pixel in touched(pixelization, record.region)
    }
    assert {(found["visit"], found[name]) for found in query.data_ids(["visit", name])} == expected
    one = query.where("visit = 100").data_ids(["visit", name])
    assert one.count() == len([visit for visit, _ in expected if visit == 100])


@pytest.mark.parametrize(("name", "pixelization"), LEVELS)
def test_a_given_region_gives_its_pixels(query, name, pixelization):
    region = lsst.sphgeom.Region.from_ivoa_pos("CIRCLE 10 -5 1.5")
    found = query.where(f"{name}.region OVERLAPS :here", bind={"here": region}).data_ids([name])
    assert {data_id[name] for data_id in found} == touched(pixelization, region)
    (record,) = query.where(f"{name}.region OVERLAPS POINT(10.1, -5.1)").dimension_records(name)
    assert record.id == pixelization.index(lsst.sphgeom.UnitVector3d(lsst.sphgeom.LonLat.fromDegrees(10.1, -5.1)))
    middle = pixelization.pixel(record.id).getCentroid()
    assert record.region.contains(middle)


def test_overlaps_of_pixels_may_stand_anywhere(query):
    here = query.where("visit = 100").data_ids(["visit", "healpix8"])
    inside = "healpix8.region OVERLAPS CIRCLE(10, -5, 0.2)"
    some, others = here.where(inside).count(), here.where(f"NOT {inside}").count()
    assert 0 < some < others and some + others == here.count()
    assert here.where(f"{inside} OR visit = 100").count() == here.count()


def test_too_many_pixels_are_refused(query):
    with pytest.raises(UnimplementedQueryError, match="pixels of `healpix17` \\(a coarser level has fewer"):
        query.data_ids(["visit", "healpix17"]).count()
    with pytest.raises(UnimplementedQueryError, match="an overlap of `healpix5` with `htm9`"):
        query.data_ids(["htm9", "healpix5"]).count()  # nothing says which pixels


PAIRS = [("htm9", "healpix5"), ("htm5", "healpix8"), ("htm7", "healpix7")]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_pixels_of_both_systems_overlap(query, one, other):
    near, far = (
        lsst.sphgeom.HtmPixelization(int(one.removeprefix("htm"))),
        lsst.sphgeom.HealpixPixelization(int(other.removeprefix("healpix"))),
    )
    region = lsst.sphgeom.Region.from_ivoa_pos("CIRCLE 10 -5 1.5")
    expected = {(pixel, found) for pixel in touched(near, region) for found in touched(far, near.pixel(pixel))}
    asked = query.where(f"{one}.region OVERLAPS :here", bind={"here": region}).data_ids([one, other])
    assert {(data_id[one], data_id[other]) for data_id in asked} == expected
    assert asked.count() == len(expected)
    pixel, found = sorted(expected)[0]
    listed = query.where(f"{other} = {found}").data_ids([one, other])
    assert {(data_id[one], data_id[other]) for data_id in listed} == {
        (pixel, found) for pixel in touched(near, far.pixel(found))
    }
    given = DataCoordinate.standardize({one: pixel}, universe=asked.dimensions.universe)
    uploaded = query.join_data_coordinates([given]).data_ids([one, other])
    assert {data_id[other] for data_id in uploaded} == touched(far, near.pixel(pixel))


def test_a_pixel_may_be_given_as_key(query):
    pixel = lsst.sphgeom.HealpixPixelization(8).index(
        lsst.sphgeom.UnitVector3d(lsst.sphgeom.LonLat.fromDegrees(10, -5))
    )
    assert [data_id["healpix8"] for data_id in query.where(f"healpix8 = {pixel}").data_ids(["healpix8"])] == [pixel]
    assert [*query.where("htm9 = 5").data_ids(["htm9"])] == []  # no pixel of level 9
    visits = {data_id["visit"] for data_id in query.where(f"healpix8 = {pixel}").data_ids(["visit"])}
    assert visits == {
        data_id["visit"] for data_id in query.data_ids(["visit", "healpix8"]) if data_id["healpix8"] == pixel
    }


def test_pixels_of_records_lead_to_those_of_the_other_system(query):
    overlaps = "visit.region OVERLAPS htm9.region AND htm9.region OVERLAPS healpix5.region AND visit = 100"
    found = query.where(overlaps).data_ids(["visit", "htm9", "healpix5"])
    (visit,) = query.where("visit = 100").dimension_records("visit")
    near, far = lsst.sphgeom.HtmPixelization(9), lsst.sphgeom.HealpixPixelization(5)
    assert {(data_id["htm9"], data_id["healpix5"]) for data_id in found} == {
        (pixel, other) for pixel in touched(near, visit.region) for other in touched(far, near.pixel(pixel))
    }
