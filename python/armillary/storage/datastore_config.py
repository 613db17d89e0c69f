"""What a datastore's configuration says about each dataset: its formatter, whether it is taken, whether it is split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from armillary.errors import ConstraintsValidationError, DatasetTypeNotSupportedError
from armillary.storage.formatter import Formatter, FormatterV1inV2, FormatterV2
from armillary.storage.location import FileDescriptor
from armillary.storage.lookup import LookupTable, lookup_names
from armillary.storage.named_objects import dotted_name, import_object
from armillary.storage.peer_names import to_peer_name

__all__ = ["Composites", "Constraints", "FormatterEntry", "Formatters", "formatter_class"]

_classes: dict[str, type[FormatterV2] | type[Formatter]] = {}


def formatter_class(formatter: Any) -> type[FormatterV2] | type[Formatter]:
    """The class of a formatter, a dotted name or an object.

    Raises `TypeError` if it is no formatter, `ImportError` or `UntrustedContentError` if it cannot be imported.
    """
    if isinstance(formatter, str):
        known = _classes.get(formatter)
        if known is None:
            known = _classes[formatter] = _checked(import_object(formatter, "the formatter"), formatter)
        return known
    return _checked(formatter if isinstance(formatter, type) else type(formatter), repr(formatter))


def _checked(found: Any, name: str) -> type[FormatterV2] | type[Formatter]:
    if not (isinstance(found, type) and issubclass(found, FormatterV2 | Formatter)):
        raise TypeError(f"`{name}` is not a formatter: it must be a subclass of `FormatterV2`")
    return found


def make_formatter(formatter: str, descriptor: FileDescriptor, ref: Any, **options: Any) -> FormatterV2:
    """Make the object that reads or writes one file."""
    cls = formatter_class(formatter)
    if issubclass(cls, Formatter):
        return FormatterV1inV2(descriptor, ref=ref, formatter=cls, **options)
    return cls(descriptor, ref=ref, **options)


@dataclass(frozen=True, slots=True)
class FormatterEntry:
    """A formatter's name as records hold it, and its write options."""

    name: str
    write_parameters: Mapping[str, Any] | None = None
    write_recipes: Mapping[str, Any] | None = None


class Formatters:
    """Which formatter writes a dataset."""

    def __init__(self, config: Mapping[str, Any], universe: Any) -> None:
        entries = dict(config)
        self._parameters: Mapping[str, Any] = entries.pop("default", None) or {}
        self._recipes: Mapping[str, Any] = entries.pop("write_recipes", None) or {}
        self._table = LookupTable(self._build(entries), universe)
        self._found: dict[Any, FormatterEntry] = {}

    def _build(self, entries: Mapping[str, Any]) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, value in entries.items():
            if isinstance(value, str):
                built[key] = self._entry(value, {})
            elif isinstance(value, Mapping) and "formatter" in value:
                built[key] = self._entry(str(value["formatter"]), value.get("parameters") or {})
            elif isinstance(value, Mapping):
                built[key] = self._build(value)
        return built

    def _entry(self, name: str, parameters: Mapping[str, Any]) -> FormatterEntry:
        return FormatterEntry(
            to_peer_name(name), {**(self._parameters.get(name) or {}), **parameters}, self._recipes.get(name)
        )

    def find(self, ref: Any, component: str | None = None, storage_class: str | None = None) -> FormatterEntry:
        """The formatter of a dataset, or of the part of it that has `storage_class`.

        Raises `DatasetTypeNotSupportedError` if none is configured.
        """
        dataset_type = ref.datasetType
        instrument = ref.dataId.get("instrument") if self._table.has_instruments else None
        key = (dataset_type, component, instrument)
        known = self._found.get(key)
        if known is None:
            known = self._found[key] = self._search(dataset_type, component, storage_class, instrument)
        return known

    def _search(
        self, dataset_type: Any, component: str | None, storage_class: str | None, instrument: str | None
    ) -> FormatterEntry:
        entry = None
        name = storage_class or str(dataset_type.storageClass_name)
        if component is None:
            entry = self._table.find(dataset_type, instrument=instrument)
        else:  # a part is not written by the formatter of the whole
            parent = dataset_type.name.partition(".")[0]
            for key in (f"{parent}.{component}", name):
                entry = entry or self._table.find_key(key, instrument)
        if not isinstance(entry, FormatterEntry):
            raise DatasetTypeNotSupportedError(
                f"no formatter writes dataset type `{dataset_type.name}`, whose storage class is `{name}`; name one "
                "under `datastore.formatters` in the repository's configuration"
            )
        return entry

    def register(self, key: str, formatter: Any) -> None:
        """Add a formatter for a dataset type or storage class name."""
        name = formatter if isinstance(formatter, str) else dotted_name(formatter_class(formatter))
        self._table._by_key[key] = self._entry(name, {})
        self._found.clear()

    registerFormatter = register


class Constraints:
    """Which datasets a datastore takes."""

    def __init__(self, config: Mapping[str, Any] | None, universe: Any) -> None:
        self._accept = self._keys(config, "accept", universe)
        self._reject = self._keys(config, "reject", universe)
        self._by_instrument = {
            str(key)[len("instrument<") : -1]: Constraints(value, universe)
            for entries in (config or {}).values()
            for one in (entries or ())
            if isinstance(one, Mapping)
            for key, value in one.items()
            if str(key).startswith("instrument<")
        }

    @staticmethod
    def _keys(config: Mapping[str, Any] | None, name: str, universe: Any) -> set[str | frozenset[str]]:
        entries = (config or {}).get(name) or []
        if not isinstance(entries, list):
            raise ConstraintsValidationError(f"`constraints.{name}` must be a list of names, not `{entries}`")
        keys: set[str | frozenset[str]] = set()
        for entry in entries:
            if isinstance(entry, str):
                names = [part.strip() for part in entry.split("+")]
                keys.add(frozenset(str(one) for one in universe.conform(names).names) if "+" in entry else entry)
        return keys

    @property
    def empty(self) -> bool:
        """Whether every dataset is taken."""
        return not self._accept and not self._reject

    def accepts(self, dataset_type: Any) -> bool:
        """Tell whether datasets of a type are taken; the first key that is listed decides."""
        if self.empty:
            return True
        keys = list(lookup_names(dataset_type))
        for key in keys:
            if key in self._reject:
                return False
            if key in self._accept:
                return True
        if "all" in self._reject:
            return False
        return not self._accept or "all" in self._accept


class Composites:
    """Which datasets are stored as one file for each component."""

    def __init__(self, config: Mapping[str, Any] | None, universe: Any) -> None:
        config = config or {}
        self._default = bool(config.get("default", False))
        entries = {key: value for key, value in (config.get("disassembled") or {}).items() if key != "__null__"}
        self._table = LookupTable(entries, universe)

    def splits(self, dataset_type: Any, instrument: str | None = None) -> bool:
        """Tell whether datasets of a composite type are split."""
        found = self._table.find(dataset_type, instrument=instrument)
        return self._default if found is None else bool(found)
