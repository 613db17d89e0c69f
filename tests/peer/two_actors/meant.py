"""Differences between the two actors that are meant, each held against what the step asked and what is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# What a collection must be for an operation, and where among the arguments its name, type and data IDs are.
NEEDS: dict[str, dict[str, Any]] = {
    "insert_datasets": {"type": 0, "data_ids": 1, "RUN": 2},
    "put": {"type": 1, "data_ids": 2, "RUN": 3},
    "get": {"type": 0, "data_ids": 1, "any": 2},
    "find": {"type": 0, "data_ids": 1, "any": 2},
    "associate": {"TAGGED": 0, "type": 1, "data_ids": 2, "any": 3},
    "disassociate": {"TAGGED": 0, "type": 1, "data_ids": 2, "any": 3},
    "certify": {"CALIBRATION": 0, "type": 1, "data_ids": 2, "any": 3},
    "decertify": {"CALIBRATION": 0, "type": 1, "data_ids": 3},
    "prune": {"type": 0, "data_ids": 1, "any": 2},
    "query_datasets": {"type": 0, "any": 1},
    "redefine_chain": {"CHAINED": 0, "any": 1},
    "prepend_chain": {"CHAINED": 0, "any": 1},
    "extend_chain": {"CHAINED": 0, "any": 1},
    "remove_from_chain": {"CHAINED": 0, "any": 1},
    "remove_runs": {"RUN": 0},
}

# The fault that each class of error tells of.
TELLS = {
    "MissingCollectionError": "a collection is missing",
    "CollectionTypeError": "a collection is of the wrong kind",
    "CollectionCycleError": "a chain would hold itself",
    "MissingDatasetTypeError": "the dataset type is missing",
    "DatasetTypeError": "the dataset type is no calibration",
    "DimensionNameError": "a data ID lacks a key",
    "DataIdValueError": "a data ID has no record",
}


@dataclass(frozen=True)
class Step:
    """One step, what each actor answered, and how to see what is there."""

    operation: str
    arguments: list[Any]
    ours: dict[str, Any]
    theirs: dict[str, Any]
    look: Callable[[], dict[str, Any]]

    def error(self, answer: dict[str, Any]) -> str:
        """The class of an error by what it tells."""
        name = answer.get("error", "")
        if name == "MissingRecordError":
            return "DataIdValueError"  # its base, and the name that both actors know
        return "CollectionTypeError" if name == "TypeError" and self.operation == "remove_runs" else name


def faults(step: Step, seen: dict[str, Any]) -> set[str]:
    """All that is wrong with what a step asks of a repository."""
    needs = NEEDS.get(step.operation, {})
    found = set()
    for kind in ("RUN", "TAGGED", "CALIBRATION", "CHAINED", "any"):
        names = step.arguments[needs[kind]] if kind in needs else []
        for name in [names] if isinstance(names, str) else names:
            if name not in seen["kinds"]:
                found.add("a collection is missing")
            elif kind not in ("any", seen["kinds"][name]):
                found.add("a collection is of the wrong kind")
    if step.operation.endswith("_chain") and reaches(step.arguments[1], step.arguments[0], seen["chains"]):
        found.add("a chain would hold itself")
    if "type" in needs:
        found |= faults_of_data_ids(step, needs, seen)
    return found


def faults_of_data_ids(step: Step, needs: dict[str, Any], seen: dict[str, Any]) -> set[str]:
    """What is wrong with the dataset type of a step and its data IDs."""
    types = {name: (dimensions, calibration) for name, dimensions, _, calibration in seen["types"]}
    name = step.arguments[needs["type"]]
    if name not in types:
        return {"the dataset type is missing"}
    dimensions, calibration = types[name]
    found = set() if calibration or "certify" not in step.operation else {"the dataset type is no calibration"}
    known = {"detector": ids_of(seen, "detector", "id"), "exposure": ids_of(seen, "exposure", "id")}
    data_ids = step.arguments[needs["data_ids"]] if "data_ids" in needs else []
    for data_id in [data_ids] if isinstance(data_ids, dict) else data_ids or []:
        if set(dimensions) - data_id.keys():
            found.add("a data ID lacks a key")
        if any(value not in known.get(key, {value}) for key, value in data_id.items()):
            found.add("a data ID has no record")
    return found


def ids_of(seen: dict[str, Any], element: str, field: str) -> set[Any]:
    """Values of a field of the records of an element."""
    return {json.loads(record)[field] for record in seen["records"][element]}


def reaches(names: list[str], wanted: str, chains: dict[str, list[str]]) -> bool:
    """Whether a collection is among others or what they hold."""
    return any(name == wanted or reaches(chains.get(name, []), wanted, chains) for name in names)


def either(step: Step) -> bool:
    """Whether two things are wrong, of which each actor tells another one."""
    ours, theirs = TELLS.get(step.error(step.ours)), TELLS.get(step.error(step.theirs))
    return ours is not None and theirs is not None and ours != theirs and {ours, theirs} <= faults(step, step.look())


def one_dataset_certified_twice(step: Step) -> bool:
    """Whether a search finds one dataset, and no other, in the calibration collection that both searched."""
    found = step.ours.get("value")
    if step.operation != "find" or step.theirs.get("error") != "CalibrationLookupError" or found is None:
        return False
    name, data_id, _, span = step.arguments
    begin, end = span or (None, None)
    held = [json.loads(row) for row in step.look()["held"][name]]
    valid = {
        json.dumps(ref)
        for ref, collection, bounds in held
        if collection == "calib"
        and dict(ref[1]) == data_id
        and (end is None or bounds[0] < end)
        and (begin is None or bounds[1] > begin)
    }
    return valid == {json.dumps(found)}


def an_exposure_says_which_filter(step: Step) -> bool:
    """Whether a calibration is searched for by an exposure, which implies the key that the data ID lacks."""
    return (
        step.operation == "find"
        and "value" in step.ours
        and step.theirs.get("error") == "DimensionNameError"
        and "exposure" in step.arguments[1]
        and "a data ID lacks a key" in faults(step, step.look())
    )


MEANT: list[tuple[str, Callable[[Step], bool]]] = [
    (
        "decertifying what was never certified changes nothing; the peer fails an assertion",
        lambda step: (
            step.operation == "decertify"
            and step.ours == {"value": None}
            and step.theirs.get("error") == "AssertionError"
        ),
    ),
    ("of two things that are wrong, either may be told", either),
    ("`find_dataset` takes from an exposure what only the peer's `get` does", an_exposure_says_which_filter),
    ("one dataset that is certified twice is not ambiguous", one_dataset_certified_twice),
    (
        "a data ID without a record is told as such; the peer says that it may be one or a dataset that is there",
        lambda step: (
            step.operation == "insert_datasets"
            and step.error(step.ours) == "DataIdValueError"
            and "may also mean a dimension row is missing" in step.theirs.get("message", "")
            and "a data ID has no record" in faults(step, step.look())
        ),
    ),
    (
        "a record that contradicts another or lacks one it names: an error of the database is no answer to a user",
        lambda step: (
            step.operation in ("insert", "sync")
            and step.theirs.get("error") == "IntegrityError"
            and step.error(step.ours) in ("ConflictingDefinitionError", "DataIdValueError", "DatabaseConflictError")
        ),
    ),
]
"""Each with its reason and a test of the step."""
