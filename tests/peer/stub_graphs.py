"""Graphs of the real pipelines over stub tasks, as JSON: run by the peer and by us.

Arguments: folder of the shared data, JSON list of pipeline names.
"""

import json
import sys
from pathlib import Path

from stub_tasks import stub_pipeline

DATA = Path(sys.argv[1])


def describe(name):
    try:
        pipeline = stub_pipeline(DATA / name)
    except FileNotFoundError:  # imports from a package that the shared inputs lack
        return {"error": "FileNotFoundError"}
    try:
        graph = pipeline.to_graph()
    except Exception as error:
        return {"error": type(error).__name__}
    producers = {key: graph.producer_of(key) for key in graph.dataset_types}
    return {
        "tasks": list(graph.tasks),
        "dataset_types": list(graph.dataset_types),
        "producers": {key: node.label for key, node in producers.items() if node is not None},
        # The peer gives a task once for each of its connections.
        "consumers": {key: sorted({node.label for node in graph.consumers_of(key)}) for key in graph.dataset_types},
        "inputs": sorted(key for key, _ in graph.iter_overall_inputs()),
        "steps": list(graph.steps),
        "parts": parts_of(graph),
    }


def parts_of(graph):
    try:
        return sorted(sorted(part.tasks) for part in graph.split_independent())
    except Exception as error:
        return type(error).__name__


print(json.dumps({name: describe(name) for name in json.loads(sys.argv[2])}))
