"""The smallest task there can be: one dictionary in, one out, no dimensions."""

from __future__ import annotations

from typing import Any

from lsst.pex.config import Field

from armillary.pipeline import connectionTypes as cT
from armillary.pipeline.config import PipelineTaskConfig
from armillary.pipeline.connections import PipelineTaskConnections
from armillary.pipeline.metadata import TaskMetadata
from armillary.pipeline.pipeline_task import PipelineTask
from armillary.pipeline.struct import Struct

__all__ = ["NoDimensionsTestConfig", "NoDimensionsTestConnections", "NoDimensionsTestTask"]

_STORED_AS = "lsst.pipe.base.tests.no_dimensions"
"""The module under which graphs and configs name what is here, so that the peer finds it."""


class NoDimensionsTestConnections(PipelineTaskConnections, dimensions=()):
    """A dictionary to read and one to write.

    Examples
    --------
    >>> sorted(NoDimensionsTestConnections.allConnections)
    ['input', 'output']
    """

    __module__ = _STORED_AS

    input = cT.Input(name="input", storageClass="StructuredDataDict", doc="The dictionary to add to.")
    output = cT.Output(name="output", storageClass="StructuredDataDict", doc="The dictionary with the item.")


class NoDimensionsTestConfig(PipelineTaskConfig, pipelineConnections=NoDimensionsTestConnections):
    """The item to add.

    Examples
    --------
    >>> NoDimensionsTestConfig().key
    'one'
    """

    __module__ = _STORED_AS

    key = Field(dtype=str, default="one", doc="Key of the item.")
    value = Field(dtype=int, default=1, doc="Value of the item.")
    outputSC = Field(
        dtype=str, default="StructuredDataDict", doc="Storage class to return: a dictionary, or `TaskMetadata`."
    )


class NoDimensionsTestTask(PipelineTask):
    """Adds an item to a dictionary.

    Examples
    --------
    >>> NoDimensionsTestTask().run({"a": 5}).output
    {'a': 5, 'one': 1}
    """

    __module__ = _STORED_AS

    ConfigClass = NoDimensionsTestConfig
    _DefaultName = "noDimensionsTest"
    config: Any

    def run(self, input: TaskMetadata | dict[str, int]) -> Struct:
        """Return the input with the item of the config, as what `outputSC` says.

        Parameters
        ----------
        input
            What to add to; it is not changed.
        """
        given = input.to_dict() if isinstance(input, TaskMetadata) else input
        made = {**given, self.config.key: self.config.value}
        return Struct(output=TaskMetadata.from_dict(made) if "TaskMetadata" in self.config.outputSC else made)
