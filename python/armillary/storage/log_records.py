"""Log records as a dataset."""

from __future__ import annotations

import datetime
import json
import logging
import traceback
from collections.abc import Iterable, Iterator, Mapping, MutableSequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, Any, Self, overload

__all__ = ["ButlerLogRecord", "ButlerLogRecordHandler", "ButlerLogRecords", "ButlerMDC"]

_FORMAT = "{levelname} {asctime} {name} {filename}:{lineno} - {message}"
_REQUIRED = ("name", "asctime", "message", "levelno", "levelname", "filename", "pathname", "lineno", "process")
_FIELDS = (*_REQUIRED[:8], "funcName", "process", "processName", "exc_info", "MDC")


class ButlerLogRecord:
    """One log record. `asctime` is a `datetime` with time zone, `MDC` a mapping of labels."""

    __slots__ = _FIELDS
    name: str
    asctime: datetime.datetime
    message: str
    levelno: int
    levelname: str
    filename: str
    pathname: str
    lineno: int
    funcName: str | None
    process: int
    processName: str
    exc_info: str | None
    MDC: dict[str, str]

    def __init__(self, **fields: Any) -> None:
        missing = [name for name in _REQUIRED if name not in fields]
        unknown = sorted(fields.keys() - set(_FIELDS))
        if missing or unknown:
            raise ValueError(f"a log record lacks {missing} and does not have {unknown}")
        when = fields["asctime"]
        if isinstance(when, str):
            fields["asctime"] = datetime.datetime.fromisoformat(when)
        fields.setdefault("funcName", None)
        fields.setdefault("processName", "MainProcess")
        fields.setdefault("exc_info", None)
        fields.setdefault("MDC", {})
        for name in _FIELDS:
            setattr(self, name, fields[name])

    @classmethod
    def from_record(cls, record: logging.LogRecord) -> Self:
        """Take what is kept from a record of the `logging` module."""
        labels = getattr(record, "MDC", None) or ButlerMDC.labels()
        exception = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else None
        return cls(
            name=record.name,
            asctime=datetime.datetime.fromtimestamp(record.created, tz=datetime.UTC),
            message=record.getMessage(),
            levelno=record.levelno,
            levelname=record.levelname,
            filename=record.filename,
            pathname=record.pathname,
            lineno=record.lineno,
            funcName=record.funcName,
            process=record.process or 0,
            processName=record.processName or "",
            exc_info=exception,
            MDC={str(key): str(value) for key, value in dict(labels).items()},
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values in the order of the stored form; `exc_info` only if there was an exception."""
        values = {name: getattr(self, name) for name in _FIELDS}
        values["asctime"] = self.asctime.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
        if values["exc_info"] is None:
            del values["exc_info"]
        return values

    def format(self, log_format: str | None = None) -> str:
        """Format by a `{`-style format of the field names."""
        values = {name: getattr(self, name) for name in _FIELDS}
        values["asctime"] = self.asctime.isoformat()
        text = (log_format or _FORMAT).format(**values)
        return text if self.exc_info is None else f"{text}\n{self.exc_info}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ButlerLogRecord) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.format()

    def __repr__(self) -> str:
        return f"<{self.format()}>"


class ButlerLogRecords(MutableSequence[ButlerLogRecord]):
    """A list of log records, stored as one JSON object.

    `extra` holds what else the object says about the run (`exception`, `metadata`, ...).

    >>> records = ButlerLogRecords.from_records([])
    >>> records.to_json_data()
    '{"extended":true,"version":2,"records":[]}'
    """

    def __init__(self, records: Iterable[ButlerLogRecord] = (), extra: dict[str, Any] | None = None) -> None:
        self._records = list(records)
        self.extra: dict[str, Any] = dict(extra or {})
        self._format: str | None = None

    @classmethod
    def from_records(cls, records: Iterable[ButlerLogRecord], extra: dict[str, Any] | None = None) -> Self:
        """Make a list of records."""
        return cls(records, extra)

    @classmethod
    def from_file(cls, filename: str) -> Self:
        """Read a file."""
        with open(filename, "rb") as stream:
            return cls.from_stream(stream)

    @classmethod
    def from_stream(cls, stream: IO[Any]) -> Self:
        """Read an open file."""
        return cls.from_raw(stream.read())

    @classmethod
    def from_raw(cls, serialized: str | bytes) -> Self:
        """Read the stored form, the older list of records, or one record per line. Raises `ValueError` for others."""
        text = serialized.decode() if isinstance(serialized, bytes) else serialized
        start = text.lstrip()[:1]
        if not start:
            return cls()
        if start not in "{[":
            raise ValueError(f"`{text[:20]}` does not begin a JSON form of log records")
        try:
            content: Any = json.loads(text)
        except json.JSONDecodeError:
            content = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        if isinstance(content, dict) and "records" in content:
            extra = {key: value for key, value in content.items() if key not in ("extended", "version", "records")}
            return cls((ButlerLogRecord(**one) for one in content["records"]), extra)
        return cls(ButlerLogRecord(**one) for one in (content if isinstance(content, list) else [content]))

    def to_json_data(self) -> str:
        """The stored form: one line of JSON."""
        content = {
            "extended": True,
            "version": 2,
            "records": [record.to_dict() for record in self._records],
            **self.extra,
        }
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False)

    @property
    def log_format(self) -> str:
        """The format of `str`."""
        return self._format or _FORMAT

    def set_log_format(self, format: str | None) -> str | None:
        """Change the format of `str`; returns the one before."""
        before, self._format = self._format, format
        return before

    def _check(self, value: Any) -> ButlerLogRecord:
        if isinstance(value, logging.LogRecord):
            return ButlerLogRecord.from_record(value)
        if not isinstance(value, ButlerLogRecord):
            raise ValueError(f"a `{type(value).__name__}` is not a log record")
        return value

    @overload
    def __getitem__(self, index: int) -> ButlerLogRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> ButlerLogRecord | Self:
        return type(self)(self._records[index], self.extra) if isinstance(index, slice) else self._records[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._records[index] = [self._check(one) for one in value] if isinstance(index, slice) else self._check(value)

    def __delitem__(self, index: Any) -> None:
        del self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[ButlerLogRecord]:
        return iter(self._records)

    def insert(self, index: int, value: Any) -> None:
        """Put a record, or a record of the `logging` module, before a position."""
        self._records.insert(index, self._check(value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ButlerLogRecords) and self._records == other._records

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return "\n".join(record.format(self._format) for record in self._records)

    def __repr__(self) -> str:
        return f"<{len(self._records)} log records>"


_labels: ContextVar[Mapping[str, str]] = ContextVar("armillary_log_labels")


class ButlerMDC:
    """Labels that all log records of this thread or task carry, in `MDC`."""

    @staticmethod
    def labels() -> dict[str, str]:
        """The labels now."""
        return dict(_labels.get({}))

    @classmethod
    def MDC(cls, key: str, value: str) -> str:
        """Set one label; returns the value before, or an empty string."""
        before = cls.labels()
        _labels.set({**before, key: str(value)})
        return before.get(key, "")

    @classmethod
    def MDCRemove(cls, key: str) -> None:
        """Remove one label."""
        _labels.set({name: value for name, value in cls.labels().items() if name != key})

    @classmethod
    @contextmanager
    def set_mdc(cls, mdc: Mapping[str, str]) -> Iterator[None]:
        """Give a block in which records carry these labels, too.

        >>> with ButlerMDC.set_mdc({"LABEL": "isr"}):
        ...     ButlerMDC.labels()
        {'LABEL': 'isr'}
        """
        token = _labels.set({**cls.labels(), **{key: str(value) for key, value in mdc.items()}})
        try:
            yield
        finally:
            _labels.reset(token)


class ButlerLogRecordHandler(logging.StreamHandler[Any]):
    """Keep the records it is given, in `records`."""

    def __init__(self) -> None:
        super().__init__()
        self.records = ButlerLogRecords()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(ButlerLogRecord.from_record(record))
