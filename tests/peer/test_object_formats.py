"""Objects of the middleware itself (spans, regions, versions, metadata) go both ways through one repository."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import importlib, json, logging, sys, warnings
warnings.simplefilter("ignore")
package, tasks, action, root = sys.argv[1:5]
daf, pipe = importlib.import_module(package), importlib.import_module(tasks)
from astropy.time import Time
import lsst.sphgeom as sphgeom
from lsst.pex.config import Config, Field

def moment(day):
    return Time(f"2025-01-{day:02d}T00:00:00", scale="tai", format="isot")

KINDS = ["Timespan", "RegionTimeInfo", "Packages", "TaskMetadata", "int", "StructuredDataDict"]
span = daf.Timespan(moment(1), moment(2))
if package.startswith("lsst"):
    from lsst.pipe.base.utils import RegionTimeInfo
    from lsst.utils.packages import Packages
else:
    from armillary.storage.region_time_info import RegionTimeInfo
    from armillary.pipeline.packages import Packages
box = sphgeom.Box.fromDegrees(1, 2, 3, 4)
metadata = pipe.TaskMetadata()
metadata["a.b"] = [1.0, 2.5, 3.0]
metadata["text"] = "é"
metadata["flag"] = True
values = {
    "Timespan": span,
    "RegionTimeInfo": RegionTimeInfo(region=box, timespan=span),
    "Packages": Packages({"python": "3.12.1", "numpy": "2.0"}),
    "TaskMetadata": metadata,
    "int": -7,
    "StructuredDataDict": {"é": [1, None, {"x": 1.5}]},
}
def shown(value):
    if hasattr(value, "nsec"):
        return list(value.nsec)
    if hasattr(value, "region"):
        return [value.region.encode().hex(), list(value.timespan.nsec)]
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return dict(value) if hasattr(value, "items") else value

if action == "write":
    daf.Butler.makeRepo(root)
butler = daf.Butler.from_config(root, writeable=True, run="run")
found = {}
for kind in KINDS:
    if action == "write":
        made = daf.DatasetType(kind.lower(), [], kind, universe=butler.dimensions)
        butler.registry.registerDatasetType(made)
        butler.put(values[kind], made)
    found[kind] = [shown(butler.get(kind.lower())), butler.getURI(kind.lower()).basename()]
found["again"] = shown(butler.get("taskmetadata", storageClass="StructuredDataDict"))
print(json.dumps(found, sort_keys=True))
"""


@pytest.mark.parametrize("writer", ["peer", "armillary"])
def test_what_one_writes_both_read_alike(run_peer, tmp_path, writer):
    root = str(tmp_path / "repo")

    def run(who, action):
        if who == "peer":
            return json.loads(run_peer(SCRIPT, "lsst.daf.butler", "lsst.pipe.base", action, root))
        arguments = ["armillary.butler", "armillary.pipeline", action, root]
        done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    reader = "armillary" if writer == "peer" else "peer"
    written, read = run(writer, "write"), run(reader, "read")
    assert len(written) == 7
    for kind in written:
        assert written[kind] == read[kind], kind
