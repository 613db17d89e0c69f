"""Datasets go from a repository that the peer made to one of ours and back, though the universes differ in prose."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from armillary.butler import Butler
from query import two_instruments

KINDS = {"metric": ["visit", "detector"], "summary": ["instrument"]}
SCRIPT = """
import importlib, json, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[2])
from query import two_instruments
daf = importlib.import_module(sys.argv[1])
KINDS = json.loads(sys.argv[3])


def begin(root, number=None):
    daf.Butler.makeRepo(root)


def make(root, number):
    begin(root)
    butler = daf.Butler.from_config(root, writeable=True)
    two_instruments.fill(butler, daf)
    butler.collections.register(f"made/{number}")
    for name, dimensions in KINDS.items():
        made = daf.DatasetType(name, dimensions, "StructuredDataDict", universe=butler.dimensions)
        butler.registry.registerDatasetType(made)
        with butler.query() as query:
            # The peer does not transfer data IDs that lack a record.
            where = "visit < 106 AND (visit != 102 OR detector != 1)" if "visit" in dimensions else ""
            data_ids = list(query.where(where, instrument="CamA").data_ids(dimensions))
        for at, data_id in enumerate(data_ids):
            butler.put({"from": number, "at": at}, name, data_id, run=f"made/{number}")


def plain(fields):
    # Objects of either package are shown in other ways.
    def one(value):
        if hasattr(value, "nsec"):
            return list(value.nsec)
        return value.encode().hex() if hasattr(value, "getBoundingCircle") else value

    return str(sorted((name, one(value)) for name, value in fields.items()))


def say(root, run):
    butler = daf.Butler.from_config(root)
    found = {}
    for name in KINDS:
        for ref in butler.query_datasets(name, run, limit=None):
            found[str(ref.id)] = [name, sorted(dict(ref.dataId.required).items()), butler.get(ref)]
    with butler.query() as query:
        wheres = {"visit": "visit < 106", "exposure": "exposure < 106", "visit_definition": "visit < 106"}
        records = sorted(plain(record.toDict()) for name, where in wheres.items()
                         for record in query.dimension_records(name).where(where, instrument="CamA"))
    return found, records


def move(source, target, run):
    first, second = daf.Butler.from_config(source), daf.Butler.from_config(target, writeable=True)
    refs = [ref for name in KINDS for ref in first.query_datasets(name, run, limit=None)]
    moved = second.transfer_from(first, refs, transfer="copy", register_dataset_types=True, transfer_dimensions=True)
    return len(moved)


action, *arguments = sys.argv[4:]
print(json.dumps({"begin": begin, "make": make, "say": say, "move": move}[action](*arguments)))
"""


@pytest.fixture(scope="module")
def run(run_peer):
    """Run an action under the peer or under armillary."""
    tests = two_instruments.__file__.rsplit("/query/", 1)[0]

    def act(who, *arguments):
        module = "lsst.daf.butler" if who == "peer" else "armillary.butler"
        arguments = (module, tests, json.dumps(KINDS), *map(str, arguments))
        if who == "peer":
            return json.loads(run_peer(SCRIPT, *arguments))
        done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    return act


@pytest.fixture(scope="module")
def made(run, tmp_path_factory):
    """A repository made and filled by each."""
    roots = {who: tmp_path_factory.mktemp(who) / "repo" for who in ("peer", "ours")}
    for number, (who, root) in enumerate(roots.items()):
        run(who, "make", root, number)
    return roots


def test_universes_of_both_are_equal(made):
    with Butler(made["peer"]) as theirs, Butler(made["ours"]) as ours:
        assert theirs.dimensions.to_json() != ours.dimensions.to_json()
        assert theirs.dimensions == ours.dimensions
        assert hash(theirs.dimensions) == hash(ours.dimensions)
        assert theirs.dimensions["visit"].documentation != ours.dimensions["visit"].documentation
        assert theirs.dimensions.conform(["visit"]) == ours.dimensions.conform(["visit"])
        assert theirs.get_dataset_type("metric") == ours.get_dataset_type("metric")
        (one,), (other,) = (butler.query_data_ids("visit", instrument="CamA", visit=101) for butler in (theirs, ours))
        assert one == other and hash(one) == hash(other)


@pytest.mark.parametrize(
    ("source", "who", "filled"),
    [("peer", "ours", False), ("ours", "ours", True), ("peer", "peer", True), ("ours", "peer", False)],
)
def test_datasets_and_their_records_go_both_ways(made, run, tmp_path, source, who, filled):
    maker = "ours" if source == "peer" else "peer"
    run(maker, "make" if filled else "begin", tmp_path / "target", 2)
    name = f"made/{list(made).index(source)}"
    found, records = run(source, "say", made[source], name)
    assert run(who, "move", made[source], tmp_path / "target", name) == len(found) > 20
    # The peer gives those that were there, too.
    assert run(who, "move", made[source], tmp_path / "target", name) == (len(found) if who == "peer" else 0)
    for reader in ("peer", "ours"):
        assert run(reader, "say", tmp_path / "target", name) == [found, records]
