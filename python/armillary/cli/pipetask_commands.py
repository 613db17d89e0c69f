"""The subcommands of `pipetask`."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from typing import TYPE_CHECKING, Any

import click

from armillary._words import counted
from armillary.cli.command import command
from armillary.cli.completion import files as complete_files
from armillary.cli.completion import repositories as complete_repositories
from armillary.cli.options import split_commas
from armillary.cli.pipetask_control import control_of, control_options, run_to_end
from armillary.cli.pipetask_options import (
    OrderedCommand,
    build_options,
    coverage_options,
    execution_options,
    graph_options,
    pipeline_changes,
    repository_options,
)
from armillary.cli.pipetask_reuse import check_reuse, reuse_arguments, tell_reuse, with_reused
from armillary.errors import RegistryError

if TYPE_CHECKING:
    from armillary.butler import Butler
    from armillary.pipeline import Pipeline, PipelineGraph
    from armillary.pipeline.output_collections import OutputCollections

__all__ = ["build", "pre_exec_init_qbb", "qgraph", "run", "run_qbb"]

_LOG = logging.getLogger("armillary.pipetask")


# -- pipelines


def make_pipeline(ctx: click.Context, options: dict[str, Any]) -> Pipeline:
    """Read the pipeline file and change it in the order of the command line."""
    from armillary.pipeline import Pipeline

    pipeline = Pipeline.from_uri(options["pipeline"]) if options["pipeline"] else Pipeline("anonymous pipeline")
    for kind, value in pipeline_changes(ctx):
        change_pipeline(pipeline, kind, value)
    if options["select_tasks"]:
        from armillary.pipeline import LabelSpecifier

        labels = pipeline.to_graph().select_tasks(options["select_tasks"])
        pipeline = pipeline.subsetFromLabels(LabelSpecifier(labels=labels))
    if options["save_pipeline"]:
        pipeline.write_to_uri(options["save_pipeline"])
    return pipeline


def change_pipeline(pipeline: Pipeline, kind: str, value: str) -> None:
    """Make one change that an option asks for."""
    label, colon, rest = value.partition(":")
    if kind == "task":
        name, _, own_label = value.partition(":")
        pipeline.addTask(name, own_label or default_label(name))
    elif kind == "delete":
        pipeline.removeTask(value)
    elif kind == "instrument":
        pipeline.addInstrument(value)
    elif not colon:
        raise click.UsageError(f"`{value}` names no task; write `LABEL:{value}`")
    elif kind == "config-file":
        pipeline.addConfigFile(label, rest)
    else:
        field, equals, text = rest.partition("=")
        if not equals:
            raise click.UsageError(f"`{value}` sets nothing; write `LABEL:FIELD=VALUE`")
        pipeline.addConfigOverride(label, field, text)


def default_label(name: str) -> str:
    """Give the label of a task that was named without one."""
    from armillary.pipeline.importing import import_task

    return str(import_task(name)._DefaultName)


def show_pipeline(pipeline: Pipeline, items: tuple[str, ...], options: dict[str, Any]) -> None:
    """Print what `--show` asks of a pipeline."""
    from armillary.cli.showing import QUANTUM_ITEMS, show

    for item in items:
        if item not in QUANTUM_ITEMS:
            show(pipeline, item, options)


def show_graph(butler: Butler, graph: Any, options: dict[str, Any]) -> None:
    """Print and draw what is asked of a quantum graph."""
    from armillary.cli.showing import QUANTUM_ITEMS, show_quanta

    for item in options["show"]:
        if item in QUANTUM_ITEMS:
            show_quanta(butler, graph, item)
    for key in ("qgraph_dot", "qgraph_mermaid"):
        if options[key]:
            from armillary.pipeline import quantum_graph_drawing

            drawing = getattr(quantum_graph_drawing, key.replace("qgraph", "quantum_graph"))(graph)
            with open(options[key], "w", encoding="utf-8") as stream:
                stream.write(drawing)


def draw(pipeline: Pipeline, options: dict[str, Any]) -> None:
    """Write the drawings that were asked for."""
    for key in ("pipeline_dot", "pipeline_mermaid", "pipeline_svg"):
        if options[key]:
            from armillary.pipeline import graph_drawing

            with open(options[key], "w", encoding="utf-8") as stream:
                stream.write(getattr(graph_drawing, key)(pipeline.to_graph()))


@click.command(cls=OrderedCommand, example="pipetask build -p pipe.yaml -c isr:doFlat=False --show config=isr::do*")
@build_options()
@click.option(
    "-b",
    "--butler-config",
    metavar="REPO",
    help="A repository to look dataset types up in.",
    shell_complete=complete_repositories,
)
@click.pass_context
def build(ctx: click.Context, /, **options: Any) -> None:
    """Make a pipeline from a file and changes; show, draw or save it."""
    for item in options["show"]:
        if item in ("graph", "workflow", "uri"):
            raise click.BadParameter(
                f"`{item}` is about quanta, and `build` makes none; use `pipetask qgraph`", param_hint="--show"
            )
    pipeline = make_pipeline(ctx, options)
    show_pipeline(pipeline, options["show"], options)
    draw(pipeline, options)
    pipeline.to_graph()  # says what is wrong with it


# -- quantum graphs


def plan_collections(butler: Butler, options: dict[str, Any]) -> OutputCollections:
    """Find out what is read and written."""
    from armillary.pipeline.output_collections import OutputCollections

    return OutputCollections.plan(
        butler,
        inputs=split_commas(options["inputs"]),
        output=options["output"],
        output_run=options["output_run"],
        extend_run=options["extend_run"],
        replace_run=options["replace_run"],
        rebase=options["rebase"],
    )


def check_graph_file(path: str | None) -> None:
    """Refuse a wrong file name before any work is done."""
    if path is not None and not path.endswith(".qg"):
        raise click.BadParameter(f"`{path}` does not end in `.qg`", param_hint="--save-qgraph")
    if path is not None and not os.path.isdir(folder := os.path.dirname(path) or "."):
        raise click.BadParameter(f"there is no folder `{folder}`", param_hint="--save-qgraph")


def build_graph(
    ctx: click.Context, butler: Butler, collections: OutputCollections, options: dict[str, Any]
) -> tuple[Any, PipelineGraph]:
    """Build the quantum graph; give its components and the pipeline graph."""
    from armillary.cli.graph_inputs import anchor_of, tables_of
    from armillary.pipeline.all_dimensions_quantum_graph_builder import AllDimensionsQuantumGraphBuilder

    pipeline = make_pipeline(ctx, options)
    show_pipeline(pipeline, options["show"], options)
    draw(pipeline, options)
    if not pipeline.task_labels:
        raise click.UsageError("there is no task to run; name a pipeline with `-p` or a task with `-t`")
    graph = pipeline.to_graph(butler.registry)
    if options["mock"]:
        graph = mocked(graph, butler, options)
    skip = split_commas(options["skip_existing_in"])
    if options["skip_existing"] or options["extend_run"]:
        skip.append(collections.run)
    builder = AllDimensionsQuantumGraphBuilder(
        graph,
        butler,
        where=options["data_query"],
        input_collections=list(collections.inputs),
        output_run=collections.run,
        skip_existing_in=existing_only(skip, collections),
        clobber=options["clobber_outputs"],
        dataset_query_constraint=options["dataset_query_constraint"],
        retained_dataset_types=read_retained(options["retained_dataset_types"]),
        data_id_tables=tables_of(options["data_id_tables"]),
        prune_unanchored_quanta=anchor_of(options["prune_unanchored_quanta"]),
        tract_slicing=options["tract_slicing"],
        **reuse_arguments(options),
    )
    metadata = {
        "butler_argument": os.fspath(options["butler_config"]),
        "extend_run": options["extend_run"],
        "skip_existing": options["skip_existing"],
        "skip_existing_in": skip,
        "retained_dataset_types": options["retained_dataset_types"],
        "data_query": options["data_query"],
    }
    if not options["tract_slicing"]:
        metadata["tract_slicing"] = False
    components = builder.finish(
        output=collections.chain,
        metadata=metadata,
        attach_datastore_records=options["qgraph_datastore_records"],
    )
    done = sum(components.n_skipped.values()) + sum(components.n_reused.values())
    if options.get("explain") or not (components.header.n_quanta or done):
        click.echo(str(builder.explanation(components)), err=not options.get("explain"))
    return components, graph


def existing_only(names: list[str], collections: OutputCollections) -> list[str]:
    """Put where outputs of the run are in place of its name: nowhere if it is new."""
    return [one for name in names for one in (collections.done if name == collections.run else [name])]


def mocked(graph: PipelineGraph, butler: Butler, options: dict[str, Any]) -> PipelineGraph:
    """Make the pipeline of mocks."""
    from armillary.pipeline.tests.mocks import mock_pipeline_graph

    graph.resolve(butler.registry)
    failures = dict(forced_failure(text) for text in options["mock_failure"])
    return mock_pipeline_graph(graph, split_commas(options["unmocked_dataset_types"]), failures)


def forced_failure(text: str) -> tuple[str, Any]:
    """Read `LABEL:EXCEPTION:WHERE[:MEMORY]`; give the label, and how its quanta fail."""
    from armillary.pipeline.importing import import_class
    from armillary.pipeline.tests.mocks import DataIdMatch, ForcedFailure

    parts = text.split(":")
    if len(parts) not in (3, 4):
        raise click.BadParameter(
            f"`{text}` has {len(parts)} parts; write `LABEL:EXCEPTION:WHERE` or `LABEL:EXCEPTION:WHERE:MEMORY`",
            param_hint="--mock-failure",
        )
    label, name, where, *memory = parts
    DataIdMatch(where)  # says at once if it cannot be understood
    kind = import_class(name if "." in name else f"builtins.{name}") if name else None
    needed = None
    if memory:
        from astropy.units import Quantity

        needed = Quantity(memory[0])
    return label.removeprefix("_mock_"), ForcedFailure(where, kind, needed)


def read_retained(path: str | None) -> list[str]:
    """Read names and globs of dataset types from a YAML list."""
    if path is None:
        return []
    from armillary import _yaml

    with open(path, encoding="utf-8") as stream:
        names = _yaml.load(stream.read(), source=path)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise click.BadParameter(f"`{path}` is not a YAML list of dataset types", param_hint="--retained-dataset-types")
    return names


def tell_empty(components: Any) -> int:
    """Say why a graph holds no quanta; give the exit code: nothing left to do is a success."""
    done, reused = sum(components.n_skipped.values()), sum(components.n_reused.values())
    if (done or reused) and not components.explain():
        taken = f"{counted(reused, 'quantum', 'quanta')} {'is' if reused == 1 else 'are'} taken from earlier runs"
        what = taken if reused else f"{counted(done, 'quantum', 'quanta')} already succeeded"
        click.echo(f"nothing to do: {what}", err=True)
        return 0
    click.echo("error: the quantum graph is empty", err=True)
    for reason in components.explain():
        click.echo(f"  {reason}", err=True)
    return 1


def tell_graph(components: Any) -> None:
    """Say how many quanta a graph holds."""
    counts = {label: n for label, n in components.header.n_task_quanta.items() if n}
    skipped = sum(components.n_skipped.values())
    text = ", ".join(f"{label} {n}" for label, n in counts.items())
    note = f"; {skipped} already succeeded" if skipped else ""
    quanta, tasks = counted(components.header.n_quanta, "quantum", "quanta"), counted(len(counts), "task")
    click.echo(f"{quanta} for {tasks}: {text}{note}", err=True)


@click.command(
    cls=OrderedCommand,
    example="""pipetask qgraph -b REPO -p pipe.yaml -i in -o u/me/run -d "instrument='Cam' AND visit=10" -q run.qg
