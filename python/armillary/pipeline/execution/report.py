"""What came of a run."""

from __future__ import annotations

import dataclasses
import datetime
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armillary.pipeline.execution.outcome import QuantumOutcome, QuantumState

__all__ = ["RunReport"]

_STATUS = {
    QuantumState.FINISHED: "success",
    QuantumState.NO_WORK: "success",
    QuantumState.SKIPPED: "success",
    QuantumState.FAILED: "failure",
    QuantumState.TIMED_OUT: "timeout",
    QuantumState.BLOCKED: "skipped",
    QuantumState.PENDING: "skipped",
}


@dataclasses.dataclass
class RunReport:
    """How every quantum of a run ended.

    Attributes
    ----------
    labels
        Labels of the tasks, in order.
    outcomes
        How each quantum ended.
    seconds
        Wall time of the run.
    stopped_with
        Exit code of the failure that stopped the run early; 0 when none did.
    graph
        The quantum graph, of which the JSON report tells.
    """

    labels: list[str]
    outcomes: list[QuantumOutcome] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    stopped_with: int = 0
    graph: Any = dataclasses.field(default=None, repr=False)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many quanta ended in each state, by label of the task."""
        made: dict[str, dict[str, int]] = {label: {} for label in self.labels}
        for outcome in self.outcomes:
            states = made.setdefault(outcome.label, {})
            states[outcome.state.value] = states.get(outcome.state.value, 0) + 1
        return made

    def count(self, state: QuantumState) -> int:
        """Return how many quanta ended in a state."""
        return sum(outcome.state is state for outcome in self.outcomes)

    @property
    def exit_code(self) -> int:
        """0 when nothing failed, 20 or 21 when such an error stopped the run, else 1."""
        if self.stopped_with:
            return self.stopped_with
        return int(any(not outcome.state.is_success for outcome in self.outcomes))

    def closing_line(self) -> str:
        """Say in one line how the run ended.

        Examples
        --------
        >>> import uuid
        >>> outcomes = [QuantumOutcome(uuid.uuid4(), "isr", QuantumState.FINISHED)]
        >>> RunReport(["isr"], outcomes, seconds=1.5).closing_line()
        '1 quantum: 1 finished in 1.5 s'
        """
        total = len(self.outcomes)
        parts = [f"{number} {state.value}" for state in QuantumState if (number := self.count(state))]
        noun = "quantum" if total == 1 else "quanta"
        return f"{total} {noun}: {', '.join(parts) or 'none'} in {_duration(self.seconds)}"

    def failure_line(self) -> str:
        """Tell the first failure and how many more there are; empty when nothing failed.

        Examples
        --------
        >>> import uuid
        >>> from armillary.pipeline import ExceptionInfo
        >>> failed = QuantumOutcome(uuid.uuid4(), "isr", QuantumState.FAILED)
        >>> failed.exception = ExceptionInfo("OSError", "no pixels")
        >>> RunReport(["isr"], [failed]).failure_line()
        'task `isr` failed: OSError: no pixels'
        """
        failed = [outcome for outcome in self.outcomes if outcome.state.is_failure]
        if not failed:
            return ""
        first = failed[0]
        data_id = self._data_id_of(first)
        where = f"task `{first.label}` failed{f' on {data_id}' if data_id else ''}"
        told = first.exception
        kind = "" if told is None else told.type_name.rpartition(".")[2]
        why = "" if told is None else f": {kind}: {told.message}" if told.message else f": {kind}"
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return f"{where}{why}{more}"

    def _data_id_of(self, outcome: QuantumOutcome) -> Any:
        if self.graph is None:
            return None
        return self.graph.build_execution_quanta([outcome.quantum_id])[outcome.quantum_id].dataId

    def to_summary(self) -> dict[str, Any]:
        """Return the JSON report as plain data."""
        failed = any(outcome.state.is_failure for outcome in self.outcomes)
        timed_out = any(outcome.state is QuantumState.TIMED_OUT for outcome in self.outcomes)
        quanta = {} if self.graph is None else self.graph.build_execution_quanta()
        made: dict[str, Any] = {
            "qgraphSummary": {} if self.graph is None else _graph_summary(self.graph, quanta),
            "status": "timeout" if timed_out else "failure" if failed else "success",
            "cmdLine": list(sys.argv),
        }
        if self.exit_code:
            made["exitCode"] = self.exit_code
            made["exceptionInfo"] = {
                "className": "lsst.pipe.base.mp_graph_executor.MPGraphExecutorError",
                "message": self.closing_line(),
            }
        made["quantaReports"] = [_quantum_report(outcome, quanta) for outcome in self.outcomes]
        return made

    def write_graph_summary(self, path: str) -> None:
        """Write what the JSON report says of the graph to a file."""
        quanta = self.graph.build_execution_quanta()
        Path(path).write_text(json.dumps(_graph_summary(self.graph, quanta), indent=2, default=str), encoding="utf-8")

    def write_summary(self, path: str) -> None:
        """Write the JSON report to a file."""
        Path(path).write_text(json.dumps(self.to_summary(), indent=2, default=str), encoding="utf-8")


def _duration(seconds: float) -> str:
    """Return a time for people.

    >>> _duration(5025), _duration(75), _duration(1.25)
    ('1 h 23 min', '1 min 15 s', '1.2 s')
    """
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s" if seconds >= 60 else f"{seconds:.1f} s"


def _quantum_report(outcome: QuantumOutcome, quanta: Mapping[Any, Any]) -> dict[str, Any]:
    quantum = quanta.get(outcome.quantum_id)
    report: dict[str, Any] = {
        "status": _STATUS[outcome.state],
        "dataId": {} if quantum is None else {str(name): value for name, value in quantum.dataId.required.items()},
        "taskLabel": outcome.label,
        "quantumId": str(outcome.quantum_id),
    }
    if outcome.exit_code:
        report["exitCode"] = outcome.exit_code
    if outcome.exception is not None:
        report["exceptionInfo"] = {"className": outcome.exception.type_name, "message": outcome.exception.message}
    return report


def _graph_summary(graph: Any, quanta: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what the JSON report says of the graph."""
    totals: dict[str, dict[str, Any]] = {}
    for quantum_id, label in graph.quanta():
        total = totals.setdefault(label, {"taskLabel": label, "numQuanta": 0, "numInputs": {}, "numOutputs": {}})
        total["numQuanta"] += 1
        quantum = quanta[quantum_id]
        for counts, side in ((total["numInputs"], quantum.inputs), (total["numOutputs"], quantum.outputs)):
            for name, refs in side.items():
                counts[name] = counts.get(name, 0) + len(refs)
    header = graph.header
    made: dict[str, Any] = {
        "cmdLine": header.command,
        "creationUTC": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
        "inputCollection": list(header.inputs),
        "outputCollection": header.output,
        "outputRun": header.output_run,
        "qgraphTaskSummaries": totals,
    }
    return {key: value for key, value in made.items() if value is not None}
