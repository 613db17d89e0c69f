"""Executors as objects: the classes that users' code derives from, hands over and asks for results."""

import itertools
import logging
import os
import sys

import pytest

from armillary.butler import Butler, CollectionType, DatasetRef, DatasetType
from armillary.errors import MPGraphExecutorError, MPTimeoutError
from armillary.pipeline import (
    ExecutionGraphFixup,
    MPGraphExecutor,
    QuantumGraphExecutor,
    SeparablePipelineExecutor,
    SimplePipelineExecutor,
    SingleQuantumExecutor,
    TaskFactory,
    TaskMetadata,
)
from armillary.pipeline.execution.execution_graph_fixup import added_edges, fixup_named
from armillary.pipeline.execution.quantum_reports import ExecutionStatus, QuantumReport
from armillary.pipeline.pipeline_nodes import TaskImportMode
from armillary.storage.log_records import ButlerLogRecords
from pipeline.test_resume import N_DETECTORS, RUN, built, check_whole, make_pipeline, make_repository, read, run  # noqa: F401


def opened(root):
    return Butler(root, writeable=True, collections=["raws"], run=RUN)


def first_quantum(graph):
    graph.pipeline_graph.import_and_configure(TaskImportMode.ASSUME_CONSISTENT_EDGES)
    quantum_id, label = graph.quanta()[0]
    return graph.pipeline_graph.tasks[label], graph.build_execution_quanta([quantum_id])[quantum_id], quantum_id


# -- one quantum


def test_one_quantum_gives_a_pair_with_more_to_it(built):  # noqa: F811
    root, path = built()
    node, quantum, quantum_id = first_quantum(read(path))
    with opened(root) as butler:
        records = ButlerLogRecords([])
        logging.getLogger("before").setLevel(logging.INFO)
        result = SingleQuantumExecutor(butler=butler).execute(node, quantum, quantum_id, log_records=records)
        ran, report = result
        assert ran.dataId == quantum.dataId
        assert (report.status, report.taskLabel, report.quantumId) == (ExecutionStatus.SUCCESS, "measure", quantum_id)
        assert "quantum" in result.task_metadata
        assert (result.skipped_existing, result.adjusted_no_work) == (False, False)
        assert any("Execution of task" in record.message for record in records)
        again = SingleQuantumExecutor(butler=butler, skip_existing_in=[RUN]).execute(node, quantum, quantum_id)
        assert again.skipped_existing is True
        assert len(butler.query_datasets("measured", RUN)) == 1


def test_one_quantum_raises_what_its_task_raises(built):  # noqa: F811
    root, path = built(mode="fail")
    node, quantum, quantum_id = first_quantum(read(path))
    with opened(root) as butler:
        with pytest.raises(RuntimeError, match="asked to fail"):
            SingleQuantumExecutor(butler=butler).execute(node, quantum, quantum_id)
        assert len(butler.query_datasets("measure_log", RUN)) == 1


def test_debugging_imports_the_users_module_or_says_that_there_is_none(tmp_path, monkeypatch, caplog):
    with caplog.at_level(logging.WARNING):
        SingleQuantumExecutor(enable_lsst_debug=True)
    assert "no module is called `debug`" in caplog.text
    (tmp_path / "debug.py").write_text("import os\nos.environ['ARMILLARY_TEST_DEBUG'] = 'yes'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ARMILLARY_TEST_DEBUG", "no")
    SingleQuantumExecutor(enable_lsst_debug=True)
    assert os.environ["ARMILLARY_TEST_DEBUG"] == "yes"
    monkeypatch.delitem(sys.modules, "debug")


def test_reports_are_made_of_errors_and_exit_codes():
    report = QuantumReport.from_exception(ValueError("v"), {"detector": 1}, "isr", exitCode=1)
    assert (report.status.value, report.exceptionInfo.className, report.exitCode) == ("failure", "ValueError", 1)
    assert QuantumReport.from_exit_code(0, {"detector": 1}, "isr").status is ExecutionStatus.SUCCESS
    assert QuantumReport.from_exit_code(-9, {"detector": 1}, "isr").status is ExecutionStatus.FAILURE


# -- the quanta of a graph


class CountingFactory(TaskFactory):
    """Makes tasks whose outputs say so."""

    def makeTask(self, task_node, /, butler, initInputRefs):
        logging.getLogger("factory").warning("made by hand")
        return super().makeTask(task_node, butler, initInputRefs)


