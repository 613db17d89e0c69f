"""A repository of one's own with all that a graph reads."""

from __future__ import annotations

import collections
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef

__all__ = ["local_copy"]


def local_copy(
    graph: Any, butler: Butler, root: str, *, register_dataset_types: bool, transfer_dimensions: bool
) -> Butler:
    """Copy what a graph reads to another repository, with collections for its run.

    Parameters
    ----------
    graph
        The quantum graph.
    butler
        The repository that it was built for.
    root
        The other repository; made if it is not there.
    register_dataset_types
        Whether to register dataset types there.
    transfer_dimensions
        Whether to copy dimension records.

    Returns
    -------
    butler
        The other repository, opened for writing, with the run, and the tagged inputs after it.
    """
    from armillary.butler import Butler, CollectionType

    if not os.path.exists(root):
        Butler.makeRepo(root)
    quanta = graph.build_execution_quanta()
    refs = _overall_inputs(graph, quanta)
    local = Butler(root, writeable=True)
    try:
        if transfer_dimensions:
            data_ids = [quantum.dataId for quantum in quanta.values()]
            outputs = [ref for quantum in quanta.values() for refs in quantum.outputs.values() for ref in refs]
            local.transfer_dimension_records_from(butler, [*data_ids, *outputs])
        local.transfer_from(
            butler,
            refs,
            transfer="copy",
            register_dataset_types=register_dataset_types,
            transfer_dimensions=transfer_dimensions,
        )
        header = graph.header
        tagged = f"{header.output or header.output_run}/inputs"
        local.collections.register(header.output_run, CollectionType.RUN)
        local.collections.register(tagged, CollectionType.TAGGED)
        local.registry.associate(tagged, _alone_with_their_data_ids(refs))
        if header.output:
            local.collections.register(header.output, CollectionType.CHAINED)
            local.collections.redefine_chain(header.output, [header.output_run, tagged])
        return local.clone(collections=[header.output_run, tagged], run=header.output_run)
    except BaseException:
        local.close()
        raise


def _overall_inputs(graph: Any, quanta: dict[Any, Any]) -> list[DatasetRef]:
    """Return what exists before the run, each once, as it is registered."""
    types = graph.pipeline_graph.dataset_types
    read: dict[Any, DatasetRef] = {}
    made = {ref.id for quantum in quanta.values() for refs in quantum.outputs.values() for ref in refs}
    for label in graph.pipeline_graph.tasks:
        made.update(ref.id for ref in graph.get_init_outputs(label).values())
        read.update((ref.id, ref) for ref in graph.get_init_inputs(label).values())
    for quantum in quanta.values():
        read.update((ref.id, ref) for refs in quantum.inputs.values() for ref in refs)
    wholes = (ref.makeCompositeRef() if ref.isComponent() else ref for key, ref in read.items() if key not in made)
    return [types[ref.datasetType.name].generalize_ref(ref) for ref in wholes]


def _alone_with_their_data_ids(refs: list[DatasetRef]) -> list[DatasetRef]:
    counts = collections.Counter((ref.datasetType.name, ref.dataId) for ref in refs)
    return [ref for ref in refs if counts[ref.datasetType.name, ref.dataId] == 1]
