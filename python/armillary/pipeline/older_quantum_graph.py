"""`QuantumGraph` and its nodes: the names by which users' code knew graphs before `PredictedQuantumGraph`.

Everything here looks at a `PredictedQuantumGraph`; files are the same.
"""

from __future__ import annotations

import dataclasses
import graphlib
import itertools
import json
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from armillary.errors import IncompatibleGraphError, IncompleteQuantumGraphError
from armillary.pipeline.directed_graph import DirectedGraph
from armillary.pipeline.older_quantum_nodes import (
    BuildId,
    DatasetTypeName,
    NodeId,
    QgraphSummary,
    QgraphTaskSummary,
    QuantumNode,
)
from armillary.pipeline.quantum_graph import PredictedQuantumGraph
from armillary.pipeline.task_definition import TaskDef

if TYPE_CHECKING:
    from armillary._core import FileRecord
    from armillary.butler import (
        DatasetRef,
        DatasetType,
        DimensionUniverse,
        LimitedButler,
        Quantum,
        QuantumBackedButler,
    )
    from armillary.pipeline.pipeline_graph import PipelineGraph

__all__ = [
    "BuildId",
    "DatasetTypeName",
    "IncompatibleGraphError",
    "NodeId",
    "QgraphSummary",
    "QgraphTaskSummary",
    "QuantumGraph",
    "QuantumNode",
]


def _flat(sides: Iterable[Mapping[str, list[DatasetRef]]]) -> set[DatasetRef]:
    """Return all references of the inputs or outputs of several quanta, as wholes."""
    refs = (ref for side in sides for found in side.values() for ref in found)
    return {ref.makeCompositeRef() if ref.isComponent() else ref for ref in refs}


