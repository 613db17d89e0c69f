"""Files of log records."""

from __future__ import annotations

from typing import Any

from armillary.storage.formatter import BytesFormatter

__all__ = ["ButlerLogRecordsFormatter"]


class ButlerLogRecordsFormatter(BytesFormatter):
    """Write log records as JSON; read also the older list form and one record per line."""

    default_extension = ".json"
    supported_extensions = frozenset({".json", ".log"})

    def to_bytes(self, in_memory_dataset: Any) -> bytes:
        """Use the records' own JSON."""
        text: str = in_memory_dataset.to_json_data()
        return text.encode()

    def from_bytes(self, content: bytes) -> Any:
        """Read any of the forms."""
        from armillary.storage.log_records import ButlerLogRecords

        return ButlerLogRecords.from_raw(content)
