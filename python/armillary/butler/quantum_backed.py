"""A butler for the inputs and outputs of known quanta: no registry, no searching."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from armillary.butler.limited import DatasetRefURIs, LimitedButler
from armillary.butler.metrics import ButlerMetrics
from armillary.errors import ConflictingDefinitionError

if TYPE_CHECKING:
    from armillary._core import DataCoordinate, DatasetRef, DimensionUniverse, FileRecord

__all__ = ["Quantum", "QuantumBackedButler"]


@dataclasses.dataclass
class Quantum:
    """One execution of a task: its data ID, inputs and outputs.

    Attributes
    ----------
    taskName
        Full name of the task class.
    dataId
        Data ID of the quantum.
    inputs, outputs
        References by dataset type name.
    initInputs
        References of the task's init-inputs, by dataset type name.
    datastore_records
        Where overall inputs are stored, by datastore name.
    """

    taskName: str = ""
    dataId: DataCoordinate | None = None
    inputs: Mapping[str, list[DatasetRef]] = dataclasses.field(default_factory=dict)
    outputs: Mapping[str, list[DatasetRef]] = dataclasses.field(default_factory=dict)
    initInputs: Mapping[str, DatasetRef] = dataclasses.field(default_factory=dict)
    datastore_records: Mapping[str, list[FileRecord]] = dataclasses.field(default_factory=dict)
    taskClass: Any = None
    quantum_id: uuid.UUID | None = None


class QuantumBackedButler(LimitedButler):
    """Reads and writes the datasets of quanta straight in the datastore.

    What is written is remembered (`written`), so that one writer can register it later.

    Parameters
    ----------
    datastore
        Where files are.
    universe
        All dimensions.
    records
        Records of datasets that exist, by dataset id; all others are read from where their quanta would put them.
    predicted_outputs
        Ids of datasets that may be written.
    sync
        When what is written is made to outlast a power cut: `"each"` dataset at once; `"quantum"`, when
        `sync_written` is called; `"later"` by somebody else.
    """

    def __init__(
        self,
        datastore: Any,
        universe: DimensionUniverse,
        records: Mapping[uuid.UUID, list[FileRecord]],
        predicted_outputs: Iterable[uuid.UUID] = (),
        metrics: ButlerMetrics | None = None,
        sync: Literal["each", "quantum", "later"] = "each",
    ):
        self._datastore = datastore if sync == "each" else datastore.without_sync()
        self._syncing = datastore if sync == "quantum" else None
        self._unsynced: list[str] = []
        self._universe = universe
        self._records = dict(records)
        self._predicted_outputs = set(predicted_outputs)
        self._metrics = metrics or ButlerMetrics()
        self.written: dict[uuid.UUID, tuple[DatasetRef, list[FileRecord]]] = {}
        self.available_inputs: set[uuid.UUID] = set()
        self.actual_inputs: set[uuid.UUID] = set()
        self.unused_inputs: set[uuid.UUID] = set()

    @property
    def dimensions(self) -> DimensionUniverse:
        """All dimensions of the repository."""
        return self._universe

    def isWriteable(self) -> bool:
        """Whether datasets can be written: yes."""
        return True

    def get_datastore_names(self) -> tuple[str, ...]:
        """Names of the datastores."""
        return tuple(self._datastore.names)

    def get_datastore_roots(self) -> dict[str, Any]:
        """Where the datastore keeps its files, by its name."""
        return dict(self._datastore.roots)

    def _records_of(self, ref: DatasetRef) -> list[FileRecord]:
        known = self._records.get(ref.id)
        if known is not None:
            return known
        # Written by another process since: its place follows from what it is. A component is in the file of the whole.
        whole = ref.makeCompositeRef() if ref.isComponent() else ref
        return list(self._datastore.predict_records(whole))

    def get(self, ref: Any, /, *, parameters: Mapping[str, Any] | None = None, storageClass: Any = None) -> Any:
        """Read a dataset."""
        with self._metrics.instrument_get():
            records = self._records_of(ref)
            if not self._datastore.exists(records):
                raise FileNotFoundError(f"the dataset {ref} is not stored")
            value = self._datastore.get(ref, records, parameters=parameters, storage_class=storageClass)
        self.actual_inputs.add(ref.id)
        return value

    def put(self, obj: Any, ref: Any, /, *, provenance: Any = None) -> DatasetRef:
        """Write a dataset; its file is durable when this returns, unless that was left for later.

        Raises
        ------
        RuntimeError
            If it is not one of the predicted outputs.
        """
        if self._predicted_outputs and ref.id not in self._predicted_outputs:
            raise RuntimeError(f"the dataset {ref} is not an output of this quantum")
        if ref.id in self.written:
            raise ConflictingDefinitionError(f"the dataset {ref} is already written")
        with self._metrics.instrument_put():
            records = list(
                self._datastore.write(self._datastore.prepare(obj, ref, provenance=provenance, overwrite=True))
            )
        self._records[ref.id] = records
        self.written[ref.id] = (ref, records)
        if self._syncing is not None:
            self._unsynced.extend(record.path for record in records)
        return ref  # type: ignore[no-any-return]

    def sync_written(self) -> None:
        """Make everything stay that was written so far; what is written from here on stays at once."""
        if self._syncing is not None:
            self._syncing.sync(self._unsynced)
            self._datastore, self._syncing = self._syncing, None

    def stored_many(self, refs: Iterable[DatasetRef]) -> dict[DatasetRef, bool]:
        """Whether the files of datasets are there."""
        result = {}
        for ref in refs:
            result[ref] = bool(self._datastore.exists(self._records_of(ref)))
            if result[ref]:
                self.available_inputs.add(ref.id)
        return result

    def getURIs(self, ref: Any, /, *, predict: bool = False) -> DatasetRefURIs:
        """Where the files of a dataset are, or would be written."""
        records = self._records_of(ref)
        if not predict and not self._datastore.exists(records):
            raise FileNotFoundError(f"the dataset {ref} is not in this datastore")
        return DatasetRefURIs.of(self._datastore, records)

    def markInputUnused(self, ref: DatasetRef) -> None:
        """Say that a task did not use an input after all."""
        self.unused_inputs.add(ref.id)

    def pruneDatasets(
        self,
        refs: Iterable[DatasetRef],
        *,
        disassociate: bool = True,
        unstore: bool = False,
        tags: Iterable[str] = (),
        purge: bool = False,
    ) -> None:
        """Remove the files of datasets."""
        for ref in list(refs):
            if unstore:
                self._datastore.remove([record.path for record in self._records_of(ref)])
            self._records.pop(ref.id, None)
            self.written.pop(ref.id, None)
