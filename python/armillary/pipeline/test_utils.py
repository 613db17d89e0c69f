"""Helpers for the tests of task authors: quanta by hand, runs of one quantum, checks of connections."""

from __future__ import annotations

import unittest.mock
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from armillary.pipeline.connection_types import BaseInput, DimensionedConnection, InitInput
from armillary.pipeline.connections import PipelineTaskConnections
from armillary.pipeline.quantum_context import QuantumContext
from armillary.pipeline.struct import Struct

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef, Quantum
    from armillary.pipeline.pipeline_task import PipelineTask

__all__ = [
    "assertValidInitOutput",
    "assertValidOutput",
    "getInitInputs",
    "lintConnections",
    "makeQuantum",
    "runTestQuantum",
]


def _connections(task: PipelineTask) -> PipelineTaskConnections:
    made: PipelineTaskConnections = task.config.ConnectionsClass(config=task.config)
    return made


def makeQuantum(
    task: PipelineTask, butler: Butler, dataId: Any, ioDataIds: Mapping[str, Any | Sequence[Any]]
) -> Quantum:
    """Make a quantum of a task.

    Parameters
    ----------
    task
        The task.
    butler
        A repository whose collections hold the inputs and whose run takes the outputs.
    dataId
        Data ID of the quantum.
    ioDataIds
        Data ID, or for a `multiple` connection a list of data IDs, by connection name. What is missing is taken from
        `dataId`.

    Raises
    ------
    ValueError
        A connection is unknown or has a list where it takes one, or an input is not there.

    Examples
    --------
    `makeQuantum(task, butler, {"visit": 3}, {"raw": {"visit": 3}, "catalog": {"visit": 3}})`
    """
    from armillary.butler import DataCoordinate, Quantum

    connections = _connections(task)
    universe = butler.dimensions
    own = DataCoordinate.standardize(dataId, dimensions=universe.conform(connections.dimensions), universe=universe)
    own = butler.registry.expandDataId(own)
    unknown = sorted(ioDataIds.keys() - connections.allConnections.keys())
    if unknown:
        raise ValueError(f"`{type(task).__name__}` has no connection `{unknown[0]}`")
    inputs: dict[str, list[DatasetRef]] = {}
    outputs: dict[str, list[DatasetRef]] = {}
    for name, connection in connections.allConnections.items():
        if not isinstance(connection, DimensionedConnection):
            continue
        given = ioDataIds.get(name, [] if connection.multiple else dataId)
        if connection.multiple and (isinstance(given, Mapping | DataCoordinate) or not isinstance(given, Sequence)):
            raise ValueError(f"connection `{name}` is `multiple` and takes a list of data IDs, not {given!r}")
        if not connection.multiple and isinstance(given, list | tuple):
            raise ValueError(f"connection `{name}` takes one data ID, not the list {given!r}")
        side = inputs if isinstance(connection, BaseInput) else outputs
        ids = given if connection.multiple else [given]
        side.setdefault(connection.name, []).extend(_ref(butler, connection, one, side is inputs) for one in ids)
    return Quantum(type(task).__qualname__, own, inputs, outputs, {})


def _ref(butler: Butler, connection: DimensionedConnection, data_id: Any, must_exist: bool) -> DatasetRef:
    from armillary.butler import DataCoordinate, DatasetRef, DatasetType

    universe = butler.dimensions
    if must_exist:
        found = butler.find_dataset(connection.name, data_id)
        if found is None:
            raise ValueError(f"there is no `{connection.name}` with data ID {data_id} in the collections of the butler")
        if found.datasetType.storageClass_name != connection.storageClass:
            found = found.overrideStorageClass(connection.storageClass)
        return found
    dataset_type = DatasetType(
        connection.name,
        list(connection.dimensions),
        connection.storageClass,
        universe=universe,
        isCalibration=connection.isCalibration,
    )
    full = DataCoordinate.standardize(data_id, dimensions=dataset_type.dimensions, universe=universe)
    return DatasetRef(dataset_type, butler.registry.expandDataId(full), butler.run or "")


