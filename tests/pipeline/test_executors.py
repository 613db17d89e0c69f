"""One contract for everything that runs quanta: the pool of this machine, the standard library's, Parsl, Dask."""

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest

from armillary.errors import ConfigurationError
from armillary.pipeline.execution import executor_run
from armillary.pipeline.execution.executors import executor_factory, stays_here
from armillary.pipeline.execution.lifeline import DriverGone, Lifeline, hold
from armillary.pipeline.execution.run_control import RetryPolicy
from pipeline.test_resume import N_DETECTORS, RUN, Butler, built, check_whole, is_alive, run  # noqa: F401

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
        deadline = time.monotonic() + 90
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


@pytest.mark.parametrize(("name", "package"), [("parsl", "parsl"), ("dask", "distributed")])
def test_package_that_is_missing_is_named_as_pip_knows_it(name, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    told = f"^the package of the executor `{name}` is not installed: `pip install {package}`$"
    with pytest.raises(ConfigurationError, match=told), executor_factory(name, 1)():
        raise AssertionError("it was made")


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


DRIVER = """
    from pipeline.test_resume import run
    run({root!r}, {path!r}, processes=2, executor={name!r})
"""


def marked(mark):
    """Processes of a test, by the mark in their environment: command lines by process id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes() and is_alive(int(folder.name)):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["parsl", "dask", "processes"])
def test_killed_driver_leaves_no_process_and_no_folder(built, name, tmp_path):  # noqa: F811
    root, path = built(mode="slow")
    notes = tmp_path / "notes"
    notes.mkdir()
    environment = {
        **os.environ,
        "ARMILLARY_TEST_RUN": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "TMPDIR": str(notes),
    }
    program = textwrap.dedent(DRIVER.format(root=str(root), path=str(path), name=ask(name)))
    driver = subprocess.Popen([sys.executable, "-W", "ignore", "-c", program], env=environment)
    try:
        assert wait_for(lambda: list(Path(root).rglob("batch-*.jsonl")), 30), "nothing was begun"
        assert any("execution.worker" in command for command in marked(str(tmp_path)).values())
    finally:
        driver.kill()
        driver.wait()
    ours = lambda: [one for one in marked(str(tmp_path)).values() if "execution.worker" in one]  # noqa: E731
    assert wait_for(lambda: not ours(), 5), ours()
    assert wait_for(lambda: not marked(str(tmp_path)), 40), marked(str(tmp_path))
    assert not list(notes.glob("armillary-parsl-*"))
    report = run(root, path, processes=2, skip_existing=True)
    assert report.exit_code == 0
    check_whole(root)


def test_lifeline_hangs_up_on_strangers_and_listens_here_alone():
    with Lifeline(here=True) as lifeline:
        with socket.create_connection(("127.0.0.1", lifeline.address.port)) as stranger:
            stranger.sendall(b"x" * len(lifeline.address.token))
            assert stranger.recv(1) == b""
        assert hold(lifeline.address, on_loss=lambda: None)
        own = [one[4][0] for one in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
        for address in own:
            if not address.startswith("127."):
                with pytest.raises(OSError):
                    socket.create_connection((address, lifeline.address.port), 1)
    with pytest.raises(DriverGone):
        hold(lifeline.address, on_loss=lambda: None)


def test_only_engines_of_this_machine_stay_here(tmp_path):
    assert [stays_here(name) for name in ("threads", "processes", "parsl", "dask")] == [True] * 4
    assert not any(stays_here(name) for name in ("parsl:site.py", "dask:tcp://10.0.0.1:8786", "own:make", object()))


@pytest.mark.filterwarnings("ignore")
def test_parsl_leaves_no_folder(built, tmp_path, monkeypatch):  # noqa: F811
    (tmp_path / "notes").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "notes"))
    root, path = built()
    assert run(root, path, processes=1, executor=ask("parsl")).exit_code == 0
    assert not list((tmp_path / "notes").glob("armillary-parsl-*"))


class Forgetful(concurrent.futures.ThreadPoolExecutor):
    """Does what it is asked to and forgets to say so, once in a while."""

    n_submitted = 0

    def submit(self, function, /, *args, **kwargs):
        done = super().submit(function, *args, **kwargs)
        self.n_submitted += 1
        return concurrent.futures.Future() if self.n_submitted % 3 == 2 else done


def test_batches_that_an_engine_forgets_are_taken_in(built, monkeypatch, caplog):  # noqa: F811
    monkeypatch.setattr(executor_run, "LOOK_EVERY", 0.2)
    root, path = built()
    with Forgetful(2) as executor:
        report = run(root, path, processes=2, executor=executor)
        assert executor.n_submitted > 2
    assert report.counts == {"measure": {"finished": N_DETECTORS}, "sum": {"finished": 1}}
    assert "did not say that it has ended" in caplog.text
    assert all(outcome.attempts == 1 for outcome in report.outcomes)
    check_whole(root)
