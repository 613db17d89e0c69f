"""Where the time of quanta goes, as Python's profiler tells it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["merge_profiles", "profiled"]

_OF_THIS_PROCESS: dict[int, Any] = {}
"""The profiler of this process, by its id: a forked copy has its own."""


@contextlib.contextmanager
def profiled(folder: str | None) -> Iterator[None]:
    """Profile the block and write what this process did in such blocks to a file in `folder`; None for nothing."""
    if folder is None:
        yield
        return
    import cProfile

    process = os.getpid()
    profiler = _OF_THIS_PROCESS.setdefault(process, cProfile.Profile())
    profiler.enable()
    try:
        yield
    finally:
        profiler.disable()
        profiler.dump_stats(os.path.join(folder, f"{process}.prof"))


def merge_profiles(folder: str, target: str) -> None:
    """Write the sum of the profiles in a folder to one file, which `pstats.Stats` reads."""
    import pstats

    paths = sorted(str(path) for path in Path(folder).glob("*.prof"))
    if paths:
        pstats.Stats(*paths).dump_stats(target)
