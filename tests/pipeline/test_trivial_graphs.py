"""Graphs of given data IDs: one quantum of each task, without a query."""

import logging

import pytest

from armillary.butler import Butler, DataCoordinate, DatasetIdGenEnum, DatasetRef
from armillary.errors import (
    DataIdValueError,
    DimensionNameError,
    OutputExistsError,
    QuantumGraphBuilderError,
    ScalarError,
)
from armillary.pipeline import (
    NoWorkFound,
    Pipeline,
    PipelineTask,
    PipelineTaskConfig,
    PipelineTaskConnections,
)
from armillary.pipeline import connectionTypes as cT
from armillary.pipeline.quantum_graph import PredictedQuantumGraph
from armillary.pipeline.tests.mocks import DynamicConnectionConfig, InMemoryRepo
from armillary.pipeline.trivial_quantum_graph_builder import TrivialQuantumGraphBuilder
from cli.programs import butler, pipetask
from reports import moody

IMAGE = ["visit", "detector"]


class PickyConnections(PipelineTaskConnections, dimensions=IMAGE):
    image = cT.Input(name="image", doc="", storageClass="StructuredDataDict", dimensions=IMAGE, multiple=True)
    out = cT.Output(name="picked", doc="", storageClass="StructuredDataDict", dimensions=IMAGE)

    def adjustQuantum(self, inputs, outputs, label, data_id):
        connection, refs = inputs["image"]
        assert refs[0].dataId == data_id
        if len(refs) == 1:
            raise NoWorkFound("nothing but its own")
        return {"image": (connection, refs[1:])}, {}


class PickyConfig(PipelineTaskConfig, pipelineConnections=PickyConnections):
    pass


class PickyTask(PipelineTask):
    """Does not want the image of its own data ID."""

    ConfigClass = PickyConfig
    _DefaultName = "picky"


@pytest.fixture
def repo():
    """Two tasks, by visit and detector and by detector, and mocks of what the first reads."""
    with InMemoryRepo("base.yaml", "spatial.yaml") as repo:
        image = DynamicConnectionConfig(dataset_type_name="image", dimensions=IMAGE, multiple=True)
        catalog = DynamicConnectionConfig(dataset_type_name="catalog", dimensions=["htm7"], multiple=True, minimum=0)
        middle = DynamicConnectionConfig(dataset_type_name="middle", dimensions=IMAGE, multiple=True)
        last = DynamicConnectionConfig(dataset_type_name="last", dimensions=["detector"])
        repo.add_task(
            "one",
            dimensions=IMAGE,
            inputs={"image": image},
            prerequisite_inputs={"catalog": catalog},
            outputs={"middle": middle},
        )
        repo.add_task("two", dimensions=["detector"], inputs={"middle": middle}, outputs={"last": last})
        repo.make_quantum_graph_builder()
        yield repo


def data_ids_of(repo, visit=1, detector=1):
    image = repo.butler.registry.expandDataId(instrument="Cam1", visit=visit, detector=detector)
    number = image.subset(repo.butler.dimensions.conform(["detector"]))
    return {image.dimensions: image, number.dimensions: number}


def make(repo, data_ids=None, **options):
    options = {"input_collections": ["input_chain"], "output_run": "run"} | options
    pipeline = repo.pipeline_graph
    return TrivialQuantumGraphBuilder(pipeline, repo.butler, data_ids=data_ids or data_ids_of(repo), **options)


def graph_of(*arguments, **options):
    return make(*arguments, **options).finish(attach_datastore_records=False).assemble()


def quantum(graph, label):
    (found,) = graph.build_execution_quanta(task_label=label).values()
    return found


def short(refs):
    """Visit, detector and run of references."""
    return [(ref.dataId["visit"], ref.dataId["detector"], ref.run) for ref in refs]


def insert(repo, name, run, visit=1, detector=1):
    repo.butler.collections.register(run)
    dataset_type = repo.pipeline_graph.dataset_types[name].dataset_type
    data_id = {"instrument": "Cam1", "visit": visit, "detector": detector}
    required = {key: data_id[key] for key in dataset_type.dimensions.required}
    (ref,) = repo.butler.registry.insertDatasets(dataset_type, [required], run)
    return ref


