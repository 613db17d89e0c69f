"""Pipeline graphs as networkx graphs, for those who have that package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from armillary.pipeline.pipeline_nodes import NodeKey, NodeType

__all__ = ["full_xgraph", "projected_xgraph"]

_KINDS = {"dataset_type": NodeType.DATASET_TYPE, "task_init": NodeType.TASK_INIT, "task": NodeType.TASK}


def _networkx() -> Any:
    try:
        import networkx  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise ImportError("these forms of a graph need the package `networkx`: pip install networkx") from None
    return networkx


def _node_key(key: tuple[str, str]) -> NodeKey:
    return NodeKey(_KINDS[key[0]], key[1])


def full_xgraph(kind: str, edges: Sequence[Any], wanted: Callable[[tuple[str, str]], bool]) -> Any:
    """Return the edges whose two ends are wanted, as a networkx graph of a kind such as `MultiDiGraph`."""
    graph = getattr(_networkx(), kind)()
    for first, second, connection in edges:
        if wanted(first) and wanted(second):
            graph.add_edge(_node_key(first), _node_key(second), connection, connection_name=connection)
    return graph


def projected_xgraph(edges: Sequence[Any], kind: str, through: set[str] | None = None) -> Any:
    """Join the nodes of one kind wherever one node of another kind lies between them."""
    graph = _networkx().DiGraph()
    into: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for first, second, _ in edges:
        for key in (first, second):
            if key[0] == kind and through is None:
                graph.add_node(_node_key(key))
        if first[0] == kind and (through is None or second[0] in through):
            graph.add_node(_node_key(first))
            into.setdefault(second, []).append(first)
    for first, second, _ in edges:
        if second[0] == kind:
            for source in into.get(first, ()):
                graph.add_edge(_node_key(source), _node_key(second))
    return graph
