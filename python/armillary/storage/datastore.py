"""Make the datastore a configuration describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.errors import ConfigurationError
from armillary.storage.file_datastore import FileDatastore
from armillary.storage.peer_names import to_own_name
from armillary.storage.storage_class import storage_class_factory

__all__ = ["make_datastore"]

_OWN = "armillary.storage."


def make_datastore(
    config: Mapping[str, Any], butler_root: str | None, *, universe: Any, writeable: bool
) -> FileDatastore:
    """Make the datastore of a repository, and learn the storage classes its configuration defines.

    `config` is the repository's whole configuration with all defaults. Raises `ConfigurationError` if it names a kind
    of datastore that cannot be used.
    """
    storage_class_factory().addFromConfig({"storageClasses": config.get("storageClasses") or {}})
    section = config["datastore"]
    name = to_own_name(str(section.get("cls", "")))
    if name == _OWN + "file_datastore.FileDatastore":
        return FileDatastore(section, butler_root, universe=universe, writeable=writeable)
    if name == _OWN + "chained_datastore.ChainedDatastore":
        return _first_of_files(section, butler_root, universe, writeable)
    raise ConfigurationError(f"`{section.get('cls')}` is not a datastore that can be used; use a FileDatastore")


def _first_of_files(
    section: Mapping[str, Any], butler_root: str | None, universe: Any, writeable: bool
) -> FileDatastore:
    """A chain is read and written through its only datastore of files; those in memory hold nothing yet."""
    children = [child for child in section.get("datastores") or () if "FileDatastore" in str(child.get("cls"))]
    if len(children) != 1:
        raise ConfigurationError(
            f"a chain with {len(children)} datastores of files cannot be used; chains of one, with datastores in "
            "memory before it, can"
        )
    return FileDatastore(children[0], butler_root, universe=universe, writeable=writeable)
