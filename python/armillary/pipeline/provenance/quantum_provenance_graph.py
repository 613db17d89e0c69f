"""Quanta and datasets over several attempts at the same processing: what became of each in the end."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import logging
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from armillary.errors import MissingCollectionError, MissingDatasetTypeError
from armillary.pipeline.provenance.summary import (
    CursedDatasetSummary,
    DatasetTypeSummary,
    ExceptionInfoSummary,
    Summary,
    TaskSummary,
    UnsuccessfulQuantumSummary,
)
from armillary.pipeline.status import ExceptionInfo, QuantumSuccessCaveats

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef

__all__ = [
    "CursedDatasetSummary",
    "DatasetInfo",
    "DatasetInfoStatus",
    "DatasetKey",
    "DatasetRun",
    "DatasetTypeSummary",
    "ExceptionInfoSummary",
    "QuantumInfo",
    "QuantumInfoStatus",
    "QuantumKey",
    "QuantumProvenanceGraph",
    "QuantumRun",
    "QuantumRunStatus",
    "Summary",
    "TaskSummary",
    "UnsuccessfulQuantumSummary",
]


class QuantumRunStatus(enum.Enum):
    """What became of a quantum in one run."""

    METADATA_MISSING = -3
    """Neither metadata nor log: it was not tried, or was killed."""
    LOGS_MISSING = -2
    """Metadata, but no log."""
    FAILED = -1
    """A log, but no metadata."""
    BLOCKED = 0
    """Not tried, because something upstream failed."""
    SUCCESSFUL = 1
    """Metadata and log."""


class QuantumInfoStatus(enum.Enum):
    """What became of a quantum over all runs."""

    WONKY = -3
    """The runs contradict each other, or a log is lost; somebody should look."""
    FAILED = -2
    UNKNOWN = -1
    BLOCKED = 0
    SUCCESSFUL = 1


class DatasetInfoStatus(enum.Enum):
    """What became of a dataset over all runs."""

    CURSED = -2
    """It can be found although its quantum did not succeed."""
    UNSUCCESSFUL = -1
    """It is not there, and its quantum did not succeed."""
    PREDICTED_ONLY = 0
    """It is not there, and its quantum succeeded."""
    SHADOWED = 1
    """It is there, but another is found first."""
    VISIBLE = 2
    """It is found."""


class QuantumKey(NamedTuple):
    """A task and a data ID, whatever the run."""

    task_label: str
    data_id_values: tuple[int | str, ...]


class DatasetKey(NamedTuple):
    """A dataset type and a data ID, whatever the run."""

    dataset_type_name: str
    data_id_values: tuple[int | str, ...]


@dataclasses.dataclass
class QuantumRun:
    """A quantum in one run."""

    id: uuid.UUID
    metadata_ref: DatasetRef
    log_ref: DatasetRef | None
    status: QuantumRunStatus = QuantumRunStatus.METADATA_MISSING
    caveats: QuantumSuccessCaveats | None = None
    exception: ExceptionInfo | None = None


@dataclasses.dataclass
class DatasetRun:
    """A dataset in one run: whether it was made, and whether it is found first."""

    id: uuid.UUID
    produced: bool = False
    visible: bool = False


@dataclasses.dataclass
class QuantumInfo:
    """A quantum over all runs, the first attempt first.

    Attributes
    ----------
    data_id
        Its data ID.
    runs
        What became of it in each run.
    status
        What became of it in the end.
    recovered
        Whether it succeeded after it had not.
    outputs
        What it writes.
    messages
        Why it is wonky.
    """

    data_id: Any
    runs: dict[str, QuantumRun] = dataclasses.field(default_factory=dict)
    status: QuantumInfoStatus = QuantumInfoStatus.UNKNOWN
    recovered: bool = False
    outputs: list[DatasetKey] = dataclasses.field(default_factory=list)
    messages: list[str] = dataclasses.field(default_factory=list)

    def plain_data_id(self) -> dict[str, int | str]:
        """Required values by dimension."""
        return plain(self.data_id)

    def take(self, run: str, attempt: QuantumRun) -> None:
        """Take in what became of it in a later run."""
        before = self.status
        self.runs[run] = attempt
        if attempt.status is QuantumRunStatus.LOGS_MISSING:
            self.doubt(f"it has metadata but no log in `{run}`")
        elif attempt.status is not QuantumRunStatus.SUCCESSFUL and before is QuantumInfoStatus.SUCCESSFUL:
            self.doubt(f"it had succeeded before `{run}`, where it is {attempt.status.name.lower()}")
        elif attempt.status is QuantumRunStatus.BLOCKED and before is QuantumInfoStatus.FAILED:
            pass  # why it did not succeed is still the failure
        elif before is not QuantumInfoStatus.WONKY:
            self.status = _OVERALL[attempt.status]
            bad = (QuantumInfoStatus.FAILED, QuantumInfoStatus.BLOCKED)
            self.recovered = self.recovered or (self.status is QuantumInfoStatus.SUCCESSFUL and before in bad)

    def doubt(self, why: str) -> None:
        """Note that something is inconsistent."""
        self.status = QuantumInfoStatus.WONKY
        self.messages.append(why)


_OVERALL = {
    QuantumRunStatus.METADATA_MISSING: QuantumInfoStatus.UNKNOWN,
    QuantumRunStatus.LOGS_MISSING: QuantumInfoStatus.WONKY,
    QuantumRunStatus.FAILED: QuantumInfoStatus.FAILED,
    QuantumRunStatus.BLOCKED: QuantumInfoStatus.BLOCKED,
    QuantumRunStatus.SUCCESSFUL: QuantumInfoStatus.SUCCESSFUL,
}


@dataclasses.dataclass
class DatasetInfo:
    """A dataset over all runs."""

    data_id: Any
    producer: QuantumKey
    is_log: bool
    runs: dict[str, DatasetRun] = dataclasses.field(default_factory=dict)
    status: DatasetInfoStatus = DatasetInfoStatus.UNSUCCESSFUL
    messages: list[str] = dataclasses.field(default_factory=list)

    @property
    def run_visible(self) -> str | None:
        """The run whose dataset is found."""
        return next((name for name, run in self.runs.items() if run.visible), None)


def plain(data_id: Any) -> dict[str, int | str]:
    """Required values of a data ID by dimension name."""
    return {str(name): value for name, value in data_id.required.items()}


class QuantumProvenanceGraph:
    """What became of the quanta and datasets of graphs that were executed, the first attempt first.

    Parameters
    ----------
    butler
        The repository that the graphs were run in.
    qgraphs
        Predicted quantum graphs, or paths of their files, from the first attempt to the last.
    collections
        Where datasets must be found to count as visible; by default the runs of the graphs, the last one first.
    where
        Expression that datasets must meet to be looked for.
    curse_failed_logs
        Whether the log of a failed quantum counts as cursed; needs `collections`.
    read_caveats
        Of which successful quanta metadata is read for caveats: "exhaustive" for all, "lazy" for those that lack a
        predicted output, None for none.
    use_qbb
        Whether metadata and logs that the datastore has no record of are looked for where their quanta would put them.
    n_cores
        How many files are read at once.

    Raises
    ------
    MissingCollectionError
        The run of a graph is not in the repository: nothing was run, or nothing was registered.
    ValueError
        There is no graph, or `curse_failed_logs` is set without `collections`.

    Examples
    --------
    >>> QuantumProvenanceGraph(butler, ["first.qg", "second.qg"]).to_summary(butler)  # doctest: +SKIP
    """

    def __init__(
        self,
        butler: Butler,
        qgraphs: Sequence[Any] = (),
        *,
        collections: Sequence[str] | None = None,
        where: str = "",
        curse_failed_logs: bool = False,
        read_caveats: Literal["lazy", "exhaustive"] | None = "lazy",
        use_qbb: bool = True,
        n_cores: int = 1,
    ) -> None:
        if curse_failed_logs and not collections:
            raise ValueError("cursing the logs of failed quanta needs the collection that holds the final outputs")
        self._quanta: dict[QuantumKey, QuantumInfo] = {}
        self._datasets: dict[DatasetKey, DatasetInfo] = {}
        self._curse_failed_logs = curse_failed_logs
        self._use_qbb = use_qbb
        runs: list[str] = []
        for given in qgraphs:
            graph = open_graph(given)
            runs.append(graph.header.output_run)
            self._add(butler, graph)
        if not runs:
            raise ValueError("there is no graph to report on")
        self._find_visible(butler, list(collections) if collections else list(dict.fromkeys(reversed(runs))), where)
        self._resolve()
        if read_caveats is not None:
            self._read_caveats(butler, read_caveats == "exhaustive", n_cores)

    @property
    def quanta(self) -> Mapping[str, set[QuantumKey]]:
        """Keys of quanta by task label."""
        found: dict[str, set[QuantumKey]] = {}
        for key in self._quanta:
            found.setdefault(key.task_label, set()).add(key)
        return found

    @property
    def datasets(self) -> Mapping[str, set[DatasetKey]]:
        """Keys of datasets by dataset type."""
        found: dict[str, set[DatasetKey]] = {}
        for key in self._datasets:
            found.setdefault(key.dataset_type_name, set()).add(key)
        return found

    def get_quantum_info(self, key: QuantumKey) -> QuantumInfo:
        """Return what became of a quantum; raises `KeyError`."""
        return self._quanta[key]

    def get_dataset_info(self, key: DatasetKey) -> DatasetInfo:
        """Return what became of a dataset; raises `KeyError`."""
        return self._datasets[key]

    def iter_outputs_of(self, quantum_key: QuantumKey) -> Iterator[DatasetKey]:
        """Go through what a quantum writes."""
        return iter(self._quanta[quantum_key].outputs)

    def get_producer_of(self, dataset_key: DatasetKey) -> QuantumKey:
        """Return the quantum that writes a dataset."""
        return self._datasets[dataset_key].producer

    # -- assembling

    def _add(self, butler: Butler, graph: Any) -> None:
        run = graph.header.output_run
        _check_run(butler, run)
        labels = dict(graph.quanta())
        upstream: dict[uuid.UUID, list[uuid.UUID]] = {}
        for first, second in graph.edges():
            upstream.setdefault(second, []).append(first)
        outputs = {quantum_id: graph.get_outputs(quantum_id) for quantum_id in labels}
        every = [ref.id for found in outputs.values() for refs in found.values() for ref in refs]
        registry: Any = butler._core_registry
        made = {ref.id for ref in registry.get_datasets(every) if ref is not None}
        statuses: dict[uuid.UUID, QuantumRunStatus] = {}
        for quantum_id, label in labels.items():
            (metadata,) = outputs[quantum_id]["_metadata"]
            log = next(iter(outputs[quantum_id].get("_log", ())), None)
            attempt = QuantumRun(quantum_id, metadata, log)
            bad = (QuantumRunStatus.FAILED, QuantumRunStatus.BLOCKED)
            is_blocked = any(statuses[before] in bad for before in upstream.get(quantum_id, ()))
            has_log = log.id in made if log is not None else metadata.id in made
            attempt.status = run_status(metadata.id in made, has_log, is_blocked)
            statuses[quantum_id] = attempt.status
            data_id = metadata.dataId
            key = QuantumKey(label, tuple(data_id.required_values))
            info = self._quanta.setdefault(key, QuantumInfo(data_id))
            info.take(run, attempt)
            self._add_datasets(run, key, info, outputs[quantum_id], made)

    def _add_datasets(
        self, run: str, producer: QuantumKey, info: QuantumInfo, outputs: Mapping[str, Any], made: set[uuid.UUID]
    ) -> None:
        for connection, refs in outputs.items():
            for ref in refs:
                key = DatasetKey(ref.datasetType.name, tuple(ref.dataId.required_values))
                if key not in self._datasets:
                    self._datasets[key] = DatasetInfo(ref.dataId, producer, connection == "_log")
                    info.outputs.append(key)
                self._datasets[key].runs[run] = DatasetRun(ref.id, ref.id in made)

    def _find_visible(self, butler: Butler, collections: list[str], where: str) -> None:
        by_id = {run.id: run for info in self._datasets.values() for run in info.runs.values()}
        for name in dict.fromkeys(key.dataset_type_name for key in self._datasets):
            try:
                refs = butler.query_datasets(name, collections, where=where, limit=None, explain=False)
            except MissingDatasetTypeError:  # none was ever written
                continue
            for ref in refs:
                if ref.id in by_id:
                    by_id[ref.id].visible = True

    def _resolve(self) -> None:
        for dataset in self._datasets.values():
            self._resolve_dataset(dataset, self._quanta[dataset.producer])
        # Last, as in the peer: outputs that are found in several runs do not make each other cursed.
        for info in self._quanta.values():
            seen = {self._datasets[key].run_visible or "" for key in info.outputs} - {""}
            if len(seen) > 1:
                info.doubt(f"its outputs are found in different runs: `{'`, `'.join(sorted(seen))}`")

    def _resolve_dataset(self, dataset: DatasetInfo, producer: QuantumInfo) -> None:
        visible = dataset.run_visible is not None
        if producer.status is QuantumInfoStatus.SUCCESSFUL:
            produced = any(run.produced for run in dataset.runs.values())
            missing = DatasetInfoStatus.SHADOWED if produced else DatasetInfoStatus.PREDICTED_ONLY
            dataset.status = DatasetInfoStatus.VISIBLE if visible else missing
        elif visible and (self._curse_failed_logs or not dataset.is_log):
            dataset.status = DatasetInfoStatus.CURSED
            dataset.messages.append(
                f"found in `{dataset.run_visible}` although its quantum is {producer.status.name.lower()}"
            )

    # -- reading files

    def _read_caveats(self, butler: Butler, exhaustive: bool, n_cores: int) -> None:
        wanted: list[tuple[QuantumKey, QuantumRun]] = []
        for key, info in self._quanta.items():
            for name, run in info.runs.items():
                complete = all(
                    self._datasets[output].runs[name].produced
                    for output in info.outputs
                    if name in self._datasets[output].runs
                )
                if run.status is QuantumRunStatus.SUCCESSFUL and (exhaustive or not complete):
                    wanted.append((key, run))
        found = read_many(butler, [run.metadata_ref for _, run in wanted], n_cores, self._use_qbb)
        for (key, run), metadata in zip(wanted, found, strict=True):
            if metadata is not None:
                run.caveats, run.exception = caveats_and_exception(key.task_label, metadata)

    def to_summary(self, butler: Butler | None = None, do_store_logs: bool = True, n_cores: int = 1) -> Summary:
        """Count states, and list the data IDs that need a look.

        Parameters
        ----------
        butler
            The repository, for reading the logs of failed quanta.
        do_store_logs
            Whether to read them.
        n_cores
            How many are read at once.
        """
        summary = Summary()
        failed: list[tuple[UnsuccessfulQuantumSummary, DatasetRef]] = []
        for key, info in self._quanta.items():
            task = summary.tasks.setdefault(key.task_label, TaskSummary())
            task.n_expected += 1
            _count_quantum(task, key, info)
            if info.status is QuantumInfoStatus.FAILED:
                refs = [run.log_ref for run in info.runs.values() if run.status is QuantumRunStatus.FAILED]
                failed.extend((task.failed_quanta[-1], ref) for ref in refs if ref is not None)
        for dataset_key, dataset in self._datasets.items():
            name = dataset_key.dataset_type_name
            producer = dataset.producer.task_label
            of_type = summary.datasets.setdefault(name, DatasetTypeSummary(producer=producer))
            of_type.n_expected += 1
            _count_dataset(of_type, dataset, self._quanta[dataset.producer])
        if do_store_logs and butler is not None and failed:
            logs = read_many(butler, [ref for _, ref in failed], n_cores, self._use_qbb)
            for (entry, ref), log in zip(failed, logs, strict=True):
                entry.messages.extend([f"the log of run `{ref.run}` cannot be read"] if log is None else errors_in(log))
        return summary


def run_status(has_metadata: bool, has_log: bool, is_blocked: bool) -> QuantumRunStatus:
    """Say what became of a quantum in one run, by what it left.

    >>> run_status(has_metadata=False, has_log=True, is_blocked=False).name
    'FAILED'
    """
    if has_metadata:
        return QuantumRunStatus.SUCCESSFUL if has_log else QuantumRunStatus.LOGS_MISSING
    if has_log:
        return QuantumRunStatus.FAILED
    return QuantumRunStatus.BLOCKED if is_blocked else QuantumRunStatus.METADATA_MISSING


def caveats_and_exception(label: str, metadata: Any) -> tuple[QuantumSuccessCaveats | None, ExceptionInfo | None]:
    """Read from metadata what a successful quantum did not do, and the exception that was accepted."""
    quantum = metadata.get("quantum") if "quantum" in metadata else None
    caveats = None
    if quantum is not None and "caveats" in quantum:
        caveats = QuantumSuccessCaveats(int(quantum["caveats"]))  # the peer reads and writes whole numbers as floats
    own = metadata.get(label) if label in metadata else None
    if own is None or "failure" not in own:
        return caveats, None
    failure = own["failure"].to_dict()
    return caveats, ExceptionInfo(str(failure["type"]), str(failure["message"]), dict(failure.get("metadata", {})))


def errors_in(log: Iterable[Any]) -> list[str]:
    """Return the errors that a log tells of."""
    return [record.message for record in log if record.levelno >= logging.ERROR]


def open_graph(given: Any) -> Any:
    """Return a predicted graph, read whole from its file if it is given by a path; nothing it names is imported."""
    from armillary.pipeline.quantum_graph import PredictedQuantumGraph

    if isinstance(given, PredictedQuantumGraph):
        return given
    with PredictedQuantumGraph.open(given) as reader:
        reader.read_all()
        return reader.finish()


def _check_run(butler: Butler, run: str) -> None:
    try:
        butler.collections.get_info(run)
    except MissingCollectionError:
        raise MissingCollectionError(
            f"the run `{run}` of the graph is not in the repository: the graph has not been run, or what it wrote has "
            "not been registered; `butler transfer-from-graph` does that"
        ) from None


def read_many(butler: Butler, refs: Sequence[DatasetRef], n_cores: int, predict: bool = True) -> list[Any]:
    """Read datasets, with one question to the database for all; None for one whose file is gone.

    With `predict`, what has no record is looked for where a quantum would put it.
    """
    from armillary.butler import QuantumBackedButler

    store: Any = butler._datastore.file_datastore
    registry: Any = butler._core_registry
    records: dict[uuid.UUID, list[Any]] = {}
    for record in registry.records([ref.id for ref in refs], table=store.records_table):
        records.setdefault(record.dataset_id, []).append(record)
    files = QuantumBackedButler(store, butler.dimensions, records)

    def read(ref: DatasetRef) -> Any:
        places: list[Any] = [files] if ref.id in records else [files, butler] if predict else [butler]
        for place in places:
            with contextlib.suppress(FileNotFoundError, LookupError):
                return place.get(ref)
        return None

    if n_cores <= 1 or len(refs) < 2:
        return [read(ref) for ref in refs]
    with ThreadPoolExecutor(n_cores) as pool:
        return list(pool.map(read, refs))


def _count_quantum(task: TaskSummary, key: QuantumKey, info: QuantumInfo) -> None:
    data_id = info.plain_data_id()
    states = {name: run.status.name for name, run in info.runs.items()}
    if info.status is QuantumInfoStatus.SUCCESSFUL:
        task.n_successful += 1
        if info.recovered:
            task.recovered_quanta.append(data_id)
        name, last = next(reversed(info.runs.items()))
        if last.caveats:
            task.caveats.setdefault(last.caveats.concise(), []).append(data_id)
        if last.exception is not None:
            told = ExceptionInfoSummary(last.id, data_id, name, last.exception)
            task.exceptions.setdefault(last.exception.type_name, []).append(told)
    elif info.status is QuantumInfoStatus.WONKY:
        task.wonky_quanta.append(UnsuccessfulQuantumSummary(data_id, states, list(info.messages)))
    elif info.status is QuantumInfoStatus.FAILED:
        task.failed_quanta.append(UnsuccessfulQuantumSummary(data_id, states))
    elif info.status is QuantumInfoStatus.BLOCKED:
        task.n_blocked += 1
    else:
        task.n_unknown += 1


def _count_dataset(of_type: DatasetTypeSummary, dataset: DatasetInfo, producer: QuantumInfo) -> None:
    if dataset.status is DatasetInfoStatus.VISIBLE:
        of_type.n_visible += 1
    elif dataset.status is DatasetInfoStatus.SHADOWED:
        of_type.n_shadowed += 1
    elif dataset.status is DatasetInfoStatus.PREDICTED_ONLY:
        of_type.n_predicted_only += 1
    elif dataset.status is DatasetInfoStatus.UNSUCCESSFUL:
        of_type.unsuccessful_datasets.append(plain(dataset.data_id))
    else:
        of_type.cursed_datasets.append(
            CursedDatasetSummary(
                producer.plain_data_id(),
                plain(dataset.data_id),
                {name: run.produced for name, run in dataset.runs.items()},
                dataset.run_visible,
                list(dataset.messages),
            )
        )
