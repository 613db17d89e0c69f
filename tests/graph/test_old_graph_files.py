"""Files of the format before `.qg`: read as data, or refused in words."""

from __future__ import annotations

import json
import lzma
import random
import struct

import pytest

from armillary import errors
from armillary.pipeline.old_graph_file import OldGraphFile, is_old_graph_file

MAGIC = b"qgraph4\xf6\xe8\xa9"
TYPES = {
    "raw": {"name": "raw", "storageClass": "StructuredDataDict", "dimensions": ["instrument", "detector"]},
    "out": {"name": "out", "storageClass": "StructuredDataDict", "dimensions": ["instrument", "detector"]},
    "a_metadata": {"name": "a_metadata", "storageClass": "TaskMetadata", "dimensions": ["instrument", "detector"]},
}
CONFIG = """import os
assert os.system("false") == 0, "never run"
config.connections.raws='raw'
config.connections.result='{part}t'
config.connections.part='ou'
"""


def node(detector, universe_ids):
    def ref(number):
        return [
            {"id": universe_ids[number], "dataId": {"dataId": {"instrument": "Cam", "detector": detector}}, "run": "r"},
            [0],
        ]

    return {
        "quantum": {
            "dataId": {"dataId": {"instrument": "Cam", "detector": detector}},
            "datasetTypeMapping": TYPES,
            "inputs": {"raw": [ref(0)]},
            "outputs": {"out": [ref(1)], "a_metadata": [ref(2)]},
            "datastoreRecords": {},
        },
        "taskLabel": "a",
        "nodeId": universe_ids[3],
    }


def ids(start):
    return [f"01900000-0000-7000-8000-0000000{start + i:05d}" for i in range(4)]


@pytest.fixture
def old_file(tmp_path):
    """Make a file of version 3, by the published layout."""
    from armillary.butler import DimensionUniverse

    task = {"taskName": "nowhere.Task", "config": CONFIG, "label": "a", "initInputRefs": [], "initOutputRefs": []}
    blocks, body = [], b""
    for block in (task, node(0, ids(100)), node(1, ids(200))):
        packed = lzma.compress(json.dumps(block).encode())
        blocks.append([len(body), len(body) + len(packed)])
        body += packed
    header = {
        "GraphBuildID": "1-2",
        "Metadata": {"input": ["i"], "output": None, "output_run": "r", "user": "u", "time": "2026-01-02 03:04:05"},
        "universe": json.loads(DimensionUniverse().to_json() if hasattr(DimensionUniverse(), "to_json") else "{}"),
        "TaskDefs": {"a": {"bytes": blocks[0], "inputs": [], "outputs": []}},
        "DimensionRecords": {
            "0": {"definition": "instrument", "record": {"name": "Cam", "detector_max": 3}},
        },
        "Nodes": [[ids(100)[3], {"bytes": blocks[1]}], [ids(200)[3], {"bytes": blocks[2]}]],
        "GlobalInitOutputRefs": [],
        "RegistryDatasetTypes": [json.dumps(described) for described in TYPES.values()],
    }

    def write(version=3, **changed):
        packed = lzma.compress(json.dumps({**header, **changed}).encode())
        path = tmp_path / "old.qgraph"
        path.write_bytes(MAGIC + struct.pack(">HQ", version, len(packed)) + packed + body)
        return path

    return write


def test_quanta_and_datasets_are_read_and_nothing_is_run(old_file):
    path = old_file()
    assert is_old_graph_file(path)
    graph = OldGraphFile(path).read()
    assert [(str(quantum_id), label) for quantum_id, label in graph.quanta()] == [
        (ids(100)[3], "a"),
        (ids(200)[3], "a"),
    ]
    inputs, outputs = graph.datasets(graph.quanta()[1][0])
    assert [str(ref.id) for ref in inputs["raws"]] == [ids(200)[0]]
    assert {name: str(refs[0].id) for name, refs in outputs.items()} == {
        "result": ids(200)[1],
        "_metadata": ids(200)[2],
    }
    assert graph.header["output_run"] == "r"
    assert graph.pipeline.task("a")["task_class"] == "nowhere.Task"


@pytest.mark.parametrize("version", [1, 2])
def test_pickles_are_refused(version, old_file):
    with pytest.raises(errors.InvalidQuantumGraphFileError, match=f"version {version} holds pickles"):
        OldGraphFile(old_file(version))


def test_unknown_versions_are_refused(old_file):
    with pytest.raises(errors.InvalidQuantumGraphFileError, match="version 4 is not known"):
        OldGraphFile(old_file(4))


@pytest.mark.parametrize(
    "changed",
    [
        {"Nodes": [["x", {"bytes": [0, 10**9]}]]},
        {"Nodes": None},
        {"TaskDefs": {}},
        {"universe": {}},
        {"RegistryDatasetTypes": ["["]},
        {"DimensionRecords": {"0": {"definition": "zzz", "record": {}}}},
    ],
)
def test_headers_that_lie_are_refused(changed, old_file):
    with pytest.raises((errors.InvalidQuantumGraphFileError, errors.DimensionNameError, errors.PipelineGraphReadError)):
        OldGraphFile(old_file(**changed)).read()


def test_damage_is_told_and_never_passes_for_another_graph(old_file, tmp_path):
    original = old_file().read_bytes()
    generator = random.Random(5)
    path = tmp_path / "damaged.qgraph"
    for _ in range(150):
        damaged = bytearray(original)
        if generator.random() < 0.2:
            del damaged[generator.randrange(len(damaged)) :]
        else:
            damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(errors.InvalidQuantumGraphFileError):
            OldGraphFile(path).read()
