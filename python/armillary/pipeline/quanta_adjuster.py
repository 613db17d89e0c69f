"""What `adjust_all_quanta` of a task may do to its quanta while a graph is built."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.butler import Butler, DataCoordinate, DatasetRef
    from armillary.pipeline.pipeline_graph import PipelineGraph
    from armillary.pipeline.pipeline_nodes import TaskNode

__all__ = ["QuantaAdjuster"]

Quantum = tuple[int, "DataCoordinate", dict[str, list["DatasetRef"]], dict[str, list["DatasetRef"]]]


class QuantaAdjuster:
    """All quanta of one task, to look at, remove and rearrange.

    Parameters
    ----------
    task_label
        The task.
    pipeline_graph
        The pipeline.
    quanta
        Row, data ID, inputs and outputs of each quantum, as the compiled builder gives them.
    butler
        For questions to the repository; its default collections are the inputs of the graph.
    """

    def __init__(self, task_label: str, pipeline_graph: PipelineGraph, quanta: list[Any], butler: Butler) -> None:
        self.task_label = task_label
        self.butler = butler
        self._pipeline_graph = pipeline_graph
        self._quanta: dict[DataCoordinate, Quantum] = {quantum[1]: quantum for quantum in quanta}
        self._changed: set[int] = set()
        self._removed: list[int] = []

    @property
    def task_node(self) -> TaskNode:
        """The task in the pipeline graph."""
        return self._pipeline_graph.tasks[self.task_label]

    @property
    def n_removed(self) -> int:
        """How many quanta were removed."""
        return len(self._removed)

    def iter_data_ids(self) -> Iterator[DataCoordinate]:
        """Iterate over the data IDs of all quanta."""
        return iter(list(self._quanta))

    def expand_quantum_data_id(self, data_id: DataCoordinate) -> DataCoordinate:
        """Return the data ID of a quantum with implied values and records."""
        return self._find(data_id)[1]

    def remove_quantum(self, data_id: DataCoordinate) -> None:
        """Remove a quantum with all its outputs."""
        row, found, _, _ = self._find(data_id)
        del self._quanta[found]
        self._removed.append(row)

    def get_inputs(self, quantum_data_id: DataCoordinate) -> dict[str, list[DataCoordinate]]:
        """Return the data IDs of the regular inputs of a quantum, by connection."""
        _, _, inputs, _ = self._find(quantum_data_id)
        return {name: [ref.dataId for ref in inputs[name]] for name in self.task_node.inputs}

    def get_prerequisite_inputs(self, quantum_data_id: DataCoordinate) -> dict[str, dict[uuid.UUID, DataCoordinate]]:
        """Return ids and data IDs of the prerequisites of a quantum, by connection."""
        _, _, inputs, _ = self._find(quantum_data_id)
        return {name: {ref.id: ref.dataId for ref in inputs[name]} for name in self.task_node.prerequisite_inputs}

    def get_outputs(self, quantum_data_id: DataCoordinate) -> dict[str, list[DataCoordinate]]:
        """Return the data IDs of the outputs of a quantum, by connection; log and metadata are left out."""
        _, _, _, outputs = self._find(quantum_data_id)
        return {name: [ref.dataId for ref in outputs[name]] for name in self.task_node.outputs}

    def add_input(self, quantum_data_id: DataCoordinate, connection_name: str, dataset_data_id: DataCoordinate) -> None:
        """Let a quantum read a dataset that another quantum of the task reads.

        Raises
        ------
        LookupError
            No quantum of the task reads it.
        """
        self._add(quantum_data_id, connection_name, "dataId", dataset_data_id, str(dataset_data_id))

    def add_prerequisite_input(
        self, quantum_data_id: DataCoordinate, connection_name: str, dataset_uuid: uuid.UUID
    ) -> None:
        """Let a quantum read a prerequisite that another quantum of the task reads.

        Raises
        ------
        LookupError
            No quantum of the task reads it.
        """
        self._add(quantum_data_id, connection_name, "id", dataset_uuid, f"dataset {dataset_uuid}")

    def _add(self, quantum_data_id: DataCoordinate, connection_name: str, key: str, value: Any, told: str) -> None:
        """Add the input of which an attribute has a value, as another quantum of the task has it."""
        row, _, inputs, _ = self._find(quantum_data_id)
        for ref in self._all_inputs(connection_name):
            if getattr(ref, key) == value:
                self._insert(inputs[connection_name], ref)
                self._changed.add(row)
                return
        raise LookupError(f"no quantum of `{self.task_label}` reads {told} by `{connection_name}`")

    def move_output(
        self, quantum_data_id: DataCoordinate, connection_name: str, dataset_data_id: DataCoordinate
    ) -> None:
        """Let a quantum write what another quantum of the task would have written.

        Raises
        ------
        LookupError
            No quantum of the task writes it.
        """
        target, _, _, outputs = self._find(quantum_data_id)
        for row, _, _, theirs in self._quanta.values():
            for ref in theirs[connection_name]:
                if ref.dataId == dataset_data_id:
                    theirs[connection_name].remove(ref)
                    self._insert(outputs[connection_name], ref)
                    self._changed.update((row, target))
                    return
        raise LookupError(f"no quantum of `{self.task_label}` writes {dataset_data_id} by `{connection_name}`")

    def _find(self, data_id: DataCoordinate) -> Quantum:
        try:
            return self._quanta[data_id]
        except KeyError:
            raise LookupError(f"`{self.task_label}` has no quantum with data ID {data_id}") from None

    def _all_inputs(self, connection_name: str) -> Iterator[DatasetRef]:
        for _, _, inputs, _ in self._quanta.values():
            yield from inputs[connection_name]

    @staticmethod
    def _insert(refs: list[DatasetRef], ref: DatasetRef) -> None:
        """Keep the list sorted by data ID, each dataset once."""
        if all(known.id != ref.id for known in refs):
            refs.append(ref)
            refs.sort(key=lambda known: known.dataId)

    def adjustments(self) -> list[tuple[int, Any]]:
        """Say what was done, as the compiled builder takes it."""
        changed = [
            (row, (inputs, outputs)) for row, _, inputs, outputs in self._quanta.values() if row in self._changed
        ]
        return [*((row, "removed") for row in self._removed), *changed]
