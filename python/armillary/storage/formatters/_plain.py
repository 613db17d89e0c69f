"""Objects to plain values and back, for the formats that hold only plain values."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

_PLAIN = (str, int, float, bool, type(None))


def to_plain(value: Any) -> Any:
    """Turn models, dataclasses, named tuples, mappings and numpy values into dicts, lists and numbers.

    Anything else comes back as it is, for the format to accept or refuse.
    """
    if type(value) in _PLAIN:
        return value
    if type(value) is dict:
        return {key: to_plain(item) for key, item in value.items()}
    if type(value) is list:
        return [to_plain(item) for item in value]
    if hasattr(value, "model_dump"):
        return to_plain(value.model_dump())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_plain(dataclasses.asdict(value))
    if hasattr(value, "_asdict"):
        return to_plain(dict(value._asdict()))
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if type(value) is tuple:
        return [to_plain(item) for item in value]
    return _from_numpy(value)


def _from_numpy(value: Any) -> Any:
    numpy = sys.modules.get("numpy")  # without numpy loaded there is no numpy value
    if numpy is not None and isinstance(value, numpy.generic):
        return value.item()
    return value


def from_plain(value: Any, pytype: type) -> Any:
    """Make an object of a Python type from plain values: keywords from a mapping, otherwise one argument."""
    if isinstance(value, pytype):
        return value
    if hasattr(pytype, "model_validate"):
        return pytype.model_validate(value)
    if isinstance(value, dict):
        return pytype(**value)
    return pytype(value)
