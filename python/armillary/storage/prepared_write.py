"""Datasets whose files have their names but are not written yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.storage.formatter import FormatterV2

__all__ = ["Part", "PreparedWrite", "not_serialised"]


@dataclass(slots=True)
class Part:
    """One file to be written."""

    value: Any
    component: str | None
    storage_class: str
    formatter: FormatterV2
    formatter_name: str
    path: str


@dataclass(slots=True)
class PreparedWrite:
    """A dataset whose files have their names but are not written yet."""

    ref: Any
    parts: list[Part]
    overwrite: bool = False
    written: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """The paths of its files, below the root."""
        return [part.path for part in self.parts]


def not_serialised(part: Part, prepared: PreparedWrite, error: Exception) -> RuntimeError:
    """Say of a formatter's failure which dataset and formatter it is about."""
    return RuntimeError(
        f"Failed to serialize dataset {prepared.ref} of type `{type(part.value).__name__}` using formatter "
        f"`{part.formatter_name}`: {error}"
    )
