"""Commands on quantum graphs that were run: take in what they wrote, and tell what became of them."""

from __future__ import annotations

import json
from typing import Any

import click

from armillary.cli.command import command
from armillary.cli.options import durability_option, split_commas
from armillary.cli.output import print_table

__all__ = [
    "aggregate_graph",
    "ingest_graph",
    "lineage",
    "provenance_report",
    "retrieve_artifacts_for_quanta",
    "transfer_from_graph",
    "zip_from_graph",
]

_TRANSFERS = ["auto", "link", "symlink", "hardlink", "copy", "move", "relsymlink", "direct"]
_STATES = ["ABORTED", "UNKNOWN", "ABORTED_SUCCESS", "FAILED", "BLOCKED", "SUCCESSFUL"]
_CAVEATS = [
    "ANY_OUTPUTS_MISSING",
    "ALL_OUTPUTS_MISSING",
    "NO_WORK",
    "ADJUST_QUANTUM_RAISED",
    "UPSTREAM_FAILURE_NO_WORK",
    "UNPROCESSABLE_DATA",
    "PARTIAL_OUTPUTS_ERROR",
]
_dataset_type = click.option(
    "-d", "--dataset-type", multiple=True, metavar="NAMES", help="Only these dataset types: names or globs."
)
_kept: dict[str, Any] = {"help": "Kept for compatibility; has no effect."}


