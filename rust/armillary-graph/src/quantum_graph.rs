//! A quantum graph in memory: columns of quanta and datasets.

use crate::{
    GraphError, Id, PipelineGraph,
    ids::id_text,
    keys::{Row, Tables, small},
};
use armillary_dimensions::{ElementIndex, Universe, Value};
use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// What a graph file says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Format version.
    #[serde(default = "current_version")]
    pub version: u64,
    /// `predicted` or `provenance`.
    #[serde(default)]
    pub graph_type: String,
    /// Flattened search path of the inputs.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Output chain.
    #[serde(default)]
    pub output: Option<String>,
    /// Output RUN.
    #[serde(default)]
    pub output_run: String,
    /// Who made it.
    #[serde(default)]
    pub user: String,
    /// When it was made: ISO, local time; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub timestamp: String,
    /// The command line that made it.
    #[serde(default)]
    pub command: String,
    /// Anything else.
    #[serde(default)]
    pub metadata: Map<String, serde_json::Value>,
    /// Width in bytes of the integers in binary members.
    #[serde(default = "eight")]
    pub int_size: usize,
    /// Number of quanta, those of task construction not counted.
    #[serde(default)]
    pub n_quanta: usize,
    /// Number of distinct datasets.
    #[serde(default)]
    pub n_datasets: usize,
    /// Number of quanta of every task.
    #[serde(default)]
    pub n_task_quanta: IndexMap<String, usize>,
    /// Id that the record of the finished run will have; empty if none was reserved.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub provenance_dataset_id: String,
}

impl Header {
    /// The version of the files that are written, and the latest that is read.
    pub const VERSION: u64 = 1;
}

const fn current_version() -> u64 {
    Header::VERSION
}

const fn eight() -> usize {
    8
}

impl Default for Header {
    fn default() -> Self {
        Self {
            version: current_version(),
            graph_type: "predicted".to_owned(),
            inputs: Vec::new(),
            output: None,
            output_run: String::new(),
            user: String::new(),
            timestamp: String::new(),
            command: String::new(),
            metadata: Map::new(),
            int_size: eight(),
            n_quanta: 0,
            n_datasets: 0,
            n_task_quanta: IndexMap::new(),
            provenance_dataset_id: String::new(),
        }
    }
}

/// A dataset of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatasetIndex(pub u32);

impl DatasetIndex {
    /// As an index into columns.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// A quantum of one graph: its task and its place among the quanta of that task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuantumIndex {
    /// Position of the task in the pipeline.
    pub task: u32,
    /// Position of the quantum in the task.
    pub position: u32,
}

/// A dataset type of one graph and where its data IDs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphType {
    /// Its name.
    pub name: String,
    /// The table of its data IDs.
    pub table: usize,
}

/// All datasets, in columns.
#[derive(Clone, Debug, Default)]
pub struct Datasets {
    /// Dataset types in use.
    pub types: Vec<GraphType>,
    /// Runs in use.
    pub runs: IndexSet<Arc<str>>,
    /// For each dataset its type.
    pub type_of: Vec<u32>,
    /// For each dataset the row of its data ID.
    pub row: Vec<Row>,
    /// For each dataset its id.
    pub id: Vec<Id>,
    /// For each dataset its run.
    pub run: Vec<u32>,
}

impl Datasets {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.id.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.id.is_empty()
    }

    /// The number of a run, which is added if it is new.
    pub(crate) fn run_number(&mut self, run: &str) -> u32 {
        let known = self.runs.get_index_of(run);
        small(known.unwrap_or_else(|| self.runs.insert_full(run.into()).0))
    }
}

/// One connection of the quanta of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphConnection {
    /// Its name.
    pub name: String,
    /// Whether the quanta write it.
    pub is_output: bool,
}

/// The quanta of one task, in columns.
#[derive(Clone, Debug)]
pub struct TaskQuanta {
    /// The task.
    pub label: String,
    /// The table of their data IDs.
    pub table: usize,
    /// Their connections: prerequisites, inputs, outputs, metadata, log.
    pub connections: Vec<GraphConnection>,
    /// For each quantum the row of its data ID.
    pub row: Vec<Row>,
    /// For each quantum its id.
    pub id: Vec<Id>,
    offsets: Vec<u32>,
    members: Vec<DatasetIndex>,
}

