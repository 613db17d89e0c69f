"""Where a repository is, and the `butler.yaml` that says how it is kept."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armillary import _yaml
from armillary._words import did_you_mean
from armillary.config import (
    ButlerConfig,
    Config,
    default_section,
    read_text,
    refuse_collections_in_config,
    to_local_path,
)
from armillary.database_credentials import ServerAddress, find_credentials
from armillary.errors import ConfigurationError, RepositoryNotFoundError

if TYPE_CHECKING:
    from lsst.resources import ResourcePath

__all__ = [
    "BUTLER_ROOT",
    "ButlerRepoIndex",
    "DatabaseLocation",
    "RepositoryPlace",
    "create_repository_config",
    "database_location",
    "datastore_root",
    "find_repository",
    "repository_index",
    "repository_root",
]

BUTLER_ROOT = "<butlerRoot>"
CONFIG_NAME = "butler.yaml"
INSTRUMENTS_FOLDER = "instruments"
"""Where a repository keeps descriptions of cameras, `NAME.yaml` each, below its root."""
INDEX_FILE_VARIABLE = "DAF_BUTLER_REPOSITORY_INDEX"
INDEX_TEXT_VARIABLE = "DAF_BUTLER_REPOSITORIES"


@dataclass(frozen=True, slots=True)
class RepositoryPlace:
    """The configuration file of a repository and its directory; local ones are absolute paths, others URIs."""

    config_file: str
    directory: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class DatabaseLocation:
    """Where the registry is: a `path` for SQLite (None for a database in memory), a `server` for PostgreSQL."""

    dialect: str
    path: str | None
    server: ServerAddress | None
    namespace: str | None


def repository_index() -> dict[str, str]:
    """Read the labels of known repositories and where each is.

    They come from the file `DAF_BUTLER_REPOSITORY_INDEX` names, or from the text in `DAF_BUTLER_REPOSITORIES`.
    Raises `RuntimeError` if neither or both are set, `FileNotFoundError` if the file is missing.
    """
    file, text = os.environ.get(INDEX_FILE_VARIABLE), os.environ.get(INDEX_TEXT_VARIABLE)
    if file and text:
        raise RuntimeError(f"{INDEX_TEXT_VARIABLE} and {INDEX_FILE_VARIABLE} are both set; unset one of them")
    if not file and not text:
        raise RuntimeError(
            f"no repository index is defined: neither {INDEX_TEXT_VARIABLE} nor {INDEX_FILE_VARIABLE} is set"
        )
    source = file or INDEX_TEXT_VARIABLE
    if file:
        try:
            text = read_text(file)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"the repository index `{file}` does not exist") from error
    content = _yaml.load(text or "", source=source)
    if not isinstance(content, dict) or not all(isinstance(place, str) for place in content.values()):
        raise ConfigurationError(f"`{source}` must be a mapping of labels to places")
    return {str(label): place for label, place in content.items()}


def _index_or_reason() -> tuple[dict[str, str], str]:
    """The labels, or no labels and why: a broken index must not keep anyone from opening a path."""
    try:
        index = repository_index()
    except (RuntimeError, OSError, ConfigurationError) as error:
        return {}, str(error)
    return index, ""


class ButlerRepoIndex:
    """The labels of known repositories, by the names other code uses."""

    index_env_var = INDEX_FILE_VARIABLE
    repositories_env_var = INDEX_TEXT_VARIABLE

    @staticmethod
    def get_known_repos() -> set[str]:
        """Labels of the repositories known; none where there is no index."""
        return set(_index_or_reason()[0])

    @staticmethod
    def get_failure_reason() -> str:
        """Tell why there is no index; empty if there is one."""
        return _index_or_reason()[1]

    @staticmethod
    def get_repo_uri(label: str, return_label: bool = False) -> ResourcePath:
        """Find the place of a label.

        With `return_label` a label that is not known comes back as it is; otherwise it raises `KeyError`, and a missing
        index `RuntimeError` or `FileNotFoundError`.
        """
        from lsst.resources import ResourcePath

        try:
            index = repository_index()
        except (RuntimeError, OSError, ConfigurationError):
            if return_label:
                return ResourcePath(label, forceAbsolute=False)
            raise
        if label not in index:
            if return_label:
                return ResourcePath(label, forceAbsolute=False)
            raise KeyError(f"no repository has the label `{label}`{did_you_mean(label, index)}")
        return ResourcePath(index[label])


def find_repository(argument: Any) -> RepositoryPlace:
    """Find a repository by label, directory, configuration file or URI.

    Directory names may hold any character; nothing in a plain path is decoded. Raises `RepositoryNotFoundError` (a
    `FileNotFoundError`) naming the place and the labels known.

    >>> find_repository("/no/such/place")
    Traceback (most recent call last):
    armillary.errors.RepositoryNotFoundError: there is no repository at `/no/such/place`...
    """
    given = os.fspath(argument) if isinstance(argument, os.PathLike) else str(argument)
    index, reason = _index_or_reason()
    label = given if given in index else None
    place = index.get(given, given)
    local = to_local_path(argument if label is None else place)
    if local is None:
        return _remote_place(place, label)
    config_file = os.path.abspath(local)
    if os.path.isdir(config_file):
        config_file = os.path.join(config_file, CONFIG_NAME)
    if not os.path.isfile(config_file):
        raise RepositoryNotFoundError(_not_found(given, config_file, label, index, reason))
    return RepositoryPlace(config_file, os.path.dirname(config_file), label)


def _remote_place(uri: str, label: str | None) -> RepositoryPlace:
    """A remote name without an extension is a directory; whether it exists shows when it is read."""
    if not os.path.splitext(uri.rpartition("/")[2])[1]:
        return RepositoryPlace(uri.rstrip("/") + "/" + CONFIG_NAME, uri.rstrip("/") + "/", label)
    return RepositoryPlace(uri, uri.rpartition("/")[0] + "/", label)


def _not_found(given: str, config_file: str, label: str | None, index: Mapping[str, str], reason: str) -> str:
    if label is not None:
        return f"there is no repository at `{config_file}`, which the repository index gives for `{label}`"
    place = config_file if os.path.isdir(os.path.dirname(config_file)) else given
    below = _repositories_below(given)
    near = f"; did you mean `{below[0]}`?" if below else did_you_mean(given, index)
    message = f"there is no repository at `{place}`{near}"
    if index:
        return f"{message}; known labels are {', '.join(f'`{known}`' for known in sorted(index))}"
    return f"{message}; no labels are known ({reason})"


def _repositories_below(directory: str) -> list[str]:
    """Repositories in folders of a directory that is none, as of the one that a demo wrote to."""
    try:
        with os.scandir(directory) as entries:
            return sorted(entry.path for entry in entries if os.path.isfile(os.path.join(entry.path, CONFIG_NAME)))
    except OSError:
        return []


def repository_root(config: Config, config_file: str | None) -> str | None:
    """What `<butlerRoot>` stands for: the key `root`, or the directory of the file; an absolute path when local."""
    root = config.get("root")
    if root is None:
        if config_file is None:
            return None
        root = os.path.dirname(config_file) if "://" not in config_file else config_file.rpartition("/")[0] + "/"
    local = to_local_path(root)
    return os.path.abspath(local) if local is not None else str(root)


def _substitute(text: str, root: str | None) -> str:
    if BUTLER_ROOT not in text:
        return text
    if root is None:
        raise ConfigurationError(f"`{text}` needs the place of the repository, and this configuration has none")
    return text.replace(BUTLER_ROOT, root)


def database_location(config: Config, root: str | None) -> DatabaseLocation:
    """Where the registry's database is. SQLite paths are taken as they are: `?`, `#` and `%` belong to the name."""
    template = str(config[".registry.db"])
    namespace = config.get(".registry.namespace")
    if template.startswith("sqlite:"):
        rest = template.partition(":///")[2].partition("?")[0]
        if rest in ("", ":memory:"):
            return DatabaseLocation("sqlite", None, None, namespace)
        path = _substitute(rest, root)
        if "://" in path:
            raise ConfigurationError(
                f"a SQLite database is a local file, which `{path}` is not; give the repository one on a server, as "
                "`registry.db: postgresql://host/database`"
            )
        return DatabaseLocation("sqlite", os.path.abspath(path), None, namespace)
    dialect = template.partition(":")[0].partition("+")[0]
    if dialect not in ("postgresql", "postgres"):
        raise ConfigurationError(f"`{dialect}` is not a database armillary knows; use `sqlite` or `postgresql`")
    password = config.get(".registry.password")
    server = find_credentials(_fill_url(template, config), str(password) if password else None)
    return DatabaseLocation("postgresql", None, server, namespace)


