"""Sets and sequences of data IDs; dictionaries and sets by name."""

import doctest
import random

import pytest

from armillary._core import DataCoordinate, DimensionUniverse
from armillary.butler import data_coordinate_sets, named
from armillary.butler.data_coordinate_sets import DataCoordinateIterable, DataCoordinateSequence, DataCoordinateSet
from armillary.butler.named import NamedKeyDict, NamedValueSet

UNIVERSE = DimensionUniverse()
DETECTOR = UNIVERSE.conform("detector")
VISIT, BAND, TRACT = (UNIVERSE[name] for name in ("visit", "band", "tract"))


def ids(*numbers):
    return [DataCoordinate.standardize(instrument="H", detector=n, universe=UNIVERSE) for n in numbers]


def test_sets_behave_as_sets_and_keep_their_order():
    rng = random.Random(3)
    for _ in range(50):
        left, right = ([rng.randrange(8) for _ in range(rng.randrange(8))] for _ in range(2))
        a, b = (DataCoordinateSet(ids(*numbers), dimensions=DETECTOR) for numbers in (left, right))
        for operator in ("__or__", "__and__", "__sub__", "__xor__"):
            made = getattr(a, operator)(b)
            assert {one["detector"] for one in made} == getattr(set(left), operator)(set(right))
        for operator in ("__le__", "__lt__", "__ge__", "__gt__", "isdisjoint"):
            assert getattr(a, operator)(b) == getattr(set(left), operator)(set(right))
        assert [one["detector"] for one in a] == list(dict.fromkeys(left))
        assert (a == b) == (set(left) == set(right))
        assert len(a) == len(set(left))


def test_sequences_keep_repeats():
    sequence = DataCoordinateSequence(ids(2, 1, 2))
    assert len(sequence) == 3
    assert sequence[1]["detector"] == 1
    assert sequence[:2] == DataCoordinateSequence(ids(2, 1))
    assert sequence.index(ids(1)[0]) == 1
    assert list(sequence.toSet()) == ids(2, 1)
    assert sequence.toSequence() is sequence
    assert sequence.subset(["instrument"]) == DataCoordinateSequence(
        [one.subset(["instrument"]) for one in ids(1, 1, 1)]
    )
    assert len(sequence.toSet().subset(["instrument"])) == 1
    assert sequence.subset(["detector"]) is sequence
    assert (sequence.hasFull(), sequence.hasRecords(), sequence.universe) == (True, False, UNIVERSE)
    assert list(DataCoordinateIterable.fromScalar(ids(4)[0])) == ids(4)


def test_dimensions_must_agree():
    with pytest.raises(ValueError, match=r"not \{skymap, tract\}"):
        DataCoordinateSet(ids(1), dimensions=UNIVERSE.conform("tract"))
    with pytest.raises(ValueError, match="same dimensions"):
        DataCoordinateSet(ids(1)) | DataCoordinateSet([], dimensions=UNIVERSE.conform("tract"))
    with pytest.raises(TypeError, match="`dimensions`"):
        DataCoordinateSet([])
    with pytest.raises(TypeError, match="`universe`"):
        DataCoordinateSet([], dimensions=["detector"])
    assert DataCoordinateSet([], dimensions=["detector"], universe=UNIVERSE).dimensions == DETECTOR
    with pytest.raises(TypeError):
        hash(DataCoordinateSet(ids(1)))


def test_dictionaries_by_name():
    counts = NamedKeyDict({VISIT: 1})
    counts[BAND] = 2
    counts["visit"] = 3
    assert (counts["visit"], counts[VISIT], counts["band"]) == (3, 3, 2)
    assert list(counts.names) == ["visit", "band"]
    assert list(counts.items()) == [(VISIT, 3), (BAND, 2)]
    assert counts.byName() == {"visit": 3, "band": 2}
    assert "band" in counts
    assert VISIT in counts
    assert 3 not in counts
    assert counts.get("foo", 7) == 7
    assert repr(NamedKeyDict({VISIT: 1})) == "NamedKeyDict({DatabaseDimension(visit): 1})"
    with pytest.raises(KeyError, match="`bnd`; did you mean `band`"):
        counts["bnd"]
    with pytest.raises(KeyError, match="`tract`"):
        counts["tract"] = 1
    copy = counts.freeze().copy()
    with pytest.raises(TypeError, match="frozen"):
        counts[TRACT] = 1
    with pytest.raises(TypeError, match="frozen"):
        del counts["visit"]
    del copy["visit"]
    assert list(copy) == [BAND]


def test_sets_by_name():
    chosen = NamedValueSet([VISIT, BAND, VISIT])
    assert len(chosen) == 2
    assert chosen["band"] is BAND
    assert chosen.get("x") is None
    chosen.discard("band")
    chosen.discard("band")
    assert chosen == {VISIT}
    assert chosen | {BAND} == {VISIT, BAND}
    assert chosen.issubset({VISIT, BAND})
    assert list(chosen.asMapping()) == ["visit"]
    with pytest.raises(KeyError, match="`zz`"):
        chosen.remove("zz")
    assert repr(chosen) == "NamedValueSet({DatabaseDimension(visit)})"
    copy = chosen.freeze().copy()
    with pytest.raises(TypeError, match="frozen"):
        chosen.add(TRACT)
    copy.add(TRACT)
    assert copy.pop() in (VISIT, TRACT)


@pytest.mark.parametrize("module", [data_coordinate_sets, named])
def test_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
