"""Users' code that says in which order quanta must run beyond what their inputs and outputs demand."""

from __future__ import annotations

import abc
import uuid
from collections.abc import Mapping
from typing import Any

from armillary.errors import ConfigurationError

__all__ = ["ExecutionGraphFixup", "added_edges", "fixup_named"]


class ExecutionGraphFixup(abc.ABC):
    """Adds edges to the graph of quanta before they run.

    Examples
    --------
    Visits one after the other::

        class OneByOne(ExecutionGraphFixup):
            def fixup_graph(self, xgraph, quanta_by_task):
                ordered = sorted(quanta_by_task["associate"].items(), key=lambda item: item[0]["visit"])
                for (_, before), (_, after) in zip(ordered, ordered[1:]):
                    xgraph.add_edge(before, after)
    """

    @abc.abstractmethod
    def fixup_graph(self, xgraph: Any, quanta_by_task: Mapping[str, Mapping[Any, uuid.UUID]]) -> None:
        """Add edges.

        Parameters
        ----------
        xgraph
            A `networkx.DiGraph` of the ids of quanta, with the attributes `task_label` and `data_id`. Edges may be
            added; nothing else may be changed.
        quanta_by_task
            Ids of all quanta by label and data ID.
        """


def added_edges(graph: Any, fixup: ExecutionGraphFixup) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Return the edges that a fixup adds to a quantum graph.

    Raises
    ------
    ConfigurationError
        networkx is not installed.
    ValueError
        Quanta or edges were removed, or quanta added.
    """
    try:
        xgraph = graph.quantum_only_xgraph.to_networkx()
    except ImportError as error:
        raise ConfigurationError("a fixup gets its graph from networkx: `pip install networkx`") from error
    nodes, edges = set(xgraph.nodes), set(xgraph.edges)
    fixup.fixup_graph(xgraph, graph.quanta_by_task)
    now = set(xgraph.edges)
    if set(xgraph.nodes) != nodes or edges - now:
        raise ValueError(f"`{type(fixup).__name__}` may add edges, and nothing else, to the graph of quanta")
    return sorted(now - edges)


def fixup_named(name: str) -> ExecutionGraphFixup:
    """Make the fixup that a user names: its class, or a function that makes it.

    Raises
    ------
    ImportError
        There is nothing of that name.
    TypeError
        It makes something else.
    """
    from armillary.pipeline.importing import import_class

    made = import_class(name)()
    if not hasattr(made, "fixup_graph"):
        raise TypeError(f"`{name}` makes no ExecutionGraphFixup but `{type(made).__name__}`")
    return made  # type: ignore[no-any-return]
