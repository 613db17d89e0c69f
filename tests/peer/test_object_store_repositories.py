"""Repositories whose `butler.yaml` and files are in an object store and whose database is on a server."""

from __future__ import annotations

import json
import os
import subprocess

import boto3
import pytest

from armillary.butler import Butler, DatasetType
from armillary.butler.checking import check_repository
from armillary.errors import ConfigurationError, RepositoryNotFoundError
from remote_servers import keys, s3_server

MAKE = """
import json, sys
from lsst.daf.butler import Butler
Butler.makeRepo(sys.argv[1], config=json.loads(sys.argv[2]))
"""
PUT = """
import sys
from lsst.daf.butler import Butler, DatasetType
with Butler.from_config(sys.argv[1], writeable=True, run="theirs") as butler:
    butler.registry.insertDimensionData("instrument", {"name": "Theirs", "class_name": "x.Y"})
    kind = DatasetType("thing", ["instrument"], "StructuredDataDict", universe=butler.dimensions)
    butler.registry.registerDatasetType(kind)
    butler.put({"by": "the peer"}, "thing", instrument="Theirs")
"""
GET = """
import json, sys
from lsst.daf.butler import Butler
with Butler.from_config(sys.argv[1]) as butler:
    refs = butler.registry.queryDatasets("thing", collections=...)
    print(json.dumps(sorted([ref.run, butler.get(ref)] for ref in refs)))
"""
BOTH = [["ours", {"by": "armillary"}], ["theirs", {"by": "the peer"}]]


@pytest.fixture(scope="module")
def s3():
    with s3_server() as server:
        yield server


@pytest.fixture
def root(s3, monkeypatch):
    """The URI of a folder that is not there, with the settings to reach it."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return f"{s3.new_bucket()}/some/repo"


@pytest.fixture
def run_there(peer_python, root):
    def run(code, *arguments):
        done = subprocess.run(
            [peer_python, "-c", code, root, *arguments],
            env=dict(os.environ),
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


def put_ours(root):
    with Butler(root, writeable=True, run="ours") as butler:
        butler.registry.insertDimensionData("instrument", {"name": "Ours", "class_name": "x.Y"})
        butler.registry.registerDatasetType(
            DatasetType("thing", ["instrument"], "StructuredDataDict", universe=butler.dimensions)
        )
        butler.put({"by": "armillary"}, "thing", instrument="Ours")


def seen(root):
    with Butler(root) as butler:
        assert not check_repository(butler).problems
        refs = butler.query_datasets("thing", collections="*", find_first=False)
        return sorted([ref.run, butler.get(ref)] for ref in refs)


@pytest.mark.parametrize("maker", ["the peer", "armillary"])
def test_both_make_and_read_and_write(root, cluster, run_there, maker):
    seed = cluster.seed(cluster.new_namespace())
    if maker == "armillary":
        Butler.makeRepo(root, config=seed)
    else:
        run_there(MAKE, json.dumps(seed))
    put_ours(root)
    run_there(PUT)
    assert seen(root) == seen(f"{root}/butler.yaml") == BOTH
    assert json.loads(run_there(GET)) == BOTH
    bucket = root.removeprefix("s3://").partition("/")[0]
    listed = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT_URL"]).list_objects_v2(Bucket=bucket)["Contents"]
    assert {one["Key"] for one in listed if one["Size"]} == {
        "some/repo/butler.yaml",
        "some/repo/ours/thing/thing_Ours_ours.yaml",
        "some/repo/theirs/thing/thing_Theirs_theirs.yaml",
    }


def test_one_is_not_made_over_another(root, cluster):
    Butler.makeRepo(root, config=cluster.seed(cluster.new_namespace()))
    with pytest.raises(FileExistsError, match=r"some/repo/butler.yaml` already exists"):
        Butler.makeRepo(root, config=cluster.seed(cluster.new_namespace()))


def test_a_file_of_sqlite_cannot_be_there(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="a SQLite database is a local file"):
        Butler.makeRepo(root)
    assert keys(root) == []
    assert not list(tmp_path.iterdir())


def test_where_none_is(root):
    with pytest.raises(RepositoryNotFoundError, match=r"there is no repository at `s3://.*/butler.yaml`"):
        Butler(root)
