"""Tasks, pipelines, quantum graphs and their execution.

The names here are those of `lsst.pipe.base`. Each is imported when it is first used: what a script does not touch
costs it nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.errors import IncompatibleGraphError, ScalarError, TaskError
    from armillary.instrument.dimension_packer import (
        ObservationDimensionPacker,
        ObservationDimensionPackerConfig,
        observation_packer_registry,
    )
    from armillary.instrument.instrument import Instrument
    from armillary.pipeline import automatic_connection_constants, connectionTypes
    from armillary.pipeline.config import PipelineTaskConfig
    from armillary.pipeline.connections import (
        AdjustQuantumHelper,
        DeferredDatasetRef,
        InputQuantizedConnection,
        OutputQuantizedConnection,
        PipelineTaskConnections,
        QuantizedConnection,
        iterConnections,
    )
    from armillary.pipeline.execution.execution_graph_fixup import ExecutionGraphFixup
    from armillary.pipeline.execution.mp_graph_executor import MPGraphExecutor
    from armillary.pipeline.execution.quantum_graph_executor import (
        QuantumExecutionResult,
        QuantumExecutor,
        QuantumGraphExecutor,
    )
    from armillary.pipeline.execution.quantum_reports import ExecutionStatus, QuantumReport
    from armillary.pipeline.execution.separable_pipeline_executor import SeparablePipelineExecutor
    from armillary.pipeline.execution.simple_pipeline_executor import SimplePipelineExecutor
    from armillary.pipeline.execution.single_quantum_executor import SingleQuantumExecutor
    from armillary.pipeline.in_memory_dataset_handle import InMemoryDatasetHandle
    from armillary.pipeline.metadata import (
        GetDictMetadata,
        GetSetDictMetadata,
        NestedMetadataDict,
        SetDictMetadata,
        TaskMetadata,
    )
    from armillary.pipeline.older_quantum_graph import (
        BuildId,
        DatasetTypeName,
        NodeId,
        QgraphSummary,
        QgraphTaskSummary,
        QuantumGraph,
        QuantumNode,
    )
    from armillary.pipeline.pipeline import LabelSpecifier, Pipeline
    from armillary.pipeline.pipeline_graph import PipelineGraph
    from armillary.pipeline.pipeline_task import PipelineTask
    from armillary.pipeline.quanta_adjuster import QuantaAdjuster
    from armillary.pipeline.quantum_context import ExecutionResources, QuantumContext
    from armillary.pipeline.status import (
        AlgorithmError,
        AnnotatedPartialOutputsError,
        ExceptionInfo,
        InvalidQuantumError,
        NoWorkFound,
        QuantumAttemptStatus,
        QuantumSuccessCaveats,
        RepeatableQuantumError,
        UnprocessableDataError,
        UpstreamFailureNoWorkFound,
    )
    from armillary.pipeline.struct import Struct
    from armillary.pipeline.task import Task
    from armillary.pipeline.task_definition import TaskDef, TaskFactory
    from armillary.pipeline.timer import timeMethod

_HOME = {
    "AdjustQuantumHelper": "armillary.pipeline.connections",
    "AlgorithmError": "armillary.pipeline.status",
    "AnnotatedPartialOutputsError": "armillary.pipeline.status",
    "BuildId": "armillary.pipeline.older_quantum_graph",
    "DatasetTypeName": "armillary.pipeline.older_quantum_graph",
    "DeferredDatasetRef": "armillary.pipeline.connections",
    "ExceptionInfo": "armillary.pipeline.status",
    "ExecutionGraphFixup": "armillary.pipeline.execution.execution_graph_fixup",
    "ExecutionResources": "armillary.pipeline.quantum_context",
    "ExecutionStatus": "armillary.pipeline.execution.quantum_reports",
    "GetDictMetadata": "armillary.pipeline.metadata",
    "GetSetDictMetadata": "armillary.pipeline.metadata",
    "InMemoryDatasetHandle": "armillary.pipeline.in_memory_dataset_handle",
    "IncompatibleGraphError": "armillary.errors",
    "InputQuantizedConnection": "armillary.pipeline.connections",
    "Instrument": "armillary.instrument.instrument",
    "InvalidQuantumError": "armillary.pipeline.status",
    "LabelSpecifier": "armillary.pipeline.pipeline",
    "MPGraphExecutor": "armillary.pipeline.execution.mp_graph_executor",
    "MPGraphExecutorError": "armillary.errors",
    "MPTimeoutError": "armillary.errors",
    "NestedMetadataDict": "armillary.pipeline.metadata",
    "NoWorkFound": "armillary.pipeline.status",
    "NodeId": "armillary.pipeline.older_quantum_graph",
    "ObservationDimensionPacker": "armillary.instrument.dimension_packer",
    "ObservationDimensionPackerConfig": "armillary.instrument.dimension_packer",
    "OutputQuantizedConnection": "armillary.pipeline.connections",
    "Pipeline": "armillary.pipeline.pipeline",
    "PipelineGraph": "armillary.pipeline.pipeline_graph",
    "PipelineTask": "armillary.pipeline.pipeline_task",
    "PipelineTaskConfig": "armillary.pipeline.config",
    "PipelineTaskConnections": "armillary.pipeline.connections",
    "QgraphSummary": "armillary.pipeline.older_quantum_graph",
    "QgraphTaskSummary": "armillary.pipeline.older_quantum_graph",
    "QuantaAdjuster": "armillary.pipeline.quanta_adjuster",
    "QuantizedConnection": "armillary.pipeline.connections",
    "QuantumAttemptStatus": "armillary.pipeline.status",
    "QuantumContext": "armillary.pipeline.quantum_context",
    "QuantumExecutionResult": "armillary.pipeline.execution.quantum_graph_executor",
    "QuantumExecutor": "armillary.pipeline.execution.quantum_graph_executor",
    "QuantumGraph": "armillary.pipeline.older_quantum_graph",
    "QuantumGraphExecutor": "armillary.pipeline.execution.quantum_graph_executor",
    "QuantumNode": "armillary.pipeline.older_quantum_graph",
    "QuantumReport": "armillary.pipeline.execution.quantum_reports",
    "QuantumSuccessCaveats": "armillary.pipeline.status",
    "RepeatableQuantumError": "armillary.pipeline.status",
    "ScalarError": "armillary.errors",
    "SeparablePipelineExecutor": "armillary.pipeline.execution.separable_pipeline_executor",
    "SetDictMetadata": "armillary.pipeline.metadata",
    "SimplePipelineExecutor": "armillary.pipeline.execution.simple_pipeline_executor",
    "SingleQuantumExecutor": "armillary.pipeline.execution.single_quantum_executor",
    "Struct": "armillary.pipeline.struct",
    "Task": "armillary.pipeline.task",
    "TaskDef": "armillary.pipeline.task_definition",
    "TaskError": "armillary.errors",
    "TaskFactory": "armillary.pipeline.task_definition",
    "TaskMetadata": "armillary.pipeline.metadata",
    "UnprocessableDataError": "armillary.pipeline.status",
    "UpstreamFailureNoWorkFound": "armillary.pipeline.status",
    "iterConnections": "armillary.pipeline.connections",
    "timeMethod": "armillary.pipeline.timer",
    "observation_packer_registry": "armillary.instrument.dimension_packer",
}
_SUBMODULES = frozenset({"automatic_connection_constants", "connectionTypes"})  # also names of this module

__all__ = [
    "AdjustQuantumHelper",
    "AlgorithmError",
    "AnnotatedPartialOutputsError",
    "BuildId",
    "DatasetTypeName",
    "DeferredDatasetRef",
    "ExceptionInfo",
    "ExecutionGraphFixup",
    "ExecutionResources",
    "ExecutionStatus",
    "GetDictMetadata",
    "GetSetDictMetadata",
    "InMemoryDatasetHandle",
    "IncompatibleGraphError",
    "InputQuantizedConnection",
    "Instrument",
    "InvalidQuantumError",
    "LabelSpecifier",
    "MPGraphExecutor",
    "MPGraphExecutorError",
    "MPTimeoutError",
    "NestedMetadataDict",
    "NoWorkFound",
    "NodeId",
    "ObservationDimensionPacker",
    "ObservationDimensionPackerConfig",
    "OutputQuantizedConnection",
    "Pipeline",
    "PipelineGraph",
    "PipelineTask",
    "PipelineTaskConfig",
    "PipelineTaskConnections",
    "QgraphSummary",
    "QgraphTaskSummary",
    "QuantaAdjuster",
    "QuantizedConnection",
    "QuantumAttemptStatus",
    "QuantumContext",
    "QuantumExecutionResult",
    "QuantumExecutor",
    "QuantumGraph",
    "QuantumGraphExecutor",
    "QuantumNode",
    "QuantumReport",
    "QuantumSuccessCaveats",
    "RepeatableQuantumError",
    "ScalarError",
    "SeparablePipelineExecutor",
    "SetDictMetadata",
    "SimplePipelineExecutor",
    "SingleQuantumExecutor",
    "Struct",
    "Task",
    "TaskDef",
    "TaskError",
    "TaskFactory",
    "TaskMetadata",
    "UnprocessableDataError",
    "UpstreamFailureNoWorkFound",
    "automatic_connection_constants",
    "connectionTypes",
    "iterConnections",
    "observation_packer_registry",
    "timeMethod",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
