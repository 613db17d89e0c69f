"""One repository, two programs: what we write the peer reads, what it writes we read."""

from __future__ import annotations

import json
import sqlite3
import textwrap

import pytest

from armillary import _core
from conftest import shared_path

MAKE = """
import sys
from lsst.daf.butler import Butler
Butler.makeRepo(sys.argv[1])
"""

TELL = """
import json, sys
from lsst.daf.butler import Butler, CollectionType
butler = Butler.from_config(sys.argv[1], writeable=len(sys.argv) > 2)
registry = butler.registry
collections = {
    name: [registry.getCollectionType(name).name, registry.getCollectionDocumentation(name)]
    for name in registry.queryCollections()
}
chains = {n: list(registry.getCollectionChain(n)) for n, (kind, _) in collections.items() if kind == "CHAINED"}
datasets = {}
for dataset_type in registry.queryDatasetTypes():
    datasets[dataset_type.name] = [str(dataset_type.storageClass_name), dataset_type.isCalibration(), sorted(
        [str(a.ref.id), a.ref.run, a.collection, dict(a.ref.dataId.required),
         None if a.timespan is None else list(a.timespan.nsec)]
        for a in registry.queryDatasetAssociations(dataset_type, collections=...)
    )]
summaries = {n: sorted(t.name for t in registry.getCollectionSummary(n).dataset_types) for n in collections}
found = butler.find_dataset("bias", instrument="Cam", detector=1, collections=["chain"])
expanded = registry.expandDataId(instrument="Cam", visit=11, detector=1)
print(json.dumps({
    "collections": collections, "chains": chains, "datasets": datasets, "summaries": summaries,
    "found": [str(found.id), found.run], "expanded": dict(expanded.mapping),
    "region": expanded.records["visit"].region.encode().hex(),
}))
"""

CHANGE = """
import sys
from lsst.daf.butler import Butler, CollectionType, DatasetType, Timespan
butler = Butler.from_config(sys.argv[1], writeable=True)
registry = butler.registry
registry.insertDimensionData("detector", {"instrument": "Cam", "id": 9, "full_name": "S9"})
butler.put({"a": 1}, "bias", instrument="Cam", detector=9, run="run/b")
registry.registerDatasetType(
    DatasetType("log", ["visit"], "StructuredDataDict", universe=butler.dimensions))
butler.put({"b": 2}, "log", instrument="Cam", visit=11, run="run/b")
butler.collections.register("theirs", CollectionType.CHAINED)
butler.collections.redefine_chain("theirs", ["chain", "run/b"])
ref = butler.find_dataset("bias", instrument="Cam", detector=9, collections=["run/b"])
registry.certify("calib", [ref], Timespan(None, None))
print(ref.id)
"""

