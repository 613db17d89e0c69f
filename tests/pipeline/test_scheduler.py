"""Which quantum comes next."""

from hypothesis import given
from hypothesis import strategies as st

from armillary.pipeline.execution.scheduler import Scheduler


def test_nothing_starts_before_what_it_waits_for():
    scheduler = Scheduler(4, [(0, 1), (1, 3), (2, 3)])
    assert scheduler.take(9) == [0, 2]
    scheduler.finish(2)
    assert scheduler.take(9) == []
    scheduler.finish(0)
    assert scheduler.take(9) == [1]
    scheduler.finish(1)
    assert scheduler.take(9) == [3]
    scheduler.finish(3)
    assert scheduler.is_done


def test_failure_blocks_everything_downstream_once():
    scheduler = Scheduler(5, [(0, 2), (1, 2), (2, 3)])
    assert scheduler.take(2) == [0, 1]
    assert scheduler.fail(0) == [2, 3]
    assert scheduler.fail(1) == []
    assert scheduler.take(9) == [4]
    scheduler.finish(4)
    assert scheduler.is_done


@given(st.data())
def test_every_quantum_ends_once(data):
    size = data.draw(st.integers(1, 12))
    pairs = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda pair: pair[0] < pair[1])
    edges = data.draw(st.lists(pairs, unique=True)) if size > 1 else []
    scheduler = Scheduler(size, edges)
    ended, failed, running = [], set(), []
    while not scheduler.is_done:
        running += scheduler.take(data.draw(st.integers(1, 3)))
        index = running.pop(data.draw(st.integers(0, len(running) - 1)))
        assert all(first in ended and first not in failed for first, second in edges if second == index)
        ended.append(index)
        if data.draw(st.booleans()):
            scheduler.finish(index)
        else:
            blocked = scheduler.fail(index)
            failed.update([index, *blocked])
            ended += blocked
    assert sorted(ended) == list(range(size))
    assert not running
