"""Running quanta: one, a graph in this process, or a graph in a pool of processes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.pipeline.execution.initialise import check_dataset_types, initialise_run
    from armillary.pipeline.execution.outcome import QuantumOutcome, QuantumState
    from armillary.pipeline.execution.report import RunReport
    from armillary.pipeline.execution.run_control import RetryPolicy, RunControl
    from armillary.pipeline.execution.runner import RunInterrupted
    from armillary.pipeline.execution.single_quantum_executor import SingleQuantumExecutor
    from armillary.pipeline.execution.with_registry import run_graph
    from armillary.pipeline.execution.without_registry import (
        initialise_without_registry,
        run_without_registry,
        transfer_from_graph,
    )

_HOME = {
    "QuantumOutcome": "outcome",
    "QuantumState": "outcome",
    "RetryPolicy": "run_control",
    "RunControl": "run_control",
    "RunInterrupted": "runner",
    "RunReport": "report",
    "SingleQuantumExecutor": "single_quantum_executor",
    "check_dataset_types": "initialise",
    "initialise_run": "initialise",
    "initialise_without_registry": "without_registry",
    "run_graph": "with_registry",
    "run_without_registry": "without_registry",
    "transfer_from_graph": "without_registry",
}

__all__ = [
    "QuantumOutcome",
    "QuantumState",
    "RetryPolicy",
    "RunControl",
    "RunInterrupted",
    "RunReport",
    "SingleQuantumExecutor",
    "check_dataset_types",
    "initialise_run",
    "initialise_without_registry",
    "run_graph",
    "run_without_registry",
    "transfer_from_graph",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
