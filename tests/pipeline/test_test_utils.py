"""The helpers for tests of task authors."""

import pytest

from armillary.butler import Butler
from armillary.pipeline import Struct
from armillary.pipeline.test_utils import (
    assertValidInitOutput,
    assertValidOutput,
    getInitInputs,
    lintConnections,
    makeQuantum,
    runTestQuantum,
)
from pipeline.execution_tasks import MeasureTask, SumTask
from pipeline.test_run_graph import Survey


@pytest.fixture
def butler(tmp_path):
    survey = Survey(tmp_path / "repo")
    survey.butler.close()
    with Butler(tmp_path / "repo", writeable=True, collections=["raws"], run="u/test") as butler:
        yield butler


def test_quantum_is_run_and_written(butler):
    where = {"instrument": "Cam", "detector": 2}
    quantum = makeQuantum(MeasureTask(), butler, where, {"raw": where})
    assert runTestQuantum(MeasureTask(), butler, quantum, mockRun=False) is None
    assert butler.get("measured", where, collections="u/test") == {"sum": 3}


def test_an_output_that_run_misspells_is_warned_of(butler, monkeypatch, caplog):
    where = {"instrument": "Cam", "detector": 2}
    task = MeasureTask()
    quantum = makeQuantum(task, butler, where, {"raw": where})
    monkeypatch.setattr(task, "run", lambda raw: Struct(mesured={"sum": 1}, unrelated=3))
    runTestQuantum(task, butler, quantum, mockRun=False)
    (record,) = [record for record in caplog.records if record.name == "armillary.pipeline.quantum_context"]
    assert record.levelname == "WARNING"
    assert "gave nothing for its output `measured`, and `mesured`, which is no output" in record.getMessage()
    caplog.clear()
    monkeypatch.setattr(task, "run", lambda raw: Struct(measured={"sum": 1}, unrelated=3))  # `extra` may be left out
    runTestQuantum(task, butler, makeQuantum(task, butler, {**where, "detector": 1}, {"raw": where}), mockRun=False)
    assert caplog.records == []


def test_run_can_be_mocked(butler):
    where = {"instrument": "Cam", "detector": 2}
    run = runTestQuantum(MeasureTask(), butler, makeQuantum(MeasureTask(), butler, where, {}))
    run.assert_called_once_with(raw={"detector": 2, "values": [2, 1]})


def test_several_inputs_are_a_list(butler):
    task = SumTask(initInputs={"schema": {"columns": ["x"]}})
    one = {"instrument": "Cam", "detector": 0}
    with pytest.raises(ValueError, match="`parts` is `multiple`"):
        makeQuantum(task, butler, {"instrument": "Cam"}, {"parts": one})
    with pytest.raises(ValueError, match="no `measured`"):
        makeQuantum(task, butler, {"instrument": "Cam"}, {"parts": [one]})
    with pytest.raises(ValueError, match="`part`"):
        makeQuantum(task, butler, {"instrument": "Cam"}, {"part": [one]})


def test_outputs_are_checked():
    task = MeasureTask()
    assertValidOutput(task, Struct(measured={"a": 1}, extra={"b": 2}))
    with pytest.raises(AssertionError, match="no `extra`"):
        assertValidOutput(task, Struct(measured={"a": 1}))
    with pytest.raises(AssertionError, match="`int`"):
        assertValidOutput(task, Struct(measured=3, extra={}))
    assertValidInitOutput(task)
    del task.schema
    with pytest.raises(AssertionError, match="`schema`"):
        assertValidInitOutput(task)


def test_init_inputs_are_read(butler):
    from armillary.butler import DatasetType

    kind = DatasetType("measured_schema", (), "StructuredDataDict", universe=butler.dimensions)
    butler.put({"columns": ["y"]}, kind)
    with Butler(butler._config.configFile, collections=["u/test"]) as reading:
        assert getInitInputs(reading, SumTask.ConfigClass()) == {"schema": {"columns": ["y"]}}


def test_connections_are_linted():
    lintConnections(MeasureTask.ConfigClass.ConnectionsClass)
    lintConnections(SumTask.ConfigClass.ConnectionsClass)
