"""Where others keep their datasets in the same tables, a question costs what its own answer costs."""

from __future__ import annotations

import sqlite3

import pytest

from armillary._core import QueryEngine
from armillary.butler import Butler, CollectionType, DatasetType

RUNS, TYPES = 48, 48  # more pairs of them than summaries are read as a whole
CHAIN = "everything"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Each run has one dataset of every type, of a visit of its own and the same detector."""
    root = tmp_path_factory.mktemp("crowd")
    Butler.makeRepo(root)
    butler = Butler.from_config(root, writeable=True)
    insert, here = butler.registry.insertDimensionData, {"instrument": "Cam"}
    insert("instrument", here | {"name": "Cam", "detector_max": 9, "visit_max": RUNS, "exposure_max": RUNS})
    insert("physical_filter", here | {"name": "Cam-r", "band": "r"})
    insert("detector", here | {"id": 1, "full_name": "D1", "purpose": "SCIENCE"})
    insert("day_obs", here | {"id": 20250101})
    common = here | {"physical_filter": "Cam-r", "day_obs": 20250101}
    insert("visit", *(common | {"id": visit, "name": f"v{visit}"} for visit in range(RUNS)))
    names = [f"run/{number:02d}" for number in range(RUNS)]
    with butler.transaction():
        for number in range(TYPES):
            kind = DatasetType(
                f"metric{number}", ["visit", "detector"], "StructuredDataDict", universe=butler.dimensions
            )
            butler.registry.registerDatasetType(kind)
        for visit, run in enumerate(names):
            butler.collections.register(run)
            data_ids = [here | {"visit": visit, "detector": 1}]
            for number in range(TYPES):
                butler.registry.insertDatasets(f"metric{number}", data_ids, run=run)
        butler.collections.register(CHAIN, CollectionType.CHAINED)
        butler.collections.redefine_chain(CHAIN, names)
    yield butler
    butler.close()


def words(step):
    """What an index is searched by, apart."""
    return step.replace("(", " ").replace(")", " ").split()


@pytest.mark.parametrize("find_first", [True, False])
@pytest.mark.parametrize("where", ["", "instrument = 'Cam'", "instrument = 'Cam' AND visit IN (3, 5)"])
def test_the_index_of_type_and_collection_is_used(crowd, where, find_first):
    engine = QueryEngine(crowd._core_registry)
    asked = {"find_first": find_first, "where": where, "mode": "sql"}
    for text in (
        engine.datasets("metric7", [CHAIN], **asked),
        engine.datasets("metric7", [CHAIN], limit=10, **asked),
        engine.datasets("metric7", ["run/03"], with_records=True, **asked),
        engine.data_ids(["visit", "detector"], joins=[("metric7", [CHAIN])], where=where, mode="sql"),
    ):
        with sqlite3.connect(crowd._core_registry.path) as database:
            steps = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {text}", [None] * text.count("?"))]
        of_datasets = [step for step in steps if step.split()[1] == "t"]
        assert of_datasets, steps
        for step in of_datasets:
            assert step.startswith("SEARCH") and {"dataset_type_id=?", "collection_id=?"} <= set(words(step)), steps


def test_answers_are_those_of_a_small_repository(crowd):
    with Butler.from_config(crowd._core_registry.path.rsplit("/", 1)[0]) as butler:
        found = butler.find_dataset("metric7", instrument="Cam", visit=40, detector=1, collections=CHAIN)
        assert (found.run, found.datasetType.name) == ("run/40", "metric7")
        assert butler.find_dataset("metric7", instrument="Cam", visit=40, detector=1, collections="run/03") is None
        refs = butler.query_datasets("metric7", CHAIN, limit=None)
        assert sorted((ref.run, ref.dataId["visit"]) for ref in refs) == [(f"run/{n:02d}", n) for n in range(RUNS)]
        assert len(butler.query_all_datasets("run/07", limit=None)) == TYPES


def test_what_others_enter_is_found_at_once(crowd):
    here = {"instrument": "Cam", "visit": 3, "detector": 1}
    with Butler.from_config(crowd._core_registry.path.rsplit("/", 1)[0], writeable=True) as other:
        other.collections.register("late")
        assert crowd.find_dataset("metric7", here, collections="late") is None
        assert not crowd.query_datasets("metric7", "late", explain=False)
        with crowd.transaction():
            crowd.registry.insertDatasets("metric8", [here], run="late")
            assert crowd.find_dataset("metric8", here, collections="late")
        other.registry.insertDatasets("metric7", [here], run="late")
        assert crowd.find_dataset("metric7", here, collections="late")
        assert len(crowd.query_datasets("metric7", "late")) == 1
        assert len(other.query_datasets("metric8", "late")) == 1
