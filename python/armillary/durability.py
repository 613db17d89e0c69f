"""What a power cut may undo: chosen by argument, environment variable or configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from armillary.errors import ConfigurationError

__all__ = ["DURABILITIES", "DURABILITY_VARIABLE", "choose_durability"]

DURABILITY_VARIABLE = "ARMILLARY_DURABILITY"
DURABILITIES = {
    "full": "everything is on the disk when a write returns, and a power cut leaves nothing over",
    "batch": "the same, but files of a transaction are synced together at its end, and a power cut may leave files "
    "that were never registered, or were just removed, which `butler fsck` finds",
    "none": "nothing is synced: a power cut may lose what was written last, or break the database",
}
"""What can be chosen. Whichever it is, a killed process leaves nothing by halves."""


def choose_durability(given: str | None = None, config: Mapping[str, Any] | None = None) -> str:
    """Give what was asked for, else what the environment variable says, else the configuration, else `full`.

    Raises `ConfigurationError` for anything else than `full`, `batch` or `none`.

    >>> choose_durability("batch")
    'batch'
    >>> choose_durability(config={"durability": "none"})
    'none'
    """
    sources = (
        ("durability", given),
        (DURABILITY_VARIABLE, os.environ.get(DURABILITY_VARIABLE)),
        ("`durability` of the repository's configuration", None if config is None else config.get("durability")),
    )
    for source, chosen in sources:
        if chosen is not None:
            if chosen not in DURABILITIES:
                raise ConfigurationError(f"{source} is `{chosen}`; use `full`, `batch` or `none`")
            return chosen
    return "full"
