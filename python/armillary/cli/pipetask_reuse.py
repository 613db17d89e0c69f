"""`--reuse`: outputs of earlier runs in place of quanta that would make the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from armillary.cli.completion import collections as complete_collections
from armillary.cli.options import combined, split_commas

if TYPE_CHECKING:
    from armillary.butler import Butler
    from armillary.pipeline.output_collections import OutputCollections

__all__ = ["check_reuse", "reuse_arguments", "reuse_options", "tell_reuse", "with_reused"]

Function = TypeVar("Function", bound=Callable[..., Any])

_OTHERS = ("qgraph", "skip_existing", "skip_existing_in", "extend_run", "prune_unanchored_quanta")
"""Options that decide otherwise which quanta there are."""


def reuse_options() -> Callable[[Function], Function]:
    """Options of using outputs again."""
    return combined(
        click.option(
            "--reuse",
            is_flag=True,
            help="Leave out what an earlier run made with the same config and code from the same inputs: its outputs "
            "are used, and what is run and why is told.",
        ),
        click.option(
            "--reuse-from",
            multiple=True,
            metavar="NAMES",
            help="The same, with outputs of these collections or globs only.",
            shell_complete=complete_collections,
        ),
    )


def is_wanted(options: dict[str, Any]) -> bool:
    """Whether outputs are to be used again."""
    return bool(options["reuse"] or options["reuse_from"])


def check_reuse(options: dict[str, Any]) -> None:
    """Refuse options that do not go with it, before any work is done."""
    if not is_wanted(options):
        return
    for name in _OTHERS:
        if options.get(name):
            raise click.UsageError(
                f"`--reuse` and `--{name.replace('_', '-')}` both say which quanta are left out: give one of them"
            )
    if options["prune_replaced"]:
        raise click.UsageError("`--prune-replaced` would remove what `--reuse` takes from the replaced run")


def reuse_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """Arguments of the graph builder."""
    return {"reuse": is_wanted(options), "reuse_from": split_commas(options["reuse_from"])}


def with_reused(butler: Butler, collections: OutputCollections, metadata: Any) -> OutputCollections:
    """Add what a graph uses again, by the metadata of its header, to what will be made."""
    from armillary.pipeline.reuse.reused_datasets import find_reused

    return collections.with_reused(butler, find_reused(butler, metadata))


def tell_reuse(components: Any) -> None:
    """Say what is used again from where, and why the rest is run."""
    if components.reuse is not None:
        click.echo(str(components.reuse.report), err=True)
