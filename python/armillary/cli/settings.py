"""Configurations that a command takes as files of Python and as `KEY=VALUE`, in the words of the Rubin stack."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable
from typing import Any

import click
from click.core import ParameterSource

from armillary.cli.options import combined

__all__ = ["config_options", "configured", "given"]

config_options = combined(
    click.option("-C", "--config-file", "config_files", multiple=True, metavar="FILE", help="Configuration in Python."),
    click.option(
        "-c", "--config", "settings", multiple=True, metavar="KEY=VALUE", help="A field of the configuration."
    ),
)


def configured(config: Any, files: Iterable[str], settings: Iterable[str]) -> Any:
    """Set a configuration from files, then from `KEY=VALUE`; a value that is no Python literal is a text.

    Raises
    ------
    click.BadParameter
        If a setting is not KEY=VALUE, or there is no such field.
    """
    for file in files:
        config.load(file)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise click.BadParameter(f"`{setting}` is not KEY=VALUE, such as `name=survey`", param_hint="--config")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text  # a word without quotes
        try:
            *path, name = key.split(".")
            setattr(functools.reduce(_part, path, config), name, value)
        except (AttributeError, KeyError) as error:
            raise click.BadParameter(f"the configuration has no field `{key}`", param_hint="--config") from error
    config.validate()
    return config


def _part(config: Any, name: str) -> Any:
    """A part of a configuration: a field of it, or one of the choices of a field, such as `rings` of `skyMap`."""
    return getattr(config, name) if hasattr(config, name) else config[name]


def given(name: str) -> bool:
    """Whether the command line gave a parameter of the command that runs, rather than its default."""
    return click.get_current_context().get_parameter_source(name) is not ParameterSource.DEFAULT
