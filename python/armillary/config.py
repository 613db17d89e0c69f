"""Layered YAML configuration: one mapping, addressed by keys or by paths of keys.

A key that starts with a letter, a digit or `_` is one key. A string that starts with anything else is a path, and its
first character is the separator: `.datastore.root` and `/datastore/root` mean the same. A tuple is a path, too.
"""

from __future__ import annotations

import json
import os
import pprint
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from armillary import _yaml
from armillary.errors import ConfigurationError, RepositoryNotFoundError

__all__ = [
    "ButlerConfig",
    "Config",
    "ConfigSubset",
    "RegistryConfig",
    "StorageClassConfig",
    "config_search_path",
    "default_section",
    "read_text",
    "to_local_path",
]

CONFIG_PATH_VARIABLE = "DAF_BUTLER_CONFIG_PATH"
INCLUDE_KEY = "includeConfigs"
MAX_INCLUDE_DEPTH = 20
_PACKAGED = Path(__file__).parent / "configs"
_MISSING = object()

Key = str | int | Sequence[str | int]


def to_local_path(location: Any) -> str | None:
    """The operating system path of a location, or None when it is on another machine.

    A plain string is taken as it is: `#`, `?`, `%20` and spaces in it are characters of the name. Only a `file:` URI
    is decoded.

    >>> to_local_path("/data/my repo#1%20")
    '/data/my repo#1%20'
    >>> to_local_path("file:///data/my%20repo")
    '/data/my repo'
    >>> to_local_path("s3://bucket/repo") is None
    True
    """
    if not isinstance(location, str) and isinstance(location, os.PathLike):  # the latter is slow to ask
        return str(os.fspath(location))
    text = str(location)
    scheme, separator, rest = text.partition("://")
    if not separator or not scheme.replace("+", "").isalnum():
        if os.path.lexists(text):
            return text
        # `~` and `$VARIABLE` as a shell would have them, unless a file really has that name.
        return os.path.expandvars(os.path.expanduser(text))
    if scheme != "file":
        return None
    from urllib.parse import unquote

    return unquote(rest if rest.startswith("/") else "/" + rest.partition("/")[2])


def local_place(location: Any, what: str) -> str:
    """The operating system path of a location that must be on this machine; `ValueError` if it is not.

    >>> local_place("file:///data/my%20folder", "the directory of an export")
    '/data/my folder'
    >>> local_place("s3://bucket/folder", "the directory of an export")
    Traceback (most recent call last):
        ...
    ValueError: `s3://bucket/folder` is on another machine; the directory of an export must be on this one
    """
    local = to_local_path(location)
    if local is None:
        raise ValueError(f"`{location}` is on another machine; {what} must be on this one")
    return local


def read_text(location: Any) -> str:
    """The text of a local or remote file. Raises `FileNotFoundError` naming it."""
    local = to_local_path(location)
    if local is not None:
        return Path(local).read_text(encoding="utf-8")
    from lsst.resources import ResourcePath

    text: bytes = ResourcePath(str(location)).read()
    return text.decode("utf-8")


def _sibling(base: str | None, name: str) -> str:
    """Where an included name is: as given, below the working directory, or beside the including file."""
    name = os.path.expandvars(name)
    if "://" in name or os.path.isabs(name) or os.path.exists(name) or base is None:
        return name
    if to_local_path(base) is None:
        return base.rpartition("/")[0] + "/" + name
    return os.path.join(os.path.dirname(to_local_path(base) or ""), name)


