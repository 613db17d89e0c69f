//! The joins of a part of the pipeline: one over all its dimensions, or one for each task.
//!
//! With one join, a condition and every overlap of regions hold for all data IDs of the part: detectors that touch no tract
//! are not in a graph that coadds. Without such slicing, each task is joined as in a graph of its own, with whatever the
//! tasks before it may make as its inputs; tasks that see nothing new share the join of those before them.

use super::{
    BuildRequest, InputConstraint,
    part::{join_edges, task_group},
};
use crate::{
    Edge, GraphError, PipelineGraph, Task,
    fetch::{DataIdQuery, Fetch},
    keys::small,
    skeleton::JoinRows,
};
use armillary_dimensions::{DimensionGroup, ElementKind, Universe, Value};
use armillary_registry::query::{Clause, DatasetSearch, Upload};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// A table of so many rows can be compared with each pair of regions that overlap.
const FEW_ROWS: usize = 100;

/// One join.
#[derive(Clone, Debug)]
pub struct Join {
    /// Its dimensions.
    pub group: DimensionGroup,
    /// Its rows.
    pub rows: JoinRows,
}

/// All joins of a part.
#[derive(Default)]
pub(super) struct Joins {
    pub(super) all: Vec<Join>,
    /// For each task of the part its join.
    pub(super) of_task: Vec<usize>,
    /// Why there are joins without rows.
    pub(super) reasons: Vec<String>,
}

/// What tasks before it may make of a dataset type: the join that gives the data IDs, and their dimensions.
type Source = (usize, DimensionGroup);

/// What a task is joined on: tasks for which it is the same share a join.
#[derive(PartialEq, Eq, Hash)]
struct Terms {
    group: DimensionGroup,
    /// Overall inputs that must exist.
    existing: Vec<String>,
    /// Inputs that tasks before it make.
    sources: BTreeSet<Source>,
}

/// Who asks for the data IDs of a part.
struct Asker<'a> {
    universe: &'a Arc<Universe>,
    pipeline: &'a PipelineGraph,
    request: &'a BuildRequest,
    fetch: &'a dyn Fetch,
    /// Dimensions of the whole part.
    group: DimensionGroup,
}

impl Joins {
    /// Asks for the data IDs of a part.
    pub(super) fn ask(
        universe: &Arc<Universe>,
        pipeline: &PipelineGraph,
        request: &BuildRequest,
        fetch: &dyn Fetch,
    ) -> Result<Self, GraphError> {
        let mut asker = Asker { universe, pipeline, request, fetch, group: DimensionGroup::EMPTY };
        asker.group = asker.dimensions(pipeline.tasks().values())?;
        let mut joins = Self::default();
        if request.without_slicing {
            asker.join_each_task(&mut joins)?;
        } else {
            let searches = asker.searches(pipeline.overall_inputs().into_iter())?;
            let join = asker.query(asker.group, searches, &[], &mut joins.reasons)?;
            joins.all.push(join);
            joins.of_task = vec![0; pipeline.tasks().len()];
        }
        Ok(joins)
    }
}

