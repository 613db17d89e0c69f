"""What one question costs alone and in a crowd: `python benches/crowded.py WORKDIR REPO`.

REPO is a survey that `shared/bench/build_repo.py` made in SQLite; it is only read. WORKDIR gets two copies of it. Both
get `calexp` in 50 runs and a chain of them, as `shared/bench/bench_queries.py` makes them. The second one also gets the
crowd: a million datasets in a thousand runs and a thousand dataset types, which share the tables of the survey's own
datasets. Copies that are there are used again.

Prints a Markdown table of CPU milliseconds (user and system, the best of some) of the same questions with the same
answers in both, and of what only the crowd has. Inserted datasets are undone.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sized
from pathlib import Path
from typing import Any

from armillary.butler import Butler, CollectionType, DatasetType

INSTRUMENT, SKYMAP, RAW_RUN = "BenchCam", "bench_rings", "BenchCam/raw/all"
CHAIN, RUNS = "u/bench/chain50", [f"u/bench/run{number:02d}" for number in range(50)]
EVERYONE = "u/crowd/everyone"  # a chain of all runs of the crowd
STORAGE_CLASS = "StructuredDataDict"
# Dimensions of the crowd's dataset types, by the last digit of their number: most are of visits and detectors.
SHAPES = [["visit", "detector"]] * 6 + [["visit"]] * 2 + [["tract", "patch", "band"], ["instrument", "detector"]]
EACH = 10  # datasets of one type in one run


def data_ids(butler: Butler, dimensions: list[str]) -> list[Any]:
    """All data IDs over some dimensions."""
    with butler.query() as query:
        return list(query.where(instrument=INSTRUMENT, skymap=SKYMAP).data_ids(dimensions).with_dimension_records())


def dataset_type(butler: Butler, name: str, dimensions: list[str]) -> DatasetType:
    """A registered dataset type."""
    made = DatasetType(name, dimensions, STORAGE_CLASS, universe=butler.dimensions)
    butler.registry.registerDatasetType(made)
    return made


def add_outputs(butler: Butler) -> None:
    """Every `calexp` in the last run of a chain of 50, one visit in ten also in an earlier one."""
    calexp = dataset_type(butler, "calexp", ["visit", "detector"])
    ids = data_ids(butler, ["visit", "detector"])
    for run in RUNS:
        butler.collections.register(run)
    butler.registry.insertDatasets(calexp, ids, run=RUNS[-1])
    earlier: dict[int, list[Any]] = {}
    for data_id in ids:
        if data_id["visit"] % 10 == 0:
            earlier.setdefault(data_id["visit"] // 10 % 49, []).append(data_id)
    for number, some in earlier.items():
        butler.registry.insertDatasets(calexp, some, run=RUNS[number])
    butler.collections.register(CHAIN, CollectionType.CHAINED)
    butler.collections.redefine_chain(CHAIN, RUNS)


def add_crowd(butler: Butler, collections: int, types: int, datasets: int) -> None:
    """Many datasets, spread over runs and dataset types: each run holds 10 datasets of some of the types."""
    shapes = [
        data_ids(butler, ["visit", "detector"]),
        data_ids(butler, ["visit"]),
        [{"skymap": SKYMAP, "tract": 0, "patch": patch, "band": band} for patch in range(81) for band in "grizy"],
        data_ids(butler, ["instrument", "detector"]),
    ]
    known = {tuple(shape): ids for shape, ids in zip(dict.fromkeys(map(tuple, SHAPES)), shapes, strict=True)}
    with butler.registry.transaction():
        kinds = [dataset_type(butler, f"metric{n:04d}", SHAPES[n % 10]) for n in range(types)]
        runs = [f"u/crowd/run{number:04d}" for number in range(collections)]
        for run in runs:
            butler.collections.register(run)
        butler.collections.register(EVERYONE, CollectionType.CHAINED)
        butler.collections.redefine_chain(EVERYONE, runs)
        held = datasets // (collections * EACH)  # dataset types of one run
        for number, run in enumerate(runs):
            for offset in range(held):
                which = (number * 7 + offset) % types
                ids = known[tuple(SHAPES[which % 10])]
                at = number * EACH % (len(ids) - EACH)
                butler.registry.insertDatasets(kinds[which], ids[at : at + EACH], run=run)


class Undone(Exception):
    """Ends a transaction that is to leave nothing."""


def cpu() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def best(run: Callable[[], Sized], times: int) -> tuple[float, int]:
    """The least CPU seconds, and the number of results."""
    used = []
    for _ in range(times):
        gc.collect()
        start = cpu()
        results = run()
        used.append(cpu() - start)
        count = len(results)
        del results
    return min(used), count


class Questions:
    """What is asked of one repository."""

    def __init__(self, root: str):
        self.root = root
        self.butler = Butler.from_config(root, writeable=True)
        self.registry = self.butler.registry
        self.ids = data_ids(self.butler, ["visit", "detector"])
        self.some = [dict(data_id.mapping) for data_id in self.ids[:: len(self.ids) // 500][:500]]

    def datasets(self, name: str, collections: Any, *, expand: bool = False, limit: int | None = None) -> list[Any]:
        """Datasets, the first ones found, through the query builder."""
        with self.butler.query() as query:
            results = query.datasets(name, collections)
            results = results.with_dimension_records() if expand else results
            return list(results.limit(limit) if limit else results)

    def count(self, name: str, collections: Any) -> range:
        """As many as there are."""
        with self.butler.query() as query:
            return range(query.datasets(name, collections).count())

    def cell_22(self) -> set[Any]:
        """Data IDs of a tract, a band and three detectors, for which there are datasets."""
        return set(
            self.registry.queryDataIds(
                ["visit", "detector"], where="tract=37 AND band='i' AND detector IN (20..22)", skymap=SKYMAP,
                instrument=INSTRUMENT, datasets="calexp", collections=CHAIN,
            )
        )  # fmt: skip

    def overlaps(self) -> list[Any]:
        """Detectors of visits, and the patches they touch."""
        with self.butler.query() as query:
            query = query.where("tract >= 0", instrument=INSTRUMENT, skymap=SKYMAP)
            return list(query.data_ids(["visit", "detector", "patch"]))

    def find(self, name: str, collections: str) -> list[Any]:
        """Five hundred datasets, one after the other."""
        find = self.butler.find_dataset
        return [find(name, data_id, collections=collections) for data_id in self.some]

    def insert(self, ids: list[Any], parts: int) -> list[Any]:
        """New datasets in a new run, a part at a time; nothing of it stays."""
        size = -(-len(ids) // parts)
        with contextlib.suppress(Undone), self.registry.transaction():
            self.butler.collections.register("u/bench/new")
            for start in range(0, len(ids), size):
                self.registry.insertDatasets("calexp", ids[start : start + size], run="u/bench/new")
            raise Undone
        return ids

    def open(self, *, find: bool = False) -> list[Any]:
        """A repository that is opened, and asked for one dataset."""
        with Butler.from_config(self.root) as butler:
            if find:
                assert butler.find_dataset("calexp", self.some[0], collections=CHAIN)
        return [butler]

    def operations(self) -> Iterator[tuple[str, Callable[[], Sized], int]]:
        """What can be asked of both repositories, and how often."""
        datasets, registry = self.datasets, self.registry
        yield "opening", self.open, 20
        yield "opening and finding one dataset", lambda: self.open(find=True), 20
        yield "`insertDatasets`, 30,900 at once", lambda: self.insert(self.ids[:30_900], 1), 3
        yield "`insertDatasets`, 500 in 50 calls", lambda: self.insert(self.ids[:500], 50), 10
        yield "one run, iterated", lambda: list(registry.queryDatasets("raw", collections=RAW_RUN)), 3
        yield "one run, `to_arrow()`", lambda: registry.queryDatasets("raw", collections=RAW_RUN).to_arrow()[0], 3
        yield "one run, `count()`", lambda: range(registry.queryDatasets("raw", collections=RAW_RUN).count()), 10
        yield "find-first through 50 runs", lambda: datasets("calexp", CHAIN), 3
        yield "the same, expanded", lambda: datasets("calexp", CHAIN, expand=True), 2
        yield "the same, `limit(10)`", lambda: datasets("calexp", CHAIN, limit=10), 50
        yield "the same, `count()`", lambda: self.count("calexp", CHAIN), 5
        yield "data IDs with datasets (notebook, cell 22)", self.cell_22, 20
        yield "visit-detector-patch join", self.overlaps, 2
        yield "`find_dataset` in 50 runs", lambda: self.find("calexp", CHAIN), 5
        yield "all runs, by a pattern: `u/*`", lambda: list(registry.queryDatasets("calexp", collections="u/*")), 2

    def of_the_crowd(self) -> Iterator[tuple[str, Callable[[], Sized], int]]:
        """What only the crowd has: types with a thousand datasets in a hundred runs, and a chain of all runs."""
        datasets, registry = self.datasets, self.registry
        run = "u/crowd/run0000"
        yield "one type, all 1,000 runs, find-first", lambda: datasets("metric0010", EVERYONE), 20
        yield "the same, expanded", lambda: datasets("metric0010", EVERYONE, expand=True), 20
        yield "the same, `limit(10)`", lambda: datasets("metric0010", EVERYONE, limit=10), 50
        yield "the same, `count()`", lambda: self.count("metric0010", EVERYONE), 50
        pattern = "u/crowd/*"
        yield "the same, by a pattern", lambda: list(registry.queryDatasets("metric0010", collections=pattern)), 20
        yield "one type of one run", lambda: list(registry.queryDatasets("metric0010", collections=run)), 50
        yield "all types of one run", lambda: list(registry.queryDatasets(..., collections=run)), 5
        yield "`find_dataset` in all 1,000 runs", lambda: self.find("metric0010", EVERYONE), 3


def measure(root: str) -> None:
    """Prints what the questions of one repository cost, as JSON."""
    questions = Questions(root)
    crowd = bool(questions.butler.collections.query("u/crowd/*"))
    asked = [*questions.operations(), *(questions.of_the_crowd() if crowd else ())]
    for name, run, times in asked:
        run()
        seconds, count = best(run, times)
        print(json.dumps([name, seconds, count]), flush=True)


def table(plain: list[Any], crowded: list[Any]) -> Iterator[str]:
    """Rows of Markdown; what only the crowd has comes last."""
    yield "| operation | results | alone, ms | in the crowd, ms | times as much | in the crowd, µs a result |"
    yield "|---|--:|--:|--:|--:|--:|"
    for position, (name, seconds, count) in enumerate(crowded):
        alone, factor = "", ""
        if position < len(plain):
            same, before, results = plain[position]
            assert (same, results) == (name, count), f"{same} has {results} results, and {name} {count} in the crowd"
            alone, factor = f"{before * 1e3:.3g}", f"{seconds / before:.2f}"
        per_result = f"{seconds / max(count, 1) * 1e6:.3g}"
        yield f"| {name} | {count:,} | {alone} | {seconds * 1e3:.3g} | {factor} | {per_result} |"


def main() -> None:
    """Make the repositories, measure both, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdir", type=Path)
    parser.add_argument("repo", nargs="?", help="a repository made by shared/bench/build_repo.py")
    parser.add_argument("--collections", type=int, default=1000)
    parser.add_argument("--types", type=int, default=1000)
    parser.add_argument("--datasets", type=int, default=1_000_000)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure)
        return
    plain, crowded = arguments.workdir / "plain", arguments.workdir / "crowded"
    if not plain.exists():
        shutil.copytree(arguments.repo, plain)
        with Butler.from_config(plain, writeable=True) as butler:
            add_outputs(butler)
    if not crowded.exists():
        shutil.copytree(plain, crowded)
        start = cpu()
        with Butler.from_config(crowded, writeable=True) as butler:
            add_crowd(butler, arguments.collections, arguments.types, arguments.datasets)
        print(f"the crowd took {cpu() - start:.1f} s of CPU", file=sys.stderr)
    measured = []
    for root in (plain, crowded):
        command = [sys.executable, __file__, str(arguments.workdir), "--measure", str(root)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        measured.append([json.loads(line) for line in output.splitlines()])
    print("\n".join(table(*measured)))


if __name__ == "__main__":
    main()
