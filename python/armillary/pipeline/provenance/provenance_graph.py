"""Provenance graphs: what became of every quantum and dataset of a run, with its metadata and logs, in one file."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from armillary import _core
from armillary.errors import InvalidQuantumGraphFileError
from armillary.pipeline.directed_graph import DirectedGraph
from armillary.pipeline.pipeline_graph import PipelineGraph
from armillary.pipeline.provenance.status_report import ProvenanceReport, print_tables
from armillary.pipeline.provenance.summary import Table, rows_of, to_astropy
from armillary.pipeline.quantum_graph import HeaderModel
from armillary.pipeline.status import ExceptionInfo, QuantumAttemptStatus, QuantumSuccessCaveats

if TYPE_CHECKING:
    from armillary.butler import Butler, DataCoordinate

__all__ = ["COLUMNS", "NODES", "ProvenanceDataset", "ProvenanceQuantum", "ProvenanceQuantumGraph", "QuantumAttempt"]

NODES = "nodes"
"""Name of the address table."""

COLUMNS = ("datasets", "quanta", "logs", "metadata")
"""Members of blocks, in the order of the columns of the address table."""


PROBLEMS = (QuantumAttemptStatus.FAILED, QuantumAttemptStatus.ABORTED, QuantumAttemptStatus.ABORTED_SUCCESS)
"""States of quanta that failed for sure."""


class ResourceUsage(NamedTuple):
    """What one attempt took: bytes, and seconds of wall time but for `run_time_cpu`."""

    memory: float
    start: str
    prep_time: float | None
    init_time: float | None
    run_time: float | None
    run_time_cpu: float | None


@dataclasses.dataclass
class QuantumAttempt:
    """One attempt to run a quantum.

    Attributes
    ----------
    attempt
        Its number, from 0.
    status
        How it ended.
    caveats
        What it did not do although it counts as successful.
    exception
        What it raised.
    resource_usage
        What it took.
    earlier_quanta
        Ids of the quanta that the same process ran before, as text: they are many, and seldom asked for.
    """

    attempt: int = 0
    status: QuantumAttemptStatus = QuantumAttemptStatus.UNKNOWN
    caveats: QuantumSuccessCaveats | None = None
    exception: ExceptionInfo | None = None
    resource_usage: ResourceUsage | None = None
    earlier_quanta: list[str] = dataclasses.field(default_factory=list)

    @property
    def previous_process_quanta(self) -> list[uuid.UUID]:
        """Ids of the quanta that the same process ran before."""
        return [uuid.UUID(text) for text in self.earlier_quanta]

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> QuantumAttempt:
        """Make one from its JSON form."""
        caveats, exception, usage = plain.get("caveats"), plain.get("exception"), plain.get("resource_usage")
        return cls(
            plain.get("attempt", 0),
            QuantumAttemptStatus(plain.get("status", QuantumAttemptStatus.UNKNOWN.value)),
            None if caveats is None else QuantumSuccessCaveats(int(caveats)),
            None if exception is None else ExceptionInfo(**exception),
            None if usage is None else ResourceUsage(**{name: usage.get(name) for name in ResourceUsage._fields}),
            list(plain.get("previous_process_quanta", ())),
        )

    def to_plain(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "attempt": self.attempt,
            "status": self.status.value,
            "caveats": None if self.caveats is None else self.caveats.value,
            "exception": None if self.exception is None else self.exception.model_dump(),
            "resource_usage": None if self.resource_usage is None else self.resource_usage._asdict(),
            "previous_process_quanta": self.earlier_quanta,
        }


@dataclasses.dataclass
class ProvenanceQuantum:
    """A quantum, where it stands in the graph, and the attempts to run it, the first one first; blocked without any."""

    quantum_id: uuid.UUID
    task_label: str
    data_id: dict[str, int | str]
    inputs: dict[str, list[uuid.UUID]]
    outputs: dict[str, list[uuid.UUID]]
    attempts: list[QuantumAttempt]

    @property
    def status(self) -> QuantumAttemptStatus:
        """How the last attempt ended."""
        return self.attempts[-1].status if self.attempts else QuantumAttemptStatus.BLOCKED

    @property
    def caveats(self) -> QuantumSuccessCaveats | None:
        """What the last attempt did not do."""
        return self.attempts[-1].caveats if self.attempts else None

    @property
    def exception(self) -> ExceptionInfo | None:
        """What the last attempt raised."""
        return self.attempts[-1].exception if self.attempts else None


@dataclasses.dataclass
class ProvenanceDataset:
    """A dataset: whether it was made, by which quantum, and which quanta read it."""

    dataset_id: uuid.UUID
    dataset_type_name: str
    data_id: dict[str, int | str]
    run: str
    produced: bool
    producer: uuid.UUID | None
    consumers: list[uuid.UUID]


class ProvenanceQuantumGraph:
    """An open provenance graph; parts are read when they are first asked for, and nothing they name is imported.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InvalidQuantumGraphFileError
        The file is damaged.
    TypeError
        It is a graph of another type.

    Examples
    --------
    >>> graph = ProvenanceQuantumGraph("provenance.qg")  # doctest: +SKIP
    >>> [quantum.exception for quantum in graph.quanta.values() if quantum.exception]  # doctest: +SKIP
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        with open(self.path, "rb"):  # whose errors name the file as those of other commands do
            self._parts = _core.GraphPartsReader(self.path)
        kind = self.header.graph_type
        if kind != "provenance":
            raise TypeError(
                f"`{self.path}` holds a {kind or 'nameless'} graph, not a provenance graph; `butler aggregate-graph` "
                "makes one from it"
            )

    @classmethod
    @contextmanager
    def from_args(
        cls, repo_or_filename: str, /, collection: str | None = None, *, writeable: bool = False
    ) -> Iterator[tuple[ProvenanceQuantumGraph, Butler | None]]:
        """Open the graph in a file, or that of a run in a repository.

        Parameters
        ----------
        repo_or_filename
            The file; the repository if a collection is given.
        collection
            A run, or a chain, whose first run with a graph is meant.
        writeable
            Whether the repository is opened for writing.

        Yields
        ------
        graph, butler
            The graph, and the repository or None.
        """
        if collection is None:
            yield cls(repo_or_filename), None
            return
        from armillary.butler import Butler
        from armillary.pipeline.provenance.ingest import find_graph

        with Butler(repo_or_filename, writeable=writeable) as butler:
            yield find_graph(butler, collection), butler

    def _document(self, name: str) -> Any:
        return json.loads(self._parts.document(name))

    @cached_property
    def header(self) -> HeaderModel:
        """What the graph says of itself."""
        try:
            return HeaderModel.from_plain(self._document("header"))
        except (TypeError, KeyError, ValueError) as error:
            raise InvalidQuantumGraphFileError(f"the header of `{self.path}` is wrong: {error}") from error

    @cached_property
    def pipeline_graph(self) -> PipelineGraph:
        """The pipeline."""
        return PipelineGraph.from_json(self._parts.document("pipeline_graph").decode())

    @cached_property
    def packages(self) -> dict[str, str]:
        """Versions of software by name."""
        return dict(self._document("packages"))

    @cached_property
    def init_quanta(self) -> dict[str, dict[str, Any]]:
        """What the making of each task read and wrote, by label: `quantum_id`, `inputs` and `outputs` by connection."""
        return {one["task_label"]: one for one in self._document("init_quanta")}

    @cached_property
    def _names(self) -> dict[tuple[str, str], list[str]]:
        """Names of required dimensions of tasks and of dataset types."""
        pipeline = self.pipeline_graph
        names = {("task", label): list(task.dimensions.required) for label, task in pipeline.tasks.items()}
        for name, node in pipeline.dataset_types.items():
            names["dataset_type", name] = list(node.dimensions.required)
        return names

    def _data_id(self, kind: str, name: str, values: list[int | str]) -> dict[str, int | str]:
        return dict(zip(self._names.get((kind, name), []), values, strict=False))  # implied values follow

    @cached_property
    def quanta(self) -> dict[uuid.UUID, ProvenanceQuantum]:
        """All quanta by id."""
        found = {}
        for text in self._parts.blocks("quanta", self.header.int_size):
            plain = json.loads(text)
            inputs, outputs = (
                {name: [uuid.UUID(one) for one in ids] for name, ids in plain[side].items()}
                for side in ("inputs", "outputs")
            )
            label = plain["task_label"]
            data_id = self._data_id("task", label, plain["data_coordinate"])
            attempts = [QuantumAttempt.from_plain(one) for one in plain["attempts"]]
            quantum = ProvenanceQuantum(uuid.UUID(plain["quantum_id"]), label, data_id, inputs, outputs, attempts)
            found[quantum.quantum_id] = quantum
        return found

    @cached_property
    def datasets(self) -> dict[uuid.UUID, ProvenanceDataset]:
        """All datasets by id."""
        found = {}
        for text in self._parts.blocks("datasets", self.header.int_size):
            plain = json.loads(text)
            name = plain["dataset_type_name"]
            dataset = ProvenanceDataset(
                uuid.UUID(plain["dataset_id"]),
                name,
                self._data_id("dataset_type", name, plain["data_coordinate"]),
                plain["run"],
                plain["produced"],
                uuid.UUID(plain["producer"]) if plain.get("producer") else None,
                [uuid.UUID(one) for one in plain.get("consumers", ())],
            )
            found[dataset.dataset_id] = dataset
        return found

    def get_metadata(self, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[Any]]:
        """Read the task metadata of all attempts, as plain data, by ids of quanta or of their metadata datasets."""
        return self._attempts("metadata", list(ids))

    def get_logs(self, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[Any]]:
        """Read the log records of all attempts, as plain data, by ids of quanta or of their log datasets."""
        return self._attempts("logs", list(ids))

    def _attempts(self, member: str, ids: list[uuid.UUID]) -> dict[uuid.UUID, list[Any]]:
        texts = self._parts.find(NODES, member, COLUMNS.index(member), ids)
        return {key: [] if text is None else json.loads(text)["attempts"] for key, text in zip(ids, texts, strict=True)}

    @cached_property
    def _quantum_nodes(self) -> dict[uuid.UUID, dict[str, Any]]:
        """What the graphs below say of each quantum."""
        tasks = self.pipeline_graph.tasks
        data_ids = {key: data_id for found in self.quanta_by_task.values() for data_id, key in found.items()}
        return {
            key: {
                "data_id": data_ids[key],
                "task_label": quantum.task_label,
                "pipeline_node": tasks[quantum.task_label],
                "status": quantum.status,
                "caveats": quantum.caveats,
                "exception": quantum.exception,
                "resource_usage": quantum.attempts[-1].resource_usage if quantum.attempts else None,
                "attempts": quantum.attempts,
                "metadata_id": next(iter(quantum.outputs.get("_metadata", ())), None),
                "log_id": next(iter(quantum.outputs.get("_log", ())), None),
            }
            for key, quantum in self.quanta.items()
        }

    @cached_property
    def quantum_only_xgraph(self) -> DirectedGraph:
        """Quanta by id, with how they ended, and which came before which."""
        pairs = (
            (dataset.producer, consumer)
            for dataset in self.datasets.values()
            if dataset.producer in self.quanta
            for consumer in dataset.consumers
        )
        return DirectedGraph(self._quantum_nodes, pairs)

    @cached_property
    def bipartite_xgraph(self) -> DirectedGraph:
        """Quanta and datasets by id; edges lead from inputs to quanta and from quanta to outputs.

        The making of a task is a node, too, without attributes: `init_quanta` has it.
        """
        types = self.pipeline_graph.dataset_types
        data_ids = {key: data_id for found in self.datasets_by_type.values() for data_id, key in found.items()}
        nodes: dict[uuid.UUID, dict[str, Any]] = {
            key: {
                "data_id": data_ids[key],
                "dataset_type_name": dataset.dataset_type_name,
                "pipeline_node": types[dataset.dataset_type_name],
                "run": dataset.run,
                "produced": dataset.produced,
            }
            for key, dataset in self.datasets.items()
            if key in data_ids
        }
        nodes |= self._quantum_nodes
        edges: dict[tuple[uuid.UUID, uuid.UUID], dict[str, Any]] = {}
        for key, quantum in self.quanta.items():
            task = nodes[key]["pipeline_node"]
            read = ((one, key, True, task.get_input_edge(name)) for name, ids in quantum.inputs.items() for one in ids)
            made = (
                (key, one, False, task.get_output_edge(name)) for name, ids in quantum.outputs.items() for one in ids
            )
            for first, second, is_read, edge in (*read, *made):
                attributes = edges.setdefault((first, second), {"is_read": is_read, "pipeline_edges": []})
                attributes["pipeline_edges"].append(edge)
        for label, init in self.init_quanta.items():
            if label:  # what belongs to the whole run has no dataset in the graph
                key = uuid.UUID(init["quantum_id"])
                nodes[key] = {}
                edges |= {(uuid.UUID(one), key): {} for one in init["inputs"].values()}
                edges |= {(key, uuid.UUID(one)): {} for one in init["outputs"].values()}
        return DirectedGraph(nodes, edges, edge_attributes=edges)

    def _coordinates(self, of_kind: Mapping[str, Any], found: Iterable[tuple[str, Any, uuid.UUID]]) -> Any:
        from armillary.butler import DataCoordinate

        keyed: dict[str, dict[DataCoordinate, uuid.UUID]] = {name: {} for name in of_kind}
        for name, data_id, key in found:
            dimensions = of_kind[name].dimensions
            keyed[name][DataCoordinate.from_required_values(dimensions, tuple(data_id.values()))] = key
        return keyed

    @cached_property
    def quanta_by_task(self) -> Mapping[str, Mapping[DataCoordinate, uuid.UUID]]:
        """Ids of quanta by task label and data ID; every task of the pipeline is there."""
        found = ((one.task_label, one.data_id, key) for key, one in self.quanta.items())
        result: dict[str, dict[DataCoordinate, uuid.UUID]] = self._coordinates(self.pipeline_graph.tasks, found)
        return result

    @cached_property
    def datasets_by_type(self) -> Mapping[str, Mapping[DataCoordinate, uuid.UUID]]:
        """Ids of datasets by dataset type and data ID."""
        types = self.pipeline_graph.dataset_types
        every = self.datasets.items()
        found = ((one.dataset_type_name, one.data_id, key) for key, one in every if one.dataset_type_name in types)
        result: dict[str, dict[DataCoordinate, uuid.UUID]] = self._coordinates(types, found)
        return result

    # -- reports

    def _by_task(self) -> Iterator[tuple[str, list[ProvenanceQuantum]]]:
        by_task: dict[str, list[ProvenanceQuantum]] = {label: [] for label in self.pipeline_graph.tasks}
        for quantum in self.quanta.values():
            by_task[quantum.task_label].append(quantum)
        return iter(by_task.items())

    def quantum_table(self, drop_unused_columns: bool = True, expand_caveats: bool = False) -> Table:
        """Counts of quanta by how they ended, a row per task.

        Parameters
        ----------
        drop_unused_columns
            Whether rare states have a column only where they occur.
        expand_caveats
            Whether each sort of caveats of a task is told, where there are several.
        """
        rare = [one for one in QuantumAttemptStatus if one.is_rare]
        occurring = {quantum.status for quantum in self.quanta.values()}
        shown = [one for one in rare if one in occurring or not drop_unused_columns]
        usual = [QuantumAttemptStatus.FAILED, QuantumAttemptStatus.BLOCKED, QuantumAttemptStatus.SUCCESSFUL]
        states = [*shown, *usual]
        rows = []
        for label, quanta in self._by_task():
            counts = [sum(quantum.status is state for quantum in quanta) for state in states]
            codes = collections.Counter(quantum.caveats.concise() for quantum in quanta if quantum.caveats)
            told = ", ".join(f"{code}({number})" for code, number in sorted(codes.items()))
            cell = told if len(codes) < 2 or expand_caveats else "(multiple)"
            expected = self.header.n_task_quanta.get(label, len(quanta))
            rows.append([label, cell, *counts, len(quanta), expected])
        return ["Task", "Caveats", *(state.title for state in states), "TOTAL", "EXPECTED"], rows

    def exception_table(self) -> Table:
        """Counts of exceptions, a row per task and class."""
        rows: list[list[Any]] = []
        for label, quanta in self._by_task():
            counts: dict[str, list[int]] = {}
            for quantum in quanta:
                if quantum.exception is not None:
                    is_failure = quantum.status is not QuantumAttemptStatus.SUCCESSFUL
                    counts.setdefault(quantum.exception.type_name, [0, 0])[is_failure] += 1
            rows.extend([label, kind, *pair] for kind, pair in sorted(counts.items()))
        return ["Task", "Exception", "Successes", "Failures"], rows

    def make_status_report(
        self,
        states: QuantumAttemptStatus | Iterable[QuantumAttemptStatus] = PROBLEMS,
        *,
        also: QuantumAttemptStatus | Iterable[QuantumAttemptStatus] = (),
        with_caveats: QuantumSuccessCaveats | None = QuantumSuccessCaveats.PARTIAL_OUTPUTS_ERROR,
        data_id_table_dir: str | os.PathLike[str] | None = None,
    ) -> ProvenanceReport:
        """Find quanta that ended in some states.

        Parameters
        ----------
        states, also
            The states; `also` adds to those that are problems for sure.
        with_caveats
            Of the successful quanta, only those with one of these; None for all of them.
        data_id_table_dir
            Folder for tables of the data IDs; see `ProvenanceReport.write_data_id_tables`.

        Examples
        --------
        >>> graph = ProvenanceQuantumGraph("provenance.qg")  # doctest: +SKIP
        >>> graph.make_status_report(also=QuantumAttemptStatus.SUCCESSFUL).model_dump_json()  # doctest: +SKIP
        """
        wanted = {*_states(states), *_states(also)}
        found: dict[str, dict[str, dict[str, list[ProvenanceQuantum]]]] = {}
        for label, quanta in self._by_task():
            for quantum in quanta:
                if quantum.status not in wanted or not _has_caveats(quantum, with_caveats):
                    continue
                kind = "None" if quantum.exception is None else quantum.exception.type_name
                found.setdefault(label, {}).setdefault(quantum.status.name, {}).setdefault(kind, []).append(quantum)
        report = ProvenanceReport(found)
        if data_id_table_dir is not None:
            report.write_data_id_tables(data_id_table_dir)
        return report

    # -- the same as `astropy` tables, as users of the peer know them

    def make_quantum_table(
        self, *, drop_unused_columns: bool = True, expand_caveats: bool = False, as_table: bool = True
    ) -> Any:
        """Return `quantum_table` as an `astropy.table.Table`, or without `as_table` all its rows as dictionaries."""
        made = self.quantum_table(drop_unused_columns and as_table, expand_caveats)
        return to_astropy(made) if as_table else rows_of(made)

    def make_exception_table(self, *, as_table: bool = True) -> Any:
        """Return `exception_table` as an `astropy.table.Table`, or without `as_table` its rows as dictionaries."""
        return to_astropy(self.exception_table()) if as_table else rows_of(self.exception_table())

    def make_many_reports(
        self,
        states: QuantumAttemptStatus | Iterable[QuantumAttemptStatus] = PROBLEMS,
        *,
        status_report_file: str | os.PathLike[str] | None = None,
        print_quantum_table: bool = False,
        print_exception_table: bool = False,
        also: QuantumAttemptStatus | Iterable[QuantumAttemptStatus] = (),
        with_caveats: QuantumSuccessCaveats | None = None,
        data_id_table_dir: str | os.PathLike[str] | None = None,
        output_format: Literal["json", "table"] = "table",
        print_legend: bool = True,
        expand_caveats: bool = False,
    ) -> None:
        """Print tables, and write what `make_status_report` finds.

        Parameters
        ----------
        states, also, with_caveats, data_id_table_dir
            See `make_status_report`; with caveats, successful quanta are among the states.
        status_report_file
            File for the quanta that are found, as JSON.
        print_quantum_table, print_exception_table
            Which tables are printed.
        output_format
            How: for people, or as one JSON document.
        print_legend
            Whether the letters of caveats are explained.
        expand_caveats
            See `quantum_table`; in JSON, always.

        Raises
        ------
        ValueError
            The format is another.
        """
        quanta = self.quantum_table(expand_caveats=expand_caveats or output_format == "json")
        tables = {
            "tasks": quanta if print_quantum_table else None,
            "exceptions": self.exception_table() if print_exception_table else None,
        }
        print_tables(tables, output_format, print_legend)
        wanted = {*_states(states), *_states(also)}
        if with_caveats is not None:
            wanted.add(QuantumAttemptStatus.SUCCESSFUL)
        if status_report_file is not None or data_id_table_dir is not None:
            report = self.make_status_report(wanted, with_caveats=with_caveats, data_id_table_dir=data_id_table_dir)
            if status_report_file is not None:
                with open(status_report_file, "w", encoding="utf-8") as stream:
                    stream.write(report.model_dump_json(indent=2))

    def make_task_resource_usage_table(self, task_label: str, include_data_ids: bool = False) -> Any:
        """Tell what the last attempts of the quanta of a task took, as an `astropy.table.Table`.

        Parameters
        ----------
        task_label
            The task.
        include_data_ids
            Whether each dimension has a column.

        Returns
        -------
        table
            A row for each quantum that was run: `quantum_id`, `memory` in bytes, `start`, and `prep_time`, `init_time`,
            `run_time` and `run_time_cpu` in seconds.
        """
        rows = []
        names: list[str] = []
        for quantum in self.quanta.values():
            if quantum.task_label != task_label or not quantum.attempts or quantum.attempts[-1].resource_usage is None:
                continue
            names = list(quantum.data_id) if include_data_ids else []
            values = [quantum.data_id[name] for name in names]
            rows.append([str(quantum.quantum_id), *values, *quantum.attempts[-1].resource_usage])
        return to_astropy((["quantum_id", *names, *ResourceUsage._fields], rows))


def _states(given: QuantumAttemptStatus | Iterable[QuantumAttemptStatus]) -> Iterable[QuantumAttemptStatus]:
    return [given] if isinstance(given, QuantumAttemptStatus) else given


def _has_caveats(quantum: ProvenanceQuantum, wanted: QuantumSuccessCaveats | None) -> bool:
    """Whether a quantum has one of the caveats, if it is successful and they are asked for."""
    if wanted is None or quantum.status is not QuantumAttemptStatus.SUCCESSFUL:
        return True
    return quantum.caveats is not None and bool(quantum.caveats & wanted)
