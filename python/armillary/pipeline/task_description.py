"""A task as plain data: what the compiled graph needs to know of a class, its config and its connections."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from armillary.pipeline.automatic_connection_constants import (
    CONFIG_INIT_OUTPUT_CONNECTION_NAME,
    CONFIG_INIT_OUTPUT_STORAGE_CLASS,
    CONFIG_INIT_OUTPUT_TEMPLATE,
    LOG_OUTPUT_CONNECTION_NAME,
    LOG_OUTPUT_STORAGE_CLASS,
    LOG_OUTPUT_TEMPLATE,
    METADATA_OUTPUT_CONNECTION_NAME,
    METADATA_OUTPUT_STORAGE_CLASS,
    METADATA_OUTPUT_TEMPLATE,
)
from armillary.pipeline.connection_types import (
    BaseConnection,
    BaseInput,
    DimensionedConnection,
    Input,
    PrerequisiteInput,
)
from armillary.pipeline.connections import PipelineTaskConnections
from armillary.pipeline.importing import class_name

if TYPE_CHECKING:
    from armillary.pipeline.pipeline_task import PipelineTask

__all__ = ["config_text", "describe_task"]


def config_text(config: Any) -> str:
    """Return a config as the Python text that is stored."""
    stream = io.StringIO()
    config.saveToStream(stream)
    return stream.getvalue()


def describe_task(
    label: str, task_class: type[PipelineTask], config: Any, connections: PipelineTaskConnections
) -> dict[str, Any]:
    """Return the plain description of a task.

    Parameters
    ----------
    label
        Label in the pipeline.
    task_class, config, connections
        The class with its config, and the connections made from that.
    """
    dimensions = sorted(connections.dimensions)
    edges = {
        kind: [
            _edge(name, connection)
            for name, connection in connections.allConnections.items()
            if name in getattr(connections, kind) and not getattr(connection, "deferBinding", False)
        ]
        for kind in ("initInputs", "initOutputs", "prerequisiteInputs", "inputs", "outputs")
    }
    log_output = None
    if config.saveLogOutput:
        log_output = _automatic(
            LOG_OUTPUT_CONNECTION_NAME, LOG_OUTPUT_TEMPLATE, label, LOG_OUTPUT_STORAGE_CLASS, dimensions
        )
    return {
        "label": label,
        "task_class": class_name(task_class),
        "dimensions": dimensions,
        "config_str": config_text(config),
        "init_inputs": edges["initInputs"],
        "init_outputs": edges["initOutputs"],
        "config_output": _automatic(
            CONFIG_INIT_OUTPUT_CONNECTION_NAME,
            CONFIG_INIT_OUTPUT_TEMPLATE,
            label,
            CONFIG_INIT_OUTPUT_STORAGE_CLASS,
            [],
        ),
        "prerequisite_inputs": edges["prerequisiteInputs"],
        "inputs": edges["inputs"],
        "outputs": edges["outputs"],
        "metadata_output": _automatic(
            METADATA_OUTPUT_CONNECTION_NAME,
            METADATA_OUTPUT_TEMPLATE,
            label,
            METADATA_OUTPUT_STORAGE_CLASS,
            dimensions,
        ),
        "log_output": log_output,
        "hooks": _hooks(connections),
    }


def _hooks(connections: PipelineTaskConnections) -> dict[str, Any]:
    """Say which hooks the class has of its own: only these are called, quantum by quantum, when a graph is built."""
    kind = type(connections)
    return {
        "adjust_quantum": kind.adjustQuantum is not PipelineTaskConnections.adjustQuantum,
        "adjust_all_quanta": kind.adjust_all_quanta is not PipelineTaskConnections.adjust_all_quanta,
        "spatial_bounds": sorted(connections.getSpatialBoundsConnections()),
        "temporal_bounds": sorted(connections.getTemporalBoundsConnections()),
    }


def _edge(name: str, connection: BaseConnection) -> dict[str, Any]:
    dimensioned = connection if isinstance(connection, DimensionedConnection) else None
    return {
        "connection": name,
        "dataset_type": connection.name,
        "storage_class": connection.storageClass,
        "dimensions": sorted(dimensioned.dimensions) if dimensioned else [],
        "is_calibration": dimensioned.isCalibration if dimensioned else False,
        "multiple": connection.multiple,
        # A negative minimum, which nothing forbids, asks for no more than 0 does.
        "minimum": max(connection.minimum, 0) if isinstance(connection, BaseInput) else 1,
        "defer_query_constraint": isinstance(connection, Input) and connection.deferGraphConstraint,
        "lookup": isinstance(connection, PrerequisiteInput) and connection.lookupFunction is not None,
    }


def _automatic(connection: str, template: str, label: str, storage_class: str, dimensions: list[str]) -> dict[str, Any]:
    return {
        "connection": connection,
        "dataset_type": template.format(label=label),
        "storage_class": storage_class,
        "dimensions": dimensions,
        "is_calibration": False,
        "multiple": False,
        "minimum": 1,
        "defer_query_constraint": False,
        "lookup": False,
    }
