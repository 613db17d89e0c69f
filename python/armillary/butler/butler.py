"""The butler: find, read and write data by what they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from armillary import _core
from armillary.butler.call_options import refuse_options
from armillary.butler.collection_type import CollectionType
from armillary.butler.collections import ButlerCollections, CollectionChains, as_patterns, is_glob
from armillary.butler.dataset_uris import (
    ParsedButlerDatasetURI,
    SpecificButlerDataset,
    find_dataset_of_uri,
    parse_dataset_uri,
)
from armillary.butler.metrics import ButlerMetrics
from armillary.butler.moving import MovingMixin
from armillary.butler.query import Query
from armillary.butler.query_spec import QueryContext
from armillary.butler.reading import Defaults
from armillary.butler.registry import Registry
from armillary.butler.repository import open_database
from armillary.butler.searching import SearchingMixin
from armillary.butler.writing import OpenSessions, WriteSession
from armillary.config import ButlerConfig
from armillary.durability import choose_durability
from armillary.errors import DimensionNameError, ValidationError
from armillary.repository_config import database_location, repository_root

if TYPE_CHECKING:
    from armillary._core import DatasetRef, DatasetType, DimensionUniverse

__all__ = ["Butler"]

_LOG = logging.getLogger(__name__)


class Butler(MovingMixin, SearchingMixin):
    """An open repository.

    Parameters
    ----------
    config
        Directory, `butler.yaml`, label of a known repository, URI, or a configuration.
    collections
        Collections to search when a call names none: a name, a glob, or several.
    run
        RUN to write to; made if it does not exist. It is searched first unless `collections` is given.
    writeable
        Whether anything may be changed; if not given, whether `run` is.
    inferDefaults
        Whether a governor dimension (instrument, skymap) that has one value only in `collections` is used by default.
    without_datastore
        Open the registry only.
    durability
        What a power cut may undo: `full` (nothing), `batch` (nothing either, but files of a transaction are synced
        together at its end, and files that were never registered may be left over) or `none` (what was written last,
        or the database itself). By default what `ARMILLARY_DURABILITY` says, else `durability` in `butler.yaml`, else
        `full`.
    **dataId
        Default values of governor dimensions.

    Raises
    ------
    FileNotFoundError
        If there is no repository there.
    MissingCollectionError
        If a collection does not exist.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository(run="u/me") as butler:
    ...     ref = butler.put({"mean": 3.5}, "summary", instrument="Cam")
    ...     butler.get("summary", instrument="Cam")
    {'mean': 3.5}
    """

    def __init__(
        self,
        config: Any = None,
        *,
        collections: Any = None,
        run: str | None = None,
        searchPaths: Iterable[Any] | None = None,
        writeable: bool | None = None,
        inferDefaults: bool = True,
        without_datastore: bool = False,
        metrics: ButlerMetrics | None = None,
        durability: str | None = None,
        **dataId: Any,
    ):
        if writeable is None:
            writeable = run is not None
        self._config = (
            config
            if isinstance(config, ButlerConfig)
            else ButlerConfig(config, searchPaths=searchPaths, without_datastore=without_datastore)
        )
        self._root = repository_root(self._config, self._config.configFile)
        location = database_location(self._config, self._root)
        self._durability = choose_durability(durability, self._config)
        self._core_registry = open_database(location, writeable, self._durability)
        self._writeable = writeable
        self._without_datastore = without_datastore
        self._datastore_cache: Any = None
        self._metrics = metrics or ButlerMetrics()
        self._sessions = OpenSessions()
        self._closed = False
        # One entry for each open butler of the database connection, clones included; the last to close closes it.
        self._sharers: list[None] = [None]
        if writeable and not without_datastore:
            self._recover()
        if writeable and run is not None:
            self._core_registry.register_collection(run, int(CollectionType.RUN), None)
        self._defaults = self._make_defaults(collections, run, inferDefaults, dataId)

    def _recover(self) -> None:
        """Remove what killed writers left: files that have no rows, not yet or no longer."""
        stores = {store.name: store for store in self._datastore.file_stores}
        undone: list[int] = []
        stale = self._core_registry.begin_recovery({name: store.records_table for name, store in stores.items()})
        try:
            for intent, name, paths in stale:
                try:
                    stores[name].recover(paths)
                except OSError as error:  # as where they are another user's: the next writer tries again
                    _LOG.warning("files that a writer left which no longer runs cannot be removed: %s", error)
                else:
                    undone.append(intent)
        finally:
            self._core_registry.end_recovery(undone)

    @classmethod
    def from_config(
        cls,
        config: Any = None,
        *,
        collections: Any = None,
        run: str | None = None,
        searchPaths: Iterable[Any] | None = None,
        writeable: bool | None = None,
        inferDefaults: bool = True,
        without_datastore: bool = False,
        metrics: ButlerMetrics | None = None,
        durability: str | None = None,
        **kwargs: Any,
    ) -> Butler:
        """Open a repository; the same as `Butler(...)`."""
        return cls(
            config,
            collections=collections,
            run=run,
            searchPaths=searchPaths,
            writeable=writeable,
            inferDefaults=inferDefaults,
            without_datastore=without_datastore,
            metrics=metrics,
            durability=durability,
            **kwargs,
        )

    @staticmethod
    def makeRepo(
        root: Any,
        config: Any = None,
        dimensionConfig: Any = None,
        standalone: bool = False,
        searchPaths: list[str] | None = None,
        forceConfigRoot: bool = True,
        outfile: Any = None,
        overwrite: bool = False,
    ) -> ButlerConfig:
        """Make a new repository; nothing is left behind if that fails.

        Parameters
        ----------
        root
            Its directory; made if needed.
        config
            Configuration to start from.
        dimensionConfig
            Dimension document, as a mapping or the path of a YAML or JSON file; by default the current universe.
        """
        from armillary.butler.repository import make_repository

        return make_repository(
            root,
            config,
            dimensionConfig,
            standalone=standalone,
            search_paths=searchPaths,
            force_root=forceConfigRoot,
            outfile=outfile,
            overwrite=overwrite,
        )

    @staticmethod
    def has_repo_config(root: Any) -> bool:
        """Whether there is a repository in a directory."""
        import os

        return os.path.exists(os.path.join(os.fspath(root), "butler.yaml"))

    @classmethod
    def get_known_repos(cls) -> set[str]:
        """Labels of the repositories in the index; none if there is no index."""
        from armillary.repository_config import ButlerRepoIndex

        return ButlerRepoIndex.get_known_repos()

    @classmethod
    def get_repo_uri(cls, label: str, return_label: bool = False) -> Any:
        """Where the repository with a label is, as a `ResourcePath`; see `ButlerRepoIndex.get_repo_uri`."""
        from armillary.repository_config import ButlerRepoIndex

        return ButlerRepoIndex.get_repo_uri(label, return_label)

    @staticmethod
    def parse_dataset_uri(uri: str) -> ParsedButlerDatasetURI:
        """Read the address of a dataset, `ivo://…?repo=LABEL&id=UUID` or `butler://LABEL/UUID`; nothing is opened."""
        return parse_dataset_uri(uri)

    @classmethod
    def get_dataset_from_uri(cls, uri: str, factory: Callable[[str], Butler] | None = None) -> SpecificButlerDataset:
        """Open the repository that an address names and look its dataset up.

        Parameters
        ----------
        uri
            Address of a dataset; see `parse_dataset_uri`.
        factory
            Makes a butler from a label; by default the label is opened as `Butler(label)` does.
        """
        return find_dataset_of_uri(cls, uri, factory)

    def _make_defaults(self, collections: Any, run: str | None, infer: bool, given: Mapping[str, Any]) -> Defaults:
        if collections is None:
            names: list[str] = [run] if run is not None else []
        else:
            patterns = as_patterns(collections)
            if patterns is None or any(map(is_glob, patterns)):
                names = self._core_registry.query_collections(patterns)
            else:
                names = patterns
                for name in names:
                    self._core_registry.collection(name)  # says at once if it does not exist
        governors = set(self.dimensions.governor_dimensions.names)
        unknown = [key for key in given if key not in governors]
        if unknown:
            raise DimensionNameError(
                f"`{unknown[0]}` cannot have a default value; only {', '.join(sorted(governors))} can"
            )
        if given:  # a mistyped name would leave every query empty
            self._core_registry.expand_data_id(_core.DataCoordinate.standardize(given, universe=self.dimensions))
        data_id = dict(given)
        if infer and names:
            data_id = {**self._infer_governors(names, governors - set(given)), **data_id}
        return Defaults(tuple(names), run, data_id, infer, dict(given))

    def _infer_governors(self, names: list[str], governors: set[str]) -> dict[str, str]:
        held = self._core_registry.collection_summary(*names)[1]
        return {governor: held[governor][0] for governor in sorted(governors) if len(held.get(governor, ())) == 1}

    def clone(
        self,
        *,
        collections: Any = ...,
        run: Any = ...,
        inferDefaults: Any = ...,
        dataId: Any = ...,
        metrics: ButlerMetrics | None = None,
    ) -> Butler:
        """Give a butler for the same repository with other defaults."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.__dict__.pop("_query_context_cache", None)
        other._metrics = metrics or ButlerMetrics()
        old = self._defaults
        if run is ...:
            run = old.run
            if collections is ...:
                collections = old.collections
        elif collections is ...:
            collections = old.collections
        other._defaults = other._make_defaults(
            collections,
            run,
            old.infer if inferDefaults is ... else inferDefaults,
            old.given if dataId is ... else dataId,
        )
        other._sharers.append(None)
        return other

    # -- what it is

    def __enter__(self) -> Butler:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database, unless a clone still uses it; later use of this butler raises `RuntimeError`."""
        if not self._closed:
            self._closed = True
            self._sharers.pop()
            if not self._sharers:
                self._core_registry.close()
            self.__dict__.pop("_query_context_cache", None)
            self._core_registry = _ClosedRegistry(self._core_registry)  # type: ignore[assignment]

    def __str__(self) -> str:
        datastore = "none" if self._without_datastore else self._datastore.name
        database = "PostgreSQL" if self._core_registry.path.startswith("postgresql://") else "SQLite3"
        return (
            f"Butler(collections={list(self._defaults.collections)}, run={self.run!r}, "
            f"datastore='{datastore}', registry='{database}@{self._core_registry.path}')"
        )

    __repr__ = __str__

    @property
    def dimensions(self) -> DimensionUniverse:
        """All dimensions of the repository."""
        return self._core_registry.universe

    @property
    def run(self) -> str | None:
        """The RUN that is written to by default."""
        return self._defaults.run

    @property
    def collections(self) -> ButlerCollections:
        """The collections of the repository; as a sequence, those searched by default."""
        return ButlerCollections(self._core_registry, self._defaults.collections)

    @property
    def collection_chains(self) -> CollectionChains:
        """The chains of the repository, by name."""
        return CollectionChains(self.collections)

    @property
    def registry(self) -> Registry:
        """The older face of the registry."""
        return Registry(self)

    @property
    def storageClasses(self) -> Any:
        """All storage classes of the repository."""
        from armillary.storage import storage_class_factory

        return storage_class_factory()

    @property
    def _datastore(self) -> Any:
        if self._datastore_cache is None:
            if self._without_datastore:
                raise RuntimeError("this butler was opened without a datastore, so no dataset can be read or written")
            from armillary.storage import make_datastore
            from armillary.storage.file_record import DEFAULT_RECORDS_TABLE

            self._datastore_cache = make_datastore(
                self._config,
                self._root,
                universe=self.dimensions,
                writeable=self._writeable,
                durability=self._durability,
            )
            if self._writeable:
                for store in self._datastore_cache.file_stores:
                    if store.records_table != DEFAULT_RECORDS_TABLE:  # which every writer has made already
                        self._core_registry.prepare_datastore(store.records_table)
        return self._datastore_cache

    @property
    def _query_context(self) -> QueryContext:
        context = self.__dict__.get("_query_context_cache")
        if context is None:
            if self._closed:
                raise RuntimeError(_CLOSED)
            context = QueryContext(
                self._core_registry,
                _core.QueryEngine(self._core_registry),
                self.dimensions,
                self._defaults.collections,
                self._defaults.data_id,
            )
            self.__dict__["_query_context_cache"] = context
        return context

    def isWriteable(self) -> bool:
        """Whether anything can be changed."""
        return self._writeable

    def _need_writeable(self) -> None:
        if not self._writeable:
            raise TypeError("Butler is read-only; open it with `writeable=True` or a `run`")

    def get_datastore_names(self) -> tuple[str, ...]:
        """Names of the datastores."""
        return tuple(self._datastore.names)

    def get_datastore_roots(self) -> dict[str, Any]:
        """Where each datastore keeps its files, by its name; None for datastores in memory."""
        return dict(self._datastore.roots)

    def validateConfiguration(
        self,
        logFailures: bool = False,
        datasetTypeNames: Iterable[str] | None = None,
        ignore: Iterable[str] | None = None,
    ) -> None:
        """Check that the datasets of every type could be stored.

        Parameters
        ----------
        logFailures
            Whether each finding is logged, too.
        datasetTypeNames
            Dataset types to check; by default all.
        ignore
            Dataset types not to check.

        Raises
        ------
        ValidationError
            If one could not: no formatter writes it, its files could not be told apart, or no datastore takes it.
        """
        skipped = set(ignore or ())
        wanted = (
            self._core_registry.query_dataset_types(None)
            if datasetTypeNames is None
            else [self.get_dataset_type(name) for name in datasetTypeNames]
        )
        found = [
            problem
            for dataset_type in wanted
            if dataset_type.nameAndComponent()[0] not in skipped and dataset_type.name not in skipped
            for problem in self._datastore.problems(dataset_type)
        ]
        if logFailures:
            for problem in found:
                _LOG.critical(problem)
        if found:
            raise ValidationError("; ".join(found))

    # -- writing

    def _register_dataset_type(self, dataset_type: DatasetType) -> bool:
        self._need_writeable()
        self.storageClasses.getStorageClass(dataset_type.storageClass_name)  # says at once if it is unknown
        return self._core_registry.register_dataset_type(dataset_type.conform_to(self.dimensions))

    def put(
        self,
        obj: Any,
        datasetRefOrType: Any,
        /,
        dataId: Any = None,
        *,
        run: str | None = None,
        provenance: Any = None,
        **kwargs: Any,
    ) -> DatasetRef:
        """Write a dataset; when this returns, file and records are there for good.

        Parameters
        ----------
        obj
            What to write.
        datasetRefOrType
            A reference, or a dataset type or its name.
        dataId, **kwargs
            What it is.
        run
            RUN to write to, if not the default.

        Raises
        ------
        ConflictingDefinitionError
            If the run already has such a dataset.
        TypeError
            If the object is not of the storage class and cannot be converted, or the butler is read-only.
        """
        self._need_writeable()
        refuse_options(self.put, kwargs, self.dimensions, is_query=False)
        with self._metrics.instrument_put():
            ref = self._new_ref(datasetRefOrType, dataId, run, kwargs)
            self._core_registry.check_collection(ref.run)
            prepared = self._datastore.prepare(obj, self._with_records(ref, to_write=True), provenance=provenance)
            self._write([ref], prepared)
            return ref

    @property
    def _session(self) -> WriteSession | None:
        """What is undone if the calling thread's transaction, begun here or in a clone, is."""
        return self._sessions.current

    def _new_session(self) -> WriteSession:
        if self._without_datastore:
            return WriteSession(self._core_registry, None)
        if not self._datastore.is_chain:
            return WriteSession(self._core_registry, self._datastore)
        from armillary.butler.chained_writing import ChainedWriteSession

        return ChainedWriteSession(self._core_registry, self._datastore)

    def _write(self, refs: list[DatasetRef], prepared: Any, *, ingest: bool = False) -> None:
        """Write files and their rows, all or none: intent, files, one transaction."""
        session = self._new_session()
        session.syncs_later = self._session is not None and self._durability == "batch"
        if ingest:
            session.ingest(refs, prepared)
        else:
            session.write(refs, [prepared])
        if self._session is not None:
            self._session.adopt(session)
        else:
            session.finish()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Give a block that happens as a whole or not at all, files included.

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository(run="u/me") as butler:
        ...     try:
        ...         with butler.transaction():
        ...             ref = butler.put({"a": 1}, "summary", instrument="Cam")
        ...             raise ValueError("changed my mind")
        ...     except ValueError:
        ...         butler.query_datasets("summary", explain=False)
        []
        """
        self._need_writeable()
        outer, session = self._session, self._new_session()
        self._core_registry.begin()
        self._sessions.current = session
        try:
            yield
            if outer is None:
                session.sync()
        except BaseException:
            self._core_registry.rollback()
            session.undo()
            raise
        else:
            try:
                self._core_registry.commit()
            except BaseException as error:
                session.fail(error)
                raise
            if outer is not None:
                outer.adopt(session)
            else:
                session.finish()
        finally:
            self._sessions.current = outer

    def query(self) -> Any:
        """Give a block with a query to build; see `Query`."""
        return _QueryBlock(self._query_context)


_CLOSED = "this butler is closed; open another one"


class _ClosedRegistry:
    """Stands for the registry of a closed butler: it still has a path and a universe, and nothing else."""

    def __init__(self, registry: _core.Registry):
        self.path = registry.path
        self.universe = registry.universe

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(_CLOSED)


class _QueryBlock:
    """`with butler.query() as query`: nothing has to be cleaned up, so results stay usable."""

    def __init__(self, context: QueryContext):
        self._context = context

    def __enter__(self) -> Query:
        return Query(self._context)

    def __exit__(self, *args: object) -> None:
        return None
