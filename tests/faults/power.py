"""A disk that loses its power: ext4 in a file, a copy of which is what the disk holds at a moment."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MEBIBYTE = 1 << 20


def why_not() -> str | None:
    """Why power cannot be cut here; None if it can."""
    if os.geteuid() != 0:
        return "mounting a disk takes root"
    if shutil.which("mkfs.ext4") is None:
        return "mkfs.ext4 is not installed"
    if not os.path.exists("/dev/loop-control"):
        return "there are no loop devices"
    return None


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")


class PowerDisk:
    """An ext4 file system whose power can be cut.

    `folder` should be in memory: its disk is copied at each cut.
    """

    def __init__(self, folder: Path, size: int = 48 * MEBIBYTE) -> None:
        self._image, self._snapshot = folder / "disk.img", folder / "cut.img"
        self.root, self.after = folder / "disk", folder / "after"
        self.root.mkdir()
        self.after.mkdir()
        with self._image.open("wb") as stream:
            stream.truncate(size)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        _run("mount", "-o", "loop", str(self._image), str(self.root))

    def close(self) -> None:
        """Take the disk away."""
        _run("umount", "-l", str(self.root))
        self._image.unlink()

    @contextlib.contextmanager
    def cut(self, write: Callable[[Callable[[int], None]], None], wait: tuple[float, float]) -> Iterator[list[int]]:
        """Let a process write and say what is safe, cut its power, and give what was said.

        `write` is called in a process of its own with a function that says a number. The power is cut at a random
        moment after it has said 0, `wait` seconds at least and at most; then `after` is what the disk holds.
        """
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                write(lambda number: os.write(writing, number.to_bytes(4, "little")) and None)
            os._exit(9)
        os.close(writing)
        said = os.read(reading, 4)
        assert said == bytes(4), "the writer did not begin"
        time.sleep(random.uniform(*wait))
        os.kill(child, signal.SIGSTOP)
        _, status = os.waitpid(child, os.WUNTRACED)
        shutil.copyfile(self._image, self._snapshot)
        os.set_blocking(reading, False)
        with contextlib.suppress(BlockingIOError):
            while more := os.read(reading, 1 << 20):
                said += more
        os.close(reading)
        if os.WIFSTOPPED(status):  # else it had written all it had
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        _run("mount", "-o", "loop", str(self._snapshot), str(self.after))
        try:
            yield [int.from_bytes(said[i : i + 4], "little") for i in range(4, len(said), 4)]
        finally:
            _run("umount", str(self.after))
            self._snapshot.unlink()