class _Reader:
    """Read one file and everything it includes."""

    def __init__(self) -> None:
        self._open: list[str] = []

    def read(self, location: str) -> Any:
        marker = os.path.abspath(to_local_path(location) or location)
        if marker in self._open or len(self._open) >= MAX_INCLUDE_DEPTH:
            chain = " -> ".join([*self._open, marker])
            raise ConfigurationError(f"configuration files include each other without end: {chain}")
        self._open.append(marker)
        try:
            return self._parse(read_text(location), location)
        finally:
            self._open.pop()

    def _parse(self, text: str, location: str) -> Any:
        suffix = os.path.splitext(location)[1].lower()
        if suffix == ".json":
            try:
                return self._follow(json.loads(text), location)
            except (json.JSONDecodeError, RecursionError) as error:
                raise ConfigurationError(f"`{location}` is not JSON: {error}") from error
        if suffix not in (".yaml", ".yml"):
            raise ConfigurationError(f"`{location}` is not a configuration file: its name must end in .yaml or .json")
        value = _yaml.load(text, source=location, include=lambda name: self.read(_sibling(location, name)))
        return self._follow(value, location)

    def _follow(self, value: Any, location: str) -> Any:
        """Put the files named by `includeConfigs` below the mapping that names them."""
        if isinstance(value, list):
            return [self._follow(item, location) for item in value]
        if not isinstance(value, dict):
            return value
        followed = {key: self._follow(item, location) for key, item in value.items() if key != INCLUDE_KEY}
        if INCLUDE_KEY not in value:
            return followed
        names = value[INCLUDE_KEY]
        result: dict[str, Any] = {}
        for name in [names] if isinstance(names, str) else names:
            included = self.read(_sibling(location, str(name)))
            if not isinstance(included, dict):
                raise ConfigurationError(f"`{name}`, included by `{location}`, is not a mapping")
            merge_over(result, included)
        merge_over(result, followed)
        return result


def merge_over(weak: dict[str, Any], strong: Mapping[str, Any]) -> None:
    """Change `weak` to hold everything of `strong`; mappings merge, anything else replaces."""
    for key, value in strong.items():
        ours = weak.get(key)
        if isinstance(value, Mapping) and isinstance(ours, dict):
            merge_over(ours, value)
        else:
            weak[key] = _plain(value)


