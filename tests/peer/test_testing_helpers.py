"""What users' tests are written with does as the peer's: repositories of mocks and butlers in memory."""

import pytest

from peer.either_script import assert_equal_under_both

REPO = """
import collections, hashlib
from lsst.daf.butler import DatasetType
from lsst.pipe.base.tests.mocks import DynamicConnectionConfig, InMemoryRepo

with InMemoryRepo("base.yaml", "spatial.yaml") as repo:
    butler = repo.butler
    universe = butler.dimensions
    facts += [sorted(butler.collections.query("*")), sorted(map(str, butler.registry.queryDatasetTypes("*")))]
    for element in universe.elements:
        if element.has_own_table:
            records = sorted(str(one.toDict()) for one in butler.registry.queryDimensionRecords(element.name))
            facts.append([element.name, len(records), hashlib.sha256(str(records).encode()).hexdigest()])

    def insert(name, dimensions, **options):
        mock = DatasetType(name, dimensions, "_mock_StructuredDataDict", universe=universe)
        return len(repo.insert_datasets(mock, **options))

    note(insert, "coarse", ["htm7"])
    note(insert, "fine", ["htm9"])
    note(insert, "mixed", ["htm7", "detector"])
    note(insert, "images", ["visit", "detector"], where="instrument = 'Cam1' AND visit = 1")
    note(insert, "images", ["visit", "detector"], where="nothing = 1")
    note(repo.insert_datasets, "unknown")
    note(InMemoryRepo, "nothing.yaml")
    repo.add_task(dimensions=["visit", "detector"])
    catalog = DynamicConnectionConfig(dataset_type_name="catalog", dimensions=["htm7"], multiple=True)
    image = DynamicConnectionConfig(dataset_type_name="dataset_auto1", dimensions=["visit", "detector"], multiple=True)
    repo.add_task(dimensions=["tract", "patch", "band"], inputs={"i": image}, prerequisite_inputs={"c": catalog})
    graph = repo.make_quantum_graph()
    facts.append({label: len(quanta) for label, quanta in graph.quanta_by_task.items()})
    executor, limited = repo.make_single_quantum_executor()
    for label in graph.quanta_by_task:
        for quantum in graph.build_execution_quanta(task_label=label).values():
            executor.execute(repo.pipeline_graph.tasks[label], quantum)
    facts.append(sorted(collections.Counter(ref.datasetType.name for ref in limited.get_datasets()).items()))
    made = limited.get_datasets("dataset_auto2")
    facts.append(sorted(len(one.quantum.inputs["i"]) for one in made.values()))
    facts.append({ref.run for ref in made})
"""
IN_MEMORY = """
import pickle
from lsst.daf.butler import DataCoordinate, DatasetRef, DatasetType, DimensionUniverse
from lsst.pipe.base import TaskMetadata
from lsst.pipe.base.tests.in_memory_limited_butler import InMemoryLimitedButler

universe = DimensionUniverse()
known = DatasetType("known", [], "StructuredDataDict", universe=universe)
other = DatasetType("other", [], "StructuredDataDict", universe=universe)
table = DatasetType("table", [], "ArrowAstropy", universe=universe)
butler = InMemoryLimitedButler(universe, [known, table])


def ref_of(dataset_type, run):
    return DatasetRef(dataset_type, DataCoordinate.make_empty(universe), run=run)


ref, second, third = ref_of(known, "r"), ref_of(known, "second"), ref_of(known, "third")
value = {"a": [1]}
note(lambda: butler.put(value, ref) is ref)
note(butler.get, ref)
note(lambda: butler.get(ref)["a"] is value["a"])
note(butler.put, value, ref)
note(butler.put, 3, second)
note(butler.get, second)
note(butler.put, {}, ref_of(other, "r"))
note(butler.get, ref, parameters={"q": 1})
note(butler.get, ref, storageClass="TaskMetadata")
note(lambda: butler.put(TaskMetadata.from_dict({"b": 2}), second) is second)
note(butler.get, second)
note(lambda: sorted(one.run for one in butler.get_datasets()))
note(butler.get_datasets, "nothing")
note(lambda: sorted(one.run for one in pickle.loads(pickle.dumps(butler)).get_datasets("known")))
note(lambda: list(butler.stored_many([ref, second, third]).values()))
note(butler.pruneDatasets, [ref])
note(butler.stored, ref)
note(butler.pruneDatasets, [third], unstore=True, disassociate=False)
note(butler.get, ref)
note(lambda: butler.getDeferred(second).get())
for call in (butler.getURI, butler.getURIs):
    note(call, second)
note(butler.get_datastore_names)
note(butler.get_datastore_roots)
note(lambda: [butler.isWriteable(), butler.dimensions is universe, butler.factory(None) is butler])
"""
CACHING = """
from lsst.daf.butler import DataCoordinate, DatasetRef, DatasetType, DimensionUniverse
from lsst.pipe.base.caching_limited_butler import CachingLimitedButler
from lsst.pipe.base.tests.in_memory_limited_butler import InMemoryLimitedButler

universe = DimensionUniverse()
reads = []


class Spy(InMemoryLimitedButler):
    def get(self, ref, /, **options):
        reads.append(ref.datasetType.name)
        return super().get(ref, **options)


types = {name: DatasetType(name, ["instrument"], "StructuredDataDict", universe=universe) for name in "abc"}
types["t"] = DatasetType("t", ["instrument"], "ArrowAstropy", universe=universe)
wrapped = Spy(universe, types.values())
butler = CachingLimitedButler(wrapped, cache_on_put={"a"}, cache_on_get={"b", "t"}, no_copy_on_cache={"b"})
refs = {
    name + instrument: DatasetRef(
        types[name], DataCoordinate.standardize(instrument=instrument, universe=universe), run="r"
    )
    for name in types
    for instrument in "XY"
}


def read(key, **options):
    note(lambda: [butler.get(refs[key], **options), reads[:]])
    reads.clear()


butler.put({"v": [1]}, refs["aX"])
read("aX")
note(lambda: butler.get(refs["aX"]) is butler.get(refs["aX"]))
butler.put({"v": 2}, refs["aY"])
for key in ("bX", "bY", "cX"):
    wrapped.put({"key": key}, refs[key])
for key in ("aX", "aY", "bX", "bX", "aX", "bX", "bY", "bX", "cX", "cX", "cY"):
    read(key)
note(lambda: butler.get(refs["bX"]) is butler.get(refs["bX"]))
read("bX", parameters={"q": 1})
read("bX", storageClass="TaskMetadata")
read("bX", storageClass="StructuredDataDict")
note(lambda: butler.getDeferred(refs["bX"]).get())
facts.append(reads[:])
reads.clear()
with butler.record_metrics() as metrics:
    butler.get(refs["bX"]), butler.get(refs["cX"])
facts.append([metrics.n_get, metrics.n_put])
note(lambda: sorted(butler.stored_many(refs.values()).values()))
note(butler.pruneDatasets, [refs["bX"]], disassociate=False, unstore=True)
reads.clear()
read("bX")
from astropy.table import Table

wrapped.put(Table({"a": [1], "b": [2]}), refs["tX"])
for options in ({}, {"parameters": {"columns": ["a"]}}, {"storageClass": "ArrowNumpy"}, {}):
    note(lambda: [len(butler.get(refs["tX"], **options).dtype.names), reads[:]])
note(lambda: type(butler.get(refs["tX"].overrideStorageClass("ArrowNumpy"))).__name__)
note(butler.get_datastore_names)
note(lambda: [butler.isWriteable(), butler.dimensions is universe, butler.markInputUnused(refs["aX"])])
"""


