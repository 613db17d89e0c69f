"""Quantum graphs: what is to be run on which data, and the files that hold it."""

from __future__ import annotations

import dataclasses
import datetime
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from armillary import _core
from armillary.errors import InvalidQuantumGraphFileError
from armillary.pipeline.directed_graph import DirectedGraph
from armillary.pipeline.old_graph_file import OldGraphReader, is_old_graph_file
from armillary.pipeline.pipeline_graph import PipelineGraph, TaskImportMode

if TYPE_CHECKING:
    from armillary.butler import (
        DataCoordinate,
        DatasetRef,
        DimensionRecord,
        LimitedButler,
        Quantum,
        QuantumBackedButler,
    )
    from armillary.pipeline.older_quantum_graph import QuantumGraph
    from armillary.pipeline.quantum_graph_funnel import TaskFunnel
    from armillary.pipeline.reuse.search import ReuseSearch

__all__ = [
    "FORMAT_VERSION",
    "HeaderModel",
    "InvalidQuantumGraphFileError",
    "PredictedQuantumGraph",
    "PredictedQuantumGraphComponents",
    "PredictedQuantumGraphReader",
]

FORMAT_VERSION = 1
"""Version of the files that are written."""


@dataclasses.dataclass(frozen=True)
class HeaderModel:
    """What a graph says of itself.

    Attributes
    ----------
    inputs
        Search path of the inputs, without chains.
    output, output_run
        Chain and RUN of the outputs.
    n_quanta, n_datasets, n_task_quanta
        How many there are; `n_task_quanta` by task label, those without quanta included.
    """

    version: int = FORMAT_VERSION
    graph_type: str = "predicted"
    inputs: tuple[str, ...] = ()
    output: str | None = None
    output_run: str = ""
    user: str = ""
    timestamp: datetime.datetime | None = None
    command: str = ""
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    int_size: int = 8
    n_quanta: int = 0
    n_datasets: int = 0
    n_task_quanta: Mapping[str, int] = dataclasses.field(default_factory=dict)
    provenance_dataset_id: uuid.UUID | None = None

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> HeaderModel:
        """Make one from the plain data of a file."""
        values = dict(plain)
        values["inputs"] = tuple(values["inputs"])
        values["timestamp"] = datetime.datetime.fromisoformat(plain["timestamp"]) if plain.get("timestamp") else None
        given = plain.get("provenance_dataset_id")
        values["provenance_dataset_id"] = uuid.UUID(given) if given else None
        return cls(**values)


