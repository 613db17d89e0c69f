"""Task classes that pipelines of the tests name."""

from lsst.pex.config import Config, ConfigField, DictField, Field, ListField

from armillary.pipeline import PipelineTask, PipelineTaskConfig, PipelineTaskConnections
from armillary.pipeline import connectionTypes as cT

DICT = "StructuredDataDict"
DETECTOR = ("instrument", "visit", "detector")
VISIT = ("instrument", "visit")


class FirstConnections(PipelineTaskConnections, dimensions=DETECTOR, defaultTemplates={"p": "P"}):
    a = cT.Input(name="{p}a", storageClass=DICT, doc="a", dimensions=DETECTOR)
    o = cT.Output(name="{p}o", storageClass=DICT, doc="o", dimensions=DETECTOR)


class PartConfig(Config):
    x = Field(doc="x", dtype=int, default=1)


class FirstConfig(PipelineTaskConfig, pipelineConnections=FirstConnections):
    k = Field(doc="k", dtype=int, default=1)
    f = Field(doc="f", dtype=float, default=1)
    s = Field(doc="s", dtype=str, default="s", optional=True)
    b = Field(doc="b", dtype=bool, default=False)
    words = ListField(doc="words", dtype=str, default=[])
    numbers = ListField(doc="numbers", dtype=int, default=[])
    d = DictField(doc="d", keytype=str, itemtype=int, default={})
    part = ConfigField(doc="part", dtype=PartConfig)


class FirstTask(PipelineTask):
    ConfigClass = FirstConfig
    _DefaultName = "first"


class SecondConnections(PipelineTaskConnections, dimensions=VISIT):
    o = cT.Input(name="Po", storageClass=DICT, doc="o", dimensions=DETECTOR, multiple=True)
    end = cT.Output(name="end", storageClass=DICT, doc="end", dimensions=VISIT)


class SecondConfig(PipelineTaskConfig, pipelineConnections=SecondConnections):
    k = Field(doc="k", dtype=int, default=1)


class SecondTask(PipelineTask):
    ConfigClass = SecondConfig
    _DefaultName = "second"


class NoTask:
    """Has no config."""
