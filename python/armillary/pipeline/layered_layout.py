"""Places for the boxes and lines of a drawing: columns (or rows) in order, few crossings, no box on another.

The code speaks of columns from left to right; a drawing that runs down is the same with its axes exchanged. The way is
that of Sugiyama, Tagawa and Toda (1981): columns by the longest path, order within columns by the mean place of
neighbours, heights by least squares. Lines from one box share a trunk for as long as they run together.
"""

from __future__ import annotations

import dataclasses
import itertools
from bisect import bisect_right, insort
from collections.abc import Callable, Sequence

__all__ = ["Layout", "Place", "layered_layout"]

_GAP = 14.0  # between boxes of a column
_LINE_GAP = 9.0  # between lines of a column, or a line and a box
_COLUMN_GAP = (46.0, 150.0)  # between columns: at least and at most
_ROW_GAP = (40.0, 90.0)  # the same if columns are rows
_PART_GAP = 40.0  # between parts of the graph that no line joins
_ASPECT = 1.5  # width of a screen by its height
_SWEEPS = 24


@dataclasses.dataclass(frozen=True)
class Place:
    """Upper left corner and size of a box."""

    x: float
    y: float
    width: float
    height: float


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where everything is.

    Attributes
    ----------
    places
        One for each box.
    routes
        One for each edge: points, an even number; lines between the first and second of each pair are straight, those
        between pairs are to be drawn as curves.
    width, height
        Size of the whole.
    is_downwards
        Whether edges run down, not to the right.
    """

    places: list[Place]
    routes: list[list[tuple[float, float]]]
    width: float
    height: float
    is_downwards: bool = False

    @property
    def screens(self) -> float:
        """How large a screen has to be that shows all: its height in pixels."""
        return max(self.width / _ASPECT, self.height)


def layered_layout(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> Layout:
    """Place boxes of given sizes (width, height) such that all edges go down, or all to the right: as fits a screen.

    Parameters
    ----------
    sizes
        Of the boxes.
    edges
        Pairs of indices of boxes, the first smaller than the second.

    Examples
    --------
    >>> layout = layered_layout([(50, 20), (50, 20)], [(0, 1)])
    >>> layout.is_downwards, layout.places[0].y < layout.places[1].y
    (True, True)
    """
    parts = _parts(len(sizes), edges)
    return min((_arranged(sizes, edges, parts, down) for down in (True, False)), key=lambda layout: layout.screens)


def _arranged(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    parts: Sequence[tuple[list[int], list[int]]],
    is_downwards: bool,
) -> Layout:
    layouts = []
    for members, chosen in parts:
        local = {member: position for position, member in enumerate(members)}
        own_edges = [(local[edges[edge][0]], local[edges[edge][1]]) for edge in chosen]
        layouts.append(_Part([sizes[member] for member in members], own_edges, is_downwards).layout())
    places: dict[int, Place] = {}
    routes: dict[int, list[tuple[float, float]]] = {}
    width, height, corners = _shelves([(layout.width, layout.height) for layout in layouts])
    for (members, chosen), layout, (left, top) in zip(parts, layouts, corners, strict=True):
        for member, place in zip(members, layout.places, strict=True):
            places[member] = dataclasses.replace(place, x=place.x + left, y=place.y + top)
        for edge, route in zip(chosen, layout.routes, strict=True):
            routes[edge] = [(x + left, y + top) for x, y in route]
    ordered = [places[box] for box in range(len(sizes))]
    return Layout(ordered, [routes[edge] for edge in range(len(edges))], width, height, is_downwards)


def _shelves(sizes: Sequence[tuple[float, float]]) -> tuple[float, float, list[tuple[float, float]]]:
    """Put parts next to each other, then below: width and height of all, and the upper left corner of each."""
    area = sum((width + _PART_GAP) * (height + _PART_GAP) for width, height in sizes)
    widest = max([(area * _ASPECT) ** 0.5, *(width for width, _ in sizes)])
    corners = []
    x = y = shelf = right = 0.0
    for width, height in sizes:
        if x and x + width > widest:
            x, y, shelf = 0.0, y + shelf + _PART_GAP, 0.0
        corners.append((x, y))
        right = max(right, x + width)
        x += width + _PART_GAP
        shelf = max(shelf, height)
    return right, y + shelf, corners


def _parts(count: int, edges: Sequence[tuple[int, int]]) -> list[tuple[list[int], list[int]]]:
    """Boxes and edges of each connected part, the largest first."""
    root = list(range(count))

    def find(node: int) -> int:
        while root[node] != node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    for first, second in edges:
        a, b = find(first), find(second)
        root[max(a, b)] = min(a, b)
    parts: dict[int, tuple[list[int], list[int]]] = {}
    for node in range(count):
        parts.setdefault(find(node), ([], []))[0].append(node)
    for position, (first, _) in enumerate(edges):
        parts[find(first)][1].append(position)
    return sorted(parts.values(), key=lambda part: -len(part[0]))


class _Part:
    """One connected part. Nodes are the boxes, then the places where a trunk passes through a column."""

    def __init__(
        self, sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], is_downwards: bool
    ) -> None:
        self.is_downwards = is_downwards
        self.sizes = [(height, width) for width, height in sizes] if is_downwards else sizes
        self.edges = edges
        self.boxes = len(sizes)
        self.column = _columns(self.boxes, edges)
        self.height_of = [size[1] for size in self.sizes]
        self.before: list[list[int]] = [[] for _ in sizes]
        self.after: list[list[int]] = [[] for _ in sizes]
        self.trunk: list[list[int]] = [[] for _ in sizes]  # of each box, column by column from the next one on
        self._add_trunks()
        self.layers: list[list[int]] = [[] for _ in range(max(self.column) + 1)]
        for node in range(len(self.column)):
            self.layers[self.column[node]].append(node)
        self.y = [0.0] * len(self.column)

    def _add_trunks(self) -> None:
        reach = list(self.column)
        for first, second in self.edges:
            reach[first] = max(reach[first], self.column[second] - 1)
        for box in range(self.boxes):
            last = box
            for column in range(self.column[box] + 1, reach[box] + 1):
                node = len(self.column)
                self.column.append(column)
                self.height_of.append(0.0)
                self.before.append([])
                self.after.append([])
                self.trunk[box].append(node)
                self._join(last, node)
                last = node
        for first, second in self.edges:
            self._join(self._last_before(first, second), second)

    def _join(self, first: int, second: int) -> None:
        self.after[first].append(second)
        self.before[second].append(first)

    def _last_before(self, first: int, second: int) -> int:
        steps = self.column[second] - self.column[first] - 1
        return first if steps == 0 else self.trunk[first][steps - 1]

    def layout(self) -> Layout:
        """Find the order within columns, and the places."""
        self._start_order()
        _Ordering(self.layers, self.before, self.after).improve(_SWEEPS)
        self._set_heights()
        self._set_columns()
        places, routes = self._places(), self._routes()
        if not self.is_downwards:
            return Layout(places, routes, self.width, self.height)
        places = [Place(place.y, place.x, place.height, place.width) for place in places]
        return Layout(places, [[(y, x) for x, y in route] for route in routes], self.height, self.width, True)

    def _start_order(self) -> None:
        """Order columns by a walk that keeps together what belongs together."""
        seen: set[int] = set()
        order: list[int] = []
        for start in range(self.boxes):
            if self.before[start] or start in seen:
                continue
            stack = [start]
            while stack:
                node = stack.pop()
                if node in seen:
                    continue
                seen.add(node)
                order.append(node)
                stack.extend(reversed(self.after[node]))
        rank = {node: position for position, node in enumerate(order)}
        for layer in self.layers:
            layer.sort(key=rank.__getitem__)

    def _distance(self, upper: int, lower: int) -> float:
        gap = _GAP if upper < self.boxes and lower < self.boxes else _LINE_GAP
        return (self.height_of[upper] + self.height_of[lower]) / 2 + gap

    def _weight(self, first: int, second: int) -> float:
        """How straight a line shall be: trunks most of all."""
        return 1.0 + 3.0 * ((first >= self.boxes) + (second >= self.boxes))

    def _set_heights(self) -> None:
        for layer in self.layers:
            position = 0.0
            for upper, lower in itertools.pairwise(layer):
                self.y[upper] = position
                position += self._distance(upper, lower)
            if layer:
                self.y[layer[-1]] = position
        both = [self.before[node] + self.after[node] for node in range(len(self.column))]
        rounds = [(self.before, False), (self.after, True)] * 4 + [(both, False), (both, True)] * 16
        for neighbours, backward in rounds:
            for layer in reversed(self.layers) if backward else self.layers:
                self._settle(layer, neighbours)
        top = min(self.y[node] - self.height_of[node] / 2 for node in range(len(self.column)))
        self.y = [y - top for y in self.y]
        self.height = max(self.y[node] + self.height_of[node] / 2 for node in range(len(self.column)))

    def _settle(self, layer: list[int], neighbours: list[list[int]]) -> None:
        """Move the nodes of a column to where the squares of their distances to neighbours are least."""
        offsets = [0.0]
        for upper, lower in itertools.pairwise(layer):
            offsets.append(offsets[-1] + self._distance(upper, lower))
        wanted, weights = [], []
        for node, offset in zip(layer, offsets, strict=True):
            total = sum(self._weight(node, other) for other in neighbours[node])
            mean = self.y[node]
            if total:
                mean = sum(self._weight(node, other) * self.y[other] for other in neighbours[node]) / total
            wanted.append(mean - offset)
            weights.append(total or 0.01)
        for node, offset, value in zip(layer, offsets, _rising(wanted, weights), strict=True):
            self.y[node] = value + offset

    def _set_columns(self) -> None:
        self.left: list[float] = []
        self.right: list[float] = []
        x = 0.0
        for layer in self.layers:
            width = max((self.sizes[node][0] for node in layer if node < self.boxes), default=0.0)
            self.left.append(x)
            self.right.append(x + width)
            rises = [abs(self.y[node] - self.y[other]) for node in layer for other in self.after[node]]
            steepest = max(rises, default=0.0)
            least, most = _ROW_GAP if self.is_downwards else _COLUMN_GAP
            x += width + min(max(least, steepest * 0.25), most)
        self.width = self.right[-1]

    def _places(self) -> list[Place]:
        return [
            Place(self.left[self.column[box]], self.y[box] - size[1] / 2, size[0], size[1])
            for box, size in enumerate(self.sizes)
        ]

    def _routes(self) -> list[list[tuple[float, float]]]:
        ports = self._ports()
        routes = []
        for first, second in self.edges:
            column = self.column[first]
            y = self.y[first]
            route = [(self.left[column] + self.sizes[first][0], y), (self.right[column], y)]
            for node in self.trunk[first][: self.column[second] - column - 1]:
                passed = self.column[node]
                route += [(self.left[passed], self.y[node]), (self.right[passed], self.y[node])]
            end = self.left[self.column[second]]
            port = ports[first, second]
            routes.append([*route, (end, port), (end, port)])
        return routes

    def _ports(self) -> dict[tuple[int, int], float]:
        """Heights at which edges enter boxes: spread over the side, in the order in which they come."""
        entering: dict[int, list[tuple[float, int]]] = {}
        for first, second in self.edges:
            entering.setdefault(second, []).append((self.y[self._last_before(first, second)], first))
        ports = {}
        for box, sources in entering.items():
            room = max(self.height_of[box] - 16.0, 0.0)
            step = min(room / max(len(sources) - 1, 1), 10.0)
            start = self.y[box] - step * (len(sources) - 1) / 2
            for position, (_, first) in enumerate(sorted(sources)):
                ports[first, box] = start + step * position
        return ports


def _columns(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Column of each box: the longest path that leads to it, but near to its readers if nothing else holds it."""
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for first, second in edges:
        before[second].append(first)
        after[first].append(second)
    column = [0] * count
    for node in range(count):
        column[node] = max((column[other] + 1 for other in before[node]), default=0)
    for node in reversed(range(count)):
        if len(after[node]) > len(before[node]):
            column[node] = min(column[other] for other in after[node]) - 1
    return column


