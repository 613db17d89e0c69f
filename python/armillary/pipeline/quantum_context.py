"""What a task sees of the butler while one quantum runs."""

from __future__ import annotations

import logging
import numbers
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from armillary._words import nearest
from armillary.pipeline.connections import DeferredDatasetRef, InputQuantizedConnection, OutputQuantizedConnection
from armillary.pipeline.struct import Struct

__all__ = ["ExecutionResources", "QuantumContext"]

_LOG = logging.getLogger(__name__)

DatasetRef: TypeAlias = Any
LimitedButler: TypeAlias = Any
Quantum: TypeAlias = Any


class ExecutionResources:
    """What a quantum may use. Advice for the task; nothing enforces it.

    Parameters
    ----------
    num_cores
        How many cores; at least 1.
    max_mem
        Memory: a quantity, a number in `default_mem_units`, text such as `"3 GB"`, or None for no limit.
    default_mem_units
        Unit of a bare number, bytes by default.

    Raises
    ------
    ValueError
        `num_cores` is below 1, or `max_mem` has no unit of memory.

    Examples
    --------
    >>> from armillary.pipeline import ExecutionResources
    >>> ExecutionResources(num_cores=2).num_cores
    2

    """

    def __init__(self, *, num_cores: int = 1, max_mem: Any = None, default_mem_units: Any = None) -> None:
        if not isinstance(num_cores, numbers.Integral) or num_cores < 1:
            raise ValueError(f"the number of cores is a whole number, at least 1; `{num_cores}` is not")
        self._num_cores: int = int(num_cores)
        self._max_mem: Any = None if max_mem is None or max_mem == "" else _memory(max_mem, default_mem_units)

    @property
    def num_cores(self) -> int:
        """How many cores the task may use."""
        return self._num_cores

    @property
    def max_mem(self) -> Any:
        """Memory the task may use, an astropy quantity in bytes, or None."""
        return self._max_mem

    def __reduce__(self) -> Any:
        return _make_resources, (self._num_cores, self._max_mem)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExecutionResources):
            return NotImplemented
        return bool(self._num_cores == other._num_cores and self._max_mem == other._max_mem)

    def __hash__(self) -> int:
        return hash(self._num_cores)

    def __repr__(self) -> str:
        return f"ExecutionResources(num_cores={self._num_cores}, max_mem={self._max_mem!r})"


def _make_resources(num_cores: int, max_mem: Any) -> ExecutionResources:
    return ExecutionResources(num_cores=num_cores, max_mem=max_mem)


def _memory(value: Any, default_unit: Any) -> Any:
    import astropy.units as u  # half a second of CPU that most runs never need

    unit = u.byte if default_unit is None else default_unit
    quantity = u.Quantity(value)
    if quantity.unit.is_equivalent(u.dimensionless_unscaled):
        quantity = u.Quantity(quantity.value, unit)
    return quantity.to(u.byte)


