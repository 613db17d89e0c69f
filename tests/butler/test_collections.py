"""Collections are made, listed, chained and removed."""

from __future__ import annotations

import re

import pytest

from armillary.butler import CollectionType
from armillary.errors import (
    CollectionCycleError,
    CollectionTypeError,
    ConflictingDefinitionError,
    DatasetTypeError,
    DatasetTypeExpressionError,
    MissingCollectionError,
    OrphanedRecordError,
)


@pytest.fixture
def many(butler):
    collections = butler.collections
    for name in ("run/1", "run/2", "other"):
        collections.register(name)
    collections.register("tag", CollectionType.TAGGED, doc="the best")
    collections.register("calib", CollectionType.CALIBRATION)
    collections.register("chain", CollectionType.CHAINED)
    collections.redefine_chain("chain", ["run/2", "run/1"])
    collections.register("outer", CollectionType.CHAINED)
    collections.redefine_chain("outer", ["tag", "chain"])
    return butler


def test_registering_again_changes_nothing(many):
    assert many.collections.register("run/1") is False
    assert many.collections.register("new") is True
    assert many.collections.get_info("tag").doc == "the best"


@pytest.mark.parametrize(
    ("expression", "options", "expected"),
    [
        ("run/*", {}, {"run/1", "run/2"}),
        ("run/?", {}, {"run/1", "run/2"}),
        ("run/[!1]", {}, {"run/2"}),
        (["other", "run/1", "other"], {}, {"other", "run/1"}),
        ("outer", {"flatten_chains": True}, {"tag", "run/2", "run/1"}),
        ("outer", {"flatten_chains": True, "include_chains": True}, {"outer", "tag", "chain", "run/2", "run/1"}),
        ("*", {"collection_types": CollectionType.CHAINED}, {"chain", "outer"}),
        ("*", {"collection_types": {CollectionType.TAGGED, CollectionType.CALIBRATION}}, {"tag", "calib"}),
        ("nothing*", {}, set()),
        ("RUN/*", {}, set()),
        ([], {}, set()),
    ],
)
def test_names_and_globs_find_collections(many, expression, options, expected):
    found = many.collections.query(expression, **options)
    assert set(found) == expected
    assert len(found) == len(expected)


def test_chains_flatten_in_search_order(many):
    assert list(many.collections.query("outer", flatten_chains=True)) == ["tag", "run/2", "run/1"]


def test_information_names_children_and_parents(many):
    info = many.collections.get_info("chain", include_parents=True)
    assert (info.type, info.children, info.parents) == (CollectionType.CHAINED, ("run/2", "run/1"), {"outer"})
    many.put({"a": 1}, "summary", instrument="Cam", run="run/1")
    assert many.collections.get_info("outer", include_summary=True).dataset_types == {"summary"}


def test_chains_are_edited_at_both_ends(many):
    edit = many.collections
    edit.extend_chain("chain", "other")
    assert edit.get_info("chain").children == ("run/2", "run/1", "other")
    edit.prepend_chain("chain", ["other", "tag"])
    assert edit.get_info("chain").children == ("other", "tag", "run/2", "run/1")
    edit.remove_from_chain("chain", ["run/2", "tag"])
    assert edit.get_info("chain").children == ("other", "run/1")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.query("run/3"), MissingCollectionError, "`run/3`.*did you mean `run/[12]`"),
        (lambda c: c.get_info("*"), MissingCollectionError, "`\\*`"),
        (lambda c: c.redefine_chain("chain", ["outer"]), CollectionCycleError, "outer"),
        (lambda c: c.redefine_chain("chain", ["chain"]), CollectionCycleError, "chain"),
        (lambda c: c.extend_chain("run/1", ["run/2"]), CollectionTypeError, "`run/1`"),
        (lambda c: c.redefine_chain("nope", ["run/2"]), MissingCollectionError, "`nope`"),
        (lambda c: c.redefine_chain("chain", ["run/1", "nope"]), MissingCollectionError, "`nope`"),
        (lambda c: c.x_remove("run/1"), OrphanedRecordError, "`chain`"),
        (lambda c: c.x_remove("nope"), MissingCollectionError, "`nope`"),
        (lambda c: c.register("tag"), Exception, "tag"),
    ],
)
def test_mistakes_are_named_and_change_nothing(many, call, error, message):
    before = many._core_registry.row_counts(), many.collections.get_info("chain")
    if error is Exception:  # a collection of another type is refused or left alone, never changed
        try:
            call(many.collections)
        except Exception as problem:
            assert "tag" in str(problem)
    else:
        with pytest.raises(error, match=message):
            call(many.collections)
    assert (many._core_registry.row_counts(), many.collections.get_info("chain")) == before


