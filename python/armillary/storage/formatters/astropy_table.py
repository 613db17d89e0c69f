"""Astropy tables as ECSV text."""

from __future__ import annotations

import io
from typing import Any

from armillary.storage.formatter import BytesFormatter

__all__ = ["AstropyTableFormatter"]


class AstropyTableFormatter(BytesFormatter):
    """Write tables with units, descriptions and meta data as ECSV."""

    default_extension = ".ecsv"
    supported_extensions = frozenset({".ecsv"})

    def to_bytes(self, in_memory_dataset: Any) -> bytes:
        """Write the ECSV text."""
        stream = io.StringIO()
        in_memory_dataset.write(stream, format="ascii.ecsv")
        return stream.getvalue().encode()

    def from_bytes(self, content: bytes) -> Any:
        """Read into the table class of the storage class."""
        return self.file_descriptor.storageClass.pytype.read(content.decode(), format="ascii.ecsv")  # type: ignore[attr-defined]
