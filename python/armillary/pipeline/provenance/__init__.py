"""What came of quanta, told after the fact: states over several attempts, reports, and provenance graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.pipeline.provenance.provenance_graph import ProvenanceQuantumGraph

__all__ = ["ProvenanceQuantumGraph"]


def __getattr__(name: str) -> Any:  # the reports need no provenance graph
    if name == "ProvenanceQuantumGraph":
        from armillary.pipeline.provenance.provenance_graph import ProvenanceQuantumGraph

        return ProvenanceQuantumGraph
    raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
