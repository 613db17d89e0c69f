"""Copying datasets from one repository to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armillary.butler.collection_type import CollectionType
from armillary.errors import ConflictingDefinitionError, MissingDatasetTypeError

if TYPE_CHECKING:
    from armillary._core import DatasetRef

__all__ = ["transfer_datasets"]


def transfer_datasets(
    source: Any,
    target: Any,
    refs: list[DatasetRef],
    *,
    transfer: str,
    skip_missing: bool,
    register_dataset_types: bool,
    transfer_dimensions: bool,
    dry_run: bool,
) -> list[DatasetRef]:
    """Copy datasets with their ids, relative paths and, if asked, dimension records."""
    from armillary.storage import FileDataset

    _check_types(target, refs, register_dataset_types and not dry_run, register_dataset_types)
    known = {ref.id for ref in target._core_registry.get_datasets([ref.id for ref in refs]) if ref is not None}
    wanted = [ref for ref in refs if ref.id not in known]
    by_id: dict[Any, list[Any]] = {}
    for record in source._core_registry.records([ref.id for ref in wanted]):
        by_id.setdefault(record.dataset_id, []).append(record)
    missing = [ref for ref in wanted if ref.id not in by_id]
    if missing and not skip_missing:
        raise FileNotFoundError(f"the dataset {missing[0]} has no file in the source repository")
    wanted = [ref for ref in wanted if ref.id in by_id]
    if dry_run or not wanted:
        return wanted
    if transfer_dimensions:
        _copy_records(source, target, wanted)
    for run in dict.fromkeys(ref.run for ref in wanted):
        target.collections.register(run, CollectionType.RUN)
    files = [
        FileDataset(
            path=source._datastore.local_path(record),
            refs=[ref],
            formatter=record.formatter,
        )
        for ref in wanted
        for record in by_id[ref.id]
    ]
    target.ingest(*files, transfer=transfer)
    return wanted


def _check_types(target: Any, refs: list[DatasetRef], register: bool, allowed: bool) -> None:
    for dataset_type in dict.fromkeys(ref.datasetType for ref in refs):
        try:
            ours = target.get_dataset_type(dataset_type.name)
        except MissingDatasetTypeError:
            if register:
                target.registry.registerDatasetType(dataset_type)
            elif not allowed:
                raise
            continue
        if ours.dimensions.names != dataset_type.dimensions.names:
            raise ConflictingDefinitionError(f"{dataset_type} is {ours} in the target repository")


def _copy_records(source: Any, target: Any, refs: list[DatasetRef]) -> None:
    rows: dict[str, dict[Any, Any]] = {}
    for data_id in source._core_registry.expand_data_ids([ref.dataId for ref in refs]):
        for name in data_id.dimensions.elements.names:
            record = data_id.records.get(name)
            if record is not None and source.dimensions[name].has_own_table:
                rows.setdefault(name, {})[record.dataId] = record
    for element in target.dimensions.elements:
        found = rows.get(element.name)
        if found:
            target.registry.insertDimensionData(element.name, *found.values(), skip_existing=True)
