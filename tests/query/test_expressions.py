"""What expressions mean where the peer is silent or wrong, and what they say when they are not understood."""

from __future__ import annotations

import uuid

import pytest

from armillary.errors import (
    CalibrationLookupError,
    DimensionNameError,
    InvalidQueryError,
    MissingCollectionError,
    MissingDatasetTypeError,
    UnimplementedQueryError,
)

A = {"instrument": "CamA"}
AS = {**A, "skymap": "skyA"}


def visits(engine, where, bind=None, **data_id):
    found = engine.data_ids(["visit"], where=where, bind=bind, data_id=data_id or A)
    return sorted(data_id["visit"] for data_id in found)


def test_a_bind_is_only_ever_a_value(engine):
    found = engine.data_ids(["detector"], where="detector = :detector", bind={"detector": 1}, data_id=A)
    assert [data_id["detector"] for data_id in found] == [1]


def test_a_bare_name_that_is_a_dimension_and_a_bind_is_refused(engine):
    with pytest.raises(InvalidQueryError, match="write `:detector` where the value is meant"):
        engine.data_ids(["detector"], where="detector = detector", bind={"detector": 1}, data_id=A)


def test_regions_may_be_tested_inside_or_and_not(engine):
    inside = visits(engine, "visit.region OVERLAPS POINT(10, -5)")
    assert inside == [100, 101]
    # 106 has no region: whether it overlaps is unknown, and unknown is not false.
    assert visits(engine, "NOT visit.region OVERLAPS POINT(10, -5)") == [102, 103, 104, 105]
    assert visits(engine, "visit.region OVERLAPS POINT(10, -5) OR visit = 106") == [100, 101, 106]
    assert visits(engine, "NOT (visit.region OVERLAPS POINT(10, -5) AND visit > 100)") == [100, 102, 103, 104, 105]
    both = "(visit.region OVERLAPS POINT(10, -5) OR band = 'g') AND visit.exposure_time > 30"
    assert visits(engine, both) == [101, 104]


def test_a_circle_has_the_radius_it_was_given(engine):
    assert visits(engine, "visit.region OVERLAPS CIRCLE(8.5, -5, 0.4)") == []
    assert visits(engine, "visit.region OVERLAPS CIRCLE(8.5, -5, 0.6)") == [100]


def test_an_unqualified_field_is_that_of_the_answer(engine):
    assert visits(engine, "exposure_time > 34") == [105, 106]
    with pytest.raises(InvalidQueryError, match=r"`timespan` could be any of `day_obs\.timespan`, `visit\.timespan`"):
        visits(engine, "timespan OVERLAPS T'2020-01-01'")


def test_the_group_of_an_exposure_is_that_of_the_exposure(engine):
    assert visits(engine, "exposure.group = 'g101'") == [101]


def test_numbers_of_both_sorts_mix(engine):
    assert visits(engine, "visit.zenith_angle * 2 + 1 > 9") == [105, 106]


def test_truth_values_are_also_numbers(engine):
    def exposures(where, bind=None):
        return sorted(found["exposure"] for found in engine.data_ids(["exposure"], where=where, bind=bind, data_id=A))

    seen, unseen = exposures("exposure.can_see_sky"), exposures("NOT exposure.can_see_sky")
    assert seen and unseen
    assert exposures("exposure.can_see_sky = 1") == exposures("exposure.can_see_sky != 0.0") == seen
    assert exposures("exposure.can_see_sky = :no", {"no": False}) == unseen
    assert exposures("exposure.can_see_sky IN (:no, 7)", {"no": False}) == unseen
    assert exposures("exposure.can_see_sky IN (0, 1)") == sorted(seen + unseen)
    assert exposures("exposure.can_see_sky = 2") == []
    assert exposures("exposure.seq_num != exposure.can_see_sky AND exposure.can_see_sky") != []


def test_ids_and_truth_values_have_an_order(butler):
    with butler.query() as query:
        refs = query.datasets("calexp", ["run1", "run2", "tag"], find_first=False).order_by("-dataset_id").limit(3)
        everything = query.datasets("calexp", ["run1", "run2", "tag"], find_first=False)
        assert [*refs] == sorted(everything, key=lambda ref: str(ref.id), reverse=True)[:3]
        # Each exposure comes once although it has a row for every detector.
        exposures = query.where(instrument="CamA").join_dimensions(["detector"]).data_ids(["exposure"])
        found = [*exposures.order_by("-exposure.can_see_sky", "exposure").limit(20)]
        known = {record.id: record.can_see_sky for record in query.dimension_records("exposure").where(**A)}
        seen = [known[data_id["exposure"]] for data_id in found if known[data_id["exposure"]] is not None]
        assert sorted(seen, reverse=True) == seen and set(seen) == {True, False}
        assert len(found) == len(set(found)) == len(known)


