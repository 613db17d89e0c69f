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
from armillary.storage.storage_class import MOCK_PREFIX

__all__ = ["Composites", "Constraints", "FormatterEntry", "Formatters", "formatter_class"]

_JSON_FORMATTER = "lsst.daf.butler.formatters.json.JsonFormatter"
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

    def find_for_type(
        self, dataset_type: Any, component: str | None = None, storage_class: str | None = None
    ) -> FormatterEntry:
        """The formatter of a dataset type, whatever is said for single instruments."""
        return self._search(dataset_type, component, storage_class, None)

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
        if entry is None and name.startswith(MOCK_PREFIX):
            return self._entry(_JSON_FORMATTER, {})
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
    """Which datasets a datastore takes, by dataset type, storage class or dimensions under `accept` and `reject`.

    An entry `instrument<NAME>: [...]` in either list counts for the data of one instrument, and is stronger there.
    """

    def __init__(self, config: Mapping[str, Any] | None, universe: Any) -> None:
        self._accept: dict[str | None, set[str | frozenset[str]]] = {}
        self._reject: dict[str | None, set[str | frozenset[str]]] = {}
        for name, kept in (("accept", self._accept), ("reject", self._reject)):
            entries = (config or {}).get(name) or []
            if not isinstance(entries, list):
                raise ConstraintsValidationError(f"`constraints.{name}` must be a list of names, not `{entries}`")
            self._read(entries, None, kept, universe)

    def _read(
        self,
        entries: list[Any],
        instrument: str | None,
        kept: dict[str | None, set[str | frozenset[str]]],
        universe: Any,
    ) -> None:
        for entry in entries:
            if isinstance(entry, Mapping):
                for key, value in entry.items():
                    if instrument is None and str(key).startswith("instrument<") and isinstance(value, list):
                        self._read(value, str(key)[len("instrument<") : -1], kept, universe)
                    else:
                        raise ConstraintsValidationError(
                            f"`{key}` among the constraints is not understood; a mapping there is `instrument<NAME>` "
                            "with a list of names"
                        )
                continue
            names = [part.strip() for part in str(entry).split("+")]
            key = frozenset(str(one) for one in universe.conform(names).names) if len(names) > 1 else str(entry)
            kept.setdefault(instrument, set()).add(key)

    @property
    def empty(self) -> bool:
        """Whether every dataset is taken."""
        return not self._accept and not self._reject

    def accepts(self, dataset_type: Any, instrument: str | None = None) -> bool:
        """Tell whether datasets of a type are taken; what is accepted by name is, whatever else is rejected."""
        if self.empty:
            return True
        keys = set(lookup_names(dataset_type))
        scopes = (None,) if instrument is None else (instrument, None)
        accepted = [self._accept.get(scope, set()) for scope in scopes]
        rejected = [self._reject.get(scope, set()) for scope in scopes]
        if any(keys & one for one in accepted):
            return True
        if any(keys & one for one in rejected):
            return False
        if any("all" in one for one in accepted):
            return True
        return not self._accept and not any("all" in one for one in rejected)


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
