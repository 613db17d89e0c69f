"""Many pipelines and selections over one repository, as JSON: run by the peer and by us.

Arguments: folder of the bench scripts, repository, `peer` or `ours`.
"""

import importlib
import itertools
import json
import os
import sys

from graph_content import told
from graph_matrix import CONDITIONS, SELECTIONS

bench, repository, who = sys.argv[1:4]
sys.path.insert(0, bench)
pipe_name, butler_name = {
    "peer": ("lsst.pipe.base", "lsst.daf.butler"),
    "ours": ("armillary.pipeline", "armillary.butler"),
}[who]
pb = importlib.import_module(pipe_name)
builder_module = importlib.import_module(pipe_name + ".all_dimensions_quantum_graph_builder")
butler = importlib.import_module(butler_name).Butler.from_config(repository)


def outcome(selection, where):
    pipeline = pb.Pipeline.from_uri(os.path.join(bench, "drp.yaml") + selection).to_graph()
    builder = builder_module.AllDimensionsQuantumGraphBuilder(
        pipeline, butler, where=where, input_collections=["BenchCam/defaults"], output_run="u/x/run"
    )
    return told(builder.finish(attach_datastore_records=False))


results = {}
for selection, where in itertools.product(SELECTIONS, CONDITIONS):
    try:
        results[f"{selection} {where}"] = outcome(selection, where)
    except Exception as error:
        results[f"{selection} {where}"] = {"error": type(error).__name__}
print(json.dumps(results))
