"""Writing a description of datasets and dimension records to a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from armillary._files import new_file, unlink_all
from armillary.butler.collection_type import CollectionType
from armillary.butler.export_yaml import EXPORT_VERSION, Region, dump, timespan_bounds
from armillary.config import local_place

if TYPE_CHECKING:
    from armillary._core import DataCoordinate, DatasetRef, DatasetType, DimensionRecord

__all__ = ["RepoExportContext", "export_file"]


def export_file(directory: Any, filename: Any, format: str | None) -> str:
    """Where the description is written.

    Raises
    ------
    TypeError
        If neither a file nor a directory is named.
    ValueError
        If the format is not YAML, or a place is on another machine.
    """
    if directory is None and filename is None:
        raise TypeError("an export needs `filename` or `directory`")
    if format not in (None, "yaml") or (filename is not None and not str(filename).endswith((".yaml", ".yml"))):
        raise ValueError(f"`{format or filename}` is not an export format; exports are YAML files (`.yaml`)")
    name = local_place(filename, "the file of an export") if filename is not None else "export.yaml"
    return name if directory is None or os.path.isabs(name) else os.path.join(_directory(directory), name)


def _directory(directory: Any) -> str:
    return local_place(directory, "the directory of an export")


class RepoExportContext:
    """What is to be exported; made by `Butler.export`."""

    def __init__(self, butler: Any, *, directory: str | None, transfer: str | None):
        self._butler = butler
        self._directory = None if directory is None else _directory(directory)
        self._transfer = transfer
        self._records: dict[str, dict[DataCoordinate, DimensionRecord]] = {}
        self._collections: dict[str, None] = {}
        self._files: dict[Any, Any] = {}
        self._refs: dict[Any, DatasetRef] = {}
        self._made: list[str] = []

    def saveCollection(self, name: str) -> None:
        """Export a collection; for a chain, its children too."""
        for child in self._butler.collections.get_info(name).children:
            self.saveCollection(child)
        self._collections[name] = None

    def saveDimensionData(self, element: Any, records: Iterable[Any]) -> None:
        """Export records of a dimension element."""
        name = getattr(element, "name", element)
        made = self._butler.dimensions[name].RecordClass
        kept = self._records.setdefault(name, {})
        for record in records:
            full = made(**record) if isinstance(record, dict) else record
            kept.setdefault(full.dataId, full)

    def saveDataIds(self, dataIds: Iterable[DataCoordinate], *, elements: Iterable[Any] | None = None) -> None:
        """Export the dimension records that data IDs refer to."""
        wanted = None if elements is None else {getattr(element, "name", element) for element in elements}
        for data_id in dataIds:
            full = data_id if data_id.hasRecords() else self._butler.registry.expandDataId(data_id)
            for name in full.dimensions.elements.names:
                record = full.records.get(name)
                element = self._butler.dimensions[name]
                if record is not None and element.has_own_table and (wanted is None or name in wanted):
                    self._records.setdefault(name, {}).setdefault(record.dataId, record)

    def saveDatasets(
        self,
        refs: Iterable[DatasetRef],
        *,
        elements: Iterable[Any] | None = None,
        rewrite: Callable[[Any], Any] | None = None,
    ) -> None:
        """Export datasets, their files, runs and dimension records."""
        new = [ref for ref in refs if ref.id not in self._refs]
        self.saveDataIds((ref.dataId for ref in new), elements=elements)
        from armillary.storage.artifacts import export_files

        exported = export_files(
            self._butler._datastore,
            new,
            self._butler._datastore.file_records(self._butler._core_registry, [ref.id for ref in new]),
            self._directory,
            self._transfer,
            self._made,
        )
        for ref, file in exported:
            self._refs[ref.id] = ref
            self._files[ref.id] = file if rewrite is None else rewrite(file)
            self._collections.setdefault(ref.run)

    def write(self, path: str) -> None:
        """Write the description."""
        head = {
            "description": "Butler Data Repository Export",
            "version": EXPORT_VERSION,
            "universe_version": self._butler.dimensions.version,
            "universe_namespace": self._butler.dimensions.namespace,
        }
        items = [
            *self._dimension_items(),
            *self._collection_items(),
            *self._dataset_items(),
            *self._association_items(),
        ]
        with new_file(path, overwrite=True) as temporary, open(temporary, "w", encoding="utf-8") as stream:
            dump(head, items, stream)

    def undo(self) -> None:
        """Remove the files that were made for it; folders stay."""
        unlink_all(self._made)
        self._made.clear()

    def _dimension_items(self) -> list[dict[str, Any]]:
        order = [element.name for element in self._butler.dimensions.elements]
        return [
            {
                "type": "dimension",
                "element": name,
                "records": [export_record(self._records[name][key]) for key in sorted(self._records[name])],
            }
            for name in sorted(self._records, key=order.index)
            if self._records[name]
        ]

    def _collection_items(self) -> list[dict[str, Any]]:
        plain, chains = [], []
        for name in sorted(self._collections):
            info = self._butler.collections.get_info(name)
            item: dict[str, Any] = {"type": "collection", "collection_type": info.type.name, "name": name}
            if info.doc:
                item["doc"] = info.doc
            if info.type is CollectionType.RUN:
                item.update(host=None, timespan_begin=None, timespan_end=None)
            if info.type is CollectionType.CHAINED:
                chains.append(item | {"children": list(info.children)})
            else:
                plain.append(item)
        position = {name: i for i, name in enumerate(self._collections)}
        return plain + sorted(chains, key=lambda item: position[item["name"]])

    def _dataset_items(self) -> list[dict[str, Any]]:
        groups: dict[tuple[str, str], list[DatasetRef]] = {}
        types: dict[str, DatasetType] = {}
        for ref in self._refs.values():
            groups.setdefault((ref.datasetType.name, ref.run), []).append(ref)
            types[ref.datasetType.name] = ref.datasetType
        items: list[dict[str, Any]] = [
            {
                "type": "dataset_type",
                "name": name,
                "dimensions": list(types[name].dimensions.names),
                "storage_class": types[name].storageClass_name,
                "is_calibration": types[name].isCalibration(),
            }
            for name in sorted(types)
        ]
        for (name, run), refs in sorted(groups.items()):
            items.append(
                {"type": "dataset", "dataset_type": name, "run": run, "records": [self._file_item(ref) for ref in refs]}
            )
        return items

    def _file_item(self, ref: DatasetRef) -> dict[str, Any]:
        file = self._files[ref.id]
        item: dict[str, Any] = {
            "dataset_id": [ref.id],
            "data_id": [dict(ref.dataId.required)],
            "path": str(file.path),
        }
        if file.formatter is not None:
            item["formatter"] = str(file.formatter)
        return item

    def _association_items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        names = sorted({ref.datasetType.name for ref in self._refs.values()})
        for collection in self._collections:
            info = self._butler.collections.get_info(collection)
            if info.type not in (CollectionType.TAGGED, CollectionType.CALIBRATION):
                continue
            members: dict[Any, list[Any]] = {}
            for name in names:
                for association in self._butler.registry.queryDatasetAssociations(name, [collection]):
                    if association.ref.id in self._refs:
                        members.setdefault(association.timespan, []).append(association.ref.id)
            item: dict[str, Any] = {"type": "associations", "collection": collection, "collection_type": info.type.name}
            if info.type is CollectionType.TAGGED:
                items.append(item | {"dataset_ids": members.get(None, [])})
            else:
                ranges = [{"timespan": span, "dataset_ids": ids} for span, ids in members.items()]
                items.append(item | {"validity_ranges": ranges})
        return items


def export_record(record: DimensionRecord) -> dict[str, Any]:
    """Write a dimension record as an export has it."""
    result: dict[str, Any] = {}
    for name, value in record.toDict().items():
        if name == "timespan":
            if value is not None:
                result["datetime_begin"], result["datetime_end"] = timespan_bounds(value)
        elif name == "region":
            if value is not None:
                region = Region(value.encode())
                region.type_name = type(value).__name__
                result[name] = region
        else:
            result[name] = value
    return result
