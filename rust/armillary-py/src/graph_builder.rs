//! Building of quantum graphs: one crossing per stage, hooks of tasks between the stages.

use crate::{
    data_coordinate::PyDataCoordinate,
    dataset_ref::PyDatasetRef,
    dataset_type::{DatasetTypeParts, PyDatasetType},
    graph_errors::{enter, to_python as raise},
    json,
    pipeline_graph::PyPipelineGraph,
    quantum_graph::PyQuantumGraph,
    query,
    registry::PyRegistry,
    values::uuid_from_python,
};
use armillary_dimensions::{DataCoordinate, Element, FieldType, Records, Universe, Value};
use armillary_graph::{
    Edge, GraphError, Header, Id, QuantumGraph, StoredFile,
    builder::{Adjustment, Batch, BatchQuantum, BuildRequest, Builder, Given, InputConstraint, Reuse},
    fetch::FoundDataset,
};
use armillary_registry::{Registry, query::Upload};
use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    types::{PyDict, PyList, PyTuple},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A table of data IDs as Python gives it: names of dimensions and rows of their values.
type DataIdRows<'py> = (Vec<String>, Vec<Vec<Bound<'py, PyAny>>>);

/// An output of a quantum that is not run after all, and the dataset of an earlier run that stands for it.
type OutputPair<'py> = (PyRef<'py, PyDatasetRef>, Option<PyRef<'py, PyDatasetRef>>);

/// The data ID of each group of dimensions, and outputs that have the ids that they are to get.
type GivenParts<'py> = (Vec<PyRef<'py, PyDataCoordinate>>, Vec<PyRef<'py, PyDatasetRef>>);

/// A quantum graph that is being built.
#[pyclass(name = "QuantumGraphBuilder", frozen, module = "armillary._core")]
pub(crate) struct PyQuantumGraphBuilder {
    registry: Arc<Registry>,
    builder: Mutex<Option<Builder>>,
}

/// The name of the table of datastore records.
const RECORDS: &str = "file_datastore_records";

impl PyQuantumGraphBuilder {
    fn lock(&self) -> MutexGuard<'_, Option<Builder>> {
        self.builder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a stage without the GIL.
    fn stage<T: Send + pyo3::marker::Ungil>(
        &self,
        py: Python<'_>,
        run: impl FnOnce(&mut Builder) -> Result<T, GraphError> + Send + pyo3::marker::Ungil,
    ) -> PyResult<T> {
        enter(py, || match self.lock().as_mut() {
            Some(builder) => run(builder),
            None => Err(GraphError::Build { reason: "the graph is already finished".to_owned() }),
        })
    }
}

fn constraint(given: Option<&Bound<'_, PyAny>>) -> PyResult<InputConstraint> {
    let Some(given) = given else { return Ok(InputConstraint::All) };
    if let Ok(names) = given.extract::<Vec<String>>() {
        return Ok(InputConstraint::Only(names));
    }
    match given.extract::<String>()?.as_str() {
        "all" => Ok(InputConstraint::All),
        "off" => Ok(InputConstraint::Off),
        other => {
            Err(PyValueError::new_err(format!("`{other}` is neither `all` nor `off` nor a list of dataset types")))
        }
    }
}

/// A table of data IDs: names of dimensions and rows of their values.
fn table(py: Python<'_>, universe: &Universe, names: &[String], rows: &[Vec<Bound<'_, PyAny>>]) -> PyResult<Upload> {
    let dimension = |name: &String| universe.dimension(name).map_err(|error| raise(py, &GraphError::from(error)));
    let found = names.iter().map(dimension).collect::<PyResult<Vec<_>>>()?;
    let value = |(element, value): (&&Element, &Bound<'_, PyAny>)| {
        let is_text = matches!(element.own_key().map(|field| field.kind), Some(FieldType::String { .. }));
        if is_text {
            value.extract::<String>().map(|text| Value::Str(text.into()))
        } else {
            value.extract().map(Value::Int)
        }
    };
    let rows = rows.iter().map(|row| found.iter().zip(row).map(value).collect::<PyResult<Vec<Value>>>());
    Ok(Upload { dimensions: found.iter().map(|element| element.index).collect(), rows: rows.collect::<PyResult<_>>()? })
}

