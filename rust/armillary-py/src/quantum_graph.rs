//! Quantum graphs: columns in Rust, objects where Python touches them.

use crate::{
    data_coordinate::PyDataCoordinate,
    dataset_ref::PyDatasetRef,
    dataset_type::{DatasetTypeParts, PyDatasetType},
    datastore::PyFileRecord,
    graph_errors::{enter, to_python as raise},
    json,
    pipeline_graph::PyPipelineGraph,
    record::PyDimensionRecord,
    values::{uuid_from_python, uuid_to_python},
};
use armillary_dimensions::{DimensionGroup, ElementIndex, Key, Record, Records, Value};
use armillary_graph::{
    DatasetIndex, Edge, GraphError, Id, PACKAGES, QuantumGraph, QuantumIndex, Row,
    graph_file::{self, GraphReader, WriteOptions},
};
use armillary_registry::FileRecord;
use pyo3::{
    prelude::*,
    types::{PyDict, PyList, PyTuple},
};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

type Edges = Vec<(QuantumIndex, QuantumIndex)>;
/// Records of data IDs by table and row; `None` where the graph lacks one of them.
type KnownRecords = HashMap<(usize, Row), Option<Arc<Records>>>;
type RecordIndex = HashMap<ElementIndex, HashMap<Box<[Key]>, Arc<[Value]>>>;

/// A quantum graph, whole or in part; nothing in it changes any more.
#[pyclass(name = "QuantumGraph", frozen, module = "armillary._core")]
pub(crate) struct PyQuantumGraph {
    graph: Arc<QuantumGraph>,
    /// As the file says, if it was read without datasets.
    stored_edges: Option<Edges>,
    order: OnceLock<Vec<QuantumIndex>>,
    by_id: OnceLock<HashMap<Id, QuantumIndex>>,
    record_index: OnceLock<RecordIndex>,
    records: Mutex<KnownRecords>,
    types: Mutex<HashMap<String, Py<PyDatasetType>>>,
}

impl PyQuantumGraph {
    pub(crate) fn new(graph: Arc<QuantumGraph>, stored_edges: Option<Edges>) -> Self {
        Self {
            graph,
            stored_edges,
            order: OnceLock::new(),
            by_id: OnceLock::new(),
            record_index: OnceLock::new(),
            records: Mutex::default(),
            types: Mutex::default(),
        }
    }

    /// All quanta: tasks in order, then by data ID.
    fn order(&self) -> &[QuantumIndex] {
        self.order.get_or_init(|| {
            let graph = &self.graph;
            let mut order: Vec<QuantumIndex> = graph.quanta().collect();
            let row = |quantum: &QuantumIndex| graph.tasks[quantum.task as usize].row[quantum.position as usize];
            order.sort_by(|a, b| {
                let table = graph.tasks[a.task as usize].table;
                a.task.cmp(&b.task).then_with(|| graph.ids.get(table).compare(&graph.ids.keys, row(a), row(b)))
            });
            order
        })
    }

