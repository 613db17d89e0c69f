"""What a dataset was made from, and what was made from it, over all runs of which provenance is kept."""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from armillary.errors import DatasetNotFoundError, MissingDatasetTypeError
from armillary.pipeline.provenance.ingest import RUN_PROVENANCE
from armillary.pipeline.provenance.provenance_graph import ProvenanceQuantumGraph
from armillary.pipeline.provenance.quantum_provenance_graph import open_graph

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef

__all__ = ["Lineage", "LineageNode", "lineage"]


@dataclasses.dataclass
class LineageNode:
    """A dataset in a lineage, with what was made from it, or what it was made from.

    Attributes
    ----------
    dataset_id, dataset_type, data_id, run
        Which dataset.
    task
        Label of the task that made it; None for one that no known quantum made.
    links
        The next datasets: inputs of its quantum, or outputs of quanta that read it.
    seen
        Whether its links are told elsewhere, where it came first.
    """

    dataset_id: uuid.UUID
    dataset_type: str
    data_id: dict[str, int | str]
    run: str
    task: str | None = None
    links: list[LineageNode] = dataclasses.field(default_factory=list)
    seen: bool = False

    def __str__(self) -> str:
        values = ", ".join(f"{name}: {value!r}" for name, value in self.data_id.items())
        made = f" by {self.task}" if self.task else ""
        return f"{self.dataset_type} {{{values}}} in {self.run}{made}"

    def walk(self, depth: int = 0) -> Iterator[tuple[int, LineageNode]]:
        """Go through it and all below it, each with its depth."""
        yield depth, self
        for node in self.links:
            yield from node.walk(depth + 1)

    def to_plain(self) -> dict[str, Any]:
        """Return the JSON form."""
        return dataclasses.asdict(self)


@dataclasses.dataclass
class _Made:
    """A quantum: its task, and the datasets on both sides."""

    task: str
    inputs: list[uuid.UUID]
    outputs: list[uuid.UUID]