INSERT = """
import json, sys
from lsst.daf.butler import Butler, DataCoordinate, DatasetType
Butler.makeRepo(sys.argv[1])
butler = Butler.from_config(sys.argv[1], writeable=True)
registry = butler.registry
camera = {"instrument": "Cam"}
registry.insertDimensionData("instrument", {"name": "Cam", "class_name": "my.Cam", "detector_max": 10})
registry.insertDimensionData("physical_filter", camera | {"name": "Cam-G", "band": "g"})
registry.insertDimensionData("detector", *[camera | {"id": i, "full_name": f"S{i}"} for i in range(4)])
registry.insertDimensionData("day_obs", camera | {"id": 20250101})
registry.insertDimensionData("group", camera | {"name": "one"})
exposure = camera | {"id": 1, "obs_id": "o", "physical_filter": "Cam-G", "day_obs": 20250101, "group": "one"}
registry.insertDimensionData("exposure", exposure)
for name, dimensions in {
    "raw": ["exposure", "detector"],
    "flat": ["physical_filter", "detector"],
    "curve": ["band"],
    "cat": ["htm7"],
    "one": [],
}.items():
    registry.registerDatasetType(DatasetType(name, dimensions, "StructuredDataDict", universe=butler.dimensions))
raw = camera | {"exposure": 1, "detector": 2}
flat = camera | {"detector": 1, "physical_filter": "Cam-G"}
cases = [
    ("raw", [raw]),
    ("raw", [raw, raw | {"detector": 1}]),
    ("raw", [DataCoordinate.standardize(raw, universe=butler.dimensions)]),
    ("raw", [DataCoordinate.standardize(raw | {"physical_filter": "Cam-Q", "band": "q"}, universe=butler.dimensions)]),
    ("raw", [registry.expandDataId(raw)]),
    ("raw", [raw, raw | {"exposure": 9}]),
    ("raw", [camera | {"detector": 1}]),
    ("flat", [flat]),
    ("flat", [flat | {"physical_filter": "Cam-Q"}]),
    ("curve", [{"band": "g"}]),
    ("curve", [{"band": "q"}]),
    ("cat", [{"htm7": 131073}]),
    ("one", [{}]),
    ("raw", []),
]
answers = []
for expand in (True, False):
    for position, (name, data_ids) in enumerate(cases):
        run = f"run/{expand}/{position}"
        registry.registerRun(run)
        try:
            refs = registry.insertDatasets(name, data_ids, run=run, expand=expand)
        except LookupError:
            answers.append("LookupError" if expand else "refused")
        except Exception:
            answers.append("refused")
        else:
            answers.append([[dict(r.dataId.mapping), r.dataId.hasFull(), r.dataId.hasRecords()] for r in refs])
        found = registry.queryDatasets(name, collections=run)
        answers[-1] = [answers[-1], len(list(found))]
print(json.dumps(answers, sort_keys=True))
"""


@pytest.fixture
def repository(tmp_path, run_peer):
    """The peer writes the configuration, we the database."""
    root = tmp_path / "repo"
    run_peer(MAKE, str(root))
    path = root / "gen3.sqlite3"
    path.unlink()
    universe = _core.DimensionUniverse()
    _core.Registry.create(str(path), universe)
    registry = _core.Registry.open(str(path), writeable=True)
    fill(registry, universe)
    yield root, registry
    registry.close()


def region(longitude, latitude):
    from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

    corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    return ConvexPolygon([UnitVector3d(LonLat.fromDegrees(longitude + x, latitude + y)) for x, y in corners])


def fill(registry, universe):
    registry.insert_records("instrument", [{"name": "Cam", "class_name": "my.Cam", "detector_max": 10}])
    registry.insert_records("physical_filter", [{"instrument": "Cam", "name": "Cam-G", "band": "g"}])
    registry.insert_records("detector", [{"instrument": "Cam", "id": i, "full_name": f"S{i}"} for i in range(4)])
    registry.insert_records("day_obs", [{"instrument": "Cam", "id": 20250101}])
    visit = {"instrument": "Cam", "physical_filter": "Cam-G", "day_obs": 20250101}
    registry.insert_records(
        "visit", [visit | {"id": i, "name": str(i), "region": region(i, -5), "exposure_time": 30.0} for i in (11, 12)]
    )
    bias = _core.DatasetType("bias", ["detector"], "StructuredDataDict", universe=universe, isCalibration=True)
    calexp = _core.DatasetType("calexp", ["visit", "detector"], "StructuredDataDict", universe=universe)
    for dataset_type in (bias, calexp):
        registry.register_dataset_type(dataset_type)
    for name, kind in (("run/a", 1), ("run/b", 1), ("best", 2), ("chain", 3), ("calib", 4)):
        registry.register_collection(name, kind, f"about {name}")
    registry.set_chain("chain", ["best", "run/b"])
    registry.prepend_chain("chain", ["run/a"])
    biases = registry.insert_datasets(bias, "run/a", [{"instrument": "Cam", "detector": i} for i in range(4)])
    registry.insert_datasets(calexp, "run/b", [{"instrument": "Cam", "visit": 11, "detector": i} for i in range(4)])
    registry.associate("best", biases[:2])
    registry.certify("calib", biases, _core.Timespan(None, None, _nsec=(10**18, 2 * 10**18)))
    registry.decertify("calib", "bias", _core.Timespan(None, None, _nsec=(12 * 10**17, 13 * 10**17)))


