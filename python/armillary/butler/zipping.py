"""Datasets out into one zip file, and in again."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from armillary.butler.collection_type import CollectionType
from armillary.butler.reading import ReadingMixin
from armillary.config import to_local_path
from armillary.errors import ConflictingDefinitionError

if TYPE_CHECKING:
    from lsst.resources import ResourcePath

    from armillary._core import DatasetRef

__all__ = ["ZippingMixin"]


class ZippingMixin(ReadingMixin):
    """Methods of `Butler` for zip files of datasets."""

    def _need_writeable(self) -> None:
        raise NotImplementedError

    def _write(self, refs: list[DatasetRef], prepared: Any, *, ingest: bool = False) -> None:
        raise NotImplementedError

    def transaction(self) -> AbstractContextManager[None]:
        """Give a block that happens as a whole or not at all."""
        raise NotImplementedError

    def _expand_refs(self, refs: Iterable[DatasetRef]) -> list[DatasetRef]:
        """Give all data IDs their records, in one go."""
        refs = list(refs)
        short = [ref for ref in refs if not ref.dataId.hasRecords()]
        made = iter(self._core_registry.expand_data_ids([ref.dataId for ref in short]))
        return [ref if ref.dataId.hasRecords() else ref.expanded(next(made)) for ref in refs]

    def retrieve_artifacts_zip(
        self, refs: Iterable[DatasetRef], destination: Any, overwrite: bool = True
    ) -> ResourcePath:
        """Put the files of datasets into one zip file in a directory; return where it is.

        The file's name follows from its content, so the same datasets give the same file.

        Raises
        ------
        FileNotFoundError
            If a dataset has no file.
        ValueError
            If no datasets are given, or the directory is on another machine.
        """
        from armillary.storage.location import resource_path
        from armillary.storage.zip_files import write_zip

        refs = self._expand_refs(refs)
        records = self._datastore.file_records(self._core_registry, [ref.id for ref in refs])
        made = write_zip(self._datastore, refs, records, destination, overwrite=overwrite)
        return resource_path(os.path.abspath(made))

    def ingest_zip(
        self,
        zip_file: Any,
        transfer: str = "auto",
        *,
        transfer_dimensions: bool = False,
        dry_run: bool = False,
        skip_existing: bool = False,
    ) -> None:
        """Take in a zip file of datasets, whole: its datasets are read from it.

        Runs and dataset types are registered as needed.

        Parameters
        ----------
        zip_file
            A file that `retrieve_artifacts_zip` made, here or, as a URI, on another machine.
        transfer
            How the file gets below the root; "direct" leaves it where it is.
        transfer_dimensions
            Whether to take in the dimension records that the zip file holds, too; what is there already stays.
        dry_run
            Only check.
        skip_existing
            Do nothing if the datasets are already there.

        Raises
        ------
        ConflictingDefinitionError
            If some of the datasets are there and `skip_existing` is not set, or only some are.
        ValidationError
            If it is not such a file.
        """
        from armillary.storage.remote_writing import local_copy
        from armillary.storage.zip_files import read_zip_index

        self._need_writeable()
        local = to_local_path(zip_file)
        path = str(zip_file) if local is None else local
        with nullcontext(local) if local is not None else local_copy(path) as readable:
            index = read_zip_index(readable, self.dimensions)
        refs = list(index.refs.values())
        stored = {
            record.dataset_id for record in self._datastore.records(self._core_registry, [ref.id for ref in refs])
        }
        if stored:
            if skip_existing and len(stored) == len(refs):
                return
            raise ConflictingDefinitionError(
                f"{len(stored)} of the {len(refs)} datasets in `{path}` are already stored"
            )
        if dry_run:
            return
        prepared = self._datastore.prepare_zip(path, index, transfer)
        with self.transaction():
            for run in dict.fromkeys(ref.run for ref in refs):
                self._core_registry.register_collection(run, int(CollectionType.RUN), None)
            for dataset_type in dict.fromkeys(ref.datasetType for ref in refs):
                self._core_registry.register_dataset_type(dataset_type)
            if transfer_dimensions:
                for element in self.dimensions.elements:
                    records = index.records.get(element.name)
                    if records and element.has_own_table:
                        self._core_registry.insert_records(element.name, records, skip_existing=True)
            self._write(refs, prepared, ingest=True)
