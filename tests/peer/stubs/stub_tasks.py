"""Stubs of the task classes in the shared table of connections, made when somebody asks this module for them.

`stub_tasks.lsst_ip_isr_IsrTask` has the connections of `lsst.ip.isr.IsrTask`. Settings, from the environment so that
every process has them: `STUB_TABLE` is the table, `STUB_PIPE_MODULE` the package under test, and `STUB_STORAGE_CLASS`,
if set, the one storage class of everything, so that the stubs can also run.
"""

import importlib
import json
import os
import sys
import types
from pathlib import Path

import lsst.pex.config as pex_config

pipe = importlib.import_module(os.environ.get("STUB_PIPE_MODULE", "lsst.pipe.base"))
TABLE = json.loads(Path(os.environ["STUB_TABLE"]).read_text())
BY_NAME = {name.rpartition(".")[2]: entry for name, entry in sorted(TABLE.items(), reverse=True)}
NOTHING = {"dimensions": [], "connections": {}, "templates": {}}
STORAGE_CLASS = os.environ.get("STUB_STORAGE_CLASS")
OPTIONS = ("multiple", "deferLoad", "isCalibration", "minimum", "deferGraphConstraint")
EXPRESSIONS = {
    "BaseSkyMap.SKYMAP_DATASET_TYPE_NAME": "skyMap",
    "tuple()": (),
    "DiffMatchedTractCatalogBaseTemplates": {},
}
SUFFIXES = ("Connections", "Config")


def value_of(given):
    """A value of the table, in which what the sources compute stands as an expression."""
    return EXPRESSIONS[given["$expr"]] if isinstance(given, dict) and "$expr" in given else given


def connection(name, entry, of_task):
    initial = entry["kind"].startswith("Init")
    options = {key: entry[key] for key in OPTIONS if key in entry and not initial}
    if options.get("minimum", 0) > 1:
        options["multiple"] = True
    if not initial:
        options["dimensions"] = tuple(value_of(entry.get("dimensions", ())))
    if entry["kind"] == "Output" and not options["dimensions"]:
        options["dimensions"] = of_task  # which the code of the real class says
    dataset_type = value_of(entry.get("name", name))
    if STORAGE_CLASS:
        dataset_type = dataset_type.partition(".")[0]  # which has no components
    kind = getattr(pipe.connectionTypes, entry["kind"])
    return kind(name=dataset_type, storageClass=STORAGE_CLASS or entry["storageClass"], doc="stub", **options)


def run_quantum(self, butlerQC, inputRefs, outputRefs):
    butlerQC.get(inputRefs)
    for _, refs in outputRefs:
        for ref in refs if isinstance(refs, list) else [refs]:
            butlerQC.put({"task": self.getName(), "to": str(ref.dataId)}, ref)


def initialise(self, **keywords):
    pipe.PipelineTask.__init__(self, **keywords)
    for name in self.config.connections.ConnectionsClass(config=self.config).initOutputs:
        setattr(self, name, {"task": self.getName(), "initial": name})


def make(name):
    """Make the connections, configuration and task class called `name`."""
    entry = BY_NAME.get(name.rpartition("_")[2], NOTHING)
    used = {"dimensions": tuple(value_of(entry["dimensions"])), "defaultTemplates": value_of(entry["templates"]) or {}}
    space = {"__module__": __name__}

    def new(suffix, base, keywords, content):
        body = {**content, **space, "__qualname__": name + suffix}
        return types.new_class(name + suffix, (base,), keywords, lambda ns: ns.update(body))

    def drop(self, *, config=None):
        for one in config.dropped:
            delattr(self, one)

    try:
        body = {key: connection(key, one, used["dimensions"]) for key, one in entry["connections"].items()} | {
            "__init__": drop
        }
        connections = new("Connections", pipe.PipelineTaskConnections, used, body)
    except (KeyError, TypeError):  # a name that only the code of the class knows
        connections = new("Connections", pipe.PipelineTaskConnections, {"dimensions": used["dimensions"]}, {})
    dropped = pex_config.ListField(dtype=str, default=[], doc="Connections that the real class leaves out, too.")
    config = new("Config", pipe.PipelineTaskConfig, {"pipelineConnections": connections}, {"dropped": dropped})
    content = {"ConfigClass": config, "_DefaultName": name, "runQuantum": run_quantum, "__init__": initialise}
    for one in (connections, config, new("", pipe.PipelineTask, {}, content)):
        setattr(sys.modules[__name__], one.__name__, one)


