"""The subcommands of `pipetask` that look ahead: what a run would do, what is wrong with it, and what is different."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from armillary._words import counted
from armillary.cli.command import command
from armillary.cli.completion import collections as complete_collections
from armillary.cli.completion import files as complete_files
from armillary.cli.options import split_commas
from armillary.cli.output import print_table
from armillary.cli.pipetask_commands import make_pipeline, plan_collections
from armillary.cli.pipetask_options import (
    OrderedCommand,
    build_options,
    graph_options,
    pipeline_changes,
    repository_options,
)
from armillary.cli.pipetask_reuse import check_reuse

if TYPE_CHECKING:
    from armillary.pipeline.reuse.report import ReuseReport

__all__ = ["check", "diff", "plan"]

format_option = click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How it is told."
)


@click.command(cls=OrderedCommand, example="pipetask plan -b REPO -p pipe.yaml -i in -o u/me/run -j 4 -j 16")
@build_options()
@repository_options()
@graph_options()
@click.option(
    "-j",
    "--processes",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1,),
    metavar="N",
    help="Tell when N quanta at once would be done; may be repeated.",
)
@click.option(
    "--history",
    multiple=True,
    metavar="NAMES",
    help="Collections with earlier runs; all by default.",
    shell_complete=complete_collections,
)
@format_option
@click.pass_context
def plan(ctx: click.Context, /, **options: Any) -> None:
    """Tell what a run would do, before anything is written.

    For each task: quanta to run, done before, and left out for want of an input; gigabytes that are read; and, from
    the metadata of earlier runs, hours of processor time, memory, the longest chain, and the time to the end.
    """
    from armillary.butler import Butler
    from armillary.pipeline.planning.plan import plan_run

    check_reuse(options)
    with Butler(options["butler_config"], writeable=False) as butler:
        graph, counts, reuse = graph_to_plan(ctx, butler, options)
        made = plan_run(
            butler,
            graph,
            **counts,
            processes=sorted(set(options["processes"])),
            history=split_commas(options["history"]),
        )
    if options["form"] == "json":
        plain = made.to_plain()
        click.echo(json.dumps(plain if reuse is None else {**plain, "reuse": reuse.to_plain()}, indent=2))
    else:
        tell_plan(made)
        if reuse is not None:
            click.echo(f"\n{reuse}")


def graph_to_plan(
    ctx: click.Context, butler: Any, options: dict[str, Any]
) -> tuple[Any, dict[str, dict[str, int]], ReuseReport | None]:
    """Read the graph, or build it; give it with the numbers of quanta that were left out, and what is used again."""
    from armillary.cli.pipetask_commands import build_graph
    from armillary.pipeline.provenance.quantum_provenance_graph import open_graph

    if options["qgraph"]:
        return open_graph(options["qgraph"]), {}, None
    components, _ = build_graph(ctx, butler, plan_collections(butler, options), options)
    counts = {
        "n_skipped": components.n_skipped,
        "n_blocked": components.n_no_work,
        "n_reused": components.n_reused,
    }
    return components.assemble(), counts, components.reuse and components.reuse.report


def tell_plan(made: Any) -> None:
    """Print a plan as a table and a few lines."""
    columns = ["Task", "New", "Skipped", "Blocked", "Input GB", "s/quantum", "CPU hours", "Memory GB"]
    rows = []
    for task in made.tasks:
        cost = task.cost
        told = [None] * 3 if cost is None else [cost.seconds, task.cpu_hours, cost.memory / 1e9]
        numbers = ["" if value is None else f"{value:.3g}" for value in told]
        rows.append([task.label, task.n_new, task.n_skipped, task.n_blocked, f"{task.input_bytes / 1e9:.3g}", *numbers])
    total = made.to_plain()["total"]
    hours = "" if total["cpu_hours"] is None else f"{total['cpu_hours']:.3g}"
    memory = "" if total["memory_bytes"] is None else f"{total['memory_bytes'] / 1e9:.3g}"
    rows.append(
        ["TOTAL", total["new"], total["skipped"], total["blocked"], f"{made.input_bytes / 1e9:.3g}", "", hours, memory]
    )
    print_table(columns, rows)
    if not total["new"]:
        click.echo("\nnothing to do")
        return
    click.echo(f"\nlongest chain: {' > '.join(made.critical_path[0])}, {duration(made.critical_path[1])}")
    for number, seconds in made.finish.items():
        click.echo(f"done with -j {number} after {duration(seconds)}")
    if made.unknown:
        click.echo(f"no earlier run is known of {', '.join(made.unknown)}: all times are too short by what they take")


def duration(seconds: float) -> str:
    """Return a time for people.

    >>> duration(5025), duration(75), duration(1.25)
    ('1 h 24 min', '1 min 15 s', '1.2 s')
    """
    if seconds >= 3600:
        minutes = round(seconds / 60)
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s" if seconds >= 60 else f"{seconds:.1f} s"


@command("pipetask diff yesterday.qg today.qg; or with configs: pipetask diff old.yaml new.yaml#isr")
@click.argument("first", metavar="A", shell_complete=complete_files)
@click.argument("second", metavar="B", shell_complete=complete_files)
@format_option
def diff(first: str, second: str, form: str) -> None:
    """Tell which quanta would differ between two graph files, or which fields between two pipelines, and why.

    A and B are both graph files (.qg) or both pipeline files. A quantum differs if the class or config of its task
    does, if it reads other datasets, or if what it reads is made by a quantum that differs.
    """
    from armillary.pipeline.planning.difference import graph_difference, pipeline_difference
    from armillary.pipeline.provenance.quantum_provenance_graph import open_graph

    kinds = [path.endswith(".qg") for path in (first, second)]
    if all(kinds):
        difference = graph_difference(open_graph(first), open_graph(second))
    elif any(kinds):
        raise click.UsageError("a graph file cannot be compared with a pipeline: give two of one kind")
    else:
        from armillary.pipeline import Pipeline

        graphs = [Pipeline.from_uri(path).to_graph() for path in (first, second)]
        difference = pipeline_difference(*graphs)
    if form == "json":
        click.echo(json.dumps(difference.to_plain(), indent=2))
    else:
        tell_difference(difference, all(kinds))


def tell_difference(difference: Any, of_graphs: bool) -> None:
    """Print how two graphs or pipelines differ."""
    if not difference:
        same = "the one quantum is" if difference.n_same == 1 else f"all {difference.n_same} quanta are"
        click.echo(f"no difference: {same} the same" if of_graphs else "no difference")
        return
    for name, labels in (("A", difference.tasks_only_first), ("B", difference.tasks_only_second)):
        if labels:
            click.echo(f"tasks only in {name}: {', '.join(labels)}")
    for label, names in difference.classes.items():
        click.echo(f"{label} is another class: {' → '.join(names)}")
    if not of_graphs:
        rows = [
            [label, change.field, change.before or "", change.after or ""]
            for label, changes in difference.configs.items()
            for change in changes
        ]
        if rows:
            print_table(["Task", "Field", "A", "B"], rows)
        return
    labels = dict.fromkeys(
        [*difference.only_first, *difference.only_second, *(one.label for one in difference.changed)]
    )
    changed = [one.label for one in difference.changed]
    counts = [
        [
            label,
            len(difference.only_first.get(label, ())),
            len(difference.only_second.get(label, ())),
            changed.count(label),
        ]
        for label in labels
    ]
    print_table(["Task", "Only in A", "Only in B", "Changed"], counts)
    are = "is" if difference.n_same == 1 else "are"
    click.echo(f"\n{counted(difference.n_same, 'quantum', 'quanta')} {are} the same")
    if difference.changed:
        click.echo()
        reasons = difference.reasons()
        print_table(["Task", "Quanta", "Why"], [[label, number, why] for (label, why), number in reasons.items()])


@click.command(
    cls=OrderedCommand,
    example="""pipetask check -b REPO -p pipe.yaml -i in -d "instrument='Cam' AND day_obs = 20250101\"""",
)
@build_options()
@repository_options()
@graph_options()
@click.option("--register-dataset-types", is_flag=True, help="The run will make new dataset types known.")
@format_option
@click.pass_context
def check(ctx: click.Context, /, **options: Any) -> int:
    """Look for what stands in the way of a run, before anything is written; exit code 1 if there are errors.

    Told are dataset types that are not registered, inputs that are not there, overrides that change nothing, input
    collections of which nothing is used, and nights without a valid calibration.
    """
    from armillary.butler import Butler
    from armillary.pipeline.planning.check import check_run, unused_overrides

    findings = unused_overrides(base_pipeline(options), pipeline_changes(ctx))
    pipeline = make_pipeline(ctx, options).to_graph()
    with Butler(options["butler_config"], writeable=False) as butler:
        collections = plan_collections(butler, {**options, "output": options["output"] or "armillary/check"})
        pipeline.resolve(butler.registry)
        findings = sorted(
            check_run(
                butler,
                pipeline,
                inputs=list(collections.inputs),
                where=options["data_query"],
                register_dataset_types=options["register_dataset_types"],
            )
            + findings,
            key=lambda finding: finding.level != "error",
        )
    errors = sum(finding.level == "error" for finding in findings)
    if options["form"] == "json":
        click.echo(json.dumps([finding.to_plain() for finding in findings], indent=2))
    elif not findings:
        click.echo("nothing is wrong")
    else:
        for finding in findings:
            click.echo(f"{finding.level}: {finding.message}")
            if finding.hint:
                click.echo(f"  hint: {finding.hint}")
        click.echo(f"\n{counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}")
    return int(errors > 0)


def base_pipeline(options: dict[str, Any]) -> Any:
    """Read the pipeline without the changes of the command line."""
    from armillary.pipeline import Pipeline

    return Pipeline.from_uri(options["pipeline"]) if options["pipeline"] else Pipeline("anonymous pipeline")
