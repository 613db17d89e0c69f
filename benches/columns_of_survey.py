"""Take all datasets of one run as values and as columns: `benches/columns_of_survey.py REPO --scale NAME`.

A step of `run_server_comparison`, with either butler (`BENCH_BUTLER_MODULE`), in a repository that
`shared/bench/bench_queries.py` was run on. The peer has no columns: there both operations are a look at each reference.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(os.environ.get("ARMILLARY_SHARED", Path(__file__).parents[2] / "shared")) / "bench"))

from bench_queries import RUNS
from measure import repeat
from roots import butler_module


def main() -> None:
    """Measure both, five times each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repo")
    parser.add_argument("--scale", required=True)
    arguments = parser.parse_args()
    registry = butler_module().Butler.from_config(arguments.repo).registry

    def values() -> list[tuple[Any, Any]]:
        found = registry.queryDatasets("calexp", collections=RUNS[-1])
        return [(ref.dataId["visit"], ref.dataId["detector"]) for ref in found]

    def columns() -> Any:
        results = registry.queryDatasets("calexp", collections=RUNS[-1])
        return range(results.to_arrow().num_rows) if hasattr(results, "to_arrow") else values()

    repeat("datasets_as_values", values, arguments.scale, times=5)
    repeat("datasets_as_columns", columns, arguments.scale, times=5)


if __name__ == "__main__":
    main()
