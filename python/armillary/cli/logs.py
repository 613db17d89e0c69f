"""Options about log messages, which every program has: how much is told, how, and where to."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any

import click

from armillary._console import ConsoleFormatter

__all__ = ["configure_logging", "logging_options"]

LEVELS = {
    "CRITICAL": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARNING": logging.WARNING,
    "INFO": logging.INFO,
    "VERBOSE": 15,  # between INFO and DEBUG, as in `lsst.utils.logging`
    "DEBUG": logging.DEBUG,
    "TRACE": 5,
}


def logging_options(command: Any) -> Any:
    """Options of every program: how much is told, and how."""
    for option in (
        click.option("--traceback", is_flag=True, help="Show where in the code an error came from."),
        click.option(
            "--progress/--no-progress", default=None, help="Show how far long work has come; on terminals by default."
        ),
        click.option(
            "--log-label", "log_labels", multiple=True, metavar="KEY=VALUE", help="Label on all records of log files."
        ),
        click.option(
            "--log-tty/--no-log-tty", default=True, help="Whether log messages go to the terminal (standard error)."
        ),
        click.option(
            "--log-file",
            "log_files",
            multiple=True,
            metavar="FILE",
            help="File that log messages go to; one whose name ends in `.json` gets a JSON record a line.",
        ),
        click.option("--long-log", is_flag=True, help="Log messages with their time, file and line."),
        click.option(
            "--log-level",
            "log_levels",
            multiple=True,
            metavar="[NAME=]LEVEL",
            help="How much to tell: DEBUG, VERBOSE, INFO (default), WARNING or ERROR; for one logger or for all.",
        ),
    ):
        command = option(command)
    return command


class _LongFormatter(logging.Formatter):
    """Level, time with its zone, logger, label, file and line, message."""

    def format(self, record: logging.LogRecord) -> str:
        import datetime

        from armillary.storage.log_records import ButlerMDC

        when = datetime.datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        label = ButlerMDC.labels().get("LABEL", "")
        text = f"{record.levelname} {when} {record.name} ({label})({record.filename}:{record.lineno}) - "
        return text + super().format(record)


class _JsonFormatter(logging.Formatter):
    """A JSON object a line, with what `ButlerLogRecords` keep."""

    def format(self, record: logging.LogRecord) -> str:
        import json

        from armillary.storage.log_records import ButlerLogRecord

        return json.dumps(ButlerLogRecord.from_record(record).to_dict())


def configure_logging(
    log_levels: Iterable[str],
    *,
    long_log: bool = False,
    log_files: Iterable[str] = (),
    log_tty: bool = True,
    log_labels: Iterable[str] = (),
    **_: Any,
) -> None:
    """Send log messages to standard error and to files.

    Raises
    ------
    click.BadParameter
        If a level is unknown or a label is not `KEY=VALUE`.
    """
    handlers: list[logging.Handler] = []
    if log_tty:
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[0].setFormatter(_LongFormatter() if long_log else ConsoleFormatter())
    for name in log_files:
        handlers.append(logging.FileHandler(name, encoding="utf-8"))
        handlers[-1].setFormatter(_JsonFormatter() if name.endswith(".json") else _LongFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=handlers or [logging.NullHandler()])
    for name, level in _levels(log_levels).items():
        logging.getLogger(name).setLevel(level)
    for item in log_labels:
        key, equals, value = item.partition("=")
        if not equals:
            raise click.BadParameter(f"`{item}` is not KEY=VALUE", param_hint="--log-label")
        from armillary.storage.log_records import ButlerMDC

        ButlerMDC.MDC(key, value)


def _levels(log_levels: Iterable[str]) -> dict[str, int]:
    """The level of each logger that has one; an empty name or `.` stands for the root, none for all that we know."""
    levels = {"armillary": logging.INFO, "lsst": logging.INFO}
    for item in (part for given in log_levels for part in given.split(",")):
        name, equals, level = item.rpartition("=")
        if level.upper() not in LEVELS:
            raise click.BadParameter(
                f"`{level}` is not a log level; known are {', '.join(LEVELS)}", param_hint="--log-level"
            )
        if equals:
            levels["" if name == "." else name] = LEVELS[level.upper()]
        else:
            levels |= dict.fromkeys(("armillary", "lsst"), LEVELS[level.upper()])
    return levels
