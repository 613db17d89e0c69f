"""Running graph files where there is no registry at hand, and taking in what they wrote afterwards."""

from __future__ import annotations

import fnmatch
import os
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from armillary._words import did_you_mean
from armillary.errors import ConfigurationError, MissingDatasetTypeError
from armillary.pipeline.execution.chained_outputs import ChainedOutputs
from armillary.pipeline.execution.driver import Run
from armillary.pipeline.execution.initialise import check_dataset_types, write_init_datasets
from armillary.pipeline.execution.metadata_writer import MetadataWriter
from armillary.pipeline.execution.outcome import QuantumOutcome, QuantumState
from armillary.pipeline.execution.report import RunReport
from armillary.pipeline.execution.run_control import RunControl
from armillary.pipeline.execution.runner import run_quanta
from armillary.pipeline.execution.worker_context import ExecutorOptions, outputs_of
from armillary.pipeline.pipeline_nodes import TaskImportMode
from armillary.pipeline.reuse.reused_datasets import find_reused, show_reused

if TYPE_CHECKING:
    from armillary.butler import Butler

__all__ = [
    "all_outputs",
    "chosen_types",
    "init_butler",
    "initialise_without_registry",
    "open_datastore",
    "open_graph_file",
    "register_outputs",
    "run_without_registry",
    "transfer_from_graph",
]


def open_datastore(repo: Any, universe: Any, search_paths: Iterable[str] | None = None) -> Any:
    """Open the datastore of a repository without its database.

    Parameters
    ----------
    repo
        Directory or config file of the repository, or its configuration.
    universe
        The dimensions.
    search_paths
        Folders with more configuration.
    """
    from armillary.config import ButlerConfig
    from armillary.repository_config import repository_root
    from armillary.storage import make_datastore

    config = ButlerConfig(repo if isinstance(repo, Mapping) else os.fspath(repo), searchPaths=search_paths)
    root = repository_root(config, config.configFile)
    return make_datastore(config, root, universe=universe, writeable=True).file_datastore


def datastore_recipe(repo: Any) -> tuple[Any, ...]:
    """Return the function by which another process makes a datastore, and its arguments but for the last."""
    path = os.fspath(repo)
    return (open_datastore, os.path.abspath(path) if os.path.exists(path) else path)


def open_graph_file(path: str) -> Any:
    """Read a graph file whole; nothing that it names is imported."""
    from armillary.pipeline.quantum_graph import PredictedQuantumGraph

    if not path.endswith(".qg"):
        raise ConfigurationError(f"`{path}` is no quantum graph file: it does not end in `.qg`")
    with PredictedQuantumGraph.open(path, import_mode=TaskImportMode.DO_NOT_IMPORT) as reader:
        reader.read_all()
        return reader.finish()


def init_butler(graph: Any, repo: Any, search_paths: Iterable[str] | None = None) -> Any:
    """Make the butler that reads what the making of a graph's tasks needs, and writes what it gives."""
    from armillary.butler import QuantumBackedButler

    universe = graph.pipeline_graph.universe
    labels = ["", *graph.pipeline_graph.tasks]
    written = [ref.id for label in labels for ref in graph.get_init_outputs(label).values()]
    records: dict[uuid.UUID, list[Any]] = {}
    for label in graph.pipeline_graph.tasks:
        records.update(graph._core.init_datastore_records(label))
    datastore = open_datastore(repo, universe, search_paths)
    return QuantumBackedButler(datastore, universe, records, predicted_outputs=written)


def initialise_without_registry(repo: Any, qgraph_path: str) -> None:
    """Write the init-outputs, configs and software versions of a graph file; those there already are compared.

    Parameters
    ----------
    repo
        The repository; its database is not opened.
    qgraph_path
        The graph file.

    Raises
    ------
    ConflictingDefinitionError
        A config or a version is there and differs.
    """
    graph = open_graph_file(qgraph_path)
    write_init_datasets(graph, init_butler(graph, repo), may_exist=True)