class PredictedQuantumGraph:
    """A graph of quanta that are to be run.

    Made by `QuantumGraphBuilder.finish` or read from a file; nothing in it changes.

    Parameters
    ----------
    core
        The compiled graph.
    pipeline_graph
        The pipeline; imported or not, as the maker of this object wanted it.
    path
        The file it was read from, if it was.

    Examples
    --------
    >>> with PredictedQuantumGraph.open("run.qg") as reader:  # doctest: +SKIP
    ...     reader.read_all()
    ...     graph = reader.finish()
    >>> len(graph), graph.header.output_run  # doctest: +SKIP
    (7523, 'u/me/run')
    """

    def __init__(
        self, core: _core.QuantumGraph, pipeline_graph: PipelineGraph | None = None, path: str | None = None
    ) -> None:
        self._core = core
        self._pipeline_graph = pipeline_graph
        self.path = path

    @classmethod
    @contextmanager
    def open(
        cls,
        uri: str | os.PathLike[str],
        page_size: int = 5_000_000,
        import_mode: TaskImportMode = TaskImportMode.DO_NOT_IMPORT,
    ) -> Iterator[PredictedQuantumGraphReader]:
        """Open a file to read some or all of it.

        Parameters
        ----------
        uri
            Path of the file.
        page_size
            Taken for compatibility; address tables are searched as a whole.
        import_mode
            Whether to import the task classes that the file names. By default nothing is imported or run: a graph
            file holds configurations, which are Python code.

        Raises
        ------
        InvalidQuantumGraphFileError
            The file is damaged.
        TypeError
            It holds a graph of another type.
        """
        del page_size
        yield PredictedQuantumGraphReader(uri, import_mode)

    @classmethod
    def read_execution_quanta(
        cls,
        uri: str | os.PathLike[str],
        quantum_ids: Iterable[uuid.UUID] | None = None,
        page_size: int = 5_000_000,
    ) -> PredictedQuantumGraph:
        """Read what the execution of some quanta, or of all, needs."""
        with cls.open(uri, page_size) as reader:
            reader.read_execution_quanta(quantum_ids)
            return reader.finish()

    @cached_property
    def header(self) -> HeaderModel:
        """What the graph says of itself."""
        return HeaderModel.from_plain(self._core.header)

    @property
    def pipeline_graph(self) -> PipelineGraph:
        """The pipeline; call its `import_and_configure` before you ask for task classes."""
        if self._pipeline_graph is None:
            self._pipeline_graph = PipelineGraph.from_json(self._core.pipeline.to_json())
        return self._pipeline_graph

    def __len__(self) -> int:
        return len(self._core)

    def __iter__(self) -> Iterator[uuid.UUID]:
        return (quantum_id for quantum_id, _ in self._quanta)

    def __contains__(self, quantum_id: object) -> bool:
        return quantum_id in self.quantum_only_xgraph

    def __repr__(self) -> str:
        return f"PredictedQuantumGraph({len(self)} quanta, output_run='{self.header.output_run}')"

    @cached_property
    def _quanta(self) -> list[tuple[uuid.UUID, str]]:
        return self._core.quanta()

    def quanta(self) -> list[tuple[uuid.UUID, str]]:
        """Return id and task label of all quanta: tasks in order, then by data ID."""
        return list(self._quanta)

    def edge_indices(self) -> list[tuple[int, int]]:
        """Return pairs of positions in `quanta` of which the second quantum reads what the first writes."""
        return self._core.edge_indices()

    def edges(self) -> list[tuple[uuid.UUID, uuid.UUID]]:
        """Return pairs of ids of which the second quantum reads what the first writes."""
        quanta = self._quanta
        return [(quanta[first][0], quanta[second][0]) for first, second in self._core.edge_indices()]

    def label_of(self, quantum_id: uuid.UUID) -> str:
        """Return the task of a quantum; `LookupError` if it is not here."""
        return self._core.label(quantum_id)

    def data_id_of(self, quantum_id: uuid.UUID) -> DataCoordinate:
        """Return the data ID of a quantum, with records if they were read."""
        return self._core.data_id(quantum_id)

    @cached_property
    def quanta_by_task(self) -> Mapping[str, Mapping[DataCoordinate, uuid.UUID]]:
        """Ids by task label and data ID; every task of the pipeline is there."""
        by_task: dict[str, dict[DataCoordinate, uuid.UUID]] = {label: {} for label, _ in self._core.n_task_quanta}
        for label, quantum_id, data_id in self._core.data_ids():
            by_task[label][data_id] = quantum_id
        return by_task

    @cached_property
    def datasets_by_type(self) -> Mapping[str, Mapping[DataCoordinate, uuid.UUID]]:
        """Ids of the datasets that quanta read and write, by dataset type and data ID."""
        names = self._core.pipeline.dataset_type_names
        return {name: {ref.dataId: ref.id for ref in self._core.refs(name)} for name in names}

    @cached_property
    def quantum_only_xgraph(self) -> DirectedGraph:
        """Quanta by id, with `task_label` and `data_id`, and what must run before what."""

        def nodes() -> dict[uuid.UUID, dict[str, Any]]:
            return {
                quantum_id: {"task_label": label, "data_id": data_id}
                for label, quantum_id, data_id in self._core.data_ids()
            }

        return DirectedGraph(nodes, self.edges, (len(self._core), self._core.n_edges))

    @cached_property
    def bipartite_xgraph(self) -> DirectedGraph:
        """Quanta and datasets by id; edges lead from inputs to quanta and from quanta to outputs."""
        nodes: dict[uuid.UUID, dict[str, Any]] = {}
        edges: list[tuple[uuid.UUID, uuid.UUID]] = []
        for label, quantum_id, data_id in self._core.data_ids():
            nodes[quantum_id] = {"task_label": label, "data_id": data_id}
            inputs, outputs = self._core.datasets(quantum_id)
            for is_output, side in ((False, inputs), (True, outputs)):
                for ref in (ref for refs in side.values() for ref in refs):
                    name = ref.datasetType.nameAndComponent()[0]
                    nodes.setdefault(ref.id, {"dataset_type_name": name, "data_id": ref.dataId, "run": ref.run})
                    edges.append((quantum_id, ref.id) if is_output else (ref.id, quantum_id))
        return DirectedGraph(nodes, edges)

    @cached_property
    def dimension_data(self) -> Mapping[str, list[DimensionRecord]]:
        """Records of all data IDs, by element."""
        return self._core.dimension_records()

    def get_inputs(self, quantum_id: uuid.UUID) -> dict[str, list[DatasetRef]]:
        """Return what a quantum reads, by connection."""
        return self._core.datasets(quantum_id)[0]

    def get_outputs(self, quantum_id: uuid.UUID) -> dict[str, list[DatasetRef]]:
        """Return what a quantum writes, by connection; `_metadata` and `_log` are among them."""
        return self._core.datasets(quantum_id)[1]

    def get_refs(self, dataset_type_name: str) -> list[DatasetRef]:
        """Return all datasets of one type."""
        return self._core.refs(dataset_type_name)

    def get_init_inputs(self, task_label: str) -> dict[str, DatasetRef]:
        """Return what the making of a task reads, by connection."""
        return self._core.init_inputs(task_label)

    def get_init_outputs(self, task_label: str) -> dict[str, DatasetRef]:
        """Return what the making of a task writes, by connection.

        `_config` is among them. For the label `""`, what belongs to the whole run: `packages`.
        """
        return self._core.init_outputs(task_label)

    def build_execution_quanta(
        self, quantum_ids: Iterable[uuid.UUID] | None = None, task_label: str | None = None
    ) -> dict[uuid.UUID, Quantum]:
        """Make the objects that tasks are run on.

        Parameters
        ----------
        quantum_ids
            Which quanta; all if not given.
        task_label
            The task whose quanta are wanted; not looked at if ids are given.

        Returns
        -------
        quanta
            By id. Inputs and outputs are keyed by dataset type name (with the component for an input that is one) and
            are in the storage class of the connection; data IDs have records.
        """
        if quantum_ids is None:
            quantum_ids = [found for found, label in self._quanta if task_label in (None, label)]
        from armillary.butler import Quantum

        classes: dict[str, str] = {}
        init: dict[str, dict[str, DatasetRef]] = {}
        quanta = {}
        for quantum_id in quantum_ids:
            label = self._core.label(quantum_id)
            if label not in classes:
                classes[label] = self._core.pipeline.task(label)["task_class"]
                init[label] = {ref.datasetType.name: ref for ref in self._core.init_inputs(label).values()}
            inputs, outputs = self._core.datasets(quantum_id)
            records = self._core.datastore_records(quantum_id)
            records.update(self._core.init_datastore_records(label))
            quanta[quantum_id] = Quantum(
                taskName=classes[label],
                dataId=self._core.data_id(quantum_id),
                inputs=self._by_type(label, "inputs", inputs),
                outputs=self._by_type(label, "outputs", outputs),
                initInputs=init[label],
                datastore_records=records,
                quantum_id=quantum_id,
            )
        return quanta

    @cached_property
    def _type_names(self) -> dict[str, dict[str, str]]:
        """Dataset type name, with component, of every connection of every task."""
        names: dict[str, dict[str, str]] = {}
        pipeline = self._core.pipeline
        for label in pipeline.task_labels:
            task = pipeline.task(label)
            edges = [*task["prerequisite_inputs"], *task["inputs"], *task["outputs"], task["metadata_output"]]
            edges += [task["log_output"]] if task["log_output"] else []
            names[label] = {edge["connection"]: edge["dataset_type"] for edge in edges}
        return names

    def _by_type(
        self, label: str, side: str, by_connection: dict[str, list[DatasetRef]]
    ) -> dict[str, list[DatasetRef]]:
        """Key references by dataset type; two connections on one type share them."""
        names = self._type_names[label]
        by_type: dict[str, list[DatasetRef]] = {}
        for connection, refs in by_connection.items():
            known = by_type.setdefault(names[connection], refs)
            if known is not refs:
                ids = {ref.id for ref in known}
                by_type[names[connection]] = [*known, *(ref for ref in refs if ref.id not in ids)]
        return by_type

    @classmethod
    def from_old_quantum_graph(cls, old_quantum_graph: QuantumGraph) -> PredictedQuantumGraph:
        """Return the graph that one under the older names shows."""
        return old_quantum_graph.predicted

    def to_old_quantum_graph(self) -> QuantumGraph:
        """Return this graph under the older names."""
        from armillary.pipeline.older_quantum_graph import QuantumGraph

        return QuantumGraph(self)

    def with_output_run(self, run: str) -> PredictedQuantumGraph:
        """Return the same graph writing to another RUN; all its quanta and all that they write get new ids.

        Parameters
        ----------
        run
            Name of the RUN.
        """
        return PredictedQuantumGraph(self._core.with_output_run(run), self._pipeline_graph)

    def make_init_qbb(
        self, butler_config: Any, *, config_search_paths: Iterable[str] | None = None
    ) -> QuantumBackedButler:
        """Make the butler that reads init-inputs and writes init-outputs of this graph without a registry.

        Parameters
        ----------
        butler_config
            Folder or config file of the repository, or its configuration.
        config_search_paths
            Folders with more configuration.
        """
        from armillary.pipeline.execution.without_registry import init_butler

        butler: QuantumBackedButler = init_butler(self, butler_config, config_search_paths)
        return butler

    def init_output_run(self, butler: LimitedButler, existing: bool = True) -> None:
        """Write what belongs to the run: configurations, init-outputs and versions of packages, under their ids here.

        Parameters
        ----------
        butler
            A butler that can write; see `make_init_qbb` for one without a registry.
        existing
            Whether they may be there; configurations and versions are then compared.

        Raises
        ------
        ConflictingDefinitionError
            Something is there that differs, or that may not be there.
        """
        self._write_init(butler, existing, versions=True, configs=True, init_outputs=True)

    def write_init_outputs(self, butler: LimitedButler, skip_existing: bool = True) -> None:
        """Make all tasks and write what that gives; see `init_output_run`."""
        self._write_init(butler, skip_existing, init_outputs=True)

    def write_configs(self, butler: LimitedButler, compare_existing: bool = True) -> None:
        """Write the configurations of all tasks; see `init_output_run`."""
        self._write_init(butler, compare_existing, configs=True)

    def write_packages(self, butler: LimitedButler, compare_existing: bool = True) -> None:
        """Write the versions of all packages; see `init_output_run`."""
        self._write_init(butler, compare_existing, versions=True)

    def _write_init(self, butler: LimitedButler, may_exist: bool, **chosen: bool) -> None:
        from armillary.pipeline.execution.initialise import write_init_datasets

        what: Any = {"versions": False, "configs": False, "init_outputs": False} | chosen
        write_init_datasets(self, butler, may_exist=may_exist, init_outputs_may_exist=may_exist, **what)

    def _imported(self) -> PipelineGraph:
        graph = self.pipeline_graph
        graph.import_and_configure(TaskImportMode.ASSUME_CONSISTENT_EDGES)
        return graph

    def write(
        self,
        uri: str | os.PathLike[str],
        *,
        zstd_level: int = 1,
        zstd_dict_size: int = 32_768,
        zstd_dict_n_inputs: int = 128,
    ) -> None:
        """Write a file (`.qg`), which appears under its name only when it is complete.

        Parameters
        ----------
        uri
            Path.
        zstd_level, zstd_dict_size, zstd_dict_n_inputs
            How hard to compress, and the size in bytes and the number of samples of the dictionary that blocks share.

        Raises
        ------
        IncompleteQuantumGraphError
            The graph was read in part.
        ValueError
            The name has another ending.
        """
        if not os.fspath(uri).endswith(".qg"):
            raise ValueError(f"a quantum graph file ends in `.qg`, unlike `{os.fspath(uri)}`")
        options = {"level": zstd_level, "dictionary_size": zstd_dict_size, "dictionary_samples": zstd_dict_n_inputs}
        self._core.write(uri, **options)


