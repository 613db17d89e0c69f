"""What a task notes down about its run: numbers, words and flags under dotted names."""

from __future__ import annotations

import json
import numbers
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

__all__ = ["GetDictMetadata", "GetSetDictMetadata", "NestedMetadataDict", "SetDictMetadata", "TaskMetadata"]

Primitive: TypeAlias = str | int | float | bool
NestedMetadataDict: TypeAlias = Mapping[str, Any]
"""A mapping of numbers, strings and booleans, and of such mappings."""


class GetDictMetadata(Protocol):
    """Anything that gives a nested mapping of primitives by name."""

    def get_dict(self, key: str) -> NestedMetadataDict:
        """Return the mapping stored under `key`, empty when there is none."""
        ...


class SetDictMetadata(Protocol):
    """Anything that takes a nested mapping of primitives under a name."""

    def set_dict(self, key: str, value: NestedMetadataDict) -> None:
        """Store the mapping under `key`."""
        ...


class GetSetDictMetadata(GetDictMetadata, SetDictMetadata, Protocol):
    """Both directions."""


_PLAIN = frozenset({str, int, float, bool})


def _primitive(value: Any) -> Primitive | None:
    """Return `value` as a plain Python scalar, or None when it is something else."""
    if type(value) in _PLAIN:
        return value  # type: ignore[no-any-return]
    # `bool` before numbers: True is an integer, too. numpy's bool is no number; its own `item` gives Python's.
    if isinstance(value, bool | str):
        return str(value) if type(value) is not str and isinstance(value, str) else value
    if isinstance(value, int | float):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    return None


def _is_list(value: Any) -> bool:
    if type(value) in (list, tuple):
        return True
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