    fn find(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<QuantumIndex> {
        let id = uuid_from_python(id)?;
        let by_id = self.by_id.get_or_init(|| self.graph.by_id());
        by_id.get(&id).copied().ok_or_else(|| raise(py, &GraphError::NoSuchQuantum { ids: vec![id] }))
    }

    /// Records of all elements of a data ID; `None` if the graph lacks one of them.
    fn records_of(&self, table: usize, row: Row) -> Option<Arc<Records>> {
        let mut known = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry((table, row)).or_insert_with(|| self.make_records(table, row)).clone()
    }

    fn make_records(&self, table: usize, row: Row) -> Option<Arc<Records>> {
        let graph = &self.graph;
        let index = self.record_index.get_or_init(|| {
            let by_key = |(element, rows): (&ElementIndex, &Vec<Arc<[Value]>>)| {
                let width = graph.universe.get(*element).required.len();
                let key =
                    |values: &Arc<[Value]>| values[..width].iter().map(Value::to_key).collect::<Option<Box<[Key]>>>();
                (*element, rows.iter().filter_map(|values| Some((key(values)?, values.clone()))).collect())
            };
            graph.records.iter().map(by_key).collect()
        });
        let ids = graph.ids.get(table);
        let codes = ids.codes(row);
        let mut records = Vec::with_capacity(ids.info().elements.len());
        for element in &ids.info().elements {
            let definition = graph.universe.get(*element);
            let key: Option<Box<[Key]>> = definition
                .required
                .iter()
                .map(|dimension| Some(graph.ids.keys.key(dimension, codes[ids.position(dimension)?]).clone()))
                .collect();
            let values = index.get(element).zip(key).and_then(|(rows, key)| rows.get(&key).cloned());
            if values.is_none() && definition.is_dimension() {
                return None;
            }
            records.push((*element, values.map(|values| Record::new(graph.universe.clone(), *element, values))));
        }
        Some(Arc::new(Records::new(records)))
    }

    fn data_id_of(&self, table: usize, row: Row) -> PyDataCoordinate {
        let graph = &self.graph;
        let id = graph.ids.get(table).data_id(&graph.universe, &graph.ids.keys, row);
        PyDataCoordinate::new(id, self.records_of(table, row))
    }

    /// The dataset type that an edge sees: its own storage class, its component.
    fn type_of(&self, py: Python<'_>, label: &str, edge: &Edge) -> PyResult<Py<PyDatasetType>> {
        let known = format!("{label}.{}", edge.connection);
        let mut types = self.types.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dataset_type) = types.get(&known) {
            return Ok(dataset_type.clone_ref(py));
        }
        let graph = &self.graph;
        let node = graph.pipeline.resolved(edge.parent()).map_err(|error| raise(py, &error))?;
        let made = PyDatasetType::new(&DatasetTypeParts {
            name: &edge.dataset_type,
            universe: &graph.universe,
            group: node.dimensions,
            storage_class: &edge.storage_class,
            parent_storage_class: edge.component().map(|_| node.storage_class.as_str()),
            is_calibration: node.is_calibration && edge.component().is_none(),
        });
        let made = Py::new(py, made)?;
        types.insert(known, made.clone_ref(py));
        Ok(made)
    }

    fn packages_type(&self, py: Python<'_>) -> PyResult<Py<PyDatasetType>> {
        let parts = DatasetTypeParts {
            name: PACKAGES,
            universe: &self.graph.universe,
            group: DimensionGroup::EMPTY,
            storage_class: "Packages",
            parent_storage_class: None,
            is_calibration: false,
        };
        Py::new(py, PyDatasetType::new(&parts))
    }

