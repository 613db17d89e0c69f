"""Copies of files on a disk, whose journal may keep everything in order, where the other tests work in memory."""

from __future__ import annotations

from functools import partial

import pytest

from faults import killing
from faults.operations import ingest_copy, transfer_from
from faults.test_kill import Case, template, tracing  # noqa: F401  # fixtures

SETTLING = "sync_file_range,linkat,fsync,mkdir"


@pytest.mark.parametrize("operation", [ingest_copy, transfer_from])
def test_contents_are_on_disk_before_they_have_names_and_names_stay(template, tmp_path, operation):  # noqa: F811
    place = template.copy(tmp_path / "place")
    calls = [point.call for point in killing.points(partial(operation, place), tmp_path, SETTLING)]
    first, last = calls.index("linkat"), len(calls) - 1 - calls[::-1].index("linkat")
    count = calls.count("linkat")
    assert count > 1 and calls[first : last + 1] == ["linkat"] * count
    before, after = calls[:first], calls[last + 1 :]
    begun_and_awaited = before.count("sync_file_range") == 2 * count and before.count("fsync") == 0
    assert begun_and_awaited or before.count("fsync") >= count
    assert "fsync" in after
    if begun_and_awaited:
        assert after.count("fsync") == 1  # for all of them


def test_an_error_at_any_call_leaves_nothing(template, tmp_path):  # noqa: F811
    case = Case("ingest_copy", template, tmp_path)
    points = killing.points(case.run(case.fresh()), tmp_path, SETTLING)
    for point in points:
        place = case.fresh()
        end = killing.fail_at(point, "EIO", case.run(place), tmp_path)
        case.judge(place, end, f"EIO at {point}")
        assert end.error is not None or point.call == "mkdir", point  # a folder is tried to be made once more


def test_a_kill_at_any_call_leaves_nothing(template, tmp_path):  # noqa: F811
    case = Case("ingest_copy", template, tmp_path)
    for point in killing.points(case.run(case.fresh()), tmp_path, SETTLING):
        place = case.fresh()
        end = killing.kill_at(point, case.run(place), tmp_path)
        case.judge(place, end, f"killed at {point}")
