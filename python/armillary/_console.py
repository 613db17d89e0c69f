"""Log messages on standard error."""

from __future__ import annotations

import copy
import logging

__all__ = ["ConsoleFormatter"]


class ConsoleFormatter(logging.Formatter):
    """A line for each message; the traceback of an error only where it shows what the message does not.

    Whoever logs an error that tells all there is to know says so with `extra={"told": True}`; what is stored as a
    dataset has the traceback all the same.

    >>> record = logging.LogRecord("isr", logging.ERROR, "isr.py", 1, "no flat", (), (KeyError, KeyError("flat"), None))
    >>> record.told = True
    >>> ConsoleFormatter().format(record)
    'ERROR isr: no flat'
    """

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Give the text of a record."""
        if getattr(record, "told", False):
            record = copy.copy(record)
            record.exc_info = record.exc_text = None
        return super().format(record)
