"""Reading what an export described."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import IO, Any
from urllib.parse import quote, unquote

from armillary import _core
from armillary.butler.collection_type import CollectionType
from armillary.butler.export_yaml import load, timespan_of
from armillary.config import to_local_path
from armillary.errors import ValidationError
from armillary.storage.remote import is_remote
from armillary.storage.remote_writing import local_copy

__all__ = ["import_file"]

# Integer ids of old exports become these (a fact of the format).
_INTEGER_ID_NAMESPACE = uuid.UUID("4d4851f4-2890-4d41-8779-5f38a3f5062b")


def import_file(
    butler: Any,
    *,
    directory: Any,
    filename: Any,
    transfer: str | None,
    skip_dimensions: frozenset[str],
    record_validation_info: bool,
    without_datastore: bool,
    allow_external: bool = False,
) -> None:
    """Take in an export, as a whole or not at all."""
    if hasattr(filename, "read"):
        content = read_export(filename)
    else:
        with _opened("export.yaml" if filename is None else filename, directory) as stream:
            content = read_export(stream)
    items = content["data"]
    version = (
        int(content.get("universe_version", 0))
        if content.get("universe_namespace", "daf_butler") == "daf_butler"
        else None
    )
    reader = _Import(butler, version)
    with _lacks_told(), butler.transaction():
        reader.define(items)
        reader.load_dimensions(items, skip_dimensions)
        files = reader.load_datasets(items)
        if not without_datastore:
            reader.load_files(files, directory, transfer, record_validation_info, allow_external=allow_external)
        reader.load_associations(items)


@contextmanager
def _lacks_told() -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        if type(error) is not KeyError:  # those of ours say what they are about
            raise
        raise ValidationError(f"an entry of the export has no `{error.args[0]}`") from error


@contextmanager
def _opened(filename: Any, directory: Any) -> Iterator[IO[Any]]:
    """Open a description: as it is named, or else in the directory of the export."""
    path = _text(filename)
    if directory is not None and not is_remote(path) and not os.path.isabs(path) and not os.path.exists(path):
        folder = _text(directory)
        path = folder.rstrip("/") + "/" + quote(path) if is_remote(folder) else os.path.join(folder, path)
    with local_copy(path) if is_remote(path) else nullcontext(path) as readable, open(readable, "rb") as stream:
        yield stream


def _text(location: Any) -> str:
    """A path of this machine, or the URI of another."""
    return to_local_path(location) or str(location)


def read_export(stream: IO[Any]) -> dict[str, Any]:
    """Read an export and check that it is one we know.

    Raises
    ------
    ValidationError
        If it is not.
    """
    content = load(stream)
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise ValidationError("this file is not an export: it has no list called `data`")
    version = str(content.get("version", 0))
    major, minor = (int(part) for part in ("1.0.0" if version == "0" else version).split(".")[:2])
    if (major, minor) > (1, 0) or major < 1:
        raise ValidationError(f"this export has version `{version}`; versions 1.0.x can be read")
    return content


class _Import:
    """One import into one butler."""

    def __init__(self, butler: Any, universe_version: int | None):
        self._butler = butler
        self._version = universe_version
        self._refs: dict[uuid.UUID, _core.DatasetRef] = {}
        self._certified: dict[tuple[str, str], dict[Any, set[uuid.UUID]]] = {}

    def define(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Register dataset types, runs, collections and chains."""
        registry = self._butler.registry
        chains: list[Mapping[str, Any]] = []
        for item in items:
            if item["type"] == "dataset_type":
                registry.registerDatasetType(
                    _core.DatasetType(
                        item["name"],
                        self._known_dimensions(item["dimensions"]),
                        item["storage_class"],
                        universe=self._butler.dimensions,
                        isCalibration=item.get("is_calibration", False),
                    )
                )
            elif item["type"] == "run":
                registry.registerRun(item["name"])
            elif item["type"] == "collection":
                kind = CollectionType.from_name(item["collection_type"])
                registry.registerCollection(item["name"], kind, item.get("doc"))
                if kind is CollectionType.CHAINED:
                    chains.append(item)
        for chain in chains:
            registry.setCollectionChain(chain["name"], chain["children"])

    def _known_dimensions(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name in self._butler.dimensions.dimensions.names]

    def load_dimensions(self, items: Iterable[Mapping[str, Any]], skip: frozenset[str]) -> None:
        """Insert dimension records; those that exist stay."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for item in items:
            if item["type"] == "dimension":
                rows.setdefault(item["element"], []).extend(map(_read_record, item["records"]))
        if self._version is not None:
            rows = modernise(rows, self._version)
        for element in self._butler.dimensions.elements:
            found = rows.pop(element.name, None)
            if found and element.name not in skip and element.has_own_table:
                self._butler.registry.insertDimensionData(element.name, *found, skip_existing=True)
        if rows:
            raise ValidationError(f"`{next(iter(rows))}` is not a dimension element of this repository")

    def load_datasets(self, items: Iterable[Mapping[str, Any]]) -> list[tuple[str, Any, list[_core.DatasetRef]]]:
        """Register datasets; give path, formatter and references of each file."""
        files: list[tuple[str, Any, list[_core.DatasetRef]]] = []
        standardize, universe = _core.DataCoordinate.standardize, self._butler.dimensions
        for item in items:
            if item["type"] != "dataset":
                continue
            dataset_type, run = self._butler.get_dataset_type(item["dataset_type"]), item["run"]
            dimensions = dataset_type.dimensions
            for record in item["records"]:
                ids = list(map(_as_uuid, _as_list(record["dataset_id"])))
                refs = [
                    _core.DatasetRef(
                        dataset_type, standardize(data_id, dimensions=dimensions, universe=universe), run, id=dataset_id
                    )
                    for dataset_id, data_id in zip(ids, _as_list(record["data_id"]), strict=True)
                ]
                self._refs.update(zip(ids, refs, strict=True))
                files.append((record["path"], record.get("formatter"), refs))
        if self._refs:
            self._butler._core_registry.import_datasets(list(self._refs.values()))
        return files

    def load_files(
        self,
        files: list[tuple[str, Any, list[_core.DatasetRef]]],
        directory: Any,
        transfer: str | None,
        validate: bool,
        *,
        allow_external: bool = False,
    ) -> None:
        """Take files into the datastore; those of datasets that are stored already stay."""
        from armillary.storage.file_dataset import FileDataset, FormatterName

        known = self._butler._datastore.records(self._butler._core_registry, list(self._refs))
        stored = {record.dataset_id for record in known}
        folder = None if directory is None else _text(directory)
        if folder is not None and not is_remote(folder):
            folder = os.path.abspath(folder)
        datasets = [
            FileDataset(path=_place(folder, path, transfer, allow_external), refs=refs, formatter=name)
            for path, formatter, refs in files
            for name in [None if formatter is None else FormatterName(formatter)]
            if not all(ref.id in stored for ref in refs)
        ]
        if datasets:
            self._butler.ingest(*datasets, transfer=transfer, record_validation_info=validate)

    def load_associations(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Tag and certify."""
        registry = self._butler.registry
        for item in items:
            if item["type"] != "associations":
                continue
            if item["collection_type"] == CollectionType.TAGGED.name:
                registry.associate(item["collection"], [self._refs[one] for one in self._ids(item["dataset_ids"])])
                continue
            for valid in item["validity_ranges"]:
                span = valid["timespan"] if "timespan" in valid else timespan_of(valid.get("begin"), valid.get("end"))
                self._certify(item["collection"], self._ids(valid["dataset_ids"]), span)

    def _certify(self, collection: str, ids: list[uuid.UUID], span: Any) -> None:
        """Certify what is not certified already for just this time."""
        by_type: dict[str, dict[uuid.UUID, _core.DatasetRef]] = {}
        for dataset_id in ids:
            ref = self._refs[dataset_id]
            by_type.setdefault(ref.datasetType.name, {})[dataset_id] = ref
        for name, refs in by_type.items():
            certified = self._certified_by_now(collection, name).setdefault(span, set())
            new = [ref for dataset_id, ref in refs.items() if dataset_id not in certified]
            certified.update(refs)
            if new:
                self._butler._core_registry.certify(collection, new, span)

    def _certified_by_now(self, collection: str, dataset_type: str) -> dict[Any, set[uuid.UUID]]:
        """Ids of certified datasets, by timespan: those before this import, and what is added to them."""
        known = self._certified.get((collection, dataset_type))
        if known is None:
            known = self._certified[collection, dataset_type] = {}
            for ref, _, span in self._butler._core_registry.dataset_associations(dataset_type, [collection]):
                known.setdefault(span, set()).add(ref.id)
        return known

    def _ids(self, given: Iterable[Any]) -> list[uuid.UUID]:
        """Give ids of datasets that are in this export.

        Raises
        ------
        ValidationError
            If one is not.
        """
        ids = list(map(_as_uuid, given))
        for dataset_id in ids:
            if dataset_id not in self._refs:
                raise ValidationError(
                    f"the export puts dataset `{dataset_id}` into a collection and does not describe it"
                )
        return ids


