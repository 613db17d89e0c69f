"""A butler that keeps datasets in memory, for tests of tasks and executors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from armillary._words import did_you_mean
from armillary.butler.limited import DatasetRefURIs, LimitedButler
from armillary.butler.metrics import ButlerMetrics
from armillary.errors import ConflictingDefinitionError, MissingDatasetTypeError
from armillary.storage.in_memory_datastore import InMemoryDatastore
from armillary.storage.storage_class import find_storage_class

if TYPE_CHECKING:
    from armillary._core import DatasetRef, DatasetType, DimensionUniverse

__all__ = ["InMemoryLimitedButler"]


class InMemoryLimitedButler(LimitedButler):
    """Datasets by reference, in memory: nothing is searched for, nothing is written to files.

    A copy in another process (by pickling) holds what was put until then; what is put there stays there.

    Parameters
    ----------
    universe
        All dimensions.
    dataset_types
        The dataset types that may be put.

    Examples
    --------
    >>> from armillary.butler import DataCoordinate, DatasetRef, DatasetType, DimensionUniverse
    >>> universe = DimensionUniverse()
    >>> summary = DatasetType("summary", [], "StructuredDataDict", universe=universe)
    >>> butler = InMemoryLimitedButler(universe, [summary])
    >>> ref = butler.put({"a": 1}, DatasetRef(summary, DataCoordinate.make_empty(universe), run="u/me"))
    >>> butler.get(ref), butler.stored(ref)
    ({'a': 1}, True)
    """

    def __init__(self, universe: DimensionUniverse, dataset_types: Iterable[DatasetType] = ()) -> None:
        self._universe = universe
        self._dataset_types = {found.name: found for found in dataset_types}
        self._metrics = ButlerMetrics()
        self._datastore = InMemoryDatastore({"name": "memory"})
        self._refs: dict[Any, DatasetRef] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self._universe, list(self._dataset_types.values()), self.get_datasets())

    @property
    def dimensions(self) -> DimensionUniverse:
        """All dimensions."""
        return self._universe

    def isWriteable(self) -> bool:
        """Whether datasets can be put: yes."""
        return True

    def factory(self, quantum: Any) -> InMemoryLimitedButler:
        """Return this butler: what `SingleQuantumExecutor` takes as `limited_butler_factory`."""
        del quantum
        return self

    def get(self, ref: Any, /, *, parameters: Mapping[str, Any] | None = None, storageClass: Any = None) -> Any:
        """Give a copy of a dataset, or of a component or part of it.

        Raises
        ------
        FileNotFoundError
            It was not put.
        TypeError
            It does not convert to the storage class asked for.
        """
        wanted = str(ref.datasetType.storageClass_name) if storageClass is None else storageClass
        with self._metrics.instrument_get():
            return self._datastore.get(ref, parameters=parameters, storage_class=wanted)

    def put(self, obj: Any, ref: Any, /, *, provenance: Any = None) -> DatasetRef:
        """Keep a copy of a dataset.

        Raises
        ------
        ConflictingDefinitionError
            It was put before.
        MissingDatasetTypeError
            Its dataset type is none of those this butler was made for.
        TypeError
            The object cannot be made one of its storage class.
        ValueError
            It is a component.
        """
        del provenance
        if ref.isComponent():
            raise ValueError(f"{ref} is a component: put the whole, and read the component from it")
        name = ref.datasetType.name
        if name not in self._dataset_types:
            near = did_you_mean(name, self._dataset_types)
            raise MissingDatasetTypeError(f"dataset type `{name}` is none of those that this butler was made for{near}")
        if ref.id in self._refs:
            raise ConflictingDefinitionError(f"the dataset {ref} is already there")
        storage_class = find_storage_class(str(ref.datasetType.storageClass_name))
        with self._metrics.instrument_put():
            self._datastore.put(storage_class.delegate().copy(storage_class.coerce_type(obj)), ref)
        self._refs[ref.id] = ref
        return ref  # type: ignore[no-any-return]

    def get_datasets(self, dataset_type: str | None = None) -> dict[DatasetRef, object]:
        """Return what is here, by reference.

        Parameters
        ----------
        dataset_type
            Name of the one dataset type that is wanted.
        """
        refs = [ref for ref in self._refs.values() if dataset_type in (None, ref.datasetType.name)]
        return {ref: self._datastore.get(ref) for ref in refs}

    def stored_many(self, refs: Iterable[DatasetRef]) -> dict[DatasetRef, bool]:
        """Tell which datasets are here."""
        return {ref: ref.id in self._refs for ref in refs}

    def pruneDatasets(
        self,
        refs: Iterable[DatasetRef],
        *,
        disassociate: bool = True,
        unstore: bool = False,
        tags: Iterable[str] = (),
        purge: bool = False,
    ) -> None:
        """Forget datasets, whatever the options say: there are no collections to take them from."""
        del disassociate, unstore, tags, purge
        ids = [ref.id for ref in refs]
        self._datastore.remove(ids)
        for one in ids:
            self._refs.pop(one, None)

    def getURIs(self, ref: Any, /, *, predict: bool = False) -> DatasetRefURIs:
        """Refuse: there are no files."""
        self._refuse()

    def get_datastore_names(self) -> tuple[str, ...]:
        """Refuse: there is no datastore."""
        self._refuse()

    def get_datastore_roots(self) -> dict[str, Any]:
        """Refuse: there is no datastore."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotImplementedError("an `InMemoryLimitedButler` has no datastore: its datasets are in no file")


def _restored(
    cls: type[InMemoryLimitedButler],
    universe: DimensionUniverse,
    dataset_types: list[DatasetType],
    datasets: dict[DatasetRef, object],
) -> InMemoryLimitedButler:
    """Make a butler with datasets in it."""
    made = cls(universe, dataset_types)
    for ref, value in datasets.items():
        made.put(value, ref)
    made._metrics.reset()
    return made
