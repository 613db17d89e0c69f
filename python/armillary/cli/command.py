"""The click command of every subcommand: an example below its help, and options from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

__all__ = ["ExampleCommand", "command"]


class ExampleCommand(click.Command):
    """A command that shows how it is used, and takes options from the file of `--options-file`.

    Parameters
    ----------
    example
        Command lines that work, one a line, without the prompt.
    """

    def __init__(self, *args: Any, example: str = "", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.example = example
        for option in self.params:
            if isinstance(option, click.Option) and option.secondary_opts and option.show_default is None:
                option.show_default = True  # which of the two spellings is meant if neither is given
        if not any("--options-file" in parameter.opts for parameter in self.params):
            self.params.append(_options_file())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example below the options."""
        if self.example:
            with formatter.section("Example"):
                for line in self.example.splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        super().format_epilog(ctx, formatter)


def command(example: str, name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], ExampleCommand]:
    """Make a function a subcommand whose help ends with an example.

    >>> @command("butler greet REPO")
    ... def greet():
    ...     "Greet."
    >>> greet.example
    'butler greet REPO'
    """

    def decorate(function: Callable[..., Any]) -> ExampleCommand:
        made: ExampleCommand = click.command(name, cls=ExampleCommand, example=example, **attributes)(function)
        return made

    return decorate


def _options_file() -> click.Option:
    return click.Option(
        ["-@", "--options-file"],
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_read_options,
        help="YAML file of options: `{subcommand: {option: value}}`; what the command line gives is stronger.",
    )


def _read_options(ctx: click.Context, _: click.Parameter, location: str | None) -> None:
    """Make the values of a file the defaults of the command that is being read."""
    if location is None or ctx.resilient_parsing:
        return
    from armillary import _yaml
    from armillary.config import read_text

    try:
        content = _yaml.load(read_text(location), source=location)
    except FileNotFoundError as error:
        raise click.BadParameter(f"there is no file `{location}`", param_hint="--options-file") from error
    section = (content or {}).get(ctx.info_name) if isinstance(content or {}, Mapping) else content
    if section is None:
        return
    if not isinstance(section, Mapping):
        raise click.BadParameter(
            f"`{location}` must map names of subcommands to mappings of options", param_hint="--options-file"
        )
    ctx.default_map = {**(ctx.default_map or {}), **_by_parameter(ctx.command, section, location)}


def _by_parameter(command: click.Command, section: Mapping[Any, Any], location: str) -> dict[str, Any]:
    """Give the values under the names that click has for the parameters; any spelling of an option will do."""
    names: dict[str, click.Parameter] = {}
    for parameter in command.params:
        for spelling in [*parameter.opts, parameter.name or ""]:
            plain = spelling.lstrip("-")
            names |= {plain: parameter, plain.replace("-", "_"): parameter}
    values: dict[str, Any] = {}
    for key, value in section.items():
        if (found := names.get(str(key))) is None:
            from armillary._words import did_you_mean

            raise click.BadParameter(
                f"`{command.name}` has no option `{key}`, which `{location}` gives{did_you_mean(str(key), names)}",
                param_hint="--options-file",
            )
        many = getattr(found, "multiple", False) or found.nargs == -1
        values[str(found.name)] = [value] if many and not isinstance(value, list) else value
    return values
