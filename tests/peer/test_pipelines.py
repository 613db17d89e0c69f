"""Tasks, configs and pipelines against the peer: what one writes the other reads, and both make the same of a file."""

import io
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from armillary.pipeline import Pipeline, QuantumAttemptStatus, QuantumSuccessCaveats, TaskMetadata
from armillary.pipeline.packages import Packages

TASKS = textwrap.dedent("""
    import lsst.pipe.base as pb
    from lsst.pex.config import Field, ListField
    from lsst.pipe.base import connectionTypes as cT

    D = ("instrument", "visit", "detector")

    class OneConnections(pb.PipelineTaskConnections, dimensions=D, defaultTemplates={"p": "P"}):
        a = cT.Input(name="{p}a", storageClass="StructuredDataDict", doc="a", dimensions=D)
        o = cT.Output(name="{p}o", storageClass="StructuredDataDict", doc="o", dimensions=D)
        s = cT.InitOutput(name="schema", storageClass="StructuredDataDict", doc="s")

    class OneConfig(pb.PipelineTaskConfig, pipelineConnections=OneConnections):
        k = Field(doc="k", dtype=int, default=1)
        f = Field(doc="f", dtype=float, default=float("inf"))
        text = Field(doc="text", dtype=str, default="it's")
        words = ListField(doc="words", dtype=str, default=["a"])

    class OneTask(pb.PipelineTask):
        ConfigClass = OneConfig
        _DefaultName = "one"

    class TwoConnections(pb.PipelineTaskConnections, dimensions=("instrument", "visit")):
        o = cT.Input(name="Po", storageClass="StructuredDataDict", doc="o", dimensions=D, multiple=True)
        e = cT.Output(name="end", storageClass="StructuredDataDict", doc="e", dimensions=("instrument", "visit"))

    class TwoConfig(pb.PipelineTaskConfig, pipelineConnections=TwoConnections):
        k = Field(doc="k", dtype=int, default=1)

    class TwoTask(pb.PipelineTask):
        ConfigClass = TwoConfig
        _DefaultName = "two"
""")

PIPELINE = textwrap.dedent("""
    description: two tasks
    parameters: {n: 4, w: [x, 'y']}
    tasks:
      zz:
        class: peer_tasks.OneTask
        config:
          - k: parameters.n
            words: parameters.w
            text: "'quoted'"
          - python: |
              limit = 7
              config.connections.p = "Q"
          - f: '1.5'
            words: [limit, "two"]
            python: limit = "nine"
      aa: {class: peer_tasks.TwoTask, config: {connections.o: Qo, k: ' 5 '}}
    subsets:
      both: [zz, aa]
""")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "peer_tasks.py").write_text(TASKS)
    return tmp_path


def run_ours(code, folder):
    """Run code as a user of the peer's names would."""
    program = f"from armillary import lsst_alias; lsst_alias.activate()\n{textwrap.dedent(code)}"
    path = [*sys.path, str(folder)]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {path!r}\n{program}"],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_theirs(run_peer, code, folder):
    start = f"import sys, os; sys.path.insert(0, {str(folder)!r}); os.chdir({str(folder)!r})\n"
    return run_peer(start + textwrap.dedent(code))


def test_caveats_are_spelt_as_the_peer_spells_them(run_peer):
    code = """
        import json
        from lsst.pipe.base import QuantumSuccessCaveats as Q, QuantumAttemptStatus as A
        caveats = {f.name: f.value for f in Q}
        states = {a.name: [a.value, a.has_log, a.has_metadata, a.is_rare, a.title] for a in A}
        print(json.dumps([[Q(i).concise() for i in range(128)], caveats, states]))
    """
    letters, caveats, states = json.loads(run_peer(textwrap.dedent(code)))
    assert [QuantumSuccessCaveats(number).concise() for number in range(128)] == letters
    assert {flag.name: flag.value for flag in QuantumSuccessCaveats} == caveats
    ours = {a.name: [a.value, a.has_log, a.has_metadata, a.is_rare, a.title] for a in QuantumAttemptStatus}
    assert ours == states


