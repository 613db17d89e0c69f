"""Graphs write what belongs to their run under the ids that they foretell, with a registry and without."""

import pytest

from armillary.butler import Butler
from armillary.config import ButlerConfig
from armillary.errors import ConflictingDefinitionError, RepositoryNotFoundError
from armillary.pipeline.quantum_graph import PredictedQuantumGraph
from cli.programs import butler, pipetask
from reports import moody

RUN = "u/me/run"
WRITERS = ("write_packages", "write_configs", "write_init_outputs")


@pytest.fixture
def place(tmp_path):
    moody.make_repository(tmp_path / "repo")
    moody.in_a_copy(build, tmp_path / "repo", tmp_path / "run.qg")
    return tmp_path


def build(root, path):
    with Butler(root, writeable=True) as repository:
        moody.build(repository, RUN, path)


def graph_at(path):
    with PredictedQuantumGraph.open(path) as reader:
        reader.read_all()
        return reader.finish()


def init_outputs(graph):
    return [ref for label in ("", "first", "second") for ref in graph.get_init_outputs(label).values()]


def write_without_registry(place, older):
    graph = graph_at(place / "run.qg")
    writing = graph.to_old_quantum_graph() if older else graph
    files = writing.make_init_qbb(place / "repo")
    refs = init_outputs(graph)
    assert {ref.datasetType.name for ref in refs} == {"packages", "first_config", "first_schema", "second_config"}
    written = 0
    for name, number in zip(WRITERS, (1, 2, 1), strict=True):
        getattr(writing, name)(files)
        written += number
        assert sum(files.stored_many(refs).values()) == written
        getattr(writing, name)(files)
        with pytest.raises(ConflictingDefinitionError, match="already"):
            getattr(writing, name)(files, False)
    writing.init_output_run(files)
    with pytest.raises(ConflictingDefinitionError, match="already"):
        writing.init_output_run(files, existing=False)
    again = graph.make_init_qbb(ButlerConfig(place / "repo"))
    assert again.get(graph.get_init_outputs("first")["schema"]) == {"columns": ["v"]}


@pytest.mark.parametrize("older", [False, True])
def test_without_a_registry(place, older):
    moody.in_a_copy(write_without_registry, place, older)
    ended = pipetask("run-qbb", place / "repo", place / "run.qg")
    assert ended.code == 0, ended.err
    words = [place / "run.qg", place / "repo", "--register-dataset-types"]
    assert butler("transfer-from-graph", *words).code == 0
    with Butler(place / "repo", collections=[RUN]) as repository:
        for ref in init_outputs(graph_at(place / "run.qg")):
            assert repository.find_dataset(ref.datasetType.name).id == ref.id
        assert repository.get("first_schema") == {"columns": ["v"]}


def write_with_registry(place):
    graph = graph_at(place / "run.qg")
    with Butler(place / "repo", writeable=True, run=RUN) as repository:
        graph.pipeline_graph.register_dataset_types(repository)
        graph.init_output_run(repository)
        graph.init_output_run(repository)
        with pytest.raises(ConflictingDefinitionError, match="already"):
            graph.write_configs(repository, compare_existing=False)
        for ref in init_outputs(graph):
            assert repository.find_dataset(ref.datasetType.name, collections=[RUN]).id == ref.id


def test_with_a_registry(place):
    moody.in_a_copy(write_with_registry, place)
    ended = pipetask("run", "-b", place / "repo", "-g", place / "run.qg", "--extend-run", "--register-dataset-types")
    assert ended.code == 0, ended.err


def refuse_another_config(place):
    graph = graph_at(place / "run.qg")
    changed = type(graph._imported().tasks["second"].config)()
    changed.scale = 3.0
    graph.make_init_qbb(place / "repo").put(changed, graph.get_init_outputs("second")["_config"])
    with pytest.raises(ConflictingDefinitionError, match="`scale`"):
        graph.write_configs(graph.make_init_qbb(place / "repo"))


def test_another_config_is_refused(place):
    moody.in_a_copy(refuse_another_config, place)


def test_a_repository_that_is_not_there_is_told(place):
    with pytest.raises(RepositoryNotFoundError, match="nowhere"):
        graph_at(place / "run.qg").make_init_qbb(place / "nowhere")


def test_metadata_that_cannot_be_written_fail_their_quanta_only(place):
    """As on a full disk; here a file stands where the folder of one night's metadata would be."""
    in_the_way = place / "repo" / RUN / "first_metadata" / "20250101"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("not a folder")
    ended = pipetask("run-qbb", place / "repo", place / "run.qg")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert "error: task `first` failed" in ended.err
    assert "8 quanta: 6 finished, 2 failed" in ended.err
    assert len(list(in_the_way.parent.rglob("*.json"))) == 4
    in_the_way.unlink()
    again = pipetask("run-qbb", place / "repo", place / "run.qg")
    assert again.code == 0, again.err
    assert "2 finished" in again.err
    assert len(list(in_the_way.parent.rglob("*.json"))) == 6