def stub(class_name):
    """The name of the stub of a task class."""
    made = class_name.replace(".", "_")
    getattr(sys.modules[__name__], made)
    return f"{__name__}.{made}"


def stub_pipeline(location):
    """A pipeline with stubs in place of its tasks: without contracts, which read the real configs, and instrument."""
    pipeline = pipe.Pipeline.from_uri(str(location))
    ir = getattr(pipeline, "_pipelineIR", None) or pipeline._ir
    ir.instrument, ir.contracts = None, []
    for task in ir.tasks.values():
        task.klass = stub(task.klass)
        keep_names_only(task)
    return pipeline


def without_contradictions(pipeline):
    """Drop connections until the pipeline is a graph: the code of the real classes, not the table, leaves those out.

    A dataset type has the dimensions that its first producer gives it, or else its first consumer.
    """
    ir = getattr(pipeline, "_pipelineIR", None) or pipeline._ir
    ir.steps = []  # which hold for the real connections
    found = {label: connections_of(task) for label, task in ir.tasks.items()}
    chosen, producers, consumed = {}, {}, {}
    for label, connections in found.items():
        for name in sorted(connections.outputs | connections.initOutputs):
            one = getattr(connections, name)
            producers.setdefault(one.name, (label, name))
            chosen.setdefault(one.name, frozenset(getattr(one, "dimensions", ())))
    dropped = {label: [] for label in found}
    for label, connections in found.items():
        for name in sorted(connections.outputs | connections.initOutputs):
            if producers[getattr(connections, name).name] != (label, name):
                dropped[label].append(name)
        for kind in ("inputs", "prerequisiteInputs", "initInputs"):
            for name in sorted(getattr(connections, kind)):
                one = getattr(connections, name)
                dimensions = frozenset(getattr(one, "dimensions", ()))
                made_here = producers.get(one.name, ("",))[0] == label
                prerequisite = kind == "prerequisiteInputs"
                role = (prerequisite, getattr(one, "isCalibration", False) and prerequisite, kind == "initInputs")
                known = chosen.setdefault(one.name, dimensions), consumed.setdefault(one.name, role)
                if made_here or known != (dimensions, role) or (one.name in producers and prerequisite):
                    dropped[label].append(name)
    for label, names in dropped.items():
        if names:
            pipeline.addConfigOverride(label, "dropped", names)
    return pipeline


def stub_graph(location, pixels=False):
    """The graph of a pipeline with stubs in place of its tasks; without `pixels`, only of tasks without HEALPix."""
    pipeline = without_contradictions(stub_pipeline(location))
    for label, task in pipeline.to_graph().tasks.items():
        edges = [*task.inputs.values(), *task.prerequisite_inputs.values(), *task.outputs.values()]
        dimensions = set(task.raw_dimensions).union(*(edge.raw_dimensions for edge in edges))
        if not pixels and any(name.startswith("healpix") for name in dimensions):
            pipeline.removeTask(label)
    return pipeline.to_graph()


def connections_of(task):
    """The connections of a stub with the names in its config."""
    made = getattr(sys.modules[__name__], task.klass.partition(".")[2])
    config = made.ConfigClass()
    for block in task.config or []:
        for key, value in block.rest.items():
            setattr(config.connections, key.partition(".")[2], value)
    return made.ConfigClass.ConnectionsClass(config=config)


def keep_names_only(task):
    """Leave of a config only the names of dataset types, which the stubs know."""
    _, _, name = task.klass.partition(".")
    known = getattr(sys.modules[__name__], name).ConfigClass.ConnectionsConfigClass._fields
    kept = []
    for block in task.config or []:
        block.python, block.file, block.dataId = None, [], None
        block.rest = {k: v for k, v in block.rest.items() if k.partition(".")[2] in known and "connections." in k}
        if STORAGE_CLASS:
            block.rest = {k: v if v.startswith("parameters.") else v.partition(".")[0] for k, v in block.rest.items()}
        if block.rest:
            kept.append(block)
    task.config = kept


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    task = name
    for suffix in SUFFIXES:
        task = task.removesuffix(suffix)
    make(task)
    return sys.modules[__name__].__dict__[name]
