"""Options that the subcommands of `pipetask` share, and the order in which a pipeline is changed by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from armillary.cli.command import ExampleCommand
from armillary.cli.completion import collections as complete_collections
from armillary.cli.completion import dataset_types as complete_dataset_types
from armillary.cli.completion import files as complete_files
from armillary.cli.completion import repositories as complete_repositories
from armillary.cli.options import combined, durability_option
from armillary.cli.pipetask_reuse import reuse_options

__all__ = [
    "OrderedCommand",
    "build_options",
    "coverage_options",
    "execution_options",
    "graph_options",
    "pipeline_changes",
    "processes_option",
    "repository_options",
]

Function = TypeVar("Function", bound=Callable[..., Any])

# Options that change the pipeline; their order on the command line is the order of the changes.
_CHANGES = {
    "-t": "task",
    "--task": "task",
    "--delete": "delete",
    "-c": "config",
    "--config": "config",
    "-C": "config-file",
    "--config-file": "config-file",
    "--instrument": "instrument",
}

_META = "armillary.pipeline_changes"


class OrderedCommand(ExampleCommand):
    """A command that remembers the order of the options that change the pipeline."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note the changes in order, then parse as usual."""
        ctx.meta[_META] = list(ordered_changes(args))
        return super().parse_args(ctx, args)


def ordered_changes(args: Sequence[str]) -> list[tuple[str, str]]:
    """Give (kind, value) of every option that changes the pipeline, in order.

    >>> ordered_changes(["-c", "isr:a=1", "-Cisr:f.py", "--delete=flat"])
    [('config', 'isr:a=1'), ('config-file', 'isr:f.py'), ('delete', 'flat')]
    """
    found = []
    waiting = iter(args)
    for arg in waiting:
        name, equals, value = arg.partition("=")
        if arg in _CHANGES:
            found.append((_CHANGES[arg], next(waiting, "")))
        elif equals and name in _CHANGES and name.startswith("--"):
            found.append((_CHANGES[name], value))
        elif arg[:2] in _CHANGES and not arg.startswith("--"):
            found.append((_CHANGES[arg[:2]], arg[2:]))
    return found


def pipeline_changes(ctx: click.Context) -> list[tuple[str, str]]:
    """Give the changes that the running command was asked for."""
    changes: list[tuple[str, str]] = ctx.meta.get(_META, [])
    return changes


def processes_option(help: str = "Quanta that run at once.") -> Callable[[Function], Function]:
    """`-j`: how much is done at once."""
    return click.option(
        "-j", "--processes", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help=help
    )


def build_options() -> Callable[[Function], Function]:
    """Options that make a pipeline."""
    return combined(
        click.option(
            "-p",
            "--pipeline",
            metavar="FILE[#LABELS]",
            help="Pipeline file, with the labels or subsets to keep.",
            shell_complete=complete_files,
        ),
        click.option("-t", "--task", "tasks", multiple=True, metavar="CLASS[:LABEL]", help="Add a task."),
        click.option("--delete", multiple=True, metavar="LABEL", help="Take a task out."),
        click.option("-c", "--config", multiple=True, metavar="LABEL:FIELD=VALUE", help="Set a config field."),
        click.option(
            "-C", "--config-file", "config_files", multiple=True, metavar="LABEL:FILE", help="Run a config file."
        ),
        click.option("--instrument", metavar="CLASS", help="Instrument whose config overrides are used."),
        click.option(
            "--select-tasks",
            default="",
            metavar="EXPR",
            help='Keep only these tasks, e.g. "isr | (>=calibrate & <coadd)".',
        ),
        click.option("-s", "--save-pipeline", metavar="FILE", help="Write the pipeline."),
        click.option("--pipeline-dot", metavar="FILE", help="Draw the pipeline as Graphviz text."),
        click.option("--pipeline-mermaid", metavar="FILE", help="Draw the pipeline as Mermaid text."),
        click.option("--pipeline-svg", metavar="FILE", help="Draw the pipeline as an SVG picture."),
        click.option(
            "--show",
            multiple=True,
            metavar="ITEM",
            help="Show: pipeline, tasks, subsets, inputs, graph, pipeline-graph, task-graph, uri, "
            "config[=LABEL::GLOB], dump-config[=LABEL], history=LABEL::FIELD.",
        ),
    )


