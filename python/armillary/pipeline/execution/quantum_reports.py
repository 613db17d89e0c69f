"""What the peer's reports on runs are made of: how a quantum ended, in a few words."""

from __future__ import annotations

import dataclasses
import enum
import uuid
from collections.abc import Mapping
from typing import Any

from armillary.pipeline.status import qualified_name

__all__ = ["ExceptionInfo", "ExecutionStatus", "QuantumReport"]


class ExecutionStatus(enum.Enum):
    """How a quantum, or a run, ended.

    >>> ExecutionStatus("timeout").name
    'TIMEOUT'
    """

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"
    """It did not run, because something upstream failed."""


@dataclasses.dataclass
class ExceptionInfo:
    """An error: its class, with the module, and what it said.

    >>> ExceptionInfo.from_exception(ValueError("no pixels"))
    ExceptionInfo(className='ValueError', message='no pixels')
    """

    className: str
    message: str

    @classmethod
    def from_exception(cls, exception: BaseException) -> ExceptionInfo:
        """Describe an exception."""
        return cls(qualified_name(type(exception)), str(exception))


@dataclasses.dataclass
class QuantumReport:
    """How the running of a quantum ended.

    Attributes
    ----------
    dataId
        Values of its required dimensions.
    taskLabel
        Its task.
    status
        How it ended.
    exitCode
        Exit code of its process, negative for a signal; None where it had no process of its own.
    exceptionInfo
        Why it failed.
    quantumId
        Its identifier.

    Examples
    --------
    >>> report = QuantumReport.from_exit_code(-9, {"detector": 3}, "isr")
    >>> report.status.value, report.exitCode
    ('failure', -9)
    """

    dataId: dict[str, int | str]
    taskLabel: str | None
    status: ExecutionStatus = ExecutionStatus.SUCCESS
    exitCode: int | None = None
    exceptionInfo: ExceptionInfo | None = None
    quantumId: uuid.UUID | None = None

    def __post_init__(self) -> None:
        self.dataId = _values(self.dataId)

    @classmethod
    def from_exception(
        cls,
        exception: BaseException,
        dataId: Any,
        taskLabel: str,
        *,
        exitCode: int | None = None,
        quantumId: uuid.UUID | None = None,
    ) -> QuantumReport:
        """Report a quantum that raised an exception."""
        told = ExceptionInfo.from_exception(exception)
        return cls(dataId, taskLabel, ExecutionStatus.FAILURE, exitCode, told, quantumId)

    @classmethod
    def from_exit_code(
        cls, exitCode: int, dataId: Any, taskLabel: str, quantumId: uuid.UUID | None = None
    ) -> QuantumReport:
        """Report a quantum whose process ended with an exit code."""
        status = ExecutionStatus.FAILURE if exitCode else ExecutionStatus.SUCCESS
        return cls(dataId, taskLabel, status, exitCode, None, quantumId)


def _values(data_id: Any) -> dict[str, int | str]:
    required: Mapping[Any, Any] = getattr(data_id, "required", data_id)
    return {str(name): value for name, value in required.items()}