impl Asker<'_> {
    /// Dimensions of tasks and of everything that they read and write.
    fn dimensions<'t>(&self, tasks: impl Iterator<Item = &'t Task>) -> Result<DimensionGroup, GraphError> {
        let mut group = DimensionGroup::EMPTY;
        for task in tasks {
            group = group.union(task_group(self.universe, task)?);
            for edge in join_edges(task) {
                group = group.union(self.pipeline.resolved(edge.parent())?.dimensions);
            }
        }
        Ok(self.universe.conform(group))
    }

    /// The dimensions that a query with these tables can give; pixels of other levels come later.
    fn queried(&self, group: DimensionGroup, tables: &[Upload]) -> DimensionGroup {
        let queried = group.iter().filter(|index| {
            let is_skypix = matches!(self.universe.get(*index).kind, ElementKind::SkyPix { .. });
            !is_skypix || *index == self.universe.common_skypix().index
        });
        let queried = queried.fold(DimensionGroup::EMPTY, |sum, index| sum.union(DimensionGroup::single(index)));
        // A table gives the pixels that it lists, whatever their level.
        tables.iter().fold(queried, |sum, table| sum.union(table.group().intersection(group)))
    }

    /// Asks for the rows of one join, with tables of what may be made besides those of the user; not all of them may be
    /// made use of.
    fn query(
        &self,
        group: DimensionGroup,
        searches: Vec<DatasetSearch>,
        made: &[Upload],
        reasons: &mut Vec<String>,
    ) -> Result<Join, GraphError> {
        let request = self.request;
        let queried = self.queried(group, &request.tables);
        let known = self.queried(self.group, &request.tables);
        let clauses = if request.where_text.trim().is_empty() {
            Vec::new()
        } else {
            vec![Clause { text: request.where_text.clone(), binds: request.binds.clone(), then: None }]
        };
        let mut query = DataIdQuery {
            group: queried,
            joined: DimensionGroup::EMPTY,
            clauses,
            data_id: request.data_id.clone(),
            searches,
            tables: request.tables.iter().filter_map(|table| seen_by(table, known)).collect(),
        };
        query.joined = self.reached(&query)?;
        let asked = self.universe.conform(queried.union(query.joined));
        query.tables.extend(self.worth_asking(asked, made));
        let found = self.fetch.data_ids(query)?;
        let mut rows = if queried.is_empty() { JoinRows::unit() } else { JoinRows::new(&found.columns) };
        super::prerequisites::add_pixels(self.universe, &mut rows, group.difference(queried), self.fetch)?;
        if rows.is_empty() {
            reasons.extend(found.reasons.into_iter().filter(|reason| !reasons.contains(reason)).collect::<Vec<_>>());
        }
        Ok(Join { group, rows })
    }

    /// The tables that a query is to be asked with.
    ///
    /// Where regions are paired, a long table would be read anew for each pair.
    fn worth_asking(&self, asked: DimensionGroup, made: &[Upload]) -> Vec<Upload> {
        let spatial = self.universe.info(asked).spatial.clone();
        let sides = spatial.iter().map(|index| self.universe.get(*index).required);
        let both = sides.fold(DimensionGroup::EMPTY, DimensionGroup::union);
        let is_paired = spatial.len() > 1 && !made.iter().any(|table| both.is_subset(table.group()));
        made.iter().filter(|table| !is_paired || table.rows.len() <= FEW_ROWS).cloned().collect()
    }

    /// What else a query of less than the whole part must join, so that conditions on other dimensions reach it.
    ///
    /// A condition on a tract reaches exposures by their visits. Regions that nothing but a condition relates are related
    /// as in the whole part: by the finest that it knows.
    fn reached(&self, query: &DataIdQuery) -> Result<DimensionGroup, GraphError> {
        let none = DimensionGroup::EMPTY;
        let own = self.universe.conform(query.group);
        let part = self.universe.info(self.group);
        let governors = part.governors.iter().fold(none, |sum, index| sum.union(DimensionGroup::single(*index)));
        if own == self.universe.conform(self.queried(self.group, &self.request.tables)) {
            return Ok(none);
        }
        let all = self.fetch.dimensions(query)?;
        if all.difference(own).difference(governors).is_empty() {
            return Ok(none);
        }
        let mut linked = all;
        for element in self.universe.elements().iter().filter(|element| !element.is_dimension() && element.always_join)
        {
            let touches = !element.required.difference(governors).is_disjoint(all);
            if touches && element.required.is_subset(self.group) {
                linked = linked.union(element.required);
            }
        }
        let linked = self.universe.conform(linked);
        let families = |group: DimensionGroup| -> BTreeSet<String> {
            let spatial = self.universe.info(group).spatial.clone();
            spatial.into_iter().filter_map(|index| self.universe.get(index).spatial.clone()).collect()
        };
        let related = families(linked);
        if related.len() < 2 || families(own).len() >= 2 {
            return Ok(none);
        }
        let finest = part.spatial.iter().map(|index| self.universe.get(*index));
        let finest = finest.filter(|element| element.spatial.as_ref().is_some_and(|family| related.contains(family)));
        Ok(finest.fold(linked, |sum, element| sum.union(element.required)))
    }

    fn join_each_task(&self, joins: &mut Joins) -> Result<(), GraphError> {
        let mut known: HashMap<Terms, usize> = HashMap::new();
        // Of each dataset type that a task made so far, where its data IDs are.
        let mut made: HashMap<&str, Source> = HashMap::new();
        for task in self.pipeline.tasks().values() {
            let (terms, searches) = self.terms(task, &made)?;
            let position = if let Some(shared) = known.get(&terms).copied().or_else(|| terms.shared()) {
                shared
            } else {
                let join = self.join(&terms, searches, joins)?;
                joins.all.push(join);
                joins.all.len() - 1
            };
            known.insert(terms, position);
            joins.of_task.push(position);
            for edge in task.all_outputs() {
                made.insert(edge.parent(), (position, self.pipeline.resolved(edge.parent())?.dimensions));
            }
        }
        Ok(())
    }

    /// What a task is joined on.
    ///
    /// An input that may be missing limits its task only where nothing else says what the task has to work on.
    fn terms(&self, task: &Task, made: &HashMap<&str, Source>) -> Result<(Terms, Vec<DatasetSearch>), GraphError> {
        let read = task.inputs.iter().map(Edge::parent);
        let overall: BTreeSet<&str> = read.filter(|name| !made.contains_key(name)).collect();
        let searches = self.searches(overall.into_iter())?;
        let source = |edge: &Edge| made.get(edge.parent()).copied();
        let needed: BTreeSet<Source> = task.inputs.iter().filter(|edge| edge.minimum > 0).filter_map(source).collect();
        let mut covered = needed.iter().fold(task_group(self.universe, task)?, |sum, (_, group)| sum.union(*group));
        for search in &searches {
            covered = covered.union(self.pipeline.resolved(&search.dataset_type)?.dimensions);
        }
        let mut written = DimensionGroup::EMPTY;
        for edge in &task.outputs {
            written = written.union(self.pipeline.resolved(edge.parent())?.dimensions);
        }
        let is_enough = written.is_subset(covered) && !(needed.is_empty() && searches.is_empty());
        let sources = if is_enough { needed } else { task.inputs.iter().filter_map(source).collect() };
        let existing = searches.iter().map(|search| search.dataset_type.clone()).collect();
        Ok((Terms { group: self.dimensions(std::iter::once(task))?, existing, sources }, searches))
    }

    /// The join of a task that shares none.
    fn join(&self, terms: &Terms, searches: Vec<DatasetSearch>, joins: &mut Joins) -> Result<Join, GraphError> {
        let info = |group| self.universe.info(group);
        if terms.sources.iter().any(|(join, _)| joins.all[*join].rows.is_empty()) {
            return Ok(Join { group: terms.group, rows: JoinRows::none(info(terms.group).keys()) });
        }
        let whole = terms.whole_source();
        let mut join = if let Some((from, group)) = whole {
            Join { group: terms.group, rows: joins.all[from].rows.narrowed(&info(group)) }
        } else {
            let sources = terms.sources.iter();
            let made: Vec<Upload> = sources.filter_map(|source| self.table(&joins.all, *source)).collect();
            self.query(terms.group, searches, &made, &mut joins.reasons)?
        };
        for (from, group) in &terms.sources {
            join.rows.keep_known(&joins.all[*from].rows, &info(*group));
        }
        Ok(join)
    }

    /// The data IDs of something that may be made, as far as a query can take them.
    fn table(&self, joins: &[Join], (from, group): Source) -> Option<Upload> {
        let asked = self.queried(group, &[]);
        let rows = &joins[from].rows;
        let ids = rows.project(&self.universe.info(asked)).ids;
        let dimensions = ids.info().required.clone();
        let value = |row| ids.values(&rows.keys, row).take(dimensions.len()).cloned().map(Value::from).collect();
        let rows = (0..small(ids.len())).map(value).collect();
        (!dimensions.is_empty()).then(|| Upload { dimensions: dimensions.clone(), rows })
    }

    /// The dataset types whose existing datasets limit the data IDs, and where to look.
    fn searches<'n>(&self, overall_inputs: impl Iterator<Item = &'n str>) -> Result<Vec<DatasetSearch>, GraphError> {
        let (pipeline, request) = (self.pipeline, self.request);
        let mut searches = Vec::new();
        for name in overall_inputs {
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
            if !self.fetch.is_registered(name)? {
                let what = match self.fetch.nearest_registered(name)? {
                    Some(near) => format!("did you mean `{near}`? Else leave its task out"),
                    None => "check its name, or leave its task out".to_owned(),
                };
                return Err(GraphError::Build {
                    reason: format!(
                        "no datasets of overall input `{name}` were found: the dataset type is not even registered; {what}"
                    ),
                });
            }
            let collections = request.input_collections.iter().map(String::as_str);
            searches.push(DatasetSearch::new(name, collections));
        }
        Ok(searches)
    }
}

impl Terms {
    /// Where everything is known already: something that is made has all dimensions, and nothing must exist besides.
    fn whole_source(&self) -> Option<Source> {
        let mut sources = self.sources.iter().copied();
        if self.existing.is_empty() { sources.find(|(_, group)| self.group.is_subset(*group)) } else { None }
    }

    /// The join of tasks before, if they leave nothing to ask.
    fn shared(&self) -> Option<usize> {
        let (join, _) = self.whole_source()?;
        self.sources.iter().all(|(other, _)| *other == join).then_some(join)
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
