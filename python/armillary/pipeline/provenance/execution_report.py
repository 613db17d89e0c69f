"""The report on one executed graph: what failed, what that blocked, and how many datasets each task wrote."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from armillary.pipeline.provenance.quantum_provenance_graph import (
    QuantumInfo,
    QuantumProvenanceGraph,
    QuantumRun,
    QuantumRunStatus,
    errors_in,
    open_graph,
    plain,
    read_many,
)

if TYPE_CHECKING:
    from armillary.butler import Butler, DatasetRef

__all__ = ["DatasetTypeExecutionReport", "QuantumGraphExecutionReport", "TaskExecutionReport"]


@dataclasses.dataclass
class DatasetTypeExecutionReport:
    """How many datasets of one type were written, and why the others were not."""

    n_produced: int = 0
    n_expected: int = 0
    failed: int = 0
    not_produced: int = 0
    blocked: int = 0

    def to_summary_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {
            "produced": self.n_produced,
            "failed": self.failed,
            "not_produced": self.not_produced,
            "blocked": self.blocked,
            "expected": self.n_expected,
        }

    def count(self, produced: bool, state: QuantumRunStatus) -> None:
        """Count one dataset of a quantum in a state."""
        self.n_expected += 1
        if produced:
            self.n_produced += 1
        elif state is QuantumRunStatus.BLOCKED:
            self.blocked += 1
        elif state in (QuantumRunStatus.SUCCESSFUL, QuantumRunStatus.LOGS_MISSING):
            self.not_produced += 1
        else:
            self.failed += 1


@dataclasses.dataclass
class TaskExecutionReport:
    """What became of the quanta of one task."""

    n_succeeded: int = 0
    n_expected: int = 0
    failed: dict[uuid.UUID, DatasetRef | None] = dataclasses.field(default_factory=dict)
    data_ids: dict[uuid.UUID, Any] = dataclasses.field(default_factory=dict)
    blocked: dict[uuid.UUID, Any] = dataclasses.field(default_factory=dict)
    output_datasets: dict[str, DatasetTypeExecutionReport] = dataclasses.field(default_factory=dict)

    def count(self, info: QuantumInfo, run: QuantumRun) -> None:
        """Count one quantum."""
        self.n_expected += 1
        if run.status in (QuantumRunStatus.SUCCESSFUL, QuantumRunStatus.LOGS_MISSING):
            self.n_succeeded += 1
        elif run.status is QuantumRunStatus.BLOCKED:
            self.blocked[run.id] = info.data_id
        else:
            # A quantum that left nothing was killed, or never begun.
            self.failed[run.id] = run.log_ref if run.status is QuantumRunStatus.FAILED else None
            self.data_ids[run.id] = info.data_id

    def to_summary_dict(self, butler: Butler, do_store_logs: bool = True, use_qbb: bool = True) -> dict[str, Any]:
        """Return the report as plain data; with `do_store_logs` the errors in the logs of failed quanta are in it.

        With `use_qbb` logs that the datastore has no record of are looked for where their quanta would put them.
        """
        entries: dict[str, dict[str, Any]] = {str(key): {"data_id": plain(self.data_ids[key])} for key in self.failed}
        if do_store_logs:
            with_log = [(str(key), ref) for key, ref in self.failed.items() if ref is not None]
            logs = read_many(butler, [ref for _, ref in with_log], 1, use_qbb)
            for entry in entries.values():
                entry["error"] = None
            for (key, _), log in zip(with_log, logs, strict=True):
                entries[key]["error"] = None if log is None else errors_in(log)
        return {
            "failed_quanta": entries,
            "n_expected": self.n_expected,
            "n_quanta_blocked": len(self.blocked),
            "n_succeeded": self.n_succeeded,
            "outputs": {name: one.to_summary_dict() for name, one in self.output_datasets.items()},
        }


@dataclasses.dataclass
class QuantumGraphExecutionReport:
    """What became of one executed graph.

    Examples
    --------
    >>> report = QuantumGraphExecutionReport.make_reports(butler, "run.qg")  # doctest: +SKIP
    >>> report.tasks["isr"].n_succeeded  # doctest: +SKIP
    24
    """

    tasks: dict[str, TaskExecutionReport] = dataclasses.field(default_factory=dict)

    @classmethod
    def make_reports(cls, butler: Butler, graph: Any) -> QuantumGraphExecutionReport:
        """Find out what became of a graph.

        Parameters
        ----------
        butler
            The repository it was run in.
        graph
            Predicted quantum graph, or the path of its file.

        Raises
        ------
        MissingCollectionError
            Its run is not in the repository.
        """
        report = cls()
        opened = open_graph(graph)
        provenance = QuantumProvenanceGraph(butler, [opened], read_caveats=None)
        upstream: dict[uuid.UUID, list[uuid.UUID]] = {}
        for first, second in opened.edges():
            upstream.setdefault(second, []).append(first)
        unfinished: set[uuid.UUID] = set()
        for key, info in provenance._quanta.items():
            task = report.tasks.setdefault(key.task_label, TaskExecutionReport())
            ((name, run),) = info.runs.items()
            if run.status is QuantumRunStatus.METADATA_MISSING and not unfinished.isdisjoint(upstream.get(run.id, ())):
                run.status = QuantumRunStatus.BLOCKED  # here, by something that was not run as well
            if run.status not in (QuantumRunStatus.SUCCESSFUL, QuantumRunStatus.LOGS_MISSING):
                unfinished.add(run.id)
            task.count(info, run)
            automatic = {run.metadata_ref.datasetType.name, run.log_ref.datasetType.name if run.log_ref else ""}
            for output in info.outputs:
                if output.dataset_type_name not in automatic:
                    of_type = task.output_datasets.setdefault(output.dataset_type_name, DatasetTypeExecutionReport())
                    of_type.count(provenance.get_dataset_info(output).runs[name].produced, run.status)
        return report

    def __iter__(self) -> Iterator[tuple[str, TaskExecutionReport]]:
        return iter(self.tasks.items())

    def to_summary_dict(self, butler: Butler, do_store_logs: bool = True, *, use_qbb: bool = True) -> dict[str, Any]:
        """Return the report as plain data, by task label; see `TaskExecutionReport`."""
        return {label: task.to_summary_dict(butler, do_store_logs, use_qbb) for label, task in self.tasks.items()}

    def write_summary_yaml(self, butler: Butler, filename: str, do_store_logs: bool = True) -> None:
        """Write the report as a YAML file."""
        import yaml

        with open(filename, "w", encoding="utf-8") as stream:
            yaml.safe_dump(self.to_summary_dict(butler, do_store_logs), stream)
