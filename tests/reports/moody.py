"""A repository of numbers by night and detector, two tasks with moods, and what attempts at them would leave."""

import os
import random
import sys
import traceback
from pathlib import Path

from armillary.butler import Butler, DatasetType
from armillary.pipeline import Pipeline, TaskMetadata
from armillary.pipeline.all_dimensions_quantum_graph_builder import AllDimensionsQuantumGraphBuilder
from armillary.storage.log_records import ButlerLogRecord, ButlerLogRecords
from armillary.testing import fill_small_repository

MODULES = Path(__file__).parents[1] / "cli" / "modules"
DICT = "StructuredDataDict"
PIPELINE = """\
description: Numbers and their sums, with moods.
tasks:
  first: moody_tasks.FirstTask
  second: moody_tasks.SecondTask
"""


def make_repository(root, nights=3, detectors=2, config=None):
    """Make a repository with a number for every night and detector in the run `in`."""
    Butler.makeRepo(root, config=config)
    with Butler(root, writeable=True, run="in") as butler:
        fill_small_repository(butler)
        registry = butler.registry
        camera = {"instrument": "Cam"}
        for night in range(2, 1 + nights):
            registry.insertDimensionData("day_obs", camera | {"id": 20250100 + night})
        for number in range(3, 1 + detectors):
            names = {"full_name": f"D{number}", "raft": "R0", "name_in_raft": f"D{number}", "purpose": "SCIENCE"}
            registry.insertDimensionData("detector", camera | {"id": number} | names)
        dimensions = ["instrument", "day_obs", "detector"]
        registry.registerDatasetType(DatasetType("numbers", dimensions, DICT, universe=butler.dimensions))
        for night in range(1, 1 + nights):
            for number in range(1, 1 + detectors):
                data_id = camera | {"day_obs": 20250100 + night, "detector": number}
                butler.put({"v": night * number}, "numbers", data_id)


def build(butler, run, path, where=""):
    """Build and save a graph of the two tasks."""
    graph = Pipeline.fromString(PIPELINE).to_graph(butler.registry)
    builder = AllDimensionsQuantumGraphBuilder(graph, butler, where=where, input_collections=["in"], output_run=run)
    components = builder.finish(attach_datastore_records=True)
    components.write(path)
    return components.assemble()


def pretend(butler, graph, seed):
    """Leave what quanta leave when they succeed, write a part, fail, are never run, or lose their logs."""
    choice = random.Random(seed)
    graph.pipeline_graph.register_dataset_types(butler)
    butler.collections.register(graph.header.output_run)
    bad = set()
    upstream = {}
    for first, second in graph.edges():
        upstream.setdefault(second, set()).add(first)
    for quantum_id, label in graph.quanta():
        states = ("whole", "whole", "whole", "part", "failed", "nothing", "no log")
        state = "nothing" if upstream.get(quantum_id, set()) & bad else choice.choice(states)
        if state in ("failed", "nothing"):
            bad.add(quantum_id)
        for connection, refs in graph.get_outputs(quantum_id).items():
            for ref in refs:
                if connection == "_metadata":
                    value = metadata(label, state) if state in ("whole", "part", "no log") else None
                elif connection == "_log":
                    value = log(state) if state in ("whole", "part", "failed") else None
                else:
                    left = state == "whole" or (state in ("part", "failed") and choice.random() < 0.5)
                    value = {"v": 1} if left else None
                if value is not None:
                    butler.put(value, ref)


def metadata(label, state):
    """What a successful quantum notes."""
    plain = {"quantum": {"caveats": 1 if state == "part" else 0}}
    if state == "part":
        plain["quantum"]["caveats"] = 67
        plain[label] = {"failure": {"type": "moody_tasks.HalfDone", "message": "too few", "metadata": {"stars": 2}}}
    return TaskMetadata.from_dict(plain)


def log(state):
    """What a quantum logs."""
    common = {"name": "lsst.first", "asctime": "2025-01-01T00:00:00+00:00", "filename": "f.py", "pathname": "/f.py"}
    records = [(20, "INFO", "begun")] + ([(40, "ERROR", "asked to fail")] if state == "failed" else [])
    made = [
        ButlerLogRecord(message=message, levelno=number, levelname=level, lineno=1, process=1, **common)
        for number, level, message in records
    ]
    extra = {"metadata": None, "exception": None, "previous_process_quanta": []}
    return ButlerLogRecords(made, extra)


def make_attempts(folder, runs, nights=3, detectors=40):
    """Make a repository with attempts in which quanta ended in every way at random, and the graph file of each."""
    make_repository(folder / "repo", nights, detectors)
    with Butler(folder / "repo", writeable=True) as butler:
        for seed, run in enumerate(runs):
            where = "" if seed < 2 else "instrument='Cam' AND detector > 10"
            pretend(butler, build(butler, run, folder / f"{run.rpartition('/')[2]}.qg", where), seed)


def in_a_copy(function, *arguments):
    """Call a function in a copy of this process, where the tasks' modules and the names of LSST are at hand."""
    process = os.fork()
    if not process:
        code = 1
        try:
            from armillary.lsst_alias import activate

            activate()
            sys.path.insert(0, str(MODULES))
            function(*arguments)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
