"""Quantum graph files of the format before `.qg` (`.qgraph`), version 3, read as data.

Nothing that such a file names is imported or run: which connection reads or writes which dataset type is taken from the
text of the configurations, which is parsed and never executed. What the files do not say is left open: all inputs are
regular ones, whether or not they were prerequisites.

Layout: ten magic bytes; the version, two bytes; the length of the header, eight bytes; the header; then blocks that the
header gives the ranges of. Header and blocks are xz-compressed JSON; numbers are big-endian.
"""

from __future__ import annotations

import ast
import json
import lzma
import os
import struct
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from armillary import _core
from armillary.errors import InvalidQuantumGraphFileError

__all__ = ["OldGraphFile", "OldGraphReader", "is_old_graph_file"]

_MAGIC = b"qgraph4\xf6\xe8\xa9"
_FIXED = struct.Struct(">10sHQ")
# More than any block of an honest file unpacks to.
_MOST_BYTES = 1 << 32
_AUTOMATIC = {"config": "_config", "metadata": "_metadata", "log": "_log"}


def is_old_graph_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is of the old format, whatever its name."""
    with open(path, "rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


class OldGraphFile:
    """An open file of the old format.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InvalidQuantumGraphFileError
        The file is damaged, or of a version that only unpickling can read: that runs whatever the file wants.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        with open(path, "rb") as stream:
            self._bytes = stream.read()
        if len(self._bytes) < 12 or self._bytes[:10] != _MAGIC:
            raise self._invalid("it does not begin like one")
        version = int.from_bytes(self._bytes[10:12], "big")
        if version in (1, 2):
            raise self._invalid(
                f"version {version} holds pickles, which could run anything when they are read; have the program that "
                "wrote it write it again in a newer format, or rebuild the graph"
            )
        if version != 3:
            raise self._invalid(f"version {version} is not known; 3 is the latest")
        if len(self._bytes) < _FIXED.size:
            raise self._invalid("it ends before its header")
        length = _FIXED.unpack_from(self._bytes)[2]
        self._start = _FIXED.size + length
        self.header: dict[str, Any] = self._json(_FIXED.size, self._start)

    def _invalid(self, reason: str) -> InvalidQuantumGraphFileError:
        return InvalidQuantumGraphFileError(f"`{self._path}` is not a quantum graph file that can be read: {reason}")

    def _json(self, start: int, end: int) -> Any:
        if not 0 <= start <= end <= len(self._bytes):
            raise self._invalid(f"a block from byte {start} to {end} is not in it")
        try:
            unpacker = lzma.LZMADecompressor()
            text = unpacker.decompress(self._bytes[start:end], _MOST_BYTES)
            if not unpacker.eof:
                raise self._invalid("a block is cut short or too long")
            return json.loads(text)
        except (lzma.LZMAError, ValueError, RecursionError, EOFError) as error:
            raise self._invalid(f"a block is damaged ({error})") from None

    def _block(self, described: Mapping[str, Any]) -> dict[str, Any]:
        start, end = described["bytes"]
        block: dict[str, Any] = self._json(self._start + start, self._start + end)
        return block

    def read(self, ids: Iterable[uuid.UUID] | None = None) -> _core.QuantumGraph:
        """Read the graph, or some of its quanta.

        Raises
        ------
        InvalidQuantumGraphFileError
            The file is damaged.
        LookupError
            An id is not that of a quantum.
        """
        try:
            nodes = {uuid.UUID(quantum_id): node for quantum_id, node in self.header["Nodes"]}
            wanted = list(nodes if ids is None else ids)
            if unknown := [quantum_id for quantum_id in wanted if quantum_id not in nodes]:
                raise LookupError(f"the graph has no quantum with id {unknown[0]}")
            tasks = {label: self._block(task) for label, task in self.header["TaskDefs"].items()}
            found = [self._block(nodes[quantum_id]) for quantum_id in wanted]
            return _Conversion(self.header, tasks, found).graph()
        except InvalidQuantumGraphFileError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
            raise self._invalid(f"{type(error).__name__}: {error}") from None