class TaskMetadata:
    """Scalars, arrays of one type, and nested metadata, by name.

    A dotted name reaches into nested metadata, which is made as needed. Values are strings, integers, floats and
    booleans, and lists of one of these. Integers stay integers when read back from JSON.

    Parameters
    ----------
    scalars, arrays, metadata
        Contents to begin with, in the three groups that the JSON form has.

    Examples
    --------
    >>> from armillary.pipeline import TaskMetadata
    >>> metadata = TaskMetadata()
    >>> metadata["detection.sources"] = 57
    >>> metadata.add("seeing", 1.25)
    >>> metadata.add("seeing", 1.5)
    >>> metadata.getArray("seeing")
    [1.25, 1.5]
    >>> metadata["detection.sources"]
    57
    >>> metadata.to_dict()
    {'seeing': [1.25, 1.5], 'detection': {'sources': 57}}

    """

    __slots__ = ("arrays", "metadata", "scalars")

    def __init__(
        self,
        *,
        scalars: Mapping[str, Primitive] | None = None,
        arrays: Mapping[str, Sequence[Primitive]] | None = None,
        metadata: Mapping[str, TaskMetadata | Mapping[str, Any]] | None = None,
    ) -> None:
        self.scalars: dict[str, Primitive] = {}
        self.arrays: dict[str, list[Primitive]] = {}
        self.metadata: dict[str, TaskMetadata] = {}
        for name, value in (scalars or {}).items():
            self.scalars[name] = self._checked_scalar(value)
        for name, values in (arrays or {}).items():
            self.arrays[name] = self._checked_list(values)
        for name, nested in (metadata or {}).items():
            self.metadata[name] = nested if isinstance(nested, TaskMetadata) else TaskMetadata.model_validate(nested)

    # Reading --------------------------------------------------------------------------------------------------------

    def _find(self, key: str) -> tuple[TaskMetadata, str] | None:
        """Return the group that holds `key` and its last part, or None."""
        *path, last = key.split(".")
        where = self
        for part in path:
            nested = where.metadata.get(part)
            if nested is None:
                return None
            where = nested
        found = last in where.scalars or last in where.arrays or last in where.metadata
        return (where, last) if found else None

    def _value(self, key: str) -> Primitive | list[Primitive] | TaskMetadata:
        if not isinstance(key, str):
            raise KeyError(f"metadata names are strings, `{key!r}` is not")
        found = self._find(key)
        if found is None:
            raise KeyError(f"`{key}` not found in the metadata")
        where, last = found
        if last in where.scalars:
            return where.scalars[last]
        return where.arrays[last] if last in where.arrays else where.metadata[last]

    def __getitem__(self, key: str) -> Any:
        value = self._value(key)
        return value[-1] if isinstance(value, list) else value

    def get(self, key: str, default: Any = None) -> Any:
        """Return the item, the last one of an array, or `default`.

        >>> TaskMetadata(scalars={"a": 1}).get("b", 5)
        5
        """
        return default if self._find(key) is None else self[key]

    def getScalar(self, key: str) -> Any:
        """Return one value: the scalar, or the last of an array.

        Raises
        ------
        KeyError
            There is no such name.

        >>> TaskMetadata(arrays={"a": [1, 2]}).getScalar("a")
        2

        """
        return self[key]

    def getArray(self, key: str) -> list[Any]:
        """Return every value under a name as a list, of one when it is a scalar.

        Raises
        ------
        KeyError
            There is no such name.

        >>> TaskMetadata(scalars={"a": 1}).getArray("a")
        [1]

        """
        value = self._value(key)
        return value if isinstance(value, list) else [value]

    def get_dict(self, key: str) -> NestedMetadataDict:
        """Return nested metadata as a mapping, an empty one when the name is unknown.

        >>> TaskMetadata.from_dict({"a": {"b": 1}}).get_dict("a")
        {'b': 1}
        """
        found = self._find(key)
        if found is None:
            return {}
        value = self._value(key)
        if not isinstance(value, TaskMetadata):
            raise ValueError(f"`{key}` holds {value!r}, not nested metadata")
        return value.to_dict()

    def names(self) -> set[str]:
        """Return every name, dotted ones and those of nested metadata included.

        >>> sorted(TaskMetadata.from_dict({"a": {"b": 1}}).names())
        ['a', 'a.b']
        """
        found = set(self.keys())
        for name, nested in self.metadata.items():
            found.update(f"{name}.{inner}" for inner in nested.names())
        return found

    def paramNames(self, topLevelOnly: bool) -> set[str]:
        """Return the names that hold values, not nested metadata.

        >>> sorted(TaskMetadata.from_dict({"a": {"b": 1}, "c": 2}).paramNames(topLevelOnly=False))
        ['a.b', 'c']
        """
        found = {*self.scalars, *self.arrays}
        if not topLevelOnly:
            for name, nested in self.metadata.items():
                found.update(f"{name}.{inner}" for inner in nested.paramNames(topLevelOnly=False))
        return found

    def keys(self) -> tuple[str, ...]:
        """Return the names at the top: scalars, then arrays, then nested metadata.

        >>> TaskMetadata.from_dict({"a": {"b": 1}, "c": 2}).keys()
        ('c', 'a')
        """
        return (*self.scalars, *self.arrays, *self.metadata)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over the names at the top with what they hold, arrays as lists.

        >>> dict(TaskMetadata.from_dict({"a": [1, 2]}).items())
        {'a': [1, 2]}
        """
        yield from self.scalars.items()
        yield from self.arrays.items()
        yield from self.metadata.items()

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._find(key) is not None

    def __len__(self) -> int:
        return len(self.scalars) + len(self.arrays) + len(self.metadata)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    # Writing --------------------------------------------------------------------------------------------------------

    def _make_path(self, key: str) -> tuple[TaskMetadata, str]:
        """Return the group that is to hold `key`, made when missing, and the last part of the name."""
        if not isinstance(key, str):
            raise KeyError(f"metadata names are strings, `{key!r}` is not")
        if "." not in key:
            return self, key
        *path, last = key.split(".")
        where = self
        for part in path:
            where.scalars.pop(part, None)
            where.arrays.pop(part, None)
            where = where.metadata.setdefault(part, TaskMetadata())
        return where, last

    @staticmethod
    def _checked_scalar(value: Any) -> Primitive:
        plain = _primitive(value)
        if plain is None:
            raise ValueError(
                f"metadata holds numbers, strings, booleans and lists of one of these; {value!r} is none of them"
            )
        return plain

    @staticmethod
    def _checked_list(values: Sequence[Any]) -> list[Primitive]:
        kinds = set(map(type, values))
        if len(kinds) == 1 and kinds <= _PLAIN:
            return list(values)
        plain: list[Primitive] = []
        for value in values:
            item = _primitive(value)
            if item is None:
                raise ValueError(f"a list in metadata holds numbers, strings or booleans; {value!r} is none of them")
            if plain and type(item) is not type(plain[0]):
                raise ValueError(
                    f"a list in metadata holds one type of value, here both "
                    f"`{type(plain[0]).__name__}` and `{type(item).__name__}`"
                )
            plain.append(item)
        return plain

    def __setitem__(self, key: str, value: Any) -> None:
        where, last = self._make_path(key)
        if type(value) in _PLAIN:
            where._remove(last)
            where.scalars[last] = value
        elif isinstance(value, TaskMetadata | Mapping):
            nested = value if isinstance(value, TaskMetadata) else TaskMetadata.from_dict(value)
            where._remove(last)
            where.metadata[last] = nested
        elif _is_list(value):
            values = self._checked_list(value)
            where._remove(last)
            where.arrays[last] = values
        else:
            scalar = self._checked_scalar(value)
            where._remove(last)
            where.scalars[last] = scalar

    def _remove(self, name: str) -> None:
        self.scalars.pop(name, None)
        self.arrays.pop(name, None)
        self.metadata.pop(name, None)

    def add(self, key: str, value: Any) -> None:
        """Append a value, or the values of a list, to what is under the name.

        Raises
        ------
        ValueError
            The value is no primitive, or of another type than those already there.

        >>> metadata = TaskMetadata()
        >>> metadata.add("n", 1)
        >>> metadata.add("n", [2, 3])
        >>> metadata.getArray("n")
        [1, 2, 3]

        """
        where, last = self._make_path(key)
        if isinstance(value, TaskMetadata | Mapping) or last in where.metadata:
            raise ValueError(f"only values can be added; `{key}` or {value!r} is nested metadata")
        added = self._checked_list(value) if _is_list(value) else [self._checked_scalar(value)]
        before = where.arrays.get(last, [where.scalars[last]] if last in where.scalars else [])
        if before and added and type(before[0]) is not type(added[0]):
            raise ValueError(
                f"`{key}` holds `{type(before[0]).__name__}` values; a `{type(added[0]).__name__}` cannot be added"
            )
        if last not in where.arrays and last not in where.scalars and not _is_list(value):
            where.scalars[last] = added[0]
        else:
            where.scalars.pop(last, None)
            where.arrays[last] = before + added

    def set_dict(self, key: str, value: NestedMetadataDict) -> None:
        """Store a nested mapping under a name, in place of what was there.

        >>> metadata = TaskMetadata()
        >>> metadata.set_dict("failure", {"message": "no stars", "counts": {"found": 0}})
        >>> metadata["failure.counts.found"]
        0
        """
        self[key] = TaskMetadata.from_dict(value)

    def __delitem__(self, key: str) -> None:
        found = self._find(key)
        if found is None:
            raise KeyError(f"`{key}` not found in the metadata")
        found[0]._remove(found[1])

    # Conversion -----------------------------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> TaskMetadata:
        """Make metadata out of a nested mapping.

        Raises
        ------
        ValueError
            A value is neither a primitive, nor a list of one type, nor a mapping.

        >>> TaskMetadata.from_dict({"a": 1, "b": {"c": [1.5]}})["b.c"]
        1.5

        """
        made = cls()
        for name, value in d.items():
            made[name] = value
        return made

    @classmethod
    def from_metadata(cls, ps: Any) -> TaskMetadata:
        """Make metadata out of anything with `paramNames` and `getArray`, such as a property set.

        >>> TaskMetadata.from_metadata(TaskMetadata.from_dict({"a": {"b": [1, 2]}})).to_dict()
        {'a': {'b': [1, 2]}}
        """
        made = cls()
        for name in sorted(ps.paramNames(topLevelOnly=False)):
            values = ps.getArray(name)
            made[name] = values[0] if len(values) == 1 else values
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested dictionaries.

        >>> TaskMetadata(scalars={"a": 1}).to_dict()
        {'a': 1}
        """
        nested = {name: inner.to_dict() for name, inner in self.metadata.items()}
        return {**self.scalars, **{name: list(values) for name, values in self.arrays.items()}, **nested}

    def model_dump(self) -> dict[str, Any]:
        """Return the three groups as plain dictionaries, which is the form that files hold.

        >>> TaskMetadata(scalars={"a": 1}).model_dump()
        {'scalars': {'a': 1}, 'arrays': {}, 'metadata': {}}
        """
        return {
            "scalars": dict(self.scalars),
            "arrays": {name: list(values) for name, values in self.arrays.items()},
            "metadata": {name: nested.model_dump() for name, nested in self.metadata.items()},
        }

    def model_dump_json(self) -> str:
        """Return the JSON text stored in files; not-a-number and infinities stand as `NaN`, `Infinity`.

        >>> TaskMetadata(scalars={"a": 1}).model_dump_json()
        '{"scalars":{"a":1},"arrays":{},"metadata":{}}'
        """
        return json.dumps(self.model_dump(), separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def model_validate(cls, obj: Any) -> TaskMetadata:
        """Make metadata out of what `model_dump` returns; groups may be missing.

        Raises
        ------
        ValueError
            The structure or a value is not that of metadata.

        >>> TaskMetadata.model_validate({"scalars": {"a": 3}})["a"]
        3

        """
        if isinstance(obj, TaskMetadata):
            return obj
        groups: dict[str, Any] = {}
        for name in cls.__slots__ if isinstance(obj, Mapping) else ():
            given = obj.get(name)
            groups[name] = {} if given is None else given
        if not groups or not all(isinstance(group, Mapping) for group in groups.values()):
            raise ValueError("task metadata is a mapping of `scalars`, `arrays` and `metadata`, each a mapping")
        for name, values in groups["arrays"].items():
            if not _is_list(values):
                raise ValueError(f"`{name}` is among the arrays of the metadata but is {values!r}")
        return cls(**groups)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes) -> TaskMetadata:
        """Read the JSON text of a file.

        Raises
        ------
        ValueError
            The text is not JSON, or not that of metadata.

        >>> TaskMetadata.model_validate_json('{"scalars":{"a":3}}')["a"]
        3

        """
        return cls.model_validate(json.loads(json_data))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TaskMetadata):
            return NotImplemented
        return (self.scalars, self.arrays, self.metadata) == (other.scalars, other.arrays, other.metadata)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"TaskMetadata(scalars={self.scalars!r}, arrays={self.arrays!r}, metadata={self.metadata!r})"

    def __str__(self) -> str:
        return f"scalars={self.scalars!r} arrays={self.arrays!r} metadata={self.metadata!r}"
