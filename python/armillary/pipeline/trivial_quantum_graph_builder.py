"""The builder of graphs with one quantum of each task, whose data IDs are given."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from armillary.butler import DatasetIdGenEnum, DatasetRef
from armillary.errors import DimensionNameError
from armillary.pipeline.quantum_graph_builder import QuantumGraphBuilder

if TYPE_CHECKING:
    from armillary.butler import Butler, DataCoordinate, DimensionGroup
    from armillary.pipeline.pipeline_graph import PipelineGraph, TaskNode

__all__ = ["TrivialQuantumGraphBuilder"]

_LOG = logging.getLogger(__name__)


class TrivialQuantumGraphBuilder(QuantumGraphBuilder):
    """Builds a graph with at most one quantum of each task, without a query for data IDs.

    It is for pipelines that work on one thing, such as one detector of one visit, and need their graph at once.

    Parameters
    ----------
    pipeline_graph, butler
        The pipeline, and the repository to read.
    data_ids
        The data ID of each group of dimensions that a task or one of its outputs has; the empty one need not be given.
        They need not agree: an exposure and the visit that is made of it are of different groups.
    input_refs
        Inputs by label and connection. They come to those that are found in the input collections for the data ID in
        `data_ids`, and take their places where they have the same data ID. What a task of the pipeline makes is not
        replaced by them.
    dataset_id_modes
        How ids of outputs are made, by dataset type; by default they are new, and those of init-outputs always are.
        Outputs with such ids may be in the output run already, so `clobber=True` goes with it.
    kwargs
        See `QuantumGraphBuilder`; conditions on data IDs are not among them.

    Raises
    ------
    DimensionNameError
        No data ID is given for a task or an output, or one lacks a dimension of its group. It is a `KeyError`.
    DataIdValueError
        The repository does not know a data ID.
    ValueError
        A reference is of another dataset type than its connection, or an id is to be made in an unknown way.
    TypeError
        An option, or something among `data_ids` or `input_refs`, is not of the kind that is asked for.

    Examples
    --------
    >>> from armillary.pipeline.tests.mocks import InMemoryRepo
    >>> with InMemoryRepo("base.yaml", "spatial.yaml") as repo:
    ...     repo.add_task(dimensions=["visit", "detector"])
    ...     _ = repo.make_quantum_graph_builder()  # makes mocks of the inputs
    ...     data_id = repo.butler.registry.expandDataId(instrument="Cam1", visit=1, detector=2)
    ...     builder = TrivialQuantumGraphBuilder(
    ...         repo.pipeline_graph,
    ...         repo.butler,
    ...         data_ids={data_id.dimensions: data_id},
    ...         input_collections=["input_chain"],
    ...         output_run="run",
    ...     )
    ...     dict(builder.finish(attach_datastore_records=False).header.n_task_quanta)
    {'task_auto1': 1}
    """

    def __init__(
        self,
        pipeline_graph: PipelineGraph,
        butler: Butler,
        *,
        data_ids: Mapping[DimensionGroup, DataCoordinate],
        input_refs: Mapping[str, Mapping[str, Sequence[DatasetRef]]] | None = None,
        dataset_id_modes: Mapping[str, DatasetIdGenEnum] | None = None,
        **kwargs: Any,
    ) -> None:
        unfit = sorted({"where", "bind", "data_id", "data_id_tables", "dataset_query_constraint"} & set(kwargs))
        if unfit:
            raise TypeError(f"data IDs are given, so `{unfit[0]}` has no place here: `data_ids` says it all")
        modes = {name: DatasetIdGenEnum(mode) for name, mode in (dataset_id_modes or {}).items()}
        if modes:
            kwargs["clobber"] = True
        super().__init__(pipeline_graph, butler, **kwargs)
        self._data_ids = self._expanded(data_ids)
        self._check_complete()
        self._input_refs = self._checked(input_refs or {})
        self._options["given"] = (list(self._data_ids.values()), self._with_ids(modes))

    def _expanded(self, given: Mapping[DimensionGroup, DataCoordinate]) -> dict[DimensionGroup, DataCoordinate]:
        universe = self.butler.dimensions
        full = {universe.empty: self.butler.registry.expandDataId({})}
        for group, data_id in given.items():
            if getattr(group, "universe", None) is None:
                raise TypeError(f"the keys of `data_ids` are groups of dimensions, not `{group!r}`; see `conform`")
            values = {name: data_id[name] for name in group.required if name in data_id}
            lacking = [name for name in group.required if name not in values]
            if lacking:
                raise DimensionNameError(f"the data ID {data_id} given for {group} lacks `{lacking[0]}`")
            full[group] = self.butler.registry.expandDataId(values, dimensions=group)
        return full

    def _check_complete(self) -> None:
        """Every task and each of its outputs must have a data ID."""
        graph = self._pipeline_graph
        for label, node in graph.tasks.items():
            needed = {f"task `{label}`": node.dimensions}
            for edge in node.iter_all_outputs():
                name = edge.parent_dataset_type_name
                needed[f"output `{name}` of task `{label}`"] = graph.dataset_types[name].dimensions
            for what, group in needed.items():
                if group not in self._data_ids:
                    raise DimensionNameError(f"`data_ids` has no data ID of {group}, which {what} needs; add one")

    def _checked(
        self, given: Mapping[str, Mapping[str, Sequence[DatasetRef]]]
    ) -> dict[str, list[tuple[str, list[DatasetRef]]]]:
        """Return references by label and connection, without those that the pipeline has no place for."""
        tasks = self._pipeline_graph.tasks
        checked: dict[str, list[tuple[str, list[DatasetRef]]]] = {}
        for label, connections in given.items():
            if label not in tasks:
                _LOG.warning("Inputs of task `%s` are not used: the pipeline has no such task.", label)
                continue
            for connection, refs in connections.items():
                if connection not in tasks[label].inputs and connection not in tasks[label].prerequisite_inputs:
                    if connection not in tasks[label].outputs:  # of which those that exist are found anyway
                        _LOG.warning("Datasets for `%s.%s` are not used: it is no input.", label, connection)
                    continue
                checked.setdefault(label, []).append((connection, self._refs_of(tasks[label], connection, refs)))
        return checked

    def _refs_of(self, node: TaskNode, connection: str, refs: Sequence[DatasetRef]) -> list[DatasetRef]:
        edge = (node.inputs if connection in node.inputs else node.prerequisite_inputs)[connection]
        where = f"`{node.label}.{connection}`"
        if isinstance(refs, DatasetRef):
            raise TypeError(f"{where} takes a sequence of references; put the one in a list")
        found = []
        for ref in refs:
            if not isinstance(ref, DatasetRef):
                raise TypeError(f"{where} takes references, not `{ref!r}`")
            name = edge.parent_dataset_type_name
            if ref.datasetType.nameAndComponent()[0] != name:
                raise ValueError(f"{where} is of dataset type `{name}`, and was given `{ref.datasetType.name}`")
            found.append(ref.makeCompositeRef() if ref.isComponent() else ref)
        return [ref for _, refs in self._with_implied([(0, found)]) for ref in refs]

    def _with_ids(self, modes: Mapping[str, DatasetIdGenEnum]) -> list[DatasetRef]:
        """Make references of those outputs whose ids are not just new."""
        graph = self._pipeline_graph
        outputs = {edge.parent_dataset_type_name for node in graph.tasks.values() for edge in node.iter_all_outputs()}
        made = []
        for name in sorted(outputs & set(modes)):
            if modes[name] is not DatasetIdGenEnum.UNIQUE:
                dataset_type = graph.dataset_types[name].dataset_type
                data_id = self._data_ids[dataset_type.dimensions]
                made.append(DatasetRef(dataset_type, data_id, self.output_run, id_generation_mode=modes[name]))
        return made

    def _look_up(self, core: Any, label: str) -> None:
        super()._look_up(core, label)
        for connection, refs in self._input_refs.get(label, ()):
            core.give(label, connection, refs)
