"""Which quantum may run next."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

__all__ = ["Scheduler"]


class Scheduler:
    """Gives out quanta whose upstream quanta have succeeded, in the order of their indices.

    Parameters
    ----------
    size
        How many quanta there are; each is known by its index.
    edges
        Pairs of indices: the first must succeed before the second may run.

    Examples
    --------
    >>> scheduler = Scheduler(3, [(0, 2), (1, 2)])
    >>> scheduler.take(2)
    [0, 1]
    >>> scheduler.finish(0)
    >>> scheduler.fail(1)
    [2]
    >>> scheduler.is_done
    True
    """

    def __init__(self, size: int, edges: Sequence[tuple[int, int]]) -> None:
        self._missing = [0] * size
        self._after: list[list[int]] = [[] for _ in range(size)]
        for first, second in edges:
            self._missing[second] += 1
            self._after[first].append(second)
        self._ready = [index for index, missing in enumerate(self._missing) if not missing]
        self._left = size
        self._running = 0
        self._blocked: set[int] = set()

    @property
    def is_done(self) -> bool:
        """Whether every quantum has ended or cannot run."""
        return self._left == 0

    @property
    def n_ready(self) -> int:
        """How many quanta may run now."""
        return len(self._ready)

    @property
    def n_running(self) -> int:
        """How many quanta were given out and have not ended."""
        return self._running

    def take(self, number: int) -> list[int]:
        """Give out up to `number` quanta."""
        taken = [heapq.heappop(self._ready) for _ in range(min(number, len(self._ready)))]
        self._running += len(taken)
        return taken

    def finish(self, index: int) -> None:
        """Note a success: what waited only for this may run."""
        self._running -= 1
        self._left -= 1
        for later in self._after[index]:
            self._missing[later] -= 1
            if not self._missing[later] and later not in self._blocked:
                heapq.heappush(self._ready, later)

    def fail(self, index: int) -> list[int]:
        """Note a failure; return what cannot run because of it, in order, each only once over all calls."""
        self._running -= 1
        self._left -= 1
        found: list[int] = []
        stack = [index]
        while stack:
            for later in self._after[stack.pop()]:
                if later not in self._blocked:
                    self._blocked.add(later)
                    found.append(later)
                    stack.append(later)
        self._left -= len(found)
        return sorted(found)
