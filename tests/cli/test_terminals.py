"""Tables fit the terminal; pipes get whole lines without colours or bars."""

import os
import pty
import re
import subprocess
import sys

import pytest

from armillary.testing import small_repository

COMMAND = "import sys; from armillary.cli.butler import main; sys.exit(main(sys.argv[1:]))"
LONG = "u/somebody/a/rather/long/name/of/a/collection/that/no/narrow/terminal/holds"


@pytest.fixture(scope="module")
def repository():
    with small_repository(run=LONG) as butler:
        yield str(butler._root)


def on_terminal(width, *arguments):
    """What a command writes to a terminal of a width."""
    outer, inner = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(width), "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], env=environment, stdout=inner, stderr=inner
    ) as run:
        os.close(inner)
        written = b""
        while True:
            try:
                part = os.read(outer, 65536)
            except OSError:  # how Linux tells that the other side is closed
                break
            if not part:
                break
            written += part
    os.close(outer)
    assert run.returncode == 0
    return written.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_tables_fit_the_terminal_and_lose_nothing(repository, width):
    shown = re.sub(r"\x1b\[[0-9;]*m", "", on_terminal(width, "query-collections", repository, "--chains", "table"))
    lines = shown.splitlines()
    assert max(map(len, lines)) <= width
    assert LONG in "".join(re.sub(r"\s+(RUN)?\s*$", "", line) for line in lines[1:])


def test_pipes_get_whole_lines_without_colours(repository):
    asked = [sys.executable, "-c", COMMAND, "--progress", "query-collections", repository, "--chains", "table"]
    environment = {**os.environ, "COLUMNS": "40", "TERM": "xterm-256color"}
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True)
    assert LONG in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
