"""What quanta took in earlier runs, read from the metadata they left."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from armillary.errors import MissingDatasetTypeError
from armillary.pipeline.provenance.aggregate import resource_usage

if TYPE_CHECKING:
    from armillary.butler import Butler

__all__ = ["TaskCost", "earlier_costs"]

MOST_SAMPLES = 100
"""Quanta of each task whose metadata is read."""


@dataclasses.dataclass(frozen=True)
class TaskCost:
    """What one quantum of a task took, in the median but for memory.

    Attributes
    ----------
    n_samples
        How many quanta were looked at.
    seconds
        Wall time.
    cpu_seconds
        Time of the processor.
    memory
        The most of any quantum, in bytes.
    """

    n_samples: int
    seconds: float
    cpu_seconds: float
    memory: float

    @classmethod
    def of(cls, metadata: Iterable[Any]) -> TaskCost | None:
        """Sum up task metadata, as plain data; None if nothing in it tells of times."""
        usages = [usage for usage in map(resource_usage, metadata) if usage is not None and usage.run_time is not None]
        if not usages:
            return None
        seconds = [sum(part or 0.0 for part in (one.prep_time, one.init_time, one.run_time)) for one in usages]
        cpu = [one.run_time_cpu if one.run_time_cpu is not None else one.run_time or 0.0 for one in usages]
        memory = max(one.memory for one in usages)
        return cls(len(usages), statistics.median(seconds), statistics.median(cpu), memory)


def earlier_costs(
    butler: Butler, metadata_types: dict[str, str], collections: Sequence[str] = ()
) -> dict[str, TaskCost]:
    """Find out what tasks took, from their latest quanta in the collections.

    Parameters
    ----------
    butler
        The repository.
    metadata_types
        Dataset type of the metadata of each task, by label.
    collections
        Where to look, the best first; everywhere by default.

    Returns
    -------
    costs
        By label; tasks that have never run are left out.
    """
    costs = {}
    for label, name in metadata_types.items():
        try:
            refs = butler.query_datasets(
                name, list(collections) or "*", find_first=bool(collections), limit=None, explain=False
            )
        except MissingDatasetTypeError:
            continue
        latest = sorted(refs, key=lambda ref: ref.id, reverse=True)[:MOST_SAMPLES]  # ids begin with the time
        cost = TaskCost.of(read(butler, latest))
        if cost is not None:
            costs[label] = cost
    return costs


def read(butler: Butler, refs: Iterable[Any]) -> Iterable[Any]:
    """Read metadata as plain data; files that are gone are passed over."""
    for ref in refs:
        try:
            yield butler.get(ref).model_dump()
        except (FileNotFoundError, LookupError):
            continue
