"""Expressions of a size and shape that nobody writes by hand: answered like small ones, or refused with a sentence."""

from __future__ import annotations

import random
import threading
import time

import numpy as np
import pytest

from armillary.errors import EmptyQueryResultError, InvalidQueryError, QueryTypeError, QueryValueError

A = {"instrument": "CamA"}
VISITS = [100, 101, 102, 103, 104, 105, 106]
LEAST, LARGEST = -(2**63), 2**63 - 1


def visits(engine, where, bind=None):
    return sorted(found["visit"] for found in engine.data_ids(["visit"], where=where, bind=bind, data_id=A))


def pairs(engine, where, bind=None):
    found = engine.data_ids(["visit", "detector"], where=where, bind=bind, data_id=A)
    return sorted((data_id["visit"], data_id["detector"]) for data_id in found)


def refused(engine, where, bind=None, kind=InvalidQueryError):
    """Give the message of a refusal, which repeats little of what was asked."""
    with pytest.raises(kind) as caught:
        visits(engine, where, bind)
    message = str(caught.value)
    assert len(message) < 2000, message[:3000]
    return message


@pytest.mark.parametrize("count", [1_001, 40_000])
class TestManyTerms:
    def test_alternatives_of_one_column(self, engine, count):
        where = " OR ".join(f"visit = {number}" for number in range(101, 101 + count))
        assert visits(engine, where) == VISITS[1:]

    def test_alternatives_of_several_columns(self, engine, count):
        where = " OR ".join(f"(visit = {100 + n // 3} AND detector = {n % 3})" for n in range(count))
        assert pairs(engine, where) == [(visit, detector) for visit in VISITS for detector in range(3)]

    def test_alternatives_with_texts_of_their_own(self, engine, count):
        names = ["v101", "v'; --", "\\", *(f"v{n}" for n in range(103, 103 + count))]
        where = " OR ".join(f"(visit.name = :n{n} AND visit > 0)" for n in range(len(names)))
        assert visits(engine, where, {f"n{n}": name for n, name in enumerate(names)}) == [101, 103, 104, 105, 106]

    def test_alternatives_that_are_ranges(self, engine, count):
        where = f"visit IN ({', '.join(f'{n}..{n + 2}:2' for n in range(104, 104 + 4 * count, 4))})"
        assert visits(engine, where) == [104, 106]

    def test_conditions_that_all_hold(self, engine, count):
        where = " AND ".join(f"visit != {101 + number}" for number in range(count))
        assert visits(engine, where) == [100]
        assert visits(engine, f"NOT (visit = 103 OR {where})") == [101, 102, 104, 105, 106]

    def test_conditions_that_are_ranges(self, engine, count):
        where = " AND ".join(f"visit NOT IN ({200 + n}..{300 + n}, 101..{102 + n % 2})" for n in range(count))
        assert visits(engine, where) == [100, 104, 105, 106]

    def test_values_of_a_list(self, engine, count):
        numbers = [103, *range(1000, 1000 + count)]
        assert visits(engine, f"visit IN ({', '.join(map(str, numbers))})") == [103]
        assert visits(engine, "visit IN (:v)", {"v": numbers}) == [103]
        assert visits(engine, "visit.name IN (:v)", {"v": [f"v{number}" for number in numbers]}) == [103]
        assert visits(engine, "visit.zenith_angle IN (:v)", {"v": [2.0, *map(float, numbers)]}) == [102]


ROWS = {
    "keys": [f"visit = {100 + n // 3} AND detector = {n % 3}" for n in range(-30, 15)],
    "the other way round, with the instrument": [
        f"{n % 3} = detector AND (instrument = 'CamA' AND visit = {100 + n // 3})" for n in range(-30, 15)
    ],
    "numbers for a double": [f"visit.zenith_angle = {n % 5} AND detector.purpose = 'SCIENCE'" for n in range(40)],
    "unknown fields": [f"instrument.visit_system = {n} AND detector.purpose = 'SCIENCE'" for n in range(40)],
    "texts": [
        f"visit.name = 'v{n}' AND detector.full_name = '{text}'"
        for n in range(100, 103)
        for text in ("\\", '"], [', "R0_S0", "R0_S1", "?", "$1")
    ],
    "numbers of a text": [f"visit.name = '{n}' AND visit = {n}" for n in range(100, 120)],
    "twice the same": [f"visit = {100 + n % 3} AND detector = 1" for n in range(60)],
    "contradictions": [f"visit = {n} AND visit = {n + 1} AND detector = 1" for n in range(100, 120)],
    "two sorts": [f"visit = {100 + n} AND {'detector = 1' if n % 2 else 'band = ' + repr('r')}" for n in range(60)],
}


