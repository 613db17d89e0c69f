"""Power cuts while quanta run: what a run takes for done is whole, and the next run does the rest."""

from __future__ import annotations

import os
import shutil

import pytest

from armillary.butler import Butler
from armillary.pipeline.execution import recorder, run_without_registry, transfer_from_graph
from faults.judge import look
from pipeline.test_resume import N_DETECTORS, RUN, built, check_whole, run  # noqa: F401

CUTS, ALL_CUTS = 8, 80


def with_registry(root, graph, say):
    say(0)
    run(root, graph, skip_existing=True)


def without_registry(root, graph, say):
    say(0)
    run_without_registry(root, graph, progress=False)


@pytest.mark.parametrize("execute", [with_registry, without_registry])
def test_what_counts_as_done_is_whole_after_a_power_cut(disk, execute, built, full, monkeypatch):  # noqa: F811
    monkeypatch.setattr(recorder, "BATCH_QUANTA", 2)
    made, path = built()
    n_done = set()
    for _ in range((ALL_CUTS if full else CUTS) // 2):
        shutil.rmtree(disk.root / "repo", ignore_errors=True)
        shutil.copytree(made, disk.root / "repo")
        os.sync()
        with disk.cut(lambda say: execute(str(disk.root / "repo"), str(path), say), (0.05, 0.45)):
            root = str(disk.after / "repo")
            assert not look(root).problems
            report = (
                run(root, path, skip_existing=True)
                if execute is with_registry
                else run_without_registry(root, str(path), progress=False)
            )
            assert report.exit_code == 0
            n_done.add(report.counts["measure"].get("skipped", 0))
            if execute is without_registry:
                with Butler(root, writeable=True) as butler:
                    transfer_from_graph(str(path), butler)
            check_whole(root)
            with Butler(root, collections=[RUN]) as butler:
                assert all(butler.get(ref) is not None for ref in butler.query_all_datasets(RUN, limit=None))
    assert n_done - {0}, f"no cut came while quanta ran: {n_done}"