class OldGraphReader:
    """Gives files of the old format the methods of the compiled reader of new ones."""

    def __init__(self, path: str) -> None:
        self._file = OldGraphFile(path)
        self._init: _core.QuantumGraph | None = None

    @property
    def header(self) -> dict[str, Any]:
        """What the graph says of itself; the counts are those of the whole."""
        return self.read_thin().header

    @property
    def pipeline(self) -> _core.PipelineGraph:
        """The pipeline, with all inputs as regular ones."""
        return self.read_thin().pipeline

    def read_thin(self) -> _core.QuantumGraph:
        """Read everything: these files have no shorter form."""
        if self._init is None:
            self._init = self._file.read()
        return self._init

    def read_init(self) -> _core.QuantumGraph:
        """Read everything, too."""
        return self.read_thin()

    def read(self, ids: Iterable[uuid.UUID] | None = None) -> _core.QuantumGraph:
        """Read all quanta, or some."""
        return self.read_thin() if ids is None else self._file.read(ids)


def connections_in(config: str) -> dict[str, str]:
    r"""Find dataset types by connection in the text of a configuration, without running it.

    >>> connections_in("config.k=1\nconfig.connections.pre='a_'\nconfig.connections.out='{pre}x'\n")
    {'pre': 'a_', 'out': 'a_x'}
    """
    values: dict[str, str] = {}
    for statement in ast.parse(config).body:
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            continue
        target, value = ast.unparse(statement.targets[0]), statement.value
        prefix, _, name = target.rpartition(".")
        if prefix == "config.connections" and isinstance(value, ast.Constant) and isinstance(value.value, str):
            values[name] = value.value
    return {name: _filled(text, values) for name, text in values.items()}


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


