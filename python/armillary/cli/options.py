"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["globs", "query_options", "repo_argument", "split_commas"]

Function = TypeVar("Function", bound=Callable[..., Any])

repo_argument = click.argument("repo", metavar="REPO")


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


def globs(name: str, metavar: str) -> Callable[[Function], Function]:
    """An argument that takes any number of names or globs."""
    return click.argument(name, nargs=-1, metavar=f"[{metavar}]...")


def query_options(*, limit: int = -20000) -> Callable[[Function], Function]:
    """`--where`, `--order-by`, `--limit` and `--collections`."""

    def decorate(function: Function) -> Function:
        for option in (
            click.option(
                "--limit",
                type=int,
                default=limit,
                show_default=True,
                help="Most rows; 0 for all, negative warns when there are more.",
            ),
            click.option(
                "--order-by",
                "order_by",
                multiple=True,
                metavar="NAME",
                help="Sort by dimensions or fields; `-NAME` sorts downwards.",
            ),
            click.option(
                "--where",
                default="",
                metavar="TEXT",
                help="Expression that must hold, e.g. \"visit > 100 AND band = 'r'\".",
            ),
            click.option(
                "--collections",
                multiple=True,
                metavar="NAMES",
                help="Collections to search: names or globs, with commas.",
            ),
        ):
            function = option(function)
        return function

    return decorate
