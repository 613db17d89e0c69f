"""A directed graph to read: the part of networkx's `DiGraph` that users of quantum graphs touch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

__all__ = ["DirectedGraph"]


class _Nodes(Mapping[Any, Mapping[str, Any]]):
    """Attributes by node; called, it lists the nodes."""

    def __init__(self, nodes: Mapping[Any, Mapping[str, Any]]) -> None:
        self._nodes = nodes

    def __getitem__(self, node: Any) -> Mapping[str, Any]:
        return self._nodes[node]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, node: object) -> bool:
        return node in self._nodes

    def __call__(self, data: bool | str = False) -> list[Any]:
        """List the nodes; with all their attributes, or the one of a name, beside them."""
        if data is False:
            return list(self._nodes)
        return [(node, own if data is True else own.get(data)) for node, own in self._nodes.items()]


class _Edges(list[tuple[Any, Any]]):
    """Pairs of nodes; called, it lists them with their attributes."""

    def __init__(
        self, edges: Iterable[tuple[Any, Any]], attributes: Mapping[tuple[Any, Any], Mapping[str, Any]]
    ) -> None:
        super().__init__(edges)
        self._attributes = attributes

    def __call__(self, data: bool | str = False) -> list[Any]:
        """List the edges; with all their attributes, or the one of a name, as the third of each."""
        if data is False:
            return list(self)
        own = ((edge, self._attributes.get(edge, {})) for edge in self)
        return [(*edge, found if data is True else found.get(data)) for edge, found in own]


class DirectedGraph:
    """Nodes with attributes and edges between them; nothing in it can be changed.

    Parameters
    ----------
    nodes
        Attributes by node, in the order in which nodes are given back; or a function that gives them when they are
        first asked for.
    edges
        Pairs of nodes, or a function that gives them.
    counts
        Numbers of nodes and of distinct edges, if they are known without asking for them.
    edge_attributes
        Attributes of edges that have any.

    Examples
    --------
    >>> graph = DirectedGraph({"a": {}, "b": {"colour": "red"}}, [("a", "b")])
    >>> graph.number_of_edges(), list(graph.successors("a")), graph.nodes["b"]["colour"]
    (1, ['b'], 'red')
    """

    def __init__(
        self,
        nodes: Mapping[Any, Mapping[str, Any]] | Callable[[], Mapping[Any, Mapping[str, Any]]],
        edges: Iterable[tuple[Any, Any]] | Callable[[], Iterable[tuple[Any, Any]]],
        counts: tuple[int, int] | None = None,
        edge_attributes: Mapping[tuple[Any, Any], Mapping[str, Any]] | None = None,
    ) -> None:
        self._make_nodes = nodes
        self._make_edges = edges
        self._counts = counts
        self._edge_attributes = {} if edge_attributes is None else edge_attributes

    @cached_property
    def _nodes(self) -> dict[Any, Mapping[str, Any]]:
        return dict(self._make_nodes() if callable(self._make_nodes) else self._make_nodes)

    @cached_property
    def _after(self) -> dict[Any, dict[Any, None]]:
        after: dict[Any, dict[Any, None]] = {}
        for first, second in self._make_edges() if callable(self._make_edges) else self._make_edges:
            after.setdefault(first, {})[second] = None
        return after

    @cached_property
    def _before(self) -> dict[Any, dict[Any, None]]:
        before: dict[Any, dict[Any, None]] = {}
        for first, following in self._after.items():
            for second in following:
                before.setdefault(second, {})[first] = None
        return before

    @property
    def nodes(self) -> _Nodes:
        """Attributes by node; iterates over the nodes. `nodes(data=True)` lists both."""
        return _Nodes(self._nodes)

    @property
    def edges(self) -> _Edges:
        """All edges. `edges(data=True)` lists them with their attributes."""
        pairs = ((first, second) for first, following in self._after.items() for second in following)
        return _Edges(pairs, self._edge_attributes)

    def number_of_nodes(self) -> int:
        """Count the nodes."""
        return self._counts[0] if self._counts else len(self._nodes)

    def number_of_edges(self) -> int:
        """Count the edges."""
        return self._counts[1] if self._counts else sum(map(len, self._after.values()))

    def successors(self, node: Hashable) -> Iterator[Any]:
        """Nodes that an edge from this one leads to."""
        self._check(node)
        return iter(self._after.get(node, ()))

    def predecessors(self, node: Hashable) -> Iterator[Any]:
        """Nodes from which an edge leads to this one."""
        self._check(node)
        return iter(self._before.get(node, ()))

    def in_degree(self, node: Hashable) -> int:
        """Count the predecessors."""
        return len(self._before.get(node, ()))

    def out_degree(self, node: Hashable) -> int:
        """Count the successors."""
        return len(self._after.get(node, ()))

    def has_edge(self, first: Hashable, second: Hashable) -> bool:
        """Whether there is an edge from the first node to the second."""
        return second in self._after.get(first, ())

    def is_directed(self) -> bool:
        """Whether edges have a direction: yes."""
        return True

    def _check(self, node: Hashable) -> None:
        if node not in self._nodes:
            raise KeyError(f"the graph has no node `{node}`")

    def __contains__(self, node: object) -> bool:
        return node in self._nodes

    def __iter__(self) -> Iterator[Any]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return self.number_of_nodes()

    def __getitem__(self, node: Hashable) -> Mapping[Any, None]:
        self._check(node)
        return MappingProxyType(self._after.get(node, {}))

    def to_networkx(self) -> Any:
        """Return a `networkx.DiGraph`; that package must be installed."""
        import networkx  # type: ignore[import-untyped, unused-ignore]

        graph = networkx.DiGraph()
        graph.add_nodes_from((node, dict(attributes)) for node, attributes in self._nodes.items())
        graph.add_edges_from((first, second, dict(found)) for first, second, found in self.edges(data=True))
        return graph

    def __repr__(self) -> str:
        return f"DirectedGraph({len(self)} nodes, {self.number_of_edges()} edges)"
