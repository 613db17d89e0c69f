"""The program `armillary`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from armillary.cli.lazy import LazyGroup, configure_logging, logging_options, run

__all__ = ["main"]

COMMANDS = {
    "demo": ("armillary.demo.command:demo", "Turn raw frames into images, coadds and a catalogue, here and now."),
}


@click.command(cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@logging_options
@click.version_option(package_name="armillary", message="%(version)s")
def cli(**logging: Any) -> None:
    """Tools around the commands `butler` and `pipetask`."""
    configure_logging(**logging)


def main(args: Sequence[str] | None = None) -> int:
    """Run `armillary` and give its exit code."""
    return run(cli, "armillary", args)
