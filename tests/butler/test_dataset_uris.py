"""Datasets by address, butlers by label, and what a repository's configuration cannot store."""

from __future__ import annotations

import json
import uuid

import pytest

from armillary.butler import Butler, DatasetType, LabeledButlerFactory
from armillary.errors import MissingDatasetTypeError, ValidationError
from armillary.testing import small_repository

ID = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize(
    "uri, label",
    [
        (f"butler://dp1/{ID}", "dp1"),
        (f"butler://dp1/{ID.replace('-', '')}", "dp1"),
        (f"ivo://org.rubinobs/usdac/dr1?repo=dp1&id={ID}", "dp1"),
        (f"ivo://org.rubinobs/dr1?repo=/repo/a%20b&id={ID}", "/repo/a b"),
    ],
)
def test_addresses_say_label_and_id(uri, label):
    parsed = Butler.parse_dataset_uri(uri)
    assert (parsed.label, parsed.dataset_id, parsed.uri) == (label, uuid.UUID(ID), uri)


@pytest.mark.parametrize(
    "uri, said",
    [
        (ID, "is not the address of a dataset"),
        ("https://x/y", "is not the address of a dataset"),
        (f"butler:///{ID}", "names no repository"),
        ("butler://dp1/zz", "`zz` in `butler://dp1/zz` is not the id"),
        (f"butler://dp1/deep/{ID}", "is not the id of a dataset"),
        ("ivo://x/y?repo=a", "needs both `repo=` and `id=`"),
        (f"ivo://x/y?repo=a&repo=b&id={ID}", "more than once"),
    ],
)
def test_what_is_no_address_is_refused(uri, said):
    with pytest.raises(ValueError, match=said):
        Butler.parse_dataset_uri(uri)


def test_a_dataset_is_found_by_its_address(monkeypatch):
    with small_repository(run="u/me") as butler:
        ref = butler.put({"a": 1}, "summary", instrument="Cam")
        monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", json.dumps({"here": butler._root}))
        found = Butler.get_dataset_from_uri(f"butler://here/{ref.id}")
        assert found.dataset == ref
        assert found.butler.get(found.dataset) == {"a": 1}
        assert Butler.get_dataset_from_uri(f"butler://here/{ID}").dataset is None
        factory = LabeledButlerFactory({"mine": butler._root})
        assert Butler.get_dataset_from_uri(f"butler://mine/{ref.id}", factory=factory.bind(None)).dataset == ref
        with pytest.raises(KeyError, match="no repository has the label `mein`; did you mean `mine`"):
            factory.create_butler("mein")
        one, two = factory.create_butler("mine"), factory.create_butler("mine")
        assert one is not two
        assert not one.isWriteable()
        factory.close()


def test_types_that_cannot_be_stored_are_named():
    with small_repository() as butler:
        butler.validateConfiguration()
        for name, dimensions, storage_class in (
            ("unformatted", ["visit"], "StructuredDataList"),
            ("ambiguous", ["visit", "visit_system"], "int"),
        ):
            butler.registry.registerDatasetType(
                DatasetType(name, dimensions, storage_class, universe=butler.dimensions)
            )
        with pytest.raises(ValidationError) as caught:
            butler.validateConfiguration()
        assert "no formatter writes dataset type `unformatted`" in str(caught.value)
        assert "files of dataset type `ambiguous` could not be told apart" in str(caught.value)
        with pytest.raises(ValidationError, match="unformatted"):
            butler.validateConfiguration(datasetTypeNames=["summary", "unformatted"])
        butler.validateConfiguration(ignore=["unformatted", "ambiguous"])
        with pytest.raises(MissingDatasetTypeError):
            butler.validateConfiguration(datasetTypeNames=["nothing"])
