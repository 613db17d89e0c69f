"""Quanta of earlier runs: where their metadata are, what they were made from, and what of their outputs is left."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from armillary.butler import CollectionType
from armillary.errors import FileIntegrityError, MissingDatasetTypeError
from armillary.pipeline.reuse.made_from import NAME, MadeFrom
from armillary.pipeline.status import QuantumSuccessCaveats

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef
    from armillary.pipeline.pipeline_nodes import TaskNode

__all__ = ["EarlierQuanta", "EarlierQuantum", "EarlierTask"]

DataIdKey = tuple[int | str, ...]


@dataclasses.dataclass(frozen=True)
class EarlierQuantum:
    """What a finished quantum noted of itself.

    Attributes
    ----------
    made
        What it was made from; None if that is not noted.
    put
        Ids of the outputs that it wrote, log and metadata not counted.
    is_partial
        Whether it counts as finished although its task gave up on the way.
    began
        When; None if that is not noted.
    """

    made: MadeFrom | None
    put: tuple[uuid.UUID, ...]
    is_partial: bool
    began: datetime.datetime | None

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> EarlierQuantum:
        """Read it from task metadata, as plain data.

        >>> EarlierQuantum.of({})
        EarlierQuantum(made=None, put=(), is_partial=False, began=None)
        """
        quantum = (metadata.get("metadata") or {}).get("quantum") or {}
        scalars, arrays = quantum.get("scalars") or {}, quantum.get("arrays") or {}
        caveats = QuantumSuccessCaveats(int(scalars.get("caveats", 0)))
        return cls(
            MadeFrom.from_text(scalars.get(NAME)),
            tuple(uuid.UUID(text) for text in arrays.get("outputs") or ()),
            QuantumSuccessCaveats.PARTIAL_OUTPUTS_ERROR in caveats,
            next(map(_time, arrays.get("prepUtc") or ()), None),
        )


def _time(text: str) -> datetime.datetime:
    """Read a time of task metadata, which is in UTC.

    >>> _time("2025-01-01T00:00:00").isoformat()
    '2025-01-01T00:00:00+00:00'
    """
    found = datetime.datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=datetime.UTC)


class EarlierTask:
    """The finished quanta of one task, by run, the newest run first.

    Attributes
    ----------
    runs
        For each run, metadata datasets by the values of the data ID.
    """

    def __init__(self, owner: EarlierQuanta, node: TaskNode) -> None:
        self._owner = owner
        self._log_name = None if node.log_output is None else node.log_output.dataset_type_name
        self.runs = _newest_first(owner.find(node.metadata_output.dataset_type_name))
        self._logs: dict[str, dict[DataIdKey, DatasetRef]] | None = None

    def read(self, run: str, keys: Iterable[DataIdKey]) -> dict[DataIdKey, EarlierQuantum]:
        """Read what quanta of a run noted; those whose metadata cannot be read are left out."""
        refs = self.runs.get(run, {})
        wanted = {key: refs[key] for key in keys if key in refs}
        found = self._owner.read(list(wanted.values()))
        return {key: found[ref.id] for key, ref in wanted.items() if ref.id in found}

    def samples(self, run: str) -> list[EarlierQuantum]:
        """The oldest and the newest quantum of a run: if anything changed while it went on, they differ."""
        refs = sorted(self.runs.get(run, {}).values(), key=lambda ref: ref.id)
        return list(self._owner.read(refs[:1] + refs[1:][-1:]).values())

    def log(self, run: str, key: DataIdKey) -> DatasetRef | None:
        """The log of a quantum."""
        if self._logs is None:
            self._logs = self._owner.find(self._log_name) if self._log_name else {}
        return self._logs.get(run, {}).get(key)

    @property
    def has_logs(self) -> bool:
        """Whether quanta of the task write logs."""
        return self._log_name is not None


def _newest_first(by_run: dict[str, dict[DataIdKey, DatasetRef]]) -> dict[str, dict[DataIdKey, DatasetRef]]:
    """Sort runs; ids of datasets begin with the time when they were given."""
    age = {run: max((ref.id for ref in refs.values()), default=uuid.UUID(int=0)) for run, refs in by_run.items()}
    return {run: by_run[run] for run in sorted(by_run, key=lambda run: (age[run], run), reverse=True)}


class EarlierQuanta:
    """Looks finished quanta up in a repository: whole tasks at once.

    Parameters
    ----------
    butler
        The repository.
    collections
        Names or globs of the collections to search; all runs by default.
    besides
        A run that is not searched.

    Raises
    ------
    MissingCollectionError
        A name is that of no collection.
    """

    def __init__(self, butler: Butler, collections: Sequence[str] = (), besides: str | None = None) -> None:
        kinds = {CollectionType.RUN, CollectionType.TAGGED}
        found = butler.collections.query(
            list(collections) or "*", collection_types=kinds if collections else CollectionType.RUN, flatten_chains=True
        )
        self._butler = butler
        self._collections = [name for name in found if name != besides]
        self._tasks: dict[str, EarlierTask] = {}

    def of(self, node: TaskNode) -> EarlierTask:
        """The finished quanta of a task."""
        if node.label not in self._tasks:
            self._tasks[node.label] = EarlierTask(self, node)
        return self._tasks[node.label]

    def find(self, dataset_type: str) -> dict[str, dict[DataIdKey, DatasetRef]]:
        """All datasets of a type, by run and by the values of the data ID."""
        if not self._collections:
            return {}
        try:
            refs = self._butler.query_datasets(
                dataset_type, self._collections, find_first=False, limit=None, explain=False
            )
        except MissingDatasetTypeError:
            return {}
        found: dict[str, dict[DataIdKey, DatasetRef]] = {}
        for ref in refs:
            found.setdefault(ref.run, {})[tuple(ref.dataId.required_values)] = ref
        return found

    def read(self, refs: Sequence[DatasetRef]) -> dict[uuid.UUID, EarlierQuantum]:
        """Read the metadata of quanta: from a provenance graph all at once, else file by file."""
        datastore = self._butler._datastore
        records: dict[uuid.UUID, list[Any]] = {}
        for record in datastore.records(self._butler._core_registry, [ref.id for ref in refs]):
            records.setdefault(record.dataset_id, []).append(record)
        found: dict[uuid.UUID, EarlierQuantum] = {}
        in_graphs: dict[str, list[uuid.UUID]] = {}
        for ref in refs:
            if ref.id not in records:
                continue
            if str(records[ref.id][0].path).endswith(".qg"):
                in_graphs.setdefault(self._butler.getURI(ref).ospath, []).append(ref.id)
                continue
            try:
                found[ref.id] = EarlierQuantum.of(datastore.get(ref, records[ref.id]).model_dump())
            except (OSError, ValueError, TypeError, LookupError, FileIntegrityError):  # so that the quantum runs again
                continue
        for path, ids in in_graphs.items():
            found.update(_read_graph(path, ids))
        return found

    def datasets(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, DatasetRef]:
        """The datasets of ids, those left out that are no more."""
        registry: Any = self._butler._core_registry
        return {ref.id: ref for ref in registry.get_datasets(list(ids)) if ref is not None}

    def registered(self, refs: Iterable[DatasetRef]) -> dict[str, datetime.datetime]:
        """When datasets were registered, by id; those left out whose ids nobody can have given twice.

        Ids that are made from the data ID and the run, as those of raw files, come back when a file is removed and
        another one is taken in for it.
        """
        by_type: dict[str, dict[uuid.UUID, DatasetRef]] = {}
        for ref in refs:
            if ref.id.version == 5:
                by_type.setdefault(ref.datasetType.nameAndComponent()[0], {})[ref.id] = ref
        found: dict[str, datetime.datetime] = {}
        for name, wanted in by_type.items():
            runs = sorted({ref.run for ref in wanted.values()})
            data_ids = list(dict.fromkeys(ref.dataId for ref in wanted.values()))
            with self._butler.query() as query:
                rows = query.join_dataset_search(name, runs).join_data_coordinates(data_ids)
                columns = (f"{name}.dataset_id", f"{name}.ingest_date")
                for row in rows.general(data_ids[0].dimensions, *columns, find_first=False):
                    found[str(row[columns[0]])] = row[columns[1]].utc.to_datetime(datetime.UTC)
        return found

    def stored(self, refs: Iterable[DatasetRef]) -> set[uuid.UUID]:
        """Ids of those datasets whose files are there."""
        return {ref.id for ref, there in self._butler.stored_many(refs).items() if there}

    def single(self, dataset_type: str, collections: Sequence[str]) -> DatasetRef | None:
        """The first dataset without dimensions of a type."""
        try:
            return self._butler.find_dataset(dataset_type, collections=list(collections))
        except MissingDatasetTypeError:
            return None

    def packages(self, run: str) -> Mapping[str, str]:
        """Versions of software that a run noted; nothing if it noted none, or they cannot be read."""
        ref = self.single("packages", [run])
        try:
            found: Mapping[str, str] = {} if ref is None else self._butler.get(ref)
        except (OSError, ValueError, TypeError, LookupError, FileIntegrityError):
            return {}
        return found

    def config_text(self, node: TaskNode, run: str) -> str | None:
        """The config of a task in a run, as text: nothing in it is run."""
        ref = self.single(node.init.config_output.dataset_type_name, [run])
        if ref is None or ref.id not in self.stored([ref]):
            return None
        uri = self._butler.getURI(ref)
        if uri.ospath.endswith(".qg") if uri.isLocal else uri.path.endswith(".qg"):
            from armillary.pipeline.provenance.provenance_graph import ProvenanceQuantumGraph

            tasks = ProvenanceQuantumGraph(uri.ospath).pipeline_graph.tasks
            return tasks[node.label].get_config_str() if node.label in tasks else None
        return str(uri.read().decode())


def _read_graph(path: str, ids: list[uuid.UUID]) -> dict[uuid.UUID, EarlierQuantum]:
    from armillary.pipeline.provenance.provenance_graph import ProvenanceQuantumGraph

    attempts = ProvenanceQuantumGraph(path).get_metadata(ids)
    return {key: EarlierQuantum.of(found[-1]) for key, found in attempts.items() if found and found[-1] is not None}
