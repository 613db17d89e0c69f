"""A count is that of the rows, though it reads no table that changes nothing."""

from __future__ import annotations

import pytest

from armillary.butler import Butler
from armillary.errors import ButlerUserError, RegistryError

WHERE = [
    "",
    "instrument = 'CamA'",
    "instrument = 'CamA' AND band = 'r'",
    "instrument = 'CamA' AND (band = 'r' OR detector = 1)",
    "instrument = 'CamA' AND exposure.day_obs > 20200101",
    "instrument = 'CamA' AND physical_filter IN ('a-r', 'a-r2')",
    "instrument = 'CamA' AND visit.exposure_time > 0 AND detector IN (1..3)",
]


def data_sets(butler: Butler) -> list[tuple[str, list[str]]]:
    """Each dataset type with each collection that holds it, and with all of them after each other."""
    found = []
    for dataset_type in butler.registry.queryDatasetTypes():
        held = [
            name
            for name in butler.collections.query("*")
            if dataset_type.name in butler.collections.get_info(name, include_summary=True).dataset_types
        ]
        found += [(dataset_type.name, [name]) for name in held] + ([(dataset_type.name, held)] if held else [])
    return found


def outcome(action):
    try:
        return action()
    except (ButlerUserError, RegistryError) as error:
        return type(error).__name__


@pytest.mark.parametrize("where", WHERE)
def test_datasets_are_counted_as_they_come(butler, where):
    counted = 0
    for name, collections in data_sets(butler):
        for find_first in (True, False):

            def ask(name=name, collections=collections, find_first=find_first):
                return butler.registry.queryDatasets(name, collections=collections, where=where, findFirst=find_first)

            rows = outcome(lambda ask=ask: len(list(ask())))
            assert outcome(lambda ask=ask: ask().count()) == rows, (name, collections, find_first)
            assert outcome(lambda ask=ask: ask().any()) == (rows > 0 if isinstance(rows, int) else rows)
            counted += isinstance(rows, int) and rows > 0
    assert counted > 0


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    "dimensions",
    [
        ["detector"],
        ["exposure"],
        ["exposure", "detector"],
        ["visit", "detector"],
        ["physical_filter"],
        ["visit", "patch"],
    ],
)
def test_data_ids_are_counted_as_they_come(butler, where, dimensions):
    def ask(**more):
        return butler.registry.queryDataIds(dimensions, where=where, **more)

    rows = outcome(lambda: len(list(ask())))
    assert outcome(lambda: ask().count()) == rows
    for name, collections in data_sets(butler):
        given = {"datasets": name, "collections": collections}
        rows = outcome(lambda given=given: len(list(ask(**given))))
        assert outcome(lambda given=given: ask(**given).count()) == rows, (name, collections)


def test_a_limit_and_an_order_change_no_count(butler):
    name, collections = next(found for found in data_sets(butler) if len(found[1]) == 1)
    with butler.query() as query:
        results = query.datasets(name, collections, find_first=True)
        whole = len(list(results))
        assert results.order_by(*list(next(iter(results)).dataId.dimensions.names)[:1]).count() == whole
        assert results.limit(1).count() == min(1, whole)
