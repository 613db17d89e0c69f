"""Queries built in steps: the same answers and the same refusals as the peer gives."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import armillary.butler
from armillary.butler import Butler
from query import query_steps, two_instruments

SCRIPT = Path(__file__).resolve().parents[1] / "query" / "query_steps.py"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, peer_python: str) -> list[tuple[str, Any, Any]]:
    root = str(tmp_path_factory.mktemp("steps"))
    Butler.makeRepo(root)
    with Butler(root, writeable=True) as butler:
        two_instruments.fill(butler, armillary.butler)
    process = subprocess.run(
        [peer_python, str(SCRIPT), "lsst.daf.butler", root], capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stderr[-3000:]
    ours = json.loads(json.dumps(query_steps.answers("armillary.butler", root)))
    return list(zip(query_steps.QUESTIONS, ours, json.loads(process.stdout), strict=True))


def test_answers_are_the_peers(answers):
    given = [(question, ours, theirs) for question, ours, theirs in answers if "rows" in theirs]
    assert len(given) > 50, f"only {len(given)} answers to compare"
    assert [(question, ours, theirs) for question, ours, theirs in given if ours != theirs] == []


def test_refusals_are_the_peers(answers):
    refused = [(question, ours, theirs) for question, ours, theirs in answers if "error" in theirs]
    assert len(refused) > 15, f"only {len(refused)} refusals to compare"
    for question, ours, theirs in refused:
        assert "error" in ours, f"{question}: the peer says {theirs['message']}"
        assert theirs["error"][0] in ours["error"], f"{question}: {ours} and not {theirs}"
