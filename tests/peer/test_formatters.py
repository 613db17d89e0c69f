"""Files written here are read by the peer, and the other way round."""

from __future__ import annotations

import pytest

from armillary._core import DataCoordinate, DatasetRef, DatasetType, DimensionUniverse
from armillary.config import default_section
from armillary.storage.datastore_config import Formatters, make_formatter
from armillary.storage.location import FileDescriptor, Location
from armillary.storage.storage_class import find_storage_class

# One text makes the objects on both sides.
OBJECTS = """
import numpy as np, pandas as pd, pyarrow as pa
import astropy.units as u
from astropy.table import MaskedColumn, QTable, Table

def table():
    made = Table({"x": [1, 2], "s": ["a", "bç"], "b": [b"x", b"yz"], "m": np.arange(4.0).reshape(2, 2),
                  "c": np.arange(8, dtype=np.float32).reshape(2, 2, 2), "k": [True, False]})
    made["q"] = MaskedColumn([1, 2], mask=[True, False])
    made["qs"] = MaskedColumn(["a", "b"], mask=[True, False])
    made["x"].unit = "m"
    made["x"].description = "an x"
    made.meta["k"] = "v"
    return made

rows = np.array([(1, "ab", b"q", [1, 2], [[1, 2], [3, 4]], True, np.datetime64("2020-01-01", "ns"))],
                dtype=[("i", "i8"), ("s", "U5"), ("b", "S3"), ("v", "f4", 2), ("w", "i2", (2, 2)), ("k", "?"),
                       ("t", "M8[ns]")])
frame = pd.DataFrame({"i": [1, 2], "s": ["q", "r"], "f": [1.5, np.nan]}, index=pd.Index([5, 6], name="id"))
levels = pd.DataFrame(np.arange(4.0).reshape(2, 2),
                      columns=pd.MultiIndex.from_tuples([("g", "a"), ("r", "b")], names=["f", "c"]))
OBJECTS = {
    "integer": ("int", 3),
    "mapping": ("StructuredDataDict",
                {"b": 1, "a": [1, {"x": None, "y": 2.5, "on": "yes", "1": "1e3"}], "é": "ü\\n'\\""}),
    "array": ("NumpyArray", np.arange(24.0).reshape(2, 3, 4)),
    "strings": ("NumpyArray", np.array(["a", "bç"])),
    "structured": ("NumpyArray", rows),
    "text_table": ("AstropyTable", Table({"x": [1], "s": ["a b"]}, meta={"q": 1})),
    "quantities": ("AstropyQTable", QTable({"x": [1.0, 2.0] * u.m})),
    "table": ("ArrowAstropy", table()),
    "empty_table": ("ArrowAstropy", table()[:0]),
    "rows": ("ArrowNumpy", rows),
    "columns": ("ArrowNumpyDict", {"i": np.array([1, 2]), "s": np.array(["ab", "c"]), "v": np.ones((2, 3))}),
    "arrow": ("ArrowTable", pa.table({"i": [1, None], "s": ["q", None], "l": [[1, 2], [3]]})),
    "schema": ("ArrowSchema", pa.schema([("i", pa.int64()), ("s", pa.string())])),
    "frame": ("DataFrame", frame),
    "levels": ("DataFrame", levels),
}

def plain(column):
    return np.ma.filled(np.ma.asarray(column.value), 0)

def same(left, right):
    if isinstance(left, pd.DataFrame):
        return left.equals(right)
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, Table):
        return (left.colnames == right.colnames and len(left) == len(right)
                and all((left[n].unit, left[n].info.description) == (right[n].unit, right[n].info.description)
                        for n in left.colnames)
                and all(same(np.asarray(np.ma.getmaskarray(left[n])), np.asarray(np.ma.getmaskarray(right[n])))
                        and same(plain(left[n]), plain(right[n]))
                        for n in left.colnames))
    if isinstance(left, np.ndarray):
        return (left.dtype.descr == np.asarray(right).dtype.descr and left.shape == right.shape
                and bool(np.all(left == right)))
    return left == right and type(left) is type(right)
"""
PEER_READS = """
import sys, json
exec(open(sys.argv[1]).read())
from lsst.daf.butler import Butler, DatasetRef, DatasetType, DataCoordinate, FileDataset
folder = sys.argv[2]
Butler.makeRepo(folder + "/repo")
butler = Butler.from_config(folder + "/repo", writeable=True, run="run")
found = {}
for name, (storage_class, value) in OBJECTS.items():
    kind = DatasetType(name, [], storage_class, universe=butler.dimensions)
    butler.registry.registerDatasetType(kind)
    ref = DatasetRef(kind, DataCoordinate.make_empty(butler.dimensions), run="run")
    path, formatter = json.load(open(folder + "/files.json"))[name]
    butler.ingest(FileDataset(path, [ref], formatter=formatter), transfer="copy")
    try:
        got = butler.get(ref)
        found[name] = True if same(value, got) else f"{value!r} came as {got!r}"
        if storage_class.startswith(("Arrow", "DataFrame")) and storage_class != "ArrowSchema":
            rows = butler.get(name + ".rowcount")
            if rows != (len(value) if storage_class != "ArrowNumpyDict" else 2):
                found[name] = f"{rows} rows"
            butler.get(name + ".columns"), butler.get(name + ".schema")
    except Exception as error:
        found[name] = repr(error)
print(json.dumps(found))
"""
PEER_WRITES = """
import sys, json
exec(open(sys.argv[1]).read())
from lsst.daf.butler import Butler, DatasetType
folder = sys.argv[2]
Butler.makeRepo(folder + "/repo")
butler = Butler.from_config(folder + "/repo", writeable=True, run="run")
paths = {}
for name, (storage_class, value) in OBJECTS.items():
    butler.registry.registerDatasetType(DatasetType(name, [], storage_class, universe=butler.dimensions))
    paths[name] = butler.getURI(butler.put(value, name)).ospath
print(json.dumps(paths))
"""
NAMES = [
    "array", "arrow", "columns", "empty_table", "frame", "integer", "levels", "mapping", "quantities", "rows", "schema",
    "strings", "structured", "table", "text_table",
]  # fmt: skip


