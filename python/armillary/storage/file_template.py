"""How files are named: templates filled in from a dataset's type, run and data ID.

`{a.b}` is field `b` of the record of dimension `a`; `{x|y}` the first of the two that is there; `?` after the colon
makes a field optional, `/` keeps slashes of its value. What a value may not do is leave the root of the datastore or
say something else to a shell, a URI or a file system than its own characters.
"""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from armillary.errors import FileTemplateValidationError, UnsafePathError
from armillary.storage.lookup import LookupTable

__all__ = ["FileTemplate", "FileTemplates", "safe_relative_path"]

_SPECIAL = {"run", "component", "id"}
_DATASET_FIELDS = {"datasetType", "component", "run", "id"}
# Characters that file systems or shells do not take in names.
_REPLACED = str.maketrans(dict.fromkeys(' <>:"\\|?*', "_"))
_ORDINARY = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*")  # none of the rules says anything about such a value
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# A reader that takes paths for URIs would decode `%41`, and one that takes them for a shell's would expand `$HOME`.
_PERCENT = re.compile(r"%(?=[0-9A-Fa-f]{2})")
_VARIABLE = re.compile(r"\$(?=[A-Za-z_{])")
_RESERVED = (
    "armillary-collection-edits.jsonl",
    "butler.yaml",
    *(f"gen3.sqlite3{end}" for end in ("", "-journal", "-wal", "-shm")),
)
"""Files at the root of a repository; the database's come and go, and a folder in their place would break it."""
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4000


@dataclass(frozen=True, slots=True)
class _Field:
    literal: str  # the text before the field
    names: tuple[tuple[str, str | None], ...]  # alternatives: dimension, field of its record
    text: str  # the field as written
    format: str
    conversion: str | None
    optional: bool
    keep_slash: bool
    is_plain: bool  # shown without format or conversion


def _parse(template: str) -> tuple[tuple[_Field, ...], str]:
    """The fields of a template and the text after the last."""
    fields = []
    tail = ""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise FileTemplateValidationError(f"the file template `{template}` cannot be read: {error}") from error
    for literal, name, spec, conversion in parts:
        if name is None:
            tail = literal
            continue
        if not name or any(character in name for character in "[]"):
            raise FileTemplateValidationError(
                f"the file template `{template}` has the field `{{{name}}}`, which has no name"
            )
        spec = spec or ""
        optional, keep_slash = "?" in spec, "/" in spec
        alternatives = []
        for one in name.split("|"):
            head, dot, field = one.strip().partition(".")
            alternatives.append((head, field if dot else None))
        fields.append(
            _Field(
                literal,
                tuple(alternatives),
                name,
                spec.replace("?", "").replace("/", ""),
                conversion,
                optional,
                keep_slash,
                conversion is None and spec.strip("?/") == "",
            )
        )
    return tuple(fields), tail


