"""How the running of one quantum ended."""

from __future__ import annotations

import dataclasses
import enum
import uuid
from typing import Any

from armillary.pipeline.status import ExceptionInfo, QuantumSuccessCaveats, qualified_name

__all__ = ["QuantumOutcome", "QuantumState", "kinds_of"]


class QuantumState(enum.Enum):
    """What became of a quantum.

    >>> QuantumState.NO_WORK.is_success
    True
    """

    FINISHED = "finished"
    """It ran."""
    NO_WORK = "no work"
    """There was nothing to do."""
    SKIPPED = "skipped"
    """It had been done before."""
    FAILED = "failed"
    """It raised an error."""
    TIMED_OUT = "timed out"
    """It took longer than it may."""
    BLOCKED = "blocked"
    """It did not run because something upstream failed."""
    PENDING = "pending"
    """It was not tried, because the run was stopped."""

    @property
    def is_success(self) -> bool:
        """Whether what is downstream may run."""
        return self in (QuantumState.FINISHED, QuantumState.NO_WORK, QuantumState.SKIPPED)

    @property
    def is_failure(self) -> bool:
        """Whether this makes the run a failure by itself."""
        return self in (QuantumState.FAILED, QuantumState.TIMED_OUT)


@dataclasses.dataclass
class QuantumOutcome:
    """How the running of one quantum ended, and what it wrote.

    Attributes
    ----------
    quantum_id, label
        The quantum and the label of its task.
    state
        What became of it.
    caveats
        What a successful quantum did not do.
    exception
        Why it failed.
    exit_code
        What the program should exit with because of it: 0, 1, or the code of the exception.
    written
        Records of the files that were written, by dataset id.
    metadata
        The metadata of the quantum, when somebody else is to write them.
    removed
        Ids of datasets whose files were removed before.
    seconds
        Wall time.
    attempts
        How often it was tried, this time included.
    kinds
        The class of the error that ended it and its bases, by name; empty when it did not fail.
    error
        The exception itself, where the quantum ran in this process.
    """

    quantum_id: uuid.UUID
    label: str
    state: QuantumState
    caveats: QuantumSuccessCaveats = QuantumSuccessCaveats.NO_CAVEATS
    exception: ExceptionInfo | None = None
    exit_code: int = 0
    written: dict[uuid.UUID, list[Any]] = dataclasses.field(default_factory=dict)
    metadata: Any = dataclasses.field(default=None, compare=False, repr=False)
    removed: list[uuid.UUID] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    attempts: int = 1
    kinds: tuple[str, ...] = ()
    error: BaseException | None = dataclasses.field(default=None, compare=False, repr=False)

    def fail(self, error: BaseException) -> None:
        """Note that it failed after all.

        >>> outcome = QuantumOutcome(uuid.uuid4(), "isr", QuantumState.FINISHED)
        >>> outcome.fail(OSError("no space left on device"))
        >>> outcome.state.value, outcome.exit_code, outcome.exception.message
        ('failed', 1, 'no space left on device')
        """
        self.state, self.exit_code = QuantumState.FAILED, 1
        self.exception, self.kinds = ExceptionInfo.from_exception(error), kinds_of(error)


def kinds_of(error: BaseException) -> tuple[str, ...]:
    """Return the names of the class of an error and of its bases, the class first.

    >>> kinds_of(KeyError("x"))
    ('KeyError', 'LookupError', 'Exception', 'BaseException')
    """
    return tuple(qualified_name(kind) for kind in type(error).__mro__ if kind is not object)
