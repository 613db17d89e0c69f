"""Let code that imports `lsst.daf.butler`, `lsst.pipe.base` and `lsst.ctrl.mpexec` get armillary instead.

`activate()` installs an import finder that answers these names with armillary's own module objects, so that classes
are the same whichever way they are imported. Everything else below `lsst` (`lsst.sphgeom`, `lsst.pex.config`,
`lsst.resources`, `lsst.utils`) still loads from disk.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

__all__ = ["MODULES", "activate", "activate_if_free", "is_active"]

MODULES = {
    "lsst.ctrl.mpexec": "armillary.pipeline",
    "lsst.ctrl.mpexec.executionGraphFixup": "armillary.pipeline.execution.execution_graph_fixup",
    "lsst.ctrl.mpexec.mpGraphExecutor": "armillary.pipeline.execution.mp_graph_executor",
    "lsst.ctrl.mpexec.quantumGraphExecutor": "armillary.pipeline.execution.quantum_graph_executor",
    "lsst.ctrl.mpexec.reports": "armillary.pipeline.execution.quantum_reports",
    "lsst.ctrl.mpexec.separable_pipeline_executor": "armillary.pipeline.execution.separable_pipeline_executor",
    "lsst.ctrl.mpexec.separablePipelineExecutor": "armillary.pipeline.execution.separable_pipeline_executor",
    "lsst.ctrl.mpexec.simple_pipeline_executor": "armillary.pipeline.execution.simple_pipeline_executor",
    "lsst.ctrl.mpexec.singleQuantumExecutor": "armillary.pipeline.execution.single_quantum_executor",
    "lsst.ctrl.mpexec.taskFactory": "armillary.pipeline.task_definition",
    "lsst.daf.butler": "armillary.butler",
    "lsst.daf.butler.delegates": "armillary.storage.delegates",
    "lsst.daf.butler.delegates.arrowtable": "armillary.storage.delegates.arrow_table",
    "lsst.daf.butler.dimensions": "armillary.butler",
    "lsst.daf.butler.formatters": "armillary.storage.formatters",
    "lsst.daf.butler.formatters.astropyTable": "armillary.storage.formatters.astropy_table",
    "lsst.daf.butler.formatters.json": "armillary.storage.formatters.json",
    "lsst.daf.butler.formatters.logs": "armillary.storage.formatters.logs",
    "lsst.daf.butler.formatters.matplotlib": "armillary.storage.formatters.matplotlib",
    "lsst.daf.butler.formatters.packages": "armillary.storage.formatters.packages",
    "lsst.daf.butler.formatters.parquet": "armillary.storage.formatters.parquet",
    "lsst.daf.butler.formatters.pickle": "armillary.storage.formatters.pickle",
    "lsst.daf.butler.formatters.yaml": "armillary.storage.formatters.yaml",
    "lsst.daf.butler.logging": "armillary.storage.log_records",
    "lsst.daf.butler.queries": "armillary.butler.query",
    "lsst.daf.butler.queries.expression_factory": "armillary.butler.query_expressions",
    "lsst.daf.butler.registry": "armillary.butler.registry_names",
    "lsst.daf.butler.tests": "armillary.butler.tests",
    "lsst.daf.butler.tests.utils": "armillary.butler.tests.utils",
    "lsst.pipe.base": "armillary.pipeline",
    "lsst.pipe.base.all_dimensions_quantum_graph_builder": "armillary.pipeline.all_dimensions_quantum_graph_builder",
    "lsst.pipe.base.automatic_connection_constants": "armillary.pipeline.automatic_connection_constants",
    "lsst.pipe.base.caching_limited_butler": "armillary.pipeline.caching_limited_butler",
    "lsst.pipe.base.config": "armillary.pipeline.config",
    "lsst.pipe.base.configOverrides": "armillary.pipeline.config_overrides",
    "lsst.pipe.base.connectionTypes": "armillary.pipeline.connectionTypes",
    "lsst.pipe.base.connections": "armillary.pipeline.connections",
    "lsst.pipe.base.execution_graph_fixup": "armillary.pipeline.execution.execution_graph_fixup",
    "lsst.pipe.base.execution_reports": "armillary.pipeline.provenance.execution_report",
    "lsst.pipe.base.graph": "armillary.pipeline.older_quantum_graph",
    "lsst.pipe.base.graph.graph": "armillary.pipeline.older_quantum_graph",
    "lsst.pipe.base.graph.graphSummary": "armillary.pipeline.older_quantum_graph",
    "lsst.pipe.base.graph.quantumNode": "armillary.pipeline.older_quantum_graph",
    "lsst.pipe.base.mp_graph_executor": "armillary.pipeline.execution.mp_graph_executor",
    "lsst.pipe.base.formatters": "armillary.storage.formatters",
    "lsst.pipe.base.formatters.pexConfig": "armillary.storage.formatters.pex_config",
    "lsst.pipe.base.pipeline": "armillary.pipeline.pipeline",
    "lsst.pipe.base.pipelineIR": "armillary.pipeline.pipeline_yaml",
    "lsst.pipe.base.pipelineTask": "armillary.pipeline.pipeline_task",
    "lsst.pipe.base.pipeline_graph": "armillary.pipeline.pipeline_graph",
    "lsst.pipe.base.pipeline_graph.visualization": "armillary.pipeline.visualization",
    "lsst.pipe.base.quantum_graph": "armillary.pipeline.quantum_graph",
    "lsst.pipe.base.quantum_graph.formatter": "armillary.pipeline.provenance_formatter",
    "lsst.pipe.base.quantum_graph_executor": "armillary.pipeline.execution.quantum_graph_executor",
    "lsst.pipe.base.quantum_reports": "armillary.pipeline.execution.quantum_reports",
    "lsst.pipe.base.quantum_graph_builder": "armillary.pipeline.quantum_graph_builder",
    "lsst.pipe.base.quantum_provenance_graph": "armillary.pipeline.provenance.quantum_provenance_graph",
    "lsst.pipe.base.separable_pipeline_executor": "armillary.pipeline.execution.separable_pipeline_executor",
    "lsst.pipe.base.simple_pipeline_executor": "armillary.pipeline.execution.simple_pipeline_executor",
    "lsst.pipe.base.single_quantum_executor": "armillary.pipeline.execution.single_quantum_executor",
    "lsst.pipe.base.struct": "armillary.pipeline.struct",
    "lsst.pipe.base.task": "armillary.pipeline.task",
    "lsst.pipe.base.taskFactory": "armillary.pipeline.task_definition",
    "lsst.pipe.base.testUtils": "armillary.pipeline.test_utils",
    "lsst.pipe.base.tests": "armillary.pipeline.tests",
    "lsst.pipe.base.tests.in_memory_limited_butler": "armillary.pipeline.tests.in_memory_limited_butler",
    "lsst.pipe.base.tests.mocks": "armillary.pipeline.tests.mocks",
    "lsst.pipe.base.tests.mocks._pipeline_task": "armillary.pipeline.tests.mocks.task",
    "lsst.pipe.base.tests.no_dimensions": "armillary.pipeline.tests.no_dimensions",
    "lsst.pipe.base.tests.pipelineStepTester": "armillary.pipeline.tests.step_tester",
    "lsst.pipe.base.trivial_quantum_graph_builder": "armillary.pipeline.trivial_quantum_graph_builder",
    "lsst.pipe.base.utils": "armillary.pipeline.utils",
}
"""Name below `lsst` and the armillary module that answers for it."""

_PACKAGES = ("lsst.daf", "lsst.pipe", "lsst.ctrl")
"""Namespaces that may not exist on disk."""


class _Loader:  # whose base class would take longer to import than all of this
    """Gives an existing module object for an aliased name."""

    def __init__(self, name: str, target: str | None):
        self._name = name
        self._target = target
        self._own_spec: importlib.machinery.ModuleSpec | None = None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        if self._target is None:
            module = ModuleType(self._name)
            module.__path__ = []
            return module
        module = importlib.import_module(self._target)
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just given the module the alias's spec; it keeps its own, so that it can be reloaded.
        if self._target is not None:
            module.__spec__ = self._own_spec


class _AliasFinder:
    """Finds the aliased names before the path is searched."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        loader: Any = _Loader(fullname, MODULES.get(fullname))
        is_missing = fullname in _PACKAGES and importlib.machinery.PathFinder.find_spec(fullname, path) is None
        if fullname in MODULES or is_missing:
            return importlib.machinery.ModuleSpec(fullname, loader, is_package=True)
        return None


def is_active() -> bool:
    """Whether the alias is installed."""
    return any(isinstance(finder, _AliasFinder) for finder in sys.meta_path)


def activate() -> None:
    """Install the alias; nothing happens if it is installed already.

    Raises
    ------
    RuntimeError
        If one of the real packages is already imported.

    Examples
    --------
    >>> activate()
    >>> import lsst.pipe.base
    >>> lsst.pipe.base.__name__
    'armillary.pipeline'
    """
    if is_active():
        return
    loaded = sorted(name for name in MODULES if name in sys.modules)
    if loaded:
        raise RuntimeError(f"`{loaded[0]}` is already imported; activate the alias before anything imports it")
    sys.meta_path.insert(0, _AliasFinder())


def activate_if_free() -> None:
    """Install the alias unless a real package is already in use, as when it was imported by a site's own start-up."""
    if not any(name in sys.modules for name in MODULES) or is_active():
        activate()