    fn dataset_ref<'py>(
        &self,
        py: Python<'py>,
        dataset_type: &Py<PyDatasetType>,
        dataset: DatasetIndex,
    ) -> PyResult<Bound<'py, PyDatasetRef>> {
        let (graph, at) = (&self.graph, dataset.get());
        let datasets = &graph.datasets;
        let table = datasets.types[datasets.type_of[at] as usize].table;
        let row = datasets.row[at];
        let id = graph.ids.get(table).data_id(&graph.universe, &graph.ids.keys, row);
        let run = datasets.runs[datasets.run[at] as usize].clone();
        let made = PyDatasetRef::new(dataset_type.clone_ref(py), id, self.records_of(table, row), run, datasets.id[at]);
        Bound::new(py, made)
    }

    fn edge_of(&self, py: Python<'_>, label: &str, connection: &str) -> PyResult<Edge> {
        let task = self.graph.pipeline.task(label).map_err(|error| raise(py, &error))?;
        let found = task.edges().find(|(_, edge)| edge.connection == connection).map(|(_, edge)| edge.clone());
        found.ok_or_else(|| {
            raise(py, &GraphError::InvalidFile { reason: format!("task `{label}` has no connection `{connection}`") })
        })
    }

    /// Datasets of one side of a quantum, by connection.
    fn side<'py>(&self, py: Python<'py>, quantum: QuantumIndex, outputs: bool) -> PyResult<Bound<'py, PyDict>> {
        let task = &self.graph.tasks[quantum.task as usize];
        let side = PyDict::new(py);
        for (connection, list) in task.lists(quantum.position as usize) {
            if connection.is_output == outputs {
                let edge = self.edge_of(py, &task.label, &connection.name)?;
                let dataset_type = self.type_of(py, &task.label, &edge)?;
                let refs: Vec<_> = list
                    .iter()
                    .map(|dataset| self.dataset_ref(py, &dataset_type, *dataset))
                    .collect::<PyResult<_>>()?;
                side.set_item(&connection.name, PyList::new(py, refs)?)?;
            }
        }
        Ok(side)
    }

    fn init_side<'py>(&self, py: Python<'py>, label: &str, outputs: bool) -> PyResult<Bound<'py, PyDict>> {
        let side = PyDict::new(py);
        let Some(init) = self.graph.init.iter().find(|init| init.label == label) else { return Ok(side) };
        for (connection, dataset) in if outputs { &init.outputs } else { &init.inputs } {
            let dataset_type = if label.is_empty() {
                self.packages_type(py)?
            } else {
                self.type_of(py, label, &self.edge_of(py, label, connection)?)?
            };
            side.set_item(connection, self.dataset_ref(py, &dataset_type, *dataset)?)?;
        }
        Ok(side)
    }

    fn file_records<'py>(
        &self,
        py: Python<'py>,
        datasets: impl Iterator<Item = DatasetIndex>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let records = PyDict::new(py);
        for dataset in datasets {
            let Some(files) = self.graph.stored.get(&dataset) else { continue };
            let id = self.graph.datasets.id[dataset.get()];
            let list = files.iter().map(|file| {
                let record = FileRecord {
                    dataset_id: id,
                    path: file.path.clone(),
                    formatter: file.formatter.to_string(),
                    storage_class: file.storage_class.to_string(),
                    component: file.component.as_deref().map(str::to_owned),
                    checksum: file.checksum.clone(),
                    file_size: file.file_size,
                };
                Bound::new(py, PyFileRecord::from(record))
            });
            records.set_item(uuid_to_python(py, &id)?, PyList::new(py, list.collect::<PyResult<Vec<_>>>()?)?)?;
        }
        Ok(records)
    }
}

#[pymethods]
impl PyQuantumGraph {
    /// Puts a graph together from the JSON documents of a file of another format.
    #[staticmethod]
    #[pyo3(signature = (*, header, pipeline, init, records, quanta))]
    #[allow(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
    fn from_documents(
        py: Python<'_>,
        header: &str,
        pipeline: &str,
        init: &str,
        records: &str,
        quanta: Vec<String>,
    ) -> PyResult<Self> {
        let documents = graph_file::Documents { header, pipeline, init, records, quanta: &quanta };
        let graph = enter(py, || graph_file::assemble(documents))?;
        Ok(Self::new(Arc::new(graph), None))
    }

