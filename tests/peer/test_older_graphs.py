"""`QuantumGraph` answers as the peer's does."""

from peer.either_script import assert_equal_under_both

REFS = """
from lsst.pipe.base.tests.mocks import DynamicConnectionConfig as Connection, InMemoryRepo

repo = InMemoryRepo("base.yaml", "spatial.yaml")
IMAGE = ["visit", "detector"]
repo.add_task(
    "a",
    dimensions=IMAGE,
    inputs={"i": Connection(dataset_type_name="image", dimensions=IMAGE)},
    prerequisite_inputs={"f": Connection(dataset_type_name="own_flat", dimensions=["detector"], minimum=0)},
    init_inputs={"t": Connection(dataset_type_name="table")},
    init_outputs={"s": Connection(dataset_type_name="schema")},
    outputs={"o": Connection(dataset_type_name="middle", dimensions=IMAGE)},
)
repo.add_task(
    "b",
    dimensions=["detector"],
    inputs={"i": Connection(dataset_type_name="middle", dimensions=IMAGE, multiple=True)},
    init_inputs={"s": Connection(dataset_type_name="schema")},
    init_outputs={"e": Connection(dataset_type_name="end_schema")},
    outputs={"o": Connection(dataset_type_name="last", dimensions=["detector"])},
)
builder = repo.make_quantum_graph_builder()
facts.append(builder.universe is repo.butler.dimensions)
graph = builder.build({"own": 1}, attach_datastore_records=False)
facts.append([len(graph), graph.metadata["own"]])
NAMES = ("init_inputs", "inputs", "init_outputs", "outputs")


def refs_of(conform, between, *names):
    refs, records = graph.get_refs(
        **{f"include_{name}": True for name in names}, include_intermediates=between, conform_outputs=conform
    )
    counts = {}
    for ref in refs:
        counts[ref.datasetType.name] = counts.get(ref.datasetType.name, 0) + 1
    return [sorted(counts.items()), len(records)]


for number in range(16):
    names = [name for bit, name in enumerate(NAMES) if number >> bit & 1]
    for between in (None, True):
        note(refs_of, True, between, *names)
    # With fewer of them, the peer keeps what is both written and read.
    if len(names) == 4:
        note(refs_of, True, False, *names)
note(refs_of, False, None, *NAMES)
note(graph.get_refs, nothing=True)
repo.close()
"""


def test_references_are_those_of_the_peer():
    assert_equal_under_both(REFS, at_least=37)
