"""The text of pipeline files: where it is, and YAML in and out."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from armillary.errors import ConfigurationError

__all__ = ["dump_yaml", "load_yaml", "locate", "read_text", "write_text"]


def locate(location: str, directory: str | None) -> str:
    """Find a relative import: in the current directory, as the peer does, then beside the importing file."""
    expanded = os.path.expandvars(location).partition("#")[0]
    if directory is None or "://" in expanded or Path(expanded).exists():
        return location
    beside = Path(directory) / expanded  # an absolute path stays as it is
    return str(beside) if beside.exists() else location


def read_text(location: str, written: str) -> tuple[str, str | None]:
    """Return the text of a pipeline file and the directory it is in."""
    if "://" in location and not location.startswith("file://"):
        from lsst.resources import ResourcePath

        return ResourcePath(location).read().decode(), None
    path = location.removeprefix("file://")
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read(), str(Path(path).absolute().parent)
    except FileNotFoundError as error:
        unset = [name for name in re.findall(r"\$\{?(\w+)", written) if name not in os.environ]
        reason = f"the environment variable `{unset[0]}` is not set" if unset else "there is no such file"
        raise FileNotFoundError(error.errno, f"pipeline cannot be read, {reason}", written) from None


def write_text(uri: Any, text: str) -> None:
    """Write a file or other resource; environment variables in its name are expanded."""
    if "://" in str(uri):
        from lsst.resources import ResourcePath

        ResourcePath(uri).write(text.encode())
        return
    Path(os.path.expandvars(os.fspath(uri))).write_text(text, encoding="utf-8")


def load_yaml(text: str) -> Any:
    """Read YAML without running anything in it, refusing keys that appear twice.

    Raises
    ------
    KeyError
        A key appears twice in one mapping.
    ConfigurationError
        The text is not YAML, asks for Python objects, or stands for far more values than it has.

    >>> load_yaml("a: [1, x]")
    {'a': [1, 'x']}

    """
    import yaml

    from armillary._yaml import refuse_bombs

    try:
        value = yaml.load(text, Loader=_loader())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise ConfigurationError(f"the pipeline is not YAML: {where}{error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"the pipeline is not YAML: {error}") from error
    refuse_bombs(value, "pipeline")
    return value


def _loader() -> Any:
    """Return the loader class, the one written in C where there is one."""
    global _LOADER
    if _LOADER is None:
        import yaml

        base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

        class UniqueKeyLoader(base):  # type: ignore[misc]  # the base is chosen at run time
            """A safe loader that refuses repeated keys."""

        def construct(loader: Any, node: Any, deep: bool = False) -> Any:
            seen: set[Any] = set()
            for key_node, _ in node.value:
                if key_node.tag == "tag:yaml.org,2002:merge":
                    continue
                key = loader.construct_object(key_node, deep=True)
                if key in seen:
                    line = key_node.start_mark.line + 1
                    raise KeyError(f"the key `{key}` appears twice in one mapping (line {line})")
                seen.add(key)
            return base.construct_mapping(loader, node, deep)

        UniqueKeyLoader.construct_mapping = construct
        _LOADER = UniqueKeyLoader
    return _LOADER


_LOADER: Any = None


def dump_yaml(document: Any) -> str:
    r"""Write YAML in the order given, with text of several lines as blocks.

    >>> dump_yaml({"b": 1, "a": ["x"]})
    'b: 1\na:\n- x\n'
    """
    import yaml

    class BlockDumper(yaml.SafeDumper):
        """Writes text of several lines as it reads."""

    def text(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    BlockDumper.add_representer(str, text)
    return yaml.dump(document, Dumper=BlockDumper, sort_keys=False, allow_unicode=True, width=4096)