def _rising(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The rising sequence nearest to the values, by weighted squares (pool adjacent violators)."""
    means: list[float] = []
    masses: list[float] = []
    counts: list[int] = []
    for value, weight in zip(values, weights, strict=True):
        count = 1
        while means and means[-1] > value:
            mass = masses.pop()
            value = (value * weight + means.pop() * mass) / (weight + mass)
            weight += mass
            count += counts.pop()
        means.append(value)
        masses.append(weight)
        counts.append(count)
    return [mean for mean, count in zip(means, counts, strict=True) for _ in range(count)]


class _Ordering:
    """Order of the nodes in their columns."""

    def __init__(self, layers: list[list[int]], before: list[list[int]], after: list[list[int]]) -> None:
        self.layers = layers
        self.before = before
        self.after = after
        self.rank = [0] * len(before)
        for layer in layers:
            self._number(layer)

    def _number(self, layer: Sequence[int]) -> None:
        for position, node in enumerate(layer):
            self.rank[node] = position

    def improve(self, sweeps: int) -> None:
        """Sort columns by their neighbours, forth and back, and keep the order with the fewest crossings."""
        best, fewest, unchanged = [list(layer) for layer in self.layers], self.crossings(), 0
        for sweep in range(sweeps):
            if fewest == 0 or unchanged == 6:
                break
            self._sweep(backward=sweep % 2 == 1)
            found = self.crossings()
            unchanged += 1
            if found < fewest:
                best, fewest, unchanged = [list(layer) for layer in self.layers], found, 0
        self.layers[:] = best
        for layer in self.layers:
            self._number(layer)
        self._exchange()

    def _sweep(self, backward: bool) -> None:
        neighbours = self.after if backward else self.before
        for layer in reversed(self.layers) if backward else self.layers:
            layer.sort(key=self._mean_rank(neighbours))
            self._number(layer)

    def _mean_rank(self, neighbours: list[list[int]]) -> Callable[[int], float]:
        def mean(node: int) -> float:
            others = neighbours[node]
            return sum(self.rank[other] for other in others) / len(others) if others else float(self.rank[node])

        return mean

    def crossings(self) -> int:
        """Count the pairs of lines that cross."""
        total = 0
        for layer in self.layers:
            ends: list[int] = []
            for node in layer:
                targets = sorted(self.rank[other] for other in self.after[node])
                total += sum(len(ends) - bisect_right(ends, target) for target in targets)
                for target in targets:
                    insort(ends, target)
        return total

    def _exchange(self) -> None:
        """Exchange neighbours of a column for as long as that saves crossings."""
        for _ in range(6):
            changed = False
            for layer in self.layers:
                for position in range(len(layer) - 1):
                    upper, lower = layer[position], layer[position + 1]
                    if self._saved(upper, lower) > 0:
                        layer[position], layer[position + 1] = lower, upper
                        self.rank[upper], self.rank[lower] = position + 1, position
                        changed = True
            if not changed:
                return

    def _saved(self, upper: int, lower: int) -> int:
        saved = 0
        for neighbours in (self.before, self.after):
            for above in neighbours[upper]:
                for below in neighbours[lower]:
                    a, b = self.rank[above], self.rank[below]
                    saved += (a > b) - (a < b)
        return saved
