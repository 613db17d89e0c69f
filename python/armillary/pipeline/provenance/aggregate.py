"""Gathering what a run left: its outputs into the registry, and its provenance into one graph file."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import json
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any, TypeVar

from armillary import _core
from armillary.pipeline.provenance.provenance_graph import COLUMNS, NODES, QuantumAttempt, ResourceUsage
from armillary.pipeline.provenance.quantum_provenance_graph import caveats_and_exception, open_graph
from armillary.pipeline.status import ExceptionInfo, QuantumAttemptStatus

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef

__all__ = ["Aggregation", "aggregate_graph"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclasses.dataclass
class Aggregation:
    """How many datasets `aggregate_graph` registered, how many were there before, and how the quanta ended."""

    n_ingested: int = 0
    n_present: int = 0
    states: dict[QuantumAttemptStatus, int] = dataclasses.field(default_factory=dict)

    def closing_line(self) -> str:
        """Say it in one line.

        >>> Aggregation(3, 1, {QuantumAttemptStatus.SUCCESSFUL: 2}).closing_line()
        '2 successful; 3 datasets registered, 1 was there before'
        """
        states = ", ".join(f"{number} {state.title.lower()}" for state, number in self.states.items()) or "no quanta"
        were = "was" if self.n_present == 1 else "were"
        return f"{states}; {self.n_ingested} datasets registered, {self.n_present} {were} there before"


def aggregate_graph(
    graph: Any,
    butler: Butler,
    *,
    output: str | None = None,
    complete: bool = True,
    dry_run: bool = False,
    register_dataset_types: bool = True,
    update_output_chain: bool = True,
    promise_ingest_graph: bool = False,
    processes: int = 1,
    zstd_level: int = 10,
    zstd_dict_size: int = 32_768,
    zstd_dict_n_inputs: int = 512,
) -> Aggregation:
    """Look for everything a graph's quanta may have written, register it, and write a provenance graph.

    It may be called again: what is registered already is left alone.

    Parameters
    ----------
    graph
        Predicted quantum graph, or the path of its file.
    butler
        The repository, opened for writing.
    output
        Where to write the provenance graph (`.qg`); None for nowhere.
    complete
        Whether the run is over. Else only what successful quanta wrote is registered, and others count as unknown,
        because they may be tried again.
    dry_run
        Whether the registry is left alone.
    register_dataset_types
        Whether missing dataset types are registered.
    update_output_chain
        Whether the run is put at the front of the graph's output chain.
    promise_ingest_graph
        Whether metadata, logs and configs are left to `ingest_graph`, which registers them inside the provenance graph.
    processes
        How many files are looked for, or read, at once: in threads, since what takes long is the storage.
    zstd_level, zstd_dict_size, zstd_dict_n_inputs
        How hard to compress, and the size in bytes and the number of samples of the dictionary that blocks share.

    Raises
    ------
    MissingDatasetTypeError
        A dataset type is not registered and shall not be.
    ValueError
        `output` has another ending than `.qg`.
    """
    from armillary.pipeline.execution.without_registry import register_outputs

    if output is not None and not output.endswith(".qg"):
        raise ValueError(f"a quantum graph file ends in `.qg`, unlike `{output}`")
    opened = open_graph(graph)
    gathering = _Gathering(opened, butler, complete, processes)
    done = Aggregation(states=gathering.states())
    skipped = gathering.automatic if promise_ingest_graph else frozenset()
    done.n_ingested, done.n_present = register_outputs(
        opened,
        butler,
        gathering.refs_to_register(skipped),
        register_dataset_types=register_dataset_types,
        update_output_chain=update_output_chain,
        dry_run=dry_run,
    )
    if output is not None:
        gathering.write(output, zstd_level, zstd_dict_size, zstd_dict_n_inputs)
    return done


@dataclasses.dataclass
class _Quantum:
    """A quantum and what it left."""

    quantum_id: uuid.UUID
    label: str
    inputs: Mapping[str, list[DatasetRef]]
    outputs: Mapping[str, list[DatasetRef]]
    status: QuantumAttemptStatus = QuantumAttemptStatus.UNKNOWN

    @property
    def metadata_ref(self) -> DatasetRef:
        return self.outputs["_metadata"][0]

    @property
    def log_ref(self) -> DatasetRef | None:
        return next(iter(self.outputs.get("_log", ())), None)


class _Gathering:
    """What a run left, found out once; metadata and logs are read when they are written."""

    def __init__(self, graph: Any, butler: Butler, complete: bool, processes: int) -> None:
        from armillary.butler import QuantumBackedButler

        self._processes = processes
        self._graph = graph
        self._pipeline = graph.pipeline_graph
        self._butler = butler
        datastore: Any = butler._datastore.file_datastore
        self._quanta = [
            _Quantum(key, label, graph.get_inputs(key), graph.get_outputs(key)) for key, label in graph.quanta()
        ]
        self._init = {
            label: (key, graph.get_init_inputs(label), graph.get_init_outputs(label))
            for label, key in graph._core.init_quanta()
        }
        outputs = [ref for _, _, refs in self._init.values() for ref in refs.values()]
        outputs += [ref for quantum in self._quanta for refs in quantum.outputs.values() for ref in refs]
        self._outputs = {ref.id: ref for ref in outputs}
        registry: Any = butler._core_registry
        records: dict[uuid.UUID, list[Any]] = {}
        for record in registry.records(list(self._outputs), table=datastore.records_table):
            records.setdefault(record.dataset_id, []).append(record)
        self._stored = set(records)
        unknown = [ref for key, ref in self._outputs.items() if key not in self._stored]
        found = _at_once(processes, lambda ref: datastore.exists(datastore.predict_records(ref)), unknown)
        self._stored.update(ref.id for ref, exists in zip(unknown, found, strict=True) if exists)
        # Reads files without asking the database for each.
        self._files = QuantumBackedButler(datastore, butler.dimensions, records, predicted_outputs=list(self._outputs))
        self._find_states(complete)

    @property
    def automatic(self) -> frozenset[str]:
        """Names of the dataset types of metadata, logs and configs."""
        names = set()
        for node in self._pipeline.tasks.values():
            names |= {node.metadata_output.dataset_type_name, node.init.config_output.dataset_type_name}
            if node.log_output is not None:
                names.add(node.log_output.dataset_type_name)
        return frozenset(names)

    def _find_states(self, complete: bool) -> None:
        upstream: dict[uuid.UUID, list[uuid.UUID]] = {}
        for first, second in self._graph.edges():
            upstream.setdefault(second, []).append(first)
        unfinished: set[uuid.UUID] = set()
        for quantum in self._quanta:  # tasks in order, so that what is upstream comes before
            if quantum.metadata_ref.id in self._stored:
                quantum.status = QuantumAttemptStatus.SUCCESSFUL
                continue
            has_log = quantum.log_ref is not None and quantum.log_ref.id in self._stored
            is_blocked = not has_log and not unfinished.isdisjoint(upstream.get(quantum.quantum_id, ()))
            unfinished.add(quantum.quantum_id)
            if complete:
                quantum.status = QuantumAttemptStatus.BLOCKED if is_blocked else QuantumAttemptStatus.FAILED

    def states(self) -> dict[QuantumAttemptStatus, int]:
        """How many quanta are in each state."""
        every = [quantum.status for quantum in self._quanta]
        return {state: every.count(state) for state in reversed(QuantumAttemptStatus) if state in every}

    def refs_to_register(self, skipped_types: frozenset[str]) -> list[DatasetRef]:
        """What is there and should be registered, in the storage classes of the dataset types."""
        types = self._pipeline.dataset_types
        found = [ref for _, _, refs in self._init.values() for ref in refs.values()]
        for quantum in self._quanta:
            if quantum.status is not QuantumAttemptStatus.UNKNOWN:
                for refs in quantum.outputs.values():
                    found.extend(types[ref.datasetType.name].generalize_ref(ref) for ref in refs)
        return [ref for ref in found if ref.id in self._stored and ref.datasetType.name not in skipped_types]

    def _read(self, ref: DatasetRef) -> Any:
        return self._files.get(ref)

    # -- writing

    def write(self, path: str, level: int, dictionary_size: int, n_samples: int) -> None:
        """Write the provenance graph; each metadata and log file is read once, and kept aside for its member."""
        with tempfile.TemporaryFile() as metadata_file, tempfile.TemporaryFile() as log_file:
            metadata, logs = _Spool(metadata_file), _Spool(log_file)
            blocks = self._quantum_blocks(metadata, logs)
            samples = list(itertools.islice(blocks, n_samples if len(self._quanta) >= n_samples else 0))
            writer = _core.GraphPartsWriter(
                path, level=level, samples=[text for _, text in samples], dictionary_size=dictionary_size
            )
            writer.document("header", _json(self._header()))
            writer.document("pipeline_graph", self._graph._core.pipeline.to_json().encode())
            writer.document("packages", _json(self._packages()))
            writer.document("init_quanta", _json(self._init_quanta()))
            members: dict[str, Iterable[tuple[list[uuid.UUID], bytes]]] = {
                "quanta": itertools.chain(samples, blocks),
                "datasets": self._dataset_blocks(),
                "metadata": metadata,
                "logs": logs,
            }
            for name, found in members.items():
                writer.begin_blocks(name)
                for ids, text in found:
                    writer.block(COLUMNS.index(name), ids, text)
            writer.finish(NODES, len(COLUMNS))

    def _header(self) -> dict[str, Any]:
        header = dict(self._graph._core.header)
        return {**header, "graph_type": "provenance", "version": 1, "int_size": 8}

    def _packages(self) -> dict[str, str]:
        """The versions that the run noted; those of this process where it noted none."""
        from armillary.pipeline.packages import Packages

        ref = self._init.get("", (None, {}, {}))[2].get("packages")
        return dict(self._read(ref) if ref is not None and ref.id in self._stored else Packages.fromSystem())

    def _init_quanta(self) -> list[dict[str, Any]]:
        made = []
        for label, (key, inputs, outputs) in self._init.items():
            if label:
                sides = {"inputs": inputs, "outputs": outputs}
                ids = {side: {name: str(ref.id) for name, ref in refs.items()} for side, refs in sides.items()}
                made.append({"quantum_id": str(key), "task_label": label, **ids})
        return made

    def _quantum_blocks(self, metadata: _Spool, logs: _Spool) -> Iterator[tuple[list[uuid.UUID], bytes]]:
        """The blocks of quanta; what their metadata and logs hold is put aside on the way."""
        left = _at_once(self._processes, self._left_by, self._quanta)
        for quantum, (earlier, log, last) in zip(self._quanta, left, strict=True):
            attempts = self._attempts(quantum, earlier, log, last)
            if quantum.status is not QuantumAttemptStatus.BLOCKED:
                found = [*(one.get("metadata") for one in earlier), last]
                metadata.add([quantum.quantum_id, quantum.metadata_ref.id], _json({"attempts": found}))
                if quantum.log_ref is not None:
                    records = None if log is None else [record.to_dict() for record in log]
                    found = [*(one.get("logs") for one in earlier), records]
                    logs.add([quantum.quantum_id, quantum.log_ref.id], _json({"attempts": found}))
            sides = {"inputs": quantum.inputs, "outputs": quantum.outputs}
            plain = {
                "quantum_id": str(quantum.quantum_id),
                "task_label": quantum.label,
                "data_coordinate": _values(quantum.metadata_ref.dataId),
                **{
                    side: {name: [str(one.id) for one in refs] for name, refs in by.items()}
                    for side, by in sides.items()
                },
                "attempts": [attempt.to_plain() for attempt in attempts],
            }
            yield [quantum.quantum_id], _json(plain)

    def _dataset_blocks(self) -> Iterator[tuple[list[uuid.UUID], bytes]]:
        refs: dict[uuid.UUID, DatasetRef] = {}
        producer: dict[uuid.UUID, uuid.UUID] = {}
        consumers: dict[uuid.UUID, list[uuid.UUID]] = {}
        for label, (key, init_inputs, init_outputs) in self._init.items():
            if label:
                _note(key, init_inputs.values(), init_outputs.values(), refs, producer, consumers)
        for quantum in self._quanta:
            inputs = [ref for found in quantum.inputs.values() for ref in found]
            outputs = [ref for found in quantum.outputs.values() for ref in found]
            _note(quantum.quantum_id, inputs, outputs, refs, producer, consumers)
        for key, ref in refs.items():
            maker = producer.get(key)
            plain = {
                "dataset_id": str(key),
                "dataset_type_name": ref.datasetType.nameAndComponent()[0],
                "data_coordinate": _values(ref.dataId),
                "run": ref.run,
                "produced": maker is None or key in self._stored,
                "producer": None if maker is None else str(maker),
                "consumers": [str(one) for one in dict.fromkeys(consumers.get(key, ()))],
            }
            yield [key], _json(plain)

    def _left_by(self, quantum: _Quantum) -> tuple[list[dict[str, Any]], Any, Any]:
        """What a quantum left: attempts before the last one, its log, and the metadata of the last attempt."""
        if quantum.status is QuantumAttemptStatus.BLOCKED:
            return [], None, None
        log = None
        if quantum.log_ref is not None and quantum.log_ref.id in self._stored:
            log = self._read(quantum.log_ref)
        extra = {} if log is None else log.extra
        if quantum.metadata_ref.id in self._stored:
            metadata = self._read(quantum.metadata_ref).model_dump()
        else:
            metadata = extra.get("metadata")
        return list(extra.get("previous_attempts") or ()), log, metadata

    @staticmethod
    def _attempts(quantum: _Quantum, earlier: list[dict[str, Any]], log: Any, metadata: Any) -> list[QuantumAttempt]:
        if quantum.status is QuantumAttemptStatus.BLOCKED:
            return []
        attempts = []
        for number, one in enumerate(earlier):
            attempt = _failed_attempt(number, one.get("exception"), one.get("metadata"))
            attempt.earlier_quanta = list(one.get("previous_process_quanta") or ())
            attempts.append(attempt)
        extra = {} if log is None else log.extra
        last = _failed_attempt(len(attempts), extra.get("exception"), metadata)
        last.status = quantum.status
        if quantum.status is QuantumAttemptStatus.SUCCESSFUL:
            from armillary.pipeline.metadata import TaskMetadata

            last.caveats, last.exception = caveats_and_exception(quantum.label, TaskMetadata.model_validate(metadata))
        last.earlier_quanta = list(extra.get("previous_process_quanta") or ())
        return [*attempts, last]


class _Spool:
    """Blocks that are written later, kept in a temporary file."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._blocks: list[tuple[list[uuid.UUID], int]] = []

    def add(self, ids: list[uuid.UUID], text: bytes) -> None:
        """Keep a block."""
        self._blocks.append((ids, len(text)))
        self._stream.write(text)

    def __iter__(self) -> Iterator[tuple[list[uuid.UUID], bytes]]:
        self._stream.seek(0)
        for ids, length in self._blocks:
            yield ids, self._stream.read(length)


