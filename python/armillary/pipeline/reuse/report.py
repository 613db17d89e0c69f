"""What is used again from which runs, and why the rest is run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["ReuseReport", "TaskReuse"]


@dataclasses.dataclass
class TaskReuse:
    """What became of the quanta of one task.

    Attributes
    ----------
    label
        The task.
    reused
        How many quanta are taken from each run.
    older
        For a run, another one that has the same, too, and is older.
    reasons
        Why quanta are run, with how many, and the data ID of the first.

    Examples
    --------
    >>> task = TaskReuse("isr", {"u/me/1": 2}, {}, {"input `raw` differs": (1, "{visit: 3}")})
    >>> print(task)
    isr: 2 from `u/me/1`; 1 to run: input `raw` differs (first {visit: 3})
    """

    label: str
    reused: dict[str, int] = dataclasses.field(default_factory=dict)
    older: dict[str, str] = dataclasses.field(default_factory=dict)
    reasons: dict[str, tuple[int, str]] = dataclasses.field(default_factory=dict)

    @property
    def n_reused(self) -> int:
        """Quanta that are not run."""
        return sum(self.reused.values())

    @property
    def n_to_run(self) -> int:
        """Quanta that are."""
        return sum(number for number, _ in self.reasons.values())

    def add_reason(self, reason: str, data_id: object) -> None:
        """Note why a quantum is run."""
        number, first = self.reasons.get(reason, (0, str(data_id)))
        self.reasons[reason] = (number + 1, first)

    def told_runs(self) -> str:
        """Say which runs things are taken from."""
        return ", ".join(
            f"{number} from `{run}`" + (f" (`{self.older[run]}`, older, has the same)" if run in self.older else "")
            for run, number in self.reused.items()
        )

    def __str__(self) -> str:
        parts = [self.told_runs()] if self.reused else []
        for reason, (number, first) in self.reasons.items():
            parts.append(f"{number} to run: {reason}" + (f" (first {first})" if number < self.n_total else ""))
        return f"{self.label}: {'; '.join(parts)}"

    @property
    def n_total(self) -> int:
        """All quanta."""
        return self.n_reused + self.n_to_run

    def to_plain(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "task": self.label,
            "reused": self.reused,
            "older": self.older,
            "to_run": [
                {"reason": reason, "quanta": number, "first": first} for reason, (number, first) in self.reasons.items()
            ],
        }


class ReuseReport:
    """What is used again, task by task.

    Parameters
    ----------
    tasks
        The tasks that have quanta.
    software
        For each run that things are taken from, versions then and now of what has other ones: not compared, but told.

    Examples
    --------
    >>> print(ReuseReport([TaskReuse("isr", {"u/me/1": 2})], {"u/me/1": {"numpy": ("2.1", "2.2")}}))
    all 2 quanta are taken from earlier runs
      isr: 2 from `u/me/1`
      made with other software, which is not compared: `u/me/1` (numpy 2.1 → 2.2)
    """

    def __init__(
        self, tasks: Iterable[TaskReuse], software: Mapping[str, Mapping[str, tuple[str, str]]] | None = None
    ) -> None:
        self.tasks = [task for task in tasks if task.n_total]
        self.software = dict(software or {})

    @property
    def n_reused(self) -> int:
        """Quanta that are not run."""
        return sum(task.n_reused for task in self.tasks)

    def to_plain(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"tasks": [task.to_plain() for task in self.tasks], "software": self.software}

    def _told_software(self) -> list[str]:
        if not self.software:
            return []
        runs = [f"`{run}` ({_few(versions)})" for run, versions in self.software.items()]
        return [f"  made with other software, which is not compared: {', '.join(runs)}"]

    def __str__(self) -> str:
        total = sum(task.n_total for task in self.tasks)
        whole = f"all {total}" if total == self.n_reused > 1 else f"{self.n_reused} of {total}"
        quanta = "quantum is" if total == 1 else "quanta are"
        lines = [f"{whole} {quanta} taken from earlier runs", *(f"  {task}" for task in self.tasks)]
        return "\n".join(lines + self._told_software())


def _few(versions: Mapping[str, tuple[str, str]]) -> str:
    """Name the first few differences.

    >>> _few({name: ("1", "2") for name in "abcde"})
    'a 1 → 2, b 1 → 2, c 1 → 2 and 2 more'
    """
    told = [f"{name} {before.split()[0]} → {after.split()[0]}" for name, (before, after) in versions.items()]
    return ", ".join(told[:3]) + (f" and {len(told) - 3} more" if len(told) > 3 else "")