def repository_options(*, required: bool = True) -> Callable[[Function], Function]:
    """Options that name the repository and collections."""
    return combined(
        click.option(
            "-b",
            "--butler-config",
            required=required,
            metavar="REPO",
            help="The repository.",
            shell_complete=complete_repositories,
        ),
        click.option(
            "-i",
            "--input",
            "inputs",
            multiple=True,
            metavar="NAMES",
            help="Input collections, with commas.",
            shell_complete=complete_collections,
        ),
        click.option(
            "-o",
            "--output",
            metavar="NAME",
            help="Chain to write to; each run is a new RUN below its name.",
            shell_complete=complete_collections,
        ),
        click.option("--output-run", metavar="NAME", help="RUN to write to.", shell_complete=complete_collections),
        click.option("--extend-run", is_flag=True, help="Go on with the latest RUN."),
        click.option("--replace-run", is_flag=True, help="Take the latest RUN out of the chain."),
        click.option(
            "--prune-replaced", type=click.Choice(["unstore", "purge"]), help="Remove what the replaced RUN holds."
        ),
        click.option("--rebase", is_flag=True, help="Put new inputs where the chain had its old ones."),
    )


def graph_options() -> Callable[[Function], Function]:
    """Options that make or read a quantum graph."""
    return combined(
        click.option("-d", "--data-query", default="", metavar="TEXT", help="Expression that data IDs must meet."),
        click.option(
            "-g",
            "--qgraph",
            metavar="FILE",
            help="Read the quantum graph from a file.",
            shell_complete=complete_files,
        ),
        click.option("-q", "--save-qgraph", metavar="FILE", help="Write the quantum graph to a file (`.qg`)."),
        click.option("--skip-existing", is_flag=True, help="Leave out what the output RUN has already."),
        click.option(
            "--skip-existing-in",
            multiple=True,
            metavar="NAMES",
            help="Leave out what these collections have already.",
            shell_complete=complete_collections,
        ),
        reuse_options(),
        click.option("--clobber-outputs", is_flag=True, help="Replace outputs of quanta that failed."),
        click.option(
            "--dataset-query-constraint",
            default="all",
            show_default=True,
            metavar="all|off|NAMES",
            help="Inputs that must exist.",
            shell_complete=complete_dataset_types,
        ),
        click.option(
            "--tract-slicing/--no-tract-slicing",
            default=True,
            show_default=True,
            help="Whether conditions and overlaps hold for all of a part of the pipeline. Without, each task has data "
            "IDs of its own: detectors that touch no tract are calibrated, too.",
        ),
        click.option(
            "--data-id-table",
            "data_id_tables",
            multiple=True,
            metavar="FILE",
            help="Table whose columns are dimensions, in a format astropy knows: only data IDs in it are used.",
        ),
        click.option(
            "--prune-unanchored-quanta",
            metavar="SOURCE:ANCHOR",
            help="Leave out quanta of task SOURCE that lead to none of task ANCHOR, and all that come after them.",
        ),
        click.option("--qgraph-datastore-records", is_flag=True, help="Put the places of inputs into the graph."),
        click.option("--qgraph-node-id", multiple=True, metavar="IDS", help="Run only these quanta of a graph file."),
        click.option("--mock", is_flag=True, help="Run mocks instead of the tasks: they read everything and note it."),
        click.option(
            "--mock-failure",
            multiple=True,
            metavar="LABEL:EXCEPTION:WHERE[:MEMORY]",
            help="Let the mock of a task fail where an expression holds, unless it has so much memory.",
        ),
        click.option(
            "--unmocked-dataset-types",
            multiple=True,
            metavar="NAMES",
            help="Inputs that mocks read as they are.",
            shell_complete=complete_dataset_types,
        ),
        click.option("--qgraph-id", metavar="ID", help="Kept for compatibility; has no effect."),
        click.option("--qgraph-dot", metavar="FILE", help="Draw the quantum graph as Graphviz text."),
        click.option("--qgraph-mermaid", metavar="FILE", help="Draw the quantum graph as Mermaid text."),
        click.option(
            "--retained-dataset-types",
            metavar="FILE",
            help="YAML list of dataset types, names or globs: what is not in it is made again for quanta that need it.",
        ),
    )


def coverage_options() -> Callable[[Function], Function]:
    """Options of measuring which lines of code are run."""
    return combined(
        click.option("--coverage", is_flag=True, help="Measure which lines are run; needs the package `coverage`."),
        click.option("--cov-report/--no-cov-report", default=True, help="Write an HTML report of it to `covhtml/`."),
        click.option("--cov-packages", multiple=True, metavar="NAMES", help="Only these Python packages, with commas."),
    )


def execution_options() -> Callable[[Function], Function]:
    """Options of what is written before the first quantum."""
    return combined(
        click.option("--register-dataset-types", is_flag=True, help="Make new dataset types known."),
        click.option("--skip-init-writes", is_flag=True, help="Do not write configs, versions and init-outputs."),
        click.option("--init-only", is_flag=True, help="Only write configs, versions and init-outputs."),
        click.option("--no-versions", is_flag=True, help="Do not record package versions."),
        durability_option,
    )
