"""Datasets are put, found, read and removed as a whole or not at all."""

from __future__ import annotations

import threading

import pytest

from armillary.butler import Butler, CollectionType, DatasetExistence, DatasetType
from armillary.errors import (
    ConflictingDefinitionError,
    DataIdValueError,
    DatasetNotFoundError,
    DimensionNameError,
    DimensionValueError,
    MissingCollectionError,
    MissingDatasetTypeError,
    NoDefaultCollectionError,
    OrphanedRecordError,
)

# -- put, get, find


def test_a_dataset_that_is_nowhere_is_told_with_the_nearest_that_is(butler):
    butler.put({"a": 1}, "metrics", instrument="Cam", visit=10, detector=1)
    missing = {"instrument": "Cam", "visit": 10, "detector": 2}
    with pytest.raises(DatasetNotFoundError, match=r"nor in any other collection; there is one with `detector` `1`$"):
        butler.get("metrics", missing)
    with pytest.raises(DatasetNotFoundError, match=r"there is one with `visit` `10`$"):
        butler.get("metrics", {**missing, "visit": 11, "detector": 1})
    with pytest.raises(DatasetNotFoundError, match=r"that data ID has no `detector` record; records exist for 1, 2$"):
        butler.get("metrics", {**missing, "detector": 3})
    with pytest.raises(DatasetNotFoundError, match="`query_datasets` lists what there is"):
        butler.get("summary", instrument="Cam")


@pytest.mark.parametrize(
    ("mistake", "error", "words"),
    [
        (lambda butler: butler.get(3), TypeError, "`3` is neither one dataset type nor the name of one"),
        (lambda butler: butler.query_datasets(["metrics"]), TypeError, "is neither one dataset type nor"),
        (lambda butler: butler.get("metrics", "u/me"), TypeError, "`u/me` is no data ID; give a mapping such as"),
        (lambda butler: butler.get("flat", 3), TypeError, "`3` is no data ID"),
        (lambda butler: butler.collections.query("*", "RUNS"), KeyError, "no collection type is called `RUNS`; known"),
    ],
)
def test_arguments_of_another_sort_are_named(butler, mistake, error, words):
    with pytest.raises(error, match=words):
        mistake(butler)
    assert butler.collections.query("*", "run") == butler.collections.query("*", CollectionType.RUN)


def test_a_default_value_without_a_record_is_refused(butler):
    root = str(butler._root)
    with Butler(root, instrument="Cam") as opened:
        assert opened.registry.defaults.dataId["instrument"] == "Cam"
        with pytest.raises(DataIdValueError, match="records exist for 'Cam'"):
            opened.clone(dataId={"instrument": "Can"})
    with pytest.raises(DataIdValueError, match="has no `instrument` record; records exist for 'Cam'"):
        Butler(root, instrument="Can")


def test_what_is_put_is_got_by_reference_and_by_data_id(butler):
    ref = butler.put({"mean": 3.5}, "summary", instrument="Cam")
    assert ref.run == "u/me"
    assert butler.get(ref) == {"mean": 3.5}
    assert butler.get("summary", instrument="Cam") == {"mean": 3.5}
    assert butler.get("summary", {"instrument": "Cam"}) == {"mean": 3.5}
    assert butler.get(butler.get_dataset_type("summary"), instrument="Cam") == {"mean": 3.5}
    assert butler.find_dataset("summary", instrument="Cam") == ref
    assert butler.get_dataset(ref.id) == ref


def test_record_fields_stand_for_keys(butler):
    butler.put({"a": 1}, "metrics", instrument="Cam", visit=10, detector="S01")
    assert butler.get("metrics", instrument="Cam", visit=10, detector=2) == {"a": 1}
    assert butler.get("metrics", {"detector.full_name": "S01"}, instrument="Cam", visit=10) == {"a": 1}
    assert butler.get("metrics", instrument="Cam", visit=10, raft="R0", name_in_raft="S01") == {"a": 1}