class Lineage:
    """What is known of how datasets were made: the quanta of many runs, joined at their datasets.

    Examples
    --------
    >>> known = Lineage.of(butler)  # doctest: +SKIP
    >>> print(known.up(ref))  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._datasets: dict[uuid.UUID, LineageNode] = {}
        self._producer: dict[uuid.UUID, _Made] = {}
        self._consumers: dict[uuid.UUID, list[_Made]] = {}
        self.runs: list[str] = []

    @classmethod
    def of(cls, butler: Butler, graphs: Iterable[str | os.PathLike[str]] = ()) -> Lineage:
        """Join all provenance graphs of a repository, and these graph files, provenance or predicted."""
        known = cls()
        try:
            refs = butler.query_datasets(RUN_PROVENANCE, "*", find_first=False, limit=None, explain=False)
        except MissingDatasetTypeError:
            refs = []
        for ref in refs:
            known.add_provenance(ProvenanceQuantumGraph(butler.getURI(ref).ospath))
        for path in graphs:
            try:
                known.add_provenance(ProvenanceQuantumGraph(path))
            except TypeError:
                known.add_predicted(open_graph(path), butler)
        return known

    def add_provenance(self, graph: ProvenanceQuantumGraph) -> None:
        """Take in the quanta of a provenance graph; datasets that were not made are left out."""
        self.runs.append(graph.header.output_run)
        there = {key for key, dataset in graph.datasets.items() if dataset.produced}
        for key in there:
            one = graph.datasets[key]
            self._datasets.setdefault(key, LineageNode(key, one.dataset_type_name, one.data_id, one.run))
        for quantum in graph.quanta.values():
            sides = (
                [key for ids in by.values() for key in ids if key in there] for by in (quantum.inputs, quantum.outputs)
            )
            self._add(quantum.task_label, *sides)

    def add_predicted(self, graph: Any, butler: Butler) -> None:
        """Take in the quanta of a predicted graph; of their outputs those that the repository has."""
        self.runs.append(graph.header.output_run)
        every: dict[uuid.UUID, DatasetRef] = {}
        quanta = []
        for quantum_id, label in graph.quanta():
            inputs, outputs = (
                [ref for refs in side.values() for ref in refs]
                for side in (graph.get_inputs(quantum_id), graph.get_outputs(quantum_id))
            )
            every.update((ref.id, ref) for ref in [*inputs, *outputs])
            quanta.append((label, [ref.id for ref in inputs], [ref.id for ref in outputs]))
        registry: Any = butler._core_registry
        there = {ref.id for ref in registry.get_datasets(list(every)) if ref is not None}
        for key in there:
            self._datasets.setdefault(key, _node(every[key]))
        for label, reads, writes in quanta:
            self._add(label, [key for key in reads if key in there], [key for key in writes if key in there])

    def _add(self, task: str, inputs: list[uuid.UUID], outputs: list[uuid.UUID]) -> None:
        made = _Made(task, list(dict.fromkeys(inputs)), outputs)
        for key in made.outputs:
            self._producer[key] = made
        for key in made.inputs:
            self._consumers.setdefault(key, []).append(made)

    def up(self, ref: DatasetRef, depth: int | None = None) -> LineageNode:
        """What a dataset was made from, and what that was made from, down to what no known quantum made.

        Parameters
        ----------
        ref
            The dataset.
        depth
            How many steps; all by default.
        """
        return self._walk(ref, depth, upwards=True)

    def down(self, ref: DatasetRef, depth: int | None = None) -> LineageNode:
        """What was made from a dataset, and what was made from that; metadata and logs are left out."""
        return self._walk(ref, depth, upwards=False)

    def _walk(self, ref: DatasetRef, depth: int | None, *, upwards: bool) -> LineageNode:
        self._datasets.setdefault(ref.id, _node(ref))
        told: set[uuid.UUID] = set()
        root = self._copy(ref.id)
        waiting = [(root, 0)]
        while waiting:
            node, level = waiting.pop(0)
            if node.dataset_id in told:
                node.seen = True
                continue
            told.add(node.dataset_id)
            if depth is not None and level >= depth:
                continue
            for key in self._next(node.dataset_id, upwards):
                node.links.append(self._copy(key))
                waiting.append((node.links[-1], level + 1))
        return root

    def _copy(self, key: uuid.UUID) -> LineageNode:
        producer = self._producer.get(key)
        return dataclasses.replace(self._datasets[key], task=producer.task if producer else None, links=[])

    def _next(self, key: uuid.UUID, upwards: bool) -> list[uuid.UUID]:
        if upwards:
            producer = self._producer.get(key)
            return producer.inputs if producer is not None else []
        found = [one for made in self._consumers.get(key, ()) for one in made.outputs]
        automatic = ("_metadata", "_log")
        return [one for one in dict.fromkeys(found) if not self._datasets[one].dataset_type.endswith(automatic)]


def _node(ref: DatasetRef) -> LineageNode:
    data_id: Mapping[str, Any] = {str(name): value for name, value in ref.dataId.required.items()}
    return LineageNode(ref.id, ref.datasetType.nameAndComponent()[0], dict(data_id), str(ref.run))


def lineage(
    butler: Butler,
    ref: DatasetRef,
    *,
    up: bool = True,
    depth: int | None = None,
    graphs: Iterable[str | os.PathLike[str]] = (),
) -> LineageNode:
    """Tell what a dataset was made from, or what was made from it.

    Parameters
    ----------
    butler
        The repository; provenance graphs in it are used.
    ref
        The dataset.
    up
        Whether what it was made from is wanted, not what was made from it.
    depth
        How many steps; all by default.
    graphs
        More graph files.

    Raises
    ------
    DatasetNotFoundError
        No provenance graph is in the repository, and no graph file was given.
    """
    known = Lineage.of(butler, graphs)
    if not known.runs:
        raise DatasetNotFoundError(
            "the repository holds no provenance graph: take those of its runs in with `butler aggregate-graph` and "
            "`butler ingest-graph`, or name graph files with `--graph`"
        )
    return known.up(ref, depth) if up else known.down(ref, depth)
