"""What happens before the first quantum: dataset types, init-outputs, configs and software versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armillary.errors import ConflictingDefinitionError
from armillary.pipeline.init_outputs import check_registrations, compare_config, merge_packages
from armillary.pipeline.packages import Packages
from armillary.pipeline.pipeline_nodes import TaskImportMode

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef, LimitedButler

__all__ = ["check_dataset_types", "initialise_run", "write_init_datasets"]


def check_dataset_types(graph: Any, butler: Butler, *, register: bool) -> None:
    """Check that every dataset type of the graph is registered, or register those that are not.

    Parameters
    ----------
    graph
        The quantum graph.
    butler
        The repository.
    register
        Whether to register missing dataset types.

    Raises
    ------
    MissingDatasetTypeError
        Some are missing and `register` is false; the message names all of them. Nothing has been written.
    """
    pipeline = graph.pipeline_graph
    if register:
        pipeline.register_dataset_types(butler)
    else:
        check_registrations(butler, pipeline._types(True, True, True, True))


def initialise_run(
    graph: Any,
    butler: Butler,
    *,
    register_dataset_types: bool = False,
    extend_run: bool = False,
    skip_init_writes: bool = False,
    no_versions: bool = False,
) -> None:
    """Write what a run needs besides the outputs of its quanta.

    Parameters
    ----------
    graph
        The quantum graph.
    butler
        The repository, opened with the run to write to.
    register_dataset_types
        Whether to register missing dataset types.
    extend_run
        Whether configs and versions may be there already; they are then compared.
    skip_init_writes
        Whether to write nothing, because it has been done.
    no_versions
        Whether to leave the software versions out.

    Raises
    ------
    MissingDatasetTypeError
        A dataset type is not registered.
    ConflictingDefinitionError
        A config or a version is there and differs, or is there at all without `extend_run`.
    """
    check_dataset_types(graph, butler, register=register_dataset_types)
    if skip_init_writes:
        return
    write_init_datasets(graph, butler, may_exist=extend_run, versions=not no_versions)


def write_init_datasets(graph: Any, butler: LimitedButler, *, may_exist: bool, versions: bool) -> None:
    """Make all tasks and write their init-outputs and configs, and the software versions."""
    pipeline = graph.pipeline_graph
    labels = [label for label in pipeline.tasks if graph.get_init_outputs(label)]
    pipeline.import_and_configure(TaskImportMode.ASSUME_CONSISTENT_EDGES, labels)
    made: dict[str, Any] = {}
    for label in labels:
        node = pipeline.tasks[label]
        inputs = graph.get_init_inputs(label)
        values = {}
        for name, read in node.init.inputs.items():
            known = made.get(read.parent_dataset_type_name)
            values[name] = butler.get(inputs[name]) if known is None else known
        task = node.task_class(config=node.config, initInputs=values, name=label)
        outputs: dict[str, DatasetRef] = dict(graph.get_init_outputs(label))
        config_ref = outputs.pop("_config")
        for name, ref in outputs.items():
            value = made[ref.datasetType.name] = getattr(task, name)
            if not butler.stored(ref):
                butler.put(value, ref)
        _write_config(butler, node, config_ref, may_exist)
    packages_ref = graph.get_init_outputs("").get("packages")
    if versions and packages_ref is not None:
        _write_versions(butler, packages_ref, may_exist)


def _write_config(butler: LimitedButler, node: Any, ref: DatasetRef, may_exist: bool) -> None:
    if not butler.stored(ref):
        butler.put(node.config, ref)
        return
    if not may_exist:
        raise ConflictingDefinitionError(
            f"the config `{ref.datasetType.name}` is in run `{ref.run}` already; `--extend-run` goes on with that run"
        )
    compare_config(ref.datasetType.name, node.config, butler.get(ref), ref.run)


def _write_versions(butler: LimitedButler, ref: DatasetRef, may_exist: bool) -> None:
    present = Packages.fromSystem()
    if not butler.stored(ref):
        butler.put(present, ref)
        return
    if not may_exist:
        raise ConflictingDefinitionError(
            f"the software versions are in run `{ref.run}` already; `--extend-run` goes on with that run"
        )
    merged = merge_packages(butler.get(ref), present)
    if merged is not None:
        butler.pruneDatasets([ref], disassociate=True, unstore=True, purge=True)
        butler.put(merged, ref)
