"""Two actors, the peer and armillary, take turns on one repository; nobody may notice who did what.

Each step is done twice: on one repository by one actor, on its twin by the other. What comes of it must be equal, and
both actors must see the same in both repositories. Who does what in which repository changes from step to step, so
each actor builds on what the other wrote.
"""

from __future__ import annotations

import collections as counting
import json
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from peer.queries_asked.comparison import GENERAL_ERRORS
from peer.two_actors.actor import Actor

RUNS = ["run/a", "run/b", "u/me/c"]
OTHERS = {"TAGGED": ["tag/a", "tag/b"], "CALIBRATION": ["calib"], "CHAINED": ["chain/a", "chain/b"]}
COLLECTIONS = [*RUNS, *(name for names in OTHERS.values() for name in names), "nowhere"]
TYPES: dict[str, tuple[list[str], str, bool]] = {
    "bias": (["detector"], "StructuredDataDict", True),
    "flat": (["physical_filter", "detector"], "StructuredDataDict", True),
    "raw": (["exposure", "detector"], "StructuredDataDict", False),
    "note": ([], "StructuredDataDict", False),
}
DETECTORS, EXPOSURES, FILTERS = [1, 2, 3], [11, 12, 13], ["Cam-G", "Cam-R"]
SECOND = 10**9

collections = st.sampled_from(COLLECTIONS)
some_collections = st.lists(collections, min_size=1, max_size=3, unique=True)
types = st.sampled_from([*TYPES, "nothing"])
spans = st.tuples(
    st.none() | st.integers(1_500_000_000, 1_500_000_009), st.none() | st.integers(1_500_000_000, 1_500_000_009)
).map(lambda pair: [None if bound is None else bound * SECOND for bound in pair])