@pytest.mark.parametrize("sort", ROWS)
@pytest.mark.parametrize(
    "form", ["{}", "NOT ({})", "({}) OR detector = 3", "NOT (({}) OR visit > 104)", "({}) AND visit < 103"]
)
def test_rows_of_values_are_what_each_of_them_says(engine, sort, form):
    """A list of rows gives what alternatives give that cannot be one: each has a condition more."""
    rows = form.format(" OR ".join(f"({row})" for row in ROWS[sort]))
    single = form.format(" OR ".join(f"({row} AND visit > 0)" for row in ROWS[sort]))
    assert pairs(engine, rows) == pairs(engine, single)


def test_rows_narrow_down_what_overlaps(engine):
    def found(more):
        rows = " OR ".join(f"(visit = {100 + n // 3} AND detector = {n % 3}{more})" for n in range(20))
        ids = engine.data_ids(["visit", "detector", "patch"], where=rows, data_id=A | {"skymap": "skyA"})
        return sorted((i["visit"], i["detector"], i["tract"], i["patch"]) for i in ids)

    assert found("") == found(" AND visit > 0") != []


def test_many_conditions_inside_each_other_are_answered(engine):
    where = "visit = 101"
    for level in range(60):
        terms = " OR ".join(f"visit = {1000 + n} AND detector = {n}" for n in range(40))
        where = f"({where} OR {terms}) AND visit < {1000 + level}"
    assert pairs(engine, where) == [(101, detector) for detector in range(4)]


def test_many_hashes_are_a_list(engine):
    hashes = [bytes([0]) * 20, *(number.to_bytes(20, "big") for number in range(256, 40_256))]
    found = engine.data_ids(["skymap"], where="skymap.hash IN (:h)", bind={"h": hashes})
    assert [data_id["skymap"] for data_id in found] == ["skyA"]


def test_many_regions_are_answered(engine):
    few = visits(engine, "visit.region OVERLAPS CIRCLE(10, -5, 0.5)")
    assert few and few != VISITS
    far = [f"visit.region OVERLAPS CIRCLE({20 + n % 300}, {n % 80}, 0.5)" for n in range(1_500)]
    assert visits(engine, " OR ".join([*far, "visit.region OVERLAPS CIRCLE(10, -5, 0.5)"])) == few
    near = [f"visit.region OVERLAPS CIRCLE(10, -5, {0.5 + n / 1e6})" for n in range(1_500)]
    assert visits(engine, " AND ".join(near)) == few
    mixed = [f"(visit.region OVERLAPS CIRCLE(10, -5, 0.5) AND visit = {100 + n})" for n in range(1_200)]
    assert visits(engine, " OR ".join(mixed)) == few
    assert visits(engine, " OR ".join([mixed[0], *(f"visit = {n} AND detector > {n}" for n in range(300, 2300))])) == [
        100
    ]


def test_more_regions_than_can_be_mixed_are_refused(engine):
    mixed = [f"(visit.region OVERLAPS POINT(10, -5) AND visit = {100 + n})" for n in range(3_000)]
    message = refused(engine, " OR ".join(mixed), kind=Exception)
    assert "mixes more than 1500 other conditions with regions is not supported" in message


def test_an_empty_answer_to_many_conditions_is_explained_soon(root):
    from armillary.butler import Butler

    where = " AND ".join(f"visit != {number}" for number in range(100, 2_100))
    with Butler(root) as butler:
        begin = time.process_time()
        with pytest.raises(EmptyQueryResultError) as caught:
            butler.query_dimension_records("visit", instrument="CamA", where=where)
        assert time.process_time() - begin < 20
    assert "no rows satisfy `visit != 100 AND visit != 101" in str(caught.value)
    assert len(str(caught.value)) < 1000


class TestNumbersThatDoNotFit:
    @pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**70, np.uint64(2**63)])
    def test_a_bound_integer_beyond_64_bits_is_refused(self, engine, value):
        assert "the value of `:v`, `" in refused(engine, "visit = :v", {"v": value}, QueryValueError)
        assert "does not fit in 64 bits" in refused(engine, "visit IN (:v)", {"v": [1, value]}, QueryValueError)

    def test_an_integer_that_python_does_not_write_is_refused(self, engine):
        message = refused(engine, "visit = :v", {"v": 10**5000}, QueryValueError)
        assert message == "the value of `:v`, an integer, does not fit in 64 bits"

    def test_the_outermost_integers_of_64_bits_are_values(self, engine):
        assert visits(engine, "visit < :v AND visit > :w", {"v": LARGEST, "w": LEAST}) == VISITS
        assert visits(engine, f"visit < {LARGEST} AND visit > {LEAST}") == VISITS

    def test_an_expression_object_with_such_an_integer_is_refused(self, root):
        from armillary.butler import Butler

        with Butler(root) as butler, butler.query() as query:
            x = query.expression_factory
            for value in (2**64, 10**5000):
                with pytest.raises(QueryValueError, match="does not fit in 64 bits"):
                    list(query.where(x.visit == value, instrument="CamA").data_ids("visit"))


