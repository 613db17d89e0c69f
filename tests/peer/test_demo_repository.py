"""The peer opens the repository that the demo makes, and sees in it what armillary sees."""

from __future__ import annotations

import json

import pytest

LISTING = """
import json, sys
from {butler} import Butler
butler = Butler.from_config(sys.argv[1])
types = sorted(butler.registry.queryDatasetTypes(), key=lambda found: found.name)
datasets = {{
    found.name: sorted(
        [str(ref.id), ref.run, [str(value) for value in ref.dataId.required_values]]
        for ref in butler.query_datasets(found.name, "*", find_first=False, explain=False, limit=None)
    )
    for found in types
}}
names = sorted(butler.collections.query("*"))
print(json.dumps({{
    "collections": [
        [name, butler.collections.get_info(name).type.name, *butler.collections.get_info(name).children]
        for name in names
    ],
    "types": [str(found) for found in types],
    "datasets": datasets,
    "data_ids": {{
        " ".join(dimensions): sorted(str(data_id) for data_id in butler.query_data_ids(dimensions, instrument="Nickel"))
        for dimensions in (["exposure", "detector"], ["visit"], ["visit", "tract"], ["visit", "detector", "patch"])
    }},
    "certified": sorted(
        [found.name, str(association.ref.id), str(association.timespan)]
        for found in types if found.isCalibration()
        for association in butler.registry.queryDatasetAssociations(found, collections="Nickel/calib")
    ),
}}))
"""

READING = """
import sys
from lsst.daf.butler import Butler
butler = Butler.from_config(sys.argv[1], collections="demo")
table = butler.get(butler.query_datasets("objects")[0])
print(type(table).__name__, len(table), sorted(table.colnames)[0])
config = butler.get("skyMap", skymap="demo", collections="skymaps")
print(type(config).__name__, config["kind"])
metadata = butler.get(butler.query_datasets("coadd_metadata")[0])
print(type(metadata).__name__, "quantum" in metadata)
"""


@pytest.fixture(scope="module")
def demo_repository(tmp_path_factory):
    from armillary.demo.run import Demo

    demo = Demo(tmp_path_factory.mktemp("demo"), None, 2, tell=lambda line: None)
    demo.run()
    return demo.repository


def test_both_list_the_same(demo_repository, run_peer):
    import contextlib
    import io
    import sys
    from unittest.mock import patch

    ours = io.StringIO()
    with contextlib.redirect_stdout(ours), patch.object(sys, "argv", ["listing", str(demo_repository)]):
        exec(LISTING.format(butler="armillary.butler"), {})
    theirs = json.loads(run_peer(LISTING.format(butler="lsst.daf.butler"), str(demo_repository)))
    listed = json.loads(ours.getvalue())
    assert listed["datasets"]["raw"], "the demo's repository holds raw frames"
    for key, value in theirs.items():
        assert listed[key] == value, key


def test_the_peer_reads_what_armillary_wrote(demo_repository, run_peer):
    lines = run_peer(READING, str(demo_repository)).splitlines()
    assert lines[0].startswith("Table ")
    assert lines[1] == "dict discrete"
    assert lines[2] == "TaskMetadata True"
