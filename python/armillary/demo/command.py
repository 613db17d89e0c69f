"""The command `armillary demo`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from armillary.demo.summary import Summary

NEEDED = ("sep", "reproject", "matplotlib")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default="armillary-demo")
@click.option(
    "--frames",
    type=click.Path(path_type=Path),
    help="Raw frames of the Nickel camera to use; they are read where they are. By default a survey is simulated.",
)
@click.option("-j", "--processes", "jobs", type=click.IntRange(min=1), default=2, show_default=True)
def demo(directory: Path, frames: Path | None, jobs: int) -> None:
    """Turn raw frames into coadds, a catalogue and what moved, in DIRECTORY (`armillary-demo` by default)."""
    from importlib.util import find_spec

    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        named = ", ".join(f"`{name}`" for name in missing)
        raise click.ClickException(f"the demo needs {named}; `pip install {' '.join(missing)}` brings them")
    from armillary.demo.run import Demo, DemoError
    from armillary.demo.summary import summarise

    begin = time.perf_counter()
    survey = Demo(directory, frames, jobs, tell=lambda line: click.echo(line, err=True))
    try:
        survey.run()
        summary = summarise(survey)
    except DemoError as error:
        raise click.ClickException(str(error)) from error
    show(summary, time.perf_counter() - begin)


def show(summary: Summary, seconds: float) -> None:
    """Print a summary."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    tasks = Table("task", "quanta", "CPU seconds", title="Quanta run")
    for label, task in summary.tasks.items():
        tasks.add_row(label, str(task.quanta), f"{task.cpu_seconds:.2f}")
    total = sum(task.quanta for task in summary.tasks.values())
    tasks.add_row("all", str(total), f"{sum(task.cpu_seconds for task in summary.tasks.values()):.2f}", style="bold")
    console.print(tasks)
    console.print("collections: " + ", ".join(summary.collections), soft_wrap=True, highlight=False)
    for place, count in summary.objects.items():
        console.print(f"objects in {place}: {count}", highlight=False)
    for found in summary.moving:
        console.print(
            f"moved between the nights (tract {found.tract}, {found.band}): {found.moved_pixels:.1f} pixels, "
            f"{found.moved_arcseconds:.1f} arcseconds, from {found.first_ra:.5f} {found.first_dec:+.5f} "
            f"to {found.second_ra:.5f} {found.second_dec:+.5f}",
            soft_wrap=True,
            highlight=False,
        )
    for file in summary.files:
        console.print(f"wrote {file}", soft_wrap=True, highlight=False)
    console.print(f"done in {seconds:.1f} seconds", highlight=False)
