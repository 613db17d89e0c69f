"""Data IDs of observations as whole numbers, for catalogues that need unique ids."""

from __future__ import annotations

from typing import Any, ClassVar

from lsst.pex.config import Config, Field, makeRegistry

from armillary.butler.dimension_packer import DimensionPacker


class ObservationDimensionPackerConfig(Config):  # type: ignore[misc]  # lsst.pex.config has no types
    """Limits of the numbers that a packer makes; those of the instrument's records where None."""

    n_detectors = Field[int](doc="Detectors are numbered below this.", optional=True, default=None)
    n_observations = Field[int](doc="Visits or exposures are numbered below this.", optional=True, default=None)


class ObservationDimensionPacker(DimensionPacker):
    """Packs visit and detector, or exposure and detector, of one instrument into a whole number and back.

    Parameters
    ----------
    data_id
        Expanded data ID that names the instrument, and decides between visit and exposure if it has one of them.
    config
        Limits; the instrument's own by default.
    is_exposure
        Whether exposures are packed rather than visits; needed when the data ID has neither.

    Raises
    ------
    ValueError
        If nothing says whether visits or exposures are packed.
    """

    ConfigClass: ClassVar[type[ObservationDimensionPackerConfig]] = ObservationDimensionPackerConfig

    def __init__(
        self, data_id: Any, config: ObservationDimensionPackerConfig | None = None, is_exposure: bool | None = None
    ):
        universe = data_id.universe
        if is_exposure is None:
            names = set(data_id.dimensions.names)
            if not names & {"visit", "exposure"}:
                raise ValueError("`is_exposure` was not given, and the data ID has no visit or exposure")
            is_exposure = "visit" not in names
        self.is_exposure = is_exposure
        self._observation = "exposure" if is_exposure else "visit"
        super().__init__(
            data_id.subset(universe.conform(["instrument"])), universe.conform([self._observation, "detector"])
        )
        config = config or ObservationDimensionPackerConfig()
        record = data_id.records["instrument"]
        largest = record.exposure_max if is_exposure else record.visit_max
        self._n_detectors = int(config.n_detectors if config.n_detectors is not None else record.detector_max)
        self._n_observations = int(config.n_observations if config.n_observations is not None else largest)

    @property
    def maxBits(self) -> int:
        """How many bits the largest number needs."""
        return (self._n_observations * self._n_detectors - 1).bit_length()

    def _pack(self, dataId: Any) -> int:
        """Give the number of a data ID. Raises `ValueError` if the detector or the observation is out of bounds."""
        detector, observation = dataId["detector"], dataId[self._observation]
        for name, value, limit in (
            ("detector", detector, self._n_detectors),
            (self._observation, observation, self._n_observations),
        ):
            if not 0 <= value < limit:
                raise ValueError(f"{name} {value} is out of bounds; it must be at least 0 and less than {limit}")
        packed: int = observation * self._n_detectors + detector
        return packed

    def unpack(self, packedId: int) -> Any:
        """Give the data ID of a number."""
        from armillary.butler import DataCoordinate

        observation, detector = divmod(packedId, self._n_detectors)
        return DataCoordinate.standardize(
            {"instrument": self.fixed["instrument"], "detector": detector, self._observation: observation},
            dimensions=self.dimensions,
        )


observation_packer_registry = makeRegistry("How visits or exposures, and detectors, become whole numbers.")
"""Packers that a config may name; cameras add their own."""

observation_packer_registry.register("observation", ObservationDimensionPacker)


def packer_of_camera(choices: Any, data_id: Any, is_exposure: bool | None = None) -> DimensionPacker:
    """Make the packer that the camera of an expanded data ID chooses, with what is configured for it."""
    from armillary.instrument.instrument import Instrument

    camera = Instrument.from_data_id(data_id)
    packer: DimensionPacker = camera._make_default_dimension_packer(choices, data_id, is_exposure=is_exposure)
    return packer


def make_packer_field(doc: str) -> Any:
    """Make a config field for a packer; see `Instrument.make_dimension_packer_config_field`."""
    return observation_packer_registry.makeField(doc, default=None, optional=True, on_none=packer_of_camera)


class DefaultPackerConfig(Config):  # type: ignore[misc]  # lsst.pex.config has no types
    """A packer as the camera chooses it."""

    packer = make_packer_field("How visit and detector, or exposure and detector, become a whole number.")
