"""A repository rebuilt through our calls holds the rows the peer wrote, table by table."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64decode
from contextlib import closing
from uuid import UUID

import pytest

from armillary import _core
from conftest import shared_path

STORE = "FileDatastore@<butlerRoot>"
DAY = 86_400 * 10**9
NEW_YEAR = 1_735_689_600 * 10**9  # 2025-01-01T00:00:00 TAI


def span(begin, end):
    return _core.Timespan(None, None, _nsec=(begin, end))


def given(row):
    """A stored row as the fields of a record."""
    fields = dict(row)
    for name in ("region", "hash"):
        if fields.get(name) is not None:
            fields[name] = b64decode(fields[name])
    for name in ("has_simulated", "can_see_sky"):
        if fields.get(name) is not None:
            fields[name] = bool(fields[name])
    if "timespan_begin" in fields:
        begin, end = fields.pop("timespan_begin"), fields.pop("timespan_end")
        fields["timespan"] = None if begin is None else span(begin, end)
    return fields


class Rebuild:
    """Feeds the rows of a repository to a registry."""

    def __init__(self, registry, rows):
        self.registry, self.rows = registry, rows
        self.names = {row["collection_id"]: row["name"] for row in rows["collection"]}

    def records(self):
        for element in self.registry.universe.elements:
            name = element if isinstance(element, str) else element.name
            if name in self.rows:
                self.registry.insert_records(name, [given(row) for row in self.rows[name]])

    def dataset_types(self):
        universe = self.registry.universe
        self.types = {}
        for row in self.rows["dataset_type"]:
            key = row["dimensions_key"]
            definitions = self.rows["dimension_graph_definition"]
            names = [d["dimension_name"] for d in definitions if d["dimension_graph_id"] == key]
            calibration = row["calibration_association_table"] is not None
            made = _core.DatasetType(
                row["name"], names, row["storage_class"], universe=universe, isCalibration=calibration
            )
            assert self.registry.register_dataset_type(made)
            self.types[row["id"]] = (made, row["tag_association_table"])

    def collections(self):
        for row in self.rows["collection"]:
            # The documentation of `chain` came later, which leaves the same row.
            self.registry.register_collection(row["name"], row["type"], row["doc"])

    def datasets(self):
        self.refs = {}
        for row in self.rows["dataset"]:
            dataset_type, table = self.types[row["dataset_type_id"]]
            (tag,) = [
                tag
                for tag in self.rows[table]
                if tag["dataset_id"] == row["id"] and tag["collection_id"] == row["run_id"]
            ]
            data_id = {name: tag[name] for name in dataset_type.dimensions.required}
            data_id = _core.DataCoordinate.standardize(data_id, dimensions=dataset_type.dimensions)
            ref = _core.DatasetRef(dataset_type, data_id, self.names[row["run_id"]], id=UUID(row["id"]))
            self.refs[row["id"]] = ref
        files = {row["dataset_id"]: row for row in self.rows["file_datastore_records"]}
        for id, ref in self.refs.items():
            row = dict(files[id])
            row["component"] = None if row["component"] == "__NULL_STRING__" else row["component"]
            record = _core.FileRecord(**row)
            intent = self.registry.begin_write(STORE, [record.path])
            self.registry.finish_write(intent, STORE, [ref], [record], register=True)

    def of_type(self, name):
        return [ref for ref in self.refs.values() if ref.datasetType.name == name]

    def memberships(self):
        registry = self.registry
        registry.associate("tagged", self.of_type("bias"))
        registry.certify("calib", self.of_type("bias"), span(NEW_YEAR, _core.Timespan(None, None).nsec[1]))
        registry.certify("calib", self.of_type("flat"), span(0, NEW_YEAR + 31 * DAY))
        registry.certify("calib", self.of_type("camera"), _core.Timespan(None, None))
        middle = span(NEW_YEAR + 9 * DAY, NEW_YEAR + 11 * DAY)
        registry.decertify("calib", "bias", middle, [{"instrument": "Cam", "detector": 2}])
        registry.set_chain("chain", ["u/me/run1", "calib/run"])
        registry.prepend_chain("chain", ["tagged"])
        registry.extend_chain("chain", ["calib"])
        registry.remove_from_chain("chain", ["calib/run"])
        registry.prepend_chain("chain2", ["tagged"])
        registry.extend_chain("chain3", ["tagged", "calib"])
        (gone,) = self.of_type("arr")[:1]
        with closing(sqlite3.connect(registry.path)) as other, other:  # only other clients use the trash
            other.execute("INSERT INTO dataset_location_trash VALUES (?, ?)", (gone.id.hex, STORE))
            other.execute("DELETE FROM dataset_location WHERE dataset_id = ?", (gone.id.hex,))


pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # it looks into the file


def stored(path, name):
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    rows = [dict(row) for row in connection.execute(f'select * from "{name}"')]
    connection.close()
    return rows


def in_order(name, rows):
    # When a dataset was entered is the one thing that cannot be the same.
    kept = [{key: value for key, value in row.items() if key != "ingest_date"} for row in rows]
    if name.startswith("dataset_calibs"):
        kept = [{key: value for key, value in row.items() if key != "id"} for row in kept]
    return sorted(kept, key=lambda row: json.dumps(row, sort_keys=True))


def test_the_rebuilt_repository_has_the_same_rows(registry):
    rows = json.loads(shared_path("contract-fixtures/sqlite/rows_rich.json").read_text())
    rebuild = Rebuild(registry, rows)
    rebuild.records()
    rebuild.dataset_types()
    rebuild.collections()
    rebuild.datasets()
    rebuild.memberships()
    assert len(rows) > 30
    for name, known in rows.items():
        assert in_order(name, stored(registry.path, name)) == in_order(name, known), name


def test_the_rebuilt_repository_has_the_same_tables(registry):
    rows = json.loads(shared_path("contract-fixtures/sqlite/rows_rich.json").read_text())
    Rebuild(registry, rows).dataset_types()
    connection = sqlite3.connect(registry.path)
    ours = {row[0] for row in connection.execute("select sql from sqlite_master where sql is not null")}
    connection.close()
    known = shared_path("contract-fixtures/sqlite/schema_rich_sorted.sql").read_text().split(";\n")
    known = {text.strip().replace("CREATE TABLE IF NOT EXISTS", "CREATE TABLE") for text in known} - {""}
    assert ours - known == set()
    assert known - ours == set()
