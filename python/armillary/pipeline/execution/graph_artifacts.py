"""Files of the datasets of a graph, taken out without a registry."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from armillary.pipeline.execution.without_registry import all_outputs, chosen_types, open_datastore, open_graph_file

if TYPE_CHECKING:
    from lsst.resources import ResourcePath

__all__ = ["retrieve_artifacts", "zip_outputs"]


def zip_outputs(graph_path: str, repo: Any, destination: str, dataset_types: Sequence[str] = ()) -> str:
    """Put what the quanta of a graph file wrote into one zip file.

    Parameters
    ----------
    graph_path
        The graph file.
    repo
        The repository; its database is not opened.
    destination
        Folder for the zip file, which is named after its content.
    dataset_types
        Names or globs of dataset types; all by default.

    Returns
    -------
    path
        The zip file.

    Raises
    ------
    FileNotFoundError
        Nothing of it was written.
    MissingDatasetTypeError
        The graph has no dataset type of such a name.
    """
    from armillary.storage.zip_files import write_zip

    graph = open_graph_file(graph_path)
    datastore = open_datastore(repo, graph.pipeline_graph.universe)
    refs, records = _stored(datastore, chosen_types(all_outputs(graph), dataset_types))
    if not refs:
        raise FileNotFoundError(f"nothing that `{graph_path}` was to write is in `{repo}`: has it been run?")
    return os.path.abspath(write_zip(datastore, refs, records, destination))


def retrieve_artifacts(
    graph_path: str,
    repo: Any,
    destination: str,
    *,
    quantum_ids: Sequence[str | uuid.UUID] | None = None,
    inputs: bool = True,
    outputs: bool = True,
    transfer: str = "auto",
    preserve_path: bool = True,
    overwrite: bool = False,
) -> list[ResourcePath]:
    """Copy the files of the inputs and outputs of quanta.

    Parameters
    ----------
    graph_path
        The graph file.
    repo
        The repository; its database is not opened.
    destination
        Folder for the files, made if it is missing.
    quantum_ids
        Quanta; all by default, with what the making of their tasks reads and writes.
    inputs, outputs
        Which side of the quanta is wanted.
    transfer, preserve_path, overwrite
        See `Butler.retrieveArtifacts`.

    Returns
    -------
    paths
        The copies. Outputs that were not written are left out.

    Raises
    ------
    LookupError
        The graph has no such quantum.
    """
    from armillary.storage.artifacts import retrieve

    graph = open_graph_file(graph_path)
    keys = None if quantum_ids is None else [uuid.UUID(str(text)) for text in quantum_ids]
    quanta = graph.build_execution_quanta(keys)
    refs: list[Any] = []
    known: dict[uuid.UUID, list[Any]] = {}
    for quantum in quanta.values():
        known.update(quantum.datastore_records)
        for side, wanted in ((quantum.inputs, inputs), (quantum.outputs, outputs)):
            refs.extend(ref for found in side.values() for ref in found if wanted)
        refs.extend(ref for ref in quantum.initInputs.values() if inputs)
    if keys is None and outputs:
        refs.extend(all_outputs(graph))
    datastore = open_datastore(repo, graph.pipeline_graph.universe)
    _, records = _stored(datastore, refs, known)
    return retrieve(
        datastore,
        records,
        os.path.abspath(destination),
        transfer=transfer,
        preserve_path=preserve_path,
        overwrite=overwrite,
    )


def _stored(
    datastore: Any, refs: Iterable[Any], known: dict[uuid.UUID, list[Any]] | None = None
) -> tuple[list[Any], list[Any]]:
    """Return the datasets whose files are there, each once, and the records of these files."""
    found: list[Any] = []
    records: list[Any] = []
    for ref in {ref.id: ref for ref in refs}.values():
        whole = ref.makeCompositeRef() if ref.isComponent() else ref
        own = (known or {}).get(ref.id) or datastore.predict_records(whole)
        if datastore.exists(own):
            found.append(whole)
            records.extend(own)
    return found, records
