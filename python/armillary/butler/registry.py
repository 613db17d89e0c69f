"""The older face of the registry: `Butler.registry`.

Every method has its counterpart on `Butler` or `Butler.collections`; the names here are kept for code that uses them.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from armillary._words import did_you_mean
from armillary.butler.call_options import refuse_options
from armillary.butler.collection_type import CollectionType, DatasetIdGenEnum
from armillary.butler.collections import (
    as_patterns,
    dataset_type_patterns,
    is_glob,
    without_regular_expressions,
)
from armillary.butler.query import check_element
from armillary.butler.query_results import (
    ChainedDatasetQueryResults,
    DataCoordinateQueryResults,
    DatasetRefQueryResults,
    DimensionRecordQueryResults,
)
from armillary.butler.query_spec import QuerySpec, dimension_names, type_name
from armillary.errors import (
    ArgumentError,
    CollectionTypeError,
    ConflictingDefinitionError,
    DatasetTypeExpressionError,
    InvalidQueryError,
    MissingDatasetTypeError,
    NoDefaultCollectionError,
    QueryTypeError,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from armillary._core import DataCoordinate, DatasetRef, DatasetType, DimensionUniverse, Timespan
    from armillary.butler.butler import Butler

__all__ = ["CollectionSummary", "DatasetAssociation", "Registry", "RegistryDefaults"]

_LOG = logging.getLogger("lsst.daf.butler")
_ALL_TYPES = CollectionType.all()


@dataclasses.dataclass(frozen=True)
class RegistryDefaults:
    """What is used when a call names no collections, no run or no governor dimensions."""

    collections: tuple[str, ...] = ()
    run: str | None = None
    dataId: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class CollectionSummary:
    """What a collection may hold."""

    dataset_types: list[DatasetType]
    governors: dict[str, set[str]]


@dataclasses.dataclass(frozen=True)
class DatasetAssociation:
    """A dataset in a collection, with its validity if that is a CALIBRATION collection."""

    ref: DatasetRef
    collection: str
    timespan: Timespan | None


class Registry:
    """Dimensions, dataset types, datasets and collections of a repository."""

    def __init__(self, butler: Butler):
        self._butler = butler
        self._core = butler._core_registry

    # -- general

    @property
    def dimensions(self) -> DimensionUniverse:
        """All dimensions of the repository."""
        return self._butler.dimensions

    @property
    def defaults(self) -> RegistryDefaults:
        """Default collections, run and data ID."""
        return RegistryDefaults(self._butler._defaults.collections, self._butler.run, self._butler._defaults.data_id)

    @property
    def storageClasses(self) -> Any:
        """All storage classes of the repository."""
        return self._butler.storageClasses

    @property
    def obsCoreTableManager(self) -> None:
        """The manager of the ObsCore table: there is none."""
        return None

    def isWriteable(self) -> bool:
        """Whether anything can be changed."""
        return self._butler.isWriteable()

    def refresh(self) -> None:
        """Forget what was read; not needed, because changes by others are noticed."""

    def refresh_collection_summaries(self) -> None:
        """Forget dataset types that a collection no longer holds; queries do not depend on it."""

    def resetConnectionPool(self) -> None:
        """Give up shared connections after a fork; not needed, because none are shared."""

    def caching_context(self) -> AbstractContextManager[None]:
        """Give a block in which answers may be remembered; they always are."""
        return nullcontext()

    @contextmanager
    def transaction(self, *, savepoint: bool = False) -> Iterator[None]:
        """Give a block that happens as a whole or not at all."""
        with self._butler.transaction():
            yield

    def supportsIdGenerationMode(self, mode: DatasetIdGenEnum) -> bool:
        """Whether ids can be made this way."""
        return mode in DatasetIdGenEnum

    # -- collections

    def registerRun(self, name: str, doc: str | None = None) -> bool:
        """Make a RUN; return whether it is new."""
        return self._core.register_collection(name, int(CollectionType.RUN), doc)

    def registerCollection(
        self, name: str, type: CollectionType = CollectionType.TAGGED, doc: str | None = None
    ) -> bool:
        """Make a collection; return whether it is new."""
        return self._core.register_collection(name, int(type), doc)

    def removeCollection(self, name: str) -> None:
        """Remove a collection."""
        self._core.remove_collection(name)

    def getCollectionType(self, name: str) -> CollectionType:
        """Give the type of a collection."""
        return CollectionType(self._core.collection(name)[1])

    def getCollectionChain(self, parent: str) -> tuple[str, ...]:
        """Give the children of a chain.

        Raises
        ------
        CollectionTypeError
            If the collection is no chain.
        """
        _, kind, _, children = self._core.collection(parent)
        if kind != CollectionType.CHAINED:
            raise CollectionTypeError(f"collection `{parent}` is a {CollectionType(kind).name}, not CHAINED")
        return tuple(children)

    def setCollectionChain(self, parent: str, children: Any, *, flatten: bool = False) -> None:
        """Replace the children of a chain."""
        names = as_patterns(children) or []
        self._core.set_chain(parent, self._core.flatten_collections(names) if flatten else names)

    def getCollectionParentChains(self, collection: str) -> set[str]:
        """Give the chains that hold a collection."""
        return set(self._core.parents(collection))

    def getCollectionDocumentation(self, collection: str) -> str | None:
        """Give what was written about a collection."""
        return self._core.collection(collection)[2]

    def setCollectionDocumentation(self, collection: str, doc: str | None) -> None:
        """Write something about a collection."""
        self._core.set_collection_doc(collection, doc)

    def getCollectionSummary(self, collection: str) -> CollectionSummary:
        """Give the dataset types and governor values that a collection may hold."""
        names, governors = self._core.collection_summary(collection)
        return CollectionSummary(
            [self._core.dataset_type(name) for name in names], {key: set(values) for key, values in governors.items()}
        )

    def queryCollections(
        self,
        expression: Any = ...,
        datasetType: DatasetType | str | None = None,
        collectionTypes: Iterable[CollectionType] | CollectionType = _ALL_TYPES,
        flattenChains: bool = False,
        includeChains: bool | None = None,
    ) -> list[str]:
        """List the names of collections that match names or globs; all by default."""
        kinds = [collectionTypes] if isinstance(collectionTypes, CollectionType) else collectionTypes
        return self._core.query_collections(
            as_patterns(without_regular_expressions(self._core, expression)),
            sorted(map(int, kinds)),
            flatten_chains=flattenChains,
            include_chains=includeChains,
            dataset_type=type_name(datasetType) if datasetType is not None else None,
        )

    # -- dataset types

    def registerDatasetType(self, datasetType: DatasetType) -> bool:
        """Make a dataset type known; return whether it is new."""
        return self._butler._register_dataset_type(datasetType)

    def removeDatasetType(self, name: str | tuple[str, ...]) -> None:
        """Remove dataset types by name or glob, all or none; a name that is not there is only logged.

        Raises
        ------
        OrphanedRecordError
            If a dataset type still has datasets.

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository() as butler:
        ...     butler.registry.removeDatasetType("bias")
        ...     [found.name for found in butler.registry.queryDatasetTypes("bias")]
        []
        """
        missing: list[str] = []
        found = self.queryDatasetTypes((name,) if isinstance(name, str) else name, missing=missing)
        for one in missing:
            known = [dataset_type.name for dataset_type in self.queryDatasetTypes()]
            _LOG.warning(
                "no dataset type is called `%s`, so nothing was removed for it%s", one, did_you_mean(one, known)
            )
        with self.transaction():
            for dataset_type in found:
                self._core.remove_dataset_type(dataset_type.name)

    def getDatasetType(self, name: str) -> DatasetType:
        """Give a dataset type by name."""
        return self._core.dataset_type(name)

    def queryDatasetTypes(self, expression: Any = ..., *, missing: list[str] | None = None) -> list[DatasetType]:
        """List dataset types that match names or globs; all by default.

        Names that do not exist are appended to `missing`.

        Raises
        ------
        DatasetTypeExpressionError
            If a name is that of a component: only whole dataset types are listed.
        """
        patterns = dataset_type_patterns(expression)
        for name in patterns or ():
            if "." in name and not is_glob(name):
                raise DatasetTypeExpressionError(
                    f"`{name}` names a component, which has no dataset type of its own; ask for `{name.split('.')[0]}`"
                )
        found = self._core.query_dataset_types(patterns)
        if missing is not None and patterns is not None:
            names = {dataset_type.name for dataset_type in found}
            missing.extend(name for name in patterns if not is_glob(name) and name not in names)
        return found

    # -- dimension records

    def insertDimensionData(
        self, element: Any, *data: Any, conform: bool = True, replace: bool = False, skip_existing: bool = False
    ) -> None:
        """Insert records of a dimension element, all or none."""
        self._core.insert_records(getattr(element, "name", element), data, replace=replace, skip_existing=skip_existing)

    def syncDimensionData(
        self, element: Any, row: Any, conform: bool = True, update: bool = False
    ) -> bool | dict[str, Any]:
        """Insert a record, or check that it is there; return whether it is new, or the values that were replaced."""
        return self._core.sync_record(getattr(element, "name", element), row, update=update)

    def expandDataId(
        self,
        dataId: Any = None,
        *,
        dimensions: Any = None,
        records: Any = None,
        withDefaults: bool = True,
        **kwargs: Any,
    ) -> DataCoordinate:
        """Complete a data ID with implied values and dimension records."""
        return self._butler._expand(dataId, dimensions, kwargs, with_defaults=withDefaults)

    # -- datasets

    def insertDatasets(
        self,
        datasetType: DatasetType | str,
        dataIds: Iterable[Any],
        run: str | None = None,
        expand: bool = True,
        idGenerationMode: DatasetIdGenEnum = DatasetIdGenEnum.UNIQUE,
    ) -> list[DatasetRef]:
        """Register new datasets in a run, all or none.

        Parameters
        ----------
        datasetType
            What they are.
        dataIds
            A data ID for each.
        run
            Where they were made; by default the run of the butler.
        expand
            Whether the data IDs of the references get the values of implied dimensions and all records. What a data
            ID says itself of implied dimensions does not count.
        idGenerationMode
            Where their ids come from.

        Raises
        ------
        MissingRecordError
            If a data ID names a record that is not there. It is a `DataIdValueError` and a `LookupError`.
        ConflictingDefinitionError
            If the run has a dataset of the type with one of the data IDs already.

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository() as butler:
        ...     _ = butler.registry.registerRun("more")
        ...     [ref] = butler.registry.insertDatasets(
        ...         "metrics", [{"instrument": "Cam", "visit": 10, "detector": 1}], run="more"
        ...     )
        ...     ref.dataId["band"], ref.dataId.hasRecords()
        ('r', True)
        """
        run = run or self._butler.run
        if run is None:
            raise NoDefaultCollectionError("no run to insert into: give `run=`, or open the butler with a run")
        dataset_type = self._core.dataset_type(type_name(datasetType))
        return self._core.insert_datasets(dataset_type, run, list(dataIds), mode=int(idGenerationMode), expand=expand)

    def _importDatasets(
        self, datasets: Iterable[DatasetRef], expand: bool = True, assume_new: bool = False
    ) -> list[DatasetRef]:
        """Register datasets that have ids; those that are there already are passed over unless `assume_new`.

        References come back in the order given, expanded if `expand`.
        """
        refs = list(datasets)
        if expand:
            data_ids = self._core.expand_data_ids([ref.dataId for ref in refs])
            refs = [ref.expanded(data_id) for ref, data_id in zip(refs, data_ids, strict=True)]
        with self.transaction():
            known = self._core.get_datasets([ref.id for ref in refs]) if assume_new else []
            for ref in known:
                if ref is not None:
                    raise ConflictingDefinitionError(f"the dataset `{ref.id}`, {ref}, is not new")
            self._core.import_datasets(refs)
        return refs

    def removeDatasets(self, refs: Iterable[DatasetRef]) -> None:
        """Remove datasets that no datastore holds."""
        self._core.remove_datasets(list(refs))

    def getDataset(self, id: Any) -> DatasetRef | None:
        """Give a dataset by its id."""
        return self._core.get_dataset(id)

    def getDatasetLocations(self, ref: DatasetRef) -> list[str]:
        """Give the names of datastores that hold a dataset."""
        return list(self._core.locations([ref.id]).get(ref.id, ()))

    def findDataset(
        self,
        datasetType: DatasetType | str,
        dataId: Any = None,
        *,
        collections: Any = None,
        timespan: Timespan | None = None,
        datastore_records: bool = False,
        **kwargs: Any,
    ) -> DatasetRef | None:
        """Find the first dataset of a type and data ID in collections."""
        return self._butler.find_dataset(datasetType, dataId, collections=collections, timespan=timespan, **kwargs)

    def associate(self, collection: str, refs: Iterable[DatasetRef]) -> None:
        """Put datasets into a TAGGED collection, all or none."""
        self._core.associate(collection, list(refs))

    def disassociate(self, collection: str, refs: Iterable[DatasetRef]) -> None:
        """Take datasets out of a TAGGED collection."""
        self._core.disassociate(collection, list(refs))

    def certify(self, collection: str, refs: Iterable[DatasetRef], timespan: Timespan) -> None:
        """Declare datasets valid for a timespan in a CALIBRATION collection, all or none."""
        self._core.certify(collection, list(refs), timespan)

    def decertify(
        self,
        collection: str,
        datasetType: DatasetType | str,
        timespan: Timespan,
        *,
        dataIds: Iterable[Any] | None = None,
    ) -> None:
        """Take a timespan out of the validity of datasets."""
        ids = None if dataIds is None else list(dataIds)
        self._core.decertify(collection, type_name(datasetType), timespan, ids)

    def queryDatasetAssociations(
        self,
        datasetType: DatasetType | str,
        collections: Any = ...,
        *,
        collectionTypes: Iterable[CollectionType] = _ALL_TYPES,
        flattenChains: bool = False,
    ) -> Iterator[DatasetAssociation]:
        """Give every dataset of a type in every collection that holds it."""
        names = self.queryCollections(
            self._butler._defaults.collections if collections is None else collections,
            collectionTypes=collectionTypes,
            flattenChains=flattenChains,
        )
        found = self._core.dataset_associations(type_name(datasetType), names)
        whole = self._with_implied(ref for ref, _, _ in found)
        for ref, collection, timespan in found:
            yield DatasetAssociation(whole[ref.id], collection, timespan)

    def _with_implied(self, refs: Iterable[DatasetRef]) -> dict[Any, DatasetRef]:
        """Give references, by id, whose data IDs know the values of implied dimensions."""
        by_id = {ref.id: ref for ref in refs}
        partial = [ref for ref in by_id.values() if not ref.dataId.hasFull()]
        if partial:
            known = self._core.expand_data_ids([ref.dataId for ref in partial])
            for ref, data_id in zip(partial, known, strict=True):
                plain = type(data_id).from_full_values(data_id.dimensions, data_id.full_values)
                by_id[ref.id] = ref.expanded(plain)
        return by_id

    # -- queries

    def queryDatasets(
        self,
        datasetType: Any,
        *,
        collections: Any = None,
        dimensions: Any = None,
        dataId: Any = None,
        where: str = "",
        findFirst: bool = False,
        bind: Mapping[str, Any] | None = None,
        check: bool = True,
        **kwargs: Any,
    ) -> DatasetRefQueryResults | ChainedDatasetQueryResults:
        """Find datasets of types given by name or glob."""
        refuse_options(self.queryDatasets, kwargs, self.dimensions)
        context = self._butler._query_context
        try:
            path = context.search_path(collections, globs_allowed=not findFirst)
        except InvalidQueryError as error:
            raise QueryTypeError(str(error)) from None
        spec = QuerySpec().filtered([where, dataId], bind, kwargs)
        if dimensions is not None:
            spec = dataclasses.replace(spec, dimensions=tuple(dimension_names(dimensions)))
        patterns = dataset_type_patterns(datasetType)
        if patterns is not None and len(patterns) == 1 and not is_glob(patterns[0]):
            parent, _, component = patterns[0].partition(".")
            if component:
                raise DatasetTypeExpressionError(
                    f"`{patterns[0]}` is a component, which no query searches for; search for `{parent}`"
                )
            try:
                found = self._core.dataset_type(patterns[0])
            except MissingDatasetTypeError as error:
                return ChainedDatasetQueryResults([], [str(error.args[0])])
            return DatasetRefQueryResults(context, spec, found.name, path, findFirst)
        missing: list[str] = []
        types = self.queryDatasetTypes(datasetType, missing=missing)
        parts = [DatasetRefQueryResults(context, spec, found.name, path, findFirst) for found in types]
        return ChainedDatasetQueryResults(parts, [f"no dataset type is called `{name}`" for name in missing])

    def _with_datasets(self, spec: QuerySpec, datasets: Any, collections: Any) -> QuerySpec:
        if datasets is None:
            if collections is not None:
                raise ArgumentError("`collections` has no meaning without `datasets`; give both or neither")
            return spec
        path = tuple(self._butler._query_context.search_path(collections, globs_allowed=True))
        patterns = dataset_type_patterns(datasets)
        wild = "*" if patterns is None else next(filter(is_glob, patterns), None)
        if patterns is None or wild is not None:
            raise DatasetTypeExpressionError(f"`{wild}` is a wildcard; name the dataset types that must exist")
        joins = tuple((self._core.dataset_type(name, recent=True).name, path) for name in patterns)
        return dataclasses.replace(spec, joins=spec.joins + joins)

    def queryDataIds(
        self,
        dimensions: Any,
        *,
        dataId: Any = None,
        datasets: Any = None,
        collections: Any = None,
        where: str = "",
        bind: Mapping[str, Any] | None = None,
        check: bool = True,
        **kwargs: Any,
    ) -> DataCoordinateQueryResults:
        """Find data IDs for dimensions, optionally only those of existing datasets."""
        refuse_options(self.queryDataIds, kwargs, self.dimensions)
        names = dimension_names(dimensions)
        self.dimensions.conform(names)
        spec = self._with_datasets(QuerySpec().filtered([where, dataId], bind, kwargs), datasets, collections)
        return DataCoordinateQueryResults(self._butler._query_context, spec, names)

    def queryDimensionRecords(
        self,
        element: Any,
        *,
        dataId: Any = None,
        datasets: Any = None,
        collections: Any = None,
        where: str = "",
        bind: Mapping[str, Any] | None = None,
        check: bool = True,
        **kwargs: Any,
    ) -> DimensionRecordQueryResults:
        """Find records of a dimension element."""
        refuse_options(self.queryDimensionRecords, kwargs, self.dimensions)
        name = getattr(element, "name", element)
        check_element(self.dimensions, name)
        spec = self._with_datasets(QuerySpec().filtered([where, dataId], bind, kwargs), datasets, collections)
        return DimensionRecordQueryResults(self._butler._query_context, spec, name)
