"""Every mistake at the command line gets one clear sentence, an exit code, and changes nothing.

`mistakes.txt` holds the command lines with what is said about them; `{repo}`, `{pipeline}` and `{tmp}` are places.
"""

import re
import shlex
import time
from pathlib import Path

import numpy as np
import pytest

from armillary.butler import Butler
from armillary.demo.simulate import Survey, write_survey
from armillary.instrument import Nickel
from armillary.storage.masked_image import Image
from cli.conftest import check_files_and_rows, make_workshop
from cli.programs import HERE, run_program
from cli.test_mistakes_of_each_command import COMMANDS

TRANSCRIPT = Path(__file__).with_name("mistakes.txt").read_text()
MISTAKES = dict(re.findall(r"^# (.+)\n((?:.+\n)+)", TRANSCRIPT, re.MULTILINE))

FILES = {
    "no-yaml.yaml": "description: x\ntasks:\n  measure: [1\n",
    "no-class.yaml": "description: x\ntasks:\n  measure:\n    config: {power: 2}\n",
    "two-writers.yaml": "description: x\ntasks: {one: small_tasks.MeasureTask, two: small_tasks.MeasureTask}\n",
    "contract.yaml": "description: x\ntasks: {measure: small_tasks.MeasureTask}\ncontracts: [measure.power > 2]\n",
    "flat.yaml": "description: x\ntasks: {flatten: small_tasks.FlatTask}\n",
    "frame.yaml": "description: x\ntasks: {frame: small_tasks.FrameTask}\n",
    "garbage.qg": "this is no graph",
    "config.py": "config.powr = 3\n",
    "broken_syntax.py": "import lsst.pipe.base\ndef measure(:\n",
    "broken_import.py": "import lsst.pipe.base\nimport numpyy\n",
    "broken_code.py": "import lsst.pipe.base\nnumber = 1 / 0\n",
}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    made = make_workshop(tmp_path_factory.mktemp("mistakes"))
    for name, text in FILES.items():
        made.write(name, text)
    return made, made.state()


def transcript(workshop, command):
    """Run a command line; give it back with what was said."""
    places = {"repo": workshop.repo, "pipeline": workshop.pipeline, "tmp": workshop.folder}
    program, *arguments = (word.format(**places) for word in shlex.split(command))
    ended = run_program(program, *arguments, path=(HERE / "modules", workshop.folder))
    return ended, f"$ {command}\nexit {ended.code}\n{ended.told(tmp=workshop.folder)}\n"


def test_the_transcript_holds_the_mistakes():
    assert len(MISTAKES) == TRANSCRIPT.count("$ ")


def test_each_command_has_a_mistake_of_its_own():
    told = {" ".join(text.split()[1:3]) for text in MISTAKES.values()}
    assert set(COMMANDS) - told == {"butler fsck"}  # takes a repository, nothing else that can be wrong


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_and_changes_nothing(workshop, name):
    made, before = workshop
    command = MISTAKES[name].splitlines()[0].removeprefix("$ ")
    ended, told = transcript(made, command)
    assert told == MISTAKES[name]
    assert ended.code != 0
    assert len(re.findall(r"^error: ", ended.err, re.MULTILINE)) == 1
    assert "Traceback" not in ended.err
    assert made.state() == before


def test_an_unreadable_frame_is_named_and_costs_only_its_own_quantum(tmp_path):
    made = make_workshop(tmp_path)
    pipeline = made.write("frame.yaml", FILES["frame.yaml"])
    with Butler(made.repo, writeable=True, run="frames") as butler:
        for detector in (1, 2):
            butler.put(Image(np.full((8, 8), detector, "f4")), "frame", instrument="Cam", detector=detector)
        place = Path(butler.getURI("frame", instrument="Cam", detector=2).ospath)
    content = place.read_bytes()
    place.write_bytes(b"\0" * len(content))
    command = ("run", "-b", made.repo, "-p", pipeline, "-o", "out", "--register-dataset-types")
    ended = run_program("pipetask", *command, "-i", "frames")
    assert ended.code == 1
    started, counts, told = ended.told(repo=made.repo).splitlines()
    assert started == "2 quanta for 1 task: frame 2"
    assert counts == "2 quanta: 1 finished, 1 failed in <seconds>"
    assert told.startswith(
        "error: task `frame` failed on {instrument: 'Cam', detector: 2}: ValueError: "
        f"`<repo>/{place.relative_to(made.repo)}` cannot be read as `FitsImage`: OSError: No SIMPLE card found"
    )
    assert told.endswith("(dataset frame@{instrument: 'Cam', detector: 2})")
    assert "Traceback" not in ended.err
    check_files_and_rows(made)
    place.write_bytes(content)
    again = run_program("pipetask", *command, "--extend-run", "--skip-existing")
    assert (again.code, "1 quantum: 1 finished" in again.err) == (0, True), again.err
    with Butler(made.repo, collections="out") as butler:
        assert butler.get("frame_size", instrument="Cam", detector=2) == {"shape": [8, 8]}
    check_files_and_rows(made)


