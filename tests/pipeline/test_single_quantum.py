"""One quantum: what it writes and how its end is told."""

import json
import uuid

import pytest

from armillary.butler import QuantumBackedButler
from armillary.config import ButlerConfig
from armillary.pipeline.execution import QuantumState, SingleQuantumExecutor
from armillary.repository_config import create_repository_config
from armillary.storage.file_datastore import FileDatastore
from pipeline.hand_graph import HandGraph


class Bench:
    """A graph, and a datastore that holds its raw numbers."""

    def __init__(self, root, **options):
        create_repository_config(root, None)
        self.graph = HandGraph(**options)
        self.datastore = FileDatastore(ButlerConfig(root), str(root), universe=self.graph.universe, writeable=True)
        self.butler = QuantumBackedButler(self.datastore, self.graph.universe, {})
        for detector, ref in self.graph.raws.items():
            self.butler.put({"detector": detector, "values": [1, 2]}, ref)
        self.quantum_id, label = self.graph.quanta()[0]
        self.node = self.graph.pipeline_graph.tasks[label]
        self.quantum = self.graph.build_execution_quanta()[self.quantum_id]

    def execute(self, **options):
        return SingleQuantumExecutor(**options).run_quantum(self.node, self.quantum, self.quantum_id, self.butler)

    def read(self, name):
        (ref,) = self.quantum.outputs[name]
        return self.butler.get(ref)

    def names(self):
        refs = [ref for group in self.quantum.outputs.values() for ref in group]
        return {ref.datasetType.name for ref, there in self.butler.stored_many(refs).items() if there}


@pytest.fixture
def bench(tmp_path):
    return lambda **options: Bench(tmp_path / "repo", **options)


ALL = {"measured", "measured_extra", "measure_metadata", "measure_log"}


def test_success_writes_outputs_log_and_metadata(bench):
    b = bench()
    outcome = b.execute()
    assert outcome.state is QuantumState.FINISHED
    assert outcome.caveats.value == 0
    assert b.names() == ALL
    assert len(outcome.written) == 4
    assert b.read("measured") == {"sum": 3}


def test_metadata_has_the_keys_that_reports_read(bench):
    b = bench()
    b.execute(job_metadata={"qg_size": 1})
    metadata = b.read("measure_metadata")
    assert metadata["measure.n"] == 3
    assert type(metadata["measure.n"]) is int
    assert metadata["quantum.caveats"] == 0
    assert metadata["quantum.__version__"] == 1
    assert metadata["job.qg_size"] == 1
    usage = ("Utc", "CpuTime", "UserTime", "SystemTime", "MaxResidentSetSize", "MinorPageFaults", "MajorPageFaults")
    more = ("BlockInputs", "BlockOutputs", "VoluntaryContextSwitches", "InvoluntaryContextSwitches")
    for prefix in ("prep", "init", "start", "end"):
        for name in (*usage, *more):
            assert len(metadata.getArray(f"quantum.{prefix}{name}")) == 1
    written = [str(b.quantum.outputs[name][0].id) for name in ("measured", "measured_extra")]
    assert sorted(metadata.getArray("quantum.outputs")) == sorted(written)
    assert metadata["quantum.butler_metrics.n_get"] == 1
    assert metadata["quantum.butler_metrics.n_put"] == 2
    assert len(metadata.getArray("quantum.gc_metrics.start_stats.collected")) == 3


def test_log_has_labels_and_messages(bench):
    b = bench()
    b.execute()
    log = b.read("measure_log")
    assert any(record.message.startswith("measuring") for record in log)
    assert {record.MDC["RUN"] for record in log} == {"u/me/run"}
    assert all(record.MDC["LABEL"].startswith("measure:{instrument: 'Cam'") for record in log)
    stored = json.loads(log.to_json_data())
    assert list(stored) == [
        "extended", "version", "records", "exception", "metadata",
        "previous_process_quanta", "logs", "previous_attempts",
    ]  # fmt: skip
    assert stored["exception"] is None
    assert stored["metadata"] is None


