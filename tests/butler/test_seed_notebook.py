"""The cells of a tutorial, in order, on the data IDs of a month of a real survey.

The numbers were given by the peer for the same repository; what is printed is the peer's form.
"""

from __future__ import annotations

from pprint import pformat

import pytest

from armillary.butler import Butler, CollectionType, DatasetType
from armillary.storage import MetricMeasurementBundle
from armillary.storage.metrics import Measurement

COLLECTION = "HSC/runs/RC2/w_2023_15/DM-38691"
RUN = f"{COLLECTION}/20230417T000000Z"
METRICS = {
    "objectTable_tract_metrics": ["tract"],
    "sourceTable_visit_metrics": ["visit"],
    "objectTableCore_metrics": ["tract"],
    "visitTableCore_metrics": ["visit"],
    "sourceTable_visit_astrometryRefCat_match_metrics": ["visit", "skymap"],
}


def bundle_of(tract: int) -> MetricMeasurementBundle:
    return MetricMeasurementBundle(
        {
            "e1DiffScatterMetric": [
                Measurement("g_highSNStars_median", 0.0088477, "pix"),
                Measurement("g_highSNStars_sigmaMad", 0.01263271, "pix"),
                Measurement("g_highSNStars_count", 28.0, "ct"),
            ],
            "tractMetric": [Measurement("number", float(tract), "")],
        }
    )


@pytest.fixture(scope="module")
def butler(tmp_path_factory, shared_path):
    root = str(tmp_path_factory.mktemp("seed") / "repo")
    Butler.makeRepo(root)
    with Butler(root, writeable=True) as writer:
        writer.import_(
            filename=str(shared_path("data", "exports", "daf_butler_hsc-rc2-subset.yaml")), without_datastore=True
        )
        fill(writer)
    with Butler(root, collections=COLLECTION) as reader:
        yield reader


def fill(writer: Butler) -> None:
    registry = writer.registry
    for name, dimensions in METRICS.items():
        registry.registerDatasetType(
            DatasetType(name, dimensions, "MetricMeasurementBundle", universe=writer.dimensions)
        )
    for name, dimensions, calibration in (("calexp", ["visit", "detector"], False), ("bfKernel", ["instrument"], True)):
        registry.registerDatasetType(
            DatasetType(name, dimensions, "StructuredDataDict", universe=writer.dimensions, isCalibration=calibration)
        )
    registry.registerRun(RUN)
    registry.registerCollection(COLLECTION, CollectionType.CHAINED)
    registry.setCollectionChain(COLLECTION, [RUN])
    for tract in registry.queryDataIds("tract", skymap="hsc_rings_v1"):
        writer.put(bundle_of(tract["tract"]), "objectTableCore_metrics", tract, run=RUN)
    data_ids = sorted(registry.queryDataIds(["visit", "detector"], instrument="HSC"))
    registry.insertDatasets("calexp", [found for found in data_ids if found["visit"] % 8 < 4], RUN)


@pytest.fixture(scope="module")
def metric(butler):
    for found in butler.registry.queryDatasetTypes("*_metrics"):
        if "objectTableCore" in found.name:
            return found
    raise AssertionError("the dataset type of the tutorial is missing")


def test_cell_11_lists_collections(butler):
    assert sorted(butler.registry.queryCollections()) == [COLLECTION, RUN]


def test_cell_12_lists_dataset_types_as_they_print(butler):
    found = butler.registry.queryDatasetTypes()
    assert len(found) == 7
    assert "DatasetType('bfKernel', {instrument}, StructuredDataDict, isCalibration=True)" in pformat(found)


def test_cells_13_and_14_find_dataset_types_by_glob(butler):
    found = list(butler.registry.queryDatasetTypes("*_metrics"))
    assert {item.name for item in found} == set(METRICS)
    assert [str(item) for item in found if item.name == "sourceTable_visit_metrics"] == [
        "DatasetType('sourceTable_visit_metrics', {band, instrument, day_obs, physical_filter, visit}, "
        "MetricMeasurementBundle)"
    ]
    assert str(found).startswith("[DatasetType('") and str(found).endswith("MetricMeasurementBundle)]")


def test_cell_15_prints_one_dataset_type(metric):
    assert str(metric) == "DatasetType('objectTableCore_metrics', {skymap, tract}, MetricMeasurementBundle)"


def test_cells_16_and_17_print_dataset_references(butler, metric):
    refs = set(butler.registry.queryDatasets(metric))
    assert sorted(str(ref) for ref in refs) == sorted(
        f"objectTableCore_metrics@{{skymap: 'hsc_rings_v1', tract: {tract}}} [sc=MetricMeasurementBundle] "
        f"(run={RUN} id={butler.find_dataset(metric, skymap='hsc_rings_v1', tract=tract).id})"
        for tract in (9615, 9813)
    )


def test_cells_18_and_19_read_the_bundle_by_reference_and_by_data_id(butler, metric):
    ref = next(ref for ref in butler.registry.queryDatasets(metric) if ref.dataId["tract"] == 9813)
    bundle = butler.get(ref)
    assert pformat(bundle) == (
        "{'e1DiffScatterMetric': [Measurement('g_highSNStars_median', <Quantity 0.0088477 pix>),\n"
        "                         Measurement('g_highSNStars_sigmaMad', <Quantity 0.01263271 pix>),\n"
        "                         Measurement('g_highSNStars_count', <Quantity 28. ct>)],\n"
        " 'tractMetric': [Measurement('number', <Quantity 9813.>)]}"
    )
    again = butler.get("objectTableCore_metrics", {"skymap": "hsc_rings_v1", "tract": 9813})
    assert again == bundle == bundle_of(9813)


@pytest.mark.parametrize(("tract", "number", "first"), [(9813, 95, 318), (9615, 65, 384)])
def test_cell_20_finds_the_visits_over_a_tract(butler, tract, number, first):
    results = set(butler.registry.queryDataIds("visit", dataId={"tract": tract, "skymap": "hsc_rings_v1"}))
    assert len(results) == number
    printed = pformat(results)
    assert printed.startswith(f"{{{{instrument: 'HSC', visit: {first}, band: ")
    lines = printed.splitlines()
    assert len(lines) == number
    visits = [int(line.split("visit: ")[1].split(",")[0]) for line in lines]
    assert visits == sorted(visits)


def test_cell_21_finds_visits_and_detectors_by_expression(butler):
    found = set(
        butler.registry.queryDataIds(
            ["visit", "detector"], where="tract=9615 and band='i' and detector in (20..22)", skymap="hsc_rings_v1"
        )
    )
    assert sorted((item["visit"], item["detector"]) for item in found) == [
        (1288, 20),
        (1314, 22),
        (1316, 20),
        (1316, 21),
        (1324, 20),
    ]


def test_cell_22_keeps_those_with_datasets(butler):
    found = set(
        butler.registry.queryDataIds(
            ["visit", "detector"],
            where="tract=9615 and band='i' and detector in (20..22)",
            skymap="hsc_rings_v1",
            datasets="calexp",
        )
    )
    assert sorted((item["visit"], item["detector"]) for item in found) == [(1288, 20), (1314, 22)]
    refs = butler.registry.queryDatasets(
        "calexp", where="tract=9615 and band='i' and detector in (20..22)", skymap="hsc_rings_v1"
    )
    assert {ref.dataId for ref in refs} == found
