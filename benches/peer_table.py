"""Put two result files of the shared benchmark side by side, as a Markdown table.

A cell holds the median CPU seconds, user and system and of all child processes, and in brackets the median seconds on
the clock. The ratio is that of the CPU seconds, peer / armillary: on a shared machine the clock tells of the others.
"""

from __future__ import annotations

import argparse
import collections
import json
import statistics
import sys
from pathlib import Path
from typing import NamedTuple


class Mark(NamedTuple):
    """The least ratio that is promised for an operation at a size."""

    operation: str
    scale: str
    least: float
    ours: str = ""  # what is measured of armillary, where that has another name


REGISTRY = [
    ("insert_datasets:raw", "V300", 20),
    ("insert_visit_detector_region", "V300", 10),
    ("open_butler", "V300", 10),
    ("datasets_all_one_run", "V3000", 20),
    ("datasets_find_first_chain50", "V3000", 25),
    ("new:datasets_find_first_chain50_expanded", "V3000", 40),
    ("new:datasets_limit_10", "V3000", 300),
    ("new:datasets_count", "V3000", 30),
    ("visit_detector_tract_band_datasets", "V3000", 30),
    ("new:visit_detector_patch_overlaps", "V300", 15),
    ("find_dataset_chain50", "V300", 60),
]
ON_SERVER = 2  # on PostgreSQL the client is to reach half of what is promised on SQLite

MARKS = [
    Mark("import_butler", "startup", 8),
    Mark("cli_butler_help", "startup", 6),
    Mark("cli_pipetask_help", "startup", 6),
    *(Mark(operation, f"hsc-{visits}", least) for operation, visits, least in REGISTRY),
    Mark("datasets_all_one_run", "hsc-V3000", 60, ours="datasets_as_columns"),
    Mark("put_dict", "hsc-V30", 12),
    Mark("put_table", "hsc-V30", 6),
    Mark("get_dict_by_ref", "hsc-V30", 8),
    Mark("get_numpy_by_ref", "hsc-V30", 8),
    Mark("get_table_by_ref", "hsc-V30", 8),
    Mark("get_dict_by_data_id", "hsc-V30", 30),
    Mark("get_numpy_by_data_id", "hsc-V30", 30),
    Mark("get_table_by_data_id", "hsc-V30", 30),
    Mark("ingest_direct", "hsc-V30-n1000", 8),
    Mark("transfer_from", "hsc-V30", 8),
    Mark("export", "hsc-V30", 10),
    Mark("remove_runs", "hsc-V30", 5),
    Mark("qg_build", "hsc-V30", 60),
    Mark("qg_build", "hsc-V300", 120),
    Mark("qg_save", "hsc-V30", 10),
    Mark("qg_save", "hsc-V300", 10),
    Mark("qg_load_thin", "hsc-V30", 20),
    Mark("qg_load_thin", "hsc-V300", 20),
    Mark("qg_load_full", "hsc-V30", 60),
    Mark("qg_load_full", "hsc-V300", 60),
    Mark("pipetask_run_j1", "hsc-V3-det20", 10),
    Mark("pipetask_skip_existing", "hsc-V3-det20", 8),
    Mark("pipetask_qbb_run_j1", "hsc-V3-det20", 10),
    Mark("pipetask_run_j2", "hsc-V1-det2", 50),
]
SERVER_MARKS = [Mark(operation, "pg-V300", least / ON_SERVER) for operation, _, least in REGISTRY] + [
    Mark("datasets_all_one_run", "pg-V300", 60 / ON_SERVER, ours="datasets_as_columns")
]
CPU_TICK = 0.001  # seconds; below this a measurement says only "next to nothing"


class Measured(NamedTuple):
    """The medians of one operation at one size."""

    n: int
    cpu: float
    wall: float
    exit_code: int


def load(path: Path) -> dict[tuple[str, str], Measured]:
    """Read the measurements of a file, by operation and size, in the order of first appearance."""
    groups: dict[tuple[str, str], list[dict]] = collections.defaultdict(list)
    for line in path.read_text().splitlines():
        record = json.loads(line)
        if "op" in record:
            groups[record["op"], record["scale"]].append(record)
    if not groups:
        raise SystemExit(f"{path} holds no measurements")
    return {
        key: Measured(
            records[-1]["n"],
            statistics.median(record["cpu_s"] for record in records),
            statistics.median(record["wall_s"] for record in records),
            max(record.get("returncode", 0) for record in records),
        )
        for key, records in groups.items()
    }


def figure(seconds: float) -> str:
    """Three digits are more than these measurements carry."""
    if seconds >= 100:
        return f"{seconds:.0f}"
    return f"{seconds:.3g}" if seconds >= CPU_TICK else f"{seconds:.4f}"


def ratio(peer: Measured, ours: Measured) -> float:
    """How many times the CPU seconds the peer needs; never more than the clock's resolution allows to say."""
    return peer.cpu / max(ours.cpu, CPU_TICK / 4)


def table(peer: dict, ours: dict, only: tuple[str, ...]) -> list[str]:
    """The rows of the table: operations that both have measured."""
    rows = ["| operation | size | n | peer | armillary | ratio |", "|---|---|--:|--:|--:|--:|"]
    for (operation, scale), theirs in peer.items():
        mine = ours.get((operation, scale))
        if mine is None or (only and not operation.startswith(only)):
            continue
        cells = [f"{figure(one.cpu)} ({figure(one.wall)})" for one in (theirs, mine)]
        note = "" if theirs.n == mine.n else f" (armillary: {mine.n})"
        if mine.exit_code > theirs.exit_code:
            raise SystemExit(f"`{operation}` at {scale} failed with armillary; its time means nothing")
        if theirs.exit_code or mine.exit_code:
            note += f" (exit codes {theirs.exit_code}, {mine.exit_code})"
        rows.append(
            f"| {operation} | {scale} | {theirs.n}{note} | {cells[0]} | {cells[1]} | {ratio(theirs, mine):.3g} |"
        )
    return rows


def marks(peer: dict, ours: dict, promised: list[Mark]) -> tuple[list[str], bool]:
    """The rows of what was promised, and whether all is reached."""
    rows = ["| promise | size | at least | peer | armillary | measured |", "|---|---|--:|--:|--:|--:|"]
    reached = True
    for operation, scale, least, other in promised:
        theirs, mine = peer.get((operation, scale)), ours.get((other or operation, scale))
        name = f"{operation}, here {other}" if other else operation
        if theirs is None or mine is None:
            rows.append(f"| {name} | {scale} | {least:g} | | | not measured |")
            reached = False
            continue
        measured = ratio(theirs, mine)
        reached &= measured >= least
        note = "" if measured >= least else " (missed)"
        rows.append(
            f"| {name} | {scale} | {least:g} | {figure(theirs.cpu)} | {figure(mine.cpu)} | {measured:.3g}{note} |"
        )
    return rows, reached


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", type=Path, help="results of the peer, JSON lines")
    parser.add_argument("armillary", type=Path, help="results of armillary, JSON lines")
    parser.add_argument("--only", nargs="*", default=[], help="only operations that start with one of these")
    parser.add_argument("--check", action="store_true", help="fail if a promised ratio is missed or not measured")
    arguments = parser.parse_args()
    peer, ours = load(arguments.peer), load(arguments.armillary)
    promised, reached = marks(peer, ours, MARKS)
    print("\n".join([*promised, "", *table(peer, ours, tuple(arguments.only))]))
    return 1 if arguments.check and not reached else 0


if __name__ == "__main__":
    sys.exit(main())