def _fill_url(url: str, config: Config) -> str:
    """Put the keys beside `registry.db` into the places the URL leaves open."""
    from urllib.parse import quote, urlsplit, urlunsplit

    parts = urlsplit(url)
    user = parts.username or config.get(".registry.username")
    password = parts.password
    host = parts.hostname or config.get(".registry.host") or ""
    port = parts.port or config.get(".registry.port")
    path = parts.path if parts.path not in ("", "/") else "/" + str(config.get(".registry.database") or "")
    credentials = (
        quote(str(user), safe="%") + (f":{quote(str(password), safe='%')}" if password else "") if user else ""
    )
    netloc = (credentials + "@" if credentials else "") + str(host) + (f":{port}" if port else "")
    return urlunsplit((parts.scheme, netloc, path, parts.query, parts.fragment))


def datastore_root(root_template: str, root: str | None) -> str:
    """The directory of a datastore: an absolute path when local, otherwise a URI.

    Slashes that follow each other in an object store are one, as the peer's keys have it.

    >>> datastore_root("s3://bucket/a//<butlerRoot>", "repo")
    's3://bucket/a/repo'
    """
    place = _substitute(root_template, root)
    local = to_local_path(place)
    if local is not None:
        return os.path.abspath(local)
    scheme, mark, rest = place.partition("://")
    return scheme + mark + re.sub("/+", "/", rest) if scheme in ("s3", "gs") else place


