"""What a mock dataset holds: which dataset it is, and the quantum and the inputs it was made from."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Mapping
from typing import Any, Self

__all__ = ["ConvertedUnmockedDataset", "MockDataset", "MockDatasetQuantum"]


@dataclasses.dataclass
class ConvertedUnmockedDataset:
    """Stands for an ordinary dataset that a mock task read."""

    original_type: str

    def to_plain(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"original_type": self.original_type}


@dataclasses.dataclass
class MockDatasetQuantum:
    """The quantum that made a mock dataset, or the making of a task."""

    task_label: str
    data_id: dict[str, int | str]
    inputs: dict[str, list[MockDataset | ConvertedUnmockedDataset]] = dataclasses.field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Return the JSON form."""
        inputs = {name: [one.to_plain() for one in found] for name, found in self.inputs.items()}
        return {"task_label": self.task_label, "data_id": self.data_id, "inputs": inputs}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read the JSON form."""

        def one(found: Mapping[str, Any]) -> MockDataset | ConvertedUnmockedDataset:
            if "original_type" in found:
                return ConvertedUnmockedDataset(found["original_type"])
            return MockDataset.from_plain(found)

        inputs = {name: [one(item) for item in found] for name, found in plain["inputs"].items()}
        return cls(plain["task_label"], dict(plain["data_id"]), inputs)


@dataclasses.dataclass
class MockDataset:
    """A dataset that a mock task wrote.

    Attributes
    ----------
    dataset_id, dataset_type, data_id, run
        Which dataset it is; the type in its serialized form.
    quantum
        The quantum that made it; None inside of another mock dataset, so that files do not grow with every step.
    output_connection_name
        The connection it was written by.
    converted_from, parent, parameters
        What it was read as: in another storage class, as a component, with parameters.
    int_value, str_value
        Values that the config of the task asked for.

    Examples
    --------
    >>> dataset_type = {"name": "_mock_a", "storageClass": "_mock_int", "dimensions": []}
    >>> dataset = MockDataset(None, dataset_type, {}, "u/run")
    >>> MockDataset.model_validate_json(dataset.model_dump_json()) == dataset
    True
    """

    dataset_id: uuid.UUID | None
    dataset_type: dict[str, Any]
    data_id: dict[str, int | str]
    run: str | None
    quantum: MockDatasetQuantum | None = None
    output_connection_name: str | None = None
    converted_from: MockDataset | None = None
    parent: MockDataset | None = None
    parameters: dict[str, str] | None = None
    int_value: int | None = None
    str_value: str | None = None

    @classmethod
    def of(cls, ref: Any, **more: Any) -> Self:
        """Make the mock of a dataset."""
        data_id = {str(name): value for name, value in ref.dataId.required.items()}
        return cls(ref.id, ref.datasetType.to_simple().model_dump(), data_id, ref.run, **more)

    @property
    def storage_class(self) -> str:
        """Name of its storage class."""
        return str(self.dataset_type["storageClass"])

    def make_derived(self, **kwargs: Any) -> MockDataset:
        """Return what comes of it when it is converted, or read as a component or with parameters.

        Parameters
        ----------
        **kwargs
            Attributes that differ; `name` and `storageClass` are those of the dataset type.
        """
        dataset_type = dict(self.dataset_type)
        for key in ("name", "storageClass"):
            if key in kwargs:
                dataset_type[key] = kwargs.pop(key)
        return dataclasses.replace(self, dataset_type=dataset_type, **kwargs)

    def without_quantum(self) -> MockDataset:
        """Return it as it is noted in what is made from it."""
        return dataclasses.replace(self, quantum=None)

    def to_plain(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "dataset_id": None if self.dataset_id is None else str(self.dataset_id),
            "dataset_type": self.dataset_type,
            "data_id": self.data_id,
            "run": self.run,
            "quantum": None if self.quantum is None else self.quantum.to_plain(),
            "output_connection_name": self.output_connection_name,
            "converted_from": None if self.converted_from is None else self.converted_from.to_plain(),
            "parent": None if self.parent is None else self.parent.to_plain(),
            "parameters": self.parameters,
            "int_value": self.int_value,
            "str_value": self.str_value,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read the JSON form."""
        values = dict(plain)
        values["dataset_id"] = uuid.UUID(plain["dataset_id"]) if plain.get("dataset_id") else None
        if plain.get("quantum") is not None:
            values["quantum"] = MockDatasetQuantum.from_plain(plain["quantum"])
        for name in ("converted_from", "parent"):
            if plain.get(name) is not None:
                values[name] = MockDataset.from_plain(plain[name])
        return cls(**values)

    def model_dump_json(self) -> str:
        """Return the text that files hold."""
        return json.dumps(self.to_plain(), separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes) -> Self:
        """Read the text that files hold."""
        return cls.from_plain(json.loads(json_data))
