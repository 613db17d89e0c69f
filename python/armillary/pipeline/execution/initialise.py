"""What happens before the first quantum: dataset types, init-outputs, configs and software versions."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from armillary.errors import ConflictingDefinitionError, MissingDatasetTypeError
from armillary.pipeline.init_outputs import check_registrations, compare_config, merge_packages
from armillary.pipeline.packages import Packages
from armillary.pipeline.pipeline_nodes import TaskImportMode
from armillary.pipeline.task_definition import TaskFactory

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef, LimitedButler
    from armillary.pipeline.pipeline_graph import PipelineGraph

__all__ = ["check_configs_of_done_tasks", "check_dataset_types", "initialise_run", "write_init_datasets"]


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
        with butler.transaction():
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
    task_factory: TaskFactory | None = None,
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
    task_factory
        Makes the tasks, whose init-outputs are written.

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
    write_init_datasets(graph, butler, may_exist=extend_run, versions=not no_versions, task_factory=task_factory)


def write_init_datasets(
    graph: Any,
    butler: LimitedButler,
    *,
    may_exist: bool,
    versions: bool = True,
    configs: bool = True,
    init_outputs: bool = True,
    init_outputs_may_exist: bool = True,
    task_factory: TaskFactory | None = None,
) -> None:
    """Make all tasks and write their init-outputs and configs, and the software versions, or only some of these.

    Everything is made and compared first, then written together.

    Raises
    ------
    ConflictingDefinitionError
        A config or a version is there and differs, or something is there at all that may not exist.
    """
    pipeline = graph.pipeline_graph
    labels = [label for label in pipeline.tasks if graph.get_init_outputs(label)]
    if configs or init_outputs:
        pipeline.import_and_configure(TaskImportMode.ASSUME_CONSISTENT_EDGES, labels)
    writes = _Writes(graph, butler, labels)
    if configs:
        for label in labels:
            writes.add_config(pipeline.tasks[label], graph.get_init_outputs(label)["_config"], may_exist)
    if init_outputs:
        for value, ref in _made_by_tasks(graph, butler, labels, task_factory or TaskFactory()):
            writes.add(value, ref, init_outputs_may_exist)
    packages_ref = graph.get_init_outputs("").get("packages")
    if versions and packages_ref is not None:
        writes.add_versions(packages_ref, may_exist)
    writes.write()


def _made_by_tasks(
    graph: Any, butler: LimitedButler, labels: Iterable[str], factory: TaskFactory
) -> Iterator[tuple[Any, DatasetRef]]:
    """Make tasks, each with the init-outputs of those before it, and give their init-outputs."""
    made: dict[str, Any] = {}
    for label in labels:
        node = graph.pipeline_graph.tasks[label]
        inputs = graph.get_init_inputs(label)
        parents = {name: edge.parent_dataset_type_name for name, edge in node.init.inputs.items()}
        known = {inputs[name].id: made[parent] for name, parent in parents.items() if parent in made}
        task = factory.makeTask(node, _KnownFirst(butler, known), inputs.values())
        for name, ref in graph.get_init_outputs(label).items():
            if name != "_config":
                made[ref.datasetType.name] = getattr(task, name)
                yield made[ref.datasetType.name], ref


def check_configs_of_done_tasks(
    pipeline: PipelineGraph, labels: Iterable[str], butler: Butler, collections: Sequence[str]
) -> None:
    """Check that tasks with nothing left to do have the configs they were run with, where these are stored.

    Parameters
    ----------
    pipeline
        The pipeline graph.
    labels
        The tasks.
    butler
        The repository.
    collections
        Where their outputs are: a run, and what it uses again.

    Raises
    ------
    ConflictingDefinitionError
        A config differs: what is in the run is not what was asked for.
    """
    for label in labels:
        node = pipeline.tasks[label]
        name = node.init.config_output.dataset_type_name
        try:
            ref = butler.find_dataset(name, collections=collections)
        except MissingDatasetTypeError:
            continue
        if ref is not None:
            compare_config(name, node.config, butler.get(ref), ref.run)


class _KnownFirst:
    """Gives datasets that were made a moment ago and are not written yet; all others come from the butler."""

    def __init__(self, butler: LimitedButler, known: dict[uuid.UUID, Any]) -> None:
        self._butler = butler
        self._known = known

    def get(self, ref: DatasetRef) -> Any:
        """Return a dataset."""
        return self._known[ref.id] if ref.id in self._known else self._butler.get(ref)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._butler, name)


class _Writes:
    """Datasets that are to be written, less those that are there already."""

    def __init__(self, graph: Any, butler: LimitedButler, labels: list[str]) -> None:
        self._butler = butler
        refs = [ref for label in ["", *labels] for ref in graph.get_init_outputs(label).values()]
        self._stored = {ref.id for ref, there in butler.stored_many(refs).items() if there}
        self._replaced: list[DatasetRef] = []
        self._new: list[tuple[Any, DatasetRef]] = []

    def add(self, value: Any, ref: DatasetRef, may_exist: bool) -> None:
        """Write an init-output unless it is there."""
        if ref.id not in self._stored:
            self._new.append((value, ref))
        else:
            self._refuse_existing("the init-output", ref, may_exist)

    def add_config(self, node: Any, ref: DatasetRef, may_exist: bool) -> None:
        """Write a config, or compare it with the one there."""
        if ref.id not in self._stored:
            self._new.append((node.config, ref))
            return
        self._refuse_existing("the config", ref, may_exist)
        compare_config(ref.datasetType.name, node.config, self._butler.get(ref), ref.run)

    def add_versions(self, ref: DatasetRef, may_exist: bool) -> None:
        """Write the software versions, or compare them with those there and add what is new."""
        present = Packages.fromSystem()
        if ref.id not in self._stored:
            self._new.append((present, ref))
            return
        self._refuse_existing("the dataset of software versions", ref, may_exist)
        merged = merge_packages(self._butler.get(ref), present)
        if merged is not None:
            self._replaced.append(ref)
            self._new.append((merged, ref))

    @staticmethod
    def _refuse_existing(what: str, ref: DatasetRef, may_exist: bool) -> None:
        if not may_exist:
            raise ConflictingDefinitionError(
                f"{what} `{ref.datasetType.name}` is in run `{ref.run}` already; `--extend-run` goes on with that run"
            )

    def write(self) -> None:
        """Write everything, in one transaction where there is a registry."""
        butler: Any = self._butler
        if self._replaced:
            butler.pruneDatasets(self._replaced, disassociate=True, unstore=True, purge=True)
        if hasattr(butler, "_core_registry"):
            datastore = butler._datastore
            refs = [ref for _, ref in self._new]
            prepared = [datastore.prepare(value, ref) for value, ref in self._new]
            butler._new_session().write(refs, prepared)
            return
        for value, ref in self._new:
            butler.put(value, ref)
