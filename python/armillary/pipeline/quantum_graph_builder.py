"""From a pipeline, a repository and a condition to a quantum graph."""

from __future__ import annotations

import datetime
import getpass
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from armillary import _core
from armillary.errors import (
    InitInputMissingError,
    OutputExistsError,
    PrerequisiteMissingError,
    QuantumGraphBuilderError,
)
from armillary.pipeline.quanta_adjuster import QuantaAdjuster
from armillary.pipeline.quantum_graph import FORMAT_VERSION, PredictedQuantumGraphComponents
from armillary.pipeline.quantum_graph_funnel import TaskFunnel

if TYPE_CHECKING:
    from astropy.table import Table

    from armillary.butler import Butler, DataCoordinate, DatasetRef, DimensionUniverse
    from armillary.pipeline.connections import PipelineTaskConnections
    from armillary.pipeline.older_quantum_graph import QuantumGraph
    from armillary.pipeline.pipeline_graph import PipelineGraph
    from armillary.pipeline.quantum_graph_explanation import GraphExplanation
    from armillary.pipeline.reuse.search import ReuseSearch

__all__ = [
    "InitInputMissingError",
    "OutputExistsError",
    "PrerequisiteMissingError",
    "QuantaAdjuster",
    "QuantumGraphBuilder",
    "QuantumGraphBuilderError",
]

_LOG = logging.getLogger(__name__)

# Row, data ID, inputs and outputs by connection.
_Quantum = tuple[int, Any, dict[str, list[Any]], dict[str, list[Any]]]


