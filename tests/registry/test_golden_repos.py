"""Repositories that real software wrote, in universes 1 to 7: we see in them what the peer sees."""

from __future__ import annotations

import gzip
import json
import shutil
from uuid import UUID

import pytest

from armillary import _core
from conftest import shared_path

KINDS = {"RUN": 1, "TAGGED": 2, "CHAINED": 3, "CALIBRATION": 4}
GOLDEN = sorted(path.name.removesuffix(".json.gz") for path in shared_path("data/golden/repos").glob("*.json.gz"))


def test_there_are_golden_repositories():
    assert len(GOLDEN) == 9


@pytest.fixture(params=GOLDEN)
def repository(request, tmp_path):
    golden = json.loads(gzip.decompress(shared_path(f"data/golden/repos/{request.param}.json.gz").read_bytes()))
    path = tmp_path / "gen3.sqlite3"
    shutil.copy(shared_path(f"data/repos/{request.param}/gen3.sqlite3"), path)
    path.chmod(0o600)
    registry = _core.Registry.open(str(path), writeable=False)
    yield registry, golden
    registry.close()


def test_same_collections(repository):
    registry, golden = repository
    assert (registry.universe.namespace, registry.universe.version) == tuple(golden["universe"])
    assert sorted(registry.query_collections()) == sorted(golden["collections"])
    for name, known in golden["collections"].items():
        found, kind, doc, children = registry.collection(name)
        assert (found, kind, doc) == (name, KINDS[known["type"]], known["doc"])
        assert list(children) == known.get("children", [])


def test_same_dataset_types(repository):
    registry, golden = repository
    found = {dataset_type.name: dataset_type for dataset_type in registry.query_dataset_types()}
    assert sorted(found) == sorted(golden["dataset_types"])
    for name, known in golden["dataset_types"].items():
        dataset_type = found[name]
        assert list(dataset_type.dimensions.names) == known["dimensions"]
        assert list(dataset_type.dimensions.required) == known["required"]
        assert dataset_type.isCalibration() == known["isCalibration"]
        assert dataset_type.storageClass_name == known["storageClass"]


def test_same_datasets_with_their_files(repository):
    registry, golden = repository
    assert golden["datasets"]
    for name, rows in golden["datasets"].items():
        runs = sorted({row[1] for row in rows})
        found = {str(ref.id): (ref, run) for ref, run, _ in registry.dataset_associations(name, runs, [KINDS["RUN"]])}
        assert sorted(found) == sorted(row[0] for row in rows)
        for id, run, data_id, path, _ in rows:
            ref, collection = found[id]
            assert (ref.run, collection, dict(ref.dataId.required)) == (run, run, data_id)
            assert registry.get_dataset(UUID(id)) == ref
            again, records = registry.find_records(name, data_id, [run])
            assert again == ref
            # The peer gives no path where it cannot reach the file.
            assert [record.path if path != "None" else path for record in records] == [path]


def test_same_certifications(repository):
    registry, golden = repository
    every = registry.query_collections(kinds=[KINDS["CALIBRATION"]])
    for name, rows in golden["certifications"].items():
        found = [
            [collection, str(ref.id), list(timespan.nsec)]
            for ref, collection, timespan in registry.dataset_associations(name, every)
        ]
        assert sorted(found) == sorted([row[0], row[1], list(row[2])] for row in rows)


def plain(value):
    if isinstance(value, _core.Timespan):
        return list(value.nsec)
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "encode") and not isinstance(value, str):
        return value.encode().hex()
    return value


def test_same_records(repository):
    registry, golden = repository
    for name, rows in golden["records"].items():
        element = registry.universe[name]
        own = getattr(element, "primaryKey", None)
        for known in rows[:200]:
            required = list(element.required.names)
            data_id = {key: known[key if key != name or own is None else own.name] for key in required}
            record = registry.expand_data_id(data_id).records[name]
            assert {key: plain(value) for key, value in record.toDict().items()} == known
