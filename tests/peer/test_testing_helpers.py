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
