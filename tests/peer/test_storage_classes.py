"""Every default storage class that both packages can hold goes both ways, whole, in components, exported and zipped.

What both can hold is found out by asking both; nothing that can be held may be left out, and the rest has a reason.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from cli.programs import butler, pipetask
from conftest import shared_path
from reports import moody

HERE = Path(__file__).parent
WHO = ("peer", "armillary")
# Packages that hold the type or the formatter of a storage class and cannot be installed beside the peer from PyPI.
NOT_HELD = {
    "lsst.afw": "compiled",
    "lsst.analysis": "needs compiled packages",
    "lsst.cell_coadds": "compiled",
    "lsst.daf.base": "compiled",
    "lsst.drp": "needs compiled packages",
    "lsst.geom": "compiled",
    "lsst.ip": "needs compiled packages",
    "lsst.meas": "compiled",
    "lsst.obs": "needs compiled packages",
    "lsst.pipe.tasks": "compiled",
    "lsst.scarlet": "compiled",
    "lsst.skymap": "needs compiled packages",
    "lsst.ts": "is the observatory's control system",
    "lsst.verify": "needs compiled packages",
    "healsparse": "its formatter is part of lsst.pipe.tasks",
    "qp": "its formatter is part of lsst.meas",
    "rail": "its formatter is part of lsst.meas",
    "spectractor": "its formatter is part of lsst.atmospec",
}
# (armillary has the type itself)
ONLY_HERE = {"MetricMeasurementBundle"}


@pytest.fixture(scope="module")
def told(tmp_path_factory, run_either):
    """What each wrote, and what each read of what both wrote."""
    folder = tmp_path_factory.mktemp("storage classes")
    shutil.copy(shared_path("contract-fixtures", "vectors", "storageclasses.json"), folder / "classes.json")
    make_provenance_graph(folder)
    for who in WHO:
        run_either(HERE / "storage_class_actions.py", who, "write", folder)
    for who in WHO:
        run_either(HERE / "storage_class_actions.py", who, "read", folder, *WHO)
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*-*.json")}


def make_provenance_graph(folder):
    moody.make_repository(folder / "repo", nights=1, detectors=1)
    (folder / "moody.yaml").write_text(moody.PIPELINE)
    words = ["-b", folder / "repo", "-p", folder / "moody.yaml", "-i", "in", "-o", "out", "--register-dataset-types"]
    ended = pipetask("run", *words, "-q", folder / "one.qg")
    assert ended.code == 0, ended.err
    ended = butler("aggregate-graph", folder / "one.qg", folder / "repo", "-o", folder / "graph.qg")
    assert ended.code == 0, ended.err


def test_all_that_both_can_hold_is_covered(told):
    theirs, ours = (told[f"{who}-write"]["classes"] for who in WHO)
    assert len(theirs) == 122
    assert {name for name in theirs if theirs[name] != ours[name]} == ONLY_HERE
    held = sorted(name for name, state in theirs.items() if state == "held")
    for who in WHO:
        assert told[f"{who}-write"]["covered"] == held
    refused = [name for name, state in theirs.items() if state == "no formatter: DatasetTypeNotSupportedError"]
    missing = {name: state.removeprefix("no type ") for name, state in theirs.items() if state.startswith("no type ")}
    assert (len(held), len(refused), len(missing)) == (29, 18, 75)
    reasons = Counter(
        next((package for package in NOT_HELD if target.startswith(f"{package}.")), target)
        for target in missing.values()
    )
    assert sorted(reasons) == sorted(NOT_HELD)


def test_paths_and_records_are_the_same(told):
    theirs, ours = (told[f"{who}-write"]["records"] for who in WHO)
    assert ours == theirs
    # Parts are files of their own in one of the chained datastores.
    assert {layout: len(rows) for layout, rows in ours.items()} == {"one": 30, "chained": 61}
    assert all(is_as_large_as_told for rows in ours.values() for *_, is_as_large_as_told in rows)


@pytest.mark.parametrize("writer", WHO)
def test_what_one_wrote_both_read_alike(told, writer):
    theirs, ours = (told[f"{who}-read"][writer] for who in WHO)
    covered = [*told["peer-write"]["covered"], "Pair"]
    for source in (f"{layout} {how}" for layout in ("one", "chained") for how in ("put", "imported", "unpacked")):
        for name in covered:
            key = f"{source} {name}"
            if name != "ProvenanceQuantumGraph":  # (which is not made but found: both must tell the same of it)
                assert ours[key] is True, key
                assert theirs[key] is True, key
    assert {key for key in theirs if ours.get(key) != theirs[key]} == set()
    assert ours.keys() == theirs.keys()
    assert not [key for key, value in ours.items() if isinstance(value, list) and str(value[1]).endswith("Error")]
