"""A quantum graph put together by hand, with the face of the compiled one: what the executors need, and no more."""

import uuid
from types import SimpleNamespace

from armillary.butler import DataCoordinate, DatasetRef, DimensionUniverse, Quantum
from armillary.pipeline import PipelineGraph
from pipeline.execution_tasks import MeasureConfig, MeasureTask, SumTask

RUN = "u/me/run"


class HandGraph:
    """Three detectors measured, then summed."""

    def __init__(self, mode="ok", only_detector=None, detectors=(0, 1, 2)):
        config = MeasureConfig()
        config.mode = mode
        config.only_detector = only_detector
        self.universe = DimensionUniverse()
        self.pipeline_graph = PipelineGraph(description="by hand")
        self.pipeline_graph.add_task("measure", MeasureTask, config)
        self.pipeline_graph.add_task("sum", SumTask)
        self.pipeline_graph.resolve(dimensions=self.universe, dataset_types={})
        self.raws = {}
        self._quanta = {}
        self._labels = []
        self._edges = []
        self._make_init()
        self._make_quanta(detectors)
        counts = {"measure": len(detectors), "sum": 1}
        self.header = SimpleNamespace(
            command="by hand", inputs=["raws"], output=None, output_run=RUN, n_task_quanta=counts
        )

    def ref(self, name, data_id, run=RUN):
        dataset_type = self.pipeline_graph.dataset_types[name].dataset_type
        return DatasetRef(dataset_type, data_id, run)

    def _data_id(self, **values):
        data_id = DataCoordinate.standardize(values, universe=self.universe)
        fields = {"instrument": "Cam", "name": "Cam"}
        instrument = self.universe["instrument"].RecordClass(
            name="Cam", visit_max=9, visit_system=0, exposure_max=9, detector_max=9, class_name="x.Cam"
        )
        records = {"instrument": instrument}
        if "detector" in values:
            number = values["detector"]
            records["detector"] = self.universe["detector"].RecordClass(
                instrument="Cam",
                id=number,
                full_name=f"D{number}",
                name_in_raft=f"D{number}",
                raft="R",
                purpose="SCIENCE",
            )
        assert fields
        return data_id.expanded(records)

    def _make_init(self):
        empty = DataCoordinate.make_empty(self.universe)
        self.schema = self.ref("measured_schema", empty)
        self._init = {
            "measure": {"schema": self.schema, "_config": self.ref("measure_config", empty)},
            "sum": {"_config": self.ref("sum_config", empty)},
            "": {"packages": DatasetRef(self.pipeline_graph.packages_dataset_type, empty, RUN)},
        }

    def _make_quanta(self, detectors):
        parts = []
        for detector in detectors:
            data_id = self._data_id(instrument="Cam", detector=detector)
            raw = self.raws[detector] = self.ref("raw_numbers", data_id, "raws")
            outputs = self._outputs("measure", data_id)
            parts.append(outputs["measured"][0])
            self._add("measure", Quantum("x.MeasureTask", data_id, {"raw_numbers": [raw]}, outputs))
        data_id = self._data_id(instrument="Cam")
        quantum = Quantum("x.SumTask", data_id, {"measured": parts}, self._outputs("sum", data_id))
        quantum.initInputs = {"measured_schema": self.schema}
        last = self._add("sum", quantum)
        self._edges = [(first, last) for first, _ in self._labels[:-1]]

    def _outputs(self, label, data_id):
        edges = self.pipeline_graph.tasks[label].iter_all_outputs()
        return {edge.dataset_type_name: [self.ref(edge.dataset_type_name, data_id)] for edge in edges}

    def _add(self, label, quantum):
        quantum.quantum_id = uuid.uuid4()
        self._quanta[quantum.quantum_id] = quantum
        self._labels.append((quantum.quantum_id, label))
        return quantum.quantum_id

    def quanta(self):
        return list(self._labels)

    def edges(self):
        return list(self._edges)

    def build_execution_quanta(self, quantum_ids=None, task_label=None):
        return {key: self._quanta[key] for key in (self._quanta if quantum_ids is None else quantum_ids)}

    def get_init_outputs(self, label):
        return dict(self._init[label])

    def get_init_inputs(self, label):
        return {"schema": self.schema} if label == "sum" else {}