def test_a_deferred_dataset_is_read_when_it_is_asked_for(butler):
    butler.put({"a": 1}, "summary", instrument="Cam")
    assert butler.getDeferred("summary", instrument="Cam").get() == {"a": 1}
    with pytest.raises(DatasetNotFoundError):
        butler.getDeferred("summary", instrument="Cam", collections=[])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda b: b.get("sumary", instrument="Cam"), MissingDatasetTypeError, "did you mean `summary`"),
        (lambda b: b.get("summary", instrument="Nope"), DatasetNotFoundError, "Nope"),
        (lambda b: b.get("summary"), DimensionNameError, "instrument"),
        (lambda b: b.get("summary", instrument="Cam", collections="u/mee"), MissingCollectionError, "`u/mee`"),
        (lambda b: b.get("summary", instrument="Cam", nope=3), DimensionValueError, "nope"),
        (lambda b: b.get("metrics", instrument="Cam", visit=10, raft="R0"), DimensionValueError, "2"),
        (lambda b: b.get("summary", instrument="Cam", parameters={"bbox": 3}), KeyError, "bbox"),
        (lambda b: b.get("summary.wcs", instrument="Cam"), KeyError, "wcs"),
        (lambda b: b.put({"a": 1}, "summary", instrument="Cam"), ConflictingDefinitionError, "summary"),
        (lambda b: b.put({"a": 1}, "summary", instrument="Cam", run="nope"), MissingCollectionError, "`nope`"),
        (lambda b: b.put({}, "summary", instrument="Cam", nope=3, run="u/me"), DimensionValueError, "nope"),
        (lambda b: b.put(3, "metrics", instrument="Cam", visit=10, detector=1), TypeError, "`int` to `dict`"),
        (lambda b: b.put({"a": 1}, "nope", instrument="Cam"), MissingDatasetTypeError, "nope"),
        (lambda b: b.get_dataset_type("metric"), MissingDatasetTypeError, "did you mean `metrics`"),
    ],
)
def test_mistakes_are_named(butler, call, error, message):
    butler.put({"a": 0}, "summary", instrument="Cam")
    with pytest.raises(error, match=message):
        call(butler)
    assert butler.get("summary", instrument="Cam") == {"a": 0}


def test_a_failed_put_leaves_no_row_and_no_file(butler, files_of):
    before = files_of(butler), butler._core_registry.row_counts()
    with pytest.raises((TypeError, RuntimeError)):
        butler.put({"a": object()}, "summary", instrument="Cam")
    assert (files_of(butler), butler._core_registry.row_counts()) == before


def test_nothing_is_searched_without_collections():
    from armillary.testing import small_repository

    with small_repository() as bare:
        with pytest.raises(NoDefaultCollectionError, match="collections="):
            bare.get("summary", instrument="Cam")
        with pytest.raises(NoDefaultCollectionError, match="run="):
            bare.put({}, "summary", instrument="Cam")


def test_a_reader_changes_nothing(butler, files_of):
    ref = butler.put({"a": 1}, "summary", instrument="Cam")
    reader = Butler(butler._root, collections="u/me")
    assert not reader.isWriteable()
    before = files_of(butler)
    for call in (
        lambda: reader.put({"a": 1}, "summary", instrument="Cam", run="u/me"),
        lambda: reader.pruneDatasets([ref], unstore=True),
        lambda: reader.removeRuns(["u/me"]),
        lambda: reader.transaction().__enter__(),
    ):
        with pytest.raises(TypeError, match="read-only"):
            call()
    assert files_of(butler) == before


# -- existence and places


def test_existence_says_what_is_known(butler):
    ref = butler.put({"a": 1}, "summary", instrument="Cam")
    assert butler.exists(ref) == DatasetExistence.VERIFIED
    assert butler.exists(ref, full_check=False) == DatasetExistence.KNOWN
    assert butler.stored(ref)
    butler.getURI(ref).remove()
    assert butler.exists(ref) == DatasetExistence.DATASTORE | DatasetExistence.RECORDED
    assert not butler.stored(ref)
    with pytest.raises(FileNotFoundError):
        butler.get(ref)
    assert not butler.exists("metrics", instrument="Cam", visit=10, detector=1)


def test_uris_are_those_of_files_and_can_be_predicted(butler):
    predicted = butler.getURI("summary", instrument="Cam", predict=True, run="u/me")
    ref = butler.put({"a": 1}, "summary", instrument="Cam")
    uri = butler.getURI(ref)
    assert uri.exists()
    assert uri.basename() == predicted.basename()
    with pytest.raises(DatasetNotFoundError):
        butler.getURI("metrics", instrument="Cam", visit=10, detector=1)


