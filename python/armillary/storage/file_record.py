"""What the database knows about one file of a dataset."""

from __future__ import annotations

from armillary._core import FileRecord

__all__ = ["FileRecord"]
