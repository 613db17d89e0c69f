"""A graph file run without a registry: the hand-made graph of three quanta, in this process and in a pool."""

import json
import shutil
import subprocess
import sys
import textwrap

import pytest

from armillary.butler import Butler
from armillary.pipeline import PipelineGraph
from armillary.pipeline.all_dimensions_quantum_graph_builder import AllDimensionsQuantumGraphBuilder
from armillary.pipeline.execution import initialise_without_registry, run_without_registry, transfer_from_graph
from conftest import shared_path
from pipeline.execution_tasks import MeasureTask, NotesTask
from pipeline.test_resume import N_DETECTORS, make_repository

RUN = """
    import json, sys
    from armillary import lsst_alias
    lsst_alias.activate()
    from armillary.pipeline.execution import initialise_without_registry, run_without_registry
    {prepare}
    report = run_without_registry("out/repo", "out/hand.qg", progress=False, **{options!r})
    report.write_summary("summary.json")
    told = [(o.label, o.state.value, o.exception and o.exception.message) for o in report.outcomes]
    print(json.dumps([report.exit_code, sorted(told, key=str), report.closing_line()]))
"""
INIT = 'initialise_without_registry("out/repo", "out/hand.qg")'
FIRST, SECOND, LAST = (f"01900000-0000-7000-8000-00000001000{number}" for number in range(3))


class Hand:
    """A copy of the hand-made graph, its repository and its task module."""

    def __init__(self, folder):
        self.folder = folder / "hand"
        shutil.copytree(shared_path("graph-fixtures", "hand"), self.folder)

    def change_task(self, line):
        """Put a line at the beginning of the first task's `run`."""
        path = self.folder / "handtask.py"
        text = path.read_text()
        old = "    def run(self, raw):\n"
        assert old in text
        path.write_text(text.replace(old, f"{old}        {line}\n"))

    def python(self, code):
        program = f"import sys; sys.path[:] = {[*sys.path, str(self.folder)]!r}\n{textwrap.dedent(code)}"
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, cwd=self.folder, timeout=120
        )

    def run(self, prepare=INIT, **options):
        done = self.python(RUN.format(prepare=prepare, options=options))
        assert done.returncode == 0, done.stderr
        code, told, line = json.loads(done.stdout.splitlines()[-1])
        return code, [tuple(one) for one in told], line

    def path(self, name):
        return self.folder / "out" / "repo" / "datastore" / "u" / "hand" / "run" / name

    def files(self):
        return sorted(path.name for path in self.path("").rglob("*") if path.is_file())


@pytest.fixture
def hand(tmp_path):
    return Hand(tmp_path)


ALL_FILES = [
    "h2_config_u_hand_run.py",
    "h2_log_HandCam_u_hand_run.json",
    "h2_metadata_HandCam_u_hand_run.json",
    "h_config_u_hand_run.py",
    "h_log_HandCam_D0_u_hand_run.json",
    "h_log_HandCam_D1_u_hand_run.json",
    "h_metadata_HandCam_D0_u_hand_run.json",
    "h_metadata_HandCam_D1_u_hand_run.json",
    "h_out_HandCam_D0_u_hand_run.yaml",
    "h_out_HandCam_D1_u_hand_run.yaml",
    "h_schema_u_hand_run.yaml",
    "h_total_HandCam_u_hand_run.yaml",
    "packages_u_hand_run.yaml",
]


@pytest.mark.parametrize("processes", [1, 2])
def test_all_files_are_written_where_the_peer_writes_them(hand, processes):
    code, told, _ = hand.run(processes=processes)
    assert code == 0
    assert told == [("h", "finished", None), ("h", "finished", None), ("h2", "finished", None)]
    assert hand.files() == ALL_FILES
    assert hand.path("h_total/h_total_HandCam_u_hand_run.yaml").read_text() == "n: 2\n"


