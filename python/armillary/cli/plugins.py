"""Subcommands that other packages add to `butler`.

A package names a function by an entry point of the group `butler.cli`; it gives a list of click commands. Or the
variable `DAF_BUTLER_PLUGINS` lists YAML files, with colons between: `{cmd: {import: module, commands: [names]}}`.
Nothing is imported before a command that armillary does not have is asked for, or all are listed.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
from collections.abc import Mapping
from typing import Any

import click

__all__ = ["PLUGINS_VARIABLE", "added_commands", "warn_of_broken"]

PLUGINS_VARIABLE = "DAF_BUTLER_PLUGINS"
GROUP = "butler.cli"

# What these packages add is here already, written for armillary.
_REPLACED = ("lsst.daf.butler", "lsst.pipe.base")


@functools.cache
def _found() -> tuple[dict[str, Any], dict[str, str]]:
    """Commands by name, and what went wrong by the name of its source."""
    commands: dict[str, Any] = {}
    broken: dict[str, str] = {}
    for place in filter(None, os.environ.get(PLUGINS_VARIABLE, "").split(":")):
        try:
            commands |= {name: value for name, value in _listed_in(place).items() if name not in commands}
        except Exception as error:  # a broken plugin must not take the other commands away
            broken[place] = f"{type(error).__name__}: {error}"
    for entry in importlib.metadata.entry_points(group=GROUP):
        if entry.value.startswith(_REPLACED):
            continue
        try:
            made = {command.name: command for command in entry.load()() if isinstance(command, click.Command)}
        except Exception as error:
            broken[entry.value] = f"{type(error).__name__}: {error}"
        else:
            commands |= {str(name): command for name, command in made.items() if name not in commands}
    return commands, broken


def added_commands() -> Mapping[str, Any]:
    """Give the commands of other packages by name; those of a file are `module:function` until they are used."""
    return _found()[0]


def warn_of_broken() -> None:
    """Say on standard error which sources of commands could not be used."""
    for place, reason in _found()[1].items():
        click.echo(f"warning: the commands of `{place}` cannot be used: {reason}", err=True)


def _listed_in(place: str) -> dict[str, str]:
    from armillary import _yaml
    from armillary.config import read_text

    content = _yaml.load(read_text(place), source=place)
    try:
        module, names = content["cmd"]["import"], content["cmd"]["commands"]
    except (KeyError, TypeError) as error:
        raise ValueError("it must be `{cmd: {import: module, commands: [names]}}`") from error
    return {str(name): f"{module}:{function_name(str(name))}" for name in names}


def function_name(command: str) -> str:
    """Give the name of the function of a command.

    >>> function_name("ingest-raws"), function_name("import")
    ('ingest_raws', 'butler_import')
    """
    return "butler_import" if command == "import" else command.replace("-", "_")


def load(name: str) -> click.Command:
    """Import a command that another package adds."""
    found = added_commands()[name]
    if isinstance(found, str):
        module, _, function = found.partition(":")
        found = getattr(importlib.import_module(module), function)
    if not isinstance(found, click.Command):
        raise TypeError(f"`{added_commands()[name]}` is no click command")
    return found


def short_help(name: str) -> str:
    """Give the line of help of an added command; it is not imported for that."""
    found = added_commands()[name]
    return f"Added by `{found.partition(':')[0]}`." if isinstance(found, str) else found.get_short_help_str(70)
