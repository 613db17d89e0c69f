"""One contract for everything that runs quanta: the pool of this machine, the standard library's, Parsl, Dask."""

import concurrent.futures
import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from armillary.errors import ConfigurationError
from armillary.pipeline.execution.executors import executor_factory
from armillary.pipeline.execution.run_control import RetryPolicy
from pipeline.test_resume import N_DETECTORS, RUN, Butler, built, check_whole, run  # noqa: F401

EXECUTORS = ["local", "threads", "processes", "parsl", "dask"]


def ask(name):
    """Return what `--executor` is given; a missing engine is a failure where everything must be there."""
    module = {"parsl": "parsl", "dask": "distributed"}.get(name)
    if module is not None and not os.environ.get("CI"):
        pytest.importorskip(module)
    return name


@pytest.mark.filterwarnings("ignore")  # the engines' own
@pytest.mark.parametrize("name", EXECUTORS)
class TestContract:
    def test_everything_is_done_once_and_nothing_is_left_behind(self, built, name):  # noqa: F811
        root, path = built()
        report = run(root, path, processes=2, executor=ask(name))
        assert report.counts == {"measure": {"finished": N_DETECTORS}, "sum": {"finished": 1}}
        check_whole(root)
        assert not [entry for entry in os.listdir(root) if entry.startswith(".armillary-run")]

    def test_quantum_that_kills_its_process_fails_alone(self, built, name):  # noqa: F811
        root, path = built(mode="killed", only_detector=3)
        report = run(root, path, processes=2, executor=ask(name))
        assert report.counts == {"measure": {"finished": N_DETECTORS - 1, "failed": 1}, "sum": {"blocked": 1}}
        (failed,) = [outcome for outcome in report.outcomes if outcome.state.is_failure]
        assert "SIGKILL" in failed.exception.message


def hosts(mark):
    """Processes of an engine that have a worker of ours below them; they need not be descendants of this process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ours = b"pipeline.execution.worker" in (folder / "cmdline").read_bytes()
            if ours and mark.encode() in (folder / "environ").read_bytes():
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if b"pipeline.execution.worker" not in Path(f"/proc/{parent}/cmdline").read_bytes():
                    found.append(parent)
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["processes", "parsl"])
def test_killed_engine_worker_costs_no_quantum(built, name, monkeypatch, tmp_path):  # noqa: F811
    root, path = built(mode="slow")
    monkeypatch.setenv("ARMILLARY_TEST_RUN", str(tmp_path))  # by which the processes of this test are known
    killed = []

    def kill():
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not killed:
            time.sleep(0.02)
            for parent in hosts(str(tmp_path)) if list(Path(root).rglob("batch-*.jsonl")) else ():
                os.kill(parent, signal.SIGKILL)
                killed.append(parent)
                return

    killer = threading.Thread(target=kill)
    killer.start()
    report = run(root, path, processes=2, executor=ask(name))
    killer.join()
    assert killed
    assert report.counts == {"measure": {"finished": N_DETECTORS}, "sum": {"finished": 1}}
    check_whole(root)


def test_executor_of_the_user_is_left_open(built):  # noqa: F811
    root, path = built()
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        assert run(root, path, processes=2, executor=executor).exit_code == 0
        assert executor.submit(pow, 2, 3).result() == 8
    check_whole(root)


def test_unknown_executor_is_told_with_the_nearest():
    with pytest.raises(ConfigurationError, match="no executor is called `parsal`; did you mean `parsl`"):
        executor_factory("parsal", 1)
    with pytest.raises(ConfigurationError, match="names no function"):
        executor_factory("nowhere:make", 1)


@pytest.mark.parametrize("processes", [1, 2])
def test_failures_are_tried_again_by_class(built, processes):  # noqa: F811
    root, path = built(mode="fail", only_detector=3)
    report = run(root, path, processes=processes, retry=RetryPolicy.parse(["RuntimeError=2", "KeyError=9"]))
    (failed,) = [outcome for outcome in report.outcomes if outcome.state.is_failure]
    assert failed.attempts == 3
    with Butler(root, collections=[RUN]) as butler:
        log = butler.get("measure_log", instrument="Cam", detector=3)
    assert len(log.extra["previous_attempts"]) == 2


def test_error_that_says_so_is_not_tried_again(built):  # noqa: F811
    root, path = built(mode="repeatable", only_detector=3)
    report = run(root, path, retry=RetryPolicy.parse(["5"]))
    (failed,) = [outcome for outcome in report.outcomes if outcome.state.is_failure]
    assert failed.attempts == 1


def test_text_that_is_no_retry_is_refused():
    with pytest.raises(ValueError, match="write `CLASS=N`"):
        RetryPolicy.parse(["OSError"])


def test_summary_tells_states_apart(built, tmp_path):  # noqa: F811
    root, path = built(mode="fail", only_detector=3)
    run(root, path).write_summary(str(tmp_path / "s.json"))
    told = json.loads((tmp_path / "s.json").read_text())
    assert told["status"] == "failure"
    assert sorted({one["status"] for one in told["quantaReports"]}) == ["failure", "skipped", "success"]
