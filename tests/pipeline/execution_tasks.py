"""Tasks that do what their config says: succeed, fail, find nothing, die."""

import os
import signal
import time

from lsst.pex.config import Field

from armillary.pipeline import (
    AlgorithmError,
    AnnotatedPartialOutputsError,
    InvalidQuantumError,
    NoWorkFound,
    PipelineTask,
    PipelineTaskConfig,
    PipelineTaskConnections,
    RepeatableQuantumError,
    Struct,
    UnprocessableDataError,
    UpstreamFailureNoWorkFound,
)
from armillary.pipeline import connectionTypes as cT

DICT = "StructuredDataDict"
DETECTOR = ("instrument", "detector")


class MeasureConnections(PipelineTaskConnections, dimensions=DETECTOR):
    raw = cT.Input(name="raw_numbers", storageClass=DICT, doc="Numbers.", dimensions=DETECTOR)
    schema = cT.InitOutput(name="measured_schema", storageClass=DICT, doc="Columns.")
    measured = cT.Output(name="measured", storageClass=DICT, doc="Result.", dimensions=DETECTOR)
    extra = cT.Output(name="measured_extra", storageClass=DICT, doc="More.", dimensions=DETECTOR)


class MeasureConfig(PipelineTaskConfig, pipelineConnections=MeasureConnections):
    mode = Field(doc="What to do.", dtype=str, default="ok")
    only_detector = Field(doc="Detector for which to do it; all without.", dtype=int, optional=True)


class HalfDone(AlgorithmError):
    @property
    def metadata(self):
        return {"stars": 2}


class MeasureTask(PipelineTask):
    ConfigClass = MeasureConfig
    _DefaultName = "measure"

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.schema = {"columns": ["x"]}

    def run(self, raw):
        self.log.info("measuring %s", raw)
        self.metadata["n"] = 3
        mode = self.config.mode
        if self.config.only_detector is not None and raw["detector"] != self.config.only_detector:
            mode = "ok"
        if mode != "ok":
            getattr(self, mode)()
        if mode == "some":
            return Struct(measured={"sum": 1}, extra=None)
        return Struct(measured={"sum": sum(raw["values"])}, extra={"pid": os.getpid()})

    def fail(self):
        raise RuntimeError("asked to fail")

    def repeatable(self):
        raise RepeatableQuantumError("fails every time")

    def invalid(self):
        raise InvalidQuantumError("makes no sense")

    def nothing(self):
        raise NoWorkFound("no numbers")

    def upstream(self):
        raise UpstreamFailureNoWorkFound("upstream failed")

    def unprocessable(self):
        raise UnprocessableDataError("too bad")

    def partial(self):
        error = HalfDone("two stars are too few")
        raise AnnotatedPartialOutputsError.annotate(error, self, log=self.log) from error

    def exits(self):
        raise SystemExit(9)

    def some(self):
        pass

    def killed(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def leaves(self):
        os._exit(5)

    def hangs(self):
        time.sleep(60)

    def slow(self):
        time.sleep(0.1)


class SumConnections(PipelineTaskConnections, dimensions=("instrument",)):
    schema = cT.InitInput(name="measured_schema", storageClass=DICT, doc="Columns.")
    parts = cT.Input(name="measured", storageClass=DICT, doc="Parts.", dimensions=DETECTOR, multiple=True)
    total = cT.Output(name="total", storageClass=DICT, doc="Sum.", dimensions=("instrument",))


class SumConfig(PipelineTaskConfig, pipelineConnections=SumConnections):
    pass


class SumTask(PipelineTask):
    ConfigClass = SumConfig
    _DefaultName = "sum"

    def __init__(self, *, initInputs=None, **kwargs):
        super().__init__(initInputs=initInputs, **kwargs)
        self.columns = initInputs["schema"]["columns"]

    def run(self, parts):
        return Struct(total={"sum": sum(part["sum"] for part in parts), "columns": self.columns})


class NotesConnections(PipelineTaskConnections, dimensions=("instrument",)):
    notes = cT.Input(
        name="measure_metadata", storageClass="TaskMetadata", doc="Notes.", dimensions=DETECTOR, multiple=True
    )
    total = cT.Output(name="total_notes", storageClass=DICT, doc="Sum.", dimensions=("instrument",))


class NotesConfig(PipelineTaskConfig, pipelineConnections=NotesConnections):
    pass


class NotesTask(PipelineTask):
    ConfigClass = NotesConfig
    _DefaultName = "notes"

    def run(self, notes):
        return Struct(total={"n": sum(one["measure.n"] for one in notes)})