@pytest.mark.parametrize(
    ("script", "at_least"), [(REPO, 20), (IN_MEMORY, 24), (CACHING, 25)], ids=["repository", "in memory", "caching"]
)
def test_helpers_do_what_the_peers_do(script, at_least):
    assert_equal_under_both(script, at_least=at_least)


TEST_REPOSITORIES = """
import os, tempfile
import lsst.daf.butler.tests as tests
from lsst.daf.butler.tests.utils import mock_env, readTable, safeTestTempDir

VALUES = {
    "instrument": ["Cam", "Dog"], "detector": [1, 2], "visit": [3, 4], "physical_filter": ["k"], "band": ["r"],
    "skymap": ["S"], "tract": [7], "exposure": [11],
}


def records(butler):
    facts.append(
        [
            [element.name, one.dataId.required["instrument"] if "instrument" in one.dataId else None, len(one.toDict())]
            for element in butler.dimensions.elements
            if element.has_own_table
            for one in butler.registry.queryDimensionRecords(element.name)
        ]
    )


with safeTestTempDir(tempfile.gettempdir()) as root:
    repo = tests.makeTestRepo(root + "/a", VALUES)
    records(repo)
    for arguments in (
        ("d", {"instrument", "detector"}, "StructuredDataDict"),
        ("d", {"instrument", "detector"}, "StructuredDataDict"),
        ("d", {"instrument"}, "StructuredDataDict"),
        ("e", {"instrumen"}, "StructuredDataDict"),
        ("f", {"instrument"}, "NoSuchClass"),
    ):
        note(lambda: str(tests.addDatasetType(repo, *arguments)))
    butler = tests.makeTestCollection(repo, uniqueId="one")
    note(lambda: [butler.run, list(butler.collections.defaults), tests.makeTestCollection(repo, "one").run])
    note(lambda: tests.makeTestCollection(repo).run.startswith("test_"))
    note(lambda: butler.put({"a": 1}, "d", instrument="Cam", detector=1).run)
    note(lambda: butler.get("d", instrument="Cam", detector=1))
    for partial in ({"visit": 3}, {"detector": 1}, {"detector": 99}, {"detecto": 1}, {"skymap": "S"}):
        note(lambda: sorted(map(str, tests.expandUniqueId(repo, partial).required.items())))
    for dimension, value, related in (
        ("detector", 5, {"instrument": "Cam"}),
        ("detector", 5, {"instrument": "Cam"}),
        ("detector", 6, {}),
        ("instrument", "Third", {}),
        ("visit", 8, {"instrument": "Third"}),
        ("visit", 8, {"instrument": "Third", "physical_filter": "k"}),
        ("patch", 8, {"skymap": "S", "tract": 7}),
        ("patch", 9, {"tract": 7}),
        ("patchy", 9, {}),
        ("htm7", 9, {}),
        ("detector", "x", {"instrument": "Cam"}),
        ("detector", 20, {"instrument": "Nope"}),
    ):
        note(lambda: tests.addDataIdValue(repo, dimension, value, **related))
    records(repo)
    note(lambda: tests.makeTestRepo(root + "/b", {"detector": [1]}).isWriteable())
    note(lambda: tests.makeTestRepo(root + "/c", {"nope": [1]}))
facts.append(os.path.exists(root))
with mock_env({"COLOUR": "red"}):
    facts.append(dict(os.environ))
table = readTable("name  type\\n---- -----\\n  a   RUN\\n  b   TAGGED")
facts += [table.colnames, [list(row) for row in table]]
helper = tests.DatasetTestHelper()
from lsst.daf.butler import DimensionUniverse

dimensions = DimensionUniverse().conform(["instrument"])
note(lambda: str(helper.makeDatasetRef("a", dimensions, "StructuredDataDict", {"instrument": "Cam"}, run="r").dataId))
"""


def test_test_repositories_are_made_as_by_the_peer():
    assert_equal_under_both(TEST_REPOSITORIES, at_least=32)
