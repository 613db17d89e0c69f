"""The table of the comparison with the peer says what was measured, and no more."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from conftest import REPOSITORY_ROOT


def line(operation, cpu, *, scale="hsc-V30", **more):
    return {"op": operation, "scale": scale, "n": 5, "wall_s": 2 * cpu, "cpu_s": cpu, "peak_rss_mb": 1.0, **more}


@pytest.fixture(name="table")
def table_fixture(tmp_path):
    def run(peer, ours, *options):
        paths = []
        for name, lines in (("peer", peer), ("armillary", ours)):
            path = tmp_path / f"{name}.jsonl"
            path.write_text("".join(json.dumps(one) + "\n" for one in lines))
            paths.append(path)
        command = [sys.executable, REPOSITORY_ROOT / "benches" / "peer_table.py", *paths, *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_the_ratio_is_that_of_the_median_cpu_seconds(table):
    peer = [line("qg_build", cpu) for cpu in (9.0, 8.0, 100.0)]
    shown = table(peer, [line("qg_build", 0.1)]).stdout
    assert "| qg_build | hsc-V30 | 5 | 9 (18) | 0.1 (0.2) | 90 |" in shown


def test_a_missed_or_unmeasured_promise_fails_the_check(table):
    missed = table([line("qg_build", 1.0)], [line("qg_build", 0.1)], "--check")
    assert missed.returncode == 1
    assert "| qg_build | hsc-V30 | 60 | 1 | 0.1 | 10 (missed) |" in missed.stdout
    assert "| put_dict | hsc-V30 | 12 | | | not measured |" in missed.stdout


def test_columns_are_held_against_the_peers_objects(table):
    peer = [line("datasets_all_one_run", 12.0, scale="hsc-V3000")]
    shown = table(peer, [line("datasets_as_columns", 0.1, scale="hsc-V3000")]).stdout
    assert "| datasets_all_one_run, here datasets_as_columns | hsc-V3000 | 60 | 12 | 0.1 | 120 |" in shown


def test_a_command_of_ours_that_failed_has_no_time(table):
    ran = line("pipetask_run_j2", 1.0, returncode=0)
    failed = table([ran], [line("pipetask_run_j2", 0.1, returncode=1)])
    assert failed.returncode == 1
    assert "`pipetask_run_j2` at hsc-V30 failed" in failed.stderr


def test_a_file_without_measurements_is_refused(table):
    empty = table([], [line("qg_build", 0.1)])
    assert empty.returncode == 1
    assert "holds no measurements" in empty.stderr