@pytest.fixture(scope="module")
def ours():
    """The objects and their comparison, made here."""
    pytest.importorskip("pandas")
    namespace: dict = {}
    exec(OBJECTS, namespace)
    return namespace


@pytest.fixture(scope="module")
def formatter_for():
    universe = DimensionUniverse()
    formatters = Formatters(default_section("datastore")["formatters"], universe)

    def make(storage_class, path):
        kind = DatasetType("thing", [], storage_class, universe=universe)
        ref = DatasetRef(kind, DataCoordinate.make_empty(universe), run="run")
        entry = formatters.find(ref)
        descriptor = FileDescriptor(Location(None, path), find_storage_class(storage_class))
        return make_formatter(entry.name, descriptor, ref, write_parameters=entry.write_parameters), entry.name

    return make


@pytest.fixture(scope="module")
def read_by_the_peer(ours, formatter_for, run_peer, tmp_path_factory):
    import json

    folder = tmp_path_factory.mktemp("ours")
    paths = {}
    for name, (storage_class, value) in ours["OBJECTS"].items():
        formatter, formatter_name = formatter_for(storage_class, "")
        path = str(folder / f"{name}{formatter.get_write_extension()}")
        formatter.write_path(formatter.add_provenance(value), path)
        paths[name] = (path, formatter_name)
    (folder / "files.json").write_text(json.dumps(paths))
    (folder / "objects.py").write_text(OBJECTS)
    return json.loads(run_peer(PEER_READS, str(folder / "objects.py"), str(folder)))


@pytest.fixture(scope="module")
def written_by_the_peer(run_peer, tmp_path_factory):
    import json

    folder = tmp_path_factory.mktemp("theirs")
    (folder / "objects.py").write_text(OBJECTS)
    return json.loads(run_peer(PEER_WRITES, str(folder / "objects.py"), str(folder)))


@pytest.mark.parametrize("name", NAMES)
def test_the_peer_reads_what_was_written_here(read_by_the_peer, name):
    assert sorted(read_by_the_peer) == NAMES
    assert read_by_the_peer[name] is True


@pytest.mark.parametrize("name", NAMES)
def test_what_the_peer_wrote_is_read_here(ours, written_by_the_peer, formatter_for, name):
    assert sorted(written_by_the_peer) == NAMES
    storage_class, value = ours["OBJECTS"][name]
    found = formatter_for(storage_class, written_by_the_peer[name])[0].read()
    assert ours["same"](value, found), f"{value!r} came as {found!r}"
