"""Nearly a thousand requests, answered by both on one repository that armillary wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import armillary.butler
from armillary.butler import Butler
from query import query_requests as corpus
from query import two_instruments

TESTS = Path(__file__).resolve().parents[1]

# What armillary answers and the peer refuses, by a part of the expression or of the peer's message.
BEYOND_THE_PEER = (
    "Unrecognized identifier",  # fields of the elements of the answer need no element before them
    "Unsupported combination for spatial join",  # pixels of any level go with regions
    "Invalid type 'NoneType'",  # nothing as the value of a bind is NULL
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = str(tmp_path_factory.mktemp("two-instruments"))
    Butler.makeRepo(root)
    with Butler(root, writeable=True) as butler:
        two_instruments.fill(butler, armillary.butler)
    return root


@pytest.fixture(scope="module")
def answers(repository: str, run_peer: Any) -> list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    code = "import sys; sys.path.insert(0, sys.argv[1]); from query import query_requests as q; q.main(sys.argv[2])"
    theirs = json.loads(run_peer(code, str(TESTS), repository))
    with Butler(repository) as butler:
        ours = [corpus.ask(butler, armillary.butler, request) for request in corpus.requests()]
    return list(zip(corpus.requests(), ours, theirs, strict=True))


def plain(rows: list[Any], request: dict[str, Any]) -> list[str]:
    """Rows that compare: in their order if one was asked for, and each once, since the peer repeats some."""
    texts = [json.dumps(row) for row in rows]
    return texts if request.get("order_by") else sorted(set(texts))


def test_the_same_rows_as_the_peer(answers):
    compared = 0
    different = []
    for request, ours, theirs in answers:
        if "rows" in theirs and "rows" in ours:
            compared += 1
            if request["kind"] != "records" and plain(ours["rows"], request) != plain(theirs["rows"], request):
                different.append((request, len(ours["rows"]), len(theirs["rows"])))
            if request["kind"] == "records" and len(ours["rows"]) != len(theirs["rows"]):
                different.append((request, len(ours["rows"]), len(theirs["rows"])))
    assert compared > 600, f"only {compared} answers to compare"
    assert different == []


def test_what_the_peer_answers_is_answered(answers):
    refused = [(request, ours) for request, ours, theirs in answers if "rows" in theirs and "rows" not in ours]
    assert refused == []


def test_what_the_peer_refuses_is_refused(answers):
    refused, answered = 0, []
    for request, ours, theirs in answers:
        if "error" in theirs:
            refused += "error" in ours
            if "rows" in ours and not any(reason in theirs["message"] for reason in BEYOND_THE_PEER):
                answered.append((request, theirs))
    assert refused > 100, f"only {refused} refusals"
    assert answered == []


def test_refusals_have_the_peers_class(answers):
    # The peer lets some mistakes escape as exceptions of Python; here they are errors of the user.
    # Impossible arguments of a function are an `InvalidQueryError` or a `ValueError` there, and both here.
    ours_instead = {
        "InvalidQueryError": {"InvalidQueryError", "QueryValueError"},
        "KeyError": {"DimensionNameError"},
        "ValueError": {"InvalidQueryError", "QueryValueError"},
        "TypeError": {"InvalidQueryError", "QueryTypeError"},
        "AssertionError": {"InvalidQueryError"},
    }
    wrong = []
    for request, ours, theirs in answers:
        if "error" in ours and "error" in theirs:
            allowed = ours_instead.get(theirs["error"], {theirs["error"]})
            if ours["error"] not in allowed:
                wrong.append((request, ours, theirs["error"]))
    assert wrong == []


def test_no_answer_repeats_a_row(answers):
    repeated = [
        request
        for request, ours, _ in answers
        if "rows" in ours and len({json.dumps(row) for row in ours["rows"]}) != len(ours["rows"])
    ]
    assert repeated == []
