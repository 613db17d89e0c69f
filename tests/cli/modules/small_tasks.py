"""Tasks as users write them today: they import the packages of LSST and know nothing of armillary."""

import os
import signal
import time

import lsst.pex.config as pexConfig
import lsst.pipe.base as pipeBase
import lsst.pipe.base.connectionTypes as cT

DETECTOR = ("instrument", "detector")
VISIT_DETECTOR = ("instrument", "visit", "detector")


class MeasureConnections(pipeBase.PipelineTaskConnections, dimensions=VISIT_DETECTOR):
    metrics = cT.Input(doc="Numbers.", name="metrics", storageClass="StructuredDataDict", dimensions=VISIT_DETECTOR)
    measured = cT.Output(doc="Squares.", name="measured", storageClass="StructuredDataDict", dimensions=VISIT_DETECTOR)


class MeasureConfig(pipeBase.PipelineTaskConfig, pipelineConnections=MeasureConnections):
    power = pexConfig.RangeField(dtype=int, default=2, min=1, doc="Exponent.")
    seconds = pexConfig.Field(dtype=float, default=0.0, doc="How long each takes.")
    size = pexConfig.Field(dtype=int, default=0, doc="How much to write besides.")


class MeasureTask(pipeBase.PipelineTask):
    ConfigClass = MeasureConfig
    _DefaultName = "measure"

    def run(self, metrics):
        self.log.info("measuring %s", metrics)
        if self.config.seconds:
            folder = os.environ["QUANTA_SEEN"]
            with open(os.path.join(folder, str(os.getpid())), "a", encoding="utf-8") as stream:
                stream.write("x")
            time.sleep(self.config.seconds)
        return pipeBase.Struct(measured={"v": metrics["v"] ** self.config.power, "padding": "x" * self.config.size})


class SumConnections(pipeBase.PipelineTaskConnections, dimensions=DETECTOR, defaultTemplates={"prefix": "all"}):
    measured = cT.Input(
        doc="Squares.", name="measured", storageClass="StructuredDataDict", dimensions=VISIT_DETECTOR, multiple=True
    )
    total = cT.Output(doc="Their sum.", name="{prefix}_total", storageClass="StructuredDataDict", dimensions=DETECTOR)


class SumConfig(pipeBase.PipelineTaskConfig, pipelineConnections=SumConnections):
    scale = pexConfig.Field(dtype=float, default=1.0, doc="Factor.")


class SumTask(pipeBase.PipelineTask):
    ConfigClass = SumConfig
    _DefaultName = "sum"

    def run(self, measured):
        return pipeBase.Struct(total={"sum": self.config.scale * sum(one["v"] for one in measured)})


class FlatConnections(pipeBase.PipelineTaskConnections, dimensions=VISIT_DETECTOR):
    metrics = cT.Input(doc="Numbers.", name="metrics", storageClass="StructuredDataDict", dimensions=VISIT_DETECTOR)
    flat = cT.PrerequisiteInput(
        doc="Flat.",
        name="flat",
        storageClass="StructuredDataDict",
        dimensions=("instrument", "detector", "physical_filter"),
        isCalibration=True,
    )
    flattened = cT.Output(doc="Less.", name="flattened", storageClass="StructuredDataDict", dimensions=VISIT_DETECTOR)


class FlatConfig(pipeBase.PipelineTaskConfig, pipelineConnections=FlatConnections):
    pass


class FlatTask(pipeBase.PipelineTask):
    ConfigClass = FlatConfig
    _DefaultName = "flatten"

    def run(self, metrics, flat):
        return pipeBase.Struct(flattened=metrics)


class FrameConnections(pipeBase.PipelineTaskConnections, dimensions=DETECTOR):
    frame = cT.Input(doc="Pixels.", name="frame", storageClass="FitsImage", dimensions=DETECTOR)
    size = cT.Output(doc="Size.", name="frame_size", storageClass="StructuredDataDict", dimensions=DETECTOR)


class FrameConfig(pipeBase.PipelineTaskConfig, pipelineConnections=FrameConnections):
    pass


class FrameTask(pipeBase.PipelineTask):
    ConfigClass = FrameConfig
    _DefaultName = "frame"

    def run(self, frame):
        return pipeBase.Struct(size={"shape": list(frame.array.shape)})


class StillbornTask(MeasureTask):
    """Cannot be made."""

    _DefaultName = "stillborn"

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        raise RuntimeError("no model is there to load")


class FatalTask(MeasureTask):
    """Ends its process, or stays in it for ever, once its output is written."""

    _DefaultName = "fatal"

    def runQuantum(self, butlerQC, inputRefs, outputRefs):
        super().runQuantum(butlerQC, inputRefs, outputRefs)
        how = os.environ.get("FATE", "live")
        if how == "hang":
            time.sleep(600)
        if how == "die" and butlerQC.quantum.dataId["detector"] == 2:
            os.kill(os.getpid(), signal.SIGKILL)
