"""Metadata, logs and configs that are kept inside a provenance graph."""

from __future__ import annotations

import json
from typing import Any

from armillary import _core
from armillary.storage.formatter import FormatterV2
from armillary.storage.formatters.pex_config import PexConfigFormatter

__all__ = ["ProvenanceFormatter"]


class ProvenanceFormatter(FormatterV2):
    """Read one dataset out of a provenance graph (`.qg`), or the graph itself.

    Which part is meant follows from the dataset's storage class: `TaskMetadata`, `ButlerLogRecords`, `Config`,
    `Packages` or `ProvenanceQuantumGraph`. Nothing the file names is imported, but for the class of a config that is
    asked for.
    """

    default_extension = ".qg"
    can_read_from_local_file = True

    def read_from_local_file(self, path: str, component: str | None = None, expected_size: int = -1) -> Any:
        """Read the part that belongs to the dataset.

        Raises
        ------
        LookupError
            The file does not hold the dataset, as for the log of a quantum that was not run.
        """
        del expected_size  # that of the whole file, which may be large
        from armillary.pipeline.provenance.provenance_graph import ProvenanceQuantumGraph

        graph = ProvenanceQuantumGraph(path)
        kind = self.dataset_ref.datasetType.storageClass_name
        if kind == "ProvenanceQuantumGraph":
            return graph
        if kind == "TaskMetadata":
            return self._metadata(graph)
        if kind == "ButlerLogRecords":
            return self._log(graph)
        if kind == "Packages":
            from armillary.pipeline.packages import Packages

            return Packages(graph.packages)
        return self._config(path)

    def _attempts(self, found: dict[Any, list[Any]]) -> list[Any]:
        attempts = found[self.dataset_ref.id]
        if not attempts or attempts[-1] is None:
            raise LookupError(f"the provenance graph holds nothing for {self.dataset_ref}: its quantum was not run")
        return attempts

    def _metadata(self, graph: Any) -> Any:
        from armillary.pipeline.metadata import TaskMetadata

        return TaskMetadata.model_validate(self._attempts(graph.get_metadata([self.dataset_ref.id]))[-1])

    def _log(self, graph: Any) -> Any:
        from armillary.storage.log_records import ButlerLogRecord, ButlerLogRecords

        attempts = self._attempts(graph.get_logs([self.dataset_ref.id]))
        earlier = [{"logs": records, "previous_attempts": []} for records in attempts[:-1]]
        extra = {"metadata": None, "exception": None, "previous_process_quanta": [], "previous_attempts": earlier}
        return ButlerLogRecords((ButlerLogRecord(**record) for record in attempts[-1]), extra)

    def _config(self, path: str) -> Any:
        """Make the config of the task whose name begins the dataset type's."""
        parts = _core.GraphPartsReader(path)
        tasks = json.loads(parts.document("pipeline_graph"))["tasks"]
        name = self.dataset_ref.datasetType.name
        for task in tasks.values():
            if task["init"]["config_output"]["dataset_type_name"] == name:
                return PexConfigFormatter(self.file_descriptor, ref=self.dataset_ref).from_bytes(
                    task["config_str"].encode()
                )
        raise LookupError(f"the provenance graph holds no config `{name}`")
