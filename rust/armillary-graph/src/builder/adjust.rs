//! Hooks of tasks, in batches, and the removal of quanta that have nothing to work on.

use super::{Builder, Part, Slot, part::TypeState};
use crate::{
    Edge, GraphError, Id, Task,
    fetch::FoundDataset,
    keys::{Row, small},
    skeleton::Meetings,
};
use armillary_dimensions::{DataCoordinate, DimensionGroup, Key};
use std::collections::{BTreeMap, HashSet};

/// A dataset as a hook sees it.
#[derive(Clone, Debug)]
pub struct BatchDataset {
    /// Its id.
    pub id: Id,
    /// Its data ID.
    pub data_id: DataCoordinate,
    /// Position of its run in [`Batch::runs`].
    pub run: u32,
}

/// A quantum as a hook sees it.
#[derive(Clone, Debug)]
pub struct BatchQuantum {
    /// Tells it apart from others of its task.
    pub row: Row,
    /// Its data ID.
    pub data_id: DataCoordinate,
    /// Datasets of each connection, in the order of [`Batch::connections`].
    pub datasets: Vec<Vec<BatchDataset>>,
}

/// All quanta of a task, for its hooks.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Connections: prerequisites, inputs, outputs, metadata, log.
    pub connections: Vec<Edge>,
    /// How many of them are inputs.
    pub inputs: usize,
    /// Names of runs.
    pub runs: Vec<std::sync::Arc<str>>,
    /// The quanta.
    pub quanta: Vec<BatchQuantum>,
}

/// What a hook did to a quantum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adjustment {
    /// There is nothing for it to do.
    NoWork,
    /// The task does not want it.
    Removed,
    /// It reads or writes these datasets, connection by connection as in the batch.
    Changed(Vec<Vec<Id>>),
}

/// A dataset of one connection of a quantum.
#[derive(Clone, Copy, Debug)]
pub(super) enum Member {
    /// In the join, by the row of its data ID.
    Join(Row, Slot),
    /// From outside of it.
    External(u32, Slot),
}

impl Member {
    pub(super) const fn slot(self) -> Slot {
        match self {
            Self::Join(_, slot) | Self::External(_, slot) => slot,
        }
    }
}

/// Connections of a task in the order of batches, and how many of them are inputs.
pub(super) fn connections(task: &Task) -> (Vec<&Edge>, usize) {
    let mut edges: Vec<&Edge> = task.prerequisite_inputs.iter().chain(&task.inputs).collect();
    let inputs = edges.len();
    edges.extend(task.all_outputs());
    (edges, inputs)
}

/// Where the datasets of one connection come from, found once for all quanta of a task.
pub(super) enum Supply<'p> {
    /// From outside of the join, by quantum.
    External(&'p [Vec<u32>]),
    /// From the join.
    Join { of_type: &'p TypeState, meetings: &'p Meetings },
}

impl Part {
    /// The supplies of all connections of a task, in the order of batches.
    pub(super) fn supplies<'p>(&'p self, task: &Task) -> Vec<Supply<'p>> {
        let state = &self.tasks[task.label.as_str()];
        let (edges, _) = connections(task);
        let of = |(connection, edge): (usize, &&Edge)| {
            if let Some(lists) = state.prerequisites.get(connection) {
                return Supply::External(lists);
            }
            let of_type = &self.types[edge.parent()];
            Supply::Join { of_type, meetings: self.meetings(state, of_type.group) }
        };
        edges.iter().enumerate().map(of).collect()
    }
}

impl Supply<'_> {
    /// How many datasets a quantum has by this connection.
    fn count(&self, row: Row) -> usize {
        match self {
            Self::External(lists) => lists[row as usize].len(),
            Self::Join { of_type, meetings } => {
                meetings.of(row).iter().filter(|met| of_type.slots[**met as usize].is_some()).count()
            }
        }
    }
}

