"""What the datasets of one run cost as columns: `arrow_of_one_run.py REPO --scale SCALE`, for REPO of `run_all.sh`.

The same question as `datasets_all_one_run` of `shared/bench/bench_queries.py`, which must have been there before: it
makes the run. Run it with that folder among the paths of Python.
"""

from __future__ import annotations

import argparse

from bench_queries import RUNS
from measure import repeat

from armillary.butler import Butler


def main() -> None:
    """Measure ten times; the first also imports what columns need."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repo")
    parser.add_argument("--scale", required=True)
    arguments = parser.parse_args()
    with Butler(arguments.repo) as butler:

        def columns() -> range:
            results = butler.registry.queryDatasets("calexp", collections=RUNS[-1])
            return range(results.to_arrow().num_rows)

        repeat("datasets_all_one_run_arrow", columns, arguments.scale, times=10)


if __name__ == "__main__":
    main()
