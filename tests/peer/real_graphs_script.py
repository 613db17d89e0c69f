"""Graphs of real pipelines with stub tasks over real visits, as JSON: run by the peer and by us.

Arguments: folder of the shared data, repository. Standard input: JSON list of [pipeline, where, whether with pixels,
file to save the graph in or nothing].
"""

import importlib
import json
import sys
from pathlib import Path

import stub_tasks
from graph_content import told

data, repository = Path(sys.argv[1]), sys.argv[2]
pipe_name = stub_tasks.pipe.__name__
butler_name = "armillary.butler" if pipe_name.startswith("armillary") else "lsst.daf.butler"
builders = importlib.import_module(pipe_name + ".all_dimensions_quantum_graph_builder")
butler = importlib.import_module(butler_name).Butler.from_config(repository)


def outcome(pipeline, where, pixels, path):
    graph = stub_tasks.stub_graph(data / pipeline, pixels)
    builder = builders.AllDimensionsQuantumGraphBuilder(
        graph, butler, where=where, input_collections=["inputs", "calibrations"], output_run="u/real"
    )
    components = builder.finish(attach_datastore_records=bool(path))
    if path:
        components.write(path)
    return told(components)


results = []
for asked in json.load(sys.stdin):
    try:
        results.append(outcome(*asked))
    except Exception as error:
        results.append({"error": type(error).__name__, "message": str(error)[:500]})
print(json.dumps(results))