def run_without_registry(
    repo: Any,
    qgraph_path: str,
    *,
    quantum_ids: Sequence[str | uuid.UUID] | None = None,
    assume_no_existing_outputs: bool = False,
    **control: Any,
) -> RunReport:
    """Run quanta of a graph file; they write files only, at the places the graph foretells.

    Parameters
    ----------
    repo
        The repository; its database is not opened.
    qgraph_path
        The graph file.
    quantum_ids
        Quanta to run; all by default. One whose upstream quanta have not run is blocked.
    assume_no_existing_outputs
        Do not look for outputs that are there already. Else finished quanta are left out, others begun afresh.
    control
        How the run goes: `processes`, `timeout`, `fail_fast`, `retry`, `executor` and so on; see `RunControl`.

    Raises
    ------
    LookupError
        The graph has no such quantum.
    """
    started = time.time()
    how = RunControl(**control)
    graph = open_graph_file(qgraph_path)
    datastore = open_datastore(repo, graph.pipeline_graph.universe)
    everything = graph.quanta()
    chosen = everything if quantum_ids is None else _chosen(everything, quantum_ids)
    blocked: list[QuantumOutcome] = []
    if quantum_ids is not None:
        chosen, blocked = _without_orphans(graph, datastore, chosen)
    options = ExecutorOptions(
        skip_existing=True,
        clobber_outputs=True,
        assume_no_existing_outputs=assume_no_existing_outputs,
        raise_on_partial_outputs=how.raise_on_partial_outputs,
        resources=how.resources,
        sync="later" if how.on_this_machine else "quantum",
        hand_over_metadata=how.on_this_machine,
        job_metadata={"qg_read_time": time.time() - started, "qg_size": len(chosen)},
    )
    run = Run(graph, chosen, datastore, datastore_recipe(repo), options, how)
    if not how.on_this_machine:
        report = run_quanta(run)
    else:
        writer = MetadataWriter(graph, datastore)
        run.ended = writer.add
        try:
            report = run_quanta(run)
        finally:
            writer.flush()
    report.outcomes.extend(blocked)
    return report


def _chosen(
    everything: Sequence[tuple[uuid.UUID, str]], quantum_ids: Sequence[str | uuid.UUID]
) -> list[tuple[uuid.UUID, str]]:
    wanted = {uuid.UUID(str(text)) for text in quantum_ids}
    missing = sorted(str(key) for key in wanted - {key for key, _ in everything})
    if missing:
        raise LookupError(f"the graph has no quantum {', '.join(f'`{text}`' for text in missing)}")
    return [(key, label) for key, label in everything if key in wanted]


def _without_orphans(
    graph: Any, datastore: Any, chosen: list[tuple[uuid.UUID, str]]
) -> tuple[list[tuple[uuid.UUID, str]], list[QuantumOutcome]]:
    """Leave out quanta with an upstream quantum that has neither run nor will.

    Without its inputs such a quantum would find no work and be taken as done for good.
    """
    running = {key for key, _ in chosen}
    upstream: dict[uuid.UUID, list[uuid.UUID]] = {}
    for first, second in graph.edges():
        if second in running and first not in running:
            upstream.setdefault(second, []).append(first)
    if not upstream:
        return chosen, []
    labels = dict(graph.quanta())
    before = {key for keys in upstream.values() for key in keys}
    unfinished: set[uuid.UUID] = set()
    for key, quantum in graph.build_execution_quanta(sorted(before)).items():
        name = graph.pipeline_graph.tasks[labels[key]].metadata_output.dataset_type_name
        metadata = [ref for ref in outputs_of(quantum) if ref.datasetType.name == name]
        if not all(datastore.exists(datastore.predict_records(ref)) for ref in metadata):
            unfinished.add(key)
    kept: list[tuple[uuid.UUID, str]] = []
    blocked: list[QuantumOutcome] = []
    for key, label in chosen:
        if unfinished.isdisjoint(upstream.get(key, ())):
            kept.append((key, label))
        else:
            blocked.append(QuantumOutcome(key, label, QuantumState.BLOCKED, exit_code=1))
    return kept, blocked


