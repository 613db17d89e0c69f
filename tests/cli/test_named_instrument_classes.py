"""A repository names classes of instruments. Their code runs for who asks for what they do, and for nobody else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from armillary.butler import Butler, CollectionType, FileDataset
from armillary.instrument import Instrument
from armillary.pipeline.quantum_graph import PredictedQuantumGraph
from cli.programs import butler as butler_command
from cli.programs import pipetask

CODE = """\
import os, pathlib
pathlib.Path(os.environ["MARK"]).write_text("imported")
"""


@pytest.fixture
def marked(workshop, monkeypatch):
    """A repository whose instrument names a class in a module that can be imported, and whose import shows."""
    (workshop.folder / "elsewhere").mkdir()
    (workshop.folder / "elsewhere" / "telling_camera.py").write_text(CODE)
    monkeypatch.setenv("MARK", str(workshop.folder / "mark"))
    monkeypatch.syspath_prepend(str(workshop.folder / "elsewhere"))
    monkeypatch.delitem(sys.modules, "telling_camera", raising=False)
    name_class(workshop.repo, "telling_camera.Camera")
    return workshop


def name_class(repo, name):
    with Butler(repo, writeable=True) as butler:
        (record,) = butler.query_dimension_records("instrument", instrument="Cam")
        row = record.toDict() | {"class_name": name}
        butler.registry.syncDimensionData("instrument", row, update=True)


def was_imported(workshop):
    return (workshop.folder / "mark").exists()


def test_the_import_shows(marked):
    with Butler(marked.repo) as butler, pytest.raises(ImportError, match="has no `Camera`"):
        Instrument.fromName("Cam", butler.registry)
    assert was_imported(marked)


def test_using_a_repository_imports_no_class_it_names(marked, tmp_path):
    with Butler(marked.repo, writeable=True, run="u/new", instrument="Cam") as butler:
        butler.put({"a": 1}, "summary")
        assert butler.get("summary") == {"a": 1}
        (ref,) = butler.query_datasets("summary", "u/new", with_dimension_records=True)
        assert ref.dataId.records["instrument"].class_name == "telling_camera.Camera"
        assert butler.query_data_ids(["visit", "detector"], where="instrument = 'Cam' AND visit.exposure_time > 1")
        (tmp_path / "x.yaml").write_text("b: 2\n")
        other = ref.dataId
        butler.collections.register("u/taken", CollectionType.RUN)
        taken = type(ref)(ref.datasetType, other, run="u/taken")
        butler.ingest(FileDataset(str(tmp_path / "x.yaml"), taken), transfer="copy")
        (tmp_path / "exported").mkdir()
        with butler.export(directory=str(tmp_path / "exported"), format="yaml", transfer="copy") as export:
            export.saveDatasets([ref, taken])
        Butler.makeRepo(tmp_path / "other")
        with Butler(tmp_path / "other", writeable=True) as target:
            options = {"register_dataset_types": True, "transfer_dimensions": True, "transfer": "copy"}
            assert len(target.transfer_from(butler, [ref, taken], **options)) == 2
        Butler.makeRepo(tmp_path / "third")
        with Butler(tmp_path / "third", writeable=True) as target:
            target.import_(directory=str(tmp_path / "exported"), filename="export.yaml", transfer="copy")
            assert target.get("summary", instrument="Cam", collections="u/new") == {"a": 1}
        butler.pruneDatasets([taken], purge=True, unstore=True, disassociate=True)
    assert not was_imported(marked)


@pytest.mark.parametrize(
    "words",
    [
        ["query-dimension-records", "{repo}", "instrument"],
        ["query-data-ids", "{repo}", "instrument", "visit"],
        ["query-datasets", "{repo}", "*", "--collections", "in"],
        ["query-collections", "{repo}"],
        ["query-dataset-types", "{repo}"],
        ["fsck", "{repo}"],
    ],
)
def test_commands_that_list_import_no_class(marked, words):
    ended = butler_command(*[word.format(repo=marked.repo) for word in words])
    assert ended.code == 0, ended.err
    assert not was_imported(marked)


def test_graphs_are_built_loaded_shown_and_run_without_the_class(marked):
    graph = marked.folder / "graph.qg"
    words = ["-b", marked.repo, "-i", "in", "--output-run", "out"]
    ended = pipetask("qgraph", "-p", marked.pipeline, *words, "-q", graph)
    assert ended.code == 0, ended.err
    with PredictedQuantumGraph.open(graph) as reader:
        reader.read_all()
        assert len(reader.finish()) == 6
    ended = pipetask("run", "-b", marked.repo, "-g", graph, "--output-run", "out", "--register-dataset-types")
    assert ended.code == 0, ended.err
    assert not was_imported(marked)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pathlib.Path", "`pathlib.Path` is no instrument class"),
        ("json.dumps", "`json.dumps` is no instrument class"),
        ("json.Camera", "the module `json` has no `Camera`"),
        ("cameras_of_nobody.Camera", "no module is called `cameras_of_nobody`"),
        ("json.cameras.Camera", "no module is called `json.cameras`"),
        ("Camera", "`Camera` is no dotted name of a class"),
        ("..", "`..` is no dotted name of a class"),
        (".Camera", "`.Camera` is no dotted name of a class"),
        ("json..Camera", "`json..Camera` is no dotted name of a class"),
    ],
)
def test_what_is_no_instrument_class_is_refused_in_a_sentence(workshop, name, message):
    name_class(workshop.repo, name)
    ended = butler_command("define-visits", workshop.repo, "Cam")
    assert ended.code == 1
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_a_module_that_is_missing_is_told_with_what_to_do(workshop):
    name_class(workshop.repo, "cameras_of_nobody.Camera")
    ended = butler_command("define-visits", workshop.repo, "Cam")
    assert "install its package, or put its folder on PYTHONPATH" in ended.err
    (workshop.folder / "frames").mkdir()
    ended = butler_command("ingest-raws", workshop.repo, workshop.folder / "frames")
    assert ended.code == 1
    assert "no registered instrument has a class that can be imported" in ended.err
    assert "no module is called `cameras_of_nobody`" in ended.err


def test_a_module_that_fails_says_which_class_it_was_for(workshop, monkeypatch):
    (workshop.folder / "torn_camera.py").write_text("import a_module_of_nobody\n")
    name_class(workshop.repo, "torn_camera.Camera")
    ended = butler_command("define-visits", workshop.repo, "Cam", path=[workshop.folder])
    assert ended.code == 1
    assert "a_module_of_nobody" in ended.err
    assert "torn_camera.Camera" in ended.err


@pytest.mark.parametrize(
    "words", [["define-visits", "{repo}", "Cam"], ["query-dimension-records", "{repo}", "instrument"]]
)
def test_the_command_imports_nothing_from_the_folder_it_is_called_in(marked, words):
    program = shutil.which("butler", path=str(Path(sys.executable).parent))
    assert program is not None, "the package is not installed"
    ended = subprocess.run(
        [program, *[word.format(repo=marked.repo) for word in words]],
        cwd=marked.folder / "elsewhere",
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert not was_imported(marked)
    assert "Traceback" not in ended.stderr
    if words[0] == "define-visits":
        assert ended.returncode == 1
        assert "no module is called `telling_camera`" in ended.stderr
    else:
        assert ended.returncode == 0, ended.stderr
