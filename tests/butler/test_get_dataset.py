"""Datasets by their ids."""

from __future__ import annotations

import uuid

import pytest

from armillary.testing import small_repository


@pytest.fixture(name="butler")
def butler_fixture():
    with small_repository(run="u/me") as butler:
        yield butler


def test_a_dataset_is_found_by_its_id_as_object_and_as_text(butler):
    ref = butler.put({"a": 1}, "summary", instrument="Cam")
    assert butler.get_dataset(ref.id) == ref
    assert butler.get_dataset(str(ref.id)) == ref


def test_an_id_nothing_has_gives_none_and_text_that_is_no_id_is_refused(butler):
    assert butler.get_dataset(uuid.UUID(int=5)) is None
    with pytest.raises(ValueError, match="badly formed"):
        butler.get_dataset("nonsense")


def test_records_come_with_the_data_id_only_when_asked_for(butler):
    ref = butler.put({"a": 1}, "summary", instrument="Cam")
    assert not butler.get_dataset(ref.id).dataId.hasRecords()
    assert butler.get_dataset(ref.id, dimension_records=True).dataId.records["instrument"].name == "Cam"


def test_many_ids_give_the_known_datasets_once_in_order(butler):
    first = butler.put({"a": 1}, "summary", instrument="Cam")
    second = butler.put({"a": 1}, "summary", instrument="Cam", run=_other_run(butler))
    wanted = [second.id, uuid.UUID(int=5), str(first.id), second.id]
    assert butler.get_many_datasets(wanted) == [second, first]
    assert butler.get_many_datasets([]) == []


def _other_run(butler):
    butler.collections.register("u/other")
    return "u/other"
