"""`pipetask run` killed with SIGKILL at random moments, then run again: what is left is what an undisturbed run leaves.

`--kills 100` kills a hundred runs on each database; each has its own seed, and `--seed` changes them all. With
`--kills 100 --seed 1` every run was completed to what an undisturbed run leaves: on SQLite 126 were started, 26 of them
ended before their moment came, and 107 had made their collections by then; on PostgreSQL 106, 6 and 79.
"""

import os
import random
import signal
import time
from dataclasses import dataclass

import pytest

from armillary.butler import Butler
from cli.conftest import check_files_and_rows, make_workshop
from cli.programs import pipetask
from cli.test_kill_and_resume import Running
from conftest import DATABASES

DETECTORS, VISITS = 3, 4
SECONDS = 0.03
# Types, as well as outputs, are new in every run, so that the registration of types is among what is killed.
PIPELINE = """\
description: Squares and their sums.
tasks:
  measure_{n}:
    class: small_tasks.MeasureTask
    config: {{seconds: {seconds}, connections.measured: measured_{n}}}
  sum_{n}:
    class: small_tasks.SumTask
    config: {{connections.measured: measured_{n}, connections.prefix: all_{n}}}
"""


@dataclass(frozen=True)
class Run:
    """One run in a repository of many: its pipeline, its chain and its datasets have a number."""

    workshop: object
    number: int
    jobs: int

    def words(self):
        """The command line, without the name of the program."""
        name = f"pipeline{self.number}.yaml"
        pipeline = self.workshop.write(name, PIPELINE.format(n=self.number, seconds=SECONDS))
        files = ["-b", self.workshop.repo, "-p", pipeline, "-i", "in", "-o", self.chain]
        return ["run", *files, "--register-dataset-types", "-j", self.jobs]

    @property
    def chain(self):
        return f"out{self.number}"

    def has_begun(self):
        """Whether there is a run that one can go on with."""
        with Butler(self.workshop.repo) as butler:
            return self.chain in butler.collections.query("out*")

    def to_the_end(self, *more):
        seen = str(self.workshop.folder / "seen")
        ended = pipetask(*self.words(), *more, before=lambda: os.environ.update(QUANTA_SEEN=seen))
        assert ended.code == 0, ended.err

    def left_behind(self):
        """Every dataset of the one run by its type, without number, and data ID; of logs and metadata what they say."""
        with Butler(self.workshop.repo) as butler:
            (run,) = butler.collections.query(f"{self.chain}/*")
            assert butler.collections.get_info(self.chain).children == (run, "in")
            refs = butler.query_all_datasets(run, find_first=False, limit=None)
            found = {(self._plain(ref.datasetType.name), str(ref.dataId)): self._told(butler, ref) for ref in refs}
        assert len(found) == len(refs)
        return found

    def _plain(self, text):
        return text.replace(f"_{self.number}", "_N")

    def _told(self, butler, ref):
        kind = ref.datasetType.name.rpartition("_")[2]
        if kind == "config":
            return self._plain(butler.getURI(ref).read().decode())
        if kind == "log":
            return [self._plain(record.message) for record in butler.get(ref) if record.name.endswith("measure")]
        if kind == "metadata":
            quantum = butler.get(ref)["quantum"]
            return quantum["caveats"], len(quantum.getArray("outputs"))
        if kind == "packages":  # of which the tests have more than a run in a process of its own
            return {name: butler.get(ref)[name] for name in ("armillary", "python", "lsst-pex-config")}
        return butler.get(ref)


def kill_at(run, moment, whole_group):
    """Start a run, kill it at a moment (seconds), and wait until nothing of it is left; whether it ran until then."""
    running = Running(run.workshop, words=run.words())
    time.sleep(moment)
    if running.process.poll() is None:
        os.killpg(running.process.pid, signal.SIGKILL) if whole_group else running.process.kill()
    code = running.wait()
    assert code in (0, -signal.SIGKILL), running.told()
    deadline = time.monotonic() + 5
    while running.alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running.alive() == []
    return code != 0


def duration(run):
    """Seconds of a run that nobody disturbs."""
    began = time.monotonic()
    running = Running(run.workshop, words=run.words())
    assert running.wait() == 0, running.told()
    return time.monotonic() - began


@pytest.fixture(scope="module", params=DATABASES)
def killing(request, tmp_path_factory):
    """A repository on each database, what undisturbed runs leave, and seconds that they take with 1 and 2 processes."""
    cluster = request.getfixturevalue("cluster") if request.param == "postgresql" else None
    workshop = make_workshop(tmp_path_factory.mktemp(request.param), DETECTORS, VISITS, cluster)
    undisturbed = [Run(workshop, number, jobs) for number, jobs in ((1000001, 1), (1000002, 2))]
    seconds = {run.jobs: duration(run) for run in undisturbed}
    left, as_well = (run.left_behind() for run in undisturbed)
    assert left == as_well
    assert len(left) == 3 * DETECTORS * (VISITS + 1) + 3  # and two configs, and the versions
    check_files_and_rows(workshop)
    return workshop, left, seconds


def test_what_is_left_is_what_an_undisturbed_run_leaves(killing, pytestconfig):
    workshop, left, seconds = killing
    wanted = pytestconfig.getoption("kills")
    killed = begun = 0
    for number in range(3 * wanted):  # some end before they are killed
        choice = random.Random(f"{pytestconfig.getoption('seed')} {number}")
        run = Run(workshop, number, 1 + number % 2)
        moment, whole_group = choice.uniform(0.1, 1) * seconds[run.jobs], choice.random() < 0.5
        told = f"run {number} with -j {run.jobs}, killed after {moment:.3f} s, {'all' if whole_group else 'driver'}"
        killed += kill_at(run, moment, whole_group)
        rows = {path for (path,) in workshop.select("path", "file_datastore_records")}
        assert rows <= {str(path.relative_to(workshop.repo)) for path in workshop.files()}, told
        begun += run.has_begun()
        run.to_the_end(*(["--extend-run", "--skip-existing"] if run.has_begun() else []))
        assert run.left_behind() == left, told
        check_files_and_rows(workshop)
        if killed == wanted:
            break
    print(f"{number + 1} runs: {killed} killed, {begun} when their collections were there")
    assert killed == wanted