def told_by_us(registry):
    kinds = {1: "RUN", 2: "TAGGED", 3: "CHAINED", 4: "CALIBRATION"}
    names = registry.query_collections()
    collections = {name: [kinds[registry.collection(name)[1]], registry.collection(name)[2]] for name in names}
    datasets = {}
    for dataset_type in registry.query_dataset_types():
        members = registry.dataset_associations(dataset_type.name, names)
        rows = [
            [str(ref.id), ref.run, collection, dict(ref.dataId.required), None if span is None else list(span.nsec)]
            for ref, collection, span in members
        ]
        datasets[dataset_type.name] = [dataset_type.storageClass_name, dataset_type.isCalibration(), rows]
    found = registry.find_dataset("bias", {"instrument": "Cam", "detector": 1}, ["chain"])
    expanded = registry.expand_data_id({"instrument": "Cam", "visit": 11, "detector": 1})
    return {
        "collections": collections,
        "chains": {name: list(registry.collection(name)[3]) for name in names if collections[name][0] == "CHAINED"},
        "datasets": datasets,
        "summaries": {name: sorted(registry.collection_summary(name)[0]) for name in names},
        "found": [str(found.id), found.run],
        "expanded": dict(expanded.mapping),
        "region": expanded.records["visit"].region.encode().hex(),
    }


def in_order(told):
    """Lists whose order means nothing, sorted; two equal keys differ by their timespan."""
    for value in told["datasets"].values():
        value[2].sort(key=json.dumps)
    told.pop("overlap", None)
    return told


@pytest.mark.parametrize("writeable", [False, True])
def test_the_peer_reads_what_we_wrote(repository, run_peer, writeable):
    root, registry = repository
    theirs = in_order(json.loads(run_peer(TELL, str(root), *(["w"] if writeable else []))))
    assert theirs == in_order(told_by_us(registry))
    assert theirs["found"][1] == "run/a" and len(theirs["datasets"]["bias"][2]) == 4 + 2 + 8


def test_we_read_what_the_peer_wrote(repository, run_peer):
    root, registry = repository
    certified = run_peer(CHANGE, str(root)).strip()
    # The registry was open all the time and notices.
    assert registry.collection("theirs")[3] == ("chain", "run/b")
    found, records = registry.find_records("bias", {"instrument": "Cam", "detector": 9}, ["theirs"])
    assert str(found.id) == certified and records[0].path.endswith(".yaml") and records[0].file_size > 0
    assert registry.find_dataset("log", {"instrument": "Cam", "visit": 11}, ["theirs"]) is not None
    always = _core.Timespan(None, None)
    assert registry.find_dataset("bias", {"instrument": "Cam", "detector": 9}, ["calib"], timespan=always) == found
    assert registry.expand_data_id({"instrument": "Cam", "detector": 9}).records["detector"].full_name == "S9"
    theirs = in_order(json.loads(run_peer(TELL, str(root))))
    assert theirs == in_order(told_by_us(registry))


def test_the_peer_empties_what_we_wrote(repository, run_peer):
    root, registry = repository
    for chain in registry.parents("run/a"):
        registry.remove_from_chain(chain, ["run/a"])
    run_peer("import sys; from lsst.daf.butler import Butler\nButler.from_config(sys.argv[1], writeable=True)"
             ".removeRuns(['run/a'])", str(root))  # fmt: skip
    assert "run/a" not in registry.query_collections()
    counts = registry.row_counts()
    assert (counts["dataset"], counts["dataset_calibs_00000001"]) == (4, 0)


