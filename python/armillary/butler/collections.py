"""The collections of a repository: `Butler.collections`."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import TYPE_CHECKING, overload

from armillary.butler.collection_type import CollectionType
from armillary.errors import CollectionExpressionError, DatasetTypeExpressionError

if TYPE_CHECKING:
    from armillary import _core
    from armillary._core import DatasetType

__all__ = ["ButlerCollections", "CollectionInfo"]


@dataclasses.dataclass(frozen=True, order=True)
class CollectionInfo:
    """What there is to know about one collection.

    Attributes
    ----------
    name, type, doc
        The collection itself.
    children
        Collections of a chain, in search order.
    parents
        Chains that hold it, or None if they were not asked for.
    dataset_types
        Names of dataset types that it may hold, or None if they were not asked for.
    """

    name: str
    type: CollectionType
    doc: str = ""
    children: tuple[str, ...] = ()
    parents: frozenset[str] | None = None
    dataset_types: frozenset[str] | None = None


def as_names(expression: str | Iterable[str]) -> list[str]:
    """Make a list of one name or many."""
    return [expression] if isinstance(expression, str) else list(expression)


def is_glob(name: str) -> bool:
    """Whether a collection expression holds wildcards."""
    return any(character in name for character in "*?") or ("[" in name and "]" in name)


def as_patterns(expression: object) -> list[str] | None:
    """Turn a collection or dataset type expression into patterns; None stands for everything.

    `...`, None, `"*"` and a list holding one of them mean everything.
    """
    if expression is None or expression is Ellipsis:
        return None
    if isinstance(expression, str):
        return None if expression == "*" else [expression]
    name = getattr(expression, "name", None)
    if isinstance(name, str):  # a dataset type or a collection record
        return [name]
    if isinstance(expression, Iterable):
        patterns: list[str] = []
        for item in expression:
            inner = as_patterns(item)
            if inner is None:
                return None
            patterns.extend(inner)
        return patterns
    raise CollectionExpressionError(f"`{expression!r}` is not a collection name, a glob, or a list of them")


def dataset_type_patterns(expression: object) -> list[str] | None:
    """Do the same for dataset types, for which regular expressions have never been allowed."""
    try:
        return as_patterns(expression)
    except CollectionExpressionError:
        raise DatasetTypeExpressionError(
            f"`{expression!r}` is not a dataset type, a name, a glob such as `*_metrics`, or a list of them"
        ) from None


def without_regular_expressions(registry: _core.Registry, expression: object) -> object:
    """Replace regular expressions by the names of the collections that they match."""
    parts = list(expression) if isinstance(expression, (list, tuple, set, frozenset)) else [expression]
    if not any(isinstance(part, re.Pattern) for part in parts):
        return expression
    warnings.warn(
        "regular expressions for collections are going away; use globs such as `run/*`", FutureWarning, stacklevel=4
    )
    names: list[object] = []
    for part in parts:
        if isinstance(part, re.Pattern):
            names.extend(name for name in registry.query_collections(None) if part.fullmatch(name))
        else:
            names.append(part)
    return names


class ButlerCollections(Sequence[str]):
    """The collections of a repository; as a sequence, the butler's default collections.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository() as butler:
    ...     butler.collections.register("u/me/run")
    ...     butler.collections.query("u/*")
    True
    ['u/me/run']
    """

    def __init__(self, registry: _core.Registry, defaults: tuple[str, ...]):
        self._registry = registry
        self._defaults = defaults

    @property
    def defaults(self) -> Sequence[str]:
        """The collections that are searched when none are named."""
        return self._defaults

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return self._defaults[index]

    def __len__(self) -> int:
        return len(self._defaults)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ButlerCollections):
            return self._defaults == other._defaults
        return isinstance(other, Sequence) and not isinstance(other, str) and self._defaults == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ButlerCollections(defaults={self._defaults})"

    def register(self, name: str, type: CollectionType = CollectionType.RUN, doc: str | None = None) -> bool:
        """Make a collection; return whether it is new. One that exists stays as it is."""
        return self._registry.register_collection(name, int(type), doc)

    def query(
        self,
        expression: str | Iterable[str],
        collection_types: Set[CollectionType] | CollectionType | None = None,
        flatten_chains: bool = False,
        include_chains: bool | None = None,
    ) -> list[str]:
        """List the names of collections that match names or globs.

        Raises
        ------
        MissingCollectionError
            If a name without wildcards does not exist.
        """
        return self._registry.query_collections(
            as_patterns(without_regular_expressions(self._registry, expression)),
            _kinds(collection_types),
            flatten_chains=flatten_chains,
            include_chains=include_chains,
        )

    def get_info(self, name: str, include_parents: bool = False, include_summary: bool = False) -> CollectionInfo:
        """Describe one collection.

        Raises
        ------
        MissingCollectionError
            If it does not exist.
        """
        found, kind, doc, children = self._registry.collection(name)
        return CollectionInfo(
            name=found,
            type=CollectionType(kind),
            doc=doc or "",
            children=tuple(children),
            parents=frozenset(self._registry.parents(name)) if include_parents else None,
            dataset_types=frozenset(self._registry.collection_summary(name)[0]) if include_summary else None,
        )

    def query_info(
        self,
        expression: str | Iterable[str],
        collection_types: Set[CollectionType] | CollectionType | None = None,
        flatten_chains: bool = False,
        include_chains: bool | None = None,
        include_parents: bool = False,
        include_summary: bool = False,
        include_doc: bool = False,
        summary_datasets: Iterable[DatasetType] | Iterable[str] | None = None,
    ) -> list[CollectionInfo]:
        """Describe the collections that match names or globs."""
        wanted = None
        if summary_datasets is not None:
            wanted = frozenset(getattr(item, "name", item) for item in summary_datasets)
        result = []
        for name in self.query(expression, collection_types, flatten_chains, include_chains):
            info = self.get_info(name, include_parents, include_summary)
            if wanted is not None and info.dataset_types is not None:
                info = dataclasses.replace(info, dataset_types=info.dataset_types & wanted)
            result.append(info)
        return result

    def redefine_chain(self, parent_collection_name: str, child_collection_names: str | Iterable[str]) -> None:
        """Replace the children of a chain.

        Raises
        ------
        CollectionCycleError
            If the chain would hold itself.
        CollectionTypeError
            If the parent is not a chain.
        MissingCollectionError
            If the parent or a child does not exist.
        """
        self._registry.set_chain(parent_collection_name, as_names(child_collection_names))

    def prepend_chain(self, parent_collection_name: str, child_collection_names: str | Iterable[str]) -> None:
        """Put children at the front of a chain; those already in it move there."""
        self._registry.prepend_chain(parent_collection_name, as_names(child_collection_names))

    def extend_chain(self, parent_collection_name: str, child_collection_names: str | Iterable[str]) -> None:
        """Put children at the end of a chain; those already in it move there."""
        self._registry.extend_chain(parent_collection_name, as_names(child_collection_names))

    def remove_from_chain(self, parent_collection_name: str, child_collection_names: str | Iterable[str]) -> None:
        """Take children out of a chain; those not in it are ignored."""
        self._registry.remove_from_chain(parent_collection_name, as_names(child_collection_names))

    def x_remove(self, name: str) -> None:
        """Remove a collection.

        Raises
        ------
        OrphanedRecordError
            If a chain or stored datasets still need it.
        """
        self._registry.remove_collection(name)


class CollectionChains:
    """The chains of a repository as a mapping from name to children: the older `Butler.collection_chains`."""

    def __init__(self, collections: ButlerCollections):
        self._collections = collections

    def __getitem__(self, name: str) -> tuple[str, ...]:
        return self._collections.get_info(name).children

    def __setitem__(self, name: str, children: str | Iterable[str]) -> None:
        self._collections.redefine_chain(name, children)

    def __iter__(self) -> Iterator[str]:
        return iter(self._collections.query("*", CollectionType.CHAINED))


def _kinds(types: Iterable[CollectionType] | CollectionType | None) -> list[int] | None:
    if types is None:
        return None
    kinds: Iterable[CollectionType | str] = [types] if isinstance(types, CollectionType | str) else types
    return sorted(int(CollectionType.from_name(kind) if isinstance(kind, str) else kind) for kind in kinds)