class QuantumGraph:
    """A graph of quanta, as a container of `QuantumNode` in the order in which they can run.

    Parameters
    ----------
    predicted
        The graph that this one shows.

    Examples
    --------
    >>> graph = QuantumGraph.loadUri("run.qg")  # doctest: +SKIP
    >>> [node.taskDef.label for node in graph.inputQuanta]  # doctest: +SKIP
    ['isr', 'isr']
    """

    def __init__(self, predicted: PredictedQuantumGraph) -> None:
        self._predicted = predicted
        self._whole: PredictedQuantumGraph | None = None  # of which this is a part

    @classmethod
    def loadUri(
        cls,
        uri: str | os.PathLike[str],
        universe: DimensionUniverse | None = None,
        nodes: Iterable[uuid.UUID | str] | None = None,
        graphID: BuildId | None = None,
        minimumVersion: int = 3,
    ) -> QuantumGraph:
        """Read a graph file, whole or the quanta with some ids; nothing that it names is imported or run.

        Parameters
        ----------
        uri
            A `.qg` file, or a `.qgraph` file of version 3.
        universe
            Taken for compatibility; files say what their dimensions are.
        nodes
            Ids of the quanta that are wanted; all if not given.
        graphID
            If given, the graph must be of this build.
        minimumVersion
            Taken for compatibility; older versions hold pickles and are refused in any case.

        Raises
        ------
        InvalidQuantumGraphFileError
            The file is damaged.
        LookupError
            An id is not that of a quantum.
        ValueError
            The graph is of another build.
        """
        del universe, minimumVersion
        ids = None if nodes is None else [uuid.UUID(str(node)) for node in nodes]
        graph = cls(PredictedQuantumGraph.read_execution_quanta(uri, ids))
        if graphID is not None and graphID != graph.graphID:
            raise ValueError(f"the graph in `{os.fspath(uri)}` is of build `{graph.graphID}`, not of `{graphID}`")
        return graph

    @staticmethod
    def readHeader(uri: str | os.PathLike[str], minimumVersion: int = 3) -> str:
        """Read what a file says of itself, as JSON."""
        del minimumVersion
        with PredictedQuantumGraph.open(uri) as reader:
            header = dataclasses.asdict(reader.header)
        return json.dumps(header, default=str)

    @classmethod
    def load(
        cls,
        file: IO[bytes],
        universe: DimensionUniverse | None = None,
        nodes: Iterable[uuid.UUID | str] | None = None,
        graphID: BuildId | None = None,
        minimumVersion: int = 3,
    ) -> QuantumGraph:
        """Read a graph from an open file of bytes; see `loadUri`."""
        content = file.read()
        with tempfile.TemporaryDirectory(prefix="armillary-") as folder:
            path = os.path.join(folder, "graph.qg" if content.startswith(b"PK") else "graph.qgraph")
            with open(path, "wb") as copy:
                copy.write(content)
            return cls.loadUri(path, universe, nodes, graphID, minimumVersion)

    def saveUri(self, uri: str | os.PathLike[str]) -> None:
        """Write a `.qg` file, which the peer's `PredictedQuantumGraph` reads; the older `.qgraph` is only read here.

        Raises
        ------
        IncompleteQuantumGraphError
            This is a part of a graph: write the whole, and run a part of it by the ids of its nodes.
        ValueError
            The name has another ending.
        """
        if os.fspath(uri).endswith(".qgraph"):
            raise ValueError(
                f"`{os.fspath(uri)}` would be of the older format, which holds pickles and is only read; "
                "let the name end in `.qg`, and read it with `PredictedQuantumGraph` or `pipetask run -g`"
            )
        self._predicted.write(uri)

    def save(self, file: IO[bytes]) -> None:
        """Write what `saveUri` writes to an open file of bytes."""
        with tempfile.TemporaryDirectory(prefix="armillary-") as folder:
            path = os.path.join(folder, "graph.qg")
            self.saveUri(path)
            with open(path, "rb") as written:
                file.write(written.read())

    # -- parts and changes

    def subset(self, nodes: QuantumNode | Iterable[QuantumNode]) -> QuantumGraph:
        """Return the graph of some nodes; they keep their ids.

        Parameters
        ----------
        nodes
            A node, or several.

        Raises
        ------
        LookupError
            A node is not in this graph.
        """
        chosen = [nodes] if isinstance(nodes, QuantumNode) else list(nodes)
        for node in chosen:
            if node not in self:
                raise LookupError(f"the quantum `{node.nodeId}` of task `{node.taskDef.label}` is not in this graph")
        return self._parts([[node.nodeId for node in chosen]])[0]

    def subsetToConnected(self) -> tuple[QuantumGraph, ...]:
        """Return the graphs of nodes that hang together, the largest first."""
        reached: dict[uuid.UUID, int] = {}
        groups: list[list[uuid.UUID]] = []
        beside = self._beside
        for start in beside:
            if start in reached:
                continue
            group, ahead = [start], [start]
            reached[start] = len(groups)
            while ahead:
                fresh = [key for key in beside[ahead.pop()] if key not in reached]
                reached.update(dict.fromkeys(fresh, len(groups)))
                group += fresh
                ahead += fresh
            groups.append(group)
        return tuple(self._parts(sorted(groups, key=len, reverse=True)))

    def determineConnectionsOfQuantumNode(self, node: QuantumNode) -> QuantumGraph:
        """Return the graph of a node, those right before it and those right after it."""
        return self.subset({node, *self.determineInputsToQuantumNode(node), *self.determineOutputsOfQuantumNode(node)})

    def determineAncestorsOfQuantumNode(self, node: QuantumNode) -> QuantumGraph:
        """Return the graph of a node and all that must run before it."""
        ancestors, ahead = {node}, [node]
        while ahead:
            fresh = self.determineInputsToQuantumNode(ahead.pop()) - ancestors
            ancestors |= fresh
            ahead += fresh
        return self.subset(ancestors)

    def _parts(self, groups: Iterable[list[uuid.UUID]]) -> list[QuantumGraph]:
        """Read parts of the whole graph, from a file that is written for that."""
        whole = self._whole or self._predicted
        parts = []
        with tempfile.TemporaryDirectory(prefix="armillary-") as folder:
            path = os.path.join(folder, "graph.qg")
            try:
                whole.write(path)
            except IncompleteQuantumGraphError:
                if whole.path is None:
                    raise
                path = whole.path  # of which it is a part already
            for ids in groups:
                part = type(self)(PredictedQuantumGraph.read_execution_quanta(path, ids))
                part._predicted.path = None
                part._whole = whole
                parts.append(part)
        return parts

    def findCycle(self) -> list[tuple[QuantumNode, QuantumNode]]:
        """Return the edges of a cycle, if there is one: in no graph that was built or read."""
        try:
            graphlib.TopologicalSorter({node: self.graph.predecessors(node) for node in self}).prepare()
        except graphlib.CycleError as error:
            nodes = error.args[1]
            return list(itertools.pairwise(nodes))
        return []

    def updateRun(self, run: str, *, metadata_key: str | None = None, update_graph_id: bool = False) -> None:
        """Let this graph write to another run: all its quanta, and all that they write, get new ids.

        Parameters
        ----------
        run
            The run.
        metadata_key
            Taken for compatibility; a graph notes its run as `output_run`.
        update_graph_id
            Taken for compatibility.

        Raises
        ------
        TypeError
            This is a part of a graph: change the whole, and take the part again.
        ValueError
            The run is to be noted under another key.
        """
        del update_graph_id
        if self._whole is not None:
            raise TypeError(
                "the run of a part of a graph cannot be changed; change the whole graph, then take the part"
            )
        if metadata_key not in (None, "output_run"):
            raise ValueError(f"a graph notes its run as `output_run`, not as `{metadata_key}`")
        self._predicted = self._predicted.with_output_run(run)
        for name in ("_tasks", "_nodes", "graph"):
            self.__dict__.pop(name, None)

    @property
    def predicted(self) -> PredictedQuantumGraph:
        """The graph that this one shows."""
        return self._predicted

    @property
    def pipeline_graph(self) -> PipelineGraph:
        """The pipeline."""
        return self._predicted.pipeline_graph

    @property
    def metadata(self) -> dict[str, Any]:
        """What was noted when the graph was made, with `input`, `output` and `output_run`."""
        header = self._predicted.header
        own = {"input": list(header.inputs), "output": header.output, "output_run": header.output_run}
        return {**header.metadata, **own, "user": header.user, "full_command": header.command}

    @property
    def graphID(self) -> BuildId:
        """What tells this build from others."""
        header = self._predicted.header
        return BuildId(str(header.metadata.get("build_id") or header.provenance_dataset_id or ""))

    @cached_property
    def _tasks(self) -> dict[str, TaskDef]:
        """Tasks that have quanta, imported when they are first asked for."""
        graph = self._predicted._imported()
        with_quanta = {label for _, label in self._predicted.quanta()}
        return {
            label: TaskDef(node.task_class_name, node.config, node.task_class, label)
            for label, node in graph.tasks.items()
            if label in with_quanta
        }

    @cached_property
    def _nodes(self) -> dict[uuid.UUID, QuantumNode]:
        labels = dict(self._predicted.quanta())
        quanta = self._predicted.build_execution_quanta()
        return {key: QuantumNode(quantum, self._tasks[labels[key]], key) for key, quantum in quanta.items()}

    @cached_property
    def graph(self) -> DirectedGraph:
        """Nodes, and which must run before which."""
        edges = [(self._nodes[first], self._nodes[second]) for first, second in self._predicted.edges()]
        return DirectedGraph({node: {} for node in self._nodes.values()}, edges)

    def __iter__(self) -> Iterator[QuantumNode]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._predicted)

    def __contains__(self, node: object) -> bool:
        return isinstance(node, QuantumNode) and node.nodeId in self._nodes

    @property
    def taskGraph(self) -> list[TaskDef]:
        """Tasks that have quanta, in the order in which they can run."""
        return list(self._tasks.values())

    def iterTaskGraph(self) -> Iterator[TaskDef]:
        """Iterate over the tasks that have quanta."""
        return iter(self._tasks.values())

    def findTaskDefByLabel(self, label: str) -> TaskDef | None:
        """Return the task with a label; None if it has no quanta."""
        return self._tasks.get(label)

    def findTaskDefByName(self, taskName: str) -> list[TaskDef]:
        """Return the tasks of a class, told by its full name or the last part of it."""
        return [task for task in self._tasks.values() if taskName in (task.taskName, task.taskName.rpartition(".")[2])]

    def getQuantumNodeByNodeId(self, nodeId: uuid.UUID) -> QuantumNode:
        """Return the node of a quantum; `KeyError` if it is not here."""
        return self._nodes[nodeId]

    def getNodesForTask(self, taskDef: TaskDef) -> frozenset[QuantumNode]:
        """Return the nodes of a task."""
        return frozenset(node for node in self if node.taskDef.label == taskDef.label)

    def getQuantaForTask(self, taskDef: TaskDef) -> frozenset[Quantum]:
        """Return the quanta of a task."""
        return frozenset(node.quantum for node in self.getNodesForTask(taskDef))

    def getNumberOfQuantaForTask(self, taskDef: TaskDef) -> int:
        """Count the quanta of a task."""
        return sum(label == taskDef.label for _, label in self._predicted.quanta())

    def get_task_quanta(self, label: str) -> dict[uuid.UUID, Quantum]:
        """Return the quanta of a task by id."""
        return self._predicted.build_execution_quanta(task_label=label)

    @property
    def inputQuanta(self) -> Iterator[QuantumNode]:
        """Nodes that wait for no other."""
        return (node for node in self if not self.graph.in_degree(node))

    @property
    def outputQuanta(self) -> Iterator[QuantumNode]:
        """Nodes that no other waits for."""
        return (node for node in self if not self.graph.out_degree(node))

    def determineInputsToQuantumNode(self, node: QuantumNode) -> set[QuantumNode]:
        """Return the nodes that must run right before a node."""
        return set(self.graph.predecessors(node))

    def determineOutputsOfQuantumNode(self, node: QuantumNode) -> set[QuantumNode]:
        """Return the nodes that can run right after a node."""
        return set(self.graph.successors(node))

    @property
    def universe(self) -> DimensionUniverse:
        """All dimensions."""
        universe: DimensionUniverse = next(iter(self.pipeline_graph.dataset_types.values())).dimensions.universe
        return universe

    def registryDatasetTypes(self) -> list[DatasetType]:
        """Return the dataset types that the graph was built with."""
        return [node.dataset_type for node in self.pipeline_graph.dataset_types.values()]

    def make_init_qbb(
        self, butler_config: Any, *, config_search_paths: Iterable[str] | None = None
    ) -> QuantumBackedButler:
        """Make the butler for init-inputs and init-outputs; see `PredictedQuantumGraph.make_init_qbb`."""
        return self._predicted.make_init_qbb(butler_config, config_search_paths=config_search_paths)

    def init_output_run(self, butler: LimitedButler, existing: bool = True) -> None:
        """Write what belongs to the run: configs, init-outputs and versions of packages."""
        self._predicted.init_output_run(butler, existing)

    def write_init_outputs(self, butler: LimitedButler, skip_existing: bool = True) -> None:
        """Make all tasks and write what that gives; those that are there are refused without `skip_existing`."""
        self._predicted.write_init_outputs(butler, skip_existing)

    def write_configs(self, butler: LimitedButler, compare_existing: bool = True) -> None:
        """Write the configs of all tasks; those that are there are refused without `compare_existing`."""
        self._predicted.write_configs(butler, compare_existing)

    def write_packages(self, butler: LimitedButler, compare_existing: bool = True) -> None:
        """Write the versions of packages; if they are there they are refused without `compare_existing`."""
        self._predicted.write_packages(butler, compare_existing)

    def get_refs(
        self,
        *,
        include_init_inputs: bool = False,
        include_inputs: bool = False,
        include_intermediates: bool | None = None,
        include_init_outputs: bool = False,
        include_outputs: bool = False,
        conform_outputs: bool = True,
    ) -> tuple[set[DatasetRef], dict[uuid.UUID, list[FileRecord]]]:
        """Return datasets that are read or written, and where those are that the graph was built with.

        Parameters
        ----------
        include_init_inputs, include_init_outputs
            Whether what the making of tasks reads, or writes, is wanted; so are configs and versions of packages.
        include_inputs, include_outputs
            Whether what quanta read, or write, is wanted.
        include_intermediates
            Whether datasets that are both written and read are wanted in any case (True) or in none (False).
        conform_outputs
            Taken for compatibility: references are of the storage class of the repository or the first writer.

        Returns
        -------
        refs, records
            The references; and records of files by dataset id, of overall inputs among them.
        """
        del conform_outputs
        predicted = self._predicted
        quanta = [quantum_id for quantum_id, _ in predicted.quanta()]
        labels = ["", *predicted._core.pipeline.task_labels]
        read = _flat(predicted.get_inputs(key) for key in quanta)
        written = _flat(predicted.get_outputs(key) for key in quanta)
        init_read = {ref for label in labels for ref in predicted.get_init_inputs(label).values()}
        init_written = {ref for label in labels for ref in predicted.get_init_outputs(label).values()}
        refs: set[DatasetRef] = set()
        for wanted, found in (
            (include_init_inputs, init_read),
            (include_inputs, read),
            (include_init_outputs, init_written),
            (include_outputs, written),
        ):
            refs |= found if wanted else set()
        between = (read & written) | (init_read & init_written)
        if include_intermediates is not None:
            refs = refs | between if include_intermediates else refs - between
        records: dict[uuid.UUID, list[FileRecord]] = {}
        for key in quanta:
            records.update(predicted._core.datastore_records(key))
        for label in labels[1:]:
            records.update(predicted._core.init_datastore_records(label))
        ids = {ref.id for ref in refs}
        return refs, {key: found for key, found in records.items() if key in ids}

    def buildAndPrintHeader(self) -> None:
        """Print what a file of this graph would say of itself, as JSON."""
        print(json.dumps(dataclasses.asdict(self._predicted.header), default=str))

    @property
    def allDatasetTypes(self) -> tuple[DatasetTypeName, ...]:
        """Names of the dataset types that quanta read or write."""
        return tuple(DatasetTypeName(name) for name in self._predicted._core.pipeline.dataset_type_names)

    def initOutputRefs(self, taskDef: TaskDef) -> list[DatasetRef]:
        """Return what the making of a task writes, its config included."""
        return list(self._predicted.get_init_outputs(taskDef.label).values())

    def initInputRefs(self, taskDef: TaskDef) -> list[DatasetRef]:
        """Return what the making of a task reads."""
        return list(self._predicted.get_init_inputs(taskDef.label).values())

    def globalInitOutputRefs(self) -> list[DatasetRef]:
        """Return what belongs to the whole run: the versions of packages."""
        return list(self._predicted.get_init_outputs("").values())

    def get_init_input_refs(self, task_label: str) -> list[DatasetRef]:
        """Return what the making of a task reads, by its label."""
        return list(self._predicted.get_init_inputs(task_label).values())

    def get_init_output_refs(self, task_label: str) -> list[DatasetRef]:
        """Return what the making of a task writes, by its label; what belongs to the whole run has the label `""`."""
        return list(self._predicted.get_init_outputs(task_label).values())

    def findTaskWithOutput(self, datasetTypeName: DatasetTypeName | str) -> TaskDef | None:
        """Return the task whose quanta write a dataset type; None for an overall input, or one that nobody has."""
        edge = self._predicted.pipeline_graph.producing_edge_of(datasetTypeName) if self._has(datasetTypeName) else None
        return None if edge is None or edge.is_init else self._tasks.get(edge.task_label)

    def findTasksWithInput(self, datasetTypeName: DatasetTypeName | str) -> Iterable[TaskDef]:
        """Return the tasks whose quanta read a dataset type."""
        edges = self._predicted.pipeline_graph.consuming_edges_of(datasetTypeName) if self._has(datasetTypeName) else []
        labels = dict.fromkeys(edge.task_label for edge in edges if not edge.is_init)
        return [self._tasks[label] for label in labels if label in self._tasks]

    def tasksWithDSType(self, datasetTypeName: DatasetTypeName | str) -> Iterable[TaskDef]:
        """Return the tasks whose quanta read or write a dataset type, the writer first."""
        writer = self.findTaskWithOutput(datasetTypeName)
        return [*([] if writer is None else [writer]), *self.findTasksWithInput(datasetTypeName)]

    def findQuantaWithDSType(self, datasetTypeName: DatasetTypeName | str) -> set[QuantumNode]:
        """Return the nodes whose quanta read or write datasets of a type."""

        def has(quantum: Quantum) -> bool:
            sides = (*quantum.inputs.items(), *quantum.outputs.items())
            return any(refs and getattr(key, "name", key) == datasetTypeName for key, refs in sides)

        return {node for node in self if has(node.quantum)}

    def checkQuantumInGraph(self, quantum: Quantum) -> bool:
        """Tell whether a quantum is one of this graph's."""
        return quantum.quantum_id in self._nodes

    @property
    def _beside(self) -> dict[uuid.UUID, list[uuid.UUID]]:
        """Neighbours of each node, before and after it."""
        beside: dict[uuid.UUID, list[uuid.UUID]] = {key: [] for key, _ in self._predicted.quanta()}
        for first, second in self._predicted.edges():
            beside[first].append(second)
            beside[second].append(first)
        return beside

    @property
    def isConnected(self) -> bool:
        """Whether every node can be reached from every other along edges, whichever way these run."""
        beside = self._beside
        reached, ahead = set(list(beside)[:1]), list(beside)[:1]
        while ahead:
            fresh = [key for key in beside[ahead.pop()] if key not in reached]
            reached.update(fresh)
            ahead.extend(fresh)
        return len(reached) == len(beside)

    def writeDotGraph(self, output: str | os.PathLike[str] | IO[bytes]) -> None:
        """Write a drawing in the language of Graphviz, to a file of that name or to an open one of bytes."""
        from armillary.pipeline.quantum_graph_drawing import quantum_graph_dot

        content = quantum_graph_dot(self._predicted).encode()
        if isinstance(output, str | os.PathLike):
            with open(output, "wb") as stream:
                stream.write(content)
        else:
            output.write(content)

    def _has(self, dataset_type_name: str) -> bool:
        return dataset_type_name in self._predicted._core.pipeline.dataset_type_names

    def getSummary(self) -> QgraphSummary:
        """Return the graph in numbers."""
        header = self._predicted.header
        counts: dict[str, tuple[int, dict[str, int], dict[str, int]]] = {}
        for quantum_id, label in self._predicted.quanta():
            number, read, written = counts.get(label, (0, {}, {}))
            sides = (self._predicted.get_inputs(quantum_id), self._predicted.get_outputs(quantum_id))
            for totals, side in zip((read, written), sides, strict=True):
                for ref in (ref for refs in side.values() for ref in refs):
                    totals[ref.datasetType.name] = totals.get(ref.datasetType.name, 0) + 1
            counts[label] = (number + 1, read, written)
        return QgraphSummary(
            graphID=self.graphID,
            cmdLine=header.command or None,
            creationUTC=header.timestamp.isoformat() if header.timestamp else None,
            inputCollection=list(header.inputs),
            outputCollection=header.output,
            outputRun=header.output_run or None,
            qgraphTaskSummaries={label: QgraphTaskSummary(label, *numbers) for label, numbers in counts.items()},
        )
