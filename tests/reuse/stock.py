"""A shop of numbers: a package of tasks that tests may edit, a repository, and what they ask of a run."""

import re
from dataclasses import dataclass
from pathlib import Path

from armillary.butler import Butler
from armillary.errors import MissingDatasetTypeError
from cli.programs import pipetask
from reports.moody import make_repository

TASKS = '''\
"""Tasks that weigh numbers and add them up."""

import lsst.pex.config as pexConfig
import lsst.pipe.base as pipeBase
import lsst.pipe.base.connectionTypes as cT

__version__ = "1.0"
DICT = "StructuredDataDict"
NIGHT = ("instrument", "day_obs", "detector")


class WeighConnections(pipeBase.PipelineTaskConnections, dimensions=NIGHT):
    numbers = cT.Input(doc="Numbers.", name="numbers", storageClass=DICT, dimensions=NIGHT)
    units = cT.InitOutput(doc="Units.", name="units", storageClass=DICT)
    weighed = cT.Output(doc="Weights.", name="weighed", storageClass=DICT, dimensions=NIGHT)
    rest = cT.Output(doc="What is left, if anything.", name="rest", storageClass=DICT, dimensions=NIGHT)


class WeighConfig(pipeBase.PipelineTaskConfig, pipelineConnections=WeighConnections):
    factor = pexConfig.Field(dtype=int, default=2, doc="Weight of one.")
    bad = pexConfig.Field(dtype=int, default=0, doc="Night of which nothing comes.")
    tired = pexConfig.Field(dtype=int, default=0, doc="Night of which half comes.")


class Tired(pipeBase.AlgorithmError):
    @property
    def metadata(self):
        return {}


class WeighTask(pipeBase.PipelineTask):
    ConfigClass = WeighConfig
    _DefaultName = "weigh"

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.units = {"unit": "kg"}

    def runQuantum(self, butlerQC, inputRefs, outputRefs):
        night = butlerQC.quantum.dataId["day_obs"]
        if night == self.config.bad:
            raise RuntimeError("scales are broken")
        value = butlerQC.get(inputRefs)["numbers"]["v"]
        result = pipeBase.Struct(weighed={"w": value * self.config.factor}, rest={} if value % 2 else None)
        butlerQC.put(result, outputRefs)
        if night == self.config.tired:
            error = Tired("half is enough")
            raise pipeBase.AnnotatedPartialOutputsError.annotate(error, self, log=self.log) from error


class TotalConnections(pipeBase.PipelineTaskConnections, dimensions=("instrument", "detector")):
    units = cT.InitInput(doc="Units.", name="units", storageClass=DICT)
    weighed = cT.Input(doc="Weights.", name="weighed", storageClass=DICT, dimensions=NIGHT, multiple=True)
    total = cT.Output(doc="Sum.", name="total", storageClass=DICT, dimensions=("instrument", "detector"))


class TotalConfig(pipeBase.PipelineTaskConfig, pipelineConnections=TotalConnections):
    offset = pexConfig.Field(dtype=int, default=0, doc="Added to the sum.")


class TotalTask(pipeBase.PipelineTask):
    ConfigClass = TotalConfig
    _DefaultName = "total"

    def __init__(self, *, initInputs, **kwargs):
        super().__init__(initInputs=initInputs, **kwargs)
        self.unit = initInputs["units"]["unit"]

    def run(self, weighed):
        return pipeBase.Struct(total={"sum": sum(one["w"] for one in weighed) + self.config.offset, "unit": self.unit})
'''

PIPELINE = """\
description: Weights and their sums.
tasks:
  weigh: stock_tasks.WeighTask
  total: stock_tasks.TotalTask
"""

OUTPUTS = ("weighed", "rest", "total", "weigh_metadata", "total_metadata", "weigh_log", "total_log")
INIT_OUTPUTS = ("units", "weigh_config", "total_config", "packages")


@dataclass(frozen=True)
class Shop:
    """A repository, a package of tasks that stands beside it, and a pipeline of them."""

    folder: Path

    @property
    def repo(self):
        return self.folder / "repo"

    @property
    def words(self):
        return ["-b", self.repo, "-p", self.folder / "stock.yaml"]

    def edit(self, before, after):
        """Change the code of the tasks."""
        path = self.folder / "modules" / "stock_tasks" / "__init__.py"
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))

    def pipetask(self, command, *words):
        return pipetask(command, *self.words, *words, path=(self.folder / "modules",))

    def run(self, run, *words, code=0, inputs="in"):
        """Run the pipeline into a run of the chain `u/out`; give what was said, in lines."""
        words = ["-i", inputs, "-o", "u/out", "--output-run", f"u/out/{run}", "--register-dataset-types", *words]
        ended = self.pipetask("run", *words)
        assert ended.code == code, ended.err
        return ended.err

    def found(self, collection="u/out", names=(*OUTPUTS, *INIT_OUTPUTS)):
        """Ids of what is found first in a collection, by type and data ID."""
        with Butler(self.repo) as butler:
            return {key: ref.id for key, ref in found_in(butler, collection, names).items()}

    def ran(self, run):
        """Labels and data IDs of the quanta that were run."""
        with Butler(self.repo) as butler:
            refs = found_in(butler, f"u/out/{run}", ("weigh_metadata", "total_metadata"))
        return sorted((name.removesuffix("_metadata"), *values[1:]) for name, values in refs)


def found_in(butler, collection, names):
    found = {}
    for name in names:
        try:
            refs = butler.query_datasets(name, collection, explain=False)
        except MissingDatasetTypeError:
            continue
        found.update({(name, tuple(ref.dataId.required_values)): ref for ref in refs})
    return found


def make_shop(folder, config=None):
    """Make a repository with a number for each of two nights and two detectors."""
    shop = Shop(folder)
    make_repository(shop.repo, nights=2, config=config)
    (folder / "stock.yaml").write_text(PIPELINE)
    package = folder / "modules" / "stock_tasks"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(TASKS)
    return shop


def told(text):
    """What was said of using things again: a line for each task."""
    lines = text.splitlines()
    start = next(at for at, line in enumerate(lines) if "taken from earlier runs" in line)
    shown = [line.strip() for line in lines[start:] if re.match(r"  \w+: ", line)]
    return [lines[start], *shown]