@pytest.mark.parametrize("num_proc", [1, 2])
def test_graph_executor_takes_the_users_task_factory(built, num_proc):  # noqa: F811
    root, path = built()
    with opened(root) as butler:
        own = SingleQuantumExecutor(butler=butler, task_factory=CountingFactory())
        executor = MPGraphExecutor(num_proc=num_proc, quantum_executor=own)
        executor.execute(read(path))
        assert executor.getReport().exit_code == 0
        log = butler.get("measure_log", instrument="Cam", detector=3, collections=RUN)
        assert "made by hand" in [record.message for record in log]
    check_whole(root)


class Announcing(SingleQuantumExecutor):
    """A user's own way to run a quantum."""

    seen = ()

    def execute(self, task_node, /, quantum, quantum_id=None, *, log_records=None):
        self.seen = (*self.seen, task_node.label)
        return super().execute(task_node, quantum, quantum_id, log_records=log_records)


def test_quanta_run_with_the_users_quantum_executor(built, caplog):  # noqa: F811
    root, path = built()
    with opened(root) as butler:
        own = Announcing(butler=butler)
        executor = MPGraphExecutor(num_proc=2, quantum_executor=own)
        with caplog.at_level(logging.WARNING):
            executor.execute(read(path))
        assert "one after the other" in caplog.text
        assert own.seen == ("measure",) * N_DETECTORS + ("sum",)
    check_whole(root)


def test_failures_and_timeouts_are_errors_of_their_own(built):  # noqa: F811
    root, path = built(mode="hangs", only_detector=3)
    with opened(root) as butler:
        executor = MPGraphExecutor(num_proc=2, timeout=2, quantum_executor=SingleQuantumExecutor(butler=butler))
        with pytest.raises(RuntimeError, match="nothing was run"):
            executor.getReport()
        with pytest.raises(MPTimeoutError, match="1 timed out"):
            executor.execute(read(path))
        assert executor.getReport().counts["sum"] == {"blocked": 1}


