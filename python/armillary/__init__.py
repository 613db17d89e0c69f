"""Find, read, write and process survey data by what it is, not where it is.

The dozen everyday names; `armillary.butler` and `armillary.pipeline` hold the rest.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULE_OF = {
    "Butler": "armillary.butler",
    "CollectionType": "armillary.butler",
    "DataCoordinate": "armillary.butler",
    "DatasetNotFoundError": "armillary.errors",
    "DatasetRef": "armillary.butler",
    "DatasetType": "armillary.butler",
    "Instrument": "armillary.instrument",
    "Pipeline": "armillary.pipeline",
    "PipelineTask": "armillary.pipeline",
    "PipelineTaskConfig": "armillary.pipeline",
    "PipelineTaskConnections": "armillary.pipeline",
    "Struct": "armillary.pipeline",
    "Timespan": "armillary.butler",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module `armillary` has no attribute `{name}`")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
