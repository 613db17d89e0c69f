"""Metadata, logs and configs that are kept inside a provenance graph."""

from __future__ import annotations

import json
import uuid
from typing import Any

from armillary import _core
from armillary.storage.formatter import FormatterV2
from armillary.storage.formatters.pex_config import PexConfigFormatter

__all__ = ["ProvenanceFormatter"]


class ProvenanceFormatter(FormatterV2):
    """Read one dataset out of a provenance graph (`.qg`), or the graph itself.

    Which part is meant follows from the dataset's storage class: `TaskMetadata`, `ButlerLogRecords`, `Config`,
    `Packages` or `ProvenanceQuantumGraph`. A graph has the components `packages`, `metadata` and `logs`; the last two
    are dictionaries by the ids given as parameters `quanta` and `datasets`, with an item for each attempt, `None` if
    that attempt left nothing. Nothing the file names is imported, but for the class of a config that is asked for.
    """

    default_extension = ".qg"
    can_read_from_local_file = True

    def read_from_local_file(self, path: str, component: str | None = None, expected_size: int = -1) -> Any:
        """Read the part that belongs to the dataset.

        Raises
        ------
        LookupError
            The file does not hold the dataset, as for the log of a quantum that was not run.
        ValueError
            Metadata or logs of a graph were asked for without saying of which quanta or datasets.
        """
        del expected_size  # that of the whole file, which may be large
        from armillary.pipeline.provenance.provenance_graph import ProvenanceQuantumGraph

        graph = ProvenanceQuantumGraph(path)
        if component in ("metadata", "logs"):
            return self._of_quanta(graph, component)
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

    def _of_quanta(self, graph: Any, component: str) -> dict[uuid.UUID, list[Any]]:
        given = self.file_descriptor.parameters or {}
        ids = [one for name in ("quanta", "datasets") for one in given.get(name) or ()]
        if not ids and all(given.get(name) is None for name in ("quanta", "datasets")):
            raise ValueError(f"the component `{component}` needs ids as the parameter `quanta`, `datasets` or both")
        found = graph.get_metadata(ids) if component == "metadata" else graph.get_logs(ids)
        make = _metadata_of if component == "metadata" else _log_of
        return {key: [None if one is None else make(one) for one in attempts] for key, attempts in found.items()}

    def _attempts(self, found: dict[Any, list[Any]]) -> list[Any]:
        attempts = found[self.dataset_ref.id]
        if not attempts or attempts[-1] is None:
            raise LookupError(f"the provenance graph holds nothing for {self.dataset_ref}: its quantum was not run")
        return attempts

    def _metadata(self, graph: Any) -> Any:
        return _metadata_of(self._attempts(graph.get_metadata([self.dataset_ref.id]))[-1])

    def _log(self, graph: Any) -> Any:
        attempts = self._attempts(graph.get_logs([self.dataset_ref.id]))
        earlier = [{"logs": records, "previous_attempts": []} for records in attempts[:-1]]
        extra = {"metadata": None, "exception": None, "previous_process_quanta": [], "previous_attempts": earlier}
        return _log_of(attempts[-1], extra)

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


def _metadata_of(plain: Any) -> Any:
    from armillary.pipeline.metadata import TaskMetadata

    return TaskMetadata.model_validate(plain)


def _log_of(records: Any, extra: Any = None) -> Any:
    from armillary.storage.log_records import ButlerLogRecord, ButlerLogRecords

    return ButlerLogRecords((ButlerLogRecord(**record) for record in records), extra)
