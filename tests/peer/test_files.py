"""Datasets put here are got by the peer from the same repository, and the other way round, whatever they are called."""

from __future__ import annotations

import json

import pytest

from armillary.butler import Butler, DatasetType

RUN = "u/so me/tag:1/2025.01%41/$HOME#x"
FILTERS = ["plain", "a b", "a:b", "a#1", "a#2", "a%41", "aA", "$HOME", "..", "~root"]
READ = """
import sys, json
from lsst.daf.butler import Butler
butler = Butler.from_config(sys.argv[1], collections=json.loads(sys.argv[2]), inferDefaults=False)
found = {}
for name in json.loads(sys.argv[3]):
    found[name] = butler.get("per_filter", instrument="Cam/1", physical_filter=name)
table = butler.get("table", instrument="Cam/1")
found["table"] = [list(map(int, table["x"])), str(table["x"].unit)]
found["array"] = butler.get("array", instrument="Cam/1").tolist()
found["uris"] = [butler.getURI("array", instrument="Cam/1").exists()]
print(json.dumps(found))
"""
WRITE = """
import sys, json
import numpy as np
from astropy.table import Table
from lsst.daf.butler import Butler, DatasetType
butler = Butler.from_config(sys.argv[1], writeable=True, run="theirs")
butler.put({"by": "the peer"}, "per_filter", instrument="Cam/1", physical_filter="plain")
butler.put(Table({"x": [3]}), "table", instrument="Cam/1")
butler.put(np.ones((2, 2)), "array", instrument="Cam/1")
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    import numpy as np
    from astropy.table import Table

    root = str(tmp_path_factory.mktemp("peer") / "repo")
    Butler.makeRepo(root)
    butler = Butler.from_config(root, writeable=True, run=RUN)
    registry = butler.registry
    registry.insertDimensionData("instrument", {"name": "Cam/1", "class_name": "a.B"})
    registry.insertDimensionData(
        "physical_filter", *({"instrument": "Cam/1", "name": name, "band": "r"} for name in FILTERS)
    )
    for name, dimensions, storage_class in (
        ("per_filter", ["physical_filter"], "StructuredDataDict"),
        ("table", ["instrument"], "ArrowAstropy"),
        ("array", ["instrument"], "NumpyArray"),
    ):
        registry.registerDatasetType(DatasetType(name, dimensions, storage_class, universe=butler.dimensions))
    for name in FILTERS:
        butler.put({"filter": name}, "per_filter", instrument="Cam/1", physical_filter=name)
    table = Table({"x": [1, 2]})
    table["x"].unit = "m"
    butler.put(table, "table", instrument="Cam/1")
    butler.put(np.arange(6).reshape(2, 3), "array", instrument="Cam/1")
    return root


def test_the_peer_gets_every_dataset(repository, run_peer):
    found = json.loads(run_peer(READ, repository, json.dumps([RUN]), json.dumps(FILTERS)))
    for name in FILTERS:
        assert found[name] == {"filter": name}
    assert found["table"] == [[1, 2], "m"]
    assert found["array"] == [[0, 1, 2], [3, 4, 5]]
    assert found["uris"] == [True]


def test_no_two_datasets_share_a_file(repository):
    butler = Butler.from_config(repository, collections=[RUN])
    uris = set()
    for name in FILTERS:
        assert butler.get("per_filter", instrument="Cam/1", physical_filter=name) == {"filter": name}
        uris.add(str(butler.getURI("per_filter", instrument="Cam/1", physical_filter=name)))
    assert len(uris) == len(FILTERS)


def test_datasets_of_the_peer_are_got_here(repository, run_peer):
    run_peer(WRITE, repository)
    butler = Butler.from_config(repository, collections=["theirs"])
    assert butler.get("per_filter", instrument="Cam/1", physical_filter="plain") == {"by": "the peer"}
    assert list(butler.get("table", instrument="Cam/1")["x"]) == [3]
    assert butler.get("array", instrument="Cam/1").tolist() == [[1, 1], [1, 1]]
    assert butler.get("table.rowcount", instrument="Cam/1") == 1
