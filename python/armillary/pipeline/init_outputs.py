"""What a run holds besides the outputs of its quanta: init-outputs, configs and software versions.

Each of these functions may be repeated: what is there already is compared, not written again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from armillary.errors import ConflictingDefinitionError, MissingDatasetTypeError
from armillary.pipeline.packages import Packages

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef, DatasetType
    from armillary.pipeline.pipeline_graph import PipelineGraph
    from armillary.pipeline.pipeline_task import PipelineTask

__all__ = [
    "check_registrations",
    "compare_config",
    "instantiate_tasks",
    "merge_packages",
    "write_configs",
    "write_init_outputs",
    "write_packages",
]

_LOG = logging.getLogger(__name__)


def instantiate_tasks(
    graph: PipelineGraph,
    get_init_input: Callable[[DatasetType], Any] | None,
    init_outputs: list[tuple[Any, DatasetType]] | None,
    labels: Iterable[str] | None,
) -> list[PipelineTask]:
    """Make tasks, each with the init-outputs of those before it; see `PipelineGraph.instantiate_tasks`."""
    wanted = None if labels is None else set(labels)
    made: dict[str, Any] = {}
    tasks: list[PipelineTask] = []
    for label, node in graph.tasks.items():
        if wanted is not None and label not in wanted:
            continue
        inputs: dict[str, Any] = {}
        for name, read in node.init.inputs.items():
            if read.parent_dataset_type_name in made:
                inputs[name] = made[read.parent_dataset_type_name]
            elif get_init_input is not None:
                dataset_type = graph.dataset_types[read.parent_dataset_type_name].dataset_type
                inputs[name] = get_init_input(read.adapt_dataset_type(dataset_type))
            else:
                raise ValueError(
                    f"task `{label}` reads `{read.dataset_type_name}` when it is made, and no `get_init_input` is given"
                )
        task = node.task_class(config=node.config, initInputs=inputs, name=label)
        tasks.append(task)
        for name, write in node.init.outputs.items():
            value = getattr(task, name)
            made[write.parent_dataset_type_name] = value
            if init_outputs is not None:
                dataset_type = graph.dataset_types[write.parent_dataset_type_name].dataset_type
                init_outputs.append((value, write.adapt_dataset_type(dataset_type)))
    return tasks


def write_init_outputs(graph: PipelineGraph, butler: Butler) -> None:
    """Make all tasks and write their init-outputs to the butler's run; those already there are kept."""
    made: list[tuple[Any, DatasetType]] = []

    def read(dataset_type: DatasetType) -> Any:
        return butler.get(dataset_type)

    graph.instantiate_tasks(read, made)
    for value, dataset_type in made:
        if _stored(butler, dataset_type) is None:
            butler.put(value, dataset_type)


def write_configs(graph: PipelineGraph, butler: Butler) -> None:
    """Write the configs, or compare them with those in the butler's run."""
    for node in graph.tasks.values():
        dataset_type = graph.dataset_types[node.init.config_output.dataset_type_name].dataset_type
        ref = _stored(butler, dataset_type)
        if ref is None:
            butler.put(node.config, dataset_type)
        else:
            compare_config(dataset_type.name, node.config, butler.get(ref), ref.run)


def write_packages(graph: PipelineGraph, butler: Butler) -> None:
    """Write the software versions, or compare them with those in the butler's run and add what is new."""
    dataset_type = graph.packages_dataset_type
    present = Packages.fromSystem()
    ref = _stored(butler, dataset_type)
    if ref is None:
        butler.put(present, dataset_type)
        return
    merged = merge_packages(butler.get(ref), present)
    if merged is not None:
        butler.pruneDatasets([ref], unstore=True, purge=True, disassociate=True)
        butler.put(merged, dataset_type)


def _stored(butler: Butler, dataset_type: DatasetType) -> DatasetRef | None:
    """Return the reference of a dataset without dimensions in the butler's run, None when it is not there."""
    run = butler.run
    if run is None:
        raise TypeError("the butler has no run to write to; open it with `run=`")
    return butler.find_dataset(dataset_type.name, collections=[run])


def compare_config(name: str, new: Any, old: Any, where: str) -> None:
    """Refuse a config that differs from the one stored; every difference is logged.

    Raises
    ------
    ConflictingDefinitionError
        They differ.
    """
    differences: list[str] = []
    if new.compare(old, shortcut=False, output=differences.append):
        return
    for difference in differences:
        _LOG.critical("Comparing configuration: %s", difference)
    fields = ", ".join(f"`{text.partition(':')[0]}`" for text in differences[:5])
    raise ConflictingDefinitionError(
        f"the config of this run differs from `{name}` in `{where}` ({fields}); "
        "take another output run, or the config of the first time"
    )


def merge_packages(old: Packages, new: Packages) -> Packages | None:
    """Return the versions to store in place of the old ones, None when these say it all.

    Raises
    ------
    ConflictingDefinitionError
        A version differs.
    """
    different = new.difference(old)
    if different:
        listed = "; ".join(f"`{name}` {now}, before {then}" for name, (now, then) in sorted(different.items()))
        raise ConflictingDefinitionError(
            f"software versions differ from those with which this run was begun: {listed}; "
            "take another output run, or `--no-versions` to go on"
        )
    added = new.extra(old)
    return Packages({**old, **added}) if added else None


def check_registrations(butler: Butler, types: Iterable[DatasetType]) -> None:
    """Check that dataset types are registered; all that are missing are named.

    Raises
    ------
    MissingDatasetTypeError
        Some are not.
    ConflictingDefinitionError
        One is registered with other dimensions, or with a storage class that does not convert.
    """
    missing: list[str] = []
    for wanted in types:
        try:
            registered = butler.registry.getDatasetType(wanted.name)
        except MissingDatasetTypeError:
            missing.append(wanted.name)
            continue
        if registered != wanted and not wanted.is_compatible_with(registered):
            raise ConflictingDefinitionError(
                f"dataset type `{wanted.name}` is registered as {registered}, but the pipeline needs {wanted}"
            )
    if missing:
        names = ", ".join(f"`{name}`" for name in sorted(missing))
        raise MissingDatasetTypeError(
            f"{len(missing)} dataset types of the pipeline are not registered: {names}; "
            "`--register-dataset-types` registers them"
        )
