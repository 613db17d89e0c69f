"""Each command tells of an unknown option and of a repository that is not there, and makes nothing."""

import re
import shlex

import pytest

from cli.programs import run_program
from cli.test_examples import PAGE, examples

COMMANDS = re.findall(r"^### ((?:butler|pipetask) \S+)$", PAGE, re.MULTILINE)
# Files that are looked for before the repository, and are not there either.
READ_FIRST = {
    "butler ingest-files": ["shards.ecsv"],
    "butler retrieve-artifacts-for-quanta": ["run.qg"],
    "butler zip-from-graph": ["run.qg"],
    "pipetask check": ["pipe.yaml"],
    "pipetask pre-exec-init-qbb": ["run.qg"],
    "pipetask report": ["first.qg"],
    "pipetask run-qbb": ["run.qg"],
}
MAKES_IT = {"butler create", "butler init"}


def told(line, folder):
    """Run a command line; check how its error looks, and give the error."""
    words = shlex.split(line)
    words = words[: next((i for i, word in enumerate(words) if word in (">", "|")), None)]
    before = sorted(folder.iterdir())
    ended = run_program(*words, directory=folder)
    assert ended.code in (1, 2), ended
    assert len(re.findall(r"^error: ", ended.err, re.MULTILINE)) == 1, ended.err
    assert "Traceback" not in ended.err
    assert sorted(folder.iterdir()) == before
    return ended.err


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_told(command, tmp_path):
    error = told(f"{command} --no-such-option", tmp_path)
    assert "error: no such option `--no-such-option`" in error
    assert f"hint: `{command} --help`" in error


FIRST = {" ".join(line.split()[:2]): line for line in reversed(examples()) if re.search(r"\b(REPO|SOURCE)\b", line)}


@pytest.mark.parametrize("command", [command for command in FIRST if command not in MAKES_IT])
def test_a_repository_that_is_not_there_is_told(command, tmp_path):
    line = re.sub(r"\b(REPO|SOURCE)\b", "nowhere", FIRST[command])
    assert any(f"{place}`" in told(line, tmp_path) for place in ("nowhere", *READ_FIRST.get(command, ()))), line
