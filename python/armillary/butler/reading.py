"""Finding and reading datasets: the methods of `Butler` that change nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from armillary import _core
from armillary.butler.call_options import refuse_options
from armillary.butler.collection_type import DatasetExistence
from armillary.butler.data_id_rewriting import TEMPORAL, rewrite_data_id
from armillary.butler.limited import DatasetRefURIs, LimitedButler
from armillary.butler.query_spec import QueryContext, type_name
from armillary.errors import (
    ButlerUserError,
    DataIdValueError,
    DatasetNotFoundError,
    DimensionNameError,
    DimensionValueError,
    NoDefaultCollectionError,
)

if TYPE_CHECKING:
    from armillary._core import DataCoordinate, DatasetRef, DatasetType, Timespan

__all__ = ["Defaults", "ReadingMixin"]

SHOWN_VALUES = 5
"""Values of a dimension that an error names at the most."""


@dataclasses.dataclass(frozen=True)
class Defaults:
    """What is used when a call does not say."""

    collections: tuple[str, ...] = ()
    run: str | None = None
    data_id: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    infer: bool = True
    given: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _as_uuid(id: Any) -> Any:
    return uuid.UUID(id) if isinstance(id, str) else id


def _values(data_id: Any) -> dict[str, Any]:
    """The values of a data ID in any form."""
    try:
        return {**(getattr(data_id, "mapping", data_id) or {})}
    except TypeError:
        raise TypeError(f"`{data_id}` is no data ID; give a mapping such as {{'visit': 10}}, or keywords") from None


class ReadingMixin(LimitedButler):
    """`get`, `find_dataset` and what belongs to them."""

    _core_registry: _core.Registry
    _defaults: Defaults

    @property
    def _datastore(self) -> Any:
        raise NotImplementedError

    @property
    def _query_context(self) -> QueryContext:
        raise NotImplementedError

    # -- finding

    def get_dataset_type(self, name: str) -> DatasetType:
        """Give a dataset type by name.

        Raises
        ------
        MissingDatasetTypeError
            If there is none; names the nearest.
        """
        return self._core_registry.dataset_type(name)

    def _collections_to_search(self, collections: Any) -> list[str]:
        return self._query_context.search_path(collections, globs_allowed=False)

    def _standardize(self, dataset_type: DatasetType, data_id: Any, kwargs: Mapping[str, Any]) -> DataCoordinate:
        """Make the data ID of a dataset type from what the user gave."""
        try:
            self._check_keys(dataset_type, data_id, kwargs)
            return _core.DataCoordinate.standardize(
                data_id,
                dimensions=dataset_type.dimensions,
                universe=self.dimensions,
                defaults=self._defaults.data_id,
                **kwargs,
            )
        except (DimensionNameError, DimensionValueError):
            given = rewrite_data_id(self, dataset_type, data_id, kwargs)
            return _core.DataCoordinate.standardize(
                given, dimensions=dataset_type.dimensions, universe=self.dimensions, defaults=self._defaults.data_id
            )

    def _check_keys(self, dataset_type: DatasetType, data_id: Any, kwargs: Mapping[str, Any]) -> None:
        """Raise `DimensionNameError` for a key that is no dimension, which would be ignored else."""
        given = kwargs if data_id is None else {**_values(data_id), **kwargs}
        dimensions = dataset_type.dimensions
        for key in given:
            if key not in dimensions and key not in self.dimensions.dimensions.names:
                raise DimensionNameError(f"no dimension is called `{key}`")

    def _standardize_search(
        self, dataset_type: DatasetType, data_id: Any, kwargs: Mapping[str, Any], timespan: Timespan | None
    ) -> tuple[DataCoordinate, Timespan | None]:
        """Make the data ID to search for, and when a calibration must be valid.

        An exposure or visit in the data ID of a calibration gives its time, and values that it implies and the user
        left out: the filter of a flat.
        """
        if not dataset_type.isCalibration():
            return self._standardize(dataset_type, data_id, kwargs), timespan
        given = {**self._defaults.data_id, **_values(data_id), **kwargs}
        coordinate = None
        try:
            self._check_keys(dataset_type, given, {})
            coordinate = _core.DataCoordinate.standardize(
                given, dimensions=dataset_type.dimensions, universe=self.dimensions
            )
        except (DimensionNameError, DimensionValueError):
            given = rewrite_data_id(self, dataset_type, data_id, kwargs)
        if any(isinstance(given.get(name), str) for name in TEMPORAL):
            given = rewrite_data_id(self, dataset_type, given, {})
        observation = self._observation(dataset_type, given)
        if coordinate is None:
            if observation is not None:
                given = {key: observation[key] for key in observation.dimensions.names} | given
            coordinate = _core.DataCoordinate.standardize(
                given, dimensions=dataset_type.dimensions, universe=self.dimensions
            )
        if timespan is None and observation is not None:
            timespan = observation.timespan
        return coordinate, timespan

    def _observation(self, dataset_type: DatasetType, given: Mapping[str, Any]) -> DataCoordinate | None:
        """Give the exposure or visit, with records, that a data ID has beside the dimensions of a calibration."""
        for name in TEMPORAL:
            if name in given and name not in dataset_type.dimensions:
                plain = {key: given[key] for key in ("instrument", name) if key in given}
                return self._expand(plain, [name], {})
        return None

    def _expand(
        self, data_id: Any, dimensions: Any, kwargs: Mapping[str, Any], *, with_defaults: bool = True
    ) -> DataCoordinate:
        plain = _core.DataCoordinate.standardize(
            data_id,
            dimensions=dimensions,
            universe=self.dimensions,
            defaults=self._defaults.data_id if with_defaults else None,
            **kwargs,
        )
        return self._core_registry.expand_data_id(plain)

    def find_dataset(
        self,
        dataset_type: DatasetType | str,
        data_id: Any = None,
        *,
        collections: Any = None,
        timespan: Timespan | None = None,
        storage_class: Any = None,
        dimension_records: bool = False,
        datastore_records: bool = False,
        **kwargs: Any,
    ) -> DatasetRef | None:
        """Find the first dataset of a type and data ID in collections, or None.

        Parameters
        ----------
        timespan
            When a calibration must be valid; by default that of an exposure or visit in the data ID.

        Raises
        ------
        CalibrationLookupError
            If several calibrations are valid.
        """
        refuse_options(self.find_dataset, kwargs, self.dimensions, is_query=False)
        found_type = self._core_registry.dataset_type(type_name(dataset_type))
        coordinate, timespan = self._standardize_search(found_type, data_id, kwargs, timespan)
        path = self._collections_to_search(collections)
        ref = self._core_registry.find_dataset(found_type.name, coordinate, path, timespan=timespan)
        if ref is None:
            return None
        if dimension_records:
            ref = ref.expanded(self._core_registry.expand_data_id(ref.dataId))
        return ref if storage_class is None else ref.overrideStorageClass(storage_class)

    def get_dataset(
        self,
        id: Any,
        *,
        storage_class: Any = None,
        dimension_records: bool = False,
        datastore_records: bool = False,
    ) -> DatasetRef | None:
        """Give the dataset that has an id, or None.

        Parameters
        ----------
        id
            A `uuid.UUID`, or the text of one; text that is none raises `ValueError`.
        storage_class
            Storage class, or its name, the reference shall have.
        dimension_records
            If true, the data ID comes with its records.

        Examples
        --------
        >>> from armillary.testing import small_repository
        >>> with small_repository(run="u/me") as butler:
        ...     ref = butler.put({"a": 1}, "summary", instrument="Cam")
        ...     butler.get_dataset(ref.id) == ref
        True
        """
        ref = self._core_registry.get_dataset(_as_uuid(id))
        if ref is None:
            return None
        if dimension_records:
            ref = ref.expanded(self._core_registry.expand_data_id(ref.dataId))
        return ref if storage_class is None else ref.overrideStorageClass(storage_class)

    def get_many_datasets(self, ids: Iterable[Any]) -> list[DatasetRef]:
        """Give the datasets that have these ids, each once; ids that nothing has are passed over."""
        wanted = list(dict.fromkeys(map(_as_uuid, ids)))
        return [ref for ref in self._core_registry.get_datasets(wanted) if ref is not None]

    def _find_records(
        self, wanted: Any, data_id: Any, collections: Any, timespan: Timespan | None, kwargs: Mapping[str, Any]
    ) -> tuple[DatasetRef, list[_core.FileRecord]]:
        """Find a dataset and where its files are, for reading."""
        if isinstance(wanted, _core.DatasetRef):
            if data_id is not None or kwargs:
                raise ValueError("a dataset reference already has its data ID; give one or the other")
            return wanted, self._records_of(wanted)
        dataset_type = self._core_registry.dataset_type(type_name(wanted))
        coordinate, timespan = self._standardize_search(dataset_type, data_id, kwargs, timespan)
        path = self._collections_to_search(collections)
        found = self._datastore.find_records(self._core_registry, dataset_type.name, coordinate, path, timespan)
        if found is None:
            raise DatasetNotFoundError(self._not_found_message(dataset_type, coordinate, path))
        ref, records = found
        if not records and self._datastore.trusts_requests:
            records = self._records_of(ref)
        if not isinstance(wanted, str) and wanted.storageClass_name != ref.datasetType.storageClass_name:
            ref = ref.overrideStorageClass(wanted.storageClass_name)
        return ref, records

    def _not_found_message(self, dataset_type: DatasetType, coordinate: DataCoordinate, path: list[str]) -> str:
        message = f"no `{dataset_type.name}` with data ID {coordinate} in {', '.join(f'`{name}`' for name in path)}"
        parent = dataset_type.nameAndComponent()[0]
        column = f"{parent}.collection"
        rows = self._query_context.engine.general(
            [], [column], joins=[(parent, ["*"])], data_id=dict(coordinate.required)
        )
        elsewhere = sorted(set(rows.columns()[column]).difference(self._core_registry.flatten_collections(path)))
        if elsewhere:
            more = ", ..." if len(elsewhere) > 3 else ""
            return f"{message}; it is in {', '.join(f'`{name}`' for name in elsewhere[:3])}{more}"
        return f"{message}, nor in any other collection{self._what_there_is(parent, coordinate, path)}"

    def _what_there_is(self, name: str, coordinate: DataCoordinate, path: list[str]) -> str:
        """End a message: the value without a record, or what there is with another value of one dimension."""
        try:
            self._core_registry.expand_data_id(coordinate)
        except DataIdValueError as error:
            return f": that data ID {str(error).removeprefix(f'data ID {coordinate} ')}"
        given = dict(coordinate.required)
        for dimension, value in reversed(given.items()):
            others = {key: other for key, other in given.items() if key != dimension}
            with contextlib.suppress(ButlerUserError):  # the others may need this one, as visits their instrument
                ids = self.registry.queryDataIds(  # type: ignore[attr-defined]  # of `Butler`
                    [dimension], datasets=name, collections=path, dataId=others
                )
                near = [item[dimension] for item in _neighbours(ids, dimension, value)]
                if near:
                    return f"; there is one with `{dimension}` {' and '.join(f'`{other}`' for other in near)}"
        return "; `query_datasets` lists what there is"

    def _records_of(self, ref: DatasetRef) -> list[_core.FileRecord]:
        """Records of a dataset's files; if the datastore trusts requests, also of files the database does not know."""
        datastore = self._datastore
        records: list[_core.FileRecord] = datastore.records(self._core_registry, [ref.id])
        if not records and datastore.trusts_requests:
            whole = ref.makeCompositeRef() if ref.isComponent() else ref
            records = datastore.trusted_records(self._with_records(whole))
        return records

    def _need_records(self, ref: DatasetRef, records: list[_core.FileRecord]) -> list[_core.FileRecord]:
        if not records:
            raise FileNotFoundError(f"the dataset {ref} is known to the registry, but no file of it is stored")
        return records

    # -- reading

    def get(
        self,
        datasetRefOrType: Any,
        /,
        dataId: Any = None,
        *,
        parameters: Mapping[str, Any] | None = None,
        collections: Any = None,
        storageClass: Any = None,
        timespan: Timespan | None = None,
        **kwargs: Any,
    ) -> Any:
        """Read a dataset.

        Parameters
        ----------
        datasetRefOrType
            A reference, or a dataset type or its name (`"calexp"`, `"calexp.wcs"`).
        dataId, **kwargs
            Which one. Record fields may stand for keys: `exposure.day_obs`, `detector="S00"`.
        parameters
            What part of it to read, as its storage class allows: `{"columns": [...]}`, or of a FITS image
            `{"bbox": {"x_min": 0, "x_max": 9, "y_min": 0, "y_max": 4}}`, a box that holds its four limits.
        storageClass
            Storage class, or its name, to convert the result to.
        timespan
            When a calibration must be valid.

        Raises
        ------
        DatasetNotFoundError
            If there is none; says where else it is.
        FileNotFoundError
            If its file is gone.
        """
        refuse_options(self.get, kwargs, self.dimensions, is_query=False)
        with self._metrics.instrument_get():
            ref, records = self._find_records(datasetRefOrType, dataId, collections, timespan, kwargs)
            return self._datastore.get(
                ref, self._need_records(ref, records), parameters=parameters, storage_class=storageClass
            )

    def getDeferred(
        self,
        datasetRefOrType: Any,
        /,
        dataId: Any = None,
        *,
        parameters: Mapping[str, Any] | None = None,
        collections: Any = None,
        storageClass: Any = None,
        timespan: Timespan | None = None,
        **kwargs: Any,
    ) -> Any:
        """Find a dataset now and read it later."""
        refuse_options(self.getDeferred, kwargs, self.dimensions, is_query=False)
        ref, records = self._find_records(datasetRefOrType, dataId, collections, timespan, kwargs)
        self._need_records(ref, records)
        return super().getDeferred(ref, parameters=parameters, storageClass=storageClass)

    def stored_many(self, refs: Iterable[DatasetRef]) -> dict[DatasetRef, bool]:
        """Whether the files of datasets are there."""
        refs = list(refs)
        by_id: dict[Any, list[_core.FileRecord]] = {}
        for record in self._datastore.records(self._core_registry, [ref.id for ref in refs]):
            by_id.setdefault(record.dataset_id, []).append(record)
        if self._datastore.trusts_requests:
            for ref in refs:
                by_id.setdefault(ref.id, self._records_of(ref) if ref.id not in by_id else [])
        return {ref: bool(by_id.get(ref.id)) and self._datastore.exists(by_id[ref.id]) for ref in refs}

    def exists(
        self,
        dataset_ref_or_type: Any,
        /,
        data_id: Any = None,
        *,
        full_check: bool = True,
        collections: Any = None,
        **kwargs: Any,
    ) -> DatasetExistence:
        """Say what is known of a dataset's existence."""
        refuse_options(self.exists, kwargs, self.dimensions, is_query=False)
        if isinstance(dataset_ref_or_type, _core.DatasetRef):
            ref: DatasetRef | None = dataset_ref_or_type
            known = self._core_registry.get_dataset(dataset_ref_or_type.id) is not None
        else:
            try:
                ref, _ = self._find_records(dataset_ref_or_type, data_id, collections, None, kwargs)
            except DatasetNotFoundError:
                ref = None
            known = ref is not None
        if ref is None:
            return DatasetExistence.UNRECOGNIZED
        result = DatasetExistence.RECORDED if known else DatasetExistence.UNRECOGNIZED
        records = self._datastore.records(self._core_registry, [ref.id])
        if records:
            result |= DatasetExistence.DATASTORE
            if not full_check:
                result |= DatasetExistence._ASSUMED
            elif self._datastore.exists(records):
                result |= DatasetExistence._ARTIFACT
        return result

    def _exists_many(
        self, refs: Iterable[DatasetRef], /, *, full_check: bool = True
    ) -> dict[DatasetRef, DatasetExistence]:
        return {ref: self.exists(ref, full_check=full_check) for ref in refs}

    def getURIs(
        self,
        datasetRefOrType: Any,
        /,
        dataId: Any = None,
        *,
        predict: bool = False,
        collections: Any = None,
        run: str | None = None,
        **kwargs: Any,
    ) -> DatasetRefURIs:
        """Where the files of a dataset are; with `predict`, where they would be written."""
        refuse_options(self.getURIs, kwargs, self.dimensions, is_query=False)
        try:
            ref, records = self._find_records(datasetRefOrType, dataId, collections, None, kwargs)
        except DatasetNotFoundError:
            if not predict:
                raise
            ref, records = self._new_ref(datasetRefOrType, dataId, run, kwargs), []
        if not records:
            if not predict:
                raise FileNotFoundError(f"the dataset {ref} is not in this datastore")
            records = self._datastore.predict_records(self._with_records(ref))
        return DatasetRefURIs.of(self._datastore, records)

    def getURI(
        self,
        datasetRefOrType: Any,
        /,
        dataId: Any = None,
        *,
        predict: bool = False,
        collections: Any = None,
        run: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Where the one file of a dataset is."""
        uris = self.getURIs(datasetRefOrType, dataId, predict=predict, collections=collections, run=run, **kwargs)
        if uris.primaryURI is None:
            raise RuntimeError(f"`{datasetRefOrType}` is stored in components; ask for their places with `getURIs`")
        return uris.primaryURI

    def _new_ref(self, wanted: Any, data_id: Any, run: str | None, kwargs: Mapping[str, Any]) -> DatasetRef:
        """Make the reference of a dataset that is to be written."""
        if isinstance(wanted, _core.DatasetRef):
            if data_id is not None or kwargs:
                raise ValueError("a dataset reference already has its data ID; give one or the other")
            return wanted
        run = run or self._defaults.run
        if run is None:
            raise NoDefaultCollectionError("no run to write to: give `run=`, or open the butler with a run")
        dataset_type = self._core_registry.dataset_type(type_name(wanted), recent=True)
        if not isinstance(wanted, str) and wanted.storageClass_name != dataset_type.storageClass_name:
            dataset_type = dataset_type.overrideStorageClass(wanted.storageClass_name)
        return _core.DatasetRef(dataset_type, self._standardize(dataset_type, data_id, kwargs), run)

    def _with_records(self, ref: DatasetRef, *, to_write: bool = False) -> DatasetRef:
        if ref.dataId.hasRecords() or not self._datastore.needs_records(ref.datasetType):
            return ref
        return ref.expanded(self._core_registry.expand_data_id(ref.dataId, to_write=to_write))


def _neighbours(ids: Any, dimension: str, value: Any) -> list[Any]:
    """The data IDs on both sides of an integer, or the first few with text."""
    if not isinstance(value, int):
        return list(ids.order_by(dimension).limit(SHOWN_VALUES))
    sides = (("<", f"-{dimension}"), (">", dimension))
    bind = {"value_not_found": value}
    found = (ids.where(f"{dimension} {side} value_not_found", bind=bind).order_by(order) for side, order in sides)
    return [data_id for one_side in found for data_id in one_side.limit(1)]