impl Builder {
    pub(super) fn part_of(&self, label: &str) -> Result<usize, GraphError> {
        Ok(self.part_of[self.task(label)?])
    }

    /// Datasets of one connection of a quantum, before hooks changed them.
    fn plain_members(&self, part: &Part, task: &Task, connection: usize, row: Row) -> Vec<Member> {
        let state = &part.tasks[task.label.as_str()];
        if connection < task.prerequisite_inputs.len() {
            let list = &state.prerequisites[connection][row as usize];
            return list.iter().map(|index| Member::External(*index, self.externals[*index as usize].slot)).collect();
        }
        let Some(edge) = connections(task).0.get(connection).copied() else { return Vec::new() };
        let of_type = &part.types[edge.parent()];
        let met = part.meet(state, of_type.group, row).iter();
        let mut members: Vec<Member> =
            met.filter_map(|met| Some(Member::Join(*met, of_type.slots[*met as usize]?))).collect();
        let extras = state.extras.get(&edge.connection).into_iter().flatten();
        members.extend(extras.map(|index| Member::External(*index, self.externals[*index as usize].slot)));
        if !state.extras.is_empty() {
            let ids = part.skeleton.ids(of_type.group);
            members.sort_by_cached_key(|member| match member {
                Member::Join(row, _) => ids.values(&part.skeleton.keys, *row).cloned().collect::<Vec<Key>>(),
                Member::External(index, _) => self.externals[*index as usize].values.clone(),
            });
        }
        members
    }

    /// Datasets of one connection of a quantum.
    pub(super) fn members(&self, part: &Part, task: &Task, connection: usize, row: Row) -> Vec<Member> {
        let state = &part.tasks[task.label.as_str()];
        let Some(changed) = state.overrides.get(&row) else { return self.plain_members(part, task, connection, row) };
        let Some(edge) = connections(task).0.get(connection).copied() else { return Vec::new() };
        let find = |id: &Id| {
            if let Some(index) = self.external_by_id.get(id) {
                return Some(Member::External(*index, self.externals[*index as usize].slot));
            }
            let of_type = part.types.get(edge.parent())?;
            // Hooks mostly take away, so the dataset is most likely one that the quantum had.
            let near = part.meet(state, of_type.group, row).iter().copied();
            let all = 0..small(of_type.slots.len());
            near.chain(all).find_map(|row| {
                of_type.slots[row as usize].filter(|slot| slot.id == *id).map(|slot| Member::Join(row, slot))
            })
        };
        changed.get(connection).into_iter().flatten().filter_map(find).collect()
    }

    fn data_id(&self, part: &Part, group: DimensionGroup, row: Row) -> DataCoordinate {
        part.skeleton.ids(group).data_id(&self.universe, &part.skeleton.keys, row)
    }

    fn member_data_id(&self, part: &Part, edge: &Edge, member: Member) -> Result<DataCoordinate, GraphError> {
        match member {
            Member::Join(row, _) => Ok(self.data_id(part, part.types[edge.parent()].group, row)),
            Member::External(index, _) => {
                let node = self.pipeline.resolved(edge.parent())?;
                let values = self.externals[index as usize].values.clone();
                Ok(DataCoordinate::from_values(
                    self.universe.clone(),
                    self.universe.info(node.dimensions),
                    values.into(),
                ))
            }
        }
    }

    /// All quanta of a task that are to run, with their datasets, for the hooks of the task.
    pub fn batch(&self, label: &str) -> Result<Batch, GraphError> {
        let part = &self.parts[self.part_of(label)?];
        let task = self.pipeline.task(label)?;
        let state = &part.tasks[label];
        let (edges, inputs) = connections(task);
        let mut quanta = Vec::new();
        for row in (0..small(state.alive.len())).filter(|row| state.alive[*row as usize]) {
            let mut datasets = Vec::with_capacity(edges.len());
            for (connection, edge) in edges.iter().enumerate() {
                let members = self.members(part, task, connection, row);
                let list = members.into_iter().map(|member| {
                    let Slot { id, run } = member.slot();
                    Ok(BatchDataset { id, data_id: self.member_data_id(part, edge, member)?, run })
                });
                datasets.push(list.collect::<Result<Vec<_>, GraphError>>()?);
            }
            quanta.push(BatchQuantum { row, data_id: self.data_id(part, state.group, row), datasets });
        }
        let connections = edges.into_iter().cloned().collect();
        Ok(Batch { connections, inputs, runs: self.runs.iter().cloned().collect(), quanta })
    }

