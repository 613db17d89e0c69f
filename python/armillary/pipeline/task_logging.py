"""The logger a task holds: the standard one with two more levels."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

__all__ = ["TRACE", "VERBOSE", "TaskLogAdapter", "get_task_logger"]

TRACE = 5
"""Below DEBUG."""
VERBOSE = (logging.DEBUG + logging.INFO) // 2
"""Between DEBUG and INFO."""

logging.addLevelName(TRACE, "TRACE")
logging.addLevelName(VERBOSE, "VERBOSE")


class TaskLogAdapter(logging.LoggerAdapter[logging.Logger]):
    """A logger with `verbose`, `trace` and `fatal`, and with the level names at hand.

    Examples
    --------
    >>> from armillary.pipeline.task_logging import get_task_logger
    >>> log = get_task_logger("survey.isr")
    >>> log.getChild("overscan").name
    'survey.isr.overscan'
    >>> log.VERBOSE
    15

    """

    CRITICAL = logging.CRITICAL
    ERROR = logging.ERROR
    WARNING = logging.WARNING
    INFO = logging.INFO
    VERBOSE = VERBOSE
    DEBUG = logging.DEBUG
    TRACE = TRACE

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Pass the message on as it is."""
        return msg, kwargs

    def getChild(self, name: str) -> TaskLogAdapter:
        """Return the logger named `<this one>.<name>`."""
        return TaskLogAdapter(self.logger.getChild(name), None)

    def verbose(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log at the level between DEBUG and INFO."""
        self.log(VERBOSE, msg, *args, **_from_caller(kwargs))

    def trace(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log at the level below DEBUG."""
        self.log(TRACE, msg, *args, **_from_caller(kwargs))

    def fatal(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log at CRITICAL."""
        self.log(logging.CRITICAL, msg, *args, **_from_caller(kwargs))


def _from_caller(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Make the record name the line that called this method's caller, not the method."""
    return {**kwargs, "stacklevel": kwargs.get("stacklevel", 1) + 1}


def get_task_logger(name: str | None = None) -> TaskLogAdapter:
    """Return the logger of that name with the additional levels.

    >>> get_task_logger("survey").name
    'survey'
    """
    return TaskLogAdapter(logging.getLogger(name), None)
