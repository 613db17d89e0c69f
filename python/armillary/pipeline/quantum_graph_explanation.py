"""Why a quantum graph has as many quanta as it has, or none."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from armillary import _core
from armillary.errors import ButlerUserError, RegistryError

if TYPE_CHECKING:
    from armillary.butler import Butler
    from armillary.pipeline.pipeline_graph import PipelineGraph
    from armillary.pipeline.quantum_graph_funnel import TaskFunnel

__all__ = ["GraphExplanation", "explain_graph"]

# What a query says that cannot be asked of this repository.
_REFUSED = (ButlerUserError, RegistryError, LookupError, ValueError)


@dataclasses.dataclass(frozen=True)
class Stage:
    """One condition on the data IDs of a part of the pipeline, and how many rows are left with it.

    `rows` is None where the question makes no sense, such as a condition on what is not there.
    """

    what: str
    rows: int | None

    def __str__(self) -> str:
        return f"{'?' if self.rows is None else self.rows:>10}  {self.what}"


@dataclasses.dataclass(frozen=True)
class GraphExplanation:
    """The way from a query to quanta.

    Attributes
    ----------
    parts
        For each independent part of the pipeline its tasks, and the conditions in the order in which they are added;
        without tract slicing, for each task that reads nothing another task makes.
    funnels
        What became of the quanta of each task.
    suggestion
        The one change that would help most; empty if nothing stands out.
    """

    parts: tuple[tuple[tuple[str, ...], tuple[Stage, ...]], ...]
    funnels: tuple[TaskFunnel, ...]
    suggestion: str = ""

    def __str__(self) -> str:
        lines: list[str] = []
        for labels, stages in self.parts:
            lines.append(f"rows of data IDs for {', '.join(labels)}:")
            lines += [f"  {stage}" for stage in stages]
        lines.append("quanta:")
        lines += [f"  {line}" for funnel in self.funnels for line in str(funnel).splitlines()]
        if self.suggestion:
            lines.append(f"suggestion: {self.suggestion}")
        return "\n".join(lines)


class _Part:
    """The query of some tasks, all those of an independent part of a pipeline or one, condition by condition."""

    def __init__(
        self,
        graph: PipelineGraph,
        labels: Iterable[str],
        butler: Butler,
        options: Mapping[str, Any],
        inputs: list[str],
    ) -> None:
        self.labels = tuple(labels)
        self._graph, self._butler, self._inputs = graph, butler, inputs
        self._engine = _core.QueryEngine(butler._core_registry)
        self._where, self._bind = options["where"], options["bind"]
        self._data_id: dict[str, Any] = options["data_id"]
        self._constraint = options["constraint"]
        self._dimensions = self._queried()
        self.empty_at: str | None = None
        self.suggestion = ""

    def _queried(self) -> list[str]:
        universe = self._butler.dimensions
        names: set[str] = set()
        for label in self.labels:
            task = self._graph.tasks[label]
            names.update(task.dimensions.names)
            for edge in (*task.inputs.values(), *task.iter_all_outputs()):
                names.update(self._graph.dataset_types[edge.parent_dataset_type_name].dimensions.names)
        skypix = set(universe.conform(names).skypix) - {universe.commonSkyPix.name}
        return [name for name in universe.conform(names).names if name not in skypix]

    def _constraints(self) -> list[str]:
        """Dataset types whose datasets must exist, as the builder chooses them."""
        names = []
        for name, node in self._graph.iter_overall_inputs():
            if node is None or node.is_prerequisite or not node.dimensions:
                continue
            readers = self._graph.consuming_edges_of(name)
            if all(edge.is_init for edge in readers) or not any(edge.task_label in self.labels for edge in readers):
                continue
            wanted = (
                node.is_initial_query_constraint
                if self._constraint == "all"
                else self._constraint != "off" and name in self._constraint
            )
            if wanted:
                names.append(name)
        return names

    def _count(self, where: str, types: Iterable[str]) -> int | None:
        common: dict[str, Any] = {"joins": [(name, self._inputs) for name in types]}
        if where:
            common |= {"where": where, "bind": self._bind}
        if self._data_id:
            common["data_id"] = self._data_id
        try:
            return int(self._engine.data_ids(self._dimensions, mode="count", **common))
        except _REFUSED:
            return None  # such as a dataset type that is not registered, or values that mean nothing without others

    def stages(self) -> tuple[Stage, ...]:
        stages = [Stage(f"data IDs of {', '.join(self._dimensions)}", self._count("", []))]
        self._note(stages[-1], self._advise_on_records)
        if self._where:
            stages.append(Stage(f"with `{self._where}`", self._count(self._where, [])))
            self._note(stages[-1], self._advise_on_where)
        types: list[str] = []
        for name in self._constraints():
            types.append(name)
            where = f"`{'`, `'.join(self._inputs)}`"
            stages.append(Stage(f"with a dataset `{name}` in {where}", self._count(self._where, types)))
            self._note(stages[-1], lambda name=name: self._advise_on_type(name))
        return tuple(stages)

    def _note(self, stage: Stage, advise: Any) -> None:
        if not stage.rows and self.empty_at is None:
            self.empty_at = stage.what
            self.suggestion = advise()

    def _advise_on_records(self) -> str:
        for name in self._dimensions:
            if self._butler.dimensions[name].has_own_table and not self._any_records(name):
                ways = {
                    "visit": "run `butler define-visits`",
                    "skymap": "register a sky map with `butler register-skymap`",
                    "tract": "register a sky map with `butler register-skymap`",
                    "patch": "register a sky map with `butler register-skymap`",
                    "instrument": "run `butler register-instrument`",
                    "exposure": "ingest raw frames with `butler ingest-raws`",
                }
                return f"the repository has no `{name}` records; {ways.get(name, 'insert them first')}"
        return "no records of these dimensions belong together; do regions of visits and of the sky map overlap?"

    def _any_records(self, name: str) -> bool:
        try:
            return bool(self._engine.records(name, mode="any"))
        except _REFUSED:
            return True

    def _advise_on_where(self) -> str:
        try:
            common: dict[str, Any] = {"where": self._where, "bind": self._bind}
            if self._data_id:
                common["data_id"] = self._data_id
            reasons = self._engine.data_ids(self._dimensions, mode="explain", **common)
        except _REFUSED as error:
            reasons = [str(error)]
        return f"change the data query: {reasons[0]}" if reasons else "change the data query"

    def _advise_on_type(self, name: str) -> str:
        infos = self._butler.collections.query_info("*", include_summary=True, include_chains=False)
        holding = [info.name for info in infos if name in (info.dataset_types or ())]
        searched = set(self._butler._core_registry.flatten_collections(self._inputs))
        elsewhere = [collection for collection in holding if collection not in searched]
        if not holding:
            return f"there is no dataset `{name}` in any collection; make it first, or leave out the task that reads it"
        if set(holding) & searched:
            return (
                f"datasets `{name}` are in `{next(c for c in holding if c in searched)}`, but none for these data IDs; "
                "widen the data query"
            )
        return f"add `-i {elsewhere[0]}`: that is where datasets `{name}` are"


def _advice_on_loss(funnels: Iterable[TaskFunnel]) -> str:
    """Name the connection that cost most quanta."""
    worst = max(
        ((count, funnel, name) for funnel in funnels for name, count in funnel.lacking.items()),
        key=lambda loss: loss[0],
        default=None,
    )
    if worst is None:
        return ""
    count, funnel, name = worst
    return (
        f"{count} of {funnel.initial} quanta of `{funnel.label}` have too few datasets of `{funnel.label}.{name}`; "
        f"see what makes them, or give that connection a smaller `minimum`"
    )


def _first(graph: PipelineGraph) -> list[tuple[str]]:
    """Find the tasks that read nothing another one makes: what limits them is in the repository."""
    made = {edge.parent_dataset_type_name for task in graph.tasks.values() for edge in task.iter_all_outputs()}
    return [
        (label,)
        for label, task in graph.tasks.items()
        if not any(edge.parent_dataset_type_name in made for edge in task.inputs.values())
    ]


def explain_graph(
    graph: PipelineGraph,
    butler: Butler,
    options: Mapping[str, Any],
    inputs: Iterable[str],
    funnels: Iterable[TaskFunnel],
) -> GraphExplanation:
    """Count the rows of data IDs condition by condition, and say what to change.

    Parameters
    ----------
    graph
        The resolved pipeline.
    butler
        The repository.
    options
        `where`, `bind`, `data_id`, `constraint` and `tract_slicing` of the builder.
    inputs
        Collections in which inputs are looked for.
    funnels
        What became of the quanta of each task.

    Notes
    -----
    Each condition is a query of its own, so that this costs several times what the building did.
    """
    parts, suggestion = [], ""
    funnels = tuple(funnels)
    for sub in graph.split_independent():
        for labels in [tuple(sub.tasks)] if options["tract_slicing"] else _first(sub):
            part = _Part(sub, labels, butler, options, list(inputs))
            parts.append((part.labels, part.stages()))
            suggestion = suggestion or part.suggestion
    return GraphExplanation(tuple(parts), funnels, suggestion or _advice_on_loss(funnels))
