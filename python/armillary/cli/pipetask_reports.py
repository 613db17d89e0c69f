"""The subcommands of `pipetask` that tell what came of a run, and those that tidy up after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from armillary._words import these
from armillary.cli.command import command
from armillary.cli.completion import collections as complete_collections
from armillary.cli.completion import files as complete_files
from armillary.cli.completion import repositories as complete_repositories
from armillary.cli.options import repo_argument, split_commas
from armillary.cli.output import print_table
from armillary.cli.pipetask_options import processes_option

if TYPE_CHECKING:
    from armillary.pipeline.output_removal import OutputRemoval
    from armillary.pipeline.provenance.execution_report import QuantumGraphExecutionReport
    from armillary.pipeline.provenance.summary import Summary, Table

__all__ = ["aggregate_reports", "cleanup", "purge", "report", "update_graph_run"]

_full_output = click.option(
    "--full-output-filename", metavar="FILE", help="Write the whole report; YAML for one graph, else JSON."
)
_brief = click.option("--brief", is_flag=True, help="Only counts, no data IDs.")


@command("pipetask report REPO first.qg second.qg --full-output-filename report.json")
@repo_argument
@click.argument("qgraphs", metavar="QGRAPHS...", nargs=-1, required=True, shell_complete=complete_files)
@click.option(
    "--collections",
    multiple=True,
    metavar="NAMES",
    help="Where datasets must be found, the latest first.",
    shell_complete=complete_collections,
)
@click.option("--where", default="", metavar="TEXT", help="Expression that datasets must meet.")
@_full_output
@click.option("--logs/--no-logs", default=True, show_default=True, help="Read the logs of failed quanta.")
@_brief
@click.option("--curse-failed-logs", is_flag=True, help="Count the logs of failed quanta as cursed.")
@click.option("--force-v2", is_flag=True, help="Make the report on several attempts for one graph, too.")
@click.option(
    "--read-caveats",
    type=click.Choice(["exhaustive", "lazy", "none"]),
    default="lazy",
    show_default=True,
    help="Of which successful quanta metadata is read: all, those that lack an output, or none.",
)
@click.option(
    "--use-qbb/--no-use-qbb",
    default=True,
    show_default=True,
    help="Read metadata and logs that the datastore does not know where their quanta would put them.",
)
@click.option("--view-graph", is_flag=True, help="Draw the pipeline with the counts.")
@processes_option(help="Files that are read at once.")
def report(repo: str, qgraphs: tuple[str, ...], **options: Any) -> int:
    """Tell what became of the quanta and datasets of executed graphs, the first attempt first.

    Of one graph: what failed and what that blocked. Of several, or with --force-v2: the state of each quantum over
    all attempts, and of each dataset: visible, shadowed by another, predicted only, unsuccessful, or cursed, which is
    to be found although its quantum did not succeed.
    """
    from armillary.butler import Butler
    from armillary.pipeline.provenance.execution_report import QuantumGraphExecutionReport
    from armillary.pipeline.provenance.quantum_provenance_graph import QuantumProvenanceGraph, open_graph

    graphs = [open_graph(path) for path in qgraphs]
    with Butler(repo, writeable=False) as butler:
        several = len(graphs) > 1 or options["force_v2"] or options["view_graph"] or options["curse_failed_logs"]
        if not several and not options["collections"] and not options["where"]:
            made = QuantumGraphExecutionReport.make_reports(butler, graphs[0])
            tell_execution(made, made.to_summary_dict(butler, options["logs"], use_qbb=options["use_qbb"]), options)
            return 0
        provenance = QuantumProvenanceGraph(
            butler,
            graphs,
            collections=split_commas(options["collections"]) or None,
            where=options["where"],
            curse_failed_logs=options["curse_failed_logs"],
            read_caveats=None if options["read_caveats"] == "none" else options["read_caveats"],
            use_qbb=options["use_qbb"],
            n_cores=options["processes"],
        )
        summary = provenance.to_summary(butler, do_store_logs=options["logs"], n_cores=options["processes"])
    if options["view_graph"]:
        from armillary.pipeline.graph_drawing import pipeline_text

        click.echo(pipeline_text(graphs[-1].pipeline_graph, notes=graph_notes(summary)))
        return 0
    tell_summary(summary, options["full_output_filename"], options["brief"])
    return 0


def tell_execution(made: QuantumGraphExecutionReport, plain: dict[str, Any], options: dict[str, Any]) -> None:
    """Print the report on one graph, or write it as YAML."""
    if options["full_output_filename"]:
        import yaml

        with open(options["full_output_filename"], "w", encoding="utf-8") as stream:
            yaml.safe_dump(plain, stream)
        return
    tasks = [[label, len(task.failed), len(task.blocked), task.n_succeeded, task.n_expected] for label, task in made]
    print_table(["Task", "Failed", "Blocked", "Succeeded", "Expected"], tasks)
    click.echo()
    datasets = [
        [name, *one.to_summary_dict().values()] for _, task in made for name, one in task.output_datasets.items()
    ]
    print_table(["DatasetType", "produced", "failed", "not_produced", "blocked", "expected"], datasets)
    if options["brief"]:
        return
    for label, task in plain.items():
        for entry in task["failed_quanta"].values():
            click.echo(f"\n{label} failed: {data_id_text(entry['data_id'])}")
            for line in entry.get("error") or ():
                click.echo(f"  {line}")


def data_id_text(data_id: dict[str, Any]) -> str:
    """Write a data ID as it is typed."""
    return ", ".join(f"{name}={value!r}" for name, value in data_id.items())


def tell_summary(summary: Summary, path: str | None, brief: bool) -> None:
    """Print counts, and what needs a look unless it goes to a file."""
    from armillary.pipeline.status import QuantumSuccessCaveats

    tell_table(summary.quantum_table())
    letters = {letter for task in summary.tasks.values() for code in task.caveats for letter in code}
    legend = [f"{key}: {text}" for key, text in QuantumSuccessCaveats.legend().items() if key in letters]
    if legend:
        click.echo("\n".join(["", "Caveats:", *legend]))
    click.echo()
    tell_table(summary.dataset_table())
    if summary.exception_table()[1]:
        click.echo()
        tell_table(summary.exception_table())
    if path is not None:
        Path(path).write_text(summary.to_json(), encoding="utf-8")
    elif not brief:
        for label, table in summary.bad_quantum_tables().items():
            click.echo(f"\nquanta of {label}:")
            tell_table(table)
        for name, one in summary.datasets.items():  # that others were not made follows from their quanta
            if one.cursed_datasets:
                click.echo(f"\ncursed datasets {name}:")
                told = [[data_id_text(found.data_id), "; ".join(found.messages)] for found in one.cursed_datasets]
                tell_table((["Data ID", "Message"], told))


def tell_table(table: Table) -> None:
    """Print a table."""
    print_table(*table)


def graph_notes(summary: Summary) -> dict[str, str]:
    """What is written beside each task and dataset type of a drawing."""
    notes = {}
    for label, task in summary.tasks.items():
        counts = {
            "succeeded": task.n_successful,
            "failed": task.n_failed,
            "blocked": task.n_blocked,
            "wonky": task.n_wonky,
            "unknown": task.n_unknown,
        }
        parts = [f"{number} {state}" for state, number in counts.items() if number]
        notes[label] = f"[{', '.join(parts)} of {task.n_expected}]"
    for name, one in summary.datasets.items():
        notes[name] = f"[{one.n_visible + one.n_shadowed} of {one.n_expected}]"
    return notes


@command("pipetask aggregate-reports night1.json night2.json --full-output-filename all.json")
@click.argument("filenames", metavar="FILES...", nargs=-1, required=True, shell_complete=complete_files)
@_full_output
@_brief
def aggregate_reports(filenames: tuple[str, ...], full_output_filename: str | None, brief: bool) -> None:
    """Add up JSON reports on disjoint sets of data IDs, as one for each night."""
    from armillary.pipeline.provenance.summary import Summary

    summaries = [Summary.from_json(Path(name).read_bytes(), f"`{name}`") for name in filenames]
    tell_summary(Summary.aggregate(summaries), full_output_filename, brief)


@command("pipetask update-graph-run first.qg u/me/second second.qg")
@click.argument("qgraph", metavar="QGRAPH", shell_complete=complete_files)
@click.argument("run", metavar="RUN")
@click.argument("output_qgraph", metavar="OUTPUT_QGRAPH")
@click.option("--metadata-run-key", default="output_run", show_default=True, help="Kept for compatibility.")
@click.option("--update-graph-id", is_flag=True, help="Kept for compatibility: every graph gets ids of its own.")
def update_graph_run(qgraph: str, run: str, output_qgraph: str, **_: Any) -> None:
    """Write a copy of a graph file that writes to another RUN; all its quanta and outputs get new ids."""
    from armillary.pipeline.provenance.quantum_provenance_graph import open_graph

    if not output_qgraph.endswith(".qg"):
        raise click.BadParameter(f"`{output_qgraph}` does not end in `.qg`", param_hint="OUTPUT_QGRAPH")
    open_graph(qgraph).with_output_run(run).write(output_qgraph)


def removal_options(command: Any) -> Any:
    """Argument and options of what removes outputs."""
    command = click.option("--confirm/--no-confirm", default=True, help="Ask before anything is removed.")(command)
    command = click.option(
        "-b",
        "--butler-config",
        required=True,
        metavar="REPO",
        help="The repository.",
        shell_complete=complete_repositories,
    )(command)
    return click.argument("collection", metavar="CHAIN", shell_complete=complete_collections)(command)


@command("pipetask purge u/me/old -b REPO")
@removal_options
@click.option("--recursive", is_flag=True, help="Remove the chains below its name that it holds, too.")
def purge(collection: str, butler_config: str, confirm: bool, recursive: bool) -> None:
    """Remove an output chain and the runs and other collections of it whose names begin with CHAIN/."""
    from armillary.butler import Butler
    from armillary.pipeline.output_removal import OutputRemoval

    with Butler(butler_config, writeable=True) as butler:
        ask_and_remove(butler, OutputRemoval.purge(butler, collection, recursive=recursive), confirm)


@command("pipetask cleanup u/me/run -b REPO")
@removal_options
def cleanup(collection: str, butler_config: str, confirm: bool) -> None:
    """Remove the collections whose names begin with CHAIN/ that the output chain no longer holds."""
    from armillary.butler import Butler
    from armillary.pipeline.output_removal import OutputRemoval

    with Butler(butler_config, writeable=True) as butler:
        ask_and_remove(butler, OutputRemoval.cleanup(butler, collection), confirm)


def ask_and_remove(butler: Any, removal: OutputRemoval, confirm: bool) -> None:
    """Tell what will go, ask, and remove it."""
    if not removal.names:
        click.echo("nothing to remove")
        return
    for kind, names in (("runs", removal.runs), ("chains", removal.chains), ("others", removal.others)):
        if names:
            click.echo(f"{kind}: {', '.join(names)}")
    if confirm:
        click.confirm(f"remove {these(len(removal.names), 'collection')}, and runs with all their files?", abort=True)
    removal.carry_out(butler)
