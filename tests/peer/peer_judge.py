"""The peer as a judge of many repositories: one process of it, started once."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def running_judge(
    peer_python: str, environment: dict[str, str] | None = None
) -> Iterator[Callable[..., dict[str, Any]]]:
    """Give a function that tells what the peer sees in a repository, as reader or writer; see `kill_judge.py`."""
    process = subprocess.Popen(
        [peer_python, Path(__file__).with_name("kill_judge.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | (environment or {}),
    )
    assert process.stdin is not None and process.stdout is not None
    given, answers = process.stdin, process.stdout

    def see(root: str, *, writeable: bool = False) -> dict[str, Any]:
        given.write(json.dumps([root, writeable]) + "\n")
        given.flush()
        answer: dict[str, Any] = json.loads(answers.readline())
        return answer

    try:
        yield see
    finally:
        given.close()
        answers.close()
        process.wait()
