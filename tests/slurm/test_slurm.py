"""Quanta on a real Slurm cluster of two nodes, through Parsl: `pytest tests/slurm --slurm`, about a minute.

It needs root, and Debian's `slurm-wlm` and `munge`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest

from pipeline.test_resume import N_DETECTORS, built, check_whole, run  # noqa: F401
from slurm.cluster import NODES, missing, running

SITE = """
    from parsl import Config
    from parsl.executors import HighThroughputExecutor
    from parsl.launchers import SimpleLauncher
    from parsl.providers import SlurmProvider

    config = Config(
        executors=[
            HighThroughputExecutor(
                label="slurm",
                address="127.0.0.1",
                max_workers_per_node=1,
                cores_per_worker=1e-6,
                heartbeat_period=2,
                heartbeat_threshold=10,
                encrypted=False,
                provider=SlurmProvider(
                    partition="test",
                    nodes_per_block=1,
                    init_blocks=2,
                    min_blocks=2,
                    max_blocks=2,
                    exclusive=False,
                    walltime="00:10:00",
                    launcher=SimpleLauncher(),
                    worker_init="export PATH={path}; export PYTHONPATH={python_path}",
                ),
            )
        ],
        run_dir={run_dir!r},
        strategy="simple",
        strategy_period=0.5,
        usage_tracking=0,
        initialize_logging=False,
    )
"""


@pytest.fixture
def cluster(request, monkeypatch):
    if not request.config.getoption("--slurm"):
        pytest.skip("only with `--slurm`: it starts a cluster")
    assert not missing(), f"not installed: {', '.join(missing())}"
    with tempfile.TemporaryDirectory(prefix="armillary-slurm-") as folder:
        os.chmod(folder, 0o755)
        with running(Path(folder)) as cluster:
            monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
            yield cluster


@pytest.fixture
def site(tmp_path):
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    python_path = os.pathsep.join(entry for entry in sys.path if entry)
    text = SITE.format(path=path, python_path=python_path, run_dir=str(tmp_path / "parsl"))
    (tmp_path / "site.py").write_text(textwrap.dedent(text))
    return f"parsl:{tmp_path / 'site.py'}"


def jobs(cluster):
    """Node by the number of each running job."""
    lines = cluster.ask("squeue", "-h", "-t", "running", "-o", "%A %N").splitlines()
    return dict(line.split() for line in lines if len(line.split()) == 2)


@pytest.mark.filterwarnings("ignore")
def test_quanta_run_on_both_nodes_and_one_pilot_may_be_cancelled(cluster, site, built):  # noqa: F811
    root, path = built(mode="slow")
    seen, cancelled = set(), []

    def watch():
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and not cancelled:
            here = jobs(cluster)
            seen.update(here.values())
            if set(here.values()) == set(NODES) and list(Path(root).rglob("batch-*.jsonl")):
                job = min(here)
                cluster.ask("scancel", job)
                cancelled.append(job)
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.monotonic()
    report = run(root, path, processes=2, executor=site)
    watcher.join()
    print(f"{report.closing_line()}; with the cluster's start of pilots {time.monotonic() - started:.1f} s")
    assert seen == set(NODES)
    assert cancelled
    assert report.counts == {"measure": {"finished": N_DETECTORS}, "sum": {"finished": 1}}
    check_whole(root)


@pytest.mark.filterwarnings("ignore")
def test_no_job_stays_in_the_queue(cluster, site, built):  # noqa: F811
    root, path = built()
    assert run(root, path, processes=2, executor=site).exit_code == 0
    check_whole(root)
    deadline = time.monotonic() + 20
    while cluster.ask("squeue", "-h").strip() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert cluster.ask("squeue", "-h").strip() == ""
