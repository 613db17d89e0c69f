"""What a shell may complete names to: labels, collections, dataset types, dimensions of the repository named before.

A shell asks at each press of a key, so that every answer costs one small query, and a failure is no answer.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

__all__ = ["collections", "dataset_types", "dimensions", "files", "repositories"]

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _quiet(names: Callable[[click.Context, str], Iterable[str]]) -> Completer:
    """Complete the part after the last comma; say nothing when something goes wrong."""

    @functools.wraps(names)
    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        heard = logging.root.manager.disable
        logging.disable()
        try:
            found = sorted(name for name in names(ctx, last) if name.startswith(last))
        except Exception:  # whatever is wrong with the repository, a key press is no place to tell
            return []
        finally:
            logging.disable(heard)
        return [CompletionItem(before + comma + name) for name in found]

    return complete


def _opened(ctx: click.Context) -> Any:
    from armillary.butler import Butler

    place = ctx.params.get("repo") or ctx.params.get("butler_config") or ctx.params.get("source")
    if place is None and ctx.args:  # an option that still lacks its value keeps click from reading the arguments
        place = ctx.args[0]
    return Butler(place)


@_quiet
def _labels(_: click.Context, __: str) -> Iterable[str]:
    from armillary.butler import Butler

    return sorted(Butler.get_known_repos())


def repositories(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Labels of known repositories, and directories."""
    labels = _labels(ctx, parameter, incomplete)
    if labels and os.sep not in incomplete:
        return labels
    return [CompletionItem(incomplete, type="dir")]


def files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, which the shell finds itself."""
    return [CompletionItem(incomplete, type="file")]


@_quiet
def collections(ctx: click.Context, _: str) -> Iterable[str]:
    """Names of collections."""
    with _opened(ctx) as butler:
        return tuple(butler.collections.query("*"))


@_quiet
def dataset_types(ctx: click.Context, _: str) -> Iterable[str]:
    """Names of dataset types."""
    with _opened(ctx) as butler:
        return [found.name for found in butler.registry.queryDatasetTypes(...)]


@_quiet
def dimensions(ctx: click.Context, _: str) -> Iterable[str]:
    """Names of dimensions and other elements."""
    with _opened(ctx) as butler:
        return [element.name for element in butler.dimensions.elements]