def test_debugger_is_called_with_the_traceback(built, tmp_path, monkeypatch):  # noqa: F811
    (tmp_path / "looker.py").write_text("seen = []\ndef post_mortem(traceback):\n    seen.append(traceback)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    root, path = built(mode="fail", only_detector=3)
    with opened(root) as butler:
        own = SingleQuantumExecutor(butler=butler)
        with pytest.raises(MPGraphExecutorError):
            MPGraphExecutor(num_proc=1, quantum_executor=own, pdb="looker").execute(read(path))
        with pytest.raises(ValueError, match="needs the quanta to run in this process"):
            MPGraphExecutor(num_proc=2, quantum_executor=own, pdb="looker").execute(read(path))
    assert len(sys.modules["looker"].seen) == 1
    monkeypatch.delitem(sys.modules, "looker")


class Backwards(ExecutionGraphFixup):
    """Detectors one after the other, the last first."""

    def fixup_graph(self, xgraph, quanta_by_task):
        ordered = sorted(quanta_by_task["measure"].items(), key=lambda item: -item[0]["detector"])
        for (_, before), (_, after) in itertools.pairwise(ordered):
            xgraph.add_edge(before, after)


class Removing(ExecutionGraphFixup):
    """Does what it must not."""

    def fixup_graph(self, xgraph, quanta_by_task):
        xgraph.remove_edge(*next(iter(xgraph.edges)))


@pytest.mark.parametrize("processes", [1, 2])
def test_fixup_orders_quanta(built, processes):  # noqa: F811
    root, path = built()
    report = run(root, path, processes=processes, graph_fixup=fixup_named(f"{__name__}.Backwards"))
    graph = read(path)
    order = [graph.data_id_of(one.quantum_id)["detector"] for one in report.outcomes if one.label == "measure"]
    assert order == list(range(N_DETECTORS))[::-1]
    check_whole(root)


def test_fixup_may_add_edges_only(built):  # noqa: F811
    _, path = built()
    with pytest.raises(ValueError, match="`Removing` may add edges, and nothing else"):
        added_edges(read(path), Removing())
    with pytest.raises(TypeError, match="makes no ExecutionGraphFixup"):
        fixup_named("armillary.pipeline.Struct")
    with pytest.raises(ImportError, match="has no `Backword`"):
        fixup_named(f"{__name__}.Backword")


# -- pipelines


class OwnGraphExecutor(QuantumGraphExecutor):
    """Notes what it is asked to run."""

    def __init__(self):
        self.ran = []

    def execute(self, graph, *, provenance_graph_file=None):
        self.ran.append(graph)


def separable(butler, **options):
    executor = SeparablePipelineExecutor(butler, **options)
    components = make_pipeline()
    builder = executor.make_quantum_graph_builder(_Made(components), where="instrument = 'Cam' AND detector < 2")
    return executor, builder.finish().assemble()


class _Made:
    def __init__(self, graph):
        self._graph = graph

    def to_graph(self):
        return self._graph


def test_steps_use_the_users_graph_executor_and_factory(tmp_path, caplog):
    make_repository(tmp_path / "repo")
    with opened(tmp_path / "repo") as butler:
        butler.collections.register(RUN, CollectionType.RUN)
        executor, graph = separable(butler, task_factory=CountingFactory())
        with caplog.at_level(logging.WARNING):
            executor.pre_execute_qgraph(graph, register_dataset_types=True)
        assert caplog.text.count("made by hand") == 2
        own = OwnGraphExecutor()
        executor.run_pipeline(graph, graph_executor=own)
        assert own.ran == [graph]
        assert not butler.query_datasets("measured", RUN, explain=False)


@pytest.mark.parametrize("own", [False, True])
def test_provenance_of_a_run_becomes_a_dataset(tmp_path, own):
    make_repository(tmp_path / "repo")
    with opened(tmp_path / "repo") as butler:
        butler.collections.register(RUN, CollectionType.RUN)
        executor, graph = separable(butler)
        executor.pre_execute_qgraph(graph, register_dataset_types=True)
        told = DatasetType("told", (), "ProvenanceQuantumGraph", universe=butler.dimensions)
        butler.registry.registerDatasetType(told)
        ref = DatasetRef(told, butler.registry.expandDataId(), RUN)
        graph_executor = None
        if own:
            graph_executor = MPGraphExecutor(num_proc=1, quantum_executor=SingleQuantumExecutor(butler=butler))
        executor.run_pipeline(graph, graph_executor=graph_executor, provenance_dataset_ref=ref)
        provenance = butler.get(ref)
        assert provenance.header.n_quanta == len(graph.quanta()) == 3
        assert butler.get("told.packages", collections=RUN) == provenance.packages
        (quantum,) = provenance.quanta_by_task["sum"].values()
        for part, kind in (("metadata", TaskMetadata), ("logs", ButlerLogRecords)):
            found = butler.get(f"told.{part}", collections=RUN, parameters={"quanta": [quantum]})
            assert [type(attempt) for attempt in found[quantum]] == [kind]
            with pytest.raises(ValueError, match="needs ids as the parameter `quanta`"):
                butler.get(f"told.{part}", collections=RUN)
        assert butler.get("total", instrument="Cam", collections=RUN)["sum"] == 3


def prepared(root):
    butler = SimplePipelineExecutor.prep_butler(str(root), inputs=["raws"], output="u/simple")
    where = "instrument = 'Cam' AND detector IN (1, 2)"
    return SimplePipelineExecutor.from_pipeline_graph(make_pipeline(), where=where, butler=butler, output="u/simple")


def test_quanta_are_run_as_they_are_asked_for(tmp_path):
    make_repository(tmp_path / "repo")
    executor = prepared(tmp_path / "repo")
    quanta = executor.as_generator(register_dataset_types=True)
    butler = executor.butler
    assert not butler.query_datasets("measured", butler.run, explain=False)
    first = next(quanta)
    assert butler.get("measured", first.dataId)["sum"] == 1 + first.dataId["detector"]
    assert len(butler.query_datasets("measured", butler.run)) == 1
    assert [quantum.taskName.rpartition(".")[2] for quantum in quanta] == ["MeasureTask", "SumTask"]
    assert butler.get("total", instrument="Cam")["sum"] == 5
    butler.close()


def test_a_copy_of_the_inputs_is_run_on(tmp_path):
    make_repository(tmp_path / "repo")
    executor = prepared(tmp_path / "repo")
    far = executor.butler
    near = executor.use_local_butler(str(tmp_path / "near"))
    assert executor.butler is near
    assert len(executor.run(register_dataset_types=True)) == 3
    assert near.get("total", instrument="Cam")["sum"] == 5
    assert len(near.query_datasets("raw_numbers", "u/simple/inputs")) == 2
    assert list(near.collections.get_info("u/simple").children) == [near.run, "u/simple/inputs"]
    assert not far.registry.queryDatasetTypes("measured")  # nothing was written there
    near.close()
    far.close()
    with Butler(tmp_path / "near", collections="u/simple") as again:
        assert again.get("total", instrument="Cam")["sum"] == 5
        assert again.get("raw_numbers", instrument="Cam", detector=2)["values"] == [2, 1]
