"""Dictionaries and sets of things that have a `name`, found by the thing or by its name."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, MutableMapping, MutableSet
from collections.abc import Set as AbstractSet
from typing import Any, Generic, Protocol, TypeVar

from armillary._words import did_you_mean

__all__ = ["Named", "NamedKeyDict", "NamedValueSet"]


class Named(Protocol):
    """Whatever has a name."""

    @property
    def name(self) -> str:
        """The name."""


K = TypeVar("K", bound=Named)
V = TypeVar("V")


def _name(key: Any) -> str:
    return key if isinstance(key, str) else str(key.name)


class _Table(Generic[K]):
    """Things by name, with the nearest name in the error, and a lock that stays."""

    def __init__(self) -> None:
        self._frozen = False

    def _change(self) -> None:
        if self._frozen:
            raise TypeError(f"this {type(self).__name__} is frozen; change a copy")

    @staticmethod
    def _missing(name: str, known: Iterable[str]) -> KeyError:
        return KeyError(f"nothing is called `{name}`{did_you_mean(name, known)}")


class NamedKeyDict(_Table[K], MutableMapping[K, V]):
    """A dictionary whose keys have names, and are found by them too.

    >>> from armillary._core import DimensionUniverse
    >>> counts = NamedKeyDict({DimensionUniverse()["visit"]: 3})
    >>> counts["visit"], list(counts.names)
    (3, ['visit'])
    """

    def __init__(self, items: Mapping[K, V] | Iterable[tuple[K, V]] = ()) -> None:
        super().__init__()
        self._keys: dict[str, K] = {}
        self._values: dict[str, V] = {}
        for key, value in items.items() if isinstance(items, Mapping) else items:
            self[key] = value

    @property
    def names(self) -> KeysView[str]:
        """Names of the keys, in order."""
        return self._keys.keys()

    def byName(self) -> dict[str, V]:
        """Copy into a dictionary whose keys are the names."""
        return dict(self._values)

    def freeze(self) -> NamedKeyDict[K, V]:
        """Refuse changes from now on; returns itself."""
        self._frozen = True
        return self

    def copy(self) -> NamedKeyDict[K, V]:
        """Copy into one that can be changed."""
        return NamedKeyDict(self.items())

    def items(self) -> ItemsView[K, V]:
        """Keys with their values."""
        return ItemsView(self)

    def __getitem__(self, key: K | str) -> V:
        try:
            return self._values[_name(key)]
        except KeyError:
            raise self._missing(_name(key), self._keys) from None

    def __setitem__(self, key: K | str, value: V) -> None:
        self._change()
        name = _name(key)
        if isinstance(key, str):
            if name not in self._keys:
                raise self._missing(name, self._keys)
        else:
            self._keys.setdefault(name, key)
        self._values[name] = value

    def __delitem__(self, key: K | str) -> None:
        self._change()
        self[key]
        del self._keys[_name(key)], self._values[_name(key)]

    def __contains__(self, key: object) -> bool:
        return (isinstance(key, str) and key in self._keys) or getattr(key, "name", None) in self._keys

    def __iter__(self) -> Iterator[K]:
        return iter(self._keys.values())

    def __len__(self) -> int:
        return len(self._keys)

    def __str__(self) -> str:
        return f"{{{', '.join(f'{key}: {self._values[name]}' for name, key in self._keys.items())}}}"

    def __repr__(self) -> str:
        return f"NamedKeyDict({{{', '.join(f'{key!r}: {self._values[name]!r}' for name, key in self._keys.items())}}})"


class NamedValueSet(_Table[K], MutableSet[K]):
    """A set whose members have names, and are found by them too.

    >>> from armillary._core import DimensionUniverse
    >>> chosen = NamedValueSet([DimensionUniverse()["visit"]])
    >>> chosen["visit"], "band" in chosen
    (DatabaseDimension(visit), False)
    """

    def __init__(self, elements: Iterable[K] = ()) -> None:
        super().__init__()
        self._members: dict[str, K] = {}
        self.update(elements)

    @property
    def names(self) -> KeysView[str]:
        """Names of the members, in order."""
        return self._members.keys()

    def asMapping(self) -> Mapping[str, K]:
        """Copy into a dictionary from names to members."""
        return dict(self._members)

    def freeze(self) -> NamedValueSet[K]:
        """Refuse changes from now on; returns itself."""
        self._frozen = True
        return self

    def copy(self) -> NamedValueSet[K]:
        """Copy into one that can be changed."""
        return NamedValueSet(self)

    def get(self, key: Any, default: Any = None) -> Any:
        """Find a member by name, or return `default`."""
        return self._members.get(_name(key), default)

    def add(self, value: K) -> None:
        """Add a member; one of the same name stays."""
        self._change()
        self._members.setdefault(value.name, value)

    def update(self, elements: Iterable[K]) -> None:
        """Add members."""
        for element in elements:
            self.add(element)

    def discard(self, value: K | str) -> None:
        """Remove a member, if it is there."""
        self._change()
        self._members.pop(_name(value), None)

    def remove(self, value: K | str) -> None:
        """Remove a member. Raises `KeyError` if it is not there."""
        self[value]
        self.discard(value)

    def issubset(self, other: AbstractSet[K]) -> bool:
        """Tell whether every member is in `other`."""
        return self <= other

    def issuperset(self, other: AbstractSet[K]) -> bool:
        """Tell whether every member of `other` is here."""
        return self >= other

    def __getitem__(self, key: K | str) -> K:
        try:
            return self._members[_name(key)]
        except KeyError:
            raise self._missing(_name(key), self._members) from None

    def __contains__(self, key: object) -> bool:
        return (isinstance(key, str) and key in self._members) or getattr(key, "name", None) in self._members

    def __iter__(self) -> Iterator[K]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self._members)

    def __str__(self) -> str:
        return f"{{{', '.join(map(str, self))}}}"

    def __repr__(self) -> str:
        return f"NamedValueSet({{{', '.join(map(repr, self))}}})"
