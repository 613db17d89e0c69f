"""Many rows at a time: they are entered as a few are, and refused as a few are.

From some hundred rows on `SQLite` does not look itself whether what they refer to is there.
"""

from __future__ import annotations

import random
import sqlite3
from types import SimpleNamespace

import pytest

from armillary import _core
from armillary.errors import ConflictingDefinitionError, MissingRecordError

DETECTORS, EXPOSURES = 4, 300
CAMERA = {"instrument": "Cam"}


def data_ids():
    """All of them, in an order that no index has."""
    ids = [CAMERA | {"exposure": e, "detector": d} for e in range(EXPOSURES) for d in range(DETECTORS)]
    random.Random(5).shuffle(ids)
    return ids


@pytest.fixture
def camera(registry, universe, seed):
    registry.insert_records("instrument", [{"name": "Cam", "detector_max": 10, "class_name": "my.Cam"}])
    registry.insert_records("physical_filter", [CAMERA | {"name": "Cam-G", "band": "g"}])
    registry.insert_records("detector", [CAMERA | {"id": i, "full_name": f"S{i}"} for i in range(DETECTORS)])
    registry.insert_records("day_obs", [CAMERA | {"id": 20250101}])
    registry.insert_records("group", [CAMERA | {"name": "one"}])
    common = CAMERA | {"physical_filter": "Cam-G", "day_obs": 20250101, "group": "one"}
    registry.insert_records("exposure", [common | {"id": i, "obs_id": f"C{i}"} for i in range(EXPOSURES)])
    registry.register_dataset_type(
        _core.DatasetType("raw", ["detector", "exposure"], "StructuredDataDict", universe=universe)
    )
    for run in ("a", "b"):
        registry.register_collection(run, 1)
    yield SimpleNamespace(registry=registry)
    if seed is None:
        with sqlite3.connect(registry.path) as database:
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def check_that_keys_are_checked(registry):
    """A single row is always left to the database to check."""
    with pytest.raises(MissingRecordError, match="names `detector` 9, which has no record"):
        registry.insert_datasets("raw", "b", [CAMERA | {"exposure": 1, "detector": 9}])


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_references_come_back_in_the_order_given(camera, mode):
    ids = data_ids()
    refs = camera.registry.insert_datasets("raw", "a", ids, mode=mode)
    assert [dict(ref.dataId.required) for ref in refs] == ids
    assert len({ref.id for ref in refs}) == len(ids)
    assert {ref.id.version for ref in refs} == {7 if mode == 0 else 5}
    assert camera.registry.get_datasets([ref.id for ref in refs]) == refs
    assert camera.registry.row_counts()["dataset"] == len(ids)
    for ref in refs[::100]:
        assert camera.registry.find_dataset("raw", ref.dataId, ["b", "a"]) == ref
    check_that_keys_are_checked(camera.registry)


def test_datasets_with_ids_are_imported_among_those_that_are_there(camera):
    refs = camera.registry.insert_datasets("raw", "a", data_ids()[:600])
    others = [_core.DatasetRef(ref.datasetType, ref.dataId, "b") for ref in refs]
    camera.registry.import_datasets(refs[:50] + others)
    assert camera.registry.row_counts()["dataset"] == 1200
    camera.registry.import_datasets(others + refs)
    assert camera.registry.row_counts()["dataset"] == 1200
    check_that_keys_are_checked(camera.registry)


@pytest.mark.parametrize("field", ["detector", "exposure"])
def test_of_many_the_first_that_names_nothing_is_named(camera, field):
    ids = data_ids()
    ids[700] = ids[700] | {field: 990}
    ids[900] = ids[900] | {field: 900}
    with pytest.raises(MissingRecordError, match=f"names `{field}` 990, which has no record"):
        camera.registry.insert_datasets("raw", "a", ids)
    assert camera.registry.row_counts()["dataset"] == 0
    check_that_keys_are_checked(camera.registry)


