"""What a power cut leaves, judged by the peer, by `fsck`, and by clients of database and files.

A writer takes steps, one after the other, and says each when it is done; at a random moment the disk loses its power.
What is there then must be what was there after the last step it said, or after the next one, in every detail that the
peer tells. `--power-cuts N` cuts it N times for each durability.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import pytest

from armillary.butler import Butler, DatasetRef, FileDataset
from armillary.butler.checking import check_repository
from faults.judge import left_over, look
from faults.operations import make_repository
from peer.peer_judge import running_judge

STEPS = 400
PADDING = "x" * 3000


@dataclass
class Expected:
    """What the peer should see after some steps: datasets by run, type and detector; members of collections."""

    datasets: dict[tuple[str, str, int], object] = field(default_factory=dict)
    tagged: set[tuple[str, int]] = field(default_factory=set)
    chain: list[str] = field(default_factory=list)
    runs: set[str] = field(default_factory=set)


class Steps:
    """What the writer does; step `i` is the same every time, as a change of a repository and of what is expected.

    Each round of steps works in a run of its own; `incoming` is a folder for files that are taken in.
    """

    def __init__(self, incoming):
        self.incoming = incoming
        self.kinds = [self.put, self.put_batch, self.ingest, self.tag, self.extend_chain, self.prune, self.remove_run]

    def take(self, i, butler):
        number, kind = divmod(i, len(self.kinds))
        self.kinds[kind](f"w/{number}", butler, None)

    def expect(self, i, expected):
        number, kind = divmod(i, len(self.kinds))
        self.kinds[kind](f"w/{number}", None, expected)

    @staticmethod
    def put(run, butler, expected):
        content = {"by": "put", "padding": PADDING}
        if butler:
            butler.collections.register(run)
            butler.put(content, "piece", instrument="Cam", detector=0, run=run)
        else:
            expected.datasets[run, "piece", 0] = content
            expected.runs.add(run)

    @staticmethod
    def put_batch(run, butler, expected):
        if butler:
            with butler.transaction():
                for i in range(10, 14):
                    butler.put({"by": i, "padding": PADDING}, "piece", instrument="Cam", detector=i, run=run)
        else:
            expected.datasets |= {(run, "piece", i): {"by": i, "padding": PADDING} for i in range(10, 14)}

    def ingest(self, run, butler, expected):
        if butler:
            kind = butler.get_dataset_type("other")
            files = []
            for i in (20, 21):
                path = self.incoming / f"{i}.yaml"
                path.write_text(f"came: {i}\npadding: {PADDING}\n")
                data_id = butler.registry.expandDataId(instrument="Cam", detector=i)
                files.append(FileDataset(str(path), [DatasetRef(kind, data_id, run=run)]))
            butler.ingest(*files, transfer="copy")
        else:
            expected.datasets |= {(run, "other", i): {"came": i, "padding": PADDING} for i in (20, 21)}

    @staticmethod
    def tag(run, butler, expected):
        """What is tagged goes out for what comes in, which has the same data IDs."""
        if butler:
            with butler.transaction():
                tagged = butler.query_datasets("piece", collections="u/tagged", explain=False)
                butler.registry.disassociate("u/tagged", tagged)
                butler.registry.associate("u/tagged", butler.query_datasets("piece", collections=run))
        else:
            expected.tagged = {(run, i) for i in (0, *range(10, 14))}

    @staticmethod
    def extend_chain(run, butler, expected):
        if butler:
            butler.collections.prepend_chain("u/chain", run)
        else:
            expected.chain.insert(0, run)

    @staticmethod
    def prune(run, butler, expected):
        if butler:
            gone = (("piece", 10), ("other", 20))
            refs = [butler.find_dataset(kind, instrument="Cam", detector=i, collections=run) for kind, i in gone]
            butler.pruneDatasets(refs, purge=True, unstore=True, disassociate=True)
        else:
            del expected.datasets[run, "piece", 10], expected.datasets[run, "other", 20]
            expected.tagged.discard((run, 10))

    @staticmethod
    def remove_run(run, butler, expected):
        """Every second one."""
        if int(run[2:]) % 2:
            return
        if butler:
            butler.removeRuns([run], unlink_from_chains=True)
        else:
            expected.datasets = {key: value for key, value in expected.datasets.items() if key[0] != run}
            expected.tagged = {one for one in expected.tagged if one[0] != run}
            expected.chain.remove(run)
            expected.runs.discard(run)


def write(root, incoming, durability, say):
    steps = Steps(incoming)
    with Butler(root, writeable=True, durability=durability) as butler:
        say(0)
        for i in range(STEPS):
            steps.take(i, butler)
            say(i + 1)


@pytest.fixture(scope="module")
def peer(peer_python):
    with running_judge(peer_python) as see:
        yield see


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A repository that keeps checksums."""
    root = tmp_path_factory.mktemp("power") / "repo"
    kept = {"cls": "lsst.daf.butler.datastores.fileDatastore.FileDatastore", "root": "<butlerRoot>", "checksum": True}
    make_repository(root, configuration={"datastore": kept})
    return root