    /// What the file says of the graph.
    #[getter]
    fn header<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_python(py, &self.graph.header)
    }

    #[getter]
    fn pipeline(&self) -> PyPipelineGraph {
        PyPipelineGraph::new_from(self.graph.pipeline.clone())
    }

    fn __len__(&self) -> usize {
        self.graph.len()
    }

    #[getter]
    fn n_datasets(&self) -> usize {
        self.graph.datasets.len()
    }

    /// Number of pairs of quanta of which the second reads what the first writes.
    #[getter]
    fn n_edges(&self, py: Python<'_>) -> PyResult<usize> {
        match &self.stored_edges {
            Some(edges) => Ok(edges.len()),
            None => enter(py, || Ok(self.graph.quantum_edges()?.len())),
        }
    }

    /// Number of quanta that are here, by task.
    #[getter]
    fn n_task_quanta(&self) -> Vec<(String, usize)> {
        self.graph.tasks.iter().map(|task| (task.label.clone(), task.len())).collect()
    }

    /// (id, label) of all quanta: tasks in order, then by data ID.
    fn quanta<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let labels: Vec<_> =
            self.graph.tasks.iter().map(|task| pyo3::types::PyString::new(py, &task.label).into_any()).collect();
        let pairs = self.order().iter().map(|quantum| {
            let id = uuid_to_python(py, self.graph.quantum_id(*quantum))?;
            PyTuple::new(py, [id, labels[quantum.task as usize].clone()])
        });
        PyList::new(py, pairs.collect::<PyResult<Vec<_>>>()?)
    }

    /// Pairs of positions in `quanta()` of which the second quantum reads what the first writes.
    fn edge_indices(&self, py: Python<'_>) -> PyResult<Vec<(usize, usize)>> {
        enter(py, || {
            let position: HashMap<QuantumIndex, usize> =
                self.order().iter().enumerate().map(|(position, quantum)| (*quantum, position)).collect();
            let edges = match &self.stored_edges {
                Some(edges) => edges.clone(),
                None => self.graph.quantum_edges()?,
            };
            Ok(edges.iter().map(|(from, to)| (position[from], position[to])).collect())
        })
    }

    fn label(&self, py: Python<'_>, quantum_id: &Bound<'_, PyAny>) -> PyResult<String> {
        Ok(self.graph.tasks[self.find(py, quantum_id)?.task as usize].label.clone())
    }

    /// The data ID of a quantum, with records if the graph has them.
    fn data_id(&self, py: Python<'_>, quantum_id: &Bound<'_, PyAny>) -> PyResult<PyDataCoordinate> {
        let quantum = self.find(py, quantum_id)?;
        let task = &self.graph.tasks[quantum.task as usize];
        Ok(self.data_id_of(task.table, task.row[quantum.position as usize]))
    }

    /// (label, id, data ID) of all quanta, or of those of one task.
    #[pyo3(signature = (label = None))]
    fn data_ids<'py>(&self, py: Python<'py>, label: Option<&str>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for quantum in self.order() {
            let task = &self.graph.tasks[quantum.task as usize];
            if label.is_none_or(|label| label == task.label) {
                let row = task.row[quantum.position as usize];
                let id = uuid_to_python(py, self.graph.quantum_id(*quantum))?;
                list.append((&task.label, id, self.data_id_of(task.table, row)))?;
            }
        }
        Ok(list)
    }

    /// Inputs and outputs of a quantum, each a dictionary of lists by connection.
    #[allow(clippy::type_complexity, reason = "two dictionaries")]
    fn datasets<'py>(
        &self,
        py: Python<'py>,
        quantum_id: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyDict>)> {
        let quantum = self.find(py, quantum_id)?;
        Ok((self.side(py, quantum, false)?, self.side(py, quantum, true)?))
    }

    /// Where the inputs of a quantum are stored, by dataset id.
    fn datastore_records<'py>(&self, py: Python<'py>, quantum_id: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let quantum = self.find(py, quantum_id)?;
        self.file_records(py, self.graph.tasks[quantum.task as usize].inputs(quantum.position as usize))
    }

    /// Where the init-inputs of a task are stored, by dataset id.
    fn init_datastore_records<'py>(&self, py: Python<'py>, label: &str) -> PyResult<Bound<'py, PyDict>> {
        let init = self.graph.init.iter().find(|init| init.label == label);
        self.file_records(py, init.into_iter().flat_map(|init| init.inputs.iter().map(|(_, dataset)| *dataset)))
    }

    fn init_inputs<'py>(&self, py: Python<'py>, label: &str) -> PyResult<Bound<'py, PyDict>> {
        self.init_side(py, label, false)
    }

    fn init_outputs<'py>(&self, py: Python<'py>, label: &str) -> PyResult<Bound<'py, PyDict>> {
        self.init_side(py, label, true)
    }

    /// (label, id) of the making of the run (label "") and of every task.
    fn init_quanta<'py>(&self, py: Python<'py>) -> PyResult<Vec<(String, Bound<'py, PyAny>)>> {
        self.graph.init.iter().map(|init| Ok((init.label.clone(), uuid_to_python(py, &init.id)?))).collect()
    }

    /// Records of all data IDs, by element.
    fn dimension_records<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for (element, rows) in &self.graph.records {
            let records = rows.iter().map(|values| {
                Bound::new(py, PyDimensionRecord::new(self.graph.universe.clone(), *element, values.clone()))
            });
            let list = PyList::new(py, records.collect::<PyResult<Vec<_>>>()?)?;
            all.set_item(&self.graph.universe.get(*element).name, list)?;
        }
        Ok(all)
    }

    /// All datasets of one type that quanta read or write, in the graph-wide storage class.
    fn refs<'py>(&self, py: Python<'py>, dataset_type: &str) -> PyResult<Bound<'py, PyList>> {
        let graph = &self.graph;
        let node = graph.pipeline.resolved(dataset_type).map_err(|error| raise(py, &error))?;
        let made = PyDatasetType::new(&DatasetTypeParts {
            name: dataset_type,
            universe: &graph.universe,
            group: node.dimensions,
            storage_class: &node.storage_class,
            parent_storage_class: None,
            is_calibration: node.is_calibration,
        });
        let made = Py::new(py, made)?;
        let list = PyList::empty(py);
        if let Some(wanted) = graph.datasets.types.iter().position(|known| known.name == dataset_type) {
            for (index, of_type) in (0..).zip(&graph.datasets.type_of) {
                if *of_type as usize == wanted {
                    list.append(self.dataset_ref(py, &made, DatasetIndex(index))?)?;
                }
            }
        }
        Ok(list)
    }

    /// The same graph writing to another RUN, with new ids of quanta and of what they write.
    fn with_output_run(&self, py: Python<'_>, run: &str) -> PyResult<Self> {
        enter(py, || Ok(self.graph.with_output_run(run))).map(|graph| Self::new(Arc::new(graph), None))
    }

    /// Writes the graph to a file, which appears under its name when it is complete.
    #[pyo3(signature = (path, *, level = 1, dictionary_size = 32_768, dictionary_samples = 128))]
    fn write(
        &self,
        py: Python<'_>,
        path: PathBuf,
        level: i32,
        dictionary_size: usize,
        dictionary_samples: usize,
    ) -> PyResult<()> {
        let options = WriteOptions { level, dictionary_size, dictionary_samples };
        enter(py, || graph_file::write(&self.graph, &path, options))
    }
}

