//! One independent part of the pipeline: its data IDs and the state of its tasks and dataset types.

use super::{BuildRequest, InputConstraint, Slot, TaskCount};
use crate::{
    Edge, GraphError, Id, PipelineGraph, Task,
    fetch::Fetch,
    keys::Row,
    skeleton::{JoinRows, Skeleton},
};
use armillary_dimensions::{DimensionGroup, ElementKind, Universe, Value};
use armillary_registry::query::{Clause, DatasetSearch, Upload};
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
    pub(crate) group: DimensionGroup,
    /// For each data ID whether there is a quantum to run.
    pub(crate) alive: Vec<bool>,
    /// For each data ID whether its quantum was done before.
    pub(crate) skipped: Vec<bool>,
    /// Runs whose outputs are used again, the newest first.
    pub(crate) reused_from: Vec<String>,
    /// For each prerequisite connection and data ID the datasets from outside of the join.
    pub(crate) prerequisites: Vec<Vec<Vec<u32>>>,
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
    /// Dimensions of the join.
    pub(crate) group: DimensionGroup,
    pub(crate) rows: JoinRows,
    pub(crate) skeleton: Skeleton,
    pub(crate) types: BTreeMap<String, TypeState>,
    pub(crate) tasks: IndexMap<String, TaskState>,
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
        let joins = constraints(&pipeline, request, fetch)?;
        let mut group = DimensionGroup::EMPTY;
        for task in pipeline.tasks().values() {
            group = group.union(task_group(universe, task)?);
            for edge in join_edges(task) {
                group = group.union(pipeline.resolved(edge.parent())?.dimensions);
            }
        }
        let group = universe.conform(group);
        let queried = group.iter().filter(|index| {
            let is_skypix = matches!(universe.get(*index).kind, ElementKind::SkyPix { .. });
            !is_skypix || *index == universe.common_skypix().index
        });
        let mut queried = queried.fold(DimensionGroup::EMPTY, |sum, index| sum.union(DimensionGroup::single(index)));
        // A table gives the pixels that it lists, whatever their level.
        for dimension in request.tables.iter().flat_map(|table| &table.dimensions) {
            queried = queried.union(DimensionGroup::single(*dimension).intersection(group));
        }
        let clauses = if request.where_text.trim().is_empty() {
            Vec::new()
        } else {
            vec![Clause { text: request.where_text.clone(), binds: request.binds.clone() }]
        };
        let tables: Vec<Upload> = request.tables.iter().filter_map(|table| seen_by(table, queried)).collect();
        let found = fetch.data_ids(queried, &clauses, &request.data_id, &joins, &tables)?;
        let mut rows = if queried.is_empty() { JoinRows::unit() } else { JoinRows::new(&found.columns) };
        super::prerequisites::add_pixels(universe, &mut rows, group.difference(queried), fetch)?;
        Ok((Self::new(universe, pipeline, group, rows)?, found.reasons))
    }

    /// From the rows of the join.
    pub fn new(
        universe: &Arc<Universe>,
        pipeline: PipelineGraph,
        group: DimensionGroup,
        rows: JoinRows,
    ) -> Result<Self, GraphError> {
        let mut pairs = Vec::new();
        let mut groups = Vec::new();
        let mut types: BTreeMap<String, DimensionGroup> = BTreeMap::new();
        let mut task_groups = IndexMap::new();
        for (label, task) in pipeline.tasks() {
            let of_task = task_group(universe, task)?;
            groups.push(of_task);
            task_groups.insert(label.clone(), of_task);
            for edge in join_edges(task) {
                let of_type = pipeline.resolved(edge.parent())?.dimensions;
                types.insert(edge.parent().to_owned(), of_type);
                if !pairs.contains(&(of_task, of_type)) {
                    pairs.push((of_task, of_type));
                }
            }
        }
        let skeleton = Skeleton::new(universe, &rows, &groups, &pairs);
        let tasks = task_groups
            .into_iter()
            .map(|(label, group)| {
                let len = skeleton.ids(group).len();
                let prerequisites = vec![vec![Vec::new(); len]; pipeline.tasks()[&label].prerequisite_inputs.len()];
                let state = TaskState {
                    group,
                    alive: vec![true; len],
                    skipped: vec![false; len],
                    reused_from: Vec::new(),
                    prerequisites,
                    overrides: HashMap::new(),
                    count: TaskCount { initial: len, ..TaskCount::default() },
                    lacking: BTreeMap::new(),
                };
                (label, state)
            })
            .collect();
        let types = types
            .into_iter()
            .map(|(name, group)| {
                let slots = vec![None; skeleton.ids(group).len()];
                (name, TypeState { group, slots, done: HashMap::new(), in_output_run: HashMap::new() })
            })
            .collect();
        Ok(Self { pipeline, group, rows, skeleton, types, tasks })
    }

    /// The data ID rows of a dataset type that meet a quantum.
    pub(crate) fn meet(&self, task: DimensionGroup, of_type: DimensionGroup, row: Row) -> &[Row] {
        self.skeleton.meetings(task, of_type).of(row)
    }
}

/// What a table says about the dimensions of a part; nothing if it knows none of them.
///
/// The rest of its dimensions would tie the part to things that it has nothing to do with.
fn seen_by(table: &Upload, group: DimensionGroup) -> Option<Upload> {
    let positions: Vec<usize> =
        (0..table.dimensions.len()).filter(|position| group.contains(table.dimensions[*position])).collect();
    if positions.is_empty() {
        return None;
    }
    let mut rows: Vec<Vec<Value>> =
        table.rows.iter().map(|row| positions.iter().map(|position| row[*position].clone()).collect()).collect();
    let key = |row: &Vec<Value>| row.iter().map(Value::to_key).collect::<Vec<_>>();
    rows.sort_by_cached_key(key);
    rows.dedup_by_key(|row| key(row));
    Some(Upload { dimensions: positions.iter().map(|position| table.dimensions[*position]).collect(), rows })
}

/// The dataset types whose existing datasets limit the data IDs, and where to look.
fn constraints(
    pipeline: &PipelineGraph,
    request: &BuildRequest,
    fetch: &dyn Fetch,
) -> Result<Vec<DatasetSearch>, GraphError> {
    let mut searches = Vec::new();
    for name in pipeline.overall_inputs() {
        let node = pipeline.resolved(name)?;
        let is_init = pipeline.consumers_of(name).all(|connection| connection.kind.is_init());
        if node.is_prerequisite || is_init || node.dimensions.is_empty() {
            continue;
        }
        let wanted = match &request.constraint {
            InputConstraint::All => node.is_initial_query_constraint,
            InputConstraint::Off => false,
            InputConstraint::Only(names) => names.iter().any(|other| other == name),
        };
        if !wanted {
            continue;
        }
        if !fetch.is_registered(name)? {
            return Err(GraphError::Build {
                reason: format!(
                    "no datasets of overall input `{name}` were found: the dataset type is not even registered; check its \
                     name, or leave its task out"
                ),
            });
        }
        let collections = request.input_collections.iter().map(String::as_str);
        searches.push(DatasetSearch::new(name, collections));
    }
    Ok(searches)
}