impl TaskQuanta {
    /// A task without quanta.
    #[must_use]
    pub fn new(label: &str, table: usize, connections: Vec<GraphConnection>) -> Self {
        Self {
            label: label.to_owned(),
            table,
            connections,
            row: Vec::new(),
            id: Vec::new(),
            offsets: vec![0],
            members: Vec::new(),
        }
    }

    /// Number of quanta.
    #[must_use]
    pub fn len(&self) -> usize {
        self.id.len()
    }

    /// Whether there are no quanta.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.id.is_empty()
    }

    /// Appends a quantum with one list of datasets for each connection.
    pub fn push<'a>(&mut self, id: Id, row: Row, lists: impl IntoIterator<Item = &'a [DatasetIndex]>) {
        self.id.push(id);
        self.row.push(row);
        for list in lists {
            self.members.extend_from_slice(list);
            self.offsets.push(small(self.members.len()));
        }
        debug_assert_eq!(
            self.offsets.len(),
            self.id.len() * self.connections.len() + 1,
            "one list for each connection"
        );
    }

    /// The datasets of one connection of a quantum.
    #[must_use]
    pub fn list(&self, position: usize, connection: usize) -> &[DatasetIndex] {
        let at = position * self.connections.len() + connection;
        &self.members[self.offsets[at] as usize..self.offsets[at + 1] as usize]
    }

    /// All connections of a quantum with their datasets.
    pub fn lists(&self, position: usize) -> impl Iterator<Item = (&GraphConnection, &[DatasetIndex])> {
        self.connections.iter().enumerate().map(move |(i, connection)| (connection, self.list(position, i)))
    }

    /// All datasets that a quantum reads.
    pub fn inputs(&self, position: usize) -> impl Iterator<Item = DatasetIndex> {
        self.lists(position).filter(|(connection, _)| !connection.is_output).flat_map(|(_, list)| list.iter().copied())
    }

    /// All datasets that a quantum writes.
    pub fn outputs(&self, position: usize) -> impl Iterator<Item = DatasetIndex> {
        self.lists(position).filter(|(connection, _)| connection.is_output).flat_map(|(_, list)| list.iter().copied())
    }
}

/// What the making of one task, or of the whole run, reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitQuantum {
    /// Its id.
    pub id: Id,
    /// The task; empty for the whole run.
    pub label: String,
    /// By connection.
    pub inputs: Vec<(String, DatasetIndex)>,
    /// By connection, the configuration included.
    pub outputs: Vec<(String, DatasetIndex)>,
}

/// Where a datastore keeps a dataset, or a component of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Name of the datastore.
    pub datastore: Arc<str>,
    /// Class that reads it.
    pub formatter: Arc<str>,
    /// Path, mostly relative to the datastore.
    pub path: String,
    /// Storage class of what is stored.
    pub storage_class: Arc<str>,
    /// The component, if it is only one.
    pub component: Option<Arc<str>>,
    /// Checksum, if one was made.
    pub checksum: Option<String>,
    /// Size in bytes; −1 if unknown.
    pub file_size: i64,
}

/// Dimension records by element, each a row of values in the order of the element's fields.
pub type RecordRows = BTreeMap<ElementIndex, Vec<Arc<[Value]>>>;

/// A quantum graph: tasks applied to data IDs, and the datasets between them.
#[derive(Clone, Debug)]
pub struct QuantumGraph {
    /// The universe of its data IDs.
    pub universe: Arc<Universe>,
    /// The pipeline it was made from.
    pub pipeline: PipelineGraph,
    /// What its file says of it.
    pub header: Header,
    /// All data IDs.
    pub ids: Tables,
    /// All datasets.
    pub datasets: Datasets,
    /// The quanta of every task, in pipeline order.
    pub tasks: Vec<TaskQuanta>,
    /// The making of the run and of every task.
    pub init: Vec<InitQuantum>,
    /// Records of all data IDs.
    pub records: RecordRows,
    /// Where existing inputs are stored.
    pub stored: HashMap<DatasetIndex, Vec<StoredFile>>,
}