class FileTemplate:
    """One template.

    Raises `FileTemplateValidationError` if it cannot be read or names neither run nor dataset ID.

    >>> FileTemplate("{run:/}/{datasetType}/{detector.full_name:?}_{visit}").fields(optionals=True)
    {'visit'}
    """

    def __init__(self, template: str) -> None:
        if not isinstance(template, str):
            raise FileTemplateValidationError(f"a file template is a text, not `{template}`")
        self.template = template
        self._fields, self._tail = _parse(template)
        self._steps: dict[tuple[str, ...], list[tuple[_Field, str | None]]] = {}
        named = {name for field in self._fields for name, _ in field.names}
        if not named & {"run", "id"}:
            raise FileTemplateValidationError(f"the file template `{template}` must have `{{run}}` or `{{id}}`")
        if template.startswith("/") or ".." in template.split("/"):
            raise FileTemplateValidationError(
                f"the file template `{template}` must stay below the root of the datastore"
            )

    def fields(self, optionals: bool = False, specials: bool = False, subfields: bool = False) -> set[str]:
        """Names of the fields that must be there.

        On request also optional ones, those that are no dimensions, and fields of records.
        """
        found: set[str] = set()
        for field in self._fields:
            if field.optional and not optionals:
                continue
            for name, sub in field.names:
                if sub is not None:
                    if subfields:
                        found.add(f"{name}.{sub}")
                elif name not in _DATASET_FIELDS or specials:
                    found.add(name)
        return found

    def needs_records(self, group: Any) -> bool:
        """Whether a path for data IDs of these dimensions takes more than their required values."""
        dimensions = {str(name) for name in group.names}
        required = {str(name) for name in group.required}
        elements = dimensions | {str(name) for name in group.elements}
        for field in self._fields:
            for name, sub in field.names:
                if name in elements:
                    if sub is not None or name not in required:
                        return True
                    break  # the first alternative there is decides
        return False

    def validateTemplate(self, entity: Any) -> None:
        """Raise `FileTemplateValidationError` if two datasets of a type would have one path.

        `entity` is a dataset type or reference; anything without dimensions passes.
        """
        dataset_type = getattr(entity, "datasetType", entity)
        group = getattr(dataset_type, "dimensions", None)
        if group is None:
            return
        named = {name for field in self._fields for name, _ in field.names}
        if "id" in named:
            return
        skypix = [str(name) for name in getattr(group, "skypix", ())]
        if "skypix" in named and len(skypix) == 1:
            named.add(skypix[0])
        missing = [str(name) for name in group.required if str(name) not in named]
        if missing:
            wanted = ", ".join(f"`{name}`" for name in missing)
            raise FileTemplateValidationError(
                f"files of dataset type `{dataset_type.name}` could not be told apart: their file template has no "
                f"{wanted}; give the type a template of its own under `datastore.templates`"
            )

    def format(self, ref: Any, component: str | None = None) -> str:
        """Fill the template in; the path is relative and has no extension.

        `ref.dataId` must hold the records of dimensions whose fields are used, or `KeyError` is raised.
        Raises `UnsafePathError` for a run or value that no file can be named after.
        """
        values = _values(ref, component)
        names = tuple(values)
        steps = self._steps.get(names)
        if steps is None:
            steps = self._steps[names] = self._plan(names)
        pieces: list[str] = []
        for field, name in steps:
            if name is not None:
                pieces += field.literal, _shown(field, values[name])
                continue
            text = self._fill(field, values, ref)
            if text is not None:
                pieces += field.literal, text
            elif "/" in field.literal:
                pieces.append(field.literal)
        pieces.append(self._tail)
        return _tidy("".join(pieces), ref)

    def _plan(self, names: tuple[str, ...]) -> list[tuple[_Field, str | None]]:
        """The fields that matter to data with values of these names, each with the name that fills it in.

        None stands for what is to be found out for each dataset. Templates have many fields, and most have no value.
        """
        steps: list[tuple[_Field, str | None]] = []
        for field in self._fields:
            found = next(((name, sub) for name, sub in field.names if sub is not None or name in names), None)
            if found is not None and found[1] is None:
                steps.append((field, found[0]))
            elif found is not None or not field.optional or "/" in field.literal:
                steps.append((field, None))
        return steps

    def _fill(self, field: _Field, values: Mapping[str, Any], ref: Any) -> str | None:
        for name, sub in field.names:
            if name not in values:
                if sub is None or not _has_record(ref, name):
                    continue
                value = _record_field(ref, name, sub)
            else:
                value = values[name] if sub is None else _record_field(ref, name, sub)
            if value is None and name == "component":
                continue
            return _shown(field, value)
        if field.optional:
            return None
        raise KeyError(
            f"the file template `{self.template}` needs `{field.text}`, which {ref} does not have; "
            f"it has {sorted(values)}"
        )


def _shown(field: _Field, value: Any) -> str:
    if field.is_plain:
        if type(value) is int:
            return str(value)
        if type(value) is str and _ORDINARY.fullmatch(value):
            return value
    if field.conversion == "r":
        value = repr(value)
    elif field.conversion is not None:
        value = str(value)
    if value is None:
        value = "None"
    if not isinstance(value, str):
        return format(value, field.format)
    if _CONTROL.search(value):
        raise UnsafePathError(f"`{value!r}` holds control characters, so no file can be named after it")
    if not field.keep_slash:
        value = value.replace("/", "_")
    text = format(value.translate(_REPLACED), field.format)
    if not field.keep_slash and text in (".", ".."):
        return text.replace(".", "_")
    return text


def _values(ref: Any, component: str | None) -> dict[str, Any]:
    dataset_type = ref.datasetType
    name, _, own = dataset_type.name.partition(".")
    data_id = ref.dataId
    values: dict[str, Any] = {str(key): value for key, value in data_id.mapping.items()}
    skypix = [str(one) for one in dataset_type.dimensions.skypix]
    if len(skypix) == 1:
        values["skypix"] = values[skypix[0]]
    values["datasetType"] = name
    values["run"] = ref.run
    values["id"] = ref.id
    part = component or own or None
    if part is not None:
        values["component"] = part
    return values


def _has_record(ref: Any, name: str) -> bool:
    """Whether a dimension element without a value of its own (visit_detector_region) has a record."""
    return name in {str(element) for element in ref.datasetType.dimensions.elements}


