"""The YAML of exports: reading and writing its tags."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any

import yaml

from armillary import _core
from armillary._yaml import TIMESTAMP_TAG, read_time
from armillary.errors import ValidationError

__all__ = ["EXPORT_VERSION", "dump", "load"]

EXPORT_VERSION = "1.0.2"

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_EPOCH = datetime.datetime(1970, 1, 1)
_REGIONS = ("Box", "Circle", "ConvexPolygon", "Ellipse", "UnionRegion", "IntersectionRegion")
# Text that no reader takes for a number, a date or a mark of the language; and the words that are values.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.+/-]*")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?$")


def tai_nanoseconds(text: str) -> int:
    """Parse an ISO time of scale TAI into nanoseconds since 1970-01-01 TAI.

    >>> tai_nanoseconds("1970-01-01 00:00:01.5")
    1500000000
    """
    match = _TIME.match(text)
    if match is None:
        raise ValueError(f"`{text}` is not an ISO time")
    day, hour, minute, second, fraction = match.groups()
    days = (datetime.datetime.fromisoformat(day) - _EPOCH).days
    seconds = days * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second)
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


def tai_text(nanoseconds: int) -> str:
    """Write nanoseconds since 1970-01-01 TAI as an ISO time with nine digits.

    >>> tai_text(1500000000)
    '1970-01-01 00:00:01.500000000'
    """
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{fraction:09d}"


class Tai(int):
    """Nanoseconds TAI, to be written with the tag of times."""


class Region(bytes):
    """An encoded region with the name of its type."""

    type_name: str


class ExportDumper(_Dumper):  # type: ignore[misc, valid-type]
    """Writes the tags of exports."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write every value out."""
        return True


def _read_timespan(content: Any) -> _core.Timespan:
    if isinstance(content, str):
        return _core.Timespan.makeEmpty()
    return timespan_of(content.get("begin"), content.get("end"))


def _read_region(content: Mapping[str, str]) -> bytes:
    return bytes.fromhex(content["encoded"])


def as_nanoseconds(time: Any) -> int | None:
    """Give a bound of a timespan in nanoseconds TAI; bare YAML times are UTC."""
    if time is None or isinstance(time, int):
        return time
    from astropy.time import Time

    return _core.Timespan.fromInstant(Time(time, scale="utc")).nsec[0]


def timespan_of(begin: Any, end: Any) -> _core.Timespan:
    """Make a timespan of two bounds, either of which may be missing."""
    unbounded = _core.Timespan(None, None).nsec
    first, last = as_nanoseconds(begin), as_nanoseconds(end)
    return _core.Timespan(
        None, None, _nsec=(unbounded[0] if first is None else first, unbounded[1] if last is None else last)
    )


# Nothing else is made of what an export says.
_CONSTRUCTORS: dict[str, Callable[[Any], Any]] = {
    TIMESTAMP_TAG: read_time,
    "!butler_time/tai/iso": lambda text: Tai(tai_nanoseconds(text)),
    "lsst.daf.butler.Timespan": _read_timespan,
    "!lsst.daf.butler.Timespan": _read_timespan,
    **{f"lsst.sphgeom.{name}": _read_region for name in _REGIONS},
}

ExportDumper.add_representer(Tai, lambda dumper, time: dumper.represent_scalar("!butler_time/tai/iso", tai_text(time)))
ExportDumper.add_representer(uuid.UUID, lambda dumper, value: dumper.represent_scalar("!uuid", str(value)))
ExportDumper.add_representer(
    Region,
    lambda dumper, region: dumper.represent_mapping(f"lsst.sphgeom.{region.type_name}", {"encoded": region.hex()}),
)


def _write_timespan(dumper: Any, timespan: _core.Timespan) -> yaml.Node:
    if timespan.isEmpty():
        node: yaml.Node = dumper.represent_scalar("!lsst.daf.butler.Timespan", "EMPTY")
        return node
    begin, end = timespan_bounds(timespan)
    mapping: yaml.Node = dumper.represent_mapping("!lsst.daf.butler.Timespan", {"begin": begin, "end": end})
    return mapping


def timespan_bounds(timespan: _core.Timespan) -> tuple[Tai | None, Tai | None]:
    """Give the bounds of a timespan, None where it has none."""
    unbounded = _core.Timespan(None, None).nsec
    begin, end = timespan.nsec
    return (
        None if begin == unbounded[0] else Tai(begin),
        None if end == unbounded[1] else Tai(end),
    )


ExportDumper.add_representer(_core.Timespan, _write_timespan)


def load(stream: IO[Any]) -> Any:
    """Read an export.

    Raises
    ------
    ValidationError
        If it is not YAML, or has a tag that exports do not have; names the line.
    """
    text: str | bytes = stream.read()
    source = str(getattr(stream, "name", "export"))
    try:
        text = text if isinstance(text, str) else text.decode()
    except UnicodeDecodeError as error:
        raise ValidationError(f"`{source}` is not an export: it is not text in UTF-8 ({error})") from error
    return _core.read_yaml(text, source=source, constructors=_CONSTRUCTORS)


def dump(head: Mapping[str, Any], items: Iterable[Mapping[str, Any]], stream: IO[str]) -> None:
    """Write an export: what stands at its top, then the items of its list `data`.

    There are as many records as datasets, all alike: their lines are written here, all else by the library.
    """
    yaml.dump(dict(head), stream, Dumper=ExportDumper, sort_keys=False)
    items = list(items)
    stream.write("data:\n" if items else "data: []\n")
    for item in items:
        if item["type"] != "dataset":
            yaml.dump([item], stream, Dumper=ExportDumper, sort_keys=False)
            continue
        head_lines = {key: value for key, value in item.items() if key != "records"}
        yaml.dump([head_lines], stream, Dumper=ExportDumper, sort_keys=False)
        stream.write("  records:\n" if item["records"] else "  records: []\n")
        stream.writelines(map(_record_lines, item["records"]))


def _record_lines(record: Mapping[str, Any]) -> str:
    """The lines of one file of datasets."""
    lines = ["  - dataset_id:\n", *(f"    - !uuid '{one}'\n" for one in record["dataset_id"]), "    data_id:\n"]
    for data_id in record["data_id"]:
        if not data_id:
            lines.append("    - {}\n")
        for position, (key, value) in enumerate(data_id.items()):
            lines.append(f"    {'-' if position == 0 else ' '} {key}: {_scalar(value)}\n")
    lines += [f"    {key}: {_scalar(record[key])}\n" for key in ("path", "formatter") if key in record]
    return "".join(lines)


def _scalar(value: Any) -> str:
    """A number or text of a data ID or a file name as YAML; whatever is not plainly text is quoted by the library."""
    if type(value) is int:
        return str(value)
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    text: str = yaml.dump(value, Dumper=ExportDumper, width=1 << 30)
    return text.removesuffix("...\n").rstrip("\n")
