"""What earlier runs have left in the output run."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from armillary.errors import OutputExistsError
from armillary.pipeline.execution.outcome import QuantumOutcome, QuantumState
from armillary.pipeline.execution.worker_context import outputs_of

if TYPE_CHECKING:
    from armillary.butler import Butler

__all__ = ["existing_outputs", "skipped_outcomes"]


def existing_outputs(
    butler: Butler, graph: Any, *, skip_existing: bool, clobber: bool
) -> tuple[set[uuid.UUID], dict[uuid.UUID, list[Any]]]:
    """Find what an earlier attempt left in the output run.

    Returns
    -------
    done
        Ids of quanta that were finished before.
    leftovers
        References of outputs of unfinished quanta, which must go before these run again, by quantum id.

    Raises
    ------
    OutputExistsError
        There are leftovers other than logs, and `clobber` is false.
    """
    registry: Any = butler._core_registry
    if not _has_outputs(registry, graph):
        return set(), {}
    quanta = graph.build_execution_quanta()
    labels = dict(graph.quanta())
    refs = {quantum_id: outputs_of(quantum) for quantum_id, quantum in quanta.items()}
    every = [ref.id for group in refs.values() for ref in group]
    found = {ref.id for ref in registry.get_datasets(every) if ref is not None}
    done: set[uuid.UUID] = set()
    leftovers: dict[uuid.UUID, list[Any]] = {}
    for quantum_id, group in refs.items() if found else ():
        there = [ref for ref in group if ref.id in found]
        node = graph.pipeline_graph.tasks[labels[quantum_id]]
        names = {ref.datasetType.name for ref in there}
        if skip_existing and node.metadata_output.dataset_type_name in names:
            done.add(quantum_id)
        elif there:
            log_name = None if node.log_output is None else node.log_output.dataset_type_name
            if names != {log_name} and not clobber:
                listed = ", ".join(f"`{name}`" for name in sorted(names))
                raise OutputExistsError(
                    f"outputs {listed} of task `{node.label}` for {quanta[quantum_id].dataId} are in the run already; "
                    "`--clobber-outputs` replaces them, `--skip-existing` leaves finished quanta out"
                )
            leftovers[quantum_id] = there
    return done, leftovers


def _has_outputs(registry: Any, graph: Any) -> bool:
    """Whether the output run holds any type of dataset that a quantum writes; asked before all quanta are made."""
    types, _ = registry.collection_summary(graph.header.output_run)
    written = {
        edge.dataset_type_name for node in graph.pipeline_graph.tasks.values() for edge in node.iter_all_outputs()
    }
    return not written.isdisjoint(types)


def skipped_outcomes(graph: Any, done: set[uuid.UUID]) -> list[QuantumOutcome]:
    """Return outcomes of quanta that had been finished before."""
    return [
        QuantumOutcome(quantum_id, label, QuantumState.SKIPPED)
        for quantum_id, label in graph.quanta()
        if quantum_id in done
    ]
