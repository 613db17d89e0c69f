"""Faults at system calls: a forked child is killed, or gets an error, at one call that changes something on disk."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from faults.zygote import FAILED, Zygote, be_child

CHANGING = (
    "write,pwrite64,pwritev,writev,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,fallocate,"
    "mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,fchmod,chmod,copy_file_range,sendfile,fsetxattr"
)
"""A kill before one of these is a kill after the one before: calls between that change nothing need no try."""
FAILING = (
    "write,pwrite64,fsync,fdatasync,sync_file_range,link,linkat,rename,mkdir,unlink,ftruncate,openat,copy_file_range,"
    "sendfile,fsetxattr"
)
SENDING = f"{CHANGING},sendto,sendmsg"
"""What changes something on this machine or asks another one to change it."""


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


def need_tracing() -> None:
    """Skip, or fail where everything must be there, if processes cannot be traced."""
    reason = _why_not()
    if reason is not None:
        assert "CI" not in os.environ, reason
        pytest.skip(reason)


def _why_not() -> str | None:
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
        be_child(run, str(said))
    os.waitpid(child, os.WUNTRACED)
    with _tracer(child, *options):
        _, status = os.waitpid(child, 0)
    return _end(status, said)


@contextlib.contextmanager
def _tracer(child: int, *options: str) -> Iterator[None]:
    """Trace a stopped child, and let it go on."""
    tracer = subprocess.Popen(["strace", "-p", str(child), *options], stderr=subprocess.PIPE)
    assert tracer.stderr is not None
    tracer.stderr.readline()  # it says that it is attached
    os.kill(child, signal.SIGCONT)
    yield
    tracer.stderr.read()
    tracer.stderr.close()
    tracer.wait()


def _end(status: int, said: Path) -> End:
    if os.WIFSIGNALED(status):
        return End(killed=True, error=None)
    return End(killed=False, error=said.read_text() if os.WEXITSTATUS(status) == FAILED else None)


@dataclass
class Children:
    """Children of a zygote, hurt at calls of any of their threads or at moments."""

    zygote: Zygote
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, run: Callable[[], None]) -> float:
        """Run an operation unhurt; returns the seconds it took."""
        self._start(run)
        begun = time.monotonic()
        os.kill(self._child, signal.SIGCONT)
        end = _end(self.zygote.wait(), self._said)
        assert end == End(killed=False, error=None), end
        return time.monotonic() - begun

    def points(self, run: Callable[[], None]) -> list[Point]:
        """The calls of an operation; it is run once for that. Each thread counts its own calls."""
        self._start(run)
        log = self.folder / "calls"
        with _tracer(self._child, "-f", "-o", str(log), "-e", f"trace={SENDING}"):
            end = _end(self.zygote.wait(), self._said)
        assert end == End(killed=False, error=None), end
        counts: Counter[tuple[str, str]] = Counter()
        found: dict[Point, None] = {}
        for line in log.read_text().splitlines():
            if match := re.match(r"(\d+) +(\w+)\(", line):
                counts[match[1], match[2]] += 1
                found[Point(match[2], counts[match[1], match[2]])] = None
        return list(found)

    def kill_at(self, point: Point, run: Callable[[], None]) -> End:
        """Run an operation and kill it at a call."""
        self._start(run)
        injected = f"inject={point.call}:signal=KILL:when={point.ordinal}"
        with _tracer(self._child, "-f", "-o", "/dev/null", "-e", f"trace={point.call}", "-e", injected):
            return _end(self.zygote.wait(), self._said)

    def kill_when(self, wait: Callable[[], None], run: Callable[[], None]) -> End:
        """Run an operation and kill it when something else is over."""
        self._start(run)
        os.kill(self._child, signal.SIGCONT)
        wait()
        os.kill(
            self._child, signal.SIGKILL
        )  # if it has ended, nobody has asked for it yet: the number is still its own
        return _end(self.zygote.wait(), self._said)

    @property
    def _said(self) -> Path:
        return self.folder / "error"

    def _start(self, run: Callable[[], None]) -> None:
        self._said.unlink(missing_ok=True)
        self._child = self.zygote.start(run, str(self._said), self.environment)
