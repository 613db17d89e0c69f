"""Graphs of given data IDs: those of the peer, from one script under both, and the peer runs what we wrote."""

import os
import subprocess
from pathlib import Path

from armillary.butler import Butler
from cli.programs import butler
from peer.either_script import assert_equal_under_both
from pipeline.test_trivial_graphs import make_moody
from reports import moody

SCRIPT = """
from lsst.daf.butler import DatasetIdGenEnum
from lsst.pipe.base.tests.mocks import DynamicConnectionConfig as Connection, InMemoryRepo
from lsst.pipe.base.trivial_quantum_graph_builder import TrivialQuantumGraphBuilder

IMAGE = ["visit", "detector"]
repo = InMemoryRepo("base.yaml", "spatial.yaml")
repo.add_task(
    "a",
    dimensions=IMAGE,
    inputs={"i": Connection(dataset_type_name="image", dimensions=IMAGE, multiple=True)},
    prerequisite_inputs={
        "c": Connection(dataset_type_name="catalog", dimensions=["htm7"], multiple=True, minimum=0),
        "f": Connection(dataset_type_name="own_flat", dimensions=["detector"], minimum=0),
    },
    init_outputs={"s": Connection(dataset_type_name="schema")},
    outputs={"o": Connection(dataset_type_name="middle", dimensions=IMAGE)},
)
repo.add_task(
    "b",
    dimensions=["detector"],
    inputs={
        "i": Connection(dataset_type_name="middle", dimensions=IMAGE, multiple=True),
        "g": Connection(dataset_type_name="everywhere", minimum=0),
    },
    init_inputs={"s": Connection(dataset_type_name="schema")},
    outputs={"o": Connection(dataset_type_name="last", dimensions=["detector"])},
)
repo.add_task(
    "c",
    dimensions=[],
    inputs={"i": Connection(dataset_type_name="last", dimensions=["detector"], minimum=0, multiple=True)},
    outputs={"o": Connection(dataset_type_name="end")},
)
repo.make_quantum_graph_builder()
butler, pipeline = repo.butler, repo.pipeline_graph


def full(**values):
    return butler.registry.expandDataId(instrument="Cam1", **values)


image = full(visit=1, detector=1)
number = full(detector=1)
BOTH = {image.dimensions: image, number.dimensions: number}


def graph_of(data_ids=BOTH, **options):
    options = {"input_collections": ["input_chain"], "output_run": "run"} | options
    builder = TrivialQuantumGraphBuilder(pipeline, butler, data_ids=data_ids, **options)
    return builder.finish(attach_datastore_records=False).assemble()


def told(refs):
    return [[str(ref.dataId.mapping), ref.run, ref.id.version] for ref in refs]


def content(*arguments, **options):
    graph = graph_of(*arguments, **options)
    found = {"counts": dict(graph.header.n_task_quanta)}
    for label in pipeline.tasks:
        for quantum in graph.build_execution_quanta(task_label=label).values():
            sides = [
                {getattr(key, "name", key): told(refs) for key, refs in side.items() if refs}
                for side in (quantum.inputs, quantum.outputs)
            ]
            found[label] = [str(quantum.dataId.mapping), *sides]
            found["init " + label] = {key: ref.run for key, ref in graph.get_init_outputs(label).items()}
    return found


def insert(name, run, data_id):
    butler.collections.register(run)
    return butler.registry.insertDatasets(pipeline.dataset_types[name].dataset_type, [data_id], run=run)[0]


note(content)
note(content, {image.dimensions: image, number.dimensions: full(detector=3)})
note(content, {image.dimensions: image})
note(content, {number.dimensions: number})
note(content, {})
note(content, {image.dimensions: number, number.dimensions: number})
note(content, input_collections=["input_run"])
note(content, where="visit = 1")
note(content, nothing=1)
note(content, dataset_id_modes={"middle": "DATAID_TYPE_RUN"})
RUN, PLAIN, NEW = (DatasetIdGenEnum[name] for name in ("DATAID_TYPE_RUN", "DATAID_TYPE", "UNIQUE"))
note(content, dataset_id_modes={"middle": RUN, "last": PLAIN, "a_log": RUN, "b_metadata": NEW, "end": RUN})
note(content, dataset_id_modes={"schema": RUN, "image": RUN, "unknown": RUN, "a_config": RUN})
ids = [
    [ref.id for quantum in graph.build_execution_quanta(task_label="a").values() for ref in quantum.outputs["middle"]]
    for graph in [graph_of(dataset_id_modes={"middle": RUN}), graph_of(dataset_id_modes={"middle": PLAIN})]
]
facts.append(ids)

images = butler.query_datasets("image", "input_chain", where="instrument='Cam1' AND visit=2", order_by="detector")
catalogs = sorted(butler.query_datasets("catalog", "input_chain"), key=lambda ref: ref.dataId["htm7"])
flats = sorted(butler.query_datasets("own_flat", "input_chain"), key=lambda ref: ref.dataId["detector"])
facts.append([len(images), len(catalogs), len(flats)])
note(content, input_refs={"a": {"i": [images[1], images[0]]}})
note(content, input_refs={"a": {"i": []}})
note(content, input_refs={"a": {"i": [images[1], images[1]]}})
note(content, input_refs={"a": {"c": catalogs[:2]}})
note(content, input_refs={"a": {"f": flats[:1]}})
note(content, input_refs={"a": {"f": flats[2:3]}})
note(content, input_refs={"x": {"i": images}})
note(content, input_refs={"a": {"x": images}})
elsewhere = insert("image", "elsewhere", image)
note(content, input_refs={"a": {"i": [elsewhere]}})
note(content, input_collections=["elsewhere"])
earlier = insert("middle", "elsewhere", full(visit=2, detector=1))
same = insert("middle", "elsewhere", image)
note(content, input_refs={"b": {"i": [earlier]}})
note(content, input_refs={"b": {"i": [same, earlier]}})
butler.collections.register("empty")
note(content, input_collections=["empty"])
note(content, input_collections=["empty"], input_refs={"a": {"i": [images[2]]}})
repo.close()
"""


def test_graphs_are_those_of_the_peer():
    assert_equal_under_both(SCRIPT, at_least=28)


def test_the_peer_reads_and_runs_what_was_written(tmp_path, peer_python):
    make_moody(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(moody.MODULES)}

    def theirs(*words):
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    look = (
        "import sys; from lsst.pipe.base.quantum_graph import PredictedQuantumGraph as Graph\n"
        "with Graph.open(sys.argv[1]) as reader:\n"
        "    reader.read_all(); graph = reader.finish()\n"
        "found = graph.build_execution_quanta(task_label='second')\n"
        "print([(ref.dataId['day_obs'], ref.run) for one in found.values() for ref in one.inputs['first_out']])"
    )
    said = theirs(peer_python, "-c", look, tmp_path / "trivial.qg")
    assert said.strip() == "[(20250101, 'earlier'), (20250102, 'u/me/run'), (20250103, 'earlier')]"
    pipetask = Path(peer_python).parent / "pipetask"
    theirs(pipetask, "run-qbb", tmp_path / "repo", tmp_path / "trivial.qg")
    words = [tmp_path / "trivial.qg", tmp_path / "repo", "--register-dataset-types"]
    assert butler("transfer-from-graph", *words).code == 0
    with Butler(tmp_path / "repo", collections=["u/me/run"]) as repository:
        assert repository.get("second_out", instrument="Cam", detector=2) == {"sum": 12.0}