def test_removing_a_tag_leaves_its_datasets(many):
    ref = many.put({"a": 1}, "summary", instrument="Cam", run="run/1")
    many.registry.associate("tag", [ref])
    many.collections.remove_from_chain("outer", "tag")
    many.collections.x_remove("tag")
    assert many.get(ref) == {"a": 1}


def test_a_tag_holds_one_dataset_of_a_data_id(many):
    first, second = (many.put({"run": run}, "summary", instrument="Cam", run=run) for run in ("run/1", "run/2"))
    many.registry.associate("tag", [first])
    many.registry.associate("tag", [first])
    with pytest.raises(ConflictingDefinitionError):
        many.registry.associate("tag", [second])
    assert many.query_datasets("summary", "tag") == [first]
    many.registry.disassociate("tag", [first])
    many.registry.associate("tag", [second])
    assert many.query_datasets("summary", "outer") == [second]


def test_only_calibrations_are_certified_and_never_twice_at_one_time(many):
    from armillary.butler import Timespan

    summary = many.put({}, "summary", instrument="Cam", run="run/1")
    flats = [
        many.put({"run": run}, "flat", instrument="Cam", detector=1, physical_filter="Cam-R", run=run)
        for run in ("run/1", "run/2")
    ]
    early, late = Timespan.from_day_obs(20250101), Timespan.from_day_obs(20250102)
    with pytest.raises(DatasetTypeError):
        many.registry.certify("calib", [summary], early)
    many.registry.certify("calib", flats[:1], early)
    with pytest.raises(ConflictingDefinitionError):
        many.registry.certify("calib", flats[1:], early)
    many.registry.certify("calib", flats[1:], late)
    found = [many.find_dataset("flat", flats[0].dataId, collections="calib", timespan=span) for span in (early, late)]
    assert found == flats
    many.registry.decertify("calib", "flat", early)
    assert many.find_dataset("flat", flats[0].dataId, collections="calib", timespan=early) is None


def test_the_search_stops_at_the_first_collection(many):
    first, second = (many.put({"run": run}, "summary", instrument="Cam", run=run) for run in ("run/1", "run/2"))
    assert many.find_dataset("summary", instrument="Cam", collections="chain") == second
    assert many.query_datasets("summary", ["run/1", "run/2"]) == [first]
    assert set(many.query_datasets("summary", "chain", find_first=False)) == {first, second}


def test_the_older_names_do_the_same(many):
    registry = many.registry
    assert registry.getCollectionType("chain") == CollectionType.CHAINED
    assert registry.getCollectionChain("chain") == ("run/2", "run/1")
    assert registry.getCollectionParentChains("run/1") == {"chain"}
    with pytest.raises(CollectionTypeError, match="`run/1` is a RUN, not CHAINED"):
        registry.getCollectionChain("run/1")
    registry.setCollectionChain("chain", ["tag"], flatten=True)
    assert registry.getCollectionChain("chain") == ("tag",)
    registry.setCollectionDocumentation("chain", "words")
    assert registry.getCollectionDocumentation("chain") == "words"
    assert registry.registerRun("run/9") is True
    registry.removeCollection("run/9")
    assert "run/9" not in registry.queryCollections()


def test_regular_expressions_find_collections_with_a_warning(many):
    with pytest.warns(FutureWarning, match="use globs"):
        assert sorted(many.collections.query([re.compile("run/[12]"), "tag"])) == ["run/1", "run/2", "tag"]


def test_components_are_no_dataset_types_of_their_own(many):
    with pytest.raises(DatasetTypeExpressionError, match="ask for `summary`"):
        many.registry.queryDatasetTypes("summary.wcs")


def test_results_of_several_types_say_which_they_are(many):
    many.put({}, "summary", instrument="Cam", run="run/1")
    found = many.registry.queryDatasets(["summary", "metrics"], collections="run/1").byParentDatasetType()
    assert {part.parentDatasetType.name for part in found} == {"summary", "metrics"}