class QuantumContext:
    """Reads and writes the datasets of one quantum, and no others.

    Parameters
    ----------
    butler
        Where datasets are read from and written to.
    quantum
        The quantum being run.
    resources
        What the task may use.
    quantum_id
        Identifier of the quantum, noted in what it writes.

    Examples
    --------
    Inside `runQuantum`::

        inputs = butlerQC.get(inputRefs)                   # a dictionary by connection name
        butlerQC.put(self.run(**inputs), outputRefs)

    """

    def __init__(
        self,
        butler: LimitedButler,
        quantum: Quantum,
        *,
        resources: ExecutionResources | None = None,
        quantum_id: uuid.UUID | None = None,
    ) -> None:
        self.quantum = quantum
        self.quantum_id = quantum_id
        self.resources = ExecutionResources() if resources is None else resources
        self.allInputs = {_key(ref) for refs in quantum.inputs.values() for ref in refs}
        self.allOutputs = {_key(ref) for refs in quantum.outputs.values() for ref in refs}
        self.outputsPut: set[tuple[str, Any]] = set()
        self._extra_provenance: dict[uuid.UUID, dict[str, int | float | str | bool]] = {}
        self._read: dict[uuid.UUID, DatasetRef] = {}
        self.__butler = butler

    @property
    def dimensions(self) -> Any:
        """The dimension universe of the butler."""
        return self.__butler.dimensions

    def get(
        self,
        dataset: InputQuantizedConnection
        | list[DatasetRef | None]
        | list[DeferredDatasetRef | None]
        | DatasetRef
        | DeferredDatasetRef
        | None,
    ) -> Any:
        """Read datasets.

        Parameters
        ----------
        dataset
            All inputs, a list of references, or one; None stands for itself.

        Returns
        -------
        values
            A dictionary by connection name, a list, or one value; handles in place of values where loading is
            deferred.

        Raises
        ------
        ValueError
            A reference is no input of this quantum.
        TypeError
            The argument is something else.

        """
        if isinstance(dataset, InputQuantizedConnection):
            return {
                name: [self._get(ref) for ref in refs] if isinstance(refs, list | tuple) else self._get(refs)
                for name, refs in dataset
            }
        if isinstance(dataset, list | tuple):
            return [self._get(ref) for ref in dataset]
        return self._get(dataset)

    def _get(self, ref: DatasetRef | DeferredDatasetRef | None) -> Any:
        if ref is None:
            return None
        deferred = isinstance(ref, DeferredDatasetRef)
        actual = ref.datasetRef if deferred else ref
        if not hasattr(actual, "datasetType"):
            raise TypeError(f"only dataset references can be read, not `{type(ref).__name__}`")
        self._check(actual, self.allInputs, "input")
        self._read[actual.id] = actual
        return self.__butler.getDeferred(actual) if deferred else self.__butler.get(actual)

    def put(
        self, values: Struct | list[Any] | Any, dataset: OutputQuantizedConnection | list[DatasetRef] | DatasetRef
    ) -> None:
        """Write datasets.

        Parameters
        ----------
        values
            A `Struct` with a value for each output by connection name, where what is absent or None is not written;
            or a list of values; or one value.
        dataset
            All outputs, a list of references of the same length, or one reference.

        Raises
        ------
        ValueError
            A reference is no output of this quantum, or values and references do not correspond.

        """
        if isinstance(dataset, OutputQuantizedConnection):
            if not isinstance(values, Struct):
                raise ValueError(
                    f"the outputs of a quantum are given as a Struct, one item for each connection; "
                    f"`run` returned `{type(values).__name__}`"
                )
            for name, refs in dataset:
                self._put_connection(name, getattr(values, name, None), refs)
            self._warn_of_misspelt({name for name, _ in dataset}, set(values.getDict()))
        elif isinstance(dataset, list | tuple):
            if isinstance(values, str | bytes) or not isinstance(values, Sequence):
                raise ValueError(f"several datasets need a list of values, not `{type(values).__name__}`")
            if len(values) != len(dataset):
                raise ValueError(f"there are {len(values)} values for {len(dataset)} datasets")
            for value, ref in zip(values, dataset, strict=True):
                self._put(value, ref)
        else:
            self._put(values, dataset)

    def _warn_of_misspelt(self, connections: set[str], given: set[str]) -> None:
        """What `run` leaves out is not written, so that a misspelt name would be an output that is quietly missing."""
        for name in sorted(connections - given):
            if (near := nearest(name, given - connections)) is not None:
                _LOG.warning(
                    "task `%s` gave nothing for its output `%s`, and `%s`, which is no output: is that it?",
                    self.quantum.taskName,
                    name,
                    near,
                )

    def _put_connection(self, name: str, value: Any, refs: Any) -> None:
        if value is None:
            return
        if not isinstance(refs, list | tuple):
            self._put(value, refs)
            return
        values = list(value)
        if len(values) != len(refs):
            raise ValueError(f"output `{name}` has {len(refs)} datasets, and {len(values)} values were given for it")
        for item, ref in zip(values, refs, strict=True):
            self._put(item, ref)

    def _put(self, value: Any, ref: DatasetRef) -> None:
        self._check(ref, self.allOutputs, "output")
        self.__butler.put(value, ref, provenance=self.provenance())
        self.outputsPut.add(_key(ref))

    def provenance(self) -> Any:
        """Return what is noted in the files this quantum writes: the quantum, and what it has read so far."""
        from armillary.storage.provenance import DatasetProvenance

        made = DatasetProvenance(quantum_id=self.quantum_id)
        for ref in self._read.values():
            made.add_input(ref)
        for dataset_id, extra in self._extra_provenance.items():
            made.add_extra_provenance(dataset_id, extra)
        return made

    def add_additional_provenance(self, ref: DatasetRef, extra: Mapping[str, int | float | str | bool]) -> None:
        """Note facts about an input that has been read in every file written from now on.

        Raises
        ------
        ValueError
            The reference has not been read, or a value is no number, string or boolean.

        """
        if ref.id not in self._read:
            raise ValueError(f"dataset {ref} has not been read by this quantum, so nothing can be noted about it")
        for name, value in extra.items():
            if not isinstance(value, int | float | str | bool):
                raise ValueError(f"`{name}` is {value!r}; only numbers, strings and booleans can be noted")
        self._extra_provenance.setdefault(ref.id, {}).update(extra)

    def _check(self, ref: DatasetRef, allowed: set[tuple[str, Any]], role: str) -> None:
        if _key(ref) not in allowed:
            raise ValueError(
                f"`{ref.datasetType.name}` with data ID {ref.dataId} is no {role} of the quantum being run; "
                "the connections of the task say what it may read and write"
            )


def _key(ref: DatasetRef) -> tuple[str, Any]:
    return ref.datasetType.name, ref.dataId
