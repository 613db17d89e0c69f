"""Results as tables of other packages: the same values as the objects hold."""

from __future__ import annotations

import gc
import pickle
import sys

import astropy.time
import pyarrow as pa
import pytest

from armillary.butler.query_tables import html_table

A = {"instrument": "CamA"}


@pytest.fixture
def query(butler):
    with butler.query() as query:
        yield query.where(A)


def test_data_ids_become_columns(query):
    found = query.data_ids(["visit", "detector"]).order_by("visit", "detector")
    table = found.to_arrow()
    assert table.column_names == ["instrument", "detector", "visit", "band", "day_obs", "physical_filter"]
    assert table.to_pylist() == [dict(data_id.mapping) for data_id in found]
    assert pa.types.is_dictionary(table.schema.field("instrument").type)


def test_references_become_columns(query):
    found = query.datasets("calexp", ["run1", "run2"]).order_by("visit", "detector")
    rows = found.to_arrow().to_pylist()
    assert [row["dataset_id"] for row in rows] == [ref.id.bytes for ref in found]
    assert [row["run"] for row in rows] == [ref.run for ref in found]
    assert {row["dataset_type"] for row in rows} == {"calexp"}
    table = found.to_table()
    assert list(table["dataset_id"]) == [str(ref.id) for ref in found]
    assert table["visit"].dtype.kind == "i" and table["run"].dtype.kind == "U"


def test_records_become_columns(query):
    found = query.dimension_records("visit").order_by("visit")
    records = list(found)
    table = found.to_arrow()
    assert table["exposure_time"].to_pylist() == [record.exposure_time for record in records]
    assert [None if region is None else region for region in table["region"].to_pylist()] == [
        None if record.region is None else record.region.encode() for record in records
    ]
    spans = table["timespan"].combine_chunks()
    assert spans.field("begin").cast("int64").to_pylist() == [record.timespan.nsec[0] for record in records]
    assert spans.field("end").cast("int64").to_pylist() == [record.timespan.nsec[1] for record in records]
    columns = found.to_table()
    assert columns["timespan.begin"].scale == "tai"
    assert [time.isot for time in columns["timespan.begin"]] == [record.timespan.begin.isot for record in records]
    assert list(columns["region"]) == [record.region for record in records]


def test_unknown_values_stay_unknown(query):
    found = query.dimension_records("exposure").order_by("exposure")
    expected = [record.can_see_sky for record in found]
    assert None in expected
    assert found.to_arrow()["can_see_sky"].to_pylist() == expected
    table = found.to_table()
    assert [None if value is table.mask else value for value in table["can_see_sky"].tolist()] == expected
    assert table["exposure_time"].mask.tolist() == [record.exposure_time is None for record in found]


def test_attached_records_become_columns(query):
    found = query.data_ids(["visit", "detector"]).with_dimension_records().order_by("visit", "detector")
    table = found.to_arrow()
    assert table["visit.exposure_time"].to_pylist() == [data_id.visit.exposure_time for data_id in found]
    assert table["detector.full_name"].to_pylist() == [data_id.detector.full_name for data_id in found]
    missing = [data_id.records["visit_detector_region"] is None for data_id in found]
    assert any(missing)
    assert [region is None for region in table["visit_detector_region.region"].to_pylist()] == missing


def test_general_rows_become_columns(query):
    rows = query.join_dataset_search("calexp", ["run1"]).general(
        ["visit", "detector"], "calexp.ingest_date", "visit.region", "visit.timespan.begin", find_first=True
    )
    table, objects = rows.to_table(), list(rows)
    assert isinstance(objects[0]["visit.timespan.begin"], astropy.time.Time)
    for name in ("calexp.ingest_date", "visit.timespan.begin"):
        assert abs(table[name] - astropy.time.Time([row[name] for row in objects])).max().to_value("ns") < 1
    assert list(table["visit.region"]) == [row["visit.region"] for row in objects]


def test_empty_results_have_the_same_columns(query):
    for results in (query.data_ids("visit"), query.datasets("calexp", ["run1"])):
        empty = results.where("visit = 999")
        assert empty.to_arrow().num_rows == 0
        assert empty.to_arrow().column_names == results.to_arrow().column_names
        assert len(empty.to_table()) == 0