class QuantumGraphBuilder:
    """Builds a quantum graph of a pipeline.

    Parameters
    ----------
    pipeline_graph
        The pipeline; it is resolved with the butler.
    butler
        The repository; only read.
    input_collections
        Where inputs are looked for; the butler's default collections if not given.
    output_run
        RUN of the outputs; the butler's default run if not given.
    skip_existing_in
        Where finished quanta are looked for: those whose metadata exists there are left out.
    retained_dataset_types
        Names or globs of dataset types that were kept; what made others is run again where a quantum that runs needs
        them. All were kept if not given.
    prune_unanchored_quanta
        Labels of two tasks: quanta of the first that lead to none of the second are left out, and all that would come
        after them.
    clobber
        Whether existing outputs of quanta that run will be replaced; otherwise they are refused.
    where, bind, data_id
        Condition on data IDs, the values of its `:names`, and values that data IDs must have.
    dataset_query_constraint
        `"all"`, `"off"` or dataset type names: which existing inputs limit the data IDs.
    data_id_tables
        Tables whose columns are dimensions (`astropy.table.Table`): only data IDs that are in each of them are used.
    tract_slicing
        Whether a condition, and every overlap of regions, holds for all data IDs of a part of the pipeline.
        If not, each task is joined as in a graph of its own, with what the tasks before it may make as its inputs: a
        detector that touches no tract is calibrated, though it is not coadded.
    reuse
        Whether quanta are left out whose outputs an earlier run made from the same inputs, with the same config and
        code. Later quanta read those outputs; `PredictedQuantumGraphComponents.reuse` tells which they are.
    reuse_from
        Names or globs of collections in which earlier quanta are looked for; all runs if none are given.

    Raises
    ------
    QuantumGraphBuilderError
        Collections are missing, or a constraint names no overall input.
    TypeError
        `tract_slicing` is neither True nor False.
    """

    def __init__(
        self,
        pipeline_graph: PipelineGraph,
        butler: Butler,
        *,
        input_collections: Sequence[str] | None = None,
        output_run: str | None = None,
        skip_existing_in: Sequence[str] = (),
        retained_dataset_types: Sequence[str] | None = None,
        prune_unanchored_quanta: tuple[str, str] | None = None,
        clobber: bool = False,
        where: str = "",
        bind: Mapping[str, Any] | None = None,
        data_id: Mapping[str, Any] | None = None,
        dataset_query_constraint: Any = "all",
        data_id_tables: Iterable[Table] = (),
        tract_slicing: bool = True,
        reuse: bool = False,
        reuse_from: Sequence[str] = (),
    ) -> None:
        if not isinstance(tract_slicing, bool):
            raise TypeError(f"`tract_slicing` is True or False, not `{tract_slicing!r}`")
        self.butler = butler
        self._pipeline_graph = pipeline_graph
        inputs = list(input_collections if input_collections is not None else butler.collections.defaults)
        if not inputs:
            raise ValueError("no input collections were given and the butler has no default ones")
        self.output_run = output_run or butler.run or ""
        if not self.output_run:
            raise ValueError("no output run was given and the butler has no default one")
        self._named_inputs = inputs
        self.input_collections = self._flattened(inputs)
        self.skip_existing_in = self._flattened(skip_existing_in)
        pipeline_graph.resolve(butler.registry)
        retained = list(retained_dataset_types) if retained_dataset_types else None
        self._options: dict[str, Any] = {
            "where": where,
            "bind": dict(bind or {}),
            "data_id": {**dict(pipeline_graph.data_id.required), **dict(data_id or {})},
            "skip_existing_in": self.skip_existing_in,
            "retained": None if retained == ["*"] else retained,
            "clobber": clobber,
            "constraint": _constraint(dataset_query_constraint),
            "tables": [plain_table(table, butler, where, pipeline_graph.data_id) for table in data_id_tables],
            "tract_slicing": tract_slicing,
            "anchor": self._anchor(prune_unanchored_quanta),
        }
        self._reuse = self._search_of(reuse_from) if reuse or reuse_from else None

    def _anchor(self, given: tuple[str, str] | None) -> tuple[str, str] | None:
        """Say so if a label is unknown: that is allowed, but seldom meant."""
        if given is None:
            return None
        source, anchor = given
        labels = self._pipeline_graph.tasks
        if source not in labels:
            _LOG.warning("Nothing is pruned: the pipeline has no task `%s`.", source)
        elif anchor not in labels:
            _LOG.warning("All quanta of `%s` go: the pipeline has no task `%s` they could lead to.", source, anchor)
        return source, anchor

    def _search_of(self, collections: Sequence[str]) -> ReuseSearch:
        """Make the search for earlier quanta.

        Raises
        ------
        QuantumGraphBuilderError
            Quanta are to be left out for other reasons, too, which would not go together.
        """
        if self.skip_existing_in or self._options["anchor"]:
            raise QuantumGraphBuilderError(
                "outputs are either used again because they were made from the same (`reuse`), or quanta are left out "
                "because outputs exist (`skip_existing_in`) or lead nowhere (`prune_unanchored_quanta`): choose one"
            )
        from armillary.pipeline.reuse.search import ReuseSearch

        return ReuseSearch(
            self._pipeline_graph,
            self.butler,
            output_run=self.output_run,
            input_collections=self.input_collections,
            collections=collections,
        )

    def _flattened(self, names: Iterable[str]) -> list[str]:
        return list(self.butler._core_registry.flatten_collections(list(names)))

    def finish(
        self,
        output: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        attach_datastore_records: bool = True,
    ) -> PredictedQuantumGraphComponents:
        """Build the graph.

        Parameters
        ----------
        output
            Chain of the outputs, to be noted in the graph.
        metadata
            Anything that JSON can hold, to be noted in the graph.
        attach_datastore_records
            Whether the graph says where its inputs are stored, so that it can run without a registry.

        Raises
        ------
        QuantumGraphBuilderError
            A dataset type of an overall input is not registered, or two quanta write one dataset.
        OutputExistsError
            An output exists in the output run and is not to be replaced.
        InitInputMissingError
            A task cannot be made without a dataset that is not there.
        FileNotFoundError
            A quantum lacks a prerequisite.
        CalibrationLookupError
            Several calibrations are valid for one quantum.
        """
        core = _core.QuantumGraphBuilder(
            self._pipeline_graph._core,
            self.butler._core_registry,
            input_collections=self.input_collections,
            output_run=self.output_run,
            **self._options,
        )
        for label in core.labels:
            self._look_up(core, label)
        for label in core.labels:
            self._adjust(core, label)
            if self._reuse is not None:
                self._reuse.settle(core, label)
        reasons = core.reasons
        datastore = self.butler._datastore.file_datastore.name if attach_datastore_records else None
        if self._reuse is not None:
            self._reuse.add_init_outputs(core)
            metadata = {**(metadata or {}), **self._reuse.header_metadata()}
        before = {label: (core.counts(label), core.lacking(label)) for label in core.labels}
        graph = core.finish(self._header(output, metadata), datastore)
        remaining = dict(graph.n_task_quanta)
        funnels = [TaskFunnel.of(label, *numbers, remaining[label]) for label, numbers in before.items()]
        return PredictedQuantumGraphComponents(graph, self._pipeline_graph, funnels, reasons, self._reuse)

    def build(self, metadata: Mapping[str, Any] | None = None, attach_datastore_records: bool = True) -> QuantumGraph:
        """Build the graph, under the names that it had before `PredictedQuantumGraph`; see `finish`."""
        components = self.finish(metadata=metadata, attach_datastore_records=attach_datastore_records)
        return components.assemble().to_old_quantum_graph()

    @property
    def universe(self) -> DimensionUniverse:
        """All dimensions of the repository."""
        universe: DimensionUniverse = self.butler.dimensions
        return universe

    def explanation(self, components: PredictedQuantumGraphComponents) -> GraphExplanation:
        """Explain why a graph that this builder made has so many quanta, or none.

        Every condition is asked one by one, which takes longer than the building.
        """
        from armillary.pipeline.quantum_graph_explanation import explain_graph

        return explain_graph(
            self._pipeline_graph, self.butler, self._options, self.input_collections, components.funnels
        )

    def _header(self, output: str | None, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
        return {
            "version": FORMAT_VERSION,
            "graph_type": "predicted",
            "inputs": self._named_inputs,
            "output": output,
            "output_run": self.output_run,
            "user": _user(),
            "timestamp": datetime.datetime.now().isoformat(),
            "command": " ".join(sys.argv),
            "metadata": dict(metadata or {}),
        }

    def _look_up(self, core: Any, label: str) -> None:
        """Find the prerequisites that a task finds by functions of its own."""
        for edge in self._pipeline_graph._core.task(label)["prerequisite_inputs"]:
            if not edge["lookup"]:
                continue
            node = self._pipeline_graph.tasks[label]
            function = node.get_lookup_function(edge["connection"])
            if function is None:
                raise QuantumGraphBuilderError(f"the look-up function of `{label}.{edge['connection']}` is not there")
            dataset_type = node.prerequisite_inputs[edge["connection"]].adapt_dataset_type(
                self._pipeline_graph.dataset_types[edge["dataset_type"].partition(".")[0]].dataset_type
            )
            found: list[tuple[int, list[DatasetRef]]] = []
            for row, data_id, _, _ in self._batch(core, label):
                refs = function(dataset_type, self.butler.registry, data_id, self.input_collections)
                found.append((row, [ref for ref in refs if ref is not None]))
            core.found(label, edge["connection"], self._with_implied(found))

    def _with_implied(self, found: list[tuple[int, list[DatasetRef]]]) -> list[tuple[int, list[DatasetRef]]]:
        """Give all references implied values, which graphs hold."""

        def full(ref: DatasetRef) -> DatasetRef:
            return ref if ref.dataId.hasFull() else ref.expanded(self.butler.registry.expandDataId(ref.dataId))

        return [(row, [full(ref) for ref in refs]) for row, refs in found]

    def _batch(self, core: Any, label: str) -> list[_Quantum]:
        """Give the quanta of a task to its hooks, with the dimension records that hooks may ask for."""
        batch = core.batch(label)
        plain: dict[DataCoordinate, None] = {}
        for _, data_id, inputs, outputs in batch:
            plain[data_id] = None
            plain.update((ref.dataId, None) for side in (inputs, outputs) for refs in side.values() for ref in refs)
        full = dict(zip(plain, self.butler._core_registry.expand_data_ids(list(plain)), strict=True))

        def expanded(side: dict[str, list[DatasetRef]]) -> dict[str, list[DatasetRef]]:
            return {name: [ref.expanded(full[ref.dataId]) for ref in refs] for name, refs in side.items()}

        return [(row, full[data_id], expanded(inputs), expanded(outputs)) for row, data_id, inputs, outputs in batch]

    def _adjust(self, core: Any, label: str) -> None:
        """Let a task have its say about its quanta, and remove those without work."""
        hooks = self._pipeline_graph._core.task(label)["hooks"]
        if hooks["adjust_all_quanta"]:
            connections = self._pipeline_graph.tasks[label].get_connections()
            adjuster = QuantaAdjuster(label, self._pipeline_graph, self._batch(core, label), self.butler)
            connections.adjust_all_quanta(adjuster)
            core.apply(label, adjuster.adjustments())
        if hooks["adjust_quantum"]:
            connections = self._pipeline_graph.tasks[label].get_connections()
            changes = [(quantum[0], adjusted(connections, label, quantum)) for quantum in self._batch(core, label)]
            core.apply(label, [(row, change) for row, change in changes if change is not None])
        core.settle(label)
        self._tell(label, core.counts(label))

    @staticmethod
    def _tell(label: str, counts: Mapping[str, int]) -> None:
        notes = [
            f"{counts[key]} {text}"
            for key, text in (
                ("skipped", "already succeeded"),
                ("no_work", "had no work to do"),
                ("adjusted_away", "removed by adjust_all_quanta"),
            )
            if counts[key]
        ]
        note = f" ({', '.join(notes)})" if notes else ""
        if not counts["remaining"] and counts["initial"]:
            _LOG.info("Dropping task %s because no quanta remain%s.", label, note)
            return
        level = logging.WARNING if counts["no_work"] > counts["initial"] / 2 else logging.INFO
        _LOG.log(level, "Generated %d quanta for task %s%s.", counts["remaining"], label, note)


def adjusted(connections: PipelineTaskConnections, label: str, quantum: _Quantum) -> Any:
    """Call `adjustQuantum` of one quantum; give what the compiled builder takes, None if nothing changed."""
    from armillary.pipeline.status import NoWorkFound

    _, data_id, inputs, outputs = quantum
    every = connections.allConnections
    given_inputs: dict[str, Any] = {name: (every[name], tuple(refs)) for name, refs in inputs.items()}
    given_outputs: dict[str, Any] = {name: (every[name], tuple(outputs[name])) for name in outputs if name in every}
    try:
        changed_inputs, changed_outputs = connections.adjustQuantum(
            dict(given_inputs), dict(given_outputs), label, data_id
        )
    except NoWorkFound as reason:
        _LOG.debug("No work for quantum %s of task %s: %s", data_id, label, reason)
        return "no_work"
    if not changed_inputs and not changed_outputs:
        return None
    return (
        _taken(given_inputs, changed_inputs, inputs, label, data_id),
        _taken(given_outputs, changed_outputs, outputs, label, data_id),
    )


def _taken(
    given: Mapping[str, Any], changed: Mapping[str, Any], side: dict[str, list[Any]], label: str, data_id: Any
) -> dict[str, list[Any]]:
    """Replace the references that a hook changed, checked to be a part of those given."""
    result = dict(side)
    for name, (_, refs) in changed.items():
        if name not in given:
            raise RuntimeError(f"`adjustQuantum` of task `{label}` returned a connection `{name}` it was not given")
        known = {ref.id for ref in given[name][1]}
        if not all(ref.id in known for ref in refs):
            raise RuntimeError(
                f"`adjustQuantum` of task `{label}` returned datasets for `{name}` that are not a subset of what it "
                f"was given, for quantum data ID {data_id}"
            )
        result[name] = list(refs)
    return result


def plain_table(table: Table, butler: Butler, where: str, data_id: DataCoordinate) -> tuple[list[str], list[list[Any]]]:
    """Take the columns of a table of data IDs: their names and the rows.

    Raises
    ------
    ValueError
        A column is no dimension, a value is missing, or nothing says of which instrument or sky map the values are.
    """
    names = [str(name) for name in table.colnames]
    unknown = [name for name in names if name not in butler.dimensions.dimensions.names]
    if unknown or not names:
        known = ", ".join(f"`{name}`" for name in unknown) or "nothing"
        raise ValueError(f"a table of data IDs has columns that are dimensions; this one has {known}")
    dimensions = butler.dimensions.conform(names)
    for governor in dimensions.governors:
        if governor not in names and governor not in data_id.dimensions and governor not in where:
            raise ValueError(
                f"the table of data IDs has no column `{governor}`; add it, or say `{governor} = ...` in the data query"
            )
    columns = [table[name].tolist() for name in names]
    rows = [list(row) for row in zip(*columns, strict=True)]
    if any(value is None for row in rows for value in row):
        raise ValueError("the table of data IDs has rows with missing values")
    return names, rows


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may know no name for the user
        return ""


def _constraint(given: Any) -> Any:
    """Return `"all"`, `"off"` or a list of names, from any of the ways to say it."""
    if isinstance(given, str):
        if given in ("all", "off"):
            return given
        return [name.strip() for name in given.split(",") if name.strip()]
    name: Callable[[], str] | str | None = getattr(given, "name", None)
    if isinstance(name, str) and name.lower() in ("all", "off"):
        return name.lower()
    return list(given)
