"""A file that exists already, and the datasets in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["FileDataset"]


@dataclass
class FileDataset:
    """A file to ingest: its path (or URI), the datasets in it, and what reads it.

    `refs` is one dataset reference or several; `formatter` a class, a dotted name, or None for the configured one.
    """

    path: Any
    refs: list[Any] = field()
    formatter: Any = None

    def __init__(self, path: Any, refs: Any, *, formatter: Any = None) -> None:
        self.path = path
        self.refs = list(refs) if isinstance(refs, list | tuple | set) else [refs]
        self.formatter = formatter

    def __lt__(self, other: FileDataset) -> bool:
        return str(self.path) < str(other.path)