@st.composite
def data_ids(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """One data ID for a dataset type, now and then with a detector that is not there."""
    keys: dict[str, Any] = {}
    dimensions = TYPES.get(name, (["detector"],))[0]
    if dimensions:
        keys["instrument"] = "Cam"
    if "detector" in dimensions:
        keys["detector"] = draw(st.sampled_from([*DETECTORS, 99]))
    if "exposure" in dimensions:
        keys["exposure"] = draw(st.sampled_from(EXPOSURES))
    if "physical_filter" in dimensions:
        keys["physical_filter"] = draw(st.sampled_from(FILTERS))
    return keys


@st.composite
def typed_data_ids(draw: st.DrawFn, calibrations: bool = False) -> tuple[str, list[dict[str, Any]]]:
    """A dataset type with some data IDs."""
    name = draw(st.sampled_from([n for n, (_, _, c) in TYPES.items() if c] if calibrations else [*TYPES]))
    made = draw(st.lists(data_ids(name), min_size=1, max_size=3, unique_by=lambda item: json.dumps(item)))
    return name, made


# Differences that are meant; each with its reason and a test of the operation, our answer and the peer's.
MEANT: list[tuple[str, Callable[[str, dict[str, Any], dict[str, Any]], bool]]] = [
    (
        "decertifying what was never certified changes nothing; the peer fails an assertion",
        lambda operation, ours, theirs: (
            operation == "decertify" and ours == {"value": None} and theirs.get("error") == "AssertionError"
        ),
    ),
    (
        "of two things that are wrong, either may be told",
        lambda operation, ours, theirs: (
            operation.endswith("_chain")
            and {ours.get("error"), theirs.get("error")} <= {"CollectionTypeError", "MissingCollectionError"}
        ),
    ),
    (
        "an error of the database is no answer to a user",
        lambda operation, ours, theirs: (
            theirs.get("error") in ("IntegrityError", "OperationalError")
            and {"ButlerUserError", "RegistryError"} & set(ours.get("classes", ()))
        ),
    ),
]


class PeerProcess:
    """The peer, in a process of its own."""

    def __init__(self, python: str):
        self.process = subprocess.Popen(
            [python, str(Path(__file__).with_name("actor.py")), "lsst.daf.butler"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, repository: str, operation: str, arguments: list[Any]) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(json.dumps([repository, operation, arguments]), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, f"the peer died of {operation} {arguments}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


def difference(operation: str, ours: dict[str, Any], theirs: dict[str, Any]) -> str | None:
    """Say how two answers differ, or None; an error of ours may say more than the peer's."""
    if ours == theirs or any(meant(operation, ours, theirs) for _, meant in MEANT):
        return None
    if "error" in ours and "error" in theirs:
        general = theirs["error"] in GENERAL_ERRORS
        if ours["error"] == theirs["error"] or (theirs["error"] in ours["classes"] and not general):
            return None
    return f"{operation}: here {json.dumps(ours)[:1500]}, the peer {json.dumps(theirs)[:1500]}"


class TwoActors(RuleBasedStateMachine):
    """One run of the machine; `repositories` and `peer` are set by the test."""

    repositories: Callable[[], tuple[str, str]]
    peer: PeerProcess
    differences: list[str]
    outcomes: counting.Counter[tuple[str, str]]

    def __init__(self) -> None:
        super().__init__()
        self.here = Actor("armillary.butler")
        self.turn = 0
        self.first, self.second = type(self).repositories()

    def teardown(self) -> None:
        for butler in self.here.butlers.values():
            butler.close()

    def step(self, operation: str, *arguments: Any) -> None:
        """Let each actor do it, each in another repository, and compare."""
        self.turn += 1
        mine, its = (self.first, self.second) if self.turn % 2 else (self.second, self.first)
        given = json.loads(json.dumps(arguments))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours = json.loads(json.dumps(self.here.do(mine, operation, given)))
        theirs = self.peer.do(its, operation, given)
        self.outcomes[operation, theirs.get("error", "done")] += 1
        found = difference(operation, ours, theirs)
        if found is not None:
            found = f"{found}\nafter {self.turn} steps, arguments {json.dumps(given)}"
            assert "error" in ours and "error" in theirs, found  # one of them changed something
            self.differences.append(found)
        if self.turn % 8 == 0:
            self.compare()

    def compare(self) -> None:
        """Both see the same, in both repositories."""
        ours = [json.loads(json.dumps(self.here.do(root, "tell", []))) for root in (self.first, self.second)]
        theirs = [self.peer.do(root, "tell", []) for root in (self.first, self.second)]
        assert "value" in theirs[0], theirs[0]
        for part, expected in theirs[0]["value"].items():
            for name, seen in (("here, first", ours[0]), ("here, second", ours[1]), ("the peer, second", theirs[1])):
                assert seen.get("value", seen).get(part) == expected, f"{part} differ ({name}) after {self.turn} steps"

    @initialize()
    def begin(self) -> None:
        self.step("insert", "instrument", [{"name": "Cam", "class_name": "my.Cam", "detector_max": 10}], {})
        rows = [{"instrument": "Cam", "name": name, "band": name[-1].lower()} for name in FILTERS]
        self.step("insert", "physical_filter", rows, {})
        self.step("insert", "day_obs", [{"instrument": "Cam", "id": 20250101}], {})
        self.step("insert", "group", [{"instrument": "Cam", "name": "g"}], {})
        rows = [{"instrument": "Cam", "id": i, "full_name": f"S{i}"} for i in DETECTORS]
        self.step("insert", "detector", rows, {})
        self.step("insert", "exposure", [exposure(i, f"e{i}") for i in EXPOSURES], {})
        for name, definition in TYPES.items():
            self.step("register_type", name, *definition)
        for name in RUNS[:2]:
            self.step("register", name, "RUN")
        for kind, names in OTHERS.items():
            self.step("register", names[0], kind)

    # -- collections

    @rule(name=collections, kind=st.sampled_from(["RUN", *OTHERS]))
    def register(self, name: str, kind: str) -> None:
        if name != "nowhere":
            self.step("register", name, kind if name not in RUNS else "RUN")

    @rule(name=collections)
    def remove_collection(self, name: str) -> None:
        self.step("remove_collection", name)

    @rule(
        edit=st.sampled_from(["redefine_chain", "prepend_chain", "extend_chain", "remove_from_chain"]),
        name=st.sampled_from([*OTHERS["CHAINED"], "run/a"]),
        children=some_collections,
    )
    def edit_chain(self, edit: str, name: str, children: list[str]) -> None:
        self.step(edit, name, children)

    @rule(names=st.lists(st.sampled_from([*RUNS, "tag/a"]), min_size=1, max_size=2, unique=True), unlink=st.booleans())
    def remove_runs(self, names: list[str], unlink: bool) -> None:
        self.step("remove_runs", names, unlink)

    # -- records and types

    @rule(
        detector=st.sampled_from([*DETECTORS, 4]),
        name=st.sampled_from(["S1", "S2", "other"]),
        how=st.sampled_from([{}, {"replace": True}, {"skip_existing": True}]),
    )
    def insert_detector(self, detector: int, name: str, how: dict[str, bool]) -> None:
        self.step("insert", "detector", [{"instrument": "Cam", "id": detector, "full_name": name}], how)

    @rule(
        identifier=st.sampled_from([*EXPOSURES, 14]),
        name=st.sampled_from(["e11", "x"]),
        update=st.booleans(),
        filter_name=st.sampled_from([*FILTERS, "Nope"]),
    )
    def sync_exposure(self, identifier: int, name: str, update: bool, filter_name: str) -> None:
        self.step("sync", "exposure", exposure(identifier, name) | {"physical_filter": filter_name}, update)

    @rule(name=st.sampled_from([*TYPES]), other=st.sampled_from([*TYPES]))
    def register_type(self, name: str, other: str) -> None:
        self.step("register_type", name, *TYPES[name if name < other else other])

    @rule(name=types)
    def remove_type(self, name: str) -> None:
        self.step("remove_type", name)

    # -- datasets

    @rule(what=typed_data_ids(), run=st.sampled_from([*RUNS, "tag/a"]))
    def insert_datasets(self, what: tuple[str, list[dict[str, Any]]], run: str) -> None:
        self.step("insert_datasets", what[0], what[1], run)

    @rule(what=typed_data_ids(), run=st.sampled_from(RUNS), value=st.integers(0, 9))
    def put(self, what: tuple[str, list[dict[str, Any]]], run: str, value: int) -> None:
        self.step("put", {"value": value}, what[0], what[1][0], run)

    @rule(what=typed_data_ids(), where=some_collections)
    def get(self, what: tuple[str, list[dict[str, Any]]], where: list[str]) -> None:
        self.step("get", what[0], what[1][0], where)

    @rule(what=typed_data_ids(), where=some_collections, span=st.none() | spans)
    def find(self, what: tuple[str, list[dict[str, Any]]], where: list[str], span: list[int | None] | None) -> None:
        self.step("find", what[0], what[1][0], where, span)

    @rule(
        edit=st.sampled_from(["associate", "associate", "disassociate"]),
        tag=st.sampled_from([*OTHERS["TAGGED"], "run/a", "calib"]),
        what=typed_data_ids(),
        run=st.sampled_from(RUNS),
    )
    def tag(self, edit: str, tag: str, what: tuple[str, list[dict[str, Any]]], run: str) -> None:
        self.step(edit, tag, what[0], what[1], run)

    @rule(what=typed_data_ids(calibrations=True), run=st.sampled_from(RUNS), span=spans)
    def certify(self, what: tuple[str, list[dict[str, Any]]], run: str, span: list[int | None]) -> None:
        self.step("certify", "calib", what[0], what[1], run, span)

    @rule(what=typed_data_ids(calibrations=True), span=spans)
    def decertify(self, what: tuple[str, list[dict[str, Any]]], span: list[int | None]) -> None:
        self.step("decertify", "calib", what[0], span, what[1])

    @rule(
        what=typed_data_ids(),
        run=st.sampled_from(RUNS),
        how=st.sampled_from(
            [
                {"disassociate": True, "unstore": True, "purge": True},
                {"disassociate": False, "unstore": True},
                {"disassociate": True, "tags": ["tag/a"]},
                {"disassociate": False, "purge": True},
            ]
        ),
    )
    def prune(self, what: tuple[str, list[dict[str, Any]]], run: str, how: dict[str, Any]) -> None:
        self.step("prune", what[0], what[1], run, how)

    # -- questions

    @rule(
        name=types,
        where=some_collections,
        find_first=st.booleans(),
        condition=st.sampled_from(
            ["", "instrument = 'Cam' AND detector > 1", "instrument = 'Cam' AND detector IN (1..2)"]
        ),
    )
    def query_datasets(self, name: str, where: list[str], find_first: bool, condition: str) -> None:
        self.step("query_datasets", name, where, find_first, condition if name != "note" else "")

    @rule(
        dimensions=st.sampled_from([["detector"], ["exposure", "detector"], ["physical_filter"]]),
        condition=st.sampled_from(["", "detector = 2", "physical_filter = 'Cam-G'", "exposure.obs_id = 'x'"]),
    )
    def query_data_ids(self, dimensions: list[str], condition: str) -> None:
        self.step("query_data_ids", dimensions, condition)


def exposure(identifier: int, name: str) -> dict[str, Any]:
    """A record with all that an exposure needs."""
    return {
        "instrument": "Cam", "id": identifier, "obs_id": name, "day_obs": 20250101, "group": "g",
        "physical_filter": FILTERS[identifier % 2], "exposure_time": 30.0,
    }  # fmt: skip
