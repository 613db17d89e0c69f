"""A file that exists already, and the datasets in it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from armillary._core import DataCoordinate, DatasetRef, DatasetType, DimensionUniverse

__all__ = ["FileDataset", "FormatterName", "SerializedFileDataset"]


class FormatterName(str):
    """The name of a formatter that need not be importable here, as exports of others have it."""


@dataclass(frozen=True)
class SerializedFileDataset:
    """A `FileDataset` as plain data.

    >>> SerializedFileDataset({}, "a.json", None).model_dump_json()
    '{"refs": {}, "path": "a.json", "formatter": null}'
    """

    refs: dict[str, dict[str, Any]]
    path: str
    formatter: str | None = None

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """As a dictionary."""
        return asdict(self)

    def model_dump_json(self, **options: Any) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def model_validate_json(cls, text: str | bytes) -> SerializedFileDataset:
        """From JSON."""
        return cls(**json.loads(text))


@dataclass
class FileDataset:
    """A file to ingest: its path (or URI), the datasets in it, and what reads it.

    `refs` is one dataset reference or several; `formatter` a class, a dotted name, or None for the configured one.
    """

    path: Any
    refs: list[Any] = field()
    formatter: Any = None

    def __init__(self, path: Any, refs: Any, *, formatter: Any = None) -> None:
        self.path = path
        self.refs = list(refs) if isinstance(refs, list | tuple | set) else [refs]
        self.formatter = formatter

    def to_simple(self) -> SerializedFileDataset:
        """Plain data that say the same, for JSON."""
        refs = {
            str(ref.id): {
                "dataset_type_name": ref.datasetType.name,
                "run": ref.run,
                "data_id": {str(name): value for name, value in ref.dataId.mapping.items()},
            }
            for ref in self.refs
        }
        formatter = self.formatter
        if formatter is not None and not isinstance(formatter, str):
            formatter = formatter.name()
        return SerializedFileDataset(refs, str(self.path), formatter)

    @classmethod
    def from_simple(
        cls,
        dataset: SerializedFileDataset,
        *,
        dataset_type_loader: Callable[[str], DatasetType],
        universe: DimensionUniverse,
    ) -> FileDataset:
        """Make it again; `dataset_type_loader` gives a dataset type by name."""
        refs = []
        for text, one in dataset.refs.items():
            kind = dataset_type_loader(one["dataset_type_name"])
            data_id = DataCoordinate.standardize(one["data_id"], dimensions=kind.dimensions, universe=universe)
            refs.append(DatasetRef(kind, data_id, run=one["run"], id=uuid.UUID(text)))
        return cls(dataset.path, refs, formatter=dataset.formatter)

    def __lt__(self, other: FileDataset) -> bool:
        return str(self.path) < str(other.path)
