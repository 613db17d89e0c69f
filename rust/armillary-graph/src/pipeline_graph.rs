//! The graph of a pipeline: tasks, the dataset types between them, subsets and steps.

use crate::{Edge, EdgeKind, GraphError, Task, pipeline_order};
use armillary_dimensions::{DimensionGroup, Universe, nearest};
use indexmap::{IndexMap, IndexSet};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// What a node of the graph is; the order breaks ties between nodes that are ready together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeKind {
    /// A dataset type.
    DatasetType,
    /// The making of a task.
    TaskInit,
    /// A task.
    Task,
}

/// Names one node of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeKey {
    /// What it is.
    pub kind: NodeKind,
    /// Label of the task or name of the dataset type.
    pub name: String,
}

/// A dataset type as the whole graph sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetTypeNode {
    /// Its dimensions.
    pub dimensions: DimensionGroup,
    /// Its storage class; single edges may use another one.
    pub storage_class: String,
    /// Whether its datasets have validity ranges.
    pub is_calibration: bool,
    /// Whether its existing datasets limit the data IDs of the whole graph.
    pub is_initial_query_constraint: bool,
    /// Whether tasks read it as a prerequisite.
    pub is_prerequisite: bool,
}

/// Some tasks under one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskSubset {
    /// What it is for.
    pub description: String,
    /// Its members.
    pub tasks: BTreeSet<String>,
    /// If it is a step, the dimensions along which its quanta can be divided.
    pub dimensions: BTreeSet<String>,
}

/// One use of a dataset type by a task.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// The task.
    pub task: &'a Task,
    /// The role of the edge.
    pub kind: EdgeKind,
    /// The edge.
    pub edge: &'a Edge,
}

/// The tasks of a pipeline and the dataset types that join them.
///
/// ```
/// # use armillary_graph::PipelineGraph;
/// let task = |label: &str, input: &str, output: &str| {
///     serde_json::from_value(serde_json::json!({
///         "label": label, "task_class": "package.Task", "dimensions": ["instrument"],
///         "config_output": {"connection": "_config", "dataset_type": format!("{label}_config"), "storage_class": "Config", "dimensions": []},
///         "metadata_output": {"connection": "_metadata", "dataset_type": format!("{label}_metadata"), "storage_class": "TaskMetadata", "dimensions": ["instrument"]},
///         "inputs": [{"connection": "in", "dataset_type": input, "storage_class": "StructuredDataDict", "dimensions": ["instrument"]}],
///         "outputs": [{"connection": "out", "dataset_type": output, "storage_class": "StructuredDataDict", "dimensions": ["instrument"]}],
///     })).unwrap()
/// };
/// let mut graph = PipelineGraph::new(None, "two tasks");
/// graph.add_tasks([task("second", "b", "c"), task("first", "a", "b")])?;
/// graph.sort()?;
/// assert_eq!(graph.tasks().keys().collect::<Vec<_>>(), ["first", "second"]);
/// # Ok::<(), armillary_graph::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PipelineGraph {
    pub(crate) universe: Option<Arc<Universe>>,
    /// What the pipeline is for.
    pub description: String,
    /// Values that every data ID of the pipeline has, such as its instrument.
    pub data_id: Map<String, Value>,
    pub(crate) tasks: IndexMap<String, Task>,
    /// `None` when unresolved. In name order.
    pub(crate) dataset_types: BTreeMap<String, Option<DatasetTypeNode>>,
    pub(crate) subsets: BTreeMap<String, TaskSubset>,
    pub(crate) steps: IndexSet<String>,
    pub(crate) steps_verified: bool,
    /// All nodes in order, once sorted.
    pub(crate) order: Option<Vec<NodeKey>>,
}

impl PipelineGraph {
    /// A pipeline without tasks.
    #[must_use]
    pub fn new(universe: Option<Arc<Universe>>, description: &str) -> Self {
        Self {
            universe,
            description: description.to_owned(),
            data_id: Map::new(),
            tasks: IndexMap::new(),
            dataset_types: BTreeMap::new(),
            subsets: BTreeMap::new(),
            steps: IndexSet::new(),
            steps_verified: false,
            order: None,
        }
    }

