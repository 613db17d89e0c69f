"""Removing an output chain with its runs, or the runs below its name that it no longer holds."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from armillary.butler import CollectionType
from armillary.errors import CollectionTypeError, OrphanedRecordError

if TYPE_CHECKING:
    from armillary.butler import Butler

__all__ = ["OutputRemoval"]


@dataclasses.dataclass
class OutputRemoval:
    """Collections that are to be removed; nothing happens until `carry_out`.

    Attributes
    ----------
    runs
        RUN collections, which go with all their datasets and files.
    chains
        CHAINED collections.
    others
        TAGGED and CALIBRATION collections, whose datasets stay in their runs.

    Examples
    --------
    >>> from armillary.testing import small_repository
    >>> with small_repository(run="u/me/1") as butler:
    ...     _ = butler.collections.register("u/me", CollectionType.CHAINED)
    ...     butler.collections.redefine_chain("u/me", ["u/me/1"])
    ...     removal = OutputRemoval.purge(butler, "u/me")
    ...     removal.carry_out(butler)
    ...     removal.runs, butler.collections.query("*")
    (['u/me/1'], [])
    """

    runs: list[str] = dataclasses.field(default_factory=list)
    chains: list[str] = dataclasses.field(default_factory=list)
    others: list[str] = dataclasses.field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """All of them."""
        return [*self.runs, *self.chains, *self.others]

    @classmethod
    def purge(cls, butler: Butler, chain: str, *, recursive: bool = False) -> OutputRemoval:
        """Find a chain and the members of it whose names begin with `chain/`.

        Parameters
        ----------
        butler
            The repository.
        chain
            A CHAINED collection that no other chain holds.
        recursive
            Whether chains below its name that it holds are removed in the same way; otherwise they stay.

        Raises
        ------
        MissingCollectionError
            There is no such collection.
        CollectionTypeError
            It is no chain.
        OrphanedRecordError
            It, or one of the collections to be removed, is in another chain too.
        """
        removal = cls()
        removal._add_chain(butler, chain, f"{chain}/", recursive)
        removal._check_parents(butler)
        return removal

    @classmethod
    def cleanup(cls, butler: Butler, chain: str) -> OutputRemoval:
        """Find the collections whose names begin with `chain/` that the chain does not hold, not even in a chain in it.

        Raises
        ------
        MissingCollectionError
            There is no such collection.
        CollectionTypeError
            It is no chain.
        OrphanedRecordError
            One of the collections to be removed is in a chain that stays.
        """
        _members(butler, chain)
        held = set(butler.collections.query(chain, flatten_chains=True, include_chains=True))
        removal = cls()
        for name in butler.collections.query(f"{chain}/*"):
            if name not in held:
                removal._add(butler, name)
        removal._check_parents(butler)
        return removal

    def _add(self, butler: Butler, name: str) -> None:
        kind = butler.collections.get_info(name).type
        by_kind = {CollectionType.RUN: self.runs, CollectionType.CHAINED: self.chains}
        by_kind.get(kind, self.others).append(name)

    def _add_chain(self, butler: Butler, chain: str, prefix: str, recursive: bool) -> None:
        if chain in self.chains:
            return
        self.chains.append(chain)
        for name in _members(butler, chain):
            if not name.startswith(prefix) or name in self.names:
                continue
            if butler.collections.get_info(name).type is not CollectionType.CHAINED:
                self._add(butler, name)
            elif recursive:
                self._add_chain(butler, name, prefix, recursive)

    def _check_parents(self, butler: Butler) -> None:
        going = set(self.chains)
        held = {
            name: sorted((butler.collections.get_info(name, include_parents=True).parents or frozenset()) - going)
            for name in self.names
        }
        told = [f"`{name}` is in {', '.join(f'`{p}`' for p in parents)}" for name, parents in held.items() if parents]
        if told:
            raise OrphanedRecordError(
                f"nothing was removed: {'; '.join(told)}; take it out first with `butler collection-chain REPO "
                "PARENT CHILD --mode remove`, or remove the chain that holds it"
            )

    def carry_out(self, butler: Butler) -> None:
        """Remove them all, in one transaction; files go last."""
        registry: Any = butler._core_registry
        ids = registry.packed_dataset_ids(self.runs)
        with butler._removing(ids), butler.transaction():
            for name in self.chains:
                registry.set_chain(name, [])
            for name in (*self.chains, *self.others):
                registry.remove_collection(name)
            butler._unstore(ids, purge=True)
            for name in self.runs:
                registry.remove_collection(name)


def _members(butler: Butler, chain: str) -> tuple[str, ...]:
    info = butler.collections.get_info(chain)
    if info.type is not CollectionType.CHAINED:
        raise CollectionTypeError(f"`{chain}` is a {info.type.name} collection, not a chain of outputs")
    return tuple(info.children)