def test_of_many_one_that_is_there_is_named(camera):
    ids = data_ids()
    camera.registry.insert_datasets("raw", "a", [ids[500]])
    with pytest.raises(ConflictingDefinitionError, match="data ID is there already") as refused:
        camera.registry.insert_datasets("raw", "a", ids)
    assert f"detector: {ids[500]['detector']}, exposure: {ids[500]['exposure']}}}" in str(refused.value)
    assert camera.registry.row_counts()["dataset"] == 1
    check_that_keys_are_checked(camera.registry)
    taken = camera.registry.insert_datasets("raw", "b", ids[:1])[0]
    others = [_core.DatasetRef(taken.datasetType, ref, "a") for ref in camera.registry.expand_data_ids(ids[1:700])]
    clash = _core.DatasetRef(taken.datasetType, others[0].dataId, "a", id=taken.id)
    with pytest.raises(ConflictingDefinitionError, match=str(taken.id)):
        camera.registry.import_datasets([*others[1:], clash])
    check_that_keys_are_checked(camera.registry)


def test_a_step_of_a_transaction_can_be_undone_alone(camera):
    camera.registry.begin()
    camera.registry.insert_datasets("raw", "a", data_ids())
    check_that_keys_are_checked(camera.registry)
    camera.registry.commit()
    assert camera.registry.row_counts()["dataset"] == DETECTORS * EXPOSURES
    camera.registry.begin()
    camera.registry.insert_datasets("raw", "b", data_ids())
    camera.registry.rollback()
    assert camera.registry.row_counts()["dataset"] == DETECTORS * EXPOSURES
    check_that_keys_are_checked(camera.registry)


def test_datasets_may_be_of_pixels_or_of_nothing(camera, universe):
    for name, dimensions in (("cat", ["htm7"]), ("only", [])):
        camera.registry.register_dataset_type(
            _core.DatasetType(name, dimensions, "StructuredDataDict", universe=universe)
        )
    refs = camera.registry.insert_datasets("cat", "a", [{"htm7": 131072 + i} for i in range(700)])
    assert [ref.dataId["htm7"] for ref in refs] == list(range(131072, 131772))
    with pytest.raises(ConflictingDefinitionError, match=r"`only` .* cannot enter collection `a`"):
        camera.registry.insert_datasets("only", "a", [{}] * 600)
    check_that_keys_are_checked(camera.registry)


def regions(visits, *, shift=0.0):
    """A region of each detector for each visit, in an order that no index has."""
    rows = [
        CAMERA
        | {
            "visit": visit,
            "detector": detector,
            "region": _core.region_from_ivoa_pos(f"CIRCLE {10 + visit / 50 + shift} {detector / 2} 0.2"),
        }
        for visit in visits
        for detector in range(DETECTORS)
    ]
    random.Random(5).shuffle(rows)
    return rows


def expected_overlaps(rows):
    return sorted(
        (row["detector"], row["visit"], pixel)
        for row in rows
        for begin, end in _core.skypix_envelope("htm", 7, row["region"])
        for pixel in range(begin, end)
    )


def overlaps(registry):
    table = "visit_detector_region_skypix_overlap"
    with sqlite3.connect(registry.path) as database:
        # By each index, so that one that lacks rows shows.
        names = [
            name
            for (name,) in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?", [table]
            )
        ]
        assert len(names) == 6
        found = [
            sorted(database.execute(f"SELECT detector, visit, skypix_index FROM {table} INDEXED BY {name}"))
            for name in names
        ]
    assert all(rows == found[0] for rows in found)
    return found[0]


