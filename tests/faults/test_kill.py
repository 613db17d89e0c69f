"""What a killed writer leaves, and what an error of the disk leaves: the next writer finds nothing by halves."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from armillary.butler import Butler
from faults import killing
from faults.judge import left_over, look
from faults.operations import OPERATIONS, Place

SAMPLE = 16
"""Of so many calls one is tried, unless all are; which, the name of the operation says."""


@pytest.fixture(scope="module", autouse=True)
def tracing():
    killing.need_tracing()


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("faults") / "template")
    place.folder.mkdir()
    place.make()
    return place


class Case:
    """One operation, hurt again and again, each time in a fresh copy of the same place."""

    def __init__(self, name, template, folder):
        self.name, self.template, self.folder = name, template, folder
        self.n = 0
        self.counts = Counter()
        place = self.fresh()
        self.before = look(place.repo)
        OPERATIONS[name](place)
        self.after = look(place.repo)
        assert left_over(self.after) == []
        assert self.after.rows() != self.before.rows()
        self.sources = {path.read_bytes() for path in template.incoming.iterdir()}

    def fresh(self):
        self.n += 1
        return self.template.copy(self.folder / str(self.n))

    def run(self, place):
        return partial(OPERATIONS[self.name], place)

    def judge(self, place, end, where):
        """Look at what is left, recover, look again, do it again."""
        found = look(place.repo)
        assert not found.problems, where
        assert found.rows() in self.possible(place), where
        assert self.sources <= {*found.files.values(), *self.incoming(place)}, f"{where}: a file to be taken in is lost"
        happened = found.rows() == self.rows(self.after, place)
        if end == killing.End(killed=False, error=None):
            assert happened, f"{where}: said to be done, and is not"
        self.counts["happened" if happened else "did not happen"] += 1
        self.counts["left something over"] += bool(left_over(found))
        if end.error is not None:
            self.counts["said an error"] += 1
            # The last sync of a commit may fail: only for written files do we look then whether it was kept.
            unsure = end.error.startswith("CommitUnknownError") or "failed while committing" in end.error
            assert not happened or unsure, f"{where}: {end.error}, and yet it happened"
        with Butler(place.repo, writeable=True):
            pass
        recovered = look(place.repo)
        assert not recovered.problems, where
        assert recovered.rows() == found.rows(), where
        assert left_over(recovered) == [], where
        if not happened:
            OPERATIONS[self.name](place)
            again = look(place.repo)
            assert not again.problems, where
            assert again.rows() == self.rows(self.after, place), f"{where}: it cannot be repeated"
            assert left_over(again) == [], where

    def possible(self, place):
        return [self.rows(self.before, place), self.rows(self.after, place)]

    def rows(self, state, place):
        """Rows as they would be in another place: files that stay where they are have absolute paths."""
        first = str(self.folder / "1")
        registered = {path.replace(first, str(place.folder)): size for path, size in state.registered.items()}
        return (registered, *state.rows()[1:])

    @staticmethod
    def incoming(place):
        return [path.read_bytes() for path in place.incoming.iterdir()]


@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_at_any_call(template, memory_folder, name, full, capsys):
    case = Case(name, template, memory_folder)
    points = killing.points(case.run(case.fresh()), memory_folder)
    start, step = (0, 1) if full else (sum(name.encode()) % SAMPLE, SAMPLE)
    for point in points[start::step]:
        place = case.fresh()
        end = killing.kill_at(point, case.run(place), memory_folder)
        case.counts["killed"] += end.killed
        case.judge(place, end, f"{name}, killed at {point}")
    with capsys.disabled():
        print(f"\n{name}: {len(points)} calls, {dict(case.counts)}")


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_error_at_any_call(template, memory_folder, name, error, full, capsys):
    case = Case(name, template, memory_folder)
    points = killing.points(case.run(case.fresh()), memory_folder, killing.FAILING)
    start, step = (0, 1) if full else (sum(f"{name}{error}".encode()) % (4 * SAMPLE), 4 * SAMPLE)
    for point in points[start::step]:
        place = case.fresh()
        end = killing.fail_at(point, error, case.run(place), memory_folder)
        case.judge(place, end, f"{name}, {error} at {point}")
    with capsys.disabled():
        print(f"\n{name} {error}: {len(points)} calls, {dict(case.counts)}")