class TestRanges:
    @pytest.mark.parametrize(
        ("bound", "written"),
        [
            (range(10**18), f"0..{10**18 - 1}"),
            (range(101, 10**18, 2), f"101..{10**18}:2"),
            (range(10**18, 102, -2), f"104..{10**18}:2"),
            (range(LEAST, 2**63), f"{LEAST}..{LARGEST}"),
            (range(LEAST, 2**63, 2), f"{LEAST}..{LARGEST}:2"),
            (range(LEAST + 1, 2**63, 2), f"{LEAST + 1}..{LARGEST}:2"),
            (range(104, LARGEST, 2**62), f"104..{LARGEST}:{2**62}"),
            (range(-3 * 10**9, 10**9, 3), f"{-3 * 10**9}..{10**9}:3"),
            (range(105, 104), "1..2"),
            (range(101, 104), "101..103"),
        ],
    )
    def test_a_bound_range_is_like_a_written_one(self, engine, bound, written):
        found = visits(engine, "visit IN (:r)", {"r": bound})
        assert found == [visit for visit in VISITS if visit in bound]
        assert found == visits(engine, f"visit IN ({written})")
        outside = visits(engine, "visit NOT IN (:r)", {"r": bound})
        assert outside == [visit for visit in VISITS if visit not in bound]

    def test_a_range_beyond_64_bits_is_refused(self, engine):
        for bound in (range(10**30), range(-(2**64), 5), range(0, 2**64, 5)):
            assert "does not fit in 64 bits" in refused(engine, "visit IN (:r)", {"r": bound}, QueryValueError)

    def test_only_a_short_range_is_compared_with_other_numbers(self, engine):
        assert visits(engine, "visit.zenith_angle IN (:r)", {"r": range(3)}) == [100, 101, 102]
        message = refused(engine, "visit.zenith_angle IN (:r)", {"r": range(10**18)})
        assert "`IN` does not go between a number and a range of integers" in message
        refused(engine, "visit = :r", {"r": range(10**18)})

    def test_a_range_in_a_list_is_refused(self, engine):
        refused(engine, "visit IN (:r)", {"r": [range(10**18)]}, QueryTypeError)


class TestPatterns:
    def test_a_long_pattern_is_a_pattern(self, engine):
        assert visits(engine, "GLOB(visit.name, :p)", {"p": "v10[2" + "x" * 15_000}) == []

    def test_stars_that_follow_each_other_are_one(self, engine):
        assert visits(engine, "GLOB(visit.name, :p)", {"p": "v1" + "*" * 15_000 + "2"}) == [102]
        assert visits(engine, "GLOB(visit.name, :p)", {"p": "v1" + "*?" * 190}) == []
        assert "has 5000 `*`" in refused(engine, "GLOB(visit.name, :p)", {"p": "v1" + "*0" * 5_000})

    @pytest.mark.parametrize("length", [16_001, 60_000, 2_000_000])
    def test_too_long_a_pattern_is_refused(self, engine, length):
        message = refused(engine, "GLOB(visit.name, :p)", {"p": "*" * length})
        assert f"the pattern has {length} bytes, and the longest that works has 16000" in message
        refused(engine, f"GLOB(visit.name, '{'x' * length}')")


HUGE = 10**6


