"""What `pipetask --show` prints."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from armillary._words import did_you_mean

if TYPE_CHECKING:
    from armillary.butler import Butler
    from armillary.pipeline import Pipeline

__all__ = ["QUANTUM_ITEMS", "show", "show_quanta"]

QUANTUM_ITEMS = ("graph", "workflow", "uri")
"""What is shown of a quantum graph, not of a pipeline."""

_ITEMS = (
    "pipeline",
    "tasks",
    "subsets",
    "inputs",
    "pipeline-graph",
    "task-graph",
    "graph",
    "workflow",
    "uri",
    "config",
    "dump-config",
    "history",
)


def show(pipeline: Pipeline, item: str, options: dict[str, Any]) -> None:
    """Print one item about a pipeline.

    Raises
    ------
    click.BadParameter
        If there is no such item.
    """
    name, _, argument = item.partition("=")
    if name == "pipeline":
        click.echo(str(pipeline))
    elif name in ("tasks", "subsets", "inputs", "config", "dump-config", "history"):
        _CONFIG_ITEMS[name](pipeline, argument)
    elif name in ("pipeline-graph", "task-graph"):
        from armillary.pipeline.graph_drawing import pipeline_text

        click.echo(pipeline_text(pipeline.to_graph(), tasks_only=name == "task-graph"))
    elif name not in _ITEMS:
        raise click.BadParameter(
            f"`{name}` cannot be shown{did_you_mean(name, _ITEMS)}; known are {', '.join(_ITEMS)}", param_hint="--show"
        )


def show_quanta(butler: Butler, graph: Any, item: str) -> None:
    """Print one item about a quantum graph: `graph`, `workflow` or `uri`."""
    from armillary.pipeline import quantum_graph_drawing

    if item == "graph":
        lines = quantum_graph_drawing.quantum_lines(graph)
    elif item == "workflow":
        lines = quantum_graph_drawing.workflow_lines(graph)
    else:
        lines = _uri_lines(butler, graph)
    for line in lines:
        click.echo(line)


def _uri_lines(butler: Butler, graph: Any) -> Iterator[str]:
    """Tell where the inputs of quanta are and where their outputs will be."""
    for position, (quantum_id, label) in enumerate(graph.quanta()):
        yield f"Quantum {position}: {label} {graph.data_id_of(quantum_id)}"
        for title, side in (("inputs", graph.get_inputs(quantum_id)), ("outputs", graph.get_outputs(quantum_id))):
            yield f"  {title}:"
            for ref in (ref for refs in side.values() for ref in refs):
                yield f"    {ref.datasetType.name}: {butler.getURI(ref, predict=True)}"


def _configured(pipeline: Pipeline) -> list[tuple[str, Any]]:
    return [(task.label, task.config) for task in pipeline.to_graph().tasks.values()]


def _show_tasks(pipeline: Pipeline, _: str) -> None:
    for task in pipeline.to_graph().tasks.values():
        click.echo(f"{task.label}: {task.task_class_name}")


def _show_subsets(pipeline: Pipeline, _: str) -> None:
    for name, labels in pipeline.subsets.items():
        click.echo(f"{name}: {', '.join(sorted(labels))}")


def _show_inputs(pipeline: Pipeline, _: str) -> None:
    for name in sorted(name for name, _ in pipeline.to_graph().iter_overall_inputs()):
        click.echo(name)


def _selected(pipeline: Pipeline, argument: str) -> tuple[list[tuple[str, Any]], str]:
    """Split `LABEL::GLOB` or `GLOB`; give the configs of the task, or of all."""
    label, double, pattern = argument.rpartition("::")
    configs = _configured(pipeline)
    if double:
        known = [name for name, _ in configs]
        if label not in known:
            raise LookupError(f"no task is labelled `{label}`{did_you_mean(label, known)}")
        configs = [pair for pair in configs if pair[0] == label]
    return configs, pattern


def _show_config(pipeline: Pipeline, argument: str) -> None:
    configs, pattern = _selected(pipeline, argument)
    pattern, case, _ = pattern.partition(":NOIGNORECASE")
    for label, config in configs:
        click.echo(f"### Configuration for task `{label}'")
        for line in config_lines(config):
            field = line.partition("=")[0].removeprefix("config.")
            wanted = pattern or "*"
            matches = fnmatch.fnmatchcase(field, wanted) if case else fnmatch.fnmatchcase(field.lower(), wanted.lower())
            if not line.startswith("config.") or matches:
                click.echo(line)


def config_lines(config: Any) -> list[str]:
    """Give the Python lines that make a config."""
    import io

    stream = io.StringIO()
    config.saveToStream(stream)
    return stream.getvalue().splitlines()


def _show_dump(pipeline: Pipeline, argument: str) -> None:
    for label, config in _configured(pipeline):
        if argument in ("", label):
            click.echo(f"### Configuration for task `{label}'")
            click.echo("\n".join(config_lines(config)))


def _show_history(pipeline: Pipeline, argument: str) -> None:
    configs, field = _selected(pipeline, argument)
    if not field:
        raise click.BadParameter("`history` needs a field: `--show history=LABEL::FIELD`", param_hint="--show")
    for label, config in configs:
        *path, name = field.split(".")
        owner = config
        for part in path:
            owner = getattr(owner, part)
        click.echo(f"### History of `{label}::{field}'")
        click.echo(owner.formatHistory(name, writeSourceLine=True))


_CONFIG_ITEMS = {
    "tasks": _show_tasks,
    "subsets": _show_subsets,
    "inputs": _show_inputs,
    "config": _show_config,
    "dump-config": _show_dump,
    "history": _show_history,
}
