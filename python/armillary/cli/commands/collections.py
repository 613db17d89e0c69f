"""Commands that change collections."""

from __future__ import annotations

import click

from armillary.cli.command import command
from armillary.cli.completion import collections as complete_collections
from armillary.cli.options import confirm_option, globs, repo_argument, split_commas

__all__ = ["collection_chain", "remove_collections", "remove_runs"]


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

    names = split_commas(children)
    with Butler(repo, writeable=True) as butler:
        with butler.transaction():
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

    with Butler(repo, writeable=True) as butler:
        kinds = {CollectionType.TAGGED, CollectionType.CHAINED, CollectionType.CALIBRATION}
        names = butler.collections.query(split_commas(patterns), kinds)
        if not names:
            click.echo("nothing to remove: no collection that is not a RUN matches")
            return
        click.echo("\n".join(names))
        if confirm:
            click.confirm(f"remove these {len(names)} collections?", abort=True)
        with butler.transaction():
            for name in names:
                if remove_from_parents:
                    for parent in butler.registry.getCollectionParentChains(name):
                        butler.collections.remove_from_chain(parent, name)
                butler.collections.x_remove(name)


@command("butler remove-runs REPO 'u/me/test/*'\nbutler remove-runs REPO u/me/run --force --no-confirm")
@repo_argument
@globs("patterns", "RUN", required=True)
@confirm_option
@click.option("--force", is_flag=True, help="Take them out of the chains that hold them first.")
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
            click.confirm(f"remove these {len(names)} runs with all their datasets and files?", abort=True)
        butler.removeRuns(names, unlink_from_chains=force)
