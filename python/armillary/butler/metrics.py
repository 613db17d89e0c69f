"""Counts and times of what a butler did."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ButlerMetrics"]


@dataclasses.dataclass
class ButlerMetrics:
    """Seconds spent in, and numbers of, gets, puts and ingests."""

    time_in_put: float = 0.0
    time_in_get: float = 0.0
    time_in_ingest: float = 0.0
    n_get: int = 0
    n_put: int = 0
    n_ingest: int = 0

    @contextmanager
    def instrument_get(self) -> Iterator[None]:
        """Count one get and its time."""
        start = time.perf_counter()
        yield
        self.time_in_get += time.perf_counter() - start
        self.n_get += 1

    @contextmanager
    def instrument_put(self) -> Iterator[None]:
        """Count one put and its time."""
        start = time.perf_counter()
        yield
        self.time_in_put += time.perf_counter() - start
        self.n_put += 1

    @contextmanager
    def instrument_ingest(self, n_datasets: int) -> Iterator[None]:
        """Count ingested datasets and their time."""
        start = time.perf_counter()
        yield
        self.time_in_ingest += time.perf_counter() - start
        self.n_ingest += n_datasets

    def reset(self) -> None:
        """Set everything to zero."""
        self.__init__()  # type: ignore[misc]

    def to_dict(self) -> dict[str, float | int]:
        """Give all counters by name."""
        return dataclasses.asdict(self)

    model_dump = to_dict