def _copied(value: Any) -> Any:
    """A copy of what is made of dicts and lists; `copy.deepcopy`, which looks for rings, takes twice as long."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    """A copy made of dicts and lists only."""
    if isinstance(value, Config):
        return _copied(value._data)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [_plain(item) for item in items]
    return value


class Config(MutableMapping[Any, Any]):
    """A mapping of mappings, read from a file, a mapping or nothing.

    `other` is a path or URI of a `.yaml` or `.json` file, another `Config`, a mapping, or None. A missing file raises
    `FileNotFoundError`; one that cannot be read as a mapping, `ConfigurationError` (a `ValueError`).

    >>> config = Config({"datastore": {"root": "<butlerRoot>"}})
    >>> config[".datastore.root"], config["datastore", "root"]
    ('<butlerRoot>', '<butlerRoot>')
    >>> config[".datastore.checksum"] = True
    >>> config.toDict()
    {'datastore': {'root': '<butlerRoot>', 'checksum': True}}
    """

    includeKey = INCLUDE_KEY

    def __init__(self, other: Any = None) -> None:
        self._data: Any = {}
        if other is None:
            return
        if isinstance(other, Mapping):
            self._data = _plain(other)
        elif isinstance(other, str | os.PathLike) or hasattr(other, "geturl"):
            location = other.geturl() if hasattr(other, "geturl") else os.fspath(other)
            self._data = _Reader().read(location) or {}
        else:
            raise ConfigurationError(f"a configuration cannot be made from a `{type(other).__name__}`")

    @classmethod
    def fromString(cls, string: str, format: str = "yaml") -> Self:
        """Parse text in YAML or JSON.

        >>> Config.fromString('{"a": 1}', format="json")["a"]
        1
        """
        if format not in ("yaml", "json"):
            raise ConfigurationError(f"`{format}` is not a format of configurations; use `yaml` or `json`")
        made = cls()
        made._data = (_yaml.load(string) if format == "yaml" else json.loads(string)) or {}
        return made

    @classmethod
    def fromYaml(cls, string: str) -> Self:
        """Parse YAML text."""
        return cls.fromString(string)

    @staticmethod
    def _split(key: Key) -> list[Any]:
        if isinstance(key, str):
            if not key or key[0].isalnum() or key[0] == "_":
                return [key]
            separator = key[0]
            # A backslash keeps a separator inside a key: `.a.b\\.c` is the path a, `b.c`.
            held = key[1:].replace("\\" + separator, "\0")
            return [part.replace("\0", separator) for part in held.split(separator)]
        if isinstance(key, Iterable):
            return list(key)
        return [key]

    @staticmethod
    def _step(data: Any, key: Any) -> Any:
        if isinstance(data, dict):
            return data.get(key, _MISSING)
        if isinstance(data, list):
            try:
                return data[int(key)]
            except (ValueError, IndexError, TypeError):
                return _MISSING
        return _MISSING

    def _find(self, key: Key) -> Any:
        data = self._data
        for part in self._split(key):
            data = self._step(data, part)
            if data is _MISSING:
                return _MISSING
        return data

    def __getitem__(self, key: Key) -> Any:
        found = self._find(key)
        if found is _MISSING:
            raise KeyError(f"{key} not found")
        if isinstance(found, dict):
            made = Config()
            made._data = _copied(found)
            return made
        return _copied(found) if isinstance(found, list) else found

    def __setitem__(self, key: Key, value: Any) -> None:
        *path, last = self._split(key)
        data = self._data
        for part in path:
            inner = self._step(data, part)
            if not isinstance(inner, dict | list):
                if isinstance(data, list):
                    raise ConfigurationError(f"`{part}` of `{key}` is not in the list and cannot be added")
                inner = data[part] = {}
            data = inner
        if not isinstance(data, list):
            data[last] = _plain(value)
            return
        try:
            data[int(last)] = _plain(value)
        except (ValueError, IndexError) as error:
            raise IndexError(f"`{last}` of `{key}` is not an index of the list, which holds {len(data)}") from error

    def __delitem__(self, key: Key) -> None:
        *path, last = self._split(key)
        parent = self._find(path) if path else self._data
        if parent is _MISSING or self._step(parent, last) is _MISSING:
            raise KeyError(f"{key} not found")
        del parent[last if isinstance(parent, dict) else int(last)]

    def __contains__(self, key: object) -> bool:
        return self._find(key) is not _MISSING  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Config):
            return bool(self._data == other._data)
        return isinstance(other, Mapping) and bool(self._data == _plain(other))

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return pprint.pformat(self._data, indent=2, width=1)

    def __repr__(self) -> str:
        return f"Config({self._data!r})"

    def copy(self) -> Self:
        """Make an independent copy."""
        made = type(self)()
        made._data = _copied(self._data)
        return made

    def toDict(self) -> dict[str, Any]:
        """Make a plain dict of it, independent of this object."""
        made: dict[str, Any] = _copied(self._data)
        return made

    def update(self, other: Mapping[str, Any]) -> None:  # type: ignore[override]
        """Put the values of `other` over these; mappings merge, anything else replaces.

        >>> config = Config({"a": {"b": 1}})
        >>> config.update({"a": {"c": 2}})
        >>> config.toDict()
        {'a': {'b': 1, 'c': 2}}
        """
        merge_over(self._data, other)

    def merge(self, other: Mapping[str, Any]) -> None:
        """Put the values of `other` below these: what is already here stays.

        >>> config = Config({"a": {"b": 1}})
        >>> config.merge({"a": {"b": 9, "c": 2}})
        >>> config.toDict()
        {'a': {'b': 1, 'c': 2}}
        """
        result: dict[str, Any] = _plain(other)
        merge_over(result, self._data)
        self._data = result

    def asArray(self, name: Key) -> Sequence[Any]:
        """Give the value as a list: a list as it is, anything else as a list of one.

        >>> Config({"a": "x"}).asArray("a")
        ['x']
        """
        value = self.get(name)
        return value if isinstance(value, list) else [value]

    def nameTuples(self, topLevelOnly: bool = False) -> list[tuple[Any, ...]]:
        """List every key, each as a path of keys; list positions count as keys."""

        def walk(data: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
            pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
            for key, value in pairs:
                yield (*path, key)
                if not topLevelOnly:
                    yield from walk(value, (*path, key))

        return list(walk(self._data, ()))

    def names(self, topLevelOnly: bool = False, delimiter: str | None = None) -> list[str]:
        """List every key as a string that this object accepts.

        Without `delimiter`, one is chosen that no key contains. Raises `ValueError` if a key contains the given one.
        """
        if topLevelOnly:
            return [str(key) for key in self._data]
        paths = [[str(part) for part in path] for path in self.nameTuples()]
        text = "".join(part for path in paths for part in path)
        if delimiter is None:
            delimiter = next(choice for choice in "→↠▸⇒\x1f" if choice not in text)
        elif delimiter.isalnum() or delimiter in text:
            raise ConfigurationError(f"`{delimiter}` cannot separate keys: it is a letter, a digit or part of a key")
        return [delimiter + delimiter.join(path) for path in paths]

    def ppprint(self) -> str:
        """Format the whole configuration over several lines."""
        return str(self)

    def dump(self, output: IO[str] | None = None, format: str = "yaml") -> str | None:
        """Write YAML (keys sorted) or JSON to `output`, or return the text."""
        if format not in ("yaml", "json"):
            raise ConfigurationError(f"`{format}` is not a format of configurations; use `yaml` or `json`")
        text = _yaml.dump(self._data) if format == "yaml" else json.dumps(self._data)
        if output is None:
            return text
        output.write(text)
        return None

    def dumpToUri(
        self, uri: Any, updateFile: bool = True, defaultFileName: str = "butler.yaml", overwrite: bool = True
    ) -> None:
        """Write to a file; in a directory, to `defaultFileName` (if `updateFile`).

        Raises `FileExistsError` if the file exists and `overwrite` is false.
        """
        location = os.fspath(uri) if isinstance(uri, os.PathLike) else str(uri)
        local = to_local_path(location)
        if local is None:
            from lsst.resources import ResourcePath

            remote = ResourcePath(location)
            if updateFile and not remote.getExtension():
                remote = remote.join(defaultFileName)
            form = "json" if remote.getExtension() == ".json" else "yaml"
            remote.write((self.dump(format=form) or "").encode(), overwrite=overwrite)
            return
        if updateFile and (os.path.isdir(local) or not os.path.splitext(local)[1]):
            os.makedirs(local, exist_ok=True)
            local = os.path.join(local, defaultFileName)
        form = "json" if local.endswith(".json") else "yaml"
        with open(local, "w" if overwrite else "x", encoding="utf-8") as stream:
            self.dump(stream, format=form)


def config_search_path(given: Iterable[Any] | None = None) -> list[str]:
    """Folders that may hold default files, strongest first: given, `DAF_BUTLER_CONFIG_PATH`, this package's own."""
    from_environment = os.environ.get(CONFIG_PATH_VARIABLE, "").split(os.pathsep)
    return [*(os.fspath(path) for path in given or ()), *(path for path in from_environment if path), str(_PACKAGED)]