def _record_field(ref: Any, name: str, sub: str) -> Any:
    data_id = ref.dataId
    if not data_id.hasRecords():
        raise KeyError(
            f"the path of {ref} needs `{name}.{sub}`; look its records up first (`butler.registry.expandDataId`)"
        )
    record = data_id.records[name]
    if record is None:
        raise KeyError(f"the path of {ref} needs `{name}.{sub}`, and there is no record of `{name}`")
    return getattr(record, sub)


def _tidy(path: str, ref: Any) -> str:
    """The last rules: dots and hashes in the file name, empty parts, and what a reader might take for a command."""
    path = path.lstrip("/")
    head, slash, name = path.rpartition("/")
    name = name.replace(".", "_").replace("#", "HASH")
    path = head.replace("#", "HASH") + slash + name
    if "%" in path:
        path = _PERCENT.sub("PERCENT", path)
    if "$" in path:
        path = _VARIABLE.sub("DOLLAR", path)
    if path.startswith("~"):
        path = "_" + path[1:]
    if path.startswith(_RESERVED) and path.partition("/")[0] in _RESERVED:
        raise UnsafePathError(
            f"`{path}`, the file name of {ref}, begins with the name of a file that is the repository's own; use "
            "another run name"
        )
    if ".." in path or "/." in path or path.startswith("."):
        parts = [part for part in path.split("/") if part != ""]
        if ".." in parts or "." in parts:
            raise UnsafePathError(f"`{path}`, the file name of {ref}, would leave its folder; use another run name")
        if parts[0] == ".armillary":
            raise UnsafePathError(
                f"`{path}`, the file name of {ref}, is in the folder that writers keep for themselves"
            )
    path = os.path.normpath(path)
    if not path or path == ".":
        raise UnsafePathError(f"the file template gives {ref} no file name")
    _check_lengths(path)
    return path


def _check_lengths(path: str) -> None:
    if len(path) < MAX_NAME_BYTES // 4:
        return
    encoded = path.encode()
    longest = max(encoded.split(b"/"), key=len)
    # The extension is still to come.
    if len(longest) > MAX_NAME_BYTES - 16 or len(encoded) > MAX_PATH_BYTES:
        raise UnsafePathError(
            f"the file name `{longest.decode(errors='replace')[:60]}…` has {len(longest)} bytes and file systems take "
            f"{MAX_NAME_BYTES}; use a shorter run name"
        )


def safe_relative_path(path: str) -> str:
    """Check that a stored path stays below the root. Raises `UnsafePathError` if it does not.

    >>> safe_relative_path("run/a..b/c.json")
    'run/a..b/c.json'
    """
    if path.startswith("/") or "\0" in path or (".." in path and ".." in path.split("/")):
        raise UnsafePathError(f"the stored path `{path}` leads out of the repository, so it is not followed")
    return path


class FileTemplates:
    """The templates of a datastore, by dataset type, dimensions and storage class."""

    defaultKey = "default"

    def __init__(self, config: Mapping[str, Any], default: str | None = None, *, universe: Any) -> None:
        def build(entries: Mapping[str, Any]) -> dict[str, Any]:
            return {
                key: build(value) if isinstance(value, Mapping) else FileTemplate(value)
                for key, value in entries.items()
                if value is not None
            }

        entries = build(config)
        self._default = FileTemplate(default) if default is not None else entries.pop(self.defaultKey, None)
        self._table = LookupTable(entries, universe)
        self._checked: dict[Any, FileTemplate] = {}

    def getTemplate(self, entity: Any, component: str | None = None) -> FileTemplate:
        """The template of a dataset type or reference. Raises `KeyError` if there is none."""
        dataset_type = getattr(entity, "datasetType", entity)
        instrument = None
        if self._table.has_instruments and hasattr(entity, "dataId"):
            instrument = entity.dataId.get("instrument")
        key = (dataset_type, component, instrument)
        known = self._checked.get(key)
        if known is not None:
            return known
        found = self._table.find(dataset_type, component=component, instrument=instrument) or self._default
        if found is None:
            raise KeyError(f"no file template is configured for dataset type `{dataset_type.name}`")
        found.validateTemplate(dataset_type)
        self._checked[key] = found
        return found

    def validateTemplates(self, entities: Iterable[Any], logFailures: bool = False) -> None:
        """Check the templates of many dataset types; raises `FileTemplateValidationError` naming all that fail."""
        failures = []
        for entity in entities:
            try:
                self.getTemplate(entity)
            except (FileTemplateValidationError, KeyError) as error:
                failures.append(str(error))
        if failures:
            if logFailures:
                import logging

                for failure in failures:
                    logging.getLogger(__name__).critical(failure)
            raise FileTemplateValidationError("; ".join(failures))
