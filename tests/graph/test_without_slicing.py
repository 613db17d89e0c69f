"""Graphs of which each task is joined on its own dimensions, beside those of one join for all."""

from __future__ import annotations

import subprocess
import sys

import pytest

from armillary.butler import Butler, DatasetType
from armillary.errors import QuantumGraphBuilderError
from armillary.pipeline.all_dimensions_quantum_graph_builder import AllDimensionsQuantumGraphBuilder
from armillary.pipeline.quantum_graph import PredictedQuantumGraph
from graph.line_survey import (
    DIMENSIONS,
    EXPOSURES,
    KEYS,
    RAWS,
    Job,
    Reading,
    coadding,
    graph_of_each,
    make_repository,
    pipeline_of,
    random_jobs,
)

RUN = "u/me/run"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("line") / "repo"
    make_repository(root)
    return root


@pytest.fixture(scope="module")
def butler(repository):
    with Butler(repository) as butler:
        yield butler


def build(butler, jobs, tract_slicing=False, inputs=("raws",), **options):
    builder = AllDimensionsQuantumGraphBuilder(
        pipeline_of(jobs),
        butler,
        input_collections=list(inputs),
        output_run=RUN,
        tract_slicing=tract_slicing,
        **options,
    )
    return builder, builder.finish(attach_datastore_records=False)


def contents(components, jobs):
    """For each quantum what it reads and makes, as the model tells it."""
    kinds = {reading.name: reading.kind for job in jobs for reading in job.inputs} | {
        job.label: job.output for job in jobs
    }
    graph = components.assemble()

    def told(data_id, kind):
        return tuple(data_id[name] for name in KEYS[kind])

    found = {}
    for job in jobs:
        for quantum in graph.build_execution_quanta(task_label=job.label).values():
            wanted = {reading.name for reading in job.inputs} | {job.label}
            sides = {name: set() for name in wanted}
            for dataset_type, refs in [*quantum.inputs.items(), *quantum.outputs.items()]:
                name = getattr(dataset_type, "name", dataset_type)
                if name in wanted:
                    sides[name] |= {told(ref.dataId, kinds[name]) for ref in refs}
            found[job.label, told(quantum.dataId, job.kind)] = {name: frozenset(ids) for name, ids in sides.items()}
    return found


def graph(butler, jobs, **options):
    return contents(build(butler, jobs, **options)[1], jobs)


def labels(found):
    return {label: sum(other == label for other, _ in found) for label, _ in found}


def test_detectors_that_touch_no_patch_are_calibrated_too(butler):
    sliced, whole = (graph(butler, coadding(), tract_slicing=slicing) for slicing in (True, False))
    assert labels(whole)["isr"] == len(RAWS)
    # All but the bias, and the frame that was never read out is there from the other exposure of its visit.
    assert labels(whole)["calibrate"] == 12
    # Visit 3, and one detector of visit 1, touch nothing.
    assert labels(sliced)["isr"] < labels(whole)["isr"]
    assert {key for label, key in whole if label == "consolidate"} == {(1,), (2,), (3,)}
    assert {key for label, key in sliced if label == "consolidate"} == {(1,), (2,)}
    # From the sky on both are the same.
    for label in ("warp", "coadd", "objects", "table"):
        assert {key: sides for key, sides in whole.items() if key[0] == label} == {
            key: sides for key, sides in sliced.items() if key[0] == label
        }
    assert whole == graph_of_each(coadding())


@pytest.mark.parametrize(
    ("where", "named", "condition"),
    [
        ("visit = 2", "visit", lambda row: row["visit"] == 2),
        ("detector > 1", "detector", lambda row: row["detector"] > 1),
        ("exposure IN (11, 21)", "exposure", lambda row: row["exposure"] in (11, 21)),
        ("tract = 1", "tract", lambda row: row["tract"] == 1),
        ("patch = 1", "patch", lambda row: row["patch"] == 1),
        ("visit = 77", "visit", lambda row: False),
    ],
)
def test_a_condition_holds_for_each_task(where, named, condition, butler):
    named_governors = "instrument = 'Cam' AND skymap = 'sky' AND "
    found = graph(butler, coadding(), where=named_governors + where)
    expected = graph_of_each(coadding(), condition, named)
    assert labels(found) == labels(expected)
    assert found == expected
    sliced = graph(butler, coadding(), tract_slicing=True, where=named_governors + where)
    assert sliced.keys() <= found.keys()


