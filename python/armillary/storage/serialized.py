"""Dataset references as plain data, in the shape that models of pydantic take as a field.

Nothing here needs pydantic: a class says by `__get_pydantic_core_schema__` how it is read and written if it is asked.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

__all__ = ["SerializedDatasetRef", "plain_schema"]


class _Plain(dict[str, Any]):
    """A mapping whose keys are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return _shown(self[name])
        except KeyError:
            raise AttributeError(f"there is no field `{name}`") from None


def _shown(value: Any) -> Any:
    return _Plain(value) if type(value) is dict else value


def plain_schema(cls: Any) -> Any:
    """The schema by which pydantic reads a class with `model_validate` and writes it with `model_dump_json`."""
    from pydantic_core import core_schema

    def write(value: Any, info: Any) -> Any:
        return json.loads(value.model_dump_json()) if info.mode == "json" else value.model_dump()

    return core_schema.no_info_plain_validator_function(
        cls.model_validate,
        serialization=core_schema.plain_serializer_function_ser_schema(write, info_arg=True),
    )


class SerializedDatasetRef:
    """A dataset reference as plain data: id, dataset type, data ID, run and component.

    Examples
    --------
    >>> plain = SerializedDatasetRef(id="01234567-89ab-cdef-0123-456789abcdef", run="u/me")
    >>> plain.id.version, plain.run, plain.component
    (12, 'u/me', None)
    """

    def __init__(self, *, id: Any, **fields: Any) -> None:
        self.id = id if isinstance(id, uuid.UUID) else uuid.UUID(str(id))
        known = ("datasetType", "dataId", "run", "component")
        unknown = sorted(fields.keys() - set(known))
        if unknown:
            raise ValueError(f"a dataset reference has no field {unknown}")
        self._fields: dict[str, Any] = {name: fields.get(name) for name in known}

    def __getattr__(self, name: str) -> Any:
        fields = self.__dict__.get("_fields", {})
        if name not in fields:
            raise AttributeError(f"a dataset reference has no field `{name}`")
        return _shown(fields[name])

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> SerializedDatasetRef:
        """Make one from what `DatasetRef.to_simple` gives, from a mapping, or from another one.

        Raises `ValueError` for anything else.
        """
        if isinstance(obj, cls):
            return obj
        if hasattr(obj, "model_dump_json"):
            return cls.model_validate_json(obj.model_dump_json())
        if not isinstance(obj, Mapping) or "id" not in obj:
            raise ValueError(f"`{obj!r}` is not a dataset reference")
        return cls(**obj)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes, **options: Any) -> SerializedDatasetRef:
        """Make one from JSON."""
        return cls.model_validate(json.loads(json_data))

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """As a dictionary, the id as a UUID."""
        return {"id": self.id, **self._fields}

    def model_dump_json(self, **options: Any) -> str:
        """As JSON."""
        return json.dumps({"id": str(self.id), **self._fields}, ensure_ascii=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return plain_schema(cls)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SerializedDatasetRef) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"SerializedDatasetRef(id={self.id}, run={self._fields['run']!r})"
