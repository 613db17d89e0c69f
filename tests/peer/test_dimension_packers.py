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


FIELDS = """
import types

import lsst.pex.config as pexConfig
from lsst.pipe.base import Instrument, ObservationDimensionPacker
from lsst.pipe.base.tests.mocks import InMemoryRepo


class Config(pexConfig.Config):
    packer = Instrument.make_dimension_packer_config_field()


with InMemoryRepo("base.yaml", "spatial.yaml") as repo:
    expand = repo.butler.registry.expandDataId
    image = expand(instrument="Cam1", visit=1, detector=3)
    config = Config()
    facts.append([config.packer.name, sorted(Config.packer.registry), config.toDict()])
    note(lambda: type(config.packer.apply(image)).__name__)
    note(lambda: config.packer.apply(image).maxBits)
    note(lambda: type(Instrument.make_default_dimension_packer(image)).__name__)
    config.packer["observation"].n_detectors = 64
    config.packer["observation"].n_observations = 1000
    note(lambda: config.packer.apply(image).maxBits)
    config.packer.name = "observation"
    note(lambda: config.packer.apply(image).maxBits)
    number = expand(instrument="Cam1", detector=3)
    note(lambda: config.packer.apply(number, is_exposure=True).pack(exposure=7, detector=3))
    note(lambda: config.packer.apply(number))
    note(lambda: setattr(config.packer, "name", "nothing"))
    facts.append(config.toDict())

    class Cam2(Instrument):
        filterDefinitions = None

        @classmethod
        def getName(cls):
            return "Cam2"

        def register(self, registry, update=False):
            pass

        def getRawFormatter(self, dataId):
            return None

    class Cam3(Cam2):
        def _make_default_dimension_packer(self, config_dict, data_id, is_exposure=None, default="cam3"):
            return super()._make_default_dimension_packer(config_dict, data_id, is_exposure, default)

    class Cam3Packer(ObservationDimensionPacker):
        @property
        def maxBits(self):
            return 1 + super().maxBits

    Config.packer.registry.register("cam3", Cam3Packer)
    sys.modules["cameras"] = types.ModuleType("cameras")
    sys.modules["cameras"].Cam2, sys.modules["cameras"].Cam3 = Cam2, Cam3
    limits = {"visit_max": 1000, "exposure_max": 500, "detector_max": 20, "visit_system": 0}
    for name in ("Cam2", "Cam3"):
        repo.butler.registry.insertDimensionData("instrument", {"name": name, "class_name": f"cameras.{name}"} | limits)
        data_id = expand(instrument=name)
        for is_exposure in (True, False):
            note(lambda: Instrument.make_default_dimension_packer(data_id, is_exposure).maxBits)
            note(lambda: Config().packer.apply(data_id, is_exposure=is_exposure).maxBits)
    note(lambda: Config().packer.apply(data_id))
"""


def test_configs_and_cameras_choose_packers():
    assert_equal_under_both(FIELDS, at_least=17)
