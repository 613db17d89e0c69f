"""Datasets out into one zip file, and in again."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from armillary.butler.collection_type import CollectionType
from armillary.butler.reading import ReadingMixin
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
            If no datasets are given.
        """
        from armillary.storage.location import resource_path
        from armillary.storage.zip_files import write_zip

        refs = list(refs)
        records = self._core_registry.records([ref.id for ref in refs])
        folder = os.path.abspath(os.fspath(destination))
        return resource_path(write_zip(self._datastore, refs, records, folder, overwrite=overwrite))

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

        Dataset types and dimension records must be there already; runs are registered.

        Parameters
        ----------
        zip_file
            A file that `retrieve_artifacts_zip` made.
        transfer
            How the file gets below the root; "direct" leaves it where it is.
        transfer_dimensions
            Not supported: use `transfer_dimension_records_from`.
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
        from armillary.storage.zip_files import prepare_zip, read_zip_index

        self._need_writeable()
        if transfer_dimensions:
            raise NotImplementedError(
                "dimension records are not taken from zip files; use `transfer_dimension_records_from` first"
            )
        path = os.fspath(zip_file) if not hasattr(zip_file, "ospath") else zip_file.ospath
        index = read_zip_index(path, self.dimensions)
        refs = list(index.refs.values())
        stored = {record.dataset_id for record in self._core_registry.records([ref.id for ref in refs])}
        if stored:
            if skip_existing and len(stored) == len(refs):
                return
            raise ConflictingDefinitionError(
                f"{len(stored)} of the {len(refs)} datasets in `{path}` are already stored"
            )
        if dry_run:
            return
        for run in dict.fromkeys(ref.run for ref in refs):
            self._core_registry.register_collection(run, int(CollectionType.RUN), None)
        self._write(refs, prepare_zip(self._datastore, path, index, transfer), ingest=True)