impl QuantumGraph {
    /// A graph without quanta for a resolved pipeline.
    pub fn new(pipeline: PipelineGraph, header: Header) -> Result<Self, GraphError> {
        let universe = pipeline.universe().cloned().unwrap_or_else(Universe::default_universe);
        let mut ids = Tables::default();
        let mut tasks = Vec::with_capacity(pipeline.tasks().len());
        for task in pipeline.tasks().values() {
            let group = universe.group(task.dimensions.iter().map(String::as_str))?;
            let named =
                |is_output| move |edge: &crate::Edge| GraphConnection { name: edge.connection.clone(), is_output };
            let inputs = task.prerequisite_inputs.iter().chain(&task.inputs).map(named(false));
            let connections = inputs.chain(task.all_outputs().map(named(true))).collect();
            tasks.push(TaskQuanta::new(&task.label, ids.table(&universe, group), connections));
        }
        Ok(Self {
            universe,
            pipeline,
            header,
            ids,
            datasets: Datasets::default(),
            tasks,
            init: Vec::new(),
            records: RecordRows::new(),
            stored: HashMap::new(),
        })
    }

    /// Number of quanta, those of task construction not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.iter().map(TaskQuanta::len).sum()
    }

    /// Whether there are no quanta.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.iter().all(TaskQuanta::is_empty)
    }

    /// All quanta, task by task.
    pub fn quanta(&self) -> impl Iterator<Item = QuantumIndex> {
        self.tasks.iter().zip(0..).flat_map(|(task, index)| {
            (0..small(task.len())).map(move |position| QuantumIndex { task: index, position })
        })
    }

    /// The id of a quantum.
    #[must_use]
    pub fn quantum_id(&self, quantum: QuantumIndex) -> &Id {
        &self.tasks[quantum.task as usize].id[quantum.position as usize]
    }

    /// Who writes each dataset, if a quantum of the graph does.
    ///
    /// Two writers of one dataset would overwrite each other's work: that is an error.
    pub fn producers(&self) -> Result<Vec<Option<QuantumIndex>>, GraphError> {
        let mut producers: Vec<Option<QuantumIndex>> = vec![None; self.datasets.len()];
        for quantum in self.quanta() {
            for dataset in self.tasks[quantum.task as usize].outputs(quantum.position as usize) {
                if let Some(first) = producers[dataset.get()].replace(quantum) {
                    return Err(GraphError::DuplicateDataset {
                        dataset: self.describe_dataset(dataset),
                        first: self.describe_quantum(first),
                        second: self.describe_quantum(quantum),
                    });
                }
            }
        }
        Ok(producers)
    }

    /// Pairs of quanta of which the second reads what the first writes, each pair once, by reader.
    pub fn quantum_edges(&self) -> Result<Vec<(QuantumIndex, QuantumIndex)>, GraphError> {
        let producers = self.producers()?;
        let mut edges = Vec::new();
        let mut before: Vec<QuantumIndex> = Vec::new();
        for quantum in self.quanta() {
            let inputs = self.tasks[quantum.task as usize].inputs(quantum.position as usize);
            before.clear();
            before.extend(inputs.filter_map(|dataset| producers[dataset.get()]));
            before.sort_unstable();
            before.dedup();
            edges.extend(before.iter().map(|first| (*first, quantum)));
        }
        Ok(edges)
    }

    /// Datasets that are read and that nothing in the graph writes.
    pub fn overall_inputs(&self) -> Result<Vec<DatasetIndex>, GraphError> {
        let producers = self.producers()?;
        let mut made: Vec<bool> = producers.iter().map(Option::is_some).collect();
        for (_, dataset) in self.init.iter().flat_map(|init| &init.outputs) {
            made[dataset.get()] = true;
        }
        let mut read = vec![false; made.len()];
        for quantum in self.quanta() {
            for dataset in self.tasks[quantum.task as usize].inputs(quantum.position as usize) {
                read[dataset.get()] = true;
            }
        }
        for (_, dataset) in self.init.iter().flat_map(|init| &init.inputs) {
            read[dataset.get()] = true;
        }
        let indices = (0..small(read.len())).map(DatasetIndex);
        Ok(indices.filter(|dataset| read[dataset.get()] && !made[dataset.get()]).collect())
    }

    /// A dataset in words: its type and data ID.
    #[must_use]
    pub fn describe_dataset(&self, dataset: DatasetIndex) -> String {
        let of_type = &self.datasets.types[self.datasets.type_of[dataset.get()] as usize];
        let id = self.ids.get(of_type.table).data_id(&self.universe, &self.ids.keys, self.datasets.row[dataset.get()]);
        format!("{}@{id}", of_type.name)
    }

    /// A quantum in words: its task and data ID.
    #[must_use]
    pub fn describe_quantum(&self, quantum: QuantumIndex) -> String {
        let task = &self.tasks[quantum.task as usize];
        let row = task.row[quantum.position as usize];
        format!("{}@{}", task.label, self.ids.get(task.table).data_id(&self.universe, &self.ids.keys, row))
    }

    /// Brings the counts of the header in line with the graph.
    pub fn count(&mut self) {
        self.header.n_quanta = self.len();
        self.header.n_datasets = self.datasets.len();
        self.header.n_task_quanta = self.tasks.iter().map(|task| (task.label.clone(), task.len())).collect();
    }

    /// All quanta by their id.
    #[must_use]
    pub fn by_id(&self) -> HashMap<Id, QuantumIndex> {
        self.quanta().map(|quantum| (*self.quantum_id(quantum), quantum)).collect()
    }
}

