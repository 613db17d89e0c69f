"""Files of datasets that are known already: where they are or will be, and copies of them elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from typing import Any

from armillary.storage.file_dataset import FileDataset
from armillary.storage.file_datastore import FileDatastore
from armillary.storage.file_record import FileRecord

__all__ = ["export_files", "predict_records", "retrieve"]


def predict_records(datastore: FileDatastore, ref: Any) -> list[FileRecord]:
    """Give the records that a dataset will have when it is written; sizes are not known yet (-1)."""
    formatter = datastore.formatterFactory.find(ref).name
    name = str(ref.datasetType.storageClass_name)
    return [FileRecord(ref.id, datastore.path_for(ref), formatter, name, None, None, -1)]


def retrieve(
    datastore: FileDatastore,
    records: Sequence[FileRecord],
    destination: str,
    *,
    transfer: str = "auto",
    preserve_path: bool = True,
    overwrite: bool = False,
) -> list[Any]:
    """Copy files to a directory; those that several datasets share once.

    Raises
    ------
    FileExistsError
        If a file is there already and `overwrite` is not set.
    ValueError
        If a transfer mode other than copying is asked for.
    """
    from lsst.resources import ResourcePath

    if transfer not in ("auto", "copy"):
        raise ValueError(f"`{transfer}` is not a way to retrieve files; use `copy` or `auto`")
    made = []
    for path in dict.fromkeys(record.path for record in records):
        source = datastore.uri(path)
        name = path if preserve_path and "://" not in path else os.path.basename(source.path)
        target = os.path.normpath(os.path.join(destination, name))
        if os.path.exists(target) and not overwrite:
            raise FileExistsError(f"`{target}` exists already; use `overwrite` to replace it")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        local = datastore._local_path(path)
        if local is None:
            ResourcePath(target).transfer_from(source, transfer="copy", overwrite=overwrite)
        else:
            shutil.copyfile(local, target)
        made.append(ResourcePath(target))
    return made


def export_files(
    datastore: FileDatastore,
    refs: Sequence[Any],
    records: Iterable[FileRecord],
    directory: str | None,
    transfer: str | None,
) -> list[tuple[Any, FileDataset]]:
    """Copy the files of datasets to an export's directory; give each with its path there.

    Raises
    ------
    NotImplementedError
        If a dataset is stored in components, which the format of exports cannot say.
    """
    by_id: dict[Any, list[FileRecord]] = {}
    for record in records:
        by_id.setdefault(record.dataset_id, []).append(record)
    result = []
    for ref in refs:
        found = by_id.get(ref.id, [])
        if not found:
            continue
        if found[0].component is not None:
            raise NotImplementedError(f"the dataset {ref} is stored in components, which an export cannot describe")
        path = found[0].path
        if directory is not None and transfer is not None and "://" not in path:
            retrieve(datastore, found, directory, transfer="copy", overwrite=True)
        result.append((ref, FileDataset(path, [ref], formatter=found[0].formatter)))
    return result
