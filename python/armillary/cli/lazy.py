"""Command groups that import a subcommand when it runs, and tell errors in one paragraph."""

from __future__ import annotations

import errno
import importlib
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from armillary import errors
from armillary.cli.logs import configure_logging, logging_options

__all__ = ["LazyGroup", "configure_logging", "logging_options", "run"]

EXIT_FAILURE = 1
"""Something was wrong with what was asked, or with the repository."""

EXIT_INTERRUPTED = 130
"""Ctrl-C."""

_MAKE_ROOM = "; nothing is lost: make room and run the same again"
_WAYS_OUT = {errno.ENOSPC: _MAKE_ROOM, errno.EDQUOT: _MAKE_ROOM}
"""What to do about an error of the operating system."""


class LazyGroup(click.Group):
    """A group whose subcommands are named in a table: `{name: ("module:function", "one line of help")}`.

    With `plugins`, other packages may add subcommands; they are looked for when a name is not in the table.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], plugins: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._table = table
        self._plugins = plugins

    @property
    def own_commands(self) -> list[str]:
        """Names of the subcommands that no other package adds."""
        return list(self._table)

    def _added(self) -> list[str]:
        if not self._plugins:
            return []
        from armillary.cli import plugins

        return [name for name in plugins.added_commands() if name not in self._table]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table, then those that other packages add."""
        return [*self._table, *self._added()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self._table:
            if cmd_name not in self._added():
                return None
            from armillary.cli import plugins

            return plugins.load(cmd_name)
        module, _, function = self._table[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), function)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; an unknown one is told with the nearest name."""
        unknown = args and args[0] not in self._table and not args[0].startswith("-")
        if unknown and args[0] not in self._added():
            if self._plugins:
                from armillary.cli import plugins

                plugins.warn_of_broken()
            from armillary._words import did_you_mean

            ctx.fail(f"no command is called `{args[0]}`{did_you_mean(args[0], self._table)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._table.items()])
        if added := self._added():
            from armillary.cli import plugins

            with formatter.section("Commands of other packages"):
                formatter.write_dl([(name, plugins.short_help(name)) for name in added])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete names of subcommands without importing them."""
        from click.shell_completion import CompletionItem

        found = [(name, text) for name, (_, text) in self._table.items()] + [(name, None) for name in self._added()]
        items = [CompletionItem(name, help=text) for name, text in found if name.startswith(incomplete)]
        return items + click.Command.shell_complete(self, ctx, incomplete)


def run(group: click.Group, name: str, args: Sequence[str] | None = None) -> int:
    """Run a program and give its exit code; a user's mistake is one paragraph on standard error and exit code 1."""
    arguments = list(sys.argv[1:] if args is None else args)
    try:
        code = group.main(arguments, prog_name=name, standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        tell_usage(error)
        return error.exit_code
    except BrokenPipeError:
        return EXIT_FAILURE
    except Exception as error:
        if "--traceback" in arguments:
            raise
        click.echo(f"error: {describe(error)}", err=True)
        if not errors.tells_all(error):
            click.echo(
                "hint: run it again with `--traceback` after the program's name to see where this came from", err=True
            )
        return int(getattr(error, "exit_code", EXIT_FAILURE))
    return code if isinstance(code, int) else 0


def tell_usage(error: click.ClickException) -> None:
    """Tell a wrong command line in one paragraph, and where its help is."""
    text = error.format_message()
    if "`" not in text:
        text = re.sub(r"'([^']*)'", r"`\1`", text)
    wanted = _wanted_number(getattr(getattr(error, "param", None), "type", None))
    if wanted:
        text = re.sub(
            r"`?([^\s`]+)`? is not (a valid \w+( range)?|in the range .*)\.?$", rf"`\1` is not {wanted}", text
        )
    click.echo(f"error: {text[:1].lower()}{text[1:].removesuffix('.')}", err=True)
    context = getattr(error, "ctx", None)
    if context is not None and context.command.get_help_option(context) is not None:
        click.echo(f"hint: `{context.command_path} {context.help_option_names[-1]}` lists what can be given", err=True)


def _wanted_number(kind: Any) -> str:
    """What an option with limits takes, in words; empty for other options."""
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return ""
    noun = "an integer" if isinstance(kind, click.IntRange) else "a number"
    least = "" if kind.min is None else f"greater than {kind.min}" if kind.min_open else f"of at least {kind.min}"
    most = "" if kind.max is None else f"less than {kind.max}" if kind.max_open else f"of at most {kind.max}"
    return f"{noun} {' and '.join(filter(None, (least, most)))}"


def describe(error: BaseException) -> str:
    """Tell an error in one paragraph: its message, its kind when that is needed, and what was being done."""
    notes = [f"  {note}" for note in getattr(error, "__notes__", ())]
    if isinstance(error, OSError) and error.strerror:
        name = error.filename2 or error.filename  # of a copy it is the new file that does not fit
        place = f": `{name}`" if name else ""
        text = f"{error.strerror[0].lower()}{error.strerror[1:]}{place}{_WAYS_OUT.get(error.errno or 0, '')}"
    elif isinstance(error, SyntaxError):
        text = f"{error.msg}: `{error.filename}`, line {error.lineno}"
    else:
        text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if "disk is full" in text:  # the words of SQLite
        text += _MAKE_ROOM
    text = re.sub(r" \(os error \d+\)$", "", text)
    if type(error).__name__ == "FieldValidationError":  # it goes on with where the classes are written
        text = text.partition("\n")[0]
    if not errors.tells_all(error):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return "\n".join([text, *notes])