def test_our_files_in_the_records_are_the_peers(repository, run_peer):
    root, registry = repository
    ref = registry.find_dataset("bias", {"instrument": "Cam", "detector": 1}, ["run/a"])
    path = root / "run" / "a" / "one.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("a: 1\n")
    record = _core.FileRecord(
        ref.id, "run/a/one.yaml", "lsst.daf.butler.formatters.yaml.YamlFormatter", "StructuredDataDict", file_size=5
    )
    store = "FileDatastore@<butlerRoot>"
    intent = registry.begin_write(store, [record.path])
    registry.finish_write(intent, store, [ref], [record], register=False)
    code = """
    import sys
    from lsst.daf.butler import Butler
    butler = Butler.from_config(sys.argv[1], writeable=True)
    ref = butler.find_dataset("bias", instrument="Cam", detector=1, collections=["run/a"])
    print(butler.get(ref), butler.stored(ref))
    butler.pruneDatasets([ref], disassociate=True, unstore=True, purge=True)
    """
    assert run_peer(textwrap.dedent(code), str(root)).strip() == "{'a': 1} True"
    assert not path.exists()
    assert registry.get_dataset(ref.id) is None and registry.trashed(store) == []


IMPORT_RECORDS = """
import sys
from lsst.daf.butler import Butler
from lsst.daf.butler.transfers import YamlRepoImportBackend
Butler.makeRepo(sys.argv[1])
butler = Butler.from_config(sys.argv[1], writeable=True)
with open(sys.argv[2]) as stream:
    backend = YamlRepoImportBackend(stream, butler.registry)
for element, records in backend.dimensions.items():
    butler.registry.insertDimensionData(element, *records, skip_existing=True)
"""


@pytest.mark.parametrize("export", ["daf_butler_hsc-rc2-subset.yaml", "daf_butler_lsstcam-subset.yaml"])
def test_real_records_give_the_rows_the_peer_gives(tmp_path, run_peer, export):
    theirs = tmp_path / "theirs"
    run_peer(IMPORT_RECORDS, str(theirs), str(shared_path("data/exports", export)))
    ours = tmp_path / "gen3.sqlite3"
    copy_records(theirs / "gen3.sqlite3", ours)
    rows = dimension_rows(ours)
    assert rows == dimension_rows(theirs / "gen3.sqlite3")
    if "hsc" in export:
        overlaps = {"visit": 3962, "visit_detector_region": 5044, "patch": 3, "tract": 50}
        assert {name: len(rows[f"{name}_skypix_overlap"]) for name in overlaps} == overlaps


def copy_records(source, target):
    """Insert all records of one repository into a new one, through the bindings."""
    _core.Registry.create(str(target), _core.DimensionUniverse())
    registry = _core.Registry.open(str(target), writeable=True)
    connection = sqlite3.connect(source)
    connection.row_factory = sqlite3.Row
    for element in registry.universe.elements:
        element = registry.universe[element] if isinstance(element, str) else element
        if not element.has_own_table:
            continue
        rows = [dict(row) for row in connection.execute(f'select * from "{element.name}"')]
        for row in rows:
            read_stored(row)
        registry.insert_records(element.name, rows)
    registry.close()
    connection.close()


def read_stored(row):
    from base64 import b64decode

    for name in ("region", "hash"):
        if row.get(name) is not None:
            row[name] = b64decode(row[name])
    if "timespan_begin" in row:
        begin, end = row.pop("timespan_begin"), row.pop("timespan_end")
        row["timespan"] = None if begin is None else _core.Timespan(None, None, _nsec=(begin, end))


