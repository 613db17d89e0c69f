"""A region of the sky and a span of time, stored together."""

from __future__ import annotations

import json
from typing import Any, Self

__all__ = ["RegionTimeInfo"]


class RegionTimeInfo:
    """A region (`lsst.sphgeom.Region`) and a `Timespan`; JSON holds the region's bytes in hexadecimal."""

    def __init__(self, *, region: Any, timespan: Any) -> None:
        self.region = region
        self.timespan = timespan

    def model_dump_json(self) -> str:
        """The stored form."""
        return json.dumps(
            {"region": self.region.encode().hex(), "timespan": list(self.timespan.nsec)}, separators=(",", ":")
        )

    @classmethod
    def model_validate_json(cls, json_data: str | bytes) -> Self:
        """Read the stored form. Raises `ValueError` if it is not one."""
        from lsst.sphgeom import Region

        from armillary.storage.named_objects import import_object

        Timespan = import_object("lsst.daf.butler.Timespan", "a time span")

        content = json.loads(json_data)
        try:
            region = Region.decode(bytes.fromhex(content["region"]))
            begin, end = content["timespan"]
        except (KeyError, TypeError, RuntimeError) as error:
            raise ValueError(f"the file does not hold a region and a time span: {error}") from error
        return cls(region=region, timespan=Timespan(None, None, _nsec=(begin, end)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RegionTimeInfo) and (self.region, self.timespan) == (other.region, other.timespan)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"RegionTimeInfo(region={type(self.region).__name__}, timespan={self.timespan!r})"
