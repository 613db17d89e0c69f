"""The tables of `butler query-...` have the peer's columns and rows, and each program asks the other's repository."""

import os
import subprocess
from pathlib import Path

import pytest

from armillary.butler import CollectionType, Timespan
from armillary.cli.butler import main
from armillary.testing import small_repository

# The dimensions of `query-dataset-types -v` are separated by commas here, and a Python list there.
QUESTIONS = [
    ("query-collections", "REPO", "--chains", "table"),
    ("query-collections", "REPO", "--chains", "inverse-table"),
    ("query-collections", "REPO", "--chains", "tree"),
    ("query-collections", "REPO", "--chains", "inverse-tree"),
    ("query-collections", "REPO", "--chains", "tree", "-t"),
    ("query-collections", "REPO", "--chains", "table", "-t", "--exclude-dataset-types", "m*"),
    ("query-dataset-types", "REPO"),
    ("query-dataset-types", "REPO", "m*", "--collections", "chain"),
    ("query-datasets", "REPO", "*", "--collections", "u/*"),
    ("query-datasets", "REPO", "metrics", "--collections", "chain", "--find-first", "--show-uri"),
    ("query-data-ids", "REPO", "visit", "detector", "--order-by", "-visit,detector"),
    ("query-data-ids", "REPO", "--datasets", "metrics", "--collections", "u/me", "--order-by", "detector"),
    ("query-dimension-records", "REPO", "visit", "--order-by", "visit"),
    ("query-dimension-records", "REPO", "day_obs"),
]

SERVER = """\
import json, sys
from click.testing import CliRunner
from lsst.daf.butler.cli.butler import cli
told = []
for question in json.loads(sys.argv[1]):
    result = CliRunner().invoke(cli, question)
    told.append([result.exit_code, result.stdout])
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def repository():
    with small_repository(run="u/me") as butler:
        butler.put({"a": 1}, "summary", instrument="Cam")
        for detector in (1, 2):
            butler.put({"a": detector}, "metrics", instrument="Cam", visit=10, detector=detector)
        for name, children in (("chain", ["u/me"]), ("outer", ["chain"])):
            butler.collections.register(name, CollectionType.CHAINED)
            butler.collections.redefine_chain(name, children)
        butler.collections.register("tag", CollectionType.TAGGED)
        day = {"instrument": "Cam", "id": 20250102, "timespan": Timespan.from_day_obs(20250102)}
        butler.registry.insertDimensionData("day_obs", day)
        yield str(butler._root)


@pytest.fixture(scope="module")
def theirs(repository, peer_python):
    import json

    asked = [[word.replace("REPO", repository) for word in question] for question in QUESTIONS]
    done = subprocess.run(
        [peer_python, "-W", "ignore", "-c", SERVER, json.dumps(asked)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": ""},
        cwd=Path(repository).parent,
    )
    return json.loads(done.stdout.splitlines()[-1])


def cells(text):
    """The cells of tables, whatever stands between them: None and nothing are the same."""
    rows = [line.split() for line in text.splitlines() if line.strip() and set(line) - set("- ")]
    return [[cell for cell in row if cell != "None"] for row in rows]


@pytest.mark.parametrize("number", range(len(QUESTIONS)), ids=lambda number: " ".join(QUESTIONS[number]))
def test_tables_are_those_of_the_peer(repository, theirs, capsys, number):
    code, text = theirs[number]
    assert main([word.replace("REPO", repository) for word in QUESTIONS[number]]) == code == 0
    ours = capsys.readouterr().out
    assert len(cells(text)) > 1
    assert cells(ours) == cells(text)
