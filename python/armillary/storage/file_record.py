"""What the database knows about one file of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class FileRecord:
        """One file: where it is, what reads it, what is in it, and how to check it (size in bytes)."""

        dataset_id: Any
        path: str
        formatter: str
        storage_class: str
        component: str | None
        checksum: str | None
        file_size: int

        def __init__(
            self,
            dataset_id: Any,
            path: str,
            formatter: str,
            storage_class: str,
            component: str | None,
            checksum: str | None,
            file_size: int,
        ) -> None: ...

else:
    try:
        from armillary._core import FileRecord
    except ImportError:  # without the extension module, files can still be written and read
        from dataclasses import dataclass

        @dataclass(frozen=True, slots=True)
        class FileRecord:
            """One file: where it is, what reads it, what is in it, and how to check it (size in bytes)."""

            dataset_id: Any
            path: str
            formatter: str
            storage_class: str
            component: str | None
            checksum: str | None
            file_size: int


__all__ = ["FileRecord"]
