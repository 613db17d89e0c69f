"""How far long work has come, told on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TypeVar

import click

__all__ = ["track", "wanted"]

Item = TypeVar("Item")


def wanted() -> bool:
    """Whether progress is shown: as `--progress` or `--no-progress` say, else on a terminal."""
    context = click.get_current_context(silent=True)
    given = None if context is None else context.find_root().params.get("progress")
    return sys.stderr.isatty() if given is None else bool(given)


def track(items: Sequence[Item], text: str) -> Iterator[Item]:
    """Go through items with a bar on standard error.

    >>> list(track([1, 2], "counting"))
    [1, 2]
    """
    if not wanted() or not items:
        yield from items
        return
    from rich.console import Console
    from rich.progress import track as bar

    yield from bar(items, text, console=Console(stderr=True), transient=sys.stderr.isatty())
