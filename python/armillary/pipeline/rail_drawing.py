"""The drawing of a graph as lines of text: a line for each node, and rails on which data run down."""

from __future__ import annotations

from armillary.pipeline.drawn_graph import DrawnGraph

__all__ = ["rail_rows"]

# What a rail looks like by the sides to which it goes on.
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_CHARACTERS = {
    0: " ",
    _UP | _DOWN: "│",
    _LEFT | _RIGHT: "─",
    _UP | _RIGHT: "╰",
    _UP | _LEFT: "╯",
    _DOWN | _RIGHT: "╭",
    _DOWN | _LEFT: "╮",
    _UP | _LEFT | _RIGHT: "┴",
    _DOWN | _LEFT | _RIGHT: "┬",
    _UP | _DOWN | _RIGHT: "├",
    _UP | _DOWN | _LEFT: "┤",
    _UP | _DOWN | _LEFT | _RIGHT: "┼",
}


def rail_rows(graph: DrawnGraph, symbols: list[str], labels: list[str]) -> list[str]:
    """Draw a graph whose nodes are in topological order.

    A rail starts at each node whose data are read and ends at the last reader. A row that joins rails to a node's rail
    stands above it: `├`, `┼` and `┤` are joined, and a level line runs behind the rails `│` that it passes.

    Parameters
    ----------
    graph
        The graph.
    symbols, labels
        For each node, the character that stands on its rail and the text after it.
    """
    before = graph.predecessors()
    readers = [0] * len(graph.nodes)
    for edge in graph.edges:
        readers[edge.first] += 1
    rails: list[int | None] = []
    rows: list[tuple[str, str]] = []
    alone: int | None = None
    for node, symbol in enumerate(symbols):
        joined = [rails.index(source) for source in before[node]]
        ending = []
        for column, source in zip(joined, before[node], strict=True):
            readers[source] -= 1
            if readers[source] == 0:
                ending.append(column)
        free = [column for column, holder in enumerate(rails) if holder is None]
        own = min(ending) if ending else (free[0] if free else len(rails))
        if own == len(rails):
            rails.append(None)
        if joined and joined != [own]:
            rows.append((_joining_row(rails, joined, ending, own), ""))
        elif not joined and own == alone:  # what stands above has no readers
            rows.append((" ".join(" " if holder is None else "│" for holder in rails).rstrip(), ""))
        for column in ending:
            rails[column] = None
        rails[own] = node
        cells = [symbol if column == own else " " if holder is None else "│" for column, holder in enumerate(rails)]
        rows.append((" ".join(cells).rstrip(), labels[node]))
        if readers[node] == 0:
            rails[own] = None
        alone = own if readers[node] == 0 else None
        while rails and rails[-1] is None:
            rails.pop()
    return _aligned(rows)


def _aligned(rows: list[tuple[str, str]]) -> list[str]:
    """Start all labels in one column."""
    width = max((len(rails) for rails, _ in rows), default=0)
    return [f"{rails:<{width}}  {label}".rstrip() for rails, label in rows]


def _joining_row(rails: list[int | None], joined: list[int], ending: list[int], own: int) -> str:
    first, last = min(*joined, own), max(*joined, own)
    cells = []
    for column, holder in enumerate(rails):
        sides = 0 if holder is None else _UP | _DOWN
        if column in ending and column != own:
            sides = _UP
        if column == own:
            sides |= _DOWN
        if column in joined or column == own:
            sides |= (_LEFT if column > first else 0) | (_RIGHT if column < last else 0)
        elif first < column < last and holder is None:
            sides = _LEFT | _RIGHT
        cells.append(_CHARACTERS[sides] + ("─" if first <= column < last else " "))
    return "".join(cells).rstrip()
