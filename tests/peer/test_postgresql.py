"""The same PostgreSQL repository, made, written and read by the peer and by armillary, each way round."""

from __future__ import annotations

import json

import pytest

import armillary.butler
from armillary.butler import Butler, CollectionType, DatasetType, Timespan
from armillary.testing import fill_small_repository

MAKE = """
import json, sys
from lsst.daf.butler import Butler, Config
root, seed = sys.argv[1], json.loads(sys.argv[2])
Butler.makeRepo(root, config=Config(seed))
"""

FILL = (
    MAKE
    + """
from lsst.daf.butler import CollectionType, DatasetType, Timespan
with Butler.from_config(root, writeable=True) as butler:
    registry = butler.registry
    camera = {"instrument": "Cam"}
    registry.insertDimensionData("instrument", {"name": "Cam", "visit_max": 9, "exposure_max": 9, "detector_max": 9})
    registry.insertDimensionData("physical_filter", camera | {"name": "Cam-R", "band": "r"})
    registry.insertDimensionData("detector", *(camera | {"id": i, "full_name": f"S{i}"} for i in range(3)))
    registry.insertDimensionData("day_obs", camera | {"id": 20250101, "timespan": Timespan(None, None)})
    registry.insertDimensionData("visit", *(camera | {"id": i, "name": f"v{i}", "physical_filter": "Cam-R",
        "day_obs": 20250101, "exposure_time": 30.0, "timespan": Timespan.makeEmpty() if i else None} for i in range(2)))
    kinds = {"bias": (["detector"], True), "image": (["visit", "detector"], False), "log": ([], False)}
    for name, (dimensions, calibration) in kinds.items():
        registry.registerDatasetType(DatasetType(name, dimensions, "StructuredDataDict",
            universe=butler.dimensions, isCalibration=calibration))
    registry.registerRun("u/one")
    registry.registerCollection("calib", CollectionType.CALIBRATION)
    registry.registerCollection("all", CollectionType.CHAINED)
    registry.setCollectionChain("all", ["u/one", "calib"])
    refs = [butler.put({"detector": i}, "bias", camera, detector=i, run="u/one") for i in range(3)]
    butler.put({"visit": 1}, "image", camera, visit=1, detector=2, run="u/one")
    registry.certify("calib", refs[:2], Timespan(None, None, _nsec=(5, 4102444800000000000)))
"""
)

READ = """
import json, sys
from lsst.daf.butler import Butler, Timespan
with Butler.from_config(sys.argv[1], writeable=False) as butler:
    registry = butler.registry
    print(json.dumps({
        "collections": sorted(registry.queryCollections()),
        "types": sorted(found.name for found in registry.queryDatasetTypes()),
        "bias": sorted((ref.dataId["detector"], str(ref.id), ref.run) for ref in
                       registry.queryDatasets("bias", collections="u/one")),
        "images": sorted(butler.get(ref)["visit"] for ref in registry.queryDatasets("image", collections=...)),
        "records": [[record.id, record.name, record.exposure_time, record.timespan and list(record.timespan.nsec)]
                    for record in registry.queryDimensionRecords("visit").order_by("visit")],
        "certified": sorted((a.ref.dataId["detector"], list(a.timespan.nsec)) for a in
                            registry.queryDatasetAssociations("bias", "calib")),
        "chain": list(registry.getCollectionChain("all")),
    }))
"""

SCHEMA = """
SELECT table_name || '.' || column_name, data_type, character_maximum_length, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = '{0}' ORDER BY 1;
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = '{0}'::regnamespace ORDER BY 1, 2;
SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = '{0}' ORDER BY 1, 2;
SELECT sequencename, data_type, start_value, increment_by FROM pg_sequences WHERE schemaname = '{0}' ORDER BY 1
"""


def _schema(cluster, namespace):
    text = cluster.sql(SCHEMA.format(namespace)).replace(f"{namespace}.", "")
    return [line for line in text.splitlines() if "armillary_intent" not in line]


@pytest.fixture
def repository(cluster, tmp_path):
    """A folder and the seed of a repository in a schema of its own."""
    namespace = cluster.new_namespace()
    return str(tmp_path / "repo"), cluster.seed(namespace), namespace


