"""Tasks that run nothing: they read their inputs and write mock datasets that say so, or fail where they should."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from typing import Any

from lsst.pex.config import Config, ConfigDictField, ConfigurableField, Field, ListField

from armillary.pipeline import connectionTypes as cT
from armillary.pipeline.config import PipelineTaskConfig
from armillary.pipeline.connection_types import BaseConnection
from armillary.pipeline.connections import PipelineTaskConnections
from armillary.pipeline.importing import import_class
from armillary.pipeline.pipeline_task import PipelineTask
from armillary.pipeline.quantum_context import QuantumContext
from armillary.pipeline.status import AlgorithmError, AnnotatedPartialOutputsError
from armillary.pipeline.tests.mocks.dataset import ConvertedUnmockedDataset, MockDataset, MockDatasetQuantum
from armillary.pipeline.tests.mocks.matching import DataIdMatch
from armillary.pipeline.tests.mocks.names import get_mock_name, is_mock_name

__all__ = [
    "BaseTestPipelineTask",
    "BaseTestPipelineTaskConfig",
    "DynamicConnectionConfig",
    "DynamicTestPipelineTask",
    "DynamicTestPipelineTaskConfig",
    "MockAlgorithmError",
    "MockPipelineTask",
    "MockPipelineTaskConfig",
]

_STORED_AS = "lsst.pipe.base.tests.mocks._pipeline_task"
"""The module under which graphs and configs name what is here, so that the peer finds it."""


class MockAlgorithmError(AlgorithmError):
    """What a mock task raises as the cause of partial outputs."""

    __module__ = _STORED_AS

    @property
    def metadata(self) -> dict[str, Any]:
        """Something to note."""
        return {"badness": 12}


class BaseTestPipelineTaskConnections(PipelineTaskConnections, dimensions=()):
    """No connections; subclasses make them from configs."""


class BaseTestPipelineTaskConfig(PipelineTaskConfig, pipelineConnections=BaseTestPipelineTaskConnections):
    """What a mock task does besides writing its outputs."""

    __module__ = _STORED_AS

    fail_condition = Field(
        dtype=str, default="", doc="Expression on the data ID of a quantum that says whether it fails."
    )
    fail_exception = Field(
        dtype=str, default="builtins.ValueError", doc="Class of the exception that a failing quantum raises."
    )
    fail_signal = Field(
        dtype=str, default=None, optional=True, doc="Name of a signal that a failing quantum sends itself instead."
    )
    memory_required = Field(
        dtype=str,
        default=None,
        optional=True,
        doc="Memory with which a failing quantum would not fail, with a unit that astropy knows, as `4GB`.",
    )
    sleep = Field(dtype=float, default=0.0, doc="How long a quantum takes, in seconds.")
    int_value = Field(dtype=int, default=None, optional=True, doc="Integer to note in all outputs.")
    str_value = Field(dtype=str, default=None, optional=True, doc="Text to note in all outputs.")


class BaseTestPipelineTask(PipelineTask):
    """A task that reads all its inputs and writes mock datasets."""

    __module__ = _STORED_AS

    ConfigClass = BaseTestPipelineTaskConfig
    _DefaultName = "test"

    def __init__(self, *, config: Any, initInputs: Any = None, **kwargs: Any) -> None:
        super().__init__(config=config, initInputs=initInputs, **kwargs)
        connections = config.connections.ConnectionsClass(config=config)
        label = self.getName()
        read = {name: [_noted(value)] for name, value in (initInputs or {}).items()}
        quantum = MockDatasetQuantum(label, {}, read)
        for name in sorted(connections.initOutputs):
            connection = connections.allConnections[name]
            dataset_type = {
                "name": connection.name,
                "storageClass": connection.storageClass,
                "dimensions": [],
                "parentStorageClass": None,
                "isCalibration": False,
            }
            setattr(self, name, MockDataset(None, dataset_type, {}, None, quantum, name))

    def runQuantum(self, butlerQC: QuantumContext, inputRefs: Any, outputRefs: Any) -> None:
        """Wait, fail if the config says so, read everything, and write everything."""
        config: Any = self.config
        data_id = butlerQC.quantum.dataId
        self.log.info("mocking task `%s` on %s", self.getName(), data_id)
        if config.sleep:
            time.sleep(config.sleep)
        plain = {str(name): value for name, value in data_id.required.items()}
        quantum = MockDatasetQuantum(self.getName(), plain)
        for name, refs in inputRefs:
            many = refs if isinstance(refs, list) else [refs]
            quantum.inputs[name] = [_noted(_value(butlerQC.get(ref)), ref) for ref in many]
        error = self._failure(butlerQC, data_id)
        if error is not None and not isinstance(error, AnnotatedPartialOutputsError):
            raise error
        for name, refs in outputRefs:
            for ref in refs if isinstance(refs, list) else [refs]:
                dataset = MockDataset.of(ref, quantum=quantum, output_connection_name=name)
                dataset.int_value, dataset.str_value = config.int_value, config.str_value
                butlerQC.put(dataset, ref)
        if error is not None:
            raise error from MockAlgorithmError("partial outputs were asked for")

    def _failure(self, context: QuantumContext, data_id: Any) -> BaseException | None:
        """Return what a quantum is to raise, if it is to fail."""
        config: Any = self.config
        if not config.fail_condition or not DataIdMatch(config.fail_condition).match(data_id):
            return None
        if config.memory_required is not None:
            import astropy.units as u

            if context.resources.max_mem >= u.Quantity(config.memory_required):
                return None
        if config.fail_signal is not None:
            os.kill(os.getpid(), getattr(signal, config.fail_signal))
        kind = import_class(config.fail_exception)
        error: BaseException = kind(f"task `{self.getName()}` was told to fail on {data_id}")
        return error


def _value(found: Any) -> Any:
    """Return a dataset that was read, or read it now."""
    return found.get() if hasattr(found, "dataId") and hasattr(found, "get") else found


def _noted(value: Any, ref: Any = None) -> MockDataset | ConvertedUnmockedDataset:
    """Return what is noted of an input."""
    if isinstance(value, MockDataset):
        return value.without_quantum()
    if ref is not None:
        return MockDataset.of(getattr(ref, "datasetRef", ref))
    return ConvertedUnmockedDataset(f"{type(value).__module__}.{type(value).__qualname__}")


class MockPipelineTaskConnections(BaseTestPipelineTaskConnections, dimensions=()):
    """The connections of another task, with mocks of its dataset types."""

    def __init__(self, *, config: Any = None) -> None:
        super().__init__(config=config)
        original = config.original.ConnectionsClass(config=config.original.value)
        self.dimensions.clear()
        self.dimensions.update(original.dimensions)
        unmocked = set(config.unmocked_dataset_types)
        for name, connection in original.allConnections.items():
            if connection.name in unmocked or connection.name.partition(".")[0] in unmocked:
                setattr(self, name, connection)
                continue
            changes: dict[str, Any] = {
                "name": get_mock_name(connection.name),
                "storageClass": get_mock_name(connection.storageClass),
            }
            if getattr(connection, "lookupFunction", None) is not None:
                changes["lookupFunction"] = None  # it would look for what is mocked
            setattr(self, name, dataclasses.replace(connection, **changes))


class MockPipelineTaskConfig(BaseTestPipelineTaskConfig, pipelineConnections=MockPipelineTaskConnections):
    """The task that is mocked, with its config, and what the mock does."""

    __module__ = _STORED_AS

    original = ConfigurableField(
        target=PipelineTask, ConfigClass=PipelineTaskConfig, doc="The task that is mocked, with its config."
    )
    unmocked_dataset_types = ListField(
        dtype=str, default=(), doc="Dataset types that are used as they are; others of them do not matter."
    )


class MockPipelineTask(BaseTestPipelineTask):
    """The mock of another task: same dimensions and connections, mocks of its datasets."""

    __module__ = _STORED_AS

    ConfigClass = MockPipelineTaskConfig
    _DefaultName = "mock"


class DynamicConnectionConfig(Config):  # type: ignore[misc]  # an untyped base
    """A connection of a `DynamicTestPipelineTask`."""

    __module__ = _STORED_AS

    dataset_type_name = Field(dtype=str, default=None, optional=True, doc="Name of the dataset type.")
    dimensions = ListField(dtype=str, default=(), doc="Dimensions of the dataset type.")
    storage_class = Field(dtype=str, default="StructuredDataDict", doc="Storage class, before it is mocked.")
    is_calibration = Field(dtype=bool, default=False, doc="Whether it is a calibration.")
    multiple = Field(dtype=bool, default=False, doc="Whether a quantum has several.")
    mock_storage_class = Field(dtype=bool, default=True, doc="Whether the storage class is mocked.")
    minimum = Field(dtype=int, default=1, doc="Least number of datasets of an input.")

    def make_connection(self, cls: type[BaseConnection]) -> BaseConnection:
        """Make a connection of a class from it."""
        mocked = self.mock_storage_class and not is_mock_name(self.storage_class)
        storage_class = get_mock_name(self.storage_class) if mocked else self.storage_class
        values: dict[str, Any] = {"name": self.dataset_type_name, "storageClass": storage_class, "doc": ""}
        if cls not in (cT.InitInput, cT.InitOutput):
            values |= {
                "dimensions": tuple(self.dimensions),
                "isCalibration": self.is_calibration,
                "multiple": self.multiple,
            }
        if cls in (cT.Input, cT.PrerequisiteInput):
            values["minimum"] = self.minimum
        return cls(**values)


class DynamicTestPipelineTaskConnections(BaseTestPipelineTaskConnections, dimensions=()):
    """Connections that a config describes."""

    def __init__(self, *, config: Any = None) -> None:
        super().__init__(config=config)
        self.dimensions.clear()
        self.dimensions.update(config.dimensions)
        for kind, described in (
            (cT.InitInput, config.init_inputs),
            (cT.InitOutput, config.init_outputs),
            (cT.PrerequisiteInput, config.prerequisite_inputs),
            (cT.Input, config.inputs),
            (cT.Output, config.outputs),
        ):
            for name, one in described.items():
                setattr(self, name, one.make_connection(kind))


def _described(doc: str) -> ConfigDictField:
    return ConfigDictField(keytype=str, itemtype=DynamicConnectionConfig, default={}, doc=doc)


class DynamicTestPipelineTaskConfig(BaseTestPipelineTaskConfig, pipelineConnections=DynamicTestPipelineTaskConnections):
    """Dimensions and connections of a `DynamicTestPipelineTask`, and what it does."""

    __module__ = _STORED_AS

    dimensions = ListField(dtype=str, default=(), doc="Dimensions of its quanta.")
    init_inputs = _described("Init-inputs.")
    init_outputs = _described("Init-outputs.")
    prerequisite_inputs = _described("Prerequisite inputs.")
    inputs = _described("Inputs.")
    outputs = _described("Outputs.")


class DynamicTestPipelineTask(BaseTestPipelineTask):
    """A mock task with the dimensions and connections that its config describes."""

    __module__ = _STORED_AS

    ConfigClass = DynamicTestPipelineTaskConfig
    _DefaultName = "dynamic"
