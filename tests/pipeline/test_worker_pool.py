"""Warm workers: one that dies costs one job, and none outlives its driver."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from armillary.pipeline.execution.worker_pool import WorkerDied, WorkerPool
from pipeline.pool_jobs import Jobs, broken


def pool(processes=2, **options):
    return WorkerPool(processes, Jobs, ("hello",), ["isr"], **options)


def run_all(workers, jobs):
    """Run jobs; give what each ended with, by job."""
    waiting, results = list(jobs), {}
    while len(results) < len(jobs):
        while waiting and workers.n_free:
            workers.submit(waiting.pop(0))
        results.update(workers.wait())
    return results


def is_alive(process):
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_jobs_come_back_and_processes_are_reused():
    jobs = [("greet", number) for number in range(40)]
    with pool() as workers:
        processes = set(workers.processes)
        results = run_all(workers, jobs)
    assert [results["greet", number][0] for number in range(40)] == [f"hello {number}" for number in range(40)]
    assert {result[2] for result in results.values()} <= processes
    assert len(processes) == 2


def test_tasks_are_imported_before_the_first_job():
    with pool(1) as workers:
        results = run_all(workers, [("greet", "you")])
    assert results["greet", "you"][1] == ("isr",)


@pytest.mark.parametrize(
    ("job", "words"),
    [(("kill", 0), "signal SIGKILL"), (("segfault", 0), "signal SIGSEGV"), (("exit", 5), "exit code 5")],
)
def test_dead_worker_fails_its_job_alone(job, words):
    with pool() as workers:
        results = run_all(workers, [("greet", 1), job, ("greet", 2), ("greet", 3)])
        later = run_all(workers, [("greet", 4), ("greet", 5)])
        assert len(workers.processes) == 2
    death = results.pop(job)
    assert isinstance(death, WorkerDied)
    assert words in str(death)
    assert not death.timed_out
    assert all(isinstance(result, tuple) for result in [*results.values(), *later.values()])


def test_death_is_seen_at_once():
    with pool(1) as workers:
        workers.submit(("kill", 0))
        started = time.monotonic()
        list(workers.wait())
        assert time.monotonic() - started < 1.0


def test_job_over_its_time_is_ended():
    with pool(timeout=0.3) as workers:
        started = time.monotonic()
        results = run_all(workers, [("sleep", 30), ("greet", 1)])
        assert time.monotonic() - started < 5
        assert run_all(workers, [("greet", 2)])
    assert results["sleep", 30].timed_out
    assert results["greet", 1][0] == "hello 1"


def test_noise_on_standard_error_blocks_nothing(capfd):
    with pool() as workers:
        results = run_all(workers, [("shout", 10_000_000), ("greet", 1)])
    assert results["shout", 10_000_000][0] == "shouted"
    capfd.readouterr()


def test_workers_draw_different_numbers_with_one_thread_each(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with pool() as workers:
        results = run_all(workers, [("random", number) for number in range(4)])
    assert len({number for number, _, _ in results.values()}) == 4
    assert {threads for _, threads, _ in results.values()} == {("1",)}


def test_worker_that_dies_idle_is_replaced():
    with pool(1) as workers:
        (process,) = workers.processes
        os.kill(process, signal.SIGKILL)
        time.sleep(0.1)
        assert run_all(workers, [("greet", 1)])["greet", 1][0] == "hello 1"


def test_failing_start_is_told(capfd):
    with pytest.raises(RuntimeError, match="could not start"):
        WorkerPool(1, broken, ())
    assert "cannot be made" in capfd.readouterr().err


def test_no_process_outlives_a_pool():
    with pool() as workers:
        processes = workers.processes
        workers.submit(("sleep", 60))
    deadline = time.monotonic() + 5
    while any(is_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [process for process in processes if is_alive(process)]


def test_no_process_outlives_a_killed_driver():
    program = textwrap.dedent("""
        import sys
        from pipeline.pool_jobs import Jobs
        from armillary.pipeline.execution.worker_pool import WorkerPool
        workers = WorkerPool(2, Jobs, ("hello",))
        workers.submit(("sleep", 120))
        print(*workers.processes, workers._template.pid, flush=True)
        list(workers.wait())
    """)
    path = os.pathsep.join(entry for entry in sys.path if entry)
    driver = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    processes = [int(word) for word in driver.stdout.readline().split()]
    assert len(processes) == 3
    driver.kill()
    driver.wait()
    driver.stdout.close()
    deadline = time.monotonic() + 2
    while any(is_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [process for process in processes if is_alive(process)]
