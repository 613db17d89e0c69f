"""Faults at system calls: a forked child is killed, or gets an error, at one call that changes something on disk."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CHANGING = (
    "write,pwrite64,pwritev,writev,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,fallocate,"
    "mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,fchmod,chmod,copy_file_range,sendfile"
)
"""A kill before one of these is a kill after the one before: calls between that change nothing need no try."""
FAILING = "write,pwrite64,fsync,fdatasync,link,linkat,rename,mkdir,unlink,ftruncate,openat,copy_file_range,sendfile"
FAILED = 7


@dataclass(frozen=True)
class Point:
    """The `ordinal`-th call of a name."""

    call: str
    ordinal: int

    def __str__(self) -> str:
        return f"{self.call} {self.ordinal}"


@dataclass(frozen=True)
class End:
    """How a child ended: killed, or with what error, or well (neither)."""

    killed: bool
    error: str | None


def why_not() -> str | None:
    """Why processes cannot be traced here; None if they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    traced = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return traced.stderr.strip() if traced.returncode else None


def points(run: Callable[[], None], folder: Path, calls: str = CHANGING) -> list[Point]:
    """The calls of an operation, in order; it is run once for that."""
    log = folder / "calls"
    end = _traced(run, folder, "-o", str(log), "-e", f"trace={calls}")
    assert end == End(killed=False, error=None), end
    counts: Counter[str] = Counter()
    found = []
    for line in log.read_text().splitlines():
        if match := re.match(r"(\w+)\(", line):
            counts[match[1]] += 1
            found.append(Point(match[1], counts[match[1]]))
    return found


def kill_at(point: Point, run: Callable[[], None], folder: Path) -> End:
    """Run an operation and kill it at a call."""
    return _inject(point, "signal=KILL", run, folder)


def fail_at(point: Point, error: str, run: Callable[[], None], folder: Path) -> End:
    """Run an operation and let one call fail with an error such as `EIO`."""
    return _inject(point, f"error={error}", run, folder)


def _inject(point: Point, what: str, run: Callable[[], None], folder: Path) -> End:
    injected = f"inject={point.call}:{what}:when={point.ordinal}"
    return _traced(run, folder, "-o", "/dev/null", "-e", f"trace={point.call}", "-e", injected)


def _traced(run: Callable[[], None], folder: Path, *options: str) -> End:
    said = folder / "error"
    said.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        _be_child(run, said)
    os.waitpid(child, os.WUNTRACED)
    tracer = subprocess.Popen(["strace", "-p", str(child), *options], stderr=subprocess.PIPE)
    assert tracer.stderr is not None
    tracer.stderr.readline()  # it says that it is attached
    os.kill(child, signal.SIGCONT)
    _, status = os.waitpid(child, 0)
    tracer.stderr.read()
    tracer.stderr.close()
    tracer.wait()
    if os.WIFSIGNALED(status):
        return End(killed=True, error=None)
    return End(killed=False, error=said.read_text() if os.WEXITSTATUS(status) == FAILED else None)


def _be_child(run: Callable[[], None], said: Path) -> None:
    """Never returns."""
    descriptor = os.open(said, os.O_WRONLY | os.O_CREAT, 0o600)
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        run()
    except BaseException as error:
        os.pwritev(descriptor, [f"{type(error).__name__}: {error}".encode()], 0)
        os._exit(FAILED)
    os._exit(0)