    /// Takes the datasets that a function of the user found for a prerequisite.
    pub fn found(
        &mut self,
        label: &str,
        connection: &str,
        lists: Vec<(Row, Vec<FoundDataset>)>,
    ) -> Result<(), GraphError> {
        let part = self.part_of(label)?;
        let task = self.pipeline.task(label)?.clone();
        let Some(position) = task.prerequisite_inputs.iter().position(|edge| edge.connection == connection) else {
            return Err(GraphError::Build { reason: format!("task `{label}` has no prerequisite `{connection}`") });
        };
        let name = task.prerequisite_inputs[position].parent().to_owned();
        for (row, datasets) in lists {
            let indices = datasets.iter().map(|dataset| self.external(&name, dataset)).collect();
            self.parts[part].tasks[label].prerequisites[position][row as usize] = indices;
        }
        Ok(())
    }

    /// Takes what the hooks of a task did to its quanta; quanta that are not named stay as they are.
    pub fn apply(&mut self, label: &str, adjustments: Vec<(Row, Adjustment)>) -> Result<(), GraphError> {
        let part = self.part_of(label)?;
        for (row, adjustment) in adjustments {
            match adjustment {
                Adjustment::NoWork => {
                    self.remove(part, label, row);
                    self.parts[part].tasks[label].count.no_work += 1;
                }
                Adjustment::Removed => {
                    self.remove(part, label, row);
                    self.parts[part].tasks[label].count.adjusted_away += 1;
                }
                Adjustment::Changed(lists) => {
                    self.parts[part].tasks[label].overrides.insert(row, lists);
                }
            }
        }
        self.unclaim(part, label)
    }

    /// Outputs that no quantum of the task writes any more are not made.
    fn unclaim(&mut self, part: usize, label: &str) -> Result<(), GraphError> {
        let task = self.pipeline.task(label)?.clone();
        let this = &self.parts[part];
        if this.tasks[label].overrides.is_empty() {
            return Ok(());
        }
        let (edges, inputs) = connections(&task);
        let mut claimed: HashSet<Id> = HashSet::new();
        let state = &this.tasks[label];
        for row in (0..small(state.alive.len())).filter(|row| state.alive[*row as usize]) {
            for connection in inputs..edges.len() {
                claimed.extend(self.members(this, &task, connection, row).iter().map(|member| member.slot().id));
            }
        }
        let skipped: HashSet<Id> = self.skipped_outputs(part, &task);
        for edge in task.all_outputs() {
            let Some(of_type) = self.parts[part].types.get_mut(edge.parent()) else { continue };
            for slot in &mut of_type.slots {
                *slot = slot.filter(|slot| claimed.contains(&slot.id) || skipped.contains(&slot.id));
            }
        }
        Ok(())
    }

    fn skipped_outputs(&self, part: usize, task: &Task) -> HashSet<Id> {
        let this = &self.parts[part];
        let state = &this.tasks[task.label.as_str()];
        let mut ids = HashSet::new();
        for edge in task.all_outputs() {
            let of_type = &this.types[edge.parent()];
            for row in (0..small(state.skipped.len())).filter(|row| state.skipped[*row as usize]) {
                ids.extend(
                    this.meet(state, of_type.group, row)
                        .iter()
                        .filter_map(|met| of_type.slots[*met as usize].map(|slot| slot.id)),
                );
            }
        }
        ids
    }