def test_there_is_one_quantum_of_each_task(repo):
    graph = graph_of(repo)
    assert dict(graph.header.n_task_quanta) == {"one": 1, "two": 1}
    one, two = quantum(graph, "one"), quantum(graph, "two")
    assert short(one.inputs["image"]) == [(1, 1, "input_run")]
    assert [ref.id for ref in one.outputs["middle"]] == [ref.id for ref in two.inputs["middle"]]
    assert two.dataId.required_values == ("Cam1", 1)
    assert one.dataId.region is not None
    assert all(ref.dataId.hasRecords() for ref in one.inputs["image"])


def test_a_query_gives_the_same_graph(repo):
    """Prerequisites are found by the region of the quantum here, too."""
    builder = repo.make_quantum_graph_builder(output_run="run", insert_mocked_inputs=False)
    builder._options["where"] = "instrument='Cam1' AND visit=1 AND detector=1"
    asked = builder.finish(attach_datastore_records=False).assemble()
    given = graph_of(repo)

    def plain(graph):
        quanta = {label: quantum(graph, label) for label in ("one", "two")}
        return {
            label: (
                found.dataId.mapping,
                {key: [ref.id for ref in refs] for key, refs in found.inputs.items() if key != "middle"},
                {key: [(ref.dataId.mapping, ref.run) for ref in refs] for key, refs in found.outputs.items()},
            )
            for label, found in quanta.items()
        }

    assert plain(asked) == plain(given)
    assert len(quantum(given, "one").inputs["catalog"]) > 1


def test_it_runs_what_was_saved(repo, tmp_path):
    components = make(repo).finish(attach_datastore_records=False)
    components.write(tmp_path / "trivial.qg")
    with PredictedQuantumGraph.open(tmp_path / "trivial.qg") as reader:
        reader.read_all()
        graph = reader.finish()
    executor, limited = repo.make_single_quantum_executor()
    for label in ("one", "two"):
        executor.execute(repo.pipeline_graph.tasks[label], quantum(graph, label))
    (made,) = limited.get_datasets("last").values()
    assert [tuple(one.data_id[key] for key in IMAGE) for one in made.quantum.inputs["middle"]] == [(1, 1)]


def test_given_datasets_come_to_those_that_are_found(repo):
    (other,) = repo.butler.query_datasets("image", "input_chain", instrument="Cam1", visit=2, detector=3)
    before = insert(repo, "middle", "earlier", detector=2)
    later = insert(repo, "middle", "earlier", visit=2)
    refs = {"one": {"image": [other, other]}, "two": {"middle": [later, before]}}
    graph = graph_of(repo, input_refs=refs)
    assert short(quantum(graph, "one").inputs["image"]) == [(1, 1, "input_run"), (2, 3, "input_run")]
    # In the order of the data IDs, whose values are instrument, detector, visit.
    found = quantum(graph, "two").inputs["middle"]
    assert short(found) == [(1, 1, "run"), (2, 1, "earlier"), (1, 2, "earlier")]
    assert [ref.id for ref in found[1:]] == [later.id, before.id]
    assert short(quantum(graph, "one").outputs["middle"]) == [(1, 1, "run")]


def test_a_given_dataset_takes_the_place_of_one_with_its_data_id(repo):
    other = insert(repo, "image", "elsewhere")
    graph = graph_of(repo, input_refs={"one": {"image": [other]}})
    assert [ref.id for ref in quantum(graph, "one").inputs["image"]] == [other.id]
    made_before = insert(repo, "middle", "elsewhere")
    graph = graph_of(repo, input_refs={"two": {"middle": [made_before]}})
    assert short(quantum(graph, "two").inputs["middle"]) == [(1, 1, "run")]


def test_given_prerequisites_come_to_those_of_the_region(repo):
    near = {ref.dataId["htm7"] for ref in quantum(graph_of(repo), "one").inputs["catalog"]}
    far = [ref for ref in repo.butler.query_datasets("catalog", "input_chain") if ref.dataId["htm7"] not in near]
    graph = graph_of(repo, input_refs={"one": {"catalog": far[:1]}})
    pixels = [ref.dataId["htm7"] for ref in quantum(graph, "one").inputs["catalog"]]
    assert pixels == sorted({*near, far[0].dataId["htm7"]})


