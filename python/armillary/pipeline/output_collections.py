"""Which collections a run reads and which it writes: the rules of `-i`, `-o` and `--output-run`."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from armillary.butler import CollectionType
from armillary.errors import CollectionTypeError, MissingCollectionError
from armillary.pipeline.reuse.reused_datasets import reused_collection, show_reused

if TYPE_CHECKING:
    from armillary.butler import Butler

__all__ = ["OutputCollections"]


@dataclasses.dataclass(frozen=True)
class OutputCollections:
    """The collections of one run; nothing is written until `register`.

    Attributes
    ----------
    run
        RUN that is written to.
    chain
        CHAINED collection that will hold the run, or None.
    inputs
        Search path, flattened.
    members
        What the chain will hold, in order.
    existing_run
        Whether the run is there already.
    replaced
        RUN that leaves the chain, or None.
    reused
        Datasets of earlier runs that stand for outputs; a TAGGED collection beside the run will hold them.
    """

    run: str
    chain: str | None
    inputs: tuple[str, ...]
    members: tuple[str, ...]
    existing_run: bool
    replaced: str | None = None
    reused: tuple[Any, ...] = ()

    @classmethod
    def plan(
        cls,
        butler: Butler,
        *,
        inputs: Sequence[str] = (),
        output: str | None = None,
        output_run: str | None = None,
        extend_run: bool = False,
        replace_run: bool = False,
        rebase: bool = False,
        now: datetime.datetime | None = None,
    ) -> OutputCollections:
        """Find out what a run with these options reads and writes.

        Parameters
        ----------
        inputs
            Input collections.
        output
            Chain to write to; a new RUN `output/<UTC time>` is put at its front.
        output_run
            RUN to write to.
        extend_run
            Write into the RUN at the front of `output`, or into an existing `output_run`.
        replace_run
            Take the RUN at the front of `output` out of the chain.
        rebase
            Put the new inputs where the chain had its old ones.

        Raises
        ------
        ValueError
            If the options contradict each other or what is in the repository.
        MissingCollectionError
            If an input does not exist.
        """
        if output is None and output_run is None:
            raise ValueError("nowhere to write to: give `-o CHAIN` or `--output-run RUN`")
        if replace_run and extend_run:
            raise ValueError(
                "`--replace-run` starts a new run and `--extend-run` goes on with the old one: give one of them"
            )
        chain = _existing_chain(butler, output)
        if output is not None and chain is None and (extend_run or replace_run) and output_run is None:
            flag = "--extend-run" if extend_run else "--replace-run"
            raise ValueError(f"`{flag}` needs a run to go on from, but the chain `{output}` does not exist or is empty")
        if not inputs and chain is None and output_run is None:
            raise ValueError("nothing to read from: give input collections with `-i`")
        flat = tuple(butler.collections.query(list(inputs), flatten_chains=True)) if inputs else ()
        replaced = chain[0] if chain and replace_run else None
        gone = (replaced, replaced and reused_collection(replaced))
        kept = tuple(name for name in chain or () if name not in gone)
        kept = _rebased(output, kept, flat) if rebase else _checked(output, kept, flat, chain is not None)
        run = output_run or (chain[0] if chain and extend_run else f"{output}/{_timestamp(now)}")
        existing = _check_run(butler, run, extend_run)
        # An existing chain holds its inputs already.
        path = kept if chain is not None else flat
        own = (run, *([reused_collection(run)] if existing and _exists(butler, reused_collection(run)) else []))
        members = (*own, *(name for name in path if name not in own))
        if existing and run not in path:
            path = (*own, *path)
        return cls(run, output, tuple(dict.fromkeys(path)), members, existing, replaced)

    @property
    def done(self) -> tuple[str, ...]:
        """Where outputs of the run are already: itself, and what it uses again; nothing if it is new."""
        shown = reused_collection(self.run)
        return (self.run, *([shown] if shown in self.members else [])) if self.existing_run else ()

    def with_reused(self, butler: Butler, refs: Sequence[Any]) -> OutputCollections:
        """Return the same with datasets of earlier runs shown after the run.

        Raises
        ------
        ValueError
            The collection that they would be put into is there already.
        """
        if not refs:
            return self
        name = reused_collection(self.run)
        if not self.existing_run and _exists(butler, name):
            raise ValueError(f"the collection `{name}` already exists; remove it, or take another name for the run")
        members = dict.fromkeys([self.run, name, *self.members])
        return dataclasses.replace(self, members=tuple(members), reused=tuple(refs))

    def register(self, butler: Butler) -> Callable[[], None]:
        """Make the run and the chain, or change the chain; all of it or nothing.

        Returns
        -------
        undo
            Makes everything as it was, with whatever is in a new run removed; for a run that could not be begun.
        """
        before: tuple[str, ...] | None = None
        with butler.transaction():
            new_run = butler.collections.register(self.run, CollectionType.RUN)
            shown = show_reused(butler, self.run, self.reused)
            if self.chain is not None:
                if not butler.collections.register(self.chain, CollectionType.CHAINED):
                    before = tuple(butler.collections.get_info(self.chain).children)
                if before != self.members:
                    butler.collections.redefine_chain(self.chain, self.members)

        def undo() -> None:
            if not new_run:
                return
            if self.chain is not None and before is None:
                butler.collections.x_remove(self.chain)
            elif self.chain is not None:
                butler.collections.redefine_chain(self.chain, before or ())
            if shown is not None:
                butler.collections.x_remove(shown)
            butler.removeRuns([self.run])

        return undo

    def register_reused(self, butler: Butler) -> None:
        """Make the run and the chain where nothing is left to run; nothing is done if nothing is used again."""
        if self.reused:
            self.register(butler)

    def prune_replaced(self, butler: Butler, mode: str | None, keep_types: frozenset[str] = frozenset()) -> None:
        """Remove what the replaced run holds: all of it ("purge"), or the files of task outputs ("unstore")."""
        if mode is None or self.replaced is None:
            return
        if mode == "purge":
            with contextlib.suppress(MissingCollectionError):
                butler.collections.x_remove(reused_collection(self.replaced))
            butler.removeRuns([self.replaced])
            return
        refs = [
            ref
            for ref in butler.query_all_datasets(self.replaced, find_first=False, limit=None)
            if ref.datasetType.name not in keep_types and not ref.datasetType.name.endswith("_config")
        ]
        butler.pruneDatasets(refs, disassociate=False, unstore=True)


def _exists(butler: Any, name: str) -> bool:
    try:
        butler.collections.get_info(name)
    except MissingCollectionError:
        return False
    return True


def _timestamp(now: datetime.datetime | None) -> str:
    return (now or datetime.datetime.now(datetime.UTC)).strftime("%Y%m%dT%H%M%SZ")


def _existing_chain(butler: Any, name: str | None) -> tuple[str, ...] | None:
    """Give the flattened members of a chain, or None if there is none or it is empty."""
    if name is None:
        return None
    try:
        info = butler.collections.get_info(name)
    except MissingCollectionError:
        return None
    if info.type is not CollectionType.CHAINED:
        raise CollectionTypeError(f"`{name}` is a {info.type.name} collection; `-o` takes a CHAINED one or a new name")
    return tuple(butler.collections.query(name, flatten_chains=True)) or None


def _checked(output: str | None, chain: tuple[str, ...], flat: tuple[str, ...], exists: bool) -> tuple[str, ...]:
    """Give the members of a chain after checking that the inputs are a contiguous part of it."""
    if not exists or not flat:
        return chain
    for start in range(len(chain) - len(flat) + 1):
        if chain[start : start + len(flat)] == flat:
            return chain
    made_with = [name for name in chain if not name.startswith(f"{output}/")]
    before = f"with the inputs {', '.join(f'`{name}`' for name in made_with)}" if made_with else "without inputs"
    raise ValueError(
        f"the chain `{output}` was made {before}, and those given are {', '.join(f'`{name}`' for name in flat)}; "
        "leave `-i` out, or use `--rebase`"
    )


def _rebased(output: str | None, chain: tuple[str, ...], flat: tuple[str, ...]) -> tuple[str, ...]:
    """Put new inputs between a chain's own runs and its other members."""
    own = tuple(name for name in chain if output is not None and name.startswith(output))
    return tuple(dict.fromkeys((*own, *flat, *chain)))


def _check_run(butler: Any, run: str, extend: bool) -> bool:
    """Say whether a RUN exists; it may only if it is to be extended."""
    try:
        info = butler.collections.get_info(run)
    except MissingCollectionError:
        return False
    if info.type is not CollectionType.RUN:
        raise CollectionTypeError(f"`{run}` is a {info.type.name} collection, so nothing can be written to it")
    if not extend:
        raise ValueError(f"the run `{run}` already exists; use `--extend-run` to go on with it, or another name")
    return True