    /// The universe that the dimensions belong to, once known.
    #[must_use]
    pub fn universe(&self) -> Option<&Arc<Universe>> {
        self.universe.as_ref()
    }

    /// The tasks; in topological order after [`PipelineGraph::sort`] or [`PipelineGraph::resolve`].
    #[must_use]
    pub fn tasks(&self) -> &IndexMap<String, Task> {
        &self.tasks
    }

    /// The task with this label.
    pub fn task(&self, label: &str) -> Result<&Task, GraphError> {
        self.tasks.get(label).ok_or_else(|| self.unknown_task(label))
    }

    fn unknown_task(&self, label: &str) -> GraphError {
        let near = nearest(label, self.tasks.keys().map(String::as_str));
        GraphError::UnknownTask { label: label.to_owned(), nearest: near }
    }

    /// The dataset types by name; `None` where unresolved.
    #[must_use]
    pub fn dataset_types(&self) -> &BTreeMap<String, Option<DatasetTypeNode>> {
        &self.dataset_types
    }

    /// The dataset type with this name; `None` if it is not resolved.
    pub fn dataset_type(&self, name: &str) -> Result<Option<&DatasetTypeNode>, GraphError> {
        self.dataset_types.get(name).map(Option::as_ref).ok_or_else(|| GraphError::UnknownDatasetType {
            name: name.to_owned(),
            nearest: nearest(name, self.dataset_types.keys().map(String::as_str)),
        })
    }

    /// The dataset type with this name, which must be resolved.
    pub fn resolved(&self, name: &str) -> Result<&DatasetTypeNode, GraphError> {
        self.dataset_type(name)?.ok_or_else(|| GraphError::Unresolved { what: format!("dataset type `{name}`") })
    }

    /// Named subsets of the tasks.
    #[must_use]
    pub fn subsets(&self) -> &BTreeMap<String, TaskSubset> {
        &self.subsets
    }

    /// Labels of the subsets that are steps, in order.
    #[must_use]
    pub fn steps(&self) -> &IndexSet<String> {
        &self.steps
    }

    /// Whether the steps were found to divide the pipeline.
    #[must_use]
    pub fn steps_verified(&self) -> bool {
        self.steps_verified
    }

