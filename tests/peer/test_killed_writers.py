"""What killed writers leave where the database is a file or on a server, and files are here or in an object store.

Judges are clients of database and files, the peer, and `fsck`. `--writer-kills N` hurts each operation N times in each
place, half of them at a call that asks this machine or another one to change something, half at a random moment.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from functools import partial

import pytest

from armillary.butler import Butler
from armillary.butler.checking import check_repository
from faults import killing
from faults.elsewhere import KINDS, Servers
from faults.judge import left_over
from faults.operations import OPERATIONS
from faults.zygote import Zygote
from peer.peer_judge import running_judge
from remote_servers import s3_server

HURT = ["put", "put_batch", "ingest_copy", "ingest_move", "transfer_from", "import_export", "prune", "remove_runs"]
SLOW_COMMIT = """
CREATE FUNCTION repository.wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(4); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON repository.dataset_location INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION repository.wait();
"""
"""The server is long at a commit that has put a dataset somewhere."""


@pytest.fixture(scope="module", autouse=True)
def tracing():
    killing.need_tracing()


@pytest.fixture(scope="module")
def servers(cluster):
    with s3_server() as s3:
        yield Servers(cluster, s3)


@pytest.fixture(scope="module")
def zygote():
    zygote = Zygote()
    yield zygote
    zygote.close()


@pytest.fixture(scope="module")
def peer(peer_python, servers):
    with running_judge(peer_python, servers.s3.environment) as see:
        yield see


@pytest.fixture
def children(zygote, servers, memory_folder):
    cache = {"DAF_BUTLER_CACHE_DIRECTORY": str(memory_folder / "cache")}
    return killing.Children(zygote, memory_folder, servers.s3.environment | cache)


@pytest.fixture(scope="module")
def templates():
    """Places to be copied, by kind."""
    return {}


@pytest.fixture(params=KINDS)
def template(request, templates, servers, zygote, tmp_path_factory):
    if request.param not in templates:
        folder = tmp_path_factory.mktemp("killed")
        place = servers.new_place(request.param, folder / "template")
        killing.Children(zygote, folder, servers.s3.environment).run(place.make)
        templates[request.param] = place
    return templates[request.param]


def recover(place):
    with Butler(place.repo, writeable=True):
        pass


def check(place):
    """The repository's own check finds nothing."""
    with Butler(place.repo) as butler:
        problems = check_repository(butler, checksums=True).problems
    if problems:
        raise AssertionError("; ".join(map(str, problems)))


class Case:
    """One operation in one kind of place, hurt again and again, each time in a fresh copy."""

    def __init__(self, name, template, servers, children, peer):
        self.name, self.template, self.servers, self.children, self.peer = name, template, servers, children, peer
        self.n = 0
        self.counts = Counter()
        self.sources = {path.read_bytes() for path in template.incoming.iterdir()}
        place = self.fresh()
        self.before, self.seen_before = servers.look(place), peer(place.repo)
        self.points = children.points(self.run(place))
        self.after, self.seen_after = servers.look(place), peer(place.repo)
        assert not self.after.problems
        assert left_over(self.after) == []
        assert self.after.rows() != self.before.rows()
        assert "error" not in self.seen_before
        assert "error" not in self.seen_after
        assert self.seen_before != self.seen_after
        servers.remove(place)

    def fresh(self):
        self.n += 1
        return self.servers.copy(self.template, self.children.folder / str(self.n))

    def run(self, place):
        return partial(OPERATIONS[self.name], place)

    def judge(self, place, end, where):
        """Look at what is left, let the peer look, recover, look again, do it again."""
        found = self.servers.look(place)
        assert not found.problems, where
        happened = found.rows() == self.after.rows()
        assert happened or found.rows() == self.before.rows(), f"{where}: half of the rows changed"
        assert happened or end.killed, f"{where}: said to be done, and is not"
        assert end.error is None, where
        sources = {*found.files.values(), *(path.read_bytes() for path in place.incoming.iterdir())}
        assert self.sources <= sources, f"{where}: a file to be taken in is lost"
        whole = self.before.files | self.after.files
        for path, content in found.files.items():
            if not path.rpartition("/")[2].startswith("."):
                assert content == whole[path], f"{where}: `{path}` is half-written"
        self.ask_peer(place, happened, where)
        self.counts["killed"] += end.killed
        self.counts["happened" if happened else "did not happen"] += 1
        self.counts["left something over"] += bool(left_over(found))
        self.children.run(partial(recover, place))
        recovered = self.servers.look(place)
        assert not recovered.problems, where
        assert recovered.rows() == found.rows(), f"{where}: recovery changed rows"
        assert left_over(recovered) == [], where
        if not happened:
            self.children.run(self.run(place))
            again = self.servers.look(place)
            assert not again.problems, where
            assert again.rows() == self.after.rows(), f"{where}: it cannot be repeated"
            assert left_over(again) == [], where
            self.ask_peer(place, True, where)
        self.children.run(partial(check, place))
        self.servers.remove(place)

    def ask_peer(self, place, happened, where):
        """The peer gets all datasets of before or of after; an empty run may be made ahead of what goes into it."""
        seen = self.peer(place.repo)
        assert "error" not in seen, f"{where}: {seen}"
        expected = self.seen_after if happened else self.seen_before
        assert seen["datasets"] == expected["datasets"], f"{where}: the peer sees something else"
        runs = {*self.seen_before["collections"], *self.seen_after["collections"]}
        assert set(expected["collections"]) <= set(seen["collections"]) <= runs, where


@pytest.mark.parametrize("name", HURT)
def test_killed_anywhere(template, servers, children, peer, name, request, capsys):
    number = request.config.getoption("--writer-kills")
    moments = random.Random(f"{name} {request.config.getoption('--seed')}")
    case = Case(name, template, servers, children, peer)
    for point in moments.sample(case.points, (number + 1) // 2):
        place = case.fresh()
        case.judge(place, children.kill_at(point, case.run(place)), f"{name}, killed at {point}")
    if number > 1:
        place = case.fresh()
        whole = children.run(case.run(place))
        servers.remove(place)
    for _ in range(number // 2):
        place = case.fresh()
        seconds = moments.uniform(0, whole)
        case.judge(
            place,
            children.kill_when(partial(time.sleep, seconds), case.run(place)),
            f"{name}, killed after {seconds:.4f} s",
        )
    with capsys.disabled():
        kind = next(kind for kind, made in request.getfixturevalue("templates").items() if made is template)
        print(f"\n{name}, {kind}: {len(case.points)} calls, {dict(case.counts)}")


def test_a_commit_that_outlives_its_client_keeps_its_file(servers, children, tmp_path):
    """The next writer opens the repository while the server still commits what a dead one asked for."""
    place = servers.new_place("postgresql and files", tmp_path / "place")
    children.run(place.make)
    servers.sql(place, SLOW_COMMIT)
    assert children.kill_when(partial(servers.wait_for_commit, place), partial(OPERATIONS["put"], place)).killed
    children.run(partial(recover, place))
    was_committing = servers.is_in_use(place)
    found = servers.look(place)
    assert not found.problems
    assert any(path.startswith("u/new/") for path in found.registered)
    assert was_committing
    children.run(partial(recover, place))
    assert left_over(servers.look(place)) == []
    servers.remove(place)
