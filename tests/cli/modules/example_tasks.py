"""The task that the examples of `pipetask` speak of."""

import lsst.pex.config as pexConfig
import lsst.pipe.base as pipeBase
import lsst.pipe.base.connectionTypes as cT

VISIT_DETECTOR = ("instrument", "visit", "detector")


class IsrConnections(pipeBase.PipelineTaskConnections, dimensions=VISIT_DETECTOR):
    metrics = cT.Input(doc="Numbers.", name="metrics", storageClass="StructuredDataDict", dimensions=VISIT_DETECTOR)
    calexp = cT.Output(doc="Numbers.", name="calexp", storageClass="StructuredDataDict", dimensions=VISIT_DETECTOR)


class IsrConfig(pipeBase.PipelineTaskConfig, pipelineConnections=IsrConnections):
    doFlat = pexConfig.Field(dtype=bool, default=True, doc="Whether to divide by a flat.")


class IsrTask(pipeBase.PipelineTask):
    ConfigClass = IsrConfig
    _DefaultName = "isr"

    def run(self, metrics):
        return pipeBase.Struct(calexp=metrics)