def definitions(registry):
    with sqlite3.connect(registry.path) as database:
        return sorted(database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"), key=str)


@pytest.fixture
def visits(camera):
    common = CAMERA | {"physical_filter": "Cam-G", "day_obs": 20250101}
    camera.registry.insert_records("visit", [common | {"id": i, "name": f"v{i}"} for i in range(EXPOSURES)])
    return camera.registry


def test_regions_get_their_overlap_rows_in_an_empty_table_and_in_a_full_one(visits, seed):
    before = definitions(visits) if seed is None else None
    first, second = regions(range(150)), regions(range(150, 300))
    for rows in (first, second):
        visits.insert_records("visit_detector_region", rows)
    moved = regions(range(150), shift=40.0)
    counts = visits.row_counts()
    assert counts["visit_detector_region"] == 1200
    assert counts["visit_detector_region_skypix_overlap"] == len(expected_overlaps(first + second))
    visits.insert_records("visit_detector_region", moved, replace=True)
    assert visits.row_counts()["visit_detector_region_skypix_overlap"] == len(expected_overlaps(moved + second))
    if seed is None:
        assert overlaps(visits) == expected_overlaps(moved + second)
        assert definitions(visits) == before
    check_that_keys_are_checked(visits)


def test_of_many_regions_those_that_are_there_stay_as_they_are(visits, seed):
    before = definitions(visits) if seed is None else None
    first, moved = regions(range(100)), regions(range(300), shift=40.0)
    visits.insert_records("visit_detector_region", first)
    # Of the last visits each region comes twice, and the first counts.
    visits.insert_records("visit_detector_region", [*moved, *regions(range(250, 300))], skip_existing=True)
    expected = expected_overlaps(first + [row for row in moved if row["visit"] >= 100])
    counts = visits.row_counts()
    assert counts["visit_detector_region"] == 1200
    assert counts["visit_detector_region_skypix_overlap"] == len(expected)
    visits.insert_records("visit_detector_region", moved, skip_existing=True)
    assert visits.row_counts() == counts
    with pytest.raises(MissingRecordError, match="names `visit` 990, which has no record"):
        visits.insert_records("visit_detector_region", [*moved, moved[0] | {"visit": 990}], skip_existing=True)
    if seed is None:
        assert overlaps(visits) == expected
        assert definitions(visits) == before
    check_that_keys_are_checked(visits)


def test_of_many_regions_one_that_cannot_be_is_named_and_none_is_kept(visits, seed):
    before = definitions(visits) if seed is None else None
    rows = regions(range(300))
    rows[900] = rows[900] | {"visit": 990}
    with pytest.raises(MissingRecordError, match="names `visit` 990, which has no record"):
        visits.insert_records("visit_detector_region", rows)
    visits.insert_records("visit_detector_region", [rows[600]])
    with pytest.raises(ConflictingDefinitionError, match="exists already: with the same values"):
        visits.insert_records("visit_detector_region", rows[:900])
    counts = visits.row_counts()
    assert counts["visit_detector_region"] == 1
    assert counts["visit_detector_region_skypix_overlap"] == len(expected_overlaps([rows[600]]))
    if seed is None:
        assert overlaps(visits) == expected_overlaps([rows[600]])
        assert definitions(visits) == before
    check_that_keys_are_checked(visits)


def test_regions_that_are_not_kept_leave_the_indexes_as_they_were(visits, seed):
    before = definitions(visits) if seed is None else None
    visits.begin()
    visits.insert_records("visit_detector_region", regions(range(300)))
    visits.rollback()
    assert visits.row_counts()["visit_detector_region_skypix_overlap"] == 0
    if seed is None:
        assert definitions(visits) == before
    visits.begin()
    visits.insert_records("visit_detector_region", regions(range(300)))
    with pytest.raises(ConflictingDefinitionError):
        visits.insert_records("visit_detector_region", regions(range(300)))
    visits.commit()
    assert visits.row_counts()["visit_detector_region"] == 1200
    if seed is None:
        assert overlaps(visits) == expected_overlaps(regions(range(300)))
        assert definitions(visits) == before


@pytest.mark.parametrize("stranger", [False, True])
def test_datasets_go_with_all_that_refers_to_them(camera, universe, seed, stranger):
    """Also with rows of a table that is not ours, which the database must find itself."""
    registry = camera.registry
    registry.register_dataset_type(
        _core.DatasetType("flat", ["detector", "exposure"], "StructuredDataDict", universe=universe, isCalibration=True)
    )
    registry.register_collection("tag", 2)
    registry.register_collection("calib", 4)
    raws = registry.insert_datasets("raw", "a", data_ids()[:600])
    flats = registry.insert_datasets("flat", "a", data_ids()[:100])
    registry.associate("tag", raws)
    registry.certify("calib", flats, _core.Timespan(None, None))
    if stranger and seed is None:
        with sqlite3.connect(registry.path) as database:
            database.execute("CREATE TABLE seen (id CHAR(32) REFERENCES dataset (id) ON DELETE CASCADE)")
            database.execute("INSERT INTO seen SELECT id FROM dataset")
    registry.remove_datasets([*raws[100:], *flats[:80]])
    counts = registry.row_counts()
    assert counts["dataset"] == 120
    assert counts.get("seen", 120) == 120
    assert sum(rows for name, rows in counts.items() if name.startswith("dataset_tags_")) == 2 * 100 + 20
    assert sum(rows for name, rows in counts.items() if name.startswith("dataset_calibs_")) == 20
    assert registry.get_datasets([raws[0].id, flats[99].id]) == [raws[0], flats[99]]
    check_that_keys_are_checked(registry)
