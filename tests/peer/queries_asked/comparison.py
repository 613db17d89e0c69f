"""Ask the peer and armillary the same queries and list where they differ."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from peer.queries_asked.runner import answers

RUNNER = Path(__file__).with_name("runner.py")
# Our class may say more than the peer's if it is also the peer's, but not if that is the class of everything.
GENERAL_ERRORS = {"Exception", "BaseException", "ButlerUserError", "RegistryError"}


def texts(query: dict[str, Any]) -> str:
    return json.dumps(query["steps"])


def names_glob(query: dict[str, Any]) -> bool:
    return query["on"] == "query" and any(mark in texts(query) for mark in ("*", "?", "[", "$everything"))


# Differences that are meant: each has a name, a reason, and a test of the query, our answer and the peer's answer.
MEANT: list[tuple[str, str, Any]] = [
    (
        "spatial terms inside OR and NOT",
        "the peer has no answer; here they are answered",
        lambda query, ours, theirs: (
            theirs.get("error") == "UnimplementedQueryError" and "nested inside OR or NOT" in theirs["message"]
        ),
    ),
    (
        "a crash of the peer",
        "an error of the database or of Python itself is no answer to a user",
        lambda query, ours, theirs: (
            theirs.get("error")
            in (
                "TimeoutError",
                "ProgrammingError",
                "DataError",
                "OperationalError",
                "AttributeError",
                "AssertionError",
                "OverflowError",
            )
            or "incompatible function arguments" in theirs.get("message", "")
        ),
    ),
    (
        "integers and floats together",
        "arithmetic and comparisons may mix them",
        lambda query, ours, theirs: (
            ("items" in ours or ours["error"] == "EmptyQueryResultError")
            and "do not agree" in theirs.get("message", "")
            and "float" in theirs["message"] + texts(query)
        ),
    ),
    (
        "ranges and arrays as lists",
        "any sequence of values may follow IN",
        lambda query, ours, theirs: (
            theirs.get("error") == "TypeError"
            and any(f"Invalid type '{kind}'" in theirs["message"] for kind in ("range", "ndarray", "bool"))
        ),
    ),
    (
        "nothing as a value",
        "`None` as the value of a bind is NULL, and refused where NULL is, by another class",
        lambda query, ours, theirs: (
            "Invalid type 'NoneType'" in theirs.get("message", "")
            and ("items" in ours or ours["error"] == "InvalidQueryError")
        ),
    ),
    (
        "fields of records in data IDs",
        "the data ID of a query may name them as that of `get` may",
        lambda query, ours, theirs: (
            "items" in ours
            and theirs.get("error") in ("DimensionNameError", "KeyError", "InvalidQueryError")
            and any(f"'{key}'" in theirs["message"] for _, _, keywords in query["steps"] for key in keywords)
        ),
    ),
    (
        "globs in the steps of a query",
        "a pattern finds collections here too, unless they must have an order",
        lambda query, ours, theirs: theirs.get("error") == "MissingCollectionError" and names_glob(query),
    ),
    (
        "names of a query built in steps",
        "a name is looked up in the whole query, too, where the step that uses it does not tell what it is",
        lambda query, ours, theirs: (
            query["on"] == "query"
            and "items" in ours
            and any(
                text in theirs.get("message", "")
                for text in ("Unrecognized identifier", "without constraining it", "have not been joined")
            )
        ),
    ),
    (
        "fields of what is asked for",
        "a field of the record, or of the one dataset type searched for, needs no name before it",
        lambda query, ours, theirs: (
            "items" in ours
            and any(text in theirs.get("message", "") for text in ("Ambiguous identifier", "Unrecognized identifier"))
        ),
    ),
    (
        "sorting by dataset id",
        "ids have an order",
        lambda query, ours, theirs: "items" in ours and "Column type uuid" in theirs.get("message", ""),
    ),
    (
        "text for an integer key",
        "in data IDs `visit='12'` is visit 12, and any other text the name of one, as in those of `get`",
        lambda query, ours, theirs: (
            "items" in ours
            and (found := re.search(r" (\w+) == ('[^']*') do not agree \(int, string\)", theirs.get("message", "")))
            and f'"{found[1]}": "{found[2][1:-1]}"' in texts(query)
        ),
    ),
    (
        "truth values as numbers",
        "true and false may also be written 1 and 0",
        lambda query, ours, theirs: "items" in ours and "bool, int for binary operator" in theirs.get("message", ""),
    ),
    (
        "equal regions",
        "regions are tested with OVERLAPS; the peer compares their bytes",
        lambda query, ours, theirs: (
            "items" in theirs
            and "visit.region = visit.region" in texts(query)
            and ours.get("error") == "InvalidQueryError"
        ),
    ),
    (
        "lists that name a governor",
        "a bound list of instruments or sky maps constrains them as a written one does",
        lambda query, ours, theirs: (
            ("items" in ours or ours.get("error") == "EmptyQueryResultError")
            and "without constraining it" in theirs.get("message", "")
            and bool(re.search(r"(instrument|skymap)[a-z._]* (NOT )?IN \(:", texts(query), re.IGNORECASE))
        ),
    ),
    (
        "subsets keep the conditions",
        "fewer dimensions of the same data IDs; the peer forgets what the left-out dimensions asked for",
        lambda query, ours, theirs: (
            query["steps"][-1][0] == "subset"
            and "items" in ours
            and "items" in theirs
            and set(sort(ours["items"])) < set(sort(theirs["items"]))
        ),
    ),
    (
        "datasets that do not know all dimensions of the query",
        "every dataset is found; the peer keeps one for each data ID",
        lambda query, ours, theirs: (
            finds_repeatedly(query)
            and "items" in ours
            and "items" in theirs
            and set(sort(theirs["items"])) < set(sort(ours["items"]))
            and {item[3] for item in theirs["items"]} < {item[3] for item in ours["items"]}
        ),
    ),
    (
        "columns after IN",
        "a bare name after IN is a bound value, as documented",
        lambda query, ours, theirs: "detector IN (visit)" in texts(query),
    ),
    (
        "numbers that do not fit",
        "a number beyond 64 bits is refused wherever it is",
        lambda query, ours, theirs: "1e400" in texts(query) and ours.get("error") == "InvalidQueryError",
    ),
    (
        "whole days as MJD",
        "a modified Julian date needs no decimal point",
        lambda query, ours, theirs: "items" in ours and "T'57000'" in texts(query) and "error" in theirs,
    ),
    (
        "nothing to search",
        "no collections hold nothing, and nothing needs no order",
        lambda query, ours, theirs: (
            query["steps"][0][0] == "query_all_datasets"
            and ours.get("items") == []
            and "Can not use wildcards" in theirs.get("message", "")
        ),
    ),
    (
        "all levels of pixels",
        "the peer joins pixels of one level only",
        lambda query, ours, theirs: (
            theirs.get("error") == "UnimplementedQueryError"
            and ("Cannot join dimension element" in theirs["message"] or "Unsupported combination" in theirs["message"])
        ),
    ),
    (
        "exact counts",
        "the peer counts some queries only by discarding what it counts",
        lambda query, ours, theirs: "items" in ours and "Cannot count query rows exactly" in theirs.get("message", ""),
    ),
    (
        "regions are compared exactly",
        "the peer also keeps what only shares a pixel with a tract or patch that is not part of the result",
        lambda query, ours, theirs: (
            "items" in ours
            and "items" in theirs
            and bool(re.search("patch|tract", texts(query)))
            and bool(re.search("visit|calexp|warp|summary", texts(query)))
            and not is_cut(query)
            and set(sort(ours["items"])) < set(sort(theirs["items"]))
        ),
    ),
    (
        "related datasets of nothing",
        "no data ID has no related dataset",
        lambda query, ours, theirs: query["steps"][-1][0] == "findRelatedDatasets" and ours.get("items") == [],
    ),
    (
        "datasets are counted once",
        "a count is that of the results; the peer also counts the rows of other dimensions that lead to one dataset",
        lambda query, ours, theirs: (
            query["steps"][-1][0] == "count"
            and query["steps"][-2][0] == "datasets"
            and "items" in ours
            and "items" in theirs
            and ours["items"][0] < theirs["items"][0]
        ),
    ),
    (
        "an ambiguity that is none",
        "one dataset found through several rows of other dimensions, or certified twice, is one dataset",
        lambda query, ours, theirs: (
            "Ambiguous calibration validity" in theirs.get("message", "")
            and "items" in ours
            and len({json.dumps(item[:3]) for item in ours["items"]}) == len(ours["items"])
        ),
    ),
    (
        "searches that can find nothing",
        "a dataset type that no searched collection holds joins nothing, so nothing about its join can be wrong",
        lambda query, ours, theirs: (
            ours.get("items") in ([], [False], [0])
            and any(
                text in theirs.get("message", "")
                for text in ("Too many disconnected sets", "which join to add is ambiguous")
            )
        ),
    ),
    (
        "data IDs without a record",
        "asking for records changes no result; the peer drops data IDs that have no region of visit and detector",
        lambda query, ours, theirs: (
            ('"with_dimension_records": true' in texts(query) or '["expanded", ' in texts(query))
            and '"detector"' in texts(query)
            and "items" in ours
            and "items" in theirs
            and set(sort(theirs["items"])) < set(sort(ours["items"]))
        ),
    ),
    (
        "ambiguous calibrations",
        "the first dataset is searched for and two are first; the peer gives both, if runs are searched, too",
        lambda query, ours, theirs: (
            ours.get("error") == "CalibrationLookupError"
            and len({json.dumps(item[:3]) for item in theirs.get("items", ()) if isinstance(item, list)})
            < len({item[4] for item in theirs.get("items", ()) if isinstance(item, list) and len(item) == 5})
        ),
    ),
    (
        "counting ambiguous calibrations",
        "counting them fails as finding them does",
        lambda query, ours, theirs: (
            ours.get("error") == "CalibrationLookupError" and query["steps"][-1][0] in ("count", "any")
        ),
    ),
]


def ask_peer(peer_python: str, repository: str, queries: list[dict[str, Any]]) -> subprocess.Popen[str]:
    """Start the peer on all queries; `read_peer` waits for it."""
    process = subprocess.Popen(
        [peer_python, str(RUNNER), "lsst.daf.butler", repository],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(queries))
    process.stdin.close()
    process.stdin = None
    return process


def read_peer(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    try:
        output, errors = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, errors[-3000:]
    found: list[dict[str, Any]] = json.loads(output)
    return found


def ask_here(repository: str, queries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return json.loads(json.dumps(answers("armillary.butler", repository, queries)))


def is_cut(query: dict[str, Any]) -> bool:
    """Whether only part of the results was asked for."""
    return any(name == "limit" or keywords.get("limit") not in (None, -20000) for name, _, keywords in query["steps"])


def difference(query: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> str | None:
    """Say how two answers differ, or None if they are the same."""
    text = plain_difference(query, ours, theirs)
    if text is None or any(meant(query, ours, theirs) for _, _, meant in MEANT):
        return None
    return text


def finds_repeatedly(query: dict[str, Any]) -> bool:
    """Whether the peer may give one dataset several times: once for each collection that holds it."""
    for name, _, keywords in query["steps"]:
        first = {"query_datasets": True, "query_all_datasets": True, "datasets": True, "queryDatasets": False}.get(name)
        if first is not None and not keywords.get("find_first", keywords.get("findFirst", first)):
            return True
    return False


def plain_difference(query: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> str | None:
    if "error" in theirs:
        if "error" not in ours:
            return f"the peer raises {theirs['error']}, we give {len(ours['items'])} results"
        if ours["error"] == theirs["error"]:
            return None
        if theirs["error"] in ours["classes"] and theirs["error"] not in GENERAL_ERRORS:
            return None
        return f"the peer raises {theirs['error']}, we raise {ours['error']}"
    if "error" in ours:
        return f"the peer gives {len(theirs['items'])} results, we raise {ours['error']}"
    mine, other = ours["items"], theirs["items"]
    if query["steps"][-1][0] != "count":
        # The peer repeats datasets that several collections hold, or several rows of other dimensions lead to.
        once = [json.loads(item) for item in dict.fromkeys(json.dumps(item) for item in other)]
        if is_cut(query) and (finds_repeatedly(query) or len(once) < len(other)):
            return None if len(mine) >= len(once) else f"the peer gives {len(once)} results, we give {len(mine)}"
        other = once
    if len(mine) != len(other):
        return f"the peer gives {len(other)} results, we give {len(mine)}"
    if query["ordered"]:
        return None if mine == other else "the order differs" if sort(mine) == sort(other) else "the results differ"
    if is_cut(query):
        return None  # which ones come first is not defined without a total order
    return None if sort(mine) == sort(other) else "the results differ"


def sort(items: list[Any]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True) for item in items)


def report(query: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any], text: str) -> str:
    """Everything needed to run one query by hand."""

    def shown(answer: dict[str, Any]) -> str:
        if "error" in answer:
            return f"{answer['error']}: {answer['message']}"
        return f"{len(answer['items'])} results {json.dumps(answer['items'])[:400]}"

    return f"{text}\n  query  {json.dumps(query)}\n  peer   {shown(theirs)}\n  ours   {shown(ours)}"


if __name__ == "__main__":  # python comparison.py PEER_PYTHON REPOSITORY SEED QUERIES
    from peer.queries_asked.generator import Generator, facts_of

    peer, repository, seed, number = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    generator = Generator(facts_of(repository), seed)
    queries = [generator.query() for _ in range(number)]
    process = ask_peer(peer, repository, queries)
    ours = ask_here(repository, queries)
    theirs = read_peer(process)
    n_errors = sum("error" in answer for answer in theirs)
    n_empty = sum(answer.get("items") == [] for answer in theirs)
    different = 0
    for query, mine, other in zip(queries, ours, theirs, strict=True):
        text = difference(query, mine, other)
        if text is not None:
            different += 1
            print(report(query, mine, other, text))
    print(
        f"{number} queries, {n_errors} errors, {n_empty} empty, {different} differences; "
        f"peer {sum(a['seconds'] for a in theirs):.1f} s, here {sum(a['seconds'] for a in ours):.1f} s"
    )
