"""Every row of the `where` language is answered, or refused, as by the peer; differences that are meant are listed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import armillary.butler
from armillary.butler import Butler
from peer.conftest import peer_python
from peer.queries_asked.comparison import ask_here, ask_peer, difference, read_peer, report
from peer.queries_asked.where_table import rows
from query import two_instruments

TABLE = rows()


def where_of(query: dict[str, Any]) -> str:
    return query["steps"][0][2]["where"]


def message(answer: dict[str, Any]) -> str:
    return answer.get("message", "")


# Beside those of `comparison.MEANT`, which hold for queries of all kinds; each with a test of query, ours and theirs.
MEANT = [
    (
        "a `date` and arrays of times or directions are values of the wrong type; the peer's error is astropy's",
        lambda query, ours, theirs: (
            ours.get("error") == "QueryTypeError"
            and theirs.get("error") == "ValueError"
            and any(tag in json.dumps(query) for tag in ("$date", '"$sky": [[', '"$time": ['))
        ),
    ),
    (
        "truth values are compared with each other and with all numbers",
        lambda query, ours, theirs: "items" in ours and "Invalid types bool, " in message(theirs),
    ),
    (
        "truth values have no order and no sum",
        lambda query, ours, theirs: "does not go between an integer and a truth value" in message(ours),
    ),
    (
        "regions are tested with OVERLAPS, not compared byte by byte",
        lambda query, ours, theirs: theirs.get("items") == [] and "regions are tested with `OVERLAPS`" in message(ours),
    ),
    (
        "numbers of all sorts mix in lists, and every scalar of numpy is the number it holds",
        lambda query, ours, theirs: (
            (
                "items" in ours
                and any(text in message(theirs) for text in ("Mismatched types in bind", "for membership test"))
                and "101" in json.dumps(query)
            )
            or (
                "Invalid type 'float32'" in message(theirs)
                and ("items" in ours or ours["error"] == "InvalidQueryError")
            )
        ),
    ),
    (
        "a bare name after IN is a bound value, as documented",
        lambda query, ours, theirs: (
            "IN (exposure)" in where_of(query) and "no value was bound to `:exposure`" in message(ours)
        ),
    ),
    (
        "a number is a time where its format is clear, whole or with an exponent, and `Z` is UTC",
        lambda query, ours, theirs: (
            "items" in ours
            and "Failed to parse expression" in message(theirs)
            and bool(re.search(r"T'((unix|unix_tai|gps|cxcsec)/\d+|58849|1e5|[-0-9T:]+Z)'", where_of(query)))
        ),
    ),
    (
        "scales that depend on where the Earth is are bound as astropy times, and no time is a plotter's",
        lambda query, ours, theirs: (
            "items" in theirs
            and any(text in message(ours) for text in ("the scale `tdb` is not supported", "the format `plot_date`"))
        ),
    ),
    (
        "sizes that no region has are refused",
        lambda query, ours, theirs: (
            "items" in theirs and bool(re.search(r"`(BOX|CIRCLE)` cannot use its arguments", message(ours)))
        ),
    ),
    (
        "a circle has the radius it is given, not twice that",
        lambda query, ours, theirs: (
            "items" in ours
            and "items" in theirs
            and "circle(" in where_of(query).lower()
            and {json.dumps(item) for item in ours["items"]} < {json.dumps(item) for item in theirs["items"]}
        ),
    ),
    (
        "the group of an exposure is that exposure's, not any",
        lambda query, ours, theirs: (
            "exposure.group = 'g101'" in where_of(query)
            and all(["exposure", 101] in item or ["visit", 101] in item for item in ours.get("items", [None]))
            and len(ours["items"]) < len(theirs.get("items", ()))
        ),
    ),
    (
        "a moment is tested with OVERLAPS as a span of that moment",
        lambda query, ours, theirs: "items" in ours and "for operator 'overlaps'" in message(theirs),
    ),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Any, Any, Any]]]:
    """For each part of the table, (query, our answer, the peer's answer)."""
    root = str(tmp_path_factory.mktemp("where"))
    Butler.makeRepo(root)
    with Butler(root, writeable=True) as butler:
        two_instruments.fill(butler, armillary.butler)
    queries = [query for part in TABLE.values() for query in part]
    process = ask_peer(peer_python(), root, queries)
    found = zip(queries, ask_here(root, queries), read_peer(process), strict=True)
    return {name: [next(found) for _ in part] for name, part in TABLE.items()}


@pytest.mark.parametrize("part", TABLE)
def test_answers_are_those_of_the_peer(answers, part):
    differences = []
    for query, ours, theirs in answers[part]:
        text = difference(query, ours, theirs)
        if text is not None and not any(meant(query, ours, theirs) for _, meant in MEANT):
            differences.append(report(query, ours, theirs, text))
    assert not differences, "\n".join(differences)


def test_nothing_escapes_as_an_error_of_python(answers):
    allowed = {"ButlerUserError", "UserExpressionError"}
    escaped = [
        (where_of(query), ours["error"], ours["message"])
        for part in answers.values()
        for query, ours, _ in part
        if "error" in ours and not allowed & set(ours["classes"])
    ]
    assert escaped == []


def test_much_is_answered_and_much_is_refused(answers):
    for part, found in answers.items():
        right = sum(bool(theirs.get("items")) for _, _, theirs in found)
        assert right > len(found) / 20, part
        assert any("error" in theirs for _, _, theirs in found), part


@pytest.mark.parametrize("reason", [reason for reason, _ in MEANT])
def test_every_difference_that_is_meant_is_there(answers, reason):
    (meant,) = [test for name, test in MEANT if name == reason]
    assert any(
        difference(query, ours, theirs) is not None and meant(query, ours, theirs)
        for part in answers.values()
        for query, ours, theirs in part
    )