# -- what differs from the peer on purpose


@pytest.mark.parametrize("test", ["begin < T'2100-01-01'", "end > T'1980-01-01'", "begin != T'2000-01-01'"])
def test_what_has_no_timespan_has_no_begin_and_no_end(butler, test):
    assert butler.query_dimension_records("visit", instrument="Cam", where="visit.timespan = NULL")
    assert not butler.query_dimension_records("visit", instrument="Cam", where=f"visit.timespan.{test}", explain=False)


# -- transactions


def test_a_broken_transaction_leaves_neither_rows_nor_files(butler, files_of):
    before = files_of(butler), butler._core_registry.row_counts()
    with pytest.raises(RuntimeError, match="stop"), butler.transaction():
        butler.put({"a": 1}, "summary", instrument="Cam")
        butler.registry.registerDatasetType(
            DatasetType("extra", ["instrument"], "StructuredDataDict", universe=butler.dimensions)
        )
        butler.put({"a": 2}, "extra", instrument="Cam")
        butler.registry.insertDimensionData("detector", {"instrument": "Cam", "id": 7, "full_name": "S7"})
        raise RuntimeError("stop")
    assert (files_of(butler), butler._core_registry.row_counts()) == before
    assert butler.query_datasets("summary", explain=False) == []


def test_a_broken_inner_transaction_leaves_the_outer_one_whole(butler, files_of):
    with butler.transaction():
        kept = butler.put({"a": 1}, "metrics", instrument="Cam", visit=10, detector=1)
        with pytest.raises(RuntimeError), butler.transaction():
            butler.put({"a": 2}, "metrics", instrument="Cam", visit=10, detector=2)
            raise RuntimeError
    assert [ref.id for ref in butler.query_datasets("metrics")] == [kept.id]
    assert butler.get(kept) == {"a": 1}
    assert len(files_of(butler)) == 1


# -- taking away


def test_purged_datasets_are_gone_with_their_files(butler, files_of):
    refs = [butler.put({"a": i}, "metrics", instrument="Cam", visit=10, detector=i) for i in (1, 2)]
    butler.pruneDatasets(refs[:1], purge=True, unstore=True, disassociate=True)
    assert butler.get_dataset(refs[0].id) is None
    assert butler.get(refs[1]) == {"a": 2}
    assert len(files_of(butler)) == 1
    assert butler.put({"a": 9}, "metrics", instrument="Cam", visit=10, detector=1).id != refs[0].id


def test_unstored_datasets_are_still_known(butler, files_of):
    ref = butler.put({"a": 1}, "summary", instrument="Cam")
    butler.pruneDatasets([ref], unstore=True, disassociate=False)
    assert butler.get_dataset(ref.id) == ref
    assert butler.exists(ref) == DatasetExistence.RECORDED
    assert files_of(butler) == set()


@pytest.mark.parametrize("options", [{"purge": True}, {"purge": True, "unstore": True, "disassociate": False}, {}])
def test_pruning_that_means_nothing_is_refused(butler, options):
    ref = butler.put({"a": 1}, "summary", instrument="Cam")
    with pytest.raises(TypeError):
        butler.pruneDatasets([ref], **options)
    assert butler.get(ref) == {"a": 1}


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [("u/me", TypeError, "`u/me` is a RUN"), ("nowhere", MissingCollectionError, "no collection is called `nowhere`")],
)
def test_pruning_from_what_is_no_tag_changes_nothing(butler, wrong, error, message):
    ref = butler.put({"a": 1}, "summary", instrument="Cam")
    butler.collections.register("tag", CollectionType.TAGGED)
    butler.registry.associate("tag", [ref])
    with pytest.raises(error, match=message):
        butler.pruneDatasets([ref], tags=["tag", wrong], unstore=True)
    assert butler.query_datasets("summary", "tag") == [ref]
    assert butler.get(ref) == {"a": 1}


