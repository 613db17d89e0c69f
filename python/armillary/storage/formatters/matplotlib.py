"""Figures as pictures."""

from __future__ import annotations

import io
from typing import Any

from armillary.storage.formatter import FormatterV2

__all__ = ["MatplotlibFormatter"]


class MatplotlibFormatter(FormatterV2):
    """Write figures as PNG; pictures cannot be read back as figures."""

    default_extension = ".png"

    def to_bytes(self, in_memory_dataset: Any) -> bytes:
        """Draw the figure."""
        stream = io.BytesIO()
        in_memory_dataset.savefig(stream, format="png")
        return stream.getvalue()
