//! Plain descriptions of tasks: what one reads and writes, with no code of it.

use serde::{Deserialize, Serialize};

/// One connection of a task to a dataset type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "they are the independent options of a connection")]
pub struct Edge {
    /// Name of the connection in the task.
    pub connection: String,
    /// Name of the dataset type, with the component if the task reads only one.
    pub dataset_type: String,
    /// Name of the storage class that the task wants or gives.
    pub storage_class: String,
    /// Dimensions as they were declared; may hold the placeholder `skypix`.
    pub dimensions: Vec<String>,
    /// Whether the datasets have validity ranges.
    #[serde(default)]
    pub is_calibration: bool,
    /// Whether the absence of inputs must not limit the initial query.
    #[serde(default)]
    pub defer_query_constraint: bool,
    /// Whether the task takes or gives several datasets. Not stored in graph files.
    #[serde(default)]
    pub multiple: bool,
    /// How many datasets the task needs at least. Not stored in graph files.
    #[serde(default = "one")]
    pub minimum: usize,
    /// Whether a function of the user looks the datasets up. Not stored in graph files.
    #[serde(default)]
    pub lookup: bool,
}

const fn one() -> usize {
    1
}

impl Edge {
    /// Name of the dataset type without component.
    #[must_use]
    pub fn parent(&self) -> &str {
        self.dataset_type.split_once('.').map_or(&self.dataset_type, |(parent, _)| parent)
    }

    /// The component that the task reads, if only one.
    #[must_use]
    pub fn component(&self) -> Option<&str> {
        self.dataset_type.split_once('.').map(|(_, component)| component)
    }

    /// Whether two edges look the same to other tasks; `multiple` and its like are the task's own business.
    #[must_use]
    pub fn same_definition(&self, other: &Self) -> bool {
        let sorted = |edge: &Self| {
            let mut names = edge.dimensions.clone();
            names.sort();
            names
        };
        self.dataset_type == other.dataset_type
            && self.storage_class == other.storage_class
            && self.is_calibration == other.is_calibration
            && sorted(self) == sorted(other)
    }
}

/// Which of its hooks a task overrides, so that only those are called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    /// It adjusts each quantum.
    #[serde(default)]
    pub adjust_quantum: bool,
    /// It adjusts all its quanta together.
    #[serde(default)]
    pub adjust_all_quanta: bool,
    /// Connections whose data IDs widen the region of prerequisite look-ups.
    #[serde(default)]
    pub spatial_bounds: Vec<String>,
    /// Connections whose data IDs widen the timespan of prerequisite look-ups.
    #[serde(default)]
    pub temporal_bounds: Vec<String>,
}

/// One task of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its name in the pipeline.
    pub label: String,
    /// Importable name of its class. Nothing here imports it.
    pub task_class: String,
    /// Dimensions of its quanta.
    pub dimensions: Vec<String>,
    /// Its configuration as Python text; empty for the defaults.
    #[serde(default)]
    pub config_str: String,
    /// What its construction reads.
    #[serde(default)]
    pub init_inputs: Vec<Edge>,
    /// What its construction gives.
    #[serde(default)]
    pub init_outputs: Vec<Edge>,
    /// Where its configuration is saved.
    pub config_output: Edge,
    /// What each quantum reads, looked up after the graph is known.
    #[serde(default)]
    pub prerequisite_inputs: Vec<Edge>,
    /// What each quantum reads.
    #[serde(default)]
    pub inputs: Vec<Edge>,
    /// What each quantum writes, but for metadata and log.
    #[serde(default)]
    pub outputs: Vec<Edge>,
    /// Where the metadata of each quantum goes.
    pub metadata_output: Edge,
    /// Where the log of each quantum goes, if it is kept.
    #[serde(default)]
    pub log_output: Option<Edge>,
    /// Which hooks it overrides.
    #[serde(default)]
    pub hooks: Hooks,
}

/// The role of an edge in its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EdgeKind {
    /// Read when the task is made.
    InitInput,
    /// Written when the task is made, the configuration included.
    InitOutput,
    /// Read by quanta and looked up one by one.
    Prerequisite,
    /// Read by quanta.
    Input,
    /// Written by quanta, metadata and log included.
    Output,
}

impl EdgeKind {
    /// Whether the task writes the dataset type.
    #[must_use]
    pub const fn is_output(self) -> bool {
        matches!(self, Self::InitOutput | Self::Output)
    }

    /// Whether it belongs to the making of the task, not to its quanta.
    #[must_use]
    pub const fn is_init(self) -> bool {
        matches!(self, Self::InitInput | Self::InitOutput)
    }
}

impl Task {
    /// All edges, each with its role.
    pub fn edges(&self) -> impl Iterator<Item = (EdgeKind, &Edge)> {
        let with = |kind: EdgeKind| move |edge| (kind, edge);
        self.init_inputs
            .iter()
            .map(with(EdgeKind::InitInput))
            .chain(self.init_outputs.iter().map(with(EdgeKind::InitOutput)))
            .chain(std::iter::once((EdgeKind::InitOutput, &self.config_output)))
            .chain(self.prerequisite_inputs.iter().map(with(EdgeKind::Prerequisite)))
            .chain(self.inputs.iter().map(with(EdgeKind::Input)))
            .chain(self.all_outputs().map(with(EdgeKind::Output)))
    }

    /// What each quantum writes: declared outputs, then metadata, then the log.
    pub fn all_outputs(&self) -> impl Iterator<Item = &Edge> {
        self.outputs.iter().chain(std::iter::once(&self.metadata_output)).chain(&self.log_output)
    }

    /// Whether other tasks see no difference between two forms of a task.
    #[must_use]
    pub fn same_edges(&self, other: &Self) -> bool {
        let key = |task: &Self| {
            let mut edges: Vec<_> = task
                .edges()
                .map(|(kind, edge)| {
                    let mut dimensions = edge.dimensions.clone();
                    dimensions.sort();
                    (kind, edge.connection.clone(), edge.dataset_type.clone(), edge.storage_class.clone(), dimensions)
                })
                .collect();
            edges.sort();
            edges
        };
        key(self) == key(other)
    }
}
