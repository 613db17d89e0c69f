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

# What was promised at first: operation -> (size, least ratio); the largest size measured if the size is empty.
MARKS = {
    "import_butler": ("startup", 8.0),
    "cli_butler_help": ("startup", 6.0),
    "cli_pipetask_help": ("startup", 6.0),
    "qg_build": ("hsc-V30", 30.0),
    "insert_datasets:raw": ("hsc-V30", 8.0),
    "put_dict": ("hsc-V30", 6.0),
    "get_dict_by_ref": ("hsc-V30", 5.0),
    "visits_overlapping_tract": ("hsc-V30", 5.0),
    "visit_detector_tract_band": ("hsc-V30", 5.0),
    "visit_detector_tract_band_datasets": ("hsc-V30", 5.0),
    "pipetask_run_j2": ("hsc-V1-det2", 50.0),
}
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


def marks(peer: dict, ours: dict) -> tuple[list[str], bool]:
    """The rows of what was promised, and whether all is reached."""
    rows = ["| promise | size | at least | measured |", "|---|---|--:|--:|"]
    reached = True
    for operation, (scale, least) in MARKS.items():
        key = operation, scale
        if key not in peer or key not in ours:
            rows.append(f"| {operation} | {scale} | {least:g} | not measured |")
            reached = False
            continue
        measured = ratio(peer[key], ours[key])
        reached &= measured >= least
        rows.append(f"| {operation} | {scale} | {least:g} | {measured:.3g}{'' if measured >= least else ' (missed)'} |")
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
    promised, reached = marks(peer, ours)
    print("\n".join([*promised, "", *table(peer, ours, tuple(arguments.only))]))
    return 1 if arguments.check and not reached else 0


if __name__ == "__main__":
    sys.exit(main())
