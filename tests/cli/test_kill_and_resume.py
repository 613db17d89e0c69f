"""`pipetask run` that is killed, and run again: the same outputs, and nothing left over."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import armillary
from armillary.butler import Butler
from cli.conftest import check_files_and_rows, make_workshop
from cli.programs import HERE, pipetask

DETECTORS, VISITS = 4, 4
MEASURED = DETECTORS * VISITS
SECONDS = 0.12
# A shell that starts the tests in the background has Ctrl-C ignored, and so would this process.
PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from armillary.cli.pipetask import main; sys.exit(main(sys.argv[1:]))"
)


def command_line(workshop):
    files = ["-b", workshop.repo, "-p", workshop.pipeline, "-o", "out"]
    return ["run", *files, "-c", f"measure:seconds={SECONDS}", "--register-dataset-types", "-j", 2]


def resume(workshop, *arguments):
    """Run to the end, in place of the run that was killed."""
    ended = pipetask(
        *command_line(workshop),
        *arguments,
        before=lambda: os.environ.update(QUANTA_SEEN=str(workshop.folder / "seen")),
    )
    assert ended.code == 0, ended.err
    check_outputs(workshop)


class Running:
    """A run in a session of its own, of which every process carries a mark in its environment."""

    def __init__(self, workshop, *arguments, words=None):
        self.workshop = workshop
        self.seen = workshop.folder / "seen"
        self.seen.mkdir(exist_ok=True)
        source = Path(armillary.__file__).parents[1]
        self.mark = f"ARMILLARY_TEST_MARK={workshop.folder}"
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(source), str(HERE / "modules")]),
            "QUANTA_SEEN": str(self.seen),
            "ARMILLARY_TEST_MARK": str(workshop.folder),
        }
        command = [sys.executable, "-c", PROGRAM, *(words or command_line(workshop)), *arguments]
        self.log = open(workshop.folder / "log", "ab")  # noqa: SIM115  # closed in `wait`
        self.process = subprocess.Popen(
            list(map(str, command)), env=environment, start_new_session=True, stdout=self.log, stderr=self.log
        )

    @property
    def n_started(self):
        """How many quanta have started."""
        return sum(len(path.read_text()) for path in self.seen.iterdir())

    def wait_for(self, quanta):
        deadline = time.monotonic() + 60
        while self.n_started < quanta and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.process.poll() is None, self.told()

    def wait(self):
        code = self.process.wait(120)
        self.log.close()
        return code

    def told(self):
        return (self.workshop.folder / "log").read_text()

    def alive(self):
        """Processes of this run."""
        return [number for number in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._is_ours(number)]

    def _is_ours(self, number):
        try:
            return self.mark.encode() in Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
        except OSError:
            return False


def check_outputs(workshop):
    """All outputs are there once, in one run, with the values of an undisturbed run."""
    with Butler(workshop.repo, collections="out") as butler:
        (run, *_) = [name for name in butler.collections.get_info("out").children if name.startswith("out/")]
        for detector in range(1, DETECTORS + 1):
            total = 0
            for visit in range(10, 10 + VISITS):
                data_id = {"instrument": "Cam", "visit": visit, "detector": detector}
                assert butler.get("measured", data_id)["v"] == (visit * detector) ** 2
                total += (visit * detector) ** 2
            assert butler.get("all_total", instrument="Cam", detector=detector) == {"sum": total}
        counts = {
            name: len(butler.query_datasets(name, run, find_first=False))
            for name in ("measured", "measure_log", "measure_metadata", "all_total", "sum_log", "sum_metadata")
        }
        assert counts == dict.fromkeys(("measured", "measure_log", "measure_metadata"), MEASURED) | dict.fromkeys(
            ("all_total", "sum_log", "sum_metadata"), DETECTORS
        )
        assert "numpy" in butler.get("packages", collections=run)
        assert f"config.seconds={SECONDS}" in butler.getURI("measure_config", collections=run).read().decode()
    check_files_and_rows(workshop)


@pytest.mark.parametrize(
    ("whole_group", "quanta"),
    [(True, 1), (True, 7), (True, 15), (False, 2), (False, 14)],
    ids=["all-1", "all-7", "all-15", "driver-2", "driver-14"],
)
def test_a_killed_run_is_finished_by_the_next(tmp_path, whole_group, quanta):
    workshop = make_workshop(tmp_path, DETECTORS, VISITS)
    killed = Running(workshop, "-i", "in")
    killed.wait_for(quanta)
    if whole_group:
        os.killpg(killed.process.pid, signal.SIGKILL)
    else:
        killed.process.kill()
    assert killed.wait() == -signal.SIGKILL
    deadline = time.monotonic() + 2
    while killed.alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert killed.alive() == []
    started = killed.n_started
    resume(workshop, "--extend-run", "--skip-existing")
    again = killed.n_started - started
    assert MEASURED - started <= again <= MEASURED


def test_killed_before_its_first_quantum_it_can_be_started_again(tmp_path):
    workshop = make_workshop(tmp_path, DETECTORS, VISITS)
    killed = Running(workshop, "-i", "in")
    run_folder = workshop.repo / "out"
    deadline = time.monotonic() + 60
    while not run_folder.exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(killed.process.pid, signal.SIGKILL)
    killed.wait()
    with Butler(workshop.repo) as butler:
        chained = "out" in butler.collections.query("out*")
    resume(workshop, *(["--extend-run", "--skip-existing"] if chained else ["-i", "in"]))


def fatal(workshop, fate, *arguments):
    pipeline = workshop.write("fatal.yaml", "description: x\ntasks:\n  fatal: small_tasks.FatalTask\n")
    return pipetask(
        *("run", "-b", workshop.repo, "-p", pipeline, "-o", "out", "-j", 2, "--register-dataset-types", *arguments),
        before=lambda: os.environ.update(FATE=fate),
    )


@pytest.mark.parametrize(
    ("fate", "options", "told"),
    [
        ("die", (), "its process was ended by signal SIGKILL (and 1 more)"),
        ("hang", ("--timeout", 0.5), "took longer than 0.5 s, so its process was ended (and 3 more)"),
    ],
)
def test_outputs_of_a_process_that_was_ended_do_not_stay(workshop, fate, options, told):
    ended = fatal(workshop, fate, "-i", "in", *options)
    assert ended.code == 1
    assert ended.err.rstrip().endswith(told), ended.err
    assert "Traceback" not in ended.err
    check_files_and_rows(workshop)
    again = fatal(workshop, "live", "--extend-run", "--skip-existing")
    assert again.code == 0, again.err
    with Butler(workshop.repo, collections="out") as butler:
        assert len(butler.query_datasets("measured", "out")) == 4
    check_files_and_rows(workshop)


def test_a_finished_run_is_not_taken_for_one_with_another_config(workshop):
    command = ("run", "-b", workshop.repo, "-p", workshop.pipeline, "-o", "out", "--register-dataset-types")
    assert pipetask(*command, "-i", "in").code == 0
    before = workshop.state()
    same = pipetask(*command, "--extend-run")
    assert (same.code, same.told()) == (0, "nothing to do: 6 quanta already succeeded")
    other = pipetask(*command, "--extend-run", "-c", "sum:scale=3")
    assert other.code == 1
    assert "error: the config of this run differs from `sum_config`" in other.err
    assert workshop.state() == before


def test_an_interrupted_run_says_so_and_goes_on_later(tmp_path):
    workshop = make_workshop(tmp_path, DETECTORS, VISITS)
    interrupted = Running(workshop, "-i", "in")
    interrupted.wait_for(5)
    os.killpg(interrupted.process.pid, signal.SIGINT)
    assert interrupted.wait() == 130
    assert "Traceback" not in interrupted.told()
    said, hint = interrupted.told().rstrip().splitlines()[-2:]
    assert said == "interrupted"
    assert "`--extend-run --skip-existing`" in hint
    check_files_and_rows(workshop)
    resume(workshop, "--extend-run", "--skip-existing")