def _new_repository_content(
    seed: Mapping[str, Any], search_paths: Iterable[Any] | None, standalone: bool, force_root: bool
) -> dict[str, Any]:
    """The mapping `butler.yaml` will hold."""
    search_paths = list(search_paths or ())
    content = Config(seed).toDict()
    content.pop("root", None)
    full = {
        section: default_section(section, content.get(section), search_paths, additions=False)
        for section in ("registry", "storageClasses", "datastore", "repo_transfer_formats")
    }
    if force_root:
        full["registry"]["db"] = content.get("registry", {}).get("db", full["registry"]["db"])
        _set_datastore_roots(full["datastore"], BUTLER_ROOT)
    if standalone:
        return {**content, **full}
    registry = content.setdefault("registry", {})
    registry["db"] = full["registry"]["db"]
    registry["managers"] = full["registry"]["managers"]
    if "datastores" in full["datastore"]:  # each child's defaults depend on its class, so a chain is written out
        content["datastore"] = full["datastore"]
        return content
    datastore = content.setdefault("datastore", {})
    datastore["cls"] = full["datastore"]["cls"]
    if "records" in full["datastore"]:
        datastore.setdefault("records", {})["table"] = full["datastore"]["records"]["table"]
    if "root" in full["datastore"]:
        datastore["root"] = full["datastore"]["root"]
    return content


def _set_datastore_roots(datastore: dict[str, Any], root: str) -> None:
    children = datastore.get("datastores")
    if not isinstance(children, list):
        if "root" in datastore:
            datastore["root"] = root
        return
    for position, child in enumerate(children):
        name = str(child["cls"]).rpartition(".")[2]
        _set_datastore_roots(child, f"{root}/{name}_{position}")


def create_repository_config(
    root: Any,
    seed: Any = None,
    *,
    search_paths: Iterable[Any] | None = None,
    standalone: bool = False,
    force_root: bool = True,
    outfile: Any = None,
    overwrite: bool = False,
) -> ButlerConfig:
    """Make a repository's directory and write its configuration; returns it with all defaults.

    Parameters
    ----------
    root
        The directory, made if missing. Its name may hold dots, spaces, `#`, `?` and `%`. Or the URI of a folder of an
        object store: the seed then names a database on a server.
    seed
        A configuration (path, mapping or None) whose keys are kept.
    search_paths
        Folders with default files that are stronger than the usual ones.
    standalone
        Write every default out, so that the file says everything.
    force_root
        Put the database and the files below `root`, whatever the seed says.
    outfile
        Write here instead of `butler.yaml` in `root`, adding the key `root`.
    overwrite
        Replace a file that exists; otherwise it raises `FileExistsError`.

    """
    from urllib.parse import quote

    seed_config = Config(seed)
    refuse_collections_in_config(seed_config)
    content = _new_repository_content(seed_config, search_paths, standalone, force_root)
    directory = to_local_path(root)
    if directory is not None:
        directory = os.path.abspath(directory)
    target = os.path.join(directory or str(root), CONFIG_NAME)
    if outfile is not None:
        local = to_local_path(outfile)
        target = os.path.abspath(local) if local is not None else str(outfile)
        content["root"] = "file://" + quote(directory) + "/" if directory is not None else str(root)
    if "://" in target:
        _write_remote(target, _yaml.dump(content), overwrite)
    else:
        os.makedirs(directory or os.path.dirname(target), exist_ok=True)
        _write_local(target, _yaml.dump(content), overwrite)
    made = ButlerConfig(Config(Path(target) if "://" not in target else target), searchPaths=search_paths)
    made.configFile, made.configDir = target, os.path.dirname(target)
    return made


def _write_remote(target: str, text: str, overwrite: bool) -> None:
    from lsst.resources import ResourcePath

    try:
        ResourcePath(target).write(text.encode(), overwrite=overwrite)
    except FileExistsError as error:
        raise FileExistsError(_exists_already(target)) from error


def _exists_already(target: str) -> str:
    return f"`{target}` already exists; a repository is not created over another"


def _write_local(target: str, text: str, overwrite: bool) -> None:
    if os.path.exists(target) and not overwrite:
        raise FileExistsError(_exists_already(target))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        with open(target, "w" if overwrite else "x", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and not overwrite:  # an empty file, alone in its folder
            os.unlink(target)
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(target))
            error.filename = error.filename or target
        raise
