"""Taking a provenance graph into a repository, in place of many small files."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

from armillary.errors import DatasetNotFoundError, MissingDatasetTypeError
from armillary.pipeline.provenance.provenance_graph import ProvenanceDataset, ProvenanceQuantumGraph
from armillary.pipeline.provenance_formatter import ProvenanceFormatter

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef

__all__ = ["RUN_PROVENANCE", "Ingestion", "find_graph", "ingest_graph"]

RUN_PROVENANCE = "run_provenance"
"""Dataset type of provenance graphs: one for each run, without dimensions."""


@dataclasses.dataclass
class Ingestion:
    """How many datasets `ingest_graph` moved into the graph, had moved before, and were never written."""

    n_moved: int = 0
    n_present: int = 0
    n_missing: int = 0

    def closing_line(self) -> str:
        """Say it in one line.

        >>> Ingestion(15, 0, 3).closing_line()
        '15 datasets are now read from the provenance graph, 0 were before, 3 were never written'
        """
        return (
            f"{self.n_moved} datasets are now read from the provenance graph, {self.n_present} were before, "
            f"{self.n_missing} were never written"
        )


def find_graph(butler: Butler, collection: str) -> ProvenanceQuantumGraph:
    """Open the provenance graph of a run, or of the first run of a chain that has one.

    Raises
    ------
    DatasetNotFoundError
        There is none.
    MissingCollectionError
        There is no such collection.
    """
    _, path = _find(butler, collection)
    return ProvenanceQuantumGraph(path)


def _find(butler: Butler, collection: str) -> tuple[DatasetRef, str]:
    butler.collections.get_info(collection)
    try:
        ref = butler.find_dataset(RUN_PROVENANCE, collections=[collection])
    except MissingDatasetTypeError:
        ref = None
    if ref is None:
        raise DatasetNotFoundError(
            f"no provenance graph is in `{collection}`: make one with `butler aggregate-graph GRAPH REPO -o FILE` and "
            "take it in with `butler ingest-graph REPO FILE`"
        )
    return ref, butler.getURI(ref).ospath


def ingest_graph(
    butler: Butler, path: str | os.PathLike[str] | None, *, transfer: str = "move", output_run: str | None = None
) -> Ingestion:
    """Take a provenance graph in; metadata, logs and configs of its run are then read from it, and their files go.

    The graph is the dataset `run_provenance` of the run. When this is interrupted, do it again with `output_run`.

    Parameters
    ----------
    butler
        The repository, opened for writing.
    path
        The graph; None if it is in the repository already.
    transfer
        How the file gets there.
    output_run
        The run; needed only without a path.

    Raises
    ------
    DatasetNotFoundError
        No path is given and the run has no provenance graph.
    ValueError
        The graph is that of another run than `output_run`.
    """
    if path is not None:
        graph = ProvenanceQuantumGraph(path)
        run = graph.header.output_run
        if output_run not in (None, run):
            raise ValueError(f"`{os.fspath(path)}` tells of the run `{run}`, not of `{output_run}`")
        _take_in(butler, graph, path, transfer)
        output_run = run
    assert output_run is not None, "either is given"
    ref, stored = _find(butler, output_run)
    return _move_datasets(butler, ProvenanceQuantumGraph(stored), ref)


def _take_in(butler: Butler, graph: ProvenanceQuantumGraph, path: str | os.PathLike[str], transfer: str) -> None:
    from armillary.butler import DataCoordinate, DatasetRef, DatasetType, FileDataset

    dataset_type = DatasetType(RUN_PROVENANCE, [], "ProvenanceQuantumGraph", universe=butler.dimensions)
    butler.registry.registerDatasetType(dataset_type)
    butler.collections.register(graph.header.output_run)
    empty = DataCoordinate.make_empty(butler.dimensions)
    ref = DatasetRef(dataset_type, empty, graph.header.output_run, id=graph.header.provenance_dataset_id)
    butler.ingest(FileDataset(os.path.abspath(path), [ref], formatter=ProvenanceFormatter), transfer=transfer)


def _move_datasets(butler: Butler, graph: ProvenanceQuantumGraph, graph_ref: DatasetRef) -> Ingestion:
    registry: Any = butler._core_registry
    store: Any = butler._datastore.file_datastore
    (own,) = registry.records([graph_ref.id], table=store.records_table)
    wanted = _automatic(graph)
    produced = [dataset for dataset in wanted if dataset.produced]
    there: dict[Any, list[Any]] = {}
    for record in registry.records([dataset.dataset_id for dataset in produced], table=store.records_table):
        there.setdefault(record.dataset_id, []).append(record)
    moving = [one for one in produced if [record.path for record in there.get(one.dataset_id, ())] != [own.path]]
    done = Ingestion(len(moving), len(produced) - len(moving), len(wanted) - len(produced))
    if not moving:
        return done
    ids = [dataset.dataset_id for dataset in moving]
    refs = [_ref(butler, graph, dataset) for dataset in moving]
    known = {ref.id for ref in registry.get_datasets(ids) if ref is not None}
    with butler.transaction():
        registry.unstore(store.name, ids, purge=False, table=store.records_table)
        for register in (True, False):
            part = [ref for ref in refs if (ref.id not in known) is register]
            records = [_record(own, ref) for ref in part]
            registry.finish_write(None, store.name, part, records, register=register, table=store.records_table)
    store.remove([record.path for key in ids for record in there.get(key, ())])
    return done


def _automatic(graph: ProvenanceQuantumGraph) -> list[ProvenanceDataset]:
    """The metadata, logs and configs of the run."""
    names = set()
    for node in graph.pipeline_graph.tasks.values():
        names |= {node.metadata_output.dataset_type_name, node.init.config_output.dataset_type_name}
        if node.log_output is not None:
            names.add(node.log_output.dataset_type_name)
    return [dataset for dataset in graph.datasets.values() if dataset.dataset_type_name in names]


def _ref(butler: Butler, graph: ProvenanceQuantumGraph, dataset: ProvenanceDataset) -> DatasetRef:
    from armillary.butler import DataCoordinate, DatasetRef

    dataset_type = butler.get_dataset_type(dataset.dataset_type_name)
    data_id = DataCoordinate.standardize(dataset.data_id, dimensions=dataset_type.dimensions)
    return DatasetRef(dataset_type, data_id, dataset.run, id=dataset.dataset_id)


def _record(own: Any, ref: DatasetRef) -> Any:
    from armillary.storage.file_record import FileRecord

    storage_class = ref.datasetType.storageClass_name
    return FileRecord(ref.id, own.path, own.formatter, storage_class, None, own.checksum, own.file_size)
