"""The 480 pipeline files of twelve packages, against what the peer makes of each."""

from __future__ import annotations

import gzip
import json

import pytest

from armillary.pipeline import Pipeline
from conftest import shared_path
from pipeline.package_directories import package_directories

GOLDEN = json.loads(gzip.decompress(shared_path("data", "golden", "pipelines.json.gz").read_bytes()))
SUCCEEDING = sorted(name for name, record in GOLDEN.items() if "error" not in record)
FAILING = sorted(name for name, record in GOLDEN.items() if "error" in record)


@pytest.fixture(autouse=True, scope="module")
def packages(tmp_path_factory):
    """The variables by which pipelines name the packages they import from."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, folder in package_directories(tmp_path_factory.mktemp("packages")).items():
            patch.setenv(variable, folder)
        yield


def read(name: str) -> Pipeline:
    return Pipeline.from_uri(str(shared_path("data", name)))


def record_of(pipeline: Pipeline) -> dict[str, object]:
    ir = pipeline._ir
    return {
        "description": ir.description,
        "instrument": ir.instrument,
        "ntask": len(pipeline),
        "tasks": {label: task.klass for label, task in ir.tasks.items()},
        "subsets": {label: sorted(members) for label, members in pipeline.subsets.items()},
        "parameters": list(ir.parameters.mapping),
        "ncontracts": len(ir.contracts),
    }


def test_there_are_480_of_them():
    assert (len(SUCCEEDING), len(FAILING)) == (475, 5)


@pytest.mark.parametrize("name", SUCCEEDING)
def test_reads_as_the_peer_reads_it(name):
    expected = GOLDEN[name]
    found = record_of(read(name))
    assert sorted(found.pop("parameters")) == sorted(expected["parameters"])
    # The printed form of the peer, from which its answers were taken, loses the steps.
    assert found == {key: value for key, value in expected.items() if key not in ("parameters", "steps")}


@pytest.mark.parametrize("name", SUCCEEDING)
def test_printed_form_reads_back_the_same(name):
    printed = str(read(name))
    assert str(Pipeline.fromString(printed)) == printed  # by text: a config may hold not-a-number


@pytest.mark.parametrize("name", FAILING)
def test_fails_where_the_peer_fails(name):
    error = GOLDEN[name]["error"]
    with pytest.raises(Exception) as caught:
        read(name)
    assert error in {kind.__name__ for kind in type(caught.value).__mro__}


def test_unset_variable_is_named():
    name = next(name for name in FAILING if "step-exclusion" in name)
    with pytest.raises(FileNotFoundError, match="`TESTDIR` is not set"):
        read(name)


def test_missing_labels_of_a_subset_are_all_named():
    name = next(name for name in FAILING if "LSSTComCam/DRP.yaml" in name)
    with pytest.raises(ValueError) as caught:
        read(name)
    for label in ("makeWholeTractImage", "makeBinnedDeepNImage", "makeWholeTractDeepNImage"):
        assert f"`{label}`" in str(caught.value)


def test_steps_are_kept():
    steps = read("pipelines/lsst_pipe_base/tests/pipelines/steps.yaml").steps
    assert list(steps) == ["step1", "step2"]
