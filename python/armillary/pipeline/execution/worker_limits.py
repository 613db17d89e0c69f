"""How much memory a process may take, and has taken."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

__all__ = ["memory_limit", "offer_to_kernel", "resident_memory"]

_PAGE = resource.getpagesize()


def _pages(field: int) -> int:
    """Return a count of `/proc/self/statm`, which the kernel gives in pages; 0 where there is none."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[field])
    except OSError:  # not Linux
        return 0


def resident_memory() -> int:
    """Return the bytes of memory that this process occupies; 0 where the system does not say.

    >>> resident_memory() >= 0
    True
    """
    return _pages(1) * _PAGE


@contextlib.contextmanager
def memory_limit(size: int | None) -> Iterator[None]:
    """Let the block take so many more bytes of memory; more than that raises `MemoryError`. None for no limit.

    Examples
    --------
    >>> with memory_limit(1 << 30):
    ...     block = bytearray(1 << 20)
    """
    if size is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    present = _pages(5) * _PAGE  # data and stack: what the limit counts
    wanted = present + size
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def offer_to_kernel() -> None:
    """Make the kernel end this process rather than the one that started it when the machine runs out of memory."""
    with contextlib.suppress(OSError):  # not Linux, or forbidden: then the kernel chooses
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