def test_log_names_the_latest_quanta_of_the_process(bench):
    b = bench(mode="fail")
    executor = SingleQuantumExecutor(clobber_outputs=True)
    ids = [uuid.UUID(int=number) for number in range(102)]
    for quantum_id in ids:
        executor.run_quantum(b.node, b.quantum, quantum_id, b.butler)
    named = b.read("measure_log").extra["previous_process_quanta"]
    assert named == [str(quantum_id) for quantum_id in ids[1:101]]


def test_failure_writes_its_log_alone(bench):
    b = bench(mode="fail")
    outcome = b.execute()
    assert outcome.state is QuantumState.FAILED
    assert outcome.exit_code == 1
    assert (outcome.exception.type_name, outcome.exception.message) == ("RuntimeError", "asked to fail")
    assert b.names() == {"measure_log"}
    extra = b.read("measure_log").extra
    assert extra["exception"] == {"type_name": "RuntimeError", "message": "asked to fail", "metadata": {}}
    assert "caveats" not in extra["metadata"]["metadata"]["quantum"]["scalars"]


@pytest.mark.parametrize(("mode", "code"), [("repeatable", 20), ("invalid", 21), ("exits", 1)])
def test_exit_codes_of_failures(bench, mode, code):
    outcome = bench(mode=mode).execute()
    assert outcome.state is QuantumState.FAILED
    assert outcome.exit_code == code


@pytest.mark.parametrize(("mode", "caveats"), [("nothing", 7), ("upstream", 23), ("unprocessable", 39)])
def test_no_work_is_a_success_with_caveats(bench, mode, caveats):
    b = bench(mode=mode)
    outcome = b.execute()
    assert outcome.state is QuantumState.NO_WORK
    assert outcome.caveats.value == caveats
    assert b.names() == {"measure_log", "measure_metadata"}
    assert b.read("measure_metadata")["quantum.caveats"] == caveats
    assert b.read("measure_metadata").getArray("quantum.outputs") == []


def test_missing_output_is_a_caveat(bench):
    b = bench(mode="some")
    assert b.execute().caveats.value == 1
    assert b.names() == ALL - {"measured_extra"}


def test_partial_outputs_fail_by_default(bench):
    b = bench(mode="partial")
    outcome = b.execute()
    assert outcome.state is QuantumState.FAILED
    assert outcome.exception.metadata == {"stars": 2}


def test_partial_outputs_can_be_accepted(bench):
    b = bench(mode="partial")
    outcome = b.execute(raise_on_partial_outputs=False)
    assert outcome.state is QuantumState.FINISHED
    assert outcome.caveats.value == 67
    failure = b.read("measure_metadata")["measure.failure"]
    assert failure["message"] == "two stars are too few"
    assert failure["metadata.stars"] == 2


def test_missing_input_is_no_work_without_running(bench):
    b = bench()
    b.butler.pruneDatasets(list(b.graph.raws.values()), unstore=True)
    outcome = b.execute()
    assert outcome.state is QuantumState.NO_WORK
    assert outcome.caveats.value == 15
    metadata = b.read("measure_metadata")
    assert "initUtc" not in metadata["quantum"]
    assert "butler_metrics" not in metadata["quantum"]


def test_finished_quantum_is_skipped_when_asked(bench):
    b = bench()
    b.execute()
    assert b.execute(skip_existing=True).state is QuantumState.SKIPPED


def test_existing_outputs_are_refused_unless_clobbered(bench):
    b = bench()
    b.execute()
    refused = b.execute()
    assert refused.state is QuantumState.FAILED
    assert "--clobber-outputs" in refused.exception.message
    again = b.execute(clobber_outputs=True)
    assert again.state is QuantumState.FINISHED
    assert len(again.removed) == 4


def test_own_log_of_a_failure_blocks_no_retry(bench):
    b = bench(mode="fail")
    b.execute()
    assert b.names() == {"measure_log"}
    assert b.execute().exception.message == "asked to fail"
