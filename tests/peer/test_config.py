"""Configurations are read and written as the peer reads and writes them."""

import json

import pytest
import yaml

from armillary.config import ButlerConfig, Config
from armillary.repository_config import create_repository_config

CREATE = """
import sys, os
from lsst.daf.butler import Butler
Butler.makeRepo(sys.argv[1], config=sys.argv[2])
"""
EXPAND = """
import sys, json
from lsst.daf.butler import ButlerConfig
print(json.dumps(ButlerConfig(sys.argv[1]).toDict()))
"""


@pytest.mark.parametrize("seed", ["seed_chained.yaml", "butler_composite_disassembly.yaml"])
def test_same_file_from_the_same_seed(tmp_path, shared_path, run_peer, seed):
    path = shared_path("contract-fixtures/config", seed)
    run_peer(CREATE, str(tmp_path / "theirs"), str(path))
    create_repository_config(tmp_path / "ours", path)
    theirs = yaml.safe_load((tmp_path / "theirs/butler.yaml").read_text())
    ours = yaml.safe_load((tmp_path / "ours/butler.yaml").read_text())
    assert ours == theirs


def test_same_defaults(tmp_path, run_peer):
    create_repository_config(tmp_path / "repo", {"datastore": {"formatters": {"int": "x.Y"}}})
    theirs = json.loads(run_peer(EXPAND, str(tmp_path / "repo")))
    ours = Config(ButlerConfig(tmp_path / "repo")).toDict()
    for section in ("storageClasses", "formatters"):
        own, other = (config if section in config else config["datastore"] for config in (ours, theirs))
        added = own[section].keys() - other[section].keys()
        for name in added:
            del own[section][name]
    assert ours == theirs
