"""Build the graphs of pipelines and selections with armillary, and save them with the places of their inputs.

Arguments: repository. Standard input: JSON of [file, pipeline, where, input collections, tract slicing, output run].
The last line of output: numbers of quanta by file; of what cannot be built, which both sides refuse elsewhere, none.
"""

import json
import sys

import armillary.pipeline as pb
from armillary.butler import Butler
from armillary.errors import QuantumGraphBuilderError
from armillary.pipeline.all_dimensions_quantum_graph_builder import AllDimensionsQuantumGraphBuilder

saved = {}
with Butler(sys.argv[1]) as butler:
    for path, pipeline, where, inputs, tract_slicing, run in json.load(sys.stdin):
        graph = pb.Pipeline.from_uri(pipeline).to_graph()
        builder = AllDimensionsQuantumGraphBuilder(
            graph, butler, where=where, input_collections=inputs, output_run=run, tract_slicing=tract_slicing
        )
        try:
            components = builder.finish(attach_datastore_records=True)
        except QuantumGraphBuilderError:
            saved[path] = 0
            continue
        saved[path] = components.header.n_quanta
        if components.header.n_quanta:
            components.write(path)
print(json.dumps(saved))
