//! Pipeline graphs: plain descriptions of tasks in, orders and definitions out.

use crate::{
    graph_errors::{enter, to_python as raise},
    json,
};
use armillary_dimensions::Universe;
use armillary_graph::{
    Connection, DatasetTypeNode, NodeKey, NodeKind, PipelineGraph, RegisteredType, Task, TaskSubset,
};
use pyo3::{prelude::*, types::PyDict};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The tasks of a pipeline and the dataset types between them.
#[pyclass(name = "PipelineGraph", frozen, module = "armillary._core")]
pub(crate) struct PyPipelineGraph(Mutex<PipelineGraph>);

#[derive(Deserialize)]
struct Subset {
    #[serde(default)]
    description: String,
    tasks: BTreeSet<String>,
    #[serde(default)]
    dimensions: BTreeSet<String>,
}

impl From<Subset> for TaskSubset {
    fn from(subset: Subset) -> Self {
        let Subset { description, tasks, dimensions } = subset;
        Self { description, tasks, dimensions }
    }
}

#[derive(Deserialize)]
struct Registered {
    dimensions: Vec<String>,
    storage_class: String,
    #[serde(default)]
    is_calibration: bool,
}

fn universe(given: Option<&str>) -> PyResult<Option<Arc<Universe>>> {
    let made = given.map(Universe::from_json).transpose();
    made.map_err(|error| Python::attach(|py| raise(py, &error.into())))
}

const fn kind(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::DatasetType => "dataset_type",
        NodeKind::TaskInit => "task_init",
        NodeKind::Task => "task",
    }
}

fn key(key: &NodeKey) -> (&'static str, String) {
    (kind(key.kind), key.name.clone())
}

/// (task, connection, whether it belongs to the making of the task)
type Use = (String, String, bool);

fn use_of(connection: &Connection<'_>) -> Use {
    (connection.task.label.clone(), connection.edge.connection.clone(), connection.kind.is_init())
}

impl PyPipelineGraph {
    /// The graph, for as long as no Python code runs.
    pub(crate) fn lock(&self) -> MutexGuard<'_, PipelineGraph> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn new_from(graph: PipelineGraph) -> Self {
        Self(Mutex::new(graph))
    }
}

fn dataset_type_json(universe: Option<&Arc<Universe>>, node: &DatasetTypeNode) -> serde_json::Value {
    let dimensions: Vec<&str> = universe.map(|universe| universe.names(node.dimensions).collect()).unwrap_or_default();
    json!({
        "dimensions": dimensions,
        "storage_class": node.storage_class,
        "is_calibration": node.is_calibration,
        "is_initial_query_constraint": node.is_initial_query_constraint,
        "is_prerequisite": node.is_prerequisite,
    })
}

