"""Addresses of single datasets, and butlers by the labels of their repositories."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlparse

from armillary._words import did_you_mean

if TYPE_CHECKING:
    from armillary._core import DatasetRef
    from armillary.butler.butler import Butler

__all__ = [
    "LabeledButlerFactory",
    "ParsedButlerDatasetURI",
    "SpecificButlerDataset",
    "find_dataset_of_uri",
    "parse_dataset_uri",
]


@dataclass(frozen=True)
class ParsedButlerDatasetURI:
    """What the address of a dataset says: the repository's label or place, the dataset's id, and the address itself."""

    label: str
    dataset_id: uuid.UUID
    uri: str


@dataclass(frozen=True)
class SpecificButlerDataset:
    """A butler and a dataset of its repository; None if the repository does not have it."""

    butler: Butler
    dataset: DatasetRef | None


def parse_dataset_uri(uri: str) -> ParsedButlerDatasetURI:
    """Read `ivo://AUTHORITY/PATH?repo=LABEL&id=UUID` or `butler://LABEL/UUID`; nothing is opened.

    Raises
    ------
    ValueError
        If the address is neither, or lacks label or id.

    Examples
    --------
    >>> parse_dataset_uri("butler://dp1/01234567-89ab-cdef-0123-456789abcdef").label
    'dp1'
    """
    parts = urlparse(str(uri))
    if parts.scheme == "ivo":
        asked = parse_qs(parts.query)
        labels, ids = asked.get("repo", []), asked.get("id", [])
        if not labels or not ids:
            raise ValueError(f"`{uri}` needs both `repo=` and `id=` to name a dataset")
        if len(labels) > 1 or len(ids) > 1:
            raise ValueError(f"`{uri}` gives `repo=` or `id=` more than once")
        label, text = labels[0], ids[0]
    elif parts.scheme == "butler":
        label, text = parts.netloc, parts.path.lstrip("/")
        if not label:
            raise ValueError(f"`{uri}` names no repository; the form is `butler://LABEL/UUID`")
    else:
        raise ValueError(
            f"`{uri}` is not the address of a dataset; the forms are `ivo://…?repo=LABEL&id=UUID` and "
            "`butler://LABEL/UUID`"
        )
    try:
        dataset_id = uuid.UUID(text)
    except ValueError:
        raise ValueError(f"`{text}` in `{uri}` is not the id of a dataset, which is a UUID") from None
    return ParsedButlerDatasetURI(label, dataset_id, str(uri))


def find_dataset_of_uri(butler_class: type[Butler], uri: str, factory: Any = None) -> SpecificButlerDataset:
    """Open the repository an address names, by a factory if one is given, and look the dataset up."""
    parsed = parse_dataset_uri(uri)
    butler = butler_class(parsed.label) if factory is None else factory(parsed.label)
    return SpecificButlerDataset(butler, butler.get_dataset(parsed.dataset_id))


class LabeledButlerFactory:
    """Makes butlers by label, for services: each repository is opened once and the butlers share what was read.

    Parameters
    ----------
    repositories
        Place of each repository by label; by default the index of known repositories.
    writeable
        Whether the butlers may change anything.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository() as butler:
    ...     factory = LabeledButlerFactory({"mine": butler._root})
    ...     print(factory.create_butler("mine", access_token=None).run)
    ...     factory.close()
    None
    """

    def __init__(self, repositories: Mapping[str, str] | None = None, writeable: bool = False) -> None:
        self._repositories = None if repositories is None else dict(repositories)
        self._writeable = writeable
        self._opened: dict[str, Butler] = {}
        self._lock = threading.Lock()

    def create_butler(self, label: str, *, access_token: str | None = None) -> Butler:
        """Make a butler for the repository with a label. `access_token` is for repositories behind a server.

        Raises
        ------
        KeyError
            If no repository has the label.
        """
        with self._lock:
            opened = self._opened.get(label)
            if opened is None:
                opened = self._opened[label] = self._open(label)
        return opened.clone()

    def _open(self, label: str) -> Butler:
        from armillary.butler.butler import Butler
        from armillary.repository_config import repository_index

        known = repository_index() if self._repositories is None else self._repositories
        if label not in known:
            raise KeyError(f"no repository has the label `{label}`{did_you_mean(label, known)}")
        return Butler(known[label], writeable=self._writeable)

    def bind(self, access_token: str | None) -> Callable[[str], Butler]:
        """Give a function of a label alone, as `Butler.get_dataset_from_uri` takes it."""

        def create(label: str) -> Butler:
            return self.create_butler(label, access_token=access_token)

        return create

    def close(self) -> None:
        """Close the repositories; butlers that were made can no longer be used."""
        with self._lock:
            for butler in self._opened.values():
                butler.close()
            self._opened.clear()