def test_there_is_no_quantum_without_inputs(repo):
    repo.butler.collections.register("empty")
    assert dict(graph_of(repo, input_collections=["empty"]).header.n_task_quanta) == {"one": 0, "two": 0}
    (other,) = repo.butler.query_datasets("image", "input_chain", instrument="Cam1", visit=2, detector=3)
    graph = graph_of(repo, input_collections=["empty"], input_refs={"one": {"image": [other]}})
    assert short(quantum(graph, "one").inputs["image"]) == [(2, 3, "input_run")]
    assert dict(graph.header.n_task_quanta) == {"one": 1, "two": 1}


def test_data_ids_of_different_groups_need_not_agree(repo):
    number = DataCoordinate.standardize(instrument="Cam1", detector=4, universe=repo.butler.dimensions)
    graph = graph_of(repo, data_ids_of(repo) | {number.dimensions: number})
    assert short(quantum(graph, "two").inputs["middle"]) == [(1, 1, "run")]
    assert quantum(graph, "two").dataId["detector"] == 4


def test_ids_are_made_as_asked_for(repo):
    mode = DatasetIdGenEnum.DATAID_TYPE_RUN
    modes = {"middle": mode, "two_metadata": DatasetIdGenEnum.DATAID_TYPE, "last": DatasetIdGenEnum.UNIQUE, "x": mode}
    first, second = (graph_of(repo, dataset_id_modes=modes) for _ in range(2))
    ids = [
        [refs[0].id for label in ("one", "two") for refs in quantum(graph, label).outputs.values()]
        for graph in (first, second)
    ]
    assert [one.version for one in ids[0]] == [5, 7, 7, 7, 5, 7]
    assert [one == other for one, other in zip(*ids, strict=True)] == [True, False, False, False, True, False]
    dataset_type = repo.pipeline_graph.dataset_types["middle"].dataset_type
    data_id = quantum(first, "one").dataId
    assert ids[0][0] == DatasetRef(dataset_type, data_id, "run", id_generation_mode=mode).id


def test_what_is_done_is_skipped_or_replaced(repo):
    middle = insert(repo, "middle", "run")
    with pytest.raises(OutputExistsError, match="`run`"):
        make(repo).finish()
    assert quantum(graph_of(repo, clobber=True), "one").outputs["middle"][0].id == middle.id
    with pytest.raises(QuantumGraphBuilderError, match="another id than it is to get; remove it"):
        graph_of(repo, dataset_id_modes={"middle": DatasetIdGenEnum.DATAID_TYPE_RUN})
    insert(repo, "one_metadata", "run")
    graph = graph_of(repo, skip_existing_in=["run"], output_run="next")
    assert dict(graph.header.n_task_quanta) == {"one": 0, "two": 1}
    assert short(quantum(graph, "two").inputs["middle"]) == [(1, 1, "run")]


def test_hooks_see_what_was_given():
    with InMemoryRepo("base.yaml", "spatial.yaml") as repo:
        repo.pipeline_graph.add_task("picky", PickyTask)
        repo.make_quantum_graph_builder()
        (other,) = repo.butler.query_datasets("image", "input_chain", instrument="Cam1", visit=2, detector=3)
        graph = graph_of(repo, input_refs={"picky": {"image": [other]}})
        assert short(quantum(graph, "picky").inputs["image"]) == [(2, 3, "input_run")]
        assert dict(graph_of(repo).header.n_task_quanta) == {"picky": 0}


def test_missing_and_wrong_data_ids_are_told(repo):
    given = data_ids_of(repo)
    image, number = given
    for left, what in ((image, "task `two`"), (number, "task `one`")):
        with pytest.raises(DimensionNameError, match=f"no data ID of .* which {what} needs"):
            make(repo, {left: given[left]})
    with pytest.raises(KeyError, match="lacks `visit`"):
        make(repo, given | {image: given[number]})
    unknown = DataCoordinate.standardize(instrument="Cam1", visit=77, detector=1, universe=repo.butler.dimensions)
    with pytest.raises(DataIdValueError, match="77"):
        make(repo, given | {image: unknown})
    with pytest.raises(TypeError, match="are groups of dimensions"):
        make(repo, {("visit", "detector"): given[image]})