pipetask qgraph -b REPO -p pipe.yaml -i in -o u/me/run --no-tract-slicing -q with-detectors-off-the-sky-map.qg""",
)
@build_options()
@repository_options()
@graph_options()
@coverage_options()
@click.option("--summary", metavar="FILE", help="Write what the graph holds as JSON.")
@click.option("--explain", is_flag=True, help="Say why there are so many quanta, or none: condition by condition.")
@click.pass_context
def qgraph(ctx: click.Context, /, **options: Any) -> int:
    """Make a quantum graph and save it; nothing is written to the repository."""
    from armillary.butler import Butler
    from armillary.pipeline.execution.report import RunReport

    check_graph_file(options["save_qgraph"])
    check_reuse(options)
    measure_coverage(ctx, options)
    with Butler(options["butler_config"], writeable=False) as butler:
        components, _ = build_graph(ctx, butler, plan_collections(butler, options), options)
        if options["save_qgraph"]:
            components.write(options["save_qgraph"])
        show_graph(butler, components.assemble(), options)
        if options["summary"]:
            RunReport([], graph=components.assemble()).write_graph_summary(options["summary"])
        tell_reuse(components)
        if not components.header.n_quanta:
            return tell_empty(components)
        tell_graph(components)
    return 0


# -- running


def measure_coverage(ctx: click.Context, options: dict[str, Any]) -> None:
    """Begin to measure which lines are run, if that is asked for; the report is written when the program ends."""
    if not options["coverage"]:
        return
    try:
        coverage: Any = importlib.import_module("coverage")
    except ImportError as error:
        raise click.BadParameter("the package `coverage` is not installed", param_hint="--coverage") from error
    measuring = coverage.Coverage(branch=True, source_pkgs=split_commas(options["cov_packages"]) or None)
    measuring.start()

    def report() -> None:
        measuring.stop()
        measuring.save()
        if options["cov_report"]:
            measuring.html_report(directory="covhtml")

    ctx.call_on_close(report)


@click.command(
    cls=OrderedCommand,
    example="pipetask run -b REPO -p pipe.yaml -i in -o u/me/run --register-dataset-types -j 4\n"
    "pipetask run -b REPO -p pipe.yaml -c isr:doFlat=False -o u/me/run --reuse",
)
@build_options()
@repository_options()
@graph_options()
@control_options()
@execution_options()
@coverage_options()
@click.pass_context
def run(ctx: click.Context, /, **options: Any) -> int:
    """Make a quantum graph, or read one with `-g`, and run it."""
    from armillary.butler import Butler
    from armillary.pipeline.execution.initialise import check_configs_of_done_tasks

    check_graph_file(options["save_qgraph"])
    check_reuse(options)
    measure_coverage(ctx, options)
    with Butler(options["butler_config"], writeable=True) as butler:
        if options["qgraph"]:
            graph, collections = read_graph(butler, options)
        else:
            collections = plan_collections(butler, options)
            components, pipeline = build_graph(ctx, butler, collections, options)
            if collections.existing_run:
                check_configs_of_done_tasks(pipeline, components.n_skipped, butler, collections.done)
            if options["save_qgraph"]:
                components.write(options["save_qgraph"])
            tell_reuse(components)
            graph = components.assemble()
            collections = with_reused(butler, collections, graph.header.metadata)
            if not graph.header.n_quanta:
                collections.register_reused(butler)
                return tell_empty(components)
            tell_graph(components)
        show_graph(butler, graph, options)
        return execute(butler, graph, collections, options)


def read_graph(butler: Butler, options: dict[str, Any]) -> tuple[Any, OutputCollections]:
    """Read a graph file; its run must be the one that is asked for."""
    from armillary.pipeline.quantum_graph import PredictedQuantumGraph

    with PredictedQuantumGraph.open(options["qgraph"]) as reader:
        reader.read_all()
        graph = reader.finish()
    header = graph.header
    if options["output_run"] not in (None, header.output_run):
        raise ValueError(f"the graph was made for the run `{header.output_run}`, not for `{options['output_run']}`")
    merged = {
        **options,
        "output_run": header.output_run,
        "output": options["output"] or header.output or None,
        "inputs": options["inputs"] or tuple(header.inputs),
    }
    return graph, with_reused(butler, plan_collections(butler, merged), header.metadata)


def execute(butler: Butler, graph: Any, collections: OutputCollections, options: dict[str, Any]) -> int:
    """Check everything, make the collections, run, and tell how it ended."""
    from armillary.pipeline.execution import check_dataset_types, initialise_run, run_graph

    control = control_of(options)
    if not graph.header.n_quanta and collections.reused:
        collections.register_reused(butler)
        click.echo("nothing to do: all is taken from earlier runs", err=True)
        return 0
    check_dataset_types(graph, butler, register=options["register_dataset_types"])
    undo = collections.register(butler)
    run_butler = butler.clone(collections=[collections.run, *collections.inputs], run=collections.run)
    try:
        initialise_run(
            graph,
            run_butler,
            register_dataset_types=options["register_dataset_types"],
            extend_run=options["extend_run"],
            skip_init_writes=options["skip_init_writes"],
            no_versions=options["no_versions"],
        )
    except BaseException:
        with contextlib.suppress(RegistryError, OSError):  # what matters is why it could not begin
            undo()
        raise
    collections.prune_replaced(butler, options["prune_replaced"])
    if options["init_only"]:
        return 0
    return run_to_end(
        lambda: run_graph(
            graph,
            run_butler,
            skip_existing=options["skip_existing"] or options["extend_run"],
            clobber_outputs=options["clobber_outputs"],
            **control,
        ),
        options["summary"],
    )


@command("pipetask pre-exec-init-qbb REPO run.qg")
@click.argument("repo", shell_complete=complete_repositories)
@click.argument("qgraph", shell_complete=complete_files)
@click.option("--config-search-path", multiple=True, help="Kept for compatibility; has no effect.")
@click.option("--qgraph-id", metavar="ID", help="Kept for compatibility; has no effect.")
@coverage_options()
@click.pass_context
def pre_exec_init_qbb(ctx: click.Context, /, repo: str, qgraph: str, **options: Any) -> int:
    """Write configs, versions and init-outputs of a graph file, without a registry."""
    from armillary.pipeline.execution import initialise_without_registry

    measure_coverage(ctx, options)
    initialise_without_registry(repo, qgraph)
    return 0


@command("pipetask run-qbb REPO run.qg --qgraph-node-id 01a21682-f315-74c3-9c74-2a1b59ab8826")
@click.argument("repo", shell_complete=complete_repositories)
@click.argument("qgraph", shell_complete=complete_files)
@click.option("--qgraph-node-id", multiple=True, metavar="IDS", help="Only these quanta, with commas.")
@control_options()
@click.option("--no-existing-outputs", is_flag=True, help="Do not look for outputs that are there already.")
@click.option("--config-search-path", multiple=True, help="Kept for compatibility; has no effect.")
@click.option("--qgraph-id", metavar="ID", help="Kept for compatibility; has no effect.")
@coverage_options()
@click.pass_context
def run_qbb(ctx: click.Context, /, repo: str, qgraph: str, **options: Any) -> int:
    """Run quanta of a graph file without a registry; register what they made with `butler transfer-from-graph`."""
    from armillary.pipeline.execution import run_without_registry

    measure_coverage(ctx, options)
    control = control_of(options)
    return run_to_end(
        lambda: run_without_registry(
            repo,
            qgraph,
            quantum_ids=split_commas(options["qgraph_node_id"]) or None,
            assume_no_existing_outputs=options["no_existing_outputs"],
            **control,
        ),
        options["summary"],
    )
