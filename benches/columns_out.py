"""What results cost as objects and as columns: `python benches/columns_out.py [EXPOSURES]`, with 103 detectors each.

Prints CPU seconds (user and system of this process, the best of three) and, from the second on, how many times less
than the objects that is.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from armillary.butler import Butler, DatasetType

DETECTORS = 103


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def fill(butler: Butler, exposures: int) -> None:
    """One raw dataset for every detector of every exposure."""
    insert, here = butler.registry.insertDimensionData, {"instrument": "Cam"}
    insert("instrument", {"name": "Cam", "detector_max": DETECTORS, "visit_max": exposures, "exposure_max": exposures})
    insert("physical_filter", here | {"name": "Cam-r", "band": "r"})
    insert("detector", *(here | {"id": d, "full_name": f"D{d}", "purpose": "SCIENCE"} for d in range(DETECTORS)))
    insert("day_obs", here | {"id": 20250101})
    insert("group", *(here | {"name": f"g{e}"} for e in range(exposures)))
    common = here | {"day_obs": 20250101, "physical_filter": "Cam-r", "observation_type": "science"}
    insert("exposure", *(common | {"id": e, "obs_id": f"o{e}", "group": f"g{e}"} for e in range(exposures)))
    raw = DatasetType("raw", ["exposure", "detector"], "StructuredDataDict", universe=butler.dimensions)
    butler.registry.registerDatasetType(raw)
    butler.registry.registerRun("raw/all")
    ids = [{"instrument": "Cam", "exposure": e, "detector": d} for e in range(exposures) for d in range(DETECTORS)]
    butler.registry.insertDatasets("raw", ids, "raw/all")


def main(exposures: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        Butler.makeRepo(root)
        with Butler(root, writeable=True) as butler:
            fill(butler, exposures)
            results = butler.registry.queryDatasets("raw", collections="raw/all")
            columns, table = results.to_arrow(), results.to_table()  # imports what will be timed
            assert columns.num_rows == len(table) == exposures * DETECTORS
            ways: dict[str, Callable[[], Any]] = {
                "objects": lambda: [ref.dataId["exposure"] for ref in results],
                "to_arrow": results.to_arrow,
                "to_table": results.to_table,
                "to_polars": results.to_polars,
                "count": results.count,
            }
            objects = 0.0
            print(f"queryDatasets of one run, {exposures * DETECTORS} datasets")
            for name, way in ways.items():
                used = []
                for _ in range(3):
                    start = cpu()
                    way()
                    used.append(cpu() - start)
                objects = objects or min(used)
                print(f"{name:10} {min(used):8.3f} s {objects / min(used):7.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