def test_a_condition_on_visits_loses_no_detector(butler):
    found = graph(butler, coadding(), where="instrument = 'Cam' AND skymap = 'sky' AND visit = 1")
    assert {key for label, key in found if label == "calibrate"} == {(detector, 1) for detector in range(4)}


def test_a_condition_on_tracts_reaches_exposures(butler):
    found = graph(butler, coadding(), where="instrument = 'Cam' AND skymap = 'sky' AND tract = 0 AND patch = 1")
    # Of visit 1 only detector 3 touches the patch, of visit 2 detectors 1 and 2.
    assert {key for label, key in found if label == "calibrate"} == {(3, 1), (1, 2), (2, 2)}
    assert {key for label, key in found if label == "isr"} == {(3, 11), (1, 21), (2, 21), (1, 22), (2, 22)}


@pytest.mark.parametrize("seed", range(60))
def test_random_pipelines_have_the_quanta_of_the_model_and_all_of_a_sliced_graph(seed, butler):
    jobs = random_jobs(seed)
    found = graph(butler, jobs)
    assert found == graph_of_each(jobs)
    for key, sides in graph(butler, jobs, tract_slicing=True).items():
        for name, datasets in sides.items():
            assert datasets <= found[key][name], (key, name)


def test_without_anything_to_lose_both_are_equal(butler):
    jobs = coadding()[:3]
    outside = {91: None}.keys()  # the bias has no visit, so that slicing loses it
    assert outside < EXPOSURES.keys()
    where = "instrument = 'Cam' AND visit > 0"
    for some in (jobs, jobs[:1], coadding()[:2]):
        graphs = [build(butler, some, tract_slicing=slicing, where=where)[1] for slicing in (True, False)]
        first, second = (contents(components, some) for components in graphs)
        assert first == second
        assert len(first) > 0


def test_each_task_is_as_in_a_graph_of_its_own(tmp_path):
    """Built one after the other, each from what those before it would leave."""
    make_repository(tmp_path / "repo")
    jobs = coadding()
    with Butler(tmp_path / "repo", writeable=True) as butler:
        expected = graph(butler, jobs)
        found, inputs = {}, ["raws"]
        for job in jobs:
            _, components = build(butler, [job], tract_slicing=True, inputs=inputs)
            found |= contents(components, [job])
            run = f"made/{job.label}"
            butler.collections.register(run)
            made = DatasetType(job.label, DIMENSIONS[job.output], "StructuredDataDict", universe=butler.dimensions)
            butler.registry.registerDatasetType(made)
            quanta = components.assemble().build_execution_quanta(task_label=job.label).values()
            data_ids = [ref.dataId for quantum in quanta for ref in quantum.outputs[job.label]]
            butler.registry.insertDatasets(made, data_ids, run=run)
            inputs.append(run)
    assert found == expected


def test_what_is_done_is_skipped_and_read(tmp_path):
    make_repository(tmp_path / "repo")
    jobs = coadding()
    with Butler(tmp_path / "repo", writeable=True) as butler:
        _, whole = build(butler, jobs)
        types = {"isr": "StructuredDataDict", "isr_metadata": "TaskMetadata"}
        butler.collections.register("done")
        done = [
            {"instrument": "Cam", "exposure": 91, "detector": 2},
            {"instrument": "Cam", "exposure": 31, "detector": 0},
        ]
        for name, storage_class in types.items():
            made = DatasetType(name, DIMENSIONS["ED"], storage_class, universe=butler.dimensions)
            butler.registry.registerDatasetType(made)
            butler.registry.insertDatasets(made, done, run="done")
        _, rest = build(butler, jobs, skip_existing_in=["done"])
        assert rest.n_skipped["isr"] == 2
        before, after = contents(whole, jobs), contents(rest, jobs)
        assert before.keys() - after.keys() == {("isr", (2, 91)), ("isr", (0, 31))}
        assert after == {key: before[key] for key in after}