@pytest.mark.parametrize("value", [101, 101.0])
def test_lists_of_any_length_are_bound(engine, value):
    assert visits(engine, "visit IN (:many)", {"many": [value, *range(1000, 40_000)]}) == [101]


def test_values_are_never_read_as_sql(engine):
    nasty = "x' OR '1'='1"
    assert visits(engine, "visit.name = :name", {"name": nasty}) == []
    assert visits(engine, "visit.name IN (:name)", {"name": [nasty] * 300}) == []
    with pytest.raises(DimensionNameError):
        engine.data_ids(["visit"], data_id={'instrument" = "CamA': 1})
    with pytest.raises(MissingCollectionError):
        engine.datasets("calexp", [nasty])
    with pytest.raises(MissingDatasetTypeError):
        engine.datasets(nasty, ["chain"])


def test_an_id_is_found_by_its_uuid(engine):
    ref = engine.datasets("calexp", ["run1"], limit=1)[0]
    for where, bind in ((f"dataset_id = UUID('{ref.id}')", None), ("dataset_id = :id", {"id": uuid.UUID(str(ref.id))})):
        assert list(engine.datasets("calexp", ["run1"], where=where, bind=bind)) == [ref]


def test_a_box_is_a_region_although_it_has_longitudes(engine):
    from lsst.sphgeom import Box

    box = Box.fromDegrees(9.5, -5.5, 10.5, -4.5)
    found = visits(engine, "visit.region OVERLAPS :box", {"box": box})
    assert found == visits(engine, "visit.region OVERLAPS REGION('RANGE 9.5 10.5 -5.5 -4.5')") != []


def test_equal_bounds_are_an_instant(engine):
    at = "T'2020-01-01T22:00:00/tai'"
    assert (
        visits(engine, f"visit.timespan OVERLAPS ({at}, {at})") == visits(engine, f"visit.timespan OVERLAPS {at}") != []
    )


def test_objects_of_astropy_are_bound(engine):
    from astropy.coordinates import SkyCoord
    from astropy.time import Time

    moment = Time("2020-01-01T21:05:00", scale="tai")
    assert visits(engine, "visit.timespan OVERLAPS :t", {"t": moment}) == [101]
    assert visits(engine, "visit.timespan OVERLAPS :t", {"t": moment.utc.to_datetime()}) == [101]
    assert visits(engine, "visit.region OVERLAPS :p", {"p": SkyCoord(10, -5, unit="deg")}) == [100, 101]


MESSAGES = {
    "detectr = 20": "no dimension or field is called `detectr`; did you mean `detector`?\n  detectr = 20\n  ^^^^^^^",
    "visit.exposur_time > 3": (
        "`visit` has no field `exposur_time`; did you mean `visit.exposure_time`?\n"
        "  visit.exposur_time > 3\n        ^^^^^^^^^^^^"
    ),
    "visit = '101'": (
        "`=` does not go between an integer and text; numbers are written without quotes\n"
        "  visit = '101'\n  ^^^^^^^^^^^^^"
    ),
    "visit": "`visit`, an integer, is no condition; compare it with something\n  visit\n  ^^^^^",
    "visit = :v": "no value was bound to `:v`\n  visit = :v\n          ^^",
    "POYNT(1, 2) OVERLAPS visit.region": (
        "no function is called `POYNT`; did you mean `POINT`?\n  POYNT(1, 2) OVERLAPS visit.region\n  ^^^^^"
    ),
    "visit.region OVERLAPS POINT(1, -95)": (
        "`POINT` cannot use its arguments: the latitude -95 is not between -90 and 90 degrees\n"
        "  visit.region OVERLAPS POINT(1, -95)\n                        ^^^^^^^^^^^^^"
    ),
    "visit.timespan IN (T'2020-01-01', T'2021-01-01')": (
        "`IN` does not go between a timespan and a list; "
        "to be within a range of time is `OVERLAPS (T'...', T'...')`\n"
        "  visit.timespan IN (T'2020-01-01', T'2021-01-01')\n  ^^^^^^^^^^^^^^"
    ),
    "visit.timespan.begin > '2020-01-01'": (
        "`>` does not go between a time and text; a time is written `T'2020-01-01'`\n"
        "  visit.timespan.begin > '2020-01-01'\n  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"
    ),
    "calexp.run = 'run1'": (
        "dataset type `calexp` is not part of the query, which searches for no datasets\n"
        "  calexp.run = 'run1'\n  ^^^^^^^^^^"
    ),
    "visit.region OVERLAPS visit_detector_region.region": (
        "`visit.region` and `visit_detector_region.region` are related already, so they need no `OVERLAPS`\n"
        "  visit.region OVERLAPS visit_detector_region.region\n"
        "  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"
    ),
    "visit == 101": ("found `==` where an operator was expected; equality is written `=`\n  visit == 101\n        ^^"),
    "tract = 1": "`tract` means nothing without `skymap`; add `skymap = '...'` (known: `skyA`, `skyB`)",
}


