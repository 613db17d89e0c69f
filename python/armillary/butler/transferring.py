"""Copying datasets from one repository to another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from armillary._core import distinct_records
from armillary.butler.collection_type import CollectionType
from armillary.errors import ConflictingDefinitionError, MissingDatasetTypeError
from armillary.storage.chained_datastore import PlacedRecord

if TYPE_CHECKING:
    from armillary._core import DataCoordinate, DatasetRef, DimensionRecord

__all__ = ["transfer_datasets", "transfer_dimension_records"]


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
    """Copy datasets with their ids, relative paths and, if asked, dimension records.

    Raises `ValueError` for `move` out of a repository, whose records would be left without their files.
    """
    if transfer == "move" and hasattr(source, "registry"):
        raise ValueError(
            "datasets do not go from one repository to another by `move`: the source would keep their records without "
            "their files; use `copy` or `hardlink`, and remove them from the source afterwards"
        )
    _check_types(target, refs, register_dataset_types and not dry_run, register_dataset_types)
    ids = [ref.id for ref in refs]
    here = target._core_registry.get_datasets(ids)
    missing_here = {key: ref for key, ref, known in zip(ids, refs, here, strict=True) if known is None}
    by_id: dict[Any, list[Any]] = {}
    for record in source._datastore.file_records(source._core_registry, list(missing_here)):
        by_id.setdefault(record.dataset_id, []).append(record)
    if len(by_id) < len(missing_here) and not skip_missing:
        lost = next(ref for key, ref in missing_here.items() if key not in by_id)
        raise FileNotFoundError(f"the dataset {lost} has no file in the source repository")
    held = [(ref, by_id[key]) for key, ref in missing_here.items() if key in by_id]
    wanted = [ref for ref, _ in held]
    if dry_run or not wanted:
        return wanted
    if transfer_dimensions:
        transfer_dimension_records(source, target, [ref.dataId for ref in wanted])
    for run in dict.fromkeys(ref.run for ref in wanted):
        target.collections.register(run, CollectionType.RUN)
    files: dict[str, list[tuple[Any, DatasetRef]]] = {}
    outside = [ref for ref, records in held if any("://" in record.path for record in records)]
    # Files outside their datastore get new names.
    named = {ref.id: ref for ref in source._expand_refs(outside)} if outside else {}
    for ref, records in held:
        for record in records:
            place = source._datastore.local_path(record)
            plain = record.record if isinstance(record, PlacedRecord) else record
            files.setdefault(place, []).append((plain, named.get(ref.id, ref) if named else ref))
    target._write(wanted, target._datastore.prepare_transfer(files.items(), transfer), ingest=True)
    return wanted


def _check_types(target: Any, refs: list[DatasetRef], register: bool, allowed: bool) -> None:
    for dataset_type in dict.fromkeys(ref.datasetType for ref in refs):
        try:
            ours = target.get_dataset_type(dataset_type.name)
        except MissingDatasetTypeError:
            if register:
                target.registry.registerDatasetType(dataset_type)
            elif not allowed:
                raise MissingDatasetTypeError(
                    f"the target repository has no dataset type `{dataset_type.name}`; "
                    "`register_dataset_types=True` (`--register-dataset-types`) makes it known there"
                ) from None
            continue
        if ours.dimensions.names != dataset_type.dimensions.names:
            raise ConflictingDefinitionError(f"{dataset_type} is {ours} in the target repository")


def transfer_dimension_records(source: Any, target: Any, data_ids: Iterable[DataCoordinate]) -> None:
    """Copy the dimension records that data IDs refer to, and those that come with them; what is there stays.

    With a visit come the records that define it (`visit_definition` and so on), and what these refer to. Raises
    `ValueError` if records have to be looked up and the source cannot do that.
    """
    rows: dict[str, dict[Any, Any]] = {}
    data_ids = list(data_ids)
    while data_ids:
        new: dict[str, dict[Any, Any]] = {}
        for record in distinct_records(_expanded(source, data_ids)):
            new.setdefault(record.definition.name, {})[record.dataId] = record
        for name, found in new.items():
            known = rows.setdefault(name, {})
            for data_id in [data_id for data_id in found if data_id in known] if known else ():
                del found[data_id]
            known.update(found)
        data_ids = []
        for record in _populated(source, new):
            data_id = record.dataId
            if data_id not in rows.get(record.definition.name, ()):
                data_ids.append(data_id)
    with target.transaction():
        for element in target.dimensions.elements:
            own = rows.get(element.name)
            if own and element.has_own_table:
                target.registry.insertDimensionData(element.name, *own.values(), skip_existing=True)


def _expanded(source: Any, data_ids: list[DataCoordinate]) -> list[DataCoordinate]:
    short = [data_id for data_id in data_ids if not data_id.hasRecords()]
    if not short:
        return data_ids
    if not hasattr(source, "_core_registry"):
        raise ValueError(
            f"the data ID {short[0]} comes without its records, and a butler without a registry cannot look them up"
        )
    made = iter(source._core_registry.expand_data_ids(short))
    return [data_id if data_id.hasRecords() else next(made) for data_id in data_ids]


def _populated(source: Any, new: dict[str, dict[Any, Any]]) -> list[DimensionRecord]:
    """Records of elements that are filled when a dimension is, for new records of that dimension."""
    found: list[DimensionRecord] = []
    for name, records in new.items():
        if name not in source.dimensions.dimensions.names:
            continue
        for element in source.dimensions.get_elements_populated_by(name):
            if element.name == name or not element.has_own_table:
                continue
            if not hasattr(source, "_core_registry"):
                raise ValueError(f"records of `{element.name}` go with `{name}`, and only a full butler can find them")
            keys = list(source.dimensions[name].required.names)
            values = [[data_id[key] for key in keys] for data_id in records]
            found.extend(source._query_context.engine.records(element.name, uploads=[(keys, values)]))
    return found