# What these do to a file that an export names leaves it alone.
_STAYING = (None, "direct", "split")


def _place(folder: str | None, path: str, transfer: str | None, allow_external: bool) -> str:
    """Give the place of a file that an export names.

    Whoever wrote an export could name any file: unless `allow_external` says so, none outside its directory is copied,
    linked or moved, and none is moved out of where a link leads.

    Raises
    ------
    ValidationError
        If it is such a file.
    """
    external = "://" in path or os.path.isabs(path)
    if folder is not None and is_remote(folder):
        return _remote_place(folder, path, external and (allow_external or transfer in _STAYING))
    if folder is None or allow_external or (external and transfer in _STAYING):
        return path if folder is None or external else os.path.normpath(os.path.join(folder, path))
    local = to_local_path(path) if external else os.path.join(folder, path)
    place = None if local is None else os.path.normpath(local)
    inside = place is not None and _is_below(place, folder)
    if inside and transfer == "move":
        inside = _is_below(os.path.realpath(str(place)), os.path.realpath(folder))
    if place is None or not inside:
        raise _outside(path, folder)
    return place


def _remote_place(folder: str, path: str, external: bool) -> str:
    """The URI of a file in an export's directory on another machine."""
    if external:
        return path
    below = folder.rstrip("/") + "/"
    place = path if "://" in path else below + quote(path)
    if not place.startswith(below) or os.path.isabs(path) or ".." in unquote(place).split("/"):
        raise _outside(path, folder)
    return place