@pytest.mark.parametrize("where", MESSAGES)
def test_a_message_shows_the_place_and_the_cure(engine, where):
    with pytest.raises(InvalidQueryError) as caught:
        engine.data_ids(["visit"], where=where, data_id=A)
    assert str(caught.value) == MESSAGES[where]


def test_an_unknown_bind_object_is_named(engine):
    with pytest.raises(InvalidQueryError, match="the value of `:v`, `<object"):
        visits(engine, "visit = :v", {"v": object()})


def test_deep_nesting_is_refused_without_a_crash(engine):
    with pytest.raises(InvalidQueryError, match="nested more than"):
        visits(engine, "(" * 100_000)


def test_pixels_without_anything_that_gives_them_values_are_not_listed(engine):
    with pytest.raises(UnimplementedQueryError, match="the dimension `htm7` without datasets or regions"):
        engine.data_ids(["htm7"])


def test_an_ambiguous_calibration_is_named(engine):
    with pytest.raises(
        CalibrationLookupError, match=r"several `bias` datasets for \{instrument: 'CamA', detector: 1\}"
    ):
        engine.datasets("bias", ["calib"], where="detector = 1", data_id=A)
    assert len(engine.datasets("bias", ["calib"], where="detector = 1", data_id=A, limit=0)) == 0  # none are told apart
    for exposure, run in ((101, "calib/run"), (105, "calib/run2")):
        found = engine.datasets("bias", ["calib"], where=f"detector = 1 AND exposure = {exposure}", data_id=A)
        assert [ref.run for ref in found] == [run]


def test_a_name_that_could_be_several_is_what_it_could_be_at_its_step(butler):
    with butler.query() as query:
        detectors = query.join_dimensions("detector").where("id = 1 AND full_name > ''", instrument="CamA")
        found = detectors.data_ids(["visit", "detector"])
        assert {data_id["detector"] for data_id in found} == {1}
        assert found.count() == query.where("detector = 1", instrument="CamA").data_ids(["visit", "detector"]).count()
        several = query.join_dimensions(["detector", "visit"]).where("id >= 0", instrument="CamA")
        with pytest.raises(InvalidQueryError, match=r"`id` could be any of .*`detector\.id`, .*`visit\.id`"):
            list(several.data_ids(["visit", "detector"]))


def test_related_datasets_do_not_change_what_a_condition_says(butler):
    registry = butler.registry
    (ref, *_) = registry.queryDatasets("calexp", collections="run1")
    found = registry.queryDataIds(
        ["visit", "detector"],
        datasets="calexp",
        collections="run1",
        where=f"dataset_id = UUID('{ref.id}')",
        instrument="CamA",
    )
    pairs = found.findRelatedDatasets("visit_summary", "run3")
    assert [(data_id, other.run) for data_id, other in pairs] == [(ref.dataId, "run3")]


def test_overlaps_of_nothing_need_not_be_said(butler):
    """Three sets of regions, of which it is not clear which overlap; but there are no such datasets."""
    dimensions, skymap = ["visit", "tract"], {"instrument": "CamA", "skymap": "skyA"}
    found = butler.registry.queryDataIds(dimensions, dataId=skymap, datasets="ref_cat", collections=["run1"])
    assert not found.any()
    with pytest.raises(InvalidQueryError, match="3 unrelated sets of regions"):
        butler.registry.queryDataIds(dimensions, dataId=skymap, datasets="ref_cat", collections=["refs"]).any()


@pytest.mark.parametrize("where", ["band = R", "visit > 3 AND (band = R OR band = 'g')"])
def test_a_text_without_quotes_is_told_how_to_write_it(engine, where):
    with pytest.raises(InvalidQueryError, match="called `R`; a text needs quotes, `'R'`, and a value given by `bind`"):
        engine.data_ids(["visit"], where=where)
    with pytest.raises(InvalidQueryError, match="called `R`\n"):
        engine.data_ids(["visit"], order_by=["R"])
