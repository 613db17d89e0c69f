"""The image types of the package `lsst-images` go in and out by their own formatter, which knows the peer's names."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

import armillary

PACKAGES = [
    "lsst-images==30.2026.4300",
    "astro-metadata-translator==30.2026.4300",
    # what these need and the peer's environment does not have
    *("fsspec", "shapely", "starlink-pyast", "scipy", "requests", "idna", "charset-normalizer"),
    *("rich", "markdown-it-py", "mdurl", "pygments"),
]
SCRIPT = """
import json, sys
root, first = sys.argv[1], sys.argv[2]
if first == "armillary":
    from armillary.lsst_alias import activate
    activate()
import numpy as np
import lsst.daf.butler as daf
import lsst.images as images

if sys.argv[3] == "write":
    daf.Butler.makeRepo(root)
butler = daf.Butler.from_config(root, writeable=True, run="run")
if sys.argv[3] == "write":
    butler.registry.insertDimensionData("instrument", {"name": "C"})
    pixels = np.arange(200 * 300, dtype=np.float32).reshape(200, 300)
    schema = images.MaskSchema([images.MaskPlane("BAD", "bad pixel"), images.MaskPlane("SAT", "saturated")])
    image = images.Image(pixels, yx0=(1000, 2000))
    mask = images.Mask(0, schema=schema, bbox=image.bbox)
    made = {
        "ImageV2": image,
        "MaskV2": mask,
        "MaskedImageV2": images.MaskedImage(image, mask=mask, variance=images.Image(pixels + 1, bbox=image.bbox)),
    }
    for name, value in made.items():
        kind = daf.DatasetType(name.lower(), ["instrument"], name, universe=butler.dimensions)
        butler.registry.registerDatasetType(kind)
        provenance = daf.DatasetProvenance()
        if name == "MaskedImageV2":
            provenance.add_input(ref)
        ref = butler.put(value, kind, instrument="C", provenance=provenance)
found = {}
image = butler.get("imagev2", instrument="C")
found["image"] = [type(image).__name__, float(image.array.sum()), str(image.bbox)]
mask = butler.get("maskv2", instrument="C")
found["mask"] = [type(mask).__name__, sorted(plane.name for plane in mask.schema)]
whole = butler.get("maskedimagev2", instrument="C")
found["masked image"] = [type(whole).__name__, float(whole.image.array.sum()), float(whole.variance.array.sum())]
found["component"] = float(butler.get("maskedimagev2.variance", instrument="C").array.sum())
found["box"] = str(butler.get("maskedimagev2.bbox", instrument="C"))
box = images.Box.factory[1010:1013, 2020:2024]
cut = butler.get("maskedimagev2", instrument="C", parameters={"bbox": box})
found["cut-out"] = [str(cut.bbox), cut.image.array.tolist()]
parts = butler.get("maskedimagev2.components", instrument="C", parameters={"components": ["bbox", "image"]})
found["parts"] = sorted(parts)
found["dataset"] = [str(whole.butler_dataset.id), whole.butler_dataset.run, whole.butler_dataset.datasetType.name]
found["inputs"] = [[str(one.id), one.run] for one in whole.butler_provenance.inputs]
found["name"] = daf.__name__
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def packages(peer_python):
    """A folder with the package, made once beside the peer's environment."""
    stamp = hashlib.sha256("\n".join(PACKAGES).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / f"armillary-lsst-images-{stamp}"
    if not (folder / "lsst" / "images").is_dir():
        making = folder.with_name(f"{folder.name}-{os.getpid()}")
        command = [peer_python, "-m", "pip", "install", "-q", "--no-deps", "--target", str(making), *PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            message = f"the package lsst-images cannot be installed: {done.stderr[-300:]}"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        making.rename(folder)
    return folder


@pytest.fixture
def run_images(packages, peer_python, tmp_path):
    """Run the script under the peer's interpreter, with armillary or the peer behind the names."""
    own = tmp_path / "own"  # the package alone: what is installed beside it belongs to another interpreter
    own.mkdir()
    (own / "armillary").symlink_to(Path(armillary.__file__).parent)

    def run(root, first, action):
        environment = {**os.environ, "PYTHONPATH": f"{own}{os.pathsep}{packages}"}
        done = subprocess.run(
            [peer_python, "-c", SCRIPT, root, first, action], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("writer, reader", [("armillary", "peer"), ("peer", "armillary")])
def test_images_go_both_ways(run_images, tmp_path, writer, reader):
    root = str(tmp_path / "repo")
    written = run_images(root, writer, "write")
    read = run_images(root, reader, "read")
    assert {written.pop("name"), read.pop("name")} == {"armillary.butler", "lsst.daf.butler"}
    assert read == written
    assert read["cut-out"][1] == [[300.0 * row + column for column in range(20, 24)] for row in range(10, 13)]
    assert read["image"][0] == "Image"
    assert read["parts"] == ["bbox", "image"]
    assert len(read["inputs"]) == 1
