"""How many quanta of each task a graph could have had, and where they went."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

__all__ = ["TaskFunnel"]


@dataclasses.dataclass(frozen=True)
class TaskFunnel:
    """What became of the quanta of one task while a graph was built.

    Attributes
    ----------
    label
        The task.
    initial
        Quanta that the query of data IDs gave.
    skipped
        Of these, those that had succeeded before.
    reused
        Those for which outputs of earlier runs stand.
    no_work
        Those with too few inputs, or that their task had nothing to do for.
    adjusted_away
        Those that `adjust_all_quanta` of the task removed.
    unanchored
        Those that led to no quantum that was asked for, or came after such.
    remaining
        Quanta of the graph.
    lacking
        For each connection that quanta had too few datasets of, how many quanta those were.

    Examples
    --------
    >>> funnel = TaskFunnel.of("isr", {"initial": 9, "skipped": 2, "no_work": 1}, [("raw", 1)], 6)
    >>> print(funnel)
    isr: 9 data IDs, 2 had succeeded before, 1 without work -> 6 quanta
      1 of them had too few datasets of `isr.raw`
    """

    label: str
    initial: int = 0
    skipped: int = 0
    reused: int = 0
    no_work: int = 0
    adjusted_away: int = 0
    unanchored: int = 0
    remaining: int = 0
    lacking: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(
        cls, label: str, counts: Mapping[str, int], lacking: Iterable[tuple[str, int]], remaining: int
    ) -> TaskFunnel:
        """Make one from the counts of the compiled builder and what the graph has in the end."""
        kept = {key: counts.get(key, 0) for key in ("initial", "skipped", "reused", "no_work", "adjusted_away")}
        gone = sum(kept.values()) - kept["initial"]
        return cls(
            label,
            **kept,
            unanchored=kept["initial"] - gone - remaining,
            remaining=remaining,
            lacking=dict(lacking),
        )

    def __str__(self) -> str:
        steps = [
            f"{count} {text}"
            for count, text in (
                (self.skipped, "had succeeded before"),
                (self.reused, "taken from earlier runs"),
                (self.no_work, "without work"),
                (self.adjusted_away, "removed by the task"),
                (self.unanchored, "leading nowhere"),
            )
            if count
        ]
        text = ", ".join([f"{self.initial} data IDs", *steps])
        lines = [f"{self.label}: {text} -> {self.remaining} quanta"]
        lines += [
            f"  {count} of them had too few datasets of `{self.label}.{name}`" for name, count in self.lacking.items()
        ]
        return "\n".join(lines)