def _outside(path: str, folder: str) -> ValidationError:
    return ValidationError(
        f"the export names `{path}`, which is outside its directory `{folder}`; if you trust where it comes from, "
        "use `allow_external=True`"
    )


def _is_below(place: str, folder: str) -> bool:
    return place.startswith(folder.rstrip(os.sep) + os.sep)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _as_uuid(value: Any) -> uuid.UUID:
    if isinstance(value, uuid.UUID):
        return value
    if isinstance(value, int):
        return uuid.uuid3(_INTEGER_ID_NAMESPACE, str(value))
    return uuid.UUID(value)


def _read_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Join the bounds of a timespan; leave all else as it is."""
    row = dict(record)
    if "datetime_begin" in row or "datetime_end" in row:
        row["timespan"] = timespan_of(row.pop("datetime_begin", None), row.pop("datetime_end", None))
    return row


def modernise(rows: dict[str, list[dict[str, Any]]], version: int) -> dict[str, list[dict[str, Any]]]:
    """Turn records of an older universe into those of the current one.

    Before version 6, days and groups were fields of exposures and visits; before 2, a visit had one system; before 1,
    it had a seeing.
    """
    if version < 6:
        groups: dict[tuple[str, str], None] = {}
        days: dict[tuple[str, int], None] = {}
        for exposure in rows.get("exposure", ()):
            exposure["group"] = exposure.pop("group_name", None) or str(exposure["id"])
            exposure.pop("group_id", None)
            groups[exposure["instrument"], exposure["group"]] = None
        for observation in (*rows.get("exposure", ()), *rows.get("visit", ())):
            if observation.get("day_obs") is not None:
                days[observation["instrument"], observation["day_obs"]] = None
        rows.setdefault("group", []).extend({"instrument": i, "name": name} for i, name in groups)
        rows.setdefault("day_obs", []).extend({"instrument": i, "id": day} for i, day in days)
    if version < 2:
        for visit in rows.get("visit", ()):
            system = visit.pop("visit_system", None)
            if system is not None:
                member = {"instrument": visit["instrument"], "visit": visit["id"], "visit_system": system}
                rows.setdefault("visit_system_membership", []).append(member)
        for definition in rows.get("visit_definition", ()):
            definition.pop("visit_system", None)
    if version < 1:
        for visit in rows.get("visit", ()):
            visit.pop("seeing", None)
    return rows