def test_a_run_in_a_chain_is_not_removed_and_loses_nothing(butler, files_of):
    ref = butler.put({"a": 1}, "summary", instrument="Cam")
    butler.collections.register("u/chain", CollectionType.CHAINED)
    butler.collections.redefine_chain("u/chain", ["u/me"])
    before = files_of(butler), butler._core_registry.row_counts()
    with pytest.raises(OrphanedRecordError, match="`u/me` is in `u/chain`"):
        butler.removeRuns(["u/me"])
    assert (files_of(butler), butler._core_registry.row_counts()) == before
    assert butler.get(ref) == {"a": 1}
    butler.removeRuns(["u/me"], unlink_from_chains=True)
    assert butler.collections.get_info("u/chain").children == ()
    assert files_of(butler) == set()
    with pytest.raises(MissingCollectionError):
        butler.collections.get_info("u/me")


def test_only_runs_are_removed_as_runs_and_all_or_none(butler):
    ref = butler.put({"a": 1}, "summary", instrument="Cam")
    butler.collections.register("tag", CollectionType.TAGGED)
    for names in (["u/me", "tag"], ["u/me", "nope"]):
        with pytest.raises((TypeError, MissingCollectionError)):
            butler.removeRuns(names)
        assert butler.get(ref) == {"a": 1}
    butler.removeRuns(["u/me", "u/me"])
    assert "u/me" not in butler.collections.query("*")


# -- export and import


def test_an_export_is_imported_whole_and_again_without_change(butler, tmp_path, files_of):
    refs = [butler.put({"a": i}, "metrics", instrument="Cam", visit=10, detector=i) for i in (1, 2)]
    butler.collections.register("best", CollectionType.TAGGED)
    butler.registry.associate("best", refs[:1])
    flat = butler.put({"f": 1}, "flat", instrument="Cam", detector=1, physical_filter="Cam-R")
    butler.collections.register("calib", CollectionType.CALIBRATION)
    from armillary.butler import Timespan

    butler.registry.certify("calib", [flat], Timespan(None, None))
    butler.collections.register("chain", CollectionType.CHAINED)
    butler.collections.redefine_chain("chain", ["best", "u/me"])
    folder = tmp_path / "export"
    folder.mkdir()
    with butler.export(directory=str(folder), filename="export.yaml", transfer="copy") as export:
        export.saveDatasets([*refs, flat])
        for name in ("best", "calib", "chain"):
            export.saveCollection(name)
    root = str(tmp_path / "copy")
    Butler.makeRepo(root)
    other = Butler(root, writeable=True)
    for _ in range(2):  # importing again changes nothing
        other.import_(directory=str(folder), filename="export.yaml", transfer="copy")
        assert [other.get(ref) for ref in refs] == [{"a": 1}, {"a": 2}]
        assert other.collections.get_info("chain").children == ("best", "u/me")
        assert [ref.id for ref in other.query_datasets("metrics", "best")] == [refs[0].id]
        always = Timespan(None, None)
        assert other.find_dataset("flat", flat.dataId, collections="calib", timespan=always).id == flat.id
        assert len(files_of(other)) == 3


# -- threads


def test_eight_threads_use_one_butler(butler):
    from armillary.errors import ButlerUserError

    butler.registry.insertDimensionData(
        "visit",
        *(
            {"instrument": "Cam", "id": 100 + i, "name": f"t{i}", "physical_filter": "Cam-R", "day_obs": 20250101}
            for i in range(40)
        ),
    )
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(number, 40, 8):
                here = {"instrument": "Cam", "visit": 100 + i, "detector": 1}
                ref = butler.put({"visit": i}, "metrics", here)
                assert butler.get(ref) == butler.get("metrics", here) == {"visit": i}
                assert butler.query_datasets("metrics", visit=100 + i, instrument="Cam") == [ref]
                with pytest.raises(ButlerUserError):
                    butler.get("nope", here)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert sorted(ref.dataId["visit"] for ref in butler.query_datasets("metrics")) == list(range(100, 140))


def test_a_closed_butler_says_so(butler):
    assert butler.query_dimension_records("detector", instrument="Cam")
    butler.close()
    butler.close()
    for call in (
        lambda: butler.query_dimension_records("detector", instrument="Cam"),
        lambda: butler.get("summary", instrument="Cam"),
        lambda: butler.put({}, "summary", instrument="Cam"),
        lambda: butler.registry.queryCollections(),
    ):
        with pytest.raises(RuntimeError, match="closed"):
            call()
    assert "u/me" in str(butler)
