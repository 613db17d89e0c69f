"""Load YAML that somebody else wrote: no code, bounded nesting, bounded growth, `!include` of other files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from armillary.errors import ConfigurationError

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # pragma: no cover  (a pyyaml built without libyaml)
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

# A few lines of aliases to aliases can stand for 10^9 values; no real configuration comes near these.
MAX_VALUES = 2_000_000
MAX_DEPTH = 200

TIMESTAMP_TAG = "tag:yaml.org,2002:timestamp"

Include = Callable[[str], Any]


class _Loader(_SafeLoader):
    """The safe loader, with a place to keep what `!include` calls."""

    include: Include | None = None


def _construct_include(loader: _Loader, node: yaml.Node) -> Any:
    if loader.include is None:
        raise ConfigurationError("`!include` cannot be used in text that is not a file")
    if isinstance(node, yaml.ScalarNode):
        return loader.include(str(loader.construct_scalar(node)))
    if isinstance(node, yaml.SequenceNode):
        return [loader.include(str(name)) for name in loader.construct_sequence(node)]
    if isinstance(node, yaml.MappingNode):
        return {key: loader.include(str(name)) for key, name in loader.construct_mapping(node).items()}
    raise ConfigurationError(f"`!include` cannot read a {type(node).__name__}")


_Loader.add_constructor("!include", _construct_include)


def load(text: str | bytes, *, source: str = "text", include: Include | None = None) -> Any:
    """Parse one YAML document.

    `source` names the text in messages; `include` turns the name after `!include` into a value.
    Raises `ConfigurationError` with line and column for text that is not YAML, asks for Python objects, nests
    deeper than `MAX_DEPTH`, or stands for more than `MAX_VALUES` values.

    >>> load("a: [1, 2]")
    {'a': [1, 2]}
    """
    loader = _Loader(text)
    loader.include = include
    try:
        value = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise ConfigurationError(f"`{source}`{where}: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"`{source}` is not YAML: {error}") from error
    finally:
        loader.dispose()
    refuse_bombs(value, source)
    return value


def read_time(text: str) -> Any:
    """Make a date or time of what looks like one; other text stays text.

    >>> read_time("2020-02-29"), read_time("2020-W1")
    (datetime.date(2020, 2, 29), '2020-W1')
    """
    return yaml.load(text, Loader=_SafeLoader)


def refuse_bombs(value: Any, source: str) -> None:
    """Count values as if aliases were copied; each shared object is walked once."""
    sizes: dict[int, int] = {}

    def size(item: Any, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise ConfigurationError(f"`{source}` nests deeper than {MAX_DEPTH} levels")
        if not isinstance(item, dict | list):
            return 1
        known = sizes.get(id(item))
        if known is not None:
            if known < 0:
                raise ConfigurationError(f"`{source}` holds a value that contains itself")
            return known
        sizes[id(item)] = -1
        members = item.values() if isinstance(item, dict) else item
        total = 1 + sum(size(member, depth + 1) for member in members)
        if total > MAX_VALUES:
            raise ConfigurationError(f"`{source}` stands for more than {MAX_VALUES} values: too many aliases")
        sizes[id(item)] = total
        return total

    size(value, 0)


def dump(value: Any, *, sort_keys: bool = True) -> str:
    r"""Write plain values as block style YAML, mapping keys in alphabetical order unless that is not wanted.

    >>> dump({"b": 1, "a": [1]})
    'a:\n- 1\nb: 1\n'
    """
    return yaml.safe_dump(value, default_flow_style=False, sort_keys=sort_keys)
