"""Options and arguments that several commands share, with what a shell may complete them to."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from armillary.cli.completion import collections as complete_collections
from armillary.cli.completion import dataset_types as complete_dataset_types
from armillary.cli.completion import dimensions as complete_dimensions
from armillary.cli.completion import repositories as complete_repositories
from armillary.durability import DURABILITIES, DURABILITY_VARIABLE

__all__ = [
    "collections_option",
    "combined",
    "confirm_option",
    "dataset_type_option",
    "durability_option",
    "explain_option",
    "find_first_option",
    "globs",
    "limit_option",
    "order_by_option",
    "query_options",
    "repo_argument",
    "selection_options",
    "split_commas",
    "track_file_attrs_option",
    "transfer_dimensions_option",
    "transfer_option",
    "where_option",
]

Function = TypeVar("Function", bound=Callable[..., Any])

TRANSFER_MODES = ("auto", "link", "symlink", "hardlink", "copy", "move", "relsymlink", "direct")

repo_argument = click.argument("repo", metavar="REPO", shell_complete=complete_repositories)


def split_commas(values: tuple[str, ...] | str | None) -> list[str]:
    """Give the parts of arguments that may be separated by blanks or commas."""
    if values is None:
        return []
    return [
        part.strip()
        for value in ([values] if isinstance(values, str) else values)
        for part in value.split(",")
        if part.strip()
    ]


def combined(*options: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Give one decorator for several; help lists them in this order."""

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_COMPLETIONS = {"COLLECTION": complete_collections, "DIMENSION": complete_dimensions}


def globs(name: str, metavar: str, **attributes: Any) -> Callable[[Function], Function]:
    """An argument that takes any number of names or globs."""
    complete = next((found for word, found in _COMPLETIONS.items() if word in metavar), complete_dataset_types)
    return click.argument(name, nargs=-1, metavar=f"[{metavar}]...", shell_complete=complete, **attributes)


where_option = click.option(
    "--where",
    default="",
    metavar="TEXT",
    help="Expression that must hold, e.g. \"visit > 100 AND band = 'r'\".",
)
order_by_option = click.option(
    "--order-by",
    "order_by",
    multiple=True,
    metavar="NAME",
    help="Sort by dimensions or fields; `-NAME` sorts downwards.",
)
collections_option = click.option(
    "--collections",
    multiple=True,
    metavar="NAMES",
    help="Collections to search: names or globs, with commas.",
    shell_complete=complete_collections,
)
dataset_type_option = click.option(
    "-d",
    "--dataset-type",
    "dataset_types",
    multiple=True,
    metavar="GLOB",
    help="Dataset types: names or globs, with commas; all by default.",
    shell_complete=complete_dataset_types,
)
transfer_option = click.option(
    "-t",
    "--transfer",
    type=click.Choice(TRANSFER_MODES),
    default="auto",
    show_default=True,
    help="How files get there.",
)
confirm_option = click.option("--confirm/--no-confirm", default=True, help="Ask before anything is removed.")


def _use_durability(ctx: click.Context, _parameter: click.Parameter, chosen: str | None) -> None:
    """Set the environment variable while the command runs: processes that it starts see it, too."""
    if chosen is None:
        return
    before = os.environ.get(DURABILITY_VARIABLE)
    os.environ[DURABILITY_VARIABLE] = chosen

    def restore() -> None:
        if before is None:
            os.environ.pop(DURABILITY_VARIABLE, None)
        else:
            os.environ[DURABILITY_VARIABLE] = before

    ctx.call_on_close(restore)


durability_option = click.option(
    "--durability",
    type=click.Choice(tuple(DURABILITIES)),
    expose_value=False,
    callback=_use_durability,
    help="What is synced, so that no power cut undoes it: each write (full, the default), the files of a transaction "
    "together (batch), nothing (none).",
)
track_file_attrs_option = click.option(
    "--track-file-attrs/--no-track-file-attrs", default=True, help="Record the sizes of files."
)


explain_option = click.option(
    "--explain", is_flag=True, help="Show how much each condition and each search leaves, not the rows themselves."
)


def limit_option(limit: int) -> Callable[[Function], Function]:
    """`--limit`, with a default."""
    return click.option(
        "--limit",
        type=int,
        default=limit,
        show_default=True,
        help="Most rows; 0 for all, negative warns when there are more.",
    )


def transfer_dimensions_option(default: bool) -> Callable[[Function], Function]:
    """`--transfer-dimensions`, with a default."""
    return click.option(
        "--transfer-dimensions/--no-transfer-dimensions",
        default=default,
        show_default=True,
        help="Copy dimension records that are missing.",
    )


def find_first_option(default: bool = False) -> Callable[[Function], Function]:
    """`--find-first`, with a default."""
    return click.option(
        "--find-first/--no-find-first",
        default=default,
        help="Only the first of each data ID; needs collections without globs.",
    )


def query_options(*, limit: int = -20000) -> Callable[[Function], Function]:
    """`--where`, `--order-by`, `--limit` and `--collections`."""
    return combined(collections_option, where_option, order_by_option, limit_option(limit))


def selection_options(
    *, limit: int = 0, find_first: bool = False, order_by: bool = True
) -> Callable[[Function], Function]:
    """Options of commands that work on the datasets that a query finds."""
    ordering = (order_by_option,) if order_by else ()
    return combined(
        dataset_type_option,
        collections_option,
        where_option,
        find_first_option(find_first),
        *ordering,
        limit_option(limit),
    )