def _answers(root):
    with Butler(root) as butler:
        registry = butler.registry
        bias = registry.queryDatasets("bias", collections="u/one")
        certified = registry.queryDatasetAssociations("bias", "calib")
        records = registry.queryDimensionRecords("visit").order_by("visit")
        return {
            "collections": sorted(registry.queryCollections()),
            "types": sorted(found.name for found in registry.queryDatasetTypes()),
            "bias": sorted([ref.dataId["detector"], str(ref.id), ref.run] for ref in bias),
            "images": sorted(butler.get(ref)["visit"] for ref in registry.queryDatasets("image", collections=...)),
            "records": [[r.id, r.name, r.exposure_time, r.timespan and list(r.timespan.nsec)] for r in records],
            "certified": sorted([a.ref.dataId["detector"], list(a.timespan.nsec)] for a in certified),
            "chain": list(registry.getCollectionChain("all")),
        }


def test_schemas_are_equal(cluster, tmp_path, run_peer):
    """Tables, columns, constraints, indexes, sequences and all their names, fixed ones and those made later."""
    theirs, ours = cluster.new_namespace(), cluster.new_namespace()
    run_peer(FILL, str(tmp_path / "theirs"), json.dumps(cluster.seed(theirs)))
    Butler.makeRepo(str(tmp_path / "ours"), config=cluster.seed(ours))
    with Butler(str(tmp_path / "ours"), writeable=True) as butler:
        kinds = {"bias": (["detector"], True), "image": (["visit", "detector"], False), "log": ([], False)}
        for name, (dimensions, calibration) in kinds.items():
            butler.registry.registerDatasetType(
                DatasetType(
                    name, dimensions, "StructuredDataDict", universe=butler.dimensions, isCalibration=calibration
                )
            )
    assert _schema(cluster, ours) == _schema(cluster, theirs)
    # The peer's document of the dimensions carries prose, which is optional and not ours.
    attributes = "SELECT name, value FROM {}.butler_attributes WHERE name <> 'config:dimensions.json' ORDER BY name"
    assert cluster.sql(attributes.format(ours)) == cluster.sql(attributes.format(theirs))


def test_what_the_peer_made_is_read_and_written(repository, run_peer):
    root, seed, _ = repository
    run_peer(FILL, root, json.dumps(seed))
    answers = _answers(root)
    assert answers["records"] == [[0, "v0", 30.0, None], [1, "v1", 30.0, [4102444800000000000, 0]]]
    assert answers == json.loads(run_peer(READ, root))
    with Butler(root, writeable=True) as butler:
        butler.put({"visit": 0}, "image", instrument="Cam", visit=0, detector=1, run="u/one")
        refs = butler.query_datasets("bias", collections="u/one", where="instrument = 'Cam' AND detector = 2")
        butler.registry.certify("calib", refs, Timespan(None, None, _nsec=(0, 7)))
        butler.registry.decertify("calib", "bias", Timespan(None, None, _nsec=(10, 20)))
        butler.registry.registerCollection("tag", CollectionType.TAGGED)
        butler.registry.associate("tag", refs)
        butler.registry.insertDimensionData(
            "visit",
            {"instrument": "Cam", "id": 7, "name": "v7", "physical_filter": "Cam-R", "day_obs": 20250101}
            | {"timespan": Timespan(None, None, _nsec=(100, 4102444800000000000))},
        )
    assert _answers(root) == json.loads(run_peer(READ, root))


def test_what_armillary_made_is_read_and_written_by_the_peer(repository, run_peer):
    root, seed, _ = repository
    Butler.makeRepo(root, config=seed)
    with Butler(root, writeable=True, run="u/me") as butler:
        fill_small_repository(butler)
        butler.put({"mean": 1}, "metrics", instrument="Cam", visit=10, detector=1, run="u/me")
    script = """
import sys
from lsst.daf.butler import Butler
with Butler.from_config(sys.argv[1], writeable=True, run="u/peer") as butler:
    print(butler.get("metrics", instrument="Cam", visit=10, detector=1, collections="u/me"))
    butler.put({"mean": 2}, "metrics", instrument="Cam", visit=11, detector=2)
    butler.registry.removeDatasetType("summary")
"""
    assert run_peer(script, root).strip() == "{'mean': 1}"
    with Butler(root) as butler:
        data_id = {"instrument": "Cam", "visit": 11, "detector": 2}
        assert butler.get("metrics", data_id, collections="u/peer") == {"mean": 2}
        with pytest.raises(armillary.butler.MissingDatasetTypeError):
            butler.get_dataset_type("summary")
