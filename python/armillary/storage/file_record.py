"""What a datastore remembers of one file."""

from __future__ import annotations

from armillary._core import FileRecord

__all__ = ["DEFAULT_RECORDS_TABLE", "FileRecord"]

DEFAULT_RECORDS_TABLE = "file_datastore_records"
