"""Tasks that do nothing but write one small file: chains of three steps for each detector, gathered by visit."""

from __future__ import annotations

from typing import Any

from armillary.pipeline import PipelineTask, PipelineTaskConfig, PipelineTaskConnections
from armillary.pipeline import connectionTypes as cT

DICT = "StructuredDataDict"
DETECTOR = ("instrument", "visit", "detector")


class FirstConnections(PipelineTaskConnections, dimensions=DETECTOR):
    """Nothing is read."""

    made = cT.Output(name="first", storageClass=DICT, doc="Nothing.", dimensions=DETECTOR)


class FirstConfig(PipelineTaskConfig, pipelineConnections=FirstConnections):
    """No fields."""


class FirstTask(PipelineTask):
    """Writes."""

    ConfigClass = FirstConfig
    _DefaultName = "first"

    def runQuantum(self, butlerQC: Any, inputRefs: Any, outputRefs: Any) -> None:
        """Write."""
        butlerQC.put({"value": 1}, outputRefs.made)


class SecondConnections(PipelineTaskConnections, dimensions=DETECTOR):
    """One is read."""

    read = cT.Input(name="first", storageClass=DICT, doc="Nothing.", dimensions=DETECTOR)
    made = cT.Output(name="second", storageClass=DICT, doc="Nothing.", dimensions=DETECTOR)


class SecondConfig(PipelineTaskConfig, pipelineConnections=SecondConnections):
    """No fields."""


class SecondTask(FirstTask):
    """Writes."""

    ConfigClass = SecondConfig
    _DefaultName = "second"


class ThirdConnections(PipelineTaskConnections, dimensions=DETECTOR):
    """One is read."""

    read = cT.Input(name="second", storageClass=DICT, doc="Nothing.", dimensions=DETECTOR)
    made = cT.Output(name="third", storageClass=DICT, doc="Nothing.", dimensions=DETECTOR)


class ThirdConfig(PipelineTaskConfig, pipelineConnections=ThirdConnections):
    """No fields."""


class ThirdTask(FirstTask):
    """Writes."""

    ConfigClass = ThirdConfig
    _DefaultName = "third"


class GatherConnections(PipelineTaskConnections, dimensions=("instrument", "visit")):
    """All detectors are read."""

    read = cT.Input(name="third", storageClass=DICT, doc="Nothing.", dimensions=DETECTOR, multiple=True)
    made = cT.Output(name="gathered", storageClass=DICT, doc="Nothing.", dimensions=("instrument", "visit"))


class GatherConfig(PipelineTaskConfig, pipelineConnections=GatherConnections):
    """No fields."""


class GatherTask(FirstTask):
    """Writes."""

    ConfigClass = GatherConfig
    _DefaultName = "gather"
