"""Butlers for tests and for reading once: in memory, and caching."""

import os
import pickle

import pytest

from armillary.butler import DataCoordinate, DatasetRef, DatasetType, DimensionUniverse
from armillary.errors import ConflictingDefinitionError, MissingDatasetTypeError
from armillary.pipeline import TaskMetadata
from armillary.pipeline.caching_limited_butler import CachingLimitedButler
from armillary.pipeline.tests.in_memory_limited_butler import InMemoryLimitedButler
from armillary.pipeline.tests.mocks import DirectButlerRepo, InMemoryRepo

UNIVERSE = DimensionUniverse()
SUMMARY = DatasetType("summary", ["instrument"], "StructuredDataDict", universe=UNIVERSE)
TABLE = DatasetType("table", ["instrument"], "ArrowAstropy", universe=UNIVERSE)


def ref_of(dataset_type, run="u/me"):
    return DatasetRef(dataset_type, DataCoordinate.standardize(instrument="Cam", universe=UNIVERSE), run=run)


@pytest.fixture(name="butler")
def butler_fixture():
    return InMemoryLimitedButler(UNIVERSE, [SUMMARY, TABLE])


def test_what_is_put_is_given_as_a_copy_of_its_storage_class(butler):
    value = {"a": [1]}
    ref = butler.put(value, ref_of(SUMMARY))
    butler.get(ref)["a"].append(2)
    assert butler.get(ref) == {"a": [1]}
    converted = butler.put(TaskMetadata.from_dict({"b": 2}), ref_of(SUMMARY, "second"))
    assert butler.get_datasets("summary") == {ref: {"a": [1]}, converted: {"b": 2}}
    again = pickle.loads(pickle.dumps(butler))
    assert again.get_datasets() == butler.get_datasets()
    again.pruneDatasets([ref])
    assert (again.stored(ref), butler.stored(ref)) == (False, True)


def test_components_are_read_from_the_whole(butler):
    from astropy.table import Table

    ref = butler.put(Table({"a": [1], "b": [2]}), ref_of(TABLE))
    assert butler.get(ref.makeComponentRef("columns")) == ["a", "b"]
    assert butler.get(ref, parameters={"columns": ["b"]}).colnames == ["b"]
    with pytest.raises(ValueError, match="is a component: put the whole"):
        butler.put([], ref.makeComponentRef("columns"))


def test_errors_of_a_butler_in_memory_tell_what_to_do(butler):
    ref = butler.put({}, ref_of(SUMMARY))
    with pytest.raises(ConflictingDefinitionError, match="already there"):
        butler.put({}, ref)
    typo = DatasetType("sumary", ["instrument"], "StructuredDataDict", universe=UNIVERSE)
    with pytest.raises(MissingDatasetTypeError, match=r"`sumary` .*; did you mean `summary`"):
        butler.put({}, ref_of(typo))
    with pytest.raises(FileNotFoundError, match="not in memory"):
        butler.get(ref_of(SUMMARY))
    with pytest.raises(NotImplementedError, match="in no file"):
        butler.getURI(ref)


@pytest.mark.parametrize("shared", [False, True])
def test_a_caching_butler_reads_once_and_hands_out_copies_unless_told_not_to(butler, shared):
    caching = CachingLimitedButler(
        butler, cache_on_put={"summary"}, cache_on_get={"summary"}, no_copy_on_cache={"summary"} if shared else set()
    )
    value = {"a": [1]}
    ref = caching.put(value, ref_of(SUMMARY))
    assert (caching.get(ref) is value) is shared
    if not shared:
        value["a"].append(2)  # whoever put it goes on with it
        caching.get(ref)["a"].append(3)
        assert caching.get(ref) == {"a": [1]}
    with butler.record_metrics() as metrics:
        assert caching.get(ref) is not None
    assert metrics.n_get == 0
    caching.close()
    with butler.record_metrics() as metrics:
        assert caching.get(ref) == caching.get(ref) == {"a": [1]}
    assert metrics.n_get == 1


def test_what_is_removed_is_kept_no_longer(butler):
    caching = CachingLimitedButler(butler, cache_on_put={"summary"})
    ref = caching.put({"a": 1}, ref_of(SUMMARY))
    caching.pruneDatasets([ref], disassociate=False, unstore=True)
    with pytest.raises(FileNotFoundError):
        caching.get(ref)


def test_a_repository_in_memory_leaves_nothing_behind():
    with InMemoryRepo("base.yaml") as repo:
        root = repo._root
        assert os.path.isdir(root)
        assert len(repo.butler.query_dimension_records("detector", instrument="Cam1")) == 4
    assert not os.path.exists(root)


@pytest.mark.parametrize("kind", [InMemoryRepo, DirectButlerRepo])
def test_export_files_may_be_anywhere(kind, tmp_path):
    run = "{type: collection, collection_type: RUN, name: more, host: null, timespan_begin: null, timespan_end: null}"
    (tmp_path / "own.yaml").write_text(
        "description: Butler Data Repository Export\nversion: 1.0.2\nuniverse_version: 6\n"
        f"universe_namespace: daf_butler\ndata: [{run}]\n"
    )

    def chain(**options):
        if kind is InMemoryRepo:
            with InMemoryRepo("own.yaml", data_root=tmp_path, **options) as repo:
                return repo.butler.collections.get_info("input_chain").children
        with DirectButlerRepo.make_temporary("own.yaml", data_root=tmp_path, **options) as (repo, _):
            return repo.butler.collections.get_info("input_chain").children

    assert chain() == ("input_run", "more")
    assert chain(use_import_collections_as_input=False) == ("input_run",)
    with pytest.raises(FileNotFoundError, match=r"nothing\.yaml"):
        InMemoryRepo("nothing.yaml", data_root=tmp_path)
