"""Dataset references made of the fixtures' universe, so that storage is tested without a registry."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from functools import cached_property

import pytest

from conftest import shared_path


@dataclass(frozen=True)
class Group:
    names: tuple[str, ...]
    required: tuple[str, ...]
    implied: tuple[str, ...]
    elements: tuple[str, ...]
    skypix: tuple[str, ...]


class Universe:
    """The dimensions of the default universe, closed under what they need."""

    def __init__(self):
        facts = json.loads(shared_path("contract-fixtures/vectors/universe8.json").read_text())
        self._elements = {one["name"]: one for one in facts["elements"]}
        self._order = facts["all_elements"]
        self._dimensions = set(facts["dimension_order"])

    def conform(self, names):
        found, required, todo = set(), set(), list(names)
        while todo:
            name = todo.pop()
            if name in found:
                continue
            found.add(name)
            one = self._elements.get(name, {"required": [name], "implied": []})
            todo.extend([*one["required"], *one["implied"]])
        implied = {other for name in found for other in self._elements.get(name, {"implied": []})["implied"]} - set(
            names
        )
        needed = {other for name in names for other in self._elements.get(name, {"required": [name]})["required"]}
        required = (found - implied) | needed
        elements = [
            name
            for name in self._order
            if name in found or (name in self._elements and name not in self._dimensions and self._needs(name) <= found)
        ]
        ordered = [name for name in self._order if name in found]
        return Group(
            tuple(ordered),
            tuple(name for name in ordered if name in required),
            tuple(name for name in ordered if name not in required),
            tuple(elements),
            tuple(name for name in ordered if name.startswith(("htm", "healpix"))),
        )

    def _needs(self, name):
        return set(self._elements[name]["required"])


class Record:
    def __init__(self, **fields):
        self.__dict__.update(fields)


@dataclass
class DataId:
    mapping: dict
    records: dict
    dimensions: Group

    def hasRecords(self):
        return bool(self.records)

    def get(self, name, default=None):
        return self.mapping.get(name, default)

    @cached_property
    def required(self):
        return {name: self.mapping[name] for name in self.dimensions.required}


@dataclass(frozen=True)
class DatasetType:
    name: str
    dimensions: Group
    storageClass_name: str
    parentStorageClass: str | None = None


@dataclass
class DatasetRef:
    datasetType: DatasetType
    dataId: DataId
    run: str
    id: uuid.UUID = field(default_factory=uuid.uuid4)

    def __str__(self):
        return f"{self.datasetType.name}@{self.dataId.mapping}"


@pytest.fixture(scope="session")
def universe():
    return Universe()


@pytest.fixture(scope="session")
def make_ref(universe):
    """Make a reference: `make_ref("int", run="r", dimensions=[...], mapping={...}, records={...})`."""

    def make(storage_class, *, name="thing", run="run", dimensions=(), mapping=None, records=None, parent=None):
        group = universe.conform(dimensions)
        dataset_type = DatasetType(name, group, storage_class, parent)
        return DatasetRef(dataset_type, DataId(dict(mapping or {}), dict(records or {}), group), run)

    return make


@pytest.fixture(scope="session")
def record_of():
    return Record