class Judge:
    """Compares what is there after a cut with what should be."""

    def __init__(self, template, incoming, peer):
        self.peer = peer
        self.steps = Steps(incoming)
        self.seen_before = peer(str(template))
        assert "error" not in self.seen_before
        assert self.seen_before["datasets"]

    def after(self, n):
        """What the peer should see after `n` steps."""
        expected = Expected(chain=list(self.seen_before["chains"]["u/chain"]))
        for i in range(n):
            self.steps.expect(i, expected)
        datasets = [
            [run, name, {"instrument": "Cam", "detector": detector}, content]
            for (run, name, detector), content in expected.datasets.items()
        ]
        return {
            "datasets": sorted([*self.seen_before["datasets"], *datasets], key=str),
            "collections": sorted({*self.seen_before["collections"], *expected.runs}),
            "chains": {"u/chain": expected.chain},
            "tagged": {"u/tagged": sorted([run, "piece", i] for run, i in expected.tagged)},
        }

    def steps_seen(self, root, said, **options):
        """How many steps the peer sees to be done: all that were said, and perhaps the one that was being done."""
        seen = self.peer(root, **options)
        assert "error" not in seen, seen
        for n in (said, said + 1):
            expected = self.after(n)
            # A run may be there ahead of what goes into it.
            runs = {*expected["collections"], *self.after(said + 1)["collections"]}
            if set(expected["collections"]) <= set(seen["collections"]) <= runs and all(
                seen[key] == expected[key] for key in ("datasets", "chains", "tagged")
            ):
                return n
        raise AssertionError(f"after {said} steps the peer sees something else: {differences(seen, self.after(said))}")


def differences(seen, expected):
    """What only one of two has, without the padding."""
    found = {}
    for key, value in expected.items():
        ours, theirs = ([str(one).replace(PADDING, "") for one in _items(each)] for each in (value, seen[key]))
        if ours != theirs:
            found[key] = {"lost": [x for x in ours if x not in theirs], "more": [x for x in theirs if x not in ours]}
    return found


def _items(value):
    return list(value.items()) if isinstance(value, dict) else value


@pytest.mark.parametrize("durability", ["full", "batch"])
def test_the_peer_finds_what_was_said(disk, template, peer, tmp_path, durability, request, capsys):
    number = request.config.getoption("--power-cuts")
    chosen = random.Random(f"{durability} {request.config.getoption('--seed')}")
    judge = Judge(template, tmp_path, peer)
    counts = Counter()
    for cut in range(number):
        repo, root = str(disk.root / "repo"), str(disk.after / "repo")
        shutil.rmtree(repo, ignore_errors=True)
        shutil.copytree(template, repo)
        os.sync()
        longest = chosen.choice([0.05, 0.3, 1.0])
        with disk.cut(partial(write, repo, tmp_path, durability), (0.005, longest)) as said:
            done = max(said, default=0)
            where = f"cut {cut}, after {done} steps"
            # Whoever opens the database first undoes what was being committed, which the peer does only as a writer.
            peer_first = cut % 2 == 0
            if not peer_first:
                found = look(root)
                assert not found.problems, where
                counts["left something over"] += bool(left_over(found))
            happened = judge.steps_seen(root, done, writeable=peer_first)
            counts["cuts"] += 1
            counts["acknowledged"] += done
            counts["done and not yet said"] += happened - done
            with Butler(root, writeable=True, durability=durability) as butler:  # recovers
                report = check_repository(butler, checksums=True)
                if durability == "batch":  # announcements may be lost: of files to be registered, and to be removed
                    left = {"orphan file", "temporary file", "trash"}
                    assert set(report.counts()) <= left, f"{where}: {report.problems}"
                    counts["files without rows"] += len(report.problems)
                    report = check_repository(butler, repair=True, older_than=-60)
                    assert not report.remaining, where
                else:
                    assert not report.problems, f"{where}: {report.problems}"
                assert not look(root).problems, where
                assert left_over(look(root)) == [], where
                judge.steps.take(happened, butler)
            assert judge.steps_seen(root, happened + 1) == happened + 1, f"{where}: the step cannot be repeated"
            with Butler(root) as butler:
                assert not check_repository(butler, checksums=True).problems, where
    with capsys.disabled():
        print(f"\n{durability}: {dict(counts)}")
    assert counts["acknowledged"] > counts["cuts"]
