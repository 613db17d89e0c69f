"""Options that say how a run goes, and its end: for `pipetask run` and `pipetask run-qbb`."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from armillary.cli.options import combined
from armillary.cli.pipetask_options import Function, processes_option

if TYPE_CHECKING:
    from armillary.pipeline.execution.report import RunReport

__all__ = ["control_of", "control_options", "run_to_end"]

_MANY = "may be repeated"


def control_options() -> Callable[[Function], Function]:
    """Options that say how a run goes."""
    return combined(
        processes_option(),
        click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Most time for a quantum."),
        click.option("--fail-fast", is_flag=True, help="Stop at the first failure."),
        click.option(
            "--raise-on-partial-outputs/--no-raise-on-partial-outputs",
            default=True,
            help="Whether partial outputs are a failure.",
        ),
        click.option(
            "--retry",
            multiple=True,
            metavar="[CLASS=]N",
            help="Try quanta again that end with such an error, or with any; one that was killed is a `WorkerDied`, "
            f"one that took too long a `TimeoutError`; {_MANY}.",
        ),
        click.option(
            "--executor",
            metavar="NAME[:ARGUMENT]",
            help="What runs the quanta: local (the default), parsl[:SITE.py], dask[:ADDRESS], threads, processes, or "
            "MODULE:FUNCTION.",
        ),
        click.option(
            "-n", "--cores-per-quantum", type=click.IntRange(min=1), default=1, help="Cores that a quantum may use."
        ),
        click.option(
            "--memory-per-quantum",
            default="",
            metavar="SIZE",
            help="Memory that a quantum may use, in MB or with a unit; no more run at once than fit.",
        ),
        click.option(
            "--enforce-memory", is_flag=True, help="End a quantum that takes more than `--memory-per-quantum`."
        ),
        click.option("--recycle-above", metavar="SIZE", help="Replace a process that has grown beyond this memory."),
        click.option(
            "--pdb", is_flag=False, flag_value="pdb", metavar="MODULE", help="Look at failures in a debugger."
        ),
        click.option("--profile", metavar="FILE", help="Write statistics of Python's profiler."),
        click.option("--enable-implicit-threading", is_flag=True, help="Let numerical libraries start threads."),
        click.option(
            "--start-method",
            type=click.Choice(["spawn", "fork", "forkserver"]),
            help="Kept for compatibility; worker processes are started once.",
        ),
        click.option(
            "--graph-fixup",
            metavar="NAME",
            help="Class, or function that makes it, that says which quanta must wait for which beyond their inputs.",
        ),
        click.option("--debug", is_flag=True, help="Import the module `debug`, which sets up what tasks show."),
        click.option("--summary", metavar="FILE", help="Write a JSON report."),
        click.option("--progress/--no-progress", default=None, help="Show a progress bar; by default on a terminal."),
    )


def control_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options as keywords of `RunControl`."""
    from armillary.pipeline.execution.execution_graph_fixup import fixup_named
    from armillary.pipeline.execution.run_control import RetryPolicy
    from armillary.pipeline.quantum_context import ExecutionResources

    resources = None
    if options["cores_per_quantum"] > 1 or options["memory_per_quantum"]:
        memory = _bytes(options["memory_per_quantum"])
        resources = ExecutionResources(num_cores=options["cores_per_quantum"], max_mem=memory)
    return {
        "processes": options["processes"],
        "timeout": options["timeout"] or None,
        "fail_fast": options["fail_fast"],
        "raise_on_partial_outputs": options["raise_on_partial_outputs"],
        "retry": RetryPolicy.parse(options["retry"]),
        "executor": options["executor"],
        "resources": resources,
        "enforce_memory": options["enforce_memory"],
        "recycle_above": _bytes(options["recycle_above"]),
        "debugger": options["pdb"],
        "profile": options["profile"],
        "implicit_threading": options["enable_implicit_threading"],
        "progress": options["progress"],
        "graph_fixup": None if options["graph_fixup"] is None else fixup_named(options["graph_fixup"]),
        "debug": options["debug"],
    }


def _bytes(text: str | None) -> int | None:
    """Return a size of memory in bytes; a bare number is in megabytes.

    >>> _bytes("3GB"), _bytes("20")
    (3000000000, 20000000)
    """
    if not text:
        return None
    import astropy.units as u

    from armillary.pipeline.quantum_context import ExecutionResources

    try:
        size = ExecutionResources(max_mem=text, default_mem_units=u.Mbyte).max_mem
    except (TypeError, ValueError) as error:
        raise click.UsageError(f"`{text}` is no size of memory; write `3GB`, `3000MB` or `3000`") from error
    return int(size.to_value("byte"))


def run_to_end(start: Callable[[], RunReport], summary: str | None) -> int:
    """Run, write the report if it is wanted and tell how the run ended; give the exit code.

    A request to end, as batch systems send it before they kill, is taken like Ctrl-C.
    """
    from armillary.pipeline.execution.runner import RunInterrupted

    hint = ""
    with _terminated_as_interrupted():
        try:
            report = start()
        except RunInterrupted as interrupted:
            report = interrupted.report
            hint = "what was finished is kept; the same command with `--extend-run --skip-existing` does the rest"
    if summary:
        report.write_summary(summary)
    click.echo(report.closing_line(), err=True)
    if failure := report.failure_line():
        click.echo(f"error: {failure}", err=True)
    if hint:
        click.echo(f"interrupted\nhint: {hint}", err=True)
    return int(report.exit_code)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread: whoever has that deals with signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
