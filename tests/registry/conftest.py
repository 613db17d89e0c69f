"""A small repository database, filled through the bindings."""

from __future__ import annotations

import json
from functools import partial
from types import SimpleNamespace

import pytest

from armillary import _core

RUN, TAGGED, CHAINED, CALIBRATION = 1, 2, 3, 4


@pytest.fixture
def universe():
    return _core.DimensionUniverse()


@pytest.fixture
def opened(tmp_path, universe, seed):
    """Opens the database of the test: each call gives another `Registry`."""
    if seed is None:
        path = str(tmp_path / "gen3.sqlite3")
        _core.Registry.create(path, universe)
        return partial(_core.Registry.open, path)
    url, namespace = seed["registry"]["db"], seed["registry"]["namespace"]
    _core.Registry.create_on_server(url, universe, namespace=namespace)
    return partial(_core.Registry.open_on_server, url, namespace=namespace)


@pytest.fixture
def place(opened):
    """How another process opens the same database: arguments of `processes.open_registry` as JSON."""
    return json.dumps({"method": opened.func.__name__, "arguments": opened.args, "options": opened.keywords})


@pytest.fixture
def registry(opened):
    made = opened(writeable=True)
    yield made
    made.close()


@pytest.fixture
def filled(registry, universe):
    """One camera with four detectors and one exposure; a calibration type and a raw type; two runs."""
    registry.insert_records("instrument", [{"name": "Cam", "detector_max": 10, "class_name": "my.Cam"}])
    registry.insert_records("physical_filter", [{"instrument": "Cam", "name": "Cam-G", "band": "g"}])
    registry.insert_records("detector", [{"instrument": "Cam", "id": i, "full_name": f"S{i}"} for i in range(4)])
    registry.insert_records("day_obs", [{"instrument": "Cam", "id": 20250101}])
    registry.insert_records("group", [{"instrument": "Cam", "name": "one"}])
    exposure = {"instrument": "Cam", "id": 11, "physical_filter": "Cam-G", "day_obs": 20250101, "group": "one"}
    registry.insert_records("exposure", [exposure | {"obs_id": "C11", "exposure_time": 30.0}])
    bias = _core.DatasetType("bias", ["detector"], "StructuredDataDict", universe=universe, isCalibration=True)
    raw = _core.DatasetType("raw", ["detector", "exposure"], "StructuredDataDict", universe=universe)
    registry.register_dataset_type(bias)
    registry.register_dataset_type(raw)
    for run in ("run/a", "run/b"):
        registry.register_collection(run, RUN)
    return SimpleNamespace(registry=registry, universe=universe, bias=bias, raw=raw)