def runTestQuantum(
    task: PipelineTask, butler: Butler, quantum: Quantum, mockRun: bool = True
) -> unittest.mock.Mock | None:
    """Run one quantum in a test.

    Parameters
    ----------
    task
        The task.
    butler
        Where inputs are read from and outputs go.
    quantum
        The quantum; see `makeQuantum`.
    mockRun
        Whether `run` is replaced, so that only reading and writing is tested.

    Returns
    -------
    run
        What stood for `run`, to see how it was called; None when `run` was really called.
    """
    context = QuantumContext(butler, quantum)
    inputs, outputs = _connections(task).buildDatasetRefs(quantum)
    if not mockRun:
        task.runQuantum(context, inputs, outputs)
        return None
    with (
        unittest.mock.patch.object(task, "run") as run,
        unittest.mock.patch.object(QuantumContext, "put"),
    ):
        task.runQuantum(context, inputs, outputs)
    return run


def assertValidOutput(task: PipelineTask, result: Struct) -> None:
    """Check that the result of `run` has what the output connections promise.

    Raises
    ------
    AssertionError
        An output is missing, or is a list where one is promised, or one where a list is.

    Examples
    --------
    `assertValidOutput(task, task.run(**inputs))`
    """
    connections = _connections(task)
    for name in sorted(connections.outputs):
        connection = connections.allConnections[name]
        if not hasattr(result, name):
            raise AssertionError(f"the result of `{type(task).__name__}.run` has no `{name}`")
        _check_value(name, connection.storageClass, connection.multiple, getattr(result, name))


def _check_value(name: str, storage_class: str, multiple: bool, value: Any) -> None:
    from armillary.storage import storage_class_factory

    if multiple and (isinstance(value, str | bytes) or not isinstance(value, Sequence)):
        raise AssertionError(f"output `{name}` is `multiple`, but the value is no list: {value!r}")
    factory = storage_class_factory()
    if storage_class not in factory:
        raise AssertionError(f"output `{name}` has the unknown storage class `{storage_class}`")
    kind = factory.getStorageClass(storage_class)
    for item in value if multiple else [value]:
        if not kind.validateInstance(item):
            raise AssertionError(f"output `{name}` is a `{type(item).__name__}`, which is no `{storage_class}`")


def assertValidInitOutput(task: PipelineTask) -> None:
    """Check that a task has an attribute of the right type for every init-output.

    Raises
    ------
    AssertionError
        One is missing or of another type.
    """
    connections = _connections(task)
    for name in sorted(connections.initOutputs):
        connection = connections.allConnections[name]
        if not hasattr(task, name):
            raise AssertionError(f"`{type(task).__name__}` has no attribute `{name}` for its init-output")
        _check_value(name, connection.storageClass, connection.multiple, getattr(task, name))


def getInitInputs(butler: Butler, config: Any) -> dict[str, Any]:
    """Read what a task with this config is made with, by connection name."""
    connections: PipelineTaskConnections = config.ConnectionsClass(config=config)
    return {
        name: butler.get(connection.name)
        for name, connection in connections.allConnections.items()
        if isinstance(connection, InitInput)
    }


def lintConnections(
    connections: PipelineTaskConnections | type[PipelineTaskConnections],
    *,
    checkMissingMultiple: bool = True,
    checkUnnecessaryMultiple: bool = True,
) -> None:
    """Check connections for options that do not fit their dimensions.

    Parameters
    ----------
    connections
        Connections, or a class of them.
    checkMissingMultiple
        Whether to refuse connections with more dimensions than the task that are not `multiple`.
    checkUnnecessaryMultiple
        Whether to refuse connections with no more dimensions than the task that are `multiple`.

    Raises
    ------
    AssertionError
        Some do not fit; all are named.

    Examples
    --------
    >>> from armillary.pipeline import PipelineTaskConnections, connectionTypes as cT
    >>> from armillary.pipeline.test_utils import lintConnections
    >>> class SumConnections(PipelineTaskConnections, dimensions=("visit",)):
    ...     parts = cT.Input(name="part", storageClass="StructuredDataDict", dimensions=("visit", "detector"))
    >>> lintConnections(SumConnections)
    Traceback (most recent call last):
    ...
    AssertionError: connection `parts` has dimension `detector`, which the task has not, but is not `multiple`
    """
    problems: list[str] = []
    own = set(connections.dimensions)
    for name, connection in connections.allConnections.items():
        if not isinstance(connection, DimensionedConnection):
            continue
        more = sorted(set(connection.dimensions) - own)
        if checkMissingMultiple and more and not connection.multiple:
            problems.append(
                f"connection `{name}` has dimension `{more[0]}`, which the task has not, but is not `multiple`"
            )
        if checkUnnecessaryMultiple and not more and connection.multiple:
            problems.append(f"connection `{name}` is `multiple`, but has no dimension that the task has not")
    if problems:
        raise AssertionError("; ".join(problems))
