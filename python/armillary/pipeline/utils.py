"""Small things that belong to no task."""

from armillary.storage.region_time_info import RegionTimeInfo

__all__ = ["RegionTimeInfo"]
