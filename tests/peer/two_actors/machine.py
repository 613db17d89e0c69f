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
from unittest import mock

import hypothesis
from hypothesis import stateful, strategies
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from hypothesis.strategies import SearchStrategy, booleans, none, sampled_from

from peer.queries_asked.comparison import GENERAL_ERRORS
from peer.two_actors.actor import Actor
from peer.two_actors.meant import MEANT, Step

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


def lists(of: SearchStrategy[Any], max_size: int) -> SearchStrategy[list[Any]]:
    """One to so many different items."""
    return strategies.lists(of, min_size=1, max_size=max_size, unique_by=lambda item: json.dumps(item, sort_keys=True))


collections = sampled_from(COLLECTIONS)
# One run more often than the others, so that what is searched for is also found.
runs = sampled_from([*RUNS, *RUNS[:1] * 4])
some_collections = lists(sampled_from([*COLLECTIONS, *RUNS[:1] * 5]), max_size=3)
types = sampled_from([*TYPES, "nothing"])
bounds = none() | sampled_from([second * SECOND for second in range(1_500_000_000, 1_500_000_010)])
spans = strategies.tuples(bounds, bounds)


def data_ids(name: str) -> SearchStrategy[dict[str, Any]]:
    """One data ID for a dataset type, now and then with a detector that is not there."""
    dimensions = TYPES[name][0]
    values = {
        "detector": [*DETECTORS, *DETECTORS[:1] * 4, 99],
        "exposure": [*EXPOSURES, *EXPOSURES[:1] * 3],
        "physical_filter": [*FILTERS, *FILTERS[:1] * 2],
    }
    given = {"instrument": "Cam"} if dimensions else {}
    return strategies.fixed_dictionaries({key: sampled_from(values[key]) for key in dimensions}).map(
        lambda found: given | found
    )


def typed_data_ids(calibrations: bool = False) -> SearchStrategy[tuple[str, list[dict[str, Any]]]]:
    """A dataset type with some data IDs."""
    names = [name for name, (_, _, calibration) in TYPES.items() if calibration or not calibrations]
    return strategies.one_of(
        [strategies.tuples(strategies.just(name), lists(data_ids(name), max_size=3)) for name in names]
    )


OPERATIONS: list[tuple[str, dict[str, SearchStrategy[Any]]]] = []


def operation(weight: int = 1, **arguments: SearchStrategy[Any]) -> Callable[..., Any]:
    """Note something to do, and how often beside the others."""

    def note(method: Callable[..., None]) -> Callable[..., None]:
        OPERATIONS.extend([(method.__name__, arguments)] * weight)
        return method

    return note


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
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=30)


def difference(step: Step) -> str | None:
    """Say how two answers differ, or None; an error of ours may say more than the peer's."""
    ours, theirs = step.ours, step.theirs
    if ours == theirs or any(meant(step) for _, meant in MEANT):
        return None
    if "error" in ours and "error" in theirs:
        general = theirs["error"] in GENERAL_ERRORS
        if ours["error"] == theirs["error"] or (theirs["error"] in ours["classes"] and not general):
            return None
    return f"{step.operation}: here {json.dumps(ours)[:1500]}, the peer {json.dumps(theirs)[:1500]}"


