"""The program `pipetask`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from armillary.cli.lazy import LazyGroup, configure_logging, logging_options, run

__all__ = ["main"]

_HERE = "armillary.cli.pipetask_commands"
_PLANNING = "armillary.cli.pipetask_planning"
_REPORTS = "armillary.cli.pipetask_reports"

COMMANDS = {
    "build": (f"{_HERE}:build", "Make, show and save a pipeline."),
    "qgraph": (f"{_HERE}:qgraph", "Make, show and save a quantum graph."),
    "run": (f"{_HERE}:run", "Make a quantum graph and run it."),
    "run-qbb": (f"{_HERE}:run_qbb", "Run quanta of a graph file without a registry."),
    "pre-exec-init-qbb": (f"{_HERE}:pre_exec_init_qbb", "Write configs, versions and init-outputs of a graph file."),
    "plan": (f"{_PLANNING}:plan", "Tell what a run would do, take and read."),
    "check": (f"{_PLANNING}:check", "Look for what stands in the way of a run."),
    "diff": (f"{_PLANNING}:diff", "Tell which quanta or configs differ, and why."),
    "report": (f"{_REPORTS}:report", "Tell what became of executed graphs."),
    "aggregate-reports": (f"{_REPORTS}:aggregate_reports", "Add up reports on disjoint sets of data IDs."),
    "update-graph-run": (f"{_REPORTS}:update_graph_run", "Copy a graph file for another run."),
    "purge": (f"{_REPORTS}:purge", "Remove an output chain and its runs."),
    "cleanup": (f"{_REPORTS}:cleanup", "Remove runs that an output chain no longer holds."),
}


@click.command(cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@logging_options
@click.version_option(package_name="armillary", message="%(version)s")
def cli(**logging: Any) -> None:
    """Build and run pipelines."""
    configure_logging(**logging)


def main(args: Sequence[str] | None = None) -> int:
    """Run `pipetask` and give its exit code."""
    from armillary.lsst_alias import activate_if_free

    activate_if_free()
    return run(cli, "pipetask", args)
