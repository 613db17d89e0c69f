"""Copies of files on a disk, whose journal may keep everything in order, where the other tests work in memory."""

from __future__ import annotations

from functools import partial

import pytest

from armillary.butler import Butler, DatasetRef, FileDataset
from faults import killing
from faults.operations import ingest_copy, transfer_from
from faults.test_kill import Case, template, tracing  # noqa: F401  # fixtures

SETTLING = "sync_file_range,syncfs,linkat,fsync,mkdir"
MANY = 20


def settled(run, folder):
    """The calls before the first name of a copy, and those after the last; no others come between."""
    calls = [point.call for point in killing.points(run, folder, SETTLING)]
    first, last = calls.index("linkat"), len(calls) - 1 - calls[::-1].index("linkat")
    count = calls.count("linkat")
    assert count > 1 and calls[first : last + 1] == ["linkat"] * count
    return count, calls[:first], calls[last + 1 :]


@pytest.mark.parametrize("operation", [ingest_copy, transfer_from])
def test_with_a_journal_one_sync_keeps_contents_that_are_on_disk_and_names(template, disk, tmp_path, operation):  # noqa: F811
    place = template.copy(disk.root / "place")
    count, before, after = settled(partial(operation, place), tmp_path)
    assert before.count("sync_file_range") == 2 * count
    assert before[-2 * count :].count("fsync") == 0
    assert 1 <= after.count("fsync") <= 2  # one may be that of the folder in which SQLite made its journal


def ingest_many(place):
    with Butler(place.repo, run="u/new") as butler:
        piece = butler.get_dataset_type("piece")
        ids = [butler.registry.expandDataId(instrument="Cam", detector=20 + i) for i in range(MANY)]
        files = [
            FileDataset(str(place.incoming / f"{i}.yaml"), [DatasetRef(piece, data_id, run="u/new")])
            for i, data_id in enumerate(ids)
        ]
        butler.ingest(*files, transfer="copy")


@pytest.mark.parametrize("where", ["here", "in memory", "with a journal"])
def test_many_stay_with_their_names(
    template,  # noqa: F811
    disk,
    tmp_path,
    memory_folder,
    where,
):
    root = {"here": tmp_path, "in memory": memory_folder, "with a journal": disk.root}[where]
    place = template.copy(root / "place")
    for i in range(MANY):
        (place.incoming / f"{i}.yaml").write_text(f"came: {i}\n")
    count, before, after = settled(partial(ingest_many, place), tmp_path)
    assert count == MANY
    ways = {
        "last": before.count("sync_file_range") == 2 * count and 1 <= after.count("fsync") <= 2,
        "all": after.count("syncfs") == 1,
        "each": after.count("fsync") > count,
    }
    assert ways["last"] if where == "with a journal" else any(ways.values()), (before, after)
    with Butler(place.repo, collections="u/new") as butler:
        for i in range(MANY):
            assert butler.get("piece", instrument="Cam", detector=20 + i) == {"came": i}


def test_an_error_at_any_call_leaves_nothing(template, disk, tmp_path):  # noqa: F811
    case = Case("ingest_copy", template, disk.root)
    for point in killing.points(case.run(case.fresh()), tmp_path, SETTLING):
        place = case.fresh()
        end = killing.fail_at(point, "EIO", case.run(place), tmp_path)
        case.judge(place, end, f"EIO at {point}")
        assert end.error is not None or point.call == "mkdir", point  # a folder is tried to be made once more


def test_a_kill_at_any_call_leaves_nothing(template, disk, tmp_path):  # noqa: F811
    case = Case("ingest_copy", template, disk.root)
    for point in killing.points(case.run(case.fresh()), tmp_path, SETTLING):
        place = case.fresh()
        end = killing.kill_at(point, case.run(place), tmp_path)
        case.judge(place, end, f"killed at {point}")
