"""The drawing of a graph as lines of text: a line for each node, and rails on which data run down."""

from __future__ import annotations

from collections.abc import Collection

from armillary.pipeline.drawn_graph import DrawnGraph

__all__ = ["rail_order", "rail_rows"]

# What a rail looks like by the sides to which it goes on.
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_CHARACTERS = {
    0: " ",
    _UP | _DOWN: "│",
    _LEFT | _RIGHT: "─",
    _UP | _RIGHT: "╰",
    _UP | _LEFT: "╯",
    _UP | _LEFT | _RIGHT: "┴",
    _UP | _DOWN | _RIGHT: "├",
    _UP | _DOWN | _LEFT: "┤",
    _UP | _DOWN | _LEFT | _RIGHT: "┼",
}
_ALIGNED = 24  # width of rails up to which all labels start in one column


def rail_order(graph: DrawnGraph) -> list[int]:
    """Order the nodes such that few rails run side by side: inputs come just before their first reader.

    Of the nodes that may come next, one that takes data from open rails is preferred, and of these the one that leaves
    the fewest open. Nodes without any edge come last.
    """
    before = graph.predecessors()
    after: list[list[int]] = [[] for _ in graph.nodes]
    for edge in graph.edges:
        after[edge.first].append(edge.second)
    waiting = [sum(1 for source in sources if before[source]) for sources in before]
    unread = [len(readers) for readers in after]
    done = [False] * len(before)
    ready = {node for node, sources in enumerate(before) if not waiting[node] and (sources or not after[node])}
    order: list[int] = []

    def cost(node: int) -> tuple[bool, bool, int, int]:
        sources = before[node]
        opened = sum(1 for source in sources if not done[source] and unread[source] > 1) + bool(after[node])
        closed = sum(1 for source in sources if done[source] and unread[source] == 1)
        is_isolated = not sources and not after[node]
        return not any(done[source] for source in sources), is_isolated, opened - closed, node

    while ready:
        node = min(ready, key=cost)
        ready.remove(node)
        for source in before[node]:
            if not done[source]:  # an input of the whole graph
                done[source] = True
                order.append(source)
            unread[source] -= 1
        done[node] = True
        order.append(node)
        for reader in after[node]:
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.add(reader)
    return order


def rail_rows(graph: DrawnGraph, symbols: list[str], labels: list[str]) -> list[str]:
    """Draw a graph.

    A rail starts at each node whose data are read and ends at its last reader. A level line leads to a reader from the
    rails it meets in `├`, `┼` or `┤`, which go on, and in `╰`, `┴` or `╯`, which end; it runs behind others, `│`.

    Parameters
    ----------
    graph
        The graph.
    symbols, labels
        For each node, the character that stands on its rail and the text after it. That of a dataset type without
        readers has to tell that the rail ends; below tasks without readers a place is left free.
    """
    before = graph.predecessors()
    readers = [0] * len(graph.nodes)
    for edge in graph.edges:
        readers[edge.first] += 1
    rails: list[int | None] = []
    rows: list[tuple[str, str]] = []
    alone: int | None = None  # where the node above is a task without readers
    for node in rail_order(graph):
        joined = {rails.index(source): source for source in before[node]}
        for source in before[node]:
            readers[source] -= 1
        ending = {column for column, source in joined.items() if readers[source] == 0}
        free = [column for column, holder in enumerate(rails) if holder is None]
        own = min(ending, default=min(free, default=len(rails)))
        if own == len(rails):
            rails.append(None)
        if own == alone:
            rows.append((" ".join(" " if holder is None else "│" for holder in rails).rstrip(), ""))
        rows.append((_row(rails, joined.keys(), ending, own, symbols[node]), labels[node]))
        for column in ending:
            rails[column] = None
        rails[own] = node if readers[node] else None
        alone = None if readers[node] or graph.nodes[node].kind == "dataset_type" else own
        while rails and rails[-1] is None:
            rails.pop()
    width = max((len(line) for line, _ in rows), default=0)
    width = width if width <= _ALIGNED else 0
    return [f"{line:<{width}}  {label}".rstrip() for line, label in rows]


def _row(rails: list[int | None], joined: Collection[int], ending: Collection[int], own: int, symbol: str) -> str:
    first, last = min(*joined, own, own), max(*joined, own, own)
    cells = []
    for column, holder in enumerate(rails):
        level = (_LEFT if column > first else 0) | (_RIGHT if column < last else 0)
        sides = 0 if holder is None else _UP if column in ending else _UP | _DOWN
        if column in joined:
            sides |= level
        elif holder is None and first <= column <= last:
            sides = level
        cells.append(symbol if column == own else _CHARACTERS[sides])
        cells.append("─" if first <= column < last else " ")
    return "".join(cells).rstrip()