/// An open graph file; nothing that it names is imported or run.
#[pyclass(name = "QuantumGraphReader", frozen, module = "armillary._core")]
pub(crate) struct PyQuantumGraphReader(Mutex<GraphReader>);

#[pymethods]
impl PyQuantumGraphReader {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        enter(py, || GraphReader::open(&path)).map(|reader| Self(Mutex::new(reader)))
    }

    #[getter]
    fn header<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let header = self.0.lock().unwrap_or_else(PoisonError::into_inner).header().clone();
        json::to_python(py, &header)
    }

    #[getter]
    fn pipeline(&self) -> PyPipelineGraph {
        PyPipelineGraph::new_from(self.0.lock().unwrap_or_else(PoisonError::into_inner).pipeline().clone())
    }

    /// Quanta and edges without datasets.
    fn read_thin(&self, py: Python<'_>) -> PyResult<PyQuantumGraph> {
        let thin = enter(py, || self.0.lock().unwrap_or_else(PoisonError::into_inner).read_thin())?;
        Ok(PyQuantumGraph::new(Arc::new(thin.graph), Some(thin.edges)))
    }

    /// What the making of the tasks needs.
    fn read_init(&self, py: Python<'_>) -> PyResult<PyQuantumGraph> {
        let graph = enter(py, || self.0.lock().unwrap_or_else(PoisonError::into_inner).read_init())?;
        Ok(PyQuantumGraph::new(graph, None))
    }

    /// Everything, or everything about some quanta; what was read before stays.
    #[pyo3(signature = (ids = None))]
    fn read(&self, py: Python<'_>, ids: Option<Vec<Bound<'_, PyAny>>>) -> PyResult<PyQuantumGraph> {
        let ids = ids.map(|ids| ids.iter().map(uuid_from_python).collect::<PyResult<Vec<Id>>>()).transpose()?;
        let read = || self.0.lock().unwrap_or_else(PoisonError::into_inner).read(ids.as_deref());
        Ok(PyQuantumGraph::new(enter(py, read)?, None))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyQuantumGraph>()?;
    module.add_class::<PyQuantumGraphReader>()
}
