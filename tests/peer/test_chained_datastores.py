"""Repositories with chained datastores and datasets in parts are the same to the peer and to armillary."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from armillary.butler import Butler, DatasetType, DimensionUniverse
from armillary.storage.datastore_config import Constraints

# The chain keeps a copy whole and a copy whose composites are in parts. `Pair` is made up of two dictionaries.
CONFIG = """
storageClasses:
  Pair:
    pytype: dict
    components: {left: StructuredDataDict, right: StructuredDataDict}
datastore:
  cls: lsst.daf.butler.datastores.chainedDatastore.ChainedDatastore
  datastore_constraints:
    - constraints: {accept: [all]}
    - constraints: {accept: [all]}
    - constraints: {reject: [whole]}
  datastores:
    - datastore: {cls: lsst.daf.butler.datastores.inMemoryDatastore.InMemoryDatastore}
    - datastore:
        cls: lsst.daf.butler.datastores.fileDatastore.FileDatastore
        records: {table: records_whole}
        checksum: true
        formatters: {Pair: lsst.daf.butler.formatters.yaml.YamlFormatter}
    - datastore:
        cls: lsst.daf.butler.datastores.fileDatastore.FileDatastore
        records: {table: records_parts}
        composites: {default: true}
        formatters: {Pair: lsst.daf.butler.formatters.yaml.YamlFormatter}
"""
SCRIPT = """
import importlib, json, os, sqlite3, sys
package, action, root, config, name = sys.argv[1:6]
daf = importlib.import_module(package)

def make():
    daf.Butler.makeRepo(root, config=daf.Config.fromString(config))
    butler = daf.Butler.from_config(root, writeable=True)
    butler.registry.insertDimensionData("instrument", {"name": "C"})
    for kind, storage_class in (("pair", "Pair"), ("whole", "StructuredDataDict")):
        for writer in ("peer", "armillary"):
            butler.registry.registerDatasetType(
                daf.DatasetType(f"{kind}_{writer}", ["instrument"], storage_class, universe=butler.dimensions)
            )
    butler.registry.registerDatasetType(
        daf.DatasetType("whole", ["instrument"], "StructuredDataDict", universe=butler.dimensions)
    )

def write():
    butler = daf.Butler.from_config(root, writeable=True, run=f"run/{name}")
    butler.put({"left": {"by": name}, "right": {"n": 1}}, f"pair_{name}", instrument="C")
    butler.put({"by": name}, "whole", instrument="C")

def see():
    butler = daf.Butler.from_config(root)
    seen = {}
    for writer in ("peer", "armillary"):
        get = lambda what: butler.get(what, instrument="C", collections=f"run/{writer}")
        seen[writer] = [get(f"pair_{writer}"), get(f"pair_{writer}.right"), get("whole")]
        for kind in (f"pair_{writer}", "whole"):
            uris = butler.getURIs(kind, instrument="C", collections=f"run/{writer}")
            seen[writer].append([str(uris[0]), sorted(uris[1])])
    with sqlite3.connect(os.path.join(root, "gen3.sqlite3")) as database:
        for table in ("records_whole", "records_parts", "dataset_location", "dataset_location_trash"):
            seen[table] = sorted(map(list, database.execute(f"SELECT * FROM {table}")))
    return seen

def prune():
    butler = daf.Butler.from_config(root, writeable=True)
    ref = butler.find_dataset(f"pair_{name}", instrument="C", collections=f"run/{name}")
    butler.pruneDatasets([ref], purge=True, unstore=True, disassociate=True)

print(json.dumps(dict(make=make, write=write, see=see, prune=prune)[action]()))
"""


@pytest.fixture
def act(run_peer, tmp_path):
    """An action as the peer or as armillary, on one repository."""
    root = str(tmp_path / "repo")

    def do(who, action, name=""):
        package = "lsst.daf.butler" if who == "peer" else "armillary.butler"
        arguments = [package, action, root, CONFIG, name]
        if who == "peer":
            return json.loads(run_peer(SCRIPT, *arguments))
        done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return do


@pytest.mark.parametrize("maker, other", [("peer", "armillary"), ("armillary", "peer")])
def test_a_chain_is_one_repository_for_both(act, maker, other, tmp_path):
    act(maker, "make")
    act(maker, "write", maker)
    act(other, "write", other)
    ours, theirs = act("armillary", "see"), act("peer", "see")
    assert ours == theirs
    for name in ("peer", "armillary"):
        assert ours[name][:3] == [{"left": {"by": name}, "right": {"n": 1}}, {"n": 1}, {"by": name}]
    assert len(ours["records_whole"]) == 4
    assert [row[4] for row in ours["records_parts"] if "/pair_" in row[1]].count("left") == 2
    assert not any("/whole/" in row[1] for row in ours["records_parts"])
    assert all(len(row[5]) == 128 for row in ours["records_whole"])
    act("armillary", "prune", "peer")
    act("peer", "prune", "armillary")
    with Butler(str(tmp_path / "repo")) as butler:
        assert not butler.exists("pair_peer", instrument="C", collections="run/peer")
    left = [path for path in Path(tmp_path / "repo").rglob("pair_*") if path.is_file()]
    assert left == []


CONSTRAINTS = """
import json, sys
import lsst.daf.butler as daf
from lsst.daf.butler.datastore.constraints import Constraints
universe = daf.DimensionUniverse()
answers = []
for config in json.loads(sys.argv[1]):
    made = Constraints(daf.Config(config) if config else None, universe=universe)
    row = []
    for name, dimensions, storage_class in json.loads(sys.argv[2]):
        kind = daf.DatasetType(name, dimensions, storage_class, universe=universe)
        for instrument in "CD":
            values = {"instrument": instrument, "detector": 1, "visit": 1}
            data_id = daf.DataCoordinate.standardize(
                {key: values[key] for key in kind.dimensions.required}, dimensions=kind.dimensions
            )
            row.append(made.isAcceptable(daf.DatasetRef(kind, data_id, run="r")))
    answers.append(row)
print(json.dumps(answers))
"""


def test_constraints_accept_and_reject_what_the_peer_does(run_peer):
    kinds = [
        ("a", ["instrument"], "int"),
        ("b", ["detector"], "int"),
        ("c", ["visit", "detector"], "StructuredDataDict"),
    ]
    configs = [
        {},
        {"accept": ["a"]},
        {"reject": ["a"]},
        {"accept": ["all"], "reject": ["a"]},
        {"accept": ["a"], "reject": ["all"]},
        {"accept": ["int"], "reject": ["a"]},
        {"accept": ["a"], "reject": ["int"]},
        {"accept": ["a"], "reject": ["a"]},
        {"accept": ["detector"]},
        {"accept": ["instrument+detector"]},
        {"reject": ["instrument+detector", "StructuredDataDict"]},
        {"accept": [{"instrument<C>": ["a"]}]},
        {"reject": [{"instrument<C>": ["a"]}]},
        {"accept": ["b", {"instrument<C>": ["a"]}], "reject": ["a"]},
        {"accept": ["a"], "reject": [{"instrument<C>": ["all"]}]},
    ]
    theirs = json.loads(run_peer(CONSTRAINTS, json.dumps(configs), json.dumps(kinds)))
    universe = DimensionUniverse()
    types = [
        DatasetType(name, dimensions, storage_class, universe=universe) for name, dimensions, storage_class in kinds
    ]
    for config, expected in zip(configs, theirs, strict=True):
        made = Constraints(config, universe)
        assert [made.accepts(kind, instrument) for kind in types for instrument in "CD"] == expected, config
