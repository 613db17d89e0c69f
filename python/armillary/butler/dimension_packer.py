"""Data IDs as whole numbers and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from armillary._core import DataCoordinate

if TYPE_CHECKING:
    from armillary._core import DimensionGroup, DimensionUniverse

__all__ = ["DimensionPacker"]


class DimensionPacker(ABC):
    """Packs the values of some dimensions into a whole number; a base for those of cameras and sky maps.

    A subclass gives `maxBits`, `_pack` and `unpack`.

    Parameters
    ----------
    fixed
        Data ID whose values are the same in all data IDs that are packed.
    dimensions
        Dimensions of the data IDs that are packed.

    Examples
    --------
    >>> class DetectorPacker(DimensionPacker):
    ...     maxBits = 8
    ...
    ...     def _pack(self, dataId):
    ...         return dataId["detector"]
    ...
    ...     def unpack(self, packedId):
    ...         return DataCoordinate.standardize(self.fixed, detector=packedId, universe=self.universe)
    >>> from armillary.butler import DimensionUniverse
    >>> universe = DimensionUniverse()
    >>> camera = DataCoordinate.standardize(instrument="Cam", universe=universe)
    >>> packer = DetectorPacker(camera, universe.conform(["detector"]))
    >>> packer.pack(detector=5), packer.pack({"instrument": "Cam", "detector": 6}, returnMaxBits=True)
    (5, (6, 8))
    >>> packer.unpack(5)["detector"]
    5
    """

    def __init__(self, fixed: DataCoordinate, dimensions: DimensionGroup) -> None:
        self.fixed = fixed
        self._dimensions = dimensions

    @property
    def universe(self) -> DimensionUniverse:
        """All dimensions."""
        return self.fixed.universe

    @property
    def dimensions(self) -> DimensionGroup:
        """Dimensions of the data IDs that are packed."""
        return self._dimensions

    @property
    @abstractmethod
    def maxBits(self) -> int:
        """How many bits the largest number needs."""

    @abstractmethod
    def _pack(self, dataId: DataCoordinate) -> int:
        """Pack a data ID that has all dimensions."""

    @abstractmethod
    def unpack(self, packedId: int) -> DataCoordinate:
        """Give the data ID of a number."""

    def pack(
        self, dataId: DataCoordinate | Mapping[str, Any] | None = None, *, returnMaxBits: bool = False, **kwargs: Any
    ) -> int | tuple[int, int]:
        """Give the number of a data ID.

        Parameters
        ----------
        dataId, **kwargs
            The data ID; what it does not say is taken from `fixed`.
        returnMaxBits
            Whether to give `maxBits`, too.

        Raises
        ------
        DimensionNameError
            A dimension has no value.
        """
        fixed = dict(self.fixed.required)
        values = dict(dataId.mapping if isinstance(dataId, DataCoordinate) else dataId or {}) | kwargs
        dimensions = self.fixed.dimensions.union(self.dimensions)
        packed = self._pack(DataCoordinate.standardize(fixed | values, dimensions=dimensions))
        return (packed, self.maxBits) if returnMaxBits else packed