    /// Whether tasks are in topological order.
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        self.order.is_some()
    }

    /// Whether every dataset type is resolved and the graph sorted.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        self.order.is_some() && self.universe.is_some() && self.dataset_types.values().all(Option::is_some)
    }

    /// Adds tasks; the graph is unchanged if that fails.
    pub fn add_tasks(&mut self, tasks: impl IntoIterator<Item = Task>) -> Result<(), GraphError> {
        let mut next = self.clone();
        for task in tasks {
            next.forget(&task);
            let label = task.label.clone();
            if next.tasks.insert(label.clone(), task).is_some() {
                return Err(GraphError::DuplicateTask { label });
            }
        }
        next.check_cycles()?;
        *self = next;
        Ok(())
    }

    /// Replaces tasks by other forms of them, as after a change of configuration.
    pub fn replace_tasks(&mut self, tasks: impl IntoIterator<Item = Task>) -> Result<(), GraphError> {
        let mut next = self.clone();
        for task in tasks {
            let old = next.task(&task.label)?.clone();
            if !old.same_edges(&task) || old.dimensions != task.dimensions {
                next.forget(&old);
                next.forget(&task);
            }
            next.tasks.insert(task.label.clone(), task);
        }
        next.drop_unused_types();
        next.check_cycles()?;
        *self = next;
        Ok(())
    }

    /// Removes tasks; returns for each the subsets it was in.
    pub fn remove_tasks(
        &mut self,
        labels: &[String],
        drop_from_subsets: bool,
    ) -> Result<Vec<(Task, BTreeSet<String>)>, GraphError> {
        let mut next = self.clone();
        let mut removed = Vec::with_capacity(labels.len());
        for label in labels {
            let task = next.task(label)?.clone();
            let inside: BTreeSet<String> = next
                .subsets
                .iter()
                .filter(|(_, set)| set.tasks.contains(label))
                .map(|(name, _)| name.clone())
                .collect();
            if !drop_from_subsets && !inside.is_empty() {
                let subsets = inside.into_iter().collect();
                return Err(GraphError::StillInSubsets { label: label.clone(), subsets });
            }
            for subset in next.subsets.values_mut() {
                subset.tasks.remove(label);
            }
            next.forget(&task);
            next.tasks.shift_remove(label);
            removed.push((task, inside));
        }
        next.drop_unused_types();
        *self = next;
        Ok(removed)
    }

    /// Marks everything that a task touches as unresolved.
    fn forget(&mut self, task: &Task) {
        for (_, edge) in task.edges() {
            self.dataset_types.insert(edge.parent().to_owned(), None);
        }
        self.order = None;
        self.steps_verified = false;
    }

    fn drop_unused_types(&mut self) {
        let used: BTreeSet<&str> = self.tasks.values().flat_map(Task::edges).map(|(_, edge)| edge.parent()).collect();
        self.dataset_types.retain(|name, _| used.contains(name.as_str()));
    }

    fn check_cycles(&self) -> Result<(), GraphError> {
        pipeline_order::order(self, &HashMap::new()).map(drop)
    }

    /// Adds a named subset.
    pub fn add_subset(&mut self, label: &str, subset: TaskSubset) -> Result<(), GraphError> {
        let refuse = |reason: &str| GraphError::BadSubset { label: label.to_owned(), reason: reason.to_owned() };
        if self.subsets.contains_key(label) {
            return Err(refuse("there is one with this label"));
        }
        if self.tasks.contains_key(label) {
            return Err(refuse("there is a task with this label"));
        }
        for member in &subset.tasks {
            self.task(member)?;
        }
        self.subsets.insert(label.to_owned(), subset);
        Ok(())
    }

    /// Removes a named subset, which may be a step.
    pub fn remove_subset(&mut self, label: &str) -> Result<(), GraphError> {
        self.subsets.remove(label).map(|_| self.steps_changed(label)).ok_or_else(|| GraphError::UnknownSubset {
            label: label.to_owned(),
            nearest: nearest(label, self.subsets.keys().map(String::as_str)),
        })
    }

    fn steps_changed(&mut self, removed: &str) {
        if self.steps.shift_remove(removed) {
            self.steps_verified = false;
            self.order = None;
        }
    }

    /// Says which subsets are the steps, in order.
    pub fn set_steps(&mut self, steps: impl IntoIterator<Item = String>) -> Result<(), GraphError> {
        let steps: IndexSet<String> = steps.into_iter().collect();
        if let Some(label) = steps.iter().find(|label| !self.subsets.contains_key(*label)) {
            let near = nearest(label, self.subsets.keys().map(String::as_str));
            return Err(GraphError::UnknownSubset { label: label.clone(), nearest: near });
        }
        self.steps = steps;
        self.steps_verified = false;
        self.order = None;
        Ok(())
    }

    /// All uses of all dataset types, task by task.
    pub fn connections(&self) -> impl Iterator<Item = Connection<'_>> {
        self.tasks.values().flat_map(|task| task.edges().map(move |(kind, edge)| Connection { task, kind, edge }))
    }

    /// Who writes each dataset type; a second writer is an error.
    pub fn producers(&self) -> Result<HashMap<&str, Connection<'_>>, GraphError> {
        let mut producers: HashMap<&str, Connection<'_>> = HashMap::new();
        for connection in self.connections().filter(|connection| connection.kind.is_output()) {
            if let Some(first) = producers.insert(connection.edge.parent(), connection) {
                return Err(GraphError::DuplicateOutput {
                    dataset_type: connection.edge.parent().to_owned(),
                    first: first.task.label.clone(),
                    second: connection.task.label.clone(),
                });
            }
        }
        Ok(producers)
    }

    /// Who writes a dataset type, if a task does.
    #[must_use]
    pub fn producer_of(&self, name: &str) -> Option<Connection<'_>> {
        self.connections().find(|connection| connection.kind.is_output() && connection.edge.parent() == name)
    }

    /// Who reads a dataset type.
    pub fn consumers_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Connection<'a>> {
        self.connections().filter(move |connection| !connection.kind.is_output() && connection.edge.parent() == name)
    }

    /// Names of the dataset types that tasks read and none writes.
    #[must_use]
    pub fn overall_inputs(&self) -> BTreeSet<&str> {
        let made: BTreeSet<&str> = self.connections().filter(|c| c.kind.is_output()).map(|c| c.edge.parent()).collect();
        self.dataset_types.keys().map(String::as_str).filter(|name| !made.contains(name)).collect()
    }

    /// The same pipeline with only these tasks, without subsets and steps; resolutions are kept.
    pub fn restricted(&self, labels: &BTreeSet<String>) -> Result<Self, GraphError> {
        if let Some(unknown) = labels.iter().find(|label| !self.tasks.contains_key(*label)) {
            return Err(self.unknown_task(unknown));
        }
        let mut part = Self {
            tasks: self
                .tasks
                .iter()
                .filter(|(label, _)| labels.contains(*label))
                .map(|(l, t)| (l.clone(), t.clone()))
                .collect(),
            subsets: BTreeMap::new(),
            steps: IndexSet::new(),
            steps_verified: true,
            ..self.clone()
        };
        part.drop_unused_types();
        if let Some(order) = &mut part.order {
            order.retain(|key| match key.kind {
                NodeKind::DatasetType => part.dataset_types.contains_key(&key.name),
                NodeKind::TaskInit | NodeKind::Task => part.tasks.contains_key(&key.name),
            });
        }
        Ok(part)
    }

    /// How this pipeline differs from another in tasks, classes and connections; one line each.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for label in self.tasks.keys().filter(|label| !other.tasks.contains_key(*label)) {
            lines.push(format!("task `{label}` is only in the first pipeline"));
        }
        for label in other.tasks.keys().filter(|label| !self.tasks.contains_key(*label)) {
            lines.push(format!("task `{label}` is only in the second pipeline"));
        }
        for (label, task) in &self.tasks {
            let Some(theirs) = other.tasks.get(label) else { continue };
            if task.task_class != theirs.task_class {
                lines.push(format!("task `{label}` has class `{}` and `{}`", task.task_class, theirs.task_class));
            }
            let mut dimensions = [task.dimensions.clone(), theirs.dimensions.clone()];
            for names in &mut dimensions {
                names.sort();
            }
            if dimensions[0] != dimensions[1] {
                let [ours, others] = dimensions.map(|names| names.join(", "));
                lines.push(format!("task `{label}` has dimensions {{{ours}}} and {{{others}}}"));
            }
            differing_edges(task, theirs, &mut lines);
        }
        lines
    }
}

fn differing_edges(ours: &Task, theirs: &Task, lines: &mut Vec<String>) {
    let label = &ours.label;
    let index = |task: &Task| -> BTreeMap<(EdgeKind, String), Edge> {
        task.edges().map(|(kind, edge)| ((kind, edge.connection.clone()), edge.clone())).collect()
    };
    let (ours, theirs) = (index(ours), index(theirs));
    for ((kind, connection), edge) in &ours {
        match theirs.get(&(*kind, connection.clone())) {
            None => lines.push(format!("connection `{label}.{connection}` is only in the first pipeline")),
            Some(other) if !edge.same_definition(other) => {
                lines.push(format!("connection `{label}.{connection}` is defined differently"));
            }
            Some(_) => {}
        }
    }
    for (kind, connection) in theirs.keys() {
        if !ours.contains_key(&(*kind, connection.clone())) {
            lines.push(format!("connection `{label}.{connection}` is only in the second pipeline"));
        }
    }
}
