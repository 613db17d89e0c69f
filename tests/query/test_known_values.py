"""A value that all rows have is not read from each; it is still the value of each."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

import armillary.butler
from armillary.butler import Butler, DatasetRef
from query import two_instruments

RUNS = 12


@pytest.fixture
def root(seed, tmp_path) -> str:
    path = str(tmp_path / "repo")
    Butler.makeRepo(path, config=seed)
    with Butler(path, writeable=True) as butler:
        two_instruments.fill(butler, armillary.butler)
    return path


def raw_of(butler: Butler, instrument: str) -> dict:
    """A data ID of a `raw` of that instrument."""
    found = butler.registry.queryDatasets("raw", collections="*", findFirst=False, instrument=instrument)
    return dict(next(iter(found)).dataId.required)


def instruments(butler: Butler, run: str) -> dict[str, list[str]]:
    """The instruments of the datasets in a run, by every way to ask."""
    refs = butler.registry.queryDatasets("raw", collections=run)
    return {
        "objects": sorted(ref.dataId["instrument"] for ref in refs),
        "expanded": sorted(ref.dataId.records["instrument"].name for ref in refs.expanded()),
        "arrow": sorted(refs.to_arrow()["instrument"].to_pylist()),
        "data IDs": sorted(
            one["instrument"]
            for one in butler.registry.queryDataIds(["exposure", "detector"], datasets="raw", collections=run)
        ),
        "filtered": sorted(
            ref.dataId["instrument"]
            for name in two_instruments.FILTERS
            for ref in butler.registry.queryDatasets("raw", collections=run, instrument=name)
        ),
    }


def expected(*names: str) -> dict[str, list[str]]:
    return dict.fromkeys(("objects", "expanded", "arrow", "data IDs", "filtered"), sorted(names))


def test_what_others_add_is_no_dataset_of_the_only_instrument_before(root):
    with Butler(root, writeable=True) as ours, Butler(root, writeable=True) as theirs:
        ours.collections.register("u/mixed")
        ours.registry.insertDatasets("raw", [raw_of(ours, "CamA")], run="u/mixed")
        assert instruments(ours, "u/mixed") == instruments(theirs, "u/mixed") == expected("CamA")
        added = theirs.registry.insertDatasets("raw", [raw_of(theirs, "CamB")], run="u/mixed")
        assert instruments(ours, "u/mixed") == instruments(theirs, "u/mixed") == expected("CamA", "CamB")
        # The summary still has both.
        theirs.pruneDatasets(added, unstore=True, purge=True, disassociate=True)
        assert instruments(ours, "u/mixed") == instruments(theirs, "u/mixed") == expected("CamA")


def test_what_is_not_committed_counts_for_who_wrote_it(root):
    with Butler(root, writeable=True) as butler:
        butler.collections.register("u/mixed")
        butler.registry.insertDatasets("raw", [raw_of(butler, "CamA")], run="u/mixed")
        with pytest.raises(ZeroDivisionError), butler.transaction():
            butler.registry.insertDatasets("raw", [raw_of(butler, "CamB")], run="u/mixed")
            assert instruments(butler, "u/mixed") == expected("CamA", "CamB")
            raise ZeroDivisionError
        assert instruments(butler, "u/mixed") == expected("CamA")


def test_rows_and_summaries_are_of_one_state(root):
    with Butler(root, writeable=True) as butler, Butler(root, writeable=True) as other:
        wanted = {name: raw_of(butler, name) for name in two_instruments.FILTERS}
        for number in range(RUNS):
            butler.collections.register(f"u/run{number}")
            butler.registry.insertDatasets("raw", [wanted["CamA"]], run=f"u/run{number}")

        def add() -> None:
            for number in range(RUNS):
                other.registry.insertDatasets("raw", [wanted["CamB"]], run=f"u/run{number}")

        with ThreadPoolExecutor(1) as threads:
            adding, looks = threads.submit(add), 0
            while not adding.done() or not looks:
                for number in range(RUNS):
                    refs = butler.registry.queryDatasets("raw", collections=f"u/run{number}")
                    found = [dict(ref.dataId.required) for ref in refs]
                    assert all(one in wanted.values() for one in found), found
                looks += 1
            adding.result(60)


def test_references_of_many_rows_are_those_of_one(root):
    """Across the ends of the blocks in which rows are kept."""
    with Butler(root, writeable=True) as butler:
        insert, here = butler.registry.insertDimensionData, {"instrument": "CamA"}
        new = range(100, 250)
        insert("detector", *(here | {"id": d, "full_name": f"many{d}", "purpose": "SCIENCE"} for d in new))
        exposure = raw_of(butler, "CamA")["exposure"]
        ids = [here | {"exposure": exposure, "detector": d} for d in new]
        butler.collections.register("u/many")
        inserted = butler.registry.insertDatasets("raw", ids, run="u/many")
        for collections in (["u/many"], ["u/many", "raw/a"]):
            results = butler.registry.queryDatasets("raw", collections=collections, findFirst=True)
            for expand in (False, True):
                found = {ref.id: ref for ref in (results.expanded() if expand else results)}
                for ref in inserted:
                    known = butler.get_dataset(ref.id)
                    known = known.expanded(butler.registry.expandDataId(known.dataId))
                    check_same(butler, found[ref.id], known, expand)
        answer = butler.registry.queryDatasets("raw", collections="u/many")._fetch()
        refs = list(answer)
        for row in (149, 0, 63, 64, 127, 128, -1):
            assert (answer[row].id, answer[row].dataId) == (refs[row].id, refs[row].dataId)
        assert answer[::-1] == refs[::-1]
        assert {*answer} == {*refs} == {*inserted}
        assert sorted(answer) == sorted(inserted)


def check_same(butler: Butler, ref: DatasetRef, known: DatasetRef, expanded: bool) -> None:
    assert ref == known and hash(ref) == hash(known) and str(ref) == str(known) and repr(ref) == repr(known)
    assert (ref.id, ref.run, ref.datasetType, ref.dimensions) == (
        known.id,
        known.run,
        known.datasetType,
        known.dimensions,
    )
    assert ref.dataId.hasFull() and ref.dataId.hasRecords() == expanded
    assert ref.dataId is ref.dataId
    assert dict(ref.dataId.mapping) == dict(known.dataId.mapping)
    for other in (pickle.loads(pickle.dumps(ref)), DatasetRef.from_json(ref.to_json(), universe=butler.dimensions)):
        assert (other, other.id, other.run) == (ref, ref.id, ref.run)
    moved = ref.replace(run="u/elsewhere", id=ref.id)
    assert (moved.run, moved.dataId, moved.id) == ("u/elsewhere", ref.dataId, ref.id)
    assert ref.is_compatible_with(known)
