"""A small repository in a few lines, for tests, benches and users' own tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from armillary.butler import Butler, DatasetType

__all__ = ["fill_small_repository", "small_repository"]


def fill_small_repository(butler: Butler) -> None:
    """Register a camera `Cam` with two detectors, one filter, one night, two visits, and a few dataset types.

    Dataset types: `summary` (instrument), `flat` (detector, physical_filter; a calibration), `metrics` (visit,
    detector), all of storage class StructuredDataDict.
    """
    registry = butler.registry
    camera: dict[str, Any] = {"instrument": "Cam"}
    registry.insertDimensionData(
        "instrument", {"name": "Cam", "visit_max": 1000, "exposure_max": 1000, "detector_max": 10}
    )
    registry.insertDimensionData("physical_filter", camera | {"name": "Cam-R", "band": "r"})
    registry.insertDimensionData(
        "detector",
        *(
            camera | {"id": i + 1, "full_name": f"S0{i}", "raft": "R0", "name_in_raft": f"S0{i}", "purpose": "SCIENCE"}
            for i in range(2)
        ),
    )
    registry.insertDimensionData("day_obs", camera | {"id": 20250101})
    registry.insertDimensionData(
        "visit",
        *(
            camera | {"id": i, "name": f"v{i}", "physical_filter": "Cam-R", "day_obs": 20250101, "exposure_time": 30.0}
            for i in (10, 11)
        ),
    )
    for name, dimensions, calibration in (
        ("summary", ["instrument"], False),
        ("flat", ["detector", "physical_filter"], True),
        ("metrics", ["visit", "detector"], False),
    ):
        registry.registerDatasetType(
            DatasetType(name, dimensions, "StructuredDataDict", universe=butler.dimensions, isCalibration=calibration)
        )


@contextmanager
def small_repository(run: str | None = None, *, seed: Any = None, **kwargs: Any) -> Iterator[Butler]:
    """Give a butler for a new small repository that goes away at the end of the block.

    Parameters
    ----------
    run
        RUN to write to.
    seed
        Configuration from which the repository is made, say with a database on a server.
    **kwargs
        More arguments of `Butler`.

    Examples
    --------
    >>> with small_repository() as butler:
    ...     len(butler.query_dimension_records("detector", instrument="Cam"))
    2
    """
    root = tempfile.mkdtemp(prefix="armillary-")
    try:
        Butler.makeRepo(root, config=seed)
        with Butler(root, writeable=True) as first:
            fill_small_repository(first)
        with Butler(root, writeable=True, run=run, **kwargs) as butler:
            yield butler
    finally:
        shutil.rmtree(root, ignore_errors=True)