#[pymethods]
impl PyPipelineGraph {
    #[new]
    #[pyo3(signature = (universe = None, description = "", tasks = None, subsets = None, steps = None, data_id = None))]
    fn new(
        py: Python<'_>,
        universe: Option<&str>,
        description: &str,
        tasks: Option<&Bound<'_, PyAny>>,
        subsets: Option<&Bound<'_, PyAny>>,
        steps: Option<Vec<String>>,
        data_id: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut graph = PipelineGraph::new(self::universe(universe)?, description);
        if let Some(data_id) = data_id {
            graph.data_id = json::from_python(data_id)?;
        }
        let tasks: Vec<Task> = tasks.map(json::from_python).transpose()?.unwrap_or_default();
        let subsets: Vec<(String, Subset)> = subsets
            .map(json::from_python::<serde_json::Map<String, serde_json::Value>>)
            .transpose()?
            .unwrap_or_default()
            .into_iter()
            .map(|(label, subset)| Ok((label, serde_json::from_value(subset)?)))
            .collect::<Result<_, serde_json::Error>>()
            .map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))?;
        let filled = enter(py, move || {
            graph.add_tasks(tasks)?;
            for (label, subset) in subsets {
                graph.add_subset(&label, subset.into())?;
            }
            graph.set_steps(steps.unwrap_or_default())?;
            Ok(graph)
        })?;
        Ok(Self::new_from(filled))
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        enter(py, || PipelineGraph::from_json(text)).map(Self::new_from)
    }

    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        enter(py, || self.lock().to_json())
    }

    fn copy(&self) -> Self {
        Self::new_from(self.lock().clone())
    }

    #[getter]
    fn description(&self) -> String {
        self.lock().description.clone()
    }

    #[setter]
    fn set_description(&self, description: String) {
        self.lock().description = description;
    }

    #[getter]
    fn data_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let data_id = self.lock().data_id.clone();
        json::to_python(py, &data_id)
    }

    /// The document of the universe, once known.
    #[getter]
    fn universe_document(&self) -> Option<String> {
        self.lock().universe().map(|universe| universe.document().to_owned())
    }

    #[getter]
    fn is_sorted(&self) -> bool {
        self.lock().is_sorted()
    }

    #[getter]
    fn is_resolved(&self) -> bool {
        self.lock().is_resolved()
    }

    #[getter]
    fn steps_verified(&self) -> bool {
        self.lock().steps_verified()
    }

    #[getter]
    fn task_labels(&self) -> Vec<String> {
        self.lock().tasks().keys().cloned().collect()
    }

    /// In topological order when sorted, in name order otherwise.
    #[getter]
    fn dataset_type_names(&self) -> Vec<String> {
        let graph = self.lock();
        match graph.nodes() {
            Ok(nodes) => {
                nodes.iter().filter(|node| node.kind == NodeKind::DatasetType).map(|node| node.name.clone()).collect()
            }
            Err(_) => graph.dataset_types().keys().cloned().collect(),
        }
    }

    fn task<'py>(&self, py: Python<'py>, label: &str) -> PyResult<Bound<'py, PyAny>> {
        let task = self.lock().task(label).cloned().map_err(|error| raise(py, &error))?;
        json::to_python(py, &task)
    }

    fn dataset_type<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let node = {
            let graph = self.lock();
            let node = graph.dataset_type(name).map_err(|error| raise(py, &error))?;
            node.map(|node| dataset_type_json(graph.universe(), node))
        };
        node.map(|node| json::to_python(py, &node)).transpose()
    }

    fn add_tasks(&self, py: Python<'_>, tasks: &Bound<'_, PyAny>) -> PyResult<()> {
        let tasks: Vec<Task> = json::from_python(tasks)?;
        enter(py, || self.lock().add_tasks(tasks))
    }

    fn replace_tasks(&self, py: Python<'_>, tasks: &Bound<'_, PyAny>) -> PyResult<()> {
        let tasks: Vec<Task> = json::from_python(tasks)?;
        enter(py, || self.lock().replace_tasks(tasks))
    }

    #[pyo3(signature = (labels, *, drop_from_subsets = true))]
    fn remove_tasks(
        &self,
        py: Python<'_>,
        labels: Vec<String>,
        drop_from_subsets: bool,
    ) -> PyResult<Vec<(String, BTreeSet<String>)>> {
        let removed = enter(py, || self.lock().remove_tasks(&labels, drop_from_subsets))?;
        Ok(removed.into_iter().map(|(task, subsets)| (task.label, subsets)).collect())
    }

    #[pyo3(signature = (label, tasks, description = String::new(), dimensions = None))]
    fn add_subset(
        &self,
        py: Python<'_>,
        label: &str,
        tasks: BTreeSet<String>,
        description: String,
        dimensions: Option<BTreeSet<String>>,
    ) -> PyResult<()> {
        let subset = TaskSubset { description, tasks, dimensions: dimensions.unwrap_or_default() };
        enter(py, || self.lock().add_subset(label, subset))
    }

    fn remove_subset(&self, py: Python<'_>, label: &str) -> PyResult<()> {
        enter(py, || self.lock().remove_subset(label))
    }

    /// Label to description, sorted members and sharding dimensions.
    #[getter]
    fn subsets(&self) -> BTreeMap<String, (String, Vec<String>, Vec<String>)> {
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect();
        self.lock()
            .subsets()
            .iter()
            .map(|(label, subset)| {
                (label.clone(), (subset.description.clone(), list(&subset.tasks), list(&subset.dimensions)))
            })
            .collect()
    }

    #[getter]
    fn steps(&self) -> Vec<String> {
        self.lock().steps().iter().cloned().collect()
    }

    fn set_steps(&self, py: Python<'_>, steps: Vec<String>) -> PyResult<()> {
        enter(py, || self.lock().set_steps(steps))
    }

    fn sort(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.lock().sort())
    }

    /// Resolves all dataset types; returns (label, connection, dataset type, component, from, to) for every storage
    /// class conversion that must be found possible.
    #[pyo3(signature = (registered, universe = None))]
    #[allow(clippy::type_complexity, reason = "one row of names per conversion")]
    fn resolve(
        &self,
        py: Python<'_>,
        registered: &Bound<'_, PyDict>,
        universe: Option<&str>,
    ) -> PyResult<Vec<(String, String, String, Option<String>, String, String)>> {
        let types: HashMap<String, Registered> = json::from_python(registered.as_any())?;
        let universe = self::universe(universe)?
            .or_else(|| self.lock().universe().cloned())
            .unwrap_or_else(Universe::default_universe);
        let conversions = enter(py, || {
            let mut registered = HashMap::with_capacity(types.len());
            for (name, given) in types {
                let Registered { dimensions, storage_class, is_calibration } = given;
                let dimensions = universe.group(dimensions.iter().map(String::as_str))?;
                registered.insert(name, RegisteredType { dimensions, storage_class, is_calibration });
            }
            self.lock().resolve(&universe, &registered)
        })?;
        Ok(conversions
            .into_iter()
            .map(|c| (c.label, c.connection, c.dataset_type, c.component, c.from, c.to))
            .collect())
    }

    fn unresolve(&self) {
        self.lock().unresolve();
    }

    /// All nodes in order, as (kind, name).
    fn nodes(&self, py: Python<'_>) -> PyResult<Vec<(&'static str, String)>> {
        let graph = self.lock();
        let nodes = graph.nodes().map_err(|error| raise(py, &error))?;
        Ok(nodes.iter().map(key).collect())
    }

    /// All edges between nodes, as (from, to, connection).
    #[allow(clippy::type_complexity, reason = "two nodes and a name")]
    fn edges(&self) -> Vec<((&'static str, String), (&'static str, String), String)> {
        self.lock().edges().iter().map(|(from, to, connection)| (key(from), key(to), connection.clone())).collect()
    }

    /// (task, connection, is init) of the task that writes a dataset type.
    fn producer_of(&self, py: Python<'_>, name: &str) -> PyResult<Option<Use>> {
        let graph = self.lock();
        graph.dataset_type(name).map_err(|error| raise(py, &error))?;
        Ok(graph.producer_of(name).as_ref().map(use_of))
    }

    /// (task, connection, is init) of every use of a dataset type.
    fn consumers_of(&self, py: Python<'_>, name: &str) -> PyResult<Vec<Use>> {
        let graph = self.lock();
        graph.dataset_type(name).map_err(|error| raise(py, &error))?;
        Ok(graph.consumers_of(name).map(|connection| use_of(&connection)).collect())
    }

    fn overall_inputs(&self) -> Vec<String> {
        self.lock().overall_inputs().into_iter().map(str::to_owned).collect()
    }

    fn select(&self, py: Python<'_>, expression: &str) -> PyResult<BTreeSet<String>> {
        enter(py, || self.lock().select(expression))
    }

    /// Tasks downstream of `first` and upstream of `last`, both included.
    #[pyo3(signature = (first = None, last = None))]
    fn range(&self, py: Python<'_>, first: Option<&str>, last: Option<&str>) -> PyResult<BTreeSet<String>> {
        enter(py, || self.lock().range(first, last))
    }

    /// The same pipeline with only these tasks, without subsets.
    fn restricted(&self, py: Python<'_>, labels: BTreeSet<String>) -> PyResult<Self> {
        enter(py, || self.lock().restricted(&labels)).map(Self::new_from)
    }

    fn split_independent(&self, py: Python<'_>) -> PyResult<Vec<Self>> {
        let parts = enter(py, || self.lock().split_independent())?;
        Ok(parts.into_iter().map(Self::new_from).collect())
    }

    fn differences(&self, other: &Self) -> Vec<String> {
        let other = other.lock().clone();
        self.lock().differences(&other)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyPipelineGraph>()
}
