"""Making a new repository."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any

from armillary import _core
from armillary.config import ButlerConfig, Config
from armillary.repository_config import (
    DatabaseLocation,
    create_repository_config,
    database_location,
    repository_root,
)

__all__ = ["create_database", "make_repository", "open_database"]


def read_universe(document: Any) -> _core.DimensionUniverse:
    """Make a universe from a dimension document: a mapping, or a YAML or JSON file; None for the current one."""
    if document is None:
        return _core.DimensionUniverse()
    content = document if isinstance(document, Mapping) else Config(document)
    plain = content.toDict() if isinstance(content, Config) else dict(content)
    return _core.DimensionUniverse.from_json(json.dumps(plain, ensure_ascii=False))


def create_database(location: DatabaseLocation, universe: _core.DimensionUniverse) -> None:
    """Make the tables of a new repository; all of them or none."""
    if location.path is not None:
        _core.Registry.create(location.path, universe)
    elif location.server is not None:
        server = location.server
        _core.Registry.create_on_server(server.url, universe, password=server.password, namespace=location.namespace)
    else:
        raise NotImplementedError("a registry in memory cannot be made; give a file or a server")


def open_database(location: DatabaseLocation, writeable: bool, durability: str = "full") -> _core.Registry:
    """Open the database of a repository."""
    if location.path is not None:
        return _core.Registry.open(location.path, writeable=writeable, durability=durability)
    if location.server is not None:
        server = location.server
        return _core.Registry.open_on_server(
            server.url,
            writeable=writeable,
            password=server.password,
            namespace=location.namespace,
            durability=durability,
        )
    raise NotImplementedError("a registry in memory cannot be opened; give a file or a server")


def _remove(path: str) -> None:
    if "://" not in path:
        os.unlink(path)
        return
    from lsst.resources import ResourcePath

    ResourcePath(path).remove()


def make_repository(root: Any, config: Any, dimension_config: Any, **options: Any) -> ButlerConfig:
    """Write the configuration and the database of a new repository; leave nothing if either fails."""
    universe = read_universe(dimension_config)
    existed = os.path.isdir(os.fspath(root))
    written = create_repository_config(root, config, **options)
    assert written.configFile is not None, "a configuration that was just written has a file"
    made: list[str] = [written.configFile]
    try:
        location = database_location(written, repository_root(written, written.configFile))
        if location.path is not None and not os.path.exists(location.path):
            made += [location.path, f"{location.path}-journal"]
        create_database(location, universe)
    except BaseException:
        for path in made:
            with contextlib.suppress(FileNotFoundError):
                _remove(path)
        if not existed:
            with contextlib.suppress(OSError):  # what else is in it is not ours
                os.rmdir(os.fspath(root))
        raise
    return written