    /// Removes a quantum and the outputs it would have made.
    pub(super) fn remove(&mut self, part: usize, label: &str, row: Row) {
        let Ok(task) = self.pipeline.task(label).cloned() else { return };
        let this = &self.parts[part];
        if !this.tasks[label].alive[row as usize] {
            return;
        }
        let (edges, inputs) = connections(&task);
        let mut gone: Vec<(&str, Row)> = Vec::new();
        for (connection, edge) in edges.iter().enumerate().skip(inputs) {
            for member in self.members(this, &task, connection, row) {
                if let Member::Join(met, _) = member {
                    gone.push((edge.parent(), met));
                }
            }
        }
        let this = &mut self.parts[part];
        this.tasks[label].alive[row as usize] = false;
        for (name, met) in gone {
            if let Some(of_type) = this.types.get_mut(name) {
                of_type.slots[met as usize] = None;
            }
        }
    }

    /// Removes the quanta of a task that have too few inputs or nothing left to write.
    ///
    /// Too few prerequisites are an error, as are several datasets where a connection takes one.
    pub fn settle(&mut self, label: &str) -> Result<(), GraphError> {
        let part = self.part_of(label)?;
        let task = self.pipeline.task(label)?.clone();
        let state = &self.parts[part].tasks[label];
        let rows: Vec<Row> = (0..small(state.alive.len())).filter(|row| state.alive[*row as usize]).collect();
        let mut idle = Vec::new();
        let mut lacking: BTreeMap<String, usize> = BTreeMap::new();
        let supplies = self.parts[part].supplies(&task);
        for row in rows {
            if !self.has_work(part, &task, &supplies, row, &mut lacking)? {
                idle.push(row);
            }
        }
        drop(supplies);
        self.parts[part].tasks[label].lacking = lacking;
        for row in idle {
            self.remove(part, label, row);
            self.parts[part].tasks[label].count.no_work += 1;
        }
        Ok(())
    }

    fn has_work(
        &self,
        part: usize,
        task: &Task,
        supplies: &[Supply<'_>],
        row: Row,
        lacking: &mut BTreeMap<String, usize>,
    ) -> Result<bool, GraphError> {
        let this = &self.parts[part];
        let state = &this.tasks[task.label.as_str()];
        let changed = state.overrides.contains_key(&row);
        let (edges, inputs) = connections(task);
        let (mut read, mut written) = (0, 0);
        let mut enough = true;
        for (connection, edge) in edges.iter().enumerate() {
            let count = if changed || !state.extras.is_empty() {
                self.members(this, task, connection, row).len()
            } else {
                supplies[connection].count(row)
            };
            let is_prerequisite = connection < task.prerequisite_inputs.len();
            if connection < inputs {
                read += count;
            } else if connection < inputs + task.outputs.len() {
                written += count;
            }
            if count > 1 && !edge.multiple {
                return Err(GraphError::NotOne {
                    connection: format!("{}.{}", task.label, edge.connection),
                    count,
                    data_id: self.data_id(this, state.group, row).to_string(),
                });
            }
            if connection < inputs && count < edge.minimum {
                if is_prerequisite {
                    return Err(GraphError::MissingPrerequisite {
                        connection: format!("{}.{}", task.label, edge.connection),
                        dataset_type: edge.dataset_type.clone(),
                        found: count,
                        minimum: edge.minimum,
                        data_id: self.data_id(this, state.group, row).to_string(),
                    });
                }
                enough = false;
                *lacking.entry(edge.connection.clone()).or_default() += 1;
            }
        }
        if changed && read == 0 && written > 0 && inputs > 0 {
            return Err(GraphError::Build {
                reason: format!(
                    "`adjustQuantum` of task `{}` returned outputs but no inputs for {}",
                    task.label,
                    self.data_id(this, state.group, row)
                ),
            });
        }
        Ok(enough && (written > 0 || task.outputs.is_empty()))
    }
}
