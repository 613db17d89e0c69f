"""The kinds of connections, under the name by which task modules import them."""

from armillary.pipeline.connection_types import (
    BaseConnection,
    BaseInput,
    DimensionedConnection,
    InitInput,
    InitOutput,
    Input,
    Output,
    PrerequisiteInput,
)

__all__ = [
    "BaseConnection",
    "BaseInput",
    "DimensionedConnection",
    "InitInput",
    "InitOutput",
    "Input",
    "Output",
    "PrerequisiteInput",
]