def _json(plain: Any) -> bytes:
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False, default=str).encode()


def _values(data_id: Any) -> list[int | str]:
    return list(data_id.full_values if data_id.hasFull() else data_id.required_values)


def _at_once(number: int, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results in order, made by a number of threads; few are made before they are taken."""
    if number == 1:
        yield from map(function, items)
        return
    waiting = iter(items)
    with ThreadPoolExecutor(number) as pool:
        while batch := list(itertools.islice(waiting, 16 * number)):
            yield from pool.map(function, batch)


def _note(
    key: uuid.UUID,
    inputs: Iterable[DatasetRef],
    outputs: Iterable[DatasetRef],
    refs: dict[uuid.UUID, DatasetRef],
    producer: dict[uuid.UUID, uuid.UUID],
    consumers: dict[uuid.UUID, list[uuid.UUID]],
) -> None:
    for ref in inputs:
        refs.setdefault(ref.id, ref)
        consumers.setdefault(ref.id, []).append(key)
    for ref in outputs:
        refs.setdefault(ref.id, ref)
        producer[ref.id] = key


def _failed_attempt(number: int, exception: Any, metadata: Any) -> QuantumAttempt:
    told = None if not exception else ExceptionInfo(**exception)
    return QuantumAttempt(number, QuantumAttemptStatus.FAILED, None, told, resource_usage(metadata))


def resource_usage(metadata: Any) -> ResourceUsage | None:
    """Read from task metadata, as plain data, what an attempt took; None where it does not say when it began.

    >>> arrays = {"prepUtc": ["2025-01-01T00:00:00+00:00"], "endUtc": ["2025-01-01T00:00:02+00:00"]}
    >>> resource_usage({"metadata": {"quantum": {"arrays": arrays}}}).start
    '2025-01-01T00:00:00Z'
    """
    quantum = ((metadata or {}).get("metadata") or {}).get("quantum") or {}
    arrays = {**(quantum.get("scalars") or {}), **(quantum.get("arrays") or {})}

    def value(name: str) -> Any:
        found = arrays.get(name)
        return found[-1] if isinstance(found, list) else found

    times = {name: value(f"{name}Utc") for name in ("prep", "init", "start", "end")}
    if times["prep"] is None:
        return None
    moments = {name: None if text is None else datetime.datetime.fromisoformat(text) for name, text in times.items()}

    def between(first: str, second: str) -> float | None:
        begin, end = moments[first], moments[second]
        return None if begin is None or end is None else (end - begin).total_seconds()

    cpu = (value("startCpuTime"), value("endCpuTime"))
    return ResourceUsage(
        float(value("endMaxResidentSetSize") or value("prepMaxResidentSetSize") or 0),
        str(times["prep"]).replace("+00:00", "Z"),
        between("prep", "init"),
        between("init", "start"),
        between("start", "end"),
        None if None in cpu else cpu[1] - cpu[0],
    )
