"""The ready-queue, as an executor uses it."""

from __future__ import annotations

import pytest

from armillary._core import Scheduler


def test_a_graph_is_worked_off_in_order():
    scheduler = Scheduler([(None, "isr"), (None, "isr"), (None, "coadd"), (None, "other")], [(0, 2), (1, 2)])
    assert scheduler.take(10) == [0, 1, 3]
    assert (scheduler.pending, scheduler.running, scheduler.done) == (1, 3, False)
    for index in (0, 1, 3):
        scheduler.finish(index)
    assert scheduler.take(10) == [2]
    scheduler.finish(2)
    assert scheduler.done and scheduler.state(2) == "finished"


def test_failure_blocks_what_follows():
    scheduler = Scheduler([(None, "a"), (None, "b"), (None, "c")], [(0, 1), (1, 2)])
    scheduler.take(1)
    assert scheduler.fail(0) == [1, 2]
    assert scheduler.done
    assert [scheduler.state(index) for index in range(3)] == ["failed", "blocked", "blocked"]


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="there is no quantum 5 among 1"):
        Scheduler([(None, "a")], [(0, 5)])
    scheduler = Scheduler([(None, "a")], [])
    with pytest.raises(ValueError, match="quantum 0 is ready, not running"):
        scheduler.finish(0)