_parsed: dict[tuple[str, int, int], Any] = {}


def _read_default(folder: str, name: str) -> dict[str, Any] | None:
    """The content of a default file, or None where the folder has none. Parsed once per version of the file."""
    path = to_local_path(os.path.join(folder, name))
    if path is None:
        return None
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    key = (path, status.st_mtime_ns, status.st_size)
    if key not in _parsed:
        _parsed[key] = Config(path)._data
    return _copied(_parsed[key])  # type: ignore[no-any-return]


def _default_file(name: str, folders: Sequence[str], top: str | None) -> dict[str, Any]:
    """All files of one name merged, the strongest folder last; `top` is a key the content may be under."""
    merged: dict[str, Any] = {}
    for folder in reversed(folders):
        content = _read_default(folder, name)
        if content is not None:
            merge_over(merged, content[top] if top is not None and top in content else content)
    return merged


_SECTION_FILES = {
    "registry": "registry.yaml",
    "storageClasses": "storageClasses.yaml",
    "datastore": "datastore.yaml",
    "repo_transfer_formats": "repo_transfer_formats.yaml",
}


def _datastore_class_file(cls: str) -> str:
    """The default file of a datastore class: `…fileDatastore.FileDatastore` -> `datastores/fileDatastore.yaml`."""
    name = cls.rpartition(".")[2]
    return f"datastores/{name[:1].lower()}{name[1:]}.yaml"


def _expand_datastore(own: Mapping[str, Any], folders: Sequence[str], additions: bool) -> dict[str, Any]:
    """Put the defaults for its class under one datastore's configuration, and so for the children of a chain."""
    generic = _default_file(_SECTION_FILES["datastore"], folders, "datastore")
    cls = str(own.get("cls", generic.get("cls", "")))
    merged = generic
    merge_over(merged, _default_file(_datastore_class_file(cls), folders, "datastore"))
    if additions and "formatters" in merged:
        merge_over(merged["formatters"], _default_file("additions.yaml", [str(_PACKAGED)], None)["formatters"])
    merge_over(merged, own)
    children = merged.get("datastores")
    if isinstance(children, list):
        merged["datastores"] = [
            _expand_datastore(child.get("datastore", child), folders, additions) for child in children
        ]
    return merged


