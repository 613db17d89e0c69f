"""Moving datasets in, out and away: ingest, export, import, transfer, pruning."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from armillary.butler.collection_type import CollectionType
from armillary.butler.zipping import ZippingMixin
from armillary.errors import CommitUnknownError, OrphanedRecordError, RegistryError
from armillary.storage.file_record import DEFAULT_RECORDS_TABLE

if TYPE_CHECKING:
    from armillary._core import DataCoordinate, DatasetRef
    from armillary.butler.writing import WriteSession
    from armillary.storage.file_datastore import FileDatastore

__all__ = ["MovingMixin"]

_LOG = logging.getLogger(__name__)


class MovingMixin(ZippingMixin):
    """Methods of `Butler` that move or remove whole files."""

    @property
    def _session(self) -> WriteSession | None:
        raise NotImplementedError

    def ingest(
        self,
        *datasets: Any,
        transfer: str | None = "auto",
        record_validation_info: bool = True,
        skip_existing: bool = False,
    ) -> None:
        """Take files in as datasets, all or none.

        Parameters
        ----------
        *datasets
            `FileDataset` objects: a path, the references of the datasets in it, and optionally a formatter.
        transfer
            "copy", "move", "link", "hardlink", "symlink", "relsymlink", "direct" (leave it where it is), "split", None
            (it is already below the root), or "auto".
        record_validation_info
            Record the size of files (and their checksum, where that is configured).
        skip_existing
            Leave datasets that are already there as they are.

        Raises
        ------
        ConflictingDefinitionError
            If a dataset is already there.
        FileNotFoundError
            If a file is missing.
        """
        self._need_writeable()
        with self._metrics.instrument_ingest(sum(len(dataset.refs) for dataset in datasets)):
            self._ingest(list(datasets), transfer, record_validation_info, skip_existing)

    def _ingest(self, datasets: list[Any], transfer: str | None, validate: bool, skip_existing: bool) -> None:
        if skip_existing:
            every = [ref.id for dataset in datasets for ref in dataset.refs]
            known = {ref.id for ref in self._core_registry.get_datasets(every) if ref is not None}
            datasets = [d for d in datasets if not all(ref.id in known for ref in d.refs)]
        for run in dict.fromkeys(ref.run for dataset in datasets for ref in dataset.refs):
            self._core_registry.register_collection(run, int(CollectionType.RUN), None)
        for dataset in datasets:
            dataset.refs = [self._with_records(ref) for ref in dataset.refs]
        prepared = self._datastore.prepare_ingest(datasets, transfer, record_validation_info=validate)
        self._write(prepared.refs, prepared, ingest=True)

    def pruneDatasets(
        self,
        refs: Iterable[DatasetRef],
        *,
        disassociate: bool = True,
        unstore: bool = False,
        tags: Iterable[str] = (),
        purge: bool = False,
    ) -> None:
        """Take datasets out of collections, remove their files, or remove them altogether.

        Parameters
        ----------
        disassociate
            Take them out of `tags`, or altogether with `purge`.
        unstore
            Remove their files; implied by `purge`.
        tags
            TAGGED collections to take them out of.
        purge
            Remove them from the registry too.

        Raises
        ------
        TypeError
            If the combination has no meaning, or one of `tags` is not TAGGED; nothing is changed then.
        """
        self._need_writeable()
        if purge and not disassociate:
            raise TypeError("`purge=True` needs `disassociate=True`: what is removed altogether is in no collection")
        if purge and not unstore:
            raise TypeError("`purge=True` needs `unstore=True`: the files of removed datasets are removed too")
        if disassociate and not purge and not tags and not unstore:
            raise TypeError("nothing to do: give `tags`, `unstore=True`, or `purge=True` with `unstore=True`")
        found = list(refs)
        tags = [tags] if isinstance(tags, str) else list(tags)
        for tag in tags:
            kind = CollectionType(self._core_registry.collection(tag)[1])
            if kind is not CollectionType.TAGGED:
                raise TypeError(f"`{tag}` is a {kind.name}; datasets are taken out of TAGGED collections only")
        if disassociate and not purge:
            for tag in tags:
                self._core_registry.disassociate(tag, found)
        if unstore:
            ids = [ref.id for ref in found]
            with self._removing(ids):
                self._unstore(ids, purge=purge)

    @contextmanager
    def _removing(self, ids: Sequence[Any] | bytes) -> Iterator[None]:
        """Give a block that takes datasets out of the datastores; their files go when that is committed for good.

        The files are announced, so that the next writer removes them if this one is killed, and nobody else does
        while this one lives.
        """
        going: list[tuple[FileDatastore, list[str], int]] = []
        for store in self._datastore.file_stores:
            own = [path for path in self._core_registry.file_paths(ids, table=store.records_table) if "://" not in path]
            if own:
                going.append((store, own, self._core_registry.begin_write(store.name, own)))
        try:
            yield
        except BaseException as error:
            if not isinstance(error, CommitUnknownError):
                self._give_up_removal(going)
            raise
        if self._session is None:
            self._finish_removal(going)
        else:
            self._session.wait(partial(self._finish_removal, going), partial(self._give_up_removal, going))

    def _give_up_removal(self, going: list[tuple[FileDatastore, list[str], int]]) -> None:
        """Take announcements back whose files have their records.

        The others stay: where the last sync of a commit failed, the records are gone, though a power cut may bring them
        back. The next writer decides.
        """
        for store, paths, intent in going:
            with suppress(RegistryError):
                if not self._core_registry.unnamed_files(paths, table=store.records_table):
                    self._core_registry.abandon_write(intent)

    def _finish_removal(self, going: list[tuple[FileDatastore, list[str], int]]) -> None:
        """Remove files whose datasets are gone; what cannot be removed stays announced."""
        for store, paths, intent in going:
            try:  # a file may hold other datasets, too
                store.remove(self._core_registry.unnamed_files(paths, table=store.records_table))
            except (OSError, RegistryError) as error:  # the datasets are gone, so this is no failure
                _LOG.warning(
                    "files of removed datasets are left until the repository is next opened for writing: %s", error
                )
            else:
                self._core_registry.abandon_write(intent)

    def _empty_trash(self) -> None:
        """Remove the files that other clients marked for deletion, then their records."""
        for store in self._datastore.file_stores:
            records = self._core_registry.trashed(store.name, table=store.records_table)
            store.remove([record.path for record in records if not record.shared])
            self._core_registry.empty_trash(store.name, records, table=store.records_table)

    def _unstore(self, ids: Sequence[Any] | bytes, *, purge: bool) -> None:
        """Take datasets out of every datastore; with `purge` the datasets go, too."""
        stores = [(store.name, store.records_table) for store in self._datastore.file_stores]
        stores = stores or [("", DEFAULT_RECORDS_TABLE)]  # all in memory
        self._core_registry.begin()
        try:
            for name, table in stores[:-1]:
                self._core_registry.unstore(name, ids, purge=False, table=table)
            name, table = stores[-1]  # a dataset goes with the last datastore that has it
            self._core_registry.unstore(name, ids, purge=purge, table=table)
        except BaseException:
            self._core_registry.rollback()
            raise
        self._core_registry.commit()
        self._datastore.forget(ids)

    def removeRuns(self, names: Iterable[str], unstore: Any = True, *, unlink_from_chains: bool = False) -> None:
        """Remove RUN collections with all their datasets and files.

        Everything is checked before anything is removed.

        Raises
        ------
        TypeError
            If one is not a RUN.
        OrphanedRecordError
            If one is in a chain and `unlink_from_chains` is not set; names the chains.
        """
        self._need_writeable()
        runs = [names] if isinstance(names, str) else list(dict.fromkeys(names))
        for name in runs:
            if self._core_registry.collection(name)[1] != CollectionType.RUN:
                raise TypeError(f"`{name}` is not a RUN; other collections are removed with `collections.x_remove`")
        held = {name: self._core_registry.parents(name) for name in runs}
        if not unlink_from_chains and any(held.values()):
            shown = "; ".join(
                f"`{name}` is in {', '.join(f'`{p}`' for p in chains)}" for name, chains in held.items() if chains
            )
            raise OrphanedRecordError(f"{shown}: take it out of the chain first, or use `unlink_from_chains=True`")
        ids = self._core_registry.packed_dataset_ids(runs)
        with self._removing(ids):
            self._core_registry.begin()
            try:
                for name, chains in held.items():
                    for chain in chains:
                        self._core_registry.remove_from_chain(chain, [name])
                self._unstore(ids, purge=True)
                for name in runs:
                    self._core_registry.remove_collection(name)
            except BaseException:
                self._core_registry.rollback()
                raise
            self._core_registry.commit()

    def retrieveArtifacts(
        self,
        refs: Iterable[DatasetRef],
        destination: Any,
        transfer: str = "auto",
        preserve_path: bool = True,
        overwrite: bool = False,
    ) -> list[Any]:
        """Copy the files of datasets to a directory, which is made if needed; return where they are.

        Raises
        ------
        FileExistsError
            If a file is there already and `overwrite` is not set.
        ValueError
            If the directory is on another machine.
        """
        from armillary.storage.artifacts import retrieve

        store = self._datastore
        records = store.file_records(self._core_registry, [ref.id for ref in refs])
        return list(
            retrieve(store, records, destination, transfer=transfer, preserve_path=preserve_path, overwrite=overwrite)
        )

    @contextmanager
    def export(
        self,
        *,
        directory: str | None = None,
        filename: str | None = None,
        format: str | None = None,
        transfer: str | None = None,
    ) -> Iterator[Any]:
        """Give a block in which datasets and dimension records are chosen; their description is written at its end.

        If it fails, as where a disk is full, the files that it made are taken away again.

        Examples
        --------
        >>> import os, tempfile
        >>> from armillary.testing import small_repository
        >>> with small_repository() as butler, tempfile.TemporaryDirectory() as folder:
        ...     file = os.path.join(folder, "export.yaml")
        ...     with butler.export(filename=file) as export:
        ...         export.saveDimensionData("detector", butler.query_dimension_records("detector", instrument="Cam"))
        ...     os.path.exists(file)
        True
        """
        from armillary.butler.exporting import RepoExportContext, export_file

        path = export_file(directory, filename, format)
        context = RepoExportContext(self, directory=directory, transfer=transfer)
        try:
            yield context
            context.write(path)
        except BaseException:
            context.undo()
            raise

    def import_(
        self,
        *,
        directory: Any = None,
        filename: Any = None,
        format: str | None = None,
        transfer: str | None = None,
        skip_dimensions: set[str] | None = None,
        record_validation_info: bool = True,
        without_datastore: bool = False,
        allow_external: bool = False,
    ) -> None:
        """Take in what `export` wrote; what is there already stays.

        Parameters
        ----------
        directory
            Where the files are.
        filename
            Description to read; by default `export.yaml` in `directory`.
        transfer
            How files get here; None if they are already in place.
        skip_dimensions
            Dimension elements whose records are not taken in.
        without_datastore
            Take in no files.
        allow_external
            Also copy, link or move files that the description names outside `directory`.

        Raises
        ------
        ValidationError
            If it is not an export, or names a file outside `directory`.
        """
        from armillary.butler.importing import import_file

        self._need_writeable()
        import_file(
            self,
            directory=directory,
            filename=filename,
            transfer=transfer,
            skip_dimensions=frozenset(skip_dimensions or ()),
            record_validation_info=record_validation_info,
            without_datastore=without_datastore,
            allow_external=allow_external,
        )

    def transfer_dimension_records_from(
        self, source_butler: Any, source_refs: Iterable[DatasetRef | DataCoordinate]
    ) -> None:
        """Copy the dimension records of datasets or data IDs from another repository; what is here already stays.

        Parameters
        ----------
        source_butler
            Where the records come from.
        source_refs
            Datasets, or data IDs. Records that define visits come with them.

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository() as source, small_repository() as target:
        ...     row = {"instrument": "Cam", "name": "Cam-G", "band": "g"}
        ...     source.registry.insertDimensionData("physical_filter", row)
        ...     new = source.query_data_ids(["physical_filter"], where="physical_filter = 'Cam-G'", instrument="Cam")
        ...     target.transfer_dimension_records_from(source, new)
        ...     len(target.query_dimension_records("physical_filter", instrument="Cam"))
        2
        """
        from armillary._core import DatasetRef
        from armillary.butler.transferring import transfer_dimension_records

        self._need_writeable()
        data_ids = [one.dataId if isinstance(one, DatasetRef) else one for one in source_refs]
        transfer_dimension_records(source_butler, self, data_ids)

    def transfer_from(
        self,
        source_butler: Any,
        source_refs: Iterable[DatasetRef],
        transfer: str = "auto",
        skip_missing: bool = True,
        register_dataset_types: bool = False,
        transfer_dimensions: bool = False,
        dry_run: bool = False,
    ) -> list[DatasetRef]:
        """Copy datasets from another repository; those that are here already are skipped."""
        from armillary.butler.transferring import transfer_datasets

        self._need_writeable()
        return transfer_datasets(
            source_butler,
            self,
            list(source_refs),
            transfer=transfer,
            skip_missing=skip_missing,
            register_dataset_types=register_dataset_types,
            transfer_dimensions=transfer_dimensions,
            dry_run=dry_run,
        )
