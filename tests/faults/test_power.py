"""What a power cut leaves: everything that was acknowledged, and nothing by halves."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from armillary.butler import Butler, DatasetRef, FileDataset
from faults.judge import left_over, look
from faults.operations import DETECTORS, make_repository

CUTS, ALL_CUTS = 24, 240
BATCH = 5


def content(number):
    return {"number": number, "padding": "x" * 3000}


def put_one_by_one(root, run, durability, say):
    with Butler(root, run=run, durability=durability) as butler:
        say(0)
        for i in range(DETECTORS):
            butler.put(content(i), "piece", instrument="Cam", detector=i)
            say(i)


def put_in_batches(root, run, durability, say):
    with Butler(root, run=run, durability=durability) as butler:
        say(0)
        for start in range(0, DETECTORS, BATCH):
            with butler.transaction():
                for i in range(start, start + BATCH):
                    butler.put(content(i), "piece", instrument="Cam", detector=i)
            for i in range(start, start + BATCH):
                say(i)


def put_and_remove(root, run, durability, say):
    """Says a number when it is there, and the number plus `DETECTORS` when it is gone."""
    with Butler(root, run=run, durability=durability) as butler:
        say(0)
        for i in range(DETECTORS):
            ref = butler.put(content(i), "piece", instrument="Cam", detector=i)
            say(i)
            if i % 2:
                butler.pruneDatasets([ref], purge=True, unstore=True)
                say(i + DETECTORS)


def ingest_copies(root, run, durability, say):
    """Says the numbers of files when they are in, a batch at a time."""
    incoming = Path(root).parents[1] / "incoming"
    incoming.mkdir(exist_ok=True)
    for i in range(DETECTORS):
        (incoming / f"{i}.yaml").write_text(f"{{number: {i}, padding: {'x' * 3000}}}")
    with Butler(root, run=run, durability=durability) as butler:
        piece = butler.get_dataset_type("piece")
        ids = [butler.registry.expandDataId(instrument="Cam", detector=i) for i in range(DETECTORS)]
        refs = [DatasetRef(piece, data_id, run=run) for data_id in ids]
        files = [FileDataset(str(incoming / f"{i}.yaml"), [ref]) for i, ref in enumerate(refs)]
        say(0)
        for start in range(0, DETECTORS, BATCH):
            butler.ingest(*files[start : start + BATCH], transfer="copy")
            for i in range(start, start + BATCH):
                say(i)


WRITERS = [
    (put_one_by_one, "full"),
    (put_in_batches, "full"),
    (put_and_remove, "full"),
    (put_one_by_one, "batch"),
    (put_in_batches, "batch"),
    (ingest_copies, "full"),
    (ingest_copies, "batch"),
]


@pytest.mark.parametrize(("write", "durability"), WRITERS)
def test_what_was_acknowledged_is_there_after_a_power_cut(disk, write, durability, full, capsys):
    make_repository(disk.root / "repo")
    os.sync()
    counts = Counter()
    for cycle in range((ALL_CUTS if full else CUTS) // len(WRITERS)):
        run = f"u/{cycle:04}"
        root = str(disk.after / "repo")
        repo = str(disk.root / "repo")
        with disk.cut(lambda say, repo=repo, run=run: write(repo, run, durability, say), (0.01, 0.4)) as said:
            found = look(root)
            assert not found.problems
            added, removed = {i for i in said if i < DETECTORS}, {i - DETECTORS for i in said if i >= DETECTORS}
            for i in range(DETECTORS):
                path = next((p for p in found.registered if p.startswith(f"{run}/") and f"_d{i:03}_" in p), None)
                assert path or i not in added or i in removed or (write is put_and_remove and i % 2), f"{i} is lost"
                assert path is None or i not in removed, f"{i} is back"
                assert path is None or b"x" * 3000 in found.files[path]
            if write is put_in_batches:
                assert sum(path.startswith(f"{run}/") for path in found.registered) % BATCH == 0
            counts["cuts"] += 1
            counts["acknowledged"] += len(said)
            counts["cuts that left something over"] += bool(left_over(found))
            with Butler(root, run=run) as butler:
                butler.put(content(0), "other", instrument="Cam", detector=0)
            assert durability == "batch" or left_over(look(root)) == []
        with Butler(str(disk.root / "repo"), writeable=True) as butler:
            butler.removeRuns([run])
    with capsys.disabled():
        print(f"\n{write.__name__} {durability}: {dict(counts)}")
    assert counts["acknowledged"] > counts["cuts"]


def test_without_any_sync_a_power_cut_is_noticed(disk):
    """What the mode `none` gives up; and that this harness sees it."""
    make_repository(disk.root / "repo")
    os.sync()
    lost = 0
    for cycle in range(4):
        run = f"u/{cycle:04}"
        repo = str(disk.root / "repo")
        with disk.cut(lambda say, repo=repo, run=run: put_one_by_one(repo, run, "none", say), (0.05, 0.2)) as said:
            root = str(disk.after / "repo")
            try:
                found = look(root)
            except Exception:  # the database may be broken
                lost += len(said)
                continue
            whole = [path for path in found.registered if path.startswith(f"{run}/") and found.files.get(path)]
            lost += len(said) - len(whole)
    assert lost > 0