def transfer_from_graph(
    graph_path: str,
    butler: Butler,
    *,
    register_dataset_types: bool = False,
    update_output_chain: bool = False,
    dry_run: bool = False,
    dataset_types: Sequence[str] = (),
) -> int:
    """Register what the quanta of a graph file wrote; files stay, and other datastores of a chain get copies.

    Parameters
    ----------
    graph_path
        The graph file.
    butler
        The repository, opened for writing.
    register_dataset_types
        Whether to register missing dataset types.
    update_output_chain
        Whether to put the run at the front of the graph's output chain, which is made when it is not there.
    dry_run
        Whether only to count.
    dataset_types
        Names or globs of the dataset types to register datasets of; all by default.

    Returns
    -------
    number
        How many datasets were registered; those registered before are not counted.

    Raises
    ------
    MissingDatasetTypeError
        The graph has no dataset type of such a name.
    """
    graph = open_graph_file(graph_path)
    refs = chosen_types(all_outputs(graph), dataset_types)
    number, _ = register_outputs(
        graph,
        butler,
        refs,
        register_dataset_types=register_dataset_types,
        update_output_chain=update_output_chain,
        dry_run=dry_run,
    )
    return number


def chosen_types(refs: list[Any], patterns: Sequence[str]) -> list[Any]:
    """Return the datasets whose types match names or globs; all without patterns.

    Raises
    ------
    MissingDatasetTypeError
        Nothing matches a pattern.
    """
    if not patterns:
        return refs
    names = {ref.datasetType.name for ref in refs}
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise MissingDatasetTypeError(
                f"the graph writes no dataset type `{pattern}`{did_you_mean(pattern, sorted(names))}"
            )
    return [ref for ref in refs if any(fnmatch.fnmatchcase(ref.datasetType.name, pattern) for pattern in patterns)]


def register_outputs(
    graph: Any,
    butler: Butler,
    refs: Sequence[Any],
    *,
    register_dataset_types: bool,
    update_output_chain: bool,
    dry_run: bool,
) -> tuple[int, int]:
    """Register those datasets whose files are where they were to be written.

    Returns
    -------
    n_registered, n_known
        How many were registered now, or would be, and how many had been before.
    """
    if not dry_run:
        check_dataset_types(graph, butler, register=register_dataset_types)
    registry: Any = butler._core_registry
    datastore: Any = butler._datastore.file_datastore
    known = {ref.id for ref in registry.get_datasets([ref.id for ref in refs]) if ref is not None}
    found: list[Any] = []
    records: list[Any] = []
    for ref in refs:
        if ref.id in known:
            continue
        predicted = datastore.predict_records(ref)
        if datastore.exists(predicted):
            found.append(ref.conform_to(butler.dimensions))  # a graph brings its own description of the dimensions
            records.extend(_measured(datastore, predicted))
    if dry_run:
        return len(found), len(known)
    header = graph.header
    from armillary.butler import CollectionType

    butler.collections.register(header.output_run, CollectionType.RUN)
    reused = show_reused(butler, header.output_run, find_reused(butler, header.metadata))
    if found:
        ChainedOutputs(butler).register(found, records)
    if update_output_chain and header.output:
        _prepend_to_chain(butler, header, [header.output_run, *([] if reused is None else [reused])])
    return len(found), len(known)


def all_outputs(graph: Any) -> list[Any]:
    """Return all that a graph writes, init-outputs included, each once and in the storage class of its type."""
    refs = [ref for label in ["", *graph.pipeline_graph.tasks] for ref in graph.get_init_outputs(label).values()]
    types = graph.pipeline_graph.dataset_types
    for quantum in graph.build_execution_quanta().values():
        refs.extend(types[ref.datasetType.name].generalize_ref(ref) for ref in outputs_of(quantum))
    return list({ref.id: ref for ref in refs}.values())


def _measured(datastore: Any, records: Iterable[Any]) -> list[Any]:
    """Return the foretold records with the sizes of the files."""
    from armillary.storage.file_record import FileRecord

    made = []
    for record in records:
        size = os.path.getsize(datastore.local_path(record))
        made.append(
            FileRecord(
                record.dataset_id,
                record.path,
                record.formatter,
                record.storage_class,
                record.component,
                record.checksum,
                size,
            )
        )
    return made


def _prepend_to_chain(butler: Butler, header: Any, first: list[str]) -> None:
    from armillary.butler import CollectionType
    from armillary.errors import MissingCollectionError

    try:
        members = list(butler.collections.get_info(header.output).children)
    except MissingCollectionError:
        butler.collections.register(header.output, CollectionType.CHAINED)
        members = list(header.inputs)
    butler.collections.redefine_chain(header.output, list(dict.fromkeys([*first, *members])))
