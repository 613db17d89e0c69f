"""Graphs of the real pipelines over stub tasks, as JSON: run by the peer and, with the alias on, by us.

Arguments: folder of the shared data, JSON list of pipeline names.
"""

import json
import os
import sys
import types
from pathlib import Path

import lsst.pipe.base as pb
from lsst.pipe.base import connectionTypes

DATA = Path(sys.argv[1])
TABLE = json.loads((DATA / "task_connections.json").read_text())
BY_NAME = {name.rpartition(".")[2]: entry for name, entry in sorted(TABLE.items(), reverse=True)}
STUBS = sys.modules["stub_tasks"] = types.ModuleType("stub_tasks")
OPTIONS = ("multiple", "deferLoad", "isCalibration", "minimum", "deferGraphConstraint")


def connection(name, entry):
    kind = getattr(connectionTypes, entry["kind"])
    options = {key: entry[key] for key in OPTIONS if key in entry and not entry["kind"].startswith("Init")}
    if options.get("minimum", 0) > 1:
        options["multiple"] = True
    if not entry["kind"].startswith("Init"):
        options["dimensions"] = tuple(entry.get("dimensions", ()))
    return kind(name=entry.get("name", name), storageClass=entry["storageClass"], doc="stub", **options)


def stub(class_name):
    """Make, once, a task class with the connections that the table gives."""
    made = class_name.replace(".", "_")
    if hasattr(STUBS, made):
        return f"stub_tasks.{made}"
    entry = BY_NAME.get(class_name.rpartition(".")[2], {"dimensions": [], "connections": {}, "templates": {}})
    body = {name: connection(name, one) for name, one in entry["connections"].items()}
    used = {"dimensions": tuple(entry["dimensions"]), "defaultTemplates": entry["templates"] or {}}
    space = {"__module__": "stub_tasks", "__qualname__": made}

    def new(suffix, base, keywords, content):
        return types.new_class(made + suffix, (base,), keywords, lambda ns: ns.update({**content, **space}))

    try:
        connections = new("Connections", pb.PipelineTaskConnections, used, body)
    except TypeError:  # a name with a template that only the code of the class knows
        connections = new("Connections", pb.PipelineTaskConnections, {"dimensions": used["dimensions"]}, {})
    config = new("Config", pb.PipelineTaskConfig, {"pipelineConnections": connections}, {})
    task = new("", pb.PipelineTask, {}, {"ConfigClass": config, "_DefaultName": made})
    for one in (connections, config, task):
        one.__qualname__ = one.__name__
        setattr(STUBS, one.__name__, one)
    return f"stub_tasks.{made}"


def keep_names_only(task):
    """Leave of a config only the names of dataset types, which the stubs know."""
    _, _, name = task.klass.partition(".")
    known = getattr(STUBS, name).ConfigClass.ConnectionsConfigClass._fields
    kept = []
    for block in task.config or []:
        block.python, block.file, block.dataId = None, [], None
        block.rest = {k: v for k, v in block.rest.items() if k.partition(".")[2] in known and "connections." in k}
        if block.rest:
            kept.append(block)
    task.config = kept


def describe(name):
    try:
        pipeline = pb.Pipeline.from_uri(str(DATA / name))
    except FileNotFoundError:  # imports from a package that the shared inputs lack
        return {"error": "FileNotFoundError"}
    ir = getattr(pipeline, "_pipelineIR", None) or pipeline._ir
    ir.instrument, ir.contracts = None, []
    for task in ir.tasks.values():
        task.klass = stub(task.klass)
        keep_names_only(task)
    try:
        graph = pipeline.to_graph()
    except Exception as error:
        return {"error": type(error).__name__}
    producers = {key: graph.producer_of(key) for key in graph.dataset_types}
    return {
        "tasks": list(graph.tasks),
        "dataset_types": list(graph.dataset_types),
        "producers": {key: node.label for key, node in producers.items() if node is not None},
        "consumers": {key: sorted(node.label for node in graph.consumers_of(key)) for key in graph.dataset_types},
        "inputs": sorted(key for key, _ in graph.iter_overall_inputs()),
        "steps": list(graph.steps),
        "parts": parts_of(graph),
    }


def parts_of(graph):
    try:
        return sorted(sorted(part.tasks) for part in graph.split_independent())
    except Exception as error:
        return type(error).__name__


for folder in (DATA / "pipelines").iterdir():
    os.environ[folder.name.partition("_")[2].upper() + "_DIR"] = str(folder)
print(json.dumps({name: describe(name) for name in json.loads(sys.argv[2])}))
