//! Building a quantum graph, stage by stage.
//!
//! 1. [`Builder::start`]: one query per independent part of the pipeline, or several where tasks do not slice each other,
//!    give the data IDs ([`crate::Skeleton`]); or they are given ([`Given`]).
//! 2. [`Builder::find`]: existing inputs and outputs are looked up; finished quanta are skipped; prerequisites are found.
//! 3. For each task in order: the hooks that it overrides are called by Python on a whole batch
//!    ([`Builder::batch`], [`Builder::apply`]); quanta without enough inputs are removed, and so on downstream.
//! 4. [`Builder::finish`]: ids, the making of tasks and dimension records make it a [`crate::QuantumGraph`].

mod adjust;
mod anchor;
mod finish;
mod given;
mod inputs;
mod join;
mod part;
mod prerequisites;
mod reuse;

pub use adjust::{Adjustment, Batch, BatchDataset, BatchQuantum};
pub use given::Given;
pub use join::Join;
pub use part::Part;
pub use reuse::Reuse;

use crate::{
    GraphError, Id, IdSource, PipelineGraph,
    fetch::{Fetch, FoundDataset},
    keys::Row,
};
use armillary_dimensions::{ElementIndex, Key, Universe, Value};
use armillary_registry::query::{Bind, Upload};
use indexmap::{IndexMap, IndexSet};
use std::{collections::HashMap, sync::Arc};

/// Which existing datasets limit the data IDs of a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum InputConstraint {
    /// Those of all overall inputs that no task defers.
    #[default]
    All,
    /// None.
    Off,
    /// Those of these dataset types.
    Only(Vec<String>),
}

/// What a graph is to hold.
#[derive(Clone, Debug, Default)]
pub struct BuildRequest {
    /// Condition on the data IDs.
    pub where_text: String,
    /// Values of the names in it.
    pub binds: IndexMap<String, Bind>,
    /// Values that every data ID has, such as the instrument of the pipeline.
    pub data_id: Vec<(String, Value)>,
    /// Where inputs are looked for.
    pub input_collections: Vec<String>,
    /// Where outputs go.
    pub output_run: String,
    /// Where the outputs of finished quanta are looked for; empty if all are to run.
    pub skip_existing_in: Vec<String>,
    /// Dataset types that stay when what made them is rerun only for their sake.
    pub retained: Option<Vec<String>>,
    /// Whether existing outputs of quanta that run are to be replaced.
    pub clobber: bool,
    /// Which existing datasets limit the data IDs.
    pub constraint: InputConstraint,
    /// Tables of data IDs, each of which must have what a quantum is about.
    pub tables: Vec<Upload>,
    /// Whether each task is joined on its own dimensions only, and not on those of its whole part of the pipeline.
    pub without_slicing: bool,
    /// Labels of a task and of the one for which alone it is run: without one downstream, its quanta go.
    pub anchor: Option<(String, String)>,
    /// The data IDs; they are queried if none are given.
    pub given: Option<Given>,
}

/// A dataset as the builder sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) id: Id,
    /// Position of its run in [`Builder::runs`].
    pub(crate) run: u32,
}

/// A dataset that no task makes and the initial join does not hold: a prerequisite.
#[derive(Clone, Debug)]
pub(crate) struct External {
    pub(crate) dataset_type: String,
    /// Required values, then implied ones as far as they are known.
    pub(crate) values: Vec<Key>,
    pub(crate) slot: Slot,
}

/// How many quanta of a task were found and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCount {
    /// Quanta that the initial query gave.
    pub initial: usize,
    /// Quanta that were done before.
    pub skipped: usize,
    /// Quanta whose outputs are taken from earlier runs.
    pub reused: usize,
    /// Quanta without enough inputs.
    pub no_work: usize,
    /// Quanta that led to no quantum of the anchor, or came after such.
    pub unanchored: usize,
    /// Quanta that the task's own adjustment removed.
    pub adjusted_away: usize,
    /// Quanta that remain.
    pub remaining: usize,
}

/// Values of records by the values of their required dimensions.
pub(crate) type RecordsByKey = hashbrown::HashMap<Box<[Key]>, Arc<[Value]>>;

/// Required values of the records of one element.
pub(crate) type WantedKeys = hashbrown::HashSet<Box<[Key]>>;

/// A quantum graph that is being built.
pub struct Builder {
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) universe: Arc<Universe>,
    pub(crate) pipeline: PipelineGraph,
    pub(crate) request: BuildRequest,
    pub(crate) parts: Vec<Part>,
    /// For each task of the pipeline its part.
    pub(crate) part_of: Vec<usize>,
    pub(crate) runs: IndexSet<Arc<str>>,
    pub(crate) output_run: u32,
    pub(crate) externals: Vec<External>,
    pub(crate) external_by_id: HashMap<Id, u32>,
    pub(crate) ids: IdSource,
    /// Records that were read, by element and required values.
    pub(crate) records: HashMap<ElementIndex, RecordsByKey>,
    /// Why parts of the pipeline have no data IDs.
    pub reasons: Vec<String>,
}