def default_section(
    section: str,
    own: Mapping[str, Any] | None = None,
    search_paths: Iterable[Any] | None = None,
    *,
    additions: bool = True,
) -> dict[str, Any]:
    """One section of a repository's configuration with every default below what it says itself.

    `section` is `registry`, `storageClasses`, `datastore` or `repo_transfer_formats`. With `additions` the storage
    classes and formatters that only armillary has are among the defaults.
    """
    folders = config_search_path(search_paths)
    own = own or {}
    if section == "datastore":
        return _expand_datastore(own, folders, additions)
    merged = _default_file(_SECTION_FILES[section], folders, section)
    if additions and section == "storageClasses":
        merge_over(merged, _default_file("additions.yaml", [str(_PACKAGED)], None)["storageClasses"])
    merge_over(merged, own)
    return merged


class ConfigSubset(Config):
    """One section of a configuration, with its defaults; subclasses name it in `component`.

    `other` is the section, or a configuration that holds it. Raises `ConfigurationError` if one of `requiredKeys` is
    missing and `validate` is true.

    >>> RegistryConfig({"registry": {"namespace": "mine"}})["namespace"]
    'mine'
    """

    component: str | None = None
    requiredKeys: Sequence[str] = ()

    def __init__(
        self,
        other: Any = None,
        validate: bool = True,
        mergeDefaults: bool = True,
        searchPaths: Iterable[Any] | None = None,
    ) -> None:
        super().__init__(other)
        if self.component is not None and isinstance(self._data.get(self.component), dict):
            self._data = self._data[self.component]
        if mergeDefaults and self.component in _SECTION_FILES:
            self._data = default_section(str(self.component), self._data, searchPaths)
        if validate:
            self.validate()

    def validate(self) -> None:
        """Raise `ConfigurationError` if a required key is missing."""
        missing = [key for key in self.requiredKeys if key not in self]
        if missing:
            raise ConfigurationError(f"the section `{self.component}` lacks {missing}")


class RegistryConfig(ConfigSubset):
    """How a registry is kept."""

    component = "registry"
    requiredKeys = ("db",)


class StorageClassConfig(ConfigSubset):
    """Definitions of storage classes."""

    component = "storageClasses"


class ButlerConfig(Config):
    """A repository's configuration with all defaults filled in.

    `other` is whatever `armillary.repository_config.find_repository` accepts, or a mapping or `Config`.
    `configDir` and `configFile` are the places it was read from (strings), or None.
    """

    def __init__(
        self, other: Any = None, searchPaths: Iterable[Any] | None = None, without_datastore: bool = False
    ) -> None:
        self.configDir: str | None = None
        self.configFile: str | None = None
        search_paths = list(searchPaths or ())
        if isinstance(other, ButlerConfig):
            super().__init__(other)
            self.configDir, self.configFile = other.configDir, other.configFile
            return
        if other is not None and not isinstance(other, Mapping):
            from armillary.repository_config import find_repository

            place = find_repository(other)
            self.configDir, self.configFile = place.directory, place.config_file
            other = place.config_file
        try:
            super().__init__(other)
        except FileNotFoundError as error:
            if self.configFile is None or "://" not in self.configFile:
                raise
            raise RepositoryNotFoundError(f"there is no repository at `{self.configFile}`") from error
        if not isinstance(self._data, dict):
            raise ConfigurationError(f"`{other}` is not a mapping")
        refuse_collections_in_config(self)
        own = self._data
        for section in _SECTION_FILES:
            if section == "datastore" and without_datastore:
                own.pop("datastore", None)
                continue
            given = own.get(section) or {}
            if not isinstance(given, dict):
                raise ConfigurationError(f"`{section}` must be a mapping, not `{given}`")
            own[section] = default_section(section, given, search_paths)


def refuse_collections_in_config(config: Config) -> None:
    """Raise `ConfigurationError` if a configuration tries to set the collections or run of every butler."""
    for key in ("run", "collection", "collections"):
        if key in config:
            raise ConfigurationError(f"`{key}` cannot be set in a repository's configuration; give it to `Butler`")
