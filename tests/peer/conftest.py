"""Run code under the peer's interpreter."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]


@cache
def peer_python() -> str:
    """The peer's interpreter: `ARMILLARY_PEER_PYTHON`, or an environment made once beside the shared inputs' tool."""
    given = os.environ.get("ARMILLARY_PEER_PYTHON")
    if given:
        return given
    shared = Path(os.environ.get("ARMILLARY_SHARED", REPOSITORY_ROOT.parent / "shared"))
    cache_root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    made = subprocess.run(
        [shared / "tools" / "make-peer-venv", cache_root / "armillary-peer"], check=True, capture_output=True, text=True
    )
    return made.stdout.strip().splitlines()[-1]


def run_peer(code: str, *arguments: str, check: bool = True) -> str:
    """Standard output of `code` under the peer; `arguments` are its `sys.argv[1:]`."""
    done = subprocess.run([peer_python(), "-c", code, *arguments], capture_output=True, text=True, timeout=600)
    if check and done.returncode != 0:
        raise AssertionError(f"the peer failed with code {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


@pytest.fixture(name="run_peer", scope="session")
def run_peer_fixture():
    return run_peer


@pytest.fixture(name="peer_python", scope="session")
def peer_python_fixture():
    return peer_python()