def dimension_rows(path):
    """Rows of all dimension and overlap tables."""
    connection = sqlite3.connect(path)
    names = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
    names = [name for name in names if name.endswith(("_overlap", "_overlap_summary")) or name in ELEMENTS]
    rows = {name: sorted(connection.execute(f'select * from "{name}"').fetchall(), key=repr) for name in names}
    connection.close()
    assert len(rows["visit_skypix_overlap" if rows["visit"] else "exposure"]) > 0
    return rows


ELEMENTS = {element if isinstance(element, str) else element.name for element in _core.DimensionUniverse().elements}


IMPORT = (
    INSERT.split("raw = camera")[0]
    + """
import uuid
from lsst.daf.butler import DatasetRef
raw = registry.getDatasetType("raw")
registry.registerRun("run")
def ref(number, detector):
    data_id = DataCoordinate.standardize(camera | {"exposure": 1, "detector": detector}, universe=butler.dimensions)
    return DatasetRef(raw, data_id, "run", id=uuid.UUID(int=number))
def told(make):
    try:
        refs = make()
    except Exception as error:
        return type(error).__name__
    full = [[dict(ref.dataId.mapping) if ref.dataId.hasFull() else None, ref.dataId.hasRecords()] for ref in refs]
    return full, [ref.id.int for ref in refs]
answers = [
    told(lambda: registry._importDatasets([ref(1, 1), ref(2, 0)])),
    told(lambda: registry._importDatasets([ref(1, 1), ref(3, 2)], expand=False)),
    told(lambda: registry._importDatasets([ref(1, 1)], expand=True)),
    told(lambda: registry._importDatasets([ref(4, 3), ref(1, 1)], assume_new=True)),
    told(lambda: registry._importDatasets([ref(5, 1)])),
    told(lambda: registry._importDatasets([])),
    sorted(ref.id.int for ref in registry.queryDatasets(raw, collections="run")),
]
found = registry.queryDataIds(["exposure", "detector"], instrument="Cam")
for made in (found.toSet(), found.expanded().toSet(), found.toSequence(), found.expanded().toSequence()):
    ids = sorted(made) if type(made).__name__.endswith("Set") else made
    answers.append([
        type(made).__name__, len(made), [dict(one.required) for one in ids], sorted(made.dimensions.names),
        made.hasFull(), made.hasRecords(), ids[0] in made, made == made.toSet(), made == made.toSequence(),
        len(made.subset(["exposure"])), sorted(made.subset(["exposure"]).dimensions.names), len(made.toSet()),
    ])
one, both = found.toSet().fromScalar(ids[0]), found.toSet()
answers.append([len(both - one.toSet()), both.issuperset(one), both.union(one) == both, both.isdisjoint(one)])
answers.append([found.toSequence()[1:3].hasFull(), found.toSequence().index(ids[1]), found.toSequence().count(ids[0])])
json.dump(answers, sys.stdout)
"""
)


def test_imported_refs_and_containers_of_data_ids_are_the_peers(tmp_path, run_peer, capsys, monkeypatch):
    theirs = json.loads(run_peer(IMPORT, str(tmp_path / "theirs")))
    monkeypatch.setattr("sys.argv", ["-c", str(tmp_path / "ours")])
    exec(IMPORT.replace("lsst.daf.butler", "armillary.butler"), {})
    assert json.loads(capsys.readouterr().out) == theirs
    assert theirs[0][0][0][0]["band"] == "g" and theirs[8][:2] == ["DataCoordinateSet", 4]


def test_what_is_inserted_comes_back_as_expanded_as_the_peers(tmp_path, run_peer, capsys, monkeypatch):
    theirs = json.loads(run_peer(INSERT, str(tmp_path / "theirs")))
    monkeypatch.setattr("sys.argv", ["-c", str(tmp_path / "ours")])
    exec(INSERT.replace("lsst.daf.butler", "armillary.butler"), {})
    ours = json.loads(capsys.readouterr().out)
    assert ours == theirs
    assert theirs[0][0][0][0]["band"] == "g" and [told for told, _ in theirs].count("LookupError") == 3
