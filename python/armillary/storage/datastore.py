"""Make the datastore a configuration describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.durability import choose_durability
from armillary.errors import ConfigurationError
from armillary.storage.chained_datastore import ChainedDatastore
from armillary.storage.datastore_config import Constraints
from armillary.storage.file_datastore import FileDatastore
from armillary.storage.in_memory_datastore import InMemoryDatastore
from armillary.storage.peer_names import to_own_name
from armillary.storage.storage_class import storage_class_factory

__all__ = ["make_datastore"]

_KINDS: dict[str, type[FileDatastore] | type[InMemoryDatastore]] = {
    "armillary.storage.file_datastore.FileDatastore": FileDatastore,
    "armillary.storage.in_memory_datastore.InMemoryDatastore": InMemoryDatastore,
}
_CHAIN = "armillary.storage.chained_datastore.ChainedDatastore"


def make_datastore(
    config: Mapping[str, Any],
    butler_root: str | None,
    *,
    universe: Any,
    writeable: bool,
    durability: str | None = None,
) -> FileDatastore | ChainedDatastore:
    """Make the datastore of a repository, and learn the storage classes its configuration defines.

    `config` is the repository's whole configuration with all defaults; for `durability` see
    `armillary.durability.choose_durability`. Raises `ConfigurationError` if it names a kind
    of datastore that cannot be used.
    """
    storage_class_factory().addFromConfig({"storageClasses": config.get("storageClasses") or {}})
    section = config["datastore"]
    children = _members(section, butler_root, universe, writeable)
    chosen = choose_durability(durability, config)
    for child, _ in children:
        if isinstance(child, FileDatastore):
            child.set_durability(chosen)
    if len(children) == 1 and isinstance(children[0][0], FileDatastore) and children[0][1] is None:
        return children[0][0]
    return ChainedDatastore([child for child, _ in children], [constraints for _, constraints in children])


def _members(
    section: Mapping[str, Any], butler_root: str | None, universe: Any, writeable: bool
) -> list[tuple[FileDatastore | InMemoryDatastore, Constraints | None]]:
    """The datastores a section describes, with what each takes as a member of its chain; chains in chains are flat."""
    name = to_own_name(str(section.get("cls", "")))
    kind = _KINDS.get(name)
    if kind is not None:
        return [(kind(section, butler_root, universe=universe, writeable=writeable), None)]
    if name != _CHAIN:
        raise ConfigurationError(
            f"`{section.get('cls')}` is not a datastore that can be used; use a FileDatastore, an InMemoryDatastore or "
            "a ChainedDatastore of these"
        )
    configured = list(section.get("datastores") or ())
    limits = list(section.get("datastore_constraints") or ())
    if limits and len(limits) != len(configured):
        raise ConfigurationError(
            f"`datastore_constraints` has {len(limits)} entries for {len(configured)} datastores; give one for each"
        )
    members: list[tuple[FileDatastore | InMemoryDatastore, Constraints | None]] = []
    for position, child in enumerate(configured):
        own = Constraints((limits[position] or {}).get("constraints"), universe) if limits else None
        found = _members(child.get("datastore", child), butler_root, universe, writeable)
        if own is not None and not own.empty:
            if any(inner is not None for _, inner in found):
                raise ConfigurationError("a chain with constraints inside a chain with constraints cannot be used")
            found = [(one, own) for one, _ in found]
        members += found
    return members