/// Adds datasets to a graph, each id only once.
#[derive(Debug, Default)]
pub struct DatasetInterner {
    by_id: hashbrown::HashMap<Id, DatasetIndex>,
    types: hashbrown::HashMap<String, u32>,
}

impl DatasetInterner {
    /// Makes room for so many more datasets.
    pub(crate) fn reserve(&mut self, datasets: usize) {
        self.by_id.reserve(datasets);
    }

    /// The dataset with this id, if the graph has it.
    #[must_use]
    pub fn find(&self, id: &Id) -> Option<DatasetIndex> {
        self.by_id.get(id).copied()
    }

    /// The number of a dataset type, which is added if it is new.
    pub fn dataset_type(&mut self, graph: &mut QuantumGraph, name: &str) -> Result<u32, GraphError> {
        if let Some(index) = self.types.get(name) {
            return Ok(*index);
        }
        // The packages of a run belong to no task and so are in no pipeline.
        let group = match graph.pipeline.dataset_type(name) {
            Ok(_) => graph.pipeline.resolved(name)?.dimensions,
            Err(_) if name == PACKAGES => armillary_dimensions::DimensionGroup::EMPTY,
            Err(error) => return Err(error),
        };
        let table = graph.ids.table(&graph.universe, group);
        let index = small(graph.datasets.types.len());
        graph.datasets.types.push(GraphType { name: name.to_owned(), table });
        self.types.insert(name.to_owned(), index);
        Ok(index)
    }

    /// The index of a dataset; an id that is known must mean the same dataset.
    pub fn dataset(
        &mut self,
        graph: &mut QuantumGraph,
        id: Id,
        type_of: u32,
        row: Row,
        run: &str,
    ) -> Result<DatasetIndex, GraphError> {
        let run = graph.datasets.run_number(run);
        self.dataset_in(graph, id, type_of, row, run)
    }

    /// The same for a run told by its number.
    pub(crate) fn dataset_in(
        &mut self,
        graph: &mut QuantumGraph,
        id: Id,
        type_of: u32,
        row: Row,
        run: u32,
    ) -> Result<DatasetIndex, GraphError> {
        let datasets = &mut graph.datasets;
        if let Some(known) = self.by_id.get(&id) {
            let at = known.get();
            if (datasets.type_of[at], datasets.row[at], datasets.run[at]) == (type_of, row, run) {
                return Ok(*known);
            }
            return Err(GraphError::InvalidFile {
                reason: format!("dataset id {} stands for two datasets", id_text(&id)),
            });
        }
        let index = DatasetIndex(small(datasets.len()));
        datasets.id.push(id);
        datasets.type_of.push(type_of);
        datasets.row.push(row);
        datasets.run.push(run);
        self.by_id.insert(id, index);
        Ok(index)
    }
}

/// The dataset type of the versions of all packages.
pub const PACKAGES: &str = "packages";
