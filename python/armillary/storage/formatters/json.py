"""JSON files."""

from __future__ import annotations

import json
from typing import Any

from armillary.storage.formatter import BytesFormatter
from armillary.storage.formatters._plain import from_plain, to_plain

__all__ = ["JsonFormatter"]


class JsonFormatter(BytesFormatter):
    """Write objects that have a JSON form, or are plain values, as UTF-8 JSON."""

    default_extension = ".json"

    def to_bytes(self, in_memory_dataset: Any) -> bytes:
        """Use the object's own JSON if it has one. Raises `TypeError` for values JSON does not have."""
        for method in ("model_dump_json", "json"):
            own = getattr(in_memory_dataset, method, None)
            if callable(own) and not isinstance(in_memory_dataset, dict):
                text = own()
                return text.encode() if isinstance(text, str) else bytes(text)
        return json.dumps(to_plain(in_memory_dataset), ensure_ascii=False).encode()

    def from_bytes(self, content: bytes) -> Any:
        """Read by the Python type's own JSON if it has one. Raises `ValueError` if the file is not JSON."""
        pytype = self.file_descriptor.storageClass.pytype
        own = getattr(pytype, "model_validate_json", None)
        if callable(own):
            return own(content)
        return from_plain(json.loads(content), pytype)
