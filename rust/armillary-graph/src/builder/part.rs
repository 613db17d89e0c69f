//! One independent part of the pipeline: its data IDs and the state of its tasks and dataset types.

use super::{
    BuildRequest, Slot, TaskCount,
    join::{Join, Joins},
};
use crate::{
    Edge, GraphError, Id, PipelineGraph, Task,
    fetch::Fetch,
    keys::Row,
    skeleton::{Meetings, Skeleton},
};
use armillary_dimensions::{DimensionGroup, Universe};
use indexmap::IndexMap;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The datasets of one type that the join holds.
#[derive(Clone, Debug)]
pub(crate) struct TypeState {
    pub(crate) group: DimensionGroup,
    /// For each data ID its dataset, if it exists or will be made.
    pub(crate) slots: Vec<Option<Slot>>,
    /// Those that exist where finished quanta are looked for.
    pub(crate) done: HashMap<Row, Slot>,
    /// Those that exist in the output run.
    pub(crate) in_output_run: HashMap<Row, Slot>,
}

/// The quanta of one task.
#[derive(Clone, Debug)]
pub(crate) struct TaskState {
    /// Position of its join among those of the part.
    pub(crate) join: usize,
    pub(crate) group: DimensionGroup,
    /// For each data ID whether there is a quantum to run; other joins may give data IDs that this task never had.
    pub(crate) alive: Vec<bool>,
    /// For each data ID whether its quantum was done before.
    pub(crate) skipped: Vec<bool>,
    /// Runs whose outputs are used again, the newest first.
    pub(crate) reused_from: Vec<String>,
    /// For each prerequisite connection and data ID the datasets from outside of the join.
    pub(crate) prerequisites: Vec<Vec<Vec<u32>>>,
    /// Inputs from outside of the join that were given, by connection: every quantum has them.
    pub(crate) extras: HashMap<String, Vec<u32>>,
    /// Lists that a hook changed: for each connection in order, inputs before outputs.
    pub(crate) overrides: HashMap<Row, Vec<Vec<Id>>>,
    pub(crate) count: TaskCount,
    /// For each connection that quanta had too few datasets of, how many quanta those were.
    pub(crate) lacking: BTreeMap<String, usize>,
}

/// One independent part of the pipeline.
#[derive(Clone, Debug)]
pub struct Part {
    pub(crate) pipeline: PipelineGraph,
    pub(crate) joins: Vec<Join>,
    pub(crate) skeleton: Skeleton,
    pub(crate) types: BTreeMap<String, TypeState>,
    pub(crate) tasks: IndexMap<String, TaskState>,
}

/// What the joins of a part must give: for each of them groups of data IDs, and pairs of groups that meet.
pub(super) struct Seen {
    pub(super) groups: Vec<Vec<DimensionGroup>>,
    pub(super) pairs: Vec<Vec<(DimensionGroup, DimensionGroup)>>,
    types: BTreeMap<String, DimensionGroup>,
    /// The join and the dimensions of each task.
    tasks: IndexMap<String, (usize, DimensionGroup)>,
}

impl Seen {
    /// From the number of joins, and for each task which of them is its own.
    pub(super) fn of(
        universe: &Universe,
        pipeline: &PipelineGraph,
        joins: usize,
        of_task: &[usize],
    ) -> Result<Self, GraphError> {
        let mut seen = Self {
            groups: vec![Vec::new(); joins],
            pairs: vec![Vec::new(); joins],
            types: BTreeMap::new(),
            tasks: IndexMap::new(),
        };
        for ((label, task), join) in pipeline.tasks().iter().zip(of_task) {
            let of_task = task_group(universe, task)?;
            seen.groups[*join].push(of_task);
            seen.tasks.insert(label.clone(), (*join, of_task));
            for edge in join_edges(task) {
                let of_type = pipeline.resolved(edge.parent())?.dimensions;
                seen.types.insert(edge.parent().to_owned(), of_type);
                if !seen.pairs[*join].contains(&(of_task, of_type)) {
                    seen.pairs[*join].push((of_task, of_type));
                }
            }
        }
        Ok(seen)
    }
}

/// Dimensions of all quanta of a task.
pub(crate) fn task_group(universe: &Universe, task: &Task) -> Result<DimensionGroup, GraphError> {
    Ok(universe.group(task.dimensions.iter().map(String::as_str))?)
}

/// Edges whose datasets the join holds.
pub(crate) fn join_edges(task: &Task) -> impl Iterator<Item = &Edge> {
    task.inputs.iter().chain(task.all_outputs())
}

impl Part {
    /// Asks for the data IDs of a part; also says why there are none.
    pub(crate) fn query(
        universe: &Arc<Universe>,
        pipeline: PipelineGraph,
        request: &BuildRequest,
        fetch: &dyn Fetch,
    ) -> Result<(Self, Vec<String>), GraphError> {
        let joins = Joins::ask(universe, &pipeline, request, fetch)?;
        Ok((Self::new(universe, pipeline, joins.all, &joins.of_task)?, joins.reasons))
    }

    /// From the rows of its joins, and for each task which of them is its own.
    pub fn new(
        universe: &Arc<Universe>,
        pipeline: PipelineGraph,
        joins: Vec<Join>,
        of_task: &[usize],
    ) -> Result<Self, GraphError> {
        let seen = Seen::of(universe, &pipeline, joins.len(), of_task)?;
        let sides = joins.iter().zip(seen.groups.iter().zip(&seen.pairs));
        let skeletons = sides.map(|(join, (groups, pairs))| Skeleton::new(universe, &join.rows, groups, pairs));
        let skeleton = Skeleton::merged(universe, skeletons.collect());
        Ok(Self::with_skeleton(pipeline, joins, seen, skeleton))
    }

    /// With the data IDs of its joins, and where they meet.
    pub(super) fn with_skeleton(pipeline: PipelineGraph, joins: Vec<Join>, seen: Seen, skeleton: Skeleton) -> Self {
        let tasks = seen
            .tasks
            .into_iter()
            .map(|(label, (join, group))| {
                let alive = skeleton.given(join, group);
                let len = alive.len();
                let prerequisites = vec![vec![Vec::new(); len]; pipeline.tasks()[&label].prerequisite_inputs.len()];
                let initial = alive.iter().filter(|alive| **alive).count();
                let state = TaskState {
                    join,
                    group,
                    alive,
                    skipped: vec![false; len],
                    reused_from: Vec::new(),
                    prerequisites,
                    extras: HashMap::new(),
                    overrides: HashMap::new(),
                    count: TaskCount { initial, ..TaskCount::default() },
                    lacking: BTreeMap::new(),
                };
                (label, state)
            })
            .collect();
        let types = seen
            .types
            .into_iter()
            .map(|(name, group)| {
                let slots = vec![None; skeleton.ids(group).len()];
                (name, TypeState { group, slots, done: HashMap::new(), in_output_run: HashMap::new() })
            })
            .collect();
        Self { pipeline, joins, skeleton, types, tasks }
    }

    /// Where the quanta of a task meet the datasets of some dimensions.
    pub(crate) fn meetings(&self, task: &TaskState, of_type: DimensionGroup) -> &Meetings {
        self.skeleton.meetings(task.join, task.group, of_type)
    }

    /// The data ID rows of a dataset type that meet a quantum.
    pub(crate) fn meet(&self, task: &TaskState, of_type: DimensionGroup, row: Row) -> &[Row] {
        self.meetings(task, of_type).of(row)
    }
}