/// The dataset type that an edge sees.
fn edge_type(py: Python<'_>, builder: &Builder, edge: &Edge) -> PyResult<Py<PyDatasetType>> {
    let pipeline = builder.pipeline();
    let node = pipeline.resolved(edge.parent()).map_err(|error| raise(py, &error))?;
    let parts = DatasetTypeParts {
        name: &edge.dataset_type,
        universe: builder.universe(),
        group: node.dimensions,
        storage_class: &edge.storage_class,
        parent_storage_class: edge.component().map(|_| node.storage_class.as_str()),
        is_calibration: node.is_calibration && edge.component().is_none(),
    };
    Py::new(py, PyDatasetType::new(&parts))
}

/// A batch as Python sees it, and the records of its data IDs.
struct Shown<'a> {
    batch: &'a Batch,
    types: Vec<Py<PyDatasetType>>,
    records: HashMap<u32, Arc<Records>>,
}

impl Shown<'_> {
    fn quantum<'py>(&self, py: Python<'py>, quantum: &BatchQuantum) -> PyResult<Bound<'py, PyTuple>> {
        let (inputs, outputs) = (PyDict::new(py), PyDict::new(py));
        for (position, (edge, datasets)) in self.batch.connections.iter().zip(&quantum.datasets).enumerate() {
            let refs = datasets.iter().map(|dataset| {
                let made = PyDatasetRef::new(
                    self.types[position].clone_ref(py),
                    dataset.data_id.clone(),
                    None,
                    self.batch.runs[dataset.run as usize].clone(),
                    dataset.id,
                );
                Bound::new(py, made)
            });
            let list = PyList::new(py, refs.collect::<PyResult<Vec<_>>>()?)?;
            let side = if position < self.batch.inputs { &inputs } else { &outputs };
            side.set_item(&edge.connection, list)?;
        }
        let records = self.records.get(&quantum.row).cloned();
        let data_id = Bound::new(py, PyDataCoordinate::new(quantum.data_id.clone(), records))?;
        let row = quantum.row.into_pyobject(py)?.into_any();
        PyTuple::new(py, [row, data_id.into_any(), inputs.into_any(), outputs.into_any()])
    }
}

/// A dataset, as the builder takes it.
fn dataset(reference: &PyRef<'_, PyDatasetRef>) -> FoundDataset {
    FoundDataset {
        values: reference.data_id().id.values().cloned().collect(),
        id: reference.id_bytes(),
        run: reference.run_arc().clone(),
    }
}

/// Ids of the datasets of every connection, out of the dictionaries that a hook gave back.
fn ids_of(edges: &[Edge], inputs: &Bound<'_, PyDict>, outputs: &Bound<'_, PyDict>) -> PyResult<Vec<Vec<Id>>> {
    let mut lists = Vec::with_capacity(edges.len());
    for edge in edges {
        let found = match inputs.get_item(&edge.connection)? {
            Some(found) => Some(found),
            None => outputs.get_item(&edge.connection)?,
        };
        let mut ids = Vec::new();
        for item in found.into_iter().flat_map(|list| list.try_iter()).flatten() {
            let item = item?;
            ids.push(match item.cast::<PyDatasetRef>() {
                Ok(reference) => reference.get().id_bytes(),
                Err(_) => uuid_from_python(&item)?,
            });
        }
        lists.push(ids);
    }
    Ok(lists)
}