@pytest.mark.parametrize(
    "where",
    [
        "x" * HUGE,
        "x" * HUGE + " = 1",
        "visit." + "x" * HUGE + " = 1",
        "x." + "x" * HUGE + " = 1",
        "a.b.c." + "d" * HUGE + " = 1",
        "visit = " + "9" * HUGE,
        "visit = 1." + "9" * HUGE + "e999",
        "visit = '" + "x" * HUGE + "'",
        "visit = '" + "x" * HUGE,
        "visit = :" + "x" * HUGE,
        "x" * HUGE + "(1)",
        "visit.region OVERLAPS REGION('" + "x" * HUGE + "')",
        "visit.region OVERLAPS REGION('CIRCLE 1 2 " + "x" * HUGE + "')",
        "visit.timespan OVERLAPS T'" + "x" * HUGE + "'",
        "visit.timespan OVERLAPS T'2020-01-01/" + "x" * HUGE + "'",
        "visit.id = UUID('" + "x" * HUGE + "')",
        "visit IN (1..2:" + "9" * HUGE + ")",
        "visit IN (1, visit." + "x" * HUGE + ")",
        "visit = 1 " * (HUGE // 10),
        "visit = 1 AND " * (HUGE // 14),
        "(visit = 1 OR visit = 2) + 1 = 1 AND " + " AND ".join(["visit = 1"] * (HUGE // 14)),
        "(" + " OR ".join(["visit = 1"] * (HUGE // 13)) + ") = 1",
        " " * HUGE + "&" + " " * HUGE,
        "é" * HUGE,
        "visit = 1\n" * (HUGE // 10),
    ],
    ids=range(25),
)
def test_a_refusal_does_not_repeat_a_megabyte(engine, where):
    begin = time.process_time()
    refused(engine, where, kind=Exception)
    assert time.process_time() - begin < 10


def test_the_place_of_a_mistake_is_shown_in_a_long_line(engine):
    many = " AND ".join(["visit > 1"] * 10_000)
    message = refused(engine, f"{many} AND detectr = 20 AND {many}")
    assert message.splitlines()[0] == "no dimension or field is called `detectr`; did you mean `detector`?"
    line, carets = message.splitlines()[1:]
    assert line.startswith("  ...") and line.endswith("...") and len(line) < 200
    assert line[carets.index("^") : carets.rindex("^") + 1] == "detectr"


@pytest.mark.parametrize("value", ["x" * HUGE, b"x" * HUGE, ["x" * HUGE], {"x" * HUGE: 1}], ids=range(4))
def test_a_bound_value_is_not_repeated_either(engine, value):
    refused(engine, "visit = :v", {"v": value}, kind=(QueryTypeError, InvalidQueryError))
    if isinstance(value, str):
        assert visits(engine, "visit.name = :v", {"v": value}) == []


def test_a_text_with_a_zero_is_refused(engine):
    for where, bind in (("visit.name = :v", {"v": "v\0"}), ("visit.name = 'v\0'", None)):
        assert "no text in a repository holds the character U+0000" in refused(engine, where, bind)


DEEP = 100_000


@pytest.mark.parametrize(
    "where",
    [
        "(" * DEEP + "visit = 1" + ")" * DEEP,
        "(" * DEEP,
        "NOT " * DEEP + "visit = 1",
        "NOT (" * DEEP + "visit = 1" + ")" * DEEP,
        "visit = " + "-" * DEEP + "1",
        "visit = " + "+ - " * DEEP + "visit",
        "visit = " + "1 + " * DEEP + "1",
        "visit = 1" + " * 2 - 1" * DEEP,
        "visit.region OVERLAPS " + "POINT(" * DEEP,
        "visit IN (" * DEEP,
        "(visit = 1 AND (visit = 2 OR " * DEEP + "visit = 3" + "))" * DEEP,
    ],
    ids=range(11),
)
def test_deep_nesting_is_refused_with_a_sentence(engine, where):
    message = refused(engine, where)
    assert "nested more than 150 levels deep" in message or "was expected" in message


def test_the_deepest_nesting_is_answered_on_a_small_stack(engine):
    answers = []

    questions = (
        "NOT (" * 74 + "visit = 101" + ")" * 74,
        "(visit = 101 OR (visit = 101 AND " * 60 + "visit = 101" + "))" * 60,
        "visit = 101" + " + 0" * 140,
        "(" * 149 + "visit = 101" + ")" * 149,
    )
    before = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=lambda: answers.extend(visits(engine, where) for where in questions))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert answers == [[101]] * 4


def test_conditions_joined_one_by_one_as_objects_are_not_nested(root):
    from armillary.butler import Butler

    with Butler(root) as butler, butler.query() as query:
        x = query.expression_factory
        either, neither = x.visit == 101, x.visit != 101
        for visit in range(1000, 3000):
            either, neither = either | (x.visit == visit), neither & (x.visit != visit)
        found = query.where(instrument="CamA")
        assert [data_id["visit"] for data_id in found.where(either).data_ids("visit")] == [101]
        assert [data_id["visit"] for data_id in found.where(neither).data_ids("visit").order_by("visit")] == [
            visit for visit in VISITS if visit != 101
        ]
        mixed = ~(either & neither) & ((x.visit == 102) | x.all(x.visit > 102, x.visit < 104))
        assert [data_id["visit"] for data_id in found.where(mixed).data_ids("visit").order_by("visit")] == [102, 103]


def test_texts_of_random_tokens_are_answered_or_refused(engine):
    words = ["visit", "detector", "=", "!=", "<", "IN", "(", ")", ",", "..", ":", "1", "-9223372036854775808", "1e999"]
    words += ["AND", "OR", "NOT", "OVERLAPS", "visit.region", "POINT(1, 2)", "T'2020-01-01'", "'a'", "GLOB(", "*", "%"]
    words += ["visit.name", "NULL", ":v", "/", "0", "exposure.can_see_sky", "9223372036854775807", "visit.timespan"]
    source = random.Random(5)
    answered = 0
    for _ in range(3_000):
        where = " ".join(source.choices(words, k=source.randint(1, 9)))
        try:
            visits(engine, where, {"v": 3})
        except (InvalidQueryError, QueryTypeError, QueryValueError):
            continue
        answered += 1
    assert answered
