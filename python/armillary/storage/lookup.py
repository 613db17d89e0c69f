"""Find what a configuration says about a dataset: by its type, its dimensions or its storage class."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["LookupTable", "lookup_names"]

_INSTRUMENT = re.compile(r"^instrument<(.*)>$")


def lookup_names(dataset_type: Any, component: str | None = None) -> Iterator[str | frozenset[str]]:
    """The keys that say something about a dataset, strongest first; dimensions are a set of names.

    A component's own name comes before its parent's. Storage classes are named, never loaded.
    """
    name, own = _split(dataset_type.name)
    component = component or own
    if component is not None:
        yield f"{name}.{component}"
    yield name
    group = frozenset(str(dimension) for dimension in dataset_type.dimensions.names)
    if group:
        yield group
    yield str(dataset_type.storageClass_name)


def _split(name: str) -> tuple[str, str | None]:
    parent, dot, component = name.partition(".")
    return parent, component if dot else None


class LookupTable:
    """The entries of one table (templates, formatters, ...): keys are names, or dimensions joined by `+`.

    A key `instrument<NAME>` holds entries for the data of one instrument; they are stronger than the others.
    """

    def __init__(self, entries: Mapping[str, Any], universe: Any) -> None:
        self._by_key: dict[str | frozenset[str], Any] = {}
        self._by_instrument: dict[str, LookupTable] = {}
        for key, value in entries.items():
            instrument = _INSTRUMENT.match(key)
            if instrument is not None and isinstance(value, Mapping):
                self._by_instrument[instrument.group(1)] = LookupTable(value, universe)
            elif "+" in key:
                names = [name.strip() for name in key.split("+") if name.strip()]
                self._by_key[frozenset(str(name) for name in universe.conform(names).names)] = value
            else:
                self._by_key[key] = value

    @property
    def has_instruments(self) -> bool:
        """Whether entries depend on the instrument."""
        return bool(self._by_instrument)

    def get(self, key: str | frozenset[str], default: Any = None) -> Any:
        """One entry by its key."""
        return self._by_key.get(key, default)

    def find(self, dataset_type: Any, *, component: str | None = None, instrument: str | None = None) -> Any:
        """The strongest entry for a dataset, or None."""
        if instrument is not None and instrument in self._by_instrument:
            found = self._by_instrument[instrument].find(dataset_type, component=component)
            if found is not None:
                return found
        for key in lookup_names(dataset_type, component):
            found = self._by_key.get(key)
            if found is not None:
                return found
        return None

    def find_key(self, key: str, instrument: str | None = None) -> Any:
        """An entry by name, the instrument's first."""
        if instrument is not None and instrument in self._by_instrument:
            found = self._by_instrument[instrument].get(key)
            if found is not None:
                return found
        return self._by_key.get(key)