def test_wrong_inputs_are_told(repo, caplog):
    (other,) = repo.butler.query_datasets("image", "input_chain", instrument="Cam1", visit=2, detector=3)
    for refs, error, text in (
        ({"two": {"middle": [other]}}, ValueError, "`two.middle` is of dataset type `middle`, and was given `image`"),
        ({"one": {"image": ["x"]}}, TypeError, "`one.image` takes references, not `'x'`"),
        ({"one": {"image": other}}, TypeError, "put the one in a list"),
    ):
        with pytest.raises(error, match=text):
            make(repo, input_refs=refs)
    with caplog.at_level(logging.WARNING):
        graph = graph_of(repo, input_refs={"on": {"image": [other]}, "one": {"imag": [other], "middle": [other]}})
    assert caplog.messages == [
        "Inputs of task `on` are not used: the pipeline has no such task.",
        "Datasets for `one.imag` are not used: it is no input.",
    ]
    assert short(quantum(graph, "one").inputs["image"]) == [(1, 1, "input_run")]


def test_too_many_inputs_are_told():
    with InMemoryRepo("base.yaml") as repo:
        repo.add_task("one", dimensions=["detector"])
        repo.make_quantum_graph_builder()
        refs = repo.butler.query_datasets("dataset_auto0", "input_chain")
        data_id = repo.butler.registry.expandDataId(instrument="Cam1", detector=1)
        with pytest.raises(ScalarError, match="takes one dataset and has 4"):
            graph_of(repo, {data_id.dimensions: data_id}, input_refs={"one": {"input_connection": refs}})


def test_options_that_have_no_place_are_told(repo):
    for name in ("where", "bind", "data_id", "data_id_tables", "dataset_query_constraint"):
        with pytest.raises(TypeError, match=f"`{name}` has no place here"):
            make(repo, **{name: "x"})
    with pytest.raises(ValueError, match="not a valid DatasetIdGenEnum"):
        make(repo, dataset_id_modes={"middle": "random"})
    with pytest.raises(TypeError, match="nothing"):
        make(repo, nothing=1)


def build_moody(root, path):
    """Save the graph of one detector in one night, which also reads what an earlier run made of other nights."""
    with Butler(root, writeable=True) as repository:
        graph = Pipeline.fromString(moody.PIPELINE).to_graph(repository.registry)
        earlier = repository.query_datasets("first_out", "earlier", where="instrument='Cam' AND detector=2")
        night = repository.registry.expandDataId(instrument="Cam", detector=2, day_obs=20250102)
        number = night.subset(repository.dimensions.conform(["detector"]))
        builder = TrivialQuantumGraphBuilder(
            graph,
            repository,
            data_ids={night.dimensions: night, number.dimensions: number},
            input_refs={"second": {"first": earlier}},
            input_collections=["in"],
            output_run="u/me/run",
        )
        components = builder.finish(output="u/me")
        assert dict(components.header.n_task_quanta) == {"first": 1, "second": 1}
        components.write(path)


def make_moody(folder):
    """Make a repository with an earlier run, and the graph file."""
    moody.make_repository(folder / "repo")
    (folder / "moody.yaml").write_text(moody.PIPELINE)
    words = ["-b", folder / "repo", "-p", folder / "moody.yaml#first", "-i", "in", "--output-run", "earlier"]
    ended = pipetask("run", *words, "--register-dataset-types")
    assert ended.code == 0, ended.err
    moody.in_a_copy(build_moody, folder / "repo", folder / "trivial.qg")


def test_a_saved_graph_runs_without_the_registry(tmp_path):
    make_moody(tmp_path)
    ended = pipetask("run-qbb", tmp_path / "repo", tmp_path / "trivial.qg")
    assert ended.code == 0, ended.err
    with Butler(tmp_path / "repo", writeable=True) as repository:
        assert "u/me/run" not in repository.collections.query("*")
    words = [tmp_path / "trivial.qg", tmp_path / "repo", "--register-dataset-types"]
    assert butler("transfer-from-graph", *words).code == 0
    with Butler(tmp_path / "repo", collections=["u/me/run"]) as repository:
        assert repository.get("second_out", instrument="Cam", detector=2) == {"sum": 2.0 + 4.0 + 6.0}


def test_a_saved_graph_runs_with_the_registry(tmp_path):
    make_moody(tmp_path)
    ended = pipetask("run", "-b", tmp_path / "repo", "-g", tmp_path / "trivial.qg", "--register-dataset-types")
    assert ended.code == 0, ended.err
    with Butler(tmp_path / "repo", collections=["u/me"]) as repository:
        assert repository.get("second_out", instrument="Cam", detector=2) == {"sum": 12.0}
