"""The collection that shows outputs of earlier runs beside those of a new one, and how a graph names them."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from armillary.errors import DatasetNotFoundError

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef

__all__ = ["KEY", "find_reused", "packed", "reused_collection", "show_reused"]

KEY = "reused"
"""Name in the metadata of a graph's header."""


def reused_collection(run: str) -> str:
    """Name of the TAGGED collection that belongs to a run.

    >>> reused_collection("u/me/20250101T000000Z")
    'u/me/20250101T000000Z/reused'
    """
    return f"{run}/reused"


def packed(refs: Iterable[DatasetRef]) -> str:
    """Return the ids of datasets as one piece of text: a header is read whole, and there may be many."""
    return base64.b64encode(b"".join(ref.id.bytes for ref in refs)).decode()


def unpacked(metadata: Mapping[str, Any]) -> list[uuid.UUID]:
    """Return the ids that the metadata of a header names.

    >>> unpacked({"reused": "AAAAAAAAAAAAAAAAAAAABw=="})
    [UUID('00000000-0000-0000-0000-000000000007')]
    """
    content = base64.b64decode(metadata.get(KEY) or "", validate=True)
    return [uuid.UUID(bytes=content[at : at + 16]) for at in range(0, len(content), 16)]


def find_reused(butler: Butler, metadata: Mapping[str, Any]) -> list[DatasetRef]:
    """Find the datasets of earlier runs that a graph counts on.

    Parameters
    ----------
    butler
        The repository.
    metadata
        Metadata of the header of the graph.

    Raises
    ------
    DatasetNotFoundError
        Some are there no more.
    """
    ids = unpacked(metadata)
    registry: Any = butler._core_registry
    found = [ref for ref in registry.get_datasets(ids) if ref is not None] if ids else []
    if len(found) < len(ids):
        raise DatasetNotFoundError(
            f"{len(ids) - len(found)} of the {len(ids)} datasets of earlier runs that the graph counts on were removed "
            "since it was built; build it again"
        )
    return found


def show_reused(butler: Butler, run: str, refs: Sequence[DatasetRef]) -> str | None:
    """Put datasets into the collection that belongs to a run; give its name, None without datasets."""
    if not refs:
        return None
    from armillary.butler import CollectionType

    name = reused_collection(run)
    with butler.transaction():
        butler.collections.register(name, CollectionType.TAGGED)
        butler.registry.associate(name, refs)
    return name