#[pymethods]
impl PyQuantumGraphBuilder {
    /// Queries data IDs and finds what exists; the pipeline must be resolved.
    #[new]
    #[pyo3(signature = (
        pipeline, registry, *, input_collections, output_run, r#where = "", bind = None, data_id = None,
        skip_existing_in = Vec::new(), retained = None, clobber = false, constraint = None, tables = Vec::new(),
        tract_slicing = true, anchor = None, given = None,
    ))]
    #[allow(clippy::too_many_arguments, reason = "one crossing takes the whole request")]
    fn new(
        py: Python<'_>,
        pipeline: &PyPipelineGraph,
        registry: &PyRegistry,
        input_collections: Vec<String>,
        output_run: String,
        r#where: &str,
        bind: Option<&Bound<'_, PyAny>>,
        data_id: Option<&Bound<'_, PyAny>>,
        skip_existing_in: Vec<String>,
        retained: Option<Vec<String>>,
        clobber: bool,
        constraint: Option<&Bound<'_, PyAny>>,
        tables: Vec<DataIdRows<'_>>,
        tract_slicing: bool,
        anchor: Option<(String, String)>,
        given: Option<GivenParts<'_>>,
    ) -> PyResult<Self> {
        let universe = registry.registry.universe().clone();
        let tables =
            tables.iter().map(|(names, rows)| table(py, &universe, names, rows)).collect::<PyResult<Vec<_>>>()?;
        let request = BuildRequest {
            where_text: r#where.to_owned(),
            binds: bind.map(query::binds).transpose()?.unwrap_or_default(),
            data_id: data_id.map(|given| query::data_id(given, &universe)).transpose()?.unwrap_or_default(),
            input_collections,
            output_run,
            skip_existing_in,
            retained,
            clobber,
            constraint: self::constraint(constraint)?,
            tables,
            without_slicing: !tract_slicing,
            anchor,
            given: given.map(|(data_ids, output_ids)| Given {
                data_ids: data_ids.iter().map(|given| (given.id.group(), given.id.clone())).collect(),
                output_ids: output_ids
                    .iter()
                    .map(|given| (given.dataset_type().name_arc().to_string(), given.id_bytes()))
                    .collect(),
            }),
        };
        let registry = registry.registry.clone();
        let pipeline = pipeline.lock().clone();
        let builder = enter(py, || {
            let mut builder = Builder::start(pipeline, request, registry.clone())?;
            builder.find()?;
            Ok(builder)
        })?;
        Ok(Self { registry, builder: Mutex::new(Some(builder)) })
    }

    /// Labels of all tasks, in order.
    #[getter]
    fn labels(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.stage(py, |builder| Ok(builder.labels()))
    }

    /// Why parts of the pipeline have no data IDs.
    #[getter]
    fn reasons(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.stage(py, |builder| Ok(builder.reasons.clone()))
    }

    /// What became of the quanta of a task.
    fn counts(&self, py: Python<'_>, label: &str) -> PyResult<HashMap<&'static str, usize>> {
        let count = self.stage(py, |builder| builder.count(label))?;
        Ok(HashMap::from([
            ("initial", count.initial),
            ("skipped", count.skipped),
            ("reused", count.reused),
            ("no_work", count.no_work),
            ("adjusted_away", count.adjusted_away),
            ("unanchored", count.unanchored),
            ("remaining", count.remaining),
        ]))
    }

    /// Connections that quanta of a task had too few datasets of, and how many quanta those were.
    fn lacking(&self, py: Python<'_>, label: &str) -> PyResult<Vec<(String, usize)>> {
        self.stage(py, |builder| builder.lacking(label))
    }

    /// All quanta of a task that are to run: (row, data ID with records, inputs, outputs).
    fn batch<'py>(&self, py: Python<'py>, label: &str) -> PyResult<Bound<'py, PyList>> {
        let batch = self.stage(py, |builder| builder.batch(label))?;
        let registry = &self.registry;
        let records = enter(py, || {
            let ids: Vec<DataCoordinate> = batch.quanta.iter().map(|quantum| quantum.data_id.clone()).collect();
            let expanded = registry.expand_data_ids(&ids)?;
            let rows = batch.quanta.iter().map(|quantum| quantum.row);
            Ok(rows.zip(expanded).map(|(row, expanded)| (row, expanded.records)).collect())
        })?;
        let types = {
            let builder = self.lock();
            let builder = builder.as_ref().ok_or_else(|| PyRuntimeError::new_err("the graph is already finished"))?;
            batch.connections.iter().map(|edge| edge_type(py, builder, edge)).collect::<PyResult<Vec<_>>>()?
        };
        let shown = Shown { batch: &batch, types, records };
        let quanta = batch.quanta.iter().map(|quantum| shown.quantum(py, quantum));
        PyList::new(py, quanta.collect::<PyResult<Vec<_>>>()?)
    }

    /// Takes what a look-up function found: (row, references) for each quantum.
    fn found(
        &self,
        py: Python<'_>,
        label: &str,
        connection: &str,
        lists: Vec<(u32, Vec<PyRef<'_, PyDatasetRef>>)>,
    ) -> PyResult<()> {
        let lists: Vec<_> =
            lists.iter().map(|(row, references)| (*row, references.iter().map(dataset).collect())).collect();
        self.stage(py, |builder| builder.found(label, connection, lists))
    }

    /// Takes datasets for an input of the only quantum of a task, besides those that its data ID has.
    fn give(
        &self,
        py: Python<'_>,
        label: &str,
        connection: &str,
        references: Vec<PyRef<'_, PyDatasetRef>>,
    ) -> PyResult<()> {
        let datasets = references.iter().map(dataset).collect();
        self.stage(py, |builder| builder.give(label, connection, datasets))
    }

    /// Takes what the hooks of a task did: (row, `"no_work"`, `"removed"` or (inputs, outputs)).
    fn apply(&self, py: Python<'_>, label: &str, adjustments: Vec<(u32, Bound<'_, PyAny>)>) -> PyResult<()> {
        let edges = self.stage(py, |builder| builder.connections(label))?;
        let mut taken = Vec::with_capacity(adjustments.len());
        for (row, what) in adjustments {
            let adjustment = match what.extract::<String>().as_deref() {
                Ok("no_work") => Adjustment::NoWork,
                Ok("removed") => Adjustment::Removed,
                Ok(other) => return Err(PyValueError::new_err(format!("`{other}` is not an adjustment"))),
                Err(_) => {
                    let (inputs, outputs): (Bound<'_, PyDict>, Bound<'_, PyDict>) = what.extract()?;
                    Adjustment::Changed(ids_of(&edges, &inputs, &outputs)?)
                }
            };
            taken.push((row, adjustment));
        }
        self.stage(py, |builder| builder.apply(label, taken))
    }

    /// Removes the quanta of a task that have too little to work on; must be called for every task in order.
    fn settle(&self, py: Python<'_>, label: &str) -> PyResult<()> {
        self.stage(py, |builder| builder.settle(label))
    }

    /// Takes outputs of earlier runs in place of quanta: (row, pairs of a foretold output and what there is of it).
    fn reuse(
        &self,
        py: Python<'_>,
        label: &str,
        quanta: Vec<(u32, Vec<OutputPair<'_>>)>,
        runs: Vec<String>,
    ) -> PyResult<()> {
        let existing = |reference: &PyRef<'_, PyDatasetRef>| (reference.id_bytes(), reference.run_arc().clone());
        let pair = |(foretold, found): &OutputPair<'_>| (foretold.id_bytes(), found.as_ref().map(existing));
        let quanta: Vec<Reuse> = quanta
            .iter()
            .map(|(row, outputs)| Reuse { row: *row, outputs: outputs.iter().map(pair).collect() })
            .collect();
        self.stage(py, |builder| builder.reuse(label, quanta, runs))
    }

    /// Whether an output of these types in the output run would be replaced is settled; this gives the graph.
    ///
    /// With the name of a datastore, the places of all overall inputs come with it.
    #[pyo3(signature = (header, datastore = None))]
    fn finish(&self, py: Python<'_>, header: &Bound<'_, PyAny>, datastore: Option<String>) -> PyResult<PyQuantumGraph> {
        let header: Header = json::from_python(header)?;
        let builder = self.lock().take().ok_or_else(|| PyRuntimeError::new_err("the graph is already finished"))?;
        let registry = &self.registry;
        let graph = enter(py, || {
            let mut graph = builder.finish(header)?;
            if let Some(datastore) = datastore {
                attach(&mut graph, registry, &datastore)?;
            }
            Ok(graph)
        })?;
        Ok(PyQuantumGraph::new(Arc::new(graph), None))
    }
}

/// Adds what a datastore knows of all overall inputs.
fn attach(graph: &mut QuantumGraph, registry: &Registry, datastore: &str) -> Result<(), GraphError> {
    let inputs = graph.overall_inputs()?;
    let by_id: HashMap<Id, _> = inputs.iter().map(|dataset| (graph.datasets.id[dataset.get()], *dataset)).collect();
    let ids: Vec<Id> = inputs.iter().map(|dataset| graph.datasets.id[dataset.get()]).collect();
    let datastore: Arc<str> = datastore.into();
    let mut names: HashMap<String, Arc<str>> = HashMap::new();
    let mut name = |text: String| names.entry(text).or_insert_with_key(|text| text.as_str().into()).clone();
    for record in registry.file_records(RECORDS, &ids)? {
        let Some(dataset) = by_id.get(&record.dataset_id) else { continue };
        graph.stored.entry(*dataset).or_default().push(StoredFile {
            datastore: datastore.clone(),
            formatter: name(record.formatter),
            path: record.path,
            storage_class: name(record.storage_class),
            component: record.component.map(&mut name),
            checksum: record.checksum,
            file_size: record.file_size,
        });
    }
    Ok(())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyQuantumGraphBuilder>()
}