class _Conversion:
    """The same graph as the documents of a new file."""

    def __init__(self, header: dict[str, Any], tasks: dict[str, Any], nodes: list[dict[str, Any]]) -> None:
        self._header = header
        self._tasks = tasks
        self._nodes = nodes
        self._types: dict[str, dict[str, Any]] = {}
        for text in header["RegistryDatasetTypes"]:
            self._note_type(json.loads(text))
        self._universe = _core.DimensionUniverse.from_json(json.dumps(header["universe"]))
        self._names = {label: self._connections(label, task) for label, task in tasks.items()}

    def _note_type(self, described: dict[str, Any]) -> None:
        name = described["name"].partition(".")[0]
        if name == described["name"]:
            self._types.setdefault(name, described)

    def _connections(self, label: str, task: Mapping[str, Any]) -> dict[str, str]:
        """Connections of a task by dataset type name."""
        return {type_name: name for name, type_name in connections_in(task["config"]).items()}

    def _connection(self, label: str, type_name: str) -> str:
        for name, ending in _AUTOMATIC.items():
            if type_name == label + ending:
                return f"_{name}"
        return self._names[label].get(type_name, type_name)

    def graph(self) -> _core.QuantumGraph:
        quanta = [json.dumps(self._quantum(node)) for node in self._nodes]
        return _core.QuantumGraph.from_documents(
            header=json.dumps(self._new_header()),
            pipeline=json.dumps(self._pipeline()),
            init=json.dumps(self._init()),
            records=json.dumps(self._records()),
            quanta=quanta,
        )

    def _new_header(self) -> dict[str, Any]:
        said = self._header.get("Metadata") or {}
        time = str(said.get("time", "")).replace(" ", "T")
        return {
            "graph_type": "predicted",
            "inputs": said.get("input") or [],
            "output": said.get("output"),
            "output_run": said.get("output_run") or "",
            "user": said.get("user") or "",
            "timestamp": time,
            "command": said.get("full_command") or "",
            "metadata": {"build_id": self._header.get("GraphBuildID")},
        }

    def _edge(self, name: str, described: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "dataset_type_name": described["name"],
            "storage_class": described["storageClass"],
            "raw_dimensions": sorted(described["dimensions"]),
            "is_calibration": bool(described.get("isCalibration")),
            "defer_query_constraint": False,
        }

    def _pipeline(self) -> dict[str, Any]:
        tasks = {label: self._task(label, task) for label, task in self._tasks.items()}
        types = {
            name: {
                "dimensions": list(self._universe.conform(described["dimensions"]).names),
                "storage_class": described["storageClass"],
                "is_calibration": bool(described.get("isCalibration")),
                "is_initial_query_constraint": False,
                "is_prerequisite": False,
            }
            for name, described in sorted(self._types.items())
            if name != "packages"
        }
        return {
            "version": "0.0.1",
            "description": "",
            "tasks": tasks,
            "dataset_types": types,
            "task_subsets": {},
            "dimensions": self._header["universe"],
            "data_id": {},
            "step_labels": [],
            "steps_verified": True,
        }

    def _task(self, label: str, task: Mapping[str, Any]) -> dict[str, Any]:
        mine = [node["quantum"] for node in self._nodes if node["taskLabel"] == label]
        sides: dict[str, dict[str, Any]] = {"inputs": {}, "outputs": {}}
        for quantum in mine:
            for side, edges in sides.items():
                for name in quantum[side]:
                    described = quantum["datasetTypeMapping"][name]
                    self._note_type(described)
                    edges.setdefault(self._connection(label, name), self._edge(name, described))
        names = {
            name: self._types[name]
            for name in (label + ending for ending in _AUTOMATIC.values())
            if name in self._types
        }
        metadata, log = names.get(f"{label}_metadata"), names.get(f"{label}_log")
        for key in ("_metadata", "_log", "_config"):
            sides["outputs"].pop(key, None)
        init = {
            side: {
                self._connection(label, ref["datasetType"]["name"]): self._edge("", ref["datasetType"])
                for ref in map(json.loads, task[f"init{side.capitalize()[:-1]}Refs"])
                if ref["datasetType"]["name"] != f"{label}_config"
            }
            for side in ("inputs", "outputs")
        }
        for ref in map(json.loads, [*task["initInputRefs"], *task["initOutputRefs"]]):
            self._note_type(ref["datasetType"])
        dimensions = metadata["dimensions"] if metadata else []
        self._note_type({"name": f"{label}_config", "storageClass": "Config", "dimensions": []})
        automatic = {"name": "", "storageClass": "", "dimensions": []}
        return {
            "task_class": task["taskName"],
            "init": {
                **init,
                "config_output": self._edge("", {**automatic, "name": f"{label}_config", "storageClass": "Config"}),
            },
            "config_str": task["config"],
            "prerequisite_inputs": {},
            **sides,
            "metadata_output": self._edge(
                "", {"name": f"{label}_metadata", "storageClass": "TaskMetadata", "dimensions": dimensions}
            ),
            "log_output": self._edge("", log) if log else None,
            "dimensions": sorted(dimensions),
        }

    def _coordinate(self, dimensions: Iterable[str], values: Mapping[str, Any]) -> list[Any]:
        group = self._universe.conform(list(dimensions))
        return [values[name] for name in (*group.required, *group.implied)]

    def _dataset(self, described: Mapping[str, Any], ref: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "dataset_id": ref["id"],
            "dataset_type_name": described["name"].partition(".")[0],
            "data_coordinate": self._coordinate(described["dimensions"], ref["dataId"]["dataId"]),
            "run": ref["run"],
        }

    def _quantum(self, node: Mapping[str, Any]) -> dict[str, Any]:
        label, quantum = node["taskLabel"], node["quantum"]
        types = quantum["datasetTypeMapping"]
        sides = {
            side: {
                self._connection(label, name): sorted(
                    (self._dataset(types[name], ref) for ref, _ in refs), key=lambda made: repr(made["data_coordinate"])
                )
                for name, refs in quantum[side].items()
            }
            for side in ("inputs", "outputs")
        }
        data_id = quantum["dataId"]["dataId"] if quantum["dataId"] else {}
        return {
            "quantum_id": node["nodeId"],
            "task_label": label,
            "data_coordinate": self._coordinate(self._types[f"{label}_metadata"]["dimensions"], data_id),
            **sides,
            "datastore_records": quantum.get("datastoreRecords") or {},
        }

    def _init(self) -> list[dict[str, Any]]:
        """The making of the run and of the tasks; old files give it no ids, so that it gets new ones."""

        def made(label: str, inputs: Iterable[str], outputs: Iterable[str]) -> dict[str, Any]:
            def side(texts: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
                refs = [json.loads(text) for text in texts]
                return {
                    self._connection(label, ref["datasetType"]["name"]) if label else ref["datasetType"]["name"]: [
                        self._dataset(ref["datasetType"], ref)
                    ]
                    for ref in refs
                }

            return {
                "quantum_id": str(uuid.uuid4()),
                "task_label": label,
                "inputs": side(inputs),
                "outputs": side(outputs),
            }

        everything = (
            [made("", [], self._header["GlobalInitOutputRefs"])] if self._header["GlobalInitOutputRefs"] else []
        )
        for label, task in self._tasks.items():
            everything.append(made(label, task["initInputRefs"], task["initOutputRefs"]))
        return everything

    def _records(self) -> dict[str, list[dict[str, Any]]]:
        by_element: dict[str, list[dict[str, Any]]] = {}
        for described in self._header["DimensionRecords"].values():
            name = described["definition"]
            if name not in self._universe.skypix_dimensions.names:
                by_element.setdefault(name, []).append(described["record"])
        return by_element
