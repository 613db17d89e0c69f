"""Every mistake at the command line gets one clear sentence, an exit code, and changes nothing.

`mistakes.txt` holds the command lines with what is said about them; `{repo}`, `{pipeline}` and `{tmp}` are places.
"""

import re
import shlex
from pathlib import Path

import pytest

from cli.conftest import make_workshop
from cli.programs import HERE, run_program

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
    assert len(MISTAKES) >= 55
    assert len(MISTAKES) == TRANSCRIPT.count("$ ")


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


def test_the_traceback_is_there_for_who_asks(workshop):
    made, _ = workshop
    ended = run_program("pipetask", "--traceback", "run", "-b", made.repo, "-i", "inn", "-o", "out", path=(HERE,))
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert ended.err.rstrip().endswith("no collection is called `inn`; did you mean `in`?")
