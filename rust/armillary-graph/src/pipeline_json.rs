//! The stored form of a pipeline graph: a member of `.qg` files and a file of its own.

use crate::{DatasetTypeNode, Edge, GraphError, NodeKey, NodeKind, PipelineGraph, Task, TaskSubset};
use armillary_dimensions::Universe;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// Version written; readers do not check it.
const VERSION: &str = "0.0.1";

#[derive(Serialize, Deserialize)]
struct StoredEdge {
    dataset_type_name: String,
    storage_class: String,
    raw_dimensions: Vec<String>,
    #[serde(default)]
    is_calibration: bool,
    #[serde(default)]
    defer_query_constraint: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredInit {
    #[serde(default)]
    inputs: BTreeMap<String, StoredEdge>,
    #[serde(default)]
    outputs: BTreeMap<String, StoredEdge>,
    config_output: StoredEdge,
    #[serde(default)]
    index: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct StoredTask {
    task_class: String,
    init: StoredInit,
    #[serde(default)]
    config_str: String,
    #[serde(default)]
    prerequisite_inputs: BTreeMap<String, StoredEdge>,
    #[serde(default)]
    inputs: BTreeMap<String, StoredEdge>,
    #[serde(default)]
    outputs: BTreeMap<String, StoredEdge>,
    metadata_output: StoredEdge,
    dimensions: Vec<String>,
    #[serde(default)]
    log_output: Option<StoredEdge>,
    #[serde(default)]
    index: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct StoredType {
    #[serde(default)]
    dimensions: Option<Vec<String>>,
    #[serde(default)]
    storage_class: Option<String>,
    #[serde(default)]
    is_calibration: bool,
    #[serde(default)]
    is_initial_query_constraint: bool,
    #[serde(default)]
    is_prerequisite: bool,
    #[serde(default)]
    index: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct StoredSubset {
    #[serde(default)]
    description: String,
    #[serde(default)]
    tasks: BTreeSet<String>,
    #[serde(default)]
    dimensions: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredPipeline {
    #[serde(default)]
    version: String,
    description: String,
    #[serde(default)]
    tasks: IndexMap<String, StoredTask>,
    #[serde(default)]
    dataset_types: IndexMap<String, StoredType>,
    #[serde(default)]
    task_subsets: BTreeMap<String, StoredSubset>,
    #[serde(default)]
    dimensions: Option<Value>,
    #[serde(default)]
    data_id: Map<String, Value>,
    #[serde(default)]
    step_labels: Vec<String>,
    #[serde(default)]
    steps_verified: bool,
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort();
    names
}

impl From<&Edge> for StoredEdge {
    fn from(edge: &Edge) -> Self {
        Self {
            dataset_type_name: edge.dataset_type.clone(),
            storage_class: edge.storage_class.clone(),
            raw_dimensions: sorted(&edge.dimensions),
            is_calibration: edge.is_calibration,
            defer_query_constraint: edge.defer_query_constraint,
        }
    }
}

impl StoredEdge {
    fn into_edge(self, connection: &str) -> Edge {
        Edge {
            connection: connection.to_owned(),
            dataset_type: self.dataset_type_name,
            storage_class: self.storage_class,
            dimensions: self.raw_dimensions,
            is_calibration: self.is_calibration,
            defer_query_constraint: self.defer_query_constraint,
            // Not stored: what is not known must not be refused.
            multiple: true,
            minimum: 0,
            lookup: false,
        }
    }
}

fn store_edges(edges: &[Edge]) -> BTreeMap<String, StoredEdge> {
    edges.iter().map(|edge| (edge.connection.clone(), edge.into())).collect()
}

fn load_edges(edges: BTreeMap<String, StoredEdge>) -> Vec<Edge> {
    edges.into_iter().map(|(connection, edge)| edge.into_edge(&connection)).collect()
}

impl StoredTask {
    fn into_task(self, label: String) -> Task {
        Task {
            label,
            task_class: self.task_class,
            dimensions: self.dimensions,
            config_str: self.config_str,
            init_inputs: load_edges(self.init.inputs),
            init_outputs: load_edges(self.init.outputs),
            config_output: self.init.config_output.into_edge("_config"),
            prerequisite_inputs: load_edges(self.prerequisite_inputs),
            inputs: load_edges(self.inputs),
            outputs: load_edges(self.outputs),
            metadata_output: self.metadata_output.into_edge("_metadata"),
            log_output: self.log_output.map(|edge| edge.into_edge("_log")),
            hooks: crate::Hooks::default(),
        }
    }
}

impl PipelineGraph {
    /// The stored form.
    pub fn to_json(&self) -> Result<String, GraphError> {
        let index: HashMap<&NodeKey, usize> = self.order.iter().flatten().zip(0..).collect();
        let at = |kind, name: &str| index.get(&NodeKey { kind, name: name.to_owned() }).copied();
        let document = self.universe.as_ref().map(|universe| serde_json::from_str(universe.document()));
        let stored = StoredPipeline {
            version: VERSION.to_owned(),
            description: self.description.clone(),
            tasks: self.tasks.values().map(|task| (task.label.clone(), self.store_task(task, &at))).collect(),
            dataset_types: self.store_types(&at),
            task_subsets: self.subsets.iter().map(|(label, subset)| (label.clone(), store_subset(subset))).collect(),
            dimensions: document.transpose().map_err(unreadable)?,
            data_id: self.data_id.clone(),
            step_labels: self.steps.iter().cloned().collect(),
            steps_verified: self.steps_verified,
        };
        serde_json::to_string(&stored).map_err(unreadable)
    }

    fn store_task(&self, task: &Task, at: &dyn Fn(NodeKind, &str) -> Option<usize>) -> StoredTask {
        let mut outputs = store_edges(&task.init_outputs);
        outputs.remove(&task.config_output.connection);
        let dimensions = self
            .universe
            .as_ref()
            .and_then(|universe| {
                let group = universe.group(task.dimensions.iter().map(String::as_str)).ok()?;
                Some(universe.names(group).map(str::to_owned).collect::<Vec<_>>())
            })
            .unwrap_or_else(|| task.dimensions.clone());
        StoredTask {
            task_class: task.task_class.clone(),
            init: StoredInit {
                inputs: store_edges(&task.init_inputs),
                outputs,
                config_output: (&task.config_output).into(),
                index: at(NodeKind::TaskInit, &task.label),
            },
            config_str: task.config_str.clone(),
            prerequisite_inputs: store_edges(&task.prerequisite_inputs),
            inputs: store_edges(&task.inputs),
            outputs: store_edges(&task.outputs),
            metadata_output: (&task.metadata_output).into(),
            dimensions: sorted(&dimensions),
            log_output: task.log_output.as_ref().map(StoredEdge::from),
            index: at(NodeKind::Task, &task.label),
        }
    }

    /// In topological order when there is one.
    fn store_types(&self, at: &dyn Fn(NodeKind, &str) -> Option<usize>) -> IndexMap<String, StoredType> {
        let mut types: Vec<_> =
            self.dataset_types.iter().map(|(name, node)| (at(NodeKind::DatasetType, name), name, node)).collect();
        types.sort_by_key(|(index, name, _)| (*index, *name));
        types.into_iter().map(|(index, name, node)| (name.clone(), self.store_type(node.as_ref(), index))).collect()
    }

    fn store_type(&self, node: Option<&DatasetTypeNode>, index: Option<usize>) -> StoredType {
        let names = |node: &DatasetTypeNode| {
            let universe = self.universe.as_ref()?;
            Some(universe.names(node.dimensions).map(str::to_owned).collect())
        };
        StoredType {
            dimensions: node.and_then(names),
            storage_class: node.map(|node| node.storage_class.clone()),
            is_calibration: node.is_some_and(|node| node.is_calibration),
            is_initial_query_constraint: node.is_some_and(|node| node.is_initial_query_constraint),
            is_prerequisite: node.is_some_and(|node| node.is_prerequisite),
            index,
        }
    }

    /// From the stored form. Nothing named in it is imported or run.
    pub fn from_json(text: &str) -> Result<Self, GraphError> {
        let stored: StoredPipeline = serde_json::from_str(text).map_err(unreadable)?;
        let universe = match &stored.dimensions {
            Some(Value::Object(document)) => Some(read_universe(document)?),
            _ => None,
        };
        let mut graph = Self::new(universe, &stored.description);
        let order = stored_order(&stored)?;
        graph.data_id = stored.data_id;
        for (label, task) in stored.tasks {
            graph.tasks.insert(label.clone(), task.into_task(label));
        }
        graph.producers().map_err(unreadable)?;
        for connection in graph.connections() {
            let name = connection.edge.parent();
            if !stored.dataset_types.contains_key(name) {
                let user = &connection.task.label;
                return Err(unreadable(format!("dataset type `{name}` of task `{user}` is not described")));
            }
        }
        for (name, stored) in stored.dataset_types {
            let node = load_type(graph.universe.as_deref(), stored)?;
            graph.dataset_types.insert(name, node);
        }
        for (label, subset) in stored.task_subsets {
            let StoredSubset { description, tasks, dimensions } = subset;
            graph.subsets.insert(label, TaskSubset { description, tasks, dimensions });
        }
        graph.steps = stored.step_labels.into_iter().collect();
        if let Some(step) = graph.steps.iter().find(|step| !graph.subsets.contains_key(*step)) {
            return Err(unreadable(format!("step `{step}` is not a subset")));
        }
        graph.steps_verified = stored.steps_verified;
        graph.order = order;
        Ok(graph)
    }
}

/// The universe of a graph's own document, which is written again as it was read.
fn read_universe(document: &Map<String, Value>) -> Result<Arc<Universe>, GraphError> {
    Ok(Universe::from_json(&Value::Object(document.clone()).to_string())?)
}

fn load_type(universe: Option<&Universe>, stored: StoredType) -> Result<Option<DatasetTypeNode>, GraphError> {
    let (Some(dimensions), Some(storage_class)) = (stored.dimensions, stored.storage_class) else { return Ok(None) };
    let dimensions = match universe {
        Some(universe) => universe.group(dimensions.iter().map(String::as_str))?,
        None if dimensions.is_empty() => armillary_dimensions::DimensionGroup::EMPTY,
        None => return Err(unreadable("a dataset type has dimensions, but there is no universe")),
    };
    Ok(Some(DatasetTypeNode {
        dimensions,
        storage_class,
        is_calibration: stored.is_calibration,
        is_initial_query_constraint: stored.is_initial_query_constraint,
        is_prerequisite: stored.is_prerequisite,
    }))
}

fn store_subset(subset: &TaskSubset) -> StoredSubset {
    let TaskSubset { description, tasks, dimensions } = subset.clone();
    StoredSubset { description, tasks, dimensions }
}

/// The order of nodes by their `index`: all have one, without gaps, or none has.
fn stored_order(stored: &StoredPipeline) -> Result<Option<Vec<NodeKey>>, GraphError> {
    let key = |kind, name: &String| NodeKey { kind, name: name.clone() };
    let mut nodes: Vec<(Option<usize>, NodeKey)> = Vec::new();
    for (name, node) in &stored.dataset_types {
        nodes.push((node.index, key(NodeKind::DatasetType, name)));
    }
    for (label, task) in &stored.tasks {
        nodes.push((task.init.index, key(NodeKind::TaskInit, label)));
        nodes.push((task.index, key(NodeKind::Task, label)));
    }
    if nodes.iter().all(|(index, _)| index.is_none()) {
        return Ok(None);
    }
    nodes.sort_by_key(|(index, _)| *index);
    match nodes.iter().zip(0..).find(|((index, _), position)| *index != Some(*position)) {
        Some(((_, key), position)) => {
            Err(unreadable(format!("no node has index {position}, which `{}` should have", key.name)))
        }
        None => Ok(Some(nodes.into_iter().map(|(_, key)| key).collect())),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the argument of `map_err` arrives owned")]
fn unreadable(reason: impl ToString) -> GraphError {
    GraphError::UnreadablePipeline { reason: reason.to_string() }
}
