"""The image types of the package `lsst-images` go in and out by their own formatter, which knows the peer's names."""

from __future__ import annotations

import json

import pytest

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


@pytest.mark.parametrize("writer, reader", [("armillary", "peer"), ("peer", "armillary")])
def test_images_go_both_ways(run_either, tmp_path, writer, reader):
    root = str(tmp_path / "repo")
    written = json.loads(run_either("-c", SCRIPT, root, writer, "write"))
    read = json.loads(run_either("-c", SCRIPT, root, reader, "read"))
    assert {written.pop("name"), read.pop("name")} == {"armillary.butler", "lsst.daf.butler"}
    assert read == written
    assert read["cut-out"][1] == [[300.0 * row + column for column in range(20, 24)] for row in range(10, 13)]
    assert read["image"][0] == "Image"
    assert read["parts"] == ["bbox", "image"]
    assert len(read["inputs"]) == 1