def test_frames_that_cannot_be_ingested_are_named_and_the_others_go_in(tmp_path):
    made = make_workshop(tmp_path)
    frames = write_survey(tmp_path / "raw", Survey(size=64, stars=3, science=(("V", 1),), biases=1, flats=1))
    (tmp_path / "raw" / "empty.fits").write_bytes(b"")
    (tmp_path / "raw" / "text.fits").write_text("SIMPLE  = no frame at all")
    with Butler(made.repo, writeable=True) as butler:
        Nickel().register(butler.registry)
    ended = run_program("butler", "ingest-raws", made.repo, tmp_path / "raw", "-t", "copy")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert ended.told(raw=tmp_path / "raw") == (
        "not ingested: `<raw>/empty.fits`: the file is empty\n"
        "not ingested: `<raw>/text.fits`: Header size is not multiple of 2880: 25\n"
        "error: 2 of the files could not be ingested; they are named above"
    )
    with Butler(made.repo, collections="Nickel/raw/all") as butler:
        assert len(butler.query_datasets("raw")) == len(frames)
    check_files_and_rows(made)


def test_a_task_that_cannot_be_made_leaves_no_run(tmp_path):
    made = make_workshop(tmp_path)
    pipeline = made.write("stillborn.yaml", "description: x\ntasks: {measure: small_tasks.StillbornTask}\n")
    command = ("run", "-b", made.repo, "-i", "in", "-o", "out", "--register-dataset-types", "-p")
    done = run_program("pipetask", *command, made.pipeline)
    assert done.code == 0, done.err
    before = made.state()
    for output in ("out", "out2"):
        command = ("run", "-b", made.repo, "-i", "in", "-o", output, "-p", pipeline)
        time.sleep(1.1)  # names of runs have seconds
        ended = run_program("pipetask", *command)
        assert ended.code == 1
        assert "error: RuntimeError: no model is there to load" in ended.err
        assert contents(made.state()) == contents(before)


def contents(state):
    """All rows and files, without the counters that only grow."""
    rows, files = state
    return sorted(row for row in rows if "sqlite_sequence" not in row), files


def test_the_traceback_is_there_for_who_asks(workshop):
    made, _ = workshop
    ended = run_program("pipetask", "--traceback", "run", "-b", made.repo, "-i", "inn", "-o", "out", path=(HERE,))
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert ended.err.rstrip().endswith("no collection is called `inn`; did you mean `in`?")


def test_a_type_that_is_not_listed_is_told_with_the_nearest(workshop):
    listed = {}
    for words in ("metrcs", "zz*", "metrics --collections none", "metrics,zz --collections in"):
        ended = run_program("butler", "query-dataset-types", workshop[0].repo, *words.split())
        listed[words] = (ended.out.split(), ended.err.strip())
    assert listed == {
        "metrcs": ([], "no dataset type matches `metrcs`; did you mean `metrics`?"),
        "zz*": ([], "no dataset type matches `zz*`"),
        "metrics --collections none": ([], "error: no collection is called `none`"),
        "metrics,zz --collections in": (["name", "-------", "metrics"], ""),
    }
    frames = run_program("butler", "query-dataset-types", workshop[0].repo, "frame", "--collections", "in")
    assert frames.err.strip() == "no dataset type matches `frame` in `in`"
