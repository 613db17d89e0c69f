"""What the rows of an answer imply is looked up for all of them at once; few rows get it by one statement."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import armillary.butler
from armillary.butler import Butler
from query import two_instruments
from query.test_counts import WHERE, data_sets, outcome

FEW = 999  # a limit that small is met by one statement that joins everything


def whole(ref):
    return ref.id, ref.run, tuple(ref.dataId.mapping.items())


def records(data_id):
    return {name: record and record.toDict() for name, record in data_id.records.items()}


@pytest.mark.parametrize("where", [WHERE[0], WHERE[3]])
def test_many_rows_tell_what_few_rows_tell(butler, where):
    compared = 0
    for name, collections in data_sets(butler):
        for find_first in (True, False):
            for order in ((), ("-instrument", "ingest_date")):
                query = butler.registry.queryDatasets(name, collections=collections, where=where, findFirst=find_first)
                query = query.order_by(*order).expanded()
                many, few = (outcome(lambda asked=asked: list(asked)) for asked in (query, query.limit(FEW)))
                if isinstance(many, str):
                    assert few == many
                    continue
                assert sorted(map(whole, many)) == sorted(map(whole, few)), (name, collections, find_first)
                assert {ref.id: records(ref.dataId) for ref in many} == {ref.id: records(ref.dataId) for ref in few}
                two = [whole(ref) for ref in query.limit(2)]
                assert len(two) == min(2, len(many))
                assert set(two) <= set(map(whole, many))
                compared += len(many)
    assert compared > 0


def test_each_row_has_its_own_values_and_records(butler):
    refs = butler.registry.queryDatasets("raw", collections="*", findFirst=False).expanded()
    table = refs.to_arrow().to_pylist()
    refs = list(refs)
    assert len({ref.dataId["physical_filter"] for ref in refs}) > 2
    for ref, row in zip(refs, table, strict=True):
        expanded = butler.registry.expandDataId(dict(ref.dataId.required))
        assert ref.dataId.mapping == expanded.mapping
        assert records(ref.dataId) == records(expanded)
        assert ref.dataId.full_values == expanded.full_values
        assert {name: row[name] for name in ref.dataId.mapping} == dict(ref.dataId.mapping)
        assert row["run"] == ref.run


def test_a_dataset_of_which_a_record_is_missing_is_in_no_answer(tmp_path):
    Butler.makeRepo(str(tmp_path))
    with Butler(str(tmp_path), writeable=True) as butler:
        two_instruments.fill(butler, armillary.butler)
        before = list(butler.registry.queryDatasets("raw", collections="raw/a"))
    with sqlite3.connect(tmp_path / "gen3.sqlite3") as database:  # which checks no foreign keys
        database.execute("DELETE FROM physical_filter WHERE name = 'a-r'")
    database.close()
    kept = {ref.id for ref in before if ref.dataId["physical_filter"] != "a-r"}
    assert 0 < len(kept) < len(before)
    with Butler(str(tmp_path)) as butler:
        refs = butler.registry.queryDatasets("raw", collections="raw/a")
        assert {ref.id for ref in refs} == {ref.id for ref in refs.limit(FEW)} == kept
        assert {ref.id for ref in refs.expanded()} == kept


def test_queries_and_changes_of_two_threads_do_not_wait_for_each_other(tmp_path):
    Butler.makeRepo(str(tmp_path))
    with Butler(str(tmp_path), writeable=True) as butler:
        two_instruments.fill(butler, armillary.butler)
        done = threading.Event()

        def ask() -> int:
            asked = 0
            while not done.is_set() or not asked:
                assert list(butler.registry.queryDatasets("raw", collections="raw/a").expanded())
                asked += 1
            return asked

        with ThreadPoolExecutor(2) as threads:
            asking = [threads.submit(ask) for _ in range(2)]
            try:
                for number in range(20):
                    butler.collections.register(f"u/someone/{number}")
            finally:
                done.set()
            assert all(one.result(60) > 0 for one in asking)
