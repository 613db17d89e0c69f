"""A progress bar with an estimate of the time left."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from armillary.pipeline.execution.outcome import QuantumOutcome

__all__ = ["ProgressBar"]


class ProgressBar:
    """Shows how many quanta have ended; nothing at all when `shown` is false.

    Parameters
    ----------
    total
        How many quanta there are.
    shown
        Whether to show it; None for whether standard error is a terminal.

    Examples
    --------
    >>> import uuid
    >>> from armillary.pipeline.execution.outcome import QuantumState
    >>> with ProgressBar(1, shown=False) as bar:
    ...     bar.advance(QuantumOutcome(uuid.uuid4(), "isr", QuantumState.FINISHED))
    """

    def __init__(self, total: int, shown: bool | None = None) -> None:
        self._total = total
        self._shown = sys.stderr.isatty() if shown is None else shown
        self._progress: Any = None
        self._task: Any = None
        self._n_failed = 0

    def __enter__(self) -> ProgressBar:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[failed]}"),
                console=Console(stderr=True),
            )
            self._progress.start()
            self._task = self._progress.add_task("quanta", total=self._total, failed="")
        return self

    def advance(self, outcome: QuantumOutcome) -> None:
        """Note that a quantum has ended."""
        self._n_failed += outcome.state.is_failure
        if self._progress is not None:
            failed = f"{self._n_failed} failed" if self._n_failed else ""
            self._progress.update(self._task, advance=1, description=outcome.label, failed=failed)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
