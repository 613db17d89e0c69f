"""Commands that change collections."""

from __future__ import annotations

import contextlib

import click

from armillary._words import these
from armillary.cli.command import command
from armillary.cli.completion import collections as complete_collections
from armillary.cli.options import confirm_option, durability_option, globs, repo_argument, split_commas
from armillary.cli.output import Table, format_option, write_tables

__all__ = ["collection_chain", "remove_collections", "remove_runs", "undo"]


@command(
    "butler collection-chain REPO u/me/chain u/me/run,LSSTCam/defaults\n"
    "butler collection-chain REPO u/me/chain u/me/newer --mode prepend\n"
    "butler collection-chain REPO u/me/chain --mode pop -- -1"
)
@repo_argument
@click.argument("parent", shell_complete=complete_collections)
@globs("children", "COLLECTION")
@click.option(
    "--mode",
    type=click.Choice(["redefine", "extend", "remove", "prepend", "pop"]),
    default="redefine",
    show_default=True,
    help="What to do with the children; `pop` takes positions (default 0), negative ones after `--`.",
)
@click.option("--flatten/--no-flatten", default=False, help="Put in the children of chains instead of the chains.")
@click.option("--doc", help="What to say about a new chain.")
def collection_chain(
    repo: str, parent: str, children: tuple[str, ...], mode: str, flatten: bool, doc: str | None
) -> None:
    """Make or change the chain PARENT."""
    from armillary.butler import Butler, CollectionType
    from armillary.butler.collection_journal import CollectionJournal

    names = split_commas(children)
    with Butler(repo, writeable=True) as butler:
        with CollectionJournal(butler).noting("collection-chain", parent), butler.transaction():
            if mode in ("redefine", "extend", "prepend"):
                butler.collections.register(parent, CollectionType.CHAINED, doc)
            if flatten:
                names = list(butler.collections.query(names, flatten_chains=True))
            if mode == "redefine":
                butler.collections.redefine_chain(parent, names)
            elif mode == "extend":
                butler.collections.extend_chain(parent, names)
            elif mode == "prepend":
                butler.collections.prepend_chain(parent, names)
            elif mode == "remove":
                butler.collections.remove_from_chain(parent, names)
            else:
                now = butler.collections.get_info(parent).children
                try:
                    gone = [now[int(position)] for position in names or ["0"]]
                except (IndexError, ValueError) as error:
                    raise click.UsageError(
                        f"`{parent}` has {len(now)} children; `pop` takes their positions ({error})"
                    ) from error
                butler.collections.remove_from_chain(parent, gone)
        click.echo(f"[{', '.join(butler.collections.get_info(parent).children)}]")


@command("butler remove-collections REPO 'u/me/tag*' --remove-from-parents --no-confirm")
@repo_argument
@globs("patterns", "COLLECTION", required=True)
@confirm_option
@click.option("--remove-from-parents", is_flag=True, help="Take them out of the chains that hold them first.")
def remove_collections(repo: str, patterns: tuple[str, ...], confirm: bool, remove_from_parents: bool) -> None:
    """Remove TAGGED, CHAINED and CALIBRATION collections that match; their datasets stay in their runs."""
    from armillary.butler import Butler, CollectionType
    from armillary.butler.collection_journal import CollectionJournal

    with Butler(repo, writeable=True) as butler:
        kinds = {CollectionType.TAGGED, CollectionType.CHAINED, CollectionType.CALIBRATION}
        names = butler.collections.query(split_commas(patterns), kinds)
        if not names:
            click.echo("nothing to remove: no collection that is not a RUN matches")
            return
        click.echo("\n".join(names))
        if confirm:
            click.confirm(f"remove {these(len(names), 'collection')}?", abort=True)
        parents = {
            name: sorted(butler.registry.getCollectionParentChains(name)) if remove_from_parents else []
            for name in names
        }
        journal = CollectionJournal(butler)
        with contextlib.ExitStack() as notes:
            # Notes are written in the opposite order, and undone in this one: a chain needs its children.
            for name in names:
                info = butler.collections.get_info(name, include_summary=True)
                notes.enter_context(journal.noting("remove-collections", name, info.dataset_types or ()))
            for chain in sorted({parent for found in parents.values() for parent in found} - set(names)):
                notes.enter_context(journal.noting("remove-collections", chain))
            with butler.transaction():
                for name in names:
                    for parent in parents[name]:
                        butler.collections.remove_from_chain(parent, name)
                    butler.collections.x_remove(name)


@command("butler remove-runs REPO 'u/me/test/*'\nbutler remove-runs REPO u/me/run --force --no-confirm")
@repo_argument
@globs("patterns", "RUN", required=True)
@confirm_option
@click.option("--force", is_flag=True, help="Take them out of the chains that hold them first.")
@durability_option
def remove_runs(repo: str, patterns: tuple[str, ...], confirm: bool, force: bool) -> None:
    """Remove RUN collections that match names or globs, with all their datasets and files."""
    from armillary.butler import Butler, CollectionType

    with Butler(repo, writeable=True) as butler:
        names = butler.collections.query(split_commas(patterns), CollectionType.RUN)
        if not names:
            click.echo("nothing to remove: no RUN matches")
            return
        click.echo("\n".join(names))
        if confirm:
            click.confirm(f"remove {these(len(names), 'run')} with all datasets and files?", abort=True)
        butler.removeRuns(names, unlink_from_chains=force)


@command("butler undo REPO\nbutler undo REPO --list")
@repo_argument
@click.option("--list", "listing", is_flag=True, help="Only list the edits that are noted, the last one first.")
@format_option
def undo(repo: str, listing: bool, form: str) -> None:
    """Undo the last edit of a collection that this command made: a chain, tags, certifications or a removal.

    Edits are noted in a file beside `butler.yaml`. One is undone only if the collection was not changed since.
    """
    from armillary.butler import Butler
    from armillary.butler.collection_journal import CollectionJournal

    with Butler(repo, writeable=not listing) as butler:
        journal = CollectionJournal(butler)
        if listing:
            edits = list(reversed(journal.edits()))
            columns = ["when", "who", "edit", "collection", "dataset types"]
            rows = [[edit.when, edit.who, edit.what, edit.name, edit.dataset_types] for edit in edits]
            records = [dict(zip([*columns[:-1], "dataset_types"], row, strict=True)) for row in rows]
            write_tables([Table(columns, [[*row[:-1], ", ".join(row[-1])] for row in rows], records)], form)
            return
        edit = journal.undo()
    types = f" ({', '.join(edit.dataset_types)})" if edit.dataset_types else ""
    gone = ": it is gone again" if edit.before is None else ""
    click.echo(f"`{edit.name}` is as it was before `{edit.what}`{types} of {edit.when} by {edit.who}{gone}")