def test_lists_become_tables_too(butler):
    found = butler.query_datasets("calexp", ["run1", "run2"], order_by=["-visit", "detector"], **A)
    assert isinstance(found, list)
    assert found.to_arrow()["visit"].to_pylist() == [ref.dataId["visit"] for ref in found]
    found.sort()
    del found[::2]
    assert found.to_arrow()["dataset_id"].to_pylist() == [ref.id.bytes for ref in found]
    found.append("something else")
    with pytest.raises(ValueError, match="items that the query did not find"):
        found.to_arrow()
    cut = butler.query_data_ids("visit", limit=-3, order_by="visit", **A)
    assert cut.to_arrow()["visit"].to_pylist() == [100, 101, 102]
    assert type(pickle.loads(pickle.dumps(cut))) is list


def test_several_types_share_one_table(butler):
    found = butler.query_all_datasets(["run1", "run3"], name="*")
    table = found.to_arrow()
    assert table["dataset_id"].to_pylist() == [ref.id.bytes for ref in found]
    assert table["dataset_type"].to_pylist() == [ref.datasetType.name for ref in found]
    assert table["tract"].to_pylist() == [ref.dataId.get("tract") for ref in found]
    legacy = butler.registry.queryDatasets("*", collections=["run1", "run3"])
    assert legacy.to_arrow().num_rows == legacy.count()


def test_a_table_keeps_its_memory_and_leaves_that_of_kept_results(query):
    found = query.datasets("calexp", ["run1", "run2"]).order_by("visit", "detector")
    expected = found.to_arrow().to_pylist()
    with found.materialize() as kept:
        first, second = kept.to_arrow(), kept.to_arrow()
        assert [ref.id.bytes for ref in kept] == [row["dataset_id"] for row in expected]
    assert first["dataset_id"].chunk(0).buffers()[1].address != second["dataset_id"].chunk(0).buffers()[1].address
    del kept
    gc.collect()
    others = [found.to_arrow() for _ in range(20)]
    assert first.to_pylist() == second.to_pylist() == others[-1].to_pylist() == expected


def test_other_packages_read_results_as_arrow(query):
    found = query.data_ids("visit").order_by("visit")
    assert pa.table(found)["visit"].to_pylist() == [100, 101, 102, 103, 104, 105, 106]


def test_polars_frames_hold_the_same(query):
    polars = pytest.importorskip("polars", reason="polars is optional")
    found = query.datasets("calexp", ["run1"]).order_by("visit", "detector")
    frame = found.to_polars()
    assert isinstance(frame, polars.DataFrame)
    assert frame["dataset_id"].to_list() == [str(ref.id) for ref in found]
    assert frame["visit"].to_list() == [ref.dataId["visit"] for ref in found]


def test_missing_polars_is_said(query, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ModuleNotFoundError, match="pip install polars"):
        query.data_ids("visit").to_polars()


def test_notebooks_show_the_first_rows_and_the_count(query, butler):
    shown = query.dimension_records("exposure").order_by("exposure")._repr_html_()
    assert "<p>8 records</p>" in shown and shown.count("<tr>") == 9 and "o100" in shown
    shown = query.datasets("calexp", ["run1"])._repr_html_()
    assert "<p>16 datasets; the first 10 are shown</p>" in shown and shown.count("<tr>") == 11
    assert "0 rows" in query.where("visit = 999").general("visit", "visit.name")._repr_html_()
    assert "<p>7 results</p>" in butler.query_data_ids("visit", **A)._repr_html_()


def test_html_is_escaped():
    shown = html_table([{"visit.target_name": "<script>", "a<b": 1}], 1, "rows")
    assert "<td>&lt;script&gt;</td>" in shown and "<th>a&lt;b</th>" in shown


def test_a_result_is_shown_on_one_line(query, butler):
    for results in (
        query.data_ids("visit"),
        query.datasets("calexp", ["run1"]),
        query.dimension_records("visit"),
        query.general("visit", "visit.name"),
        butler.registry.queryDatasets("*", collections="run1"),
        query,
    ):
        assert "\n" not in repr(results)
    assert repr(query.dimension_records("visit").where("visit = 101")) == (
        "<DimensionRecordQueryResults: {instrument: 'CamA', visit: 101}>"
    )
