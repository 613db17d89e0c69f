"""Data IDs become the numbers that the peer makes of them, by its packers and by those of users."""

from peer.either_script import assert_equal_under_both

SCRIPT = """
from lsst.daf.butler import DataCoordinate, DimensionPacker
from lsst.pipe.base import ObservationDimensionPacker, ObservationDimensionPackerConfig
from lsst.pipe.base.tests.mocks import InMemoryRepo


class PatchPacker(DimensionPacker):
    def __init__(self, fixed):
        super().__init__(fixed, fixed.universe.conform(["skymap", "tract", "patch"]))

    @property
    def maxBits(self):
        return 20

    def _pack(self, dataId):
        return dataId["tract"] * 1000 + dataId["patch"]

    def unpack(self, packedId):
        tract, patch = divmod(packedId, 1000)
        return DataCoordinate.standardize(self.fixed, tract=tract, patch=patch, universe=self.universe)


with InMemoryRepo("base.yaml", "spatial.yaml") as repo:
    expand = repo.butler.registry.expandDataId
    packer = PatchPacker(expand(skymap="SkyMap1"))
    note(packer.pack, tract=1, patch=2)
    note(packer.pack, {"skymap": "SkyMap1", "tract": 1}, patch=3, returnMaxBits=True)
    note(packer.pack, expand(skymap="SkyMap1", tract=1, patch=4))
    note(packer.pack, tract=1)
    note(lambda: str(packer.unpack(1002)))
    note(lambda: [str(packer.dimensions), packer.maxBits, packer.universe.version])
    image = expand(instrument="Cam1", visit=1, detector=3)
    for options in ({}, {"is_exposure": True}, {"config": ObservationDimensionPackerConfig(n_detectors=100)}):
        packer = ObservationDimensionPacker(image, **options)
        note(packer.pack, image, returnMaxBits=True)
        note(packer.pack, visit=2, detector=1)
        note(packer.pack, exposure=2, detector=1)
        note(packer.pack, visit=2, exposure=2, detector=101)
        note(lambda: [str(packer.unpack(7)), str(packer.dimensions)])
    note(lambda: ObservationDimensionPacker(expand(instrument="Cam1")).maxBits)
    note(lambda: DimensionPacker(image, image.dimensions))
"""


def test_packers_are_the_peers():
    assert_equal_under_both(SCRIPT, at_least=23)