impl Builder {
    /// Finds the data IDs of all tasks and dataset types. The pipeline must be resolved.
    pub fn start(pipeline: PipelineGraph, request: BuildRequest, fetch: Arc<dyn Fetch>) -> Result<Self, GraphError> {
        let universe =
            pipeline.universe().cloned().ok_or_else(|| GraphError::Unresolved { what: "the pipeline".to_owned() })?;
        if !pipeline.is_resolved() {
            return Err(GraphError::Unresolved { what: "the pipeline".to_owned() });
        }
        let mut runs = IndexSet::new();
        let output_run = crate::keys::small(runs.insert_full(Arc::from(request.output_run.as_str())).0);
        let mut builder = Self {
            fetch,
            universe,
            part_of: vec![0; pipeline.tasks().len()],
            pipeline,
            request,
            parts: Vec::new(),
            runs,
            output_run,
            externals: Vec::new(),
            external_by_id: HashMap::new(),
            ids: IdSource::new(),
            records: HashMap::new(),
            reasons: Vec::new(),
        };
        builder.check_constraint()?;
        for sub in builder.pipeline.split_independent()? {
            let (part, reasons) = match &builder.request.given {
                Some(given) => (Part::given(&builder.universe, sub, given)?, Vec::new()),
                None => Part::query(&builder.universe, sub, &builder.request, &*builder.fetch)?,
            };
            for label in part.pipeline.tasks().keys() {
                if let Some(task) = builder.pipeline.tasks().get_index_of(label) {
                    builder.part_of[task] = builder.parts.len();
                }
            }
            builder.reasons.extend(reasons);
            builder.parts.push(part);
        }
        Ok(builder)
    }

    /// The dataset types that were named as constraints must be among the overall inputs.
    fn check_constraint(&self) -> Result<(), GraphError> {
        let InputConstraint::Only(names) = &self.request.constraint else { return Ok(()) };
        let inputs = self.pipeline.overall_inputs();
        if names.iter().any(|name| inputs.contains(name.as_str())) {
            return Ok(());
        }
        Err(GraphError::Build {
            reason: format!(
                "none of the dataset types that are to constrain the query is an overall input: `{}`",
                names.join("`, `")
            ),
        })
    }

    /// Labels of all tasks, in order.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.pipeline.tasks().keys().cloned().collect()
    }

    /// The resolved pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &PipelineGraph {
        &self.pipeline
    }

    /// The universe of its data IDs.
    #[must_use]
    pub fn universe(&self) -> &Arc<Universe> {
        &self.universe
    }

    /// Connections of the quanta of a task: prerequisites, inputs, outputs, metadata, log.
    pub fn connections(&self, label: &str) -> Result<Vec<crate::Edge>, GraphError> {
        Ok(adjust::connections(self.pipeline.task(label)?).0.into_iter().cloned().collect())
    }

    /// What became of the quanta of a task.
    pub fn count(&self, label: &str) -> Result<TaskCount, GraphError> {
        let task = self.task(label)?;
        let state = &self.parts[self.part_of[task]].tasks[label];
        Ok(TaskCount { remaining: state.alive.iter().filter(|alive| **alive).count(), ..state.count })
    }

    /// For each connection that quanta of a task had too few datasets of, how many quanta those were.
    pub fn lacking(&self, label: &str) -> Result<Vec<(String, usize)>, GraphError> {
        let state = &self.parts[self.part_of[self.task(label)?]].tasks[label];
        Ok(state.lacking.iter().map(|(connection, count)| (connection.clone(), *count)).collect())
    }

    /// The position of a task.
    pub(crate) fn task(&self, label: &str) -> Result<usize, GraphError> {
        self.pipeline.task(label)?;
        Ok(self.pipeline.tasks().get_index_of(label).unwrap_or_default())
    }

    pub(crate) fn run(&mut self, name: &Arc<str>) -> u32 {
        crate::keys::small(self.runs.insert_full(name.clone()).0)
    }

    /// Remembers a dataset from outside of the join.
    pub(crate) fn external(&mut self, dataset_type: &str, found: &FoundDataset) -> u32 {
        if let Some(known) = self.external_by_id.get(&found.id) {
            return *known;
        }
        let run = self.run(&found.run);
        let index = crate::keys::small(self.externals.len());
        let values = found.values.clone();
        self.externals.push(External {
            dataset_type: dataset_type.to_owned(),
            values,
            slot: Slot { id: found.id, run },
        });
        self.external_by_id.insert(found.id, index);
        index
    }

    /// Reads the records of these data IDs that were not read yet.
    pub(crate) fn need_records(&mut self, element: ElementIndex, wanted: WantedKeys) -> Result<(), GraphError> {
        let known = self.records.entry(element).or_default();
        let missing: Vec<Box<[Key]>> = wanted.into_iter().filter(|key| !known.contains_key(key)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        for (key, values) in self.fetch.records(element, &missing)? {
            self.records.entry(element).or_default().insert(key, values);
        }
        Ok(())
    }
}

/// Values of the required dimensions of one element, out of a data ID row.
pub(crate) fn element_key(
    keys: &crate::Dictionary,
    element: &armillary_dimensions::Element,
    ids: &crate::DataIds,
    row: Row,
) -> Option<Box<[Key]>> {
    let codes = ids.codes(row);
    element
        .required
        .iter()
        .map(|dimension| Some(keys.key(dimension, codes[ids.position(dimension)?]).clone()))
        .collect()
}