def test_metadata_is_read_both_ways(run_peer):
    values = {"a": 1, "b": True, "c": 2.5, "d": "x", "e": [1, 2], "n": {"deep": {"s": ["p", "q"]}}}
    text = TaskMetadata.from_dict(values).model_dump_json()
    code = """
        import sys
        from lsst.pipe.base import TaskMetadata
        read = TaskMetadata.model_validate_json(sys.argv[1])
        made = TaskMetadata.from_dict(read.to_dict())
        print(made.model_dump_json())
    """
    theirs = run_peer(textwrap.dedent(code), text)
    assert TaskMetadata.model_validate_json(theirs).to_dict() == values  # 1 == 1.0 == True
    fresh = run_peer(
        f"from lsst.pipe.base import TaskMetadata\nprint(TaskMetadata.from_dict({values!r}).model_dump_json(), end='')"
    )
    assert fresh == text


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_versions_are_read_both_ways(run_peer, tmp_path, form):
    ours = Packages({"numpy": "2.1", "python": "3.11.7", "odd": "1:2 #x"})
    (tmp_path / "ours").write_bytes(ours.toBytes(form))
    code = """
        import sys
        from lsst.utils.packages import Packages
        read = Packages.fromBytes(open(sys.argv[1], "rb").read(), sys.argv[3])
        read["more"] = "7"
        open(sys.argv[2], "wb").write(read.toBytes(sys.argv[3]))
    """
    run_peer(textwrap.dedent(code), str(tmp_path / "ours"), str(tmp_path / "theirs"), form)
    assert Packages.fromBytes((tmp_path / "theirs").read_bytes(), form) == {**ours, "more": "7"}


SAVE = """
    import peer_tasks, sys
    config = peer_tasks.OneConfig()
    config.k = 7
    config.words = ["it's", "b"]
    config.connections.p = "QQ"
    config.saveToStream(open("{name}", "w"))
"""
LOAD = """
    import peer_tasks
    config = peer_tasks.OneConfig()
    config.load("{name}")
    print(config.k, list(config.words), config.connections.p, config.connections.o, config.f)
"""
LOADED = "7 [\"it's\", 'b'] QQ {p}o inf\n"


def test_our_configs_are_read_by_the_peer(run_peer, folder):
    run_ours(SAVE.format(name="ours.py"), folder)
    assert run_theirs(run_peer, LOAD.format(name="ours.py"), folder) == LOADED


def test_configs_of_the_peer_are_read_by_us(run_peer, folder):
    run_theirs(run_peer, SAVE.format(name="theirs.py"), folder)
    assert run_ours(LOAD.format(name="theirs.py"), folder) == LOADED


def test_stored_configs_set_the_same_fields_in_the_same_order(run_peer, folder):
    run_ours(SAVE.format(name="ours.py"), folder)
    run_theirs(run_peer, SAVE.format(name="theirs.py"), folder)

    def fields(name):
        return [line for line in Path(folder / name).read_text().splitlines() if line.startswith("config.")]

    ours, theirs = fields("ours.py"), fields("theirs.py")
    assert sorted(ours) == sorted(theirs)
    top = [line for line in theirs if not line.startswith("config.connections.")]
    assert [line for line in ours if not line.startswith("config.connections.")] == top


SHOW = """
    import json
    from lsst.pipe.base import Pipeline
    graph = Pipeline.from_uri("p.yaml{selection}").to_graph()
    made = {{}}
    for label, node in graph.tasks.items():
        config = node.config
        made[label] = [
            {{f: getattr(config, f) for f in ("k", "f", "text") if hasattr(config, f)}},
            list(getattr(config, "words", [])),
            sorted(node.raw_dimensions),
            {{n: [e.dataset_type_name, e.storage_class_name] for n, e in sorted(node.inputs.items())}},
            {{n: [e.dataset_type_name, e.storage_class_name] for n, e in sorted(node.outputs.items())}},
            {{n: e.dataset_type_name for n, e in node.init.outputs.items()}},
        ]
    print(json.dumps([list(graph.tasks), list(graph.dataset_types), made]))
"""


@pytest.mark.parametrize("selection", ["", "#zz", "#both", "#zz..", "#..aa"])
def test_pipelines_mean_the_same(run_peer, folder, selection):
    # The peer reads ` 5 ` as text, and refuses it for an integer: both read the same file without blanks.
    (folder / "p.yaml").write_text(PIPELINE.replace("' 5 '", "'5'"))
    code = SHOW.format(selection=selection)
    assert json.loads(run_ours(code, folder)) == json.loads(run_theirs(run_peer, code, folder))


def test_text_with_blanks_is_no_number(folder):
    (folder / "p.yaml").write_text(PIPELINE)
    with pytest.raises(AssertionError, match="incorrect type"):
        run_ours(SHOW.format(selection=""), folder)


def test_printed_pipelines_are_read_by_the_peer(run_peer, folder):
    (folder / "p.yaml").write_text(PIPELINE.replace("' 5 '", "'5'"))
    (folder / "ours.yaml").write_text(str(Pipeline.from_uri(str(folder / "p.yaml"))))
    code = """
        from lsst.pipe.base import Pipeline
        print(Pipeline.from_uri("ours.yaml") == Pipeline.from_uri("p.yaml"))
    """
    assert run_theirs(run_peer, code, folder) == "True\n"


def test_messages_of_yaml_say_where(folder):
    stream = io.StringIO()
    stream.write("description: x\ntasks:\n  a: [\n")
    with pytest.raises(ValueError, match="line 4"):
        Pipeline.fromString(stream.getvalue())