@command("butler transfer-from-graph run.qg REPO --update-output-chain")
@click.argument("graph", metavar="GRAPH")
@click.argument("dest", metavar="DEST")
@click.option("--register-dataset-types", is_flag=True, help="Make new dataset types known.")
@click.option("--transfer-dimensions/--no-transfer-dimensions", default=False, **_kept)
@click.option("--update-output-chain", is_flag=True, help="Put the run into the graph's output chain.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@_dataset_type
@durability_option
def transfer_from_graph(
    graph: str,
    dest: str,
    register_dataset_types: bool,
    transfer_dimensions: bool,
    update_output_chain: bool,
    dry_run: bool,
    dataset_type: tuple[str, ...],
) -> None:
    """Register the outputs of the quantum graph GRAPH, which `pipetask run-qbb` wrote, in the repository DEST."""
    from armillary.butler import Butler
    from armillary.pipeline.execution import transfer_from_graph as transfer

    del transfer_dimensions  # a graph is made from the records of the repository it is run in
    with Butler(dest, writeable=True) as butler:
        number = transfer(
            graph,
            butler,
            register_dataset_types=register_dataset_types,
            update_output_chain=update_output_chain,
            dry_run=dry_run,
            dataset_types=split_commas(dataset_type),
        )
    click.echo(f"Number of datasets transferred: {number}")


@command("butler aggregate-graph run.qg REPO -o provenance.qg")
@click.argument("predicted_graph", metavar="PREDICTED_GRAPH")
@click.argument("repo", metavar="REPO")
@click.option("-o", "--output", metavar="FILE", help="Write the provenance graph (`.qg`).")
@click.option(
    "-j",
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Files that are looked for, or read, at once.",
)
@click.option(
    "--incomplete/--complete",
    default=False,
    help="Whether the run goes on, so that what failed may be tried again.",
)
@click.option("--dry-run", is_flag=True, help="Register nothing.")
@click.option("--interactive-status/--no-interactive-status", default=False, **_kept)
@click.option("--log-status-interval", type=int, **_kept)
@click.option(
    "--register-dataset-types/--no-register-dataset-types",
    default=True,
    show_default=True,
    help="Make new dataset types known.",
)
@click.option(
    "--update-output-chain/--no-update-output-chain",
    default=True,
    show_default=True,
    help="Put the run into the graph's output chain.",
)
@click.option("--worker-log-dir", **_kept)
@click.option("--worker-log-level", **_kept)
@click.option("--zstd-level", type=int, default=10, show_default=True, help="How hard to compress.")
@click.option("--zstd-dict-size", type=int, default=32_768, show_default=True, help="Bytes of shared dictionary.")
@click.option("--zstd-dict-n-inputs", type=int, default=512, show_default=True, help="Quanta to make it from.")
@click.option("--mock-storage-classes/--no-mock-storage-classes", default=False, **_kept)
@click.option(
    "--promise-ingest-graph/--no-promise-ingest-graph",
    default=False,
    help="Leave metadata, logs and configs to `butler ingest-graph`.",
)
def aggregate_graph(predicted_graph: str, repo: str, **options: Any) -> None:
    """Look for everything that the quanta of a graph may have written, register it, and write a provenance graph."""
    from armillary.butler import Butler
    from armillary.pipeline.provenance.aggregate import aggregate_graph as aggregate

    with Butler(repo, writeable=not options["dry_run"]) as butler:
        done = aggregate(
            predicted_graph,
            butler,
            output=options["output"],
            complete=not options["incomplete"],
            dry_run=options["dry_run"],
            register_dataset_types=options["register_dataset_types"],
            update_output_chain=options["update_output_chain"],
            promise_ingest_graph=options["promise_ingest_graph"],
            processes=options["processes"],
            zstd_level=options["zstd_level"],
            zstd_dict_size=options["zstd_dict_size"],
            zstd_dict_n_inputs=options["zstd_dict_n_inputs"],
        )
    click.echo(done.closing_line())


@command("butler ingest-graph REPO provenance.qg")
@click.argument("repo", metavar="REPO")
@click.argument("provenance_graph", metavar="[PROVENANCE_GRAPH]", required=False)
@click.option(
    "-t",
    "--transfer",
    type=click.Choice(_TRANSFERS),
    default="move",
    show_default=True,
    help="How the file gets there.",
)
@click.option("--batch-size", type=int, default=10_000, **_kept)
@click.option("--output-run", metavar="RUN", help="Find the graph of this run in the repository; without a file.")
def ingest_graph(
    repo: str, provenance_graph: str | None, transfer: str, batch_size: int, output_run: str | None
) -> None:
    """Take a provenance graph in, in place of the files of metadata, logs and configs of its run."""
    from armillary.butler import Butler
    from armillary.pipeline.provenance.ingest import ingest_graph as ingest

    del batch_size  # one transaction: all of it or nothing
    if provenance_graph is None and output_run is None:
        raise click.UsageError("name a provenance graph, or the run whose graph is there already with `--output-run`")
    with Butler(repo, writeable=True) as butler:
        done = ingest(butler, provenance_graph, transfer=transfer, output_run=output_run)
    click.echo(done.closing_line())


@command("butler provenance-report provenance.qg --caveat PARTIAL_OUTPUTS_ERROR --status-report r.json")
@click.argument("repo_or_qg", metavar="REPO_OR_QG")
@click.argument("collection", metavar="[COLLECTION]", required=False)
@click.option("--state", multiple=True, type=click.Choice(_STATES), help="List quanta in this state, too.")
@click.option("--no-state", multiple=True, type=click.Choice(_STATES), help="List no quanta in this state.")
@click.option("--status-report", metavar="FILE", help="Write the quanta that are listed, with their attempts, as JSON.")
@click.option("--quantum-table/--no-quantum-table", default=True, help="Print counts of quanta.")
@click.option("--exception-table/--no-exception-table", default=True, help="Print counts of exceptions.")
@click.option(
    "--caveat", multiple=True, type=click.Choice(_CAVEATS), help="List successful quanta with this caveat, too."
)
@click.option("--data-id-table-dir", metavar="FOLDER", help="Write tables of data IDs by task, state and exception.")
@click.option("--format", "form", type=click.Choice(["json", "table"]), default="table", show_default=True)
def provenance_report(repo_or_qg: str, collection: str | None, **options: Any) -> None:
    """Tell what became of the quanta of a run, from its provenance graph: a file, or that of a run in a repository.

    Listed are quanta that failed or were aborted, unless --state and --no-state say otherwise.
    """
    from armillary.pipeline.provenance.ingest import find_graph
    from armillary.pipeline.provenance.provenance_graph import ProvenanceQuantumGraph
    from armillary.pipeline.status import QuantumAttemptStatus, QuantumSuccessCaveats

    if collection is None:
        graph = ProvenanceQuantumGraph(repo_or_qg)
    else:
        from armillary.butler import Butler

        with Butler(repo_or_qg) as butler:
            graph = find_graph(butler, collection)
    states = {"FAILED", "ABORTED", "ABORTED_SUCCESS", *options["state"]} - set(options["no_state"])
    caveats = None
    for name in options["caveat"]:
        caveats = QuantumSuccessCaveats[name] | (caveats or QuantumSuccessCaveats.NO_CAVEATS)
        states.add("SUCCESSFUL")
    tell_provenance(graph, options)
    if options["status_report"] or options["data_id_table_dir"]:
        report = graph.make_status_report(
            [QuantumAttemptStatus[name] for name in sorted(states)],
            with_caveats=caveats,
            data_id_table_dir=options["data_id_table_dir"],
        )
        if options["status_report"]:
            with open(options["status_report"], "w", encoding="utf-8") as stream:
                stream.write(report.model_dump_json(indent=2))


def tell_provenance(graph: Any, options: dict[str, Any]) -> None:
    """Print the tables of a provenance report, or one JSON document of them."""
    from armillary.pipeline.provenance.status_report import print_tables

    quanta, exceptions = graph.quantum_table(), graph.exception_table()
    if options["form"] == "json":
        chosen = {"tasks": options["quantum_table"] and quanta, "exceptions": options["exception_table"] and exceptions}
        print_tables({name: table or None for name, table in chosen.items()}, "json")
        return
    if options["quantum_table"]:
        print_table(*quanta)
    if options["exception_table"] and exceptions[1]:
        click.echo()
        print_table(*exceptions)


@command("butler zip-from-graph run.qg REPO archive/ -d 'calexp*'")
@click.argument("graph", metavar="GRAPH")
@click.argument("repo", metavar="REPO")
@click.argument("dest", metavar="DEST")
@_dataset_type
def zip_from_graph(graph: str, repo: str, dest: str, dataset_type: tuple[str, ...]) -> None:
    """Put what the quanta of a graph wrote into one zip file in the folder DEST; no registry is needed."""
    from armillary.pipeline.execution.graph_artifacts import zip_outputs

    click.echo(f"Zip archive written to {zip_outputs(graph, repo, dest, split_commas(dataset_type))}")


@command("butler retrieve-artifacts-for-quanta run.qg REPO files/ --no-include-inputs")
@click.argument("graph", metavar="GRAPH")
@click.argument("repo", metavar="REPO")
@click.argument("dest", metavar="DEST")
@click.option(
    "-t", "--transfer", type=click.Choice(_TRANSFERS), default="auto", show_default=True, help="How files get there."
)
@click.option("--preserve-path/--no-preserve-path", default=True, help="Keep the folders that files are in.")
@click.option("--clobber/--no-clobber", default=False, help="Write over files that are there.")
@click.option("--qgraph-node-id", multiple=True, metavar="IDS", help="Only these quanta, with commas.")
@click.option("--include-inputs/--no-include-inputs", default=True, help="Whether inputs are wanted.")
@click.option("--include-outputs/--no-include-outputs", default=True, help="Whether outputs are wanted.")
def retrieve_artifacts_for_quanta(graph: str, repo: str, dest: str, **options: Any) -> None:
    """Copy the files of the inputs and outputs of quanta of a graph into the folder DEST; no registry is needed."""
    from armillary.pipeline.execution.graph_artifacts import retrieve_artifacts

    paths = retrieve_artifacts(
        graph,
        repo,
        dest,
        quantum_ids=split_commas(options["qgraph_node_id"]) or None,
        inputs=options["include_inputs"],
        outputs=options["include_outputs"],
        transfer=options["transfer"],
        preserve_path=options["preserve_path"],
        overwrite=options["clobber"],
    )
    click.echo(f"Number of files retrieved: {len(paths)}")


@command("butler lineage REPO calexp instrument=Cam visit=1228 detector=4 --collections u/me/run --up")
@click.argument("repo", metavar="REPO")
@click.argument("dataset", metavar="ID | TYPE KEY=VALUE...", nargs=-1, required=True)
@click.option("--up/--down", default=True, help="What it was made from, or what was made from it.")
@click.option("--collections", multiple=True, metavar="NAMES", help="Where to look for the dataset.")
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="At most so many steps.")
@click.option("--graph", "graphs", multiple=True, metavar="FILE", help="A graph file to use, too; may be repeated.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def lineage(repo: str, dataset: tuple[str, ...], **options: Any) -> None:
    """Tell what a dataset was made from, or what was made from it, over all runs whose provenance is kept.

    A dataset is named by its id, or by its type and data ID. Provenance is kept by `butler ingest-graph`.
    """
    from armillary.butler import Butler
    from armillary.pipeline.provenance.lineage import lineage as trace

    with Butler(repo) as butler:
        ref = named_dataset(butler, dataset, split_commas(options["collections"]))
        root = trace(butler, ref, up=options["up"], depth=options["depth"], graphs=options["graphs"])
    if options["form"] == "json":
        click.echo(json.dumps(root.to_plain(), indent=2, default=str))
        return
    for depth, node in root.walk():
        click.echo(f"{'  ' * depth}{node}{' (see above)' if node.seen else ''}")


def named_dataset(butler: Any, words: tuple[str, ...], collections: list[str]) -> Any:
    """Find the dataset that words name."""
    import uuid

    from armillary.errors import DatasetNotFoundError

    name, *pairs = words
    if not pairs:
        try:
            ref = butler.get_dataset(uuid.UUID(name))
        except ValueError:
            ref = None
        else:
            if ref is None:
                raise DatasetNotFoundError(f"no dataset has the id `{name}`")
            return ref
    data_id: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise click.UsageError(f"`{pair}` gives no dimension a value; write `KEY=VALUE`")
        data_id[key] = int(value) if value.lstrip("-").isdigit() else value
    if not collections:
        raise click.UsageError("say with `--collections` where the dataset is, or name it by its id")
    ref = butler.find_dataset(name, data_id, collections=collections)
    if ref is None:
        raise DatasetNotFoundError(
            f"no `{name}` with this data ID is in {', '.join(f'`{one}`' for one in collections)}"
        )
    return ref