def test_a_task_with_the_same_dimensions_keeps_its_own_data_ids(butler):
    """Two tasks of visits: one reads only frames that overlap a patch, and must not give its neighbours data IDs."""
    jobs = [
        Job("isr", "ED", (Reading("raw", "ED"),), "ED"),
        Job("every", "V", (Reading("isr", "ED"),), "V"),
        Job("warp", "VP", (Reading("isr", "ED"),), "VP"),
        Job("some", "V", (Reading("warp", "VP"),), "V"),
    ]
    found = graph(butler, jobs)
    assert {key for label, key in found if label == "every"} == {(1,), (2,), (3,)}
    assert {key for label, key in found if label == "some"} == {(1,), (2,)}
    assert found == graph_of_each(jobs)


def test_an_input_that_may_be_missing_does_not_limit_its_task(butler):
    jobs = [
        *coadding()[:4],
        Job("few", "VD", (Reading("calibrate", "VD"), Reading("warp", "VP", minimum=0)), "VD"),
    ]
    found = graph(butler, jobs)
    # Joined with patches all the same, on which the warps are.
    assert found == graph_of_each(jobs)


def test_tables_of_data_ids_and_constraints_hold_for_each_task(butler):
    from astropy.table import Table

    table = Table({"instrument": ["Cam", "Cam"], "visit": [1, 3]})
    found = graph(butler, coadding(), data_id_tables=[table])
    assert {key for label, key in found if label == "isr"} == {
        (detector, exposure) for exposure, detector in RAWS if exposure in (11, 31)
    }
    free = graph(butler, coadding(), dataset_query_constraint="off")
    assert free == graph(butler, coadding())
    with pytest.raises(QuantumGraphBuilderError, match="`zzz`"):
        build(butler, coadding(), dataset_query_constraint=["zzz"])


def test_a_graph_without_quanta_says_why(butler):
    builder, components = build(butler, coadding(), where="instrument = 'Cam' AND visit = 77")
    assert components.header.n_quanta == 0
    (reason,) = components.explain()
    assert "no rows satisfy `visit = 77`" in reason
    explanation = builder.explanation(components)
    assert [labels for labels, _ in explanation.parts] == [("isr",)]
    assert "visit = 77" in explanation.suggestion


@pytest.mark.parametrize("wrong", ["no", None, 1])
def test_slicing_is_a_matter_of_yes_or_no(wrong, butler):
    with pytest.raises(TypeError, match=f"`tract_slicing` is True or False, not `{wrong!r}`"):
        build(butler, coadding(), tract_slicing=wrong)


def test_the_command_line_asks_for_it(repository, tmp_path):
    code = """
import sys
from graph.line_survey import coadding, pipeline_of
pipeline_of(coadding())
from armillary.cli.pipetask import main
sys.exit(main())
"""
    tasks = [
        part for job in coadding()[:4] for part in ("-t", f"graph.line_survey.{job.label.capitalize()}Task:{job.label}")
    ]
    command = [sys.executable, "-c", code, "qgraph", "-b", repository, "-i", "raws", "--output-run", RUN, *tasks]
    n_quanta = {}
    for option in ("--tract-slicing", "--no-tract-slicing"):
        path = tmp_path / f"{option}.qg"
        done = subprocess.run(
            [*command, option, "--explain", "-q", path], capture_output=True, text=True, cwd="tests", timeout=60
        )
        assert done.returncode == 0, done.stderr
        with PredictedQuantumGraph.open(path) as reader:
            n_quanta[option] = reader.header.n_task_quanta["isr"]
            assert reader.header.metadata.get("tract_slicing", True) == (option == "--tract-slicing")
        parts = [line for line in done.stdout.splitlines() if line.startswith("rows of data IDs for")]
        isr_alone = "rows of data IDs for isr:"
        assert (parts == [isr_alone]) == (option == "--no-tract-slicing")
    assert n_quanta["--no-tract-slicing"] == len(RAWS) > n_quanta["--tract-slicing"]