WATCH = """
import atexit, json, os
events = []

def watch(name, tell):
    real = getattr(os, name)

    def called(*arguments):
        done = real(*arguments)
        events.append([name, tell(*arguments)])
        return done

    setattr(os, name, called)

watch("fsync", lambda descriptor: os.readlink(f"/proc/self/fd/{descriptor}"))
watch("replace", lambda _, target: target)
atexit.register(lambda: open("events.json", "w").write(json.dumps(events)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="open files are named in /proc")
@pytest.mark.parametrize("processes", [1, 2])
def test_metadata_are_written_when_what_the_quantum_wrote_stays(hand, processes):
    (hand.folder / "watch.py").write_text(WATCH)
    hand.run(prepare=f"{INIT}; import watch", processes=processes)
    events = json.loads((hand.folder / "events.json").read_text())
    names = ["h_out_HandCam_D0", "h_log_HandCam_D0", "h_out_HandCam_D1", "h_log_HandCam_D1", "h2_log_HandCam"]
    for name in names:
        kind = name.split("_")[1]
        file = (
            hand.path(f"{name[: name.index(kind)]}{kind}") / f"{name}_u_hand_run.{'json' if kind == 'log' else 'yaml'}"
        )
        assert file.exists()
        metadata = hand.path(name.split("_")[0] + "_metadata") / f"{name.replace(kind, 'metadata')}_u_hand_run.json"
        done = events.index(["replace", str(metadata)])
        assert ["fsync", str(file)] in events[:done]
        assert ["fsync", str(file.parent)] in events[:done]
        assert ["fsync", str(metadata)] in events[done:]
        assert ["fsync", str(metadata.parent)] in events[done:]
    assert max(sum(event == one for event in events) for one in events if one[0] == "fsync") <= 3, "of folders, too"


@pytest.mark.parametrize("processes", [1, 2])
def test_metadata_that_a_task_reads_are_there_in_time(tmp_path, processes):
    root, path = str(tmp_path / "repo"), str(tmp_path / "run.qg")
    make_repository(root)
    pipeline = PipelineGraph(description="measure, and sum the notes")
    pipeline.add_task("measure", MeasureTask)
    pipeline.add_task("notes", NotesTask)
    with Butler(root, collections=["raws"]) as butler:
        AllDimensionsQuantumGraphBuilder(pipeline, butler, input_collections=["raws"], output_run="u/notes").finish(
            attach_datastore_records=True
        ).write(path)
    initialise_without_registry(root, path)
    report = run_without_registry(root, path, progress=False, processes=processes)
    assert report.counts == {"measure": {"finished": N_DETECTORS}, "notes": {"finished": 1}}
    with Butler(root, writeable=True) as butler:
        transfer_from_graph(path, butler, register_dataset_types=True)
        assert butler.get("total_notes", instrument="Cam", collections="u/notes") == {"n": 3 * N_DETECTORS}


def test_second_run_skips_everything(hand):
    hand.run()
    code, told, _ = hand.run()
    assert code == 0
    assert {state for _, state, _ in told} == {"skipped"}


def test_chosen_quanta_are_run(hand):
    code, told, _ = hand.run(quantum_ids=[SECOND])
    assert (code, told) == (0, [("h", "finished", None)])


def test_quantum_without_its_upstream_is_blocked_not_done(hand):
    hand.run(quantum_ids=[FIRST])
    code, told, _ = hand.run(quantum_ids=[LAST])
    assert (code, told) == (1, [("h2", "blocked", None)])
    assert not any("h2_metadata" in name for name in hand.files())
    assert hand.run(quantum_ids=[SECOND, LAST])[0] == 0
    assert hand.path("h_total/h_total_HandCam_u_hand_run.yaml").read_text() == "n: 2\n"


def test_unknown_quantum_is_told(hand):
    done = hand.python(RUN.format(prepare="", options={"quantum_ids": [LAST[:-1] + "9"]}))
    assert "LookupError: the graph has no quantum" in done.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("if raw['detector']: import os; os.kill(os.getpid(), 9)", "ended by signal SIGKILL"),
        ("if raw['detector']: import os; os._exit(3)", "exit code 3"),
        ("if raw['detector']: raise SystemExit(9)", "9"),
    ],
)
def test_dead_worker_fails_its_quantum_alone(hand, line, words):
    hand.change_task(line)
    code, told, closing = hand.run(processes=2)
    assert code == 1
    assert [(label, state) for label, state, _ in told] == [("h", "failed"), ("h", "finished"), ("h2", "blocked")]
    assert words in told[0][2]
    assert closing.startswith("3 quanta: 1 finished, 1 failed, 1 blocked in")
    assert "h_out_HandCam_D0_u_hand_run.yaml" in hand.files()


def test_quantum_over_its_time_is_ended(hand):
    hand.change_task("if raw['detector']: import time; time.sleep(60)")
    code, told, _ = hand.run(processes=2, timeout=2)
    assert code == 1
    assert [(label, state) for label, state, _ in told] == [("h", "finished"), ("h", "timed out"), ("h2", "blocked")]
    assert json.loads((hand.folder / "summary.json").read_text())["status"] == "timeout"


def test_run_goes_on_after_a_failure_is_mended(hand):
    hand.change_task("if raw['detector']: raise RuntimeError('not yet')")
    assert hand.run()[0] == 1
    path = hand.folder / "handtask.py"
    path.write_text(path.read_text().replace("raise RuntimeError('not yet')", "pass"))
    code, told, _ = hand.run()
    assert code == 0
    assert [state for _, state, _ in told] == ["finished", "skipped", "finished"]
    log = json.loads(hand.path("h_log/h_log_HandCam_D1_u_hand_run.json").read_text())
    assert log["previous_attempts"][0]["exception"]["message"] == "not yet"


def test_changed_config_is_refused(hand):
    hand.run()
    path = hand.folder / "handtask.py"
    text = path.read_text().replace(
        "pipelineConnections=HandConnections):\n    pass",
        "pipelineConnections=HandConnections):\n    def setDefaults(self):\n        self.saveLogOutput = False",
    )
    assert text != path.read_text()
    path.write_text(text)
    done = hand.python(RUN.format(prepare=INIT, options={}))
    assert "ConflictingDefinitionError" in done.stderr
    assert "`saveLogOutput`" in done.stderr


def test_opening_a_graph_imports_nothing(hand):
    code = """
        import sys
        from armillary.pipeline.quantum_graph import PredictedQuantumGraph
        with PredictedQuantumGraph.open("out/hand.qg") as reader:
            reader.read_all()
            graph = reader.finish()
        print(len(graph.quanta()), "handtask" in sys.modules)
    """
    assert hand.python(code).stdout == "3 False\n"
