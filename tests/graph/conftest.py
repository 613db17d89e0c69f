"""Stored graphs as plain data, and the task descriptions they stand for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]


def _edge(connection: str, edge: Json) -> Json:
    return {
        "connection": connection,
        "dataset_type": edge["dataset_type_name"],
        "storage_class": edge["storage_class"],
        "dimensions": edge["raw_dimensions"],
        "is_calibration": edge.get("is_calibration", False),
        "defer_query_constraint": edge.get("defer_query_constraint", False),
        "multiple": True,
    }


def _edges(edges: Json) -> list[Json]:
    return [_edge(connection, edge) for connection, edge in edges.items()]


def task_descriptions(pipeline: Json) -> list[Json]:
    """Descriptions of the tasks of a stored pipeline, as connections classes would give them."""
    return [
        {
            "label": label,
            "task_class": task["task_class"],
            "dimensions": task["dimensions"],
            "config_str": task["config_str"],
            "init_inputs": _edges(task["init"]["inputs"]),
            "init_outputs": _edges(task["init"]["outputs"]),
            "config_output": _edge("_config", task["init"]["config_output"]),
            "prerequisite_inputs": _edges(task["prerequisite_inputs"]),
            "inputs": _edges(task["inputs"]),
            "outputs": _edges(task["outputs"]),
            "metadata_output": _edge("_metadata", task["metadata_output"]),
            "log_output": _edge("_log", task["log_output"]) if task.get("log_output") else None,
        }
        for label, task in pipeline["tasks"].items()
    ]


@pytest.fixture(scope="session")
def descriptions() -> Callable[[Json], list[Json]]:
    return task_descriptions


@pytest.fixture(scope="session")
def stored(shared_path: Callable[..., Path]) -> Callable[[str], Json]:
    """The decoded view of a fixture graph."""

    def read(name: str) -> Json:
        folder = "hand" if name == "hand" else "peer"
        view: Json = json.loads(shared_path("graph-fixtures", folder, f"{name}.json").read_text())
        return view

    return read