class PredictedQuantumGraphReader:
    """An open graph file; what its methods read adds up, and `finish` gives it.

    Made by `PredictedQuantumGraph.open`.
    """

    def __init__(self, uri: str | os.PathLike[str], import_mode: TaskImportMode = TaskImportMode.DO_NOT_IMPORT) -> None:
        self._path = os.fspath(uri)
        self._reader: _core.QuantumGraphReader | OldGraphReader
        if is_old_graph_file(self._path):
            self._reader = OldGraphReader(self._path)
        else:
            self._reader = _core.QuantumGraphReader(self._path)
        self._import_mode = import_mode
        self._graph: _core.QuantumGraph | None = None
        self._has_datasets = False

    @cached_property
    def header(self) -> HeaderModel:
        """What the file says of itself."""
        return HeaderModel.from_plain(self._reader.header)

    @cached_property
    def pipeline_graph(self) -> PipelineGraph:
        """The pipeline."""
        return PipelineGraph.from_json(self._reader.pipeline.to_json(), self._import_mode)

    def read_thin_graph(self) -> None:
        """Read quanta and edges, without datasets."""
        if not self._has_datasets:
            self._graph = self._reader.read_thin()

    def read_init_quanta(self) -> None:
        """Read what the making of tasks reads and writes."""
        if not self._has_datasets:
            self._graph = self._reader.read_init()

    def read_dimension_data(self) -> None:
        """Read the dimension records."""
        self.read_init_quanta()

    def read_quantum_datasets(self, quantum_ids: Iterable[uuid.UUID] | None = None) -> None:
        """Read inputs and outputs of quanta; of all if no ids are given.

        Raises
        ------
        LookupError
            An id is not that of a quantum.
        """
        self._graph = self._reader.read(None if quantum_ids is None else list(quantum_ids))
        self._has_datasets = True

    def read_execution_quanta(self, quantum_ids: Iterable[uuid.UUID] | None = None) -> None:
        """Read what the execution of quanta needs; of all if no ids are given."""
        self.read_quantum_datasets(quantum_ids)

    def read_all(self) -> None:
        """Read everything."""
        self.read_quantum_datasets()

    def finish(self) -> PredictedQuantumGraph:
        """Return what was read so far; only the init datasets if nothing was."""
        if self._graph is None:
            self.read_init_quanta()
        assert self._graph is not None, "something was read"
        return PredictedQuantumGraph(self._graph, self.pipeline_graph, self._path)


