"""What a datastore remembers of one file."""

from __future__ import annotations

from armillary._core import FileRecord

__all__ = ["DEFAULT_RECORDS_TABLE", "ZIP_MARK", "FileRecord"]

DEFAULT_RECORDS_TABLE = "file_datastore_records"
ZIP_MARK = "#zip-path="
"""What stands in a path between a zip file and the name of a file in it."""
