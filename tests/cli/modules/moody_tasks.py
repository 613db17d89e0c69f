"""Tasks that end as a config says, for every data ID by itself: they fail, find nothing or write a part."""

import lsst.pex.config as pexConfig
import lsst.pipe.base as pipeBase
import lsst.pipe.base.connectionTypes as cT

DETECTOR = ("instrument", "detector")
NIGHT_DETECTOR = ("instrument", "day_obs", "detector")


class FirstConnections(pipeBase.PipelineTaskConnections, dimensions=NIGHT_DETECTOR):
    numbers = cT.Input(doc="Numbers.", name="numbers", storageClass="StructuredDataDict", dimensions=NIGHT_DETECTOR)
    schema = cT.InitOutput(doc="Names.", name="first_schema", storageClass="StructuredDataDict")
    first = cT.Output(doc="The same.", name="first_out", storageClass="StructuredDataDict", dimensions=NIGHT_DETECTOR)
    extra = cT.Output(doc="More.", name="first_extra", storageClass="StructuredDataDict", dimensions=NIGHT_DETECTOR)


class FirstConfig(pipeBase.PipelineTaskConfig, pipelineConnections=FirstConnections):
    moods = pexConfig.DictField(
        keytype=str, itemtype=str, default={}, doc="What to do, by `NIGHT/DETECTOR`: fail, nothing, some, partial."
    )


class HalfDone(pipeBase.AlgorithmError):
    @property
    def metadata(self):
        return {"stars": 2}


class FirstTask(pipeBase.PipelineTask):
    ConfigClass = FirstConfig
    _DefaultName = "first"

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.schema = {"columns": ["v"]}

    def runQuantum(self, butlerQC, inputRefs, outputRefs):
        data_id = butlerQC.quantum.dataId
        mood = self.config.moods.get(f"{data_id['day_obs']}/{data_id['detector']}", "")
        self.log.info("mood: %s", mood)
        if mood == "fail":
            raise RuntimeError("asked to fail")
        if mood == "nothing":
            raise pipeBase.NoWorkFound("nothing here")
        numbers = butlerQC.get(inputRefs.numbers)
        butlerQC.put(numbers, outputRefs.first)
        if mood == "partial":
            error = HalfDone("two stars are too few")
            raise pipeBase.AnnotatedPartialOutputsError.annotate(error, self, log=self.log) from error
        if mood != "some":
            butlerQC.put(numbers, outputRefs.extra)


class SecondConnections(pipeBase.PipelineTaskConnections, dimensions=DETECTOR):
    first = cT.Input(
        doc="Numbers.", name="first_out", storageClass="StructuredDataDict", dimensions=NIGHT_DETECTOR, multiple=True
    )
    second = cT.Output(doc="Their sum.", name="second_out", storageClass="StructuredDataDict", dimensions=DETECTOR)


class SecondConfig(pipeBase.PipelineTaskConfig, pipelineConnections=SecondConnections):
    scale = pexConfig.Field(dtype=float, default=1.0, doc="Factor.")


class SecondTask(pipeBase.PipelineTask):
    ConfigClass = SecondConfig
    _DefaultName = "second"

    def run(self, first):
        return pipeBase.Struct(second={"sum": self.config.scale * sum(one["v"] for one in first)})