class PredictedQuantumGraphComponents:
    """What a builder made: to be written to a file or to become a graph.

    Attributes
    ----------
    header
        Counts, collections and who made it.
    pipeline_graph
        The pipeline.
    funnels
        What became of the quanta of each task while the graph was built.
    n_skipped
        Quanta of each task that had succeeded before and are left out.
    n_no_work
        Quanta of each task that are left out because they lack an input or `adjustQuantum` found nothing to do.
    n_reused
        Quanta of each task for which outputs of earlier runs stand.
    reuse
        Which those are and why others are run; None if nobody looked for them.
    """

    def __init__(
        self,
        core: _core.QuantumGraph,
        pipeline_graph: PipelineGraph,
        funnels: Iterable[TaskFunnel] = (),
        reasons: Iterable[str] = (),
        reuse: ReuseSearch | None = None,
    ) -> None:
        self._graph = PredictedQuantumGraph(core, pipeline_graph)
        self.reuse = reuse
        self.pipeline_graph = pipeline_graph
        self.funnels = list(funnels)
        self.n_skipped = {funnel.label: funnel.skipped for funnel in self.funnels}
        self.n_no_work = {funnel.label: funnel.no_work for funnel in self.funnels}
        self.n_reused = {funnel.label: funnel.reused for funnel in self.funnels}
        self._reasons = list(reasons)

    @property
    def header(self) -> HeaderModel:
        """Counts, collections and who made it."""
        return self._graph.header

    def explain(self) -> list[str]:
        """Say why the graph, or a part of it, is empty; nothing if it is not."""
        return list(self._reasons)

    def assemble(self) -> PredictedQuantumGraph:
        """Return the graph."""
        return self._graph

    def write(
        self,
        uri: str | os.PathLike[str],
        *,
        zstd_level: int = 1,
        zstd_dict_size: int = 32_768,
        zstd_dict_n_inputs: int = 128,
    ) -> None:
        """Write a file; see `PredictedQuantumGraph.write`."""
        self._graph.write(
            uri, zstd_level=zstd_level, zstd_dict_size=zstd_dict_size, zstd_dict_n_inputs=zstd_dict_n_inputs
        )


def __getattr__(name: str) -> Any:  # predicted graphs need no provenance
    if name == "ProvenanceQuantumGraph":
        from armillary.pipeline.provenance.provenance_graph import ProvenanceQuantumGraph

        return ProvenanceQuantumGraph
    raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
