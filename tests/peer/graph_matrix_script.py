"""Many pipelines and selections over one repository, as JSON: run by the peer and by us.

Arguments: folder of the bench scripts, repository, `peer` or `ours`.
"""

import hashlib
import importlib
import itertools
import json
import os
import sys

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


def told(components):
    """Quanta with all their datasets, and edges; ids, which are random, left out."""
    graph = components.assemble()
    names, lines = {}, []
    for quantum_id, quantum in graph.build_execution_quanta().items():
        label = graph.quantum_only_xgraph.nodes[quantum_id]["task_label"]
        names[quantum_id] = f"{label}/" + "/".join(str(value) for value in quantum.dataId.required_values)
        for side in (quantum.inputs, quantum.outputs):
            for key, refs in side.items():
                ids = sorted(
                    "/".join(str(value) for value in ref.dataId.required_values) + "@" + ref.run for ref in refs
                )
                if ids:
                    lines.append(f"{names[quantum_id]} {getattr(key, 'name', key)} {ids}")
    edges = [f"{names[first]} > {names[second]}" for first, second in graph.quantum_only_xgraph.edges]
    digest = hashlib.sha256("\n".join(sorted([*lines, *edges])).encode()).hexdigest()
    return {"quanta": len(names), "edges": len(edges), "lines": len(lines), "content": digest}


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