class TwoActors:
    """Steps on pairs of repositories; `outcomes` counts what came of them."""

    def __init__(self, repositories: Callable[[], tuple[str, str]], peer: PeerProcess):
        self.repositories = repositories
        self.peer = peer
        self.differences: list[str] = []
        self.outcomes: counting.Counter[tuple[str, str]] = counting.Counter()

    def end(self) -> None:
        """Close what is open."""
        for butler in self.here.butlers.values():
            butler.close()

    def step(self, operation: str, *arguments: Any) -> None:
        """Let each actor do it, each in another repository, and compare."""
        self.turn += 1
        mine, its = (self.first, self.second) if self.turn % 2 else (self.second, self.first)
        given = json.loads(json.dumps(arguments))
        self.last = [*self.last[-8:], (operation, given)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours = json.loads(json.dumps(self.here.do(mine, operation, given)))
        theirs = self.peer.do(its, operation, given)
        self.outcomes[operation, theirs.get("error", "done")] += 1
        found = difference(Step(operation, given, ours, theirs, lambda: self.here.do(mine, "tell", [])["value"]))
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
                found = seen.get("value", seen).get(part)
                where = f"{part} differ ({name}) after {self.turn} steps: {self.last}"
                assert found == expected, f"{where}\n{json.dumps(found)[:3000]}\n{json.dumps(expected)[:3000]}"

    def begin(self) -> None:
        """Make new repositories and what every program needs."""
        self.here = Actor("armillary.butler")
        self.turn = 0
        self.last: list[tuple[str, Any]] = []
        self.first, self.second = self.repositories()
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

    def certain(self) -> None:
        """What each program does before chance takes over: every operation that must be seen done, or refused."""
        detectors = [{"instrument": "Cam", "detector": number} for number in DETECTORS]
        always = [None, None]
        self.step("insert_datasets", "bias", detectors[:1], "run/a")
        self.step("insert_datasets", "bias", detectors[:1], "run/a")  # refused: it is there
        self.step("put", {"value": 1}, "bias", detectors[1], "run/a")
        self.step("put", {"value": 2}, "bias", detectors[1], "run/a")  # refused, too
        self.step("get", "bias", detectors[1], ["run/a"])
        self.step("get", "bias", detectors[2], ["run/a"])  # refused: there is none
        self.step("find", "bias", detectors[1], ["run/a"], None)
        self.step("associate", "tag/a", "bias", detectors[:2], "run/a")
        self.step("certify", "calib", "bias", detectors[:2], "run/a", always)
        self.step("decertify", "calib", "bias", [None, 1_500_000_005 * SECOND], detectors[:1])
        self.step("redefine_chain", "chain/a", ["run/a", "run/b"])
        self.step("redefine_chain", "run/a", ["run/b"])  # refused: that is no chain
        self.step("remove_collection", "run/a")  # refused: a chain has it
        self.step("remove_runs", ["tag/a"], False)  # refused: that is no run
        self.step("prune", "bias", detectors[:1], "run/a", {"disassociate": True, "unstore": True, "purge": True})
        self.step("redefine_chain", "chain/a", [])

    # -- collections

    @operation(3, name=collections, kind=sampled_from(["RUN", *OTHERS]))
    def register(self, name: str, kind: str) -> None:
        if name != "nowhere":
            self.step("register", name, kind if name not in RUNS else "RUN")

    @operation(name=collections)
    def remove_collection(self, name: str) -> None:
        self.step("remove_collection", name)

    @operation(
        4,
        edit=sampled_from(["redefine_chain", "prepend_chain", "extend_chain", "remove_from_chain"]),
        name=sampled_from([*OTHERS["CHAINED"], "run/a"]),
        children=some_collections,
    )
    def edit_chain(self, edit: str, name: str, children: list[str]) -> None:
        self.step(edit, name, children)

    @operation(names=lists(sampled_from([*RUNS, "tag/a"]), max_size=2), unlink=booleans())
    def remove_runs(self, names: list[str], unlink: bool) -> None:
        chains = self.here.do(self.first, "tell", [])["value"]["chains"]
        if not unlink and any(set(names) & set(children) for children in chains.values()):
            return  # the peer removes their datasets before it refuses
        self.step("remove_runs", names, unlink)

    # -- records and types

    @operation(
        2,
        detector=sampled_from([*DETECTORS, 4]),
        name=sampled_from(["S1", "S2", "other"]),
        how=sampled_from([{}, {"replace": True}, {"skip_existing": True}]),
    )
    def insert_detector(self, detector: int, name: str, how: dict[str, bool]) -> None:
        self.step("insert", "detector", [{"instrument": "Cam", "id": detector, "full_name": name}], how)

    @operation(
        2,
        identifier=sampled_from([*EXPOSURES, 14]),
        name=sampled_from(["e11", "x"]),
        update=booleans(),
        filter_name=sampled_from([*FILTERS, "Nope"]),
    )
    def sync_exposure(self, identifier: int, name: str, update: bool, filter_name: str) -> None:
        self.step("sync", "exposure", exposure(identifier, name) | {"physical_filter": filter_name}, update)

    @operation(3, name=sampled_from([*TYPES]), other=sampled_from([*TYPES]))
    def register_type(self, name: str, other: str) -> None:
        self.step("register_type", name, *TYPES[name if name < other else other])

    @operation(name=types)
    def remove_type(self, name: str) -> None:
        self.step("remove_type", name)

    # -- datasets

    @operation(5, what=typed_data_ids(), run=sampled_from([*RUNS[:1] * 5, *RUNS, "tag/a"]))
    def insert_datasets(self, what: tuple[str, list[dict[str, Any]]], run: str) -> None:
        self.step("insert_datasets", what[0], what[1], run)

    @operation(4, what=typed_data_ids(), run=runs, value=sampled_from(range(10)))
    def put(self, what: tuple[str, list[dict[str, Any]]], run: str, value: int) -> None:
        self.step("put", {"value": value}, what[0], what[1][0], run)

    @operation(6, what=typed_data_ids(), where=some_collections)
    def get(self, what: tuple[str, list[dict[str, Any]]], where: list[str]) -> None:
        self.step("get", what[0], what[1][0], where)

    @operation(3, what=typed_data_ids(), where=some_collections, span=none() | spans)
    def find(self, what: tuple[str, list[dict[str, Any]]], where: list[str], span: list[int | None] | None) -> None:
        self.step("find", what[0], what[1][0], where, span)

    @operation(
        6,
        edit=sampled_from(["associate", "associate", "disassociate"]),
        tag=sampled_from([*OTHERS["TAGGED"] * 3, "run/a", "calib"]),
        what=typed_data_ids(),
        run=runs,
    )
    def tag(self, edit: str, tag: str, what: tuple[str, list[dict[str, Any]]], run: str) -> None:
        self.step(edit, tag, what[0], what[1], run)

    @operation(5, what=typed_data_ids(calibrations=True), run=runs, span=spans)
    def certify(self, what: tuple[str, list[dict[str, Any]]], run: str, span: list[int | None]) -> None:
        self.step("certify", "calib", what[0], what[1], run, span)

    @operation(2, what=typed_data_ids(calibrations=True), span=spans)
    def decertify(self, what: tuple[str, list[dict[str, Any]]], span: list[int | None]) -> None:
        self.step("decertify", "calib", what[0], span, what[1])

    @operation(
        2,
        what=typed_data_ids(),
        run=runs,
        how=sampled_from(
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

    @operation(
        3,
        name=types,
        where=some_collections,
        find_first=booleans(),
        condition=sampled_from(
            ["", "instrument = 'Cam' AND detector > 1", "instrument = 'Cam' AND detector IN (1..2)"]
        ),
    )
    def query_datasets(self, name: str, where: list[str], find_first: bool, condition: str) -> None:
        self.step("query_datasets", name, where, find_first, condition if name != "note" else "")

    @operation(
        2,
        dimensions=sampled_from([["detector"], ["exposure", "detector"], ["physical_filter"]]),
        condition=sampled_from(["", "detector = 2", "physical_filter = 'Cam-G'", "exposure.obs_id = 'x'"]),
    )
    def query_data_ids(self, dimensions: list[str], condition: str) -> None:
        self.step("query_data_ids", dimensions, condition)


def exposure(identifier: int, name: str) -> dict[str, Any]:
    """A record with all that an exposure needs."""
    return {
        "instrument": "Cam", "id": identifier, "obs_id": name, "day_obs": 20250101, "group": "g",
        "physical_filter": FILTERS[identifier % 2], "exposure_time": 30.0,
    }  # fmt: skip


STEPS = sampled_from(OPERATIONS).flatmap(
    lambda entry: strategies.tuples(strategies.just(entry[0]), strategies.fixed_dictionaries(entry[1]))
)


def run_program(actors: TwoActors, steps: int, seed: str) -> None:
    """Let hypothesis draw a program of so many steps, and run it on new repositories.

    One rule has all operations: as rules of their own hypothesis would leave some of them out of a program, for good.
    The first program that it tries is its simplest, one operation again and again; that is refused.
    """

    class Program(RuleBasedStateMachine):
        begun = False

        @initialize(number=strategies.integers(0, 2**32))
        def begin(self, number: int) -> None:
            hypothesis.assume(number > 0)
            self.begun = True
            actors.begin()
            actors.certain()

        @rule(step=STEPS)
        def turn(self, step: tuple[str, dict[str, Any]]) -> None:
            name, arguments = step
            getattr(actors, name)(**arguments)

        def teardown(self) -> None:
            if self.begun:
                actors.compare()
                actors.end()

    settings = hypothesis.settings(
        max_examples=1,
        stateful_step_count=steps,
        phases=[hypothesis.Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    # Hypothesis draws a limited amount for one program, which is used up after some 320 steps: 20 of its units each.
    room = max(engine.BUFFER_SIZE, 64 * steps)
    with mock.patch.object(engine, "BUFFER_SIZE", room), mock.patch.object(stateful, "BUFFER_SIZE", room):
        run_state_machine_as_test(hypothesis.seed(seed)(Program), settings=settings)
